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

/// Whose manager starts the units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    TheSystems,
    AUsers,
}

/// Runs a script on a machine that has booted; `None` where none can.
fn on_machine(world: &World, whose: Whose, script: &str) -> Option<Left> {
    let (scope, ctl) = match whose {
        Whose::TheSystems => ("--system", "systemctl"),
        Whose::AUsers => ("--user", "systemctl --user"),
    };
    let begin = format!(
        "export TOKENKEEP_HOME=/srv/home\nset -ex\nunit=tokenkeep-refresh scope={scope}\n\
         ctl() {{ {ctl} \"$@\"; }}\ntrap 'ctl status --no-pager $unit.service >&2' EXIT\n"
    );
    write(&world.file("script"), format!("{begin}{script}").as_bytes(), 0o755);
    let left = match whose {
        Whose::TheSystems => boot(world, &format!("{UNITS}ExecStart=/bin/sh /srv/script"), Network::Shared)?,
        Whose::AUsers => boot(world, &login(world), Network::Shared)?,
    };
    let said = std::fs::read_to_string(world.file("said")).unwrap_or_default();
    assert!(world.file("done").exists(), "{}\n{}\n{said}", left.stdout, left.stderr);
    Some(left)
}

/// Where the manager of the system looks for units, for those who ask it.
const UNITS: &str = "Environment=SYSTEMD_UNIT_PATH=/run/systemd/system:/etc/systemd/system\n";

/// A service that is a user's own manager, whose only task is the script.
fn login(world: &World) -> String {
    let units = world.file("units");
    std::fs::create_dir(&units).unwrap();
    for target in ["basic", "timers", "shutdown"] {
        write(&units.join(format!("{target}.target")), b"[Unit]\nDefaultDependencies=no\n", 0o644);
    }
    let script = "[Unit]\nDefaultDependencies=no\nSuccessAction=exit-force\nFailureAction=exit-force\n\
                  [Service]\nType=oneshot\nExecStart=/bin/sh /srv/script\n\
                  StandardOutput=append:/srv/said\nStandardError=append:/srv/said\n";
    write(&units.join("script.service"), script.as_bytes(), 0o644);
    std::fs::create_dir(world.file("person")).unwrap();
    sh(&format!("chown -R {NOBODY}:{NOBODY} '{0}/home' '{0}/person'; chmod 1777 '{0}'", world.folder.path().display()));
    "User=nobody\nGroup=nogroup\nDelegate=yes\nExecStartPre=+/bin/install -d -m 700 -o nobody /run/person\n\
     Environment=XDG_RUNTIME_DIR=/run/person HOME=/srv/person\n\
     Environment=SYSTEMD_UNIT_PATH=/srv/units:/srv/person/.config/systemd/user\n\
     ExecStart=/lib/systemd/systemd --user --unit=script.service"
        .to_owned()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn a_unit_that_was_installed_refreshes_confined_and_goes_when_it_is_removed() {
    let world = world();
    let script = "
        /srv/tokenkeep schedule install $scope --every 10m --write-dir /run/tokens --now
        grep -q PrivateTmp=yes /etc/systemd/system/$unit.service
        ctl is-active $unit.timer
        ctl is-enabled $unit.timer
        ctl list-timers --all --no-pager >/srv/timers
        ctl start $unit.service
        cp /run/tokens/prod /srv/token
        ctl show -P Result $unit.service >/srv/result
        /srv/tokenkeep schedule install $scope --every 20m --write-dir /run/tokens --now
        ctl show -P TimersCalendar $unit.timer | grep 0/20
        /srv/tokenkeep schedule remove $scope
        ! ctl is-active $unit.timer
        [ -z \"$(find /etc/systemd/system -name '*tokenkeep*')\" ]
        touch /srv/done";
    if on_machine(&world, Whose::TheSystems, script).is_none() {
        return;
    }
    assert!(read(&world.file("timers")).contains("tokenkeep-refresh.timer"));
    assert_eq!(read(&world.file("result")), "success\n");
    assert!(world.provider.is_access_live(&read(&world.file("token"))));
    assert_eq!(world.provider.count(Endpoint::Token), 1);
}

/// Stops the service once its front has presented the token, and lets the provider answer when the front is gone.
const STOPPED: &str = "
    /srv/tokenkeep schedule install $scope --every 10m $flags
    ctl daemon-reload
    ctl start --no-block $unit.service
    read -r _ </srv/presented
    ctl stop --no-block $unit.service
    until [ \"$(ctl show -P MainPID $unit.service)\" = 0 ]; do :; done
    ctl show -P ActiveState $unit.service >/srv/meanwhile
    touch /srv/stopping
    ctl stop $unit.service
    ctl show -P ActiveState $unit.service >/srv/afterwards
    touch /srv/done";

/// Stops a service in the middle of an exchange, and claims that nothing is lost.
fn stop_in_the_middle(world: &World, whose: Whose, flags: &str) {
    sh(&format!("mkfifo '{}'", world.file("presented").display()));
    // open for both, so that it is there for whoever comes first
    let mut presented = std::fs::File::options().read(true).write(true).open(world.file("presented")).unwrap();
    world.provider.set_refresh_latency(PATIENCE);
    let left = std::thread::scope(|scope| {
        let machine = scope.spawn(|| on_machine(world, whose, &format!("flags='{flags}'{STOPPED}")));
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
    stop_in_the_middle(&world, Whose::TheSystems, "");
}

#[test]
fn neither_does_one_that_runs_as_somebody_without_rights_and_with_a_credential() {
    let world = world();
    std::fs::rename(world.identity_file(), world.file("identity.txt")).unwrap();
    world.forget_identity_file();
    if is_root() {
        sh(&format!("chown -R {NOBODY}:{NOBODY} '{}'", world.home().display()));
    }
    stop_in_the_middle(&world, Whose::TheSystems, "--credential /srv/identity.txt");
}

#[test]
fn nor_does_a_unit_of_a_users_own_manager() {
    let world = world();
    std::fs::copy(world.identity_file(), world.file("identity.txt")).unwrap();
    if is_root() {
        stop_in_the_middle(&world, Whose::AUsers, "--now");
    }
}

#[test]
fn a_vault_that_unlock_left_open_is_open_for_units_too() {
    for whose in [Whose::TheSystems, Whose::AUsers] {
        let world = world();
        if !is_root() {
            return;
        }
        std::fs::rename(world.identity_file(), world.file("identity.txt")).unwrap();
        chmod(&world.file("identity.txt"), 0o600);
        world.forget_identity_file();
        if whose == Whose::AUsers {
            sh(&format!("chown {NOBODY} '{}'", world.file("identity.txt").display()));
        }
        let script = "
            TOKENKEEP_IDENTITY_FILE=/srv/identity.txt /srv/tokenkeep unlock --for 5m
            trap '/srv/tokenkeep lock' EXIT
            /srv/tokenkeep schedule install $scope --every 10m
            ctl daemon-reload
            ctl start $unit.service
            touch /srv/done";
        if on_machine(&world, whose, script).is_none() {
            return;
        }
        assert_eq!(world.provider.count(Endpoint::Token), 1, "{whose:?}");
    }
}
