//! `token create`: issues a user, service or session token.

use super::FactArgs;
use crate::commands::actor::AsArgs;
use crate::commands::{Context, Outcome, issued};
use crate::error::Failure;
use crate::host::machine;
use crate::ledger::named::{End, NamedAsk, Others};
use crate::token::issued::TokenKind;
use crate::token::names::Owner;
use crate::token::overlap::Overlap;
use crate::token::time::Timestamp;

/// Examples of the command.
const EXAMPLES: &str = "Examples:
  tokenkeep token create --name laptop --scope read:all --expires 30d
  tokenkeep token create --kind service --owner bot-ci --scope exec:job --no-expire
  tokenkeep token create --owner ada --replace
";

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
    #[command(flatten)]
    facts: FactArgs,
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
    let scopes = args.facts.scopes(cx)?.unwrap_or_default();
    let mut acting = args.acting.begin(cx)?;
    let acts = || acting.actor.owner().map_or_else(machine::user, str::to_owned);
    let ask = NamedAsk {
        kind: args.kind,
        owner: args.owner.as_ref().map_or_else(acts, ToString::to_string),
        name: args.facts.name(),
        scopes,
        expires: end(args, cx, acting.by.at)?.time(),
        others: if args.replace { Others::Replace(args.grace.unwrap_or_default()) } else { Others::Keep },
    };
    let created = ask.fit().and_then(|ask| acting.ledger.create(&ask, &acting.actor, &acting.by));
    let created = acting.answer(created)?;
    let shown = issued::show_once(cx, &created, &mut acting.ledger, &acting.by);
    let gone = "those that it took the place of do not come back";
    shown.map_err(|failure| if args.replace { failure.because(gone) } else { failure })
}

/// Decides when it ends.
fn end(args: &Args, cx: &Context, now: Timestamp) -> Result<End, Failure> {
    let usual = now.after(cx.settings()?.user_ttl());
    Ok(args.facts.end(now).unwrap_or(End::At(usual)))
}
