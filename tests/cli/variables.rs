//! `env` and `exec`: tokens and secrets in variables and files, signals, and whose exit code it is.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use provider::Settings;

use crate::harness::{Ran, World, short_lived};
use crate::outside::started_by;

fn with_a_secret() -> World {
    let world = World::logged_in(short_lived(300));
    world.feed(["store", "db-password", "--stdin"], "pa'ss $(word)").ok();
    world
}

/// What a shell makes of the assignments.
fn evaluated(assignments: &str, variable: &str) -> String {
    let script = format!("{assignments}printf %s \"${variable}\"");
    String::from_utf8(Command::new("sh").args(["-c", &script]).output().unwrap().stdout).unwrap()
}

#[test]
fn assignments_survive_the_shell() {
    let world = with_a_secret();
    let printed = world.run(["env", "prod", "db-password"]).ok().stdout;
    assert_eq!(evaluated(&printed, "PROD_ACCESS_TOKEN"), world.token("prod"));
    assert_eq!(evaluated(&printed, "DB_PASSWORD"), "pa'ss $(word)");
}

#[test]
fn json_is_one_object_of_variables() {
    let world = with_a_secret();
    let printed = world.run(["env", "db-password", "--var", "PGPASSWORD", "--json"]).ok().json();
    assert_eq!(printed["PGPASSWORD"], "pa'ss $(word)");
}

#[test]
fn nothing_is_printed_unless_everything_is_had() {
    let world = with_a_secret();
    world.add_profile("other", &[]);
    world.run(["env", "prod", "other"]).fails(4).says("tokenkeep generate other");
    world.run(["env", "prod", "nothing"]).fails(8);
}

#[test]
fn two_entries_in_one_variable_are_refused() {
    let world = with_a_secret();
    world.feed(["store", "db.password", "--stdin"], "x").ok();
    world.run(["env", "db-password", "db.password"]).fails(2).says("DB_PASSWORD");
    world.run(["env", "prod", "db-password", "--var", "X"]).fails(2);
    world.run(["env", "prod", "--var", "1X"]).fails(2);
}

#[test]
fn a_profile_names_its_variable() {
    let world = World::new();
    world.add_profile("named", &["--var", "API_TOKEN"]);
    world.store_login("named");
    assert!(world.run(["env", "named"]).ok().stdout.starts_with("export API_TOKEN='"));
}

#[test]
fn unsetting_needs_no_vault() {
    let world = World::new();
    std::fs::remove_file(world.identity_file()).unwrap();
    assert_eq!(world.run(["env", "prod", "--unset"]).ok().stdout, "unset PROD_ACCESS_TOKEN\n");
    world.run(["env", "prod", "--unset", "--format", "dotenv"]).fails(2);
}

#[test]
fn a_command_gets_the_token_and_not_what_opens_the_vault() {
    let world = with_a_secret();
    let token = world.token("prod");
    let identity = std::fs::read_to_string(world.identity_file()).unwrap();
    let mut command = world.command(["exec", "prod", "--", "sh", "-c", "echo $PROD_ACCESS_TOKEN; env"]);
    let output = command.env("TOKENKEEP_IDENTITY", identity).env("KEPT", "yes").output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(printed.lines().next(), Some(token.as_str()));
    assert!(printed.contains("KEPT=yes") && !printed.contains("TOKENKEEP_IDENTITY="), "{printed}");
}

#[test]
fn the_exit_code_is_the_commands() {
    let world = with_a_secret();
    let code = |args: &[&str]| world.run([["exec", "db-password", "--"].as_slice(), args].concat()).code;
    assert_eq!(code(&["sh", "-c", "exit 42"]), 42);
    assert_eq!(code(&["sh", "-c", "kill -KILL $$"]), 137);
    assert_eq!(code(&["no-such-command"]), 127);
    assert_eq!(code(&["/etc/passwd"]), 126);
}

#[test]
fn the_exit_code_is_the_commands_also_where_nobody_may_ask_for_it() {
    let world = with_a_secret();
    let tokenkeep = world.command(["exec", "db-password", "--", "sh", "-c", "exit 42"]);
    // whoever starts us may have said that the system shall bury all children at once
    let mut command = started_by(&["perl", "-e", "$SIG{CHLD} = 'IGNORE'; exec @ARGV"], &tokenkeep);
    assert_eq!(Ran::from(command.output().unwrap()).code, 42);
}

#[test]
fn a_failure_before_the_command_is_125_and_keeps_its_kind() {
    let world = World::new();
    let ran = world.run(["exec", "prod", "--json", "--", "true"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (125, ""));
    let error: serde_json::Value = serde_json::from_str(&ran.stderr).unwrap();
    assert_eq!(error["error"]["kind"], "login");
    assert_eq!(error["error"]["exit_code"], 125);
}

#[test]
fn a_command_line_that_makes_no_sense_is_125_as_well() {
    let world = World::new();
    world.run(["exec", "prod"]).fails(125);
    world.run(["--color", "never", "exec", "--no-such-flag", "--", "true"]).fails(125);
    world.run(["--color", "exec", "get", "--no-such-flag"]).fails(2);
    let ran = world.run(["exec", "prod", "--json"]);
    let error: serde_json::Value = serde_json::from_str(&ran.stderr).unwrap();
    assert_eq!((&error["error"]["kind"], &error["error"]["exit_code"]), (&"usage".into(), &125.into()));
}

#[test]
fn what_cannot_be_run_says_how_to_look_for_it() {
    let world = with_a_secret();
    let run = |program: &str| world.run(["exec", "db-password", "--", program]);
    run("no-such-command").fails(127).says("command -v no-such-command");
    run("/etc/passwd").fails(126).says("ls -ld /etc/passwd");
}

/// Starts a command that says when it is ready.
fn started(world: &World, args: &[&str], script: &str) -> (Child, impl Iterator<Item = String>) {
    // the command ends at the latest when its input does, with whoever holds the other end
    let mut command = world.command([args, ["--", "sh", "-c", script].as_slice()].concat());
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert_eq!(lines.next().as_deref(), Some("ready"));
    (child, lines)
}

fn send(child: &Child, signal: &str) {
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
}

#[test]
fn signals_are_passed_on_also_after_a_refresh() {
    let world = World::logged_in(Settings::default());
    let script = "trap 'echo usr1' USR1; trap 'echo term; exit 9' TERM; echo ready; while :; do sleep 0.05; done";
    let (mut child, mut lines) = started(&world, &["exec", "prod"], script);
    send(&child, "-USR1");
    assert_eq!(lines.next().as_deref(), Some("usr1"));
    send(&child, "-TERM");
    assert_eq!(lines.next().as_deref(), Some("term"));
    assert_eq!(child.wait().unwrap().code(), Some(9));
}

#[test]
fn a_token_file_is_private_kept_fresh_and_removed() {
    let world = World::logged_in(short_lived(4));
    let script = "echo ready; echo $PROD_ACCESS_TOKEN_FILE; stat -c %a $PROD_ACCESS_TOKEN_FILE; \
                  cat $PROD_ACCESS_TOKEN_FILE; echo; read -r line; cat $PROD_ACCESS_TOKEN_FILE; echo";
    let mut command = world.command(["exec", "prod", "--file", "--", "sh", "-c", script]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let [_ready, path, mode, first] = [(); 4].map(|()| lines.next().unwrap());
    assert_eq!(mode, "600");
    world.provider.wait_for_exchanges(3, Duration::from_secs(30));
    // the file is replaced within moments of the exchange
    let renewed = (0..100).any(|_| {
        std::thread::park_timeout(Duration::from_millis(50));
        std::fs::read_to_string(&path).unwrap() != first
    });
    assert!(renewed);
    drop(child.stdin.take());
    let last = lines.next().unwrap();
    assert_ne!(last, first);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(!std::path::Path::new(&path).parent().unwrap().exists());
}

#[test]
fn the_files_of_a_killed_run_go_with_the_next_one() {
    let world = World::logged_in(short_lived(300));
    let script = "echo ready; echo $PROD_ACCESS_TOKEN_FILE; exec sleep 60";
    let (mut child, mut lines) = started(&world, &["exec", "prod", "--file"], script);
    let path = lines.next().unwrap();
    send(&child, "-KILL");
    child.wait().unwrap();
    assert!(std::path::Path::new(&path).exists());
    world.run(["exec", "prod", "--file", "--", "true"]).ok();
    assert!(!std::path::Path::new(&path).parent().unwrap().exists());
}

#[test]
fn the_files_of_a_killed_run_are_seen_and_go_with_whatever_runs_next_and_those_in_use_stay() {
    let world = World::logged_in(short_lived(300));
    let script = "echo ready; echo $PROD_ACCESS_TOKEN_FILE; read line";
    let (mut living, mut lines) = started(&world, &["exec", "prod", "--file"], script);
    let used = lines.next().unwrap();
    for next in [&["doctor", "--offline", "--fix"][..], &["refresh", "--all"], &["exec", "prod", "--", "true"]] {
        let (mut child, mut lines) = started(&world, &["exec", "prod", "--file"], script);
        let path = lines.next().unwrap();
        let folder = std::path::Path::new(&path).parent().unwrap();
        send(&child, "-KILL");
        child.wait().unwrap();
        let seen = world.run(["doctor", "--offline"]).ok().stdout;
        let line = seen.lines().find(|line| line.starts_with("warn") && line.contains(folder.to_str().unwrap()));
        assert!(line.is_some_and(|line| line.contains("in clear") && line.contains("doctor --fix")), "{seen}");
        world.run(next).ok();
        assert!(!folder.exists(), "{next:?}");
    }
    assert!(std::path::Path::new(&used).exists());
    drop(living.stdin.take());
    living.wait().unwrap();
    let seen = world.run(["doctor", "--offline"]).ok().stdout;
    assert!(seen.contains("nothing was left behind"), "{seen}");
}

#[test]
fn a_token_file_goes_also_when_the_command_is_ended_by_a_signal() {
    let world = World::logged_in(Settings::default());
    let script = "echo ready; echo $PROD_ACCESS_TOKEN_FILE; exec sleep 60";
    let (mut child, mut lines) = started(&world, &["exec", "prod", "--file"], script);
    let path = lines.next().unwrap();
    send(&child, "-TERM");
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert!(!std::path::Path::new(&path).exists());
}
