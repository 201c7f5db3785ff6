//! `tokenkeep profile remove`: takes a profile out of `config.toml` and leaves the rest as it is.

use clap_complete::ArgValueCompleter;
use serde_json::json;

use super::list::entries;
use crate::commands::completions::profile_names;
use crate::commands::{Context, Outcome};
use crate::error::Failure;
use crate::output::{Form, json_path};
use crate::profile::EntryName;
use crate::settings::SettingsError;
use crate::settings::edit::Edit;
use crate::token::nearest::nearest;

/// Examples.
const EXAMPLES: &str = "Examples:
  tokenkeep profile remove stage
";

/// Remove a profile from config.toml
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The profile
    #[arg(value_name = "PROFILE", add = ArgValueCompleter::new(profile_names))]
    name: EntryName,
}

/// Runs the command.
pub(crate) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    let Args { name } = args;
    let settings = cx.settings()?;
    let mut edit = Edit::open(&settings.path)?;
    if !edit.remove("profiles", name.as_str()) {
        let known = settings.config.profiles.keys().map(EntryName::as_str);
        let nearest = nearest(name.as_str(), known);
        return Err(SettingsError::UnknownProfile { name: name.clone(), nearest }.into());
    }
    edit.save()?;
    let was_default = settings.config.defaults.profile.as_ref() == Some(name);
    let left: Vec<EntryName> = entries(cx)?.into_iter().filter(|entry| entry.profile() == *name).collect();
    if cx.printer.form == Form::Json {
        let config = json_path(&settings.path);
        cx.printer.object(json!({"name": name, "outcome": "removed", "config": config, "entries_left": left}))?;
    }
    if was_default {
        cx.printer.notice(&format!("`{name}` is still the default: change `defaults.profile` in config.toml"));
    }
    for entry in left {
        cx.printer.notice(&format!(
            "the entry `{entry}` stays in the vault: `tokenkeep revoke {entry}` takes its token back, `tokenkeep delete {entry}` forgets it"
        ));
    }
    Ok(Outcome::Done)
}
