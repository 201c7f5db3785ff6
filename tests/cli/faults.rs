//! A system that fails: every call of a refresh on every file fails in every way that it can, once and for good, and so
//! does every call on the way to the provider. Nothing is lost that reached us, and later it works.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use provider::{Approval, Reuse, Rotation, Settings};

use crate::harness::{Ran, World, short_lived};
use crate::killing::{REFRESH, has_lost_at_most_the_answer, is_whole, report, with_rules};
use crate::outside::{leave_out, started_by};
use crate::strace::{Call, can_trace, read_log, under_strace};

/// How a call can fail.
fn faults_of(name: &str) -> &'static [&'static str] {
    match name {
        "open" | "openat" => &["EMFILE", "EROFS", "EINTR"],
        "write" | "pwrite64" | "fallocate" | "ftruncate" | "fsync" => &["ENOSPC", "EDQUOT", "EIO", "EINTR"],
        "rename" | "renameat2" | "unlink" | "mkdirat" => &["ENOSPC", "EDQUOT", "EROFS", "EIO"],
        "read" | "pread64" | "getdents64" => &["EIO", "EINTR"],
        "flock" => &["ENOLCK", "EINTR"],
        "fstat" | "newfstatat" | "fchmod" | "chmod" => &["EIO"],
        _ => &[],
    }
}

/// How a call that concerns no file of ours can fail.
fn faults_elsewhere(name: &str) -> &'static [&'static str] {
    match name {
        "pipe2" | "socket" | "socketpair" | "eventfd2" | "epoll_create1" => &["EMFILE"],
        "clone3" | "clone" | "vfork" => &["EAGAIN"],
        "connect" => &["ECONNREFUSED", "ENETUNREACH", "EMFILE"],
        "writev" | "sendto" => &["EPIPE", "ECONNRESET", "EINTR"],
        "recvfrom" => &["ECONNRESET", "EIO"],
        "epoll_wait" | "wait4" => &["EINTR"],
        "epoll_ctl" => &["ENOMEM"],
        "setsid" => &["EPERM"],
        _ => &[],
    }
}

/// The file that a call is about, if it is one of ours; generations are counted from the newest.
fn subject(call: &Call, home: &str, newest: u64) -> Option<String> {
    let (_, path) = call.rest.split_once(home)?;
    let path: String = path.chars().take_while(|letter| !matches!(letter, '"' | '>')).collect();
    let generation: Option<i64> = path.rsplit('/').next()?.strip_suffix(".age").and_then(|number| number.parse().ok());
    Some(match generation {
        Some(number) => format!("{}/{{{}}}", path.rsplit_once('/')?.0, number - i64::try_from(newest).unwrap()),
        None => path,
    })
}

/// The path of a subject, now that there are other generations.
fn path_of(subject: &str, home: &str, newest: u64) -> String {
    match subject.trim_end_matches('}').split_once('{') {
        Some((folder, offset)) => {
            let number = i64::try_from(newest).unwrap() + offset.parse::<i64>().unwrap();
            format!("{home}{folder}{number}.age")
        }
        None => format!("{home}{subject}"),
    }
}

impl Failing {
    /// Tells whether a file is at fault, and not only a signal, which has a test of its own.
    fn is_of_files(&self) -> bool {
        self.subject.is_some() && self.fault != "EINTR"
    }
}

/// A command that changes an entry.
struct Work<'a> {
    world: &'a World,
    entry: &'a str,
    args: &'a [&'a str],
}

impl<'a> Work<'a> {
    /// A refresh.
    fn refresh(world: &'a World) -> Self {
        Self { world, entry: "prod", args: &REFRESH }
    }

    /// The calls that it makes.
    fn calls(&self) -> Vec<Call> {
        let log = self.world.file("log");
        let options = ["-f", "-y", "-s", "4096", "-o", log.to_str().unwrap()];
        Ran::from(under_strace(&self.world.command(self.args), &options).output().unwrap()).ok();
        read_log(&log)
    }

    /// Every way in which it can fail; `later` is what comes behind the number of the call.
    fn ways(&self, later: &str) -> Vec<Failing> {
        let (home, newest) = (self.world.home().display().to_string(), self.world.generation(self.entry));
        let mut counts: BTreeMap<(String, Option<String>), usize> = BTreeMap::new();
        for call in self.calls() {
            let subject = subject(&call, &home, newest);
            *counts.entry((call.name, subject)).or_default() += 1;
        }
        let mut ways = Vec::new();
        for ((call, subject), count) in counts {
            let faults = if subject.is_some() { faults_of(&call) } else { faults_elsewhere(&call) };
            for (fault, nth) in faults.iter().flat_map(|fault| (1..=count).map(move |nth| (*fault, nth))) {
                let when = format!("{nth}{later}");
                ways.push(Failing { call: call.clone(), subject: subject.clone(), fault, when });
            }
        }
        ways
    }

    /// Runs it so that it fails in one way.
    fn fail(&self, way: &Failing) -> Ran {
        let home = self.world.home().display().to_string();
        let trace = format!("trace={}", way.call);
        let inject = format!("inject={}:error={}:when={}", way.call, way.fault, way.when);
        let mut options = vec!["-f", "-o", "/dev/null", "-e", &trace, "-e", &inject];
        let path = way.subject.as_ref().map(|subject| path_of(subject, &home, self.world.generation(self.entry)));
        options.extend(path.iter().flat_map(|path| ["-P", path]));
        let ran: Ran = under_strace(&self.world.command(self.args), &options).output().unwrap().into();
        // 9: the configuration cannot be read
        let is_told =
            [1, 5, 6, 9].contains(&ran.code) && ["error: ", "hint: "].iter().all(|text| ran.stderr.contains(text));
        assert!(ran.code == 0 || is_told && ran.stdout.is_empty(), "{way:?}: {ran:?}");
        ran
    }
}

/// One way in which a command fails.
#[derive(Debug)]
struct Failing {
    call: String,
    /// The file that it is about; none for a call on the way to the provider.
    subject: Option<String>,
    fault: &'static str,
    /// Which of the calls, and whether the later ones fail, too: `2` or `2+`.
    when: String,
}

/// Runs a refresh that fails in one way; what it prints is good.
fn refresh_failing(world: &World, way: &Failing) -> Ran {
    let ran = Work::refresh(world).fail(way);
    assert!(ran.code != 0 || world.provider.is_access_live(ran.stdout.trim_end()), "{way:?}: a dead token");
    ran
}

#[test]
fn one_call_on_a_file_that_fails_loses_nothing() {
    if !can_trace() {
        return;
    }
    let world = World::logged_in(short_lived(300));
    world.token("prod");
    let mut ways = Work::refresh(&world).ways("");
    ways.retain(Failing::is_of_files);
    for way in &ways {
        refresh_failing(&world, way);
        let after = format!("{way:?}");
        let ran = world.run(REFRESH);
        assert_eq!(ran.code, 0, "after {after}: {}", ran.stderr);
        is_whole(&world, &after);
    }
    report(&format!("{} single faults", ways.len()));
    for call in ["fsync", "renameat2", "fallocate", "pwrite64", "write", "ftruncate", "flock"] {
        assert!(ways.iter().any(|way| way.call == call), "no {call} was among them");
    }
}

#[test]
fn one_call_on_a_file_that_fails_keeps_what_was_stored_before() {
    if !can_trace() {
        return;
    }
    let world = World::new();
    crate::outside::write(&world.file("secret"), b"after", 0o600);
    let args = ["store", "one", "--kind", "secret", "--from-file", "secret"];
    world.keep("one", "before");
    let work = Work { world: &world, entry: "one", args: &args };
    let mut ways = work.ways("");
    ways.retain(Failing::is_of_files);
    for way in &ways {
        world.keep("one", "before");
        let ran = work.fail(way);
        let found = world.token("one");
        // a flush that fails after the name was given is a failure, and the secret is there all the same
        assert!(found == "after" || ran.code != 0 && found == "before", "{way:?}: {found}, and {ran:?}");
    }
    report(&format!("{} single faults", ways.len()));
}

#[test]
fn interruptions_are_no_failures() {
    if !can_trace() {
        return;
    }
    let world = World::logged_in(short_lived(300));
    world.token("prod");
    let retried = ["write", "pwrite64", "fsync", "read", "pread64", "wait4", "epoll_wait"];
    for way in
        Work::refresh(&world).ways("").iter().filter(|way| way.fault == "EINTR" && retried.contains(&way.call.as_str()))
    {
        assert_eq!(refresh_failing(&world, way).code, 0, "{way:?}");
    }
}

#[test]
fn calls_on_a_file_that_fail_for_good_lose_at_most_an_answer_and_say_so() {
    if !can_trace() {
        return;
    }
    let world = with_rules(Rotation::Strict, &[]);
    let mut ways = Work::refresh(&world).ways("+");
    ways.retain(|way| way.subject.is_some() && ["EIO", "ENOSPC"].contains(&way.fault));
    // on every file at once, so that a second try fails, too; the third write of a process is never the front's
    let everywhere = [("fsync", "EIO", 1..4), ("write", "ENOSPC", 3..9), ("ftruncate", "EIO", 1..2)];
    ways.extend(everywhere.into_iter().flat_map(|(call, fault, nths)| {
        nths.map(move |nth| Failing { call: call.to_owned(), subject: None, fault, when: format!("{nth}+") })
    }));
    let mut lost = Vec::new();
    for way in &ways {
        let spent = world.provider.exchanges();
        let ran = refresh_failing(&world, way);
        let was_spent = world.provider.exchanges() > spent;
        if has_lost_at_most_the_answer(&world, &format!("{way:?}")) {
            assert!(was_spent && ran.code != 0, "{way:?}: {ran:?}");
            let told = ran.stderr.contains("could not be kept") || ran.stderr.contains("response lost");
            assert!(told, "{way:?}: {}", ran.stderr);
            lost.push(format!("{} {} {}", way.call, way.subject.as_deref().unwrap_or_default(), way.fault));
        }
    }
    report(&format!("{} faults for good; lost, and told: {lost:#?}", ways.len()));
}

#[test]
fn a_call_on_the_way_to_the_provider_that_fails_loses_at_most_the_answer() {
    if !can_trace() {
        return;
    }
    let world = with_rules(Rotation::Strict, &[]);
    let ways: Vec<Failing> = Work::refresh(&world).ways("").into_iter().filter(|way| way.subject.is_none()).collect();
    let mut lost = Vec::new();
    for way in &ways {
        let ran = refresh_failing(&world, way);
        if has_lost_at_most_the_answer(&world, &format!("{way:?}")) {
            assert_eq!(ran.code, 6, "{way:?}: {ran:?}");
            assert!(ran.stderr.contains("response lost"), "{way:?}: {}", ran.stderr);
            lost.push(format!("{} {} {}", way.call, way.when, way.fault));
        }
    }
    report(&format!("{} faults on the way; lost, and told: {lost:?}", ways.len()));
    for call in ["pipe2", "clone3", "socket", "connect"] {
        assert!(ways.iter().any(|way| way.call == call), "no {call} was among them");
        assert!(!lost.iter().any(|lost| lost.starts_with(call)), "{lost:?}");
    }
}

/// Compiles the program under which every read and every write carries half; none where it cannot be used.
fn partial(world: &World) -> Option<PathBuf> {
    if !cfg!(target_arch = "x86_64") {
        leave_out("it is written for x86-64");
        return None;
    }
    if !can_trace() {
        return None;
    }
    let (source, program) = (world.file("partial.c"), world.file("partial"));
    std::fs::write(&source, include_str!("partial.c")).unwrap();
    let compiled = Command::new("cc").args(["-O1", "-Wall", "-Werror", "-o"]).arg(&program).arg(source).output();
    let compiled = compiled.expect("a C compiler is needed: apt-get install gcc");
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    Some(program)
}

#[test]
fn reads_and_writes_that_carry_half_of_it_are_carried_on() {
    let settings = Settings { approval: Approval::AfterPolls(0), ..short_lived(300) };
    let world = World::bare(settings);
    let Some(program) = partial(&world) else { return };
    let issuer = world.provider.issuer();
    let halving = |args: &[&str]| {
        let ran = Ran::from(started_by(&[&program], &world.command(args)).output().unwrap()).ok();
        let count = ran.stderr.rsplit("[halved ").next().unwrap().split(' ').next().unwrap().parse::<usize>().unwrap();
        assert!(count > 3, "{args:?}: {count}");
        ran.stdout
    };
    halving(&["init", "--unlock", "file"]);
    halving(&["profile", "add", "prod", "--issuer", &issuer, "--client-id", "automated-access"]);
    halving(&["generate", "prod", "--no-browser"]);
    for _ in 0..3 {
        assert!(world.provider.is_access_live(halving(&REFRESH).trim_end()));
    }
    is_whole(&world, "halves");
    world.run(["vault", "verify"]).ok();
}

#[test]
fn too_few_descriptors_lose_nothing() {
    let world = World::bare(Settings { reuse: Reuse::IsViolation, ..short_lived(300) });
    world.run(["init", "--unlock", "file"]).ok();
    world.add_profile("prod", &[]);
    world.store_login("prod");
    world.token("prod");
    let mut worked = 0;
    for limit in 3..=20 {
        let script = format!("ulimit -n {limit}; exec \"$0\" \"$@\"");
        let ran: Ran = world.shell(&script, REFRESH).output().unwrap().into();
        // with three the loader cannot even open a library
        assert!([0, 1, 5, 6, 9, 127].contains(&ran.code), "{limit} descriptors: {ran:?}");
        worked += usize::from(ran.code == 0);
        is_whole(&world, &format!("{limit} descriptors"));
    }
    assert!((1..18).contains(&worked), "{worked} of 18 worked");
}
