//! From every room's errors to what a person reads and the shell gets: message, causes, hint and exit code.

#![warn(clippy::wildcard_enum_match_arm)]

mod keeper;
mod ledger;
mod vault;

use std::error::Error;

use serde_json::json;

use crate::host::files::FileFault;
use crate::host::folders::NoHome;
use crate::idp::IdpError;
pub(crate) use crate::keeper::chain;
use crate::output::{Form, OutputError};
use crate::profile::EntryName;
use crate::settings::SettingsError;
use crate::token::text::{self, Look};
pub(crate) use keeper::{Doing, Named, keeper_failure, revocation_failure};
pub(crate) use vault::hint_for;

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
    /// The actor has no right to do this.
    Denied = 7,
    /// There is no such profile, entry, slot, job or token.
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
            Self::Denied => "denied",
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

    /// Describes a token on the command line, and does not repeat it.
    pub(crate) fn token_on_command_line() -> Self {
        Self::new(Kind::Usage, "something like a token stands on the command line, where every process can read it")
            .hint("give it on standard input: `tokenkeep store NAME --stdin` or `tokenkeep validate --stdin`")
    }

    /// Says instead, if the name that nobody knows looks like a token, what was done with a token. It is a name all the
    /// same if the nearest one that is known looks so, too.
    pub(crate) fn unless_token(self, unknown: &EntryName, nearest: Option<&str>) -> Self {
        let looks_so = |name: &str| text::classify(name) != Look::Plain;
        if !looks_so(unknown.as_str()) || nearest.is_some_and(looks_so) {
            return self;
        }
        Self::token_on_command_line().because("if it was meant as a name: there is no profile or entry of that name")
    }

    /// Writes message and causes on one line.
    pub(crate) fn one_line(&self) -> String {
        std::iter::once(&self.message).chain(&self.causes).map(String::as_str).collect::<Vec<_>>().join(": ")
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

    /// Returns what is shown of it, and with its line end.
    pub(crate) fn shown(&self, form: Form, heading: impl Fn(&str) -> String) -> String {
        match form {
            Form::Json => format!("{}\n", self.json()),
            Form::Text => self.text(heading),
        }
    }

    /// Returns what people read.
    pub(crate) fn text(&self, heading: impl Fn(&str) -> String) -> String {
        // a path, a key of a file, a word of another program: each may hold line ends and escapes
        let message = format!("{} {}", heading("error:"), text::escaped(&self.message));
        let causes = self.causes.iter().map(|cause| format!("  {} {}", heading("cause:"), text::escaped(cause)));
        let hint = self.hint.iter().map(|hint| format!("  {} {}", heading("hint:"), text::escaped(hint)));
        std::iter::once(message).chain(causes).chain(hint).fold(String::new(), |text, line| text + &line + "\n")
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
            SettingsError::UnknownParameter { nearest, .. } => (
                Kind::Usage,
                Some(nearest.as_ref().map_or_else(
                    || "`tokenkeep profile show` shows a profile; write `{name}` into a value of it first".to_owned(),
                    |near| format!("did you mean `--param {near}=VALUE`?"),
                )),
            ),
            SettingsError::Content { nearest, .. } => {
                (Kind::Config, nearest.as_ref().map(|near| format!("did you mean `{near}`?")))
            }
            SettingsError::File(FileFault::Io { path, .. }) if is_missing(&error) => {
                (Kind::Config, Some(format!("if it shall be a new one, type `touch '{}'`", path.display())))
            }
            SettingsError::File(fault) => {
                let kind = if fault.is_about_writing() { Kind::Failed } else { Kind::Config };
                (kind, fault.mend().map(|command| format!("type `{command}`")))
            }
            SettingsError::Profile { profile, .. } => {
                (Kind::Config, Some(format!("see it with `tokenkeep profile show {profile}`")))
            }
            SettingsError::Variable { .. } | SettingsError::Unchangeable { .. } => (Kind::Config, None),
        };
        let failure = Self::from_error(kind, &error);
        let failure = match hint {
            Some(hint) => failure.hint(hint),
            None => failure.or_hint(|| "see `tokenkeep help formats`".to_owned()),
        };
        if let SettingsError::UnknownProfile { name, nearest } = &error {
            return failure.unless_token(name, nearest.as_deref());
        }
        failure
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

/// Tells whether the settings cannot be read because a file that was named is not there.
fn is_missing(error: &SettingsError) -> bool {
    matches!(error, SettingsError::File(fault) if fault.is_missing())
}

impl From<OutputError> for Failure {
    fn from(error: OutputError) -> Self {
        match &error {
            OutputError::Unwritable(_) => Self::from_error(Kind::Failed, &error)
                .hint("see with `df -h .` whether there is room, or send it elsewhere"),
            OutputError::Json(_) => Self::from_error(Kind::Bug, &error).hint("report it, with the command"),
        }
    }
}

impl From<IdpError> for Failure {
    fn from(error: IdpError) -> Self {
        let (kind, hint) = if matches!(error, IdpError::Tls { .. }) {
            (
                Kind::Later,
                "if an authority of your own signs its certificate, name it: `--ca-file FILE`, or `ca_file` in the profile",
            )
        } else if error.is_temporary() {
            (Kind::Later, "try again later")
        } else if matches!(error, IdpError::CaFile { .. } | IdpError::NoCertificate { .. }) {
            (Kind::Config, "name a file with certificates in PEM form: `--ca-file FILE`, or `ca_file` in the profile")
        } else {
            (Kind::Config, "compare the profile with what the provider says: `tokenkeep profile discover ISSUER`")
        };
        let failure = Self::from_error(kind, &error).hint(hint);
        if let IdpError::NoMetadata { issuer, .. } = &error {
            return failure.hint(format!("see whether this is its address: `tokenkeep profile discover {issuer}`"));
        }
        let same = |one: &str, other: &str| one.trim_end_matches('/') == other.trim_end_matches('/');
        if let IdpError::IssuerMismatch { expected, found } = &error
            && same(expected, found)
        {
            return failure.hint(format!("name it as it calls itself: `--issuer {found}`, or `issuer` in the profile"));
        }
        failure
    }
}
