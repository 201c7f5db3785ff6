//! `init`: a vault that a file or a passphrase opens, private from the first moment, and nothing that is there is lost.

use std::os::unix::fs::MetadataExt as _;

use provider::{Approval, Endpoint, Settings};

use crate::harness::{PATIENCE, World};
use crate::outside::{Forger, chmod, mode, new_identity, sh, snapshot, write};

const WORDS: &str = "correct horse battery staple";

#[test]
fn a_vault_that_a_file_opens_needs_nothing_else_from_then_on() {
    let world = World::bare(Settings::default());
    world.run(["init"]).ok();
    assert!(world.identity_file().exists());
    world.run(["vault", "verify"]).ok();
}

#[test]
fn the_identity_file_is_written_where_it_is_wanted() {
    let world = World::bare(Settings::default());
    world.run(["init", "--identity-file", "keys/mine.txt"]).ok();
    assert!(world.file("keys/mine.txt").exists());
    world.run(["vault", "verify"]).ok();
}

#[test]
fn the_key_is_written_where_the_configuration_says_and_that_is_left_as_it_is() {
    for flags in [&[][..], &["--unlock", "file"]] {
        let world = World::bare(Settings::default());
        let config = world.home().join("config/config.toml");
        std::fs::create_dir_all(config.parent().unwrap()).unwrap();
        let written = "[unlock]\nidentity_file = \"keys/mine.txt\"   # beside this file\n";
        std::fs::write(&config, written).unwrap();
        world.run([&["init"], flags].concat()).ok();
        assert!(world.home().join("config/keys/mine.txt").exists() && !world.identity_file().exists());
        assert_eq!(std::fs::read_to_string(&config).unwrap(), written);
        world.run(["vault", "verify"]).ok();
    }
}

#[test]
fn init_says_in_json_what_it_made() {
    let world = World::bare(Settings::default());
    let made = world.run(["init", "--json"]).ok().json();
    assert_eq!(made["vault"], world.vault().to_str().unwrap());
    assert_eq!(made["identity_file"], world.identity_file().to_str().unwrap());
    assert_eq!(made["recipient"], Forger::of(&world).recipient().to_string());
}

#[test]
fn an_identity_that_is_there_is_used_and_left_as_it_is() {
    let world = World::bare(Settings::default());
    let path = world.file("mine.txt");
    let recipient = new_identity(&path);
    let before = std::fs::read(&path).unwrap();
    let made = world.run(["init", "--json", "--identity-file", "mine.txt"]).ok().json();
    assert_eq!(made["recipient"], recipient);
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn a_file_that_holds_no_identity_is_refused_and_kept() {
    let world = World::bare(Settings::default());
    write(&world.file("mine.txt"), b"my diary\n", 0o600);
    world.run(["init", "--identity-file", "mine.txt"]).fails(5).says("mine.txt");
    assert_eq!(std::fs::read(world.file("mine.txt")).unwrap(), b"my diary\n");
    assert!(!world.vault().exists());
}

#[test]
fn an_identity_that_others_can_read_makes_no_vault() {
    let world = World::bare(Settings::default());
    let path = world.file("mine.txt");
    new_identity(&path);
    chmod(&path, 0o644);
    world.run(["init", "--identity-file", "mine.txt"]).fails(5).says("chmod 600");
    assert!(!world.vault().exists());
}

#[test]
fn a_second_vault_is_refused_and_nothing_changes() {
    let world = World::new();
    let before = snapshot(&world.home());
    world.run(["init"]).fails(2).says(world.vault().to_str().unwrap());
    world.hand(["init", "--unlock", "passphrase", "--passphrase-fd", "3"], WORDS).fails(2);
    assert_eq!(snapshot(&world.home()), before);
}

/// Makes a vault under a umask, uses it, and claims that every folder is 0700 and every file 0600.
#[track_caller]
fn modes_are_private_under(umask: &str) {
    let world = World::bare(Settings::default());
    let run = |args: &[&str]| {
        let script = format!("umask {umask}; exec \"$0\" \"$@\" 3<handed");
        let output = world.shell(&script, args).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    let token = world.provider.grant("automated-access", &["openid", "offline_access"]);
    write(&world.file("handed"), token.as_bytes(), 0o600);
    run(&["init"]);
    let recipient = new_identity(&world.file("other.txt"));
    run(&["vault", "slot", "add", "other", "--recipient", &recipient]);
    let issuer = world.provider.issuer();
    run(&["store", "prod", "--issuer", &issuer, "--client-id", "automated-access", "--from-fd", "3"]);
    run(&["get", "prod"]);
    run(&["get", "prod", "--no-cache"]);
    let all = snapshot(&world.home());
    assert!(all.len() > 15, "{all:?}");
    for path in all.into_keys().chain([world.home()]) {
        let wanted = if path.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode(&path), wanted, "{} under umask {umask}", path.display());
    }
}

#[test]
fn everything_is_private_although_the_umask_is_000() {
    modes_are_private_under("000");
}

#[test]
fn everything_is_private_and_usable_although_the_umask_is_077() {
    modes_are_private_under("077");
}

#[test]
fn everything_is_private_and_usable_although_the_umask_is_777() {
    modes_are_private_under("777");
}

#[test]
fn a_folder_that_others_can_use_is_refused_with_the_command_that_mends_it() {
    let world = World::bare(Settings::default());
    std::fs::create_dir_all(world.vault()).unwrap();
    chmod(&world.vault(), 0o755);
    let refused = world.run(["init"]).fails(5);
    sh(&crate::outside::hinted(&refused));
    world.run(["init"]).ok();
}

#[test]
fn a_passphrase_comes_on_a_descriptor_and_opens_the_vault() {
    let world = World::bare(Settings::default());
    world.hand(["init", "--unlock", "passphrase", "--passphrase-fd", "3"], WORDS).ok();
    assert!(!world.identity_file().exists());
    world.hand(["vault", "verify", "--passphrase-fd", "3"], &format!("{WORDS}\n")).ok();
}

#[test]
fn an_empty_passphrase_is_refused() {
    let world = World::bare(Settings::default());
    world.hand(["init", "--unlock", "passphrase", "--passphrase-fd", "3"], "\n").fails(2);
    assert!(!world.vault().exists());
}

#[test]
fn a_passphrase_that_nobody_can_type_is_exit_5_at_once() {
    let world = World::bare(Settings::default());
    world.run(["init", "--unlock", "passphrase"]).fails(5).says("--passphrase-fd 3");
    assert!(!world.vault().exists());
}

#[test]
fn a_passphrase_is_asked_for_twice_and_never_shown() {
    let world = World::bare(Settings::default());
    let mut terminal = world.on_terminal(["init", "--unlock", "passphrase"]);
    terminal.sees("New passphrase: ").types(WORDS).sees("once more: ").types(WORDS);
    terminal.ends().with(0).hides("horse");
    world.hand(["vault", "verify", "--passphrase-fd", "3"], WORDS).ok();
}

#[test]
fn two_passphrases_that_differ_make_no_vault() {
    let world = World::bare(Settings::default());
    let mut terminal = world.on_terminal(["init", "--unlock", "passphrase"]);
    terminal.sees("New passphrase: ").types(WORDS).sees("once more: ").types("correct house battery staple");
    terminal.sees("differ").ends().with(2).hides("horse");
    assert!(!world.vault().exists());
}

#[test]
fn ctrl_c_at_the_first_question_is_130_and_the_terminal_is_as_before() {
    let world = World::bare(Settings::default());
    let mut terminal = world.on_terminal(["init", "--unlock", "passphrase"]);
    terminal.sees("New passphrase: ").presses_control('c').ends().with(130);
    assert!(!world.vault().exists());
}

#[test]
fn ctrl_c_at_the_second_question_is_130_and_the_terminal_is_as_before() {
    let world = World::bare(Settings::default());
    let mut terminal = world.on_terminal(["init", "--unlock", "passphrase"]);
    terminal.sees("New passphrase: ").types(WORDS).sees("once more: ").presses_control('c').ends().with(130);
    assert!(!world.vault().exists());
}

#[test]
fn the_end_of_input_at_a_question_makes_no_vault() {
    let world = World::bare(Settings::default());
    let mut terminal = world.on_terminal(["init", "--unlock", "passphrase"]);
    terminal.sees("New passphrase: ").presses_control('d').sees("nobody answered").sees("hint:").ends();
    assert!(!world.vault().exists());
}

#[test]
fn no_input_asks_nothing_even_on_a_terminal() {
    let world = World::bare(Settings::default());
    world.on_terminal(["init", "--unlock", "passphrase", "--no-input"]).ends().with(5);
}

/// Arguments of a first login.
fn first_login(issuer: &str) -> [&str; 7] {
    ["generate", "prod", "--issuer", issuer, "--client-id", "automated-access", "--no-browser"]
}

#[test]
fn a_first_login_on_a_terminal_makes_the_vault_after_one_question() {
    let world = World::bare(Settings { approval: Approval::AfterPolls(0), ..Settings::default() });
    let issuer = world.provider.issuer();
    let mut terminal = world.on_terminal(first_login(&issuer));
    terminal.sees("There is no vault yet").sees("[y/N]").types("y").ends().with(0);
    world.run(["get", "prod"]).ok();
}

#[test]
fn a_first_login_without_a_yes_makes_no_vault_and_asks_no_provider() {
    let world = World::bare(Settings::default());
    let issuer = world.provider.issuer();
    world.on_terminal(first_login(&issuer)).sees("[y/N]").types("").sees("tokenkeep init").ends().with(5);
    assert!(!world.vault().exists() && !world.identity_file().exists());
    assert_eq!(world.provider.count(Endpoint::Device), 0);
}

#[test]
fn ctrl_c_at_the_question_of_a_first_login_is_130() {
    let world = World::bare(Settings::default());
    let issuer = world.provider.issuer();
    world.on_terminal(first_login(&issuer)).sees("[y/N]").presses_control('c').ends().with(130);
    assert!(!world.vault().exists() && !world.identity_file().exists());
}

#[test]
fn a_first_login_without_a_terminal_is_exit_5_and_says_init() {
    let world = World::bare(Settings::default());
    let issuer = world.provider.issuer();
    world.run(first_login(&issuer)).fails(5).says("tokenkeep init");
    assert_eq!(world.provider.count(Endpoint::Device), 0);
}

#[test]
fn ctrl_c_while_a_login_is_waited_for_is_130() {
    let world = World::with(Settings { approval: Approval::ByHand, ..Settings::default() });
    let mut terminal = world.on_terminal(["generate", "prod", "--no-browser"]);
    terminal.sees("waiting for the login");
    world.provider.wait_for_user_code(PATIENCE);
    terminal.presses_control('c').ends().with(130);
}

#[test]
fn a_vault_whose_header_was_lost_is_made_anew_by_the_identity_that_opens_its_entries() {
    let world = World::new();
    world.keep("one", "secret");
    std::fs::remove_file(world.vault().join("vault.toml")).unwrap();
    world.run(["init"]).ok();
    assert_eq!(world.token("one"), "secret");
}

#[test]
fn a_vault_whose_header_was_lost_is_not_taken_over_by_another_identity() {
    let world = World::new();
    world.keep("one", "secret");
    std::fs::remove_file(world.vault().join("vault.toml")).unwrap();
    let before = snapshot(&world.home());
    world
        .run(["init", "--identity-file", "other.txt"])
        .fails(5)
        .says("vault.toml is missing, and its vault holds an entry");
    world
        .hand(["init", "--unlock", "passphrase", "--passphrase-fd", "3"], WORDS)
        .fails(5)
        .says("vault.toml is missing");
    assert_eq!(snapshot(&world.home()), before);
    assert!(!world.file("other.txt").exists(), "a key that opens nothing");
}

#[test]
fn a_vault_whose_header_was_lost_is_not_called_none() {
    let world = World::logged_in(Settings::default());
    std::fs::remove_file(world.vault().join("vault.toml")).unwrap();
    for command in [["get", "prod"].as_slice(), &["list"], &["refresh", "--all"]] {
        let ran = world
            .run(command)
            .fails(5)
            .says("vault.toml is missing, and its vault holds an entry")
            .says("from a backup");
        assert!(!ran.stderr.contains("`tokenkeep init`"), "{}", ran.stderr);
    }
    assert!(world.run(["doctor", "--offline"]).stdout.contains("put vault.toml back from a backup"));
    assert!(world.run(["status"]).stdout.contains("put vault.toml back from a backup"));
    let mut terminal = world.on_terminal(["generate", "prod"]);
    terminal.sees("vault.toml is missing").ends().with(5);
}

#[test]
fn a_slot_whose_header_was_lost_is_not_overwritten() {
    let world = World::bare(Settings::default());
    world.hand(["init", "--unlock", "passphrase", "--passphrase-fd", "3"], WORDS).ok();
    std::fs::remove_file(world.vault().join("vault.toml")).unwrap();
    let before = snapshot(&world.vault());
    world.hand(["init", "--unlock", "passphrase", "--passphrase-fd", "3"], "another").fails(5).says("vault.toml");
    assert_eq!(snapshot(&world.vault()), before);
}

#[test]
fn files_belong_to_who_made_the_vault() {
    let world = World::new();
    let ours = std::fs::metadata("/proc/self").unwrap().uid();
    assert!(snapshot(&world.home()).keys().all(|path| std::fs::symlink_metadata(path).unwrap().uid() == ours));
}

#[test]
fn of_many_who_make_a_vault_at_once_one_does_and_its_key_opens_it() {
    let world = World::bare(Settings::default());
    let all = world.storm(8, &["init"]);
    assert_eq!(all.iter().filter(|ran| ran.code == 0).count(), 1, "{all:?}");
    assert!(all.iter().all(|ran| [0, 2].contains(&ran.code)), "{all:?}");
    world.run(["vault", "verify"]).ok();
}

#[test]
fn a_configuration_that_cannot_be_read_leaves_no_vault() {
    let world = World::bare(Settings::default());
    std::fs::create_dir_all(world.home().join("config")).unwrap();
    write(&world.home().join("config/config.toml"), b"unlock = 1\n", 0o600);
    world.run(["init"]).fails(9);
    assert!(!world.vault().exists());
}
