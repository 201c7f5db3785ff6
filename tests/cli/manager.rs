//! A real systemd as process 1 of its own namespaces, which can do nothing to the machine that the tests run on.
//!
//! A manager that boots does much: it empties /tmp, makes devices, writes journals. So it sees the machine read-only, has
//! folders of its own for everything that is written, and knows no unit but those that a test gives it.

use std::path::Path;
use std::process::Command;

use crate::harness::World;
use crate::outside::{is_root, leave_out, sh, write};

/// The manager.
const SYSTEMD: &str = "/lib/systemd/systemd";

/// Makes the manager's world, and a control group that goes afterwards. `$1` is the folder of the test, the only one that
/// both sides can write; `$2` the kind of network.
const WORLD: &str = r#"
set -e
mkdir "$1/groups"
mount -t cgroup2 none "$1/groups"
group="$1/groups/tokenkeep-test-$$"
mkdir "$group"
echo $$ >"$group/cgroup.procs"
code=0
unshare --mount --pid --cgroup --uts --ipc $2 --fork --mount-proc --kill-child sh -ec '
  # the test folder, at /srv and where it was before, in empty folders for what is temporary
  mount --bind "$1" /srv
  for folder in /tmp /var/tmp /run /etc/systemd/system /var/log /var/lib/systemd; do
    mount -t tmpfs -o mode=755 tmpfs "$folder"
  done
  chmod 1777 /tmp /var/tmp
  mkdir -p "$1"
  mount --bind /srv "$1"
  # devices: these, and no way to make more where others see them
  mkdir /run/dev
  for device in null zero full random urandom tty; do
    : >"/run/dev/$device"
    mount --bind "/dev/$device" "/run/dev/$device"
  done
  mkdir /run/dev/shm /run/dev/pts /run/dev/mqueue
  mount -t devpts devpts /run/dev/pts
  ln -s pts/ptmx /run/dev/ptmx
  mount --rbind /run/dev /dev
  # and of all else nothing can be changed
  mount -o remount,bind,ro /
  mount -o remount,bind,ro /sys
  mount --bind /proc/sys /proc/sys
  mount -o remount,bind,ro /proc/sys
  for folder in / /etc /home /opt /root /sys /usr /var /var/lib /var/spool; do
    [ ! -w "$folder" ] || { echo "$folder can be written" >&2; exit 1; }
  done
  mount -t cgroup2 none /sys/fs/cgroup
  mount --make-rshared /
  mkdir -p /run/systemd/system
  for unit in sysinit basic timers network-online shutdown; do
    printf "[Unit]\nDefaultDependencies=no\n" >"/run/systemd/system/$unit.target"
  done
  cp "$1/probe.service" /run/systemd/system
  SYSTEMD_UNIT_PATH=/run/systemd/system:/etc/systemd/system container=test \
    exec /lib/systemd/systemd --system --unit=probe.service
' sh "$1" || code=$?
echo $$ >"$1/groups/cgroup.procs"
find "$group" -depth -type d -exec rmdir {} +
exit $code
"#;

/// What a service left.
#[derive(Debug)]
pub(crate) struct Left {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Whether the manager's machine has a network of its own, or the loopback interface of this one, where the provider is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Network {
    Own,
    Shared,
}

/// Boots a manager whose only task is a service, given by its lines; `None` where none can be run.
pub(crate) fn boot(world: &World, service: &str, network: Network) -> Option<Left> {
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
         [Service]\nType=oneshot\nTimeoutStartSec=30\n\
         StandardOutput=file:{folder}/stdout\nStandardError=file:{folder}/stderr\n\
         ExecStartPre=+/bin/touch {folder}/begun\n{service}\n"
    );
    write(&world.file("probe.service"), unit.as_bytes(), 0o644);
    let mut command = Command::new("timeout");
    command.args(["60", "unshare", "--mount", "sh", "-c", WORLD, "sh"]).arg(world.folder.path());
    let output = command.arg(if network == Network::Own { "--net" } else { "" }).output().unwrap();
    if !world.file("begun").exists() {
        leave_out(&String::from_utf8_lossy(&output.stderr));
        return None;
    }
    let read = |name: &str| std::fs::read_to_string(world.file(name)).unwrap_or_default();
    Some(Left { stdout: read("stdout"), stderr: read("stderr") })
}

/// Puts the program where a unit's user can reach it.
pub(crate) fn bring_program(world: &World) {
    let program = env!("CARGO_BIN_EXE_tokenkeep");
    if std::fs::hard_link(program, world.file("tokenkeep")).is_err() {
        // by another process: a child of another test could hold what we write, and what is written cannot be run
        sh(&format!("cp '{program}' '{}'", world.file("tokenkeep").display()));
    }
}
