//! The keyring as the vault: every command works on it, and whatever is locked, silent or killed in the middle of a
//! refresh, the answer of the provider is not lost.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use provider::Endpoint;
use rustix::process::Signal;

use crate::harness::{PATIENCE, Ran};
use crate::keyring::{Desktop, Machine, is_on_disk};
use crate::outside::write;
use crate::signals::{exchange_of, kill, wait_for_lock};
use crate::strace::{can_trace, under_strace};

/// A machine whose vault rests in an open keyring, with a login.
fn logged_in() -> Machine {
    let machine = Machine::in_keyring(Desktop::open());
    machine.store_login("prod");
    machine
}

/// The files in an entry's folder.
fn files(machine: &Machine, name: &str) -> Vec<String> {
    let items = std::fs::read_dir(machine.world.entry(name)).unwrap();
    let mut names: Vec<String> = items.map(|item| item.unwrap().file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    names
}

/// Refreshes while something happens to the keyring after the provider has spent the token and before its answer is there.
fn refresh_while(machine: &Machine, happens: impl FnOnce()) -> Ran {
    machine.world.provider.set_refresh_latency(PATIENCE);
    let exchanges = machine.world.provider.exchanges();
    let front = machine.start(["get", "prod", "--no-cache"]);
    machine.world.provider.wait_for_exchanges(exchanges + 1, PATIENCE);
    happens();
    machine.world.provider.release();
    machine.world.provider.set_refresh_latency(Duration::ZERO);
    front.wait_with_output().unwrap().into()
}

/// Lets somebody take the entry's lock, who then has no use for it.
fn take_lock(machine: &Machine) {
    machine.feed(["store", "prod", "--kind", "secret", "--stdin"], "text").fails(2).says("does not replace");
}

/// Claims that the answer of the last exchange is what everybody gets, without a further one.
#[track_caller]
fn is_adopted(machine: &Machine, generation: u64) {
    let exchanges = machine.world.provider.count(Endpoint::Token);
    take_lock(machine);
    assert!(machine.world.provider.is_access_live(&machine.token("prod")));
    assert_eq!(machine.world.provider.count(Endpoint::Token), exchanges);
    assert_eq!(machine.generation("prod"), generation);
    assert_eq!(files(machine, "prod"), ["keyring", "lock"]);
    machine.run(["get", "prod", "--no-cache"]).ok();
    assert!(machine.world.provider.family_alive());
    machine.run(["vault", "verify"]).ok();
}

#[test]
fn every_command_works_on_a_vault_in_the_keyring() {
    let machine = logged_in();
    let token = machine.token("prod");
    assert!(machine.world.provider.is_access_live(&token));
    machine.run(["refresh", "prod", "--force"]).ok();
    machine.run(["refresh", "--all"]).ok();
    machine.keep("deploy-key", "s3cret");
    machine.keep("deploy-key", "s3cret-2");
    assert_eq!(machine.token("deploy-key"), "s3cret-2");
    assert!(machine.run(["env", "deploy-key"]).ok().stdout.contains("s3cret-2"));
    let ran = machine.run(["exec", "deploy-key", "--", "sh", "-c", "echo $DEPLOY_KEY; grep SigIgn /proc/self/status"]);
    let ran = ran.ok().stdout;
    assert!(ran.starts_with("s3cret-2\n"), "{ran}");
    let ignored = u64::from_str_radix(ran.rsplit('\t').next().unwrap().trim(), 16).unwrap();
    assert_eq!(ignored >> 12 & 1, 0, "the command ignores SIGPIPE");
    machine.run(["validate", "--entry", "prod"]).ok();
    machine.run(["whoami", "prod"]).ok();
    let shown = machine.run(["show", "prod", "--json"]).ok().json();
    assert_eq!(shown["generation"], machine.generation("prod"));
    let listed = machine.run(["list", "--json"]).ok().json();
    assert_eq!((&listed[0]["name"], &listed[1]["state"]), (&"deploy-key".into(), &"good".into()));
    machine.run(["admin-token", "keygen", "ada"]).ok();
    machine.run(["admin-token", "mint", "ada", "--audience", "pipelines"]).ok();
    machine.run(["admin-token", "rotate", "ada"]).ok();
    machine.run(["job-token", "issue", "nightly"]).ok();
    machine.run(["vault", "verify"]).ok();
    machine.run(["delete", "deploy-key", "--yes"]).ok();
    machine.run(["get", "deploy-key"]).fails(8);
    machine.run(["revoke", "prod"]).ok();
    machine.run(["get", "prod"]).fails(4);
    assert!(machine.item("deploy-key").is_empty() && machine.item("prod").is_empty());
    assert_eq!(files(&machine, "prod"), ["lock"]);
}

#[test]
fn a_login_by_a_person_goes_into_the_keyring() {
    let machine = Machine::in_keyring(Desktop::open());
    machine.run(["generate", "prod", "--no-browser"]).ok();
    assert_eq!(machine.generation("prod"), 1);
    machine.run(["get", "prod", "--no-cache"]).ok();
    assert_eq!(machine.generation("prod"), 2);
}

#[test]
fn an_item_is_the_sealed_file_and_the_one_before_it_is_kept() {
    let machine = logged_in();
    let first = machine.item("prod");
    machine.run(["get", "prod", "--no-cache"]).ok();
    assert_eq!(machine.generation("prod"), 2);
    assert_eq!(machine.item("prod previous"), first);
    assert!(!is_on_disk(&machine.world.vault(), b"age-encryption.org"));
    assert_eq!(files(&machine, "prod"), ["keyring", "lock"]);
    // recovery needs nothing of ours
    let armored = machine.item("prod").split_once('\n').unwrap().1.to_owned();
    write(&machine.world.file("item"), armored.as_bytes(), 0o600);
    let mut age = Command::new("age");
    age.arg("-d").arg("-i").arg(machine.world.identity_file()).arg(machine.world.file("item"));
    let plain = String::from_utf8(age.stderr(Stdio::inherit()).output().unwrap().stdout).unwrap();
    assert!(plain.contains("\"refresh_token\""), "{plain}");
}

#[test]
fn names_are_known_while_the_keyring_is_locked_or_away_and_nothing_else_is() {
    let machine = logged_in();
    machine.keep("deploy-key", "s3cret");
    machine.desktop.lock();
    for run in [machine.run(["list", "--json"]), machine.run_without_desktop(["list", "--json"])] {
        let listed = run.ok().json();
        assert_eq!((&listed[0]["name"], &listed[1]["name"]), (&"deploy-key".into(), &"prod".into()));
    }
    let mut complete = machine.world.command(["--", "tokenkeep", "get", "de"]);
    let complete: Ran = complete.env("COMPLETE", "fish").output().unwrap().into();
    assert_eq!(complete.stdout, "deploy-key\n");
    machine.run(["get", "unknown"]).fails(8);
    machine.run(["get", "prod"]).fails(5).says("locked");
    machine.run_without_desktop(["get", "prod"]).fails(5).says("no D-Bus");
    machine.feed(["store", "new", "--kind", "secret", "--stdin"], "x").fails(5).says("locked");
    machine.run(["delete", "prod", "--yes"]).fails(5).says("locked");
    let status = machine.run(["status", "--json"]).ok().json();
    assert_eq!((&status["backend"], &status["entries"]["total"]), (&"keyring".into(), &2.into()));
}

#[test]
fn a_silent_keyring_is_exit_6_and_costs_a_listing_one_deadline_only() {
    let machine = logged_in();
    for name in ["a", "b", "c", "d"] {
        machine.keep(name, "s3cret");
    }
    machine.desktop.signal_keyring(Signal::STOP);
    let begun = Instant::now();
    machine.run(["get", "prod"]).fails(6).says("did not answer");
    machine.run(["list"]).ok();
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    machine.desktop.signal_keyring(Signal::CONT);
    machine.run(["get", "prod"]).ok();
}

#[test]
fn an_answer_that_the_locked_keyring_does_not_take_is_handed_out_and_kept_until_it_does() {
    let mut machine = logged_in();
    machine.token("prod");
    let generation = machine.generation("prod");
    let ran = refresh_while(&machine, || machine.desktop.lock());
    let token = ran.ok().says("waits to be published").says("locked").stdout;
    assert!(machine.world.provider.is_access_live(token.trim()));
    assert!(files(&machine, "prod").contains(&"next".to_owned()));
    // nobody writes over it meanwhile
    machine.run(["get", "prod", "--no-cache"]).fails(5);
    let again = machine.world.provider.grant("automated-access", &["openid", "offline_access"]);
    machine.feed(["store", "prod", "--kind", "refresh-token", "--stdin"], &again).fails(5);
    machine.desktop.stop_keyring();
    machine.desktop.start_keyring();
    assert_eq!(machine.generation("prod"), generation);
    is_adopted(&machine, generation + 1);
}

#[test]
fn an_exchange_that_is_killed_while_the_keyring_is_silent_loses_nothing() {
    let machine = logged_in();
    machine.token("prod");
    let generation = machine.generation("prod");
    machine.world.provider.set_refresh_latency(PATIENCE);
    let mut front = machine.start(["get", "prod", "--no-cache"]);
    machine.world.provider.wait_for_exchanges(2, PATIENCE);
    let child = exchange_of(&front);
    machine.desktop.signal_keyring(Signal::STOP);
    machine.world.provider.release();
    crate::signals::wait_for_file(&machine.world.entry("prod").join("next"));
    while std::fs::read(machine.world.entry("prod").join("next")).unwrap().is_empty() {
        std::thread::yield_now();
    }
    kill(child);
    front.kill().unwrap();
    front.wait().unwrap();
    machine.desktop.signal_keyring(Signal::CONT);
    wait_for_lock(&machine.world, "prod");
    machine.world.provider.set_refresh_latency(Duration::ZERO);
    is_adopted(&machine, generation + 1);
}

#[test]
fn a_publication_that_was_killed_between_any_two_steps_is_finished_by_the_next_holder() {
    let mut machine = logged_in();
    machine.token("prod");
    machine.run(["get", "prod", "--no-cache"]).ok();
    let (current, previous) = (machine.item("prod"), machine.item("prod previous"));
    let generation = machine.generation("prod");
    refresh_while(&machine, || machine.desktop.lock()).ok();
    machine.desktop.stop_keyring();
    machine.desktop.start_keyring();
    let next = machine.world.entry("prod").join("next");
    let answer = std::fs::read(&next).unwrap();
    let restore = |current: &str, previous: &str| {
        machine.put_item("prod", current);
        machine.put_item("prod previous", previous);
        write(&next, &answer, 0o600);
    };
    // nothing done; the previous one written; all but the end
    restore(&current, &previous);
    take_lock(&machine);
    let published = machine.item("prod");
    for (current, previous) in [(&current, &previous), (&current, &current), (&published, &current)] {
        restore(current, previous);
        let exchanges = machine.world.provider.count(Endpoint::Token);
        take_lock(&machine);
        assert_eq!(machine.item("prod"), published);
        assert_eq!(machine.generation("prod"), generation + 1);
        assert_eq!(machine.generation("prod previous"), generation);
        assert_eq!(files(&machine, "prod"), ["keyring", "lock"]);
        assert_eq!(machine.world.provider.count(Endpoint::Token), exchanges);
    }
    is_adopted(&machine, generation + 1);
}

#[test]
fn a_holder_that_is_killed_at_any_message_to_the_keyring_leaves_all_to_the_next() {
    if !can_trace() {
        return;
    }
    let machine = logged_in();
    machine.token("prod");
    for nth in 1.. {
        let (trace, inject) = ("trace=sendmsg", format!("inject=sendmsg:signal=KILL:when={nth}"));
        let options = ["-f", "-o", "/dev/null", "-e", trace, "-e", &inject];
        let command = machine.command(["refresh", "prod", "--force"]);
        let ran: Ran = under_strace(&command, &options).output().unwrap().into();
        wait_for_lock(&machine.world, "prod");
        // the front may be killed, and then its child goes on; or the child, after the disk has the answer
        let token = machine.token("prod");
        assert!(machine.world.provider.is_access_live(&token), "after a kill at message {nth}: {}", ran.stderr);
        machine.run(["refresh", "prod", "--force"]).ok();
        assert!(machine.world.provider.family_alive(), "after a kill at message {nth}");
        assert_eq!(files(&machine, "prod"), ["keyring", "lock"], "after a kill at message {nth}");
        if ran.code == 0 && !ran.stderr.contains("killed") {
            assert!(nth > 10, "only {nth} messages");
            break;
        }
    }
}

#[test]
fn an_answer_too_large_for_the_keyring_stays_in_its_file_loudly_and_moves_on_with_the_vault() {
    let mut desktop = Desktop::with_limits("<limit name='max_message_size'>30000</limit>");
    desktop.start_keyring();
    let machine = Machine::in_keyring(desktop);
    machine.keep("small", "s3cret");
    let large = "x".repeat(60_000);
    let store = ["store", "large", "--kind", "secret", "--stdin"];
    machine.feed(store, &large).fails(5).says("cannot keep `large` in the keyring");
    machine.run(["get", "large"]).fails(5).says("vault migrate --to age");
    assert!(files(&machine, "large").contains(&"next".to_owned()));
    machine.run(["vault", "migrate", "--to", "age"]).ok();
    assert_eq!(machine.token("large"), large);
    assert_eq!(machine.token("small"), "s3cret");
}

#[test]
fn what_the_keyring_has_lost_is_missed_by_its_name_and_a_new_login_mends_it() {
    let machine = logged_in();
    let user = format!("entry {} prod", machine.recipient());
    let mut clear = machine.desktop.command("secret-tool");
    assert!(clear.args(["clear", "service", "tokenkeep", "username", &user]).status().unwrap().success());
    machine.run(["get", "prod"]).fails(5).says(&user);
    assert_eq!(machine.run(["list", "--json"]).ok().json()[0]["state"], "damaged");
    machine.run(["generate", "prod", "--no-browser"]).ok();
    machine.run(["get", "prod"]).ok();
}

/// A machine on which an answer waits for a keyring that was locked, and another keyring is there: it has nothing of
/// ours. Also what the first one holds.
fn with_another_keyring() -> (Machine, String) {
    let mut machine = logged_in();
    refresh_while(&machine, || machine.desktop.lock()).ok();
    machine.desktop.stop_keyring();
    machine.desktop.start_keyring();
    let item = machine.item("prod");
    lose(&machine);
    (machine, item)
}

/// Lets the keyring hold nothing of the entry.
fn lose(machine: &Machine) {
    let user = format!("entry {} prod", machine.recipient());
    let mut clear = machine.desktop.command("secret-tool");
    assert!(clear.args(["clear", "service", "tokenkeep", "username", &user]).status().unwrap().success());
}

#[test]
fn an_answer_is_not_given_to_a_keyring_that_took_the_other_one_s_place_meanwhile() {
    let machine = logged_in();
    machine.token("prod");
    let (item, generation) = (machine.item("prod"), machine.generation("prod"));
    refresh_while(&machine, || lose(&machine)).ok().says("waits to be published").says("holds nothing");
    assert_eq!(machine.item("prod"), "");
    machine.put_item("prod", &item);
    is_adopted(&machine, generation + 1);
}

#[test]
fn an_answer_that_waits_for_its_keyring_outlasts_another_one() {
    let (machine, item) = with_another_keyring();
    let next = machine.world.entry("prod").join("next");
    let answer = std::fs::read(&next).unwrap();
    for args in [&["get", "prod"][..], &["refresh", "prod", "--force"], &["vault", "verify"], &["revoke", "prod"]] {
        machine.run(args).fails(5).says("holds nothing");
    }
    assert_eq!(machine.run(["list", "--json"]).ok().json()[0]["state"], "damaged");
    assert!(machine.run(["status"]).ok().stdout.contains("holds nothing"));
    assert_eq!(std::fs::read(&next).unwrap(), answer);
    machine.put_item("prod", &item);
    is_adopted(&machine, 2);
}

#[test]
fn a_login_takes_the_place_of_an_answer_whose_keyring_is_lost() {
    let (machine, _) = with_another_keyring();
    machine.run(["generate", "prod", "--no-browser"]).ok();
    assert!(machine.world.provider.is_access_live(&machine.token("prod")));
}

#[test]
fn an_item_that_somebody_changed_or_moved_is_refused() {
    let machine = logged_in();
    machine.keep("other", "s3cret");
    let own = machine.item("prod");
    for text in [machine.item("other"), own.replacen('1', "2", 1), own.replacen("AGE", "EGA", 1), String::new()] {
        machine.put_item("prod", &text);
        machine.run(["get", "prod"]).fails(5);
        assert_eq!(machine.run(["vault", "verify"]).code, 5);
    }
    machine.put_item("prod", &own);
    machine.run(["get", "prod"]).ok();
}

#[test]
fn a_vault_in_a_keyring_that_forgets_is_refused_at_init() {
    for desktop in [Desktop::open(), Desktop::without_keyring()] {
        let machine = Machine::bare(desktop);
        if machine.desktop.has_keyring() {
            machine.desktop.set_default("session");
        }
        machine.rest_in("keyring");
        machine.run(["init", "--unlock", "file"]).fails(5).says("make a vault in the keyring");
        assert!(!machine.world.vault().join("vault.toml").exists());
    }
}

#[test]
fn many_at_once_refresh_once() {
    let machine = Machine::in_keyring(Desktop::open());
    machine.world.provider.set_refresh_latency(Duration::from_millis(20));
    machine.store_login("prod");
    let fronts: Vec<_> = (0..12).map(|_| machine.start(["get", "prod"])).collect();
    let tokens = fronts.into_iter().map(|front| Ran::from(front.wait_with_output().unwrap()).ok().stdout);
    let tokens: std::collections::BTreeSet<String> = tokens.collect();
    assert_eq!(tokens.len(), 1);
    assert_eq!(machine.world.provider.count(Endpoint::Token), 1);
}
