//! The provider's promises, asked over real connections.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot read an answer has failed")]

mod browser;
mod client;
mod device;
mod faults;
mod rotation;
mod strictness;
mod tokens;
mod transport;

/// Takes a violation that the test provoked, and fails if there was none, another one or more than one.
#[track_caller]
fn expect_violation(provider: &provider::Provider, words: &str) {
    let violations = provider.take_violations();
    assert!(violations.len() == 1 && violations[0].contains(words), "wanted {words:?}, got {violations:?}");
}
