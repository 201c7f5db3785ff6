//! `generate`: the device login, from the link to the vault, and every way in which it ends early.

use std::process::Stdio;
use std::time::Duration;

use provider::{Advertise, Approval, Endpoint, Fault, IntervalField, Provider, RefreshTokens, Settings, Value, json};
use rustix::process::Signal;

use crate::harness::{PATIENCE, Ran, World, generations, short_lived};
use crate::signals::{exchange_of, kill_front, send, wait_for_lock};

/// Settings with a person who decides like this.
fn person(approval: Approval) -> Settings {
    Settings { approval, ..short_lived(300) }
}

/// A person who has approved before the first question.
fn at_once() -> Settings {
    person(Approval::AfterPolls(0))
}

fn generate(world: &World) -> Ran {
    world.run(["generate", "prod"])
}

#[test]
fn a_login_ends_in_a_token() {
    let world = World::with(person(Approval::AfterPolls(1)));
    generate(&world).ok();
    assert!(world.provider.is_access_live(&world.token("prod")));
    assert_eq!(world.provider.exchanges(), 0);
}

#[test]
fn link_and_code_are_told_even_quietly_and_stdout_stays_empty() {
    let world = World::with(at_once());
    let ran = world.run(["generate", "prod", "--quiet"]).ok();
    let request = world.provider.last_request(Endpoint::Token);
    assert!(request.param("device_code").is_some());
    let link = world.provider.endpoint(Endpoint::Verification);
    assert_eq!(ran.stdout, "");
    assert!(ran.stderr.contains(&format!("{link}?user_code=")), "{}", ran.stderr);
    assert!(ran.stderr.lines().count() <= 3, "{}", ran.stderr);
}

#[test]
fn the_code_is_told_for_a_provider_without_a_complete_link() {
    let world = World::with(person(Approval::ByHand));
    world.provider.misbehave(Endpoint::Device, Fault::remove("verification_uri_complete"));
    let front = world.start(["generate", "prod"]);
    let code = world.provider.wait_for_user_code(PATIENCE);
    world.provider.approve(&code);
    Ran::from(front.wait_with_output().unwrap()).ok().says(&code);
}

#[test]
fn json_tells_whose_login_it_is() {
    let world = World::with(at_once());
    let json = world.run(["generate", "prod", "--json"]).ok().json();
    assert_eq!((&json["profile"], &json["issuer"]), (&"prod".into(), &world.provider.issuer().into()));
    assert_eq!(json["user"], Value::Null);
    assert_eq!(json["dies_epoch"], Value::Null);
}

#[test]
fn no_terminal_is_needed() {
    let world = World::with(at_once());
    let mut command = std::process::Command::new("setsid");
    command.args(["--wait", env!("CARGO_BIN_EXE_tokenkeep"), "generate", "prod"]).env_clear();
    command.env("TOKENKEEP_HOME", world.home()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Ran::from(command.output().unwrap()).ok();
    world.token("prod");
}

#[test]
fn a_provider_that_wants_more_time_gets_it() {
    let world = World::with(at_once());
    // the provider enforces what it said: five seconds more
    world.provider.misbehave(Endpoint::Token, Fault::oauth("slow_down"));
    generate(&world).ok();
    assert_eq!(world.provider.count(Endpoint::Token), 2);
}

#[test]
fn the_rhythm_of_the_standard_holds_where_none_is_named() {
    let world = World::with(Settings { interval_field: IntervalField::Omitted, ..at_once() });
    generate(&world).ok();
}

#[test]
fn a_person_who_says_no_is_exit_4_and_nothing_is_kept() {
    let world = World::with(person(Approval::Deny));
    generate(&world).fails(4).says("access_denied").says("tokenkeep generate prod");
    assert_eq!(world.generation("prod"), 0);
    world.run(["get", "prod"]).fails(4);
}

#[test]
fn a_code_that_nobody_used_in_time_is_exit_4() {
    let world = World::with(Settings { device_ttl: Duration::from_secs(2), ..person(Approval::ByHand) });
    generate(&world).fails(4).says("before the code expired");
    assert_eq!(world.generation("prod"), 0);
}

#[test]
fn the_provider_may_say_that_the_code_expired() {
    let world = World::with(person(Approval::ByHand));
    world.provider.misbehave(Endpoint::Token, Fault::oauth("expired_token"));
    generate(&world).fails(4).says("expired");
}

#[test]
fn a_rhythm_slower_than_the_codes_life_ends_with_the_code() {
    let world = World::with(Settings { device_ttl: Duration::from_secs(2), ..person(Approval::ByHand) });
    world.provider.misbehave(Endpoint::Device, Fault::set("interval", provider::json!(86_400)));
    generate(&world).fails(4);
}

#[test]
fn ctrl_c_during_the_wait_is_130_and_nothing_is_kept() {
    let world = World::with(person(Approval::ByHand));
    let mut front = world.start(["generate", "prod"]);
    world.provider.wait_for(Endpoint::Token, 1, PATIENCE);
    send(front.id(), Signal::INT);
    assert_eq!(front.wait().unwrap().code(), Some(130));
    wait_for_lock(&world, "prod");
    assert_eq!(world.generation("prod"), 0);
}

#[test]
fn a_login_that_was_approved_outlives_the_kill_of_its_front() {
    let world = World::with(at_once());
    world.provider.misbehave(Endpoint::Token, Fault::HangBeforeBody(PATIENCE));
    let front = world.start(["generate", "prod"]);
    world.provider.wait_for(Endpoint::Token, 1, PATIENCE);
    exchange_of(&front);
    kill_front(front);
    world.provider.release();
    wait_for_lock(&world, "prod");
    assert!(world.provider.is_access_live(&world.token("prod")));
    assert_eq!(world.provider.logins(), 1);
}

#[test]
fn a_login_that_is_adopted_between_two_polls_is_done() {
    let world = World::with(person(Approval::ByHand));
    let front = world.start(["generate", "prod"]);
    world.provider.approve(&world.provider.wait_for_user_code(PATIENCE));
    Ran::from(front.wait_with_output().unwrap()).ok();
    let (first, answer) = (world.entry("prod").join("1.age"), world.folder.path().join("answer"));
    std::fs::rename(first, &answer).unwrap();
    let front = world.start(["generate", "prod"]);
    world.provider.wait_for_user_code(PATIENCE);
    let lock = std::fs::File::options().write(true).open(world.entry("prod").join("lock")).unwrap();
    lock.lock().unwrap();
    std::fs::rename(answer, world.entry("prod").join("next")).unwrap();
    drop(lock);
    Ran::from(front.wait_with_output().unwrap()).ok().says("is in the vault");
    assert_eq!(world.generation("prod"), 1);
}

#[test]
fn a_login_that_could_not_be_published_is_adopted() {
    let world = World::with(at_once());
    world.provider.misbehave(Endpoint::Token, Fault::HangBeforeBody(PATIENCE));
    let front = world.start(["generate", "prod"]);
    world.provider.wait_for(Endpoint::Token, 1, PATIENCE);
    let obstacle = world.entry("prod").join("1.age");
    std::fs::write(&obstacle, "").unwrap();
    world.provider.release();
    front.wait_with_output().unwrap();
    std::fs::remove_file(obstacle).unwrap();
    assert!(world.provider.is_access_live(&world.token("prod")));
    assert_eq!(world.provider.logins(), 1);
}

#[test]
fn a_provider_that_is_down_at_the_start_is_exit_6() {
    let world = World::with(at_once());
    world.provider.go_offline();
    generate(&world).fails(6).says("Connection refused");
}

#[test]
fn a_provider_that_goes_away_meanwhile_is_asked_less_often() {
    let world = World::with(person(Approval::ByHand));
    let front = world.start(["generate", "prod"]);
    let code = world.provider.wait_for_user_code(PATIENCE);
    world.provider.misbehave(Endpoint::Token, Fault::status(503));
    world.provider.approve(&code);
    Ran::from(front.wait_with_output().unwrap()).ok();
    world.token("prod");
}

#[test]
fn who_waits_is_told_once_why_there_is_no_token_yet() {
    let world = World::with(person(Approval::ByHand));
    let front = world.start(["generate", "prod"]);
    let code = world.provider.wait_for_user_code(PATIENCE);
    for _ in 0..2 {
        world.provider.misbehave(Endpoint::Token, Fault::Html);
    }
    world.provider.approve(&code);
    let told = Ran::from(front.wait_with_output().unwrap()).ok().says("did not answer with JSON");
    assert_eq!(told.stderr.matches("no token yet").count(), 1, "{}", told.stderr);
}

/// Puts something into the way of every change of `config.toml`.
fn obstruct_config(world: &World) {
    std::fs::create_dir(world.home().join("config/.config.toml.new")).unwrap();
}

#[test]
fn nobody_is_sent_to_log_in_for_a_profile_that_cannot_be_written() {
    let world = World::with(at_once());
    obstruct_config(&world);
    with_flags(&world, "new").fails(1).says(".config.toml.new");
    assert_eq!(world.provider.count(Endpoint::Device), 0);
    assert!(!world.entry("new").exists());
}

#[test]
fn a_login_is_kept_though_its_profile_cannot_be_written_any_more() {
    let world = World::with(person(Approval::ByHand));
    let args = ["generate", "new", "--issuer", &world.provider.issuer(), "--client-id", "automated-access"];
    let front = world.start(args);
    let code = world.provider.wait_for_user_code(PATIENCE);
    obstruct_config(&world);
    world.provider.approve(&code);
    Ran::from(front.wait_with_output().unwrap()).fails(1).says("the token of `new` is kept").says(".config.toml.new");
    std::fs::remove_dir(world.home().join("config/.config.toml.new")).unwrap();
    world.run(args).ok();
    world.token("new");
    assert_eq!(world.provider.logins(), 1);
}

#[test]
fn a_login_without_a_refresh_token_is_exit_9_and_says_what_to_ask_for() {
    let world = World::with(Settings { refresh_tokens: RefreshTokens::Never, ..at_once() });
    generate(&world).fails(9).says("offline_access");
    assert_eq!(world.generation("prod"), 0);
}

#[test]
fn a_client_that_is_refused_is_exit_9() {
    let world = World::with(at_once());
    world.provider.disable_client("automated-access");
    generate(&world).fails(9).says("invalid_client");
}

#[test]
fn an_issuer_in_clear_text_is_refused() {
    let world = World::with(at_once());
    let args = ["generate", "new", "--issuer", "http://auth.example.org", "--client-id", "c"];
    world.run(args).fails(2).says("http://auth.example.org");
}

#[test]
fn a_locked_vault_is_told_before_anybody_is_asked_to_log_in() {
    let world = World::with(at_once());
    std::fs::remove_file(world.identity_file()).unwrap();
    generate(&world).fails(5);
    assert!(world.provider.requests().is_empty());
}

#[test]
fn no_vault_is_told_before_anybody_is_asked_to_log_in() {
    let world = World::bare(at_once());
    world.add_profile("prod", &[]);
    generate(&world).fails(5).says("tokenkeep init");
    assert!(world.provider.requests().is_empty());
}

// Profiles.

fn with_flags(world: &World, name: &str) -> Ran {
    let issuer = world.provider.issuer();
    world.run(["generate", name, "--issuer", &issuer, "--client-id", "automated-access"])
}

#[test]
fn flags_make_the_profile_when_the_login_has_succeeded() {
    let world = World::with(at_once());
    with_flags(&world, "new").ok();
    world.token("new");
    world.run(["profile", "show", "new"]).ok();
}

#[test]
fn a_login_that_failed_makes_no_profile() {
    let world = World::with(person(Approval::Deny));
    with_flags(&world, "new").fails(4);
    world.run(["profile", "show", "new"]).fails(8);
}

#[test]
fn flags_that_agree_with_the_profile_do_no_harm() {
    let world = World::with(at_once());
    with_flags(&world, "prod").ok();
}

#[test]
fn flags_that_contradict_the_profile_are_exit_2() {
    let world = World::with(at_once());
    world.run(["generate", "prod", "--client-id", "other"]).fails(2).says("client_id");
    assert!(world.provider.requests().is_empty());
}

#[test]
fn a_name_without_a_profile_is_exit_8_and_says_how_to_make_one() {
    let world = World::with(at_once());
    world.run(["generate", "elsewhere"]).fails(8).says("--issuer URL --client-id ID");
}

#[test]
fn a_device_endpoint_that_nobody_names_is_exit_9() {
    let advertise = Advertise { hidden: vec![Endpoint::Device], ..Advertise::default() };
    let world = World::with(Settings { advertise, ..at_once() });
    generate(&world).fails(9).says("cannot log in to prod").says("device_authorization_endpoint");
}

#[test]
fn a_device_endpoint_can_be_set_in_the_profile() {
    let advertise = Advertise { hidden: vec![Endpoint::Device], ..Advertise::default() };
    let world = World::with(Settings { advertise, ..at_once() });
    let device = world.provider.endpoint(Endpoint::Device);
    world.add_profile("set", &["--device-authorization-endpoint", &device]);
    world.run(["generate", "set"]).ok();
    world.token("set");
}

#[test]
fn the_scopes_and_audience_of_the_profile_are_asked_for() {
    let world = World::with(at_once());
    world.add_profile("api", &["--scope", "openid offline_access profile", "--audience", "https://api.example"]);
    world.run(["generate", "api"]).ok();
    let request = world.provider.last_request(Endpoint::Device);
    assert_eq!(request.param("scope"), Some("offline_access openid profile"));
    assert_eq!(request.param("audience"), Some("https://api.example"));
    world.token("api");
    assert_eq!(world.provider.exchanges(), 0);
}

// A login that is there already.

/// A machine with a login made by `generate`.
fn logged_in() -> World {
    let world = World::with(at_once());
    generate(&world).ok();
    world
}

#[test]
fn a_good_login_is_left_alone() {
    let world = logged_in();
    world.provider.go_offline();
    generate(&world).ok().says("--force");
    assert_eq!(world.provider.logins(), 1);
}

#[test]
fn a_good_login_gets_the_profile_that_it_lost() {
    let world = logged_in();
    world.run(["profile", "remove", "prod"]).ok();
    with_flags(&world, "prod").ok().says("--force");
    assert_eq!(world.provider.logins(), 1);
    world.run(["profile", "show", "prod"]).ok();
    with_flags(&world, "prod").ok();
}

#[test]
fn a_login_of_another_client_gets_no_profile_for_this_one() {
    let world = logged_in();
    world.run(["profile", "remove", "prod"]).ok();
    let issuer = world.provider.issuer();
    world.run(["generate", "prod", "--issuer", &issuer, "--client-id", "other"]).fails(9);
    world.run(["profile", "show", "prod"]).fails(8);
}

#[test]
fn flags_that_ask_a_good_login_for_more_are_exit_2() {
    let world = logged_in();
    for flags in [["--scope", "openid"], ["--scope", "openid offline_access"]] {
        world.run(["generate", "prod", flags[0], flags[1]]).ok();
    }
    for flags in [["--scope", "more"], ["--audience", "https://api.example.org"]] {
        world.run(["generate", "prod", flags[0], flags[1]]).fails(2).says(flags[1]).says("--force");
    }
    assert_eq!(world.provider.logins(), 1);
    let audience = ["--audience", "https://api.example.org"];
    world.run(["generate", "prod", "--force", audience[0], audience[1]]).ok();
    world.run(["generate", "prod", audience[0], audience[1]]).ok();
    assert_eq!(world.provider.logins(), 2);
}

#[test]
fn a_profile_is_not_made_with_more_than_the_good_login_has() {
    let world = logged_in();
    world.run(["profile", "remove", "prod"]).ok();
    let issuer = world.provider.issuer();
    let args = ["generate", "prod", "--issuer", &issuer, "--client-id", "automated-access", "--scope", "more"];
    world.run(args).fails(2).says("more").says("--force");
    world.run(["profile", "show", "prod"]).fails(8);
}

#[test]
fn a_dead_login_is_replaced() {
    let world = logged_in();
    world.provider.revoke_family_of(&world.provider.newest_refresh_token().unwrap());
    world.run(["get", "prod", "--no-cache"]).fails(4);
    crate::clock::run_at(&world, "+400", &["generate", "prod"]).ok();
    assert_eq!(world.provider.logins(), 2);
    world.run(["get", "prod", "--no-cache"]).ok();
}

#[test]
fn a_refused_login_is_replaced_though_its_access_token_lives() {
    let world = logged_in();
    world.provider.revoke_family_of(&world.provider.newest_refresh_token().unwrap());
    world.run(["get", "prod", "--no-cache"]).fails(4).says("tokenkeep generate prod");
    generate(&world).ok();
    assert_eq!(world.provider.logins(), 2);
    world.run(["get", "prod", "--no-cache"]).ok();
}

#[test]
fn a_login_whose_refresh_token_cannot_be_presented_is_replaced_though_its_access_token_lives() {
    let world = logged_in();
    world.provider.misbehave(Endpoint::Token, Fault::set("refresh_token", json!("bad token")));
    world.run(["refresh", "prod", "--force"]).ok();
    generate(&world).ok();
    world.run(["get", "prod", "--no-cache"]).ok();
}

#[test]
fn force_logs_in_again_and_the_generation_before_stays() {
    let world = logged_in();
    world.run(["generate", "prod", "--force"]).ok();
    assert_eq!(world.provider.logins(), 2);
    let mut kept = generations(&world.entry("prod"));
    kept.sort_unstable();
    assert_eq!(kept, [1, 2]);
}

#[test]
fn a_new_login_does_not_revoke_the_old_one() {
    let world = logged_in();
    let old = world.provider.newest_refresh_token().unwrap();
    world.run(["generate", "prod", "--force"]).ok();
    assert!(world.provider.is_refresh_live(&old));
    assert_eq!(world.provider.count(Endpoint::Revocation), 0);
}

#[test]
fn revoke_old_revokes_it_and_proves_the_new_one() {
    let world = logged_in();
    let old = world.provider.newest_refresh_token().unwrap();
    world.run(["generate", "prod", "--force", "--revoke-old"]).ok().says("revoked the old token");
    assert!(!world.provider.is_refresh_live(&old));
    assert_eq!(world.provider.exchanges(), 1);
    world.token("prod");
}

#[test]
fn revoke_old_takes_the_token_that_a_refresh_brought_meanwhile() {
    let world = World::with(person(Approval::ByHand));
    world.store_login("prod");
    let front = world.start(["generate", "prod", "--force", "--revoke-old"]);
    let code = world.provider.wait_for_user_code(PATIENCE);
    world.run(["refresh", "prod", "--force"]).ok();
    let meanwhile = world.provider.newest_refresh_token().unwrap();
    world.provider.approve(&code);
    Ran::from(front.wait_with_output().unwrap()).ok().says("revoked the old token");
    assert!(!world.provider.is_refresh_live(&meanwhile));
    assert!(world.provider.is_access_live(&world.token("prod")));
}

#[test]
fn revoke_old_without_an_old_one_says_so() {
    let world = World::with(at_once());
    world.run(["generate", "prod", "--revoke-old"]).ok().says("no other refresh token");
    assert_eq!(world.provider.count(Endpoint::Revocation), 0);
}

#[test]
fn revoke_old_of_a_good_login_is_exit_2_without_a_new_one() {
    let world = logged_in();
    world.run(["generate", "prod", "--revoke-old"]).fails(2).says("--force");
    assert_eq!((world.provider.logins(), world.provider.count(Endpoint::Revocation)), (1, 0));
}

#[test]
fn revoke_old_never_sends_a_token_to_another_provider() {
    let world = logged_in();
    let old = world.provider.newest_refresh_token().unwrap();
    let elsewhere = Provider::start(at_once());
    let (here, there) = (world.provider.issuer(), elsewhere.issuer());
    world.edit_config(|text| text.replace(&here, &there));
    let ran = world.run(["generate", "prod", "--force", "--revoke-old"]);
    assert_ne!(ran.code, 0);
    ran.says("the new login is kept");
    let sent = |request: &provider::Recorded| request.form.iter().any(|(_, value)| *value == old);
    assert!(!elsewhere.requests().iter().any(sent));
    assert!(elsewhere.is_access_live(&world.token("prod")));
}

#[test]
fn each_user_has_an_entry_of_their_own() {
    let world = World::with(at_once());
    world.run(["generate", "prod", "--user", "ada"]).ok();
    assert_eq!(world.generation("prod@ada"), 1);
    assert_eq!(world.generation("prod"), 0);
    assert_eq!(world.run(["get", "prod@ada"]).ok().stdout, world.run(["get", "prod", "--user", "ada"]).ok().stdout);
}

#[test]
fn a_login_does_not_replace_a_stored_secret() {
    let world = World::with(at_once());
    world.feed(["store", "prod", "--kind", "secret", "--stdin"], "precious").ok();
    generate(&world).fails(2).says("tokenkeep delete prod");
    world.run(["generate", "prod", "--force"]).fails(2).says("tokenkeep delete prod");
    assert_eq!(world.run(["get", "prod"]).ok().stdout.trim_end(), "precious");
    assert!(world.provider.requests().is_empty());
}

#[test]
fn a_hostile_link_is_not_shown() {
    for link in ["javascript:alert(1)", "http://evil.example/device", "https://good.example@evil.example/"] {
        let world = World::with(at_once());
        world.provider.misbehave(Endpoint::Device, Fault::set("verification_uri_complete", provider::json!(link)));
        generate(&world).fails(9).says("verification_uri");
    }
}

#[test]
fn a_code_with_escapes_is_shown_escaped() {
    let world = World::with(at_once());
    world.provider.misbehave(Endpoint::Device, Fault::set("user_code", provider::json!("A\u{1b}[2JB")));
    generate(&world).ok().hides("\u{1b}").says("A\\u{1b}[2JB");
}

#[test]
fn the_provider_finding_no_device_login_is_exit_9() {
    let world = World::with(at_once());
    world.provider.misbehave(Endpoint::Device, Fault::oauth("unauthorized_client"));
    generate(&world).fails(9).says("unauthorized_client");
}

#[test]
fn a_profile_without_scopes_asks_for_an_offline_token() {
    let world = World::bare(Settings::default());
    world.run(["init"]).ok();
    let issuer = world.provider.issuer();
    world.edit_config(|text| {
        text + &format!("[profiles.prod]\nissuer = \"{issuer}\"\nclient_id = \"automated-access\"\n")
    });
    world.run(["generate", "prod", "--no-browser"]).ok();
    assert_eq!(world.provider.last_request(Endpoint::Device).param("scope"), Some("offline_access openid"));
}

#[test]
fn a_mistyped_profile_is_told_the_nearest_one() {
    let world = World::new();
    let nearest = "did you mean `prod`? Else name it here: `tokenkeep generate prdo --issuer URL --client-id ID`";
    world.run(["generate", "prdo"]).fails(8).says(nearest);
    world.run(["get", "PROD"]).fails(8).says("did you mean `prod`?");
}
