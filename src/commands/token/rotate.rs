//! `token rotate`: puts a new token in the place of one.

use super::WhichArgs;
use crate::commands::{Context, Outcome, issued};
use crate::error::Failure;
use crate::token::overlap::Overlap;

/// Examples of the command.
const EXAMPLES: &str = "Examples:
  tokenkeep token rotate 4fXk2mQ9sTz7Lw1Rb8Nc3d
  tokenkeep token rotate 4fXk2mQ9sTz7Lw1Rb8Nc3d --grace 10m
  tokenkeep token rotate 4fXk2mQ9sTz7Lw1Rb8Nc3d --as-from-env MY_TOKEN
";

/// Put a new token in the place of one
///
/// The new one has the same owner, name, scopes and end, and another public id. It is printed this one time. The old one
/// and its children are good no more, or with --grace as long as it takes to bring the new one everywhere; then they die by
/// themselves. A token that may have been stolen gets no grace.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    which: WhichArgs,
    /// How long the old one stays good yet, 1d at most [default: not at all]
    #[arg(long, value_name = "TIME")]
    grace: Option<Overlap>,
}

/// Runs the command.
pub(super) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    let mut acting = args.which.acting.begin(cx)?;
    let rotated = acting.ledger.rotate(&args.which.id, args.grace.unwrap_or_default(), &acting.actor, &acting.by);
    let rotated = acting.answer(rotated)?;
    issued::show_successor(cx, &rotated)
}
