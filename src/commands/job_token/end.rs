//! `job-token end`: ends a job, and its token with it.

use serde_json::json;

use super::{JobArgs, grace};
use crate::commands::{Context, Outcome};
use crate::error::Failure;
use crate::ledger::lease::Ended;
use crate::output::Form;
use crate::token::time::Lifetime;

/// Examples of the command.
const EXAMPLES: &str = "Examples:
  tokenkeep job-token end nightly-17
  tokenkeep job-token end nightly-17 --grace 5m --grace-scope clean:scratch
";

/// End a job, and its token with it
///
/// Type it on every way out of a job: success, failure, cancel. A job that has ended already is no error.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    job: JobArgs,
    /// How long scopes of it stay good, for a clean-up [default: what was said when it began, else 0s]
    #[arg(long, value_name = "TIME")]
    grace: Option<Lifetime>,
    /// Which scopes these are (repeat for more) [default: what was said when it began, else all that it has]
    #[arg(long = "grace-scope", visible_alias = "scope", value_name = "SCOPE", requires = "grace")]
    grace_scopes: Vec<String>,
}

/// Runs the command.
pub(super) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    let grace = grace(args.grace, &args.grace_scopes)?;
    let mut acting = args.job.acting.begin(cx)?;
    let ended = acting.ledger.end_job(&args.job.which(&acting.actor), grace.as_ref(), &acting.actor, &acting.by);
    let Ended { ids, owner } = acting.answer(ended)?;
    if cx.printer.form == Form::Json {
        cx.printer.object(json!({"job": args.job.job.as_str(), "owner": owner, "ended": ids}))?;
    }
    let job = args.job.name(owner.as_deref());
    cx.printer.notice(&match ids.len() {
        0 => format!("{job} had ended before"),
        1 => format!("{job} has ended, and its token with it"),
        count => format!("{job} has ended, and {count} tokens with it"),
    });
    Ok(Outcome::Done)
}
