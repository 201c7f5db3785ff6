//! From every room's errors to what a person reads and the shell gets: message, causes, hint and exit code.

#![warn(clippy::wildcard_enum_match_arm)]

use std::error::Error;

use serde_json::json;

use crate::host::files::FileFault;
use crate::host::folders::NoHome;
use crate::settings::SettingsError;

/// Why the program ends; the number is its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// Anything that has no code of its own.
    Failed = 1,
    /// Arguments that make no sense.
    Usage = 2,
    /// The answer is no.
    No = 3,
    /// A person must log in.
    Login = 4,
    /// The vault is locked, missing, unreadable, or not the one we know.
    Locked = 5,
    /// The same command may work later.
    Later = 6,
    /// There is no such profile, entry or slot.
    NotFound = 8,
    /// The configuration is wrong, or the provider refuses our client.
    Config = 9,
    /// A defect of ours.
    Bug = 70,
    /// A person interrupted the program.
    Interrupted = 130,
}

impl Kind {
    /// Returns the name that stands in JSON.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::No => "no",
            Self::Login => "login",
            Self::Locked => "locked",
            Self::Later => "later",
            Self::NotFound => "not-found",
            Self::Config => "config",
            Self::Bug => "bug",
            Self::Interrupted => "interrupted",
        }
    }
}

/// How a command that did not do its work ends.
#[derive(Debug)]
pub(crate) struct Failure {
    /// Which exit code, and the word for it.
    pub(crate) kind: Kind,
    /// What failed, on what.
    pub(crate) message: String,
    /// Why, from near to far.
    pub(crate) causes: Vec<String>,
    /// What to type next.
    pub(crate) hint: Option<String>,
    /// The exit code, where it is not the kind's: `exec` keeps the codes of its child apart from ours.
    pub(crate) code: u8,
}

impl Failure {
    /// Begins a failure.
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), causes: Vec::new(), hint: None, code: kind as u8 }
    }

    /// Begins a failure from an error and all its sources.
    pub(crate) fn from_error(kind: Kind, error: &dyn Error) -> Self {
        Self::new(kind, error.to_string()).causes_of(error)
    }

    /// Puts another message in front, so that the present one becomes the first cause.
    pub(crate) fn while_doing(mut self, message: impl Into<String>) -> Self {
        let inner = std::mem::replace(&mut self.message, message.into());
        self.causes.insert(0, inner);
        self
    }

    /// Adds a cause.
    pub(crate) fn because(mut self, cause: impl Into<String>) -> Self {
        self.causes.push(cause.into());
        self
    }

    /// Says what to type next.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says what to type next, if nothing better is known.
    pub(crate) fn or_hint(mut self, hint: impl FnOnce() -> String) -> Self {
        self.hint.get_or_insert_with(hint);
        self
    }

    /// Ends with another exit code than the kind's.
    pub(crate) const fn with_code(mut self, code: u8) -> Self {
        self.code = code;
        self
    }

    /// Appends the sources of an error as causes; one that only repeats what was just said is left out.
    fn causes_of(mut self, error: &dyn Error) -> Self {
        let mut source = error.source();
        while let Some(cause) = source {
            let text = cause.to_string();
            if self.causes.last().unwrap_or(&self.message) != &text {
                self.causes.push(text);
            }
            source = cause.source();
        }
        self
    }

    /// Returns what people read.
    pub(crate) fn text(&self, heading: impl Fn(&str) -> String) -> String {
        let mut text = format!("{} {}\n", heading("error:"), self.message);
        for cause in &self.causes {
            text += &format!("  {} {cause}\n", heading("cause:"));
        }
        if let Some(hint) = &self.hint {
            text += &format!("  {} {hint}\n", heading("hint:"));
        }
        text
    }

    /// Returns what programs read.
    pub(crate) fn json(&self) -> serde_json::Value {
        json!({"error": {
            "kind": self.kind.name(),
            "message": self.message,
            "causes": self.causes,
            "hint": self.hint,
            "exit_code": self.code,
        }})
    }
}

impl From<NoHome> for Failure {
    fn from(error: NoHome) -> Self {
        Self::from_error(Kind::Config, &error).hint("name a folder: `export TOKENKEEP_HOME=/path/to/a/folder`")
    }
}

impl From<SettingsError> for Failure {
    fn from(error: SettingsError) -> Self {
        let (kind, hint) = match &error {
            SettingsError::UnknownProfile { nearest: Some(near), .. } => {
                (Kind::NotFound, Some(format!("did you mean `{near}`? `tokenkeep profile list` shows all")))
            }
            SettingsError::UnknownProfile { name, nearest: None } => (
                Kind::NotFound,
                Some(format!("make it with `tokenkeep profile add {name} --issuer URL --client-id ID`")),
            ),
            SettingsError::MissingParameter { parameter, .. } => {
                (Kind::Usage, Some(format!("give it with `--param {parameter}=VALUE`, or in the profile's `params`")))
            }
            SettingsError::Content { nearest, .. } => {
                (Kind::Config, nearest.as_ref().map(|near| format!("did you mean `{near}`?")))
            }
            SettingsError::File(fault) => (Kind::Config, fault.mend().map(|command| format!("type `{command}`"))),
            SettingsError::Profile { profile, .. } => {
                (Kind::Config, Some(format!("see it with `tokenkeep profile show {profile}`")))
            }
            SettingsError::Variable { .. } | SettingsError::Unchangeable { .. } => (Kind::Config, None),
        };
        let failure = Self::from_error(kind, &error);
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure.or_hint(|| "see `tokenkeep help formats`".to_owned()),
        }
    }
}

/// Describes a fault of a private file; `kind` says whose file it was.
pub(crate) fn file_failure(kind: Kind, fault: &FileFault) -> Failure {
    let failure = Failure::from_error(kind, fault);
    match fault.mend() {
        Some(command) => failure.hint(format!("type `{command}`")),
        None => failure,
    }
}
