//! `[issued]` and `[policy]`: read from the file and the environment, shown, and refused where they make no sense.

use crate::harness::World;

/// Every table that the manual shows, as it stands there.
fn documented() -> String {
    let text = include_str!("../../src/commands/help/formats.txt");
    let start = text.find("  [defaults]").unwrap();
    let end = text.find("The vault: every file").unwrap();
    text[start..end].to_owned()
}

fn get(world: &World, key: &str) -> String {
    world.run(["config", "get", key]).ok().stdout.trim_end().to_owned()
}

#[test]
fn the_example_of_the_manual_is_a_configuration() {
    let world = World::new();
    world.edit_config(|_| documented());
    world.run(["status", "--explain"]).ok();
    for profile in ["prod", "stage"] {
        world.run(["profile", "show", profile]).ok();
    }
    assert_eq!(get(&world, "issued.issuer"), "https://pipelines.example.org");
    assert_eq!(get(&world, "issued.ledger"), "/srv/pipeline/ledger.db");
    assert_eq!(get(&world, "issued.known_scopes"), "admin:token exec:job read:all");
    assert_eq!(get(&world, "policy.admin_events"), "delete purge ready reset");
}

#[test]
fn without_a_word_in_the_file_there_are_defaults() {
    let world = World::new();
    assert_eq!(get(&world, "issued.ledger"), world.home().join("data/ledger.db").to_str().unwrap());
    assert_eq!((get(&world, "issued.job_ttl"), get(&world, "issued.user_ttl")), ("24h".into(), "90d".into()));
    world.run(["config", "get", "issued.issuer"]).fails(8);
    world.run(["config", "get", "issued.known_scopes"]).fails(8);
    assert!(get(&world, "policy.job_events").split(' ').any(|event| event == "update"));
}

#[test]
fn the_environment_goes_before_the_file() {
    let world = World::new();
    world.edit_config(|text| text + "\n[issued]\nledger = \"in-file.db\"\njob_ttl = \"1h\"\n");
    let config = world.home().join("config");
    assert_eq!(get(&world, "issued.ledger"), config.join("in-file.db").to_str().unwrap());
    let mut command = world.command(["status", "--explain", "--json"]);
    command.env("TOKENKEEP_LEDGER", "here.db").env("TOKENKEEP_JOB_TTL", "2h");
    let shown = crate::harness::Ran::from(command.output().unwrap()).ok().json();
    let row = |key: &str| {
        let rows = shown["settings"].as_array().unwrap();
        let row = rows.iter().find(|row| row["key"] == key).unwrap();
        (row["value"].as_str().unwrap().to_owned(), row["origin"].as_str().unwrap().to_owned())
    };
    let here = world.folder.path().join("here.db").to_str().unwrap().to_owned();
    assert_eq!(row("issued.ledger"), (here, "TOKENKEEP_LEDGER".into()));
    assert_eq!(row("issued.job_ttl"), ("2h".into(), "TOKENKEEP_JOB_TTL".into()));
    assert_eq!(row("issued.user_ttl").1, "default");
}

#[test]
fn what_makes_no_sense_is_refused_with_its_place() {
    let world = World::new();
    for (variable, value) in [("TOKENKEEP_JOB_TTL", "0"), ("TOKENKEEP_ISSUED_ISSUER", "us")] {
        let ran = world.command(["status"]).env(variable, value).output().unwrap();
        let ran = crate::harness::Ran::from(ran);
        assert!(ran.code == 9 && ran.stderr.contains(variable), "{ran:?}");
    }
    world.edit_config(|_| "[vault]\nbackend = \"disk\"\n".to_owned());
    world.run(["status"]).fails(9).says("config.toml:2: ").says("not a backend");
    world.edit_config(|_| "[issued]\nisuer = \"https://a.example\"\n".to_owned());
    world.run(["status"]).fails(9).says("config.toml:2: ").says("did you mean `issuer`");
    world.edit_config(|_| "\n\n[policy]\nadmin_events = [\"run\"]\n".to_owned());
    world.run(["status"]).fails(9).says("config.toml:3: ").says("`run`");
}
