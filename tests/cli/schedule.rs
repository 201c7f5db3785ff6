//! `schedule`: the units and the cron line, what is installed and what is left alone, and the environment of cron.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use provider::Endpoint;

use crate::harness::{PATIENCE, Ran, World, short_lived};
use crate::outside::{NOBODY, chmod, hinted, is_root, leave_out, mode, sh, snapshot, write};

/// The unit folder of a world's user.
fn units(world: &World) -> PathBuf {
    world.file("user/.config/systemd/user")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

/// The texts of the service and the timer that `schedule show` prints.
fn shown(world: &World, flags: &[&str]) -> (String, String) {
    let json = world.run([&["schedule", "show", "--json"], flags].concat()).ok().json();
    let text = |index: usize| json["files"][index]["text"].as_str().unwrap().to_owned();
    (text(0), text(1))
}

/// Installs for the user, and returns what was said.
fn install(world: &World, flags: &[&str]) -> Ran {
    world.run([&["schedule", "install", "--user"], flags].concat())
}

/// Claims that systemd finds nothing to say about the units in a folder.
fn claim_verified(folder: &Path, whose: &str) {
    let verify = |file: &str| {
        let mut command = Command::new("systemd-analyze");
        command.args([whose, "--recursive-errors=yes", "verify"]).arg(folder.join(file));
        // a manager of a user wants to know where its runtime folder would be
        let output = command.env("XDG_RUNTIME_DIR", folder).output().expect("systemd is needed");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        // what is wrong with the units of this machine is not ours
        let ours: Vec<&str> = said.lines().filter(|line| line.contains("tokenkeep")).collect();
        assert!(ours.is_empty(), "{said}");
        assert!(output.status.success(), "{said}");
    };
    verify("tokenkeep-refresh.service");
    verify("tokenkeep-refresh.timer");
}

#[test]
fn systemd_finds_nothing_wrong_with_any_unit() {
    let world = World::new();
    let identity = world.identity_file();
    let identity = identity.to_str().unwrap();
    let odd = world.file("out there 50% \"x\"");
    let odd = odd.to_str().unwrap();
    let flags: [&[&str]; 6] = [
        &["--every", "10m"],
        &["--every", "7m", "--write-dir", odd],
        &["--every", "1d", "--credential", identity],
        &["--every", "6h", "--credential-encrypted", identity, "--write-dir", "/run/tokens"],
        &["--every", "7d", "--param", "realm=de v", "--due-within", "5m"],
        &["--every", "30d", "--config", odd],
    ];
    write(Path::new(odd), b"", 0o600);
    for (index, flags) in flags.iter().enumerate() {
        for whose in ["--user", "--system"] {
            let folder = world.file(&format!("units-{index}{whose}"));
            let place = ["schedule", "install", whose, "--dir", folder.to_str().unwrap()];
            let flags: Vec<&str> =
                flags.iter().map(|flag| if *flag == odd && index == 1 { "out there" } else { flag }).collect();
            world.run([&place, flags.as_slice()].concat()).ok();
            claim_verified(&folder, whose);
        }
    }
}

#[test]
fn the_service_is_stopped_so_that_an_exchange_ends_and_can_write_what_it_must() {
    let world = World::new();
    for scope in ["--user", "--system"] {
        let (service, _) = shown(&world, &[scope]);
        let has = |line: &str| service.lines().any(|other| other == line);
        assert!(has("KillMode=control-group") && has("TimeoutStopSec=90"), "{service}");
        // a user's own manager cannot do that without making another world of it
        let of_system = scope == "--system";
        assert_eq!(has(&format!("ReadWritePaths={}", world.vault().display())), of_system, "{service}");
        assert_eq!(has(&format!("ReadWritePaths={}/state", world.home().display())), of_system, "{service}");
        assert_eq!(service.matches("ReadWritePaths=").count(), if of_system { 2 } else { 0 });
        assert_eq!(has("CapabilityBoundingSet="), of_system);
        assert_eq!(service.contains("User="), scope == "--system");
    }
}

#[test]
fn a_timer_makes_up_for_what_it_missed_and_spreads_what_it_asks() {
    let (_, timer) = shown(&World::new(), &["--every", "10m"]);
    for line in
        ["OnCalendar=*:0/10", "Persistent=true", "RandomizedDelaySec=60", "AccuracySec=30", "WantedBy=timers.target"]
    {
        assert!(timer.lines().any(|other| other == line), "{line}: {timer}");
    }
}

#[test]
fn a_unit_runs_as_the_command_that_made_it() {
    let world = World::new();
    let config = world.file("other.toml");
    std::fs::copy(world.home().join("config/config.toml"), &config).unwrap();
    let show = |names: &[(&str, &str)]| {
        let mut command =
            world.command(["--config", "other.toml", "schedule", "show", "--user", "--write-dir", "tokens"]);
        command.args(["--every", "2m"]).env("TOKENKEEP_PARAM_REALM", "dev").envs(names.iter().copied());
        Ran::from(command.output().unwrap()).ok()
    };
    let text = show(&[]).stdout;
    let folder = world.folder.path().display();
    assert!(text.contains(&format!("Environment=TOKENKEEP_HOME={folder}/home\n")), "{text}");
    assert!(text.contains("Environment=TOKENKEEP_PARAM_REALM=dev\n"), "{text}");
    let words = format!("refresh --all --config {folder}/other.toml --due-within 3m --write-dir {folder}/tokens\n");
    assert!(text.contains(&words), "{text}");
    // what everybody can read has no password in it
    let proxy = show(&[("HTTPS_PROXY", "http://ada:canary-1@proxy.example"), ("http_proxy", "http://proxy.example")]);
    let proxy = proxy.hides("canary-1").says("HTTPS_PROXY holds a password");
    assert!(proxy.stdout.contains("Environment=http_proxy=http://proxy.example\n"), "{}", proxy.stdout);
    let identity = show(&[("TOKENKEEP_IDENTITY_FILE", "id.txt"), ("TOKENKEEP_IDENTITY", "AGE-SECRET-KEY-1CANARY")]);
    let identity = identity.hides("CANARY").stdout;
    assert!(identity.contains(&format!("Environment=TOKENKEEP_IDENTITY_FILE={folder}/id.txt\n")), "{identity}");
}

#[test]
fn without_a_home_of_ours_a_unit_of_the_system_is_told_every_folder() {
    let world = World::new();
    let mut command = world.command(["schedule", "show", "--system", "--every", "10m"]);
    let text = Ran::from(command.env_remove("TOKENKEEP_HOME").output().unwrap()).ok().stdout;
    for (variable, below) in [("CONFIG", ".config"), ("DATA", ".local/share"), ("STATE", ".local/state")] {
        let line = format!("Environment=XDG_{variable}_HOME={}/user/{below}\n", world.folder.path().display());
        assert!(text.contains(&line), "{line}: {text}");
    }
}

#[test]
fn a_runtime_folder_is_made_by_systemd_and_any_other_before() {
    let world = World::new();
    let (service, _) = shown(&world, &["--system", "--write-dir", "/run/tokens"]);
    assert!(service.contains("RuntimeDirectory=tokens\n") && !service.contains("ReadWritePaths=/run"), "{service}");
    install(&world, &["--write-dir", "out"]).ok();
    assert_eq!(mode(&world.file("out")), 0o700);
    assert!(read(&units(&world).join("tokenkeep-refresh.service")).contains("/out\n"));
}

#[test]
fn installing_again_changes_nothing_and_another_time_changes_the_timer_alone() {
    let world = World::new();
    let said = install(&world, &["--every", "10m"]).ok().says("is written");
    let said = said.says("systemctl --user daemon-reload && systemctl --user enable tokenkeep-refresh.timer");
    assert_eq!(said.stdout, "");
    let first = snapshot(&units(&world));
    assert_eq!(first.len(), 2);
    assert!(first.keys().all(|path| mode(path) == 0o644));
    install(&world, &["--every", "10m"]).ok().says("is as it should be");
    assert_eq!(snapshot(&units(&world)), first);
    install(&world, &["--every", "20m"]).ok();
    let second = snapshot(&units(&world));
    let changed: Vec<&PathBuf> = first.keys().filter(|path| first[*path] != second[*path]).collect();
    assert_eq!(changed, [&units(&world).join("tokenkeep-refresh.timer")]);
}

#[test]
fn what_somebody_else_wrote_or_changed_stays_until_it_is_forced() {
    let world = World::new();
    let service = units(&world).join("tokenkeep-refresh.service");
    std::fs::create_dir_all(units(&world)).unwrap();
    write(&service, b"[Service]\nExecStart=/bin/true\n", 0o644);
    let before = snapshot(&units(&world));
    install(&world, &[]).fails(2).says("was not written by tokenkeep").says("--force");
    assert_eq!(snapshot(&units(&world)), before);
    install(&world, &["--force"]).ok();
    let edited = read(&service).replace("TimeoutStopSec=90", "TimeoutStopSec=5");
    write(&service, edited.as_bytes(), 0o644);
    install(&world, &[]).fails(2);
    world.run(["schedule", "remove", "--user"]).fails(2).says("changed since");
    assert_eq!(read(&service), edited);
    world.run(["schedule", "remove", "--user", "--force"]).ok();
    assert!(snapshot(&units(&world)).is_empty());
    std::os::unix::fs::symlink("/dev/null", &service).unwrap();
    install(&world, &[]).fails(1).says("not a regular file");
}

#[test]
fn a_file_that_cannot_be_written_leaves_the_others_as_they_were() {
    let world = World::new();
    install(&world, &["--every", "10m"]).ok();
    let before = snapshot(&units(&world));
    // the timer's temporary file cannot be made where a folder of that name is
    std::fs::create_dir(units(&world).join(".tokenkeep-refresh.timer.new")).unwrap();
    install(&world, &["--every", "20m", "--write-dir", "out"]).fails(1);
    std::fs::remove_dir(units(&world).join(".tokenkeep-refresh.timer.new")).unwrap();
    assert_eq!(snapshot(&units(&world)), before);
}

#[test]
fn without_systemd_the_units_are_written_and_the_rest_is_said() {
    let world = World::new();
    install(&world, &["--every", "10m"]).ok().says("systemd does not run here");
    install(&world, &["--now"]).fails(1).says("systemd does not run here").says("systemctl --user enable");
    world.run(["schedule", "remove", "--user"]).ok().says("is removed");
    world.run(["schedule", "remove", "--user"]).fails(8);
}

#[test]
fn nothing_is_installed_without_a_vault_and_who_opens_it_is_asked_for() {
    let world = World::bare(provider::Settings::default());
    install(&world, &[]).fails(5).says("tokenkeep init");
    assert!(!units(&world).exists());
    world.run(["init", "--unlock", "file"]).ok();
    world.forget_identity_file();
    install(&world, &[]).ok().says("nothing opens the vault there");
    std::fs::copy(world.identity_file(), world.file("id.txt")).unwrap();
    install(&world, &["--credential", "id.txt"]).ok().hides("nothing opens");
}

#[test]
fn nothing_is_installed_that_could_never_run() {
    let world = World::new();
    for flag in ["--credential", "--credential-encrypted"] {
        install(&world, &[flag, "nope.txt"]).fails(8).says("there is no credential").says("nope.txt");
    }
    chmod(&world.vault(), 0o000);
    let failed = install(&world, &[]).fails(5).says("cannot be used (mode 000)");
    assert!(!units(&world).exists());
    sh(&hinted(&failed));
    install(&world, &[]).ok();
}

#[test]
fn a_job_of_the_system_runs_as_the_owner_of_the_vault() {
    let world = World::new();
    if !is_root() {
        return;
    }
    sh(&format!("chown -R {NOBODY}:{NOBODY} '{}'", world.home().display()));
    let (service, _) = shown(&world, &["--system"]);
    assert!(service.contains("User=nobody\n"), "{service}");
    install(&world, &[]).fails(2).says("belongs to nobody").says("--system");
    std::fs::remove_dir_all(world.home().join("state")).unwrap();
    let folder = world.file("units");
    let args = ["schedule", "install", "--system", "--dir", folder.to_str().unwrap()];
    let failed = world.run(args).fails(1).says("there is no folder");
    sh(&hinted(&failed));
    world.run(args).ok();
}

#[test]
fn who_is_not_root_is_told_how_root_would_find_the_vault() {
    let world = World::new();
    if !is_root() {
        return;
    }
    chmod(world.folder.path(), 0o755);
    sh(&format!("chown -R {NOBODY} '{}'", world.home().display()));
    crate::manager::bring_program(&world);
    let script = format!("exec setpriv --reuid={NOBODY} --clear-groups '{}' \"$@\"", world.file("tokenkeep").display());
    let args = ["schedule", "install", "--system", "--dir", "/etc/systemd/system"];
    let ran = Ran::from(world.shell(&script, args).output().unwrap()).fails(1);
    ran.says(&format!("sudo TOKENKEEP_HOME='{}' ", world.home().display()));
}

#[test]
fn a_line_for_cron_is_refused_where_cron_would_do_something_else() {
    let world = World::new();
    world.run(["schedule", "show", "--kind", "cron", "--every", "7m"]).fails(2).says("--every 6m");
    world.run(["schedule", "show", "--kind", "cron", "--credential", "x"]).fails(2).says("no credentials");
    world.run(["schedule", "install", "--kind", "cron", "--user"]).fails(2).says("crontab -");
    world.run(["schedule", "install", "--every", "30s"]).fails(2).says("whole minutes");
}

/// A world whose access tokens are used up at once, with odd characters in its path.
fn cron_world() -> (World, PathBuf) {
    let world = World::logged_in(short_lived(300));
    let home = world.file("ci's 50% home");
    std::fs::rename(world.home(), &home).unwrap();
    let config = read(&home.join("config/config.toml"));
    // the identity's path is absolute
    let config = config.replace(world.home().to_str().unwrap(), home.to_str().unwrap());
    std::fs::write(home.join("config/config.toml"), config).unwrap();
    (world, home)
}

/// The line for cron that a world prints, without its five fields.
fn cron_command(world: &World, home: &Path, flags: &[&str]) -> String {
    let mut command = world.command([&["schedule", "show", "--kind", "cron", "--user", "--json"], flags].concat());
    let line = Ran::from(command.env("TOKENKEEP_HOME", home).output().unwrap()).ok().json();
    line["line"].as_str().unwrap().splitn(6, ' ').nth(5).unwrap().to_owned()
}

#[test]
fn what_cron_starts_has_no_home_no_terminal_and_next_to_no_path() {
    let (world, home) = cron_world();
    let command = cron_command(&world, &home, &["--write-dir", "out"]).replace("\\%", "%");
    let ran = Command::new("setsid")
        .args(["--wait", "/bin/sh", "-c", &command])
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .current_dir("/")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let ran = Ran::from(ran).ok();
    // a word would be a mail every hour
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", ""));
    assert!(world.provider.is_access_live(&read(&world.file("out/prod"))));
}

/// Makes cron's world: files of its own, and a clock of its own process. `$1` is a folder for us.
const CRON: &str = r#"
set -e
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs -o mode=1730 tmpfs /var/spool/cron/crontabs
mount -t tmpfs -o mode=755 tmpfs /etc/cron.d
: >"$1/crontab"
mount --bind "$1/crontab" /etc/crontab
crontab "$1/table"
exec faketime -f '@2026-01-01 00:00:58' cron -f
"#;

#[test]
fn a_real_cron_refreshes_by_the_line_that_is_printed() {
    let (world, home) = cron_world();
    if !is_root() {
        return;
    }
    let command = cron_command(&world, &home, &["--write-dir", "out"]);
    // cron's own clock is moved, and not that of what it starts
    let folder = world.folder.path().display();
    let command = format!(
        "unset LD_PRELOAD FAKETIME; {command} >{folder}/said 2>&1 && date >{folder}/ran || date >{folder}/failed"
    );
    write(&world.file("table"), format!("* * * * * {command}\n").as_bytes(), 0o600);
    let mut cron = Command::new("unshare");
    cron.args(["--mount", "--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c", CRON, "sh"]);
    cron.arg(world.folder.path());
    let mut cron = cron.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let end = std::time::Instant::now() + PATIENCE;
    while !world.file("ran").exists() && !world.file("failed").exists() {
        if let Some(status) = cron.try_wait().unwrap() {
            let mut said = String::new();
            std::io::Read::read_to_string(&mut cron.stderr.take().unwrap(), &mut said).unwrap();
            return leave_out(&format!("cron cannot be run here: {status}: {said}"));
        }
        assert!(std::time::Instant::now() < end, "cron starts nothing");
        std::thread::yield_now();
    }
    cron.kill().unwrap();
    cron.wait().unwrap();
    assert!(world.file("ran").exists(), "{}", read(&world.file("said")));
    assert_eq!(world.provider.count(Endpoint::Token), 1);
    assert!(world.provider.is_access_live(&read(&world.file("out/prod"))));
}

#[test]
fn a_credential_whose_name_would_take_the_next_line_of_the_unit_is_refused() {
    let world = World::new();
    for flag in ["--credential", "--credential-encrypted"] {
        for path in ["/srv/key\\", "/srv/key "] {
            world.run(["schedule", "show", flag, path]).fails(2).says("cannot stand in a unit");
        }
        let text = world.run(["schedule", "show", flag, "/srv/a\\b"]).ok().stdout;
        assert!(text.contains("=tokenkeep-identity:/srv/a\\b\n"), "{text}");
    }
}
