//! `history`, `audit`, `maintain`, `stats`: what happened, whether it still adds up, and what is forgotten.

use std::path::PathBuf;

use crate::clock::run_at;
use crate::harness::{Ran, World};

/// A world in which some things happened.
fn eventful() -> World {
    let world = World::new();
    for (owner, name) in [("ada", "a"), ("ada", "b"), ("bob", "a")] {
        world.run(["token", "create", "--owner", owner, "--name", name, "--scope", "read"]).ok();
    }
    world.run(["job-token", "issue", "j1", "--owner", "ada"]).ok();
    world.run(["job-token", "end", "j1"]).ok();
    world
}

/// The records that fit.
fn history(world: &World, args: &[&str]) -> Vec<serde_json::Value> {
    let ran = world.run([&["history", "--json"], args].concat()).ok();
    ran.json().as_array().unwrap().clone()
}

/// Changes the ledger behind the program's back.
fn tamper(world: &World, sql: &str) {
    rusqlite::Connection::open(ledger(world)).unwrap().execute_batch(sql).unwrap();
}

fn ledger(world: &World) -> PathBuf {
    world.home().join("data/ledger.db")
}

#[test]
fn every_filter_selects() {
    let world = eventful();
    assert_eq!(history(&world, &[]).len(), 5);
    assert_eq!(history(&world, &["--owner", "ada"]).len(), 4);
    assert_eq!(history(&world, &["--kind", "job"]).len(), 2);
    assert_eq!(history(&world, &["--job", "j1"]).len(), 2);
    assert_eq!(history(&world, &["--since", "1h"]).len(), 5);
    assert_eq!(history(&world, &["--until", "1h"]).len(), 0);
    let newest = &history(&world, &["--limit", "1"])[0];
    let (actor, host) = (newest["actor"].as_str().unwrap(), newest["host"].as_str().unwrap());
    assert!(actor.starts_with("os:"));
    assert_eq!(history(&world, &["--actor", actor, "--host", host]).len(), 5);
    assert_eq!(history(&world, &["--actor", "nobody"]).len(), 0);
    world.run(["history", "--address", "300.1.1.1"]).fails(2);
    world.run(["history", "--cursor", "x"]).fails(2);
    world.run(["history", "--kind", "jobb"]).fails(2).says("admin-key");
    assert_eq!(history(&world, &["--kind", "admin-key"]).len(), 0);
}

#[test]
fn addresses_and_networks_are_found() {
    let world = World::new();
    let mut command = world.command(["token", "create", "--name", "a"]);
    assert!(command.env("SSH_CONNECTION", "192.0.2.7 50122 10.0.0.1 22").output().unwrap().status.success());
    world.run(["token", "create", "--name", "b"]).ok();
    assert_eq!(history(&world, &["--address", "192.0.2.7"]).len(), 1);
    assert_eq!(history(&world, &["--address", "192.0.2.0/24"]).len(), 1);
    assert_eq!(history(&world, &["--address", "192.0.3.0/24"]).len(), 0);
}

#[test]
fn pages_lead_through_all_of_history_and_back() {
    let world = eventful();
    let page = |cursor: Option<&str>| {
        let mut args = vec!["history", "--json", "--limit", "2"];
        args.extend(cursor.into_iter().flat_map(|cursor| ["--cursor", cursor]));
        let ran = world.run(args).ok();
        let cursor = |name: &str| {
            let line = ran.stderr.lines().find_map(|line| line.strip_prefix(&format!("{name}: --cursor ")));
            line.map(str::to_owned)
        };
        let numbers: Vec<i64> = ran.json().as_array().unwrap().iter().map(|r| r["number"].as_i64().unwrap()).collect();
        (numbers, cursor("next"), cursor("previous"))
    };
    let (one, next, none) = page(None);
    assert_eq!((one.as_slice(), none), (&[5, 4][..], None));
    let (two, next, _) = page(next.as_deref());
    let (three, none, previous) = page(next.as_deref());
    assert_eq!((two, three.as_slice(), none), (vec![3, 2], &[1][..], None));
    assert_eq!(page(previous.as_deref()).0, [3, 2]);
    // the cursor of a record leads behind it
    let behind = history(&world, &["--limit", "2"])[1]["cursor"].as_str().unwrap().to_owned();
    assert_eq!(page(Some(&behind)).0, [3, 2]);
}

#[test]
fn a_changed_or_missing_record_breaks_the_chain() {
    for sql in [
        "UPDATE history SET owner = 'eve' WHERE number = 2",
        "DELETE FROM history WHERE number = 3",
        "UPDATE history SET time = time - 1 WHERE number = 5",
        "DELETE FROM history WHERE number <= 2",
    ] {
        let world = eventful();
        world.run(["audit"]).ok();
        tamper(&world, sql);
        let ran = world.run(["audit"]);
        assert_eq!(ran.code, 1, "{sql}");
        assert!(ran.stdout.starts_with("chain"), "{}", ran.stdout);
        assert!(ran.stderr.contains("backup") && !ran.stderr.contains("--fix"), "{}", ran.stderr);
        let one = ran.stdout.lines().count() == 1;
        assert_eq!(ran.stderr.contains("1 thing is wrong"), one, "{}", ran.stderr);
        assert_eq!(world.run(["audit", "--fix"]).code, 1);
    }
}

#[test]
fn the_hint_of_a_damaged_ledger_leads_out_of_the_damage() {
    let world = eventful();
    tamper(&world, "PRAGMA wal_checkpoint(TRUNCATE)");
    let mut bytes = std::fs::read(ledger(&world)).unwrap();
    let pages = bytes.get_mut(4096..).unwrap();
    pages.fill(0xff);
    std::fs::write(ledger(&world), bytes).unwrap();
    world.run(["audit"]).fails(1).says("restore the ledger from a backup");
}

#[test]
fn a_head_that_was_kept_elsewhere_shows_what_the_chain_cannot() {
    let world = eventful();
    let head = world.run(["audit", "--head"]).ok().stdout.trim_end().to_owned();
    world.run(["audit", "--since", &head]).ok();
    tamper(&world, "DELETE FROM history WHERE number = 5; UPDATE token SET state = 'ended' WHERE kind = 'job'");
    world.run(["audit", "--since", &head]).fails(1).says("removed from its end");
    world.run(["job-token", "issue", "j2"]).ok();
    world.run(["audit"]).ok();
    world.run(["audit", "--since", &head]).fails(1).says("rewritten");
    world.run(["audit", "--since", "5:abc"]).fails(2);
}

#[test]
fn a_record_that_is_missing_in_the_middle_was_not_cut() {
    let world = eventful();
    let head = world.run(["audit", "--head"]).ok().stdout.trim_end().to_owned();
    world.run(["job-token", "issue", "j2"]).ok();
    tamper(&world, "DELETE FROM history WHERE number = 5");
    world.run(["audit", "--since", &head]).fails(1).says("removed from the middle").says("restore");
    world.run(["maintain", "--history-days", "0"]).ok();
    world.run(["audit", "--since", &head]).fails(1);
}

#[test]
fn children_of_nobody_are_not_asked_for() {
    eventful().run(["history", "--recursive"]).fails(2);
}

#[test]
fn a_copy_of_the_ledger_is_whole_and_can_be_put_back() {
    let world = eventful();
    let copy = world.folder.path().join("copy.db");
    let back_up = ["maintain", "--backup", copy.to_str().unwrap()];
    World::new().run(["maintain", "--backup", "copy.db"]).fails(8).says("there is no ledger");
    let token = world.run(["token", "create", "--name", "kept"]).ok().stdout;
    world.run(["maintain", "--backup", ""]).fails(2).says("a value is required for '--backup <FILE>'");
    assert!(world.run(back_up).ok().stderr.starts_with(&format!("the ledger is copied to {}\n", copy.display())));
    world.run(back_up).fails(2).says("is there already");
    let head = world.run(["audit", "--head"]).ok().stdout;
    world.run(["token", "revoke", &token[4..26]]).ok();
    for beside in ["ledger.db-wal", "ledger.db-shm"] {
        std::fs::remove_file(world.home().join("data").join(beside)).unwrap();
    }
    std::fs::rename(&copy, ledger(&world)).unwrap();
    world.run(["audit", "--since", head.trim_end()]).ok();
    world.feed(["validate", "--stdin"], &token).ok();
    world.run(["token", "create", "--name", "new"]).ok();
    world.run(["audit"]).ok();
}

#[test]
fn an_audit_finds_what_is_wrong_and_mends_what_it_may() {
    let world = World::new();
    let parent = world.run(["token", "create", "--name", "a", "--scope", "read", "--expires", "1h"]).ok().stdout;
    for _ in 0..2 {
        world.feed(["token", "delegate", "--kind", "oidc", "--parent-stdin"], &parent).ok();
    }
    world.run(["job-token", "issue", "j1", "--lease", "5m"]).ok();
    tamper(
        &world,
        "UPDATE token SET expires = expires + 9999 WHERE serial = 2;
         UPDATE token SET parent = NULL WHERE serial = 3;
         UPDATE lease SET until = until - 9999;",
    );
    world.edit_config(|text| text + "\n[issued]\nknown_scopes = [\"write\"]\n");
    let ran = world.run(["audit", "--json"]);
    assert_eq!(ran.code, 1);
    let found: Vec<_> = ran.json().as_array().unwrap().iter().map(|alert| alert["check"].to_string()).collect();
    for check in ["outlives-parent", "orphan", "not-running", "unknown-scope", "differs-from-history"] {
        assert!(found.iter().any(|found| found.contains(check)), "{check}: {found:?}");
    }
    let fixed = world.run(["audit", "--fix", "--json"]);
    let mended = fixed.json().as_array().unwrap().iter().filter(|alert| alert["mended"] == true).count();
    assert_eq!(mended, 3, "{}", fixed.stdout);
    world.edit_config(|text| text.replace("\"write\"", "\"read\""));
    world.run(["audit"]).ok();
    assert_eq!(history(&world, &["--limit", "1"])[0]["action"], "fix");
}

#[test]
fn maintenance_expires_parents_with_their_children_and_cuts_history() {
    let world = World::new();
    let parent = world.run(["token", "create", "--name", "a", "--expires", "10m"]).ok().stdout;
    world.feed(["token", "delegate", "--kind", "oidc", "--parent-stdin"], &parent).ok();
    world.run(["maintain"]).ok().says("0 tokens expired");
    run_at(&world, "+11m", &["maintain"]).ok().says("2 tokens expired");
    let before = history(&world, &[]).len();
    let head = format!("1:{}", "0".repeat(64));
    world.run(["audit", "--since", &head]).fails(1).says("is not what it was");
    run_at(&world, "+2d", &["token", "create", "--name", "b"]).ok();
    let done = run_at(&world, "+3d", &["maintain", "--history-days", "2", "--json"]).ok().json();
    assert_eq!((done["forgotten"].as_u64(), done["cut"].as_u64()), (Some(2), Some(before as u64 - 1)));
    let left = history(&world, &[]);
    assert_eq!(left.len(), 3);
    assert_eq!(left.last().unwrap()["action"], "cut");
    run_at(&world, "+3d", &["audit"]).ok();
    world.run(["audit", "--since", &head]).fails(1).says("cannot be compared at number 1");
    run_at(&world, "+3d", &["maintain", "--history-days", "2"]).ok().says("0 records cut");
    tamper(&world, "DELETE FROM history WHERE number = (SELECT min(number) FROM history)");
    assert_eq!(run_at(&world, "+3d", &["audit"]).code, 1);
}

#[test]
fn figures_count_what_lives() {
    let world = eventful();
    let stats = world.run(["stats", "--json"]).ok().json();
    assert_eq!((&stats["live"]["user"], &stats["live"]["job"]), (&3.into(), &0.into()));
    let text = world.run(["stats", "--prometheus"]).ok().stdout;
    assert!(text.contains("\ntokenkeep_live_tokens{kind=\"user\"} 3\n"), "{text}");
    assert!(text.lines().all(|line| line.starts_with('#') || line.split(' ').count() == 2));
}

#[test]
fn without_a_ledger_nothing_is_made_by_looking() {
    let world = World::new();
    world.run(["history"]).ok();
    world.run(["token", "list"]).ok();
    world.run(["maintain"]).ok();
    world.run(["audit"]).ok();
    world.run(["audit", "--fix"]).ok();
    world.run(["stats"]).ok();
    assert!(!ledger(&world).exists());
}

#[test]
fn a_ledger_that_is_open_to_all_or_of_something_else_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = eventful();
    std::fs::set_permissions(ledger(&world), std::fs::Permissions::from_mode(0o666)).unwrap();
    world.run(["token", "list"]).fails(9).says("chmod o-w");
    std::fs::set_permissions(ledger(&world), std::fs::Permissions::from_mode(0o600)).unwrap();
    tamper(&world, "PRAGMA user_version = 99");
    world.run(["token", "list"]).fails(9).says("schema 99");
    let other = world.folder.path().join("other.db");
    std::fs::write(&other, "no database at all, but some text that is long enough").unwrap();
    let ran = world.command(["token", "list"]).env("TOKENKEEP_LEDGER", &other).output().unwrap();
    assert_eq!(ran.status.code(), Some(9), "{}", String::from_utf8_lossy(&ran.stderr));
}

#[test]
fn a_denial_is_one_also_where_it_cannot_be_written_down() {
    let world = World::new();
    let token = world.run(["token", "create", "--name", "a", "--scope", "user:token"]).ok().stdout;
    tamper(
        &world,
        "CREATE TRIGGER full BEFORE INSERT ON history WHEN new.action = 'deny' BEGIN SELECT RAISE(FAIL, 'full'); END;",
    );
    let mut command = world.command(["token", "wipe", "--yes", "--as-from-env", "ACTOR"]);
    Ran::from(command.env("ACTOR", token.trim()).output().unwrap()).fails(7);
}

#[test]
fn a_row_that_cannot_be_read_is_in_nobodys_way() {
    let world = World::new();
    let parent = world.run(["token", "create", "--name", "a", "--scope", "read"]).ok().stdout;
    for kind in ["oidc", "notebook", "oidc"] {
        world.feed(["token", "delegate", "--kind", kind, "--parent-stdin"], &parent).ok();
    }
    world.run(["job-token", "issue", "j1"]).ok();
    world.run(["job-token", "issue", "j2"]).ok();
    let listed = |args: &[&str]| world.run(args).ok().json().as_array().unwrap().clone();
    let child = listed(&["token", "list", "--kind", "notebook", "--json"])[0]["id"].as_str().unwrap().to_owned();
    tamper(
        &world,
        "UPDATE token SET scopes = 'a\"b' WHERE kind = 'notebook';
         UPDATE token SET owner = CAST(x'ff' AS TEXT) WHERE job = 'j1';
         UPDATE lease SET host = CAST(x'ff' AS TEXT) WHERE token = (SELECT serial FROM token WHERE job = 'j2');",
    );
    let ran = world.run(["token", "list", "--quiet", "--json"]).ok().says("3 rows cannot be read").says("audit");
    assert_eq!(ran.json().as_array().unwrap().len(), 3);
    world.run(["job-token", "list"]).ok().says("2 rows");
    world.run(["token", "show", &parent[4..26]]).ok().says("1 row cannot be read");
    world.feed(["token", "delegate", "--kind", "notebook", "--parent-stdin"], &parent).ok();
    let ran = world.run(["audit"]);
    assert!(ran.code == 1 && ran.stdout.contains(&format!("unreadable {child}: the scopes of token")), "{ran:?}");
    world.run(["token", "modify", &parent[4..26], "--expires", "1h"]).ok();
    world.run(["token", "revoke", &parent[4..26]]).ok().says("4 below it");
    world.run(["job-token", "end", "j2"]).ok().says("its token with it");
    world.run(["job-token", "revoke", "j1", "--all-owners"]).ok().says("is revoked");
    let live = "SELECT count(*) FROM token WHERE state = 'live'";
    let count: i64 = rusqlite::Connection::open(ledger(&world)).unwrap().query_row(live, [], |row| row.get(0)).unwrap();
    assert_eq!(count, 0);
    let said = history(&world, &["--id", &child]);
    assert_eq!((&said[0]["action"], &said[0]["token"]), (&"revoke".into(), &child.as_str().into()));
}

#[test]
fn what_cannot_be_read_can_be_revoked_by_its_id() {
    let world = eventful();
    let token = world.run(["token", "create", "--name", "x"]).ok().stdout;
    let weak = world.run(["token", "create", "--name", "w", "--scope", "user:token"]).ok().stdout;
    tamper(&world, "UPDATE token SET scopes = 'a\"b' WHERE name = 'x';");
    let id = &token[4..26];
    let mut command = world.command(["token", "revoke", id, "--as-from-env", "ACTOR"]);
    Ran::from(command.env("ACTOR", weak.trim()).output().unwrap()).fails(8);
    world.run(["token", "show", id]).fails(1).says("cannot be read");
    world.run(["token", "revoke", id]).ok().says("revoked token");
    world.run(["token", "revoke", id]).ok().says("already");
}

#[test]
fn a_record_that_cannot_be_read_is_left_out_and_named_by_an_audit() {
    let world = eventful();
    tamper(&world, "UPDATE history SET host = CAST(x'ff' AS TEXT) WHERE number = 4");
    let ran = world.run(["history", "--json", "--limit", "3"]).ok().says("1 row cannot be read").says("next: ");
    assert_eq!(ran.json().as_array().unwrap().len(), 2);
    let ran = world.run(["audit"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (1, "chain: record 4 cannot be read\n"));
}

#[test]
fn without_a_ledger_it_is_said_where_one_was_looked_for_and_why() {
    let world = World::new();
    for command in ["audit", "stats"] {
        let ran = world.run([command]).ok().says("there is no ledger yet at").says("data/ledger.db");
        ran.says("neither TOKENKEEP_LEDGER nor `ledger`");
        let ran = world.command([command]).env("TOKENKEEP_LEDGER", "/nowhere/l.db").output().unwrap();
        Ran::from(ran).ok().says("/nowhere/l.db").says("TOKENKEEP_LEDGER says so");
    }
    world.edit_config(|text| text + "\n[issued]\nledger = \"l.db\"\n");
    world.run(["stats"]).ok().says("config/l.db").says("config.toml says so");
}

#[test]
fn without_a_ledger_there_are_zeros_and_an_empty_chain() {
    let world = World::new();
    let beginning = format!("0:{}", "0".repeat(64));
    assert_eq!(world.run(["audit", "--head"]).ok().stdout, format!("{beginning}\n"));
    assert_eq!(world.run(["audit", "--json"]).ok().stdout, "[]\n");
    world.run(["audit", "--fix"]).ok();
    world.run(["audit", "--since", &beginning]).ok();
    let stats = world.run(["stats", "--json"]).ok().json();
    assert_eq!((&stats["live"]["job"], &stats["history_records"]), (&0.into(), &0.into()));
    let text = world.run(["stats", "--prometheus"]).ok().stdout;
    assert!(text.contains("\ntokenkeep_history_records 0\n"), "{text}");
    // a ledger that was there is gone
    world.run(["job-token", "issue", "j1"]).ok();
    let head = world.run(["audit", "--head"]).ok().stdout;
    std::fs::remove_file(ledger(&world)).unwrap();
    world.run(["audit", "--since", head.trim()]).fails(1).says("there is no ledger yet at");
    assert!(!ledger(&world).exists());
}

#[test]
fn an_id_that_nobody_knows_is_told_from_one_that_is_none() {
    let world = eventful();
    let unknown = "0000000000000000000000";
    for args in [["token", "show"], ["history", "--id"], ["history", "--parent-of"]] {
        world.run([args[0], args[1], "nope"]).fails(2).says("22 letters and digits");
        world.run([args[0], args[1], unknown]).fails(8);
    }
    let bare = World::bare(provider::Settings::default());
    bare.run(["history", "--id", unknown]).fails(8);
    // what is known has a history, also where nothing in it fits
    let known = history(&world, &["--kind", "user"])[0]["token"].as_str().unwrap().to_owned();
    assert_eq!(history(&world, &["--id", &known, "--until", "2020-01-01"]).len(), 0);
    assert_eq!(history(&world, &["--parent-of", &known]).len(), 0);
}

#[test]
fn a_job_whose_lease_is_missing_does_not_run() {
    let world = World::new();
    let token = world.run(["job-token", "issue", "j1"]).ok().stdout;
    tamper(&world, "DELETE FROM lease");
    world.feed(["validate", "--stdin", "--job", "j1"], &token).fails(3).says("its job does not run");
    world.feed(["job-token", "authorize", "j1", "update", "--stdin"], &token).fails(3).says("its job does not run");
    let found = world.run(["audit", "--json"]);
    assert_eq!((found.code, &found.json()[0]["check"]), (1, &"not-running".into()), "{}", found.stdout);
    world.run(["audit", "--fix"]).ok();
    assert_eq!(world.run(["job-token", "list", "--all", "--json"]).ok().json()[0]["state"], "expired");
    assert_ne!(world.run(["job-token", "issue", "j1"]).ok().stdout, token);
}

#[test]
fn only_administrators_look_after_the_ledger() {
    let world = eventful();
    let create = |name: &str, scope: &str| {
        let args = ["token", "create", "--name", name, "--owner", name, "--scope", scope];
        world.run(args).ok().stdout.trim().to_owned()
    };
    let (admin, weak) = (create("boss", "admin:token"), create("eve", "user:token"));
    let run_as = |token: &str, args: &[&str]| -> Ran {
        let mut command = world.command([args, &["--as-from-env", "ACTOR"]].concat());
        command.env("ACTOR", token).output().unwrap().into()
    };
    let jti = "0123456789abcdef0123456789abcdef";
    for args in [&["audit"][..], &["audit", "--fix"], &["maintain"], &["admin-token", "revoke", jti]] {
        run_as(&weak, args).fails(7).says("admin:token");
        run_as(&admin, args).ok();
    }
    assert_eq!(history(&world, &["--actor", "eve"])[0]["action"], "deny");
    assert_eq!(history(&world, &["--id", jti])[0]["actor"], "boss");
}

#[test]
fn a_day_is_a_time_wherever_one_is_asked() {
    let world = World::new();
    let token = world.run(["token", "create", "--name", "a", "--expires", "2099-05-01", "--json"]).ok().json();
    assert_eq!(token["expires_at"], "2099-05-01T00:00:00Z");
    let id = token["id"].as_str().unwrap();
    world.run(["token", "modify", id, "--expires", "2098-12-24"]).ok();
    world.run(["token", "modify", id, "--expires", "2001-01-01"]).fails(2).says("at least");
    let told = world.run(["history", "--id", id]).ok().stdout;
    assert!(told.contains("before: expires 2099-05-01T00:00:00Z"), "{told}");
    world.run(["token", "create", "--name", "b", "--expires", "2099-13-01"]).fails(2).says("00:00 UTC");
    assert_eq!(history(&world, &["--since", "2001-01-01"]).len(), 2);
    assert_eq!(history(&world, &["--since", "2098-01-01"]).len(), 0);
    assert_eq!(history(&world, &["--until", "2001-01-01"]).len(), 0);
}

#[test]
fn a_text_that_was_exchanged_is_found() {
    let world = eventful();
    let owned = |name: &str| format!("(SELECT digest FROM token WHERE owner = 'ada' AND name = '{name}')");
    tamper(&world, &format!("UPDATE token SET digest = {} WHERE owner = 'bob'", owned("a")));
    let ran = world.run(["audit"]);
    assert!(ran.code == 1 && ran.stdout.starts_with("exchanged "), "{ran:?}");
    assert!(ran.stderr.contains("audit --fix"), "{}", ran.stderr);
    assert_eq!(world.run(["audit", "--fix"]).code, 0);
}

#[test]
fn a_fault_of_the_database_is_told_once() {
    let world = eventful();
    tamper(
        &world,
        "CREATE TRIGGER full BEFORE INSERT ON history WHEN new.action = 'issue' BEGIN SELECT RAISE(FAIL, 'it is full'); END;",
    );
    let ran = world.run(["token", "create", "--name", "x"]).fails(1).says("cause: it is full");
    assert_eq!(ran.stderr.matches("cause:").count(), 1, "{}", ran.stderr);
}

#[test]
fn whoami_and_history_call_the_user_of_the_system_the_same() {
    let world = eventful();
    let mut whoami = world.command(["whoami", "--json"]);
    let who = Ran::from(whoami.env("USER", "somebody-else").output().unwrap()).ok().json();
    let name = who["os_user"].as_str().unwrap();
    assert_eq!(history(&world, &["--limit", "1"])[0]["actor"], format!("os:{name}"));
}
