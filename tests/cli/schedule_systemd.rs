//! The units of `schedule` under a real manager: what they may, and that a stop in the middle of an exchange loses nothing.

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use provider::Endpoint;

use crate::harness::{PATIENCE, World, short_lived};
use crate::manager::{Left, Network, boot, bring_program};
use crate::outside::{NOBODY, chmod, is_root, sh, write};
use crate::signals::wait_for_file;

/// A machine with a login, whose folder a unit finds at /srv.
fn world() -> World {
    let world = World::logged_in(short_lived(300));
    world.edit_config(|text| text.replace(world.home().to_str().unwrap(), "/srv/home"));
    bring_program(&world);
    chmod(world.folder.path(), 0o755);
    world
}

/// Runs a script on a machine that has booted; `None` where none can.
fn on_machine(world: &World, script: &str) -> Option<Left> {
    let begin = "export TOKENKEEP_HOME=/srv/home SYSTEMD_UNIT_PATH=/run/systemd/system:/etc/systemd/system\n\
                 set -ex\nunit=tokenkeep-refresh\n\
                 trap 'systemctl status --no-pager $unit.service >&2' EXIT\n\
                 mkdir -p /run/systemd/system/$unit.service.d\n\
                 printf '[Service]\\nStandardError=append:/srv/stderr\\n' >/run/systemd/system/$unit.service.d/log.conf\n";
    write(&world.file("script"), format!("{begin}{script}").as_bytes(), 0o755);
    let left = boot(world, "ExecStart=/bin/sh /srv/script", Network::Shared)?;
    assert!(world.file("done").exists(), "{}\n{}", left.stdout, left.stderr);
    Some(left)
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn a_unit_that_was_installed_refreshes_confined_and_goes_when_it_is_removed() {
    let world = world();
    let script = "
        /srv/tokenkeep schedule install --system --every 10m --write-dir /run/tokens --now
        grep -q PrivateTmp=yes /etc/systemd/system/$unit.service
        systemctl is-active $unit.timer
        systemctl is-enabled $unit.timer
        systemctl list-timers --all --no-pager >/srv/timers
        systemctl start $unit.service
        cp /run/tokens/prod /srv/token
        systemctl show -P Result $unit.service >/srv/result
        /srv/tokenkeep schedule install --system --every 20m --write-dir /run/tokens --now
        systemctl show -P TimersCalendar $unit.timer | grep 0/20
        /srv/tokenkeep schedule remove --system
        ! systemctl is-active $unit.timer
        [ -z \"$(find /etc/systemd/system -name '*tokenkeep*')\" ]
        touch /srv/done";
    if on_machine(&world, script).is_none() {
        return;
    }
    assert!(read(&world.file("timers")).contains("tokenkeep-refresh.timer"));
    assert_eq!(read(&world.file("result")), "success\n");
    assert!(world.provider.is_access_live(&read(&world.file("token"))));
    assert_eq!(world.provider.count(Endpoint::Token), 1);
}

/// Stops the service once its front has presented the token, and lets the provider answer when the front is gone.
const STOPPED: &str = "
    /srv/tokenkeep schedule install --system --every 10m $flags
    systemctl daemon-reload
    systemctl start --no-block $unit.service
    read -r _ </srv/presented
    systemctl stop --no-block $unit.service
    until [ \"$(systemctl show -P MainPID $unit.service)\" = 0 ]; do :; done
    systemctl show -P ActiveState $unit.service >/srv/meanwhile
    touch /srv/stopping
    systemctl stop $unit.service
    systemctl show -P ActiveState $unit.service >/srv/afterwards
    touch /srv/done";

/// Stops a service in the middle of an exchange, and claims that nothing is lost.
fn stop_in_the_middle(world: &World, flags: &str) {
    sh(&format!("mkfifo '{}'", world.file("presented").display()));
    // open for both, so that it is there for whoever comes first
    let mut presented = std::fs::File::options().read(true).write(true).open(world.file("presented")).unwrap();
    world.provider.set_refresh_latency(PATIENCE);
    let left = std::thread::scope(|scope| {
        let machine = scope.spawn(|| on_machine(world, &format!("flags='{flags}'{STOPPED}")));
        while world.provider.exchanges() == 0 && !machine.is_finished() {
            std::thread::yield_now();
        }
        if !machine.is_finished() {
            presented.write_all(b"\n").unwrap();
            wait_for_file(&world.file("stopping"));
            world.provider.release();
        }
        machine.join().unwrap()
    });
    if left.is_none() {
        return;
    }
    assert_eq!(read(&world.file("meanwhile")), "deactivating\n");
    let afterwards = read(&world.file("afterwards"));
    assert!(["inactive\n", "failed\n"].contains(&afterwards.as_str()), "{afterwards}");
    world.provider.set_refresh_latency(Duration::ZERO);
    sh(&format!("chown -R 0:0 '{}'", world.home().display()));
    let identity = world.file("identity.txt");
    let get = |more: &[&str]| {
        let mut command = world.command([&["get", "prod"], more].concat());
        command.env("TOKENKEEP_IDENTITY_FILE", &identity);
        crate::harness::Ran::from(command.output().unwrap()).ok().stdout.trim_end().to_owned()
    };
    assert!(world.provider.is_access_live(&get(&[])));
    assert_eq!(world.provider.count(Endpoint::Token), 1);
    get(&["--no-cache"]);
    assert!(world.provider.family_alive());
}

#[test]
fn a_unit_that_is_stopped_in_the_middle_of_an_exchange_loses_nothing() {
    let world = world();
    std::fs::copy(world.identity_file(), world.file("identity.txt")).unwrap();
    stop_in_the_middle(&world, "");
}

#[test]
fn neither_does_one_that_runs_as_somebody_without_rights_and_with_a_credential() {
    let world = world();
    std::fs::rename(world.identity_file(), world.file("identity.txt")).unwrap();
    world.forget_identity_file();
    if is_root() {
        sh(&format!("chown -R {NOBODY}:{NOBODY} '{}'", world.home().display()));
    }
    stop_in_the_middle(&world, "--credential /srv/identity.txt");
}
