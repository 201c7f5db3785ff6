//! What every command works with: the host, the global flags, the printer, and the parts that are built when first used.

use std::cell::OnceCell;
use std::path::PathBuf;

use super::Globals;
use crate::error::{Failure, Kind};
use crate::host::Host;
use crate::host::folders::Folders;
use crate::host::machine;
use crate::host::progress::Watcher;
use crate::host::terminal::{self, Echo};
use crate::keeper::Keeper;
use crate::keeper::spent::Spent;
use crate::ledger::{By, Ledger, LedgerError};
use crate::output::{Form, Printer};
use crate::profile::EntryName;
use crate::secret::{Passphrase, Secret};
use crate::settings::Settings;
use crate::settings::report::Origin;
use crate::token::time::Timestamp;
use crate::vault::keyring::Keyring;
use crate::vault::pin::Pin;
use crate::vault::unlock::{self, Sources};
use crate::vault::{Site, Vault, VaultError};

/// What every command works with.
pub(crate) struct Context {
    /// The world outside.
    pub(crate) host: Host,
    /// The global flags.
    pub(crate) globals: Globals,
    /// The way out.
    pub(crate) printer: Printer,
    /// The whole command line, for those who describe it.
    pub(crate) tree: fn() -> clap::Command,
    /// The settings, once they were read.
    settings: OnceCell<Settings>,
    /// The keyring of this session, once somebody wanted it.
    keyring: OnceCell<Keyring>,
    /// What is known to be spent, once somebody looked at entries.
    spent: OnceCell<Spent>,
}

impl Context {
    /// Takes the world, the flags and the way out.
    pub(crate) const fn new(host: Host, globals: Globals, printer: Printer, tree: fn() -> clap::Command) -> Self {
        Self {
            host,
            globals,
            printer,
            tree,
            settings: OnceCell::new(),
            keyring: OnceCell::new(),
            spent: OnceCell::new(),
        }
    }

    /// Returns the time.
    pub(crate) fn now(&self) -> Timestamp {
        (self.host.now)().into()
    }

    /// Returns the settings, reading them at the first call.
    pub(crate) fn settings(&self) -> Result<&Settings, Failure> {
        if let Some(settings) = self.settings.get() {
            return Ok(settings);
        }
        let folders = Folders::of(&self.host)?;
        let config = self.globals.config.as_deref();
        let settings = Settings::load(&self.host, folders, config, &self.globals.parameters)?;
        Ok(self.settings.get_or_init(|| settings))
    }

    /// Returns the vault's folder.
    pub(crate) fn vault_folder(&self) -> Result<PathBuf, Failure> {
        Ok(self.settings()?.folders.data.join("vault"))
    }

    /// Returns where the vault is, and what its entries rest in.
    pub(crate) fn site(&self) -> Result<Site, Failure> {
        let backend = self.settings()?.config.vault.backend.unwrap_or_default();
        Ok(Site { folder: self.vault_folder()?, backend, keyring: self.keyring() })
    }

    /// Returns the vault's pin.
    pub(crate) fn pin(&self) -> Result<Pin, Failure> {
        Ok(Pin::of(&self.settings()?.folders.state, &self.vault_folder()?))
    }

    /// Says who acts, where and when, if no token is shown for it.
    pub(crate) fn by(&self) -> By {
        let actor = format!("os:{}", machine::user());
        By { actor, host: machine::name(), address: machine::remote_address(&self.host.env), at: self.now() }
    }

    /// Returns what is known to be spent, reading it at the first call.
    pub(crate) fn spent(&self) -> Result<&Spent, Failure> {
        let state = &self.settings()?.folders.state;
        Ok(self.spent.get_or_init(|| Spent::read(state)))
    }

    /// Returns where the ledger is.
    pub(crate) fn ledger_path(&self) -> Result<PathBuf, Failure> {
        Ok(self.settings()?.ledger())
    }

    /// Opens the ledger, and makes it if there is none.
    pub(crate) fn ledger(&self, by: &By) -> Result<Ledger, Failure> {
        Ok(Ledger::open(&self.ledger_path()?, self.host.random, by)?)
    }

    /// Opens the ledger that is there, for reading alone if it cannot be written; `None` if there is none.
    pub(crate) fn present_ledger(&self, by: &By) -> Result<Option<Ledger>, Failure> {
        match Ledger::open_existing(&self.ledger_path()?, self.host.random, by) {
            Ok(ledger) => Ok(Some(ledger)),
            Err(LedgerError::Missing { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Says that there is no ledger to look at: where one was looked for, and who said so.
    pub(crate) fn no_ledger_yet(&self) -> Result<String, Failure> {
        let settings = self.settings()?;
        let said = match settings.ledger_origin() {
            Origin::Default => {
                "neither TOKENKEEP_LEDGER nor `ledger` in [issued] of config.toml names another".to_owned()
            }
            Origin::File => format!("`ledger` in [issued] of {} says so", settings.path.display()),
            origin @ (Origin::Variable(_) | Origin::Flag(_)) => format!("{origin} says so"),
        };
        Ok(format!("there is no ledger yet at {}: {said}", settings.ledger().display()))
    }

    /// Describes that nothing can be told of a token of ours: there is no ledger, or another one is meant.
    pub(crate) fn without_a_ledger(&self) -> Failure {
        let why = self.ledger_path().map(|path| LedgerError::Missing { path }.to_string());
        why.map_or_else(
            |failure| failure,
            |why| {
                Failure::new(Kind::Failed, "it cannot be told whether the token is good")
                    .because(why)
                    .hint("name the ledger that issues: `ledger` in [issued] of config.toml, or TOKENKEEP_LEDGER")
            },
        )
    }

    /// Returns everything that could unlock the vault.
    pub(crate) fn sources(&self) -> Result<Sources, Failure> {
        let env = &self.host.env;
        let path = |variable: &str| env.raw(variable).map(PathBuf::from);
        Ok(Sources {
            identity_fd: self.globals.identity_fd,
            passphrase_fd: self.globals.passphrase_fd,
            identity_file_variable: path("TOKENKEEP_IDENTITY_FILE"),
            credentials: path("CREDENTIALS_DIRECTORY"),
            // what is not UTF-8 is there, and no identity: with signs in its place it stays so
            identity_variable: env
                .raw("TOKENKEEP_IDENTITY")
                .map(|text| Secret::new(text.to_string_lossy().into_owned())),
            identity_file: self.settings()?.identity_file(),
            keyring: self.settings()?.config.unlock.keyring.unwrap_or(false).then(|| self.keyring()),
        })
    }

    /// Returns the keyring of this session, which nobody has asked anything yet.
    pub(crate) fn keyring(&self) -> Keyring {
        self.keyring.get_or_init(|| Keyring::of(&self.host.env)).clone()
    }

    /// Opens the vault.
    pub(crate) fn open_vault(&self) -> Result<Vault, Failure> {
        Ok(Vault::open(&self.site()?, &self.pin()?, &self.sources()?, self.asker().as_deref())?)
    }

    /// Returns what opens the vault once more, as far as that is still there and needs nobody: for who works for hours, and
    /// meets a vault whose key was changed.
    pub(crate) fn reopener(&self) -> Result<impl Fn() -> Result<Vault, VaultError> + Send + use<>, Failure> {
        let (site, pin) = (self.site()?, self.pin()?);
        // descriptors were read to their end, and their numbers may be others' by now
        let sources = Sources { identity_fd: None, passphrase_fd: None, identity_variable: None, ..self.sources()? };
        Ok(move || Vault::open(&site, &pin, &sources, None))
    }

    /// Opens the vault if that needs nobody; says why not if it is locked, be it that the wrong key is at hand.
    pub(crate) fn open_vault_unasked(&self) -> Result<Result<Vault, VaultError>, Failure> {
        let opened = Vault::open(&self.site()?, &self.pin()?, &self.sources()?, None);
        let is_locked = opened.as_ref().err().is_some_and(|error| match error {
            VaultError::Source { fault, .. } => fault.is_missing(),
            VaultError::Locked { .. }
            | VaultError::Desktop { .. }
            | VaultError::NotThisVault { .. }
            | VaultError::WrongPassphrase { .. }
            | VaultError::NoPassphrase { .. }
            | VaultError::NoIdentity { .. } => true,
            _ => false,
        });
        if is_locked { Ok(opened) } else { Ok(Ok(opened?)) }
    }

    /// Returns what asks for the passphrase, if a person sits there.
    pub(crate) fn asker(&self) -> Option<Box<unlock::AskPassphrase>> {
        let ask = |question: &str| -> Result<Passphrase, VaultError> {
            let line = terminal::ask(question, Echo::Hidden).map_err(VaultError::NotAnswered)?;
            Ok(Passphrase::new(line.as_str().to_owned()))
        };
        if self.may_ask() { Some(Box::new(ask)) } else { None }
    }

    /// Returns the keeper of an open vault.
    pub(crate) fn keeper<'a>(&'a self, vault: &'a Vault) -> Result<Keeper<'a>, Failure> {
        let state = &self.settings()?.folders.state;
        Ok(Keeper { vault, state, env: &self.host.env, now: self.host.now, watcher: self.watcher() })
    }

    /// Says who sees what is waited for.
    fn watcher(&self) -> Watcher {
        let can_be_shown = self.host.terminals.stderr && self.host.env.text("TERM") != Some("dumb");
        let is_wanted = !self.globals.quiet && self.printer.form == Form::Text;
        if can_be_shown && is_wanted { Watcher::Person } else { Watcher::Nobody }
    }

    /// Tells whether a person sits there who can be asked.
    pub(crate) fn may_ask(&self) -> bool {
        !self.globals.no_input
            && self.host.env.raw("CI").is_none()
            && self.host.terminals.stderr
            && terminal::is_in_front()
    }

    /// Asks a question that is answered with yes or no; the default is no.
    pub(crate) fn confirm(question: &str) -> Result<bool, Failure> {
        let answer = terminal::ask(&format!("{question} [y/N] "), Echo::Shown).map_err(|error| unanswered(&error))?;
        Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
    }

    /// Returns the name that was typed, or that of the default profile.
    pub(crate) fn name_or_default(&self, name: Option<&EntryName>) -> Result<EntryName, Failure> {
        if let Some(name) = name {
            return Ok(name.clone());
        }
        self.settings()?.default_profile().cloned().ok_or_else(|| {
            Failure::new(Kind::Usage, "no profile is named, and there is no default")
                .hint("name one, or set `defaults.profile` in config.toml or TOKENKEEP_PROFILE")
        })
    }
}

/// Describes a question that was not answered.
pub(crate) fn unanswered(error: &std::io::Error) -> Failure {
    if error.kind() == std::io::ErrorKind::Interrupted {
        return Failure::new(Kind::Interrupted, "interrupted");
    }
    Failure::new(Kind::Failed, "nobody answered").because(error.to_string()).hint("type the command again")
}
