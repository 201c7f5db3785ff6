//! systemd itself hands the vault identity over: a real manager, as process 1 of its own namespaces, runs a unit with
//! `LoadCredential=`.

use provider::Settings;

use crate::harness::{Ran, World};
use crate::manager::{Left, Network, boot, bring_program};
use crate::outside::{NOBODY, chmod, is_root, new_identity, sh};

/// Runs `get one` in a unit; `None` where no manager can be run.
fn in_unit(world: &World, lines: &str) -> Option<Left> {
    let folder = world.folder.path().display();
    let service = format!("Environment=TOKENKEEP_HOME={folder}/home\n{lines}\nExecStart={folder}/tokenkeep get one");
    boot(world, &service, Network::Own)
}

/// A vault with the secret `one`, which no setting opens, and its identity in `right.txt`.
fn world() -> World {
    let world = World::bare(Settings::default());
    new_identity(&world.file("right.txt"));
    new_identity(&world.file("wrong.txt"));
    world.run(["init", "--identity-file", "right.txt"]).ok();
    world.keep("one", "secret");
    world.forget_identity_file();
    bring_program(&world);
    world
}

/// The line of a unit that hands over a file.
fn credential(world: &World, file: &str) -> String {
    format!("LoadCredential=tokenkeep-identity:{}", world.file(file).display())
}

#[test]
fn a_unit_of_the_system_opens_the_vault_with_its_credential() {
    let world = world();
    let Some(unit) = in_unit(&world, &credential(&world, "right.txt")) else { return };
    assert_eq!(unit.stdout, "secret\n", "{}", unit.stderr);
}

#[test]
fn a_unit_with_the_wrong_credential_is_told_so() {
    let world = world();
    let Some(unit) = in_unit(&world, &credential(&world, "wrong.txt")) else { return };
    assert_eq!(unit.stdout, "");
    assert!(unit.stderr.contains("systemd credential") && unit.stderr.contains("does not open"), "{}", unit.stderr);
}

#[test]
fn a_unit_without_a_credential_is_locked() {
    let world = world();
    let Some(unit) = in_unit(&world, "") else { return };
    assert!(unit.stderr.contains("locked"), "{}", unit.stderr);
}

#[test]
fn a_unit_of_a_user_without_privileges_opens_the_vault_with_a_credential_that_root_holds() {
    let world = world();
    chmod(world.folder.path(), 0o755);
    if is_root() {
        sh(&format!("chown -R {NOBODY}:{NOBODY} '{}'", world.home().display()));
    }
    let lines = format!("{}\nUser={NOBODY}\nGroup={NOBODY}", credential(&world, "right.txt"));
    let Some(unit) = in_unit(&world, &lines) else { return };
    assert_eq!(unit.stdout, "secret\n", "{}", unit.stderr);
}

/// Leaves the vault open in the kernel's keyring, as the user that systemd runs for.
fn leave_open(world: &World) {
    let mut command = world.command(["unlock", "--for", "10m"]);
    let ran = command.env("TOKENKEEP_IDENTITY_FILE", world.file("right.txt")).output().unwrap();
    Ran::from(ran).ok();
}

#[test]
fn a_unit_opens_the_vault_that_its_user_has_left_open() {
    let world = world();
    leave_open(&world);
    for mode in ["private", "inherit", "shared"] {
        let Some(unit) = in_unit(&world, &format!("KeyringMode={mode}")) else { return };
        assert_eq!(unit.stdout, "secret\n", "{mode}: {}", unit.stderr);
    }
    world.run(["lock"]).ok().says("closed");
}

#[test]
fn a_unit_that_may_not_use_the_kernels_keyring_is_told_so() {
    let world = world();
    leave_open(&world);
    let lines = "SystemCallFilter=~@keyring\nSystemCallErrorNumber=EPERM";
    let Some(unit) = in_unit(&world, lines) else { return };
    assert_eq!(unit.stdout, "");
    assert!(unit.stderr.contains("locked") && unit.stderr.contains("is forbidden here"), "{}", unit.stderr);
    world.run(["lock"]).ok().says("closed");
}
