//! `vault verify`: opens every file of the vault and checks it.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::super::{Context, Outcome};
use crate::error::{Failure, Kind};
use crate::host::folders::absolute;
use crate::output::{Form, counted};
use crate::token::text::escaped;
use crate::vault::sealing::digest_hex;
use crate::vault::{Site, Vault, VaultError, header, rotation};

/// Examples of the command.
const EXAMPLES: &str = "Examples:
  tokenkeep vault verify
  tokenkeep vault verify --trust
  tokenkeep vault verify --backup /mnt/backup/vault
";

/// Open every file of the vault and check it
///
/// With `--trust` the vault that is there becomes the one this machine expects; both digests are shown.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Expect this vault from now on, whatever was here before
    #[arg(long)]
    trust: bool,
    /// Check this copy of a vault, and not the vault
    #[arg(long, value_name = "FOLDER", conflicts_with = "trust")]
    backup: Option<PathBuf>,
}

/// Runs the command.
pub(super) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    let vault = match &args.backup {
        Some(folder) => {
            let site = Site { folder: absolute(folder), ..cx.site()? };
            refuse_no_copy(folder, &site.folder)?;
            Vault::open_unpinned(&site, &cx.sources()?, cx.asker().as_deref())?
        }
        None if args.trust => trust(cx)?,
        None => cx.open_vault()?,
    };
    let faults = vault.verify()?;
    // a keyring that cannot be asked is a fault of the entries that rest there
    for stray in vault.strays().unwrap_or_default() {
        cx.printer.notice(&stray.to_string());
    }
    for path in vault.foreign()? {
        let path = escaped(&path.display().to_string());
        cx.printer.notice(&format!("{path} does not belong into a vault; it is left alone"));
    }
    if args.backup.is_none() && rotation::was_begun(&cx.vault_folder()?) {
        let left = rotation::beside(&cx.vault_folder()?);
        cx.printer.notice(&format!(
            "{} is of a rotation that goes on or was interrupted; if it was, type `tokenkeep vault rotate` again",
            left.display()
        ));
    }
    let count = vault.shelf().names().map_err(VaultError::from)?.entries.len();
    if !faults.is_empty() {
        let failure =
            Failure::new(Kind::Locked, format!("{} of the vault's files and items cannot be trusted", faults.len()));
        let failure = faults.iter().fold(failure, |failure, fault| failure.because(crate::error::chain(fault)));
        return Err(failure.hint("restore them from a backup; the other entries are not affected"));
    }
    if cx.printer.form == Form::Json {
        cx.printer.object(json!({"entries": count, "recipient": vault.recipient()}))?;
    } else {
        cx.printer.line(&format!("good: {}, recipient {}", counted(count, "entry", "entries"), vault.recipient()))?;
    }
    Ok(Outcome::Done)
}

/// Refuses what is no copy of a vault, and says how to come by one; `whole` is its whole path.
fn refuse_no_copy(typed: &Path, whole: &Path) -> Result<(), Failure> {
    let shown = whole.display();
    let is_missing = |path: &Path| path.metadata().is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound);
    let message = if is_missing(whole) {
        format!("there is no {shown}")
    } else if whole.is_file() {
        format!("{shown} is a file, and no folder")
    } else if is_missing(&header::path(whole)) {
        match header::missing(whole) {
            VaultError::HeaderMissing { .. } => {
                format!("{shown} is not a whole copy of a vault: vault.toml is missing")
            }
            _ => format!("{shown} holds no copy of a vault"),
        }
    } else {
        return Ok(());
    };
    let is_archive = whole.is_file() && whole.extension().is_some_and(|extension| extension == "tar");
    Err(Failure::new(Kind::Locked, message).hint(if is_archive {
        format!("unpack it with `tar -xf '{}'`, then check the folder `vault` that was in it", typed.display())
    } else {
        "name the folder that `tokenkeep vault backup FOLDER` has made".to_owned()
    }))
}

/// Opens the vault that is there, pins it, and shows both digests.
fn trust(cx: &mut Context) -> Result<Vault, Failure> {
    let (site, pin) = (cx.site()?, cx.pin()?);
    let vault = Vault::open_unpinned(&site, &cx.sources()?, cx.asker().as_deref())?;
    let before = pin.read()?.unwrap_or_else(|| "nothing".to_owned());
    let now = digest_hex(vault.recipient());
    pin.renew(vault.recipient())?;
    cx.printer.notice(&format!("expected before: {before}\nexpected now:    {now}"));
    Ok(vault)
}
