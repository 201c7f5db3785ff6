//! Recovery: age alone gets everything back, and a vault from yesterday costs nobody today's login.

use std::process::Command;

use provider::{Reuse, Settings};

use crate::harness::{World, short_lived};
use crate::outside::{Forger, age, digest, new_identity, sh};
use crate::terminal::{LAST_WORDS, Terminal};

const WORDS: &str = "correct horse battery staple";

/// What `age -d -i` prints of a file.
fn decrypted(world: &World, identity: &std::path::Path, file: &std::path::Path) -> String {
    assert!(file.starts_with(world.folder.path()));
    let args = ["-d".as_ref(), "-i".as_ref(), identity.as_os_str(), file.as_os_str()];
    String::from_utf8(age(&args, b"")).unwrap()
}

#[test]
fn age_alone_prints_an_entry_as_two_lines() {
    let world = World::logged_in(Settings::default());
    let text = decrypted(&world, &world.identity_file(), &world.entry("prod").join("1.age"));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2);
    assert!(serde_json::from_str::<serde_json::Value>(lines[0]).unwrap().is_object());
    assert_eq!(lines[1].len(), 64);
}

#[test]
fn age_alone_recovers_a_refresh_token_that_the_provider_takes() {
    let world = World::logged_in(Settings::default());
    world.run(["get", "prod"]).ok();
    let text = decrypted(&world, &world.identity_file(), &world.entry("prod").join("2.age"));
    let entry: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!(entry["name"], "prod");
    assert_eq!(entry["generation"], 2);
    assert!(world.provider.is_refresh_live(entry["body"]["refresh_token"].as_str().unwrap()));
}

#[test]
fn openssl_alone_checks_the_code_of_an_entry() {
    let world = World::logged_in(Settings::default());
    let text = decrypted(&world, &world.identity_file(), &world.entry("prod").join("1.age"));
    let (json, code) = text.trim_end().split_once('\n').unwrap();
    let script = format!(
        "key=$(openssl kdf -keylen 32 -binary -kdfopt digest:SHA2-256 -kdfopt hexkey:{} \
         -kdfopt info:tokenkeep/1/entry HKDF | od -An -tx1 | tr -d ' \\n'); \
         printf '%s' \"$1\" | openssl dgst -sha256 -mac HMAC -macopt hexkey:$key | cut -d' ' -f2",
        Forger::of(&world).hex_bytes()
    );
    let output = Command::new("/bin/sh").args(["-c", &script, "sh", json]).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), code, "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn age_alone_opens_a_slot_with_the_identity_it_was_made_for() {
    let world = World::new();
    let other = world.file("other.txt");
    let recipient = new_identity(&other);
    world.run(["vault", "slot", "add", "other", "--recipient", &recipient]).ok();
    let identity = decrypted(&world, &other, &world.vault().join("slots/other.age"));
    assert!(std::fs::read_to_string(world.identity_file()).unwrap().contains(identity.trim()));
}

#[test]
fn age_alone_opens_a_slot_with_its_passphrase() {
    let world = World::new();
    world.hand(["vault", "slot", "add", "words", "--new-passphrase-fd", "3"], WORDS).ok();
    let slot = world.vault().join("slots/words.age");
    let mut command = Command::new("/bin/sh");
    let script = format!("age -d -o recovered \"$1\"; {LAST_WORDS}");
    command.args(["-c", &script, "sh"]).arg(slot).current_dir(world.folder.path());
    Terminal::of(&command).sees("passphrase").types(WORDS).ends().with(0);
    let recovered = std::fs::read_to_string(world.file("recovered")).unwrap();
    assert!(std::fs::read_to_string(world.identity_file()).unwrap().contains(recovered.trim()));
}

#[test]
fn an_identity_of_age_keygen_makes_and_opens_a_vault() {
    let world = World::bare(Settings::default());
    sh(&format!("umask 077; age-keygen -o '{}' 2>/dev/null", world.file("keygen.txt").display()));
    world.run(["init", "--identity-file", "keygen.txt"]).ok();
    world.keep("one", "secret");
    let text = decrypted(&world, &world.file("keygen.txt"), &world.entry("one").join("1.age"));
    assert!(text.contains("secret"));
}

/// A vault that was restored from before the last rotation; returns the token that is spent since.
fn restored(settings: Settings) -> (World, String) {
    let world = World::with(settings);
    let spent = world.store_login("prod");
    let (vault, backup) = (world.vault(), world.file("backup"));
    sh(&format!("cp -a '{}' '{}'", vault.display(), backup.display()));
    world.run(["get", "prod"]).ok();
    assert_eq!(world.provider.presentations(&spent), 1);
    sh(&format!("rm -r '{0}' && cp -a '{1}' '{0}'", vault.display(), backup.display()));
    (world, spent)
}

#[test]
fn an_old_backup_is_told_by_its_spent_token_and_nothing_is_sent() {
    let (world, spent) = restored(Settings::default());
    world.run(["get", "prod"]).fails(4).says("prod").says("exchanged before").hides(&spent);
    assert_eq!(world.provider.presentations(&spent), 1);
    assert!(world.provider.family_alive());
}

#[test]
fn whoever_looks_sees_that_a_token_is_spent_and_what_helps() {
    let world = World::logged_in(short_lived(300));
    world.token("prod");
    let (vault, backup) = (world.vault(), world.file("backup"));
    sh(&format!("cp -a '{}' '{}'", vault.display(), backup.display()));
    assert_eq!(world.run(["list", "--json"]).ok().json()[0]["state"], "good");
    world.run(["get", "prod", "--no-cache"]).ok();
    // the newest is not spent, nor is it while the journal knows of others
    assert_eq!(world.run(["list", "--json"]).ok().json()[0]["state"], "good");
    sh(&format!("rm -r '{0}' && cp -a '{1}' '{0}'", vault.display(), backup.display()));
    world.run(["get", "prod", "--no-cache"]).fails(4).says("exchanged");
    assert_eq!(world.run(["list", "--json"]).ok().json()[0]["state"], "spent");
    assert_eq!(world.run(["show", "prod", "--json"]).ok().json()["state"], "spent");
    let status = world.run(["status"]).ok();
    for part in ["1 spent", "exchanged for a newer one before", "tokenkeep generate prod"] {
        assert!(status.stdout.contains(part), "{part}: {status:?}");
    }
    let doctor = world.run(["doctor", "--json"]);
    let findings = doctor.json();
    let entry = findings["checks"].as_array().unwrap().iter().find(|one| one["check"] == "entry prod").unwrap();
    assert_eq!(entry["status"], "warn", "{entry}");
    assert!(entry["mend"].as_str().unwrap().contains("tokenkeep generate prod"), "{entry}");
}

#[test]
fn no_force_presents_a_spent_token() {
    let (world, spent) = restored(Settings::default());
    world.run(["refresh", "prod", "--force"]).fails(4);
    world.run(["get", "prod", "--no-cache"]).fails(4);
    world.run(["refresh", "--all"]).fails(4);
    assert_eq!(world.provider.presentations(&spent), 1);
}

#[test]
fn a_spent_token_is_presented_by_who_insists() {
    let (world, spent) = restored(Settings { reuse: Reuse::IsExpected, ..Settings::default() });
    world.run(["refresh", "prod", "--present-spent"]).fails(4);
    assert_eq!(world.provider.presentations(&spent), 2);
}

#[test]
fn a_new_login_ends_the_trouble_with_an_old_backup() {
    let (world, _) = restored(Settings::default());
    world.store_login("prod");
    world.run(["get", "prod"]).ok();
}

#[test]
fn an_old_backup_of_a_token_that_is_still_the_newest_works() {
    let world = World::logged_in(Settings::default());
    world.run(["get", "prod"]).ok();
    let (vault, backup) = (world.vault(), world.file("backup"));
    sh(&format!("cp -a '{0}' '{1}' && rm -r '{0}' && mv '{1}' '{0}'", vault.display(), backup.display()));
    world.run(["get", "prod", "--no-cache"]).ok();
}

#[test]
fn the_journal_of_spent_tokens_holds_no_token() {
    let (world, spent) = restored(Settings::default());
    let journal = std::fs::read_to_string(world.home().join("state/spent/prod")).unwrap();
    assert!(!journal.contains(&spent) && !journal.contains(&digest(spent.as_bytes())), "{journal}");
}

#[test]
fn a_token_that_was_spent_under_another_name_is_not_presented() {
    let world = World::with(short_lived(300));
    let token = world.store_login("prod");
    world.add_profile("twin", &[]);
    world.feed(["store", "twin", "--kind", "refresh-token", "--stdin"], &token).ok();
    world.token("prod");
    world.run(["get", "twin"]).fails(4).says("exchanged before");
    assert_eq!(world.provider.presentations(&token), 1);
    assert!(world.provider.family_alive());
}

#[test]
fn a_spent_token_that_is_stored_replaces_no_login_that_is_not() {
    let world = World::with(short_lived(300));
    let spent = world.store_login("prod");
    world.token("prod");
    let store = ["store", "prod", "--kind", "refresh-token", "--stdin", "--revoke-old"];
    world.feed(store, &spent).fails(4).says("exchanged for a newer one").says("tokenkeep generate prod").hides(&spent);
    world.run(["get", "prod", "--no-cache"]).ok();
    assert_eq!(world.provider.presentations(&spent), 1);
    // what does not open may be the newest one, too
    let newest = world.entry("prod").join("3.age");
    std::fs::write(&newest, "damaged").unwrap();
    world.feed(store, &spent).fails(4);
    assert_eq!(std::fs::read_to_string(newest).unwrap(), "damaged");
}

#[test]
fn after_an_old_backup_the_hint_to_log_in_again_works() {
    let world = World::logged_in(short_lived(300));
    let old = world.provider.newest_refresh_token().unwrap();
    world.token("prod");
    world.run(["delete", "prod", "--yes"]).ok();
    world.feed(["store", "prod", "--kind", "refresh-token", "--stdin"], &old).ok().says("exchanged for a newer one");
    world.run(["get", "prod"]).fails(4).says("tokenkeep generate prod");
    world.run(["generate", "prod", "--no-browser"]).ok();
    world.run(["get", "prod", "--no-cache"]).ok();
}
