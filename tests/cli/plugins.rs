//! Plugins of age: a program in PATH that holds the key of a slot, and what it may do to us.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use provider::Settings;

use crate::harness::{Ran, World};
use crate::outside::{chmod, new_identity, write};
use crate::terminal::{LAST_WORDS, Terminal};

/// A machine with a plugin, a vault, and in it the secret `one`.
struct Plugged {
    world: World,
}

/// A name of the plugin's key in Bech32 (BIP-173).
fn bech32(part: &str) -> String {
    bech32::encode::<bech32::Bech32>(bech32::Hrp::parse(part).unwrap(), b"serial 1").unwrap()
}

impl Plugged {
    fn new() -> Self {
        let world = World::bare(Settings::default());
        world.run(["init"]).ok();
        world.keep("one", "secret");
        std::fs::create_dir(world.file("plugins")).unwrap();
        let plugged = Self { world };
        let program = plugged.file("age-plugin-shelltest");
        write(&program, include_bytes!("plugin.sh"), 0o755);
        write(&plugged.file("key"), b"000102030405060708090a0b0c0d0e0f", 0o600);
        let identity = bech32("age-plugin-shelltest-").to_ascii_uppercase();
        write(&plugged.identity(), format!("# a security key\n{identity}\n").as_bytes(), 0o600);
        plugged
    }

    /// The same with a slot for the plugin's key.
    fn with_slot() -> Self {
        let plugged = Self::new();
        plugged.run(&["vault", "slot", "add", "key", "--recipient", &bech32("age1shelltest")]).ok();
        plugged
    }

    /// A file beside the plugin.
    fn file(&self, name: &str) -> PathBuf {
        self.world.file("plugins").join(name)
    }

    /// The file that names the plugin's key.
    fn identity(&self) -> PathBuf {
        self.world.file("key.txt")
    }

    /// Makes something wrong with the plugin.
    fn is(&self, mode: &str) {
        write(&self.file("mode"), mode.as_bytes(), 0o600);
    }

    fn path(&self) -> String {
        format!("{}:/usr/bin:/bin", self.world.file("plugins").display())
    }

    /// Runs a command that may find the plugin.
    fn run(&self, args: &[&str]) -> Ran {
        self.world.command(args).env("PATH", self.path()).output().unwrap().into()
    }

    /// Runs a command that unlocks with the plugin.
    fn unlock(&self, args: &[&str]) -> Ran {
        let mut command = self.world.command(args);
        command.env("PATH", self.path()).env("TOKENKEEP_IDENTITY_FILE", self.identity()).output().unwrap().into()
    }
}

#[test]
fn a_plugin_opens_the_slot_of_its_recipient() {
    let plugged = Plugged::with_slot();
    assert_eq!(plugged.unlock(&["get", "one"]).ok().stdout, "secret\n");
    let list = plugged.unlock(&["vault", "slot", "list", "--json"]).ok().json();
    assert_eq!((&list[0]["kind"], &list[0]["recipient"]), (&"plugin".into(), &bech32("age1shelltest").into()));
}

#[test]
fn a_slot_that_nobody_could_read_again_is_not_added() {
    let plugged = Plugged::new();
    for mode in ["swells", "garbles"] {
        plugged.is(mode);
        let add = ["vault", "slot", "add", "key", "--recipient", &bech32("age1shelltest")];
        plugged.run(&add).fails(1).says("could not be read again");
        assert!(!plugged.world.vault().join("slots/key.age").exists());
    }
}

#[test]
fn age_opens_the_slot_with_the_same_plugin() {
    let plugged = Plugged::with_slot();
    let mut age = Command::new("age");
    age.args(["-d", "-i"]).arg(plugged.identity()).arg(plugged.world.vault().join("slots/key.age"));
    let ran: Ran = age.env("PATH", plugged.path()).stdin(Stdio::null()).output().unwrap().into();
    let identity = std::fs::read_to_string(plugged.world.identity_file()).unwrap();
    assert!(identity.contains(ran.ok().stdout.trim()));
}

#[test]
fn an_identity_file_may_hold_keys_of_both_kinds() {
    let plugged = Plugged::with_slot();
    let recipient = new_identity(&plugged.world.file("ci.txt"));
    plugged.run(&["vault", "slot", "add", "ci", "--recipient", &recipient]).ok();
    let native = std::fs::read_to_string(plugged.world.file("ci.txt")).unwrap();
    let both = std::fs::read_to_string(plugged.identity()).unwrap() + &native;
    write(&plugged.identity(), both.as_bytes(), 0o600);
    // the plugin is not even started
    plugged.is("dies");
    plugged.unlock(&["get", "one"]).ok();
    assert!(!std::fs::read_to_string(plugged.file("environment")).unwrap().contains("TOKENKEEP_IDENTITY_FILE"));
    plugged.run(&["vault", "slot", "remove", "ci"]).ok();
    plugged.is("works");
    plugged.unlock(&["get", "one"]).ok();
}

#[test]
fn a_plugin_that_is_not_there_is_named() {
    let plugged = Plugged::with_slot();
    std::fs::remove_file(plugged.file("age-plugin-shelltest")).unwrap();
    plugged
        .unlock(&["get", "one"])
        .fails(5)
        .says("there is no program `age-plugin-shelltest` in PATH")
        .says("command -v");
    plugged.run(&["vault", "slot", "add", "two", "--recipient", &bech32("age1shelltest")]).fails(5).says("in PATH");
}

#[test]
fn a_plugin_of_the_current_folder_is_not_run() {
    let plugged = Plugged::with_slot();
    std::fs::rename(plugged.file("age-plugin-shelltest"), plugged.world.file("age-plugin-shelltest")).unwrap();
    let mut command = plugged.world.command(["get", "one"]);
    command.env("PATH", ".::/usr/bin:/bin").env("TOKENKEEP_IDENTITY_FILE", plugged.identity());
    Ran::from(command.output().unwrap()).fails(5).says("in PATH");
}

#[test]
fn a_plugin_that_fails_is_quoted_without_its_control_characters() {
    let plugged = Plugged::with_slot();
    plugged.is("fails");
    let ran = plugged.unlock(&["get", "one"]).fails(5).says("the key is");
    assert!(!ran.stderr.contains('\u{1b}'), "{}", ran.stderr);
    let before = crate::outside::snapshot(&plugged.world.vault());
    plugged.run(&["vault", "slot", "add", "two", "--recipient", &bech32("age1shelltest")]).fails(5).says("unplugged");
    assert_eq!(crate::outside::snapshot(&plugged.world.vault()), before);
}

#[test]
fn a_plugin_that_breaks_off_or_babbles_is_exit_5() {
    let plugged = Plugged::with_slot();
    for mode in ["dies", "babbles"] {
        plugged.is(mode);
        plugged.unlock(&["get", "one"]).fails(5).says("does not speak as plugins of age do");
    }
    chmod(&plugged.file("age-plugin-shelltest"), 0o600);
    plugged.unlock(&["get", "one"]).fails(5).says("age-plugin-shelltest");
}

#[test]
fn a_plugin_whose_key_is_another_one_opens_nothing() {
    let plugged = Plugged::with_slot();
    write(&plugged.file("key"), b"ff0102030405060708090a0b0c0d0e0f", 0o600);
    plugged.unlock(&["get", "one"]).fails(5);
}

#[test]
fn a_plugin_that_asks_is_told_that_nobody_is_there() {
    let plugged = Plugged::with_slot();
    plugged.is("asks");
    let begun = std::time::Instant::now();
    plugged.unlock(&["get", "one"]).fails(5).says("nobody to answer").says("Number of the key:");
    assert!(begun.elapsed() < std::time::Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[test]
fn a_plugin_that_asks_is_answered_on_a_terminal() {
    let plugged = Plugged::with_slot();
    plugged.is("asks");
    let script = format!(
        "export PATH='{}' TOKENKEEP_IDENTITY_FILE='{}'; \"$0\" \"$@\"; {LAST_WORDS}",
        plugged.path(),
        plugged.identity().display()
    );
    let mut terminal = Terminal::of(&plugged.world.shell(&script, ["get", "one"]));
    terminal
        .sees("look at the key")
        .sees("Number of the key:")
        .types("4711")
        .sees("secret")
        .ends()
        .with(0)
        .hides("4711");
}

#[test]
fn a_plugin_does_not_see_what_opens_the_vault() {
    let plugged = Plugged::with_slot();
    let identity = std::fs::read_to_string(plugged.identity()).unwrap();
    plugged.world.forget_identity_file();
    let mut command = plugged.world.command(["get", "one"]);
    command.env("PATH", plugged.path()).env("TOKENKEEP_IDENTITY", identity).env("SEEN", "yes");
    Ran::from(command.output().unwrap()).ok();
    let environment = std::fs::read_to_string(plugged.file("environment")).unwrap();
    assert!(environment.contains("SEEN=yes") && !environment.contains("TOKENKEEP_IDENTITY"), "{environment}");
}

#[test]
fn a_plugin_does_not_inherit_a_descriptor_that_is_read_after_it_ran() {
    let plugged = Plugged::with_slot();
    plugged.is("steals");
    write(&plugged.world.file("words"), b"correct horse", 0o600);
    let script = format!(
        "export PATH='{}' TOKENKEEP_IDENTITY_FILE='{}'; exec \"$0\" \"$@\" 3<words",
        plugged.path(),
        plugged.identity().display()
    );
    let stolen = |args: &[&str]| {
        Ran::from(plugged.world.shell(&script, args).output().unwrap()).ok();
        let stolen = std::fs::read_to_string(plugged.file("stolen")).unwrap();
        std::fs::remove_file(plugged.file("stolen")).unwrap();
        stolen
    };
    // one that nobody told us of is inherited, as by every program
    assert_eq!(stolen(&["get", "one"]), "correct horse");
    assert_eq!(stolen(&["vault", "rotate", "--slot-passphrase-fd", "3"]), "");
}

#[test]
fn a_slot_can_be_made_for_a_file_that_is_made_with_it() {
    let plugged = Plugged::new();
    let world = &plugged.world;
    world.run(["vault", "slot", "add", "cron", "--identity-file", "cron.txt"]).ok().says("TOKENKEEP_IDENTITY_FILE=");
    assert_eq!(crate::outside::mode(&world.file("cron.txt")), 0o600);
    let with_it = |args: &[&str]| -> Ran {
        let mut command = world.command(args);
        command.env("TOKENKEEP_IDENTITY_FILE", world.file("cron.txt")).output().unwrap().into()
    };
    with_it(&["get", "one"]).ok();
    world.run(["vault", "slot", "remove", "cron"]).ok().says("vault rotate");
    with_it(&["get", "one"]).fails(5);
}
