//! `maintain`: closes what is over, sweeps what nobody holds any more, and cuts history. For cron.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::actor::AsArgs;
use super::{Context, Outcome};
use crate::error::{Failure, Kind};
use crate::host::files::Published;
use crate::ledger::rights::Actor;
use crate::ledger::{Ledger, LedgerError};
use crate::output::{Form, counted};
use crate::token::time::Lifetime;

/// Examples of the command.
const EXAMPLES: &str = "Examples:
  tokenkeep maintain
  tokenkeep maintain --history-days 90 --json
  tokenkeep maintain --backup \"/srv/backup/ledger-$(date +%F).db\"
  5 * * * *  tokenkeep maintain --quiet
";

/// Close expired tokens, sweep orphans, cut history; for cron
///
/// A token is good no more at its own second, whether this runs or not. Of history and of closed tokens the last year stays;
/// what is cut leaves one record that holds the last hash, so that the chain can still be checked.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Copy the whole ledger into this new file before
    #[arg(long, value_name = "FILE")]
    backup: Option<PathBuf>,
    /// How many days of history and of closed tokens stay
    #[arg(long, value_name = "DAYS", default_value_t = 365)]
    history_days: u32,
    #[command(flatten)]
    acting: AsArgs,
}

/// Runs the command.
pub(crate) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    let Some(mut acting) = args.acting.look(cx)? else {
        if args.backup.is_some() {
            return Err(LedgerError::Missing { path: cx.ledger_path()? }.into());
        }
        cx.printer.notice("there is no ledger yet, so nothing to maintain");
        return Ok(Outcome::Done);
    };
    acting.require_admin()?;
    if let Some(file) = &args.backup {
        back_up(&acting.ledger, file)?;
        cx.printer.notice(&format!("the ledger is copied to {}", file.display()));
    }
    if matches!(acting.actor, Actor::System) {
        "<maintenance>".clone_into(&mut acting.by.actor);
    }
    let keep = Lifetime::seconds(u64::from(args.history_days) * 86_400);
    let done = acting.ledger.maintain(keep, &acting.by)?;
    if cx.printer.form == Form::Json {
        cx.printer.object(json!({
            "expired": done.expired,
            "swept": done.swept,
            "forgotten": done.forgotten,
            "cut": done.cut,
            "backup": args.backup,
        }))?;
    }
    cx.printer.notice(&format!(
        "{} expired, {} swept, {} forgotten, {} cut",
        counted(done.expired, "token", "tokens"),
        counted(done.swept, "orphaned job", "orphaned jobs"),
        counted(done.forgotten, "old row", "old rows"),
        counted(done.cut, "record", "records")
    ));
    Ok(Outcome::Done)
}

/// Copies the ledger, but not over another copy.
fn back_up(ledger: &Ledger, file: &Path) -> Result<(), Failure> {
    match ledger.back_up(file)? {
        Published::Yes => Ok(()),
        Published::NameTaken => Err(Failure::new(Kind::Usage, format!("{} is there already", file.display()))
            .hint("name a new file, like \"ledger-$(date +%F).db\"")),
    }
}
