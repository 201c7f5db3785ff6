//! STUB

use crate::commands::{Context, Outcome};
use crate::error::Failure;

/// Arguments.
#[derive(clap::Args)]
pub(crate) struct Args {}

/// Runs the command.
pub(crate) fn run(_args: Args, _cx: &mut Context) -> Result<Outcome, Failure> {
    Ok(Outcome::Done)
}
