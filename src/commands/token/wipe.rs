//! `token wipe`: takes all tokens back.

use serde_json::json;

use crate::commands::actor::AsArgs;
use crate::commands::{Context, Outcome};
use crate::error::{Failure, Kind};
use crate::output::{Form, counted};

/// Examples of the command.
const EXAMPLES: &str = "Examples:
  tokenkeep token wipe --yes
";

/// Take all tokens back
///
/// Every token of every owner and job is good no more. What is known of them, and their history, stays. Admin tokens die
/// by themselves within minutes.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Do not ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    acting: AsArgs,
}

/// Runs the command.
pub(super) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    let agreed = args.yes || cx.may_ask() && Context::confirm("Take back all tokens of everybody?")?;
    if !agreed {
        return Err(Failure::new(Kind::Usage, "all tokens stay as they are: nobody said yes")
            .hint("if that is what you want, type `tokenkeep token wipe --yes`"));
    }
    let mut acting = args.acting.begin(cx)?;
    let wiped = acting.ledger.wipe(&acting.actor, &acting.by);
    let count = acting.answer(wiped)?;
    if cx.printer.form == Form::Json {
        cx.printer.object(json!({ "revoked": count }))?;
    }
    cx.printer.notice(&format!("revoked {}", counted(count, "token", "tokens")));
    Ok(Outcome::Done)
}
