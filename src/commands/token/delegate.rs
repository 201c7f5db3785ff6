//! `token delegate`: issues a child of a token.

use crate::commands::actor::{deny, good_token};
use crate::commands::source::SourceArgs;
use crate::commands::{Context, Outcome, issued};
use crate::error::{Failure, Kind};
use crate::ledger::child::{ChildAsk, ChildKind, Fit};
use crate::token::issued::TokenKind;
use crate::token::names::Service;
use crate::token::time::{Expires, Lifetime};

/// Examples of the command.
const EXAMPLES: &str = "Examples:
  tokenkeep token delegate --kind notebook --parent-from-env MY_TOKEN
  tokenkeep token delegate --kind internal --service tap --scope read:tap --parent-stdin < token.txt
";

/// Issue a child of a token: notebook, internal or oidc
///
/// A notebook token may do all that its parent may; an internal one is for one service and may do what is asked for; an
/// oidc one may do nothing here. A child ends with its parent at the latest. A notebook or internal token that is there and
/// has half its life left (or --min-ttl) is printed again.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// What it is: notebook, internal or oidc
    #[arg(long, value_name = "KIND")]
    kind: TokenKind,
    /// The service that an internal token is for
    #[arg(long, value_name = "SERVICE")]
    service: Option<Service>,
    /// What an internal token may do (repeat for more)
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// Leave out what the parent may not do
    #[arg(long)]
    intersect: bool,
    /// How much life it must have at least
    #[arg(long, value_name = "TIME")]
    min_ttl: Option<Lifetime>,
    /// When it ends at the latest: a time, a day (at its 00:00 UTC), or how long from now
    #[arg(long, value_name = "TIME")]
    expires: Option<Expires>,
    #[command(flatten)]
    parent: ParentArgs,
}

/// Where the parent comes from.
#[derive(clap::Args)]
#[group(required = true, multiple = false)]
struct ParentArgs {
    /// Take the parent from an environment variable
    #[arg(long, value_name = "VAR")]
    parent_from_env: Option<String>,
    /// Read the parent from standard input
    #[arg(long)]
    parent_stdin: bool,
}

/// Runs the command.
pub(super) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    let kind = kind(args)?;
    let lifetime = cx.settings()?.user_ttl();
    let mut by = cx.by();
    let expires = args.expires.map(|expires| expires.end(by.at));
    let ask = ChildAsk { kind, lifetime, expires, min_ttl: args.min_ttl };
    ask.refuse_impossible(by.at)?;
    let parent = &args.parent;
    let source =
        SourceArgs { stdin: parent.parent_stdin, from_env: parent.parent_from_env.clone(), ..SourceArgs::default() };
    source.check(cx)?;
    let mut ledger = cx.ledger(&by)?;
    let Some(parent) = good_token(&source, cx, &mut ledger, &by)? else {
        return Err(Failure::new(Kind::Usage, "there is no parent").hint("give it with --parent-stdin"));
    };
    // the rights of the parent are known before the vault is asked
    let key = if ask.kind.is_retold() { Some(issued::issue_key(cx)?) } else { None };
    by.actor.clone_from(&parent.owner);
    let child = ledger.delegate(&parent, &ask, key.as_ref(), &by);
    let child = child.map_err(|error| deny(&mut ledger, &parent, error, &by))?;
    if key.is_some() { issued::show_again(cx, &child) } else { issued::show_once(cx, &child, &mut ledger, &by) }
}

/// Decides what the child is, and refuses flags that do not go with it.
fn kind(args: &Args) -> Result<ChildKind, Failure> {
    let usage = |message: &str, hint: &str| Err(Failure::new(Kind::Usage, message).hint(hint));
    let plain = args.scopes.is_empty() && args.service.is_none() && !args.intersect;
    match (args.kind, &args.service) {
        (TokenKind::Notebook, _) if plain => Ok(ChildKind::Notebook),
        (TokenKind::Oidc, _) if plain => Ok(ChildKind::Oidc),
        (TokenKind::Notebook | TokenKind::Oidc, _) => {
            usage("only an internal token has a service and scopes of its own", "leave --service and --scope out")
        }
        (TokenKind::Internal, Some(service)) => Ok(ChildKind::Internal {
            service: service.to_string(),
            scopes: issued::scopes(&args.scopes)?,
            fit: if args.intersect { Fit::Intersect } else { Fit::Reject },
        }),
        (TokenKind::Internal, None) => usage("an internal token is for a service", "name it with --service"),
        (TokenKind::Job | TokenKind::User | TokenKind::Service | TokenKind::Session, _) => {
            usage("such a token is nobody's child", "the kinds of children are notebook, internal and oidc")
        }
    }
}
