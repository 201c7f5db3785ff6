//! From every room's errors to what a person reads and the shell gets: message, causes, hint and exit code.

#![warn(clippy::wildcard_enum_match_arm)]

mod keeper;

use std::error::Error;

use serde_json::json;

use crate::host::files::FileFault;
use crate::host::folders::NoHome;
use crate::host::kernel_keyring::KeyringFault;
use crate::idp::IdpError;
pub(crate) use crate::keeper::chain;
use crate::ledger::LedgerError;
use crate::output::{Form, OutputError};
use crate::profile::EntryName;
use crate::settings::SettingsError;
use crate::token::issued::TokenKind;
use crate::token::text::{self, Look};
use crate::vault::VaultError;
use crate::vault::header::SlotKind;
use crate::vault::kernel;
use crate::vault::keyring::DesktopFault;
pub(crate) use keeper::{Doing, Named, keeper_failure, revocation_failure};

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
        let message = format!("{} {}", heading("error:"), self.message);
        let causes = self.causes.iter().map(|cause| format!("  {} {cause}", heading("cause:")));
        let hint = self.hint.iter().map(|hint| format!("  {} {hint}", heading("hint:")));
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
            SettingsError::Content { nearest, .. } => {
                (Kind::Config, nearest.as_ref().map(|near| format!("did you mean `{near}`?")))
            }
            SettingsError::File(FileFault::Io { path, .. }) if is_missing(&error) => {
                (Kind::Config, Some(format!("if it shall be a new one, type `touch '{}'`", path.display())))
            }
            SettingsError::File(fault) => (Kind::Config, fault.mend().map(|command| format!("type `{command}`"))),
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

impl From<VaultError> for Failure {
    #[expect(clippy::too_many_lines, reason = "a table: one line for each thing that can be wrong with a vault")]
    fn from(error: VaultError) -> Self {
        use VaultError as E;
        let (kind, hint) = match &error {
            E::Missing { .. } => (Kind::Locked, Some("make one with `tokenkeep init`".to_owned())),
            E::HeaderMissing { .. } => (
                Kind::Locked,
                Some(
                    "put vault.toml back from a backup, see `tokenkeep help recovery`; or make it anew with the identity \
                     file that opens these entries: `tokenkeep init --identity-file FILE`"
                        .to_owned(),
                ),
            ),
            E::Exists { .. } => (Kind::Usage, Some("see what it holds with `tokenkeep list`".to_owned())),
            E::Locked { slots, .. } if slots.contains(&SlotKind::Passphrase) => (
                Kind::Locked,
                Some(
                    "open it for a while with `tokenkeep unlock` on a terminal, or give the passphrase on a descriptor: \
                     `--passphrase-fd 3 3<FILE`"
                        .to_owned(),
                ),
            ),
            E::Locked { .. } => (
                Kind::Locked,
                Some("name the identity file: `export TOKENKEEP_IDENTITY_FILE=/path/to/identity.txt`".to_owned()),
            ),
            E::Source { fault, slots, .. } if fault.is_missing() && !slots.is_empty() => {
                (Kind::Locked, Some(other_ways(slots)))
            }
            E::Source { fault, .. } | E::File(fault) => {
                // where writing fails nothing is locked, and the disk is what must be mended
                let kind = if fault.is_about_writing() { Kind::Failed } else { Kind::Locked };
                let hint = fault.mend().map(|command| format!("type `{command}`"));
                (
                    kind,
                    hint.or_else(|| {
                        Some("see what there is, and how it is unlocked, with `tokenkeep status`".to_owned())
                    }),
                )
            }
            E::Descriptor { flag, .. } => (Kind::Usage, Some(format!("open it for the command: `{flag} 3 3<FILE`"))),
            E::NoIdentity { source_name } | E::NotThisVault { source_name } if source_name == kernel::SOURCE => {
                (Kind::Locked, Some("take it out with `tokenkeep lock`, then open the vault another way".to_owned()))
            }
            E::NoIdentity { .. } => {
                (Kind::Locked, Some("show what opens the vault with `tokenkeep status`".to_owned()))
            }
            E::NotThisVault { .. } => (
                Kind::Locked,
                Some("use the identity this vault was made with; `tokenkeep status` shows both".to_owned()),
            ),
            E::WrongPassphrase { .. } => {
                (Kind::Locked, Some("try again, or unlock with `--identity-fd 3 3<FILE`".to_owned()))
            }
            E::Desktop { fault: DesktopFault::Silent, .. } => (Kind::Later, Some(DesktopFault::Silent.mend())),
            E::Desktop { fault, .. } => (Kind::Locked, Some(fault.mend())),
            E::NotAnswered(source) if source.kind() == std::io::ErrorKind::Interrupted => (Kind::Interrupted, None),
            E::NotAnswered(_) => (Kind::Locked, Some("give it on a descriptor: `--passphrase-fd 3 3<FILE`".to_owned())),
            E::Header { .. } => (Kind::Locked, Some("restore vault.toml from a backup".to_owned())),
            E::AnotherVault { .. } => (
                Kind::Locked,
                Some("if you know that it is right, say so with `tokenkeep vault verify --trust`".to_owned()),
            ),
            E::SlotReplaced { name } => (
                Kind::Locked,
                Some(format!(
                    "open the vault another way, then `tokenkeep vault slot remove {name}`, and add it again"
                )),
            ),
            E::SlotExists { name } => {
                (Kind::Usage, Some(format!("remove it first: `tokenkeep vault slot remove {name}`")))
            }
            E::NoSuchSlot { .. } => (Kind::NotFound, Some("see them with `tokenkeep vault slot list`".to_owned())),
            E::NotAPassphrase { name } => {
                (Kind::Usage, Some(format!("for another key remove it, `tokenkeep vault slot remove {name}`, and add one")))
            }
            E::LastSlot { .. } => {
                (Kind::Usage, Some("add another one first: `tokenkeep vault slot add NAME`".to_owned()))
            }
            E::Plugin { name, fault } => (Kind::Locked, Some(fault.mend(name))),
            E::OwnRecipient => (Kind::Usage, Some("make another key: `age-keygen -o FILE` prints its recipient".to_owned())),
            E::NotARecipient => (Kind::Usage, Some("`age-keygen` prints one: age1...".to_owned())),
            E::Entry { path, .. } => (
                Kind::Locked,
                Some(format!(
                    "check the vault with `tokenkeep vault verify`; restore {} from a backup",
                    path.display()
                )),
            ),
            E::MayNotRest { .. } => {
                (Kind::Failed, Some("when the disk works again, type `tokenkeep vault rotate`".to_owned()))
            }
            E::NoExchange { .. } => (Kind::Failed, Some("take the long way: `tokenkeep help recovery`".to_owned())),
            E::NotAnExport(_) => (Kind::Failed, Some("write it anew with `tokenkeep vault export`".to_owned())),
            E::ExportNotOpened { .. } => (Kind::Locked, Some("name its key, `--file-identity FILE`, or give its passphrase, `--file-passphrase-fd N`".to_owned())),
            E::RestsInKeyring { .. } => {
                (Kind::Config, Some("move all into files first: `tokenkeep vault migrate --to age`".to_owned()))
            }
            E::OtherIdentities { .. } => (Kind::Usage, Some("name a file that is not there yet".to_owned())),
            E::Rotating { .. } | E::Rotated { .. } | E::Busy { .. } | E::HeaderBusy { .. } => {
                (Kind::Later, Some("try again in a minute".to_owned()))
            }
            E::Keyring(fault) => (Kind::Failed, Some(keyring_hint(*fault).to_owned())),
            E::CaseClash { existing, .. } => {
                (Kind::Usage, Some(format!("use `{existing}`, or a name that differs more")))
            }
            E::Unsuitable { .. } => (
                Kind::Failed,
                Some("put the vault on a local disk: `export TOKENKEEP_HOME=/path/on/that/disk`".to_owned()),
            ),
            E::Wrapping(_) => (
                Kind::Failed,
                Some("add another way to unlock: `tokenkeep vault slot add NAME --recipient age1...`".to_owned()),
            ),
            E::Sealing { .. } => (
                Kind::Failed,
                Some("check the vault with `tokenkeep vault verify`; what it holds is as before".to_owned()),
            ),
        };
        let mut failure = Self::from_error(kind, &error);
        if let E::AnotherVault { pinned, found, .. } = &error {
            failure = failure.because(format!("pinned {pinned}, found {found}"));
        }
        failure.hint = hint;
        failure
    }
}

/// Says which ways into a vault are left where the file that should open it is not there.
pub(crate) fn other_ways(slots: &[SlotKind]) -> String {
    let of_kind = |kind: SlotKind| match kind {
        SlotKind::Passphrase => "with its passphrase: `--passphrase-fd 3 3<FILE`",
        SlotKind::Recipient => {
            "with the identity file of a slot: `export TOKENKEEP_IDENTITY_FILE=/path/to/identity.txt`"
        }
        SlotKind::Plugin => "with the plugin's identity file: `export TOKENKEEP_IDENTITY_FILE=/path/to/identity.txt`",
    };
    let kinds = [SlotKind::Passphrase, SlotKind::Recipient, SlotKind::Plugin];
    let ways: Vec<&str> = kinds.into_iter().filter(|kind| slots.contains(kind)).map(of_kind).collect();
    format!("put the file back, or open the vault {}", ways.join(", or "))
}

/// Says what to type where the kernel's keyring does not do what is asked of it.
const fn keyring_hint(fault: KeyringFault) -> &'static str {
    match fault {
        KeyringFault::Missing | KeyringFault::Forbidden => {
            "use a key in a file: `export TOKENKEEP_IDENTITY_FILE=/path/to/identity.txt`; see `tokenkeep help environment`"
        }
        KeyringFault::Full => "see the quota with `cat /proc/key-users`, and what is there with `keyctl show @u`",
        KeyringFault::Unlisted => "close one vault at a time: `tokenkeep lock`, with the TOKENKEEP_HOME of each",
        KeyringFault::Lost | KeyringFault::Stays | KeyringFault::Other(_) => "see what is there with `keyctl show @u`",
    }
}

impl From<LedgerError> for Failure {
    fn from(error: LedgerError) -> Self {
        use LedgerError as E;
        let (kind, hint) = match &error {
            E::Missing { .. } => (Kind::NotFound, "issue a first token: `tokenkeep job-token issue JOB`".to_owned()),
            E::OnNetwork { .. } => (Kind::Config, "name a local file: `ledger` in [issued] of config.toml".to_owned()),
            E::OpenToAll { path } => (Kind::Config, format!("type `chmod o-w '{}'`", path.display())),
            E::NotALedger { .. } => (Kind::Config, "name another file: `ledger` in [issued] of config.toml".to_owned()),
            E::Newer { .. } => (Kind::Config, "use the version of tokenkeep that wrote it, or a later one".to_owned()),
            E::Older { .. } => (Kind::Failed, "let its owner type `tokenkeep maintain`".to_owned()),
            E::Busy => (Kind::Later, "try again in a minute".to_owned()),
            E::ReadOnly(_) | E::Database(_) => {
                (Kind::Failed, "see with `df -h` and `ls -l` whether there is room and you may write it".to_owned())
            }
            E::File(fault) => (
                Kind::Failed,
                fault
                    .mend()
                    .map_or_else(|| "mend it, then try again".to_owned(), |command| format!("type `{command}`")),
            ),
            E::NoRandomness(_) => (Kind::Failed, "try again".to_owned()),
            E::Damaged(_) => {
                (Kind::Failed, "restore the ledger from a backup, then check it with `tokenkeep audit`".to_owned())
            }
            E::Held { .. } => (Kind::Later, "wait for its end, or take it over with --rotate".to_owned()),
            E::OtherScopes { .. } => (Kind::Usage, "leave --scope out, or make a new token with --rotate".to_owned()),
            E::OtherTerms { flag, .. } => (Kind::Usage, format!("leave {flag} out, or make a new token with --rotate")),
            E::Underivable { id, kind: TokenKind::Job } => (
                Kind::Locked,
                format!(
                    "restore the entry `issue-key` of the vault, or make another in the place of {id} with --rotate"
                ),
            ),
            E::Underivable { id, .. } => (
                Kind::Locked,
                format!("restore the entry `issue-key` of the vault, or `tokenkeep token revoke {id}` and ask again"),
            ),
            E::NoSuchJob { .. } => (Kind::NotFound, "see them with `tokenkeep job-token list --all`".to_owned()),
            E::SeveralOwners { .. } => {
                (Kind::Usage, "say whose is meant with --owner, or that all are with --all-owners".to_owned())
            }
            E::NotRunning { job } => (Kind::No, format!("begin it anew with `tokenkeep job-token issue {job}`")),
            E::GraceScope(_) => (Kind::Usage, "name some of the token's own scopes with --grace-scope".to_owned()),
            E::Denied(_) => (Kind::Denied, "let somebody do it who may, or ask for less".to_owned()),
            E::NoSuchToken { .. } => (Kind::NotFound, "see them with `tokenkeep token list --all`".to_owned()),
            E::NameTaken { .. } => (Kind::Usage, "take another name, or revoke that one first".to_owned()),
            E::Unfit(unfit) => (Kind::Usage, unfit.instead().to_owned()),
            E::TooSoon { .. } => (Kind::Usage, "give a later end: `--expires 1h`".to_owned()),
            E::NotModifiable { .. } => (Kind::Usage, "issue another one with `tokenkeep token create`".to_owned()),
            E::NotRotatable { kind: TokenKind::Job } => {
                (Kind::Usage, "rotate it with `tokenkeep job-token issue JOB --rotate`".to_owned())
            }
            E::NotRotatable { .. } => {
                (Kind::Usage, "revoke it, then issue another with `tokenkeep token delegate`".to_owned())
            }
            E::Over { .. } => (Kind::No, "issue another one with `tokenkeep token create`".to_owned()),
            E::ParentTooShort { .. } => {
                (Kind::No, "give a token that lives longer, or ask for less with --min-ttl".to_owned())
            }
            E::KeyExists(name) => (Kind::Usage, format!("take another name, or `tokenkeep admin-token rotate {name}`")),
        };
        Self::from_error(kind, &error).hint(hint)
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
        Self::from_error(kind, &error).hint(hint)
    }
}
