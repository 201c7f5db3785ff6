//! The main job against providers that nobody here wrote: `oidc-provider` from npm and Keycloak from Maven Central,
//! on loopback. `tests/real/install` obtains both; then `cargo test --test real -- --ignored`.
//!
//! A provider is started once and all steps run on it, each with a vault of its own (and on Keycloak a realm of its
//! own), so that every step can be read, and can fail, alone.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test: what cannot be done ends it, and it waits for real clocks and processes"
)]

mod html;
mod http;
mod keycloak;
mod login;
mod main_job;
mod mishaps;
mod oidc_provider;
mod process;
mod provena;
mod provider;
mod tokenkeep;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use keycloak::{Keycloak, Rotation};
use oidc_provider::OidcProvider;
use provider::Provider;

/// A step and its name.
type Step<'a> = (&'a str, fn(&dyn Provider));

/// What every provider must be able to show.
const STEPS: &[Step<'static>] = &[
    ("cached token", main_job::cached_token_is_given_without_an_exchange),
    ("expired token", main_job::expired_token_is_replaced_by_one_exchange),
    ("twenty askers", main_job::twenty_askers_of_an_expired_token_cause_one_exchange),
    ("checks", main_job::checks_tell_a_good_token_from_a_bad_one),
    ("online check", main_job::online_check_of_a_public_clients_entry_asks_the_provider),
    ("revocation", main_job::revoked_login_asks_for_another),
    ("refused login", mishaps::refused_login_leaves_nothing),
    ("disabled person", mishaps::disabled_person_loses_nothing),
    ("wrong secret", mishaps::wrong_client_secret_loses_nothing),
];

/// What depends on the treatment of refresh tokens, or shows that it does not matter.
const ROTATION_STEPS: &[Step<'static>] = &[
    ("expired token", main_job::expired_token_is_replaced_by_one_exchange),
    ("twenty askers", main_job::twenty_askers_of_an_expired_token_cause_one_exchange),
    ("disabled person", mishaps::disabled_person_loses_nothing),
    ("revocation", main_job::revoked_login_asks_for_another),
];

#[test]
#[ignore = "needs tests/real/install"]
fn oidc_provider_serves_the_main_job() {
    let mut report = Report::new("oidc-provider");
    let provider = OidcProvider::start();
    report.note("started");
    for (name, step) in STEPS {
        report.step(name, || step(&provider));
    }
    report.end();
}

#[test]
#[ignore = "needs tests/real/install"]
fn keycloak_serves_the_main_job() {
    let mut report = Report::new("Keycloak");
    let keycloak = Keycloak::start();
    report.note("started");
    for (name, step) in STEPS {
        report.step(name, || step(&keycloak.realm(&realm_name("off", name), Rotation::Off)));
    }
    for (name, step) in ROTATION_STEPS {
        let named = format!("{name}, refresh tokens revoked");
        report.step(&named, || step(&keycloak.realm(&realm_name("on", name), Rotation::On)));
    }
    for (name, step) in provena::STEPS {
        report.step(name, || step(&keycloak));
    }
    report.end();
}

/// The realm that a step has to itself.
fn realm_name(rotation: &str, step: &str) -> String {
    format!("rotation-{rotation}-{}", step.replace(' ', "-"))
}

/// Runs steps, times them, and remembers which failed.
struct Report {
    provider: &'static str,
    since: Instant,
    failed: Vec<String>,
}

impl Report {
    fn new(provider: &'static str) -> Self {
        Self { provider, since: Instant::now(), failed: Vec::new() }
    }

    fn step(&mut self, name: &str, run: impl FnOnce()) {
        if catch_unwind(AssertUnwindSafe(run)).is_err() {
            self.failed.push(name.to_owned());
            self.note(&format!("{name}: FAILED"));
        } else {
            self.note(name);
        }
    }

    fn note(&mut self, what: &str) {
        eprintln!("{}: {what} ({:.1} s)", self.provider, self.since.elapsed().as_secs_f32());
        self.since = Instant::now();
    }

    fn end(self) {
        assert!(self.failed.is_empty(), "{}: these steps failed: {}", self.provider, self.failed.join("; "));
    }
}
