//! `vault slot`: the ways to unlock a vault.

mod add;
mod change;
mod keyring;
mod list;
mod remove;

use crate::commands::{Context, Outcome};
use crate::error::Failure;

/// Examples of the group.
const EXAMPLES: &str = "Examples:
  tokenkeep vault slot add passphrase
  tokenkeep vault slot add ci --recipient age1...
  tokenkeep vault slot add cron --identity-file ~/.config/tokenkeep/cron.txt
  tokenkeep vault slot add --keyring
  tokenkeep vault slot change passphrase
  tokenkeep vault slot remove ci
";

/// Add, list, change and remove ways to unlock
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// What to do
    #[command(subcommand)]
    command: Command,
}

/// What to do with the slots. Each is described where its arguments are: what stood here
/// would take the place of that.
#[derive(clap::Subcommand)]
enum Command {
    Add(add::Args),
    /// List the ways to unlock
    ///
    /// Who can write into the vault's folder could write another list: only the vault's key shows that it is ours, so the
    /// vault has to be opened for it. What `tokenkeep status` shows of a locked vault's slots is not checked.
    List,
    Change(change::Args),
    Remove(remove::Args),
}

/// Runs the command.
pub(super) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    match &args.command {
        Command::Add(args) => add::run(args, cx),
        Command::List => list::run(cx),
        Command::Change(args) => change::run(args, cx),
        Command::Remove(args) => remove::run(args, cx),
    }
}
