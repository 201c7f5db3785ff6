//! `get`: the cached token, the fast path, and one exchange however many ask.

use std::time::Duration;

use provider::{Endpoint, Settings};

use crate::harness::{World, short_lived};

#[test]
fn a_name_that_stands_for_nothing_is_exit_8_and_tells_where_names_come_from() {
    let world = World::new();
    for command in ["get", "show", "refresh"] {
        let ran = world.run([command, "nope"]).fails(8).says("no profile and no entry `nope`");
        ran.says("tokenkeep list").says("tokenkeep profile add nope");
        world.run([command, "prdo"]).fails(8).says("did you mean `prod`");
    }
}

#[test]
fn a_cached_token_is_handed_out_without_the_provider() {
    let world = World::logged_in(short_lived(300));
    let first = world.token("prod");
    world.provider.go_offline();
    assert_eq!(world.token("prod"), first);
    assert_eq!(world.provider.exchanges(), 1);
}

#[test]
fn an_expired_token_is_exchanged_and_the_rotated_one_kept() {
    let world = World::logged_in(short_lived(300));
    let first = world.token("prod");
    let second = world.run(["get", "prod", "--no-cache"]).ok().stdout.trim_end().to_owned();
    assert_ne!(first, second);
    assert_eq!(world.token("prod"), second);
    assert!(world.provider.is_access_live(&second));
    assert!(world.provider.family_alive());
    assert_eq!(world.provider.exchanges(), 2);
}

#[test]
fn a_refresh_is_one_request_without_discovery() {
    let world = World::logged_in(short_lived(300));
    world.token("prod");
    let discoveries = world.provider.count(Endpoint::Discovery);
    world.run(["get", "prod", "--no-cache"]).ok();
    assert_eq!(world.provider.count(Endpoint::Discovery), discoveries);
    assert_eq!(world.provider.count(Endpoint::Token), 2);
}

#[test]
fn many_processes_make_one_exchange() {
    let world = World::logged_in(short_lived(300));
    let all = world.storm(40, &["get", "prod"]);
    let first = all.first().unwrap().stdout.clone();
    for ran in all {
        assert_eq!(ran.ok().stdout, first);
    }
    assert_eq!(world.provider.exchanges(), 1);
}

#[test]
fn one_token_is_printed_in_one_form() {
    let world = World::logged_in(short_lived(300));
    let token = world.token("prod");
    for flag in ["--header", "--curl"] {
        for line in [["get", "prod", flag, "--json"], ["--json", "get", "prod", flag]] {
            let ran = world.run(line).says(flag).says("two forms").hides(&token);
            assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
        }
        world.run(["get", "prod", flag]).ok();
    }
    assert_eq!(world.run(["get", "prod", "--json"]).ok().json()["access_token"], token);
}

#[test]
fn what_a_stored_text_has_no_answer_to_is_refused() {
    let world = World::with(short_lived(300));
    world.feed(["store", "at", "--kind", "access-token", "--stdin", "--expires", "1h"], "an-old-token").ok();
    world.feed(["store", "text", "--stdin"], "a-secret-text").ok();
    for name in ["at", "text"] {
        for flags in [&["--audience", "nope"][..], &["--scope", "more"], &["--no-cache"]] {
            let ran = world.run([&["get", name], flags].concat()).fails(2).says(&format!("leave out {}", flags[0]));
            ran.hides("an-old-token").hides("a-secret-text");
        }
        world.run(["env", name, "--audience", "nope"]).fails(2).says("--audience");
        world.run(["exec", name, "--audience", "nope", "--", "true"]).fails(125).says("--audience");
    }
    world.run(["whoami", "at", "--audience", "nope"]).fails(2).says("--audience");
    world.run(["get", "text", "--min-ttl", "10h"]).fails(2).says("--min-ttl").hides("a-secret-text");
    world.run(["env", "text", "--min-ttl", "10h"]).fails(2).says("--min-ttl").hides("a-secret-text");
    // whose end is known, that has an answer
    world.run(["get", "at", "--min-ttl", "10h"]).fails(4).says("cannot be refreshed");
    assert_eq!(world.run(["get", "at", "--min-ttl", "10m"]).ok().stdout.trim_end(), "an-old-token");
}

#[test]
fn defaults_for_tokens_do_not_keep_a_stored_text_back() {
    let world = World::with(short_lived(300));
    world.add_profile("at", &["--audience", "https://api.example.org"]);
    world.feed(["store", "at", "--kind", "access-token", "--stdin"], "an-old-token").ok();
    world.edit_config(|config| config + "\n[defaults]\nmin_ttl = \"10h\"\n");
    assert_eq!(world.token("at"), "an-old-token");
    let mut command = world.command(["get", "at"]);
    assert_eq!(command.env("TOKENKEEP_MIN_TTL", "10h").output().unwrap().stdout, b"an-old-token\n");
}

#[test]
fn more_is_said_of_what_happens_if_that_is_asked_for() {
    let world = World::logged_in(short_lived(300));
    let ran = world.run(["-vv", "get", "prod"]).ok().says("taking the lock").says("presenting the refresh token");
    assert!(ran.stderr.contains("how=Exchanged"), "{}", ran.stderr);
    let ran = world.run(["get", "prod", "-v"]).ok().says("how=Cached");
    assert!(!ran.stderr.contains(ran.stdout.trim_end()), "{}", ran.stderr);
}

#[test]
fn a_log_names_an_endpoint_without_its_query() {
    let world = World::bare(Settings::default());
    world.run(["init", "--unlock", "file"]).ok();
    let provider = ["--issuer", "http://127.0.0.1:9", "--client-id", "c"];
    let endpoint = ["--token-endpoint", "http://127.0.0.1:9/token?key=canary"];
    world.run([&["profile", "add", "prod"][..], &provider, &endpoint].concat()).ok();
    world.feed(["store", "prod", "--stdin"], "a-refresh-token").ok();
    world.run(["-vvv", "get", "prod"]).fails(6).says("presenting the refresh token").hides("canary");
}

#[test]
fn a_person_sees_what_is_waited_for_once_it_takes_long() {
    let slow = Settings { refresh_latency: Duration::from_secs(3), ..Settings::default() };
    let world = World::logged_in(slow);
    let line = "waiting for a token of `prod`, until ";
    let screen = world.on_terminal(["get", "prod"]).sees(line).ends().with(0).screen;
    let (_, after) = screen.split_once(line).unwrap();
    assert!(after.contains("at the latest\r\u{1b}[K"), "{screen:?}");
    for flags in [&["--quiet"][..], &["--json"]] {
        let screen = world.on_terminal([&["get", "prod", "--no-cache"], flags].concat()).ends().with(0).screen;
        assert!(!screen.contains("waiting"), "{screen:?}");
    }
    assert_eq!(world.run(["get", "prod", "--no-cache"]).ok().stderr, "");
}
