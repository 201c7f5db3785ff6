//! Many processes at once: one exchange for each entry, and entries do not wait for each other.

use std::time::Duration;

use provider::{Endpoint, Fault, Settings};

use crate::harness::{PATIENCE, World, short_lived};

/// A machine with several logins, in entries of these names.
fn with_logins(names: &[&str]) -> World {
    let world = World::with(short_lived(300));
    for name in names {
        if *name != "prod" {
            world.add_profile(name, &[]);
        }
        world.store_login(name);
    }
    world
}

#[test]
fn two_hundred_processes_make_one_exchange_and_print_one_token() {
    let settings = Settings { refresh_latency: Duration::from_millis(300), ..short_lived(300) };
    let world = World::logged_in(settings);
    let all = world.storm(200, &["get", "prod"]);
    let tokens: std::collections::BTreeSet<String> = all.into_iter().map(|ran| ran.ok().stdout).collect();
    assert_eq!(tokens.len(), 1);
    assert_eq!(world.provider.exchanges(), 1);
    assert_eq!(world.provider.count(Endpoint::Token), 1);
}

#[test]
fn a_storm_on_a_login_that_expired_again_and_again_presents_no_token_twice() {
    let world = World::logged_in(short_lived(300));
    for round in 1..=3 {
        let all = world.storm(40, &["get", "prod", "--min-ttl", "1h"]);
        assert!(all.into_iter().all(|ran| ran.ok().stdout.len() > 20));
        assert!(world.provider.exchanges() >= round);
    }
    assert!(world.provider.family_alive());
}

#[test]
fn refreshing_all_beside_asking_makes_one_exchange_for_each_entry() {
    let world = with_logins(&["prod", "dev", "lab"]);
    let refreshing = world.start(["refresh", "--all"]);
    let asking: Vec<_> =
        ["prod", "dev", "lab"].iter().flat_map(|name| (0..8).map(|_| world.start(["get", name]))).collect();
    assert!(refreshing.wait_with_output().unwrap().status.success());
    for asked in asking {
        assert!(asked.wait_with_output().unwrap().status.success());
    }
    assert_eq!(world.provider.exchanges(), 3);
}

#[test]
fn refreshing_all_overlaps_the_waits() {
    let names = ["dev", "lab", "prod", "stage"];
    let world = with_logins(&names);
    world.provider.misbehave_always(Endpoint::Token, Fault::HangBeforeBody(PATIENCE));
    let refreshing = world.start(["refresh", "--all", "--jobs", "4"]);
    // all four are under way while none is answered
    world.provider.wait_for_exchanges(4, PATIENCE);
    world.provider.behave(Endpoint::Token);
    world.provider.release();
    assert!(refreshing.wait_with_output().unwrap().status.success());
    world.provider.go_offline();
    for name in names {
        world.token(name);
    }
}

#[test]
fn two_entries_of_one_profile_are_two_families() {
    let world = World::with(short_lived(300));
    let token = |user: &str| {
        let token = world.provider.grant("automated-access", &["openid", "offline_access"]);
        world.feed(["store", "prod", "--user", user, "--kind", "refresh-token", "--stdin"], &token).ok();
        world.run(["get", "prod", "--user", user]).ok().stdout
    };
    assert_ne!(token("ada"), token("bob"));
    assert_eq!(world.run(["get", "prod@ada"]).ok().stdout, world.run(["get", "prod", "--user", "ada"]).ok().stdout);
    assert_eq!(world.provider.exchanges(), 2);
}

#[test]
fn who_waited_for_a_failure_shares_it() {
    let world = World::logged_in(short_lived(300));
    world.provider.misbehave_always(Endpoint::Token, Fault::RetryAfter { status: 503, seconds: 600 });
    for ran in world.storm(30, &["get", "prod"]) {
        ran.fails(6);
    }
    assert_eq!(world.provider.count(Endpoint::Token), 1);
}

#[test]
fn one_entry_that_fails_does_not_hold_up_the_others() {
    let world = with_logins(&["dev", "prod"]);
    let dead = world.store_login("dev");
    world.provider.revoke_family_of(&dead);
    world.run(["refresh", "--all"]).fails(4).says("tokenkeep generate dev");
    world.run(["get", "prod", "--no-refresh"]).ok();
}

#[test]
fn a_profile_that_cannot_be_used_does_not_hold_up_the_others() {
    let world = with_logins(&["dev", "prod"]);
    world.edit_config(|text| text.replacen("[profiles.dev]\n", "[profiles.dev]\naudience = \"{nobody}\"\n", 1));
    assert_ne!(world.run(["refresh", "--all"]).code, 0);
    world.run(["get", "prod", "--no-refresh"]).ok();
}

#[test]
fn several_failures_are_all_told_and_the_worst_decides() {
    let world = with_logins(&["dev", "prod"]);
    let dead = world.store_login("dev");
    world.provider.revoke_family_of(&dead);
    world.run(["refresh", "dev"]).fails(4);
    world.provider.go_offline();
    world.run(["refresh", "--all"]).fails(4).says("dev: ").says("prod: ");
}

#[test]
fn a_refresh_that_is_not_due_asks_nobody() {
    let world = World::logged_in(short_lived(300));
    world.token("prod");
    world.provider.go_offline();
    world.run(["refresh", "prod"]).ok();
}

#[test]
fn due_within_refreshes_what_would_not_last() {
    let world = World::logged_in(short_lived(300));
    world.token("prod");
    world.run(["refresh", "prod", "--due-within", "2m"]).ok();
    assert_eq!(world.provider.exchanges(), 1);
    world.run(["refresh", "prod", "--due-within", "10m"]).ok();
    assert_eq!(world.provider.exchanges(), 2);
}

#[test]
fn tokens_are_left_in_files_for_jobs_that_only_read() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = with_logins(&["dev", "prod"]);
    world.run(["refresh", "--all", "--write-dir", "out"]).ok();
    for name in ["dev", "prod"] {
        let file = world.folder.path().join("out").join(name);
        assert_eq!(std::fs::read_to_string(&file).unwrap().trim_end(), world.token(name));
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn a_token_file_that_cannot_be_written_costs_no_token() {
    let world = World::logged_in(short_lived(300));
    world.run(["refresh", "prod", "--write", "/dev/null/x"]).fails(1);
    world.run(["get", "prod", "--no-refresh"]).ok();
}

#[test]
fn a_token_file_takes_no_devices_and_no_open_streams_place() {
    let world = World::logged_in(short_lived(300));
    let path = |name: &str| world.folder.path().join(name);
    std::os::unix::fs::symlink("/proc/self/fd/1", path("stdout")).unwrap();
    let null = std::process::Command::new("mknod").arg(path("null")).args(["c", "1", "3"]).output().unwrap();
    let names = if null.status.success() { &["stdout", "null"][..] } else { &["stdout"] };
    for name in names {
        world.run(["refresh", "prod", "--write", name]).fails(1).says("is not a regular file");
        assert!(!path(name).symlink_metadata().unwrap().is_file(), "{name}");
    }
    world.run(["get", "prod", "--no-refresh"]).ok();
}

#[test]
fn json_tells_what_became_of_each() {
    let world = with_logins(&["dev", "prod"]);
    world.token("dev");
    let json = world.run(["refresh", "--all", "--json"]).ok().json();
    let outcome = |at: usize| (json[at]["name"].as_str().unwrap(), json[at]["outcome"].as_str().unwrap());
    assert_eq!([outcome(0), outcome(1)], [("dev", "not-due"), ("prod", "refreshed")]);
}
