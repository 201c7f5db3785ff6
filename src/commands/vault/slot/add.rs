//! `vault slot add`: wraps the vault identity for one more way to unlock.

use crate::commands::{Context, Outcome, new_passphrase};
use crate::error::Failure;
use crate::profile::EntryName;
use crate::vault::slots::Wrapping;

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
    let wrapping = match &args.recipient {
        Some(recipient) => Wrapping::Recipient(recipient.clone()),
        None => Wrapping::Passphrase(new_passphrase::take(cx, "--new-passphrase-fd", args.new_passphrase_fd)?),
    };
    vault.add_slot(&args.name, wrapping)?;
    cx.printer.notice(&format!("added the slot `{}`", args.name));
    Ok(Outcome::Done)
}
