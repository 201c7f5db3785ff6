//! The entry `issue-key`: what derived tokens come from is nobody's to read, to write over, or to lose by accident.

use crate::harness::World;

/// A world with a running job, whose token comes from the issue key.
fn with_a_job() -> (World, String) {
    let world = World::new();
    let token = world.run(["job-token", "issue", "j1"]).ok().stdout;
    (world, token)
}

#[test]
fn it_is_neither_handed_out_nor_written_over() {
    let (world, token) = with_a_job();
    for args in [
        &["get", "issue-key"][..],
        &["env", "issue-key"],
        &["show", "issue-key", "--reveal", "--yes"],
        &["refresh", "issue-key"],
        &["admin-token", "keygen", "issue-key"],
        &["generate", "issue-key", "--issuer", &world.provider.issuer(), "--client-id", "automated-access"],
    ] {
        world.run(args).fails(2).says("the ledger's own");
    }
    world.run(["exec", "issue-key", "--", "env"]).fails(125).says("the ledger's own");
    world.feed(["store", "issue-key", "--stdin"], "another").fails(2).says("the ledger's own");
    assert_eq!(world.generation("issue-key"), 1);
    assert_eq!(world.run(["job-token", "issue", "j1"]).ok().stdout, token);
}

#[test]
fn it_is_deleted_only_where_somebody_says_so_and_with_a_word_on_what_follows() {
    let (world, _token) = with_a_job();
    world.run(["delete", "issue-key"]).fails(2).says("cannot be told again").says("--yes");
    world.run(["job-token", "issue", "j1"]).ok();
    world.run(["delete", "issue-key", "--yes"]).ok().says("cannot be told again");
    world.run(["job-token", "issue", "j1"]).fails(5).says("issue-key");
    world.run(["job-token", "issue", "j1", "--rotate"]).ok();
}

#[test]
fn it_is_shown_as_what_it_is() {
    let (world, _token) = with_a_job();
    world.feed(["store", "other", "--stdin"], "text").ok();
    let list = world.run(["list", "--json"]).ok().json();
    let kinds: Vec<_> = list.as_array().unwrap().iter().map(|entry| (&entry["name"], &entry["kind"])).collect();
    assert_eq!(kinds, [(&"issue-key".into(), &"issue-key".into()), (&"other".into(), &"secret".into())]);
    assert!(world.run(["list"]).ok().stdout.lines().any(|line| line.starts_with("issue-key  issue-key ")));
    assert!(world.run(["show", "issue-key"]).ok().stdout.contains("issue-key"));
    assert!(world.run(["status"]).ok().stdout.contains("2: 2 good; one is the ledger's issue key"));
    assert_eq!(world.run(["status", "--json"]).ok().json()["entries"]["issue_key"], true);
}

#[test]
fn an_import_that_nobody_signed_writes_over_none_and_says_so_where_it_brings_one() {
    let ((theirs, _), (ours, token), new) = (with_a_job(), with_a_job(), World::new());
    let export = theirs.file("export.age");
    let bring_to = |world: &World| {
        drop(std::fs::remove_file(&export));
        let header = std::fs::read_to_string(world.home().join("data/vault/vault.toml")).unwrap();
        let recipient = header.lines().find_map(|line| line.strip_prefix("recipient = ")).unwrap().trim_matches('"');
        theirs.run(["vault", "export", "-o", export.to_str().unwrap(), "--recipient", recipient]).ok();
        world.run(["vault", "import", export.to_str().unwrap(), "--replace"]).ok()
    };
    bring_to(&ours).says("kept `issue-key` as it is");
    assert_eq!(ours.run(["job-token", "issue", "j1"]).ok().stdout, token);
    bring_to(&new).says("who wrote the export knows them");
}
