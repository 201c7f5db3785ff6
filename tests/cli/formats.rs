//! `help formats`: what it says of the JSON of a command is what the command prints.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::harness::World;

/// The keys that the topic lists for a command, without what stands in parentheses about them.
fn documented(command: &str) -> BTreeSet<String> {
    let text = include_str!("../../src/commands/help/formats.txt");
    let head = format!("\n  {command}");
    let row = text.split(&head).skip(1).find(|rest| rest.starts_with([' ', '\n'])).unwrap();
    let lines: Vec<&str> = row.lines().enumerate().take_while(is_of_row).map(|(_, line)| line.trim()).collect();
    let mut keys = lines.join(" ");
    while let Some((before, rest)) = keys.split_once(" (") {
        keys = format!("{before}{}", rest.split_once(')').unwrap().1);
    }
    keys.split(',').map(|key| key.trim().to_owned()).collect()
}

/// Whether a line is the first one of a row, or goes on with it.
fn is_of_row((number, line): &(usize, &str)) -> bool {
    *number == 0 || line.starts_with("            ")
}

/// The keys of what a command printed; of the two forms of a time, one name.
fn printed(json: &Value) -> BTreeSet<String> {
    let keys = json.as_object().unwrap().keys().filter(|key| *key != "schema");
    let folded = |key: &String| match key.rsplit_once('_') {
        Some((time, "at" | "epoch")) => format!("{time}_*"),
        _ => key.clone(),
    };
    keys.map(folded).collect()
}

/// Claims that a command prints what the topic says.
fn claim(world: &World, command: &str, flags: &[&str]) {
    let words: Vec<&str> = command.split(' ').chain(flags.iter().copied()).chain(["--json"]).collect();
    let said = world.run(words).json();
    assert_eq!(printed(&said), documented(command), "{command}: {said}");
}

#[test]
fn the_topic_has_the_keys_of_what_sets_a_vault_up() {
    let world = World::bare(provider::Settings::default());
    claim(&world, "init", &["--unlock", "file"]);
    claim(&world, "status", &["--explain"]);
    claim(&world, "doctor", &["--offline"]);
    claim(&world, "unlock", &["--for", "10s"]);
    claim(&world, "lock", &[]);
}

#[test]
fn the_topic_has_the_keys_of_the_schedule() {
    let world = World::new();
    claim(&world, "schedule show", &["--user"]);
    claim(&world, "schedule install", &["--user", "--dir", "units"]);
    claim(&world, "schedule remove", &["--user", "--dir", "units"]);
}

#[test]
fn the_topic_has_the_keys_of_a_migration() {
    let world = World::new();
    let said = world.run(["vault", "migrate", "--to", "age", "--json"]).ok().json();
    let keys: Vec<String> = printed(&said).into_iter().collect();
    assert_eq!(keys, ["backend", "entries", "moved"]);
    let text = world.run(["help", "formats"]).ok().stdout;
    assert!(text.contains("migrate: backend, moved, entries\n"), "{text}");
}
