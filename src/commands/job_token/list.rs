//! `job-token list`: jobs and their tokens.

use crate::commands::actor::AsArgs;
use crate::commands::issued::{left, object, say_unreadable};
use crate::commands::{Context, Outcome};
use crate::error::Failure;
use crate::ledger::list::Filter;
use crate::ledger::token::Token;
use crate::output::Form;
use crate::token::issued::TokenKind;
use crate::token::names::{Job, Owner};
use crate::token::text::escaped;

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
    /// No more than so many
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// Go on behind the line with this `cursor` (in --json)
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<i64>,
    #[command(flatten)]
    acting: AsArgs,
}

/// Runs the command.
pub(super) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    let owner = args.owner.as_ref().map(ToString::to_string);
    let Some(mut acting) = args.acting.look(cx)? else { return print(cx, &[]) };
    let filter = Filter {
        owner: acting.visible_owner(owner, "list the jobs of others")?,
        kind: Some(TokenKind::Job),
        job: args.job.as_ref().map(ToString::to_string),
        parent: None,
        live_at: if args.all { None } else { Some(acting.by.at) },
        limit: args.limit,
        before: args.cursor,
    };
    let listed = acting.ledger.tokens(&filter)?;
    say_unreadable(cx, listed.unreadable);
    print(cx, &listed.tokens)
}

/// Shows them.
fn print(cx: &mut Context, tokens: &[Token]) -> Result<Outcome, Failure> {
    let now = cx.now();
    if cx.printer.form == Form::Json {
        cx.printer.objects(tokens.iter().map(|token| object(token, now)).collect())?;
    } else if tokens.is_empty() {
        cx.printer.notice("no jobs; begin one with `tokenkeep job-token issue JOB`");
    } else {
        let rows: Vec<_> = tokens
            .iter()
            .map(|token| {
                let lease = token.lease.as_ref().map(|lease| format!("{} on {}", lease.holder, escaped(&lease.host)));
                vec![
                    token.job.as_deref().map_or_else(String::new, escaped),
                    escaped(&token.owner),
                    token.id.to_string(),
                    token.state(now).to_owned(),
                    left(token, now),
                    lease.unwrap_or_else(|| "-".to_owned()),
                    token.scopes.to_string(),
                ]
            })
            .collect();
        cx.printer.table(&["JOB", "OWNER", "ID", "STATE", "LEFT", "HELD BY", "SCOPES"], &rows)?;
    }
    Ok(Outcome::Done)
}
