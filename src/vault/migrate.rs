//! Moving entries between age files and the keyring. Whatever kills us, every entry is where its mark says: the copy is
//! read back before the mark changes, and what it was copied from goes last of all, if what it was copied to is there.

use std::path::PathBuf;

use super::items::Item;
use super::keyring::DesktopFault;
use super::publication::EntryLock;
use super::{Vault, VaultError};
use crate::backend::Backend;
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

/// An entry's item in the keyring that nothing says is in use, and that files do not have.
#[derive(Debug)]
pub(crate) struct Stray {
    /// The entry.
    pub(crate) name: EntryName,
    /// The generation that the item holds.
    pub(crate) generation: u64,
    /// The name that the keyring knows it by.
    pub(crate) item: String,
    /// The file that would say that the entry rests in the keyring.
    pub(crate) mark: PathBuf,
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
    pub(crate) fn move_entry(&self, name: &EntryName, to: Backend, lock: &EntryLock) -> Result<Moved, VaultError> {
        if self.shelf.backend(name)? == to || !self.shelf.lists(name)? {
            return Ok(Moved::No);
        }
        // one before it is not the newest: where that is lost, nothing moves
        if self.shelf.newest(name)?.is_none() {
            return self.move_unpublished(name, lock);
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

    /// Lets an entry whose first generation the keyring never took rest in files.
    fn move_unpublished(&self, name: &EntryName, lock: &EntryLock) -> Result<Moved, VaultError> {
        let is_first = lock.unpublished()?.is_some_and(|file| self.unseal(name, 1, &file).is_ok());
        if !is_first {
            return Err(self.shelf.lost(name)?);
        }
        self.shelf.unmark(name)?;
        Ok(Moved::Yes)
    }

    /// Claims that the keyring holds nothing of an entry that is newer than what shall take its place, or another one.
    fn refuse_newer(&self, name: &EntryName, current: &Item) -> Result<(), VaultError> {
        let held = match self.shelf.items()?.current(name) {
            Err(VaultError::Desktop { fault: DesktopFault::Damaged(_), .. }) => None,
            held => held?,
        };
        let is_in_the_way = |held: &Item| held.generation >= current.generation && held != current;
        match held.filter(is_in_the_way) {
            Some(held) if self.unseal(name, held.generation, &held.file).is_ok() => {
                let fault = DesktopFault::Newer { name: self.shelf.items()?.current_name(name), held: held.generation };
                Err(VaultError::Desktop { doing: format!("keep `{name}` in the keyring"), fault })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Gives the generations of an entry to the keyring.
    fn move_to_keyring(&self, name: &EntryName, items: &[Item]) -> Result<(), VaultError> {
        if let Some((current, before)) = items.split_first() {
            self.refuse_newer(name, current)?;
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

    /// Removes what an entry was copied from, under its lock; one that was moved back meanwhile is left alone, and so is
    /// what the copy does not have, which is returned.
    pub(crate) fn remove_remains(
        &self,
        name: &EntryName,
        to: Backend,
        _lock: &EntryLock,
    ) -> Result<Option<Stray>, VaultError> {
        let is_in_keyring = self.shelf.is_in_keyring(name)?;
        match to {
            Backend::Keyring if is_in_keyring && self.keyring_has_files(name)? => self.shelf.remove_files(name)?,
            Backend::Age if !is_in_keyring => match self.stray(name)? {
                None => self.shelf.items()?.remove(name)?,
                stray => return Ok(stray),
            },
            Backend::Keyring | Backend::Age => {}
        }
        Ok(None)
    }

    /// Tells whether the keyring holds the newest of an entry's files, or a newer generation.
    fn keyring_has_files(&self, name: &EntryName) -> Result<bool, VaultError> {
        let held = self.newest(name)?.map(|entry| entry.generation);
        Ok(held.is_some() && held >= self.shelf.newest_file(name)?)
    }

    /// Looks for an item of an entry that rests in files which do not have what the item holds.
    fn stray(&self, name: &EntryName) -> Result<Option<Stray>, VaultError> {
        let items = self.shelf.items()?;
        let Some(held) = items.both(name)?.into_iter().next() else { return Ok(None) };
        let newest = self.shelf.newest(name).ok().flatten();
        let newest = newest.filter(|(generation, file)| self.unseal(name, *generation, file).is_ok());
        let is_copied = newest.is_some_and(|(generation, file)| {
            generation > held.generation || generation == held.generation && file == held.file
        });
        let stray = || Stray {
            name: name.clone(),
            generation: held.generation,
            item: items.current_name(name),
            mark: self.shelf.mark_path(name),
        };
        Ok((!is_copied).then(stray))
    }

    /// Lists the items in the keyring that nothing says are in use, and that files do not have. Where nothing rests in a
    /// keyring, or shall, none is asked.
    pub(crate) fn strays(&self) -> Result<Vec<Stray>, VaultError> {
        let names = self.shelf.names()?.entries;
        let uses_keyring = names.iter().any(|name| self.shelf.is_in_keyring(name).unwrap_or(false));
        if !uses_keyring && self.backend() == Backend::Age {
            return Ok(Vec::new());
        }
        let mut strays = Vec::new();
        for name in self.shelf.items()?.entries()? {
            if !self.shelf.is_in_keyring(&name)? {
                strays.extend(self.stray(&name)?);
            }
        }
        Ok(strays)
    }
}

impl std::fmt::Display for Stray {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, generation, item, mark } = self;
        let mark = mark.display();
        write!(
            formatter,
            "the keyring holds generation {generation} of `{name}`, which no file has, and nothing says that it is in \
             use; it stays there: take it back with `install -m 600 /dev/null '{mark}'`, or, if it was deleted, remove \
             it with `secret-tool clear service tokenkeep username '{item}'`"
        )
    }
}
