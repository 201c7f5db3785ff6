//! `vault backup`: copies the vault's folder as it is at one moment.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::commands::{Context, Outcome};
use crate::error::{Failure, Kind, file_failure};
use crate::host::files::{self, Published};
use crate::host::folders::absolute;
use crate::keeper::LOCK_PATIENCE;
use crate::output::{Form, counted, json_path};
use crate::vault::backup::Backup;

/// Examples of the command.
const EXAMPLES: &str = "Examples:
  tokenkeep vault backup /mnt/backup/vault.tar
  tokenkeep vault backup /mnt/backup/vault-$(date +%F)
  tokenkeep vault backup - | ssh host 'cat >vault.tar'
";

/// Copy the vault's folder as it is at one moment
///
/// Into a new folder, or if the name ends in `.tar`, into an archive; the vault need not be open. The key is not in it: keep
/// a copy of the identity file, or the passphrase, somewhere else. `tokenkeep vault verify --backup FOLDER` checks a copy;
/// `tokenkeep help recovery` says how to put it back. Entries that rest in the keyring are in no folder, and a vault with
/// such is refused: `tokenkeep vault migrate --to age` first, and `--to keyring` after.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The new folder, or a file that ends in `.tar`; `-` writes the archive to standard output
    #[arg(value_name = "FOLDER|FILE.tar")]
    target: PathBuf,
}

/// Runs the command.
pub(super) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    let target = &args.target;
    let to_stdout = target == Path::new("-");
    if to_stdout && cx.host.terminals.stdout {
        return Err(Failure::new(Kind::Usage, "an archive is no text for a terminal")
            .hint("name a file: `tokenkeep vault backup vault.tar`"));
    }
    refuse_present(target)?;
    let vault = cx.vault_folder()?;
    if !to_stdout && is_inside(target, &vault) {
        return Err(Failure::new(Kind::Usage, format!("{} lies in the vault itself", target.display()))
            .hint("name a folder or file outside of it, best on another disk"));
    }
    let backup = Backup::take(&vault, LOCK_PATIENCE)?;
    if to_stdout {
        cx.printer.bytes(&backup.archive(cx.now()))?;
    } else if target.extension().is_some_and(|extension| extension == "tar") {
        let made = files::make(target, &backup.archive(cx.now()), 0o600);
        if made.map_err(|fault| file_failure(Kind::Failed, &fault))? == Published::NameTaken {
            return Err(present(target));
        }
    } else {
        let target = absolute(target);
        backup.write_folder(&target)?;
    }
    if cx.printer.form == Form::Json && !to_stdout {
        cx.printer.object(json!({"target": json_path(target), "entries": backup.entries}))?;
    }
    cx.printer.notice(&format!(
        "copied {}; the key of the vault is not in the copy",
        counted(backup.entries, "entry", "entries")
    ));
    Ok(Outcome::Done)
}

/// Tells whether a path lies in a folder, wherever links lead.
fn is_inside(path: &Path, folder: &Path) -> bool {
    let path = absolute(path);
    let nearest = path.ancestors().find_map(|above| above.canonicalize().ok());
    nearest.zip(folder.canonicalize().ok()).is_some_and(|(nearest, folder)| nearest.starts_with(folder))
}

/// Refuses a target that is there, but for an empty folder.
fn refuse_present(target: &Path) -> Result<(), Failure> {
    let is_empty_folder = std::fs::read_dir(target).is_ok_and(|mut items| items.next().is_none());
    if target.symlink_metadata().is_err() || is_empty_folder { Ok(()) } else { Err(present(target)) }
}

/// Describes a target that is there.
fn present(target: &Path) -> Failure {
    Failure::new(Kind::Usage, format!("{} is there already", target.display()))
        .hint("name a new folder or file, or remove that one")
}
