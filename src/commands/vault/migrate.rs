//! `vault migrate`: moves all entries to what they shall rest in from now on.

use clap::builder::PossibleValue;
use serde_json::json;

use crate::backend::Backend;
use crate::commands::issued::adopt;
use crate::commands::{Context, Outcome};
use crate::error::Failure;
use crate::keeper::LOCK_PATIENCE;
use crate::output::{Form, counted};
use crate::profile::EntryName;
use crate::settings::edit::Edit;
use crate::vault::migrate::{Moved, Stray};
use crate::vault::{Vault, VaultError};

/// Examples of the command.
const EXAMPLES: &str = "Examples:
  tokenkeep vault migrate --to keyring
  tokenkeep vault migrate --to age
";

/// Move all entries to age files, or to the keyring
///
/// `vault.backend` in config.toml says from then on what entries rest in. An entry that is being refreshed is waited for. A
/// run that was interrupted, at whatever point, leaves every entry readable; the same command again does the rest. What
/// entries were copied from is removed when all copies have been read back.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// What entries shall rest in
    #[arg(long, value_enum, value_name = "BACKEND")]
    to: Backend,
}

impl clap::ValueEnum for Backend {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Age, Self::Keyring]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let about = match self {
            Self::Age => "Age files",
            Self::Keyring => "The keyring of the desktop",
        };
        Some(PossibleValue::new(self.word()).help(about))
    }
}

/// Runs the command.
pub(super) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    let vault = cx.open_vault()?;
    let _alone = vault.hold()?;
    let to = args.to;
    if to == Backend::Keyring || !vault.elsewhere(to)?.is_empty() {
        vault.check_keyring()?;
    }
    // first, so that what is made meanwhile is made in the right place
    let mut edit = Edit::open(&cx.settings()?.path)?;
    edit.set(&["vault"], "backend", to.word())?;
    edit.save()?;
    let vault = vault.resting_in(to);
    let moved = move_all(cx, &vault, to)?;
    match remove_all_remains(&vault, to) {
        // there was nothing to move, and nobody need have a keyring
        Err(error) if moved == 0 && error.is_absent_keyring() => {
            cx.printer.notice("there is no keyring here; whether an earlier move left something in it is not known");
        }
        removed => {
            let strays = removed.map_err(|error| {
                let what = format!("all entries rest in {}; what they were copied from is still there", to.place());
                Failure::from(error).while_doing(what)
            })?;
            for stray in &strays {
                cx.printer.notice(&stray.to_string());
            }
        }
    }
    let count = vault.shelf().names().map_err(VaultError::from)?.entries.len();
    if cx.printer.form == Form::Json {
        cx.printer.object(json!({"backend": to.word(), "moved": moved, "entries": count}))?;
    }
    cx.printer.notice(&format!("moved {moved} of {}; all rest in {}", counted(count, "entry", "entries"), to.place()));
    Ok(Outcome::Done)
}

/// Moves every entry, and opens each where it is then. One that cannot be moved keeps no other from it.
fn move_all(cx: &Context, vault: &Vault, to: Backend) -> Result<usize, Failure> {
    let (mut moved, mut failed) = (0, None);
    for name in vault.elsewhere(to)? {
        match move_one(cx, vault, &name, to) {
            Ok(Moved::Yes) => moved += 1,
            Ok(Moved::No) => {}
            Err(failure) => failed = failed.or(Some(failure.while_doing(format!("`{name}` was not moved")))),
        }
    }
    for name in vault.shelf().names().map_err(VaultError::from)?.entries {
        if let Err(error) = vault.check_moved(&name) {
            failed = failed.or(Some(Failure::from(error)));
        }
    }
    match failed {
        None => Ok(moved),
        Some(failure) => {
            let hint = failure.hint.clone().map(|hint| format!("{hint}; then ")).unwrap_or_default();
            let command = format!("`tokenkeep vault migrate --to {to}`");
            Err(failure.hint(format!("{hint}the same again does the rest, and nothing was removed: {command}")))
        }
    }
}

/// Moves one entry under its lock.
fn move_one(cx: &Context, vault: &Vault, name: &EntryName, to: Backend) -> Result<Moved, Failure> {
    let lock = vault.shelf().lock(name, LOCK_PATIENCE)?;
    let moved = vault.move_entry(name, to, &lock)?;
    // an answer that waits, be it for a keyring that does not take it, is published in the new place
    adopt(cx, vault, name, &lock)?;
    Ok(moved)
}

/// Removes what all entries were copied from, and returns what has no copy.
fn remove_all_remains(vault: &Vault, to: Backend) -> Result<Vec<Stray>, VaultError> {
    let mut strays = Vec::new();
    for name in vault.with_remains(to)? {
        let lock = vault.shelf().lock(&name, LOCK_PATIENCE)?;
        strays.extend(vault.remove_remains(&name, to, &lock)?);
    }
    Ok(strays)
}
