//! `tokenkeep profile`: how we log in at providers.

mod add;
mod discover;
pub(crate) mod flags;
mod list;
mod remove;
mod show;

use super::{Context, Outcome};
use crate::error::Failure;

/// Examples of the whole group.
const EXAMPLES: &str = "Examples:
  tokenkeep profile discover https://auth.example.org/realms/main
  tokenkeep profile add prod --issuer https://auth.example.org/realms/main \\
      --client-id automated-access
  tokenkeep profile list
";

/// Arguments.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES, disable_help_subcommand = true)]
pub(crate) struct Args {
    /// What to do
    #[command(subcommand)]
    command: Command,
}

/// What can be done with profiles. Each is described where its arguments are: what stood here
/// would take the place of that.
#[derive(clap::Subcommand)]
enum Command {
    Add(Box<add::Args>),
    List(list::Args),
    Show(show::Args),
    Remove(remove::Args),
    Discover(discover::Args),
}

/// Runs the command.
pub(crate) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    match &args.command {
        Command::Add(args) => add::run(args, cx),
        Command::List(args) => list::run(args, cx),
        Command::Show(args) => show::run(args, cx),
        Command::Remove(args) => remove::run(args, cx),
        Command::Discover(args) => discover::run(args, cx),
    }
}
