//! What a refresh does to refresh tokens, and what reuse does to everything.

use std::collections::HashSet;
use std::thread;
use std::time::Duration;

use provider::{Endpoint, Fault, PreviousAccess, Provider, Reuse, Rotation, Settings};

use crate::client::{OFFLINE, PUBLIC, refresh, refresh_form, try_post, userinfo};
use crate::expect_violation;

fn start(rotation: Rotation) -> (Provider, String) {
    let provider = Provider::start(Settings { rotation, ..Settings::default() });
    let token = provider.grant(PUBLIC, &OFFLINE);
    (provider, token)
}

#[test]
fn strict_reuse_ends_the_family_and_its_access_tokens() {
    let (provider, first) = start(Rotation::Strict);
    let answer = refresh(&provider, &first);
    let (second, access) = (answer.text("refresh_token"), answer.text("access_token"));
    assert_eq!(userinfo(&provider, &access), 200);
    assert_eq!(refresh(&provider, &first).error(), (400, "invalid_grant".to_owned()));
    assert_eq!(refresh(&provider, &second).status, 400, "the newest is dead, too");
    assert_eq!(userinfo(&provider, &access), 401);
    assert!(!provider.family_alive() && !provider.is_access_live(&access) && !provider.is_refresh_live(&second));
    assert_eq!((provider.exchanges(), provider.presentations(&first), provider.presentations(&second)), (1, 2, 1));
    expect_violation(&provider, "reuse exceeded");
}

#[test]
fn reuse_in_one_login_leaves_another_alone() {
    let (provider, first) = start(Rotation::Strict);
    let other = provider.grant(PUBLIC, &OFFLINE);
    assert_eq!(refresh(&provider, &first).status, 200);
    assert_eq!(refresh(&provider, &first).status, 400);
    assert_eq!(refresh(&provider, &other).status, 200);
    expect_violation(&provider, "reuse exceeded");
}

#[test]
fn expected_reuse_is_no_violation() {
    let settings = Settings { reuse: Reuse::IsExpected, ..Settings::default() };
    let provider = Provider::start(settings);
    let token = provider.grant(PUBLIC, &OFFLINE);
    assert_eq!(refresh(&provider, &token).status, 200);
    assert_eq!(refresh(&provider, &token).status, 400);
    assert!(!provider.family_alive());
}

#[test]
fn reuse_after_an_answer_lost_on_purpose_is_no_violation() {
    let (provider, token) = start(Rotation::Strict);
    provider.misbehave(Endpoint::Token, Fault::ResetAfterProcessing);
    try_post(&provider, Endpoint::Token, &[], &refresh_form(&token)).unwrap_err();
    assert_eq!(provider.exchanges(), 1);
    assert_eq!(refresh(&provider, &token).error(), (400, "invalid_grant".to_owned()));
    assert!(!provider.family_alive());
}

#[test]
fn without_rotation_no_refresh_token_comes_back() {
    let (provider, token) = start(Rotation::Off);
    for _ in 0..2 {
        let answer = refresh(&provider, &token);
        assert_eq!((answer.status, &answer.json()["refresh_token"]), (200, &provider::Value::Null));
    }
}

#[test]
fn the_same_text_comes_back_where_that_is_asked_for() {
    let (provider, token) = start(Rotation::SameText);
    assert_eq!(refresh(&provider, &token).text("refresh_token"), token);
    assert_eq!(refresh(&provider, &token).text("refresh_token"), token);
}

#[test]
fn a_new_text_may_leave_the_old_one_good() {
    let (provider, token) = start(Rotation::NewTextOldStillGood);
    let texts: HashSet<String> = (0..3).map(|_| refresh(&provider, &token).text("refresh_token")).collect();
    assert_eq!(texts.len(), 3);
    assert!(texts.iter().all(|text| provider.is_refresh_live(text)));
}

#[test]
fn a_lenient_provider_refuses_the_old_and_keeps_the_newest() {
    let (provider, first) = start(Rotation::NewestLives);
    let second = refresh(&provider, &first).text("refresh_token");
    assert_eq!(refresh(&provider, &first).status, 400);
    assert_eq!(refresh(&provider, &second).status, 200);
    expect_violation(&provider, "reuse exceeded");
}

#[test]
fn grace_gives_each_asker_another_good_token_and_then_ends() {
    let (provider, first) = start(Rotation::Grace(Duration::from_secs(10)));
    let second = refresh(&provider, &first).text("refresh_token");
    let third = refresh(&provider, &first).text("refresh_token");
    assert_ne!(second, third);
    assert!(provider.is_refresh_live(&second) && provider.is_refresh_live(&third));
    provider.advance(Duration::from_secs(11));
    assert_eq!(refresh(&provider, &first).status, 400);
    assert!(!provider.is_refresh_live(&third));
    expect_violation(&provider, "reuse exceeded");
}

#[test]
fn of_many_that_present_one_token_at_once_one_wins() {
    let (provider, token) = start(Rotation::Strict);
    let statuses: Vec<u16> = thread::scope(|scope| {
        let askers: Vec<_> = (0..40).map(|_| scope.spawn(|| refresh(&provider, &token).status)).collect();
        askers.into_iter().map(|asker| asker.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|&&status| status == 200).count(), 1);
    assert_eq!((provider.exchanges(), provider.presentations(&token)), (1, 40));
    assert_eq!(provider.take_violations().len(), 39);
}

#[test]
fn a_refresh_may_end_the_access_token_before_it() {
    let provider = Provider::start(Settings { previous_access: PreviousAccess::Revoked, ..Settings::default() });
    let token = provider.grant(PUBLIC, &OFFLINE);
    let answer = refresh(&provider, &token);
    let next = refresh(&provider, &answer.text("refresh_token"));
    assert_eq!(userinfo(&provider, &answer.text("access_token")), 401);
    assert_eq!(userinfo(&provider, &next.text("access_token")), 200);
}

#[test]
fn an_idle_refresh_token_dies() {
    let provider = Provider::start(Settings { refresh_idle: Some(Duration::from_secs(60)), ..Settings::default() });
    let token = provider.grant(PUBLIC, &OFFLINE);
    provider.advance(Duration::from_secs(50));
    let answer = refresh(&provider, &token);
    assert_eq!(answer.json()["refresh_expires_in"], 60);
    provider.advance(Duration::from_secs(61));
    assert_eq!(refresh(&provider, &answer.text("refresh_token")).status, 400);
}

#[test]
fn a_disabled_user_passes_and_the_token_is_not_spent() {
    let (provider, token) = start(Rotation::Strict);
    provider.disable_user();
    assert_eq!(refresh(&provider, &token).error(), (400, "invalid_grant".to_owned()));
    provider.enable_user();
    assert_eq!(refresh(&provider, &token).status, 200);
}

#[test]
fn an_administrator_ends_a_family_without_blame() {
    let (provider, token) = start(Rotation::Strict);
    provider.revoke_family_of(&token);
    assert_eq!(refresh(&provider, &token).error(), (400, "invalid_grant".to_owned()));
}

#[test]
fn more_scope_than_was_granted_is_refused_and_spends_nothing() {
    let (provider, token) = start(Rotation::Strict);
    let more = try_post(&provider, Endpoint::Token, &[], &format!("{}&scope=openid+admin", refresh_form(&token)));
    assert_eq!(more.unwrap().error(), (400, "invalid_scope".to_owned()));
    let less = try_post(&provider, Endpoint::Token, &[], &format!("{}&scope=openid", refresh_form(&token)));
    assert_eq!(less.unwrap().text("scope"), "openid");
}
