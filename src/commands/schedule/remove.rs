//! `schedule remove`: stops the timer and removes the units.

use std::path::PathBuf;

use serde_json::json;

use super::install::systemctl;
use super::place::{Place, PlaceArgs, Present, foreign, look};
use crate::commands::{Context, Outcome};
use crate::error::{Failure, Kind, file_failure};
use crate::host::files;
use crate::output::{Form, json_path};

/// Examples of the command.
const EXAMPLES: &str = "Examples:
  tokenkeep schedule remove
  sudo tokenkeep schedule remove --system
";

/// Stop the timer and remove the units
///
/// A refresh that runs goes on to its end. What somebody else wrote, or changed, stays.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    place: PlaceArgs,
    /// Remove files that are not ours, or were changed
    #[arg(long)]
    force: bool,
}

/// Runs the command.
pub(super) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    let place = Place::of(&args.place, cx)?;
    let found = present(&place)?;
    if let Some((path, _)) = found.iter().find(|(_, present)| *present == Present::Foreign && !args.force) {
        return Err(foreign(path).hint("remove it all the same with --force"));
    }
    let paths: Vec<PathBuf> = found.into_iter().map(|(path, _)| path).collect();
    remove(&place, &paths, cx)?;
    if cx.printer.form == Form::Json {
        cx.printer.object(json!({"removed": paths.iter().map(|path| json_path(path)).collect::<Vec<_>>()}))?;
    }
    for path in paths {
        cx.printer.notice(&format!("{} is removed", path.display()));
    }
    Ok(Outcome::Done)
}

/// Stops the timer, and removes the files.
fn remove(place: &Place, paths: &[PathBuf], cx: &Context) -> Result<(), Failure> {
    let speaks = place.is_usual && !place.is_cron() && place.has_manager(cx);
    if speaks {
        systemctl(&place.stopping(), cx)?;
    }
    // the timer goes first: whatever interrupts this, nothing starts a service that is not there
    let gone: Vec<PathBuf> = place.link().into_iter().chain(paths.iter().rev().cloned()).collect();
    for path in gone {
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(file_failure(Kind::Failed, &files::fault("remove", &path)(error)));
            }
            Ok(()) | Err(_) => {}
        }
    }
    if speaks {
        systemctl(&place.forgetting(), cx)?;
    }
    Ok(())
}

/// Returns the files that are there.
fn present(place: &Place) -> Result<Vec<(PathBuf, Present)>, Failure> {
    let mut found = Vec::new();
    for path in place.paths()? {
        let (present, _) = look(&path, None)?;
        if present != Present::Nothing {
            found.push((path, present));
        }
    }
    if found.is_empty() {
        let folder = place.folder()?.display().to_string();
        return Err(Failure::new(Kind::NotFound, format!("there is no such schedule in {folder}"))
            .hint("name another one with `--name`, `--user`, `--system` or `--kind`"));
    }
    Ok(found)
}
