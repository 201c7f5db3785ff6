//! Passphrases: how a new one is asked for, what is said of a weak one, and how one is changed so that there always is one
//! that opens the vault.

use provider::Settings;

use crate::harness::{Ran, World};
use crate::outside::{new_identity, snapshot};
use crate::strace::{can_trace, counts, read_log, under_strace};
use crate::terminal::{LAST_WORDS, Terminal};

const OLD: &str = "correct horse battery staple";
const NEW: &str = "eleven violet tractors humming";

/// A vault that the slot `words` opens, and the file `right.txt`; no setting says so. The secret `one` is in it.
fn world() -> World {
    let world = World::bare(Settings::default());
    new_identity(&world.file("right.txt"));
    world.run(["init", "--identity-file", "right.txt"]).ok();
    world.keep("one", "secret");
    world.hand(["vault", "slot", "add", "words", "--new-passphrase-fd", "3"], OLD).ok();
    world.forget_identity_file();
    world
}

/// A command for which the file opens the vault: that is quicker than a passphrase.
fn with_key(world: &World, args: &[&str]) -> std::process::Command {
    let mut command = world.command(args);
    command.env("TOKENKEEP_IDENTITY_FILE", world.file("right.txt"));
    command
}

/// Opens the vault with a passphrase.
fn get(world: &World, words: &str) -> Ran {
    world.hand(["get", "one", "--passphrase-fd", "3"], words)
}

/// A change of the passphrase to the text in `new.txt`, for which the file opens the vault.
fn change(world: &World) -> std::process::Command {
    crate::outside::write(&world.file("new.txt"), NEW.as_bytes(), 0o600);
    let args = ["vault", "slot", "change", "words", "--new-passphrase-fd", "0"];
    let mut command = with_key(world, &args);
    command.stdin(std::fs::File::open(world.file("new.txt")).unwrap());
    command
}

#[test]
fn a_changed_passphrase_opens_the_vault_and_the_one_before_does_not() {
    let world = world();
    let recipient = new_identity(&world.file("ci.txt"));
    let add = ["vault", "slot", "add", "ci", "--recipient", &recipient];
    Ran::from(with_key(&world, &add).output().unwrap()).ok();
    let mut terminal = world.on_terminal(["vault", "slot", "change", "words"]);
    terminal.sees("Passphrase of the vault: ").types(OLD).sees("New passphrase: ").types(NEW);
    terminal.sees("once more: ").types(NEW).sees("`words` opens with the new passphrase");
    terminal.ends().with(0).hides("horse").hides("tractors");
    get(&world, OLD).fails(5).says("wrong passphrase");
    assert_eq!(get(&world, NEW).ok().stdout, "secret\n");
    let mut list = world.command(["vault", "slot", "list", "--json"]);
    let list = list.env("TOKENKEEP_IDENTITY_FILE", world.file("ci.txt")).output().unwrap();
    let list = Ran::from(list).ok().json();
    assert_eq!((&list[0]["name"], &list[1]["name"]), (&"words".into(), &"ci".into()));
    assert_eq!(Ran::from(with_key(&world, &["vault", "verify"]).output().unwrap()).ok().stderr, "");
    assert_eq!(std::fs::read_dir(world.vault().join("slots")).unwrap().count(), 2);
}

#[test]
fn what_cannot_be_changed_stays_as_it_is() {
    let world = world();
    let recipient = new_identity(&world.file("ci.txt"));
    Ran::from(with_key(&world, &["vault", "slot", "add", "ci", "--recipient", &recipient]).output().unwrap()).ok();
    let before = snapshot(&world.vault());
    let change = |args: &[&str]| -> Ran {
        with_key(&world, &[&["vault", "slot", "change"][..], args].concat()).output().unwrap().into()
    };
    change(&["nothing"]).fails(8).says("`nothing`");
    change(&["ci"]).fails(2).says("opened by a key");
    change(&["words"]).fails(5).says("--new-passphrase-fd 3");
    change(&["words", "--new-passphrase-fd", "0"]).fails(2).says("empty");
    change(&["words", "--new-passphrase-fd", "9"]).fails(2).says("--new-passphrase-fd 9");
    world.run(["vault", "slot", "change", "words", "--new-passphrase-fd", "0"]).fails(5).says("locked");
    assert_eq!(snapshot(&world.vault()), before);
}

#[test]
fn two_that_differ_and_an_empty_one_change_nothing() {
    let world = world();
    let before = snapshot(&world.vault());
    let on_terminal = || {
        let script = format!("export TOKENKEEP_IDENTITY_FILE=right.txt; stty sane; \"$0\" \"$@\"; {LAST_WORDS}");
        Terminal::of(&world.shell(&script, ["vault", "slot", "change", "words"]))
    };
    let mut terminal = on_terminal();
    terminal.sees("New passphrase: ").types(NEW).sees("once more: ").types("another").sees("differ");
    terminal.ends().with(2).hides("tractors").hides("another");
    // nobody types nothing twice
    on_terminal().sees("New passphrase: ").types("").sees("the passphrase is empty").ends().with(2).hides("once more");
    assert_eq!(snapshot(&world.vault()), before);
}

#[test]
fn a_weak_passphrase_is_called_so_before_it_is_typed_again_and_taken() {
    let world = World::bare(Settings::default());
    let mut terminal = world.on_terminal(["init", "--unlock", "passphrase"]);
    terminal.sees("New passphrase: ").types("swordfish").sees("a weak passphrase: it is short");
    terminal.sees("The same once more: ").types("swordfish").sees("made a vault").ends().with(0).hides("swordfish");
    world.hand(["vault", "verify", "--passphrase-fd", "3"], "swordfish").ok();
}

#[test]
fn of_a_passphrase_from_a_descriptor_the_same_is_said_and_of_a_good_one_nothing() {
    let world = world();
    let add = |name: &str, words: &str, flag: &str| {
        let args = ["vault", "slot", "add", name, "--new-passphrase-fd", "3", flag];
        let script = "TOKENKEEP_IDENTITY_FILE=right.txt exec \"$0\" \"$@\" 3<handed";
        crate::outside::write(&world.file("handed"), words.as_bytes(), 0o600);
        Ran::from(world.shell(script, args).output().unwrap()).ok()
    };
    add("one", "1234567890123456", "--no-input").says("a weak passphrase: it is made of digits alone").hides("123456");
    assert!(!add("two", NEW, "--no-input").stderr.contains("weak"));
    assert_eq!(add("three", "x", "--quiet").stderr, "");
}

#[test]
fn a_change_that_is_killed_leaves_the_old_passphrase_or_the_new_one() {
    if !can_trace() {
        return;
    }
    let world = world();
    let slot = || std::fs::read(world.vault().join("slots/words.age")).unwrap();
    let header = || std::fs::read_to_string(world.vault().join("vault.toml")).unwrap();
    let traced = |options: &[&str]| {
        let mut command = under_strace(&change(&world), options);
        command.stdin(std::fs::File::open(world.file("new.txt")).unwrap()).output().unwrap();
    };
    // what is new is put beside, then named by the list, then put into its place
    for (nth, opens) in [(1, OLD), (2, OLD), (3, NEW)] {
        let (slot_before, header_before) = (slot(), header());
        traced(&[
            "-f",
            "-o",
            "/dev/null",
            "-e",
            "trace=rename",
            "-e",
            &format!("inject=rename:signal=KILL:when={nth}"),
        ]);
        assert_eq!(slot(), slot_before, "at {nth}");
        assert_eq!(header() == header_before, opens == OLD, "at {nth}");
        get(&world, opens).ok();
    }
    let verified = with_key(&world, &["vault", "verify"]).output().unwrap();
    assert_eq!(Ran::from(verified).ok().stderr, "", "the file that waits is ours");
    // whoever changes a slot next ends what was begun
    let before = slot();
    let recipient = new_identity(&world.file("ci.txt"));
    Ran::from(with_key(&world, &["vault", "slot", "add", "ci", "--recipient", &recipient]).output().unwrap()).ok();
    assert_ne!(slot(), before);
    assert_eq!(std::fs::read_dir(world.vault().join("slots")).unwrap().count(), 2);
    get(&world, NEW).ok();
}

#[test]
fn a_change_rests_on_the_disk_before_the_list_names_it() {
    if !can_trace() {
        return;
    }
    let world = world();
    let log = world.file("log");
    let mut command = under_strace(&change(&world), &["-f", "-y", "-o", log.to_str().unwrap()]);
    let ran = command.stdin(std::fs::File::open(world.file("new.txt")).unwrap()).output().unwrap();
    Ran::from(ran).ok();
    let calls = read_log(&log);
    assert_eq!(counts(&calls, |_| true)["rename"], 3);
    let at = |name: &str, text: &str| {
        let found = calls.iter().position(|call| call.name == name && call.rest.contains(text));
        found.unwrap_or_else(|| panic!("no {name} of {text}"))
    };
    let slot_flushed = at("fsync", "words.age.next.new>");
    let waiting = at("rename", "words.age.next.new\"");
    let folder_flushed =
        calls.iter().skip(waiting).position(|call| call.name == "fsync" && call.rest.contains("/slots>"));
    let named = at("rename", "vault.toml.new\"");
    assert!(slot_flushed < waiting && waiting + folder_flushed.unwrap() < named);
}
