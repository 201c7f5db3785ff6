//! `vault migrate`: between age files and the keyring and back, killed anywhere, beside a refresh, and in words.

use std::time::Instant;

use provider::Endpoint;
use rustix::process::Signal;

use crate::harness::{PATIENCE, Ran, generations};
use crate::keyring::{Desktop, Machine};
use crate::signals::wait_until_blocked;
use crate::strace::{can_trace, counts, read_log, under_strace};

/// A machine with a login and a secret in files, and an open keyring.
fn in_files() -> Machine {
    let machine = Machine::bare(Desktop::open());
    machine.rest_in("age");
    machine.run(["init", "--unlock", "file"]).ok();
    machine.world.add_profile("prod", &[]);
    machine.store_login("prod");
    machine.token("prod");
    machine.keep("key", "s3cret");
    machine
}

/// Moves all entries.
fn migrate(machine: &Machine, to: &str) -> Ran {
    machine.run(["vault", "migrate", "--to", to])
}

/// Claims that everything can be read, and that nothing was asked of the provider for it.
#[track_caller]
fn is_whole(machine: &Machine, after: &str) {
    let exchanges = machine.world.provider.count(Endpoint::Token);
    for name in ["prod", "key"] {
        let ran = machine.run(["get", name]);
        assert_eq!(ran.code, 0, "`{name}` after {after}: {}", ran.stderr);
    }
    assert_eq!(machine.world.provider.count(Endpoint::Token), exchanges, "after {after}");
}

/// Claims that all entries rest in the keyring, and nothing of them in files.
#[track_caller]
fn is_in_keyring(machine: &Machine) {
    for name in ["prod", "key"] {
        assert!(generations(&machine.world.entry(name)).is_empty(), "files of `{name}` are left");
        assert!(machine.generation(name) > 0);
    }
    assert!(machine.config().contains("backend = \"keyring\" # why\n"), "{}", machine.config());
}

/// Claims that all entries rest in files, and nothing of them in the keyring.
#[track_caller]
fn is_in_files(machine: &Machine) {
    for name in ["prod", "key"] {
        assert!(!generations(&machine.world.entry(name)).is_empty(), "no files of `{name}`");
        assert!(machine.item(name).is_empty() && machine.item(&format!("{name} previous")).is_empty());
    }
    assert!(machine.config().contains("backend = \"age\" # why\n"), "{}", machine.config());
}

#[test]
fn entries_move_to_the_keyring_and_back_and_live_on() {
    let machine = in_files();
    let token = machine.token("prod");
    let made = machine.run(["vault", "migrate", "--to", "keyring", "--json"]).ok().json();
    assert_eq!((&made["backend"], &made["moved"], &made["entries"]), (&"keyring".into(), &2.into(), &2.into()));
    is_in_keyring(&machine);
    assert!(machine.config().starts_with("# mine\n"));
    assert_eq!((machine.token("prod"), machine.token("key")), (token, "s3cret".to_owned()));
    let generation = machine.generation("prod");
    machine.run(["get", "prod", "--no-cache"]).ok();
    assert_eq!(machine.generation("prod"), generation + 1);
    migrate(&machine, "keyring").ok().says("moved 0 of 2");
    migrate(&machine, "age").ok().says("moved 2 of 2");
    is_in_files(&machine);
    assert_eq!(machine.world.generation("prod"), generation + 1);
    machine.run_without_desktop(["get", "prod", "--no-cache"]).ok();
    machine.run_without_desktop(["vault", "verify"]).ok();
    assert!(machine.world.provider.family_alive());
}

#[test]
fn an_entry_that_is_being_refreshed_is_waited_for() {
    let machine = in_files();
    machine.world.provider.set_refresh_latency(PATIENCE);
    let front = machine.start(["get", "prod", "--no-cache"]);
    machine.world.provider.wait_for_exchanges(2, PATIENCE);
    let moving = machine.start(["vault", "migrate", "--to", "keyring"]);
    wait_until_blocked(&moving);
    machine.world.provider.release();
    let token = Ran::from(front.wait_with_output().unwrap()).ok().stdout;
    Ran::from(moving.wait_with_output().unwrap()).ok();
    is_in_keyring(&machine);
    assert_eq!(machine.token("prod"), token.trim());
}

#[test]
fn an_answer_that_waits_is_published_in_the_new_place() {
    let machine = Machine::in_keyring(Desktop::open());
    machine.store_login("prod");
    machine.token("prod");
    machine.world.provider.set_refresh_latency(PATIENCE);
    let front = machine.start(["get", "prod", "--no-cache"]);
    machine.world.provider.wait_for_exchanges(2, PATIENCE);
    machine.desktop.lock();
    machine.world.provider.release();
    let token = Ran::from(front.wait_with_output().unwrap()).ok().stdout;
    // nothing moves out of a keyring that is locked
    migrate(&machine, "age").fails(5).says("locked");
    let Machine { world, mut desktop } = machine;
    desktop.stop_keyring();
    desktop.start_keyring();
    let machine = Machine { world, desktop };
    migrate(&machine, "age").ok();
    assert_eq!(machine.token("prod"), token.trim());
    assert_eq!(machine.world.provider.count(Endpoint::Token), 2);
}

#[test]
fn a_keyring_that_is_locked_silent_or_away_changes_nothing() {
    let mut machine = in_files();
    let before = machine.config();
    machine.desktop.lock();
    migrate(&machine, "keyring").fails(5).says("locked");
    machine.desktop.signal_keyring(Signal::STOP);
    let begun = Instant::now();
    migrate(&machine, "keyring").fails(6).says("did not answer");
    assert!(begun.elapsed().as_secs() < 10);
    machine.desktop.stop_keyring();
    migrate(&machine, "keyring").fails(5).says("Secret Service");
    machine.run_without_desktop(["vault", "migrate", "--to", "keyring"]).fails(5).says("no D-Bus");
    machine.run(["vault", "migrate", "--to", "disk"]).fails(2);
    assert_eq!(machine.config(), before);
    // to where they are, nobody need be asked
    machine.run_without_desktop(["vault", "migrate", "--to", "age"]).ok().says("moved 0 of 2");
    is_whole(&machine, "nothing");
}

#[test]
fn an_entry_that_cannot_be_moved_keeps_no_other_from_it_and_nothing_is_removed() {
    let machine = in_files();
    let path = machine.world.entry("key").join("1.age");
    let whole = std::fs::read(&path).unwrap();
    crate::outside::write(&path, b"not age", 0o600);
    migrate(&machine, "keyring").fails(5).says("`key` was not moved").says("vault migrate --to keyring");
    assert!(machine.generation("prod") > 0 && !generations(&machine.world.entry("prod")).is_empty());
    let status = machine.run(["status", "--json"]).ok().json().to_string();
    assert!(status.contains("1 of 2 entries still rest in age files"), "{status}");
    machine.run(["get", "prod", "--no-cache"]).ok();
    crate::outside::write(&path, &whole, 0o600);
    migrate(&machine, "keyring").ok().says("moved 1 of 2");
    is_in_keyring(&machine);
    is_whole(&machine, "the second run");
}

/// Kills a migration at calls of these names, every `step`th; after each everything can be read, and the same command
/// does the rest.
fn survives_kills(machine: &Machine, (from, to): (&str, &str), names: &[&str], step: usize) {
    let log = machine.world.file("log");
    let args = ["vault", "migrate", "--to", to];
    let options = ["-f", "-o", log.to_str().unwrap()];
    Ran::from(under_strace(&machine.command(args), &options).output().unwrap()).ok();
    let calls = read_log(&log);
    for (name, count) in counts(&calls, |call| names.contains(&call.name.as_str())) {
        for nth in (1..=count).step_by(step) {
            migrate(machine, from).ok();
            let (trace, inject) = (format!("trace={name}"), format!("inject={name}:signal=KILL:when={nth}"));
            let options = ["-f", "-o", "/dev/null", "-e", &trace, "-e", &inject];
            under_strace(&machine.command(args), &options).output().unwrap();
            let after = format!("a kill of a migration to {to} at {name} {nth}");
            is_whole(machine, &after);
            let again = migrate(machine, to);
            assert_eq!(again.code, 0, "after {after}: {}", again.stderr);
            if to == "keyring" { is_in_keyring(machine) } else { is_in_files(machine) }
        }
    }
    is_whole(machine, "all kills");
    machine.run(["get", "prod", "--no-cache"]).ok();
    assert!(machine.world.provider.family_alive());
}

/// What changes names and contents of files.
const CHANGES: [&str; 5] = ["rename", "renameat2", "unlink", "fsync", "ftruncate"];

#[test]
fn a_migration_to_the_keyring_that_is_killed_anywhere_is_finished_by_the_next_one() {
    if can_trace() {
        let machine = in_files();
        survives_kills(&machine, ("age", "keyring"), &CHANGES, 1);
        survives_kills(&machine, ("age", "keyring"), &["sendmsg"], 7);
    }
}

#[test]
fn a_migration_to_files_that_is_killed_anywhere_is_finished_by_the_next_one() {
    if can_trace() {
        let machine = in_files();
        survives_kills(&machine, ("keyring", "age"), &CHANGES, 1);
        survives_kills(&machine, ("keyring", "age"), &["sendmsg"], 7);
    }
}

#[test]
fn what_a_killed_migration_left_of_an_entry_that_was_deleted_since_goes_with_the_next_one() {
    if !can_trace() {
        return;
    }
    let machine = Machine::in_keyring(Desktop::open());
    machine.keep("gone", "s3cret");
    let options = ["-f", "-o", "/dev/null", "-e", "trace=unlink", "-e", "inject=unlink:signal=KILL:when=1"];
    under_strace(&machine.command(["vault", "migrate", "--to", "age"]), &options).output().unwrap();
    for _ in 0..2 {
        machine.run(["delete", "gone", "--yes"]);
    }
    migrate(&machine, "age").ok();
    assert!(machine.item("gone").is_empty());
    machine.keep("gone", "anew");
    migrate(&machine, "keyring").ok();
    assert_eq!((machine.token("gone"), machine.item("gone previous")), ("anew".to_owned(), String::new()));
}

/// Lets the keyring lose an item.
fn lose(machine: &Machine, name: &str) {
    let user = format!("entry {} {name}", machine.recipient());
    let mut clear = machine.desktop.command("secret-tool");
    assert!(clear.args(["clear", "service", "tokenkeep", "username", &user]).status().unwrap().success());
}

#[test]
fn what_the_keyring_has_lost_keeps_its_mark_and_comes_back_with_the_right_keyring() {
    let machine = in_files();
    migrate(&machine, "keyring").ok();
    machine.keep("key", "newer");
    let (mark, item) = (machine.world.entry("key").join("keyring"), machine.item("key"));
    lose(&machine, "key");
    for _ in 0..2 {
        migrate(&machine, "age").fails(5).says("`key`").says("holds nothing").hides("rest in age");
        assert!(mark.exists());
        // the value before it is not the newest
        assert!(generations(&machine.world.entry("key")).is_empty());
    }
    machine.run(["vault", "verify"]).fails(5).says("`key`").says("holds nothing");
    machine.put_item("key", &item);
    machine.run(["vault", "verify"]).ok();
    migrate(&machine, "age").ok();
    is_in_files(&machine);
    assert_eq!(machine.token("key"), "newer");
}

#[test]
fn an_item_without_a_mark_is_reported_and_never_removed() {
    let machine = in_files();
    let old = std::fs::read(machine.world.entry("key").join("1.age")).unwrap();
    migrate(&machine, "keyring").ok();
    machine.keep("key", "newer");
    let (mark, item) = (machine.world.entry("key").join("keyring"), machine.item("key"));
    for files in [None, Some(&old)] {
        std::fs::remove_file(&mark).unwrap();
        if let Some(old) = files {
            crate::outside::write(&machine.world.entry("key").join("1.age"), old, 0o600);
            migrate(&machine, "keyring").fails(5).says("generation 2 already");
        }
        machine.run(["vault", "verify"]).ok().says("generation 2 of `key`");
        migrate(&machine, "age").ok().says("generation 2 of `key`").says("install -m 600");
        assert_eq!(machine.item("key"), item);
        crate::outside::write(&mark, b"", 0o600);
        assert_eq!(machine.token("key"), "newer");
    }
    migrate(&machine, "age").ok();
    is_in_files(&machine);
    assert_eq!(machine.token("key"), "newer");
}

#[test]
fn entries_in_a_keyring_that_is_locked_are_not_damaged() {
    let machine = in_files();
    migrate(&machine, "keyring").ok();
    machine.desktop.lock();
    let listed = machine.run(["list", "--json"]).ok().says("2 entries").says("the keyring is locked").hides("damaged");
    let listed = listed.json();
    assert_eq!((&listed[0]["name"], &listed[0]["state"]), (&"key".into(), &serde_json::Value::Null));
}
