//! `token list`: tokens of all kinds, the newest first.

use crate::commands::actor::AsArgs;
use crate::commands::issued::left;
use crate::commands::issued_list::{Columns, PartArgs, show};
use crate::commands::{Context, Outcome};
use crate::error::Failure;
use crate::ledger::list::{Filter, Listed};
use crate::ledger::token::Token;
use crate::token::issued::{PublicId, TokenKind};
use crate::token::names::Owner;
use crate::token::time::Timestamp;

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
    #[command(flatten)]
    part: PartArgs,
    #[command(flatten)]
    acting: AsArgs,
}

/// Runs the command.
pub(super) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    let Some(mut acting) = args.acting.look(cx)? else { return show(cx, &Listed::default(), &COLUMNS) };
    let owner = acting.visible_owner(args.owner.as_ref().map(ToString::to_string), "list the tokens of others")?;
    let now = acting.by.at;
    let filter = Filter {
        owner,
        kind: args.kind,
        job: None,
        parent: args.parent.clone(),
        live_at: if args.all { None } else { Some(now) },
        limit: args.part.limit,
        before: args.part.cursor,
    };
    show(cx, &acting.ledger.tokens(&filter)?, &COLUMNS)
}

/// Shows a token to people.
fn row(token: &Token, now: Timestamp) -> [String; 8] {
    let name = token.name.as_ref().or(token.service.as_ref()).or(token.job.as_ref());
    [
        token.id.to_string(),
        token.kind.to_string(),
        token.owner.clone(),
        name.cloned().unwrap_or_else(|| "-".to_owned()),
        token.state(now).to_owned(),
        left(token, now),
        token.parent.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string),
        token.scopes.to_string(),
    ]
}

/// How tokens are shown to people.
const COLUMNS: Columns<8> = Columns {
    nothing: "no tokens; issue one with `tokenkeep token create --name NAME`",
    heads: ["ID", "KIND", "OWNER", "FOR", "STATE", "LEFT", "PARENT", "SCOPES"],
    row,
};
