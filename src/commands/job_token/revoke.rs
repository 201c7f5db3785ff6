//! `job-token revoke`: takes a job's token back.

use serde_json::json;

use super::JobArgs;
use crate::commands::{Context, Outcome};
use crate::error::Failure;
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
    let by = cx.by();
    let job = args.job.job.as_str();
    let revoked = cx.ledger(&by)?.revoke_job(job, args.job.owner(), &by)?;
    if cx.printer.form == Form::Json {
        let ids: Vec<_> = revoked.iter().map(|token| token.id.as_str()).collect();
        cx.printer.object(json!({"job": job, "revoked": ids}))?;
    }
    cx.printer.notice(&match revoked.len() {
        0 => format!("job `{job}` has no token that is still good"),
        1 => format!("the token of job `{job}` is revoked"),
        count => format!("{count} tokens of job `{job}` are revoked"),
    });
    Ok(Outcome::Done)
}
