//! `token`, and `validate` of what it issues: names, rights, children, changes.

use crate::clock::run_at;
use crate::harness::{Ran, World};

/// Creates a token and returns it.
fn create(world: &World, args: &[&str]) -> String {
    world.run([&["token", "create"], args].concat()).ok().stdout.trim_end().to_owned()
}

/// Its public id.
fn id(token: &str) -> &str {
    &token[4..26]
}

/// Runs a command with the rights of a token.
fn run_as(world: &World, token: &str, args: &[&str]) -> Ran {
    let mut command = world.command([args, &["--as-from-env", "ACTOR"]].concat());
    command.env("ACTOR", token).output().unwrap().into()
}

/// Validates a token.
fn validate(world: &World, token: &str, more: &[&str]) -> Ran {
    world.feed([&["validate", "--stdin"], more].concat(), token)
}

/// A child of a token.
fn delegate(world: &World, parent: &str, args: &[&str]) -> Ran {
    world.feed([&["token", "delegate", "--parent-stdin"], args].concat(), parent)
}

#[test]
fn a_secret_is_shown_once_and_never_again() {
    let world = World::new();
    let token = create(&world, &["--name", "laptop", "--scope", "read", "--owner", "ada"]);
    assert!(token.starts_with("tku_") && token.len() == 75);
    for args in [&["token", "list", "--json"][..], &["token", "show", id(&token)], &["history", "--json"], &["audit"]] {
        world.run(args).ok().hides(&token[26..69]);
    }
    let ledger = std::fs::read(world.home().join("data/ledger.db-wal")).unwrap();
    assert!(!String::from_utf8_lossy(&ledger).contains(&token[26..69]));
}

#[test]
fn validate_answers_in_the_terms_of_introspection() {
    let world = World::new();
    let token = create(&world, &["--name", "laptop", "--scope", "read", "--scope", "write", "--owner", "ada"]);
    let answer = validate(&world, &token, &["--scope", "read", "--owner", "ada", "--json"]).ok().json();
    let expected = [("active", "true"), ("valid", "true"), ("sub", "\"ada\""), ("scope", "\"read write\"")];
    for (name, value) in expected {
        assert_eq!(answer[name].to_string(), value, "{answer}");
    }
    assert_eq!((answer["kind"].as_str(), answer["jti"].as_str()), (Some("user"), Some(id(&token))));
    assert!(answer["exp"].is_i64() && answer["iss"].as_str().unwrap().starts_with("urn:uuid:"));
    for (flag, value, reason) in [
        ("--scope", "admin", "scope"),
        ("--any-scope", "x", "scope"),
        ("--owner", "bob", "owner"),
        ("--service", "tap", "service"),
        ("--audience", "nobody", "audience"),
        ("--job", "j1", "job"),
        ("--event", "run", "job"),
        ("--min-ttl", "100d", "min_ttl"),
    ] {
        let no = validate(&world, &token, &[flag, value, "--json"]);
        assert_eq!((no.code, no.json()["reason"].as_str()), (3, Some(reason)), "{flag}");
        assert_eq!(no.json()["active"], false);
    }
    let history = world.run(["history", "--id", id(&token), "--json"]).ok().stdout;
    assert!(history.contains("it has no audience, so it is not meant for `nobody`"), "{history}");
}

#[test]
fn another_kind_letter_is_not_another_kind() {
    let world = World::new();
    let token = create(&world, &["--name", "laptop"]);
    let forged = token.replacen("tku_", "tks_", 1);
    validate(&world, &forged, &[]).fails(3).says("mistyped");
}

#[test]
fn names_are_unique_per_owner_and_free_again_after_the_end() {
    let world = World::new();
    let token = create(&world, &["--name", "laptop", "--owner", "ada", "--expires", "10m"]);
    world.run(["token", "create", "--name", "laptop", "--owner", "ada"]).fails(2).says("already");
    create(&world, &["--name", "laptop", "--owner", "bob"]);
    world.run(["token", "revoke", id(&token)]).ok();
    create(&world, &["--name", "laptop", "--owner", "ada", "--expires", "10m"]);
    run_at(&world, "+11m", &["token", "create", "--name", "laptop", "--owner", "ada"]).ok();
}

#[test]
fn one_key_a_person_replaces_the_others() {
    let world = World::new();
    let first = create(&world, &["--owner", "ada", "--replace"]);
    let second = create(&world, &["--owner", "ada", "--replace"]);
    validate(&world, &first, &[]).fails(3).says("revoked");
    validate(&world, &second, &[]).ok();
}

#[test]
fn what_does_not_go_with_a_kind_is_refused() {
    let world = World::new();
    for args in [
        &["--kind", "user"][..],
        &["--kind", "service", "--owner", "ci"],
        &["--kind", "service", "--owner", "bot-ci", "--name", "x"],
        &["--kind", "session", "--name", "x"],
        &["--kind", "notebook"],
        &["--kind", "job"],
        &["--name", "x", "--expires", "4m"],
        &["--name", "x", "--expires", "1h", "--no-expire"],
        &["--kind", "king", "--name", "x"],
    ] {
        world.run([&["token", "create"], args].concat()).fails(2);
    }
    create(&world, &["--kind", "service", "--owner", "bot-ci", "--no-expire"]);
    create(&world, &["--kind", "session", "--owner", "ada"]);
}

#[test]
fn a_scope_that_nobody_knows_is_refused() {
    let world = World::new();
    world.edit_config(|text| text + "\n[issued]\nknown_scopes = [\"read\", \"exec:job\"]\n");
    world.run(["token", "create", "--name", "x", "--scope", "write"]).fails(2).says("known_scopes");
    create(&world, &["--name", "x", "--scope", "read"]);
    world.run(["job-token", "issue", "j", "--scope", "write"]).fails(2);
}

#[test]
fn an_actor_may_do_what_its_token_says() {
    let world = World::new();
    let admin = create(&world, &["--name", "a", "--owner", "boss", "--scope", "admin:token"]);
    let ada = create(&world, &["--name", "a", "--owner", "ada", "--scope", "user:token", "--scope", "read"]);
    let bob = create(&world, &["--name", "a", "--owner", "bob", "--scope", "user:token"]);
    let weak = create(&world, &["--name", "weak", "--owner", "bob", "--scope", "read"]);
    run_as(&world, &weak, &["token", "list"]).fails(7);
    let own = run_as(&world, &ada, &["token", "create", "--name", "two", "--scope", "read"]).ok().stdout;
    for args in [
        &["token", "create", "--name", "three", "--scope", "write"][..],
        &["token", "create", "--name", "three", "--owner", "bob"],
        &["token", "create", "--kind", "session"],
        &["token", "modify", id(&own), "--expires", "1d"],
        &["token", "list", "--owner", "bob"],
        &["token", "wipe", "--yes"],
        &["history", "--owner", "bob"],
    ] {
        run_as(&world, &ada, args).fails(7);
    }
    // what is not one's own looks as if it were not there
    run_as(&world, &ada, &["token", "show", id(&bob)]).fails(8);
    run_as(&world, &ada, &["token", "revoke", id(&bob)]).fails(8);
    run_as(&world, &ada, &["token", "show", "0000000000000000000000"]).fails(8);
    let seen = run_as(&world, &ada, &["token", "list", "--json"]).ok().json();
    assert!(seen.as_array().unwrap().iter().all(|token| token["owner"] == "ada") && seen[0].is_object());
    run_as(&world, &ada, &["token", "revoke", id(&own)]).ok();
    run_as(&world, &admin, &["token", "create", "--kind", "service", "--owner", "bot-x", "--scope", "any"]).ok();
    run_as(&world, &admin, &["token", "modify", id(&ada), "--scope", ""]).ok();
    run_as(&world, &ada, &["token", "list"]).fails(7);
    run_as(&world, &own, &["token", "list"]).fails(3);
    let by_ada = world.run(["history", "--actor", "ada", "--json"]).ok().json();
    for reason in ["list the tokens of others", "history of others"] {
        assert!(by_ada.to_string().contains(reason), "{by_ada}");
    }
    let denied = by_ada.as_array().unwrap().iter().filter(|record| record["action"] == "deny").count();
    assert!(denied >= 4, "{by_ada}");
}

#[test]
fn a_job_may_do_nothing_to_tokens() {
    let world = World::new();
    let job = world.run(["job-token", "issue", "j1", "--scope", "admin:token"]).ok().stdout;
    run_as(&world, job.trim_end(), &["token", "list"]).fails(7);
    delegate(&world, &job, &["--kind", "oidc"]).fails(7);
}

#[test]
fn children_have_their_parents_scopes_end_and_death() {
    let world = World::new();
    let parent =
        create(&world, &["--name", "a", "--owner", "ada", "--scope", "read", "--scope", "write", "--expires", "1h"]);
    let notebook = delegate(&world, &parent, &["--kind", "notebook"]).ok().stdout;
    assert_eq!(delegate(&world, &parent, &["--kind", "notebook"]).ok().stdout, notebook);
    validate(&world, &notebook, &["--scope", "read", "--scope", "write", "--owner", "ada"]).ok();
    let tap = ["--kind", "internal", "--service", "tap"];
    delegate(&world, &notebook, &[&tap[..], &["--scope", "admin"]].concat()).fails(7);
    let some = [&tap[..], &["--scope", "admin", "--scope", "read", "--intersect"]].concat();
    let internal = delegate(&world, &notebook, &some).ok().stdout;
    validate(&world, &internal, &["--service", "tap", "--scope", "read"]).ok();
    validate(&world, &internal, &["--scope", "write"]).fails(3);
    let other = delegate(&world, &notebook, &[&tap[..], &["--scope", "read", "--scope", "write"]].concat()).ok().stdout;
    assert_ne!(other, internal);
    let oidc = delegate(&world, &parent, &["--kind", "oidc", "--json"]).ok().json();
    assert_eq!(oidc["scope"], "");
    delegate(&world, &parent, &["--kind", "notebook", "--min-ttl", "2h"]).fails(3);
    // a shorter life of the parent is one for all below
    let shown = |token: &str| world.run(["token", "show", id(token), "--json"]).ok().json();
    world.run(["token", "modify", id(&parent), "--expires", "30m"]).ok().says("children");
    assert_eq!(shown(&internal)["expires_epoch"], shown(&parent)["expires_epoch"]);
    world.run(["token", "modify", id(&parent), "--no-expire"]).ok();
    assert!(shown(&parent)["expires_epoch"].is_null() && shown(&internal)["expires_epoch"].is_i64());
    world.run(["token", "revoke", id(&parent)]).ok().says("4 below it");
    for child in [&notebook, &internal, &other] {
        validate(&world, child, &[]).fails(3).says("revoked");
    }
    let ends = world.run(["history", "--id", id(&parent), "--recursive", "--json"]).ok().json();
    let revoked: Vec<_> = ends.as_array().unwrap().iter().filter(|record| record["action"] == "revoke").collect();
    assert_eq!(revoked.len(), 5);
    // the newest record, which comes first, is the parent's: the deepest went before
    assert_eq!(revoked[0]["token"], id(&parent));
    world.run(["audit"]).ok();
}

#[test]
fn a_child_that_is_denied_stands_in_its_parents_history() {
    let world = World::new();
    let parent = create(&world, &["--name", "a", "--scope", "read"]);
    delegate(&world, &parent, &["--kind", "internal", "--service", "tap", "--scope", "write"]).fails(7);
    let history = world.run(["history", "--json"]).ok().stdout;
    assert!(history.contains("the parent does not have the scope `write`"), "{history}");
}

#[test]
fn changes_are_written_down_with_what_was_before() {
    let world = World::new();
    let token = create(&world, &["--name", "a", "--scope", "read"]);
    world.run(["token", "modify", id(&token)]).fails(2);
    world.run(["token", "modify", id(&token), "--name", "b", "--scope", ""]).ok();
    validate(&world, &token, &["--scope", "read"]).fails(3);
    let records = world.run(["history", "--id", id(&token), "--json"]).ok().json();
    let edit = records.as_array().unwrap().iter().find(|record| record["action"] == "edit").unwrap();
    assert_eq!(edit["old"], serde_json::json!({"name": "a", "scope": "read"}));
    assert_eq!((&edit["name"], &edit["scope"]), (&"b".into(), &"".into()));
    let rotated = world.run(["token", "rotate", id(&token)]).ok().stdout;
    assert_ne!(id(&rotated), id(&token));
    validate(&world, &token, &[]).fails(3);
    validate(&world, &rotated, &[]).ok();
    world.run(["token", "rotate", id(&token)]).fails(3);
    world.run(["token", "modify", id(&token), "--name", "c"]).fails(3);
}

#[test]
fn a_child_does_not_keep_what_its_parent_loses() {
    let world = World::new();
    let parent = create(&world, &["--name", "a", "--scope", "read", "--scope", "write"]);
    let notebook = delegate(&world, &parent, &["--kind", "notebook"]).ok().stdout;
    let reader = delegate(&world, &parent, &["--kind", "internal", "--service", "tap", "--scope", "read"]).ok().stdout;
    world.run(["token", "modify", id(&parent), "--scope", "read"]).ok().says("1 of its children");
    validate(&world, &notebook, &[]).fails(3).says("revoked");
    validate(&world, &reader, &["--scope", "read"]).ok();
    world.run(["audit"]).ok();
}

#[test]
fn a_token_of_ours_is_for_no_provider() {
    let world = World::new();
    let token = create(&world, &["--name", "a"]);
    validate(&world, &token, &["--audience", "api"]).fails(3);
    validate(&world, &token, &["--issuer", &world.provider.issuer()]).fails(3);
    validate(&world, "not-a-token-of-ours-0123456789", &["--issuer", &world.provider.issuer(), "--owner", "ada"])
        .fails(3);
    assert_eq!(world.provider.requests().len(), 0);
}

#[test]
fn whatever_a_stranger_shows_is_answered_with_a_no() {
    let world = World::new();
    create(&world, &["--name", "a"]);
    for text in ["hello", "tkx_abc", "some-opaque-token-0123456789", "tku_"] {
        validate(&world, text, &["--scope", "read"]).fails(3);
        validate(&world, text, &["--job", "j1"]).fails(3);
    }
}

#[test]
fn what_is_no_token_is_answered_alike_with_and_without_a_ledger() {
    let world = World::bare(provider::Settings::default());
    for _ in 0..2 {
        for text in ["garbage", "some-opaque-token-0123456789"] {
            validate(&world, text, &[]).fails(3).says("no token that tokenkeep issues").says("--issuer URL");
            world
                .feed(["job-token", "authorize", "j", "run", "--stdin"], text)
                .fails(3)
                .says("no token that tokenkeep");
        }
        let issuer = world.provider.issuer();
        validate(&world, "garbage", &["--issuer", &issuer]).fails(3);
        // only the provider knows what is in one that may be one of its own
        validate(&world, "some-opaque-token-0123456789", &["--issuer", &issuer]).fails(1).says("cannot be told");
        let nothing = world.feed(["validate", "--stdin"], "\n").fails(2);
        nothing.says("it is empty");
        create(&world, &["--name", "a", "--replace"]);
    }
}

#[test]
fn a_token_that_nobody_has_seen_is_taken_back() {
    let world = World::new();
    let into_full = |args: &[&str], input: &str| {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut command = world.command(args);
        command.stdout(full);
        crate::harness::feed(command, input)
    };
    let live = || {
        let tokens = world.run(["token", "list", "--json"]).ok().json();
        tokens.as_array().unwrap().iter().map(|token| token["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    for more in [&[][..], &["--json"]] {
        let create = [&["token", "create", "--name", "laptop"], more].concat();
        let ran = into_full(&create, "").says("which nobody has seen, was revoked").says("type the command again");
        assert_eq!((ran.code, live().len()), (1, 0));
    }
    let token = create(&world, &["--name", "laptop", "--scope", "read"]);
    let replaced = create(&world, &["--owner", "bob", "--replace"]);
    let ran = into_full(&["token", "create", "--owner", "bob", "--replace"], "").fails(1).says("was revoked");
    ran.says("do not come back");
    validate(&world, &replaced, &[]).fails(3);
    let delegate = |kind: &str| into_full(&["token", "delegate", "--kind", kind, "--parent-stdin"], &token);
    delegate("oidc").fails(1).says("was revoked");
    assert_eq!(live(), [id(&token)]);
    // one that is told again on asking stays
    delegate("notebook").fails(1).says("asking again prints it");
    into_full(&["job-token", "issue", "j1"], "").fails(1).says("asking again prints it");
    assert_eq!(live().len(), 3);
    let rotated = into_full(&["token", "rotate", id(&token)], "").fails(1).says("has taken the place of the old one");
    let successor = live().into_iter().find(|id| rotated.stderr.contains(&format!("token rotate {id}"))).unwrap();
    let seen = world.run(["token", "rotate", &successor]).ok().stdout;
    validate(&world, &seen, &["--scope", "read"]).ok();
    world.run(["audit"]).ok();
}

#[test]
fn an_admin_token_that_shall_act_is_called_what_it_is() {
    let world = World::new();
    world.run(["admin-token", "keygen", "ops"]).ok();
    let admin = world.run(["admin-token", "mint", "ops", "--audience", "pipelines"]).ok().stdout;
    let ran = run_as(&world, admin.trim(), &["token", "list"]).fails(3).says("an admin token cannot act here");
    ran.says("tokenkeep token create").says("admin:token").hides(admin.trim());
}

#[test]
fn a_list_names_the_parent_of_a_child() {
    let world = World::new();
    let parent = create(&world, &["--name", "a"]);
    let child = delegate(&world, &parent, &["--kind", "oidc"]).ok().stdout;
    let list = world.run(["token", "list"]).ok().stdout;
    let columns = |id: &str| -> Vec<String> {
        list.lines().find(|line| line.starts_with(id)).unwrap().split_whitespace().map(str::to_owned).collect()
    };
    assert!(columns(id(&child)).iter().any(|column| column == id(&parent)), "{list}");
    assert_eq!(list.matches(id(&parent)).count(), 2);
}

#[test]
fn kinds_and_counts_are_said_as_people_say_them() {
    let world = World::new();
    let parent = create(&world, &["--name", "a"]);
    let child = delegate(&world, &parent, &["--kind", "oidc"]).ok().stdout;
    world.run(["token", "modify", id(&child), "--name", "b"]).fails(2).says("this is an oidc token");
    world.run(["token", "revoke", id(&child)]).ok();
    world.run(["token", "wipe", "--yes"]).ok().says("revoked 1 token\n");
}

#[test]
fn all_tokens_can_be_taken_back() {
    let world = World::new();
    let (one, job) = (create(&world, &["--name", "a"]), world.run(["job-token", "issue", "j"]).ok().stdout);
    delegate(&world, &one, &["--kind", "notebook"]).ok();
    world.run(["token", "wipe"]).fails(2);
    world.run(["token", "wipe", "--yes"]).ok().says("revoked 3");
    validate(&world, &one, &[]).fails(3);
    validate(&world, &job, &[]).fails(3);
    world.run(["audit"]).ok();
}

#[test]
fn a_mistake_beside_a_public_id_is_told() {
    let world = World::new();
    let token = create(&world, &["--name", "laptop"]);
    let (id, jti) = (id(&token), "0123456789abcdef0123456789abcdef");
    for (args, said) in [
        (&["token", "modify", id, "--expires", "foo"][..], "--expires"),
        (&["history", "--id", id, "--limit", "foo"], "--limit"),
        (&["token", "revoke", id, "extra"], "extra"),
        (&["admin-token", "revoke", jti, "extra"], "extra"),
    ] {
        let ran = world.run(args).fails(2).says(said);
        assert!(!ran.stderr.contains("something like a token"), "{}", ran.stderr);
    }
    world.run(["token", "revoke", id, &token]).fails(2).says("something like a token").hides(&token);
    // where no id belongs, the same may be a password
    world.run(["store", "x", jti]).fails(2).says("something like a token").hides(jti);
}

#[test]
fn without_a_ledger_no_token_of_ours_is_known() {
    let world = World::new();
    let token = create(&world, &["--name", "laptop"]);
    let empty = world.folder.path().join("empty.db");
    std::fs::write(&empty, "").unwrap();
    for path in [empty, world.folder.path().join("none.db")] {
        for args in [&["validate", "--stdin"][..], &["job-token", "authorize", "j", "run", "--stdin"]] {
            let mut command = world.command(args);
            command.env("TOKENKEEP_LEDGER", &path);
            let ran = crate::harness::feed(command, &token).fails(3).says("the ledger does not know it");
            ran.says("there is no ledger at").says("`ledger` in [issued]").says("TOKENKEEP_LEDGER");
        }
    }
}

#[test]
fn a_child_lives_five_minutes_at_least() {
    let world = World::new();
    let parent = create(&world, &["--name", "laptop"]);
    for kind in ["notebook", "oidc"] {
        delegate(&world, &parent, &["--kind", kind, "--expires", "1s"]).fails(2).says("at least 5m");
        delegate(&world, &parent, &["--kind", kind, "--expires", "6m"]).ok();
    }
}

#[test]
fn a_child_is_not_asked_to_live_longer_than_any_can() {
    let world = World::new();
    let parent = create(&world, &["--name", "laptop", "--no-expire"]);
    let ask = |more: &[&str]| delegate(&world, &parent, &[&["--kind", "notebook"], more].concat());
    ask(&["--min-ttl", "100d"]).fails(2).says("lives 90d at most").says("user_ttl");
    ask(&["--min-ttl", "2h", "--expires", "1h"]).fails(2).says("lives 1h at most");
    ask(&["--min-ttl", "1h", "--expires", "2h"]).ok();
    let child = delegate(&world, &parent, &["--kind", "oidc"]).ok().stdout;
    delegate(&world, child.trim(), &["--kind", "notebook"]).fails(7).says("an oidc token may not have children");
}

#[test]
fn a_token_with_very_many_scopes_is_listed() {
    let world = World::new();
    let scopes = (0..12_000).map(|number| format!("s{number}")).collect::<Vec<_>>().join(" ");
    create(&world, &["--name", "many", "--scope", &scopes]);
    create(&world, &["--name", "none"]);
    let listed = world.run(["token", "list"]).ok().stdout;
    assert!(listed.lines().count() == 3 && listed.contains(" s11999 "));
    assert!(listed.lines().nth(1).unwrap().len() < 100, "a short row is padded");
}

#[test]
fn a_token_in_the_place_of_a_scope_or_an_event_is_neither_repeated_nor_written_down() {
    let world = World::new();
    let token = create(&world, &["--name", "a"]);
    let secret = &token[26..69];
    world.run(["token", "create", "--name", "b", "--scope", &token]).fails(2).hides(secret).says("this is a token");
    validate(&world, &token, &["--scope", &token]).fails(2).hides(secret);
    validate(&world, &token, &["--event", &token]).fails(2).hides(secret);
    for word in [&token, "eyJhbGciOiJub25lIn0.e30.c2lnbmF0dXJl"] {
        let authorize = ["job-token", "authorize", "j1", word, "--stdin"];
        world.feed(authorize, &token).fails(2).hides(word);
    }
    world.run(["history", "--json"]).ok().hides(secret);
}

#[test]
fn a_jwt_that_says_nothing_readable_is_answered_with_a_no() {
    let world = World::bare(provider::Settings::default());
    for payload in ["W10", "e30geA", "e_99"] {
        let jwt = format!("eyJhbGciOiJFZERTQSIsInR5cCI6ImF0K2p3dCJ9.{payload}.c2ln");
        validate(&world, &jwt, &["--audience", "api"]).fails(3);
        world.feed(["job-token", "authorize", "j", "run", "--stdin"], &jwt).fails(3);
    }
}

#[test]
fn a_bad_name_does_not_reach_the_terminal_as_it_is() {
    let world = World::new();
    let ran = world.run(["token", "create", "--name", "a\u{1b}[31mb"]).fails(2).says("\\u{1b}");
    ran.hides("\u{1b}");
}

#[test]
fn a_rotated_token_may_stay_good_for_a_little_while() {
    let world = World::new();
    let old = create(&world, &["--name", "deploy", "--scope", "read", "--no-expire"]);
    let notebook = delegate(&world, &old, &["--kind", "notebook"]).ok().stdout;
    let new = world.run(["token", "rotate", id(&old), "--grace", "10m"]).ok().stdout;
    for token in [&old, &new, &notebook] {
        validate(&world, token, &["--scope", "read"]).ok();
    }
    validate(&world, &old, &[]).ok().says("another token has taken its place");
    assert_eq!(world.run(["token", "show", id(&old), "--json"]).ok().json()["state"], "grace");
    std::fs::write(world.folder.path().join("old"), &old).unwrap();
    std::fs::write(world.folder.path().join("child"), &notebook).unwrap();
    for file in ["old", "child"] {
        run_at(&world, "+540s", &["validate", "--from-file", file]).ok();
        run_at(&world, "+601s", &["validate", "--from-file", file]).fails(3).says("expired");
    }
    validate(&world, &new, &[]).ok();
    let records = world.run(["history", "--id", id(&old), "--json"]).ok().json();
    let is_edit = |record: &&serde_json::Value| record["token"] == id(&old) && record["action"] == "edit";
    let edit = records.as_array().unwrap().iter().find(is_edit).unwrap();
    assert!(edit["reason"].as_str().unwrap().contains(&format!("{} takes its place", id(&new))), "{edit}");
    assert_eq!(edit["old"], serde_json::json!({"name": "deploy", "expires_epoch": null}));
    world.run(["token", "rotate", id(&old)]).fails(3).says("rotated already");
    world.run(["token", "rotate", id(&new), "--grace", "25h"]).fails(2).says("1d at most");
    world.run(["audit"]).ok();
}

#[test]
fn a_replaced_key_may_stay_good_for_a_little_while() {
    let world = World::new();
    let first = create(&world, &["--owner", "ada", "--replace"]);
    let second = create(&world, &["--owner", "ada", "--replace", "--grace", "10m"]);
    for token in [&first, &second] {
        validate(&world, token, &[]).ok();
    }
    let third = create(&world, &["--owner", "ada", "--replace"]);
    for token in [&first, &second] {
        validate(&world, token, &[]).fails(3).says("revoked");
    }
    validate(&world, &third, &[]).ok();
}
