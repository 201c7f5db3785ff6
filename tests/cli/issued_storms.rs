//! Many processes on one ledger, and processes that are killed while they write to it.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::harness::World;

/// How many processes at once.
const PROCESSES: usize = 50;

/// What each of them does, round after round: issue, check, revoke, list. It prints how many tokens it issued.
const ROUND: &str = r#"
count=0
while [ "$count" -lt "$ROUNDS" ]; do
  token=$("$TK" token create --name "$NAME-$count" --owner "$NAME" --quiet) || exit 1
  printf %s "$token" | "$TK" validate --stdin >/dev/null || exit 2
  count=$((count + 1))
  [ $((count % 2)) = 0 ] || continue
  id=$(printf %s "$token" | cut -c5-26)
  "$TK" token revoke "$id" --quiet || exit 3
  printf %s "$token" | "$TK" validate --stdin >/dev/null 2>&1
  [ $? = 3 ] || exit 4
  "$TK" token list --owner "$NAME" --all --quiet | grep -q " revoked " || exit 5
done
"#;

/// Starts one process that works on the ledger.
fn worker(world: &World, name: &str, rounds: usize) -> Child {
    let mut command = Command::new("sh");
    command.args(["-c", ROUND]).env_clear().env("PATH", "/usr/bin:/bin").env("TOKENKEEP_HOME", world.home());
    command.env("TK", env!("CARGO_BIN_EXE_tokenkeep")).env("NAME", name).env("ROUNDS", rounds.to_string());
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[test]
fn no_row_is_lost_and_nobody_finds_it_locked() {
    const ROUNDS: usize = 2;
    let world = World::new();
    let workers: Vec<_> = (0..PROCESSES).map(|number| worker(&world, &format!("w{number}"), ROUNDS)).collect();
    for worker in workers {
        let output = worker.wait_with_output().unwrap();
        assert!(output.status.success(), "{:?}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    let tokens = world.run(["token", "list", "--all", "--json"]).ok().json();
    assert_eq!(tokens.as_array().unwrap().len(), PROCESSES * ROUNDS);
    let revoked = tokens.as_array().unwrap().iter().filter(|token| token["state"] == "revoked").count();
    assert_eq!(revoked, PROCESSES * ROUNDS / 2);
    world.run(["audit"]).ok();
}

#[test]
fn many_who_make_the_ledger_at_once_make_one() {
    let world = World::new();
    let ran = world.storm(PROCESSES, &["job-token", "issue", "j1", "--quiet"]);
    let mut tokens: Vec<_> = ran.into_iter().map(|ran| ran.ok().stdout).collect();
    tokens.dedup();
    assert_eq!(tokens.len(), 1, "one job has one token");
    world.run(["audit"]).ok();
}

#[test]
fn a_kill_at_any_time_leaves_a_ledger_that_is_sound() {
    let world = World::new();
    world.run(["token", "create", "--name", "first"]).ok();
    let commands: [&[&str]; 4] = [
        &["job-token", "issue", "j1", "--rotate"],
        &["token", "create", "--owner", "ada", "--replace"],
        &["token", "wipe", "--yes"],
        &["maintain", "--history-days", "0"],
    ];
    for round in 0..40 {
        let mut child = world.start(commands[round % commands.len()]);
        // a command takes some milliseconds; each round kills it a little later
        let end = Instant::now() + Duration::from_micros(400 * round as u64);
        while Instant::now() < end && child.try_wait().unwrap().is_none() {
            std::hint::spin_loop();
        }
        drop(child.kill());
        child.wait().unwrap();
    }
    world.run(["audit"]).ok();
    world.run(["token", "create", "--name", "last"]).ok();
}
