//! Exports and imports: what leaves a vault in one file, and what becomes of it in another vault.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use provider::{Endpoint, Provider, Reuse, Settings, json};

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
fn a_damaged_entry_is_named_and_so_is_the_way_round_it() {
    let (world, recipient) = world();
    world.keep("bad", "second");
    let names: Vec<String> = std::fs::read_dir(world.vault().join("entries"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(names.len() > 1);
    write(&world.entry("bad").join("1.age"), b"rubbish", 0o600);
    let ran = world.run(["vault", "export", "--recipient", &recipient, "-o", "all.age"]).fails(5).says("bad/1.age");
    let others = ran.stderr.split("`tokenkeep vault export ").nth(1).unwrap().split('`').next().unwrap();
    assert!(!world.file("all.age").exists() && !others.contains("bad"));
    let args = ["vault", "export", "--recipient", &recipient, "-o", "some.age"];
    world.run(args.into_iter().chain(others.split(' '))).ok().says(&format!("exported {}", names.len() - 1));
}

#[test]
fn an_export_for_a_passphrase_goes_through_a_pipe() {
    let (world, _) = world();
    let script = format!(
        "echo '{WORDS}' >words; \"$0\" \"$@\" --new-passphrase-fd 3 3<words >all.age && \"$0\" delete one --yes && \
         cat all.age | \"$0\" vault import - --file-passphrase-fd 3 3<words"
    );
    let ran: Ran = world.shell(&script, ["vault", "export", "one"]).output().unwrap().into();
    ran.ok().says("exported 1 entry").says("imported `one`").hides("first");
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

/// Writes `forged.age`, which opens with the vault's own key, as anybody can who knows its recipient: the entries of the
/// vault by these names, each with its JSON changed.
fn forge(world: &World, names: &[&str], change: impl Fn(&mut serde_json::Value)) {
    let forger = Forger::of(world);
    let entries = names.iter().map(|name| {
        let file = world.entry(name).join(format!("{}.age", world.generation(name)));
        let mut entry: serde_json::Value = serde_json::from_str(&forger.json(&file)).unwrap();
        change(&mut entry);
        format!("{entry}\n")
    });
    let heading = json!({"tokenkeep_export": 1, "exported_at": 5, "entries": names.len()});
    let text = format!("{heading}\n{}", entries.collect::<String>());
    write(&world.file("forged.age"), &forger.encrypt(text.as_bytes()), 0o600);
}

/// A vault with the secret `deploy-key` of a confidential client, and the profile `conf` that uses it.
fn world_with_secret() -> World {
    let world = World::logged_in(short_lived(300));
    world.feed(["store", "deploy-key", "--kind", "client-secret", "--stdin"], "s3cret-client").ok();
    world.add_profile("conf", &["--client-id", "confidential", "--client-secret", "entry:deploy-key"]);
    world
}

#[test]
fn a_forged_login_carries_off_no_client_secret() {
    let (world, elsewhere) = (world_with_secret(), Provider::start(Settings::default()));
    let forged = |entry: &mut serde_json::Value| {
        entry["name"] = "evil".into();
        let born = &mut entry["body"]["born"];
        born["issuer"] = elsewhere.issuer().into();
        born["client_auth"] = "post".into();
        born["client_secret"] = "deploy-key".into();
    };
    let before = snapshot(&world.vault());
    forge(&world, &["prod"], forged);
    let ran = world.run(["vault", "import", "forged.age"]).fails(2).hides("s3cret-client");
    ran.says("`evil` wants the client secret `deploy-key`").says(&elsewhere.issuer());
    // nor if a secret comes with it that is left out
    forge(&world, &["prod", "deploy-key"], |entry| match entry["name"].as_str() {
        Some("prod") => forged(entry),
        _ => entry["body"]["secret"] = "another".into(),
    });
    world.run(["vault", "import", "forged.age", "--skip"]).fails(2).says("`evil` wants the client secret `deploy-key`");
    assert_eq!(snapshot(&world.vault()), before);
    assert_eq!(elsewhere.count(Endpoint::Token), 0);
}

#[test]
fn a_forged_token_endpoint_is_forgotten_and_the_issuer_is_asked() {
    let (world, elsewhere) = (world_with_secret(), Provider::start(Settings::default()));
    let refresh = world.provider.grant("confidential", &["openid", "offline_access"]);
    forge(&world, &["prod"], |entry| {
        entry["name"] = "conf@x".into();
        entry["body"]["refresh_token"] = refresh.as_str().into();
        let born = &mut entry["body"]["born"];
        born["client_id"] = "confidential".into();
        born["token_endpoint"] = elsewhere.token_endpoint().into();
        // its profile binds it
        born["client_secret"] = "deploy-key".into();
    });
    let at = format!("imported `conf@x`, a login at {}", world.provider.issuer());
    world.run(["vault", "import", "forged.age"]).ok().says(&at);
    assert!(world.provider.is_access_live(&world.token("conf@x")));
    assert_eq!(elsewhere.requests().len(), 0);
}

#[test]
fn a_login_and_its_client_secret_move_together() {
    let here = world_with_secret();
    let refresh = here.provider.grant("confidential", &["openid", "offline_access"]);
    here.feed(["store", "conf", "--kind", "refresh-token", "--stdin"], &refresh).ok();
    let there = World::bare(Settings::default());
    there.run(["init"]).ok();
    let recipient = Forger::of(&there).recipient().to_string();
    let (alone, both) = (there.file("alone.age"), there.file("both.age"));
    let export = |names: &[&str], file: &Path| {
        let args = ["-o", file.to_str().unwrap(), "--recipient", &recipient];
        here.run([&["vault", "export"], names, &args].concat()).ok();
    };
    export(&["conf"], &alone);
    export(&["conf", "deploy-key"], &both);
    let refused = there.run(["vault", "import", "alone.age"]).fails(2);
    refused.says("tokenkeep vault export conf deploy-key");
    let imported = there.run(["vault", "import", "both.age", "--json"]).ok().json();
    assert_eq!((&imported[0]["name"], &imported[0]["issuer"]), (&"deploy-key".into(), &json!(null)));
    assert_eq!((&imported[1]["name"], &imported[1]["issuer"]), (&"conf".into(), &json!(here.provider.issuer())));
    assert!(here.provider.is_access_live(&there.token("conf")));
}

#[test]
fn no_other_kind_of_text_is_sent_as_a_client_secret() {
    let world = world_with_secret();
    world.keep("text", "s3cret-client");
    world.edit_config(|text| text.replace("entry:deploy-key", "entry:text"));
    let refresh = world.provider.grant("confidential", &["openid", "offline_access"]);
    world.feed(["store", "conf", "--kind", "refresh-token", "--stdin"], &refresh).ok();
    world.run(["get", "conf"]).fails(9).says("no client secret in the entry `text`");
    assert_eq!(world.provider.count(Endpoint::Token), 0);
}

#[test]
fn an_entry_that_was_never_published_is_exported_with_all_others() {
    let (world, recipient) = world();
    world.keep("gone", "third");
    world.run(["delete", "gone", "--yes"]).ok();
    std::fs::rename(world.entry("one").join("1.age"), world.entry("one").join("next")).unwrap();
    export(&world, &recipient);
    for name in ["one", "two"] {
        world.run(["delete", name, "--yes"]).ok();
    }
    import(&world, &[]).ok().says("imported `one`").says("imported `two`");
    assert_eq!(world.token("one"), "first");
}

#[test]
fn an_import_leaves_the_pin_alone() {
    let (world, recipient) = world();
    export(&world, &recipient);
    world.run(["delete", "one", "--yes"]).ok();
    let pins = || {
        let files = std::fs::read_dir(world.home().join("state/pins")).unwrap();
        files.map(|file| file.unwrap().metadata().unwrap().ino()).collect::<Vec<u64>>()
    };
    let before = pins();
    import(&world, &[]).ok();
    assert_eq!((before.len(), pins()), (1, before));
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
