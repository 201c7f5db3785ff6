//! `vault slot add`: wraps the vault identity for one more way to unlock.

use crate::commands::init::refuse_empty;
use crate::commands::{Context, Outcome};
use crate::error::Failure;
use crate::profile::EntryName;
use crate::vault::slots::Wrapping;
use crate::vault::unlock;

/// Add a way to unlock: a passphrase, or an age recipient
#[derive(clap::Args)]
pub(super) struct Args {
    /// The slot's name
    name: EntryName,
    /// Wrap the vault identity for this recipient (age1...)
    #[arg(long, value_name = "RECIPIENT", conflicts_with = "new_passphrase_fd")]
    recipient: Option<String>,
    /// Read the new passphrase from this descriptor
    #[arg(long, value_name = "N")]
    new_passphrase_fd: Option<i32>,
}

/// Runs the command.
pub(super) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    let mut vault = cx.open_vault()?;
    let wrapping = match (&args.recipient, args.new_passphrase_fd) {
        (Some(recipient), _) => Wrapping::Recipient(recipient.clone()),
        (None, Some(number)) => Wrapping::Passphrase(unlock::read_passphrase(number)?),
        (None, None) => Wrapping::Passphrase(cx.new_passphrase("--new-passphrase-fd")?),
    };
    if let Wrapping::Passphrase(passphrase) = &wrapping {
        refuse_empty(passphrase)?;
    }
    vault.add_slot(&args.name, wrapping)?;
    cx.printer.notice(&format!("added the slot `{}`", args.name));
    Ok(Outcome::Done)
}
