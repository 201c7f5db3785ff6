//! `tokenkeep profile add`: writes a profile into `config.toml`, which keeps its comments and its order.

use serde_json::json;

use super::flags::{ProfileFlags, write_profile};
use crate::commands::{Context, Outcome};
use crate::error::{Failure, Kind};
use crate::output::{Form, json_path};
use crate::profile::EntryName;
use crate::settings::SettingsError;

/// Examples.
const EXAMPLES: &str = "Examples:
  tokenkeep profile add prod --issuer https://auth.example.org/realms/main \\
      --client-id automated-access
  tokenkeep profile add stage --client-id automated-access \\
      --issuer 'https://auth.{domain}/realms/{realm}' --set-param realm=main
  tokenkeep profile add api --issuer https://idp.example.org --client-id batch \\
      --client-secret entry:api-client --audience https://api.example.org
";

/// Write a profile into config.toml
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// What to call the profile
    name: EntryName,
    /// Write it even if there is a profile of that name
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    profile: ProfileFlags,
}

/// Runs the command.
pub(crate) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    let Args { name, replace, profile } = args;
    if !replace && cx.settings()?.config.profiles.contains_key(name) {
        return Err(Failure::new(Kind::Usage, format!("there already is a profile `{name}`"))
            .hint(format!("see it with `tokenkeep profile show {name}`, or add --replace")));
    }
    let missing = [("--issuer URL", &profile.issuer), ("--client-id ID", &profile.client_id)];
    if let Some((flag, _)) = missing.iter().find(|(_, given)| given.is_none()) {
        return Err(Failure::new(Kind::Usage, format!("a profile needs {flag}")).hint(format!(
            "type `tokenkeep profile add {name} --issuer URL --client-id ID`; `tokenkeep profile discover URL` asks a provider"
        )));
    }
    let table = profile.table();
    let replaced = cx.settings()?.config.profiles.contains_key(name);
    write_profile(cx, name, &table)?;
    let settings = cx.settings()?;
    let parameter = match settings.build(name, &table) {
        Err(SettingsError::MissingParameter { parameter, .. }) => format!(" --param {parameter}=VALUE"),
        _ => String::new(),
    };
    let path = settings.path.clone();
    if cx.printer.form == Form::Json {
        let outcome = if replaced { "replaced" } else { "made" };
        cx.printer.object(json!({"name": name, "outcome": outcome, "config": json_path(&path)}))?;
    }
    let path = path.display();
    let notice = format!("the profile `{name}` is in {path}; log in with `tokenkeep generate {name}{parameter}`");
    cx.printer.notice(&notice);
    Ok(Outcome::Done)
}
