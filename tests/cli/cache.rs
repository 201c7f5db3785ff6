//! The fast path: which cached token is good enough, and which of them an exchange leaves in place.

use std::process::{Command, Stdio};

use provider::{Endpoint, Fault, Format, Settings, json};

use crate::clock::run_at;
use crate::harness::{World, feed, short_lived};

/// Prints what `get` prints, in one line.
fn get(world: &World, flags: &[&str]) -> String {
    let args = [&["get", "prod"], flags].concat();
    world.run(args).ok().stdout.trim_end().to_owned()
}

#[test]
fn by_default_a_token_is_replaced_when_less_than_a_minute_is_left() {
    let world = World::logged_in(short_lived(300));
    let first = world.token("prod");
    assert_eq!(run_at(&world, "+230", &["get", "prod"]).ok().stdout.trim_end(), first);
    assert_ne!(run_at(&world, "+250", &["get", "prod"]).ok().stdout.trim_end(), first);
    assert_eq!(world.provider.exchanges(), 2);
}

#[test]
fn by_default_a_short_token_is_replaced_at_half_its_life() {
    let world = World::logged_in(short_lived(40));
    let first = world.token("prod");
    assert_eq!(run_at(&world, "+10", &["get", "prod"]).ok().stdout.trim_end(), first);
    assert_ne!(run_at(&world, "+30", &["get", "prod"]).ok().stdout.trim_end(), first);
}

#[test]
fn the_minimum_in_the_file_is_capped() {
    let world = World::logged_in(short_lived(300));
    world.edit_config(|text| format!("[defaults]\nmin_ttl = \"1h\"\n{text}"));
    let first = world.token("prod");
    assert_eq!(world.token("prod"), first);
}

#[test]
fn an_explicit_minimum_that_the_token_has_costs_nothing() {
    let world = World::logged_in(short_lived(300));
    let first = world.token("prod");
    assert_eq!(get(&world, &["--min-ttl", "200s"]), first);
}

#[test]
fn an_explicit_minimum_that_the_token_has_not_brings_a_new_one() {
    let world = World::logged_in(short_lived(300));
    let first = world.token("prod");
    assert_ne!(run_at(&world, "+100", &["get", "prod", "--min-ttl", "250s"]).ok().stdout.trim_end(), first);
}

#[test]
fn the_variable_is_explicit_too() {
    let world = World::logged_in(short_lived(300));
    let first = world.token("prod");
    let ran = world.command(["get", "prod"]).env("TOKENKEEP_MIN_TTL", "400s").output().unwrap();
    assert_ne!(String::from_utf8(ran.stdout).unwrap().trim_end(), first);
    assert_eq!(world.provider.exchanges(), 2);
}

#[test]
fn the_flag_goes_before_the_variable() {
    let world = World::logged_in(short_lived(300));
    world.token("prod");
    let args = ["get", "prod", "--min-ttl", "10s"];
    assert!(world.command(args).env("TOKENKEEP_MIN_TTL", "400s").status().unwrap().success());
    assert_eq!(world.provider.exchanges(), 1);
}

#[test]
fn a_new_token_is_handed_out_below_the_minimum_with_a_notice() {
    let world = World::logged_in(short_lived(300));
    let ran = world.run(["get", "prod", "--min-ttl", "1h"]).ok().says("the token is new").says("not 1h");
    assert!(world.provider.is_access_live(ran.stdout.trim_end()));
}

#[test]
fn tokens_of_other_scopes_are_kept_apart() {
    let world = World::logged_in(short_lived(300));
    let (plain, narrow) = (get(&world, &[]), get(&world, &["--scope", "openid"]));
    assert_ne!(plain, narrow);
    assert_eq!((get(&world, &[]), get(&world, &["--scope", "openid"])), (plain, narrow));
    assert_eq!(world.provider.exchanges(), 2);
}

#[test]
fn a_new_token_without_a_scope_that_was_asked_for_comes_with_a_notice() {
    let world = World::logged_in(short_lived(300));
    world.provider.misbehave(Endpoint::Token, Fault::set("scope", json!("profile")));
    world.run(["get", "prod", "--scope", "openid"]).ok().says("without the scope openid");
    // a job that takes it from the cache all day is not told again
    assert_eq!(world.run(["get", "prod", "--scope", "openid"]).ok().stderr, "");
    world.provider.misbehave(Endpoint::Token, Fault::set("scope", json!("profile")));
    assert_eq!(world.run(["get", "prod"]).ok().stderr, "");
}

#[test]
fn the_order_of_scopes_does_not_matter() {
    let world = World::logged_in(short_lived(300));
    let one = get(&world, &["--scope", "openid", "--scope", "offline_access"]);
    assert_eq!(get(&world, &["--scope", "offline_access", "--scope", "openid"]), one);
}

#[test]
fn tokens_of_other_audiences_are_kept_apart() {
    let world = World::logged_in(short_lived(300));
    let (plain, other) = (get(&world, &[]), get(&world, &["--audience", "https://api.example"]));
    assert_ne!(plain, other);
    assert_eq!(get(&world, &["--audience", "https://api.example"]), other);
    assert_eq!(world.provider.last_request(Endpoint::Token).param("audience"), Some("https://api.example"));
}

#[test]
fn the_audience_of_the_profile_is_asked_for() {
    let world = World::with(short_lived(300));
    world.add_profile("api", &["--audience", "https://api.example", "--audience-as", "resource"]);
    world.store_login("api");
    world.token("api");
    assert_eq!(world.provider.last_request(Endpoint::Token).param("resource"), Some("https://api.example"));
}

#[test]
fn a_group_stands_for_its_scopes() {
    let world = World::with(short_lived(300));
    world.add_profile("lab", &["--group", "who=openid"]);
    world.store_login("lab");
    let group = world.run(["get", "lab", "--group", "who"]).ok().stdout;
    assert_eq!(world.run(["get", "lab", "--scope", "openid"]).ok().stdout, group);
    assert_eq!(world.provider.last_request(Endpoint::Token).param("scope"), Some("openid"));
}

#[test]
fn an_unknown_group_is_named() {
    let world = World::logged_in(short_lived(300));
    world.run(["get", "prod", "--group", "nobody"]).fails(9).says("[profiles.prod.groups]");
}

#[test]
fn a_plain_refresh_sends_no_scope() {
    let world = World::logged_in(short_lived(300));
    world.token("prod");
    assert_eq!(world.provider.last_request(Endpoint::Token).param("scope"), None);
}

#[test]
fn opaque_tokens_are_dropped_when_another_one_is_fetched() {
    let world = World::logged_in(Settings { access_format: Format::Opaque, ..short_lived(300) });
    let first = get(&world, &[]);
    get(&world, &["--scope", "openid"]);
    assert_ne!(get(&world, &[]), first);
}

#[test]
fn encrypted_tokens_are_dropped_like_opaque_ones() {
    let world = World::logged_in(Settings { access_format: Format::Jwe, ..short_lived(300) });
    let first = get(&world, &[]);
    get(&world, &["--scope", "openid"]);
    assert_ne!(get(&world, &[]), first);
}

#[test]
fn no_refresh_hands_out_what_is_cached() {
    let world = World::logged_in(short_lived(300));
    let first = world.token("prod");
    assert_eq!(get(&world, &["--no-refresh"]), first);
}

#[test]
fn no_refresh_asks_nobody_when_nothing_is_cached() {
    let world = World::logged_in(short_lived(300));
    world.run(["get", "prod", "--no-refresh"]).fails(6).says("tokenkeep refresh prod");
    assert!(world.provider.requests().is_empty());
}

#[test]
fn the_id_token_is_printed_on_demand() {
    let world = World::logged_in(short_lived(300));
    let (access, id) = (get(&world, &[]), get(&world, &["--id-token"]));
    assert_eq!(id.split('.').count(), 3);
    assert_ne!(access, id);
    assert_eq!(world.provider.exchanges(), 1);
}

#[test]
fn the_json_of_an_id_token_calls_it_so_and_has_its_own_expiry() {
    let world = World::logged_in(short_lived(300));
    let json = world.run(["get", "prod", "--id-token", "--json"]).ok().json();
    assert_eq!(json["id_token"].as_str().unwrap().split('.').count(), 3);
    assert!(json.get("access_token").is_none(), "{json}");
    assert!(json["expires_epoch"].as_i64().is_some(), "{json}");
}

#[test]
fn an_expired_id_token_is_fetched_anew_or_needs_a_login() {
    let world = World::logged_in(short_lived(2));
    let first = get(&world, &["--id-token"]);
    std::thread::sleep(std::time::Duration::from_millis(2_500));
    world.provider.misbehave(Endpoint::Token, Fault::remove("id_token"));
    let second = get(&world, &["--id-token"]);
    assert_ne!(first, second);
    std::thread::sleep(std::time::Duration::from_millis(2_500));
    world.provider.misbehave(Endpoint::Token, Fault::remove("id_token"));
    world.provider.misbehave(Endpoint::Token, Fault::remove("id_token"));
    world.run(["get", "prod", "--id-token"]).fails(4).says("tokenkeep generate prod");
}

#[test]
fn an_unusable_id_token_is_not_handed_out() {
    for token in ["two words", "a\nb", "a\u{7f}"] {
        let world = World::logged_in(short_lived(300));
        world.provider.misbehave(Endpoint::Token, Fault::set("id_token", json!(token)));
        world.run(["get", "prod", "--id-token"]).fails(1).says("not handed out").hides(token);
        let told = world.run(["get", "prod", "--id-token", "--json"]);
        assert_eq!((told.code, told.stdout.as_str()), (1, ""));
    }
}

#[test]
fn a_text_with_a_line_end_becomes_no_header() {
    let world = World::logged_in(short_lived(300));
    let text = "x\nurl = \"https://evil.example\"";
    world.feed(["store", "two-lines", "--kind", "secret", "--stdin"], text).ok();
    world.run(["get", "two-lines", "--header"]).fails(2).hides("evil").says("`tokenkeep get two-lines`");
    world.run(["get", "two-lines", "--curl"]).fails(2).hides("evil");
    assert_eq!(world.token("two-lines"), text);
}

#[test]
fn a_login_without_an_id_token_says_what_to_ask_for() {
    let world = World::with(short_lived(300));
    let token = world.provider.grant("automated-access", &["offline_access"]);
    world.feed(["store", "prod", "--kind", "refresh-token", "--stdin"], &token).ok();
    world.run(["get", "prod", "--id-token"]).fails(1).says("openid");
}

#[test]
fn a_header_is_printed_on_demand() {
    let world = World::logged_in(short_lived(300));
    let token = world.token("prod");
    assert_eq!(get(&world, &["--header"]), format!("Authorization: Bearer {token}"));
}

#[test]
fn curl_takes_what_get_prints_for_it() {
    let world = World::logged_in(short_lived(300));
    let config = world.run(["get", "prod", "--curl"]).ok().stdout;
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--fail", "-K", "-", &world.provider.endpoint(Endpoint::Userinfo)]);
    curl.stdout(Stdio::piped()).stderr(Stdio::piped());
    let answer = feed(curl, &config).ok();
    assert_eq!(answer.json()["sub"], "ada");
}

#[test]
fn json_says_what_the_token_is() {
    let world = World::logged_in(short_lived(300));
    let token = world.token("prod");
    let json = world.run(["get", "prod", "--json"]).ok().json();
    assert_eq!(json["access_token"], token);
    assert_eq!((&json["schema"], &json["profile"], &json["token_type"]), (&1.into(), &"prod".into(), &"Bearer".into()));
    assert_eq!(json["scope"], "offline_access openid");
    assert!(json["audience"].is_null() && json["expires_epoch"].is_i64() && json["expires_at"].is_string());
}

#[test]
fn the_profile_may_be_left_out_if_the_environment_names_one() {
    let world = World::logged_in(short_lived(300));
    let token = world.token("prod");
    let ran = world.command(["get"]).env("TOKENKEEP_PROFILE", "prod").output().unwrap();
    assert_eq!(String::from_utf8(ran.stdout).unwrap().trim_end(), token);
}

#[test]
fn a_profile_without_a_login_asks_for_one() {
    let world = World::with(short_lived(300));
    world.run(["get", "prod"]).fails(4).says("tokenkeep generate prod");
}

#[test]
fn an_entry_outlives_its_profile() {
    let world = World::logged_in(short_lived(300));
    world.token("prod");
    world.run(["profile", "remove", "prod"]).ok();
    assert!(world.provider.is_access_live(&get(&world, &["--no-cache"])));
}

#[test]
fn an_unknown_name_gets_the_nearest_one() {
    let world = World::with(short_lived(300));
    world.run(["get", "prdo"]).fails(8).says("did you mean `prod`?");
}

#[test]
fn an_unknown_name_comes_before_a_locked_vault() {
    let world = World::logged_in(short_lived(300));
    std::fs::remove_file(world.identity_file()).unwrap();
    world.run(["get", "prdo"]).fails(8);
    world.run(["get", "prod"]).fails(5);
}
