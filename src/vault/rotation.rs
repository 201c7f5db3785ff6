//! Rotating the vault's key: a new identity, every entry sealed anew, every slot wrapped anew, in one step for all who
//! look.
//!
//! The new vault is built beside the old one, in `vault.rotation`, under the locks of the header and of all entries; then
//! the two change places in one step. Lock files are neither removed nor replaced: in the new vault each has a second name
//! (a hard link), so that who waits for one waits for the same.
//!
//! What lies in `vault.rotation` while nobody holds the header's lock has lost: it is a vault that was never finished, or
//! the one of before. Everybody goes on with the vault that stands, and the next rotation removes the other one.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::OFlags;

use super::filing::{self, LOCK};
use super::header::{self, Header, Slot, SlotKind};
use super::keyring::Keyring;
use super::pin::Pin;
use super::publication::EntryLock;
use super::sealing::{Identity, Sealer};
use super::shelf::Shelf;
use super::slots::{self, Wrapped, Wrapping};
use super::unlock::Ask;
use super::{Vault, VaultError, identity_file, lock_header, unlock};
use crate::host::deadline::Deadline;
use crate::host::files::{self, FileFault, Published, fault};
use crate::host::process;
use crate::profile::EntryName;
use crate::secret::Passphrase;

/// Returns where the other vault lies while a rotation goes on.
pub(crate) fn beside(vault: &Path) -> PathBuf {
    vault.with_extension("rotation")
}

/// Refuses to go on with a vault whose key is being changed, or has been since it was opened. Who asks holds an entry's
/// lock: from then on no rotation can end before that is given back.
pub(super) fn refuse_rotated(vault: &Path, header: &Header) -> Result<(), VaultError> {
    if is_under_way(vault)? {
        return Err(VaultError::Rotating { vault: vault.to_owned() });
    }
    refuse_another(vault, header)
}

/// Refuses to go on with a vault whose key has been changed since it was opened.
pub(super) fn refuse_another(vault: &Path, header: &Header) -> Result<(), VaultError> {
    if Header::read(vault).is_ok_and(|now| now.recipient != header.recipient) {
        return Err(VaultError::Rotated { vault: vault.to_owned() });
    }
    Ok(())
}

/// Tells whether somebody rotates the key of a vault now.
fn is_under_way(vault: &Path) -> Result<bool, VaultError> {
    if !was_begun(vault) {
        return Ok(false);
    }
    let path = vault.join("lock");
    let file = files::open_private(&path, OFlags::empty())?;
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(fault("lock", &path)(error).into()),
    }
}

/// Tells whether a rotation was begun, and is not at its end.
pub(crate) fn was_begun(vault: &Path) -> bool {
    beside(vault).symlink_metadata().is_ok()
}

/// What must change with the vault.
#[derive(Clone, Copy)]
pub(crate) struct Outside<'a> {
    /// The pin.
    pub(crate) pin: &'a Pin,
    /// The identity files that hold the vault's own identity, or shall hold it.
    pub(crate) files: &'a [PathBuf],
    /// The keyring, if it holds the vault's own identity.
    pub(crate) keyring: Option<&'a Keyring>,
}

/// The next identity of a vault, wrapped for its slots.
pub(crate) struct Successor {
    /// The identity.
    identity: Identity,
    /// The slots' files.
    slots: Vec<Wrapped>,
    /// The list of slots that this follows.
    before: Vec<Slot>,
}

/// A rotation that holds every lock, and has changed nothing yet.
pub(crate) struct Rotation<'a> {
    /// The vault of before.
    vault: &'a Vault,
    /// What changes with it.
    outside: Outside<'a>,
    /// The lock of the header.
    _header: File,
    /// The locks of the entries.
    pub(crate) locks: Vec<(EntryName, EntryLock)>,
}

/// A vault that was rotated.
pub(crate) struct Rotated {
    /// The vault as it is now.
    pub(crate) vault: Vault,
    /// The locks of its entries.
    pub(crate) locks: Vec<(EntryName, EntryLock)>,
    /// What could not be tidied up.
    pub(crate) faults: Vec<VaultError>,
}

impl Vault {
    /// Tells whether a file holds this vault's own identity.
    pub(crate) fn is_opened_by(&self, path: &Path) -> Result<bool, VaultError> {
        identity_file::holds(path, &self.identity)
    }

    /// Tells whether another key has taken the place of this vault's since it was opened.
    pub(crate) fn is_of_before(&self) -> bool {
        refuse_another(&self.folder, &self.header).is_err()
    }

    /// Tells whether a slot gave the identity.
    pub(crate) const fn is_opened_by_slot(&self) -> bool {
        self.opened_by_slot
    }

    /// Tells whether a passphrase opens a slot of this vault.
    pub(crate) fn opens(&self, slot: &Slot, passphrase: &Passphrase) -> Result<bool, VaultError> {
        let opened = slots::open_one(&self.folder, &self.header, slot, passphrase)?;
        Ok(opened.is_some())
    }

    /// Makes the next identity and wraps it, which may take a person or seconds; nothing is locked meanwhile.
    pub(crate) fn successor(
        &self,
        wrappings: Vec<(EntryName, Wrapping)>,
        ask: Ask<'_>,
    ) -> Result<Successor, VaultError> {
        let identity = Identity::generate();
        let wrap = |(name, wrapping): (EntryName, Wrapping)| slots::wrapped(name, &identity, wrapping, ask);
        let slots = wrappings.into_iter().map(wrap).collect::<Result<_, _>>()?;
        Ok(Successor { identity, slots, before: self.header.slots.clone() })
    }

    /// Takes every lock for a rotation, and removes what a rotation left that was killed.
    pub(crate) fn begin_rotation<'a>(
        &'a self,
        outside: Outside<'a>,
        patience: Duration,
    ) -> Result<Rotation<'a>, VaultError> {
        let deadline = Deadline::after(patience);
        let header = lock_header(&self.folder)?;
        refuse_another(&self.folder, &self.header)?;
        discard(&self.folder, &self.header, outside)?;
        // from here on nobody makes an entry that is not seen below
        files::make_folder(&beside(&self.folder))?;
        let locks = process::with_more_descriptors(|| lock_entries(&self.shelf(), deadline));
        let locks = locks.inspect_err(|_| drop(std::fs::remove_dir(beside(&self.folder))))?;
        Ok(Rotation { vault: self, outside, _header: header, locks })
    }
}

/// Takes the locks of all entries, also of those that hold nothing.
fn lock_entries(shelf: &Shelf, deadline: Deadline) -> Result<Vec<(EntryName, EntryLock)>, VaultError> {
    let names = shelf.folders()?;
    let lock = |name: EntryName| {
        let lock = shelf.lock(&name, deadline.left())?;
        refuse_in_keyring(shelf, &name)?;
        Ok((name, lock))
    };
    names.into_iter().map(lock).collect()
}

/// Refuses to take an entry for a file that rests in the keyring.
pub(super) fn refuse_in_keyring(shelf: &Shelf, name: &EntryName) -> Result<(), VaultError> {
    if shelf.is_in_keyring(name)? { Err(VaultError::RestsInKeyring { name: name.clone() }) } else { Ok(()) }
}

impl Rotation<'_> {
    /// Gives up, with nothing changed.
    pub(crate) fn abandon(self) {
        // one that stays says to the next rotation that it holds nothing
        drop(std::fs::remove_dir(beside(&self.vault.folder)));
    }

    /// Builds the new vault and lets it take the place of the old one.
    pub(crate) fn finish(self, successor: Successor) -> Result<Rotated, VaultError> {
        let folder = &self.vault.folder;
        let replaced = self.replace(&successor);
        // what stands decides, not how we heard of it: after the exchange the disk may still have failed
        let header = Header::read(folder)?;
        let discarded = discard(folder, &header, self.outside);
        if header.recipient == self.vault.header.recipient {
            return Err(replaced.err().unwrap_or_else(|| VaultError::NoExchange { folder: folder.clone() }));
        }
        // what failed after the exchange was a flush, and who discards flushes again
        let faults = discarded.err().into_iter().collect();
        let Successor { identity, .. } = successor;
        let (key, opened_by_slot) = (identity.derive("entry"), self.vault.opened_by_slot);
        let shelf = self.vault.shelf().under(&header.recipient);
        let vault = Vault { folder: folder.clone(), shelf, identity, key, header, opened_by_slot };
        Ok(Rotated { vault, locks: self.locks, faults })
    }

    /// Builds, makes the world outside ready for both vaults, and exchanges them.
    fn replace(&self, successor: &Successor) -> Result<(), VaultError> {
        let (vault, outside) = (self.vault, self.outside);
        if Header::read(&vault.folder)?.slots != successor.before {
            return Err(VaultError::Rotated { vault: vault.folder.clone() });
        }
        let header = self.build(successor)?;
        outside.pin.renew_for_both(&vault.header.recipient, &header.recipient)?;
        for file in outside.files {
            identity_file::add(file, &successor.identity, &vault.identity)?;
        }
        if let Some(keyring) = outside.keyring {
            unlock::keep_in_keyring(keyring, &successor.identity)?;
        }
        if files::exchange(&beside(&vault.folder), &vault.folder)? {
            Ok(())
        } else {
            Err(VaultError::NoExchange { folder: vault.folder.clone() })
        }
    }

    /// Builds the new vault beside the old one; its header comes last.
    fn build(&self, successor: &Successor) -> Result<Header, VaultError> {
        let (old, new) = (&self.vault.folder, beside(&self.vault.folder));
        let (entries, sealer) = (new.join("entries"), Sealer::of(&successor.identity));
        files::make_folder(&entries)?;
        files::make_folder(&new.join("slots"))?;
        link(&old.join("lock"), &new.join("lock"))?;
        for (name, lock) in &self.locks {
            self.reseal((name, lock), &entries.join(name.as_str()), &sealer)?;
        }
        files::sync_folder(&entries)?;
        for slot in &successor.slots {
            slots::put(&new, slot)?;
        }
        let header = Header::new(&successor.identity, successor.slots.iter().map(|slot| slot.slot.clone()).collect());
        header.write(&new)?;
        files::sync_folder(&new)?;
        Ok(header)
    }

    /// Seals what an entry holds for the new identity: the newest generation, and what was put aside.
    fn reseal(&self, (name, lock): (&EntryName, &EntryLock), to: &Path, sealer: &Sealer) -> Result<(), VaultError> {
        let sealing = |fault| VaultError::Sealing { name: name.clone(), fault };
        files::make_folder(to)?;
        link(&lock.path(), &to.join(LOCK))?;
        if let Some(newest) = self.vault.newest(name)? {
            let file = sealer.seal(&newest).map_err(sealing)?;
            files::replace(&to.join(filing::of_generation(newest.generation)), &file, 0o600)?;
        }
        for aside in self.vault.shelf().aside(name)? {
            let file = files::read(&aside, files::Access::Private, super::sealing::LARGEST_FILE)?;
            // what does not open for us is kept as it is: it may mean something to somebody
            let file = self.vault.reseal(&file, sealer).unwrap_or(file);
            files::replace(&to.join(aside.file_name().unwrap_or_default()), &file, 0o600)?;
        }
        Ok(files::sync_folder(to)?)
    }
}

/// Gives a lock's file a second name.
fn link(from: &Path, to: &Path) -> Result<(), VaultError> {
    std::fs::hard_link(from, to).map_err(|error| match error.kind() {
        std::io::ErrorKind::Unsupported | std::io::ErrorKind::PermissionDenied => {
            VaultError::NoExchange { folder: to.to_owned() }
        }
        _ => fault("link", to)(error).into(),
    })
}

/// Removes the vault that has lost, with the identity that opens it and its pin. The header is that of the one that stands.
/// Before that rests on the disk nothing is removed: after the power went the other one may stand again.
fn discard(vault: &Path, header: &Header, outside: Outside<'_>) -> Result<(), VaultError> {
    let other = beside(vault);
    if !was_begun(vault) {
        return Ok(());
    }
    files::sync_folder(vault.parent().unwrap_or(vault)).map_err(|fault| VaultError::MayNotRest {
        vault: vault.to_owned(),
        other: other.clone(),
        fault,
    })?;
    files::check_folder(&other)?;
    let lost = Header::read(&other).ok();
    if let Some(lost) = &lost
        && outside.pin.knows(&lost.recipient)?
        && lost.recipient != header.recipient
    {
        for file in outside.files {
            identity_file::remove(file, |identity| lost.is_authentic(identity))?;
        }
        if let Some(keyring) = outside.keyring {
            unlock::forget_in_keyring(keyring, &lost.recipient)?;
        }
    }
    outside.pin.renew(&header.recipient)?;
    empty(&other, vault, lost.as_ref())?;
    std::fs::remove_dir(&other).map_err(|error| fault("remove", &other)(error).into())
}

/// Removes what is ours in the vault that has lost, its header last; what is not, is moved to the one that stands.
fn empty(lost: &Path, stands: &Path, header: Option<&Header>) -> Result<(), FileFault> {
    for name in present(&lost.join("entries"))? {
        let below = Path::new("entries").join(&name);
        let is_entry =
            lost.join(&below).is_dir() && name.to_str().is_some_and(|name| name.parse::<EntryName>().is_ok());
        if is_entry {
            clear((lost, stands), &below, |file| file == LOCK || filing::is_ours(file))?;
        } else {
            keep(&lost.join(&below), &stands.join(&below))?;
        }
    }
    clear((lost, stands), Path::new("entries"), |_| false)?;
    let is_listed =
        |file: &str| header.is_none_or(|header| header.slots.iter().any(|slot| slots::is_file_of(slot, file)));
    clear((lost, stands), Path::new("slots"), is_listed)?;
    for name in present(lost)?.into_iter().filter(|name| name != "vault.toml") {
        if name == "lock" || name == ".vault.toml.new" {
            remove(&lost.join(&name))?;
        } else {
            keep(&lost.join(&name), &stands.join(&name))?;
        }
    }
    match remove(&header::path(lost)) {
        Err(fault) if fault.is_missing() => Ok(()),
        removed => removed,
    }
}

/// Removes the files of ours in a folder, moves the others, and removes the folder.
fn clear((lost, stands): (&Path, &Path), below: &Path, is_ours: impl Fn(&str) -> bool) -> Result<(), FileFault> {
    let folder = lost.join(below);
    // a file that was being written has its name before it
    let is_ours = |file: &str| is_ours(files::succeeded(file).unwrap_or(file));
    for name in present(&folder)? {
        if name.to_str().is_some_and(is_ours) {
            remove(&folder.join(&name))?;
        } else {
            keep(&folder.join(&name), &stands.join(below).join(&name))?;
        }
    }
    match std::fs::remove_dir(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(fault("remove", &folder)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Lists the names in a folder that may not be there any more.
fn present(folder: &Path) -> Result<Vec<std::ffi::OsString>, FileFault> {
    match files::list(folder) {
        Err(fault) if fault.is_missing() => Ok(Vec::new()),
        listed => listed,
    }
}

/// Moves a file that is not ours to where it was.
fn keep(from: &Path, to: &Path) -> Result<(), FileFault> {
    match files::publish(from, to)? {
        Published::Yes => Ok(()),
        Published::NameTaken => Err(fault("move", from)(std::io::Error::from(std::io::ErrorKind::AlreadyExists))),
    }
}

/// Removes a file.
fn remove(path: &Path) -> Result<(), FileFault> {
    std::fs::remove_file(path).map_err(fault("remove", path))
}

/// Returns what wraps a slot anew, if it stands in the header: a passphrase does not.
pub(crate) fn wrapping_of(slot: &Slot) -> Option<Wrapping> {
    match slot.kind {
        SlotKind::Passphrase => None,
        SlotKind::Recipient | SlotKind::Plugin => slot.recipient.clone().map(Wrapping::Recipient),
    }
}
