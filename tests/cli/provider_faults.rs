//! A provider that is away, loses answers, or lies: what is kept, what is handed out, and what nobody gets to see.

use provider::{Advertise, Change, Documents, Endpoint, Fault, Format, Provider, Rotation, Settings, Tls, Value, json};

use crate::clock::run_at;
use crate::harness::{Ran, World, short_lived};

/// A machine with a cached token, and the faults that the next refreshes meet.
fn facing(faults: impl IntoIterator<Item = Fault>) -> World {
    let world = World::logged_in(short_lived(300));
    world.token("prod");
    for fault in faults {
        world.provider.misbehave(Endpoint::Token, fault);
    }
    world
}

/// Asks for a token although one is cached.
fn insist(world: &World) -> Ran {
    world.run(["get", "prod", "--no-cache"])
}

/// A provider whose discovery document says something else.
fn advertising(field: &str, value: &Value) -> World {
    let extra = [(field.to_owned(), value.clone())].into_iter().collect();
    World::logged_in(Settings { advertise: Advertise { extra, ..Advertise::default() }, ..short_lived(300) })
}

/// Claims that a first refresh fails with this code before any token is sent.
fn stays_unsent(world: &World, code: i32) -> Ran {
    let ran = world.run(["get", "prod"]).fails(code);
    assert_eq!(world.provider.count(Endpoint::Token), 0);
    ran
}

// Away.

#[test]
fn a_provider_that_is_down_is_exit_6() {
    let world = facing([]);
    world.provider.go_offline();
    insist(&world).fails(6).says("Connection refused");
}

#[test]
fn nothing_is_lost_while_the_provider_is_down() {
    let world = facing([]);
    world.provider.go_offline();
    insist(&world).fails(6);
    world.provider.go_online();
    insist(&world).ok();
    assert!(world.provider.family_alive());
}

#[test]
fn a_cached_token_that_still_lives_is_handed_out_while_the_provider_is_down() {
    let world = facing([]);
    let token = world.token("prod");
    world.provider.go_offline();
    let ran = run_at(&world, "+250", &["get", "prod"]).ok().says("not available").says("the cached token lives");
    assert_eq!(ran.stdout.trim_end(), token);
}

#[test]
fn an_explicit_minimum_takes_no_leftover() {
    let world = facing([]);
    world.provider.go_offline();
    run_at(&world, "+250", &["get", "prod", "--min-ttl", "60s"]).fails(6);
}

#[test]
fn a_used_up_token_is_not_handed_out_while_the_provider_is_down() {
    let world = facing([]);
    world.provider.go_offline();
    run_at(&world, "+301", &["get", "prod"]).fails(6);
}

#[test]
fn a_provider_that_is_down_before_the_first_refresh_is_exit_6() {
    let world = World::logged_in(short_lived(300));
    world.provider.go_offline();
    world.run(["get", "prod"]).fails(6).says("Connection refused");
    world.provider.go_online();
    world.run(["get", "prod"]).ok();
}

#[test]
fn pauses_grow_while_discovery_stays_away() {
    let world = World::logged_in(short_lived(300));
    world.provider.misbehave_always(Endpoint::Discovery, Fault::status(503));
    for _ in 0..5 {
        world.run(["refresh", "prod", "--force"]).fails(6);
    }
    world.run(["get", "prod"]).fails(6).says("try again after");
    assert_eq!(world.provider.count(Endpoint::Discovery), 5);
}

#[test]
fn retry_after_is_honoured() {
    let world = facing([Fault::RetryAfter { status: 429, seconds: 600 }]);
    insist(&world).fails(6);
    insist(&world).fails(6).says("429").says("try again after");
    assert_eq!(world.provider.count(Endpoint::Token), 2);
    run_at(&world, "+601", &["get", "prod", "--no-cache"]).ok();
}

#[test]
fn force_does_not_wait_for_retry_after() {
    let world = facing([Fault::RetryAfter { status: 503, seconds: 600 }]);
    insist(&world).fails(6);
    world.run(["refresh", "prod", "--force"]).ok();
}

#[test]
fn a_retry_after_beyond_all_measure_ends_after_an_hour() {
    let world = facing([Fault::RetryAfter { status: 503, seconds: 9_999_999 }]);
    insist(&world).fails(6);
    run_at(&world, "+61m", &["get", "prod"]).ok();
}

#[test]
fn an_answer_that_did_not_look_at_the_token_spends_nothing() {
    for status in [403, 404, 405, 408, 429, 503] {
        let world = facing([Fault::status(status)]);
        insist(&world).fails(6).says(&status.to_string());
        insist(&world).ok();
    }
}

#[test]
fn a_redirect_of_a_refresh_is_not_followed() {
    let elsewhere = Provider::start(Settings::default());
    let world = facing([Fault::Redirect(elsewhere.token_endpoint())]);
    insist(&world).fails(6).says("307");
    assert!(elsewhere.requests().is_empty());
    insist(&world).ok();
}

#[test]
fn pauses_grow_while_a_provider_stays_away() {
    let world = facing([]);
    world.provider.misbehave_always(Endpoint::Token, Fault::status(503));
    for _ in 0..5 {
        world.run(["refresh", "prod", "--force"]).fails(6);
    }
    insist(&world).fails(6).says("try again after");
    assert_eq!(world.provider.count(Endpoint::Token), 6);
}

#[test]
fn a_provider_that_says_at_once_and_stays_away_is_left_alone_all_the_same() {
    let world = facing([]);
    world.provider.misbehave_always(Endpoint::Token, Fault::RetryAfter { status: 503, seconds: 0 });
    for _ in 0..5 {
        world.run(["refresh", "prod", "--force"]).fails(6);
    }
    insist(&world).fails(6).says("try again after");
    assert_eq!(world.provider.count(Endpoint::Token), 6);
}

// TLS.

#[test]
fn certificates_that_are_missing_are_a_matter_of_configuration() {
    for content in [None, Some("no certificate")] {
        let world = World::logged_in(short_lived(300));
        world.token("prod");
        if let Some(content) = content {
            std::fs::write(world.folder.path().join("ca.pem"), content).unwrap();
        }
        let line = format!("ca_file = {:?}\n", world.folder.path().join("ca.pem"));
        world.edit_config(|text| text.replacen("[profiles.prod]\n", &format!("[profiles.prod]\n{line}"), 1));
        insist(&world).fails(9).says("ca.pem").says("nothing was sent");
        assert_eq!(std::fs::read_dir(world.entry("prod")).unwrap().count(), 3, "something was left behind");
        assert_eq!(world.provider.count(Endpoint::Token), 1);
    }
}

/// The flags of a profile that trusts the provider's certificate authority.
const TRUSTING: [&str; 2] = ["--ca-file", "ca.pem"];

/// A machine with a login at a provider that speaks TLS, with these flags for the profile.
fn over_tls(tls: Tls, flags: &[&str]) -> World {
    let world = World::bare(Settings { tls, ..short_lived(300) });
    world.run(["init", "--unlock", "file"]).ok();
    world.provider.write_ca(world.folder.path().join("ca.pem"));
    world.add_profile("prod", flags);
    world.store_login("prod");
    world
}

#[test]
fn a_certificate_authority_can_be_trusted_for_one_profile() {
    let world = over_tls(Tls::Good, &TRUSTING);
    assert!(world.provider.is_access_live(&world.token("prod")));
    insist(&world).ok();
}

#[test]
fn certificates_beside_a_configuration_file_that_is_named_from_here_are_found() {
    let world = over_tls(Tls::Good, &TRUSTING);
    world.provider.write_ca(world.home().join("config/beside.pem"));
    world.edit_config(|text| {
        let own = |line: &str| if line.starts_with("ca_file") { "ca_file = \"beside.pem\"" } else { line }.to_owned();
        text.lines().map(own).fold(String::new(), |text, line| text + &line + "\n")
    });
    world.run(["get", "prod", "--config", "home/config/config.toml"]).ok();
    let mut command = world.command(["get", "prod", "--no-cache"]);
    Ran::from(command.env("TOKENKEEP_CONFIG", "home/config/config.toml").output().unwrap()).ok();
}

#[test]
fn a_certificate_may_come_from_any_place_where_the_system_keeps_them() {
    let stranger = Provider::start(Settings { tls: Tls::Good, ..Settings::default() });
    for flags in [&[] as &[&str], &["--ca-file", "stranger.pem"]] {
        let world = over_tls(Tls::Good, flags);
        stranger.write_ca(world.folder.path().join("stranger.pem"));
        let folder = world.folder.path().join("certificates");
        std::fs::create_dir(&folder).unwrap();
        world.provider.write_ca(folder.join("here.pem"));
        for (variable, place) in [("SSL_CERT_FILE", folder.join("here.pem")), ("SSL_CERT_DIR", folder)] {
            let mut command = world.command(["get", "prod", "--no-cache"]);
            let answer = Ran::from(command.env(variable, place).output().unwrap()).ok();
            assert!(world.provider.is_access_live(answer.stdout.trim()), "{flags:?} {variable}");
        }
        assert_eq!(world.provider.count(Endpoint::Token), 2);
    }
}

#[test]
fn an_unknown_certificate_authority_is_exit_6_with_the_reason() {
    stays_unsent(&over_tls(Tls::Good, &[]), 6).says("certificate").says("UnknownIssuer");
}

#[test]
fn an_expired_certificate_is_exit_6_with_the_reason() {
    stays_unsent(&over_tls(Tls::Expired, &TRUSTING), 6).says("certificate").says("expired");
}

#[test]
fn a_certificate_for_another_name_is_exit_6_with_the_reason() {
    stays_unsent(&over_tls(Tls::WrongName, &TRUSTING), 6).says("certificate").says("not valid for");
}

#[test]
fn a_certificate_that_signed_itself_is_exit_6() {
    stays_unsent(&over_tls(Tls::SelfSignedUnknown, &TRUSTING), 6).says("certificate");
}

#[test]
fn a_refresh_token_is_not_sent_over_a_connection_that_is_not_trusted_any_more() {
    let world = over_tls(Tls::Good, &TRUSTING);
    let cached = world.token("prod");
    let token = world.provider.newest_refresh_token().unwrap();
    world.edit_config(|text| text.lines().filter(|line| !line.starts_with("ca_file")).collect::<Vec<_>>().join("\n"));
    insist(&world).fails(6).says("certificate").says("UnknownIssuer").hides(&token);
    assert_eq!(world.provider.presentations(&token), 0);
    assert_eq!(world.token("prod"), cached);
}

#[test]
fn a_file_of_certificates_that_is_missing_is_exit_9() {
    let world = over_tls(Tls::Good, &TRUSTING);
    std::fs::remove_file(world.folder.path().join("ca.pem")).unwrap();
    stays_unsent(&world, 9).says("ca.pem");
}

// Lost answers.

/// Every way in which an answer is lost after the provider has spent the token.
fn losses() -> Vec<Fault> {
    vec![
        Fault::ResetAfterProcessing,
        Fault::CloseAfterProcessing,
        Fault::Truncated,
        Fault::Huge(300_000),
        Fault::Html.after_processing(),
        Fault::NotJson.after_processing(),
        Fault::status(500).after_processing(),
        Fault::status(502).after_processing(),
        Fault::status(504).after_processing(),
        Fault::Edit(["access_token", "refresh_token"].map(|field| Change::Remove(field.to_owned())).to_vec()),
    ]
}

#[test]
fn nothing_is_presented_again_while_a_token_is_in_use() {
    for loss in losses() {
        let world = facing([loss.clone()]);
        let token = world.token("prod");
        insist(&world).fails(6).says("response lost");
        insist(&world).fails(6).says("response lost");
        assert_eq!(world.provider.count(Endpoint::Token), 2, "{loss:?}");
        assert!(world.provider.is_access_live(&token), "{loss:?}");
    }
}

#[test]
fn a_refusal_after_a_lost_answer_is_no_riddle() {
    for loss in losses() {
        let world = facing([loss.clone()]);
        insist(&world).fails(6);
        run_at(&world, "+400", &["get", "prod"]).fails(4).says("response lost").says("tokenkeep generate prod");
        run_at(&world, "+410", &["get", "prod"]).fails(4).says("response lost");
    }
}

/// Every way in which an answer says nothing of a token that the provider has not even looked at.
fn unheard() -> Vec<Fault> {
    let statuses = [200, 204, 500, 502, 504, 520].map(Fault::status);
    [Fault::ResetBeforeProcessing, Fault::Html, Fault::NotJson].into_iter().chain(statuses).collect()
}

#[test]
fn a_request_that_was_lost_on_its_way_heals_when_the_cached_token_is_used_up() {
    for loss in unheard() {
        let world = facing([loss.clone()]);
        let token = world.provider.newest_refresh_token().unwrap();
        insist(&world).fails(6).says("response lost");
        insist(&world).fails(6).says("response lost");
        assert_eq!(world.provider.presentations(&token), 1, "{loss:?}");
        run_at(&world, "+400", &["get", "prod"]).ok();
        assert_eq!(world.provider.presentations(&token), 2, "{loss:?}");
        assert!(world.provider.family_alive(), "{loss:?}");
    }
}

#[test]
fn an_answer_of_a_hundred_megabytes_is_not_read() {
    let world = facing([Fault::Huge(100_000_000)]);
    let token = world.token("prod");
    insist(&world).fails(6).says("response lost").says("larger than");
    insist(&world).fails(6);
    assert_eq!(world.provider.count(Endpoint::Token), 2);
    assert!(world.provider.is_access_live(&token));
}

#[test]
fn a_provider_that_loses_every_answer_is_asked_less_and_less() {
    let world = World::logged_in(short_lived(300));
    world.provider.misbehave_always(Endpoint::Token, Fault::ResetBeforeProcessing);
    let token = world.provider.newest_refresh_token().unwrap();
    for _ in 0..5 {
        world.run(["refresh", "prod", "--force"]).fails(6).says("response lost");
    }
    assert_eq!(world.provider.presentations(&token), 5);
    for _ in 0..3 {
        world.run(["get", "prod"]).fails(6).says("response lost");
    }
    assert_eq!(world.provider.presentations(&token), 5);
}

#[test]
fn a_lost_answer_heals_at_once_where_the_provider_grants_grace() {
    let settings = Settings { rotation: Rotation::Grace(crate::harness::PATIENCE), ..short_lived(300) };
    let world = World::with(settings);
    world.add_profile("graced", &["--reuse-grace", "60s"]);
    world.store_login("graced");
    world.token("graced");
    world.provider.misbehave(Endpoint::Token, Fault::ResetAfterProcessing);
    world.run(["get", "graced", "--no-cache"]).fails(6);
    world.run(["get", "graced", "--no-cache"]).ok();
}

#[test]
fn an_answer_that_comes_in_drops_is_an_answer() {
    let world = facing([Fault::Drip { chunk: 200, every: std::time::Duration::from_millis(20) }]);
    insist(&world).ok();
}

// Lies about itself.

#[test]
fn another_issuer_is_exit_9_and_gets_no_token() {
    let world = advertising("issuer", &json!("https://evil.example"));
    stays_unsent(&world, 9).says("https://evil.example");
}

#[test]
fn a_token_endpoint_in_clear_text_is_exit_9_and_gets_no_token() {
    let world = advertising("token_endpoint", &json!("http://evil.example/token"));
    stays_unsent(&world, 9).says("token_endpoint");
}

#[test]
fn a_document_without_a_token_endpoint_is_exit_9() {
    stays_unsent(&advertising("token_endpoint", &Value::Null), 9).says("token_endpoint");
}

#[test]
fn a_document_that_is_none_is_exit_9() {
    let padding = "x".repeat(300_000);
    let html = Fault::WrongContentType("text/html".to_owned());
    for fault in [Fault::Html, Fault::NotJson, html, Fault::Huge(300_000), Fault::set("issuer", json!(padding))] {
        let world = World::logged_in(short_lived(300));
        world.provider.misbehave_always(Endpoint::Discovery, fault);
        stays_unsent(&world, 9);
    }
}

#[test]
fn a_redirect_of_discovery_is_not_followed() {
    let elsewhere = Provider::start(Settings::default());
    let world = World::logged_in(short_lived(300));
    let there = elsewhere.endpoint(Endpoint::Discovery);
    world.provider.misbehave_always(Endpoint::Discovery, Fault::Redirect(there));
    stays_unsent(&world, 9);
    assert!(elsewhere.requests().is_empty());
}

#[test]
fn discovery_that_is_away_for_now_is_exit_6() {
    let world = World::logged_in(short_lived(300));
    world.provider.misbehave_always(Endpoint::Discovery, Fault::status(503));
    stays_unsent(&world, 6).says("503");
}

#[test]
fn a_provider_without_openid_discovery_will_do() {
    let advertise = Advertise { documents: Documents::OAuth, ..Advertise::default() };
    let settings = Settings { advertise, issuer_path: "/realms/main".to_owned(), ..short_lived(300) };
    World::logged_in(settings).token("prod");
}

#[test]
fn an_issuer_with_a_final_slash_will_do() {
    World::logged_in(Settings { issuer_path: "/".to_owned(), ..short_lived(300) }).token("prod");
}

// Odd answers.

/// Answers that are written oddly, and are answers.
fn odd_answers() -> Vec<Fault> {
    let fields = [
        ("token_type", json!("bEaReR")),
        ("token_type", Value::Null),
        ("expires_in", json!("300")),
        ("expires_in", json!(299.9)),
        ("expires_in", json!(-1)),
        ("expires_in", json!(1e300)),
        ("expires_in", json!("soon")),
        ("expires_in", Value::Null),
        ("expires_in", json!([300])),
        ("scope", json!(["openid"])),
        ("scope", Value::Null),
        ("id_token", json!(7)),
        ("refresh_expires_in", json!(-5)),
        ("refresh_expires_in", json!("never")),
        ("Header", Value::Null),
    ];
    let removed = ["token_type", "expires_in", "scope", "id_token"].map(Fault::remove);
    let set = fields.map(|(field, value)| Fault::set(field, value));
    let headers = Fault::WrongContentType("text/plain".to_owned());
    set.into_iter().chain(removed).chain([headers]).collect()
}

#[test]
fn odd_answers_are_answers_and_each_token_is_presented_once() {
    for odd in odd_answers() {
        let world = facing([odd.clone()]);
        let first = world.provider.newest_refresh_token().unwrap();
        let token = insist(&world).ok().stdout;
        assert!(world.provider.is_access_live(token.trim_end()), "{odd:?}");
        let second = world.provider.newest_refresh_token().unwrap();
        insist(&world).ok();
        let counts = [first, second].map(|token| world.provider.presentations(&token));
        assert_eq!(counts, [1, 1], "{odd:?}");
        assert!(world.provider.family_alive(), "{odd:?}");
    }
}

#[test]
fn an_answer_without_an_access_token_brings_its_refresh_token_all_the_same() {
    for change in [Fault::remove("access_token"), Fault::set("access_token", Value::Null)] {
        let world = facing([change]);
        let first = world.provider.newest_refresh_token().unwrap();
        insist(&world).fails(1).says("the refresh token is kept");
        insist(&world).ok();
        assert_eq!(world.provider.presentations(&first), 1);
        assert!(world.provider.family_alive());
    }
}

#[test]
fn a_refresh_token_that_is_no_text_leaves_the_old_one_in_its_place() {
    for value in [Value::Null, json!(""), json!(7)] {
        let world = World::logged_in(Settings { rotation: Rotation::NewTextOldStillGood, ..short_lived(300) });
        let first = world.provider.newest_refresh_token().unwrap();
        world.provider.misbehave(Endpoint::Token, Fault::set("refresh_token", value));
        world.token("prod");
        insist(&world).ok();
        assert_eq!(world.provider.presentations(&first), 2);
    }
}

#[test]
fn of_new_texts_whose_predecessors_still_work_the_newest_is_presented() {
    let world = World::logged_in(Settings { rotation: Rotation::NewTextOldStillGood, ..short_lived(300) });
    for _ in 0..4 {
        let newest = world.provider.newest_refresh_token().unwrap();
        insist(&world).ok();
        assert_eq!(world.provider.presentations(&newest), 1);
    }
}

/// The expiry of the token that an odd answer brings, seconds from now.
fn life_after(change: Fault, settings: Settings) -> i64 {
    let world = World::logged_in(settings);
    world.provider.misbehave(Endpoint::Token, change);
    let expires = world.run(["get", "prod", "--json"]).ok().json()["expires_epoch"].as_i64().unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    expires - i64::try_from(now).unwrap()
}

#[test]
fn an_unusable_access_token_is_not_handed_out() {
    for token in ["two words", "a\nb", "a\u{7f}", "t\u{f6}ken", ""] {
        let world = facing([Fault::set("access_token", json!(token))]);
        insist(&world).fails(1).says("the refresh token is kept");
    }
}

#[test]
fn the_refresh_token_beside_an_unusable_access_token_is_kept() {
    let world = facing([Fault::set("access_token", json!("two words"))]);
    insist(&world).fails(1);
    assert!(world.provider.is_access_live(&world.token("prod")));
    assert!(world.provider.family_alive());
}

#[test]
fn an_unusable_refresh_token_is_kept_and_never_presented() {
    let world = facing([Fault::set("refresh_token", json!("bad\ttoken"))]);
    insist(&world).ok();
    let before = world.provider.count(Endpoint::Token);
    insist(&world).fails(4).says("it is not presented").says("tokenkeep generate prod").hides("bad\ttoken");
    world.run(["refresh", "prod", "--force"]).fails(4);
    assert_eq!(world.provider.count(Endpoint::Token), before);
    let kept = world.run(["show", "prod", "--reveal", "--yes", "--json"]).ok().json();
    assert_eq!(kept["secret"], "bad\ttoken");
}

#[test]
fn many_huge_tokens_do_not_cost_the_refresh_token() {
    let world = facing([]);
    // base64url without a meaning, as long as a JWT with thousands of groups
    let jwt = |letter: &str| format!("eyJhbGciOiJFUzI1NiJ9.{}.c2lnbmF0dXJl", letter.repeat(200_000));
    for letter in ["a", "b", "c", "d", "e", "f", "g"] {
        world.provider.misbehave(Endpoint::Token, Fault::set("access_token", json!(jwt(letter))));
        let ran = world.run(["get", "prod", "--audience", letter]).ok();
        assert_eq!(ran.stdout.len(), jwt(letter).len() + 1);
    }
    insist(&world).ok();
    assert!(world.provider.family_alive());
}

#[test]
fn a_lifetime_may_be_written_as_text() {
    let life = life_after(Fault::set("expires_in", json!("77")), short_lived(300));
    assert!((70..=77).contains(&life), "{life}");
}

#[test]
fn without_a_lifetime_the_jwt_says_when_it_ends() {
    for fault in
        [Fault::remove("expires_in"), Fault::set("expires_in", Value::Null), Fault::set("expires_in", json!(-1))]
    {
        let life = life_after(fault, short_lived(300));
        assert!((290..=300).contains(&life), "{life}");
    }
}

#[test]
fn without_any_lifetime_a_token_is_trusted_for_a_minute() {
    let opaque = Settings { access_format: Format::Opaque, ..short_lived(300) };
    let life = life_after(Fault::remove("expires_in"), opaque);
    assert!((50..=60).contains(&life), "{life}");
}

#[test]
fn a_token_that_is_born_dead_is_handed_out_once_and_not_kept_for_good() {
    let world = facing([Fault::set("expires_in", json!(0))]);
    insist(&world).ok().says("used up by our clock");
    world.token("prod");
    assert_eq!(world.provider.exchanges(), 3);
}

#[test]
fn bearer_is_written_in_one_way_whatever_the_provider_writes() {
    let world = facing([Fault::set("token_type", json!("bEaReR"))]);
    insist(&world).ok();
    assert!(world.run(["get", "prod", "--header"]).ok().stdout.starts_with("Authorization: Bearer "));
}

#[test]
fn a_token_type_cannot_break_out_of_curls_configuration() {
    let world = facing([Fault::set("token_type", json!("x\" \noutput = \"/tmp/y"))]);
    insist(&world).ok();
    let config = world.run(["get", "prod", "--curl"]).ok().stdout;
    assert_eq!(config.lines().count(), 1);
    assert!(config.starts_with("header = \"Authorization: x\\\" "), "{config}");
}

#[test]
fn without_a_new_refresh_token_the_old_one_is_kept() {
    let world = World::logged_in(Settings { rotation: Rotation::Off, ..short_lived(300) });
    world.token("prod");
    insist(&world).ok();
    insist(&world).ok();
    assert_eq!(world.provider.presentations(&world.provider.newest_refresh_token().unwrap()), 3);
}

#[test]
fn the_same_refresh_token_again_is_no_spent_one() {
    let world = World::logged_in(Settings { rotation: Rotation::SameText, ..short_lived(300) });
    world.token("prod");
    insist(&world).ok();
    insist(&world).ok();
}

#[test]
fn an_offline_token_with_no_time_left_does_not_expire() {
    let world = facing([Fault::set("refresh_expires_in", json!(0))]);
    insist(&world).ok();
    let list = world.run(["list", "--json"]).ok().json();
    assert_eq!((&list[0]["state"], &list[0]["dies_epoch"]), (&json!("good"), &Value::Null));
}

#[test]
fn what_a_provider_says_shows_neither_tokens_nor_escapes() {
    let world = World::with(short_lived(300));
    let token = world.store_login("prod");
    let description = format!("token {token} is \u{1b}[2Jdead\u{202e}\nerror: all is well");
    let fault = Fault::OauthError { status: 400, error: "invalid_grant".to_owned(), description };
    world.provider.misbehave(Endpoint::Token, fault);
    for _ in 0..2 {
        let ran = world.run(["get", "prod", "-vvv"]).fails(4).hides(&token).hides("\u{1b}").hides("\u{202e}");
        assert!(!ran.stderr.lines().any(|line| line == "error: all is well"));
    }
}

#[test]
fn a_long_description_is_cut() {
    let description = "many words ".repeat(10_000);
    let fault = Fault::OauthError { status: 400, error: "invalid_grant".to_owned(), description };
    let world = facing([fault]);
    assert!(insist(&world).fails(4).stderr.len() < 2_000);
}
