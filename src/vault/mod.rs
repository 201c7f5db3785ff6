//! The vault: entries at rest in age files or in the keyring of the desktop, who may open them, and how it is known that they are ours.
//!
//! What is sealed goes to the recipient computed from the identity that is open, never to one read from a file: who can
//! edit the folder must not be able to redirect the next token.

pub(crate) mod backup;
pub(crate) mod entry;
pub(crate) mod export;
mod filing;
pub(crate) mod header;
mod identity_file;
mod items;
pub(crate) mod kernel;
pub(crate) mod keyring;
pub(crate) mod migrate;
pub(crate) mod passphrase;
pub(crate) mod pin;
pub(crate) mod plugin;
pub(crate) mod publication;
pub(crate) mod rotation;
pub(crate) mod sealing;
pub(crate) mod shelf;
pub(crate) mod slots;
pub(crate) mod unlock;
#[cfg(test)]
mod vectors;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::OFlags;

use crate::backend::Backend;
use crate::host::files::{self, FileFault};
use crate::host::kernel_keyring::KernelFault;
use crate::host::process;
use crate::profile::EntryName;
use crate::token::time::Timestamp;
use entry::{Body, Entry};
use header::{Header, Slot, SlotKind};
use keyring::{DesktopFault, Keyring};
use pin::{Known, Pin};
use plugin::PluginFault;
use publication::EntryLock;
use sealing::{Identity, Key, SealFault, Sealer};
use shelf::Shelf;
use slots::Wrapping;
use unlock::{Ask, Sources};

/// How long a change of the header waits for another one: most take milliseconds, a rotation or a backup may take longer.
const HEADER_PATIENCE: Duration = Duration::from_secs(10);

/// What can be wrong with a vault.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VaultError {
    /// There is none.
    #[error("there is no vault in {}", vault.display())]
    Missing {
        /// Where it would be.
        vault: PathBuf,
    },
    /// There are entries, and nothing says whose they are.
    #[error("{} is missing, and its vault holds {}", header::path(vault).display(), counted(*entries))]
    HeaderMissing {
        /// Where it would be.
        vault: PathBuf,
        /// How many entries are there.
        entries: usize,
    },
    /// There already is one.
    #[error("there already is a vault in {}", vault.display())]
    Exists {
        /// Where it is.
        vault: PathBuf,
    },
    /// Nothing that opens it is at hand.
    #[error("the vault is locked, and nothing here opens it")]
    Locked {
        /// The kinds of its slots.
        slots: Vec<SlotKind>,
        /// Why the kernel's keyring could not be asked, if that was so.
        #[source]
        kernel: Option<KernelFault>,
    },
    /// The source that was chosen cannot be read.
    #[error("cannot read the vault identity from {name}")]
    Source {
        /// The source.
        name: String,
        /// What is wrong with its file.
        #[source]
        fault: FileFault,
        /// The kinds of the vault's slots, if it was the vault that was to be opened.
        slots: Vec<SlotKind>,
    },
    /// A descriptor that was named cannot be read.
    #[error("cannot read {flag} {number}")]
    Descriptor {
        /// The flag.
        flag: &'static str,
        /// The descriptor's number.
        number: i32,
        /// Why not.
        source: std::io::Error,
    },
    /// The source holds no identity.
    #[error("{source_name} holds no age identity (a line AGE-SECRET-KEY-1... or AGE-PLUGIN-NAME-1...)")]
    NoIdentity {
        /// The source.
        source_name: String,
    },
    /// The source's identity neither is this vault's nor opens a slot.
    #[error("the identity from {source_name} does not open this vault")]
    NotThisVault {
        /// The source.
        source_name: String,
    },
    /// The passphrase opens no slot.
    #[error("wrong passphrase ({source_name})")]
    WrongPassphrase {
        /// Where it came from.
        source_name: String,
    },
    /// The keyring does not give or take what it should.
    #[error("cannot {doing}")]
    Desktop {
        /// What was tried, as a verb with its object.
        doing: String,
        /// What is wrong.
        #[source]
        fault: DesktopFault,
    },
    /// Nobody answered.
    #[error("nobody typed a passphrase")]
    NotAnswered(#[source] std::io::Error),
    /// `vault.toml` is damaged or was changed by somebody else.
    #[error("{} cannot be trusted: {reason}", path.display())]
    Header {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The vault is another one than before.
    #[error("this is not the vault you used: {} has another recipient", vault.display())]
    AnotherVault {
        /// The vault's folder.
        vault: PathBuf,
        /// The digest that was pinned.
        pinned: String,
        /// The digest of the recipient that is there.
        found: String,
    },
    /// A slot's file is not the one that was written.
    #[error("slot `{name}` was replaced by somebody else's")]
    SlotReplaced {
        /// The slot.
        name: EntryName,
    },
    /// A slot of that name is there.
    #[error("there already is a slot `{name}`")]
    SlotExists {
        /// The slot.
        name: EntryName,
    },
    /// No slot of that name is there.
    #[error("there is no slot `{name}`")]
    NoSuchSlot {
        /// The slot.
        name: EntryName,
    },
    /// The slot has no passphrase.
    #[error("slot `{name}` is opened by a key, and not by a passphrase")]
    NotAPassphrase {
        /// The slot.
        name: EntryName,
    },
    /// The only slot cannot go.
    #[error("`{name}` is the last slot, and the only way into this vault that is known")]
    LastSlot {
        /// The slot.
        name: EntryName,
    },
    /// The text is no recipient.
    #[error("not an age recipient (age1..., or age1NAME1... for a plugin)")]
    NotARecipient,
    /// The recipient is the vault's own: a slot for it would open also what the key that comes after it keeps.
    #[error("this is the vault's own key, which needs no slot")]
    OwnRecipient,
    /// A plugin of age does not do what it is there for.
    #[error("the plugin `{name}` of age cannot be used")]
    Plugin {
        /// Its name.
        name: String,
        /// Why not.
        #[source]
        fault: PluginFault,
    },
    /// The age crate could not wrap an identity.
    #[error("cannot wrap the vault identity: {0}")]
    Wrapping(String),
    /// A generation does not open, or is not what its path says.
    #[error("cannot open {}", path.display())]
    Entry {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        fault: SealFault,
    },
    /// A generation cannot be sealed.
    #[error("cannot seal `{name}`")]
    Sealing {
        /// The entry.
        name: EntryName,
        /// Why not.
        #[source]
        fault: SealFault,
    },
    /// The lock was not had in time.
    #[error("another tokenkeep has held the lock of `{name}` for {waited:?}")]
    Busy {
        /// The entry.
        name: EntryName,
        /// How long was waited.
        waited: Duration,
    },
    /// Two names that some file systems cannot tell apart.
    #[error("`{name}` differs from `{existing}` only by case")]
    CaseClash {
        /// The new name.
        name: EntryName,
        /// The one that is there.
        existing: EntryName,
    },
    /// The file system has no way to publish a file without replacing another.
    #[error("the file system of {} can neither rename without replacing nor link", folder.display())]
    Unsuitable {
        /// The vault's folder.
        folder: PathBuf,
    },
    /// An entry is not among the files.
    #[error("`{name}` rests in the keyring, and not in a file")]
    RestsInKeyring {
        /// The entry.
        name: EntryName,
    },
    /// Somebody changes the vault's key.
    #[error("the key of the vault in {} is being changed", vault.display())]
    Rotating {
        /// The vault's folder.
        vault: PathBuf,
    },
    /// The vault's key was changed while we looked.
    #[error("the key of the vault in {} was changed a moment ago", vault.display())]
    Rotated {
        /// The vault's folder.
        vault: PathBuf,
    },
    /// The vault with the new key may be gone after the power went.
    #[error("{} may not rest on the disk yet, so {} and the keys of both are kept", vault.display(), other.display())]
    MayNotRest {
        /// The vault's folder.
        vault: PathBuf,
        /// The vault of before, or the one that was never finished.
        other: PathBuf,
        /// Why.
        #[source]
        fault: FileFault,
    },
    /// The file system has no way to let two folders change places.
    #[error("two folders cannot change places at {}, or files there cannot have two names", folder.display())]
    NoExchange {
        /// The vault's folder.
        folder: PathBuf,
    },
    /// A file is no export, or a damaged one.
    #[error("this is no whole export of tokenkeep: {0}")]
    NotAnExport(String),
    /// An export was made for somebody else.
    #[error("{opener} does not open this export")]
    ExportNotOpened {
        /// What was tried.
        opener: String,
    },
    /// Somebody else changes the list of slots, or the key, or copies the vault.
    #[error("another tokenkeep has held the lock of the vault in {} for {HEADER_PATIENCE:?}", vault.display())]
    HeaderBusy {
        /// The vault's folder.
        vault: PathBuf,
    },
    /// A file that shall hold the new identity holds others.
    #[error("{} holds another identity than that of this vault", path.display())]
    OtherIdentities {
        /// The file.
        path: PathBuf,
    },
    /// The kernel's keyring does not do what is asked of it.
    #[error(transparent)]
    Kernel(#[from] KernelFault),
    /// A file or folder is not as it must be.
    #[error(transparent)]
    File(#[from] FileFault),
}

impl VaultError {
    /// Tells whether there is no keyring, or nothing in it that is asked for.
    pub(crate) const fn is_absent_keyring(&self) -> bool {
        matches!(self, Self::Desktop { fault, .. } if fault.is_absence())
    }
}

/// Where a vault is, and what its entries rest in.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    /// The vault's folder.
    pub(crate) folder: PathBuf,
    /// What new entries rest in.
    pub(crate) backend: Backend,
    /// The keyring of this session.
    pub(crate) keyring: Keyring,
}

#[cfg(test)]
impl Site {
    /// A vault in files, where there is no keyring.
    pub(crate) fn in_files(folder: PathBuf) -> Self {
        Self { folder, backend: Backend::Age, keyring: Keyring::of(&crate::host::Environment::default()) }
    }
}

/// An open vault.
pub(crate) struct Vault {
    /// The vault's folder.
    folder: PathBuf,
    /// Where its entries rest.
    shelf: Shelf,
    /// What opens every entry.
    identity: Identity,
    /// The key of the entries' MAC.
    key: Key,
    /// What `vault.toml` says, authenticated.
    header: Header,
    /// Whether a slot gave the identity, or the kernel's keyring, where it does not last.
    opened_by_slot: bool,
}

impl Vault {
    /// Makes a vault that an identity opens; `wrapping` gives it a first slot.
    pub(crate) fn create(
        site: &Site,
        pin: &Pin,
        identity: Identity,
        wrapping: Option<(EntryName, Wrapping)>,
    ) -> Result<Self, VaultError> {
        let folder = site.folder.as_path();
        if site.backend == Backend::Keyring {
            let doing = || "make a vault in the keyring".to_owned();
            site.keyring.check().map_err(|fault| VaultError::Desktop { doing: doing(), fault })?;
        }
        for path in [folder, &folder.join("entries"), &folder.join("slots")] {
            files::make_folder(path)?;
            files::check_folder(path)?;
        }
        let _lock = lock_header(folder)?;
        if header::path(folder).exists() {
            return Err(VaultError::Exists { vault: folder.to_owned() });
        }
        refuse_unsuitable(folder)?;
        refuse_remains(site, Some(&identity))?;
        if let Some((name, _)) = wrapping.as_ref().filter(|(name, _)| slots::exists(folder, name)) {
            let reason = format!("it is missing, and its slot `{name}` is there");
            return Err(VaultError::Header { path: header::path(folder), reason });
        }
        let slot =
            wrapping.map(|(name, wrapping)| slots::write((folder, &name), &identity, wrapping, None)).transpose()?;
        let header = Header::new(&identity, slot.into_iter().collect());
        header.write(folder)?;
        pin.renew(&header.recipient)?;
        let key = identity.derive("entry");
        let (folder, shelf) = (folder.to_owned(), Shelf::at(site, &header.recipient));
        Ok(Self { folder, shelf, identity, key, opened_by_slot: !header.slots.is_empty(), header })
    }

    /// Opens a vault with the first source that is present, and checks that it is the one we know.
    pub(crate) fn open(site: &Site, pin: &Pin, sources: &Sources, ask: Ask<'_>) -> Result<Self, VaultError> {
        let folder = site.folder.as_path();
        let header = Header::read(folder)?;
        // before anybody is asked for a passphrase; that the recipient is the identity's own is checked below
        let known = pin.check(folder, &header.recipient).map_err(|error| unless_rotated(folder, &header, error))?;
        let vault = Self::open_with(header, site, sources, ask)?;
        if known == Known::New {
            pin.set(&vault.header.recipient);
        }
        Ok(vault)
    }

    /// Opens a vault without comparing it with the pin.
    pub(crate) fn open_unpinned(site: &Site, sources: &Sources, ask: Ask<'_>) -> Result<Self, VaultError> {
        Self::open_with(Header::read(&site.folder)?, site, sources, ask)
    }

    /// Opens the vault that a header describes.
    fn open_with(header: Header, site: &Site, sources: &Sources, ask: Ask<'_>) -> Result<Self, VaultError> {
        let folder = site.folder.as_path();
        files::check_folder(folder)?;
        files::check_folder(&folder.join("entries"))?;
        let unlocked = sources.open(folder, &header, ask).map_err(|error| unless_rotated(folder, &header, error))?;
        let identity = unlocked.identity;
        header.authenticate(folder, &identity)?;
        let key = identity.derive("entry");
        let (folder, shelf) = (folder.to_owned(), Shelf::at(site, &header.recipient));
        Ok(Self { folder, shelf, identity, key, header, opened_by_slot: unlocked.by_slot })
    }

    /// Returns where the entries rest.
    pub(crate) fn shelf(&self) -> Shelf {
        self.shelf.clone()
    }

    /// Returns the vault's folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Keeps everybody else from changing what the vault is as a whole, as long as the returned file is open.
    pub(crate) fn hold(&self) -> Result<File, VaultError> {
        let lock = lock_header(&self.folder)?;
        rotation::refuse_another(&self.folder, &self.header)?;
        Ok(lock)
    }

    /// Returns what new entries rest in.
    pub(crate) const fn backend(&self) -> Backend {
        self.shelf.default_backend()
    }

    /// Takes the lock of an entry, waiting at most `patience`, if the vault is still the one that was opened.
    pub(crate) fn lock(&self, name: &EntryName, patience: Duration) -> Result<EntryLock, VaultError> {
        let lock = self.shelf().lock(name, patience)?;
        rotation::refuse_rotated(&self.folder, &self.header)?;
        Ok(lock)
    }

    /// Returns the public recipient.
    pub(crate) fn recipient(&self) -> &str {
        &self.header.recipient
    }

    /// Returns the ways to unlock.
    pub(crate) fn slots(&self) -> &[Slot] {
        &self.header.slots
    }

    /// Returns what writes entries without being able to open one.
    pub(crate) fn sealer(&self) -> Sealer {
        Sealer::of(&self.identity)
    }

    /// Returns a code of some bytes that nobody can make, or compare with a guess, who cannot open the vault.
    pub(crate) fn keyed_digest(&self, purpose: &str, bytes: &[u8]) -> String {
        sealing::mac_hex(&self.identity.derive(purpose), bytes)
    }

    /// Opens the newest generation of an entry; `None` if there is no such entry.
    pub(crate) fn newest(&self, name: &EntryName) -> Result<Option<Entry>, VaultError> {
        let newest = self.shelf.newest(name)?;
        let opened = newest.map(|(generation, file)| self.unseal(name, generation, &file)).transpose();
        opened.map_err(|error| unless_rotated(&self.folder, &self.header, error))
    }

    /// Opens the generation before another one, if it is there and opens.
    pub(crate) fn generation_before(&self, name: &EntryName, generation: u64) -> Option<Entry> {
        let before = self.shelf.generations(name).ok()?.into_iter().find(|before| *before < generation)?;
        self.unseal(name, before, &self.shelf.read(name, before).ok()?).ok()
    }

    /// Opens the bytes of one generation.
    pub(crate) fn unseal(&self, name: &EntryName, generation: u64, file: &[u8]) -> Result<Entry, VaultError> {
        sealing::open(&self.identity, &self.key, file, (name, generation))
            .map_err(|fault| VaultError::Entry { path: self.shelf.place(name, generation), fault })
    }

    /// Seals for another identity what a file of this vault holds; `None` if it does not open.
    fn reseal(&self, file: &[u8], sealer: &Sealer) -> Option<Vec<u8>> {
        sealing::open_json(&self.identity, &self.key, file).and_then(|json| sealer.seal_json(json)).ok()
    }

    /// Writes the next generation of an entry, under its lock.
    pub(crate) fn put(
        &self,
        name: &EntryName,
        body: Body,
        lock: &EntryLock,
        now: Timestamp,
    ) -> Result<u64, VaultError> {
        let generation = self.shelf().next_generation(name)?;
        let entry = Entry { name: name.clone(), generation, written_at: now, body };
        let sealed = self.sealer().seal(&entry).map_err(|fault| VaultError::Sealing { name: name.clone(), fault })?;
        lock.rehearse()?;
        lock.reserve()?.fill(&sealed)?;
        lock.publish(generation)?;
        lock.prune(generation);
        Ok(generation)
    }

    /// Lists what lies in the vault's folders and has no place there.
    pub(crate) fn foreign(&self) -> Result<Vec<PathBuf>, VaultError> {
        let shelf = self.shelf();
        let names = shelf.names()?;
        let mut foreign = slots::foreign(&self.folder, &self.header)?;
        foreign.extend(names.foreign);
        for name in &names.entries {
            // an entry that cannot be looked into is a fault, which `verify` finds
            foreign.extend(shelf.foreign_files(name).unwrap_or_default());
        }
        Ok(foreign)
    }

    /// Checks every file of the vault, and returns what is wrong.
    pub(crate) fn verify(&self) -> Result<Vec<VaultError>, VaultError> {
        let mut faults = slots::check_all(&self.folder, &self.header);
        let shelf = self.shelf();
        for name in shelf.names()?.entries {
            let generations = match shelf.check_held(&name).and_then(|()| shelf.generations(&name)) {
                Ok(generations) => generations,
                Err(fault) => {
                    faults.push(fault);
                    continue;
                }
            };
            for generation in generations {
                match shelf.read(&name, generation) {
                    Ok(file) => faults.extend(self.unseal(&name, generation, &file).err()),
                    Err(VaultError::File(fault)) if fault.is_missing() => {}
                    Err(fault) => faults.push(fault),
                }
            }
        }
        Ok(faults)
    }
}

/// Says instead of an error that the vault's key was changed meanwhile, if it was.
fn unless_rotated(folder: &Path, header: &Header, error: VaultError) -> VaultError {
    rotation::refuse_another(folder, header).err().unwrap_or(error)
}

/// Takes the lock under which the header changes.
fn lock_header(folder: &Path) -> Result<File, VaultError> {
    let path = folder.join("lock");
    let file = files::open_private(&path, OFlags::empty())?;
    let locked = process::lock_within(file, HEADER_PATIENCE).map_err(files::fault("lock", &path))?;
    locked.map(|locked| locked.file).ok_or_else(|| VaultError::HeaderBusy { vault: folder.to_owned() })
}

/// Refuses a file system that can publish a file only by possibly replacing another.
fn refuse_unsuitable(folder: &Path) -> Result<(), VaultError> {
    let (from, to) = (folder.join("probe.1"), folder.join("probe.2"));
    let made = files::open_private(&from, OFlags::TRUNC).and_then(|_| files::open_private(&to, OFlags::TRUNC));
    let published = made.map(|_| files::publish(&from, &to));
    for path in [from, to] {
        drop(std::fs::remove_file(path));
    }
    match published? {
        Ok(files::Published::NameTaken) => Ok(()),
        Ok(files::Published::Yes) | Err(_) => Err(VaultError::Unsuitable { folder: folder.to_owned() }),
    }
}

/// Refuses to take over the entries of a vault that has lost its header, unless an identity opens them all; a new one opens
/// none.
pub(crate) fn refuse_remains(site: &Site, identity: Option<&Identity>) -> Result<(), VaultError> {
    let folder = site.folder.as_path();
    let entries = match Shelf::of(folder).names() {
        Ok(names) => names.entries,
        Err(fault) if fault.is_missing() => Vec::new(),
        Err(fault) => return Err(fault.into()),
    };
    let opens_all = identity.map_or(Ok(entries.is_empty()), |identity| opens_all(site, identity, &entries))?;
    if opens_all { Ok(()) } else { Err(VaultError::HeaderMissing { vault: folder.to_owned(), entries: entries.len() }) }
}

/// Tells whether an identity opens the newest generation of each entry.
fn opens_all(site: &Site, identity: &Identity, entries: &[EntryName]) -> Result<bool, VaultError> {
    let (shelf, key) = (Shelf::at(site, &identity.recipient().to_string()), identity.derive("entry"));
    for name in entries {
        let Some(&newest) = shelf.generations(name)?.first() else { return Ok(false) };
        if sealing::open(identity, &key, &shelf.read(name, newest)?, (name, newest)).is_err() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Counts entries.
fn counted(entries: usize) -> String {
    if entries == 1 { "an entry".to_owned() } else { format!("{entries} entries") }
}
