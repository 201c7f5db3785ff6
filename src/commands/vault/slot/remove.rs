//! `vault slot remove`: takes a way to unlock back.

use serde_json::json;

use crate::commands::{Context, Outcome};
use crate::error::Failure;
use crate::output::Form;
use crate::profile::EntryName;

/// Remove a way to unlock; it takes back no knowledge
#[derive(clap::Args)]
pub(super) struct Args {
    /// The slot's name
    name: EntryName,
}

/// Runs the command.
pub(super) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    let name = &args.name;
    cx.open_vault()?.remove_slot(name)?;
    if cx.printer.form == Form::Json {
        cx.printer.object(json!({"name": name, "outcome": "removed"}))?;
    }
    cx.printer.notice(&format!(
        "removed the slot `{name}`; that takes back no knowledge: who opened the vault with it may still know the vault's \
         key, which `tokenkeep vault rotate` makes worthless"
    ));
    Ok(Outcome::Done)
}
