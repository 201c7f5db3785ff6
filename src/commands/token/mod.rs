//! `tokenkeep token`: named tokens of people and programs, and the children that they hand on.

mod create;
mod delegate;
mod list;
mod modify;
mod revoke;
mod rotate;
mod show;
mod wipe;

use super::{Context, Outcome};
use crate::error::Failure;

/// Examples of the whole group.
const EXAMPLES: &str = "Examples:
  tokenkeep token create --name laptop --scope read:all --expires 30d
  tokenkeep token list
  tokenkeep token show 4fXk2mQ9sTz7Lw1Rb8Nc3d
  tokenkeep token revoke 4fXk2mQ9sTz7Lw1Rb8Nc3d
";

/// Issue tokens for people and programs, and manage them
#[derive(clap::Args)]
#[command(after_help = EXAMPLES, disable_help_subcommand = true)]
pub(crate) struct Args {
    /// What to do
    #[command(subcommand)]
    command: Command,
}

/// What can be done with tokens. Each is described where its arguments are: what stood here would take the place of
/// that.
#[derive(clap::Subcommand)]
enum Command {
    Create(Box<create::Args>),
    Delegate(Box<delegate::Args>),
    List(list::Args),
    Show(show::Args),
    Modify(modify::Args),
    Rotate(rotate::Args),
    Revoke(revoke::Args),
    Wipe(wipe::Args),
}

/// Runs the command.
pub(crate) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    match &args.command {
        Command::Create(args) => create::run(args, cx),
        Command::Delegate(args) => delegate::run(args, cx),
        Command::List(args) => list::run(args, cx),
        Command::Show(args) => show::run(args, cx),
        Command::Modify(args) => modify::run(args, cx),
        Command::Rotate(args) => rotate::run(args, cx),
        Command::Revoke(args) => revoke::run(args, cx),
        Command::Wipe(args) => wipe::run(args, cx),
    }
}
