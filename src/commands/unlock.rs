//! `unlock`: leaves the vault open for a while, in the kernel's keyring.

use serde_json::json;

use super::{Context, Outcome};
use crate::error::{Failure, Kind};
use crate::host::kernel_keyring;
use crate::output::{Form, put_time};
use crate::token::time::{Lifetime, Timestamp};
use crate::vault::VaultError;
use crate::vault::unlock::Lent;

/// Examples of the command.
const EXAMPLES: &str = "Examples:
  tokenkeep unlock
  tokenkeep unlock --for 30m
  tokenkeep unlock --passphrase-fd 3 3<FILE
";

/// The longest time. Who needs a vault to be open for longer needs no passphrase, and a file or a systemd credential says so
/// plainly.
const LONGEST: Lifetime = Lifetime::seconds(7 * 86_400);

/// Open the vault for a while
///
/// The key of the vault is left in the memory of the kernel, and the kernel takes it out when the time is over: in no file,
/// gone after a restart. Until then the vault is open for every program of yours on this machine, in every terminal,
/// over ssh, in tmux and under cron. A vault that is open already stays so for the new time, from now on. `tokenkeep lock`
/// closes it, `tokenkeep status` shows until when it is open.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// How long it stays open: from 1s to 7d
    #[arg(long = "for", value_name = "DURATION", default_value = "8h")]
    time: Lifetime,
}

/// Runs the command.
pub(crate) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    refuse_length(args.time)?;
    // before anybody types a passphrase for nothing
    kernel_keyring::try_out().map_err(|fault| cannot(fault.into()))?;
    let vault = cx.open_vault()?;
    let until = vault.leave_open(args.time, cx.now()).map_err(cannot)?;
    report(cx, vault.recipient(), until)?;
    Ok(Outcome::Done)
}

/// Refuses a time that is none, or too long.
fn refuse_length(time: Lifetime) -> Result<(), Failure> {
    if time.as_seconds() == 0 {
        return Err(Failure::new(Kind::Usage, "--for 0s would open nothing").hint("close it with `tokenkeep lock`"));
    }
    if time > LONGEST {
        return Err(Failure::new(Kind::Usage, format!("--for {time} is longer than {LONGEST}"))
            .hint("for longer use a key in a file: `tokenkeep help environment` says how"));
    }
    Ok(())
}

/// Describes that the vault cannot be left open.
fn cannot(error: VaultError) -> Failure {
    Failure::from(error).while_doing("cannot leave the vault open")
}

/// Says until when it is open.
fn report(cx: &mut Context, recipient: &str, until: Timestamp) -> Result<(), Failure> {
    if cx.printer.form == Form::Json {
        let mut object = json!({"recipient": recipient});
        put_time(&mut object, "until", Some(until));
        return Ok(cx.printer.object(object)?);
    }
    cx.printer
        .notice(&format!("open until {until} for every program of yours on this machine; `tokenkeep lock` closes it"));
    let sources = cx.sources()?.of_another_command();
    if let Some(source) = sources.present(Lent::No) {
        let how = if sources.is_named() { "is used first" } else { "opens it" };
        cx.printer.notice(&format!("it is open without that, too: {source} {how}"));
    }
    Ok(())
}
