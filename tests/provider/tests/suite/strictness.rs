//! What no client may send: each is the standard's error and a violation.

use std::panic::{AssertUnwindSafe, catch_unwind};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use provider::{Client, Endpoint, Method, Provider, Settings};

use crate::client::{PUBLIC, exchange, get, post, refresh, send, try_post};
use crate::expect_violation;

const CREDENTIALS: &str = "grant_type=client_credentials";

fn basic(id: &str, secret: &str) -> String {
    format!("Authorization: Basic {}", STANDARD.encode(format!("{id}:{secret}")))
}

#[track_caller]
fn refused(endpoint: Endpoint, form: &str, error: &str, violation: &str) {
    let provider = Provider::start(Settings::default());
    let answer = post(&provider, endpoint, form);
    assert_eq!(answer.text("error"), error, "{}", answer.body);
    expect_violation(&provider, violation);
}

#[track_caller]
fn authenticate(headers: &[&str], form: &str) -> (u16, Vec<String>) {
    let provider = Provider::start(Settings::default());
    let answer = try_post(&provider, Endpoint::Token, headers, form).unwrap();
    (answer.status, provider.take_violations())
}

#[test]
fn parameters_must_be_there_once_and_not_empty() {
    let token = Endpoint::Token;
    refused(token, "client_id=automated-access", "invalid_request", "no grant_type");
    refused(token, "grant_type=refresh_token&refresh_token=x", "invalid_request", "no client_id");
    refused(token, "grant_type=refresh_token&client_id=automated-access", "invalid_request", "no refresh_token");
    refused(token, "grant_type=a&grant_type=a&client_id=automated-access", "invalid_request", "grant_type comes twice");
    refused(Endpoint::Device, "client_id=automated-access&scope=", "invalid_request", "scope is empty");
    refused(Endpoint::Device, "client_id=automated-access&scope=a++b", "invalid_scope", "malformed");
    refused(Endpoint::Device, "client_id=automated-access&audience=", "invalid_target", "empty");
    refused(Endpoint::Revocation, "client_id=automated-access", "invalid_request", "no token");
}

#[test]
fn a_token_request_is_a_posted_form() {
    let provider = Provider::start(Settings::default());
    assert_eq!(get(&provider, "/token", &[]).status, 405);
    expect_violation(&provider, "method GET");
    let form = "Content-Type: application/x-www-form-urlencoded";
    assert_eq!(send(&provider, "POST /token", &["Content-Type: application/json"], "{}").unwrap().status, 400);
    expect_violation(&provider, "content type");
    assert_eq!(send(&provider, "POST /token?client_id=x", &[form], CREDENTIALS).unwrap().status, 400);
    expect_violation(&provider, "parameters in the address");
    assert_eq!(send(&provider, "POST /elsewhere", &[form], CREDENTIALS).unwrap().status, 404);
    expect_violation(&provider, "no endpoint");
    exchange(&provider, "HELLO\r\n\r\n").unwrap();
    expect_violation(&provider, "not HTTP/1.1");
}

#[test]
fn both_ways_of_a_confidential_client_work() {
    let header = basic("confidential", "s3cret-client");
    assert_eq!(authenticate(&[&header], CREDENTIALS), (200, vec![]));
    let body = format!("{CREDENTIALS}&client_id=confidential&client_secret=s3cret-client");
    assert_eq!(authenticate(&[], &body), (200, vec![]));
}

#[test]
fn a_wrong_secret_or_an_unknown_client_is_configuration() {
    assert_eq!(authenticate(&[&basic("confidential", "wrong")], CREDENTIALS), (401, vec![]));
    assert_eq!(authenticate(&[&basic("nobody", "wrong")], CREDENTIALS), (401, vec![]));
    assert_eq!(authenticate(&[], &format!("{CREDENTIALS}&client_id=confidential")), (401, vec![]));
}

#[test]
fn two_authentications_or_a_needless_one_are_violations() {
    let header = basic("confidential", "s3cret-client");
    let both = format!("{CREDENTIALS}&client_id=confidential&client_secret=s3cret-client");
    for (headers, form) in [
        (vec![header.as_str()], both.as_str()),
        (vec![&header, &header], CREDENTIALS),
        (vec![&header], "grant_type=client_credentials&client_id=automated-access"),
        (vec![&basic(PUBLIC, "x")], "grant_type=refresh_token&refresh_token=x"),
        (vec![], "grant_type=refresh_token&refresh_token=x&client_id=automated-access&client_secret=x"),
        (vec!["Authorization: Bearer abc"], CREDENTIALS),
        (vec!["Authorization: Basic !!!"], CREDENTIALS),
        (vec![&basic("confidential", "a b")], CREDENTIALS),
        (vec![&basic("confidential", "50%")], CREDENTIALS),
    ] {
        let (status, violations) = authenticate(&headers, form);
        assert_eq!((status, violations.len()), (401, 1), "{headers:?} {form} {violations:?}");
    }
}

#[test]
fn basic_is_form_encoded_before_base64() {
    let secret = "p%ss:w/rd+ é";
    let clients = vec![Client { methods: vec![Method::Basic], ..Client::confidential("a:b", secret) }];
    let provider = Provider::start(Settings { clients, ..Settings::default() });
    let header = basic("a%3Ab", "p%25ss%3Aw%2Frd%2B+%C3%A9");
    assert_eq!(try_post(&provider, Endpoint::Token, &[&header], CREDENTIALS).unwrap().status, 200);
    let post = format!("{CREDENTIALS}&client_id=a:b&client_secret=p%25ss%3Aw%2Frd%2B+%C3%A9");
    assert_eq!(try_post(&provider, Endpoint::Token, &[], &post).unwrap().status, 401, "only Basic is allowed");
}

#[test]
fn a_client_can_be_disabled_and_its_secret_changed() {
    let provider = Provider::start(Settings::default());
    let ask = |secret| try_post(&provider, Endpoint::Token, &[&basic("confidential", secret)], CREDENTIALS).unwrap();
    provider.set_client_secret("confidential", "new");
    assert_eq!((ask("s3cret-client").status, ask("new").status), (401, 200));
    provider.disable_client("confidential");
    assert_eq!(ask("new").error(), (401, "invalid_client".to_owned()));
    provider.enable_client("confidential");
    assert_eq!(ask("new").status, 200);
}

#[test]
fn credentials_do_not_go_to_public_documents() {
    let provider = Provider::start(Settings::default());
    assert_eq!(get(&provider, "/jwks", &[&basic("a", "b")]).status, 400);
    expect_violation(&provider, "public document");
}

#[test]
fn a_provider_dropped_with_violations_fails_the_test() {
    let provider = Provider::start(Settings::default());
    post(&provider, Endpoint::Token, "");
    let panic = catch_unwind(AssertUnwindSafe(|| drop(provider))).unwrap_err();
    assert!(panic.downcast_ref::<String>().unwrap().contains("token: invalid_request: no grant_type"));
}

#[test]
fn garbage_as_a_refresh_token_is_a_refusal_without_blame() {
    let provider = Provider::start(Settings::default());
    assert_eq!(refresh(&provider, "garbage").error(), (400, "invalid_grant".to_owned()));
}
