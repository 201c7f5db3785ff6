//! A provider that says no: what is kept, what is asked again and when, and what a person is told.

use provider::{Endpoint, Fault, json};

use crate::clock::run_at;
use crate::harness::{World, short_lived};
use crate::outside::{Forger, digest};

/// A machine with a login that the provider has forgotten.
fn forgotten() -> World {
    let world = World::with(short_lived(300));
    let token = world.store_login("prod");
    world.provider.revoke_family_of(&token);
    world
}

/// A machine with the login of a confidential client, and this secret for it.
fn confidential(secret: &str) -> World {
    let world = World::with(short_lived(300));
    world.add_profile("conf", &["--client-id", "confidential", "--client-secret", "entry:conf-secret"]);
    store_secret(&world, secret);
    let token = world.provider.grant("confidential", &["openid", "offline_access"]);
    world.feed(["store", "conf", "--kind", "refresh-token", "--stdin"], &token).ok();
    world
}

fn store_secret(world: &World, secret: &str) {
    world.feed(["store", "conf-secret", "--kind", "client-secret", "--stdin"], secret).ok();
}

fn refusal(status: u16, error: &str) -> Fault {
    Fault::OauthError { status, error: error.to_owned(), description: "injected".to_owned() }
}

#[test]
fn a_refused_token_needs_a_login_and_is_kept() {
    let world = forgotten();
    let before = world.generation("prod");
    world.run(["get", "prod"]).fails(4).says("tokenkeep generate prod").says("invalid_grant").says("it is kept");
    assert_eq!(world.generation("prod"), before);
}

#[test]
fn a_refusal_is_remembered() {
    let world = forgotten();
    world.run(["get", "prod"]).fails(4);
    world.run(["get", "prod"]).fails(4).says("invalid_grant").says("tokenkeep generate prod");
    assert_eq!(world.provider.count(Endpoint::Token), 1);
}

#[test]
fn force_asks_again_after_a_refusal() {
    let world = forgotten();
    world.run(["get", "prod"]).fails(4);
    world.run(["refresh", "prod", "--force"]).fails(4);
    assert_eq!(world.provider.count(Endpoint::Token), 2);
}

#[test]
fn a_refusal_is_tried_again_by_itself_after_a_quarter_of_an_hour() {
    let world = World::logged_in(short_lived(300));
    world.provider.disable_user();
    world.run(["get", "prod"]).fails(4);
    world.provider.enable_user();
    run_at(&world, "+14m", &["get", "prod"]).fails(4);
    run_at(&world, "+16m", &["get", "prod"]).ok();
}

#[test]
fn a_refusal_that_was_none_costs_a_quarter_of_an_hour_and_no_login() {
    for fault in [Fault::oauth("invalid_grant"), Fault::oauth("invalid_request"), Fault::status(400)] {
        let world = World::logged_in(short_lived(300));
        let token = world.provider.newest_refresh_token().unwrap();
        world.provider.misbehave(Endpoint::Token, fault);
        for _ in 0..3 {
            world.run(["get", "prod"]).fails(4);
        }
        assert_eq!(world.provider.presentations(&token), 1);
        run_at(&world, "+16m", &["get", "prod"]).ok();
        assert_eq!(world.provider.presentations(&token), 2);
        assert!(world.provider.family_alive());
    }
}

#[test]
fn the_second_refusal_in_a_row_holds_for_an_hour() {
    let world = forgotten();
    world.run(["get", "prod"]).fails(4);
    run_at(&world, "+16m", &["get", "prod"]).fails(4);
    run_at(&world, "+59m", &["get", "prod"]).fails(4);
    assert_eq!(world.provider.count(Endpoint::Token), 2);
    run_at(&world, "+61m", &["get", "prod"]).fails(4);
    assert_eq!(world.provider.count(Endpoint::Token), 3);
}

#[test]
fn a_user_who_was_disabled_and_enabled_again_has_lost_nothing() {
    let world = World::logged_in(short_lived(300));
    world.token("prod");
    world.provider.disable_user();
    world.run(["get", "prod", "--no-cache"]).fails(4);
    world.provider.enable_user();
    world.run(["refresh", "prod", "--force"]).ok();
    assert!(world.provider.is_access_live(&world.token("prod")));
}

#[test]
fn another_client_secret_ends_a_refusal() {
    let world = confidential("s3cret-client");
    world.provider.disable_user();
    world.run(["get", "conf"]).fails(4);
    world.provider.enable_user();
    world.provider.set_client_secret("confidential", "another");
    store_secret(&world, "another");
    world.run(["get", "conf"]).ok();
}

#[test]
fn what_is_noted_of_a_refusal_helps_nobody_to_guess_the_client_secret() {
    let world = confidential("s3cret-client");
    world.provider.disable_user();
    world.run(["get", "conf"]).fails(4);
    let client = format!("{}\0confidential\0Basic\0", world.provider.issuer());
    let note = std::fs::read_to_string(world.entry("conf").join("lock")).unwrap();
    let guess = digest(format!("{client}{}", digest(b"s3cret-client")).as_bytes());
    assert!(!note.contains(&guess), "{note}");
    let code = Forger::of(&world).mac("refusal", format!("{client}s3cret-client").as_bytes());
    assert!(note.contains(&code), "{note}");
}

#[test]
fn another_way_to_authenticate_ends_a_refusal() {
    let world = confidential("s3cret-client");
    world.provider.disable_user();
    world.run(["get", "conf"]).fails(4);
    world.provider.enable_user();
    world.run(["get", "conf"]).fails(4);
    world.edit_config(|text| text.replacen("[profiles.conf]\n", "[profiles.conf]\nclient_auth = \"post\"\n", 1));
    world.run(["get", "conf"]).ok();
}

#[test]
fn a_login_ends_a_refusal() {
    let world = forgotten();
    world.run(["get", "prod"]).fails(4);
    world.store_login("prod");
    world.run(["get", "prod"]).ok();
}

#[test]
fn a_400_without_a_reason_is_a_refusal_of_a_plain_refresh() {
    for fault in [Fault::oauth("invalid_request"), Fault::status(400)] {
        let world = World::logged_in(short_lived(300));
        world.provider.misbehave(Endpoint::Token, fault);
        world.run(["get", "prod"]).fails(4).says("tokenkeep generate prod");
        world.run(["get", "prod"]).fails(4);
        assert_eq!(world.provider.count(Endpoint::Token), 1);
    }
}

#[test]
fn a_400_without_a_reason_blames_the_wish_if_there_was_one() {
    for wish in [["--scope", "openid"], ["--audience", "https://api.example"]] {
        for fault in [Fault::oauth("invalid_request"), Fault::status(400)] {
            let world = World::logged_in(short_lived(300));
            world.provider.misbehave(Endpoint::Token, fault);
            world.run(["get", "prod", wish[0], wish[1]]).fails(9);
            world.run(["get", "prod"]).ok();
        }
    }
}

#[test]
fn a_client_that_is_disabled_leaves_the_token_untouched() {
    let world = World::logged_in(short_lived(300));
    world.provider.disable_client("automated-access");
    world.run(["get", "prod"]).fails(9).says("untouched");
    world.provider.enable_client("automated-access");
    world.run(["get", "prod"]).ok();
}

#[test]
fn refusals_of_the_client_are_exit_9_and_not_remembered() {
    for error in ["invalid_client", "unauthorized_client", "unsupported_grant_type"] {
        for status in [400, 401] {
            let world = World::logged_in(short_lived(300));
            world.provider.misbehave(Endpoint::Token, refusal(status, error));
            world.run(["get", "prod"]).fails(9).says(error);
            world.run(["get", "prod"]).ok();
        }
    }
}

#[test]
fn a_wrong_client_secret_is_mended_by_the_right_one() {
    let world = confidential("wrong");
    world.run(["get", "conf"]).fails(9).says("invalid_client").hides("wrong-secret");
    store_secret(&world, "s3cret-client");
    world.run(["get", "conf"]).ok();
}

#[test]
fn a_client_secret_that_is_missing_is_named() {
    let world = confidential("s3cret-client");
    world.run(["delete", "conf-secret", "--yes"]).ok();
    let ran = world.run(["get", "conf"]);
    ran.fails(9).says("tokenkeep store conf-secret --kind client-secret");
    assert_eq!(world.provider.count(Endpoint::Token), 0);
}

#[test]
fn a_scope_that_was_not_granted_is_exit_9() {
    let world = World::logged_in(short_lived(300));
    world.run(["get", "prod", "--scope", "admin"]).fails(9).says("invalid_scope");
    world.run(["get", "prod"]).ok();
}

#[test]
fn keycloaks_disabled_realm_passes() {
    let world = World::logged_in(short_lived(300));
    world.provider.misbehave(Endpoint::Token, refusal(403, "access_denied"));
    world.run(["get", "prod"]).fails(6);
    world.run(["get", "prod"]).ok();
}

#[test]
fn only_the_code_decides_and_never_the_text() {
    let world = World::logged_in(short_lived(300));
    let description = "invalid_grant: Token is not active".to_owned();
    let fault = Fault::OauthError { status: 401, error: "invalid_client".to_owned(), description };
    world.provider.misbehave(Endpoint::Token, fault);
    world.run(["get", "prod"]).fails(9);
    world.run(["get", "prod"]).ok();
}

#[test]
fn a_refused_client_does_not_make_a_refusal_forgotten() {
    let world = forgotten();
    world.run(["get", "prod"]).fails(4);
    world.provider.disable_client("automated-access");
    world.run(["refresh", "prod", "--force"]).fails(9);
    world.run(["get", "prod"]).fails(4);
    assert_eq!(world.provider.count(Endpoint::Token), 2);
}

#[test]
fn a_refusal_is_told_in_json() {
    let world = forgotten();
    let ran = world.run(["get", "prod", "--json"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (4, ""));
    let error: provider::Value = serde_json::from_str(&ran.stderr).unwrap();
    assert_eq!((&error["error"]["kind"], &error["error"]["exit_code"]), (&json!("login"), &json!(4)));
    assert!(error["error"]["hint"].as_str().unwrap().contains("tokenkeep generate prod"));
}

/// Claims that after a change of the profile nothing is sent, and a person is told why.
fn stays_at_home(change: impl FnOnce(String) -> String, what: &str) {
    let world = World::logged_in(short_lived(300));
    world.token("prod");
    let before = world.provider.requests().len();
    world.edit_config(change);
    world.run(["get", "prod", "--no-cache"]).fails(4).says(what).says("tokenkeep generate prod");
    assert_eq!(world.provider.requests().len(), before);
}

#[test]
fn a_token_is_not_sent_to_another_issuer() {
    let elsewhere = provider::Provider::start(provider::Settings::default());
    let issuer = elsewhere.issuer();
    stays_at_home(|text| replace_value(&text, "issuer", &issuer), "issuer");
    assert!(elsewhere.requests().is_empty());
}

#[test]
fn a_token_is_not_sent_as_another_client() {
    stays_at_home(|text| replace_value(&text, "client_id", "confidential"), "client_id");
}

#[test]
fn a_token_is_not_sent_to_another_token_endpoint() {
    let elsewhere = provider::Provider::start(provider::Settings::default());
    let line = format!("token_endpoint = \"{}\"\n", elsewhere.token_endpoint());
    stays_at_home(|text| text.replacen("[profiles.prod]\n", &format!("[profiles.prod]\n{line}"), 1), "token_endpoint");
    assert!(elsewhere.requests().is_empty());
}

/// Gives a key of the configuration file another value.
fn replace_value(text: &str, key: &str, value: &str) -> String {
    let line = |line: &str| {
        let is_it = line.split('=').next().is_some_and(|name| name.trim() == key);
        if is_it { format!("{key} = \"{value}\"\n") } else { format!("{line}\n") }
    };
    text.lines().map(line).collect()
}
