//! The configuration file, what goes before it, the profiles and the ledger.

use super::Scene;
use super::environment::loose;
use super::finding::{Finding, Status};
use crate::commands::problems::{of_default, of_profile};
use crate::host::files::{self, Access};
use crate::host::survey;
use crate::ledger::open::files_of;
use crate::output::counted;
use crate::settings::report::Origin;
use crate::vault::shelf::Shelf;

/// Checks whether the configuration can be read, and by whom it can be written.
pub(super) fn file(scene: &Scene<'_>) -> Vec<Finding> {
    const CHECK: &str = "config";
    let cx = scene.cx;
    match cx.settings() {
        Ok(settings) if !settings.path.exists() => {
            let message = format!("there is no {}; the defaults hold", settings.path.display());
            vec![Finding::new(CHECK, Status::Info, message)]
        }
        Ok(settings) => {
            let profiles = counted(settings.config.profiles.len(), "profile", "profiles");
            let message = format!("{}, with {profiles}", settings.path.display());
            vec![Finding::new(CHECK, Status::Ok, message)]
        }
        Err(failure) => {
            let finding = Finding::of_failure(CHECK, Status::Fail, failure);
            // a mode can be mended
            let named = cx.globals.config.clone().or_else(|| cx.host.env.raw("TOKENKEEP_CONFIG").map(Into::into));
            let path = named.or_else(|| scene.folders().map(|folders| folders.config.join("config.toml")));
            let fault = path.and_then(|path| files::check_file(&path, Access::Readable).err());
            let fix = fault.and_then(|fault| Finding::of_fault(CHECK, Status::Fail, &fault).fix);
            vec![Finding { fix, ..finding }]
        }
    }
}

/// Says which settings do not come from the file.
pub(super) fn overrides(scene: &Scene<'_>) -> Vec<Finding> {
    let Ok(settings) = scene.cx.settings() else { return Vec::new() };
    let report = settings.report(&scene.cx.host.env, scene.cx.globals.config.as_deref());
    let named = report.iter().filter_map(|setting| match &setting.origin {
        Origin::Flag(flag) => Some(format!("{} by {flag}", setting.key)),
        Origin::Variable(variable) => Some(format!("{} by {variable}", setting.key)),
        Origin::File | Origin::Default => None,
    });
    let named: Vec<String> = named.collect();
    if named.is_empty() {
        return Vec::new();
    }
    vec![Finding::new("config", Status::Info, format!("set outside of the file: {}", named.join(", ")))]
}

/// Checks the default profile, and each one.
pub(super) fn profiles(scene: &Scene<'_>) -> Vec<Finding> {
    let (Ok(settings), Some(folders)) = (scene.cx.settings(), scene.folders()) else { return Vec::new() };
    let entries = Shelf::of(&folders.data.join("vault")).names().unwrap_or_default().entries;
    let of_one = |name| {
        let check = format!("profile {name}");
        let problems = of_profile(settings, name, &entries);
        let unusable = settings.profile(name).is_err();
        let status = if unusable { Status::Fail } else { Status::Warn };
        problems.into_iter().map(move |problem| Finding::of_problem(&check, status, problem))
    };
    let default = of_default(settings, &entries);
    let default = default.map(|problem| Finding::of_problem("profiles", Status::Warn, problem));
    default.into_iter().chain(settings.config.profiles.keys().flat_map(of_one)).collect()
}

/// Checks whether the ledger opens, if there is one.
pub(super) fn ledger(scene: &Scene<'_>) -> Vec<Finding> {
    const CHECK: &str = "ledger";
    let cx = scene.cx;
    let finding = match cx.present_ledger(&cx.by()) {
        Ok(None) => Finding::new(CHECK, Status::Skip, "no token of our own was ever issued here"),
        Ok(Some(_)) => {
            let path = cx.ledger_path().map(|path| path.display().to_string()).unwrap_or_default();
            Finding::new(CHECK, Status::Ok, format!("{path} opens; `tokenkeep audit` checks what is in it"))
        }
        Err(_) if cx.settings().is_err() => Finding::new(CHECK, Status::Skip, "the configuration cannot be read"),
        Err(failure) => Finding::of_failure(CHECK, Status::Fail, failure.while_doing("the ledger cannot be used")),
    };
    let files = cx.ledger_path().map(|path| files_of(&path)).into_iter().flatten();
    let open = files.filter_map(|path| survey::open_to_all(&path));
    std::iter::once(finding).chain(open.map(|fault| Finding::of_fault(CHECK, loose(&fault), &fault))).collect()
}
