//! `vault slot remove`: takes a way to unlock back.

use serde_json::json;

use super::keyring;
use crate::commands::{Context, Outcome};
use crate::error::Failure;
use crate::output::Form;
use crate::profile::EntryName;

/// Remove a way to unlock; it takes back no knowledge
#[derive(clap::Args)]
pub(super) struct Args {
    /// The slot's name
    #[arg(required_unless_present = "keyring", conflicts_with = "keyring")]
    name: Option<EntryName>,
    /// Take the vault's key out of the keyring of the desktop
    #[arg(long)]
    keyring: bool,
}

/// Runs the command.
pub(super) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    let Some(name) = &args.name else {
        keyring::remove(cx)?;
        return report(cx, None, "took the vault's key out of the keyring");
    };
    cx.open_vault()?.remove_slot(name)?;
    report(cx, Some(name), &format!("removed the slot `{name}`"))
}

/// Says what was done, and what it does not do.
fn report(cx: &mut Context, name: Option<&EntryName>, done: &str) -> Result<Outcome, Failure> {
    if cx.printer.form == Form::Json {
        cx.printer.object(json!({"name": name, "outcome": "removed"}))?;
    }
    cx.printer.notice(&format!(
        "{done}; that takes back no knowledge: who opened the vault with it may still know the vault's key, which \
         `tokenkeep vault rotate` makes worthless"
    ));
    Ok(Outcome::Done)
}
