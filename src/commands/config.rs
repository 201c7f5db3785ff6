//! `config`: settings as they are in force.

use serde_json::json;

use super::{Context, Outcome};
use crate::error::{Failure, Kind};
use crate::output::Form;
use crate::settings::report::{Setting, Value};
use crate::token::nearest::nearest;

/// Examples of the command.
const EXAMPLES: &str = "Examples:
  tokenkeep config get defaults.profile
  tokenkeep config get profiles.prod.issuer
  tokenkeep config get defaults.min_ttl --default 60s
";

/// Show settings as they are in force
#[derive(clap::Args)]
#[command(after_help = EXAMPLES, disable_help_subcommand = true)]
pub(crate) struct Args {
    /// What to do
    #[command(subcommand)]
    command: Command,
}

/// What can be done with settings. Each is described where its arguments are: what stood here
/// would take the place of that.
#[derive(clap::Subcommand)]
enum Command {
    Get(Get),
}

/// Print one setting
///
/// What counts is, in this order: a flag, an environment variable, config.toml, the default; it is printed as it was
/// written there, with parameters filled in. A list has spaces between its words, and with `--json` is an array.
/// `tokenkeep status --explain` lists all settings, and where each came from.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
struct Get {
    /// The setting, like defaults.profile, `unlock.identity_file`, profiles.prod.issuer or vault.path
    #[arg(value_name = "KEY")]
    key: String,
    /// What to print if it is not set
    #[arg(long, value_name = "VALUE")]
    default: Option<String>,
}

/// Runs the command.
pub(crate) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    match &args.command {
        Command::Get(args) => get(args, cx),
    }
}

/// Prints one setting.
fn get(Get { key, default }: &Get, cx: &mut Context) -> Result<Outcome, Failure> {
    let settings = cx.settings()?.report(&cx.host.env, cx.globals.config.as_deref());
    let keys: Vec<String> = settings.iter().map(|setting| setting.key.clone()).collect();
    let (value, origin) = match settings.into_iter().find(|setting| setting.key == *key) {
        Some(Setting { value, origin, .. }) => (value?, Some(origin.to_string())),
        None => (None, None),
    };
    let default = default.clone().map(Value::Text);
    let Some(shown) = value.as_ref().or(default.as_ref()) else { return Err(unset(key, &keys)) };
    if cx.printer.form == Form::Json {
        let origin = origin.filter(|_| value.is_some()).unwrap_or_else(|| "--default".to_owned());
        cx.printer.object(json!({"key": key, "value": shown, "origin": origin}))?;
    } else {
        cx.printer.line(&shown.to_string())?;
    }
    Ok(Outcome::Done)
}

/// Describes a setting that has no value.
fn unset(key: &str, known: &[String]) -> Failure {
    if known.iter().any(|other| other == key) {
        return Failure::new(Kind::NotFound, format!("`{key}` is not set"))
            .hint("give --default VALUE to print something all the same");
    }
    let failure = Failure::new(Kind::NotFound, format!("there is no setting `{key}`"));
    match nearest(key, known.iter().map(String::as_str)) {
        Some(near) => failure.hint(format!("did you mean `{near}`? `tokenkeep status --explain` lists all")),
        None => failure.hint("see all with `tokenkeep status --explain`"),
    }
}
