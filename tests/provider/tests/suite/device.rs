//! The device grant, its pace and its ends.

use std::time::{Duration, Instant};

use provider::{Approval, Endpoint, Fault, IntervalField, Provider, Settings};

use crate::client::{Answer, PUBLIC, post};
use crate::expect_violation;

fn begin(provider: &Provider) -> Answer {
    let answer = post(provider, Endpoint::Device, &format!("client_id={PUBLIC}&scope=openid+offline_access"));
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer
}

fn poll(provider: &Provider, device_code: &str) -> Answer {
    let grant = "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code";
    post(provider, Endpoint::Token, &format!("client_id={PUBLIC}&grant_type={grant}&device_code={device_code}"))
}

fn by_hand() -> Provider {
    Provider::start(Settings { approval: Approval::ByHand, ..Settings::default() })
}

#[test]
fn one_pending_poll_then_tokens() {
    let provider = Provider::start(Settings::default());
    let code = begin(&provider).text("device_code");
    assert_eq!(poll(&provider, &code).error(), (400, "authorization_pending".to_owned()));
    provider.advance(Duration::from_secs(1));
    let tokens = poll(&provider, &code);
    assert_eq!(tokens.status, 200);
    assert_eq!(Some(tokens.text("refresh_token")), provider.newest_refresh_token());
    assert!(provider.is_access_live(&tokens.text("access_token")));
    assert_eq!(tokens.text("id_token").split('.').count(), 3);
}

#[test]
fn a_poll_too_early_is_slowed_down_by_five_seconds_and_blamed() {
    let provider = by_hand();
    let code = begin(&provider).text("device_code");
    assert_eq!(poll(&provider, &code).error().1, "authorization_pending");
    assert_eq!(poll(&provider, &code).error().1, "slow_down");
    expect_violation(&provider, "slow_down");
    provider.advance(Duration::from_secs(5));
    assert_eq!(poll(&provider, &code).error().1, "slow_down");
    expect_violation(&provider, "polled before 6s");
    provider.advance(Duration::from_secs(11));
    assert_eq!(poll(&provider, &code).error().1, "authorization_pending");
}

#[test]
fn an_injected_slow_down_is_enforced() {
    let provider = by_hand();
    let code = begin(&provider).text("device_code");
    provider.misbehave(Endpoint::Token, Fault::oauth("slow_down"));
    assert_eq!(poll(&provider, &code).error().1, "slow_down");
    provider.advance(Duration::from_secs(2));
    assert_eq!(poll(&provider, &code).error().1, "slow_down");
    expect_violation(&provider, "polled before 6s");
}

#[test]
fn the_person_decides_by_the_user_code() {
    let provider = by_hand();
    let first = begin(&provider);
    assert_eq!(provider.wait_for_user_code(Duration::from_secs(5)), first.text("user_code"));
    let second = begin(&provider);
    provider.approve(&first.text("user_code"));
    provider.deny(&second.text("user_code"));
    assert!(provider.pending_user_codes().is_empty());
    assert_eq!(poll(&provider, &first.text("device_code")).status, 200);
    assert_eq!(poll(&provider, &second.text("device_code")).error().1, "access_denied");
}

#[test]
fn a_refusal_can_be_the_rule() {
    let provider = Provider::start(Settings { approval: Approval::Deny, ..Settings::default() });
    let code = begin(&provider).text("device_code");
    assert_eq!(poll(&provider, &code).error(), (400, "access_denied".to_owned()));
}

#[test]
fn wrong_and_used_codes_are_violations() {
    let provider = Provider::start(Settings { approval: Approval::AfterPolls(0), ..Settings::default() });
    let code = begin(&provider).text("device_code");
    assert_eq!(poll(&provider, "guess").error().1, "invalid_grant");
    expect_violation(&provider, "Device code not valid");
    assert_eq!(poll(&provider, &code).status, 200);
    assert_eq!(poll(&provider, &code).error().1, "invalid_grant");
    expect_violation(&provider, "used twice");
}

#[test]
fn an_expired_code_is_nobodys_fault() {
    let provider = by_hand();
    let code = begin(&provider).text("device_code");
    provider.advance(Duration::from_secs(600));
    assert_eq!(poll(&provider, &code).error().1, "expired_token");
}

#[test]
fn the_interval_is_whole_seconds_zero_or_absent() {
    let shown = |interval, field| {
        let settings = Settings { device_interval: interval, interval_field: field, ..Settings::default() };
        begin(&Provider::start(settings)).json()["interval"].clone()
    };
    assert_eq!(shown(Duration::from_millis(200), IntervalField::Shown), 1);
    assert_eq!(shown(Duration::ZERO, IntervalField::Shown), 0);
    assert!(shown(Duration::ZERO, IntervalField::Omitted).is_null());
}

#[test]
fn waiting_for_requests_ends_when_they_come() {
    let provider = by_hand();
    let started = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| begin(&provider));
        provider.wait_for(Endpoint::Device, 1, Duration::from_secs(30));
    });
    assert!(started.elapsed() < Duration::from_secs(20));
}
