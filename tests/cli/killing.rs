//! kill -9 everywhere: of the front, of the child that carries out the exchange, and of all of them at once; at every
//! system call, and at random moments. After each a clean command must find everything whole.
//!
//! `TOKENKEEP_TRIALS` says how often it is tried at random moments; the count that was run stands on standard error.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use provider::{Endpoint, Reuse, Rotation, Settings};
use rustix::process::Signal;

use crate::clock::run_at;
use crate::harness::{PATIENCE, Ran, World, generations, short_lived};
use crate::outside::{is_root, snapshot, started_by, write};
use crate::signals::{kill_front, send, wait_for_lock};
use crate::strace::{can_trace, counts, read_log, under_strace};

/// Calls that only arrange the process's own memory, signals and limits: between two of them nothing else happens.
const INTERNAL: [&str; 22] = [
    "access",
    "arch_prctl",
    "brk",
    "execve",
    "fcntl",
    "fstat",
    "geteuid",
    "getpid",
    "getrandom",
    "gettid",
    "madvise",
    "mmap",
    "mprotect",
    "munmap",
    "poll",
    "prctl",
    "prlimit64",
    "rseq",
    "rt_sigaction",
    "rt_sigprocmask",
    "sched_getaffinity",
    "sigaltstack",
];

/// The refresh that is interrupted.
pub(crate) const REFRESH: [&str; 3] = ["get", "prod", "--no-cache"];

/// How often each kind of kill is tried at a random moment.
fn trials() -> u64 {
    std::env::var("TOKENKEEP_TRIALS").map_or(60, |text| text.parse().unwrap())
}

/// Says how much was tried; not through the test's runner, which would keep it to itself.
pub(crate) fn report(what: &str) {
    let line = format!("{}: {what}\n", std::thread::current().name().unwrap_or_default());
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

/// The moments of a row of trials: any, and the same in every run.
fn moments(longest: Duration) -> impl Iterator<Item = Duration> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    (0..trials()).map(move |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        longest.mul_f64(f64::from(u32::try_from(state >> 32).unwrap()) / f64::from(u32::MAX))
    })
}

/// Lets a moment pass; the aim is any moment, not a certain one.
fn pass(moment: Duration) {
    std::thread::sleep(moment);
}

/// How long a whole refresh takes here.
fn length_of_a_refresh(world: &World) -> Duration {
    let begun = Instant::now();
    world.run(REFRESH).ok();
    begun.elapsed()
}

/// The refresh token that the vault would present.
fn held(world: &World) -> String {
    let shown = world.run(["show", "prod", "--reveal", "--yes", "--json"]).ok().json();
    shown["secret"].as_str().unwrap().to_owned()
}

/// Claims that a clean command finds the newest token, and that nothing is left behind.
pub(crate) fn is_whole(world: &World, after: &str) {
    // the exchange of a killed front goes on
    wait_for_lock(world, "prod");
    let ran = world.run(["get", "prod"]);
    assert_eq!(ran.code, 0, "after {after}: {}", ran.stderr);
    assert!(world.provider.is_access_live(ran.stdout.trim_end()), "after {after}: a dead token");
    assert!(world.provider.family_alive(), "after {after}: the family is dead");
    assert_eq!(Some(held(world)), world.provider.newest_refresh_token(), "after {after}: the newest token is gone");
    leaves_nothing(world, after);
}

/// Claims that there are no files but those that belong there.
fn leaves_nothing(world: &World, after: &str) {
    let names = |folder: &Path| -> BTreeSet<String> {
        let items = std::fs::read_dir(folder).unwrap();
        items.map(|item| item.unwrap().file_name().into_string().unwrap()).collect()
    };
    let mut entry = names(&world.entry("prod"));
    entry.retain(|name| name.strip_suffix(".age").is_none() && name != "lock");
    // the room of an exchange that was never sent is taken over by the next one
    if std::fs::metadata(world.entry("prod").join("next")).is_ok_and(|next| next.len() == 0) {
        entry.remove("next");
    }
    assert!(entry.is_empty(), "after {after}: {entry:?}");
    assert!(generations(&world.entry("prod")).len() <= 4, "after {after}: too many generations");
    for (folder, known) in [
        ("data/vault", ["entries", "lock", "slots", "vault.toml"].as_slice()),
        ("config", ["config.toml", "identity.txt"].as_slice()),
        ("state", ["pins", "spent"].as_slice()),
        ("state/spent", ["prod"].as_slice()),
    ] {
        let mut found = names(&world.home().join(folder));
        found.retain(|name| !known.contains(&name.as_str()));
        assert!(found.is_empty(), "after {after}: {folder} has {found:?}");
    }
}

/// The nth call of each name, without those that do nothing outside the process.
pub(crate) fn steps(counts: &std::collections::BTreeMap<&str, usize>) -> Vec<(String, usize)> {
    let named = counts.iter().filter(|(name, _)| !INTERNAL.contains(name));
    named.flat_map(|(name, count)| (1..=*count).map(|nth| ((*name).to_owned(), nth))).collect()
}

/// The options that kill a process at one of its system calls.
pub(crate) fn killing_at(name: &str, nth: usize) -> [String; 6] {
    let (trace, inject) = (format!("trace={name}"), format!("inject={name}:signal=KILL:when={nth}"));
    ["-o", "/dev/null", "-e", &trace, "-e", &inject].map(str::to_owned)
}

#[test]
fn a_front_that_is_killed_at_any_system_call_loses_nothing() {
    if !can_trace() {
        return;
    }
    let world = World::logged_in(short_lived(300));
    world.token("prod");
    let log = world.file("log");
    let options = ["-f", "-o", log.to_str().unwrap()];
    Ran::from(under_strace(&world.command(REFRESH), &options).output().unwrap()).ok();
    let calls = read_log(&log);
    let front = calls.first().unwrap().process;
    let steps = steps(&counts(&calls, |call| call.process == front));
    let mut killed = 0;
    for (name, nth) in &steps {
        // the child is not traced: it goes on
        let ran = under_strace(&world.command(REFRESH), &killing_at(name, *nth)).output().unwrap();
        killed += usize::from(ran.status.signal() == Some(9));
        is_whole(&world, &format!("a kill at {name} {nth}"));
    }
    report(&format!("{killed} kills of the front, one at each of {} system calls", steps.len()));
    assert!(killed * 10 > steps.len() * 9, "only {killed} of {} were killed", steps.len());
    for name in ["flock", "clone3", "wait4"] {
        assert!(steps.iter().any(|(step, _)| step == name), "{name} is not among the steps");
    }
}

/// A world at a provider with these rules for a token that is presented again.
pub(crate) fn with_rules(rotation: Rotation, flags: &[&str]) -> World {
    let world = World::bare(Settings { rotation, reuse: Reuse::IsExpected, ..short_lived(300) });
    world.run(["init", "--unlock", "file"]).ok();
    world.add_profile("prod", flags);
    world.store_login("prod");
    world.token("prod");
    world
}

/// Claims after a kill of everything that nothing is lost but an answer in flight, and that this is told as such; logs in
/// again if it was lost. Tells whether it was.
pub(crate) fn has_lost_at_most_the_answer(world: &World, after: &str) -> bool {
    wait_for_lock(world, "prod");
    let next = world.run(REFRESH);
    if next.code == 0 {
        is_whole(world, after);
        return false;
    }
    assert_eq!(next.code, 6, "after {after}: {}", next.stderr);
    assert!(next.stderr.contains("response lost"), "after {after}: {}", next.stderr);
    // what is in use stays in use
    assert!(world.provider.is_access_live(&world.token("prod")), "after {after}: the cached token is dead");
    let newest = world.provider.newest_refresh_token();
    let ran = run_at(world, "+400", &["get", "prod"]);
    if ran.code == 0 {
        is_whole(world, after);
        return false;
    }
    assert_eq!(ran.code, 4, "after {after}: {}", ran.stderr);
    assert!(ran.stderr.contains("response lost"), "after {after}, a riddle: {}", ran.stderr);
    assert_ne!(Some(held(world)), newest, "after {after}: the answer was there");
    world.store_login("prod");
    is_whole(world, after);
    true
}

/// Kills the child of an exchange at each of its system calls, with what comes after it.
fn kill_the_child_everywhere(world: &World, after: impl Fn(&World, &str)) {
    let log = world.file("log");
    let options = ["-f", "-o", log.to_str().unwrap()];
    Ran::from(under_strace(&world.command(REFRESH), &options).output().unwrap()).ok();
    let calls = read_log(&log);
    let front = calls.first().unwrap().process;
    let of_front = counts(&calls, |call| call.process == front);
    let mut of_child = counts(&calls, |call| call.process != front);
    // a call that the front makes, too, would kill the front
    of_child.retain(|name, _| !of_front.contains_key(name));
    let steps = steps(&of_child);
    for (name, nth) in &steps {
        let mut options = vec!["-f".to_owned()];
        options.extend(killing_at(name, *nth));
        under_strace(&world.command(REFRESH), &options).output().unwrap();
        after(world, &format!("a kill of the child at {name} {nth}"));
    }
    report(&format!("{} kills of the child, one at each system call that it alone makes", steps.len()));
    for name in ["fallocate", "pwrite64", "connect", "fsync", "ftruncate", "renameat2"] {
        assert!(steps.iter().any(|(step, _)| step == name), "{name} is not among the steps");
    }
}

#[test]
fn a_child_that_is_killed_at_any_system_call_loses_nothing_where_the_provider_grants_grace() {
    if !can_trace() {
        return;
    }
    let world = with_rules(Rotation::Grace(PATIENCE * 10), &["--reuse-grace", "60s"]);
    kill_the_child_everywhere(&world, |world, after| {
        let ran = world.run(REFRESH);
        assert_eq!(ran.code, 0, "after {after}: {}", ran.stderr);
        is_whole(world, after);
    });
}

#[test]
fn a_child_that_is_killed_at_any_system_call_loses_at_most_the_answer_in_flight() {
    if !can_trace() {
        return;
    }
    let world = with_rules(Rotation::Strict, &[]);
    let lost = std::cell::RefCell::new(Vec::new());
    kill_the_child_everywhere(&world, |world, after| {
        if has_lost_at_most_the_answer(world, after) {
            lost.borrow_mut().push(after.to_owned());
        }
    });
    report(&format!("lost: {:#?}", lost.borrow()));
    // once the answer rests on the disk it is not in flight
    for kept in ["setsid", "fallocate", "connect", "fsync 2", "renameat2"] {
        assert!(!lost.borrow().iter().any(|after| after.contains(kept)), "{kept}: {:?}", lost.borrow());
    }
}

/// The calls that change files.
pub(crate) const CHANGES: [&str; 18] = [
    "chmod",
    "fallocate",
    "fchmod",
    "flock",
    "fsync",
    "ftruncate",
    "link",
    "linkat",
    "mkdir",
    "mkdirat",
    "open",
    "openat",
    "rename",
    "renameat2",
    "rmdir",
    "unlink",
    "unlinkat",
    "write",
];

/// The files and folders of a world, with the numbers of generations left out.
fn files(world: &World) -> BTreeSet<String> {
    let below = |path: &Path| path.strip_prefix(world.folder.path()).unwrap().display().to_string();
    let unnumbered = |path: std::path::PathBuf| {
        let is_generation = path.extension().is_some_and(|extension| extension == "age");
        below(&if is_generation { path.with_file_name("N.age") } else { path })
    };
    snapshot(world.folder.path()).into_keys().map(unnumbered).collect()
}

/// Kills a command at each call that changes files; the same command must then work, and leave what it always leaves.
fn survives_kills(world: &World, args: &[&str], prepare: impl Fn()) {
    prepare();
    let log = world.file("log");
    let options = ["-f", "-o", log.to_str().unwrap()];
    Ran::from(under_strace(&world.command(args), &options).output().unwrap()).ok();
    let calls = read_log(&log);
    let front = calls.first().unwrap().process;
    let of_front = counts(&calls, |call| call.process == front && CHANGES.contains(&call.name.as_str()));
    let (steps, left) = (steps(&of_front), files(world));
    for (name, nth) in &steps {
        prepare();
        under_strace(&world.command(args), &killing_at(name, *nth)).output().unwrap();
        let again = world.run(args);
        assert_eq!(again.code, 0, "{args:?} after a kill at {name} {nth}: {}", again.stderr);
        assert_eq!(files(world), left, "{args:?} after a kill at {name} {nth}");
    }
    report(&format!("{} kills of {}", steps.len(), args.join(" ")));
}

#[test]
fn what_a_killed_command_left_is_gone_after_the_same_command() {
    if !can_trace() {
        return;
    }
    let world = World::logged_in(short_lived(300));
    write(&world.file("secret"), b"secret", 0o600);
    for name in ["prod", "one"] {
        // as many generations as ever stay
        (0..3).for_each(|_| world.keep("one", name));
        world.run(REFRESH).ok();
    }
    survives_kills(&world, &["store", "one", "--kind", "secret", "--from-file", "secret"], || ());
    survives_kills(&world, &["refresh", "prod", "--force", "--write", "out/token"], || {
        // the exchange of the front that was killed before goes on
        wait_for_lock(&world, "prod");
    });
    let issuer = world.provider.issuer();
    let add = ["profile", "add", "dev", "--issuer", &issuer, "--client-id", "c", "--replace"];
    survives_kills(&world, &add, || drop(world.run(["profile", "remove", "dev"])));
}

#[test]
fn a_vault_whose_making_was_killed_can_be_made_again_or_is_there() {
    if !can_trace() {
        return;
    }
    let world = World::bare(Settings::default());
    let init = ["init", "--unlock", "file"];
    let log = world.file("log");
    Ran::from(under_strace(&world.command(init), &["-f", "-o", log.to_str().unwrap()]).output().unwrap()).ok();
    let calls = read_log(&log);
    let steps = steps(&counts(&calls, |call| CHANGES.contains(&call.name.as_str())));
    let left = files(&world);
    for (name, nth) in &steps {
        std::fs::remove_dir_all(world.home()).unwrap();
        under_strace(&world.command(init), &killing_at(name, *nth)).output().unwrap();
        let again = world.run(init);
        assert!([0, 2].contains(&again.code), "after a kill at {name} {nth}: {}", again.stderr);
        world.run(["vault", "verify"]).ok();
        assert_eq!(files(&world), left, "after a kill at {name} {nth}");
    }
    report(&format!("{} kills of init", steps.len()));
}

#[test]
fn a_front_that_is_killed_at_a_random_moment_loses_nothing() {
    let world = World::logged_in(Settings { refresh_latency: Duration::from_millis(5), ..short_lived(300) });
    let longest = length_of_a_refresh(&world) * 2;
    for moment in moments(longest) {
        let front = world.start(REFRESH);
        pass(moment);
        kill_front(front);
        is_whole(&world, &format!("{moment:?}"));
    }
    report(&format!("{} kills of the front at random moments", trials()));
}

#[test]
fn a_crowd_of_fronts_that_are_all_killed_loses_nothing() {
    const CROWD: usize = 16;
    let world = World::logged_in(Settings { refresh_latency: Duration::from_millis(5), ..short_lived(300) });
    let longest = length_of_a_refresh(&world) * 4;
    let moments: Vec<Duration> = moments(longest).step_by(CROWD).collect();
    for moment in &moments {
        let fronts: Vec<Child> = (0..CROWD).map(|_| world.start(REFRESH)).collect();
        pass(*moment);
        fronts.into_iter().for_each(kill_front);
        is_whole(&world, &format!("{moment:?}"));
    }
    let presented: Vec<String> = world
        .provider
        .requests()
        .iter()
        .filter_map(|request| request.param("refresh_token").map(str::to_owned))
        .collect();
    assert_eq!(presented.iter().collect::<BTreeSet<_>>().len(), presented.len(), "a token was presented twice");
    report(&format!("{} crowds of {CROWD} fronts killed at random moments", moments.len()));
}

/// Starts a refresh in a process namespace of its own, which ends with `unshare`, as a container does.
fn contained(world: &World) -> Child {
    let inside = world.shell("\"$0\" \"$@\"; exit $?", REFRESH);
    started_by(&["unshare", "--pid", "--fork", "--kill-child=KILL"], &inside).spawn().unwrap()
}

/// Kills whole containers at random moments.
fn kill_containers(world: &World, mut after: impl FnMut(&World, &str)) {
    let longest = length_of_a_refresh(world) * 2;
    for moment in moments(longest) {
        let container = contained(world);
        pass(moment);
        kill_front(container);
        after(world, &format!("{moment:?}"));
    }
}

#[test]
fn a_container_that_is_killed_at_a_random_moment_loses_nothing_where_the_provider_grants_grace() {
    if !is_root() {
        return;
    }
    let world = with_rules(Rotation::Grace(PATIENCE * 100), &["--reuse-grace", "60s"]);
    world.provider.set_refresh_latency(Duration::from_millis(10));
    kill_containers(&world, |world, after| {
        let ran = world.run(REFRESH);
        assert_eq!(ran.code, 0, "after {after}: {}", ran.stderr);
        is_whole(world, after);
    });
    report(&format!("{} containers killed at random moments", trials()));
}

#[test]
fn a_container_that_is_killed_at_a_random_moment_loses_at_most_the_answer_in_flight() {
    if !is_root() {
        return;
    }
    let world = with_rules(Rotation::Strict, &[]);
    world.provider.set_refresh_latency(Duration::from_millis(10));
    let mut lost = 0;
    kill_containers(&world, |world, after| lost += u64::from(has_lost_at_most_the_answer(world, after)));
    report(&format!("{} containers killed at random moments; {lost} answers in flight were lost, all told", trials()));
}

#[test]
fn a_front_that_is_process_1_waits_for_its_child_whatever_asks_it_to_end() {
    if !is_root() {
        return;
    }
    let world = World::logged_in(short_lived(300));
    world.token("prod");
    world.provider.set_refresh_latency(PATIENCE);
    let mut unshare = started_by(&["unshare", "--pid", "--fork", "--kill-child"], &world.command(REFRESH));
    let container = unshare.spawn().unwrap();
    world.provider.wait_for(Endpoint::Token, 2, PATIENCE);
    let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", container.id())).unwrap();
    let front: u32 = children.trim().parse().unwrap();
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        send(front, signal);
    }
    world.provider.release();
    let ran: Ran = container.wait_with_output().unwrap().into();
    assert!(world.provider.is_access_live(ran.ok().stdout.trim_end()));
    is_whole(&world, "the end of process 1");
}
