//! The keyring as the vault's key: open, locked, absent, forgetful, silent; never asked before a file, never a dialog.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::harness::Ran;
use crate::keyring::{Desktop, Machine, is_on_disk};

/// Runs something that must not take much longer than the keyring's deadline.
fn in_time(run: impl FnOnce() -> Ran) -> Ran {
    let begun = Instant::now();
    let ran = run();
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    ran
}

#[test]
fn the_keyring_alone_holds_the_key_and_a_get_needs_nobody() {
    let machine = Machine::logged_in();
    let token = machine.run(["get", "prod"]).ok().stdout;
    assert!(machine.world.provider.is_access_live(token.trim()));
    machine.run(["get", "prod", "--no-cache"]).ok();
    machine.run(["vault", "verify"]).ok();
    assert!(!machine.world.identity_file().exists());
    let key = machine.desktop.lookup(&format!("identity {}", machine.recipient()));
    assert!(key.starts_with(b"AGE-SECRET-KEY-1"));
    assert!(!is_on_disk(machine.world.folder.path(), b"AGE-SECRET-KEY-1"));
    assert!(machine.config().contains("keyring = true"));
    let status = machine.run(["status", "--json"]).ok().json();
    assert_eq!(status["unlock"]["opens"], true);
    assert!(status["unlock"]["source"].as_str().unwrap().contains("keyring"));
}

#[test]
fn a_desktop_with_a_keyring_is_what_init_takes_by_itself_and_standard_output_has_no_say() {
    let machine = Machine::bare(Desktop::open());
    let made = machine.run(["init", "--json"]).ok().json();
    assert_eq!((&made["unlock"], &made["identity_file"]), (&"keyring".into(), &serde_json::Value::Null));
    machine.run(["vault", "verify"]).ok();
}

#[test]
fn a_file_is_what_init_takes_where_there_is_no_keyring_or_a_file_is_named() {
    for flags in [&[][..], &["--identity-file", "mine.txt"]] {
        let machine = Machine::bare(Desktop::without_keyring());
        let made = machine.run([&["init", "--json"], flags].concat()).ok().json();
        assert_eq!(made["unlock"], "file");
        machine.run_without_desktop(["vault", "verify"]).ok();
    }
    let machine = Machine::bare(Desktop::open());
    machine.run(["init", "--identity-file", "mine.txt"]).ok();
    machine.run_without_desktop(["vault", "verify"]).ok();
    machine.run(["init", "--unlock", "keyring", "--identity-file", "mine.txt"]).fails(2);
}

/// Takes the line that names an identity file out of the configuration, and the file away.
fn forget_the_file(machine: &Machine) {
    std::fs::remove_file(machine.world.identity_file()).unwrap();
    let is_other = |line: &&str| !line.starts_with("identity_file");
    machine.world.edit_config(|text| text.lines().filter(is_other).flat_map(|line| [line, "\n"]).collect());
}

#[test]
fn a_keyring_is_let_into_a_vault_that_is_there_and_out_again() {
    let machine = Machine::bare(Desktop::open());
    machine.run(["init", "--unlock", "file"]).ok();
    machine.keep("one", "s3");
    machine.run(["vault", "slot", "remove", "--keyring"]).fails(8).says("status");
    let added = machine.run(["vault", "slot", "add", "--keyring", "--json"]).ok().says("is used first").json();
    assert_eq!((&added["kind"], &added["name"]), (&"keyring".into(), &serde_json::Value::Null));
    machine.run(["vault", "rotate"]).ok().says("1 entry sealed anew").says("in the keyring");
    forget_the_file(&machine);
    assert_eq!(machine.run(["get", "one"]).ok().stdout, "s3\n");
    machine.run(["vault", "slot", "remove", "--keyring"]).fails(2).says("only way").says("slot add passphrase");
    let words = ["vault", "slot", "add", "words", "--new-passphrase-fd", "0"];
    machine.feed(words, "six words that nobody else knows").ok();
    machine.run(["vault", "slot", "remove", "--keyring"]).ok().says("takes back no knowledge").says("vault rotate");
    assert!(machine.desktop.lookup(&format!("identity {}", machine.recipient())).is_empty());
    machine.run(["get", "one"]).fails(5).says("--passphrase-fd");
    assert!(machine.config().contains("keyring = false"));
}

#[test]
fn who_asks_for_a_keyring_where_none_is_hears_how_to_do_without() {
    let machine = Machine::bare(Desktop::without_keyring());
    let none = machine.run_without_desktop(["init", "--unlock", "keyring"]).fails(5);
    none.says("XDG_RUNTIME_DIR").says("`tokenkeep init --unlock file`");
    machine.run(["init", "--unlock", "keyring"]).fails(5).says("`tokenkeep init --unlock file`");
    machine.run(["init", "--unlock", "file"]).ok();
    machine.run(["vault", "slot", "add", "--keyring"]).fails(5).says("slot add passphrase");
    assert!(!machine.config().contains("keyring"));
    machine.run(["vault", "slot", "add", "desk", "--keyring"]).fails(2);
}

#[test]
fn locking_says_what_opens_the_vault_all_the_same() {
    let machine = Machine::new();
    machine.run(["lock"]).ok().says("unlock.keyring").says("while that is unlocked");
    machine.run(["unlock", "--for", "1m"]).ok().says("unlock.keyring");
    let locked = machine.run(["lock", "--json"]).ok().json();
    assert_eq!((&locked["closed"], &locked["source"]), (&1.into(), &"the keyring (unlock.keyring)".into()));
}

#[test]
fn init_makes_nothing_weaker_in_the_place_of_a_keyring_that_is_locked_or_silent() {
    let machine = Machine::bare(Desktop::open());
    machine.desktop.lock();
    for args in [&["init"][..], &["init", "--unlock", "keyring"]] {
        in_time(|| machine.run(args)).fails(5).says("locked");
    }
    machine.desktop.signal_keyring(Signal::STOP);
    in_time(|| machine.run(["init"])).fails(6).says("--unlock file");
    machine.desktop.signal_keyring(Signal::CONT);
    assert!(!machine.world.vault().join("vault.toml").exists());
    machine.run(["init", "--unlock", "file"]).ok();
}

#[test]
fn a_keyring_that_forgets_or_has_no_place_is_refused() {
    let machine = Machine::bare(Desktop::open());
    machine.desktop.set_default("session");
    machine.run(["init", "--unlock", "keyring"]).fails(5).says("end of the session");
    assert_eq!(machine.run(["init", "--json"]).ok().json()["unlock"], "file");
    let mut desktop = Desktop::without_keyring();
    desktop.start_closed_keyring();
    let machine = Machine::bare(desktop);
    machine.run(["init", "--unlock", "keyring"]).fails(5).says("no default collection");
    assert_eq!(machine.run(["init", "--json"]).ok().json()["unlock"], "file");
}

#[test]
fn a_locked_keyring_is_exit_5_at_once_and_names_are_listed_all_the_same() {
    let machine = Machine::logged_in();
    machine.desktop.lock();
    let begun = Instant::now();
    machine.run(["get", "prod"]).fails(5).says("the keyring is locked").says("secret-tool");
    assert!(begun.elapsed() < Duration::from_secs(2));
    let listed = machine.run(["list", "--json"]).ok().says("locked").json();
    assert_eq!((&listed[0]["name"], &listed[0]["state"]), (&"prod".into(), &serde_json::Value::Null));
    let status = machine.run(["status", "--json"]).ok().json();
    assert_eq!((&status["unlock"]["opens"], &status["unlock"]["locked"]), (&false.into(), &true.into()));
    assert!(status["problems"][0]["what"].as_str().unwrap().contains("locked"));
}

#[test]
fn nobody_is_asked_to_unlock_anything() {
    let machine = Machine::logged_in();
    machine.desktop.lock();
    let mut monitor = machine.desktop.command("dbus-monitor");
    let mut monitor = monitor.arg("--session").stdout(Stdio::piped()).spawn().unwrap();
    let mut heard = BufReader::new(monitor.stdout.take().unwrap());
    let mut text = String::new();
    while !text.contains("NameLost") {
        heard.read_line(&mut text).unwrap();
    }
    machine.run(["get", "prod"]).fails(5);
    machine.feed(["store", "other", "--stdin"], "text").fails(5);
    machine.run(["init", "--unlock", "keyring"]).fails(2);
    machine.run_without_desktop(["get", "prod"]).fails(5);
    // the monitor ends with the bus; all it heard comes first
    let Machine { desktop, .. } = machine;
    drop(desktop);
    heard.read_to_string(&mut text).unwrap();
    monitor.wait().unwrap();
    assert!(text.contains("member=SearchItems"), "the monitor heard nothing");
    assert!(!text.contains("member=Unlock") && !text.contains("member=Prompt"));
}

#[test]
fn an_absent_keyring_is_exit_5_in_words_that_say_which_part_is_missing() {
    let mut machine = Machine::logged_in();
    machine.run_without_desktop(["get", "prod"]).fails(5).says("no D-Bus").says("XDG_RUNTIME_DIR");
    machine.desktop.stop_keyring();
    in_time(|| machine.run(["get", "prod"])).fails(5).says("Secret Service");
    let mut nowhere = machine.world.command(["get", "prod"]);
    nowhere.env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent/bus");
    Ran::from(nowhere.output().unwrap()).fails(5).says("no D-Bus").says("/nonexistent/bus");
    machine.desktop.start_keyring();
    machine.run(["get", "prod"]).ok();
}

#[test]
fn the_bus_is_found_where_systemd_puts_its_socket() {
    let machine = Machine::logged_in();
    let mut command = machine.world.command(["get", "prod"]);
    command.env("XDG_RUNTIME_DIR", machine.desktop.socket().parent().unwrap());
    Ran::from(command.output().unwrap()).ok();
}

#[test]
fn a_silent_keyring_is_exit_6_after_the_deadline_and_so_is_a_silent_bus() {
    let machine = Machine::logged_in();
    machine.desktop.signal_keyring(Signal::STOP);
    in_time(|| machine.run(["get", "prod"])).fails(6).says("did not answer");
    in_time(|| machine.run(["list"])).ok().says("did not answer");
    machine.desktop.signal_keyring(Signal::CONT);
    machine.desktop.signal_bus(Signal::STOP);
    in_time(|| machine.run(["get", "prod"])).fails(6).says("did not answer");
    machine.desktop.signal_bus(Signal::CONT);
    machine.run(["get", "prod"]).ok();
}

#[test]
fn a_file_that_is_named_is_found_before_any_keyring_is_touched() {
    let machine = Machine::logged_in();
    let key = machine.desktop.lookup(&format!("identity {}", machine.recipient()));
    let path = machine.world.file("key.txt");
    crate::outside::write(&path, &key, 0o600);
    machine.desktop.signal_keyring(Signal::STOP);
    machine.desktop.signal_bus(Signal::STOP);
    let mut command = machine.command(["get", "prod"]);
    let begun = Instant::now();
    Ran::from(command.env("TOKENKEEP_IDENTITY_FILE", &path).output().unwrap()).ok();
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    machine.desktop.signal_bus(Signal::CONT);
    machine.desktop.signal_keyring(Signal::CONT);
}

#[test]
fn a_passphrase_opens_the_vault_for_who_has_no_keyring() {
    let machine = Machine::logged_in();
    let words = "correct horse battery staple";
    crate::outside::write(&machine.world.file("words"), words.as_bytes(), 0o600);
    let args = ["vault", "slot", "add", "recovery", "--new-passphrase-fd", "3"];
    let mut add = machine.world.shell("exec \"$0\" \"$@\" 3<words", args);
    Ran::from(add.env("DBUS_SESSION_BUS_ADDRESS", machine.desktop.address()).output().unwrap()).ok();
    machine.run_without_desktop(["get", "prod"]).fails(5).says("--passphrase-fd");
    machine.world.hand(["get", "prod", "--passphrase-fd", "3"], words).ok();
}

#[test]
fn two_vaults_in_one_keyring_do_not_meet() {
    let (one, other) = (Machine::logged_in(), Machine::bare(Desktop::without_keyring()));
    let run = |args: &[&str]| -> Ran {
        let mut command = other.world.command(args);
        command.env("DBUS_SESSION_BUS_ADDRESS", one.desktop.address()).output().unwrap().into()
    };
    run(&["init", "--unlock", "keyring"]).ok();
    run(&["vault", "verify"]).ok();
    one.run(["vault", "verify"]).ok();
    // the key of one is not taken for that of the other
    std::fs::copy(one.world.vault().join("vault.toml"), other.world.vault().join("vault.toml")).unwrap();
    run(&["vault", "verify"]).fails(5).says("not the vault you used");
}

#[test]
fn a_key_that_is_gone_from_the_keyring_is_missed_and_not_made_anew() {
    let machine = Machine::logged_in();
    let name = format!("identity {}", machine.recipient());
    let mut clear = machine.desktop.command("secret-tool");
    assert!(clear.args(["clear", "service", "tokenkeep", "username", &name]).status().unwrap().success());
    machine.run(["get", "prod"]).fails(5).says("holds nothing");
    assert!(machine.desktop.lookup(&name).is_empty());
}
