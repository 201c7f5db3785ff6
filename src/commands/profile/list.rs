//! `tokenkeep profile list`: the profiles as they are written, and which entries belong to each.

use serde_json::{Value, json};

use crate::commands::{Context, Outcome};
use crate::error::Failure;
use crate::output::Form;
use crate::profile::EntryName;
use crate::settings::ProfileTable;
use crate::settings::report::word;
use crate::vault::shelf::Shelf;

/// Examples.
const EXAMPLES: &str = "Examples:
  tokenkeep profile list
  tokenkeep profile list --json
";

/// List the profiles
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {}

/// Runs the command.
pub(crate) fn run(_args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    let entries = entries(cx)?;
    let settings = cx.settings()?;
    let default = settings.default_profile().cloned();
    let profiles: Vec<_> = settings.config.profiles.iter().map(|(name, table)| (name.clone(), table.clone())).collect();
    let owned = |profile: &EntryName| -> Vec<&EntryName> {
        entries.iter().filter(|entry| entry.profile() == *profile).collect()
    };
    if cx.printer.form == Form::Json {
        let object = |(name, table): &(EntryName, ProfileTable)| object(name, table, &owned(name), default.as_ref());
        cx.printer.objects(profiles.iter().map(object).collect())?;
    } else if profiles.is_empty() {
        cx.printer.notice("no profiles yet; make one: `tokenkeep profile add NAME --issuer URL --client-id ID`");
    } else {
        let rows: Vec<_> = profiles.iter().map(|(name, table)| row(name, table, &owned(name))).collect();
        cx.printer.table(&["NAME", "ISSUER", "CLIENT", "FLOW", "SCOPES", "ENTRIES"], &rows)?;
    }
    Ok(Outcome::Done)
}

/// Lists the entries of the vault; without a vault there are none.
pub(super) fn entries(cx: &Context) -> Result<Vec<EntryName>, Failure> {
    let shelf = Shelf::of(&cx.vault_folder()?);
    // a vault that cannot be listed is for `status` to explain
    Ok(shelf.names().map(|names| names.entries).unwrap_or_default())
}

/// Describes a profile to programs.
fn object(name: &EntryName, table: &ProfileTable, entries: &[&EntryName], default: Option<&EntryName>) -> Value {
    json!({
        "name": name,
        "issuer": table.issuer,
        "client_id": table.client_id,
        "flow": table.flow.unwrap_or_default(),
        "scopes": table.scopes,
        "audience": table.audience,
        "is_default": default == Some(name),
        "entries": entries,
    })
}

/// Describes a profile to people.
fn row(name: &EntryName, table: &ProfileTable, entries: &[&EntryName]) -> Vec<String> {
    let entries: Vec<&str> = entries.iter().map(|entry| entry.as_str()).collect();
    let or_dash = |text: String| if text.is_empty() { "-".to_owned() } else { text };
    vec![
        name.to_string(),
        or_dash(table.issuer.clone().unwrap_or_default()),
        or_dash(table.client_id.clone().unwrap_or_default()),
        word(table.flow.unwrap_or_default()).unwrap_or_default(),
        or_dash(table.scopes.join(" ")),
        or_dash(entries.join(" ")),
    ]
}
