//! The keyring of the desktop, a Secret Service on the session's D-Bus: one text under each name.
//!
//! Every call has a deadline, and none opens a dialog: what is locked is an error. Nothing takes the keyring's place, be
//! it a store that forgets at the end of the session.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dbus_secret_service::{EncryptionType, SecretService};
use dbus_secret_service_keyring_store::Store;
use keyring_core::Entry;
use keyring_core::api::{CredentialPersistence, CredentialStoreApi as _};
use zeroize::Zeroizing;

use crate::host::machine::SessionBus;
use crate::host::{Environment, process};
use crate::token::text::escaped;

/// How long a call may take. One that works takes some ten milliseconds, and a person who waits longer than this thinks
/// that the program hangs. The library waits as long for each message of a call.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the names of entries' items begin with.
pub(super) const ENTRY: &str = "entry ";

/// What all our items are found by, beside the name of each.
const SERVICE: &str = "tokenkeep";

/// Why the keyring does not do what it was asked for.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum DesktopFault {
    /// Nobody can be asked.
    #[error("there is no keyring here: this session has no D-Bus{0}")]
    NoBus(String),
    /// Nobody answers to the name of the Secret Service.
    #[error("there is no keyring here: nothing on the session's D-Bus is a Secret Service")]
    NoService,
    /// It has no place to keep anything in.
    #[error("the keyring has no default collection")]
    NoCollection,
    /// It would forget.
    #[error("the keyring forgets what it holds at the end of the session")]
    Forgetful,
    /// Somebody has to unlock it.
    #[error("the keyring is locked")]
    Locked,
    /// No answer came in time.
    #[error("the keyring did not answer within {} seconds", PATIENCE.as_secs())]
    Silent,
    /// There is no item of this name.
    #[error("the keyring holds nothing under `{0}`")]
    NoItem(String),
    /// Two items have one name, and nobody knows which is meant.
    #[error("the keyring holds more than one item `{0}`")]
    Ambiguous(String),
    /// It did not keep what it was given.
    #[error("the keyring gives back something else than what it was given for `{0}`")]
    Unfaithful(String),
    /// What it holds is not what we write.
    #[error("the keyring's item `{0}` is damaged")]
    Damaged(String),
    /// An item is newer than what shall take its place, or another one of the same number.
    #[error("the keyring's item `{name}` is generation {held} already")]
    Newer {
        /// The item.
        name: String,
        /// The generation that it holds.
        held: u64,
    },
    /// Names were wanted alone.
    #[error("the keyring was not asked")]
    Unasked,
    /// Anything else, in its own words.
    #[error("the keyring refuses: {0}")]
    Refused(String),
}

impl DesktopFault {
    /// Tells whether there is no keyring, or nothing of ours in it: then another way to unlock may be tried.
    pub(crate) const fn is_absence(&self) -> bool {
        matches!(self, Self::NoBus(_) | Self::NoService | Self::NoCollection | Self::NoItem(_))
    }

    /// Tells whether it could not be asked now, which says nothing of what it holds.
    pub(crate) const fn is_about_asking(&self) -> bool {
        matches!(self, Self::Locked | Self::Silent | Self::NoBus(_) | Self::NoService)
    }

    /// Says what mends it.
    pub(crate) fn mend(&self) -> String {
        let hint = match self {
            Self::Locked => "unlock it in the desktop: log in there, or type `secret-tool lookup service tokenkeep`",
            Self::NoBus(_) => {
                "in cron and over ssh, name the desktop's: `export XDG_RUNTIME_DIR=/run/user/$(id -u)`; where there is \
                 none, give the vault's key (`--identity-fd 3 3<FILE`) or its passphrase (`--passphrase-fd 3 3<FILE`)"
            }
            Self::NoService => "start gnome-keyring, KWallet or KeePassXC",
            Self::NoCollection => "log in to the desktop once, or make one in its password manager",
            Self::Forgetful => "make another collection the default one in the desktop's password manager",
            Self::NoItem(name) if name.starts_with(ENTRY) => {
                "bring back the keyring that held it, then the same again; if that is lost, log in again, or give the \
                 entry up with `tokenkeep delete`"
            }
            Self::NoItem(_) => {
                "use the keyring that the vault was made with, or its passphrase: `--passphrase-fd 3 3<FILE`"
            }
            Self::Silent => "try again; if it stays silent, log out of the desktop and in again",
            Self::Ambiguous(name) => {
                return format!("see them with `secret-tool search --all username '{name}'`, and remove one");
            }
            Self::Newer { name, .. } => {
                return format!(
                    "see it with `secret-tool search --all username '{name}'`; if it is of no use any more, remove it: \
                     `secret-tool clear service tokenkeep username '{name}'`"
                );
            }
            Self::Damaged(_) => "restore the keyring from a backup, or delete the entry and log in again",
            Self::Unasked => "see what there is with `tokenkeep status`",
            Self::Unfaithful(_) | Self::Refused(_) => {
                "see what it says for itself (`journalctl --user -b -g keyring`); what is too large for it can rest in \
                 files: `tokenkeep vault migrate --to age`"
            }
        };
        hint.to_owned()
    }
}

/// The keyring of this session. Nobody is called before the first question.
#[derive(Clone, Debug)]
pub(crate) struct Keyring {
    /// The way to the thread that speaks to it.
    line: Arc<Mutex<Line>>,
    /// Where it could be called.
    bus: SessionBus,
}

/// The way to the thread that speaks to the keyring.
#[derive(Debug)]
enum Line {
    /// It was not called yet.
    Idle,
    /// Somebody listens.
    Open(Sender<Job>),
    /// It owed an answer, and is asked no more: many questions would take many deadlines.
    Silent,
}

/// Something that the thread does with its connection, and with what says that nobody waits for it any more.
type Job = Box<dyn FnOnce(&mut Option<Link>) + Send>;

impl Keyring {
    /// Takes the keyring of a session.
    pub(crate) fn of(env: &Environment) -> Self {
        Self { line: Arc::new(Mutex::new(Line::Idle)), bus: SessionBus::of(env) }
    }

    /// Claims that something could be kept for good now: there is an unlocked collection, and it outlives the session.
    pub(crate) fn check(&self) -> Result<(), DesktopFault> {
        self.call(|link, _| link.check())
    }

    /// Reads the text under a name.
    pub(crate) fn read(&self, name: &str) -> Result<Zeroizing<Vec<u8>>, DesktopFault> {
        let name = name.to_owned();
        self.call(move |link, _| link.read(&name))
    }

    /// Lists the names of all our items.
    pub(crate) fn names(&self) -> Result<Vec<String>, DesktopFault> {
        self.call(|link, _| link.names())
    }

    /// Keeps a text under a name in the place of what is there, and reads it back.
    pub(crate) fn write(&self, name: &str, label: &str, text: Zeroizing<Vec<u8>>) -> Result<(), DesktopFault> {
        let (name, label) = (name.to_owned(), label.to_owned());
        self.call(move |link, overdue| link.write((&name, &label), &text, overdue))
    }

    /// Removes what is under a name, if anything is.
    pub(crate) fn remove(&self, name: &str) -> Result<(), DesktopFault> {
        let name = name.to_owned();
        self.call(move |link, overdue| link.remove(&name, overdue))
    }

    /// Lets the thread do something, and waits for it as long as the deadline allows.
    fn call<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Link, &AtomicBool) -> Result<T, DesktopFault> + Send + 'static,
    ) -> Result<T, DesktopFault> {
        if !self.bus.is_there() {
            return Err(DesktopFault::NoBus(String::new()));
        }
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        let overdue = Arc::new(AtomicBool::new(false));
        let (answer, answered) = mpsc::sync_channel(1);
        let seen = Arc::clone(&overdue);
        line.send(Box::new(move |link| {
            let outcome = connected(link).and_then(|link| act(link, &seen));
            // who asked may have left
            drop(answer.send(outcome));
        }))?;
        let outcome = answered.recv_timeout(PATIENCE).unwrap_or(Err(DesktopFault::Silent));
        if matches!(outcome, Err(DesktopFault::Silent)) {
            overdue.store(true, Ordering::SeqCst);
            *line = Line::Silent;
            ask_again_later(&self.line);
        }
        outcome
    }
}

/// Lets a keyring that owed an answer be asked again after a while: `exec` lives for hours.
fn ask_again_later(line: &Arc<Mutex<Line>>) {
    /// A command that asks many questions ends within this time, having waited for one answer alone.
    const REST: Duration = Duration::from_secs(30);
    let line = Arc::clone(line);
    let rest = move || {
        process::pause(REST);
        *line.lock().unwrap_or_else(PoisonError::into_inner) = Line::Idle;
    };
    // without the thread it stays silent
    drop(std::thread::Builder::new().spawn(rest));
}

impl Line {
    /// Passes a job to the thread, which begins with the first.
    fn send(&mut self, job: Job) -> Result<(), DesktopFault> {
        let ended = |what: &dyn std::fmt::Display| DesktopFault::Refused(what.to_string());
        match self {
            Self::Silent => Err(DesktopFault::Silent),
            Self::Open(jobs) => jobs.send(job).map_err(|error| ended(&error)),
            Self::Idle => {
                let (jobs, asked) = mpsc::channel();
                std::thread::Builder::new().spawn(move || serve(&asked)).map_err(|error| ended(&error))?;
                jobs.send(job).map_err(|error| ended(&error))?;
                *self = Self::Open(jobs);
                Ok(())
            }
        }
    }
}

/// Does what is asked, one job after the other, until nobody can ask any more.
fn serve(asked: &Receiver<Job>) {
    let mut link = None;
    for job in asked {
        job(&mut link);
    }
}

/// Returns the connection, which is made for the first who needs it.
fn connected(link: &mut Option<Link>) -> Result<&Link, DesktopFault> {
    match link {
        Some(link) => Ok(link),
        None => Ok(link.insert(Link::open()?)),
    }
}

/// Two connections of one thread to the Secret Service.
struct Link {
    /// Sees what is locked. It cannot ask anybody to unlock anything, which is what the store would do by itself.
    scout: SecretService,
    /// Reads and writes.
    store: Arc<Store>,
}

/// Where an item is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// It can be read and replaced.
    There,
    /// There is none.
    Nowhere,
}

impl Link {
    /// Connects.
    fn open() -> Result<Self, DesktopFault> {
        let scout = SecretService::connect_with_max_prompt_timeout(EncryptionType::Plain, 0)
            .map_err(|error| unconnected(&error))?;
        let store = Store::new().map_err(|error| refused(&error))?;
        Ok(Self { scout, store })
    }

    /// Claims that something could be kept for good now.
    fn check(&self) -> Result<(), DesktopFault> {
        let home = self.scout.get_default_collection().map_err(|error| match error {
            dbus_secret_service::Error::NoResult => DesktopFault::NoCollection,
            error => fault(&error),
        })?;
        let forgets = self.scout.get_collection_by_alias("session").is_ok_and(|session| session.path == home.path);
        if forgets || !matches!(self.store.persistence(), CredentialPersistence::UntilDelete) {
            return Err(DesktopFault::Forgetful);
        }
        let locked = home.is_locked().map_err(|error| fault(&error))?;
        if locked { Err(DesktopFault::Locked) } else { Ok(()) }
    }

    /// Looks where an item is. One that is locked is an error; in a collection that is locked, there could be one.
    fn find(&self, name: &str) -> Result<Place, DesktopFault> {
        let attributes = HashMap::from([("service", SERVICE), ("username", name)]);
        let found = self.scout.search_items(attributes).map_err(|error| fault(&error))?;
        if !found.locked.is_empty() {
            return Err(DesktopFault::Locked);
        }
        match found.unlocked.len() {
            0 => match self.check() {
                Ok(()) | Err(DesktopFault::NoCollection | DesktopFault::Forgetful) => Ok(Place::Nowhere),
                Err(fault) => Err(fault),
            },
            1 => Ok(Place::There),
            _ => Err(DesktopFault::Ambiguous(name.to_owned())),
        }
    }

    /// Lists the names of all our items.
    fn names(&self) -> Result<Vec<String>, DesktopFault> {
        let found = self.scout.search_items(HashMap::from([("service", SERVICE)])).map_err(|error| fault(&error))?;
        if !found.locked.is_empty() {
            return Err(DesktopFault::Locked);
        }
        let attributes = found.unlocked.iter().map(|item| item.get_attributes().map_err(|error| fault(&error)));
        let attributes = attributes.collect::<Result<Vec<_>, _>>()?;
        Ok(attributes.into_iter().filter_map(|mut found| found.remove("username")).collect())
    }

    /// Returns the store's entry for a name.
    fn entry(&self, name: &str, label: &str) -> Result<Entry, DesktopFault> {
        let label = HashMap::from([("label", label)]);
        self.store.build(SERVICE, name, Some(&label)).map_err(|error| refused(&error))
    }

    /// Reads the text under a name.
    fn read(&self, name: &str) -> Result<Zeroizing<Vec<u8>>, DesktopFault> {
        match self.find(name)? {
            Place::There => text_of(&self.entry(name, name)?, name),
            Place::Nowhere => Err(DesktopFault::NoItem(name.to_owned())),
        }
    }

    /// Keeps a text under a name, and reads it back.
    fn write(&self, (name, label): (&str, &str), text: &[u8], overdue: &AtomicBool) -> Result<(), DesktopFault> {
        if self.find(name)? == Place::Nowhere {
            self.check()?;
        }
        let entry = self.entry(name, label)?;
        refuse_late(overdue)?;
        entry.set_secret(text).map_err(|error| refused(&error))?;
        let kept = text_of(&entry, name)?;
        if kept.as_slice() == text { Ok(()) } else { Err(DesktopFault::Unfaithful(name.to_owned())) }
    }

    /// Removes what is under a name.
    fn remove(&self, name: &str, overdue: &AtomicBool) -> Result<(), DesktopFault> {
        if self.find(name)? == Place::Nowhere {
            return Ok(());
        }
        let entry = self.entry(name, name)?;
        refuse_late(overdue)?;
        match entry.delete_credential() {
            Ok(()) | Err(keyring_core::Error::NoEntry) => Ok(()),
            Err(error) => Err(refused(&error)),
        }
    }
}

/// Reads the text of an entry.
fn text_of(entry: &Entry, name: &str) -> Result<Zeroizing<Vec<u8>>, DesktopFault> {
    match entry.get_secret() {
        Ok(text) => Ok(Zeroizing::new(text)),
        Err(keyring_core::Error::NoEntry) => Err(DesktopFault::NoItem(name.to_owned())),
        Err(error) => Err(refused(&error)),
    }
}

/// Keeps a change from happening after who wanted it has given up, and perhaps the lock with it.
fn refuse_late(overdue: &AtomicBool) -> Result<(), DesktopFault> {
    if overdue.load(Ordering::SeqCst) { Err(DesktopFault::Silent) } else { Ok(()) }
}

/// Says why no connection came about.
fn unconnected(error: &dbus_secret_service::Error) -> DesktopFault {
    match fault(error) {
        DesktopFault::Refused(words) => DesktopFault::NoBus(format!(" ({words})")),
        known => known,
    }
}

/// Says what the Secret Service, or the way to it, complains of.
fn fault(error: &dbus_secret_service::Error) -> DesktopFault {
    use dbus_secret_service::Error as E;
    let name = match error {
        E::Locked | E::Prompt => return DesktopFault::Locked,
        E::Unavailable => return DesktopFault::NoService,
        E::Dbus(error) => error.name().unwrap_or_default(),
        _ => "",
    };
    let Some(name) = name.strip_prefix("org.freedesktop.") else { return DesktopFault::Refused(words(error)) };
    match name {
        "Secret.Error.IsLocked" => DesktopFault::Locked,
        "DBus.Error.NoReply" | "DBus.Error.Timeout" | "DBus.Error.TimedOut" => DesktopFault::Silent,
        "DBus.Error.ServiceUnknown" | "DBus.Error.NameHasNoOwner" => DesktopFault::NoService,
        name if name.starts_with("DBus.Error.Spawn.") => DesktopFault::NoService,
        _ => DesktopFault::Refused(words(error)),
    }
}

/// Says what the store complains of; behind most of it is the Secret Service.
fn refused(error: &keyring_core::Error) -> DesktopFault {
    use keyring_core::Error as E;
    match error {
        E::PlatformFailure(inner) | E::NoStorageAccess(inner) => {
            inner.downcast_ref().map_or_else(|| DesktopFault::Refused(words(inner)), fault)
        }
        // never in its own words, which hold what it was given
        E::BadEncoding(_) | E::BadDataFormat(..) => DesktopFault::Refused("what it holds is damaged".to_owned()),
        other => DesktopFault::Refused(words(other)),
    }
}

/// Returns an error's words, in which a terminal finds nothing to obey.
fn words(error: &impl std::fmt::Display) -> String {
    escaped(&error.to_string())
}
