//! What an import did: lines for people, objects for programs.

use serde_json::{Value, json};

use super::Flags;
use super::take::{TableFate, Taken, TokenFate};
use crate::commands::{Context, Outcome};
use crate::error::{Failure, Kind};
use crate::host::shred::HONESTLY;
use crate::output::{Form, put_time};

/// What became of one login, or of a file in which none could be read.
pub(super) struct Imported {
    /// The file, fit to be shown.
    pub(super) file: String,
    /// What the tool calls the login; empty if it has no name.
    pub(super) label: String,
    /// What was done, or why nothing.
    pub(super) outcome: Result<Taken, Failure>,
    /// Whether there is nothing in it that could be of use.
    pub(super) is_nothing: bool,
    /// Whether there is a refresh token in it, of whatever use.
    pub(super) has_token: bool,
    /// Whether the file is gone.
    pub(super) is_shredded: bool,
}

impl Imported {
    /// Describes something that could not be taken over.
    pub(super) fn failed(file: &str, label: &str, failure: Failure) -> Self {
        let (file, label) = (file.to_owned(), label.to_owned());
        Self { file, label, outcome: Err(failure), is_nothing: false, has_token: false, is_shredded: false }
    }

    /// Tells whether all that could be taken was.
    pub(super) const fn is_safe(&self) -> bool {
        self.outcome.is_ok() || self.is_nothing
    }

    /// Says which refresh token would be lost with the file: one that seems to be of no use may be all that somebody has.
    pub(super) fn keeps_file(&self) -> Option<String> {
        let is_left = self.is_nothing && self.has_token;
        is_left.then(|| format!("it still holds the refresh token of `{}`, which was not taken", self.label))
    }

    /// Tells whether somebody pressed Ctrl-C at a question.
    pub(super) fn is_interrupted(&self) -> bool {
        self.outcome.as_ref().is_err_and(|failure| failure.kind == Kind::Interrupted)
    }

    /// Says which login of which file it is.
    fn place(&self) -> String {
        if self.label.is_empty() { self.file.clone() } else { format!("`{}` of {}", self.label, self.file) }
    }
}

/// Says what became of each login, and fails if one of them failed, or none was taken.
pub(super) fn report(cx: &mut Context, flags: &Flags, mut results: Vec<Imported>) -> Result<Outcome, Failure> {
    let took_any = results.iter().any(|result| result.outcome.is_ok());
    if took_any && cx.printer.form == Form::Json {
        cx.printer.objects(results.iter().map(|result| object(flags, result)).collect())?;
    } else if took_any {
        for line in results.iter().flat_map(|result| lines(flags, result)) {
            // what would be done is all that a dry run is for
            if flags.dry_run { cx.printer.line(&line)? } else { cx.printer.notice(&line) }
        }
    }
    let gone = results.iter().filter(|result| result.is_shredded).map(|result| result.file.as_str());
    let mut gone: Vec<&str> = gone.collect();
    gone.dedup();
    for file in gone {
        cx.printer.notice(&format!("{file}: {HONESTLY}"));
    }
    results.retain(|result| !(took_any && result.is_nothing));
    failure_of(results).map_or(Ok(Outcome::Done), Err)
}

/// Joins what failed.
fn failure_of(results: Vec<Imported>) -> Option<Failure> {
    let count = results.len();
    let place = |result: Imported| Some((result.place(), result.file.clone(), result.outcome.err()?));
    let mut failures: Vec<(String, String, Failure)> = results.into_iter().filter_map(place).collect();
    if failures.len() <= 1 {
        let (place, file, failure) = failures.pop()?;
        let is_named = failure.one_line().contains(&file);
        return Some(if is_named { failure } else { failure.while_doing(format!("cannot take over {place}")) });
    }
    let (kind, hint) = failures.first().map(|(.., failure)| (failure.kind, failure.hint.clone()))?;
    let summary = Failure::new(kind, format!("{} of {count} logins could not be taken over", failures.len()));
    let line = |(place, file, failure): (String, String, Failure)| {
        let line = failure.one_line();
        if line.contains(&file) { line } else { format!("{place}: {line}") }
    };
    let mut summary = failures.into_iter().map(line).fold(summary, Failure::because);
    summary.hint = hint;
    Some(summary)
}

/// Describes a result for people.
fn lines(flags: &Flags, result: &Imported) -> Vec<String> {
    let place = result.place();
    let taken = match &result.outcome {
        Ok(taken) => taken,
        Err(failure) if result.is_nothing => return vec![format!("left {place}: {}", failure.one_line())],
        // it is told at the end
        Err(_) => return Vec::new(),
    };
    let (name, profile) = (&taken.name, &taken.profile);
    let first = match &taken.token {
        TokenFate::Imported(Some(generation)) => {
            format!("took over {place} as `{name}`: refresh-token, generation {generation}")
        }
        TokenFate::Imported(None) => format!("would take over {place} as `{name}`"),
        TokenFate::Unchanged => format!("{place} is in the vault already, as `{name}`"),
        TokenFate::Newer => format!("{place} is in the vault already; `{name}` holds a newer token that came of it"),
    };
    let did = match (taken.table, flags.dry_run) {
        (TableFate::Kept, _) => "as it was",
        (TableFate::Made, false) => "made",
        (TableFate::Made, true) => "would be made",
        (TableFate::Replaced, false) => "changed",
        (TableFate::Replaced, true) => "would be changed",
    };
    let mut lines = vec![first, format!("  profile `{}`: {did}", profile.name)];
    lines.push(format!("  issuer {}, client {} (from {})", profile.issuer, profile.client_id, taken.origin));
    lines.extend(profile.client_secret.iter().map(|entry| format!("  client secret: in `{entry}`")));
    lines.extend(taken.expires_at.iter().map(|end| format!("  the refresh token ends at {end}")));
    lines.extend(taken.left.iter().map(|left| format!("  not taken: {left}")));
    lines
}

/// Describes a result for programs.
fn object(flags: &Flags, result: &Imported) -> Value {
    let mut object = json!({
        "file": result.file,
        "login": Some(&result.label).filter(|label| !label.is_empty()),
        "file_shredded": result.is_shredded,
        "dry_run": flags.dry_run,
        "name": null, "outcome": null, "generation": null, "profile": null, "profile_outcome": null, "issuer": null,
        "client_id": null, "taken_from": null, "client_secret": null, "scopes": null, "audience": null,
        "left": [], "error": null,
    });
    match &result.outcome {
        Ok(taken) => describe(&mut object, taken),
        Err(failure) => {
            object["outcome"] = json!(if result.is_nothing { "left" } else { "failed" });
            object["error"] = failure.json()["error"].clone();
            put_time(&mut object, "expires", None);
        }
    }
    object
}

/// Adds what was taken.
fn describe(object: &mut Value, taken: &Taken) {
    let profile = &taken.profile;
    let (outcome, generation) = match &taken.token {
        TokenFate::Imported(generation) => ("imported", *generation),
        TokenFate::Unchanged => ("unchanged", None),
        TokenFate::Newer => ("newer", None),
    };
    let table = match taken.table {
        TableFate::Made => "made",
        TableFate::Replaced => "replaced",
        TableFate::Kept => "unchanged",
    };
    let facts = [
        ("name", json!(taken.name)),
        ("outcome", json!(outcome)),
        ("generation", json!(generation)),
        ("profile", json!(profile.name)),
        ("profile_outcome", json!(table)),
        ("issuer", json!(profile.issuer)),
        ("client_id", json!(profile.client_id)),
        ("taken_from", json!(taken.origin)),
        ("client_secret", json!(profile.client_secret)),
        ("scopes", json!(profile.scopes.iter().collect::<Vec<_>>())),
        ("audience", json!(profile.audience)),
        ("left", json!(taken.left)),
    ];
    for (key, value) in facts {
        object[key] = value;
    }
    put_time(object, "expires", taken.expires_at);
}

/// Fails where there was nothing to look at.
pub(super) fn nothing_found(what: &str, hint: &str) -> Failure {
    Failure::new(Kind::NotFound, what).hint(hint)
}
