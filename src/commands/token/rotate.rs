//! `token rotate`: puts a new token in the place of one.

use super::AsArgs;
use crate::commands::{Context, Outcome, issued};
use crate::error::Failure;
use crate::token::issued::PublicId;

/// Examples of the command.
const EXAMPLES: &str = "Examples:
  tokenkeep token rotate 4fXk2mQ9sTz7Lw1Rb8Nc3d
  tokenkeep token rotate 4fXk2mQ9sTz7Lw1Rb8Nc3d --as-from-env MY_TOKEN
";

/// Put a new token in the place of one
///
/// The new one has the same owner, name, scopes and end, and another public id. It is printed this one time. The old one
/// and its children are good no more.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The public id of the old one
    #[arg(value_name = "ID")]
    id: PublicId,
    #[command(flatten)]
    acting: AsArgs,
}

/// Runs the command.
pub(super) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    let mut acting = args.acting.begin(cx)?;
    let rotated = acting.ledger.rotate(&args.id, &acting.actor, &acting.by);
    let rotated = acting.answer(rotated)?;
    issued::show_once(cx, &rotated)
}
