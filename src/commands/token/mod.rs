//! `tokenkeep token`: named tokens of people and programs, and the children that they hand on.

mod actor;
mod create;
mod delegate;
mod list;
mod modify;
mod revoke;
mod rotate;
mod show;
mod wipe;

pub(super) use actor::AsArgs;

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

/// What can be done with tokens.
#[derive(clap::Subcommand)]
enum Command {
    /// Issue a user, service or session token
    Create(Box<create::Args>),
    /// Issue a child of a token: notebook, internal or oidc
    Delegate(Box<delegate::Args>),
    /// List tokens
    List(list::Args),
    /// Show what is known of a token
    Show(show::Args),
    /// Change the name, scopes or end of a user token
    Modify(modify::Args),
    /// Put a new token in the place of one
    Rotate(rotate::Args),
    /// Take a token back, and its children with it
    Revoke(revoke::Args),
    /// Take all tokens back
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
