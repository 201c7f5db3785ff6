//! `token modify`: changes the name, scopes or end of a user token.

use super::{FactArgs, WhichArgs};
use crate::commands::issued::object;
use crate::commands::{Context, Outcome};
use crate::error::{Failure, Kind};
use crate::ledger::named::Change;
use crate::output::Form;

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
    #[command(flatten)]
    which: WhichArgs,
    #[command(flatten)]
    facts: FactArgs,
}

/// Runs the command.
pub(super) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    let (facts, id) = (&args.facts, &args.which.id);
    let scopes = facts.scopes(cx)?;
    let mut acting = args.which.acting.begin(cx)?;
    let change = Change { name: facts.name(), scopes, end: facts.end(acting.by.at) };
    if change.name.is_none() && change.scopes.is_none() && change.end.is_none() {
        return Err(Failure::new(Kind::Usage, "it is not said what shall be different")
            .hint("give --name, --scope, --expires or --no-expire"));
    }
    let changed = acting.ledger.modify(id, &change, &acting.actor, &acting.by);
    let changed = acting.answer(changed)?;
    if cx.printer.form == Form::Json {
        cx.printer.object(object(&changed.token, acting.by.at))?;
    }
    cx.printer.notice(&match changed.count {
        0 => "it is so already".to_owned(),
        1 => format!("changed token {id}"),
        count => format!("changed token {id}, and {} of its children with it", count - 1),
    });
    Ok(Outcome::Done)
}
