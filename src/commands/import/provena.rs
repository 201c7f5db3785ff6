//! `import provena`: the tokens that Provena's clients leave in clear text.

use std::path::PathBuf;

use super::report::nothing_found;
use super::{Flags, Source, import, unreadable_content};
use crate::commands::{Context, Outcome};
use crate::error::{Failure, Kind};
use crate::migration::{Found, provena};

/// Examples of the command.
const EXAMPLES: &str = "Examples:
  tokenkeep import provena .tokens.json --dry-run
  tokenkeep import provena .tokens.json --stage PROD --name prod --refresh
  tokenkeep import provena offline-token.txt --name prod --shred
";

/// Take over what Provena's clients left: .tokens.json, or an offline token's file
///
/// Each stage becomes a profile of its name in small letters. Provider and client are read in the tokens themselves.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The file; `-` is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Only this stage (repeat for more)
    #[arg(long = "stage", value_name = "STAGE")]
    stages: Vec<String>,
    #[command(flatten)]
    flags: Flags,
}

/// Runs the command.
pub(super) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    let vault = cx.open_vault()?;
    let source = Source::read(cx, &args.file, |shown, bytes| {
        let found = provena::read(bytes).map_err(|fault| unreadable_content(shown, &fault))?;
        chosen(args, found)
    });
    import(cx, &args.flags, &vault, vec![source])
}

/// Keeps the stages that were asked for.
fn chosen(args: &Args, found: Vec<Found>) -> Result<Vec<Found>, Failure> {
    if found.is_empty() {
        return Err(nothing_found("no stage of the file has tokens", "log in: `tokenkeep generate PROFILE`"));
    }
    if let Some(stage) = args.stages.iter().find(|stage| !found.iter().any(|found| is_stage(found, stage))) {
        let known: Vec<&str> = found.iter().map(|found| found.label.as_str()).collect();
        return Err(Failure::new(Kind::NotFound, format!("the file has no tokens of a stage `{stage}`"))
            .hint(format!("its stages with tokens: {}", known.join(", "))));
    }
    if args.stages.is_empty() {
        return Ok(found);
    }
    let is_chosen = |found: &Found| args.stages.iter().any(|stage| is_stage(found, stage));
    let (mut chosen, others): (Vec<Found>, Vec<Found>) = found.into_iter().partition(is_chosen);
    if others.iter().any(|found| found.refresh_token.is_some()) {
        for found in &mut chosen {
            found.keeps_file = Some("it still holds the tokens of other stages, which were not taken");
        }
    }
    Ok(chosen)
}

/// Tells whether a login is that of a stage.
fn is_stage(found: &Found, stage: &str) -> bool {
    found.label.eq_ignore_ascii_case(stage)
}
