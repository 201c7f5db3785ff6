//! `token list`: tokens of all kinds, the newest first.

use crate::commands::actor::AsArgs;
use crate::commands::issued::{left, object, say_unreadable};
use crate::commands::{Context, Outcome};
use crate::error::Failure;
use crate::ledger::list::Filter;
use crate::ledger::token::Token;
use crate::output::Form;
use crate::token::issued::{PublicId, TokenKind};
use crate::token::names::Owner;
use crate::token::text::escaped;

/// Examples of the command.
const EXAMPLES: &str = "Examples:
  tokenkeep token list --owner ada
  tokenkeep token list --all --kind internal --limit 50 --json
";

/// List tokens, the newest first
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Those of this owner
    #[arg(long, value_name = "OWNER")]
    owner: Option<Owner>,
    /// Those of this kind
    #[arg(long, value_name = "KIND")]
    kind: Option<TokenKind>,
    /// The children of this token
    #[arg(long, value_name = "ID")]
    parent: Option<PublicId>,
    /// Those that are good no more, too
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
    let Some(mut acting) = args.acting.look(cx)? else { return print(cx, &[]) };
    let owner = acting.visible_owner(args.owner.as_ref().map(ToString::to_string), "list the tokens of others")?;
    let now = acting.by.at;
    let filter = Filter {
        owner,
        kind: args.kind,
        job: None,
        parent: args.parent.clone(),
        live_at: if args.all { None } else { Some(now) },
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
        cx.printer.notice("no tokens; issue one with `tokenkeep token create --name NAME`");
    } else {
        let rows: Vec<_> = tokens
            .iter()
            .map(|token| {
                let name = token.name.as_ref().or(token.service.as_ref()).or(token.job.as_ref());
                vec![
                    token.id.to_string(),
                    token.kind.to_string(),
                    escaped(&token.owner),
                    name.map_or_else(|| "-".to_owned(), |name| escaped(name)),
                    token.state(now).to_owned(),
                    left(token, now),
                    token.parent.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string),
                    token.scopes.to_string(),
                ]
            })
            .collect();
        cx.printer.table(&["ID", "KIND", "OWNER", "FOR", "STATE", "LEFT", "PARENT", "SCOPES"], &rows)?;
    }
    Ok(Outcome::Done)
}
