//! Standard output that is full, closed or gone, and a machine without a home: no token is lost over it.

use std::fs::File;
use std::process::{Command, Stdio};

use crate::harness::{Ran, World, short_lived};

/// Runs a line of shell with the program as `$0`.
fn shell(world: &World, line: &str) -> Ran {
    let mut command = Command::new("sh");
    command.args(["-c", line, env!("CARGO_BIN_EXE_tokenkeep")]).env_clear().env("PATH", "/usr/bin:/bin");
    command.env("TOKENKEEP_HOME", world.home()).stdin(Stdio::null());
    Ran::from(command.output().unwrap())
}

#[test]
fn a_full_disk_behind_stdout_is_exit_1_and_the_token_is_kept() {
    let world = World::logged_in(short_lived(300));
    let mut command = world.command(["get", "prod"]);
    let full = File::options().write(true).open("/dev/full").unwrap();
    let ran: Ran = command.stdout(full).output().unwrap().into();
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    ran.says("standard output");
    world.run(["get", "prod", "--no-refresh"]).ok();
}

#[test]
fn a_closed_stdout_does_no_harm() {
    let world = World::logged_in(short_lived(300));
    assert_eq!(shell(&world, "exec \"$0\" get prod >&-").code, 0);
    world.run(["get", "prod", "--no-refresh"]).ok();
    assert!(world.provider.family_alive());
}

#[test]
fn all_streams_closed_do_no_harm() {
    let world = World::logged_in(short_lived(300));
    assert_eq!(shell(&world, "exec \"$0\" get prod <&- >&- 2>&-").code, 0);
    world.run(["get", "prod", "--no-refresh"]).ok();
    assert!(world.provider.family_alive());
}

#[test]
fn a_reader_that_has_left_is_no_error() {
    let world = World::logged_in(short_lived(300));
    let ran = shell(&world, "{ \"$0\" get prod; echo $? >&2; } | true");
    assert_eq!(ran.stderr.trim_end(), "0");
}

#[test]
fn a_command_in_a_substitution_does_not_wait_for_more_than_the_exchange() {
    let world = World::logged_in(short_lived(300));
    let ran = shell(&world, "token=$(\"$0\" get prod); printf %s \"$token\"").ok();
    assert!(world.provider.is_access_live(&ran.stdout));
}

#[test]
fn no_home_is_no_matter_where_a_folder_is_named() {
    let world = World::logged_in(short_lived(300));
    Ran::from(world.command(["get", "prod"]).env_remove("HOME").output().unwrap()).ok();
}

#[test]
fn a_vault_that_cannot_be_written_costs_no_token() {
    let world = World::logged_in(short_lived(300));
    world.token("prod");
    // a folder stands where the next generation is prepared
    std::fs::create_dir(world.entry("prod").join("next")).unwrap();
    assert_ne!(world.run(["get", "prod", "--no-cache"]).code, 0);
    assert_eq!(world.provider.exchanges(), 1);
    std::fs::remove_dir(world.entry("prod").join("next")).unwrap();
    world.run(["get", "prod", "--no-cache"]).ok();
}
