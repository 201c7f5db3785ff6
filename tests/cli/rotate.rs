//! `vault rotate`: the vault gets a new key, and nobody who uses it meanwhile, or kills it, loses anything.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::thread;
use std::time::Duration;

use provider::{Endpoint, Settings};

use crate::harness::{PATIENCE, Ran, World, generations, short_lived};
use crate::keyring::{Desktop, Machine};
use crate::killing::{CHANGES, killing_at, report, steps};
use crate::outside::{Forger, age, new_identity, snapshot, write};
use crate::signals::{kill_front, wait_until_blocked};
use crate::strace::{can_trace, counts, read_log, under_strace};

const WORDS: &str = "correct horse battery staple";
const ROTATE: [&str; 2] = ["vault", "rotate"];

/// A vault with the secret `one`.
fn world() -> World {
    let world = World::bare(Settings::default());
    world.run(["init"]).ok();
    world.keep("one", "secret");
    world
}

/// The public recipient that the header names.
fn recipient(world: &World) -> String {
    let text = std::fs::read_to_string(world.vault().join("vault.toml")).unwrap();
    text.lines().find_map(|line| line.strip_prefix("recipient = ")).unwrap().trim_matches('"').to_owned()
}

/// The names in a folder.
fn names(folder: &Path) -> BTreeSet<String> {
    std::fs::read_dir(folder).unwrap().map(|item| item.unwrap().file_name().into_string().unwrap()).collect()
}

/// Claims that nothing of a rotation is left, and that the vault is good.
fn is_tidy(world: &World) {
    assert_eq!(names(&world.home().join("data")), ["vault".to_owned()].into());
    assert_eq!(world.run(["vault", "verify"]).ok().stderr, "");
    let pins = world.home().join("state/pins");
    for pin in names(&pins) {
        assert_eq!(std::fs::read_to_string(pins.join(pin)).unwrap().lines().count(), 1);
    }
    let keys = std::fs::read_to_string(world.identity_file()).unwrap_or_default();
    assert!(keys.lines().filter(|line| line.starts_with("AGE-SECRET-KEY-1")).count() <= 1, "{keys}");
}

/// Runs a command that another identity file opens.
fn with_identity(world: &World, name: &str, args: &[&str]) -> Ran {
    world.command(args).env("TOKENKEEP_IDENTITY_FILE", world.file(name)).output().unwrap().into()
}

#[test]
fn a_rotated_vault_has_another_key_and_the_same_entries() {
    let world = world();
    world.keep("one", "newer");
    world.keep("two", "second");
    let (before, old) = (recipient(&world), std::fs::read(world.identity_file()).unwrap());
    let ran = world.run(["vault", "rotate", "--json"]).ok();
    assert_eq!((&ran.json()["recipient_before"], &ran.json()["entries"]), (&before.as_str().into(), &2.into()));
    assert_ne!(recipient(&world), before);
    assert_eq!((world.token("one"), world.token("two")), ("newer".to_owned(), "second".to_owned()));
    write(&world.file("old.txt"), &old, 0o600);
    with_identity(&world, "old.txt", &["get", "one"]).fails(5);
    // the generations are numbered as before, and the older ones are gone
    assert_eq!(generations(&world.entry("one")), [2]);
    let (file, key) = (world.entry("one").join("2.age"), world.identity_file());
    let text = age(&["-d".as_ref(), "-i".as_ref(), key.as_os_str(), file.as_os_str()], b"");
    assert!(String::from_utf8(text).unwrap().contains("newer"));
    is_tidy(&world);
}

#[test]
fn a_rotated_vault_can_be_written_and_rotated_again() {
    let world = world();
    world.run(ROTATE).ok();
    world.keep("one", "second");
    world.run(ROTATE).ok();
    assert_eq!(world.token("one"), "second");
    is_tidy(&world);
}

#[test]
fn locks_are_the_same_files_after_a_rotation() {
    let world = world();
    world.run(["delete", "one", "--yes"]).ok();
    world.keep("two", "x");
    let inodes = || {
        ["entries/one/lock", "entries/two/lock", "lock"]
            .map(|path| std::fs::metadata(world.vault().join(path)).unwrap().ino())
    };
    let before = inodes();
    world.run(ROTATE).ok();
    assert_eq!(inodes(), before);
    world.keep("one", "again");
}

#[test]
fn slots_for_recipients_open_a_rotated_vault() {
    let world = world();
    for name in ["ci", "old"] {
        let recipient = new_identity(&world.file(name));
        world.run(["vault", "slot", "add", name, "--recipient", &recipient]).ok();
    }
    // who opens it by a slot needs no file
    with_identity(&world, "ci", &["vault", "rotate", "--drop", "old"]).ok();
    with_identity(&world, "ci", &["get", "one"]).ok();
    with_identity(&world, "old", &["get", "one"]).fails(5);
    // it is known all the same which file holds the vault's own key
    world.run(["get", "one"]).ok();
    is_tidy(&world);
}

#[test]
fn a_slot_whose_passphrase_is_not_there_stops_the_rotation() {
    let world = world();
    world.hand(["vault", "slot", "add", "words", "--new-passphrase-fd", "3"], WORDS).ok();
    let before = snapshot(&world.home());
    let ran = world.run(ROTATE).fails(5);
    ran.says("the slot `words`").says("--slot-passphrase-fd 3").says("--drop words");
    let given = |text: &str| world.hand(["vault", "rotate", "--slot-passphrase-fd", "3"], text).fails(5);
    assert_eq!(snapshot(&world.home()), before);
    given("wrong\n").says("passphrase 1 of --slot-passphrase-fd opens no slot");
    world.hand(["vault", "slot", "add", "more", "--new-passphrase-fd", "3"], "more words of four").ok();
    let before_both = snapshot(&world.home());
    let ran = given(&format!("{WORDS}\nwrong\n")).says("passphrase 2 of --slot-passphrase-fd opens no slot");
    assert!(ran.says("the slot `more`").stderr.matches("opens no slot").count() == 1);
    assert_eq!(snapshot(&world.home()), before_both);
    world.run(["vault", "slot", "remove", "more"]).ok();
    world.hand(["vault", "rotate", "--slot-passphrase-fd", "3"], &format!("wrong\n{WORDS}\n")).ok();
    world.hand(["get", "one", "--passphrase-fd", "3"], WORDS).ok();
    is_tidy(&world);
}

#[test]
fn a_vault_that_a_passphrase_opens_is_rotated_with_it() {
    let world = World::bare(Settings::default());
    world.hand(["init", "--unlock", "passphrase", "--passphrase-fd", "3"], WORDS).ok();
    let before = recipient(&world);
    world
        .hand(["vault", "rotate", "--passphrase-fd", "3"], "wrong")
        .fails(5)
        .says("wrong passphrase (--passphrase-fd 3)");
    world.hand(["vault", "rotate", "--passphrase-fd", "3"], WORDS).ok();
    assert_ne!(recipient(&world), before);
    world.hand(["vault", "verify", "--passphrase-fd", "3"], WORDS).ok();
}

#[test]
fn a_vault_that_nothing_would_open_is_not_rotated() {
    let world = world();
    let recipient = new_identity(&world.file("ci.txt"));
    world.run(["vault", "slot", "add", "ci", "--recipient", &recipient]).ok();
    world.forget_identity_file();
    let before = snapshot(&world.home());
    with_identity(&world, "ci.txt", &["vault", "rotate", "--drop", "ci"]).fails(2).says("nothing would open");
    with_identity(&world, "ci.txt", &["vault", "rotate", "--drop", "nothing"]).fails(8);
    assert_eq!(snapshot(&world.home()), before);
}

#[test]
fn a_key_from_elsewhere_needs_a_file_for_the_new_one() {
    let world = world();
    let key = std::fs::read_to_string(world.identity_file()).unwrap();
    world.forget_identity_file();
    let before = snapshot(&world.home());
    world.hand(["vault", "rotate", "--identity-fd", "3"], &key).fails(2).says("--identity-file FILE");
    assert_eq!(snapshot(&world.home()), before);
    let ran = world.hand(["vault", "rotate", "--identity-fd", "3", "--identity-file", "new.txt"], &key).ok();
    ran.says("--identity-fd 3 opens the vault no more");
    assert_eq!(crate::outside::mode(&world.file("new.txt")), 0o600);
    with_identity(&world, "new.txt", &["get", "one"]).ok();
    world.hand(["get", "one", "--identity-fd", "3"], &key).fails(5);
}

#[test]
fn another_key_in_the_file_for_the_new_one_is_left_alone() {
    let world = world();
    new_identity(&world.file("theirs.txt"));
    let before = (snapshot(&world.home()), std::fs::read(world.file("theirs.txt")).unwrap());
    world.run(["vault", "rotate", "--identity-file", "theirs.txt"]).fails(2).says("theirs.txt");
    assert_eq!((snapshot(&world.home()), std::fs::read(world.file("theirs.txt")).unwrap()), before);
}

#[test]
fn other_keys_and_comments_of_an_identity_file_stay() {
    let world = world();
    let old = Forger::of(&world).recipient().to_string();
    let text = std::fs::read_to_string(world.identity_file()).unwrap();
    new_identity(&world.file("other.txt"));
    let other = std::fs::read_to_string(world.file("other.txt")).unwrap();
    write(&world.file("real.txt"), format!("{text}{other}").as_bytes(), 0o400);
    std::fs::remove_file(world.identity_file()).unwrap();
    std::os::unix::fs::symlink(world.file("real.txt"), world.identity_file()).unwrap();
    world.run(ROTATE).ok();
    let now = std::fs::read_to_string(world.file("real.txt")).unwrap();
    assert!(now.ends_with(&other) && now.starts_with("# opens a tokenkeep vault") && !now.contains(&old), "{now}");
    assert_eq!(crate::outside::mode(&world.file("real.txt")), 0o400);
    world.run(["get", "one"]).ok();
}

#[test]
fn an_entry_that_does_not_open_stops_the_rotation() {
    let world = world();
    world.keep("two", "x");
    write(&world.entry("two").join("1.age"), b"rubbish", 0o600);
    let before = snapshot(&world.home());
    world.run(ROTATE).fails(5).says("entries/two/1.age");
    assert_eq!(snapshot(&world.home()), before);
}

#[test]
fn what_is_not_ours_stays_where_it_is() {
    let world = world();
    std::fs::create_dir(world.vault().join(".git")).unwrap();
    for path in [".git/HEAD", "notes.txt", "slots/notes.txt", "entries/notes.txt", "entries/one/notes.txt"] {
        write(&world.vault().join(path), path.as_bytes(), 0o640);
    }
    world.run(ROTATE).ok();
    for path in [".git/HEAD", "notes.txt", "slots/notes.txt", "entries/notes.txt", "entries/one/notes.txt"] {
        assert_eq!(std::fs::read_to_string(world.vault().join(path)).unwrap(), path);
    }
    assert_eq!(names(&world.home().join("data")), ["vault".to_owned()].into());
}

#[test]
fn an_answer_that_waits_to_be_published_is_published_and_one_put_aside_stays() {
    let world = world();
    let forger = Forger::of(&world);
    let json = forger.json(&world.entry("one").join("1.age"));
    let next = json.replace("\"generation\":1", "\"generation\":2").replace("secret\",\"expires", "answer\",\"expires");
    forger.put(&world.entry("one").join("next"), &next);
    forger.put(&world.entry("one").join("aside-5.age"), &json);
    write(&world.entry("one").join("aside-6.age"), b"rubbish", 0o600);
    world.run(ROTATE).ok();
    assert_eq!((world.generation("one"), world.token("one").as_str()), (2, "answer"));
    assert_eq!(Forger::of(&world).json(&world.entry("one").join("aside-5.age")), json);
    assert_eq!(std::fs::read(world.entry("one").join("aside-6.age")).unwrap(), b"rubbish");
    is_tidy(&world);
}

#[test]
fn a_login_is_refreshed_as_before_and_spent_tokens_are_known() {
    let world = World::with(short_lived(300));
    let spent = world.store_login("prod");
    world.token("prod");
    world.run(ROTATE).ok();
    assert!(world.provider.is_access_live(world.run(["get", "prod", "--no-cache"]).ok().stdout.trim_end()));
    world.run(["delete", "prod", "--yes"]).ok();
    world.feed(["store", "prod", "--kind", "refresh-token", "--stdin"], &spent).ok();
    world.run(["get", "prod"]).fails(4).says("exchanged before");
    assert_eq!(world.provider.presentations(&spent), 1);
}

#[test]
fn a_refusal_is_remembered() {
    let world = World::with(Settings::default());
    let token = world.store_login("prod");
    world.provider.revoke_family_of(&token);
    world.run(["get", "prod"]).fails(4);
    world.run(ROTATE).ok();
    world.run(["get", "prod"]).fails(4);
    assert_eq!(world.provider.presentations(&token), 1);
}

#[test]
fn tokens_that_are_derived_stay_the_same() {
    let world = world();
    let issue = || world.run(["job-token", "issue", "nightly"]).ok().stdout;
    let before = issue();
    world.run(ROTATE).ok();
    assert_eq!(issue(), before);
}

#[test]
fn a_refresh_on_its_way_is_waited_for_even_without_its_front() {
    let world = World::logged_in(short_lived(300));
    world.provider.set_refresh_latency(PATIENCE);
    let front = world.start(["get", "prod"]);
    world.provider.wait_for(Endpoint::Token, 1, PATIENCE);
    kill_front(front);
    let rotation = world.start(ROTATE);
    wait_until_blocked(&rotation);
    world.provider.release();
    Ran::from(rotation.wait_with_output().unwrap()).ok();
    assert_eq!(world.generation("prod"), 2);
    let ran = world.run(["get", "prod", "--no-refresh"]).ok();
    assert!(world.provider.is_access_live(ran.stdout.trim_end()));
    assert!(world.provider.family_alive());
    is_tidy(&world);
}

#[test]
fn a_lock_that_is_not_had_in_time_changes_nothing() {
    let world = world();
    world.keep("two", "x");
    let lock = std::fs::File::options().write(true).open(world.entry("two").join("lock")).unwrap();
    lock.lock().unwrap();
    let before = snapshot(&world.home());
    world.run(ROTATE).fails(6).says("two");
    assert_eq!(snapshot(&world.home()), before);
}

#[test]
fn who_waits_for_a_lock_meanwhile_writes_into_the_new_vault_or_says_so() {
    let world = world();
    let lock = std::fs::File::options().write(true).open(world.entry("one").join("lock")).unwrap();
    lock.lock().unwrap();
    let rotation = world.start(ROTATE);
    wait_until_blocked(&rotation);
    write(&world.file("text"), b"newer", 0o600);
    let store = |name: &'static str| world.start(["store", name, "--kind", "secret", "--from-file", "text"]);
    let (waiting, unseen) = (store("one"), store("unseen"));
    wait_until_blocked(&waiting);
    // an entry that the rotation has not seen is not made meanwhile
    Ran::from(unseen.wait_with_output().unwrap()).fails(6).says("is being changed");
    // a cached token needs no lock
    assert_eq!(world.token("one"), "secret");
    drop(lock);
    Ran::from(rotation.wait_with_output().unwrap()).ok();
    let stored = Ran::from(waiting.wait_with_output().unwrap());
    assert!([0, 6].contains(&stored.code), "{stored:?}");
    assert_eq!(world.token("one"), if stored.code == 0 { "newer" } else { "secret" });
    is_tidy(&world);
}

#[test]
fn readers_get_what_is_there_or_are_told_to_come_again() {
    let world = world();
    let recipient = new_identity(&world.file("ci.txt"));
    world.run(["vault", "slot", "add", "ci", "--recipient", &recipient]).ok();
    let (done, mut again) = (std::sync::atomic::AtomicBool::new(false), 0);
    thread::scope(|scope| {
        scope.spawn(|| {
            (0..8).for_each(|_| drop(world.run(ROTATE).ok()));
            done.store(true, std::sync::atomic::Ordering::SeqCst);
        });
        while !done.load(std::sync::atomic::Ordering::SeqCst) {
            for ran in [world.run(["get", "one"]), with_identity(&world, "ci.txt", &["get", "one"])] {
                assert!([0, 6].contains(&ran.code), "{ran:?}");
                assert_eq!(ran.stdout, if ran.code == 0 { "secret\n" } else { "" });
                again += usize::from(ran.code == 6);
            }
        }
    });
    report(&format!("{again} readers were told to come again"));
    is_tidy(&world);
}

#[test]
fn rotations_at_the_same_time_all_succeed_or_say_so() {
    let world = world();
    let codes: Vec<i32> = world.storm(4, &ROTATE).into_iter().map(|ran| ran.code).collect();
    assert!(codes.contains(&0) && codes.iter().all(|code| [0, 6].contains(code)), "{codes:?}");
    assert_eq!(world.token("one"), "secret");
    is_tidy(&world);
}

#[test]
fn a_rotation_that_is_killed_at_any_change_loses_nothing_and_is_done_by_the_next_one() {
    if !can_trace() {
        return;
    }
    let world = World::logged_in(short_lived(300));
    world.keep("one", "secret");
    let recipient = new_identity(&world.file("ci.txt"));
    world.run(["vault", "slot", "add", "ci", "--recipient", &recipient]).ok();
    world.token("prod");
    write(&world.vault().join("notes.txt"), b"mine", 0o600);
    let (log, args) = (world.file("log"), ["vault", "rotate"]);
    Ran::from(under_strace(&world.command(args), &["-f", "-o", log.to_str().unwrap()]).output().unwrap()).ok();
    let calls = read_log(&log);
    // between two of these nothing changes that outlives the process
    let is_change =
        |name: &str| CHANGES.contains(&name) && !["fsync", "flock", "open", "openat", "chmod"].contains(&name);
    let steps = steps(&counts(&calls, |call| is_change(&call.name)));
    for (name, nth) in &steps {
        let after = format!("after a kill at {name} {nth}");
        under_strace(&world.command(args), &killing_at(name, *nth)).output().unwrap();
        let read = [world.run(["get", "one"]), with_identity(&world, "ci.txt", &["get", "one"])];
        assert!(read.iter().all(|ran| ran.code == 0 && ran.stdout == "secret\n"), "{after}: {read:?}");
        // the same vault can be written by who comes next
        if nth % 4 == 0 {
            let ran = world.run(["get", "prod", "--no-cache"]);
            assert!(ran.code == 0 && world.provider.is_access_live(ran.stdout.trim_end()), "{after}: {ran:?}");
        }
        let again = world.run(args);
        assert_eq!(again.code, 0, "{after}: {}", again.stderr);
        assert_eq!(names(&world.home().join("data")), ["vault".to_owned()].into(), "{after}");
        assert_eq!(std::fs::read_to_string(world.vault().join("notes.txt")).unwrap(), "mine", "{after}");
    }
    assert!(world.provider.family_alive());
    std::fs::remove_file(world.vault().join("notes.txt")).unwrap();
    is_tidy(&world);
    report(&format!("{} kills of vault rotate", steps.len()));
    for call in ["linkat", "renameat2", "rename", "unlink", "mkdir", "rmdir"] {
        assert!(steps.iter().any(|(name, _)| name.starts_with(call)), "no {call} was among them: {steps:?}");
    }
}

#[test]
fn what_a_killed_rotation_left_is_named() {
    let world = world();
    std::fs::create_dir(world.home().join("data/vault.rotation")).unwrap();
    crate::outside::chmod(&world.home().join("data/vault.rotation"), 0o700);
    world.run(["vault", "verify"]).ok().says("vault.rotation").says("`tokenkeep vault rotate`");
    let found = world.run(["doctor", "--json"]).stdout;
    assert!(found.contains("vault.rotation is of a rotation"), "{found}");
    world.run(ROTATE).ok();
    is_tidy(&world);
}

#[test]
fn a_rotation_in_which_a_call_fails_loses_nothing_and_says_so() {
    if !can_trace() {
        return;
    }
    let world = world();
    let (log, args) = (world.file("log"), ["vault", "rotate"]);
    Ran::from(under_strace(&world.command(args), &["-f", "-o", log.to_str().unwrap()]).output().unwrap()).ok();
    let calls = read_log(&log);
    let failing = ["fsync", "linkat", "mkdir", "rename", "renameat2", "rmdir", "unlink"];
    let steps = steps(&counts(&calls, |call| failing.contains(&call.name.as_str())));
    let mut failed = 0;
    for (name, nth) in &steps {
        let after = format!("after a fault at {name} {nth}");
        let (trace, inject) = (format!("trace={name}"), format!("inject={name}:error=EIO:when={nth}"));
        let options = ["-f", "-o", "/dev/null", "-e", &trace, "-e", &inject];
        let ran = Ran::from(under_strace(&world.command(args), &options).output().unwrap());
        assert!([0, 1].contains(&ran.code), "{after}: {ran:?}");
        failed += usize::from(ran.code == 1);
        assert_eq!(world.run(["get", "one"]).ok().stdout, "secret\n", "{after}");
        world.run(args).ok();
        is_tidy(&world);
    }
    assert!(failed > 5 && steps.len() > 20, "{failed} of {}", steps.len());
    report(&format!("{} faults in vault rotate, {failed} of them before it was done", steps.len()));
}

#[test]
fn both_vaults_and_their_keys_stay_while_it_is_not_certain_which_one_rests() {
    if !can_trace() {
        return;
    }
    let world = world();
    let log = world.file("log");
    Ran::from(under_strace(&world.command(ROTATE), &["-f", "-o", log.to_str().unwrap()]).output().unwrap()).ok();
    let calls = read_log(&log);
    let is_exchange = |call: &crate::strace::Call| call.name == "renameat2" && call.rest.contains("EXCHANGE");
    let exchange = calls.iter().position(is_exchange).unwrap();
    let flushes = calls[..exchange].iter().filter(|call| call.name == "fsync").count();
    // the flush of the exchange, and the one before the other vault is removed
    let inject = format!("inject=fsync:error=EIO:when={}..{}", flushes + 1, flushes + 2);
    let options = ["-f", "-o", "/dev/null", "-e", "trace=fsync", "-e", &inject];
    let ran = Ran::from(under_strace(&world.command(ROTATE), &options).output().unwrap()).ok();
    ran.says("may not rest on the disk yet").says("tokenkeep vault rotate");
    let data = world.home().join("data");
    let change_places = || {
        for (from, to) in [("vault", "aside"), ("vault.rotation", "vault"), ("aside", "vault.rotation")] {
            std::fs::rename(data.join(from), data.join(to)).unwrap();
        }
    };
    for _ in 0..2 {
        assert_eq!(world.run(["get", "one"]).ok().stdout, "secret\n");
        change_places();
    }
    // the power went: the vault of before stands again
    change_places();
    world.run(ROTATE).ok();
    assert_eq!(world.run(["get", "one"]).ok().stdout, "secret\n");
    is_tidy(&world);
}

#[test]
fn a_token_file_is_kept_fresh_across_a_rotation() {
    let world = World::logged_in(short_lived(2));
    let script = "echo $PROD_ACCESS_TOKEN_FILE; read -r line; cat $PROD_ACCESS_TOKEN_FILE";
    let mut command = world.command(["exec", "prod", "--file", "--", "sh", "-c", script]);
    let mut child = command.stdin(std::process::Stdio::piped()).spawn().unwrap();
    let mut path = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut path).unwrap();
    world.run(ROTATE).ok();
    let (before, exchanges) = (std::fs::read_to_string(path.trim()).unwrap(), world.provider.exchanges());
    world.provider.wait_for_exchanges(exchanges + 1, PATIENCE);
    let renewed = (0..200).any(|_| {
        thread::park_timeout(Duration::from_millis(20));
        std::fs::read_to_string(path.trim()).unwrap() != before
    });
    assert!(renewed);
    drop(child.stdin.take());
    Ran::from(child.wait_with_output().unwrap()).ok();
}

#[test]
fn refreshes_and_rotations_that_are_killed_in_each_others_way_lose_nothing() {
    const ROUNDS: u64 = 16;
    let world = World::logged_in(Settings {
        reuse: provider::Reuse::IsViolation,
        refresh_latency: Duration::from_millis(5),
        ..short_lived(300)
    });
    world.keep("one", "secret");
    let mut finished = 0;
    for round in 0..ROUNDS {
        let fronts: Vec<_> = (0..3).map(|_| world.start(["get", "prod", "--no-cache"])).collect();
        let mut rotation = world.start(ROTATE);
        thread::sleep(Duration::from_millis(20 * round));
        finished += u64::from(rotation.try_wait().unwrap().is_some());
        kill_front(rotation);
        for (number, front) in fronts.into_iter().enumerate() {
            if number == 0 {
                kill_front(front);
                continue;
            }
            let ran = Ran::from(front.wait_with_output().unwrap());
            assert!([0, 6].contains(&ran.code), "round {round}: {ran:?}");
        }
        crate::signals::wait_for_lock(&world, "prod");
        let ran = world.run(["get", "prod"]);
        assert!(ran.code == 0 && world.provider.is_access_live(ran.stdout.trim_end()), "round {round}: {ran:?}");
        assert!(world.provider.family_alive(), "round {round}");
        assert_eq!(world.token("one"), "secret");
    }
    world.run(ROTATE).ok();
    assert!(world.provider.is_access_live(world.run(["get", "prod", "--no-cache"]).ok().stdout.trim_end()));
    is_tidy(&world);
    report(&format!("{ROUNDS} rotations killed among refreshes, {finished} of them after they were done"));
}

#[test]
fn a_key_in_the_keyring_of_the_desktop_is_changed_there() {
    let machine = Machine::new();
    machine.keep("one", "secret");
    let (before, held) =
        (machine.recipient(), |recipient: &str| machine.desktop.lookup(&format!("identity {recipient}")));
    machine.run(ROTATE).ok();
    assert_ne!(machine.recipient(), before);
    assert_eq!(machine.token("one"), "secret");
    assert!(held(&before).is_empty() && !held(&machine.recipient()).is_empty());
}

#[test]
fn entries_in_the_keyring_of_the_desktop_are_neither_rotated_nor_copied_but_exported() {
    let machine = Machine::in_keyring(Desktop::open());
    machine.keep("one", "secret");
    let before = snapshot(&machine.world.home());
    machine.run(ROTATE).fails(9).says("`one` rests in the keyring").says("tokenkeep vault migrate --to age");
    machine.run(["vault", "backup", "copy"]).fails(9).says("vault migrate");
    assert_eq!(snapshot(&machine.world.home()), before);
    let recipient = new_identity(&machine.world.file("key.txt"));
    machine.run(["vault", "export", "-o", "all.age", "--recipient", &recipient]).ok();
    machine.run(["delete", "one", "--yes"]).ok();
    machine.run(["vault", "import", "all.age", "--file-identity", "key.txt"]).ok();
    assert_eq!(machine.token("one"), "secret");
}
