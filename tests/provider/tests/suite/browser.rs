//! The browser flow with PKCE.

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use provider::{Approval, Endpoint, Provider, Settings};

use crate::client::{Answer, PUBLIC, get, post};
use crate::expect_violation;

const VERIFIER: &str = "a-verifier-of-at-least-forty-three-characters";
const BACK: &str = "http%3A%2F%2F127.0.0.1%3A5555%2Fcallback";

fn authorize(provider: &Provider, challenge: &str) -> Answer {
    let query = format!(
        "response_type=code&client_id={PUBLIC}&redirect_uri={BACK}&state=0123456789abcdef\
         &scope=openid+offline_access&code_challenge={challenge}&code_challenge_method=S256"
    );
    get(provider, &format!("/authorize?{query}"), &[])
}

fn challenge() -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, VERIFIER.as_bytes()))
}

fn redeem(provider: &Provider, code: &str, verifier: &str) -> Answer {
    let form = format!(
        "grant_type=authorization_code&client_id={PUBLIC}&code={code}&redirect_uri={BACK}&code_verifier={verifier}"
    );
    post(provider, Endpoint::Token, &form)
}

fn code_of(answer: &Answer) -> String {
    assert_eq!(answer.status, 302);
    let code = answer.head.split("code=").nth(1).unwrap();
    code.split(['&', '\r']).next().unwrap().to_owned()
}

#[test]
fn a_code_is_good_once() {
    let provider = Provider::start(Settings::default());
    let answer = authorize(&provider, &challenge());
    assert!(answer.head.contains("state=0123456789abcdef&iss=http%3A%2F%2F127.0.0.1"), "{}", answer.head);
    let code = code_of(&answer);
    assert!(redeem(&provider, &code, VERIFIER).json()["refresh_token"].is_string());
    assert_eq!(redeem(&provider, &code, VERIFIER).error(), (400, "invalid_grant".to_owned()));
    expect_violation(&provider, "used twice");
}

#[test]
fn the_verifier_must_match() {
    let provider = Provider::start(Settings::default());
    let code = code_of(&authorize(&provider, &challenge()));
    let other = "another-verifier-of-at-least-forty-three-characters";
    assert_eq!(redeem(&provider, &code, other).error(), (400, "invalid_grant".to_owned()));
    expect_violation(&provider, "PKCE");
}

#[test]
fn a_person_may_refuse() {
    let provider = Provider::start(Settings { approval: Approval::Deny, ..Settings::default() });
    assert!(authorize(&provider, &challenge()).head.contains("error=access_denied"));
}

#[test]
fn a_request_without_pkce_is_a_violation() {
    let provider = Provider::start(Settings::default());
    assert_eq!(authorize(&provider, "short").status, 400);
    expect_violation(&provider, "PKCE");
}
