//! `unlock` and `lock`: the vault identity in the kernel's own keyring, seen from every kind of process that a user has, in
//! its place among the other sources, until its time has come; and what is said where the kernel, or a container, has none.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use provider::Settings;

use crate::harness::{PATIENCE, Ran, World};
use crate::outside::{NOBODY, chmod, hinted, is_root, leave_out, new_identity, sh, started_by, write};
use crate::signals::wait_for_file;
use crate::strace::{can_trace, counts, read_log, under_strace};
use crate::terminal::{LAST_WORDS, Terminal};

const WORDS: &str = "correct horse battery staple";

/// A world whose vault is closed at the end: of keys in the kernel's keyring a user has only so many.
struct Kept(World);

impl std::ops::Deref for Kept {
    type Target = World;

    fn deref(&self) -> &World {
        &self.0
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        drop(self.0.command(["lock"]).output());
    }
}

/// A vault with the secret `one`, which no setting opens; its identity is in `right.txt`.
fn locked() -> Kept {
    let world = World::bare(Settings::default());
    new_identity(&world.file("right.txt"));
    world.run(["init", "--identity-file", "right.txt"]).ok();
    world.keep("one", "secret");
    world.forget_identity_file();
    Kept(world)
}

/// The same, left open for some minutes.
fn open() -> Kept {
    let world = locked();
    unlock(&world, "10m").ok();
    world
}

/// A command that the identity file opens the vault for.
fn with_key(world: &World, args: &[&str]) -> Command {
    let mut command = world.command(args);
    command.env("TOKENKEEP_IDENTITY_FILE", world.file("right.txt"));
    command
}

/// Leaves a vault open for a time.
fn unlock(world: &World, time: &str) -> Ran {
    with_key(world, &["unlock", "--for", time]).output().unwrap().into()
}

/// What `status` says of it.
fn left_open(world: &World) -> serde_json::Value {
    world.run(["status", "--json"]).ok().json()["unlock"]["kernel_keyring"].clone()
}

/// The name of a vault's key in the kernel's keyring.
fn name(world: &World) -> String {
    let header = std::fs::read_to_string(world.vault().join("vault.toml")).unwrap();
    let line = header.lines().find_map(|line| line.strip_prefix("recipient = ")).unwrap();
    format!("tokenkeep:{}", line.trim_matches('"'))
}

/// How much time the kernel gives each key of a vault that it has not forgotten: `perm`, `59m`, `expd`.
fn times(world: &World) -> Vec<String> {
    times_of(&name(world))
}

/// The same by the key's name.
fn times_of(name: &str) -> Vec<String> {
    let keys = std::fs::read_to_string("/proc/keys").unwrap();
    let of_line = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let is_alive = !fields[1].contains(['i', 'R', 'D']);
        (is_alive && line.contains(name)).then(|| fields[3].to_owned())
    };
    keys.lines().filter_map(of_line).collect()
}

/// A command that a wrapper starts: `wrapper` ends with what runs its arguments.
fn through(world: &World, wrapper: &[&str], args: &[&str]) -> Ran {
    started_by(wrapper, &world.command(args)).output().unwrap().into()
}

#[test]
fn what_was_unlocked_opens_for_every_command_until_it_is_locked() {
    let world = locked();
    world.run(["get", "one"]).fails(5).says("locked");
    unlock(&world, "1h").ok().says("open until").says("`tokenkeep lock`");
    assert_eq!(world.run(["get", "one"]).ok().stdout, "secret\n");
    world.keep("two", "other");
    world.run(["vault", "verify"]).ok();
    world.run(["lock"]).ok().says("closed");
    world.run(["get", "one"]).fails(5).says("locked");
}

#[test]
fn a_vault_whose_key_is_changed_stays_open_under_the_new_one() {
    let world = open();
    let before = name(&world);
    Ran::from(with_key(&world, &["vault", "rotate"]).output().unwrap()).ok();
    assert_eq!(world.run(["get", "one"]).ok().stdout, "secret\n");
    assert_eq!((times_of(&before).len(), times(&world).len()), (0, 1));
    // the rest of ten minutes
    assert!(["9m", "10m"].contains(&times(&world)[0].as_str()), "{:?}", times(&world));
}

#[test]
fn locking_what_is_not_open_is_no_failure() {
    let world = open();
    assert_eq!(world.run(["lock", "--json"]).ok().json()["closed"], 1);
    assert_eq!(world.run(["lock", "--json"]).ok().json()["closed"], 0);
    world.run(["lock"]).ok().says("nothing was left open");
}

#[test]
fn without_a_vault_there_is_nothing_to_unlock_or_lock() {
    let world = World::bare(Settings::default());
    world.run(["unlock"]).fails(5).says("tokenkeep init");
    world.run(["lock"]).fails(5).says("tokenkeep init");
}

#[test]
fn a_passphrase_is_typed_once() {
    let world = World::bare(Settings::default());
    world.hand(["init", "--unlock", "passphrase", "--passphrase-fd", "3"], WORDS).ok();
    let mut terminal = world.on_terminal(["unlock"]);
    terminal.sees("Passphrase of the vault: ").types(WORDS).sees("open until").ends().with(0).hides("horse");
    world.keep("one", "secret");
    world.on_terminal(["get", "one"]).sees("secret").ends().with(0);
    world.run(["lock"]).ok();
    world.on_terminal(["get", "one"]).sees("Passphrase of the vault: ").presses_control('c').ends().with(130);
}

#[test]
fn a_wrong_passphrase_opens_nothing() {
    let world = World::bare(Settings::default());
    world.hand(["init", "--unlock", "passphrase", "--passphrase-fd", "3"], WORDS).ok();
    world.hand(["unlock", "--passphrase-fd", "3"], "wrong").fails(5).says("wrong passphrase");
    assert_eq!(left_open(&world)["open"], false);
    let begun = Instant::now();
    world.run(["unlock"]).fails(5).says("`tokenkeep unlock` on a terminal");
    assert!(begun.elapsed().as_millis() < 1_000, "{:?}", begun.elapsed());
}

#[test]
fn status_says_until_when() {
    let world = locked();
    assert_eq!(
        left_open(&world),
        serde_json::json!({"open": false, "error": null, "until_at": null, "until_epoch": null})
    );
    let said = with_key(&world, &["unlock", "--for", "1h", "--json"]).output().unwrap();
    let said = Ran::from(said).ok().json();
    let left = left_open(&world);
    assert_eq!((&left["open"], &left["until_at"]), (&true.into(), &said["until_at"]));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let seconds = left["until_epoch"].as_u64().unwrap() - now;
    assert!((3_540..=3_600).contains(&seconds), "{seconds}");
    let text = world.run(["status"]).ok().stdout;
    let until = said["until_at"].as_str().unwrap();
    assert!(text.contains(&format!("in the kernel keyring, until {until}")), "{text}");
    assert!(text.contains("the kernel keyring: opens the vault"), "{text}");
}

#[test]
fn the_kernel_takes_it_out_when_its_time_has_come() {
    let world = locked();
    unlock(&world, "1s").ok();
    let end = Instant::now() + PATIENCE;
    while times(&world).iter().any(|time| time != "expd") {
        assert!(Instant::now() < end, "{:?}", times(&world));
        std::thread::yield_now();
    }
    world.run(["get", "one"]).fails(5).says("locked");
    assert_eq!(left_open(&world)["open"], false);
    world.run(["lock"]).ok().says("nothing was left open");
    // what has gone can be put there again
    unlock(&world, "1h").ok();
    world.run(["get", "one"]).ok();
}

#[test]
fn an_open_vault_gets_a_new_time_and_needs_no_key_for_it() {
    let world = open();
    for (time, seconds) in [("2h", 7_200), ("10m", 600)] {
        let before = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let until = world.run(["unlock", "--for", time, "--json"]).ok().json()["until_epoch"].as_u64().unwrap();
        assert!((before + seconds..before + seconds + 60).contains(&until), "{time}: {until}");
        // the old time does not live on beside the new one
        assert_eq!(times(&world).len(), 1, "{:?}", times(&world));
        world.run(["get", "one"]).ok();
    }
    assert!(["10m", "9m"].contains(&times(&world)[0].as_str()), "{:?}", times(&world));
}

#[test]
fn times_that_make_no_sense_are_refused() {
    let world = locked();
    for time in ["0", "0s", "8d", "169h", "soon", "-1s", "99999999999999999999s"] {
        let flag = format!("--for={time}");
        Ran::from(with_key(&world, &["unlock", &flag]).output().unwrap()).fails(2);
    }
    assert_eq!(times(&world), Vec::<String>::new());
    unlock(&world, "7d").ok();
}

#[test]
fn two_vaults_never_meet() {
    let (ours, theirs) = (open(), locked());
    theirs.run(["get", "one"]).fails(5).says("locked");
    assert_eq!(left_open(&theirs)["open"], false);
    unlock(&theirs, "1h").ok();
    ours.run(["lock"]).ok().says("closed");
    assert_eq!(theirs.run(["get", "one"]).ok().stdout, "secret\n");
}

#[test]
fn every_earlier_source_decides_before_the_kernels_keyring() {
    let world = open();
    new_identity(&world.file("wrong.txt"));
    let ran = world.command(["get", "one"]).env("TOKENKEEP_IDENTITY_FILE", world.file("wrong.txt")).output().unwrap();
    Ran::from(ran).fails(5).says("TOKENKEEP_IDENTITY_FILE");
    world.edit_config(|_| "[unlock]\nidentity_file = \"wrong.txt\"\n".to_owned());
    world.run(["get", "one"]).fails(5).says("unlock.identity_file");
}

#[test]
fn an_identity_file_that_is_used_anyway_is_mentioned() {
    let world = World::new();
    world.run(["unlock"]).ok().says("unlock.identity_file").says("is used first");
    world.run(["lock"]).ok().says("not locked").says("unlock.identity_file");
}

#[test]
fn a_file_costs_no_system_call_for_the_kernels_keyring_and_the_keyring_three() {
    if !can_trace() {
        return;
    }
    let asked = |world: &World| {
        let log = world.file("log");
        let options = ["-f", "-o", log.to_str().unwrap()];
        Ran::from(under_strace(&world.command(["get", "one"]), &options).output().unwrap()).ok();
        let calls = read_log(&log);
        ["keyctl", "add_key", "request_key"].map(|call| counts(&calls, |_| true).get(call).copied().unwrap_or(0))
    };
    let world = open();
    assert_eq!(asked(&world), [3, 0, 0]);
    world.edit_config(|_| "[unlock]\nidentity_file = \"right.txt\"\n".to_owned());
    let right = std::fs::read(world.file("right.txt")).unwrap();
    write(&world.home().join("config/right.txt"), &right, 0o600);
    assert_eq!(asked(&world), [0, 0, 0]);
}

#[test]
fn what_somebody_else_put_there_is_named_and_can_be_taken_out() {
    let world = locked();
    let other = world.file("other.txt");
    new_identity(&other);
    let theirs = std::fs::read_to_string(&other).unwrap();
    for (text, said) in [("rubbish", "holds no age identity"), (theirs.as_str(), "does not open this vault")] {
        write(&world.file("text"), text.as_bytes(), 0o600);
        let put = format!("keyctl padd user '{}' @u <'{}'", name(&world), world.file("text").display());
        sh(&format!("keyctl setperm $({put}) 0x3f3f0000"));
        let refused = world
            .run(["get", "one"])
            .fails(5)
            .says("the kernel keyring")
            .says(said)
            .hides(text.lines().last().unwrap());
        assert_eq!(hinted(&refused), "tokenkeep lock");
        world.run(["status"]).ok();
        world.run(["lock"]).ok().says("closed");
        unlock(&world, "1h").ok();
        world.run(["get", "one"]).ok();
        world.run(["lock"]).ok();
    }
}

#[test]
fn the_last_slot_stays_although_the_vault_is_open_for_a_while() {
    let world = locked();
    let recipient = new_identity(&world.file("ci.txt"));
    let add = ["vault", "slot", "add", "ci", "--recipient", &recipient];
    Ran::from(with_key(&world, &add).output().unwrap()).ok();
    unlock(&world, "1h").ok();
    world.run(["vault", "slot", "remove", "ci"]).fails(2).says("last slot");
}

#[test]
fn the_identity_is_in_no_output_and_not_for_children() {
    let world = open();
    let text = std::fs::read_to_string(world.file("right.txt")).unwrap();
    let secret = text.lines().find(|line| line.starts_with("AGE-SECRET-KEY-1")).unwrap();
    world.run(["unlock", "-vvv"]).ok().hides(secret);
    world.run(["status", "-vvv", "--json"]).ok().hides(secret);
    world.run(["exec", "one", "-vvv", "--", "env"]).ok().hides(secret);
    world.run(["lock", "-vvv"]).ok().hides(secret);
    assert!(!world.home().join("config/identity.txt").exists());
}

/// A vault of another user, and a program that everybody may run.
fn of_user(user: u32) -> Kept {
    let world = locked();
    chmod(world.folder.path(), 0o755);
    // a copy could still be open for writing in a child of another test: the text file would be busy
    let program = env!("CARGO_BIN_EXE_tokenkeep");
    if std::fs::hard_link(program, world.file("tokenkeep")).is_err() {
        std::fs::copy(program, world.file("tokenkeep")).unwrap();
    }
    for path in [world.home(), world.file("right.txt")] {
        sh(&format!("chown -R {user}:{user} '{}'", path.display()));
    }
    world
}

/// A vault of the user `nobody`, left open by that user; not for long, for of keys only some are allowed.
fn of_nobody() -> Kept {
    let world = of_user(NOBODY);
    as_nobody(&world, &["TOKENKEEP_IDENTITY_FILE=right.txt", "./tokenkeep", "unlock", "--for", "2m"]).ok();
    world
}

/// What becomes `nobody`, and keeps everything else that root has: the session keyring, too.
const BECOME: [&str; 4] = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];

/// Runs a command line as `nobody`, as a daemon of root's does that drops its rights.
fn as_nobody(world: &World, line: &[&str]) -> Ran {
    started(world, &[&BECOME[..], &["env"], line].concat())
}

/// Runs a command line in the folder of a world.
fn started(world: &World, line: &[&str]) -> Ran {
    let mut command = Command::new(line[0]);
    command.args(&line[1..]).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C.UTF-8");
    command.env("TOKENKEEP_HOME", world.home()).current_dir(world.folder.path()).stdin(Stdio::null());
    command.output().unwrap().into()
}

#[test]
fn it_is_open_in_another_session_and_with_another_session_keyring() {
    let world = open();
    for wrapper in [
        &["setsid", "--wait"][..],
        &["keyctl", "session", "-"],
        // what pam_keyinit leaves to a tmux that outlives its ssh login
        &["keyctl", "session", "-", "sh", "-c", "keyctl revoke @s; exec \"$0\" \"$@\""],
        &["env", "-i", &format!("TOKENKEEP_HOME={}", world.home().display()), "setsid", "--wait"],
    ] {
        let ran = through(&world, wrapper, &["get", "one"]);
        assert!(ran.stdout.ends_with("secret\n"), "{wrapper:?}: {}", ran.stderr);
    }
    // opened and closed there, it is open and closed here
    through(&world, &["keyctl", "session", "-"], &["lock"]);
    world.run(["get", "one"]).fails(5);
    let key = world.file("right.txt");
    let key = format!("TOKENKEEP_IDENTITY_FILE={}", key.display());
    through(&world, &["keyctl", "session", "-", "env", &key], &["unlock"]);
    world.run(["get", "one"]).ok();
}

#[test]
fn it_is_open_for_a_user_without_a_keyring_of_the_session() {
    if !is_root() {
        return;
    }
    let world = of_nobody();
    // as cron and daemons do: the session keyring is root's, and nobody possesses the user's
    assert_eq!(as_nobody(&world, &["./tokenkeep", "get", "one"]).ok().stdout, "secret\n");
    let line = ["keyctl", "session", "-"].iter().chain(&BECOME).copied().chain(["./tokenkeep", "get", "one"]);
    let ran = started(&world, &line.collect::<Vec<_>>());
    assert!(ran.stdout.ends_with("secret\n"), "{}", ran.stderr);
    // as su does, with what PAM does for it
    let home = world.home();
    let script = format!("TOKENKEEP_HOME='{}' ./tokenkeep get one", home.display());
    let line = ["su", "nobody", "-s", "/bin/sh", "-c", &script];
    assert_eq!(started(&world, &line).ok().stdout, "secret\n");
    // of root, who is somebody else, nothing is opened
    assert_eq!(times(&world), Vec::<String>::new());
    as_nobody(&world, &["./tokenkeep", "lock"]).ok().says("closed");
    as_nobody(&world, &["./tokenkeep", "get", "one"]).fails(5);
}

#[test]
fn all_vaults_of_a_user_are_closed_at_once_on_demand() {
    if !is_root() {
        return;
    }
    // nobody else has a user of this number
    let user = 64_211;
    let worlds = [of_user(user), of_user(user)];
    let run = |world: &World, line: &[&str]| {
        let (user, group) = (format!("--reuid={user}"), format!("--regid={user}"));
        started(world, &[&["setpriv", &user, &group, "--clear-groups", "env"][..], line].concat())
    };
    for world in &worlds {
        run(world, &["TOKENKEEP_IDENTITY_FILE=right.txt", "./tokenkeep", "unlock"]).ok();
    }
    // that takes no configuration, and none that cannot be read keeps anybody from it
    run(&worlds[0], &["./tokenkeep", "lock", "--all", "--config", "nowhere.toml"]).ok().says("closed 2 vaults");
    for world in &worlds {
        run(world, &["./tokenkeep", "get", "one"]).fails(5).says("locked");
    }
    run(&worlds[0], &["./tokenkeep", "lock", "--all"]).ok().says("nothing was left open");
    // the vaults of another user stay open
    let theirs = of_nobody();
    run(&worlds[0], &["./tokenkeep", "lock", "--all"]).ok();
    as_nobody(&theirs, &["./tokenkeep", "get", "one"]).ok();
    as_nobody(&theirs, &["./tokenkeep", "lock"]).ok();
}

#[test]
fn it_is_open_in_tmux() {
    if Command::new("tmux").arg("-V").output().is_err() {
        leave_out("tmux is not installed");
        return;
    }
    let world = open();
    let (program, home) = (env!("CARGO_BIN_EXE_tokenkeep"), world.home());
    let line = format!("TOKENKEEP_HOME='{}' '{program}' get one >said 2>&1; mv said done", home.display());
    let tmux = |args: &[&str]| {
        let mut command = Command::new("tmux");
        command.args(["-S", "./socket", "-f", "/dev/null"]).args(args).current_dir(world.folder.path());
        assert!(command.status().unwrap().success(), "tmux {args:?}");
    };
    tmux(&["new-session", "-d", &line]);
    wait_for_file(&world.file("done"));
    assert_eq!(std::fs::read_to_string(world.file("done")).unwrap(), "secret\n");
}

/// The files of an ssh server and of somebody who may log in there; `None` where there is none.
fn ssh(world: &World) -> Option<(String, PathBuf)> {
    if !is_root() {
        return None;
    }
    if !Path::new("/usr/sbin/sshd").exists() {
        leave_out("sshd is not installed");
        return None;
    }
    let folder = world.folder.path().display();
    for key in ["host", "person"] {
        sh(&format!("ssh-keygen -q -t ed25519 -N '' -f '{folder}/{key}'"));
    }
    std::fs::copy(world.file("person.pub"), world.file("authorized")).unwrap();
    let server = format!(
        "HostKey {folder}/host\nAuthorizedKeysFile {folder}/authorized\nStrictModes no\nUsePAM yes\n\
         PermitRootLogin yes\nPrintMotd no\nLogLevel ERROR\nPidFile none\n"
    );
    write(&world.file("sshd_config"), server.as_bytes(), 0o600);
    sh("mkdir -p /run/sshd");
    Some((format!("/usr/sbin/sshd -i -f {folder}/sshd_config"), world.file("person")))
}

#[test]
fn it_is_open_over_ssh_and_what_is_opened_there_stays_open() {
    let world = locked();
    let Some((server, key)) = ssh(&world) else { return };
    let over_ssh = |line: &str| -> Ran {
        let mut command = Command::new("ssh");
        command.args([
            "-F",
            "/dev/null",
            "-o",
            "BatchMode=yes",
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            "LogLevel=ERROR",
        ]);
        command.args(["-o", "UserKnownHostsFile=/dev/null", "-o", &format!("ProxyCommand={server}")]);
        let (program, home) = (env!("CARGO_BIN_EXE_tokenkeep"), world.home());
        let line =
            format!("TOKENKEEP_HOME='{}' {line}", home.display()).replace("tokenkeep ", &format!("'{program}' "));
        command.arg("-i").arg(&key).args(["root@nowhere", &line]).stdin(Stdio::null());
        command.output().unwrap().into()
    };
    over_ssh("tokenkeep get one").fails(5).says("locked");
    let key = world.file("right.txt");
    over_ssh(&format!("TOKENKEEP_IDENTITY_FILE='{}' tokenkeep unlock", key.display())).ok();
    // that login is over, and its session keyring was revoked
    assert_eq!(world.run(["get", "one"]).ok().stdout, "secret\n");
    assert_eq!(over_ssh("tokenkeep get one").ok().stdout, "secret\n");
    over_ssh("tokenkeep lock").ok();
    world.run(["get", "one"]).fails(5);
}

/// The options that make calls to the kernel's keyring fail.
fn failing(call: &str, how: &str) -> [String; 5] {
    let (trace, inject) = (format!("trace={call}"), format!("inject={call}:{how}"));
    ["-f", "-o/dev/null", "-e", &trace, &format!("-e{inject}")].map(str::to_owned)
}

#[test]
fn where_there_is_no_kernel_keyring_it_is_said_and_every_other_source_works() {
    if !can_trace() {
        return;
    }
    let world = locked();
    let run = |args: &[&str], how: &str| -> Ran {
        under_strace(&with_key(&world, args), &failing("keyctl,add_key", how)).output().unwrap().into()
    };
    for (how, words) in [
        ("error=ENOSYS", "does not exist here"),
        ("error=EPERM", "is forbidden here"),
        ("error=EACCES", "is forbidden here"),
    ] {
        let refused = run(&["unlock"], how).fails(1).says("cannot leave the vault open").says(words);
        assert!(hinted(&refused).contains("TOKENKEEP_IDENTITY_FILE"), "{}", refused.stderr);
        run(&["lock"], how).fails(1).says("cannot close the vault").says(words);
        run(&["lock", "--all"], how).fails(1).says(words);
        assert_eq!(run(&["get", "one"], how).ok().stdout, "secret\n");
        let status = run(&["status", "--json"], how).ok().json();
        let left = &status["unlock"]["kernel_keyring"];
        assert_eq!(left["open"], false);
        assert!(left["error"].as_str().unwrap().contains(words), "{left}");
        // nothing opens the vault, and the reason is not passed over
        let locked = under_strace(&world.command(["get", "one"]), &failing("keyctl", how)).output().unwrap();
        Ran::from(locked).fails(5).says("locked").says(words);
    }
}

#[test]
fn nobody_types_a_passphrase_for_nothing() {
    if !can_trace() {
        return;
    }
    let world = World::bare(Settings::default());
    world.hand(["init", "--unlock", "passphrase", "--passphrase-fd", "3"], WORDS).ok();
    // some containers allow keyctl, and no new key
    let ours = under_strace(&world.command(["unlock"]), &failing("add_key", "error=EPERM"));
    let script = format!("\"$0\" \"$@\"; {LAST_WORDS}");
    Terminal::of(&started_by(&["/bin/sh", "-c", &script], &ours))
        .sees("is forbidden here")
        .ends()
        .with(1)
        .hides("Passphrase");
}

#[test]
fn a_call_that_fails_leaves_nothing_open_behind() {
    if !can_trace() {
        return;
    }
    let world = locked();
    let log = world.file("log");
    let options = ["-f", "-o", log.to_str().unwrap()];
    Ran::from(under_strace(&with_key(&world, &["unlock"]), &options).output().unwrap()).ok();
    world.run(["lock"]).ok();
    let mut failed = 0;
    for (call, count) in counts(&read_log(&log), |call| ["keyctl", "add_key"].contains(&call.name.as_str())) {
        for nth in 1..=count {
            let options = failing(call, &format!("error=EACCES:when={nth}"));
            let ran = Ran::from(under_strace(&with_key(&world, &["unlock"]), &options).output().unwrap());
            let after = format!("after {call} {nth} failed: {} {}", ran.code, ran.stderr);
            failed += usize::from(ran.code == 1);
            assert_eq!(times(&world).is_empty(), ran.code == 1, "{after}");
            assert_eq!(left_open(&world)["open"], ran.code == 0, "{after}");
            world.run(["lock"]).ok();
        }
    }
    assert!(failed >= 8, "only {failed} failures were seen");
}

#[test]
fn who_is_killed_while_unlocking_leaves_nothing_that_stays_for_ever() {
    if !can_trace() {
        return;
    }
    let world = locked();
    let log = world.file("log");
    let options = ["-f", "-o", log.to_str().unwrap()];
    Ran::from(under_strace(&with_key(&world, &["unlock"]), &options).output().unwrap()).ok();
    let mut open = 0;
    for (call, count) in counts(&read_log(&log), |call| ["keyctl", "add_key"].contains(&call.name.as_str())) {
        for nth in 1..=count {
            world.run(["lock"]).ok();
            let options = failing(call, &format!("signal=KILL:when={nth}"));
            under_strace(&with_key(&world, &["unlock"]), &options).output().unwrap();
            let left = left_open(&world);
            open += usize::from(left["open"] == true);
            // what opens has an end; what has none belongs to the process that is gone
            let found = Command::new("keyctl").args(["search", "@u", "user", &name(&world)]).output().unwrap();
            assert_eq!(found.status.success(), left["open"] == true, "{call} {nth}");
            if found.status.success() {
                let number: u32 = String::from_utf8(found.stdout).unwrap().trim().parse().unwrap();
                let keys = std::fs::read_to_string("/proc/keys").unwrap();
                let line = keys.lines().find(|line| line.starts_with(&format!("{number:08x} "))).unwrap();
                assert!(["7h", "8h"].contains(&line.split_whitespace().nth(3).unwrap()), "{call} {nth}: {line}");
            }
        }
    }
    assert!(open >= 1, "the vault was never open: the last calls come after that");
}

#[test]
fn a_key_that_is_not_this_vaults_is_not_kept_for_it() {
    let (ours, theirs) = (locked(), locked());
    let key = ours.file("right.txt");
    let ran = theirs.command(["unlock"]).env("TOKENKEEP_IDENTITY_FILE", key).output().unwrap();
    Ran::from(ran).fails(5).says("does not open this vault");
    assert_eq!((times(&ours), times(&theirs)), (Vec::new(), Vec::new()));
}
