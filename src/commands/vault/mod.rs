//! `vault`: the vault's slots, and its health.

mod migrate;
mod slot;
mod verify;

use super::{Context, Outcome};
use crate::error::Failure;

/// Examples of the whole group.
const EXAMPLES: &str = "Examples:
  tokenkeep vault slot add passphrase
  tokenkeep vault slot list
  tokenkeep vault verify
  tokenkeep vault migrate --to keyring
";

/// Manage the vault's slots, and verify it
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// What to do
    #[command(subcommand)]
    command: Command,
}

/// What to do with the vault.
#[derive(clap::Subcommand)]
enum Command {
    /// Add, list, change and remove ways to unlock
    Slot(slot::Args),
    /// Open every file and check it
    Verify(verify::Args),
    /// Move all entries to age files, or to the keyring
    Migrate(migrate::Args),
}

/// Runs the command.
pub(crate) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    match &args.command {
        Command::Slot(args) => slot::run(args, cx),
        Command::Verify(args) => verify::run(args, cx),
        Command::Migrate(args) => migrate::run(args, cx),
    }
}
