//! `lock`: closes what `unlock` left open.

use serde_json::json;

use super::{Context, Outcome};
use crate::error::Failure;
use crate::output::Form;
use crate::vault::kernel;
use crate::vault::unlock::{Lent, Sources};

/// Examples of the command.
const EXAMPLES: &str = "Examples:
  tokenkeep lock
  tokenkeep lock --all
";

/// Close what `unlock` opened, now
///
/// The key of this vault is taken out of the memory of the kernel. Other vaults of yours (of another folder) stay open
/// unless `--all` is given. A command that has begun goes on; a key in a file, a systemd credential or the keyring of the
/// desktop still opens the vault, and is named. Nothing is wrong if nothing was open.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Close every vault that you have left open on this machine
    #[arg(long)]
    all: bool,
}

/// Runs the command.
pub(crate) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    let closed = if args.all { kernel::close_all() } else { kernel::close(&cx.vault_folder()?).map(usize::from) };
    let closed = closed.map_err(|error| Failure::from(error).while_doing("cannot close the vault"))?;
    // what is closed is closed, also where the configuration cannot be read
    let sources = still_open(cx).ok().flatten();
    let source = sources.as_ref().and_then(|sources| sources.present(Lent::No));
    if cx.printer.form == Form::Json {
        cx.printer.object(json!({"closed": closed, "source": source}))?;
        return Ok(Outcome::Done);
    }
    cx.printer.notice(&match closed {
        0 => "nothing was left open".to_owned(),
        1 => "closed".to_owned(),
        count => format!("closed {count} vaults"),
    });
    if let (Some(source), Some(sources)) = (source, sources) {
        let when = if sources.is_named() { "" } else { " while that is unlocked" };
        cx.printer.notice(&format!("the vault is not locked by that: {source} opens it{when}"));
    }
    Ok(Outcome::Done)
}

/// Returns what opens the vault without a person, if there is one.
fn still_open(cx: &Context) -> Result<Option<Sources>, Failure> {
    let sources = cx.sources()?.of_another_command();
    Ok(cx.vault_folder()?.exists().then_some(sources))
}
