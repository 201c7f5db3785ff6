//! `vault slot change`: another passphrase for a slot.

use super::list;
use crate::commands::{Context, Outcome, new_passphrase};
use crate::error::Failure;
use crate::host::descriptor;
use crate::profile::EntryName;

/// Change the passphrase of a slot
///
/// The vault must be open, by the present passphrase or in any other way. Whenever this is interrupted, the present
/// passphrase or the new one opens the vault. A copy of the vault from before still opens with the present one.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The slot's name
    name: EntryName,
    /// Read the new passphrase from this descriptor
    #[arg(long, value_name = "N", value_parser = descriptor::given)]
    new_passphrase_fd: Option<i32>,
}

/// Runs the command.
pub(super) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    let mut vault = cx.open_vault()?;
    // before anybody types a new passphrase for nothing
    vault.passphrase_slot(&args.name)?;
    let passphrase = new_passphrase::take(cx, "--new-passphrase-fd", args.new_passphrase_fd)?;
    vault.change_passphrase(&args.name, passphrase)?;
    list::report(cx, vault.slots().iter().find(|slot| slot.name == args.name))?;
    cx.printer.notice(&format!("the slot `{}` opens with the new passphrase now", args.name));
    Ok(Outcome::Done)
}
