//! Moving entries between age files and the keyring. Whatever kills us, every entry is where its mark says: the copy is
//! read back before the mark changes, and what it was copied from goes last of all.

use super::items::Item;
use super::shelf::{Backend, EntryLock};
use super::{Vault, VaultError};
use crate::host::files::{self, Published, fault};
use crate::profile::EntryName;

/// Whether an entry had to be moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moved {
    /// It is somewhere else now.
    Yes,
    /// It was there already, or there is nothing of it.
    No,
}

impl Vault {
    /// Claims that the keyring could be moved to, or from.
    pub(crate) fn check_keyring(&self) -> Result<(), VaultError> {
        self.shelf.items()?.check()
    }

    /// Lets new entries rest in something from now on.
    pub(crate) fn resting_in(mut self, backend: Backend) -> Self {
        self.shelf = self.shelf.resting_in(backend);
        self
    }

    /// Lists the entries that rest in something else.
    pub(crate) fn elsewhere(&self, to: Backend) -> Result<Vec<EntryName>, VaultError> {
        let mut names = self.shelf.names()?.entries;
        // one that cannot be looked into is moved, and says so
        names.retain(|name| self.shelf.backend(name).map_or(true, |backend| backend != to));
        Ok(names)
    }

    /// Copies an entry, under its lock, reads the copy back, and lets it count from then on. What it was copied from stays.
    pub(crate) fn move_entry(&self, name: &EntryName, to: Backend, _lock: &EntryLock) -> Result<Moved, VaultError> {
        if self.shelf.backend(name)? == to || !self.shelf.lists(name)? {
            return Ok(Moved::No);
        }
        let generations = self.shelf.generations(name)?;
        let mut items = Vec::new();
        for &generation in generations.iter().take(2) {
            let file = self.shelf.read(name, generation)?;
            // the newest must open; one before it that does not is of no use anywhere
            match (self.unseal(name, generation, &file), items.is_empty()) {
                (Ok(_), _) => items.push(Item { generation, file }),
                (Err(fault), true) => return Err(fault),
                (Err(_), false) => {}
            }
        }
        match to {
            Backend::Keyring => self.move_to_keyring(name, &items)?,
            Backend::Age => self.move_to_files(name, &items)?,
        }
        Ok(Moved::Yes)
    }

    /// Gives the generations of an entry to the keyring.
    fn move_to_keyring(&self, name: &EntryName, items: &[Item]) -> Result<(), VaultError> {
        if let Some((current, before)) = items.split_first() {
            self.shelf.items()?.receive(name, current, before.first())?;
        }
        Ok(self.shelf.mark(name)?)
    }

    /// Writes the generations of an entry into files, the newest last. Whoever was killed here before us wrote the same.
    fn move_to_files(&self, name: &EntryName, items: &[Item]) -> Result<(), VaultError> {
        for Item { generation, file } in items.iter().rev() {
            let path = self.shelf.path(name, *generation);
            let made = files::make(&path, file, 0o600)?;
            if made == Published::NameTaken && self.shelf.read(name, *generation)? != *file {
                let other = std::io::Error::from(std::io::ErrorKind::AlreadyExists);
                return Err(fault("write", &path)(other).into());
            }
        }
        Ok(self.shelf.unmark(name)?)
    }

    /// Opens an entry where it shall be by now.
    pub(crate) fn check_moved(&self, name: &EntryName) -> Result<(), VaultError> {
        self.newest(name).map(drop)
    }

    /// Lists the entries that have something left where nothing rests any more.
    pub(crate) fn with_remains(&self, to: Backend) -> Result<Vec<EntryName>, VaultError> {
        match to {
            Backend::Keyring => Ok(self.shelf.names()?.entries),
            Backend::Age => self.shelf.items()?.entries(),
        }
    }

    /// Removes what an entry was copied from, under its lock; one that was moved back meanwhile is left alone.
    pub(crate) fn remove_remains(&self, name: &EntryName, to: Backend, _lock: &EntryLock) -> Result<(), VaultError> {
        match to {
            Backend::Keyring if self.shelf.is_in_keyring(name)? => Ok(self.shelf.remove_files(name)?),
            Backend::Age if !self.shelf.is_in_keyring(name)? => self.shelf.items()?.remove(name),
            Backend::Keyring | Backend::Age => Ok(()),
        }
    }
}
