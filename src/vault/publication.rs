//! How the next generation of an entry comes to rest: under the entry's lock, room for it is reserved, it is written and
//! flushed, and only then gets its number.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use rustix::fs::{FallocateFlags, OFlags};

use super::VaultError;
use super::filing::{NEXT, generation_of, of_aside};
use super::items::Item;
use super::sealing::LARGEST_FILE;
use super::shelf::Shelf;
use crate::backend::Backend;
use crate::host::files::{self, Access, FileFault, Published, fault};
use crate::host::process::{self, Waiting};
use crate::profile::EntryName;

/// How many generations stay: the present one, the one before for a provider that grants a grace period, one to spare.
const KEPT_GENERATIONS: usize = 3;

/// The exclusive lock of one entry. It ends with the last descriptor of its file.
#[derive(Debug)]
pub(crate) struct EntryLock {
    /// The lock's file, which also holds the keeper's note.
    pub(crate) file: File,
    /// The entry.
    name: EntryName,
    /// Where it, and all others, rest.
    shelf: Shelf,
    /// Whether somebody else held it when we came.
    pub(crate) waiting: Waiting,
}

/// The file of the next generation, with room for it, before there is anything to write.
#[derive(Debug)]
pub(crate) struct Reserved {
    /// The open file.
    file: File,
    /// Its path.
    path: PathBuf,
}

impl Shelf {
    /// Takes the lock of an entry, waiting at most `patience`; makes the entry's folder if it is not there.
    pub(crate) fn lock(&self, name: &EntryName, patience: Duration) -> Result<EntryLock, VaultError> {
        let folder = self.entry_folder(name);
        match files::check_folder(&folder) {
            Ok(()) => {}
            Err(fault) if fault.is_missing() => {
                self.refuse_case_clash(name)?;
                files::make_folder(&folder)?;
            }
            Err(fault) => return Err(fault.into()),
        }
        let path = self.lock_path(name);
        let file = files::open_private(&path, OFlags::empty())?;
        match process::lock_within(file, patience).map_err(fault("lock", &path))? {
            Some(locked) => {
                let (name, shelf) = (name.clone(), self.clone());
                Ok(EntryLock { file: locked.file, name, shelf, waiting: locked.waiting })
            }
            None => Err(VaultError::Busy { name: name.clone(), waited: patience }),
        }
    }

    /// Reads an answer that was never published, if there is one.
    pub(super) fn unpublished(&self, name: &EntryName) -> Result<Option<Vec<u8>>, FileFault> {
        match files::read(&self.next_path(name), Access::Private, LARGEST_FILE) {
            // empty: reserved for an exchange that brought nothing
            Ok(bytes) => Ok(Some(bytes).filter(|bytes| !bytes.is_empty())),
            Err(fault) if fault.is_missing() => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// Refuses a name that differs from an existing one only by case: some file systems would mix them up.
    fn refuse_case_clash(&self, name: &EntryName) -> Result<(), VaultError> {
        let clash = |other: &EntryName| other != name && other.as_str().eq_ignore_ascii_case(name.as_str());
        match self.names()?.entries.into_iter().find(clash) {
            Some(existing) => Err(VaultError::CaseClash { name: name.clone(), existing }),
            None => Ok(()),
        }
    }
}

impl EntryLock {
    /// Takes over a lock that the front of an exchange holds.
    pub(crate) fn adopt(file: File, name: EntryName, shelf: Shelf) -> Self {
        Self { file, name, shelf, waiting: Waiting::None }
    }

    /// Returns the entry's folder.
    pub(crate) fn folder(&self) -> PathBuf {
        self.shelf.entry_folder(&self.name)
    }

    /// Returns where the lock's file is.
    pub(crate) fn path(&self) -> PathBuf {
        self.shelf.lock_path(&self.name)
    }

    /// Returns where an answer waits until it is published.
    fn next(&self) -> PathBuf {
        self.shelf.next_path(&self.name)
    }

    /// Claims that what is about to be written could be published, too.
    pub(crate) fn rehearse(&self) -> Result<(), VaultError> {
        match self.shelf.backend(&self.name)? {
            Backend::Keyring => self.shelf.items()?.check(),
            Backend::Age => Ok(()),
        }
    }

    /// Makes the file of the next generation and reserves its room, so that a full or read-only disk shows itself now.
    pub(crate) fn reserve(&self) -> Result<Reserved, FileFault> {
        let path = self.next();
        if self.shelf.is_in_keyring(&self.name)? && self.unpublished()?.is_some() {
            // what the keyring did not take, and who comes next publishes: nothing is written over it
            return Err(fault("write over", &path)(io::Error::from(io::ErrorKind::AlreadyExists)));
        }
        // who died in a second try left this; what counts of it stands in `next`, and was taken over before
        drop(std::fs::remove_file(self.folder().join(files::successor(NEXT.as_ref()))));
        let file = files::open_private(&path, OFlags::TRUNC)?;
        if process::largest_file().is_some_and(|limit| limit < LARGEST_FILE as u64) {
            // the reservation does not hit this limit, but the write after the exchange would
            drop(std::fs::remove_file(&path));
            let limit = "the limit on the size of files is too low (see `ulimit -f`)";
            return Err(fault("reserve room in", &path)(io::Error::new(io::ErrorKind::FileTooLarge, limit)));
        }
        match rustix::fs::fallocate(&file, FallocateFlags::KEEP_SIZE, 0, LARGEST_FILE as u64) {
            // a file system without reservations shows its faults when the file is written
            Ok(()) | Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => Ok(Reserved { file, path }),
            Err(errno) => {
                drop(std::fs::remove_file(&path));
                Err(fault("reserve room in", &path)(errno))
            }
        }
    }

    /// Reads an answer that was never published, if there is one.
    pub(crate) fn unpublished(&self) -> Result<Option<Vec<u8>>, FileFault> {
        self.shelf.unpublished(&self.name)
    }

    /// Writes an answer whose file could not be filled into a new one: after a failed flush nothing is known of the
    /// first. It takes the place of `next` only when all of it rests on the disk.
    pub(crate) fn rewrite(&self, sealed: &[u8]) -> Result<(), FileFault> {
        files::replace(&self.next(), sealed, 0o600)
    }

    /// Tells whether something still waits to be published: if not, what failed after the rename was the last flush.
    pub(crate) fn awaits_publication(&self) -> bool {
        self.shelf.awaits_publication(&self.name)
    }

    /// Tells whether a file is the newest generation already: whoever gave it to the keyring died before `next` went.
    pub(crate) fn is_newest(&self, file: &[u8]) -> Result<bool, VaultError> {
        let current =
            if self.shelf.is_in_keyring(&self.name)? { self.shelf.items()?.current(&self.name)? } else { None };
        Ok(current.is_some_and(|item| item.file == file))
    }

    /// Gives what somebody else left in `next` its number. Whoever wrote it may have died before the flush, and a name
    /// must not outlive what it stands for.
    pub(crate) fn publish_left(&self, generation: u64) -> Result<(), VaultError> {
        files::flush_path(&self.next())?;
        self.publish(generation)
    }

    /// Gives what was flushed into `next` its number, and waits until that rests as safely.
    pub(crate) fn publish(&self, generation: u64) -> Result<(), VaultError> {
        match self.shelf.backend(&self.name)? {
            Backend::Age => Ok(self.publish_file(generation)?),
            Backend::Keyring => self.publish_item(generation),
        }
    }

    /// Renames `next` to its number, and waits until the name rests on the disk, too.
    fn publish_file(&self, generation: u64) -> Result<(), FileFault> {
        let to = self.shelf.path(&self.name, generation);
        match files::publish(&self.next(), &to)? {
            Published::Yes => files::sync_folder(&self.folder()),
            Published::NameTaken => Err(fault("publish", &to)(io::Error::from(io::ErrorKind::AlreadyExists))),
        }
    }

    /// Gives `next` to the keyring; it goes when the keyring has shown that it holds it.
    fn publish_item(&self, generation: u64) -> Result<(), VaultError> {
        let items = self.shelf.items()?;
        let file = files::read(&self.next(), Access::Private, LARGEST_FILE)?;
        if !self.shelf.is_in_keyring(&self.name)? {
            // what an entry of this name left there that was moved to files, and deleted
            items.remove(&self.name)?;
            self.shelf.mark(&self.name)?;
        }
        items.publish(&self.name, &Item { generation, file })?;
        self.shelf.remove_file(&self.name, NEXT.as_ref())?;
        Ok(files::sync_folder(&self.folder())?)
    }

    /// Moves an unpublished answer that follows nothing to where it bothers nobody; `delete` removes it.
    pub(crate) fn put_aside(&self, now: i64) -> Result<(), FileFault> {
        let mut count = 1;
        while files::publish(&self.next(), &self.folder().join(of_aside(now, count)))? == Published::NameTaken {
            count += 1;
        }
        Ok(())
    }

    /// Removes all but the newest generations.
    pub(crate) fn prune(&self, newest: u64) {
        let folder = self.folder();
        let Ok(files) = files::list(&folder) else { return };
        for file in files {
            let old = file.to_str().and_then(generation_of);
            if old.is_some_and(|generation| generation + KEPT_GENERATIONS as u64 <= newest) {
                // what could not be removed now is removed after the next put
                drop(std::fs::remove_file(folder.join(file)));
            }
        }
    }
}

impl Reserved {
    /// Writes the sealed generation and waits until it rests on the disk.
    pub(crate) fn fill(self, sealed: &[u8]) -> Result<(), FileFault> {
        (&self.file).write_all(sealed).map_err(fault("write", &self.path))?;
        // the room that was not needed goes back only now; what stays of it costs nothing but room
        drop(self.file.set_len(sealed.len() as u64));
        files::flush(&self.file, &self.path)
    }

    /// Gives the room back.
    pub(crate) fn release(self) {
        // an empty file that stays is taken over by the next exchange
        drop(std::fs::remove_file(&self.path));
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::super::shelf::tests::entry;
    use super::*;

    #[test]
    fn a_second_try_is_another_file_in_the_place_of_the_first() {
        let (_vault, _, _, lock) = entry();
        lock.reserve().unwrap().fill(b"first").unwrap();
        let mut first = File::open(lock.next()).unwrap();
        lock.rewrite(b"second").unwrap();
        assert_eq!(lock.unpublished().unwrap().unwrap(), b"second");
        let mut text = String::new();
        first.read_to_string(&mut text).unwrap();
        assert_eq!(text, "first");
    }

    #[test]
    fn a_second_try_that_fails_leaves_what_the_first_wrote() {
        let (_vault, _, _, lock) = entry();
        lock.reserve().unwrap().fill(b"first").unwrap();
        let in_the_way = lock.folder().join(files::successor(NEXT.as_ref()));
        std::fs::create_dir(in_the_way).unwrap();
        lock.rewrite(b"second").unwrap_err();
        assert_eq!(lock.unpublished().unwrap().unwrap(), b"first");
    }
}
