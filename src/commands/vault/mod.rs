//! `vault`: the vault's slots, its key, its copies, and its health.

mod backup;
mod export;
mod import;
mod migrate;
mod rotate;
mod slot;
mod unsigned;
mod verify;

use super::{Context, Outcome};
use crate::error::Failure;

/// Examples of the whole group.
const EXAMPLES: &str = "Examples:
  tokenkeep vault slot add passphrase
  tokenkeep vault slot list
  tokenkeep vault rotate
  tokenkeep vault export -o tokens.age --recipient age1...
  tokenkeep vault backup /mnt/backup/vault.tar
  tokenkeep vault verify
  tokenkeep vault migrate --to keyring
";

/// Manage the vault: slots, its key, exports, backups; verify it
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// What to do
    #[command(subcommand)]
    command: Command,
}

/// What to do with the vault. Each is described where its arguments are: what stood here
/// would take the place of that.
#[derive(clap::Subcommand)]
enum Command {
    Slot(slot::Args),
    Rotate(rotate::Args),
    Export(export::Args),
    Import(import::Args),
    Backup(backup::Args),
    Verify(verify::Args),
    Migrate(migrate::Args),
}

/// Runs the command.
pub(crate) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    match &args.command {
        Command::Slot(args) => slot::run(args, cx),
        Command::Rotate(args) => rotate::run(args, cx),
        Command::Export(args) => export::run(args, cx),
        Command::Import(args) => import::run(args, cx),
        Command::Backup(args) => backup::run(args, cx),
        Command::Verify(args) => verify::run(args, cx),
        Command::Migrate(args) => migrate::run(args, cx),
    }
}
