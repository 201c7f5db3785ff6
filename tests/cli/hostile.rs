//! Hostile files: what is damaged, moved or planted in the vault is refused by name, and costs nobody anything else.

use std::os::unix::fs::{chown, symlink};
use std::path::PathBuf;

use provider::Settings;

use crate::harness::{Ran, World};
use crate::outside::{Forger, NOBODY, age, chmod, hinted, is_root, new_identity, sh, snapshot, write};

/// A vault with the secrets `one` and `two`.
fn world() -> World {
    let world = World::bare(Settings::default());
    world.run(["init"]).ok();
    world.keep("one", "first secret");
    world.keep("two", "second secret");
    world
}

/// The file of a generation of `one`.
fn file(world: &World, generation: u64) -> PathBuf {
    world.entry("one").join(format!("{generation}.age"))
}

/// Claims that `get one` is refused with a reason and a hint, that nothing was changed, and that `two` still opens.
#[track_caller]
fn is_refused(world: &World) -> Ran {
    let before = snapshot(&world.vault());
    let ran = world.run(["get", "one"]).fails(5).hides("first secret");
    assert_eq!(world.token("two"), "second secret");
    world.run(["vault", "verify"]).fails(5).says("one");
    world.run(["list"]).ok();
    assert_eq!(snapshot(&world.vault()), before);
    ran
}

#[test]
fn an_empty_file_is_refused() {
    let world = world();
    write(&file(&world, 1), b"", 0o600);
    is_refused(&world).says("1.age").says("age file");
}

#[test]
fn a_file_that_was_cut_anywhere_is_refused() {
    let world = world();
    let whole = std::fs::read(file(&world, 1)).unwrap();
    for length in (0..whole.len()).step_by(23).chain([whole.len() - 1]) {
        write(&file(&world, 1), &whole[..length], 0o600);
        world.run(["get", "one"]).fails(5).says("1.age").hides("first secret");
    }
    is_refused(&world);
}

#[test]
fn a_file_with_a_flipped_bit_anywhere_is_refused() {
    let world = world();
    let whole = std::fs::read(file(&world, 1)).unwrap();
    for at in (0..whole.len()).step_by(19) {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        write(&file(&world, 1), &changed, 0o600);
        world.run(["get", "one"]).fails(5).says("1.age").hides("first secret");
    }
    is_refused(&world);
}

#[test]
fn a_file_with_bytes_after_its_end_is_refused() {
    let world = world();
    let whole = std::fs::read(file(&world, 1)).unwrap();
    write(&file(&world, 1), &[whole.as_slice(), &[0]].concat(), 0o600);
    is_refused(&world);
}

#[test]
fn a_file_that_is_too_large_is_refused() {
    let world = world();
    write(&file(&world, 1), &vec![b'a'; 3 << 20], 0o600);
    is_refused(&world).says("larger than");
}

#[test]
fn two_entries_that_were_swapped_are_refused() {
    let world = world();
    let (one, two) = (file(&world, 1), world.entry("two").join("1.age"));
    let (first, second) = (std::fs::read(&one).unwrap(), std::fs::read(&two).unwrap());
    write(&one, &second, 0o600);
    write(&two, &first, 0o600);
    world.run(["get", "one"]).fails(5).says("`two`").says("moved or renumbered").hides("second secret");
    world.run(["get", "two"]).fails(5).says("`one`").hides("first secret");
}

#[test]
fn a_generation_that_was_renumbered_is_refused() {
    let world = world();
    std::fs::copy(file(&world, 1), file(&world, 8)).unwrap();
    is_refused(&world).says("8.age").says("generation 1 of `one`");
}

#[test]
fn an_old_generation_that_was_put_on_top_is_refused() {
    let world = world();
    world.keep("one", "newer");
    std::fs::rename(file(&world, 1), file(&world, 3)).unwrap();
    is_refused(&world).says("3.age");
}

#[test]
fn the_one_before_is_not_handed_out_for_a_newest_that_does_not_open() {
    let world = world();
    world.keep("one", "newer");
    write(&file(&world, 2), b"rubbish", 0o600);
    is_refused(&world).says("2.age");
}

#[test]
fn a_file_by_somebody_who_knows_the_recipient_alone_is_refused() {
    let world = world();
    let forger = Forger::of(&world);
    let json = forger.json(&file(&world, 1)).replace("first secret", "planted");
    let plaintext = format!("{json}\n{}\n", "0".repeat(64));
    let planted = age(&["-r".as_ref(), forger.recipient().to_string().as_ref()], plaintext.as_bytes());
    write(&file(&world, 1), &planted, 0o600);
    is_refused(&world).says("authentication code is wrong").hides("planted");
}

#[test]
fn a_file_without_a_code_is_refused() {
    let world = world();
    let forger = Forger::of(&world);
    let json = forger.json(&file(&world, 1));
    for plaintext in
        [json.clone(), format!("{json}\n"), format!("{json}\n\n"), format!("{json}\n{json}\n"), String::new()]
    {
        write(&file(&world, 1), &forger.encrypt(plaintext.as_bytes()), 0o600);
        world.run(["get", "one"]).fails(5).says("1.age");
    }
}

#[test]
fn a_code_for_another_purpose_is_refused() {
    let world = world();
    let forger = Forger::of(&world);
    let json = forger.json(&file(&world, 1));
    let plaintext = format!("{json}\n{}\n", forger.mac("slots", json.as_bytes()));
    write(&file(&world, 1), &forger.encrypt(plaintext.as_bytes()), 0o600);
    is_refused(&world).says("authentication code is wrong");
}

#[test]
fn a_file_for_somebody_else_is_refused() {
    let world = world();
    let other = new_identity(&world.file("other.txt"));
    write(&file(&world, 1), &age(&["-r".as_ref(), other.as_ref()], b"hello"), 0o600);
    is_refused(&world).says("not sealed for this vault");
}

#[test]
fn a_file_behind_a_passphrase_is_refused_without_trying() {
    let world = world();
    let mut recipient = age::scrypt::Recipient::new("words".to_owned().into());
    recipient.set_work_factor(10);
    write(&file(&world, 1), &age::encrypt(&recipient, b"hello").unwrap(), 0o600);
    is_refused(&world);
}

/// Replaces the JSON of `one` by a changed one with the right code: by us, or by a version of tokenkeep to come.
fn rewritten(change: impl FnOnce(String) -> String) -> World {
    let world = world();
    let forger = Forger::of(&world);
    let before = forger.json(&file(&world, 1));
    let json = change(before.clone());
    assert_ne!(json, before);
    forger.put(&file(&world, 1), &json);
    world
}

#[test]
fn what_the_forger_rewrites_without_a_change_is_taken() {
    let world = world();
    let forger = Forger::of(&world);
    forger.put(&file(&world, 1), &forger.json(&file(&world, 1)));
    assert_eq!(world.token("one"), "first secret");
}

#[test]
fn an_unknown_key_is_refused() {
    is_refused(&rewritten(|json| json.replacen('{', "{\"extra\":1,", 1))).says("extra");
}

#[test]
fn an_unknown_key_in_the_body_is_refused() {
    is_refused(&rewritten(|json| json.replace("\"body\":{", "\"body\":{\"extra\":1,"))).says("extra");
}

#[test]
fn a_doubled_key_is_refused() {
    is_refused(&rewritten(|json| json.replacen('{', "{\"kind\":\"secret\",", 1))).says("duplicate");
}

#[test]
fn a_doubled_key_in_the_body_is_refused() {
    is_refused(&rewritten(|json| json.replace("\"body\":{", "\"body\":{\"secret\":\"other\","))).says("duplicate");
}

#[test]
fn a_format_to_come_is_refused() {
    is_refused(&rewritten(|json| json.replace("\"format\":1", "\"format\":2"))).says("format");
}

#[test]
fn an_unknown_kind_is_refused() {
    is_refused(&rewritten(|json| json.replace("\"kind\":\"secret\"", "\"kind\":\"riddle\""))).says("kind");
}

#[test]
fn a_message_about_damaged_content_shows_nothing_of_it() {
    is_refused(&rewritten(|json| json.replace("\"secret\":\"first secret\"", "\"secret\":[\"first secret\"]")));
    is_refused(&rewritten(|json| json.replace("\"generation\":1", "\"generation\":\"first secret\""))).says("type");
    is_refused(&rewritten(|json| json.replace("\"expires_at\":null", "\"expires_at\":\"first \\\"secret\"")));
}

#[test]
fn an_entry_folder_that_is_a_link_is_refused() {
    let world = world();
    std::fs::rename(world.entry("one"), world.file("elsewhere")).unwrap();
    symlink(world.file("elsewhere"), world.entry("one")).unwrap();
    is_refused(&world).says("symbolic link");
}

#[test]
fn a_generation_that_is_a_link_is_refused() {
    let world = world();
    std::fs::rename(file(&world, 1), world.file("elsewhere.age")).unwrap();
    symlink(world.file("elsewhere.age"), file(&world, 1)).unwrap();
    is_refused(&world).says("symbolic link");
}

#[test]
fn a_vault_that_is_a_link_is_refused() {
    let world = world();
    std::fs::rename(world.vault(), world.file("elsewhere")).unwrap();
    symlink(world.file("elsewhere"), world.vault()).unwrap();
    world.run(["get", "one"]).fails(5).says("symbolic link");
}

#[test]
fn a_generation_that_is_a_pipe_or_a_folder_is_refused_and_not_waited_for() {
    let world = world();
    std::fs::remove_file(file(&world, 1)).unwrap();
    sh(&format!("mkfifo -m 600 '{}'", file(&world, 1).display()));
    is_refused(&world).says("not a regular file");
    std::fs::remove_file(file(&world, 1)).unwrap();
    std::fs::create_dir(file(&world, 1)).unwrap();
    is_refused(&world).says("not a regular file");
}

/// Claims that something too open is refused, and that the command in the hint mends it.
#[track_caller]
fn is_mended_by_the_hint(world: &World) {
    let refused = is_refused(world).says("open to others");
    sh(&hinted(&refused));
    assert_eq!(world.token("one"), "first secret");
}

#[test]
fn an_entry_folder_that_others_can_write_is_refused_until_the_hinted_command_ran() {
    let world = world();
    chmod(&world.entry("one"), 0o777);
    is_mended_by_the_hint(&world);
}

#[test]
fn a_generation_that_others_can_read_is_refused_until_the_hinted_command_ran() {
    let world = world();
    chmod(&file(&world, 1), 0o644);
    is_mended_by_the_hint(&world);
}

#[test]
fn a_vault_or_entries_folder_that_others_can_use_is_refused() {
    let world = world();
    for folder in [world.vault(), world.vault().join("entries")] {
        chmod(&folder, 0o750);
        let refused = world.run(["get", "one"]).fails(5).says("open to others");
        sh(&hinted(&refused));
        assert_eq!(world.token("one"), "first secret");
    }
}

#[test]
fn a_generation_of_another_user_is_refused() {
    if is_root() {
        let world = world();
        chown(file(&world, 1), Some(NOBODY), None).unwrap();
        is_refused(&world).says(&format!("belongs to user {NOBODY}")).says("chown");
    }
}

#[test]
fn an_entry_folder_of_another_user_is_refused() {
    if is_root() {
        let world = world();
        chown(world.entry("one"), Some(NOBODY), None).unwrap();
        is_refused(&world).says(&format!("belongs to user {NOBODY}")).says("chown");
    }
}

#[test]
fn foreign_files_are_ignored_and_reported() {
    let world = world();
    let entries = world.vault().join("entries");
    let names = [
        "one/01.age",
        "one/0.age",
        "one/-1.age",
        "one/1.age.bak",
        "one/x.age",
        "one/+2.age",
        "one/99999999999999999999999.age",
        "README",
        ".hidden",
    ];
    for name in names {
        write(&entries.join(name), b"foreign", 0o644);
    }
    assert_eq!(world.token("one"), "first secret");
    let verified = world.run(["vault", "verify"]).ok();
    for name in names {
        assert!(verified.stderr.contains(name), "{name} is not reported: {}", verified.stderr);
    }
    assert!(names.iter().all(|name| entries.join(name).exists()));
}

#[test]
fn a_foreign_name_cannot_write_on_the_terminal() {
    let world = world();
    let entries = world.vault().join("entries");
    write(&entries.join("\u{1b}[2Jgone\nerror: all is lost"), b"foreign", 0o644);
    write(&entries.join("one/\u{202e}txt.exe"), b"foreign", 0o644);
    let verified = world.run(["vault", "verify"]).ok();
    assert!(!verified.stderr.contains(['\u{1b}', '\u{202e}']), "{:?}", verified.stderr);
    assert!(!verified.stderr.lines().any(|line| line.starts_with("error: ")), "{}", verified.stderr);
}

#[test]
fn folders_that_are_no_names_are_reported_and_not_opened() {
    let world = world();
    let entries = world.vault().join("entries");
    for name in ["..evil", "a b", "naïve", &"x".repeat(65)] {
        std::fs::create_dir(entries.join(name)).unwrap();
        std::fs::copy(file(&world, 1), entries.join(name).join("1.age")).unwrap();
    }
    let verified = world.run(["vault", "verify"]).ok();
    for name in ["..evil", "a b", "naïve", &"x".repeat(65)] {
        assert!(verified.stderr.contains(name), "{name} is not reported: {}", verified.stderr);
    }
}

#[test]
fn names_that_are_no_names_are_exit_2_and_make_nothing() {
    let world = world();
    let before = snapshot(&world.home());
    let long = "x".repeat(65);
    for name in [
        "../one",
        "/etc/passwd",
        "a/b",
        "..",
        ".",
        "",
        ".one",
        "@one",
        "a b",
        "a\nb",
        "naïve",
        "a\u{0301}",
        "one\\",
        &long,
    ] {
        world.feed(["store", "--kind", "secret", "--stdin", "--", name], "x").fails(2);
        world.run(["get", "--", name]).fails(2);
    }
    assert_eq!(snapshot(&world.home()), before);
}

#[test]
fn names_of_up_to_64_characters_are_taken() {
    let world = world();
    for name in ["x".repeat(64), "9".to_owned(), "A.b_c@d+e-f".to_owned()] {
        world.keep(&name, "kept");
        assert_eq!(world.token(&name), "kept");
    }
}

#[test]
fn a_name_that_differs_by_case_alone_is_refused() {
    let world = world();
    world.feed(["store", "ONE", "--kind", "secret", "--stdin"], "x").fails(2).says("`one`");
    assert_eq!(world.token("one"), "first secret");
    assert!(!world.entry("ONE").exists());
}

#[test]
fn the_highest_number_there_is_does_not_wrap_around() {
    let world = world();
    write(&file(&world, u64::MAX), b"planted", 0o600);
    is_refused(&world);
    let before = snapshot(&world.entry("one"));
    let stored = world.feed(["store", "one", "--kind", "secret", "--stdin"], "newer");
    assert_eq!(stored.code, 1, "{}", stored.stderr);
    for (path, content) in before {
        assert_eq!(snapshot(&world.entry("one")).get(&path), Some(&content), "{}", path.display());
    }
}

#[test]
fn an_entry_whose_newest_does_not_open_can_be_stored_anew() {
    let world = world();
    write(&file(&world, 2), b"rubbish", 0o600);
    world.keep("one", "newer");
    assert_eq!(world.token("one"), "newer");
}

/// A login with a rotated token, and something planted where an answer would wait for the next holder of the lock.
fn with_planted_answer(plant: impl FnOnce(&World, PathBuf)) -> World {
    let world = World::logged_in(Settings::default());
    world.run(["get", "prod"]).ok();
    let next = world.entry("prod").join("next");
    drop(std::fs::remove_file(&next));
    plant(&world, next);
    world
}

#[test]
fn a_planted_answer_is_not_taken_and_the_refresh_goes_on() {
    let world = with_planted_answer(|world, next| {
        let recipient = Forger::of(world).recipient().to_string();
        write(&next, &age(&["-r".as_ref(), recipient.as_ref()], b"planted"), 0o600);
    });
    world.run(["get", "prod", "--no-cache"]).ok();
    assert_eq!(world.generation("prod"), 3);
    world.run(["vault", "verify"]).ok();
}

#[test]
fn an_old_generation_is_not_taken_for_an_answer() {
    let world = with_planted_answer(|world, next| {
        std::fs::copy(world.entry("prod").join("1.age"), next).unwrap();
    });
    world.run(["get", "prod", "--no-cache"]).ok();
    assert!(world.provider.family_alive());
}

#[test]
fn an_answer_that_is_a_link_is_not_written_through() {
    let world = with_planted_answer(|world, next| {
        write(&world.file("precious"), b"precious", 0o600);
        symlink(world.file("precious"), next).unwrap();
    });
    let exchanges = world.provider.exchanges();
    let ran = world.run(["get", "prod", "--no-cache"]);
    assert!([1, 5].contains(&ran.code), "{}: {}", ran.code, ran.stderr);
    assert_eq!(std::fs::read(world.file("precious")).unwrap(), b"precious");
    assert_eq!(world.provider.exchanges(), exchanges);
}

#[test]
fn a_lock_that_is_a_link_is_not_written_through() {
    let world = World::logged_in(Settings::default());
    let lock = world.entry("prod").join("lock");
    drop(std::fs::remove_file(&lock));
    write(&world.file("precious"), b"precious", 0o600);
    symlink(world.file("precious"), &lock).unwrap();
    world.run(["get", "prod"]).fails(5).says("symbolic link");
    assert_eq!(std::fs::read(world.file("precious")).unwrap(), b"precious");
    assert_eq!(world.provider.exchanges(), 0);
}

#[test]
fn a_journal_of_spent_tokens_that_others_can_write_is_refused_before_anything_is_sent() {
    let world = World::logged_in(Settings::default());
    world.run(["get", "prod"]).ok();
    let spent = world.home().join("state/spent/prod");
    chmod(&spent, 0o666);
    let exchanges = world.provider.exchanges();
    let refused = world.run(["get", "prod", "--no-cache"]).fails(5).says("open to others");
    assert_eq!(world.provider.exchanges(), exchanges);
    sh(&hinted(&refused));
    world.run(["get", "prod", "--no-cache"]).ok();
}

#[test]
fn a_file_of_ours_that_is_linked_into_the_place_of_an_answer_is_not_written_through() {
    let world = with_planted_answer(|world, next| {
        write(&world.file("precious"), b"precious", 0o600);
        std::fs::hard_link(world.file("precious"), next).unwrap();
    });
    world.run(["get", "prod", "--no-cache"]).ok();
    assert_eq!(std::fs::read(world.file("precious")).unwrap(), b"precious");
}

#[test]
fn a_copy_of_the_vault_made_of_hard_links_keeps_what_it_had() {
    let world = World::logged_in(Settings::default());
    world.keep("one", "first");
    world.run(["get", "prod"]).ok();
    let copy = world.file("copy");
    sh(&format!("cp -al '{}' '{}'", world.vault().display(), copy.display()));
    let generations = |entry: &str| {
        let files = snapshot(&copy.join("entries").join(entry)).into_iter();
        files.filter(|(path, _)| path.extension().is_some_and(|kind| kind == "age")).collect::<Vec<_>>()
    };
    let before = [generations("prod"), generations("one")];
    for _ in 0..5 {
        world.run(["get", "prod", "--no-cache"]).ok();
    }
    world.keep("one", "second");
    world.run(["delete", "one", "--yes"]).ok();
    assert_eq!([generations("prod"), generations("one")], before);
    assert!(before.iter().all(|files| !files.is_empty()));
}

#[test]
fn a_configuration_that_others_can_write_is_refused_until_the_hinted_command_ran() {
    let world = world();
    let path = world.home().join("config/config.toml");
    for mode in [0o620, 0o602, 0o666] {
        chmod(&path, mode);
        let refused = world.run(["get", "one"]).fails(9).says("open to others");
        sh(&hinted(&refused));
        assert_eq!(world.token("one"), "first secret");
    }
    // what others can read, or what a link leads to, is how people keep their dotfiles
    chmod(&path, 0o644);
    std::fs::rename(&path, world.file("dotfile")).unwrap();
    symlink(world.file("dotfile"), &path).unwrap();
    assert_eq!(world.token("one"), "first secret");
}

#[test]
fn a_good_vault_is_verified() {
    let verified = world().run(["vault", "verify", "--json"]).ok().json();
    assert_eq!(verified["entries"], 2);
}

#[test]
fn everything_that_is_wrong_is_listed_at_once() {
    let world = world();
    write(&file(&world, 1), b"rubbish", 0o600);
    chmod(&world.entry("two").join("1.age"), 0o644);
    world.run(["vault", "verify"]).fails(5).says("2 of the vault's files").says("one/1.age").says("two/1.age");
}

#[test]
fn an_older_generation_that_is_damaged_is_found_although_the_newest_opens() {
    let world = world();
    world.keep("one", "newer");
    write(&file(&world, 1), b"rubbish", 0o600);
    world.run(["get", "one"]).ok();
    world.run(["vault", "verify"]).fails(5).says("one/1.age");
}
