//! `tokenkeep schedule`: a timer or a cron job that refreshes regularly.

mod cron;
mod every;
mod install;
mod job;
mod place;
mod remove;
mod show;
mod units;

pub(super) use place::units_of_user;

use super::{Context, Outcome};
use crate::error::Failure;

/// Examples of the whole group.
const EXAMPLES: &str = "Examples:
  tokenkeep schedule install --every 10m --now
  tokenkeep schedule show --kind cron
  tokenkeep schedule remove
";

/// Refresh regularly: a systemd timer or a cron job
#[derive(clap::Args)]
#[command(after_help = EXAMPLES, disable_help_subcommand = true)]
pub(crate) struct Args {
    /// What to do
    #[command(subcommand)]
    command: Command,
}

/// What can be done with schedules. Each is described where its arguments are: what stood here
/// would take the place of that.
#[derive(clap::Subcommand)]
enum Command {
    Show(show::Args),
    Install(install::Args),
    Remove(remove::Args),
}

/// Runs the command.
pub(crate) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    match &args.command {
        Command::Show(args) => show::run(args, cx),
        Command::Install(args) => install::run(args, cx),
        Command::Remove(args) => remove::run(args, cx),
    }
}
