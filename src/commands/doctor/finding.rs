//! What a check found, how it is written down, and what is taken out before anybody else reads it.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::commands::problems::Problem;
use crate::error::Failure;
use crate::host::files::FileFault;
use crate::profile::EntryName;
use crate::token::text::{self, Look};

/// How good it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Status {
    /// As it should be.
    Ok,
    /// Neither good nor bad.
    Info,
    /// It could not be looked at.
    Skip,
    /// It works, and should be different.
    Warn,
    /// It does not work.
    Fail,
}

impl Status {
    /// Returns the word for it.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Info => "info",
            Self::Skip => "skip",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// What `--fix` can do without asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fix {
    /// Set the mode of a file or folder.
    Mode(PathBuf, u32),
    /// Make a folder.
    Folder(PathBuf),
    /// Remove what a killed process left.
    Remove(PathBuf),
    /// Remove the folder of token files that a killed command left.
    Sweep(PathBuf),
    /// Publish an answer that waits.
    Publish(EntryName),
}

/// What a check found.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    /// What was looked at.
    pub(super) check: String,
    /// How good it is.
    pub(super) status: Status,
    /// What there is to say.
    pub(super) message: String,
    /// What mends it.
    pub(super) mend: Option<String>,
    /// What `--fix` does about it.
    pub(super) fix: Option<Fix>,
}

impl Finding {
    /// Puts something down.
    pub(super) fn new(check: &str, status: Status, message: impl Into<String>) -> Self {
        Self { check: check.to_owned(), status, message: message.into(), mend: None, fix: None }
    }

    /// Says what mends it.
    pub(super) fn mend(self, mend: impl Into<String>) -> Self {
        Self { mend: Some(mend.into()), ..self }
    }

    /// Says what `--fix` does about it.
    pub(super) fn fix(self, fix: Fix) -> Self {
        Self { fix: Some(fix), ..self }
    }

    /// Puts down what a command would have failed with.
    pub(super) fn of_failure(check: &str, status: Status, failure: impl Into<Failure>) -> Self {
        let failure = failure.into();
        let finding = Self::new(check, status, failure.one_line());
        Self { mend: failure.hint, ..finding }
    }

    /// Puts down what is wrong with an entry or a profile.
    pub(super) fn of_problem(check: &str, status: Status, problem: Problem) -> Self {
        Self::new(check, status, problem.what).mend(problem.mend)
    }

    /// Puts down what is wrong with a file that must be private.
    pub(super) fn of_fault(check: &str, status: Status, fault: &FileFault) -> Self {
        let finding = Self::new(check, status, fault.to_string());
        let finding = Self { mend: fault.mend().map(|command| format!("type `{command}`")), ..finding };
        match fault {
            FileFault::TooOpen { path, wanted, .. } => finding.fix(Fix::Mode(path.clone(), *wanted)),
            FileFault::Io { .. }
            | FileFault::Symlink { .. }
            | FileFault::WrongOwner { .. }
            | FileFault::WrongKind { .. }
            | FileFault::TooLarge { .. } => finding,
        }
    }

    /// Writes it for programs.
    pub(super) fn object(&self, redact: &Redaction) -> Value {
        json!({
            "check": self.check,
            "status": self.status.word(),
            "message": redact.text(&self.message),
            "mend": self.mend.as_ref().map(|mend| redact.text(mend)),
            "fixable": self.fix.is_some(),
        })
    }
}

/// What is taken out, so that a report can be shown to others: where the home folder is, the user's name in paths, and
/// whatever looks like a token.
#[derive(Debug, Default)]
pub(super) struct Redaction {
    /// The home folder.
    home: Option<String>,
    /// The user's name.
    user: String,
}

impl Redaction {
    /// Takes the home folder and the name of a user.
    pub(super) fn of(home: Option<&Path>, user: String) -> Self {
        let home = home.and_then(Path::to_str).filter(|home| home.len() > 1).map(str::to_owned);
        Self { home, user }
    }

    /// Writes a text as others may see it. What is to be typed can still be typed.
    pub(super) fn text(&self, text: &str) -> String {
        let mut text = text::escaped(text);
        if let Some(home) = &self.home {
            // a shell knows no tilde inside quotes
            text = text.replace(&format!("'{home}/"), "~/'").replace(&format!("{home}/"), "~/").replace(home, "~");
        }
        if !self.user.is_empty() {
            text = text.replace(&format!("/{}/", self.user), "/USER/");
        }
        words(&text).map(|word| if is_secret(word) { "[redacted]" } else { word }).collect()
    }
}

/// Tells whether a word is a secret; what is only long and mixed may be a path.
fn is_secret(word: &str) -> bool {
    // what we say ourselves of such a key has only dots there
    let is_key = word.strip_prefix("AGE-SECRET-KEY-").is_some_and(|key| key != "1...");
    is_key || text::classify(word) == Look::Jwt || crate::token::issued::is_token(word)
}

/// Cuts a text into words and what is between them.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive(|c: char| c.is_whitespace() || "\"'`()[]{}<>,;:=".contains(c)).flat_map(|piece| {
        let end = piece.char_indices().next_back().filter(|(_, c)| !c.is_ascii_alphanumeric() && !"-_.".contains(*c));
        let (word, after) = piece.split_at(end.map_or(piece.len(), |(at, _)| at));
        [word, after]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_and_a_name_are_taken_out_and_commands_can_still_be_typed() {
        let redact = Redaction::of(Some(Path::new("/home/ada")), "ada".to_owned());
        let text =
            redact.text("type `chmod 600 '/home/ada/.config/x y'`; see /srv/ada/vault and /home/ada, not /home/adam");
        assert_eq!(text, "type `chmod 600 ~/'.config/x y'`; see /srv/USER/vault and ~, not ~m");
    }

    #[test]
    fn what_looks_like_a_token_is_taken_out() {
        let redact = Redaction::default();
        let text = redact.text("unknown value `eyJhbGciOiJub25lIn0.e30.` for x=AGE-SECRET-KEY-1ABC, /tmp/a-b_c.d");
        assert_eq!(text, "unknown value `[redacted]` for x=[redacted], /tmp/a-b_c.d");
        let ours = "no age identity (a line AGE-SECRET-KEY-1... or AGE-PLUGIN-NAME-1...)";
        assert_eq!(redact.text(ours), ours);
    }
}
