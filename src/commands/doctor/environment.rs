//! The program, where it runs, which variables it sees, its folders, the disk and the clock.

use std::path::Path;

use super::Scene;
use super::finding::{Finding, Fix, Status};
use crate::error::chain;
use crate::host::files::{self, FileFault};
use crate::host::folders::NoHome;
use crate::host::{machine, process, program, route, survey, terminal};
use crate::profile::variable_of;
use crate::token::nearest::nearest;
use crate::token::time::Timestamp;
use crate::vault::sealing::LARGEST_FILE;
use crate::vault::shelf::Shelf;

/// Says which program this is.
pub(super) fn program(scene: &Scene<'_>) -> Vec<Finding> {
    let host = &scene.cx.host;
    let path = program::own_path(host.args.first().map(std::ffi::OsString::as_os_str), &host.env);
    let path = path.map_or_else(|error| format!("an unknown place ({error})"), |path| path.display().to_string());
    let (version, system, machine) = (env!("CARGO_PKG_VERSION"), std::env::consts::OS, std::env::consts::ARCH);
    vec![Finding::new("program", Status::Info, format!("tokenkeep {version} for {system} on {machine}, {path}"))]
}

/// Says in what surroundings it runs.
pub(super) fn surroundings(scene: &Scene<'_>) -> Vec<Finding> {
    let env = &scene.cx.host.env;
    let is_set = |variable: &str| env.raw(variable).is_some();
    let is_there = |path: &str| Path::new(path).exists();
    let seen = [
        (terminal::is_in_front(), "a terminal"),
        (!terminal::is_in_front(), "no terminal"),
        (is_set("GITHUB_ACTIONS"), "GitHub Actions"),
        (is_set("GITLAB_CI"), "GitLab CI"),
        (is_set("JENKINS_URL"), "Jenkins"),
        (is_set("CI"), "CI: nothing is ever asked"),
        (is_set("INVOCATION_ID") && !terminal::is_in_front(), "a unit of systemd"),
        (is_set("SSH_CONNECTION"), "ssh"),
        (is_there("/.dockerenv") || is_there("/run/.containerenv") || is_set("container"), "a container"),
    ];
    let seen: Vec<&str> = seen.iter().filter(|(holds, _)| *holds).map(|(_, what)| *what).collect();
    vec![Finding::new("surroundings", Status::Info, seen.join(", "))]
}

/// What the names of our variables begin with.
const PREFIX: &str = "TOKENKEEP_";

/// The variables of ours.
const OURS: [&str; 11] = [
    "TOKENKEEP_HOME",
    "TOKENKEEP_CONFIG",
    "TOKENKEEP_PROFILE",
    "TOKENKEEP_MIN_TTL",
    "TOKENKEEP_LEDGER",
    "TOKENKEEP_ISSUED_ISSUER",
    "TOKENKEEP_JOB_TTL",
    "TOKENKEEP_USER_TTL",
    "TOKENKEEP_IDENTITY_FILE",
    "TOKENKEEP_IDENTITY",
    "TOKENKEEP_JOB_TOKEN",
];

/// Looks for variables that are dangerous, mistyped, or in the way of those that `env` and `exec` set.
pub(super) fn variables(scene: &Scene<'_>) -> Vec<Finding> {
    let env = &scene.cx.host.env;
    let mut findings = Vec::new();
    if env.raw("TOKENKEEP_IDENTITY").is_some() {
        let message = "TOKENKEEP_IDENTITY holds the key itself, and every program started here can read it";
        findings.push(Finding::new("environment", Status::Warn, message).mend("use TOKENKEEP_IDENTITY_FILE"));
    }
    for name in env.iter().filter_map(|(name, _)| name.to_str()) {
        let Some(rest) = name.strip_prefix(PREFIX) else { continue };
        if OURS.contains(&name) || rest.starts_with("PARAM_") {
            continue;
        }
        // what all have in common makes none of them near
        let mend = match nearest(rest, OURS.into_iter().filter_map(|ours| ours.strip_prefix(PREFIX))) {
            Some(near) => format!("did you mean {PREFIX}{near}?"),
            None => format!("type `unset {name}`"),
        };
        findings.push(Finding::new("environment", Status::Warn, format!("nothing reads {name}")).mend(mend));
    }
    findings.extend(shadowing(scene));
    let proxies: Vec<&str> = route::PROXIES.into_iter().filter(|name| env.raw(name).is_some()).collect();
    if !proxies.is_empty() {
        let message = format!("providers are reached through a proxy: {}", proxies.join(", "));
        findings.push(Finding::new("environment", Status::Info, message));
    }
    if findings.is_empty() {
        findings.push(Finding::new("environment", Status::Ok, "no variable is in the way"));
    }
    findings
}

/// Looks for variables that `env` and `exec` would set, and that have a value already.
fn shadowing(scene: &Scene<'_>) -> Vec<Finding> {
    let Some(folders) = scene.folders() else { return Vec::new() };
    let settings = scene.cx.settings().ok();
    let entries = Shelf::of(&folders.data.join("vault")).names().unwrap_or_default().entries;
    let variable = |name: &crate::profile::EntryName| {
        let profile = settings.and_then(|settings| settings.config.profiles.get(&name.profile()));
        let own = profile.and_then(|profile| profile.var.clone());
        (own.unwrap_or_else(|| variable_of(name, "_ACCESS_TOKEN")), name.clone())
    };
    let is_set = |(variable, _): &(String, _)| scene.cx.host.env.raw(variable).is_some();
    let found = entries.iter().map(variable).filter(is_set).map(|(variable, name)| {
        let message = format!("{variable} is set, and stays as it is when the token of `{name}` is refreshed");
        Finding::new("environment", Status::Warn, message).mend(format!("type `unset {variable}`"))
    });
    found.collect()
}

/// Checks the folders that are ours, and the one of this login.
pub(super) fn folders(scene: &Scene<'_>) -> Vec<Finding> {
    const CHECK: &str = "folders";
    let Some(folders) = scene.folders() else {
        return vec![Finding::of_failure(CHECK, Status::Fail, NoHome)];
    };
    let mut findings = Vec::new();
    let has_vault = folders.data.join("vault").exists();
    match files::check_folder(&folders.state) {
        Err(fault) if fault.is_missing() && !has_vault => {}
        Err(fault) if fault.is_missing() => {
            let message =
                format!("there is no {}: nobody would notice another vault or a spent token", folders.state.display());
            let finding = Finding::new(CHECK, Status::Fail, message).fix(Fix::Folder(folders.state.clone()));
            findings.push(finding.mend("type `tokenkeep doctor --fix`"));
        }
        Err(fault) => findings.push(Finding::of_fault(CHECK, Status::Fail, &fault)),
        Ok(()) => findings.extend(
            survey::faults_below(&folders.state).iter().map(|fault| Finding::of_fault(CHECK, Status::Fail, fault)),
        ),
    }
    let shared = [&folders.config, &folders.data].map(|folder| files::check_unwritable(folder).err());
    let shared = shared.into_iter().flatten().filter(|fault| !fault.is_missing());
    findings.extend(shared.map(|fault| Finding::of_fault(CHECK, loose(&fault), &fault)));
    findings
        .extend(runtime(scene).map(|fault| Finding { fix: None, ..Finding::of_fault(CHECK, Status::Warn, &fault) }));
    if has_vault && machine::is_on_network(&folders.data) {
        let message = format!("{} is on a network file system, whose locks may not hold", folders.data.display());
        findings.push(
            Finding::new(CHECK, Status::Warn, message).mend("put it on a local disk, and name it in TOKENKEEP_HOME"),
        );
    }
    if findings.is_empty() {
        findings.push(Finding::new(CHECK, Status::Ok, format!("state in {}", folders.state.display())));
    }
    findings
}

/// Tells how bad it is that others can use a file or folder: a group may be meant to, everybody is not.
pub(super) fn loose(fault: &FileFault) -> Status {
    match fault {
        FileFault::TooOpen { mode, .. } if mode & 0o002 != 0 => Status::Fail,
        _ => Status::Warn,
    }
}

/// Returns what is wrong with the runtime folder, where token files of `exec` lie.
fn runtime(scene: &Scene<'_>) -> Option<FileFault> {
    let runtime = scene.cx.host.env.raw("XDG_RUNTIME_DIR")?;
    files::check_folder(Path::new(runtime)).err()
}

/// Checks whether a generation could be written.
pub(super) fn room(scene: &Scene<'_>) -> Vec<Finding> {
    const CHECK: &str = "room";
    // a generation, one beside it, and what the ledger and journals take
    const ENOUGH: u64 = 16 * 1024 * 1024;
    let Some(folders) = scene.folders() else { return Vec::new() };
    let largest = LARGEST_FILE as u64;
    if process::largest_file().is_some_and(|limit| limit < largest) {
        let message = "the limit on the size of files is too low for a refresh";
        return vec![Finding::new(CHECK, Status::Fail, message).mend("type `ulimit -f unlimited`")];
    }
    let Some(room) = survey::room_at(&folders.data) else {
        return vec![Finding::new(CHECK, Status::Skip, "the file system does not say how much room there is")];
    };
    let status = match room {
        room if room < largest => Status::Fail,
        room if room < ENOUGH => Status::Warn,
        _ => Status::Ok,
    };
    let finding = Finding::new(CHECK, status, format!("{} MiB are free for the vault", room / 1024 / 1024));
    vec![if status == Status::Ok {
        finding
    } else {
        finding.mend(format!("type `df -h '{}'`", folders.data.display()))
    }]
}

/// Checks whether anything can be written where it must be; nothing is written for that.
pub(super) fn writing(scene: &Scene<'_>) -> Vec<Finding> {
    const CHECK: &str = "writing";
    let Some(folders) = scene.folders() else { return Vec::new() };
    let vault = folders.data.join("vault");
    if !vault.exists() {
        return Vec::new();
    }
    let places = [vault.join("entries"), vault, folders.state];
    let mut findings: Vec<Finding> = places
        .iter()
        .filter_map(|place| Some(of_unwritable(CHECK, Status::Fail, &survey::unwritable(place)?)))
        .collect();
    let ledger = scene.cx.ledger_path().ok().filter(|ledger| ledger.exists());
    // without that it still answers, and issues nothing
    let ledger = ledger.and_then(|ledger| survey::unwritable(ledger.parent()?));
    findings.extend(ledger.map(|fault| of_unwritable(CHECK, Status::Warn, &fault)));
    if findings.is_empty() {
        findings.push(Finding::new(CHECK, Status::Ok, "vault, state and ledger can be written"));
    }
    findings
}

/// Puts down that a folder cannot be written, and where to look why.
fn of_unwritable(check: &str, status: Status, fault: &FileFault) -> Finding {
    let finding = Finding::of_fault(check, status, fault);
    let mend = finding.mend.or_else(|| Some("see with `df -h` and `lsattr -d` what keeps it from that".to_owned()));
    Finding { message: chain(fault), mend, ..finding }
}

/// Checks whether the clock can be right; each provider's is compared where it is asked.
pub(super) fn clock(scene: &Scene<'_>) -> Vec<Finding> {
    /// 2025-01-01: before that there was no such program.
    const BEFORE: Timestamp = Timestamp::from_epoch(1_735_689_600);
    let now = scene.cx.now();
    if now < BEFORE {
        let finding = Finding::new("clock", Status::Fail, format!("the clock stands at {now}"));
        return vec![finding.mend("type `timedatectl set-ntp true`")];
    }
    vec![Finding::new("clock", Status::Ok, now.to_string())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_variable_that_is_explained_is_known() {
        let text = include_str!("../help/environment.txt");
        let words = text.split(|c: char| !c.is_ascii_uppercase() && c != '_');
        for word in words.filter(|word| word.starts_with("TOKENKEEP_") && !word.starts_with("TOKENKEEP_PARAM")) {
            assert!(OURS.contains(&word), "{word}");
        }
    }
}
