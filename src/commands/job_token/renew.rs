//! `job-token renew`: says that a job still runs.

use serde_json::json;

use super::JobArgs;
use crate::commands::{Context, Outcome, issued};
use crate::error::Failure;
use crate::output::Form;

/// Examples of the command.
const EXAMPLES: &str = "Examples:
  tokenkeep job-token issue nightly-17 --lease 5m
  tokenkeep job-token renew nightly-17
";

/// Say that a job still runs
///
/// A token that was issued with --lease is good for that long again, counted from now, but never beyond its --ttl.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    job: JobArgs,
}

/// Runs the command.
pub(super) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    let mut acting = args.job.acting.begin(cx)?;
    let renewed = acting.ledger.renew_job(&args.job.which(&acting.actor), &acting.actor, &acting.by);
    let (renewed, now) = (acting.answer(renewed)?, acting.by.at);
    if cx.printer.form == Form::Json {
        let tokens: Vec<_> = renewed.iter().map(|token| issued::object(token, now)).collect();
        cx.printer.object(json!({"job": args.job.job.as_str(), "renewed": tokens}))?;
    }
    for token in &renewed {
        let until = token.lease.as_ref().and_then(|lease| lease.until).or(token.expires);
        let until = until.map_or_else(String::new, |until| format!(" until {until}"));
        cx.printer.notice(&format!("job `{}` of {} runs{until}", args.job.job, token.owner));
    }
    Ok(Outcome::Done)
}
