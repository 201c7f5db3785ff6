//! Backups, and what a person does with them and with age alone: exactly what `tokenkeep help recovery` says.

use std::path::Path;
use std::process::{Command, Stdio};

use provider::{Endpoint, Settings};

use crate::harness::{PATIENCE, Ran, World, short_lived};
use crate::outside::{hinted, new_identity, sh, snapshot, write};
use crate::signals::wait_until_blocked;
use crate::terminal::{LAST_WORDS, Terminal};

const WORDS: &str = "correct horse battery staple";

/// Puts a folder in the place of the vault.
fn restore(world: &World, from: &Path) {
    sh(&format!("rm -rf '{0}' && cp -a '{1}' '{0}'", world.vault().display(), from.display()));
}

#[test]
fn a_copy_in_a_folder_is_checked_where_it_lies_and_can_be_put_back() {
    let world = World::logged_in(short_lived(300));
    world.keep("one", "first");
    let recipient = new_identity(&world.file("ci.txt"));
    world.run(["vault", "slot", "add", "ci", "--recipient", &recipient]).ok();
    world.run(["vault", "backup", "copy"]).ok().says("copied 2 entries");
    assert_eq!(world.run(["vault", "verify", "--backup", "copy"]).ok().stderr, "");
    world.run(["delete", "one", "--yes"]).ok();
    world.run(["vault", "slot", "remove", "ci"]).ok();
    restore(&world, &world.file("copy"));
    assert_eq!(world.token("one"), "first");
    assert!(world.provider.is_access_live(&world.token("prod")));
    let with_slot = world.command(["get", "one"]).env("TOKENKEEP_IDENTITY_FILE", world.file("ci.txt")).output();
    Ran::from(with_slot.unwrap()).ok();
}

#[test]
fn an_entry_that_was_never_published_is_copied_too() {
    let world = World::logged_in(short_lived(300));
    world.keep("gone", "third");
    world.run(["delete", "gone", "--yes"]).ok();
    std::fs::rename(world.entry("prod").join("1.age"), world.entry("prod").join("next")).unwrap();
    world.run(["vault", "backup", "copy"]).ok().says("copied 1 entry");
    restore(&world, &world.file("copy"));
    assert!(world.provider.is_access_live(&world.token("prod")));
}

#[test]
fn a_damaged_copy_is_told() {
    let world = World::logged_in(Settings::default());
    world.run(["vault", "backup", "copy"]).ok();
    write(&world.file("copy/entries/prod/1.age"), b"rubbish", 0o600);
    world.run(["vault", "verify", "--backup", "copy"]).fails(5).says("copy/entries/prod/1.age");
    std::fs::remove_file(world.file("copy/vault.toml")).unwrap();
    world.run(["vault", "verify", "--backup", "copy"]).fails(5);
    world.run(["vault", "verify"]).ok();
}

#[test]
fn an_archive_is_unpacked_by_tar_on_another_host() {
    let here = World::logged_in(short_lived(300));
    let long = "n".repeat(64);
    here.keep(&long, "first");
    here.run(["vault", "backup", "vault.tar"]).ok();
    let there = World::bare(Settings::default());
    let (data, config) = (there.home().join("data"), there.home().join("config"));
    sh(&format!("mkdir -p -m 700 '{}' '{}'", data.display(), config.display()));
    sh(&format!("tar -xf '{}' -C '{}'", here.file("vault.tar").display(), data.display()));
    sh(&format!("cp '{}' '{}'", here.identity_file().display(), config.display()));
    let with_key = |args: &[&str]| -> Ran {
        there.command(args).env("TOKENKEEP_IDENTITY_FILE", config.join("identity.txt")).output().unwrap().into()
    };
    with_key(&["vault", "verify", "--trust"]).ok().says("expected now");
    assert_eq!(with_key(&["get", &long]).ok().stdout, "first\n");
    assert!(here.provider.is_access_live(with_key(&["get", "prod"]).ok().stdout.trim_end()));
    assert_eq!(with_key(&["vault", "verify"]).ok().stderr, "");
}

#[test]
fn an_archive_goes_to_standard_output_and_not_to_a_terminal() {
    let world = World::logged_in(Settings::default());
    let ran = world.shell("\"$0\" \"$@\" | tar -t", ["vault", "backup", "-"]).output().unwrap();
    let list = String::from_utf8(ran.stdout).unwrap();
    assert!(list.contains("vault/entries/prod/1.age\n") && list.ends_with("vault/vault.toml\n"), "{list}");
    assert!(!list.contains("lock"), "{list}");
    world.on_terminal(["vault", "backup", "-"]).ends().with(2);
}

#[test]
fn a_locked_vault_is_copied_all_the_same() {
    let world = World::logged_in(Settings::default());
    std::fs::remove_file(world.identity_file()).unwrap();
    world.run(["vault", "backup", "copy"]).ok();
    assert!(world.file("copy/entries/prod/1.age").exists());
}

#[test]
fn what_is_there_is_not_written_over() {
    let world = World::logged_in(Settings::default());
    std::fs::create_dir(world.file("copy")).unwrap();
    write(&world.file("copy/mine"), b"mine", 0o600);
    write(&world.file("vault.tar"), b"mine", 0o600);
    for target in ["copy", "vault.tar"] {
        world.run(["vault", "backup", target]).fails(2).says("is there already");
    }
    assert_eq!(std::fs::read(world.file("vault.tar")).unwrap(), b"mine");
    assert_eq!(snapshot(&world.file("copy")).len(), 1);
}

#[test]
fn the_vault_gets_no_copy_of_itself() {
    let world = World::logged_in(Settings::default());
    std::os::unix::fs::symlink(world.vault().join("entries"), world.file("link")).unwrap();
    let before = snapshot(&world.home());
    for target in
        ["home/data/vault/copy", "home/data/vault/entries/copy.tar", "home/state/../data/vault/a/b", "link/copy"]
    {
        world.run(["vault", "backup", target]).fails(2).says("lies in the vault itself");
    }
    assert_eq!(snapshot(&world.home()), before);
    world.run(["vault", "backup", "home/data/vault-copy"]).ok();
}

#[test]
fn what_is_no_copy_is_named_for_what_it_is() {
    let world = World::logged_in(Settings::default());
    let verify = |path: &str| world.run(["vault", "verify", "--backup", path]);
    verify("nope").fails(5).says("there is no").says("tokenkeep vault backup FOLDER");
    world.run(["vault", "backup", "copy.tar"]).ok();
    let ran = verify("copy.tar").fails(5).says("is a file");
    sh(&format!("cd '{}'; {}", world.folder.path().display(), hinted(&ran)));
    verify("vault").ok();
    write(&world.file("words"), b"some words", 0o600);
    verify("words").fails(5).says("is a file").says("tokenkeep vault backup FOLDER");
    std::fs::create_dir(world.file("empty")).unwrap();
    verify("empty").fails(5).says("holds no copy of a vault").says("tokenkeep vault backup FOLDER");
    world.run(["vault", "backup", "part"]).ok();
    std::fs::remove_file(world.file("part/vault.toml")).unwrap();
    verify("part").fails(5).says("not a whole copy");
}

#[test]
fn a_copy_waits_for_a_refresh_on_its_way() {
    let world = World::logged_in(short_lived(300));
    world.provider.set_refresh_latency(PATIENCE);
    let refresh = world.start(["get", "prod"]);
    world.provider.wait_for(Endpoint::Token, 1, PATIENCE);
    let backup = world.start(["vault", "backup", "copy"]);
    wait_until_blocked(&backup);
    world.provider.release();
    Ran::from(refresh.wait_with_output().unwrap()).ok();
    Ran::from(backup.wait_with_output().unwrap()).ok();
    assert!(world.file("copy/entries/prod/2.age").exists());
}

#[test]
fn a_copy_from_before_holds_a_spent_token_that_is_not_presented() {
    let world = World::logged_in(short_lived(300));
    let spent = world.provider.newest_refresh_token().unwrap();
    world.run(["vault", "backup", "copy"]).ok();
    world.token("prod");
    restore(&world, &world.file("copy"));
    world.run(["get", "prod"]).fails(4).says("exchanged before");
    assert_eq!(world.provider.presentations(&spent), 1);
}

/// The commands of the manual, each with its continuation lines.
fn commands() -> Vec<String> {
    let manual = include_str!("../../src/commands/help/recovery.txt");
    let lines = manual.lines().filter_map(|line| line.strip_prefix("    "));
    let mut commands: Vec<String> = Vec::new();
    for line in lines {
        match commands.last_mut().filter(|_| line.starts_with(' ')) {
            Some(command) => *command += line,
            None => commands.push(line.to_owned()),
        }
    }
    commands
}

/// A person with a shell, whose home is the world's folder, and whose folders are the usual ones.
struct Person<'a> {
    world: &'a World,
    recipient: String,
    typed: Vec<String>,
}

impl Person<'_> {
    /// Types the next command of the manual, which must begin like this, in a folder.
    fn types(&mut self, beginning: &str, folder: &Path) -> Command {
        let command = commands()[self.typed.len()].clone();
        assert!(command.starts_with(beginning), "{command}");
        let program = Path::new(env!("CARGO_BIN_EXE_tokenkeep")).parent().unwrap();
        let mut shell = Command::new("/bin/sh");
        // where the manual says `age1...` a person puts the recipient
        shell.args(["-c", &command.replace("age1...", &self.recipient)]).current_dir(folder).env_clear();
        shell.env("HOME", self.world.folder.path()).env("PATH", format!("{}:/usr/bin:/bin", program.display()));
        shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        self.typed.push(command);
        shell
    }

    /// Types it, and returns what it printed.
    fn runs(&mut self, beginning: &str, folder: &Path) -> String {
        Ran::from(self.types(beginning, folder).output().unwrap()).ok().stdout
    }

    /// Types a command that is not in the manual.
    fn prepares(&self, args: &[&str]) -> Ran {
        let mut command = self.world.command(args);
        command.env_remove("TOKENKEEP_HOME").env("HOME", self.world.folder.path()).output().unwrap().into()
    }
}

#[test]
fn the_manual_of_recovery_does_what_it_says() {
    let world = World::bare(short_lived(300));
    let home = world.folder.path().to_owned();
    let vault = home.join(".local/share/tokenkeep/vault");
    let recipient = new_identity(&home.join("other.txt"));
    let mut person = Person { world: &world, recipient: recipient.clone(), typed: Vec::new() };
    person.prepares(&["init"]).ok();
    let issuer = world.provider.issuer();
    person.prepares(&["profile", "add", "prod", "--issuer", &issuer, "--client-id", "automated-access"]).ok();
    write(
        &home.join("token"),
        world.provider.grant("automated-access", &["openid", "offline_access"]).as_bytes(),
        0o600,
    );
    person.prepares(&["store", "prod", "--kind", "refresh-token", "--from-file", "token"]).ok();
    person.prepares(&["get", "prod"]).ok();
    person.prepares(&["vault", "slot", "add", "ci", "--recipient", &recipient]).ok();
    write(&home.join("handed"), WORDS.as_bytes(), 0o600);
    let mut add =
        world.shell("exec \"$0\" \"$@\" 3<handed", ["vault", "slot", "add", "words", "--new-passphrase-fd", "3"]);
    Ran::from(add.env_remove("TOKENKEEP_HOME").env("HOME", &home).output().unwrap()).ok();

    person.runs("tokenkeep vault backup", &home);
    person.runs("tokenkeep vault backup", &home);
    assert!(person.runs("tokenkeep vault verify --backup", &home).starts_with("good: 1 entry"));
    std::fs::remove_dir_all(&vault).unwrap();
    std::fs::remove_dir_all(home.join(".local/state")).unwrap();
    person.runs("mkdir", &home);
    person.runs("tar", &home);
    person.runs("tokenkeep vault verify --trust", &home);

    person.runs("tokenkeep vault export prod", &home);
    assert!(person.runs("tokenkeep vault import", &home).is_empty());

    for file in ["other.txt", "prod.age"] {
        sh(&format!("cp '{0}/{file}' '{1}'", home.display(), vault.display()));
    }
    person.runs("age -d -i other.txt slots/ci.age", &vault);
    let by_recipient = std::fs::read_to_string(vault.join("key.txt")).unwrap();
    person.types("age -d slots/words.age", &vault);
    let script = format!("{}; {LAST_WORDS}", person.typed.last().unwrap());
    let mut on_terminal = Command::new("/bin/sh");
    on_terminal.args(["-c", &script]).current_dir(&vault);
    Terminal::of(&on_terminal).sees("passphrase").types(WORDS).ends().with(0);
    let key = std::fs::read_to_string(vault.join("key.txt")).unwrap();
    assert_eq!(key, by_recipient);
    assert!(std::fs::read_to_string(home.join(".config/tokenkeep/identity.txt")).unwrap().contains(key.trim()));

    assert_eq!(person.runs("age -d -i key.txt entries", &vault).lines().count(), 2);
    let token = person.runs("age -d -i key.txt entries", &vault);
    assert!(world.provider.is_refresh_live(token.trim_end()), "{token}");
    assert!(person.runs("age -d -i other.txt prod.age", &vault).lines().nth(1).unwrap().contains(token.trim_end()));
    for file in ["other.txt", "prod.age", "key.txt"] {
        std::fs::remove_file(vault.join(file)).unwrap();
    }

    for beginning in ["age-keygen", "tokenkeep vault export", "mv", "tokenkeep init", "tokenkeep vault import", "rm"] {
        person.runs(beginning, &home);
    }
    assert_eq!(person.typed, commands(), "the manual says more than was tried");
    assert!(std::fs::read_to_string(home.join(".config/tokenkeep/config.toml")).unwrap().contains("new.txt"));
    let ran = person.prepares(&["get", "prod", "--no-cache"]).ok();
    assert!(world.provider.is_access_live(ran.stdout.trim_end()) && world.provider.family_alive());
}
