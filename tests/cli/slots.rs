//! Slots: ways into the vault that come and go, and what happens when somebody else changes them.

use std::thread;

use provider::Settings;

use crate::harness::{Ran, World};
use crate::outside::{Forger, chmod, digest, new_identity, snapshot, write};

const WORDS: &str = "correct horse battery staple";

/// A vault with the secret `one`.
fn world() -> World {
    let world = World::bare(Settings::default());
    world.run(["init"]).ok();
    world.keep("one", "secret");
    world
}

/// Adds a slot for a new identity in `NAME.txt`.
fn add_recipient(world: &World, name: &str) -> String {
    let recipient = new_identity(&world.file(&format!("{name}.txt")));
    world.run(["vault", "slot", "add", name, "--recipient", &recipient]).ok();
    recipient
}

/// Adds a slot for a passphrase.
fn add_words(world: &World, name: &str, words: &str) {
    world.hand(["vault", "slot", "add", name, "--new-passphrase-fd", "3"], words).ok();
}

/// Runs a command that an identity file opens.
fn with_identity(world: &World, name: &str, args: &[&str]) -> Ran {
    let path = world.file(&format!("{name}.txt"));
    world.command(args).env("TOKENKEEP_IDENTITY_FILE", path).output().unwrap().into()
}

#[test]
fn where_the_identity_file_is_lost_the_ways_of_the_slots_are_named() {
    let world = world();
    add_words(&world, "words", WORDS);
    std::fs::remove_file(world.identity_file()).unwrap();
    let ran = world.run(["get", "one"]).fails(5).says("--passphrase-fd 3 3<FILE");
    assert!(!ran.stderr.contains("TOKENKEEP_IDENTITY_FILE"), "{}", ran.stderr);
    let report = world.run(["doctor", "--offline"]).stdout;
    assert!(report.contains("--passphrase-fd 3 3<FILE"), "{report}");
    world.hand(["vault", "slot", "add", "ci", "--identity-file", "ci.txt", "--passphrase-fd", "3"], WORDS).ok();
    world.run(["get", "one"]).fails(5).says("--passphrase-fd 3 3<FILE").says("TOKENKEEP_IDENTITY_FILE");
    with_identity(&world, "ci", &["get", "one"]).ok();
}

#[test]
fn a_list_that_cannot_be_checked_is_not_shown() {
    let world = world();
    add_words(&world, "words", WORDS);
    world.forget_identity_file();
    world.run(["vault", "slot", "list"]).fails(5).says("--passphrase-fd 3 3<FILE");
    assert!(world.run(["status"]).ok().stdout.contains("words (passphrase)"));
    assert!(world.run(["vault", "slot", "list", "--help"]).ok().stdout.contains("tokenkeep status"));
}

/// The names of the slots.
fn slots(world: &World) -> Vec<String> {
    let list = world.run(["vault", "slot", "list", "--json"]).ok().json();
    list.as_array().unwrap().iter().map(|slot| slot["name"].as_str().unwrap().to_owned()).collect()
}

/// Changes `vault.toml`.
fn edit_header(world: &World, change: impl FnOnce(String) -> String) {
    let path = world.vault().join("vault.toml");
    let text = change(std::fs::read_to_string(&path).unwrap());
    write(&path, text.as_bytes(), 0o600);
}

#[test]
fn a_new_recipient_opens_the_vault() {
    let world = world();
    add_recipient(&world, "ci");
    assert_eq!(with_identity(&world, "ci", &["get", "one"]).ok().stdout, "secret\n");
}

#[test]
fn a_key_whose_slot_is_damaged_does_not_hinder_the_next_one_in_the_file() {
    let world = world();
    add_recipient(&world, "one");
    add_recipient(&world, "two");
    let keys = ["one.txt", "two.txt"].map(|name| std::fs::read_to_string(world.file(name)).unwrap());
    write(&world.file("both.txt"), keys.concat().as_bytes(), 0o600);
    write(&world.vault().join("slots/one.age"), b"rubbish", 0o600);
    with_identity(&world, "both", &["get", "one"]).ok();
    with_identity(&world, "one", &["get", "one"]).fails(5).says("slot `one`");
}

#[test]
fn each_of_several_slots_opens_the_vault() {
    let world = world();
    add_recipient(&world, "one");
    add_recipient(&world, "two");
    add_words(&world, "words", WORDS);
    for name in ["one", "two"] {
        with_identity(&world, name, &["get", "one"]).ok();
    }
    world.hand(["get", "one", "--passphrase-fd", "3"], WORDS).ok();
}

#[test]
fn slots_are_listed_with_kind_and_recipient() {
    let world = world();
    let recipient = add_recipient(&world, "ci");
    add_words(&world, "words", WORDS);
    let list = world.run(["vault", "slot", "list", "--json"]).ok().json();
    assert_eq!(list[0]["kind"], "recipient");
    assert_eq!(list[0]["recipient"], recipient);
    assert_eq!((&list[1]["kind"], &list[1]["recipient"]), (&"passphrase".into(), &serde_json::Value::Null));
    let text = world.run(["vault", "slot", "list"]).ok().stdout;
    assert!(text.contains("ci") && text.contains(&recipient) && text.contains("words"), "{text}");
}

#[test]
fn a_removed_slot_opens_nothing_and_leaves_no_file() {
    let world = world();
    add_recipient(&world, "ci");
    world.run(["vault", "slot", "remove", "ci"]).ok();
    with_identity(&world, "ci", &["get", "one"]).fails(5);
    assert!(!world.vault().join("slots/ci.age").exists());
}

#[test]
fn the_last_way_in_is_not_removed() {
    let world = world();
    add_recipient(&world, "one");
    add_recipient(&world, "two");
    with_identity(&world, "one", &["vault", "slot", "remove", "two"]).ok();
    with_identity(&world, "one", &["vault", "slot", "remove", "one"]).fails(2).says("last slot");
    with_identity(&world, "one", &["get", "one"]).ok();
}

#[test]
fn who_opens_the_vault_with_its_own_key_may_remove_the_last_slot() {
    let world = world();
    add_recipient(&world, "ci");
    world.run(["vault", "slot", "remove", "ci"]).ok();
    world.run(["get", "one"]).ok();
}

#[test]
fn a_slot_that_is_not_there_is_exit_8() {
    world().run(["vault", "slot", "remove", "nothing"]).fails(8);
}

#[test]
fn a_slot_of_that_name_or_of_the_same_letters_is_not_replaced() {
    let world = world();
    add_recipient(&world, "ci");
    let before = snapshot(&world.vault());
    let other = new_identity(&world.file("other.txt"));
    world.run(["vault", "slot", "add", "ci", "--recipient", &other]).fails(2);
    world.run(["vault", "slot", "add", "CI", "--recipient", &other]).fails(2);
    assert_eq!(snapshot(&world.vault()), before);
    with_identity(&world, "ci", &["get", "one"]).ok();
}

#[test]
fn the_vaults_own_key_gets_no_slot_which_would_outlive_a_rotation() {
    let world = world();
    let before = snapshot(&world.vault());
    let own = std::fs::read_to_string(world.vault().join("vault.toml")).unwrap();
    let own = own.lines().find_map(|line| line.strip_prefix("recipient = ")).unwrap().trim_matches('"').to_owned();
    let ran = world.run(["vault", "slot", "add", "me", "--recipient", &own]).fails(2);
    assert!(ran.stderr.contains("own key"), "{}", ran.stderr);
    assert_eq!(snapshot(&world.vault()), before);
}

#[test]
fn a_mistake_beside_a_recipient_is_named_for_what_it_is() {
    let world = world();
    let other = new_identity(&world.file("other.txt"));
    let ran = world.run(["vault", "slot", "add", "--recipient", &other]).fails(2);
    assert!(ran.stderr.contains("NAME") && !ran.stderr.contains("like a token"), "{}", ran.stderr);
}

#[test]
fn what_is_no_recipient_is_refused_and_nothing_is_written() {
    let world = world();
    for text in ["", "age1", "hello", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA", "age1yubikey1qqqq"] {
        world.run(["vault", "slot", "add", "ci", "--recipient", text]).fails(2);
    }
    let key = std::fs::read_to_string(world.identity_file()).unwrap();
    let key = key.lines().find(|line| line.starts_with("AGE-SECRET-KEY-")).unwrap();
    let ran = world.run(["vault", "slot", "add", "ci", "--recipient", key]).fails(2);
    ran.says("secret key").says("age-keygen -y").hides(key);
    assert!(!world.vault().join("slots/ci.age").exists());
}

#[test]
fn a_slot_named_like_a_path_is_refused() {
    let world = world();
    let recipient = new_identity(&world.file("ci.txt"));
    for name in ["../../evil", "a/b", ".", "", "a\nb"] {
        world.run(["vault", "slot", "add", name, "--recipient", &recipient]).fails(2);
    }
}

#[test]
fn a_new_passphrase_that_nobody_can_type_is_exit_5_and_names_the_right_flag() {
    world().run(["vault", "slot", "add", "words"]).fails(5).says("--new-passphrase-fd 3");
}

#[test]
fn a_new_passphrase_is_asked_for_twice_on_a_terminal() {
    let world = world();
    let mut terminal = world.on_terminal(["vault", "slot", "add", "words"]);
    terminal.sees("New passphrase: ").types(WORDS).sees("once more: ").types(WORDS).ends().with(0).hides("horse");
    world.hand(["get", "one", "--passphrase-fd", "3"], WORDS).ok();
}

#[test]
fn slots_that_are_added_at_the_same_time_all_stay() {
    let world = world();
    let names: Vec<String> = (0..8).map(|number| format!("slot{number}")).collect();
    thread::scope(|scope| {
        for name in &names {
            scope.spawn(|| add_recipient(&world, name));
        }
    });
    let mut found = slots(&world);
    found.sort();
    assert_eq!(found, names);
}

#[test]
fn a_slot_file_that_was_replaced_is_reported_by_name() {
    let world = world();
    add_recipient(&world, "ci");
    let other = new_identity(&world.file("other.txt"));
    let identity = std::fs::read(world.identity_file()).unwrap();
    let wrapped = crate::outside::age(&["-r".as_ref(), other.as_ref()], &identity);
    write(&world.vault().join("slots/ci.age"), &wrapped, 0o600);
    with_identity(&world, "ci", &["get", "one"]).fails(5).says("slot `ci`").says("`tokenkeep vault slot remove ci`");
}

#[test]
fn a_slot_file_with_another_identity_in_it_opens_nothing() {
    let world = world();
    let recipient = add_recipient(&world, "ci");
    let other = world.file("other.txt");
    new_identity(&other);
    let wrapped = crate::outside::age(&["-r".as_ref(), recipient.as_ref()], &std::fs::read(other).unwrap());
    let path = world.vault().join("slots/ci.age");
    let before = digest(&std::fs::read(&path).unwrap());
    write(&path, &wrapped, 0o600);
    with_identity(&world, "ci", &["get", "one"]).fails(5).says("slot `ci`");
    // even with the digest in the header made to fit
    edit_header(&world, |text| text.replace(&before, &digest(&wrapped)));
    with_identity(&world, "ci", &["get", "one"]).fails(5).says("slot `ci`");
}

#[test]
fn a_slot_that_was_tampered_with_keeps_nobody_out_of_the_others() {
    let world = world();
    add_recipient(&world, "aa");
    add_recipient(&world, "bb");
    write(&world.vault().join("slots/aa.age"), b"rubbish", 0o600);
    with_identity(&world, "bb", &["get", "one"]).ok();
    std::fs::remove_file(world.vault().join("slots/aa.age")).unwrap();
    with_identity(&world, "bb", &["get", "one"]).ok();
}

#[test]
fn a_slot_whose_file_was_tampered_with_or_lost_can_be_removed() {
    let world = world();
    add_recipient(&world, "aa");
    add_recipient(&world, "bb");
    write(&world.vault().join("slots/aa.age"), b"rubbish", 0o600);
    world.run(["vault", "slot", "remove", "aa"]).ok();
    std::fs::remove_file(world.vault().join("slots/bb.age")).unwrap();
    world.run(["vault", "slot", "remove", "bb"]).ok();
    world.run(["vault", "verify"]).ok();
}

#[test]
fn a_slot_file_with_a_huge_work_factor_is_refused_quickly() {
    let world = world();
    add_words(&world, "words", WORDS);
    let path = world.vault().join("slots/words.age");
    let file = std::fs::read(&path).unwrap();
    let line = file.iter().position(|&byte| byte == b'\n').unwrap() + 1;
    let text = String::from_utf8_lossy(&file[line..]).lines().next().unwrap().to_owned();
    assert!(text.starts_with("-> scrypt ") && text.ends_with(" 18"), "{text}");
    let mut before = digest(&file);
    for factor in [" 21", " 30", " 40"] {
        let heavy = [&file[..line], text.replace(" 18", factor).as_bytes(), &file[line + text.len()..]].concat();
        write(&path, &heavy, 0o600);
        edit_header(&world, |text| text.replace(&before, &digest(&heavy)));
        before = digest(&heavy);
        let begun = std::time::Instant::now();
        world.hand(["get", "one", "--passphrase-fd", "3"], WORDS).fails(5).says("slot `words`");
        assert!(begun.elapsed() < std::time::Duration::from_secs(1), "{factor}: {:?}", begun.elapsed());
    }
}

#[test]
fn a_slot_that_somebody_wrote_into_the_list_is_refused() {
    let world = world();
    let evil = world.file("evil.txt");
    let recipient = new_identity(&evil);
    let file = crate::outside::age(&["-r".as_ref(), recipient.as_ref()], &std::fs::read(&evil).unwrap());
    write(&world.vault().join("slots/evil.age"), &file, 0o600);
    let slot = format!(
        "\n[[slots]]\nname = \"evil\"\nkind = \"recipient\"\nrecipient = \"{recipient}\"\ndigest = \"{}\"\n",
        digest(&file)
    );
    edit_header(&world, |text| text.replace("slots = []", "") + &slot);
    world.run(["get", "one"]).fails(5).says("vault.toml").says("authentication code");
    with_identity(&world, "evil", &["get", "one"]).fails(5);
}

#[test]
fn a_slot_that_somebody_took_from_the_list_is_refused() {
    let world = world();
    add_recipient(&world, "ci");
    edit_header(&world, |text| text.split("[[slots]]").next().unwrap().to_owned());
    world.run(["get", "one"]).fails(5).says("vault.toml");
}

#[test]
fn a_recipient_that_was_swapped_redirects_nothing() {
    let world = world();
    let evil = new_identity(&world.file("evil.txt"));
    let ours = Forger::of(&world).recipient().to_string();
    edit_header(&world, |text| text.replace(&ours, &evil));
    let before = snapshot(&world.vault());
    world.run(["get", "one"]).fails(5).says("not the vault you used");
    world.feed(["store", "two", "--kind", "secret", "--stdin"], "x").fails(5);
    assert_eq!(snapshot(&world.vault()), before);
}

#[test]
fn a_recipient_that_was_swapped_is_refused_by_who_never_saw_the_vault() {
    let world = world();
    let evil = new_identity(&world.file("evil.txt"));
    let ours = Forger::of(&world).recipient().to_string();
    edit_header(&world, |text| text.replace(&ours, &evil));
    std::fs::remove_dir_all(world.home().join("state")).unwrap();
    world.run(["get", "one"]).fails(5);
    world.run(["vault", "verify", "--trust"]).fails(5);
}

#[test]
fn a_code_that_does_not_fit_is_refused() {
    let world = world();
    edit_header(&world, |text| {
        let at = text.find("mac = \"").unwrap() + 7;
        let other = if text.as_bytes()[at] == b'0' { "1" } else { "0" };
        format!("{}{other}{}", &text[..at], &text[at + 1..])
    });
    world.run(["get", "one"]).fails(5).says("authentication code");
}

#[test]
fn a_header_that_cannot_be_read_is_named() {
    for text in ["", "format = 1\n", "rubbish", "format = 2\nrecipient = \"\"\nmac = \"\"\n", "\u{0}"] {
        let world = world();
        edit_header(&world, |_| text.to_owned());
        world.run(["get", "one"]).fails(5).says("vault.toml");
    }
}

#[test]
fn a_header_with_a_key_that_nobody_knows_is_refused() {
    let world = world();
    edit_header(&world, |text| format!("extra = 1\n{text}"));
    world.run(["get", "one"]).fails(5).says("vault.toml");
}

#[test]
fn a_header_that_is_a_link_is_refused() {
    let world = world();
    let path = world.vault().join("vault.toml");
    std::fs::rename(&path, world.file("elsewhere.toml")).unwrap();
    std::os::unix::fs::symlink(world.file("elsewhere.toml"), &path).unwrap();
    world.run(["get", "one"]).fails(5).says("symbolic link");
}

#[test]
fn a_header_that_others_can_write_is_refused() {
    let world = world();
    chmod(&world.vault().join("vault.toml"), 0o622);
    world.run(["get", "one"]).fails(5).says("chmod 600");
}

/// Puts the vault of somebody else, which our identity opens too, in the place of ours.
fn replaced() -> World {
    let (ours, theirs) = (world(), world());
    let recipient = Forger::of(&ours).recipient().to_string();
    theirs.run(["vault", "slot", "add", "victim", "--recipient", &recipient]).ok();
    std::fs::rename(ours.vault(), ours.file("before")).unwrap();
    std::fs::rename(theirs.vault(), ours.vault()).unwrap();
    ours
}

#[test]
fn another_vault_in_the_place_of_ours_is_refused() {
    replaced().run(["get", "one"]).fails(5).says("not the vault you used").says("vault verify --trust");
}

#[test]
fn nothing_is_stored_in_another_vault() {
    let world = replaced();
    let before = snapshot(&world.vault());
    world.feed(["store", "two", "--kind", "secret", "--stdin"], "mine").fails(5);
    assert_eq!(snapshot(&world.vault()), before);
}

#[test]
fn another_vault_is_trusted_on_demand_and_both_digests_are_shown() {
    let world = replaced();
    let ours = digest(Forger::of(&world).recipient().to_string().as_bytes());
    let text = std::fs::read_to_string(world.vault().join("vault.toml")).unwrap();
    let theirs = digest(text.split('"').nth(1).unwrap().as_bytes());
    world.run(["vault", "verify", "--trust"]).ok().says(&ours).says(&theirs);
    world.run(["get", "one"]).ok();
}

#[test]
fn a_vault_is_trusted_with_a_passphrase_that_can_be_read_once() {
    let world = world();
    add_words(&world, "words", "one two three");
    world.forget_identity_file();
    std::fs::remove_dir_all(world.home().join("state")).unwrap();
    world.hand(["vault", "verify", "--trust", "--passphrase-fd", "3"], "one two three").ok().says("expected now");
}

#[test]
fn a_vault_is_not_trusted_by_who_cannot_open_it() {
    let world = replaced();
    std::fs::remove_file(world.identity_file()).unwrap();
    new_identity(&world.identity_file());
    world.run(["vault", "verify", "--trust"]).fails(5);
    world.run(["get", "one"]).fails(5).says("not the vault you used");
}

#[test]
fn another_vault_asks_nobody_for_the_passphrase() {
    let world = replaced();
    world.forget_identity_file();
    world.on_terminal(["get", "one"]).sees("not the vault you used").ends().with(5);
}

#[test]
fn a_vault_that_this_machine_has_not_seen_is_pinned() {
    let world = world();
    let state = world.home().join("state");
    let before = snapshot(&state);
    std::fs::remove_dir_all(&state).unwrap();
    world.run(["get", "one"]).ok();
    let pins = |all: std::collections::BTreeMap<std::path::PathBuf, (u32, Vec<u8>)>| {
        all.into_iter().filter(|(path, _)| path.starts_with(state.join("pins"))).collect::<Vec<_>>()
    };
    assert_eq!(pins(snapshot(&state)), pins(before));
}

#[test]
fn a_state_folder_that_others_can_write_is_refused() {
    let world = world();
    for folder in ["state/pins", "state"] {
        chmod(&world.home().join(folder), 0o777);
        world.run(["get", "one"]).fails(5).says("chmod 700");
        chmod(&world.home().join(folder), 0o700);
    }
}

#[test]
fn a_pin_that_is_a_link_is_refused() {
    let world = world();
    let pins = world.home().join("state/pins");
    let pin = std::fs::read_dir(&pins).unwrap().next().unwrap().unwrap().path();
    std::fs::rename(&pin, world.file("pin")).unwrap();
    std::os::unix::fs::symlink(world.file("pin"), &pin).unwrap();
    world.run(["get", "one"]).fails(5).says("symbolic link");
}

#[test]
fn a_slots_folder_that_is_a_link_gets_no_slot() {
    let world = world();
    std::fs::remove_dir_all(world.vault().join("slots")).unwrap();
    std::fs::create_dir(world.file("elsewhere")).unwrap();
    std::os::unix::fs::symlink(world.file("elsewhere"), world.vault().join("slots")).unwrap();
    let recipient = new_identity(&world.file("ci.txt"));
    world.run(["vault", "slot", "add", "ci", "--recipient", &recipient]).fails(5).says("symbolic link");
    assert_eq!(std::fs::read_dir(world.file("elsewhere")).unwrap().count(), 0);
}

#[test]
fn what_lies_beside_the_slots_is_ignored_and_reported() {
    let world = world();
    add_recipient(&world, "ci");
    for name in ["slots/other.age", "slots/ci.age~", "notes.txt"] {
        write(&world.vault().join(name), b"foreign", 0o644);
    }
    let verified = world.run(["vault", "verify"]).ok();
    verified.says("slots/other.age").says("slots/ci.age~").says("notes.txt");
}

#[test]
fn a_good_vault_reports_nothing_foreign() {
    let world = world();
    add_recipient(&world, "ci");
    assert_eq!(world.run(["vault", "verify"]).ok().stderr, "");
}
