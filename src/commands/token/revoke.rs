//! `token revoke`: takes a token back, and its children with it.

use serde_json::json;

use super::WhichArgs;
use crate::commands::{Context, Outcome};
use crate::error::Failure;
use crate::ledger::named::Revoked;
use crate::output::Form;

/// Examples of the command.
const EXAMPLES: &str = "Examples:
  tokenkeep token revoke 4fXk2mQ9sTz7Lw1Rb8Nc3d
  tokenkeep token revoke 4fXk2mQ9sTz7Lw1Rb8Nc3d --as-stdin < token.txt
";

/// Take a token back, and its children with it
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    which: WhichArgs,
}

/// Runs the command.
pub(super) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    let mut acting = args.which.acting.begin(cx)?;
    let revoked = acting.ledger.revoke(&args.which.id, &acting.actor, &acting.by);
    let revoked = acting.answer(revoked)?;
    if cx.printer.form == Form::Json {
        let count = if let Revoked::Now(count) = revoked { count } else { 0 };
        cx.printer.object(json!({"id": args.which.id.as_str(), "revoked": count}))?;
    }
    cx.printer.notice(&match revoked {
        Revoked::Before(how) => format!("token {} is {how} already", args.which.id),
        Revoked::Now(..=1) => format!("revoked token {}", args.which.id),
        Revoked::Now(count) => format!("revoked token {}, and {} below it", args.which.id, count - 1),
    });
    Ok(Outcome::Done)
}
