//! A provider's answers, whatever they are: what must hold of them. Compiled for fuzzing and for tests alone.

use serde_json::Value;

use super::answer::TokenAnswer;
use super::device::DeviceLogin;
use super::discovery::{Endpoint, Metadata};
use super::introspection;
use super::refusal::{OAuthError, Refusal, RefusalKind, Verdict};
use crate::profile::SecureUrl;
use crate::token::text;

/// What we sent, and an answer must not repeat.
const SENT: &str = "canary-token-4711";

/// Reads the bytes as the answer of each endpoint.
pub(crate) fn answer(bytes: &[u8], issuer: &SecureUrl) {
    token(bytes);
    error(bytes);
    let Ok(document) = serde_json::from_slice::<Value>(bytes) else { return };
    let words = match Metadata::parse(&document, issuer, "https://a.example/x") {
        Ok(metadata) => metadata.need(Endpoint::Token).map_or_else(|fault| fault.to_string(), ToString::to_string),
        Err(fault) => fault.to_string(),
    };
    assert_harmless(&words);
    match DeviceLogin::parse(document.clone(), "https://a.example/device") {
        Ok(login) => device(&login),
        Err(fault) => assert_harmless(&fault.to_string()),
    }
    assert!(introspection::parse(document.clone()).is_none() || document.get("active").is_some_and(Value::is_boolean));
}

/// A token answer brings a token that can be used, or none.
fn token(bytes: &[u8]) {
    let Some(answer) = TokenAnswer::parse(bytes) else { return };
    assert!(answer.access_token.is_some() || answer.refresh_token.is_some(), "an answer without a token");
    assert!(
        answer.access_token.as_ref().is_none_or(|token| text::is_usable(token.secret())),
        "a token that is not usable"
    );
    assert_harmless(&answer.token_type);
}

/// What a refusal says can be shown, and does not repeat what was sent.
fn error(bytes: &[u8]) {
    let error = OAuthError::parse(bytes, &[SENT]);
    for status in [200, 302, 400, 401, 403, 404, 429, 500, 503] {
        let verdict = Verdict::of(status, error.code.as_deref());
        assert!(status != 503 || verdict == Verdict::Unavailable, "what is away for now has spent a token");
    }
    let refusal = Refusal::new(RefusalKind::Other, 400, error).to_string();
    assert_harmless(&refusal);
    assert!(!refusal.contains(SENT), "a refusal repeats a token");
}

/// Nobody is sent anywhere but to https, or to this machine.
fn device(login: &DeviceLogin) {
    assert_harmless(&login.user_code);
    for uri in login.verification_uri_complete.iter().chain([&login.verification_uri]) {
        assert!(uri.starts_with("https://") || uri.starts_with("http://"), "{uri}");
        assert!(uri.is_ascii(), "{uri}");
        assert_harmless(uri);
    }
}

/// Claims that a text cannot write on a terminal.
fn assert_harmless(words: &str) {
    assert!(!words.chars().any(char::is_control), "a control character is shown: {words:?}");
    assert!(!words.contains(['\u{202e}', '\u{2066}', '\u{feff}']), "text can be reordered: {words:?}");
}
