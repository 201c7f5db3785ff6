//! `admin-token lifetime`: how long a token lives if nothing else is said.

use serde_json::json;

use crate::commands::{Context, Outcome};
use crate::error::Failure;
use crate::output::Form;
use crate::token::admin_token::AdminLifetime;

/// Examples.
const EXAMPLES: &str = "Examples:
  tokenkeep admin-token lifetime
  sleep \"$(tokenkeep admin-token lifetime)\"      then what was minted before without --ttl is over
";

/// Print how many seconds a token lives
///
/// That of `mint` without --ttl; --json names the longest there is, too.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {}

/// Runs the command.
pub(crate) fn run(_args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    let seconds = AdminLifetime::default().lifetime().as_seconds();
    match cx.printer.form {
        Form::Json => cx.printer.object(json!({
            "default_seconds": seconds,
            "longest_seconds": AdminLifetime::LONGEST.as_seconds(),
        }))?,
        Form::Text => cx.printer.line(&seconds.to_string())?,
    }
    Ok(Outcome::Done)
}
