//! `token create`: issues a user, service or session token.

use crate::commands::actor::AsArgs;
use crate::commands::{Context, Outcome, issued};
use crate::error::{Failure, Kind};
use crate::host::machine;
use crate::ledger::named::{NamedAsk, Others};
use crate::token::issued::TokenKind;
use crate::token::names::{Label, Owner};
use crate::token::overlap::Overlap;
use crate::token::time::{Expires, Timestamp};

/// Examples of the command.
const EXAMPLES: &str = "Examples:
  tokenkeep token create --name laptop --scope read:all --expires 30d
  tokenkeep token create --kind service --owner bot-ci --scope exec:job --no-expire
  tokenkeep token create --owner ada --replace
";

/// What a person's only token is called where nobody says it.
const ONLY: &str = "default";

/// Issue a user, service or session token
///
/// The token is printed this one time. A user token has a name, which no other live token of its owner has. A service token
/// has none; its owner is a program, called `bot-...`. Without --expires it lives for `user_ttl`, 90 days.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// What it is: user, service or session
    #[arg(long, value_name = "KIND", default_value = "user")]
    kind: TokenKind,
    /// Whom it speaks for [default: who acts]
    #[arg(long, value_name = "OWNER")]
    owner: Option<Owner>,
    /// What it is called
    #[arg(long, value_name = "NAME")]
    name: Option<Label>,
    /// What it may do (repeat for more)
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// When it ends: a time, a day (at its 00:00 UTC), or how long from now
    #[arg(long, value_name = "TIME")]
    expires: Option<Expires>,
    /// Let it never end
    #[arg(long, conflicts_with = "expires")]
    no_expire: bool,
    /// Put it in the place of all the owner's other user tokens
    #[arg(long)]
    replace: bool,
    /// How long these stay good yet, 1d at most [default: not at all]
    #[arg(long, value_name = "TIME", requires = "replace")]
    grace: Option<Overlap>,
    #[command(flatten)]
    acting: AsArgs,
}

/// Runs the command.
pub(super) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    let scopes = issued::scopes(&args.scopes)?;
    issued::known(cx, &scopes)?;
    let mut acting = args.acting.begin(cx)?;
    let acts = || acting.actor.owner().map_or_else(machine::user, str::to_owned);
    let owner = args.owner.as_ref().map_or_else(acts, ToString::to_string);
    let name = name(args, &owner)?;
    let expires = expires(args, cx, acting.by.at)?;
    let others = if args.replace { Others::Replace(args.grace.unwrap_or_default()) } else { Others::Keep };
    let ask = NamedAsk { kind: args.kind, owner, name, scopes, expires, others };
    let created = acting.ledger.create(&ask, &acting.actor, &acting.by);
    let created = acting.answer(created)?;
    issued::show_once(cx, &created)
}

/// Decides about the name, and refuses what does not go with the kind.
fn name(args: &Args, owner: &str) -> Result<Option<String>, Failure> {
    let usage = |message: &str, hint: &str| Err(Failure::new(Kind::Usage, message).hint(hint));
    let name = args.name.as_ref().map(|name| name.as_str().to_owned());
    if args.replace && args.kind != TokenKind::User {
        return usage("only user tokens are replaced", "leave --replace out");
    }
    match (args.kind, name) {
        (TokenKind::User, None) if args.replace => Ok(Some(ONLY.to_owned())),
        (TokenKind::User, None) => usage("a user token needs a name", "give it one: `--name laptop`"),
        (TokenKind::User, name) => Ok(name),
        (TokenKind::Service, None) => match owner.parse() {
            Ok(owner) if Owner::is_bot(&owner) => Ok(None),
            _ => usage("a service token's owner is a program", "name one like `--owner bot-ci`"),
        },
        (TokenKind::Session, None) => Ok(None),
        (TokenKind::Service | TokenKind::Session, Some(_)) => usage("only user tokens have a name", "leave --name out"),
        (TokenKind::Job, _) => usage("a job's token is issued with its job", "type `tokenkeep job-token issue JOB`"),
        (TokenKind::Notebook | TokenKind::Internal | TokenKind::Oidc, _) => {
            usage("such a token has a parent", "type `tokenkeep token delegate --kind KIND --parent-stdin < TOKEN`")
        }
    }
}

/// Decides when it ends.
fn expires(args: &Args, cx: &Context, now: Timestamp) -> Result<Option<Timestamp>, Failure> {
    if args.no_expire {
        return Ok(None);
    }
    let default = now.after(cx.settings()?.user_ttl());
    Ok(Some(args.expires.map_or(default, |expires| expires.end(now))))
}
