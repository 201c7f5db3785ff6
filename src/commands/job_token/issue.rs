//! `job-token issue`: begins a job, and prints its token.

use super::AskArgs;
use crate::commands::{Context, Outcome, issued};
use crate::error::Failure;
use crate::token::time::Lifetime;

/// Examples of the command.
const EXAMPLES: &str = "Examples:
  tokenkeep job-token issue nightly-17 --scope read:data --scope write:results
  tokenkeep job-token issue nightly-17 --ttl 6h --lease 5m
  JOB_TOKEN=$(tokenkeep job-token issue \"$CI_JOB_ID\" --quiet)
";

/// Begin a job, and print its token
///
/// The token is good until `job-token end`, and never longer than --ttl. Asking again while the job runs prints the same
/// token; asking for another --scope, --ttl, --lease or --grace than it has is refused. With --lease it is good only as
/// long as somebody says so: `job-token renew`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    ask: AskArgs,
    /// How long the job runs without a `job-token renew` [default: to its end]
    #[arg(long, value_name = "TIME")]
    lease: Option<Lifetime>,
}

/// Runs the command.
pub(super) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    let ask = args.ask.ask(cx, args.lease)?;
    let key = issued::issue_key(cx)?;
    let (mut acting, ask) = args.ask.begin(cx, ask)?;
    let issued = acting.ledger.issue_job(&ask, &key, &acting.actor, &acting.by);
    let issued = acting.answer(issued)?;
    issued::show_again(cx, &issued)
}
