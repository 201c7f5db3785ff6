//! Where the generations of entries rest: `entries/NAME/GENERATION.age`, write-once, with the lock beside them; or the
//! keyring, and then `entries/NAME/keyring` says so.
//!
//! A generation is written to `next`, flushed, and renamed to its number without ever replacing a file; or it is given to
//! the keyring, read back, and then `next` goes. Readers take the highest number and need no lock. Which entries there
//! are is told by files alone, wherever they rest.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use super::filing::{self, LOCK, MARK, NEXT, generation_of, is_aside, is_marked, of_generation};
use super::items::Items;
use super::keyring::DesktopFault;
use super::publication::EntryLock;
use super::sealing::LARGEST_FILE;
use super::{Site, VaultError};
use crate::backend::Backend;
use crate::host::files::{self, Access, FileFault, fault};
use crate::profile::EntryName;

/// The entries of one vault.
#[derive(Clone, Debug)]
pub(crate) struct Shelf {
    /// The vault's `entries` folder.
    folder: PathBuf,
    /// What a new entry rests in. One that is there stays where it is until `vault migrate` moves it.
    backend: Backend,
    /// The way into the keyring; none where names are wanted alone.
    items: Option<Items>,
}

/// What the `entries` folder holds.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// The entries, in alphabetical order.
    pub(crate) entries: Vec<EntryName>,
    /// What does not belong there.
    pub(crate) foreign: Vec<PathBuf>,
}

impl Shelf {
    /// Takes the names of a vault's entries, and what rests in files.
    pub(crate) fn of(vault: &Path) -> Self {
        Self { folder: vault.join("entries"), backend: Backend::Age, items: None }
    }

    /// Takes the entries of a vault, wherever they rest.
    pub(crate) fn at(site: &Site, recipient: &str) -> Self {
        let items = Some(Items::of(site.keyring.clone(), recipient.to_owned()));
        Self { folder: site.folder.join("entries"), backend: site.backend, items }
    }

    /// Takes the same entries once the vault has another recipient.
    pub(super) fn under(self, recipient: &str) -> Self {
        let items = self.items.map(|items| items.under(recipient));
        Self { items, ..self }
    }

    /// Returns what new entries rest in.
    pub(super) const fn default_backend(&self) -> Backend {
        self.backend
    }

    /// Lets new entries rest in something else.
    pub(super) fn resting_in(self, backend: Backend) -> Self {
        Self { backend, ..self }
    }

    /// Returns the way into the keyring.
    pub(super) fn items(&self) -> Result<&Items, VaultError> {
        let unasked =
            || VaultError::Desktop { doing: "look into the keyring".to_owned(), fault: DesktopFault::Unasked };
        self.items.as_ref().ok_or_else(unasked)
    }

    /// Returns the folder of one entry.
    pub(super) fn entry_folder(&self, name: &EntryName) -> PathBuf {
        self.folder.join(name.as_str())
    }

    /// Returns the path of one generation.
    pub(crate) fn path(&self, name: &EntryName, generation: u64) -> PathBuf {
        self.entry_folder(name).join(of_generation(generation))
    }

    /// Returns where an answer waits until it is published.
    pub(super) fn next_path(&self, name: &EntryName) -> PathBuf {
        self.entry_folder(name).join(NEXT)
    }

    /// Returns the path of an entry's lock, whose file holds the keeper's note.
    pub(crate) fn lock_path(&self, name: &EntryName) -> PathBuf {
        self.entry_folder(name).join(LOCK)
    }

    /// Lists the entries; nothing is opened.
    pub(crate) fn names(&self) -> Result<Names, FileFault> {
        let mut names = Names::default();
        for item in files::list(&self.folder)? {
            let name = item.to_str().and_then(|text| text.parse::<EntryName>().ok());
            match name {
                Some(name) if self.folder.join(&item).is_dir() => {
                    // one that cannot be looked into is an entry all the same: who wants it, and nobody else, hears why
                    if self.lists(&name).unwrap_or(true) {
                        names.entries.push(name);
                    }
                }
                Some(_) | None => names.foreign.push(self.folder.join(item)),
            }
        }
        names.entries.sort_unstable();
        Ok(names)
    }

    /// Lists the names under which there is a folder, those of entries that were deleted included.
    pub(super) fn folders(&self) -> Result<Vec<EntryName>, FileFault> {
        let names = files::list(&self.folder)?.into_iter().filter(|item| self.folder.join(item).is_dir());
        Ok(names.filter_map(|item| item.to_str().and_then(|text| text.parse().ok())).collect())
    }

    /// Lists the entries that hold anything at all, one that was never published included, in alphabetical order.
    pub(crate) fn held(&self) -> Result<Vec<EntryName>, FileFault> {
        let mut names = self.folders()?;
        // as above: who wants one that cannot be looked into hears why
        names.retain(|name| self.holds_anything(name).unwrap_or(true));
        names.sort_unstable();
        Ok(names)
    }

    /// Lists the answers of an entry that were put aside.
    pub(super) fn aside(&self, name: &EntryName) -> Result<Vec<PathBuf>, FileFault> {
        let files = self.files(name)?.into_iter().filter(|file| file.to_str().is_some_and(is_aside));
        Ok(files.map(|file| self.entry_folder(name).join(file)).collect())
    }

    /// Tells whether there is such an entry, wherever it rests; nothing is opened.
    pub(crate) fn lists(&self, name: &EntryName) -> Result<bool, FileFault> {
        let files = self.files(name)?;
        Ok(is_marked(&files) || !filing::generations(&files).is_empty())
    }

    /// Says what an entry rests in, or would.
    pub(crate) fn backend(&self, name: &EntryName) -> Result<Backend, FileFault> {
        let files = self.files(name)?;
        Ok(if is_marked(&files) {
            Backend::Keyring
        } else if filing::generations(&files).is_empty() {
            self.backend
        } else {
            Backend::Age
        })
    }

    /// Tells whether an entry rests in the keyring.
    pub(super) fn is_in_keyring(&self, name: &EntryName) -> Result<bool, FileFault> {
        Ok(is_marked(&self.files(name)?))
    }

    /// Removes the files of an entry's generations, the newest last.
    pub(super) fn remove_files(&self, name: &EntryName) -> Result<(), FileFault> {
        let numbers = filing::generations(&self.files(name)?);
        numbers.iter().rev().try_for_each(|number| self.remove_file(name, of_generation(*number).as_ref()))?;
        files::sync_folder(&self.entry_folder(name))
    }

    /// Lists the generations of an entry, the newest first; an entry that is not there has none.
    pub(crate) fn generations(&self, name: &EntryName) -> Result<Vec<u64>, VaultError> {
        let files = self.files(name)?;
        if is_marked(&files) {
            return Ok(self.items()?.both(name)?.iter().map(|item| item.generation).collect());
        }
        Ok(filing::generations(&files))
    }

    /// Returns the number that the next generation of an entry gets.
    pub(crate) fn next_generation(&self, name: &EntryName) -> Result<u64, VaultError> {
        let newest = self.generations(name)?.first().copied().unwrap_or(0);
        newest.checked_add(1).ok_or_else(|| {
            fault("write a generation after", &self.path(name, newest))(io::Error::from(io::ErrorKind::AlreadyExists))
                .into()
        })
    }

    /// Reads the newest generation of an entry with its number; `None` if there is no such entry.
    pub(crate) fn newest(&self, name: &EntryName) -> Result<Option<(u64, Vec<u8>)>, VaultError> {
        loop {
            let files = self.files(name)?;
            if is_marked(&files) {
                return self.newest_item(name);
            }
            let Some(&generation) = filing::generations(&files).first() else { return Ok(None) };
            match files::read(&self.path(name, generation), Access::Private, LARGEST_FILE) {
                Ok(file) => return Ok(Some((generation, file))),
                // pruned or moved between the listing and the opening
                Err(fault) if fault.is_missing() => {}
                Err(fault) => return Err(fault.into()),
            }
        }
    }

    /// Reads the newest generation of an entry that rests in the keyring. Where none is, one was never published, or is
    /// about to be; else the keyring has lost it.
    fn newest_item(&self, name: &EntryName) -> Result<Option<(u64, Vec<u8>)>, VaultError> {
        let items = self.items()?;
        // twice: what waited to be published when we looked first may be published when it waits no more
        for _ in 0..2 {
            if let Some(item) = items.current(name)? {
                return Ok(Some((item.generation, item.file)));
            }
            let files = self.files(name)?;
            if !is_marked(&files) || files.iter().any(|file| file == NEXT) {
                return Ok(None);
            }
        }
        Err(self.lost(name)?)
    }

    /// Returns what is said of an entry that rests in the keyring, and is not there.
    pub(super) fn lost(&self, name: &EntryName) -> Result<VaultError, VaultError> {
        let fault = DesktopFault::NoItem(self.items()?.current_name(name));
        Ok(VaultError::Desktop { doing: format!("read `{name}` in the keyring"), fault })
    }

    /// Claims that the keyring holds the newest generation of an entry that rests there.
    pub(super) fn check_held(&self, name: &EntryName) -> Result<(), VaultError> {
        if self.is_in_keyring(name)? { self.newest_item(name).map(drop) } else { Ok(()) }
    }

    /// Returns the path of what says that an entry rests in the keyring.
    pub(super) fn mark_path(&self, name: &EntryName) -> PathBuf {
        self.entry_folder(name).join(MARK)
    }

    /// Returns the number of the newest generation of an entry among files, wherever it rests.
    pub(super) fn newest_file(&self, name: &EntryName) -> Result<Option<u64>, FileFault> {
        Ok(filing::generations(&self.files(name)?).first().copied())
    }

    /// Lists what lies in an entry's folder and has no place there.
    pub(crate) fn foreign_files(&self, name: &EntryName) -> Result<Vec<PathBuf>, FileFault> {
        let foreign = self.files(name)?.into_iter().filter(|file| !filing::has_its_place(file));
        Ok(foreign.map(|file| self.entry_folder(name).join(file)).collect())
    }

    /// Lists the names of the files in an entry's folder.
    pub(super) fn files(&self, name: &EntryName) -> Result<Vec<OsString>, FileFault> {
        let folder = self.entry_folder(name);
        match files::check_folder(&folder) {
            Ok(()) => files::list(&folder),
            Err(fault) if fault.is_missing() => Ok(Vec::new()),
            Err(fault) => Err(fault),
        }
    }

    /// Reads one generation.
    pub(crate) fn read(&self, name: &EntryName, generation: u64) -> Result<Vec<u8>, VaultError> {
        match files::read(&self.path(name, generation), Access::Private, LARGEST_FILE) {
            Err(fault) if fault.is_missing() && is_marked(&self.files(name)?) => {
                let item = self.items()?.both(name)?.into_iter().find(|item| item.generation == generation);
                item.map(|item| item.file).ok_or_else(|| fault.into())
            }
            file => Ok(file?),
        }
    }

    /// Says where a generation is, for people.
    pub(super) fn place(&self, name: &EntryName, generation: u64) -> PathBuf {
        match (self.backend(name), &self.items) {
            (Ok(Backend::Keyring), Some(items)) => items.place(name).into(),
            _ => self.path(name, generation),
        }
    }

    /// Tells whether an answer waits to be published: what reserved its room and brought nothing is empty.
    pub(crate) fn awaits_publication(&self, name: &EntryName) -> bool {
        std::fs::symlink_metadata(self.next_path(name)).is_ok_and(|next| next.len() > 0)
    }

    /// Counts the answers that were put aside.
    pub(crate) fn count_aside(&self, name: &EntryName) -> usize {
        let files = self.files(name).unwrap_or_default();
        files.iter().filter(|file| file.to_str().is_some_and(is_aside)).count()
    }

    /// Tells whether somebody holds the lock of an entry.
    pub(crate) fn is_locked(&self, name: &EntryName) -> bool {
        let shared = files::open_to_look(&self.lock_path(name)).map(|file| file.try_lock_shared());
        matches!(shared, Ok(Err(std::fs::TryLockError::WouldBlock)))
    }

    /// Tells whether an entry holds anything at all. An answer that was never published is no generation yet, and holds
    /// a refresh token: `delete` removes it, and `revoke` adopts it first.
    pub(crate) fn holds_anything(&self, name: &EntryName) -> Result<bool, FileFault> {
        Ok(self.files(name)?.iter().any(|file| file != LOCK))
    }

    /// Removes all that an entry holds, under its lock; the lock's file stays for ever.
    pub(crate) fn delete(&self, name: &EntryName, _lock: &EntryLock) -> Result<(), VaultError> {
        let mut files = self.files(name)?;
        let marked = is_marked(&files);
        if marked {
            // before anything goes, that a keyring that is locked leaves all as it is
            self.items()?.check()?;
        }
        files.retain(|file| file != LOCK && file != MARK);
        // what never was the newest goes first, the newest last: whatever interrupts this, no older one takes its place
        files.sort_by_key(|file| file.to_str().and_then(generation_of));
        let newest = files.pop();
        files.into_iter().try_for_each(|file| self.remove_file(name, &file))?;
        // a disk that loses power may have done the last removal and not the first
        files::sync_folder(&self.entry_folder(name))?;
        newest.map_or(Ok(()), |newest| self.remove_file(name, &newest))?;
        files::sync_folder(&self.entry_folder(name))?;
        if marked {
            self.items()?.remove(name)?;
            self.unmark(name)?;
        }
        Ok(())
    }

    /// Removes one file of an entry.
    pub(super) fn remove_file(&self, name: &EntryName, file: &OsStr) -> Result<(), FileFault> {
        let path = self.entry_folder(name).join(file);
        std::fs::remove_file(&path).map_err(fault("remove", &path))
    }

    /// Says from now on that an entry rests in the keyring.
    pub(super) fn mark(&self, name: &EntryName) -> Result<(), FileFault> {
        files::replace(&self.mark_path(name), b"", 0o600)
    }

    /// Says from now on that an entry rests in files.
    pub(super) fn unmark(&self, name: &EntryName) -> Result<(), FileFault> {
        self.remove_file(name, MARK.as_ref())?;
        files::sync_folder(&self.entry_folder(name))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use super::*;

    /// An entry's folder and its lock.
    pub(crate) fn entry() -> (tempfile::TempDir, Shelf, EntryName, EntryLock) {
        let vault = tempfile::tempdir().unwrap();
        let (shelf, name) = (Shelf::of(vault.path()), "prod".parse().unwrap());
        files::make_folder(&vault.path().join("entries")).unwrap();
        let lock = shelf.lock(&name, Duration::ZERO).unwrap();
        (vault, shelf, name, lock)
    }

    #[test]
    fn answers_that_are_put_aside_in_the_same_second_replace_nobody_and_belong_there() {
        let (_vault, shelf, name, lock) = entry();
        for text in [b"1", b"2", b"3"] {
            lock.reserve().unwrap().fill(text).unwrap();
            lock.put_aside(77).unwrap();
        }
        assert_eq!(shelf.files(&name).unwrap().len(), 4);
        assert_eq!(shelf.foreign_files(&name).unwrap(), Vec::<PathBuf>::new());
    }

    #[test]
    fn a_deletion_that_is_interrupted_makes_no_older_generation_the_newest() {
        let (_vault, shelf, name, lock) = entry();
        for generation in [9, 10, 11] {
            lock.reserve().unwrap().fill(b"text").unwrap();
            lock.publish(generation).unwrap();
        }
        lock.reserve().unwrap().fill(b"answer").unwrap();
        // a folder cannot be removed like a file: the deletion ends here
        std::fs::remove_file(shelf.path(&name, 10)).unwrap();
        std::fs::create_dir(shelf.path(&name, 10)).unwrap();
        shelf.delete(&name, &lock).unwrap_err();
        assert_eq!(shelf.generations(&name).unwrap(), [11, 10]);
        assert!(lock.unpublished().unwrap().is_none());
    }

    #[test]
    fn an_answer_that_was_never_published_is_something_and_a_lock_is_not() {
        let (_vault, shelf, name, lock) = entry();
        assert!(!shelf.holds_anything(&name).unwrap());
        lock.reserve().unwrap().fill(b"answer").unwrap();
        assert!(shelf.holds_anything(&name).unwrap());
        shelf.delete(&name, &lock).unwrap();
        assert!(!shelf.holds_anything(&name).unwrap());
    }
}
