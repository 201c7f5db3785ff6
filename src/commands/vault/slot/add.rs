//! `vault slot add`: wraps the vault identity for one more way to unlock.

use std::path::PathBuf;

use super::{keyring, list};
use crate::commands::init::identity_in;
use crate::commands::{Context, Outcome, new_passphrase};
use crate::error::Failure;
use crate::host::descriptor;
use crate::host::folders::absolute;
use crate::profile::EntryName;
use crate::vault::slots::Wrapping;

/// Add a way to unlock: a passphrase, an age recipient, a plugin of age, a file, or the keyring of the desktop
///
/// A recipient is the public half of a key that somebody else has: a CI runner, a colleague, or with `age1NAME1...` a
/// security key behind the program `age-plugin-NAME`, which must be in PATH. Who unlocks names an identity file that holds
/// the other half (AGE-SECRET-KEY-1... or AGE-PLUGIN-NAME-1...). With `--identity-file` a new key is made and written there.
/// The keyring of the desktop gets the vault's own key, which needs neither a slot nor a name.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The slot's name
    #[arg(required_unless_present = "keyring", conflicts_with = "keyring")]
    name: Option<EntryName>,
    /// Wrap the vault identity for this recipient (age1..., or age1NAME1... for a plugin)
    #[arg(long, value_name = "RECIPIENT", group = "way")]
    recipient: Option<String>,
    /// Wrap it for the key in this file, which is made if it is not there
    #[arg(long, value_name = "FILE", group = "way")]
    identity_file: Option<PathBuf>,
    /// Read the new passphrase from this descriptor
    #[arg(long, value_name = "N", value_parser = descriptor::given, group = "way")]
    new_passphrase_fd: Option<i32>,
    /// Let the keyring of the desktop open the vault, too
    #[arg(long, group = "way")]
    keyring: bool,
}

/// Runs the command.
pub(super) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    let Some(name) = &args.name else { return keyring::add(cx) };
    let mut vault = cx.open_vault()?;
    let wrapping = wrapping(args, cx)?;
    vault.add_slot(name, wrapping, cx.asker().as_deref())?;
    list::report(cx, vault.slots().iter().find(|slot| slot.name == *name))?;
    cx.printer.notice(&format!("added the slot `{name}`"));
    if let Some(file) = &args.identity_file {
        let file = absolute(file);
        cx.printer.notice(&format!("unlock with `export TOKENKEEP_IDENTITY_FILE='{}'`", file.display()));
    }
    Ok(Outcome::Done)
}

/// Returns for whom the vault identity is wrapped.
fn wrapping(args: &Args, cx: &mut Context) -> Result<Wrapping, Failure> {
    Ok(match (&args.recipient, &args.identity_file) {
        (Some(recipient), _) => Wrapping::Recipient(recipient.clone()),
        (None, Some(file)) => Wrapping::Recipient(identity_in(&absolute(file))?.recipient().to_string()),
        (None, None) => Wrapping::Passphrase(new_passphrase::take(cx, "--new-passphrase-fd", args.new_passphrase_fd)?),
    })
}
