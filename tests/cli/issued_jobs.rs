//! `job-token`: a token is worth something while its job runs, and for nothing else.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Stdio};

use rustix::process::Signal;

use crate::clock::run_at;
use crate::harness::{PATIENCE, Ran, World};
use crate::signals::{kill_front, send};

/// Begins a job and returns its token.
fn issue(world: &World, args: &[&str]) -> String {
    world.run([&["job-token", "issue"], args].concat()).ok().stdout.trim_end().to_owned()
}

/// Asks whether a token may report an event.
fn authorize(world: &World, job: &str, event: &str, token: &str) -> Ran {
    world.feed(["job-token", "authorize", job, event, "--stdin"], token)
}

/// The denials in the history of a job.
fn denials(world: &World, job: &str) -> Vec<String> {
    let records = world.run(["history", "--job", job, "--json"]).ok().json();
    let records = records.as_array().unwrap().iter().filter(|record| record["action"] == "deny");
    records.map(|record| record["reason"].as_str().unwrap().to_owned()).collect()
}

/// Starts a job whose command writes its token to a file and then waits.
fn running(world: &World, job: &str, more: &[&str]) -> (Child, String) {
    let script = "echo $TOKENKEEP_JOB_TOKEN > token.new && mv token.new token; exec sleep 1000";
    let args = [&["job-token", "run", job], more, &["--", "sh", "-c", script]].concat();
    let child = world.command(args).stdout(Stdio::null()).spawn().unwrap();
    let path = world.folder.path().join("token");
    let end = std::time::Instant::now() + PATIENCE;
    while !path.exists() {
        assert!(std::time::Instant::now() < end, "the job did not start");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let token = std::fs::read_to_string(&path).unwrap().trim_end().to_owned();
    std::fs::remove_file(path).unwrap();
    (child, token)
}

#[test]
fn the_same_job_has_the_same_token_until_it_ends() {
    let world = World::new();
    let token = issue(&world, &["j1", "--scope", "read"]);
    assert_eq!(issue(&world, &["j1"]), token);
    authorize(&world, "j1", "update", &token).ok();
    assert_ne!(issue(&world, &["j1", "--owner", "bob"]), token);
    world.run(["job-token", "issue", "j1", "--scope", "write"]).fails(2).says("the scopes `read`").says("--rotate");
    let rotated = issue(&world, &["j1", "--rotate"]);
    assert_ne!(rotated, token);
    authorize(&world, "j1", "update", &token).fails(3).says("revoked");
    world.run(["job-token", "end", "j1"]).ok();
    authorize(&world, "j1", "update", &rotated).fails(3).says("ended");
    assert_ne!(issue(&world, &["j1"]), rotated);
}

#[test]
fn a_token_that_must_be_renewed_says_until_when() {
    let world = World::new();
    world.run(["job-token", "issue", "j1", "--lease", "5m"]).ok().says("`tokenkeep job-token renew j1`");
    assert!(!world.run(["job-token", "issue", "j2"]).ok().stderr.contains("renew"));
}

#[test]
fn every_refusal_is_a_3_with_its_reason_and_stands_in_history() {
    let world = World::new();
    let token = issue(&world, &["j1"]);
    issue(&world, &["j2"]);
    authorize(&world, "j2", "update", &token).fails(3).says("another job");
    authorize(&world, "j1", "explode", &token).fails(3).says("no event `explode`").says("policy.job_events");
    authorize(&world, "j1", "updat", &token).fails(3).says("did you mean `update`?");
    world.run(["job-token", "issue", "j1", "--scope", "write"]).fails(2).says("with no scopes");
    authorize(&world, "j1", "reset", &token).fails(3).says("needs an admin token");
    authorize(&world, "unknown", "update", &token).fails(3);
    let denials = denials(&world, "j1");
    for reason in ["another job", "explode", "admin token"] {
        assert!(denials.iter().any(|denial| denial.contains(reason)), "{reason}: {denials:?}");
    }
    let listed = &world.run(["job-token", "list", "--job", "j1", "--json"]).ok().json()[0];
    assert!(listed["last_used_at"].is_null() && listed["last_denied_at"].is_string(), "{listed}");
    authorize(&world, "j1", "update", &token).ok();
    let listed = &world.run(["job-token", "list", "--job", "j1", "--json"]).ok().json()[0];
    assert!(listed["last_used_at"].is_string());
}

#[test]
fn a_mistyped_an_unknown_and_a_foreign_token_are_told_apart_without_a_record() {
    let world = World::new();
    let token = issue(&world, &["j1"]);
    let before = world.run(["audit", "--head"]).ok().stdout;
    let last = token.chars().last().unwrap();
    let mistyped = format!("{}{}", &token[..74], if last == 'a' { 'b' } else { 'a' });
    authorize(&world, "j1", "update", &mistyped).fails(3).says("mistyped");
    authorize(&world, "j1", "update", &token[..60]).fails(3).says("missing");
    authorize(&world, "j1", "update", "some-other-secret").fails(3).says("no token that tokenkeep issues");
    let other = World::new();
    let unknown = issue(&other, &["j1"]);
    authorize(&world, "j1", "update", &unknown).fails(3).says("does not know it");
    assert_eq!(world.run(["audit", "--head"]).ok().stdout, before);
    authorize(&world, "j1", "update", &format!("host.example.org:443:{token}")).ok();
}

#[test]
fn checking_needs_no_vault_and_no_right_to_write() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::new();
    let token = issue(&world, &["j1"]);
    std::fs::remove_file(world.identity_file()).unwrap();
    world.run(["job-token", "issue", "j1"]).fails(5);
    authorize(&world, "j1", "update", &token).ok();
    world.feed(["validate", "--stdin", "--job", "j1", "--event", "run"], &token).ok();
    let data = world.home().join("data");
    std::fs::remove_dir_all(data.join("vault")).unwrap();
    for file in ["ledger.db", "ledger.db-wal", "ledger.db-shm"] {
        std::fs::set_permissions(data.join(file), std::fs::Permissions::from_mode(0o444)).unwrap();
    }
    authorize(&world, "j1", "update", &token).ok();
}

#[test]
fn a_token_lives_as_long_as_its_lease_and_never_beyond_its_limit() {
    let world = World::new();
    let token = issue(&world, &["j1", "--ttl", "1h", "--lease", "5m"]);
    let at = |offset: &str, args: &[&str]| run_at(&world, offset, args);
    std::fs::write(world.folder.path().join("t"), &token).unwrap();
    let check = ["job-token", "authorize", "j1", "update", "--from-file", "t"];
    at("+290s", &check).ok();
    at("+310s", &check).fails(3).says("renewed its lease");
    at("+320s", &["job-token", "renew", "j1"]).ok();
    at("+600s", &check).ok();
    at("+3500s", &["job-token", "renew", "j1"]).ok();
    at("+3610s", &check).fails(3).says("expired");
    at("+3620s", &["job-token", "renew", "j1"]).fails(3);
    world.run(["job-token", "renew", "nobody"]).fails(8);
}

#[test]
fn run_gives_the_token_to_the_child_alone_and_ends_it_with_the_child() {
    let world = World::new();
    let script = "printf %s \"$JT\" > seen; env | grep -c ^JT=; exit 7";
    let ran = world.run(["job-token", "run", "j1", "--var", "JT", "--", "sh", "-c", script]);
    assert_eq!((ran.code, ran.stdout.as_str()), (7, "1\n"));
    let token = std::fs::read_to_string(world.folder.path().join("seen")).unwrap();
    assert!(token.starts_with("tkj_") && token.len() == 75);
    assert!(!ran.stderr.contains(&token));
    authorize(&world, "j1", "update", &token).fails(3).says("ended");
    world.run(["job-token", "run", "j1", "--", "no-such-command"]).fails(127);
    world.run(["job-token", "run", "j1", "--", "/etc/passwd"]).fails(126);
    world.run(["job-token", "run", "j1"]).fails(125);
    assert_eq!(world.run(["job-token", "list"]).ok().stdout, "");
}

#[test]
fn a_signal_reaches_the_child_and_ends_the_job() {
    let world = World::new();
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let (child, token) = running(&world, "j1", &[]);
        authorize(&world, "j1", "update", &token).ok();
        send(child.id(), signal);
        let status = child.wait_with_output().unwrap().status;
        assert_eq!((status.code(), status.signal()), (Some(128 + signal.as_raw()), None));
        authorize(&world, "j1", "update", &token).fails(3).says("ended");
    }
}

#[test]
fn the_token_of_a_killed_run_dies_with_its_lease() {
    let world = World::new();
    let (child, token) = running(&world, "j1", &[]);
    kill_front(child);
    std::fs::write(world.folder.path().join("t"), &token).unwrap();
    let check = ["job-token", "authorize", "j1", "update", "--from-file", "t"];
    run_at(&world, "+61s", &check).fails(3).says("lease");
    run_at(&world, "+2h", &["maintain"]).ok();
    run_at(&world, "+2h", &["audit"]).ok();
    let listed = &run_at(&world, "+2h", &["job-token", "list", "--all", "--json"]).ok().json()[0];
    assert_eq!(listed["state"], "expired");
}

#[test]
fn a_job_has_one_holder() {
    let world = World::new();
    let (child, token) = running(&world, "j1", &[]);
    world.run(["job-token", "issue", "j1"]).fails(6).says("held by `job-token run`");
    world.run(["job-token", "run", "j1", "--", "true"]).fails(125).says("held by");
    let taken = issue(&world, &["j1", "--rotate"]);
    authorize(&world, "j1", "update", &token).fails(3);
    send(child.id(), Signal::TERM);
    child.wait_with_output().unwrap();
    authorize(&world, "j1", "update", &taken).ok();
}

#[test]
fn a_grace_lets_a_clean_up_finish_within_its_scopes() {
    let world = World::new();
    let token = issue(&world, &["j1", "--scope", "read", "--scope", "clean"]);
    world.run(["job-token", "end", "j1", "--grace", "5m", "--grace-scope", "admin"]).fails(2);
    world.run(["job-token", "end", "j1", "--grace", "5m", "--scope", "clean"]).ok();
    let validate = |scope: &str| world.feed(["validate", "--stdin", "--scope", scope], &token);
    validate("clean").ok();
    validate("read").fails(3);
    authorize(&world, "j1", "update", &token).fails(3).says("for no event");
    let script = "printf %s \"$TOKENKEEP_JOB_TOKEN\" > seen";
    let run = ["job-token", "run", "j2", "--scope", "clean", "--grace", "5m", "--grace-scope", "clean", "--"];
    world.run([&run[..], &["sh", "-c", script]].concat()).ok();
    let token = std::fs::read_to_string(world.folder.path().join("seen")).unwrap();
    world.feed(["validate", "--stdin", "--scope", "clean"], &token).ok();
    world.run(["job-token", "revoke", "j2"]).ok();
    world.feed(["validate", "--stdin", "--scope", "clean"], &token).fails(3);
}

#[test]
fn a_grace_of_0s_is_none_and_one_without_scopes_is_of_all_that_the_token_may_do() {
    let world = World::new();
    let token = issue(&world, &["j1", "--scope", "a", "--grace", "0s"]);
    assert_eq!(issue(&world, &["j1", "--grace", "0s"]), token);
    world.run(["job-token", "end", "j1", "--grace", "0s"]).ok();
    world.feed(["validate", "--stdin"], &token).fails(3).says("ended");
    world.run(["job-token", "run", "j1", "--grace", "0s", "--", "true"]).ok();
    let token = issue(&world, &["j1", "--scope", "a", "--scope", "b", "--grace", "5m"]);
    world.run(["job-token", "end", "j1"]).ok();
    world.feed(["validate", "--stdin", "--scope", "a", "--scope", "b"], &token).ok();
    // what was named when it began is what stays
    let token = issue(&world, &["j2", "--scope", "a", "--scope", "b", "--grace", "1m", "--grace-scope", "a"]);
    world.run(["job-token", "end", "j2", "--grace", "5m"]).ok();
    world.feed(["validate", "--stdin", "--scope", "a"], &token).ok();
    world.feed(["validate", "--stdin", "--scope", "b"], &token).fails(3);
}

#[test]
fn a_run_holds_the_lease_that_was_asked_for() {
    let world = World::new();
    let (child, token) = running(&world, "j1", &["--lease", "5m"]);
    kill_front(child);
    std::fs::write(world.folder.path().join("t"), &token).unwrap();
    let check = ["job-token", "authorize", "j1", "update", "--from-file", "t"];
    run_at(&world, "+240s", &check).ok();
    run_at(&world, "+301s", &check).fails(3).says("lease");
    world.run(["job-token", "run", "j2", "--lease", "2s", "--", "true"]).fails(125).says("before it can be renewed");
}

#[test]
fn an_audience_is_none_of_a_job() {
    let world = World::new();
    let token = issue(&world, &["j1"]);
    let authorize = ["job-token", "authorize", "j1", "update", "--stdin", "--audience", "nobody"];
    world.feed(authorize, &token).fails(3).says("no audience").says("only an admin token has an audience");
    assert!(denials(&world, "j1").iter().any(|denial| denial.contains("`nobody`")));
}

#[test]
fn a_token_does_not_go_where_commands_are_looked_for() {
    let world = World::new();
    world.run(["job-token", "run", "j1", "--var", "PATH", "--", "true"]).fails(125).says("says where commands are");
    world.run(["history", "--job", "j1"]).ok().says("nothing happened");
}

#[test]
fn a_token_in_the_place_of_a_name_is_not_repeated() {
    let world = World::new();
    let token = issue(&world, &["j1"]);
    for args in [["job-token", "end", &token], ["token", "show", &token], ["job-token", "issue", &token]] {
        world.run(args).fails(2).hides(&token);
    }
}

/// Runs a command with the rights of a token.
fn run_as(world: &World, token: &str, args: &[&str]) -> Ran {
    let mut command = world.command(args);
    command.env("ACTOR", token).output().unwrap().into()
}

#[test]
fn whose_token_is_meant_is_what_issue_would_issue() {
    let world = World::new();
    let (own, bobs) = (issue(&world, &["j1"]), issue(&world, &["j1", "--owner", "bob"]));
    world.run(["job-token", "end", "j1"]).ok();
    authorize(&world, "j1", "update", &own).fails(3);
    // twice is once: another's job runs on
    world.run(["job-token", "end", "j1"]).ok().says("had ended before");
    authorize(&world, "j1", "update", &bobs).ok();
    world.run(["job-token", "revoke", "j1", "--owner", "eve"]).fails(8);
    world.run(["job-token", "end", "j1", "--owner", "bob"]).ok();
    // the only one there is needs no name
    issue(&world, &["j2", "--owner", "bob"]);
    let ended = world.run(["job-token", "end", "j2", "--json"]).ok().says("of bob").json();
    assert_eq!(ended["owner"], "bob");
    for owner in ["bob", "eve"] {
        issue(&world, &["j3", "--owner", owner, "--lease", "5m"]);
    }
    for command in ["renew", "end", "revoke"] {
        world.run(["job-token", command, "j3"]).fails(2).says("bob, eve").says("--all-owners");
    }
    let renewed = world.run(["job-token", "renew", "j3", "--all-owners", "--json"]).ok().json();
    assert_eq!(renewed["renewed"].as_array().unwrap().len(), 2);
    world.run(["job-token", "end", "j3", "--all-owners"]).ok().says("2 tokens");
}

#[test]
fn an_actor_may_do_to_jobs_what_its_token_says() {
    let world = World::new();
    let create = |owner: &str, scopes: &[&str]| {
        let scopes = scopes.iter().flat_map(|scope| ["--scope", scope]);
        let args = ["token", "create", "--name", "a", "--owner", owner].into_iter().chain(scopes);
        world.run(args).ok().stdout.trim().to_owned()
    };
    let (admin, ada) = (create("boss", &["admin:token"]), create("ada", &["user:token", "read"]));
    let bobs = issue(&world, &["j1", "--owner", "bob"]);
    let by_ada = |args: &[&str]| run_as(&world, &ada, &[&["job-token"], args, &["--as-from-env", "ACTOR"]].concat());
    let own = by_ada(&["issue", "j1", "--scope", "read"]).ok().stdout;
    assert_ne!(own.trim(), bobs);
    for args in
        [&["issue", "j2", "--scope", "write"][..], &["issue", "j2", "--owner", "bob"], &["list", "--owner", "bob"]]
    {
        by_ada(args).fails(7);
    }
    by_ada(&["end", "j1", "--owner", "bob"]).fails(8);
    by_ada(&["end", "j1", "--all-owners"]).fails(7);
    let jobs = by_ada(&["list", "--json"]).ok().json();
    assert!(jobs.as_array().unwrap().iter().all(|job| job["owner"] == "ada") && jobs[0].is_object());
    by_ada(&["revoke", "j1"]).ok();
    authorize(&world, "j1", "update", &bobs).ok();
    authorize(&world, "j1", "update", own.trim()).fails(3).says("revoked");
    run_as(&world, &admin, &["job-token", "end", "j1", "--owner", "bob", "--as-from-env", "ACTOR"]).ok();
    authorize(&world, "j1", "update", &bobs).fails(3).says("ended");
    let end = &world.run(["history", "--job", "j1", "--actor", "boss", "--json"]).ok().json()[0];
    assert_eq!((&end["action"], &end["owner"]), (&"end".into(), &"bob".into()));
}

#[test]
fn the_command_of_a_job_does_not_get_the_token_that_acts() {
    let world = World::new();
    let token = world.run(["token", "create", "--name", "a", "--owner", "ada", "--scope", "user:token"]).ok().stdout;
    let run = ["job-token", "run", "j1", "--as-from-env", "ACTOR", "--", "sh", "-c", "env"];
    let ran = run_as(&world, token.trim(), &run).ok();
    assert!(ran.stdout.contains("TOKENKEEP_JOB_TOKEN=") && !ran.stdout.contains("ACTOR"), "{}", ran.stdout);
    assert_eq!(world.run(["job-token", "list", "--all", "--json"]).ok().json()[0]["owner"], "ada");
}
