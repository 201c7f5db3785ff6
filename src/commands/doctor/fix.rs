//! What `--fix` does: nothing that could lose anything, and nothing that says whom to trust.

use std::time::Duration;

use super::finding::{Finding, Fix};
use crate::commands::Context;
use crate::error::{Failure, Kind, file_failure};
use crate::host::{files, survey, temporary};
use crate::profile::EntryName;

/// Mends what can be mended, and says what was done; what cannot be done stays among the findings.
pub(super) fn mend(cx: &Context, findings: &[Finding]) -> Vec<String> {
    let mut fixes: Vec<&Fix> = Vec::new();
    for fix in findings.iter().filter_map(|finding| finding.fix.as_ref()) {
        if !fixes.contains(&fix) {
            fixes.push(fix);
        }
    }
    fixes.into_iter().filter_map(|fix| apply(cx, fix).ok()).collect()
}

/// Does one thing, and says what.
fn apply(cx: &Context, fix: &Fix) -> Result<String, Failure> {
    let failed = |fault| file_failure(Kind::Failed, &fault);
    match fix {
        Fix::Mode(path, mode) => {
            survey::set_mode(path, *mode).map_err(failed)?;
            Ok(format!("set the mode of {} to {mode:03o}", path.display()))
        }
        Fix::Folder(path) => {
            files::make_folder(path).map_err(failed)?;
            Ok(format!("made {}", path.display()))
        }
        Fix::Remove(path) => {
            survey::remove_leftover(path).map_err(failed)?;
            Ok(format!("removed {}", path.display()))
        }
        Fix::Sweep(path) if temporary::remove_left(path) => Ok(format!("removed {}", path.display())),
        Fix::Sweep(path) => Err(Failure::new(Kind::Failed, format!("cannot remove {}", path.display()))),
        Fix::Publish(name) => publish(cx, name),
    }
}

/// Publishes an answer that waits, as the next refresh would.
fn publish(cx: &Context, name: &EntryName) -> Result<String, Failure> {
    let vault = crate::vault::Vault::open(&cx.site()?, &cx.pin()?, &cx.sources()?, None)?;
    // who holds it publishes the answer himself
    let lock = vault.lock(name, Duration::ZERO)?;
    cx.keeper(&vault)?.adopt_unpublished(name, &lock).map_err(|error| Failure::from_error(Kind::Failed, &error))?;
    Ok(format!("published the new token of `{name}`"))
}
