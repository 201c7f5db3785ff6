//! `revoke` and `delete`: what ends where, and that nothing is lost when the provider does not answer.

use provider::{Advertise, Approval, Endpoint, Fault, Settings};

use crate::harness::{World, short_lived};

#[test]
fn a_revoked_token_is_worth_nothing_and_forgotten() {
    let world = World::logged_in(short_lived(300));
    world.token("prod");
    let token = world.provider.newest_refresh_token().unwrap();
    world.run(["revoke", "prod"]).ok().says("revoked");
    assert!(!world.provider.is_refresh_live(&token));
    assert_eq!(world.generation("prod"), 0);
    world.run(["get", "prod"]).fails(4).says("tokenkeep generate prod");
    world.run(["revoke", "prod"]).fails(4);
}

#[test]
fn nothing_is_forgotten_unless_the_provider_revoked() {
    let world = World::logged_in(short_lived(300));
    world.provider.misbehave(Endpoint::Revocation, Fault::status(503));
    world.run(["revoke", "prod"]).fails(6).says("--local-only");
    world.provider.misbehave(Endpoint::Revocation, Fault::oauth("invalid_client"));
    world.run(["revoke", "prod"]).fails(9).says("--local-only");
    world.provider.go_offline();
    world.run(["revoke", "prod"]).fails(6).says("nothing was deleted");
    world.provider.go_online();
    assert!(world.provider.is_access_live(&world.token("prod")));
}

#[test]
fn a_provider_that_cannot_revoke_is_a_matter_of_configuration() {
    let advertise = Advertise { hidden: vec![Endpoint::Revocation], ..Advertise::default() };
    let world = World::logged_in(Settings { advertise, ..Settings::default() });
    world.run(["revoke", "prod"]).fails(9).says("revocation_endpoint");
    assert_eq!(world.generation("prod"), 1);
    world.run(["revoke", "prod", "--local-only"]).ok().says("stays good there");
    assert_eq!((world.generation("prod"), world.provider.count(Endpoint::Revocation)), (0, 0));
}

#[test]
fn a_refusal_does_not_outlive_its_token() {
    let world = World::new();
    world.feed(["store", "prod", "--stdin"], "never-issued").ok();
    world.run(["get", "prod"]).fails(4);
    world.run(["delete", "prod", "--yes"]).ok();
    world.store_login("prod");
    assert!(world.provider.is_access_live(&world.token("prod")));
}

#[test]
fn deleting_needs_no_open_vault() {
    let world = World::new();
    world.feed(["store", "one", "--stdin"], "x").ok();
    std::fs::remove_file(world.identity_file()).unwrap();
    world.run(["delete", "on"]).fails(8).says("did you mean `one`");
    assert_eq!(world.run(["delete", "one", "--json"]).ok().json()["deleted"], true);
    assert_eq!(world.generation("one"), 0);
    world.run(["delete", "one"]).fails(8);
}

#[test]
fn deleting_a_login_says_that_it_lives_on() {
    let world = World::logged_in(Settings::default());
    world.run(["delete", "prod"]).ok().says("stays good at the provider, where `tokenkeep revoke` would have ended it");
    assert!(world.provider.family_alive());
}

#[test]
fn a_secret_is_deleted_and_not_revoked() {
    let world = World::new();
    world.feed(["store", "one", "--stdin"], "x").ok();
    world.run(["revoke", "one"]).fails(2).says("tokenkeep delete one");
}

/// A machine with a first login whose answer waits to be published.
fn unpublished() -> World {
    let world = World::with(Settings { approval: Approval::AfterPolls(0), ..short_lived(300) });
    world.run(["generate", "prod"]).ok();
    std::fs::rename(world.entry("prod").join("1.age"), world.entry("prod").join("next")).unwrap();
    world
}

#[test]
fn a_login_that_was_never_published_can_be_deleted() {
    let world = unpublished();
    world.run(["delete", "prod", "--yes"]).ok();
    assert!(!world.entry("prod").join("next").exists());
    world.run(["get", "prod"]).fails(4);
}

#[test]
fn a_login_that_was_never_published_can_be_revoked() {
    let world = unpublished();
    let token = world.provider.newest_refresh_token().unwrap();
    world.run(["revoke", "prod"]).ok().says("revoked");
    assert!(!world.provider.is_refresh_live(&token));
    assert!(!world.entry("prod").join("next").exists());
}

#[test]
fn a_token_is_not_revoked_at_another_issuer() {
    let world = World::logged_in(Settings::default());
    let elsewhere = provider::Provider::start(Settings::default());
    world.edit_config(|text| text.replace(&world.provider.issuer(), &elsewhere.issuer()));
    world.run(["revoke", "prod"]).fails(4).says("issuer");
    assert!(elsewhere.requests().is_empty());
}
