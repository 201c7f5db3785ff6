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

/// What can be done with profiles.
#[derive(clap::Subcommand)]
enum Command {
    /// Write a profile into config.toml
    Add(Box<add::Args>),
    /// List the profiles
    List(list::Args),
    /// Show a profile as it is in force
    Show(show::Args),
    /// Remove a profile from config.toml
    Remove(remove::Args),
    /// Ask a provider what it offers
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
