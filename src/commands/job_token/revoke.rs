//! `job-token revoke`: takes a job's token back.

use serde_json::json;

use super::JobArgs;
use crate::commands::{Context, Outcome};
use crate::error::Failure;
use crate::ledger::lease::Ended;
use crate::output::Form;

/// Examples of the command.
const EXAMPLES: &str = "Examples:
  tokenkeep job-token revoke nightly-17
  tokenkeep job-token revoke nightly-17 --owner ada
";

/// Take a job's token back
///
/// Unlike `end` it leaves no grace, and takes a grace away that an end has left.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    job: JobArgs,
}

/// Runs the command.
pub(super) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    let mut acting = args.job.acting.begin(cx)?;
    let revoked = acting.ledger.revoke_job(&args.job.which(&acting.actor), &acting.actor, &acting.by);
    let Ended { ids, owner } = acting.answer(revoked)?;
    if cx.printer.form == Form::Json {
        cx.printer.object(json!({"job": args.job.job.as_str(), "owner": owner, "revoked": ids}))?;
    }
    let job = args.job.name(owner.as_deref());
    cx.printer.notice(&match ids.len() {
        0 => format!("{job} has no token that is still good"),
        1 => format!("the token of {job} is revoked"),
        count => format!("{count} tokens of {job} are revoked"),
    });
    Ok(Outcome::Done)
}
