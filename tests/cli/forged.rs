//! Forged words: who can write our folders, and has no key, neither writes on a terminal nor puts a refresh off for long.

use std::os::unix::fs::symlink;
use std::time::SystemTime;

use provider::Settings;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::harness::{Ran, World, short_lived};
use crate::outside::{sh, write};

/// Moves the cursor, ends the line, and turns the direction of writing.
const EVIL: &str = "x\u{1b}[2J\u{7}\n  hint: type `evil`\u{202e}";

/// Claims that nothing of [`EVIL`] reaches a terminal as it is.
#[track_caller]
fn is_harmless(ran: &Ran) {
    for text in [&ran.stdout, &ran.stderr] {
        assert!(!text.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{text:?}");
        assert!(!text.lines().any(|line| line.starts_with("  hint: type `evil`")), "{text}");
    }
}

/// Writes a note into the lock of `prod`, as the keeper would.
fn note(world: &World, seconds_ago: u64, event: &Value) {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let (generation, since) = (world.generation("prod"), now - seconds_ago);
    let note = json!({"generation": generation, "since": since, "lost_since": null, "tries": u32::MAX, "event": event});
    let digest = format!("{:x}", Sha256::digest(note.to_string()));
    let record = format!("{note}\n{}\n", &digest[..16]);
    write(&world.entry("prod").join("lock"), format!("{record:4096}").as_bytes(), 0o600);
}

#[test]
fn a_forged_note_writes_nothing_on_the_terminal() {
    let world = World::logged_in(short_lived(1));
    let away = json!({"unavailable": {"retry_at": 99_999_999_999_u64, "why": EVIL}});
    let refused = json!({"refused": {"at": 0, "words": EVIL, "fingerprint": "", "lost_since": null}});
    for event in [away, refused] {
        note(&world, 5, &event);
        for args in [&["list"][..], &["status"], &["show", "prod"], &["doctor"]] {
            is_harmless(&world.run(args));
        }
    }
}

#[test]
fn a_forged_note_puts_a_refresh_off_for_an_hour_at_most() {
    let world = World::logged_in(Settings::default());
    let away = json!({"unavailable": {"retry_at": 99_999_999_999_u64, "why": EVIL}});
    note(&world, 3_500, &away);
    is_harmless(&world.run(["get", "prod"]).fails(6));
    note(&world, 3_700, &away);
    world.run(["get", "prod"]).ok();
}

#[test]
fn a_forged_header_or_name_writes_nothing_on_the_terminal() {
    let world = World::logged_in(Settings::default());
    let header = world.home().join("data/vault/vault.toml");
    let text = std::fs::read_to_string(&header).unwrap();
    let key = toml_edit::Key::new(EVIL).to_string();
    write(&header, format!("{key} = 1\n{text}").as_bytes(), 0o600);
    for args in [&["get", "prod"][..], &["status"], &["vault", "verify"], &["doctor"]] {
        is_harmless(&world.run(args));
    }
    write(&header, text.as_bytes(), 0o600);
    let config = std::fs::read_to_string(world.home().join("config/config.toml")).unwrap();
    let value = toml_edit::Value::from(EVIL).to_string();
    for line in
        [format!("[profiles.evil]\nissuer = 'https://a'\nclient_id = {value}\nca_file = {value}\n"), key + " = 1\n"]
    {
        world.edit_config(|_| format!("{config}\n{line}"));
        for args in
            [&["get", "prod"][..], &["profile", "list"], &["status", "--explain"], &["generate", "evil"], &["doctor"]]
        {
            is_harmless(&world.run(args));
        }
    }
}

#[test]
fn a_journal_folder_that_is_a_link_or_open_to_others_is_refused_before_anything_is_sent() {
    let world = World::logged_in(Settings::default());
    world.run(["get", "prod"]).ok();
    let (spent, elsewhere) = (world.home().join("state/spent"), world.file("elsewhere"));
    std::fs::rename(&spent, &elsewhere).unwrap();
    symlink(&elsewhere, &spent).unwrap();
    let exchanges = world.provider.exchanges();
    world.run(["get", "prod", "--no-cache"]).fails(5).says("spent is a symbolic link");
    std::fs::remove_file(&spent).unwrap();
    std::fs::rename(&elsewhere, &spent).unwrap();
    crate::outside::chmod(&spent, 0o777);
    let refused = world.run(["get", "prod", "--no-cache"]).fails(5).says("open to others");
    assert_eq!(world.provider.exchanges(), exchanges);
    sh(&crate::outside::hinted(&refused));
    world.run(["get", "prod", "--no-cache"]).ok();
}

#[test]
fn a_file_that_is_linked_into_the_place_of_a_lock_is_not_written_over() {
    let world = World::logged_in(Settings::default());
    let (precious, lock) = (world.file("precious"), world.entry("prod").join("lock"));
    drop(std::fs::remove_file(&lock));
    write(&precious, b"precious", 0o600);
    std::fs::hard_link(&precious, &lock).unwrap();
    world.run(["get", "prod"]).fails(1).says("no lock");
    assert_eq!(std::fs::read(&precious).unwrap(), b"precious");
    assert_eq!(world.provider.exchanges(), 0);
}
