//! `list`: the entries of the vault, and how they stand.

use super::seen::{self, Seen};
use super::{Context, Outcome};
use crate::error::{Failure, chain};
use crate::output::{Form, counted};
use crate::token::text::escaped;
use crate::token::time::Timestamp;
use crate::vault::shelf::Shelf;
use crate::vault::{VaultError, header};

/// Examples of the command.
const EXAMPLES: &str = "Examples:
  tokenkeep list
  tokenkeep list --user ada
  tokenkeep list --json
";

/// What stands in a column where nothing is known.
const NOTHING: &str = "-";

/// List the entries of the vault
///
/// Of a locked vault the names are listed, and nothing else. The provider is not asked.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// List the entries of this user only (repeat for more)
    #[arg(long = "user", value_name = "USER")]
    users: Vec<String>,
}

/// Runs the command.
pub(crate) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    let folder = cx.vault_folder()?;
    if !header::path(&folder).exists() {
        let missing = header::missing(&folder);
        if matches!(missing, VaultError::HeaderMissing { .. }) {
            return Err(missing.into());
        }
        cx.printer.notice("there is no vault yet; make one with `tokenkeep init`");
        print(cx, &[])?;
        return Ok(Outcome::Done);
    }
    let shelf = Shelf::of(&folder);
    let names = shelf.names().map_err(VaultError::from)?;
    let vault = match cx.open_vault_unasked()? {
        Ok(vault) => Some(vault),
        Err(why) => {
            cx.printer.notice(&format!(
                "only names are listed: {}; `tokenkeep status` shows what would open it",
                chain(&why)
            ));
            None
        }
    };
    let mut entries = Vec::new();
    let mut foreign = names.foreign;
    for name in names.entries {
        if args.users.is_empty() || name.user().is_some_and(|user| args.users.iter().any(|wanted| wanted == user)) {
            // it may have been deleted since its name was read
            entries.extend(seen::look(cx, vault.as_ref(), &name)?);
        }
        foreign.extend(shelf.foreign_files(&name).unwrap_or_default());
    }
    if entries.is_empty() && args.users.is_empty() {
        cx.printer.notice("no entries yet; log in with `tokenkeep generate PROFILE --issuer URL --client-id ID`");
    }
    print(cx, &entries)?;
    say_unseen(cx, &entries);
    for path in foreign {
        cx.printer.notice(&format!("{} does not belong into a vault", escaped(&path.display().to_string())));
    }
    Ok(Outcome::Done)
}

/// Says which entries could not be looked into, and why.
fn say_unseen(cx: &mut Context, entries: &[Seen]) {
    for entry in entries {
        if let Some(damage) = entry.damage() {
            cx.printer.notice(&format!("`{}` is damaged: {damage}; check with `tokenkeep vault verify`", entry.name));
        }
    }
    if let Some(fault) = entries.iter().find_map(Seen::closed) {
        let count = counted(entries.iter().filter(|entry| entry.closed().is_some()).count(), "entry", "entries");
        cx.printer.notice(&format!("of {count} in the keyring only names are listed: {fault}; {}", fault.mend()));
    }
}

/// Prints the list.
fn print(cx: &mut Context, entries: &[Seen]) -> Result<(), Failure> {
    let now = cx.now();
    if cx.printer.form == Form::Json {
        return Ok(cx.printer.objects(entries.iter().map(|entry| entry.json(now)).collect())?);
    }
    if entries.is_empty() {
        return Ok(());
    }
    let rows: Vec<Vec<String>> = entries.iter().map(|entry| row(entry, now)).collect();
    Ok(cx.printer.table(&["NAME", "KIND", "USER", "ACCESS LEFT", "DIES", "STATE"], &rows)?)
}

/// Describes an entry in one line.
fn row(entry: &Seen, now: Timestamp) -> Vec<String> {
    let or_nothing = |cell: Option<String>| cell.unwrap_or_else(|| NOTHING.to_owned());
    vec![
        entry.name.to_string(),
        or_nothing(entry.kind().map(str::to_owned)),
        or_nothing(entry.user().map(str::to_owned)),
        or_nothing(entry.access_left(now).map(|left| left.to_string())),
        or_nothing(entry.dies_at().map(|end| end.to_string())),
        or_nothing(entry.state().map(str::to_owned)),
    ]
}
