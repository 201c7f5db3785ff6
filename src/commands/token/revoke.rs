//! `token revoke`: takes a token back, and its children with it.

use serde_json::json;

use super::AsArgs;
use crate::commands::{Context, Outcome};
use crate::error::Failure;
use crate::output::Form;
use crate::token::issued::PublicId;

/// Examples of the command.
const EXAMPLES: &str = "Examples:
  tokenkeep token revoke 4fXk2mQ9sTz7Lw1Rb8Nc3d
  tokenkeep token revoke 4fXk2mQ9sTz7Lw1Rb8Nc3d --as-stdin < token.txt
";

/// Take a token back, and its children with it
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Its public id
    #[arg(value_name = "ID")]
    id: PublicId,
    #[command(flatten)]
    acting: AsArgs,
}

/// Runs the command.
pub(super) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    let mut acting = args.acting.begin(cx)?;
    let revoked = acting.ledger.revoke(&args.id, &acting.actor, &acting.by);
    let revoked = acting.answer(revoked)?;
    if cx.printer.form == Form::Json {
        cx.printer.object(json!({"id": args.id.as_str(), "revoked": revoked.count}))?;
    }
    cx.printer.notice(&match revoked.count {
        0 => format!("token {} is {} already", args.id, revoked.token.standing(acting.by.at).word()),
        1 => format!("revoked token {}", args.id),
        count => format!("revoked token {}, and {} below it", args.id, count - 1),
    });
    Ok(Outcome::Done)
}
