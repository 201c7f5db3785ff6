//! Canary secrets through every command and failure; what is left of them in memory and in core files; and what the
//! command that `exec` runs gets from us.

use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};

use provider::{Approval, Endpoint, Fault, Settings};
use rustix::process::Signal;

use crate::harness::{PATIENCE, Ran, World, feed};
use crate::leaks::{files, secrets, with_secret};
use crate::outside::{Forger, is_root, leave_out, sh, write};
use crate::signals::{exchange_of, proc_file, send, wait_for_file};
use crate::terminal::Terminal;

/// What is stored as a secret of no kind.
const CANARY: &str = "canary-4711-x7Qzx7Qzx7Qzx7Qz";

/// Every command with arguments that do something, and with some that fail; what they print was not asked to be secret.
const COMMANDS: &[&[&str]] = &[
    &["get", "nobody"],
    &["get", "prod", "--scope", "not-granted", "--no-refresh"],
    &["refresh", "--all", "--force"],
    &["refresh", "prod", "nobody"],
    &["env", "prod", "--unset"],
    &["env", "prod", "one", "nobody"],
    &["exec", "one", "prod", "--", "true"],
    &["exec", "one", "--file", "--", "true"],
    &["exec", "one", "--", "no-such-command"],
    &["validate", "--entry", "prod"],
    &["validate", "--entry", "one"],
    &["validate", "--from-env", "GIVEN", "--issuer", "https://a.example"],
    &["list"],
    &["show", "prod"],
    &["show", "one"],
    &["show", "conf"],
    &["unlock", "--for", "1m"],
    &["status", "--explain"],
    &["lock"],
    &["doctor", "--offline"],
    &["doctor", "--offline", "--fix"],
    &["schedule", "show", "--kind", "cron"],
    &["schedule", "install", "--user"],
    &["schedule", "remove", "--user"],
    &["whoami", "prod"],
    &["whoami", "one"],
    &["init"],
    &["import", "kubelogin", "/nowhere"],
    &["profile", "list"],
    &["profile", "show", "prod"],
    &["profile", "discover", "http://127.0.0.1:1"],
    &["profile", "add", "other", "--issuer", "http://a.example", "--client-id", "x"],
    &["profile", "remove", "nobody"],
    &["vault", "verify"],
    &["import", "kubelogin"],
    &["vault", "migrate", "--to", "age"],
    &["vault", "migrate", "--to", "keyring"],
    &["vault", "rotate"],
    &["vault", "rotate", "--drop", "nobody"],
    &["vault", "export", "one", "--recipient", "age1no"],
    &["vault", "import", "nothing.age"],
    &["vault", "backup", "backup"],
    &["vault", "slot", "list"],
    &["vault", "slot", "add", "more", "--recipient", "age1no"],
    &["vault", "slot", "remove", "nobody"],
    &["vault", "slot", "change", "nobody"],
    &["config", "get", "unlock.identity_file"],
    &["delete", "nobody", "--yes"],
    &["revoke", "nobody"],
    &["store", "one", "--kind", "client-secret", "--from-env", "GIVEN"],
    &["store", "prod", "--kind", "refresh-token", "--from-env", "NOTHING"],
    &["completions", "bash"],
    &["man"],
    &["help", "security"],
    &["generate", "prod", "--force", "--no-browser"],
    &["job-token", "list"],
    &["job-token", "renew", "nightly"],
    &["job-token", "authorize", "nightly", "update", "--from-env", "JOB"],
    &["job-token", "authorize", "nightly", "reset", "--from-env", "JOB"],
    &["job-token", "authorize", "nightly", "reset", "--from-env", "ADMIN", "--audience", "pipelines"],
    &["job-token", "authorize", "other", "update", "--from-env", "OWN"],
    &["job-token", "run", "other", "--", "true"],
    &["job-token", "end", "nobody"],
    &["admin-token", "keys"],
    &["admin-token", "keys", "--jwks"],
    &["admin-token", "keygen", "ops"],
    &["admin-token", "revoke", "nobody"],
    &["admin-token", "lifetime"],
    &["token", "list"],
    &["token", "show", "nobody"],
    &["token", "revoke", "nobody"],
    &["token", "delegate", "--kind", "oidc", "--parent-from-env", "JOB"],
    &["validate", "--from-env", "OWN"],
    &["validate", "--from-env", "ADMIN", "--audience", "others"],
    &["history"],
    &["audit"],
    &["maintain"],
    &["stats"],
];

/// A world with secrets of all kinds, and the texts of the tokens that it has issued: a job's, an administrator's and a
/// user's.
struct Kept {
    world: World,
    issued: [String; 3],
}

impl std::ops::Deref for Kept {
    type Target = World;

    fn deref(&self) -> &World {
        &self.world
    }
}

impl Kept {
    /// Everything that nobody may tell.
    fn secrets(&self) -> Vec<String> {
        secrets(&self.world).into_iter().chain(self.issued.clone()).chain([CANARY.to_owned()]).collect()
    }
}

/// Runs every command, loudly and as JSON, in an environment with secrets in it; claims that none is told.
fn tells_nothing(world: &Kept, change: impl Fn(&mut Command)) {
    for args in COMMANDS {
        for more in [&["-vvv"][..], &["-vvv", "--json"]] {
            // behind `--` stands the command of somebody else
            let cut = args.iter().position(|arg| *arg == "--").unwrap_or(args.len());
            let mut command = world.command([&args[..cut], more, &args[cut..]].concat());
            command.env("GIVEN", CANARY);
            command.envs(["JOB", "ADMIN", "OWN"].into_iter().zip(&world.issued));
            change(&mut command);
            let ran = Ran::from(command.output().unwrap());
            assert!(ran.code != 70 && ran.code >= 0, "{args:?}: {}", ran.stderr);
            for secret in &world.secrets() {
                assert!(!ran.stdout.contains(secret) && !ran.stderr.contains(secret), "{args:?} tells {secret}");
            }
        }
    }
}

fn world() -> Kept {
    let world = with_secret();
    world.keep("one", CANARY);
    world.run(["get", "prod"]).ok();
    world.run(["admin-token", "keygen", "ops"]).ok();
    let issue = |args: &[&str]| world.run(args).ok().stdout.trim().to_owned();
    let job = issue(&["job-token", "issue", "nightly"]);
    let admin = issue(&["admin-token", "mint", "ops", "--audience", "pipelines"]);
    let user = issue(&["token", "create", "--name", "laptop"]);
    Kept { world, issued: [job, admin, user] }
}

#[test]
fn every_command_is_among_those_that_are_tried() {
    let help = World::bare(Settings::default()).run(["--help"]).ok().stdout;
    let names = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    for name in names.map(|line| line.split_whitespace().next().unwrap()) {
        assert!(COMMANDS.iter().any(|args| args[0] == name), "`{name}` is not tried with canaries");
    }
}

#[test]
fn no_command_tells_a_secret_that_was_not_asked_for() {
    let world = world();
    tells_nothing(&world, |_| {});
    rests_sealed(&world);
}

#[test]
fn no_command_tells_a_secret_with_the_wrong_key_or_with_none() {
    let world = world();
    let other = world.file("other.txt");
    crate::outside::new_identity(&other);
    tells_nothing(&world, |command| _ = command.env("TOKENKEEP_IDENTITY_FILE", &other));
    tells_nothing(&world, |command| _ = command.env("TOKENKEEP_IDENTITY_FILE", "/nowhere"));
    tells_nothing(&world, |command| _ = command.env("TOKENKEEP_IDENTITY", CANARY));
}

#[test]
fn no_command_tells_a_secret_of_a_damaged_vault_or_configuration() {
    let world = world();
    let forger = Forger::of(&world);
    let path = world.entry("one").join("1.age");
    // ours, and not what it must be: the secret stands where a message could quote it
    forger.put(&path, &forger.json(&path).replace("\"expires_at\":null", &format!("\"expires_at\":\"{CANARY}\"")));
    write(&world.entry("conf").join("1.age"), CANARY.as_bytes(), 0o600);
    tells_nothing(&world, |_| {});
    world.edit_config(|text| text.replace("client_id", &format!("client_secret = \"{CANARY}\"\nclient_id")));
    tells_nothing(&world, |_| {});
    world.edit_config(|text| format!("{text}\nclient_secret = {CANARY}\n"));
    tells_nothing(&world, |_| {});
}

#[test]
fn no_command_tells_a_secret_that_the_provider_repeats() {
    let world = world();
    let newest = world.provider.newest_refresh_token().unwrap();
    let description = format!("{newest} {} {CANARY}", crate::leaks::SECRET);
    for endpoint in [Endpoint::Token, Endpoint::Revocation, Endpoint::Introspection, Endpoint::Device] {
        let fault =
            Fault::OauthError { status: 400, error: "invalid_scope".to_owned(), description: description.clone() };
        world.provider.misbehave_always(endpoint, fault);
    }
    tells_nothing(&world, |_| {});
    world.run(["revoke", "prod", "-vvv"]).hides(&newest).hides(crate::leaks::SECRET).hides(CANARY);
}

/// Claims that nothing on the disk, temporary files included, holds a secret in clear.
fn rests_sealed(world: &Kept) {
    let identity = world.identity_file();
    for file in files(world.folder.path()).into_iter().filter(|file| *file != identity) {
        let bytes = std::fs::read(&file).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        for secret in &world.secrets() {
            assert!(!text.contains(secret), "{} holds a secret", file.display());
        }
    }
}

/// Starts a command that says `ready` and then waits for its input to end.
fn waiting(mut command: Command) -> Child {
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    child
}

/// Tells which of some texts stand in the memory of a process.
fn in_memory<'a>(pid: u32, texts: &[(&'a str, Vec<u8>)]) -> Vec<&'a str> {
    let mut memory = std::fs::File::open(format!("/proc/{pid}/mem")).unwrap();
    let mut found = Vec::new();
    for line in proc_file(pid, "maps").lines() {
        let mut words = line.split_whitespace();
        let (from, to) = words.next().unwrap().split_once('-').unwrap();
        if !words.next().unwrap().starts_with("rw") {
            continue;
        }
        let [from, to] = [from, to].map(|number| u64::from_str_radix(number, 16).unwrap());
        let mut bytes = vec![0; usize::try_from(to - from).unwrap()];
        memory.seek(SeekFrom::Start(from)).unwrap();
        memory.read_exact(&mut bytes).unwrap();
        let stands = |text: &[u8]| bytes.windows(text.len()).any(|window| window == text);
        found.extend(texts.iter().filter(|(_, text)| stands(text)).map(|(name, _)| *name));
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// Returns what opens a vault, as text and as key.
fn keys_of(world: &World) -> [(&'static str, Vec<u8>); 2] {
    let text = std::fs::read_to_string(world.identity_file()).unwrap();
    let line = text.lines().find(|line| line.starts_with("AGE-SECRET-KEY-1")).unwrap();
    [("identity", line.as_bytes().to_vec()), ("key", bech32::decode(line).unwrap().1)]
}

#[test]
fn what_opened_the_vault_is_out_of_memory_while_a_command_runs() {
    if !is_root() {
        return;
    }
    let world = world();
    let newest = ("refresh token", world.provider.newest_refresh_token().unwrap().into_bytes());
    // not the text that the command gets: that stands in its own environment for as long
    let secrets = [keys_of(&world).to_vec(), vec![newest]].concat();
    let script = "echo ready; read -r line";
    let mut child = waiting(world.command(["exec", "prod", "one", "--", "sh", "-c", script]));
    assert_eq!(in_memory(child.id(), &secrets), [""; 0]);
    drop(child.stdin.take());
    child.wait().unwrap();
    // the same look finds the key where it is still needed, to keep a file fresh
    let mut child = waiting(world.command(["exec", "prod", "--file", "--", "sh", "-c", script]));
    assert_eq!(in_memory(child.id(), &secrets), ["key"]);
    drop(child.stdin.take());
    child.wait().unwrap();
}

/// Sends a signal that makes processes leave a core file.
fn crashed(mut child: Child, signal: Signal) -> ExitStatus {
    // whatever limit it has set for itself
    sh(&format!("prlimit --pid {} --core=unlimited", child.id()));
    send(child.id(), signal);
    drop(child.stdin.take());
    child.wait().unwrap()
}

#[test]
fn a_crash_leaves_no_core_file() {
    let world = world();
    let shell = |line: &str| world.shell(&format!("ulimit -c unlimited; exec {line}"), ["get", "prod", "--no-cache"]);
    if !crashed(shell("sleep 60").spawn().unwrap(), Signal::ABORT).core_dumped() {
        return leave_out("no process leaves a core file here");
    }
    for signal in [Signal::ABORT, Signal::ILL, Signal::QUIT] {
        world.provider.misbehave(Endpoint::Token, Fault::HangBeforeBody(PATIENCE));
        let exchanges = world.provider.count(Endpoint::Token);
        let front = shell("\"$0\" \"$@\"").spawn().unwrap();
        world.provider.wait_for(Endpoint::Token, exchanges + 1, PATIENCE);
        for pid in [front.id(), exchange_of(&front)] {
            let limits = proc_file(pid, "limits");
            let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
            assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
        }
        let status = crashed(front, signal);
        assert_eq!((status.signal(), status.core_dumped()), (Some(signal.as_raw()), false), "{signal:?}");
        world.provider.release();
        crate::signals::wait_for_lock(&world, "prod");
    }
    // the child of an exchange, which waits for its request
    let mut child = world.command(["__exchange", "3"]).stdin(Stdio::piped()).spawn().unwrap();
    // more than a pipe holds: when all of it is written, some of it was read
    child.stdin.as_mut().unwrap().write_all("x".repeat((64 << 10) + 1).as_bytes()).unwrap();
    assert!(!crashed(child, Signal::ABORT).core_dumped());
}

/// What a command sees of what it inherits.
const INHERITED: &str = "umask; ulimit -Sc; ulimit -Hc; \
    while read -r name mask; do case $name in Sig[IB]*) echo $name $((0x${mask#????????} & 0x7fffffff));; esac; \
    done </proc/self/status; \
    for number in /proc/self/fd/*; do readlink \"$number\" >/dev/null && echo \"${number##*/}\"; done; pwd; nice";

#[test]
fn a_command_inherits_what_it_would_have_without_us_and_no_descriptor_of_ours() {
    let world = world();
    for script in ["ulimit -c unlimited; umask 027; exec", "ulimit -c 0; umask 000; exec", "umask 077; exec nohup"] {
        let plain = |line: &str, args: &[&str]| {
            let mut command = world.shell(&format!("{script} {line}"), args);
            Ran::from(command.stdin(Stdio::null()).output().unwrap()).ok().stdout
        };
        let without = plain("sh -c \"$1\"", &[INHERITED]);
        for ours in [&["exec", "one", "prod", "--"][..], &["exec", "one", "--file", "--"]] {
            let with = plain("\"$0\" \"$@\"", &[ours, &["sh", "-c", INHERITED]].concat());
            assert_eq!(with, without, "{script} {ours:?}");
        }
    }
}

#[test]
fn a_browser_inherits_what_a_command_does() {
    let world = World::with(Settings { approval: Approval::ByHand, ..Settings::default() });
    let identity = std::fs::read_to_string(world.identity_file()).unwrap();
    let programs = world.file("programs");
    std::fs::create_dir(&programs).unwrap();
    // written under another name first: whoever sees the file sees all of it
    let script = format!("#!/bin/sh\n{{ {INHERITED}; env; }} >seen.new; mv seen.new seen\n");
    write(&programs.join("xdg-open"), script.as_bytes(), 0o700);
    let mut command = world.shell("ulimit -c unlimited; exec \"$0\" \"$@\"", ["generate", "prod"]);
    command.env("PATH", format!("{}:/usr/bin:/bin", programs.display())).env("DISPLAY", ":0");
    command.env("TOKENKEEP_IDENTITY", identity.trim());
    let mut terminal = Terminal::of(&command);
    terminal.sees("waiting for the login");
    world.provider.wait_for_user_code(PATIENCE);
    wait_for_file(&world.file("seen"));
    let seen = std::fs::read_to_string(world.file("seen")).unwrap();
    assert!(seen.contains("\nunlimited\nunlimited\n"), "{seen}");
    assert!(!seen.contains("AGE-SECRET-KEY"), "{seen}");
}

#[test]
fn a_command_gets_the_secrets_that_it_asked_for_and_no_others() {
    let world = world();
    let identity = std::fs::read_to_string(world.identity_file()).unwrap();
    let mut command = world.command(["exec", "prod", "--", "sh", "-c", "cat /proc/self/environ /proc/$PPID/cmdline"]);
    let seen = Ran::from(command.env("TOKENKEEP_IDENTITY", identity.trim()).output().unwrap()).ok().stdout;
    assert!(seen.contains("PROD_ACCESS_TOKEN="));
    for secret in &world.secrets() {
        assert!(!seen.contains(secret), "the command got {secret}");
    }
}

#[test]
fn a_token_file_is_the_only_file_with_a_secret_in_it_and_goes() {
    let world = world();
    let script = "echo ready; read -r line";
    let mut command = world.command(["exec", "one", "--file", "--", "sh", "-c", script]);
    for variable in ["XDG_RUNTIME_DIR", "TMPDIR"] {
        let folder = world.file(variable);
        std::fs::create_dir(&folder).unwrap();
        crate::outside::chmod(&folder, 0o700);
        command.env(variable, folder);
    }
    let mut child = waiting(command);
    let holds = |file: &std::path::PathBuf| String::from_utf8_lossy(&std::fs::read(file).unwrap()).contains(CANARY);
    assert_eq!(files(world.folder.path()).iter().filter(|file| holds(file)).count(), 1);
    drop(child.stdin.take());
    child.wait().unwrap();
    rests_sealed(&world);
}

#[test]
fn what_is_typed_into_a_failing_store_is_not_told_or_kept() {
    let world = world();
    for args in [
        &["store", "no/name", "--stdin", "-vvv"][..],
        &["store", "one", "--kind", "refresh-token", "--stdin", "-vvv"],
        &["store", "two", "--kind", "access-token", "--expires", "never", "--stdin", "-vvv"],
        &["store", "two", "--stdin", "--from-fd", "0", "-vvv"],
    ] {
        let ran = feed(world.command(args), &format!("{CANARY}-typed"));
        assert_ne!(ran.code, 0, "{args:?}");
        ran.hides(CANARY);
    }
    rests_sealed(&world);
}
