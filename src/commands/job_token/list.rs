//! `job-token list`: jobs and their tokens.

use crate::commands::actor::AsArgs;
use crate::commands::issued::left;
use crate::commands::issued_list::{Columns, PartArgs, show};
use crate::commands::{Context, Outcome};
use crate::error::Failure;
use crate::ledger::list::{Filter, Listed};
use crate::ledger::token::Token;
use crate::token::issued::TokenKind;
use crate::token::names::{Job, Owner};
use crate::token::time::Timestamp;

/// Examples of the command.
const EXAMPLES: &str = "Examples:
  tokenkeep job-token list
  tokenkeep job-token list --all --owner ada --limit 20
";

/// List jobs and their tokens, the newest first
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Those of this owner
    #[arg(long, value_name = "OWNER")]
    owner: Option<Owner>,
    /// Those of this job
    #[arg(long, value_name = "JOB")]
    job: Option<Job>,
    /// Those that have ended, too
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    part: PartArgs,
    #[command(flatten)]
    acting: AsArgs,
}

/// Runs the command.
pub(super) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    let owner = args.owner.as_ref().map(ToString::to_string);
    let Some(mut acting) = args.acting.look(cx)? else { return show(cx, &Listed::default(), &COLUMNS) };
    let filter = Filter {
        owner: acting.visible_owner(owner, "list the jobs of others")?,
        kind: Some(TokenKind::Job),
        job: args.job.as_ref().map(ToString::to_string),
        parent: None,
        live_at: if args.all { None } else { Some(acting.by.at) },
        limit: args.part.limit,
        before: args.part.cursor,
    };
    show(cx, &acting.ledger.tokens(&filter)?, &COLUMNS)
}

/// Shows a job to people.
fn row(token: &Token, now: Timestamp) -> [String; 7] {
    let lease = token.lease.as_ref().map(|lease| format!("{} on {}", lease.holder, lease.host));
    [
        token.job.clone().unwrap_or_default(),
        token.owner.clone(),
        token.id.to_string(),
        token.state(now).to_owned(),
        left(token, now),
        lease.unwrap_or_else(|| "-".to_owned()),
        token.scopes.to_string(),
    ]
}

/// How jobs are shown to people.
const COLUMNS: Columns<7> = Columns {
    nothing: "no jobs; begin one with `tokenkeep job-token issue JOB`",
    heads: ["JOB", "OWNER", "ID", "STATE", "LEFT", "HELD BY", "SCOPES"],
    row,
};
