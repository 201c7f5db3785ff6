//! What is wrong with entries and profiles, and what mends it: shared by `status` and `doctor`.

use super::Context;
use super::seen::Seen;
use crate::error::Failure;
use crate::keeper::note::when;
use crate::keeper::standing::Standing;
use crate::profile::EntryName;
use crate::settings::{ProfileTable, Settings, SettingsError};
use crate::vault::entry::Body;
use crate::vault::shelf::Shelf;

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// What.
    pub(crate) what: String,
    /// What mends it.
    pub(crate) mend: String,
}

impl Problem {
    /// Puts something down.
    pub(crate) fn new(what: String, mend: &str) -> Self {
        Self { what, mend: mend.to_owned() }
    }

    /// Puts down what a command would have failed with.
    pub(crate) fn of(failure: Failure) -> Self {
        let what = failure.one_line();
        Self { what, mend: failure.hint.unwrap_or_else(|| "see `tokenkeep help formats`".to_owned()) }
    }
}

/// Says which entries a move between files and keyring has not reached.
pub(crate) fn misplaced(cx: &Context, names: &[EntryName]) -> Result<Option<Problem>, Failure> {
    let (site, shelf) = (cx.site()?, Shelf::of(&cx.vault_folder()?));
    let is_elsewhere = |name: &&EntryName| shelf.backend(name).is_ok_and(|backend| backend != site.backend);
    let count = names.iter().filter(is_elsewhere).count();
    let (place, to) = (site.backend.other().place(), site.backend);
    let mend = format!("move them with `tokenkeep vault migrate --to {to}`");
    let what = format!("{count} of {} entries still rest in {place}", names.len());
    Ok((count > 0).then(|| Problem::new(what, &mend)))
}

/// Says what is wrong with an entry.
pub(crate) fn of_entry(seen: &Seen) -> Option<Problem> {
    let name = &seen.name;
    if let Some(damage) = seen.damage() {
        return Some(Problem::new(format!("`{name}` is damaged: {damage}"), "check with `tokenkeep vault verify`"));
    }
    if let Some(fault) = seen.closed() {
        return Some(Problem::new(format!("nobody can look into `{name}`: {fault}"), &fault.mend()));
    }
    let opened = seen.opened()?;
    let generate = format!("log in again with `tokenkeep generate {name}`");
    match &opened.standing {
        Standing::Good | Standing::Due | Standing::Refreshing | Standing::Unknown => None,
        Standing::Unavailable { why, .. } => {
            let mend = format!("try again with `tokenkeep refresh {name} --force`");
            Some(Problem::new(format!("the provider of `{name}` was not available: {why}"), &mend))
        }
        Standing::ResponseLost { since } => {
            let mend = format!("try again with `tokenkeep refresh {name} --force`");
            Some(Problem::new(format!("the answer to the refresh of `{name}` on {} was lost", when(*since)), &mend))
        }
        Standing::Refused { refused, .. } => {
            Some(Problem::new(format!("the provider refused the token of `{name}`: {}", refused.words), &generate))
        }
        Standing::Spent => {
            let mend = format!("{generate}; if it is the newest after all, `tokenkeep refresh {name} --present-spent`");
            Some(Problem::new(format!("the token of `{name}` was exchanged for a newer one before"), &mend))
        }
        Standing::Moved => {
            let mend = format!("log in there with `tokenkeep generate {name}`, or change the profile back");
            let what = format!("the profile of `{name}` says otherwise about where its token came from");
            Some(Problem::new(what, &mend))
        }
        Standing::Unusable => Some(Problem::new(
            format!("the refresh token of `{name}` has characters that no request carries"),
            &generate,
        )),
        Standing::Expired { at } => {
            let is_login = matches!(opened.entry.body, Body::RefreshToken(_));
            let store = format!("store a new one with `tokenkeep store {name} --kind {}`", opened.entry.body.kind());
            Some(Problem::new(format!("`{name}` expired on {at}"), if is_login { &generate } else { &store }))
        }
    }
}

/// Says what is wrong with the profile that is meant where none is named; `entries` are there.
pub(crate) fn of_default(settings: &Settings, entries: &[EntryName]) -> Option<Problem> {
    let name = settings.default_profile().filter(|name| !entries.contains(name))?;
    let error = settings.profile(name).err().filter(|error| matches!(error, SettingsError::UnknownProfile { .. }))?;
    let problem = Problem::of(error.into());
    let what = format!("the default profile is no profile: {}", problem.what);
    Some(Problem { what, ..problem })
}

/// Says what is wrong with a profile; `entries` are there.
pub(crate) fn of_profile(settings: &Settings, name: &EntryName, entries: &[EntryName]) -> Vec<Problem> {
    let profile = match settings.profile(name) {
        Ok(profile) => profile,
        // a flag may give it when the profile is used
        Err(SettingsError::MissingParameter { .. }) => return Vec::new(),
        Err(error) => return vec![Problem::of(error.into())],
    };
    let mut problems = Vec::new();
    if settings.config.profiles.get(name).is_some_and(ProfileTable::has_idle_secret) {
        let what = format!("the client_secret of `{name}` is not used: client_auth is \"none\"");
        problems.push(Problem::new(what, "set client_auth to \"basic\" or \"post\", or take client_secret out"));
    }
    if let Some(secret) = profile.client_secret.filter(|secret| !entries.contains(secret)) {
        let mend = format!("store it with `tokenkeep store {secret} --kind client-secret`");
        problems.push(Problem::new(format!("the client secret of `{name}` is not in the vault"), &mend));
    }
    if !entries.iter().any(|entry| entry.profile() == *name) {
        let mend = format!("log in with `tokenkeep generate {name}`");
        problems.push(Problem::new(format!("nobody has logged in to `{name}` yet"), &mend));
    }
    problems
}
