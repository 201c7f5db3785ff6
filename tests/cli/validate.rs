//! `validate`: yes, no and cannot tell; what is asked of whom; and that nothing is spent.

use std::time::Duration;

use provider::{Algorithm, Client, Endpoint, Fault, Format, Settings, Value, json};

use crate::harness::{Ran, World};

const SCOPES: [&str; 2] = ["openid", "read"];

/// An access token of the provider for the audience `api`.
fn token(world: &World) -> String {
    world.provider.grant_access("automated-access", &SCOPES, &["api"])
}

/// Validates a text from standard input.
fn validate(world: &World, token: &str, flags: &[&str]) -> Ran {
    world.feed([&["validate", "--stdin"], flags].concat(), token)
}

/// Validates with the profile `prod`.
fn with_profile(world: &World, token: &str, flags: &[&str]) -> Ran {
    validate(world, token, &[&["--profile", "prod"], flags].concat())
}

/// The claims of a token that is good for a minute, changed.
fn claims(world: &World, changes: &Value) -> Value {
    let mut claims = world.provider.access_claims("automated-access", "openid read", "api");
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

fn opaque() -> Settings {
    Settings { access_format: Format::Opaque, ..Settings::default() }
}

#[test]
fn a_token_of_the_provider_is_good() {
    let world = World::new();
    let ran = with_profile(
        &world,
        &token(&world),
        &["--audience", "api", "--scope", "read", "--any-scope", "x", "--any-scope", "openid"],
    );
    let stdout = ran.ok().stdout;
    assert!(stdout.starts_with("good: issued by http://127.0.0.1:") && stdout.lines().count() == 1, "{stdout}");
}

#[test]
fn all_sources_are_read() {
    let world = World::new();
    let (token, issuer) = (token(&world), world.provider.issuer());
    let file = world.folder.path().join("token.txt");
    std::fs::write(&file, format!("{token}\n")).unwrap();
    world.run(["validate", "--issuer", &issuer, "--from-file", file.to_str().unwrap()]).ok();
    let mut command = world.command(["validate", "--issuer", &issuer, "--from-env", "T"]);
    assert_eq!(Ran::from(command.env("T", &token).output().unwrap()).code, 0);
    world.feed(["validate", "--issuer", &issuer, "--from-fd", "0"], &token).ok();
}

#[test]
fn a_no_says_why_to_people_and_to_programs() {
    let world = World::new();
    let good = token(&world);
    let reason = |token: &str, flags: &[&str]| {
        with_profile(&world, token, flags).fails(3);
        let ran = with_profile(&world, token, &[flags, &["--json"]].concat());
        assert_eq!(ran.code, 3, "{ran:?}");
        let answer = ran.json();
        assert_eq!(answer["valid"], false);
        assert!(ran.stderr.contains("\"exit_code\":3"), "{ran:?}");
        answer["reason"].as_str().unwrap().to_owned()
    };
    let now = claims(&world, &json!({}))["iat"].as_u64().unwrap();
    let sign = |changes: Value| world.provider.sign(&claims(&world, &changes), &json!({}), Algorithm::Es256);
    assert_eq!(reason(&good, &["--audience", "other"]), "audience");
    assert_eq!(reason(&good, &["--scope", "read", "--scope", "write"]), "scope");
    assert_eq!(reason(&good, &["--any-scope", "write"]), "scope");
    assert_eq!(reason(&good, &["--min-ttl", "90d"]), "min_ttl");
    assert_eq!(reason(&sign(json!({"exp": now - 1})), &[]), "expired");
    assert_eq!(reason(&sign(json!({"nbf": now + 600})), &[]), "not_yet_valid");
    assert_eq!(reason(&sign(json!({"iss": "https://elsewhere.example"})), &[]), "issuer");
    assert_eq!(reason(&tampered(&good), &[]), "signature");
    assert_eq!(reason(&world.provider.alg_none(&claims(&world, &json!({}))), &[]), "signature");
    assert_eq!(reason(&world.provider.forge_hs256_with_public_key(&claims(&world, &json!({}))), &[]), "signature");
    assert_eq!(reason("two words", &[]), "malformed");
}

/// A token whose signature was changed.
fn tampered(token: &str) -> String {
    let parts: Vec<&str> = token.split('.').collect();
    let (first, rest) = parts[2].split_at(1);
    let other = if first == "A" { "B" } else { "A" };
    format!("{}.{}.{other}{rest}", parts[0], parts[1])
}

#[test]
fn nothing_is_fetched_for_a_token_of_another_issuer() {
    let world = World::new();
    let token =
        world.provider.sign(&claims(&world, &json!({"iss": "https://a.example"})), &json!({}), Algorithm::Es256);
    with_profile(&world, &token, &[]).fails(3).says("https://a.example");
    assert_eq!(world.provider.count(Endpoint::Jwks) + world.provider.count(Endpoint::Discovery), 0);
}

#[test]
fn a_provider_must_be_named_and_one_source() {
    let world = World::new();
    validate(&world, &token(&world), &[]).fails(2).says("--issuer");
    world.run(["validate"]).fails(2).says("--entry");
    world.run(["validate", "--entry", "prod", "--stdin"]).fails(2);
    world.run(["validate", "--stdin", "--from-env", "X", "--issuer", "https://a.example"]).fails(2);
    let token = token(&world);
    world.run(["validate", &token]).fails(2).says("--stdin").hides(&token);
}

#[test]
fn a_provider_that_is_down_is_no_answer() {
    let world = World::new();
    let token = token(&world);
    world.provider.go_offline();
    with_profile(&world, &token, &[]).fails(6);
}

#[test]
fn an_opaque_token_from_elsewhere_is_not_spent_to_find_out() {
    let world = World::with(opaque());
    let refresh_token = world.provider.grant("automated-access", &["openid", "offline_access"]);
    with_profile(&world, &refresh_token, &[]).fails(1).says("spending").hides(&refresh_token);
    with_profile(&world, &refresh_token, &["--online"]).fails(1).says("store");
    assert_eq!(world.provider.count(Endpoint::Token), 0);
}

#[test]
fn an_offline_token_in_jwt_form_cannot_be_told() {
    let world = World::new();
    let claims = claims(&world, &json!({"typ": "Offline", "exp": null}));
    let token = world.provider.forge_hs256_with_public_key(&claims);
    with_profile(&world, &token, &[]).fails(1).says("store");
}

/// A machine with the profile `conf` of a client that may introspect.
fn introspecting(settings: Settings) -> World {
    let clients = vec![Client::public("automated-access"), Client::confidential("confidential", "s3cret")];
    let world = World::with(Settings { clients, ..settings });
    world.feed(["store", "conf-secret", "--kind", "client-secret", "--stdin"], "s3cret").ok();
    world.add_profile("conf", &["--client-id", "confidential", "--client-secret", "entry:conf-secret"]);
    world
}

#[test]
fn a_client_that_may_introspect_asks_the_provider() {
    let world = introspecting(opaque());
    let token = token(&world);
    let online = |flags: &[&str]| validate(&world, &token, &[&["--profile", "conf", "--online"], flags].concat());
    let answer = online(&["--json", "--audience", "api", "--scope", "read"]).ok().json();
    assert_eq!((&answer["valid"], &answer["checked_by"]), (&json!(true), &json!("introspection")));
    online(&["--scope", "write"]).fails(3);
    world.provider.expire_access_tokens();
    online(&[]).fails(3).says("not active");
}

#[test]
fn what_the_provider_says_that_another_one_issued_is_not_its_own() {
    let world = introspecting(opaque());
    let token = token(&world);
    world.provider.misbehave(Endpoint::Introspection, Fault::set("iss", json!("https://b.example")));
    validate(&world, &token, &["--profile", "conf", "--online"]).fails(3).says("issued by `https://b.example`");
}

#[test]
fn a_revoked_jwt_is_found_out_online_only() {
    let world = introspecting(Settings::default());
    let token = token(&world);
    validate(&world, &token, &["--profile", "conf", "--online"]).ok();
    world.provider.misbehave(Endpoint::Introspection, Fault::set("active", json!(false)));
    validate(&world, &token, &["--profile", "conf", "--online"]).fails(3);
    validate(&world, &token, &["--profile", "conf"]).ok();
    with_profile(&world, &token, &["--online"]).fails(1).says("revoked");
}

#[test]
fn an_entry_is_judged_by_its_access_token_without_needless_refreshes() {
    let world = World::logged_in(Settings::default());
    let answer = world.run(["validate", "--entry", "prod", "--json"]).ok().json();
    assert_eq!((&answer["valid"], &answer["checked_by"]), (&json!(true), &json!("signature")));
    world.run(["validate", "--entry", "prod", "--scope", "openid"]).ok();
    world.run(["validate", "--entry", "prod", "--audience", "nobody"]).fails(3).says("--audience");
    assert_eq!(world.provider.count(Endpoint::Token), 1);
}

#[test]
fn an_entry_of_a_client_that_may_not_introspect_is_refreshed_once_to_find_out() {
    let world = World::logged_in(opaque());
    world.token("prod");
    let answer = world.run(["validate", "--entry", "prod", "--online", "--json"]).ok().json();
    assert_eq!((&answer["valid"], &answer["checked_by"]), (&json!(true), &json!("refresh")));
    assert_eq!(world.provider.count(Endpoint::Token), 2);
    world.provider.disable_user();
    world.run(["validate", "--entry", "prod", "--online"]).fails(4).says("tokenkeep generate prod");
}

#[test]
fn an_opaque_token_of_an_entry_is_good_as_far_as_its_expiry() {
    let world = World::logged_in(opaque());
    let ran = world.run(["validate", "--entry", "prod", "--scope", "openid"]).ok();
    assert!(ran.stdout.contains("only its expiry is known"), "{}", ran.stdout);
    world.run(["validate", "--entry", "prod", "--audience", "api"]).fails(1);
}

#[test]
fn a_stored_access_token_is_judged_like_one_from_elsewhere() {
    let world = World::new();
    let token = token(&world);
    world.feed(["store", "prod", "--kind", "access-token", "--stdin"], &token).ok();
    world.run(["validate", "--entry", "prod", "--audience", "api"]).ok();
    world.feed(["store", "prod", "--kind", "access-token", "--stdin"], &tampered(&token)).ok();
    world.run(["validate", "--entry", "prod"]).fails(3).says("signature");
    assert_eq!(world.provider.count(Endpoint::Token), 0);
}

#[test]
fn what_is_no_token_is_not_validated() {
    let world = World::new();
    world.feed(["store", "thing", "--kind", "secret", "--stdin"], "s3cret").ok();
    world.run(["validate", "--entry", "thing"]).fails(2);
    world.run(["validate", "--entry", "nobody"]).fails(8);
    world.run(["validate", "--entry", "prod"]).fails(4);
}

#[test]
fn a_token_that_lives_less_than_demanded_is_renewed_first() {
    let world = World::logged_in(Settings { access_ttl: Duration::from_secs(60), ..Settings::default() });
    world.token("prod");
    world.run(["validate", "--entry", "prod", "--min-ttl", "2m"]).fails(3).says("lives only").says("exec prod --file");
    assert_eq!(world.provider.count(Endpoint::Token), 2);
    world
        .run(["validate", "--entry", "prod", "--scope", "it's"])
        .fails(3)
        .says(r"`tokenkeep get prod --scope 'it'\''s'`");
    world.run(["validate", "--entry", "prod", "--audience", "api"]).fails(3).says("--audience 'api'`");
}
