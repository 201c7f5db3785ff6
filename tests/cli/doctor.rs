//! `doctor`: what it finds, what it mends, what it does not tell, and that it always ends.

use std::path::Path;

use provider::{Endpoint, Fault, Settings, json};
use serde_json::Value;

use crate::disk::Mount;
use crate::harness::{Ran, World, short_lived};
use crate::outside::{Forger, chmod, hinted, leave_out, mode, sh, snapshot, write};

/// Runs it without asking a provider.
fn doctor(world: &World, flags: &[&str]) -> Ran {
    world.run([&["doctor", "--offline"], flags].concat())
}

/// The lines that begin with a status.
fn lines<'a>(ran: &'a Ran, status: &str) -> Vec<&'a str> {
    ran.stdout.lines().filter(|line| line.starts_with(status)).collect()
}

/// Claims that one line has a status and a text, and that it says what mends it.
#[track_caller]
fn finds(ran: &Ran, status: &str, text: &str) {
    let found = lines(ran, status).into_iter().find(|line| line.contains(text));
    let found = found.unwrap_or_else(|| panic!("no {status} with {text}:\n{}", ran.stdout));
    assert!(status == "ok" || status == "info" || status == "skip" || found.contains("; "), "nothing mends: {found}");
}

/// Claims that it found what failed, and ends so.
#[track_caller]
fn failed(ran: Ran) -> Ran {
    assert_eq!(ran.code, 1, "{}\n{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains("failed") && ran.stderr.contains("hint"), "{}", ran.stderr);
    ran
}

#[test]
fn a_sound_installation_has_nothing_that_failed_and_stays_as_it_is() {
    let world = World::logged_in(Settings::default());
    world.token("prod");
    let before = snapshot(&world.home());
    let ran = world.run(["doctor"]).ok();
    assert_eq!(lines(&ran, "fail"), Vec::<&str>::new());
    for text in ["vault", "nobody else", "opens the vault", "entry prod", "generation 2, 5m", "taken by", "answers"] {
        finds(&ran, "ok", text);
    }
    assert_eq!(snapshot(&world.home()), before);
    let report = world.run(["doctor", "--json"]).ok().json();
    assert_eq!((report["schema"].as_u64(), report["counts"]["fail"].as_u64()), (Some(1), Some(0)));
    for check in report["checks"].as_array().unwrap() {
        assert!(["ok", "info", "skip", "warn"].contains(&check["status"].as_str().unwrap()), "{check}");
        assert!(check["mend"].is_string() || check["status"] != "warn", "{check}");
    }
}

#[test]
fn offline_nobody_is_asked() {
    let world = World::logged_in(Settings::default());
    doctor(&world, &[]).ok();
    assert_eq!(world.provider.count(Endpoint::Discovery), 0);
    world.run(["doctor"]).ok();
    assert_eq!((world.provider.count(Endpoint::Discovery), world.provider.count(Endpoint::Jwks)), (1, 1));
}

#[test]
fn it_ends_with_a_report_without_a_vault_a_home_or_a_sound_configuration() {
    let world = World::bare(Settings::default());
    finds(&failed(doctor(&world, &[])), "fail", "tokenkeep init");
    let mut bare = world.command(["doctor", "--offline"]);
    let ran = Ran::from(bare.env_clear().output().unwrap());
    assert!(ran.code <= 1 && ran.stdout.contains("program"), "{ran:?}");
    world.run(["init", "--unlock", "file"]).ok();
    world.edit_config(|text| text + "[profiles.prod]\nissuerr = \"x\"\n");
    let ran = failed(doctor(&world, &[]));
    finds(&ran, "fail", "did you mean `issuer`?");
    finds(&ran, "ok", "nobody else can read");
    finds(&ran, "skip", "the configuration cannot be read");
    assert_eq!(failed(doctor(&world, &["--json"])).json()["counts"]["fail"], 1);
}

#[test]
fn a_locked_vault_is_looked_at_from_outside_and_nobody_is_asked() {
    let world = World::logged_in(Settings::default());
    world.forget_identity_file();
    let ran = doctor(&world, &[]).ok();
    finds(&ran, "warn", "the vault is locked");
    finds(&ran, "ok", "nobody else can read");
    assert!(!ran.stdout.contains("entry prod"));
}

#[test]
fn a_keyring_that_is_not_there_is_missed_only_where_it_is_used() {
    let world = World::logged_in(Settings::default());
    finds(&doctor(&world, &[]).ok(), "skip", "nothing of this vault rests in the keyring");
    world.edit_config(|text| text.replace("[unlock]\n", "[unlock]\nkeyring = true\n"));
    finds(&doctor(&world, &[]).ok(), "warn", "there is no keyring here");
    world.forget_identity_file();
    finds(&failed(doctor(&world, &[])), "fail", "there is no keyring here");
}

#[test]
fn a_vault_that_unlock_left_open_is_said_to_be() {
    let world = World::logged_in(Settings::default());
    world.forget_identity_file();
    let mut unlock = world.command(["unlock", "--for", "5m"]);
    let unlocked = unlock.env("TOKENKEEP_IDENTITY_FILE", world.identity_file()).output().unwrap();
    if !unlocked.status.success() {
        return leave_out(&String::from_utf8_lossy(&unlocked.stderr));
    }
    let ran = doctor(&world, &[]).ok();
    world.run(["lock"]).ok();
    finds(&ran, "info", "open for all your programs until");
    finds(&ran, "ok", "the kernel keyring opens the vault");
    finds(&doctor(&world, &[]).ok(), "ok", "left nothing there");
}

#[test]
fn modes_are_mended_also_where_one_hides_another() {
    let world = World::logged_in(Settings::default());
    chmod(&world.vault(), 0o755);
    chmod(&world.entry("prod"), 0o750);
    chmod(&world.entry("prod").join("1.age"), 0o644);
    chmod(&world.identity_file(), 0o644);
    chmod(&world.home().join("state/pins"), 0o777);
    chmod(&world.home().join("config/config.toml"), 0o666);
    let before = failed(doctor(&world, &[]));
    finds(&before, "fail", "config.toml is open to others");
    chmod(&world.home().join("config/config.toml"), 0o600);
    let ran = doctor(&world, &[]);
    let unlocking = lines(&ran, "fail  unlocking");
    assert!(unlocking.iter().any(|line| line.contains("`chmod 700 ")), "{unlocking:?}");
    chmod(&world.home().join("config/config.toml"), 0o666);
    assert!(before.stderr.contains("doctor --fix"), "{}", before.stderr);
    let ran = doctor(&world, &["--fix"]).ok();
    assert_eq!(lines(&ran, "done").len(), 6, "{}", ran.stdout);
    assert_eq!((mode(&world.vault()), mode(&world.entry("prod").join("1.age"))), (0o700, 0o600));
    assert_eq!(lines(&doctor(&world, &["--fix"]).ok(), "done"), Vec::<&str>::new());
    world.token("prod");
}

#[test]
fn what_is_not_safe_to_mend_stays_and_is_said() {
    let world = World::logged_in(Settings::default());
    let link = world.vault().join("entries/link");
    std::os::unix::fs::symlink("/etc", &link).unwrap();
    let ran = failed(doctor(&world, &["--fix"]));
    finds(&ran, "fail", "is a symbolic link");
    assert!(link.symlink_metadata().unwrap().is_symlink() && mode(Path::new("/etc")) == 0o755);
    std::fs::remove_file(link).unwrap();
    // another vault is a question of trust
    std::fs::write(std::fs::read_dir(world.home().join("state/pins")).unwrap().next().unwrap().unwrap().path(), "x")
        .unwrap();
    finds(&failed(doctor(&world, &["--fix"])), "fail", "this is not the vault you used");
}

#[test]
fn what_killed_processes_left_is_removed_and_what_somebody_writes_is_not() {
    let world = World::logged_in(Settings::default());
    let (left, busy) = (world.vault().join(".vault.toml.new"), world.home().join("state/pins/.x.new"));
    write(&left, b"", 0o600);
    write(&busy, b"", 0o600);
    let writer = std::fs::File::open(&busy).unwrap();
    writer.lock().unwrap();
    finds(&doctor(&world, &[]).ok(), "warn", "was left by a process that was killed");
    doctor(&world, &["--fix"]).ok();
    assert!(!left.exists() && busy.exists());
}

#[test]
fn what_was_left_anywhere_of_ours_is_found_and_what_may_hold_a_token_stays() {
    let world = World::logged_in(Settings::default());
    let removed = [".config.toml.new"].map(|name| world.home().join("config").join(name)).into_iter();
    let removed: Vec<_> =
        removed.chain([world.vault().join("entries/.prod.new"), world.home().join("state/.pins.new")]).collect();
    let (beside, token) = (world.home().join("data/.ledger.db.new"), world.entry("prod").join(".next.new"));
    for path in removed.iter().chain([&beside, &token]) {
        write(path, b"x", 0o600);
    }
    let ran = doctor(&world, &[]).ok();
    for path in removed.iter().chain([&beside]) {
        finds(&ran, "warn", path.to_str().unwrap());
    }
    doctor(&world, &["--fix"]).ok();
    assert!(removed.iter().all(|path| !path.exists()) && beside.exists() && token.exists());
}

#[test]
fn folders_that_others_can_write_are_found_and_mended() {
    let world = World::logged_in(Settings::default());
    let (config, data) = (world.home().join("config"), world.home().join("data"));
    chmod(&config, 0o777);
    chmod(&data, 0o770);
    let ran = failed(doctor(&world, &[]));
    finds(&ran, "fail", &format!("{} is open to others", config.display()));
    finds(&ran, "warn", &format!("{} is open to others", data.display()));
    doctor(&world, &["--fix"]).ok();
    assert_eq!((mode(&config), mode(&data)), (0o755, 0o750));
}

#[test]
fn files_of_the_ledger_that_everybody_can_use_are_found_and_mended() {
    let world = World::logged_in(Settings::default());
    world.run(["job-token", "issue", "job"]).ok();
    let [ledger, log, index] =
        ["ledger.db", "ledger.db-wal", "ledger.db-shm"].map(|name| world.home().join("data").join(name));
    assert!(log.exists() && index.exists());
    chmod(&ledger, 0o640);
    chmod(&log, 0o644);
    chmod(&index, 0o646);
    let ran = failed(doctor(&world, &[]));
    finds(&ran, "warn", &format!("{} is open to others", log.display()));
    finds(&ran, "fail", &format!("{} is open to others", index.display()));
    doctor(&world, &["--fix"]).ok();
    assert_eq!([&ledger, &log, &index].map(|path| mode(path)), [0o640; 3]);
    chmod(&world.home().join("data"), 0o777);
    world.run(["token", "list"]).fails(9).says("the folder of the ledger");
    chmod(&world.home().join("data"), 0o700);
    chmod(&ledger, 0o602);
    world.run(["token", "list"]).fails(9).says("the ledger /");
    doctor(&world, &["--fix"]).ok();
    world.run(["token", "list"]).ok();
}

#[test]
fn what_cannot_be_written_is_found_before_a_refresh_fails() {
    let world = World::logged_in(Settings::default());
    let before = snapshot(&world.home());
    finds(&doctor(&world, &[]).ok(), "ok", "can be written");
    assert_eq!(snapshot(&world.home()), before);
    let Some(mount) = Mount::of_itself(&world.home().join("data")) else { return };
    mount.remount("ro");
    let ran = failed(doctor(&world, &[]));
    finds(&ran, "fail", &format!("cannot write to {}", world.vault().join("entries").display()));
    world.run(["refresh", "prod"]).fails(1).says("Read-only");
    mount.remount("rw");
    finds(&doctor(&world, &[]).ok(), "ok", "can be written");
}

#[test]
fn a_default_profile_that_nobody_knows_is_found() {
    let world = World::logged_in(Settings::default());
    world.edit_config(|text| format!("[defaults]\nprofile = \"prot\"\n{text}"));
    finds(&doctor(&world, &[]).ok(), "warn", "did you mean `prod`?");
    assert!(world.run(["status"]).ok().stdout.contains("the default profile is no profile"));
    world.edit_config(|text| text.replace("prot", "prod"));
    assert!(!doctor(&world, &[]).ok().stdout.contains("the default profile"));
}

#[test]
fn what_we_say_of_a_key_ourselves_is_not_taken_out() {
    let world = World::logged_in(Settings::default());
    write(&world.identity_file(), b"my diary\n", 0o600);
    let report = failed(doctor(&world, &["--json"]));
    assert!(report.stdout.contains("AGE-SECRET-KEY-1... or AGE-PLUGIN-NAME-1..."), "{}", report.stdout);
}

#[test]
fn an_answer_that_was_never_published_is() {
    let world = World::logged_in(Settings::default());
    world.token("prod");
    let newest = world.entry("prod").join("2.age");
    let forger = Forger::of(&world);
    let next = forger.json(&newest).replace("\"generation\":2", "\"generation\":3");
    forger.put(&world.entry("prod").join("next"), &next);
    finds(&doctor(&world, &[]).ok(), "warn", "waits to be published");
    let ran = doctor(&world, &["--fix"]).ok();
    finds(&ran, "ok", "generation 3");
    assert_eq!(world.generation("prod"), 3);
}

#[test]
fn a_missing_state_folder_is_made() {
    let world = World::logged_in(Settings::default());
    std::fs::remove_dir_all(world.home().join("state")).unwrap();
    // opening the vault pins it anew, and makes the folder: only a locked one leaves it missing
    world.forget_identity_file();
    finds(&failed(doctor(&world, &[])), "fail", "there is no");
    doctor(&world, &["--fix"]).ok();
    assert_eq!(mode(&world.home().join("state")), 0o700);
}

#[test]
fn a_lock_that_is_held_is_said_and_not_waited_for() {
    let world = World::logged_in(Settings::default());
    let lock = world.entry("prod").join("lock");
    let file = std::fs::File::open(&lock).unwrap();
    file.lock().unwrap();
    finds(&doctor(&world, &["--fix"]).ok(), "info", "somebody holds the lock of `prod`");
}

#[test]
fn a_pipe_in_the_place_of_a_lock_holds_nobody_up() {
    let world = World::logged_in(Settings::default());
    let lock = world.entry("prod").join("lock");
    std::fs::remove_file(&lock).unwrap();
    sh(&format!("mkfifo -m 600 '{}'", lock.display()));
    finds(&failed(doctor(&world, &["--fix"])), "fail", "is not a regular file");
    world.run(["status"]).ok();
    world.run(["list"]).ok();
}

#[test]
fn a_login_that_has_ended_and_a_provider_that_is_gone_fail() {
    let world = World::logged_in(short_lived(300));
    world.provider.misbehave(Endpoint::Token, Fault::oauth("invalid_grant"));
    world.run(["get", "prod"]).fails(4);
    let ran = failed(doctor(&world, &[]));
    finds(&ran, "fail", "tokenkeep generate prod");
    world.run(["profile", "add", "gone", "--issuer", "http://127.0.0.1:9/realm", "--client-id", "x"]).ok();
    finds(&failed(world.run(["doctor"])), "fail", "http://127.0.0.1:9");
}

#[test]
fn what_a_provider_does_not_have_is_said() {
    let world = World::new();

    world.provider.misbehave(Endpoint::Discovery, Fault::set("grant_types_supported", json!(["authorization_code"])));
    let ran = world.run(["doctor"]).ok();
    finds(&ran, "warn", "does not say that it has the device flow");
    finds(&ran, "warn", "nobody has logged in to `prod`");
}

#[test]
fn a_clock_that_is_off_is_noticed_by_the_provider_s() {
    let world = World::new();
    let answer = Fault::Status {
        code: 200,
        content_type: "application/json".to_owned(),
        body: json!({"issuer": world.provider.issuer()}).to_string(),
        headers: vec![("Date".to_owned(), "Thu, 01 Jan 2026 00:00:00 GMT".to_owned())],
    };
    world.provider.misbehave(Endpoint::Discovery, answer);
    finds(&world.run(["doctor"]).ok(), "warn", "ahead of that of");
}

#[test]
fn variables_that_do_harm_are_named() {
    let world = World::logged_in(Settings::default());
    let mut command = world.command(["doctor", "--offline"]);
    command.env("PROD_ACCESS_TOKEN", "canary-1").env("TOKENKEEP_PROFIL", "prod").env("TOKENKEEP_PASSPHRASE", "x");
    command.env("TOKENKEEP_IDENTITY", std::fs::read_to_string(world.identity_file()).unwrap());
    let ran = Ran::from(command.output().unwrap()).ok().hides("canary-1").hides("AGE-SECRET-KEY");
    finds(&ran, "warn", "PROD_ACCESS_TOKEN is set");
    finds(&ran, "warn", "did you mean TOKENKEEP_PROFILE?");
    finds(&ran, "warn", "`unset TOKENKEEP_PASSPHRASE`");
    finds(&ran, "warn", "TOKENKEEP_IDENTITY holds the key itself");
}

#[test]
fn a_timer_is_found_and_one_whose_program_is_gone_fails() {
    let world = World::logged_in(Settings::default());
    finds(&doctor(&world, &[]).ok(), "info", "nothing refreshes regularly");
    let program = world.file("bin/tokenkeep");
    std::fs::create_dir(world.file("bin")).unwrap();
    // by another process: a child of another test could hold what we write, and what is written cannot be run
    sh(&format!("cp '{}' '{}'", env!("CARGO_BIN_EXE_tokenkeep"), program.display()));
    let install = world.command(["schedule", "install", "--user"]);
    let mut command = std::process::Command::new(&program);
    command.args(install.get_args()).env_clear();
    command.envs(install.get_envs().filter_map(|(name, value)| Some((name, value?))));
    assert!(command.output().unwrap().status.success());
    finds(&doctor(&world, &[]).ok(), "ok", "tokenkeep-refresh.service refreshes");
    std::fs::remove_file(program).unwrap();
    finds(&failed(doctor(&world, &[])), "fail", "which is not there; type `tokenkeep schedule install` again");
}

#[test]
fn a_report_can_be_shown_to_others_and_its_commands_can_be_typed() {
    let world = World::logged_in(Settings::default());
    let token = world.token("prod");
    let home = world.file("home");
    chmod(&world.entry("prod").join("1.age"), 0o644);
    let run = |flags: &[&str]| {
        let mut command = world.command([&["doctor", "--offline"], flags].concat());
        // everything lies in this person's home
        Ran::from(command.env("HOME", world.folder.path()).output().unwrap())
    };
    let identity = std::fs::read_to_string(world.identity_file()).unwrap();
    let key = identity.lines().find(|line| line.starts_with("AGE-SECRET")).unwrap();
    for ran in [run(&[]), run(&["--json"])] {
        let ran = failed(ran).hides(&token).hides(key).hides(home.to_str().unwrap());
        assert!(ran.stdout.contains("~/"), "{}", ran.stdout);
    }
    let report: Value = run(&["--json"]).json();
    let mends = report["checks"].as_array().unwrap().iter().filter(|check| check["status"] == "fail");
    let mend = mends.map(|check| check["mend"].as_str().unwrap()).next().unwrap();
    let command = mend.split('`').nth(1).unwrap();
    sh(&format!("HOME='{}'; {command}", world.folder.path().display()));
    run(&[]).ok();
    // as a hint outside of the report names the whole path
    chmod(&world.entry("prod"), 0o755);
    sh(&hinted(&world.run(["get", "prod"]).fails(5)));
    world.token("prod");
}
