//! How a file comes to rest: written beside its place, flushed, then given its name, so that no crash leaves half of it.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{FileType, Mode, OFlags, RenameFlags, Stat};
use rustix::io::Errno;

use super::fault::{FileFault, fault};
use crate::host::process;

/// How long somebody who replaces a file waits for another one who does; each takes milliseconds.
const REPLACING_PATIENCE: Duration = Duration::from_secs(10);

/// Writes all bytes and waits until they rest on the disk.
pub(crate) fn write_durably(mut file: &File, bytes: &[u8], path: &Path) -> Result<(), FileFault> {
    file.write_all(bytes).map_err(fault("write", path))?;
    flush(file, path)
}

/// Waits until what was written to a file rests on the disk.
pub(crate) fn flush(file: &File, path: &Path) -> Result<(), FileFault> {
    file.sync_all().map_err(fault("write to the disk", path))
}

/// Waits until what somebody else wrote to a file rests on the disk.
pub(crate) fn flush_path(path: &Path) -> Result<(), FileFault> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOFOLLOW;
    let file = rustix::fs::open(path, flags, Mode::empty()).map_err(fault("open", path))?;
    flush(&File::from(file), path)
}

/// Waits until the names in a folder rest on the disk.
pub(crate) fn sync_folder(path: &Path) -> Result<(), FileFault> {
    let folder = File::open(path).map_err(fault("open", path))?;
    folder.sync_all().map_err(fault("write to the disk", path))
}

/// Replaces a file, or makes it, in one step that survives a crash: a temporary file, flushed, then renamed.
pub(crate) fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<(), FileFault> {
    refuse_device(path)?;
    place(path, bytes, mode, |new| std::fs::rename(new, path).map_err(fault("replace", path)))
}

/// Refuses to take the place of a device, or of a link to one or to an open stream (`/dev/stdout`). Root could,
/// and every program that needs it would be without.
fn refuse_device(path: &Path) -> Result<(), FileFault> {
    let found = std::fs::metadata(path);
    let leads_to_device =
        found.is_ok_and(|found| found.file_type().is_char_device() || found.file_type().is_block_device());
    let leads_to_stream = std::fs::read_link(path).is_ok_and(|to| to.starts_with("/proc"));
    if leads_to_device || leads_to_stream {
        return Err(FileFault::WrongKind { path: path.to_owned(), expected: "a regular file" });
    }
    Ok(())
}

/// Proves that a file could be replaced now, and leaves it as it is.
pub(crate) fn rehearse(path: &Path) -> Result<(), FileFault> {
    refuse_device(path)?;
    place(path, &[], 0o600, |new| std::fs::remove_file(new).map_err(fault("remove", new)))
}

/// Makes a file in one step that survives a crash, and leaves one that is there as it is.
pub(crate) fn make(path: &Path, bytes: &[u8], mode: u32) -> Result<Published, FileFault> {
    place(path, bytes, mode, |new| {
        let published = publish(new, path)?;
        if published == Published::NameTaken {
            std::fs::remove_file(new).map_err(fault("remove", new))?;
        }
        Ok(published)
    })
}

/// Writes and flushes a temporary file, lets it be put into its place, and flushes the folder.
fn place<T>(
    path: &Path,
    bytes: &[u8],
    mode: u32,
    put: impl FnOnce(&Path) -> Result<T, FileFault>,
) -> Result<T, FileFault> {
    let folder = folder_of(path);
    let new = folder.join(successor(path.file_name().unwrap_or_default()));
    // held until the file has its name
    let file = open_new(&new)?;
    let outcome = write_durably(&file, bytes, &new)
        .and_then(|()| rustix::fs::fchmod(&file, Mode::from_raw_mode(mode)).map_err(fault("set the mode of", &new)))
        .and_then(|()| put(&new));
    if outcome.is_err() {
        // what is left of a failed attempt holds nothing that is not elsewhere; it may be gone already
        drop(std::fs::remove_file(&new));
    }
    let outcome = outcome?;
    sync_folder(folder).map(|()| outcome)
}

/// Returns what a file is called while it is written that will take another one's place. No entry, slot or profile has a
/// name that begins with a dot, and hardly a file that a person keeps beside ours: what is called so is written over.
pub(crate) fn successor(name: &OsStr) -> OsString {
    let mut successor = OsString::from(".");
    successor.push(name);
    successor.push(".new");
    successor
}

/// Returns whose place a file will take, if it is called like one that will take another one's place.
pub(crate) fn succeeded(name: &str) -> Option<&str> {
    name.strip_prefix('.')?.strip_suffix(".new").filter(|name| !name.is_empty())
}

/// Opens the temporary file that will take a path's place: empty, ours alone, and locked.
///
/// It always has the same name, so that what a killed process left is taken over by the next one. The lock keeps two
/// writers apart; process numbers would not, for they repeat from container to container.
fn open_new(new: &Path) -> Result<File, FileFault> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    loop {
        let file = rustix::fs::open(new, flags, Mode::RUSR | Mode::WUSR).map_err(|errno| match errno {
            Errno::LOOP => FileFault::Symlink { path: new.to_owned() },
            errno => fault("write", new)(errno),
        })?;
        let locked = process::lock_within(File::from(file), REPLACING_PATIENCE).map_err(fault("lock", new))?;
        let timed_out = || fault("lock", new)(io::Error::from(io::ErrorKind::TimedOut));
        let file = locked.ok_or_else(timed_out)?.file;
        let stat = rustix::fs::fstat(&file).map_err(fault("look at", new))?;
        if stat.st_uid != rustix::process::geteuid().as_raw() {
            return Err(FileFault::WrongOwner { path: new.to_owned(), owner: stat.st_uid });
        }
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(FileFault::WrongKind { path: new.to_owned(), expected: "a regular file" });
        }
        if !stands_at(&stat, new)? {
            // who held the lock before us has given the file its name
            continue;
        }
        if stat.st_nlink == 1 && (stat.st_size == 0 || stat.st_mode & 0o777 == 0o600) {
            rustix::fs::ftruncate(&file, 0).map_err(fault("write", new))?;
            rustix::fs::fchmod(&file, Mode::RUSR | Mode::WUSR).map_err(fault("set the mode of", new))?;
            return Ok(file);
        }
        // somebody was killed after the last touch; who has this file open must not see what comes next
        std::fs::remove_file(new).map_err(fault("remove", new))?;
    }
}

/// Tells whether an open file is still the one at its path.
fn stands_at(stat: &Stat, path: &Path) -> Result<bool, FileFault> {
    match rustix::fs::lstat(path) {
        Ok(found) => Ok((found.st_dev, found.st_ino) == (stat.st_dev, stat.st_ino)),
        Err(Errno::NOENT) => Ok(false),
        Err(errno) => Err(fault("look at", path)(errno)),
    }
}

/// Returns the folder that a path's name is in; the parent of a bare name is the empty path.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// How a flushed file got its final name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Published {
    /// It stands there now.
    Yes,
    /// Another file already had the name; nothing was changed.
    NameTaken,
}

/// Gives a flushed file its final name without ever replacing another one.
pub(crate) fn publish(from: &Path, to: &Path) -> Result<Published, FileFault> {
    let cwd = rustix::fs::CWD;
    match rustix::fs::renameat_with(cwd, from, cwd, to, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(Published::Yes),
        Err(Errno::EXIST) => Ok(Published::NameTaken),
        // some file systems have no such rename: a hard link refuses an existing name just as well
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => match std::fs::hard_link(from, to) {
            Ok(()) => std::fs::remove_file(from).map(|()| Published::Yes).map_err(fault("remove", from)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(Published::NameTaken),
            Err(error) => Err(fault("publish", to)(error)),
        },
        Err(errno) => Err(fault("publish", to)(errno)),
    }
}

/// Lets two folders change places in one step, and waits until that rests on the disk; `false` where the file system
/// cannot do so.
pub(crate) fn exchange(one: &Path, other: &Path) -> Result<bool, FileFault> {
    let cwd = rustix::fs::CWD;
    match rustix::fs::renameat_with(cwd, one, cwd, other, RenameFlags::EXCHANGE) {
        Ok(()) => sync_folder(folder_of(one)).map(|()| true),
        // no such rename, a mount point, or a folder that lies in another layer
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP | Errno::XDEV | Errno::BUSY) => Ok(false),
        Err(errno) => Err(fault("exchange", one)(errno)),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    use super::super::{list, open_private};
    use super::*;

    #[test]
    fn what_a_person_keeps_beside_a_file_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (path, kept) = (folder.path().join("key.txt"), folder.path().join("key.txt.new"));
        make(&kept, b"kept", 0o600).unwrap();
        replace(&path, b"text", 0o600).unwrap();
        assert_eq!(std::fs::read(&kept).unwrap(), b"kept");
        assert_eq!(succeeded(successor(OsStr::new("key.txt")).to_str().unwrap()), Some("key.txt"));
        assert_eq!((succeeded("key.txt.new"), succeeded(".new")), (None, None));
    }

    #[test]
    fn what_a_killed_writer_left_is_taken_over_and_not_shown_to_who_has_it_open() {
        let folder = tempfile::tempdir().unwrap();
        let (path, new) = (folder.path().join("file"), folder.path().join(".file.new"));
        for mode in [0o600, 0o644] {
            open_private(&new, OFlags::TRUNC).unwrap().write_all(b"left").unwrap();
            std::fs::set_permissions(&new, std::fs::Permissions::from_mode(mode)).unwrap();
            let mut open = File::open(&new).unwrap();
            replace(&path, b"secret", 0o600).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), "secret");
            assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
            assert!(!new.exists());
            let mut seen = String::new();
            open.read_to_string(&mut seen).unwrap();
            assert!(mode == 0o600 || seen == "left", "{mode:o}: {seen}");
        }
    }

    #[test]
    fn writers_of_one_file_wait_for_each_other_and_each_succeeds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let text = |writer: usize| writer.to_string().repeat(10_000);
        std::thread::scope(|scope| {
            for writer in 0..8 {
                let (path, text) = (&path, text(writer));
                scope.spawn(move || replace(path, text.as_bytes(), 0o600).unwrap());
            }
        });
        let found = std::fs::read_to_string(&path).unwrap();
        assert!((0..8).any(|writer| found == text(writer)));
        assert_eq!(list(folder.path()).unwrap(), ["file"]);
    }
}
