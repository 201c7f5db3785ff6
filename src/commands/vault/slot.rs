//! `vault slot`: the ways to unlock a vault.

use serde_json::json;

use super::super::{Context, Outcome};
use crate::commands::init::refuse_empty;
use crate::error::Failure;
use crate::output::Form;
use crate::profile::EntryName;
use crate::vault::slots::Wrapping;
use crate::vault::unlock;

/// Examples of the command.
const EXAMPLES: &str = "Examples:
  tokenkeep vault slot add passphrase
  tokenkeep vault slot add ci --recipient age1...
  tokenkeep vault slot remove ci
";

/// Add, list and remove ways to unlock
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// What to do
    #[command(subcommand)]
    command: Command,
}

/// What to do with the slots.
#[derive(clap::Subcommand)]
enum Command {
    /// Add a way to unlock: a passphrase, or an age recipient
    Add {
        /// The slot's name
        name: EntryName,
        /// Wrap the vault identity for this recipient (age1...)
        #[arg(long, value_name = "RECIPIENT", conflicts_with = "new_passphrase_fd")]
        recipient: Option<String>,
        /// Read the new passphrase from this descriptor
        #[arg(long, value_name = "N")]
        new_passphrase_fd: Option<i32>,
    },
    /// List the ways to unlock
    List,
    /// Remove a way to unlock; it takes back no knowledge
    Remove {
        /// The slot's name
        name: EntryName,
    },
}

/// Runs the command.
pub(super) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    match &args.command {
        Command::Add { name, recipient, new_passphrase_fd } => add(cx, name, recipient.as_ref(), *new_passphrase_fd),
        Command::List => list(cx),
        Command::Remove { name } => remove(cx, name),
    }
}

/// Adds a slot.
fn add(cx: &mut Context, name: &EntryName, recipient: Option<&String>, fd: Option<i32>) -> Result<Outcome, Failure> {
    let mut vault = cx.open_vault()?;
    let wrapping = match (recipient, fd) {
        (Some(recipient), _) => Wrapping::Recipient(recipient.clone()),
        (None, Some(number)) => Wrapping::Passphrase(unlock::read_passphrase(number)?),
        (None, None) => Wrapping::Passphrase(cx.new_passphrase("--new-passphrase-fd")?),
    };
    if let Wrapping::Passphrase(passphrase) = &wrapping {
        refuse_empty(passphrase)?;
    }
    vault.add_slot(name, wrapping)?;
    cx.printer.notice(&format!("added the slot `{name}`"));
    Ok(Outcome::Done)
}

/// Lists the slots, after checking that the list is ours.
fn list(cx: &mut Context) -> Result<Outcome, Failure> {
    let vault = cx.open_vault()?;
    if cx.printer.form == Form::Json {
        let object = |slot: &crate::vault::header::Slot| json!({"name": slot.name, "kind": slot.kind.name(), "recipient": slot.recipient});
        cx.printer.objects(vault.slots().iter().map(object).collect())?;
    } else if vault.slots().is_empty() {
        cx.printer.notice("no slots: the vault opens with its own key alone");
    } else {
        let row = |slot: &crate::vault::header::Slot| {
            let recipient = slot.recipient.clone().unwrap_or_default();
            vec![slot.name.to_string(), slot.kind.name().to_owned(), recipient]
        };
        let rows: Vec<Vec<String>> = vault.slots().iter().map(row).collect();
        cx.printer.table(&["SLOT", "KIND", "RECIPIENT"], &rows)?;
    }
    Ok(Outcome::Done)
}

/// Removes a slot.
fn remove(cx: &mut Context, name: &EntryName) -> Result<Outcome, Failure> {
    let mut vault = cx.open_vault()?;
    vault.remove_slot(name)?;
    cx.printer.notice(&format!(
        "removed the slot `{name}`; who opened the vault with it before may still know the vault's key"
    ));
    Ok(Outcome::Done)
}
