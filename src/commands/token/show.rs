//! `token show`: what is known of a token.

use serde_json::json;

use super::WhichArgs;
use crate::commands::issued::{facts, object, say_unreadable};
use crate::commands::{Context, Outcome};
use crate::error::Failure;
use crate::ledger::LedgerError;
use crate::ledger::list::{Filter, Listed};
use crate::output::Form;

/// Examples of the command.
const EXAMPLES: &str = "Examples:
  tokenkeep token show 4fXk2mQ9sTz7Lw1Rb8Nc3d
  tokenkeep token show 4fXk2mQ9sTz7Lw1Rb8Nc3d --as-from-env MY_TOKEN --json
";

/// Show what is known of a token
///
/// Its text is in nobody's hands but its holder's. A token of somebody else looks as if it were not there.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    which: WhichArgs,
}

/// Runs the command.
pub(super) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    let Some(acting) = args.which.acting.look(cx)? else {
        return Err(LedgerError::NoSuchToken { id: args.which.id.to_string() }.into());
    };
    let token = acting.ledger.visible(&args.which.id, &acting.actor)?;
    let filter = Filter { parent: Some(args.which.id.clone()), live_at: Some(acting.by.at), ..Filter::default() };
    let Listed { tokens: children, unreadable } = acting.ledger.tokens(&filter)?;
    say_unreadable(cx, unreadable);
    if cx.printer.form == Form::Json {
        let mut object = object(&token, acting.by.at);
        if let Some(fields) = object.as_object_mut() {
            let ids: Vec<_> = children.iter().map(|child| child.id.as_str()).collect();
            fields.insert("children".to_owned(), json!(ids));
        }
        cx.printer.object(object)?;
    } else {
        let mut facts = facts(&token, acting.by.at);
        facts.extend(children.iter().map(|child| ("children", format!("{} ({})", child.id, child.kind))));
        cx.printer.facts(&facts)?;
    }
    Ok(Outcome::Done)
}
