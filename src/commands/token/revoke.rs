//! `token revoke`: takes a token back, and its children with it.

use serde_json::json;

use crate::commands::actor::AsArgs;
use crate::commands::{Context, Outcome};
use crate::error::Failure;
use crate::ledger::named::Revoked;
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
        let count = if let Revoked::Now(count) = revoked { count } else { 0 };
        cx.printer.object(json!({"id": args.id.as_str(), "revoked": count}))?;
    }
    cx.printer.notice(&match revoked {
        Revoked::Before(how) => format!("token {} is {how} already", args.id),
        Revoked::Now(..=1) => format!("revoked token {}", args.id),
        Revoked::Now(count) => format!("revoked token {}, and {} below it", args.id, count - 1),
    });
    Ok(Outcome::Done)
}
