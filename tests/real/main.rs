//! The main job against providers that nobody here wrote: `oidc-provider` from npm and Keycloak from Maven Central,
//! on loopback; and admin tokens against JWT libraries that nobody here wrote. `tests/real/install` obtains all of them;
//! then `cargo test --test real -- --ignored`.
//!
//! Every step has a vault and a provider of its own (on Keycloak, which takes long to start, a realm of its own), so
//! that it can be read, and can fail, alone, and that steps wait for their expiries side by side.

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
mod jwt_libraries;
mod keycloak;
mod login;
mod main_job;
mod mishaps;
mod oidc_provider;
mod process;
mod provena;
mod provider;
mod report;
mod tokenkeep;

use jwt_libraries::Library;
use keycloak::{Keycloak, Rotation};
use oidc_provider::OidcProvider;
use provider::Provider;
use report::{Step, run};

/// What to show on any provider, and its name.
type Showing = (&'static str, fn(&dyn Provider));

/// What every provider must be able to show.
const MAIN_JOB: &[Showing] = &[
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

#[test]
#[ignore = "needs tests/real/install"]
fn oidc_provider_serves_the_main_job() {
    let opaque: Showing = ("opaque tokens", main_job::opaque_token_is_kept_like_any_other);
    let shown = MAIN_JOB.iter().chain([&opaque]);
    run("oidc-provider", shown.map(|(name, show)| Step::new(name, || show(&OidcProvider::start()))).collect());
}

#[test]
#[ignore = "needs tests/real/install"]
fn keycloak_serves_the_main_job() {
    let keycloak = Keycloak::start();
    let mut steps = Vec::new();
    for rotation in [Rotation::Off, Rotation::On] {
        steps.extend(MAIN_JOB.iter().map(|(name, show)| {
            let name = format!("{name}, {}", rotation.name());
            let realm = name.replace([',', ' '], "-");
            let keycloak = &keycloak;
            Step::new(&name, move || show(&keycloak.realm(&realm, rotation)))
        }));
    }
    steps.extend(provena::STEPS.iter().map(|(name, show)| Step::new(name, || show(&keycloak))));
    run("Keycloak", steps);
}

#[test]
#[ignore = "needs tests/real/install"]
fn jwt_libraries_check_admin_tokens_as_we_do() {
    let mut steps = Vec::new();
    for library in [Library::PyJwt, Library::Jose] {
        let step = |name, show: fn(Library)| Step::new(&format!("{name}, {library:?}"), move || show(library));
        steps.push(step("ours at theirs", jwt_libraries::ours_is_good_for_them));
        steps.push(step("the end of ours", jwt_libraries::ours_is_over_for_them_too));
        steps.push(step("theirs at ours", jwt_libraries::theirs_is_good_for_us_without_tricks));
    }
    run("JWT libraries", steps);
}
