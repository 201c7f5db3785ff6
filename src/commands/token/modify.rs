//! `token modify`: changes the name, scopes or end of a user token.

use crate::commands::actor::AsArgs;
use crate::commands::issued::{self, object};
use crate::commands::{Context, Outcome};
use crate::error::{Failure, Kind};
use crate::ledger::named::{Change, End};
use crate::output::Form;
use crate::token::issued::PublicId;
use crate::token::names::Label;
use crate::token::time::Expires;

/// Examples of the command.
const EXAMPLES: &str = "Examples:
  tokenkeep token modify 4fXk2mQ9sTz7Lw1Rb8Nc3d --name desktop --scope read:all
  tokenkeep token modify 4fXk2mQ9sTz7Lw1Rb8Nc3d --expires 7d
  tokenkeep token modify 4fXk2mQ9sTz7Lw1Rb8Nc3d --scope ''
";

/// Change the name, scopes or end of a user token
///
/// What is not named stays as it is. A sooner end holds for its children, too; a child that could do more than the token
/// from now on is revoked. Only an administrator may do this.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Its public id
    #[arg(value_name = "ID")]
    id: PublicId,
    /// What it is called from now on
    #[arg(long, value_name = "NAME")]
    name: Option<Label>,
    /// What it may do from now on (repeat for more; '' for nothing)
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// When it ends: a time, a day (at its 00:00 UTC), or how long from now
    #[arg(long, value_name = "TIME")]
    expires: Option<Expires>,
    /// Let it never end
    #[arg(long, conflicts_with = "expires")]
    no_expire: bool,
    #[command(flatten)]
    acting: AsArgs,
}

/// Runs the command.
pub(super) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    let scopes = issued::scopes(&args.scopes)?;
    issued::known(cx, &scopes)?;
    let mut acting = args.acting.begin(cx)?;
    let end = args.expires.map(|expires| End::At(expires.end(acting.by.at)));
    let change = Change {
        name: args.name.as_ref().map(ToString::to_string),
        scopes: if args.scopes.is_empty() { None } else { Some(scopes) },
        end: if args.no_expire { Some(End::Never) } else { end },
    };
    if change.name.is_none() && change.scopes.is_none() && change.end.is_none() {
        return Err(Failure::new(Kind::Usage, "it is not said what shall be different")
            .hint("give --name, --scope, --expires or --no-expire"));
    }
    let changed = acting.ledger.modify(&args.id, &change, &acting.actor, &acting.by);
    let changed = acting.answer(changed)?;
    if cx.printer.form == Form::Json {
        cx.printer.object(object(&changed.token, acting.by.at))?;
    }
    cx.printer.notice(&match changed.count {
        0 => "it is so already".to_owned(),
        1 => format!("changed token {}", args.id),
        count => format!("changed token {}, and {} of its children with it", args.id, count - 1),
    });
    Ok(Outcome::Done)
}
