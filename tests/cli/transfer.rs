//! Exports and imports: what leaves a vault in one file, and what becomes of it in another vault.

use provider::{Reuse, Settings};

use crate::harness::{Ran, World, short_lived};
use crate::killing::{CHANGES, killing_at, report, steps};
use crate::outside::{Forger, age, mode, new_identity, snapshot, write};
use crate::strace::{can_trace, counts, read_log, under_strace};

const WORDS: &str = "correct horse battery staple";

/// A vault with the secrets `one` and `two`, and a key of somebody else in `key.txt`.
fn world() -> (World, String) {
    let world = World::bare(Settings::default());
    world.run(["init"]).ok();
    world.keep("one", "first");
    world.keep("two", "second");
    let recipient = new_identity(&world.file("key.txt"));
    (world, recipient)
}

/// Exports everything into `all.age`.
fn export(world: &World, recipient: &str) {
    world.run(["vault", "export", "-o", "all.age", "--recipient", recipient]).ok();
}

/// Imports `all.age`.
fn import(world: &World, flags: &[&str]) -> Ran {
    world.run([&["vault", "import", "all.age", "--file-identity", "key.txt"], flags].concat())
}

#[test]
fn an_export_is_an_age_file_of_json_lines_for_its_reader_alone() {
    let (world, recipient) = world();
    export(&world, &recipient);
    let file = world.file("all.age");
    assert_eq!(mode(&file), 0o600);
    let text = age(&["-d".as_ref(), "-i".as_ref(), world.file("key.txt").as_os_str(), file.as_os_str()], b"");
    let lines: Vec<serde_json::Value> =
        String::from_utf8(text).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&lines[0]["tokenkeep_export"], &lines[0]["entries"]), (&1.into(), &2.into()));
    assert_eq!((&lines[1]["name"], &lines[1]["body"]["secret"]), (&"one".into(), &"first".into()));
    assert_eq!((&lines[2]["name"], &lines[2]["body"]["secret"]), (&"two".into(), &"second".into()));
}

#[test]
fn what_is_exported_works_in_another_vault() {
    let here = World::logged_in(short_lived(300));
    here.keep("one", "first");
    let there = World::bare(Settings::default());
    there.run(["init"]).ok();
    let recipient = Forger::of(&there).recipient().to_string();
    here.run(["vault", "export", "-o", there.file("all.age").to_str().unwrap(), "--recipient", &recipient]).ok();
    there.run(["profile", "add", "prod", "--issuer", &here.provider.issuer(), "--client-id", "automated-access"]).ok();
    // it was made for that vault's own key
    there.run(["vault", "import", "all.age"]).ok().says("imported `prod`");
    assert!(here.provider.is_access_live(&there.token("prod")));
    assert_eq!(there.token("one"), "first");
    assert_eq!(there.run(["vault", "verify"]).ok().stderr, "");
}

#[test]
fn an_export_for_a_passphrase_goes_through_a_pipe() {
    let (world, _) = world();
    let script = format!(
        "echo '{WORDS}' >words; \"$0\" \"$@\" --new-passphrase-fd 3 3<words >all.age && \"$0\" delete one --yes && \
         cat all.age | \"$0\" vault import - --file-passphrase-fd 3 3<words"
    );
    let ran: Ran = world.shell(&script, ["vault", "export", "one"]).output().unwrap().into();
    ran.ok().says("exported 1 entries").says("imported `one`").hides("first");
    assert_eq!(world.token("one"), "first");
    let wrong = world.hand(["vault", "import", "all.age", "--file-passphrase-fd", "3"], "wrong");
    wrong.fails(5).says("--file-passphrase-fd 3 does not open this export");
}

#[test]
fn the_passphrase_of_an_export_is_asked_for_on_a_terminal() {
    let (world, _) = world();
    let mut terminal = world.on_terminal(["vault", "export", "one", "-o", "all.age"]);
    terminal.sees("New passphrase: ").types(WORDS).sees("once more: ").types(WORDS).ends().with(0).hides("horse");
    world.run(["delete", "one", "--yes"]).ok();
    let mut terminal = world.on_terminal(["vault", "import", "all.age"]);
    terminal.sees("Passphrase of the export: ").types(WORDS).ends().with(0).hides("horse");
    assert_eq!(world.token("one"), "first");
}

#[test]
fn an_export_asks_nobody_where_nobody_is_and_spares_a_terminal() {
    let (world, recipient) = world();
    world.run(["vault", "export", "-o", "all.age"]).fails(5).says("--new-passphrase-fd 3");
    world.on_terminal(["vault", "export", "--recipient", &recipient]).ends().with(2);
    world.run(["vault", "export", "nothing", "--recipient", &recipient]).fails(8);
    world.run(["vault", "export", "one", "--recipient", "nobody"]).fails(2);
    assert!(!world.file("all.age").exists());
}

#[test]
fn an_export_replaces_no_file() {
    let (world, recipient) = world();
    write(&world.file("all.age"), b"mine", 0o644);
    world.run(["vault", "export", "-o", "all.age", "--recipient", &recipient]).fails(2).says("all.age is there");
    assert_eq!(std::fs::read(world.file("all.age")).unwrap(), b"mine");
    assert!(!world.file(".all.age.new").exists());
}

#[test]
fn nothing_is_imported_while_a_name_is_taken() {
    let (world, recipient) = world();
    export(&world, &recipient);
    world.run(["delete", "one", "--yes"]).ok();
    world.keep("two", "other");
    let before = snapshot(&world.vault());
    import(&world, &[]).fails(2).says("two").says("--replace").says("--skip");
    assert_eq!(snapshot(&world.vault()), before);
    import(&world, &["--skip"]).ok().says("imported `one`").says("skipped `two`");
    assert_eq!((world.token("one"), world.token("two")), ("first".to_owned(), "other".to_owned()));
    import(&world, &["--replace"]).ok().says("`one` is there already").says("replaced `two`");
    assert_eq!(world.token("two"), "second");
}

#[test]
fn an_import_can_be_repeated() {
    let (world, recipient) = world();
    export(&world, &recipient);
    world.run(["delete", "one", "--yes"]).ok();
    import(&world, &[]).ok();
    let generation = world.generation("one");
    let again = import(&world, &["--json"]).ok().json();
    assert_eq!((&again[0]["outcome"], &again[1]["outcome"]), (&"unchanged".into(), &"unchanged".into()));
    assert_eq!(world.generation("one"), generation);
}

#[test]
fn an_entry_of_another_kind_is_never_replaced() {
    let (world, recipient) = world();
    export(&world, &recipient);
    world.run(["delete", "one", "--yes"]).ok();
    world.feed(["store", "one", "--kind", "client-secret", "--stdin"], "x").ok();
    import(&world, &["--replace"]).fails(2).says("another kind under one").says("tokenkeep delete one");
    import(&world, &["--skip"]).ok();
    assert_eq!(world.token("one"), "x");
}

#[test]
fn a_name_that_differs_by_case_alone_is_refused() {
    let (world, recipient) = world();
    export(&world, &recipient);
    std::fs::remove_dir_all(world.entry("one")).unwrap();
    world.keep("ONE", "other");
    import(&world, &[]).fails(2).says("differs from `ONE` only by case");
}

#[test]
fn what_is_no_export_or_not_for_us_is_refused() {
    let (world, recipient) = world();
    export(&world, &recipient);
    let before = snapshot(&world.vault());
    world.run(["vault", "import", "all.age"]).fails(5).says("the vault's own key does not open");
    let file = std::fs::read(world.file("all.age")).unwrap();
    for text in
        [b"rubbish".as_slice(), b"", &file[..file.len() - 1], &age(&["-r".as_ref(), recipient.as_ref()], b"{}\n")]
    {
        write(&world.file("all.age"), text, 0o600);
        import(&world, &[]).fails(1).says("no whole export");
    }
    world.run(["vault", "import", "nothing.age"]).fails(1).says("nothing.age");
    assert_eq!(snapshot(&world.vault()), before);
}

/// A login whose refresh token was exported, and exchanged after that; returns the spent token.
fn exported_and_spent() -> (World, String) {
    let world = World::with(Settings { reuse: Reuse::IsViolation, ..short_lived(300) });
    let spent = world.store_login("prod");
    let recipient = new_identity(&world.file("key.txt"));
    export(&world, &recipient);
    world.token("prod");
    (world, spent)
}

#[test]
fn a_token_that_is_known_to_be_spent_is_told_and_never_presented() {
    let (world, spent) = exported_and_spent();
    world.run(["delete", "prod", "--yes"]).ok();
    import(&world, &[]).ok().says("was exchanged before").says("tokenkeep generate prod").hides(&spent);
    world.run(["get", "prod"]).fails(4).says("exchanged before");
    assert_eq!(world.provider.presentations(&spent), 1);
    assert!(world.provider.family_alive());
}

#[test]
fn a_spent_token_replaces_none_that_is_not() {
    let (world, spent) = exported_and_spent();
    import(&world, &["--replace"]).ok().says("kept `prod` as it is");
    assert!(world.provider.is_access_live(world.run(["get", "prod", "--no-cache"]).ok().stdout.trim_end()));
    assert_eq!(world.provider.presentations(&spent), 1);
}

#[test]
fn an_import_that_is_killed_at_any_change_is_done_by_the_next_one() {
    if !can_trace() {
        return;
    }
    let (world, recipient) = world();
    export(&world, &recipient);
    let args = ["vault", "import", "all.age", "--file-identity", "key.txt"];
    let clear = || {
        for name in ["one", "two"] {
            world.run(["delete", name, "--yes"]).ok();
        }
    };
    clear();
    let log = world.file("log");
    Ran::from(under_strace(&world.command(args), &["-f", "-o", log.to_str().unwrap()]).output().unwrap()).ok();
    let calls = read_log(&log);
    let is_change = |name: &str| CHANGES.contains(&name) && !["flock", "open", "openat", "chmod"].contains(&name);
    let steps = steps(&counts(&calls, |call| is_change(&call.name)));
    for (name, nth) in &steps {
        clear();
        under_strace(&world.command(args), &killing_at(name, *nth)).output().unwrap();
        let again = world.run(args);
        assert_eq!(again.code, 0, "after a kill at {name} {nth}: {}", again.stderr);
        assert_eq!((world.token("one"), world.token("two")), ("first".to_owned(), "second".to_owned()));
    }
    assert_eq!(world.run(["vault", "verify"]).ok().stderr, "");
    report(&format!("{} kills of vault import", steps.len()));
}
