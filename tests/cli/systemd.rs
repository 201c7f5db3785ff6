//! systemd itself hands the vault identity over: a real manager, as process 1 of its own namespaces, runs a unit with
//! `LoadCredential=`.

use std::path::Path;
use std::process::Command;

use provider::Settings;

use crate::harness::{Ran, World};
use crate::outside::{NOBODY, chmod, is_root, leave_out, new_identity, sh, write};

/// The manager.
const SYSTEMD: &str = "/lib/systemd/systemd";

/// Makes the manager's world: its own /run, nothing of ours that it could change, a control group that goes afterwards.
/// `$1` is the unit, `$2` a folder for us.
const WORLD: &str = r#"
set -e
mkdir "$2/groups"
mount -t cgroup2 none "$2/groups"
group="$2/groups/tokenkeep-test-$$"
mkdir "$group"
echo $$ >"$group/cgroup.procs"
code=0
unshare --mount --pid --cgroup --uts --ipc --net --fork --mount-proc --kill-child sh -ec '
  mount --bind /etc /etc; mount -o remount,bind,ro /etc
  mount --bind /proc/sys /proc/sys; mount -o remount,bind,ro /proc/sys
  mount -t tmpfs -o mode=755 tmpfs /run
  mount -t cgroup2 none /sys/fs/cgroup
  mount --make-rshared /
  mkdir -p /run/systemd/system
  cp "$1" /run/systemd/system/probe.service
  container=test exec /lib/systemd/systemd --system --unit=probe.service
' sh "$1" || code=$?
echo $$ >"$2/groups/cgroup.procs"
find "$group" -depth -type d -exec rmdir {} +
exit $code
"#;

/// What a unit left.
struct Unit {
    stdout: String,
    stderr: String,
}

/// Runs `get one` in a unit; `None` where no manager can be run.
fn in_unit(world: &World, lines: &str) -> Option<Unit> {
    if !is_root() {
        return None;
    }
    if !Path::new(SYSTEMD).exists() {
        leave_out("systemd is not installed");
        return None;
    }
    let folder = world.folder.path().display();
    let unit = format!(
        "[Unit]\nDefaultDependencies=no\nSuccessAction=exit-force\nFailureAction=exit-force\n\
         [Service]\nType=oneshot\nTimeoutStartSec=30\nEnvironment=TOKENKEEP_HOME={folder}/home\n\
         StandardOutput=file:{folder}/stdout\nStandardError=file:{folder}/stderr\n{lines}\n\
         ExecStartPre=+/bin/touch {folder}/begun\nExecStart={folder}/tokenkeep get one\n"
    );
    write(&world.file("probe.service"), unit.as_bytes(), 0o644);
    let mut command = Command::new("timeout");
    command.args(["60", "unshare", "--mount", "sh", "-c", WORLD, "sh"]);
    let output = command.arg(world.file("probe.service")).arg(world.folder.path()).output().unwrap();
    if !world.file("begun").exists() {
        leave_out(&String::from_utf8_lossy(&output.stderr));
        return None;
    }
    let read = |name: &str| std::fs::read_to_string(world.file(name)).unwrap_or_default();
    Some(Unit { stdout: read("stdout"), stderr: read("stderr") })
}

/// A vault with the secret `one`, which no setting opens, and its identity in `right.txt`.
fn world() -> World {
    let world = World::bare(Settings::default());
    new_identity(&world.file("right.txt"));
    new_identity(&world.file("wrong.txt"));
    world.run(["init", "--identity-file", "right.txt"]).ok();
    world.keep("one", "secret");
    world.forget_identity_file();
    let program = env!("CARGO_BIN_EXE_tokenkeep");
    if std::fs::hard_link(program, world.file("tokenkeep")).is_err() {
        std::fs::copy(program, world.file("tokenkeep")).unwrap();
    }
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
