//! The vault: entries at rest in age files or in the keyring of the desktop, who may open them, and how it is known that they are ours.
//!
//! What is sealed goes to the recipient computed from the identity that is open, never to one read from a file: who can
//! edit the folder must not be able to redirect the next token.

pub(crate) mod backup;
pub(crate) mod entry;
mod error;
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
use crate::host::files;
use crate::host::process;
use crate::profile::EntryName;
use crate::token::time::Timestamp;
use entry::{Body, Entry};
pub(crate) use error::VaultError;
use header::{Header, Slot};
use keyring::Keyring;
use pin::{Known, Pin};
use publication::EntryLock;
use sealing::{Identity, Key, Sealer};
use shelf::Shelf;
use slots::Wrapping;
use unlock::{Ask, Sources};

/// How long a change of the header waits for another one: most take milliseconds, a rotation or a backup may take longer.
const HEADER_PATIENCE: Duration = Duration::from_secs(10);

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
        if newest.is_none() {
            self.refuse_lost(name)?;
        }
        let opened = newest.map(|(generation, file)| self.unseal(name, generation, &file)).transpose();
        opened.map_err(|error| unless_rotated(&self.folder, &self.header, error))
    }

    /// Refuses an entry of which the keyring holds nothing, unless what waits to be published is its first generation: it
    /// may be another keyring than the one that the answer follows a generation of.
    pub(crate) fn refuse_lost(&self, name: &EntryName) -> Result<(), VaultError> {
        if !self.shelf.is_in_keyring(name)? || self.shelf.items()?.current(name)?.is_some() {
            return Ok(());
        }
        match self.shelf.unpublished(name)? {
            Some(file) if self.unseal(name, 1, &file).is_err() => Err(self.shelf.lost(name)?),
            Some(_) | None => Ok(()),
        }
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

    /// Lists the generations of an entry, of which the newest is there wherever it rests.
    fn generations(&self, name: &EntryName) -> Result<Vec<u64>, VaultError> {
        self.shelf.check_held(name)?;
        self.refuse_lost(name)?;
        self.shelf.generations(name)
    }

    /// Checks every file of the vault, and returns what is wrong.
    pub(crate) fn verify(&self) -> Result<Vec<VaultError>, VaultError> {
        let mut faults = slots::check_all(&self.folder, &self.header);
        let shelf = self.shelf();
        for name in shelf.names()?.entries {
            let generations = match self.generations(&name) {
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
