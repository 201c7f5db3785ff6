//! The vault: is it there, is it private, does it open without a person, what lies in it, and how each entry stands.

use std::borrow::Cow;
use std::path::PathBuf;

use super::Scene;
use super::finding::{Finding, Fix, Status};
use crate::backend::Backend;
use crate::commands::exec::fresh;
use crate::commands::problems::{misplaced, of_entry};
use crate::commands::seen::{self, Seen};
use crate::error::{chain, hint_for};
use crate::host::files::{self, Access};
use crate::host::kernel_keyring::KernelFault;
use crate::host::survey;
use crate::host::temporary;
use crate::keeper::note::{Event, when};
use crate::keeper::standing::{self, Standing};
use crate::profile::EntryName;
use crate::token::time::{Lifetime, Timestamp};
use crate::vault::VaultError;
use crate::vault::header::Header;
use crate::vault::kernel;
use crate::vault::pin::{Known, Pin};
use crate::vault::rotation;
use crate::vault::shelf::Shelf;
use crate::vault::unlock::Lent;

/// Looking at entries ends after this long: a report must come, also of a vault with a hundred thousand of them.
const PATIENCE: Lifetime = Lifetime::seconds(10);

/// Checks that there is a vault, and that it is the one that was used before.
pub(super) fn header(scene: &Scene<'_>) -> Vec<Finding> {
    const CHECK: &str = "vault";
    let Some(folders) = scene.folders() else { return Vec::new() };
    let folder = folders.data.join("vault");
    let finding = match Header::read(&folder) {
        Ok(header) => match Pin::of(&folders.state, &folder).check(&folder, &header.recipient) {
            Ok(Known::Same) => {
                Finding::new(CHECK, Status::Ok, format!("{}, the one that was used before", folder.display()))
            }
            Ok(Known::New) => {
                Finding::new(CHECK, Status::Info, format!("{}, not used on this machine yet", folder.display()))
            }
            Err(error) => Finding::of_failure(CHECK, Status::Fail, error),
        },
        Err(error) => Finding::of_failure(CHECK, Status::Fail, error),
    };
    vec![finding]
}

/// Checks that everything in the vault is ours alone.
pub(super) fn files(scene: &Scene<'_>) -> Vec<Finding> {
    const CHECK: &str = "vault files";
    let Some(folder) = scene.folders().map(|folders| folders.data.join("vault")) else { return Vec::new() };
    if !folder.exists() {
        return Vec::new();
    }
    let faults = survey::faults_below(&folder);
    if faults.is_empty() {
        return vec![Finding::new(CHECK, Status::Ok, "nobody else can read or write them")];
    }
    faults.iter().map(|fault| Finding::of_fault(CHECK, Status::Fail, fault)).collect()
}

/// Checks that the vault opens with nobody at the keyboard.
pub(super) fn unlocking(scene: &Scene<'_>) -> Vec<Finding> {
    const CHECK: &str = "unlocking";
    let lent = if matches!(left_open(scene), Ok(Some(_))) { Lent::Yes } else { Lent::No };
    let source = scene.cx.sources().ok().and_then(|sources| sources.present(lent));
    let named = source.unwrap_or_else(|| "nothing".to_owned());
    let finding = match &scene.vault {
        Ok(Ok(_)) => Finding::new(CHECK, Status::Ok, format!("{named} opens the vault, without a person")),
        Ok(Err(VaultError::Missing { .. } | VaultError::HeaderMissing { .. })) => return Vec::new(),
        Ok(Err(VaultError::Locked { slots, kernel })) => {
            let error = VaultError::Locked { slots: slots.clone(), kernel: *kernel };
            Finding::of_failure(CHECK, Status::Warn, error)
        }
        Ok(Err(error)) => {
            let fix = identity_fix(scene).and_then(|finding| finding.fix);
            let finding = Finding::new(CHECK, Status::Fail, chain(error));
            Finding { mend: hint_for(error).map(Cow::into_owned), fix, ..finding }
        }
        Err(_) => Finding::new(CHECK, Status::Skip, "the configuration cannot be read"),
    };
    vec![finding]
}

/// Looks whether `unlock` left the vault open.
fn left_open(scene: &Scene<'_>) -> Result<Option<kernel::Opened>, KernelFault> {
    let header = scene.folders().and_then(|folders| Header::read(&folders.data.join("vault")).ok());
    header.map_or(Ok(None), |header| kernel::find(&header.recipient))
}

/// Checks the keyring of the desktop, where entries or the vault's key rest in it; nobody else asks it anything.
pub(super) fn desktop_keyring(scene: &Scene<'_>) -> Vec<Finding> {
    const CHECK: &str = "keyring";
    let (Ok(site), Ok(sources)) = (scene.cx.site(), scene.cx.sources()) else { return Vec::new() };
    if site.backend != Backend::Keyring && sources.keyring.is_none() {
        return vec![Finding::new(CHECK, Status::Skip, "nothing of this vault rests in the keyring of the desktop")];
    }
    // where the vault opens all the same it is missed by nobody yet
    let status = if scene.open_vault().is_some() { Status::Warn } else { Status::Fail };
    vec![match site.keyring.check() {
        Ok(()) => {
            Finding::new(CHECK, Status::Ok, "the keyring of the desktop is there, unlocked, and keeps what it gets")
        }
        Err(fault) => Finding::new(CHECK, status, fault.to_string()).mend(fault.mend()),
    }]
}

/// Says whether `unlock` left the vault open, and whether it could.
pub(super) fn kernel_keyring(scene: &Scene<'_>) -> Vec<Finding> {
    const CHECK: &str = "kernel keyring";
    let until = |until: Option<Timestamp>| until.map(|until| format!(" until {until}")).unwrap_or_default();
    vec![match left_open(scene) {
        Ok(Some(opened)) => {
            let message = format!("the vault is open for all your programs{}", until(opened.until));
            Finding::new(CHECK, Status::Info, message).mend("close it with `tokenkeep lock`")
        }
        Ok(None) => Finding::new(CHECK, Status::Ok, "`tokenkeep unlock` left nothing there"),
        // who opens the vault another way does not need it
        Err(fault) => Finding::new(CHECK, Status::Info, fault.to_string()),
    }]
}

/// Returns what is wrong with the identity file that the configuration names.
fn identity_fix(scene: &Scene<'_>) -> Option<Finding> {
    let path = scene.cx.settings().ok()?.identity_file()?;
    let fault = files::check_file(&path, Access::Credential).err()?;
    Some(Finding::of_fault("unlocking", Status::Fail, &fault))
}

/// Looks for what killed processes left, and for locks that are held for too long.
pub(super) fn leftovers(scene: &Scene<'_>) -> Vec<Finding> {
    let Some(folders) = scene.folders() else { return Vec::new() };
    let folder = folders.data.join("vault");
    let shelf = Shelf::of(&folder);
    let names = shelf.names().unwrap_or_default();
    let below = |folder: &PathBuf, names: &[&str]| names.iter().map(|name| folder.join(name)).collect::<Vec<_>>();
    // in an entry's own folder such a file may hold a token, and who next writes there takes it over
    let vaults = below(&folder, &["", "slots", "entries"]);
    let ours = [vec![folders.config], vaults, below(&folders.state, &["", "pins", "spent"])].concat();
    let of_left = |path: &PathBuf| {
        let message = format!("{} was left by a process that was killed", path.display());
        Finding::new("leftovers", Status::Warn, message).mend(format!("type `rm '{}'`", path.display()))
    };
    let left = survey::leftovers(&ours).into_iter().map(|path| of_left(&path).fix(Fix::Remove(path)));
    // where we write no such file it may be somebody else's
    let others = survey::leftovers(&[folders.data]);
    let mut findings: Vec<Finding> = left.chain(others.iter().map(of_left)).collect();
    let tokens = fresh::places(scene.cx, &folders.state).into_iter().flat_map(|place| temporary::left_in(&place));
    findings.extend(tokens.map(|path| {
        let message = format!("{} holds tokens in clear, left by an `exec --file` that was killed", path.display());
        let finding = Finding::new("leftovers", Status::Warn, message).mend("type `tokenkeep doctor --fix`");
        finding.fix(Fix::Sweep(path))
    }));
    if rotation::was_begun(&folder) {
        let message =
            format!("{} is of a rotation that goes on or was interrupted", rotation::beside(&folder).display());
        findings.push(Finding::new("leftovers", Status::Warn, message).mend("type `tokenkeep vault rotate` again"));
    }
    findings.extend(names.entries.iter().flat_map(|name| of_lock(scene, &shelf, name)));
    let foreign = scene.open_vault().map(|vault| vault.foreign().unwrap_or_default()).unwrap_or_default();
    findings.extend(foreign.iter().filter(|path| path.extension().is_none_or(|end| end != "new")).map(|path| {
        let message = format!("{} does not belong into a vault; it is left alone", path.display());
        Finding::new("leftovers", Status::Info, message)
    }));
    if findings.is_empty() {
        findings.push(Finding::new("leftovers", Status::Ok, "nothing was left behind, and no lock is held"));
    }
    findings
}

/// Looks at what the holders of an entry's lock have left, and whether somebody holds it.
fn of_lock(scene: &Scene<'_>, shelf: &Shelf, name: &EntryName) -> Vec<Finding> {
    /// An exchange ends after 60 s, and who waits for its lock after 30 more.
    const LONG: Lifetime = Lifetime::seconds(90);
    let mut findings = Vec::new();
    let is_locked = shelf.is_locked(name);
    if is_locked {
        let newest = shelf.generations(name).ok().and_then(|generations| generations.first().copied());
        let note = newest.and_then(|newest| standing::noted(shelf, name, newest).ok().flatten());
        let since = note.filter(|note| note.event == Event::Intent).map(|note| note.since);
        let hangs = since.is_some_and(|since| scene.cx.now().since(since) > LONG);
        let since = since.map(|since| format!(" since {}", when(since))).unwrap_or_default();
        let message = format!("somebody holds the lock of `{name}`{since}");
        let finding = Finding::new("locks", if hangs { Status::Warn } else { Status::Info }, message);
        findings.push(finding.mend(format!("see who with `fuser -v '{}'`", shelf.lock_path(name).display())));
    } else if shelf.awaits_publication(name) {
        let message = format!("a new token of `{name}` waits to be published");
        let finding = Finding::new("leftovers", Status::Warn, message).fix(Fix::Publish(name.clone()));
        findings.push(finding.mend(format!("type `tokenkeep refresh {name}`")));
    }
    let aside = shelf.count_aside(name);
    if aside > 0 {
        let message = format!("{aside} answers for `{name}` follow no generation and were put aside");
        findings.push(
            Finding::new("leftovers", Status::Info, message).mend(format!("`tokenkeep delete {name}` removes them")),
        );
    }
    findings
}

/// Says how each entry stands.
pub(super) fn entries(scene: &Scene<'_>) -> Vec<Finding> {
    let Some(vault) = scene.open_vault() else { return Vec::new() };
    let names = vault.shelf().names().unwrap_or_default().entries;
    let begin = scene.cx.now();
    let misplaced = misplaced(scene.cx, &names).ok().flatten();
    let misplaced = misplaced.map(|problem| Finding::new("entries", Status::Warn, problem.what).mend(problem.mend));
    let mut findings: Vec<Finding> = misplaced.into_iter().collect();
    for (index, name) in names.iter().enumerate() {
        if scene.cx.now().since(begin) > PATIENCE {
            let message = format!("{} more were not looked at", names.len() - index);
            findings.push(Finding::new("entries", Status::Skip, message).mend("type `tokenkeep vault verify`"));
            break;
        }
        match seen::look(scene.cx, Some(vault), name) {
            Ok(Some(seen)) => findings.push(of_seen(scene, &seen)),
            Ok(None) => {}
            Err(failure) => findings.push(Finding::of_failure(&format!("entry {name}"), Status::Fail, failure)),
        }
    }
    findings
}

/// Says how an entry stands.
fn of_seen(scene: &Scene<'_>, seen: &Seen) -> Finding {
    let check = format!("entry {}", seen.name);
    if let Some(problem) = of_entry(seen) {
        // one passes by itself, and of one that is spent the access token may still be of use
        let warns = |standing: &Standing| {
            matches!(
                standing,
                Standing::Unavailable { .. } | Standing::ResponseLost { .. } | Standing::Refreshing | Standing::Spent
            )
        };
        let warns = seen.opened().is_some_and(|opened| warns(&opened.standing));
        return Finding::of_problem(&check, if warns { Status::Warn } else { Status::Fail }, problem);
    }
    let state = seen.state().unwrap_or("locked");
    let generation =
        seen.opened().map(|opened| format!(", generation {}", opened.entry.generation)).unwrap_or_default();
    let left = seen.access_left(scene.cx.now()).map(|left| format!(", {left} left")).unwrap_or_default();
    let tokens = seen.opened().and_then(|opened| opened.entry.body.tokens());
    let taken = tokens.map(|tokens| match tokens.used_at {
        Some(at) => format!(", taken by its provider at {at}"),
        None => format!(", stored at {}", tokens.login_at),
    });
    let dies = seen.dies_at().map(|at| format!(", of use until {at}")).unwrap_or_default();
    Finding::new(&check, Status::Ok, format!("{state}{generation}{left}{}{dies}", taken.unwrap_or_default()))
}
