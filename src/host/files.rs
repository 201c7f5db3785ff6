//! Private files: who may own them, how they are read, made, replaced and published.
//!
//! Modes are set explicitly and checked on the open descriptor. Whatever is replaced is replaced by a rename of a
//! file that was flushed to disk, and its folder is flushed after.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FileType, Mode, OFlags, RenameFlags, Stat};
use rustix::io::Errno;

use super::process;

/// How long somebody who replaces a file waits for another one who does; each takes milliseconds.
const REPLACING_PATIENCE: Duration = Duration::from_secs(10);

/// What is wrong with a file or folder that must be private.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileFault {
    /// An operation of the system failed.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// What was tried, as a verb.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A symbolic link stands where only a real file may.
    #[error("{} is a symbolic link, which is not allowed there", path.display())]
    Symlink {
        /// The link.
        path: PathBuf,
    },
    /// Somebody else owns it.
    #[error("{} belongs to user {owner}, not to you", path.display())]
    WrongOwner {
        /// The file.
        path: PathBuf,
        /// Its owner's number.
        owner: u32,
    },
    /// Others may use it.
    #[error("{} is open to others (mode {mode:03o})", path.display())]
    TooOpen {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// The permission bits it should have.
        wanted: u32,
    },
    /// It is not the kind of file that is expected.
    #[error("{} is not {expected}", path.display())]
    WrongKind {
        /// The path.
        path: PathBuf,
        /// What it should be.
        expected: &'static str,
    },
    /// It is larger than anything we wrote.
    #[error("{} is larger than {limit} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit in bytes.
        limit: usize,
    },
}

impl FileFault {
    /// Returns the command that mends it, or shows what is wrong.
    pub(crate) fn mend(&self) -> Option<String> {
        let ours = |path: &Path| format!("sudo chown \"$(id -u)\" {}", quoted(path));
        match self {
            Self::TooOpen { path, wanted, .. } => Some(format!("chmod {wanted:o} {}", quoted(path))),
            Self::WrongOwner { path, .. } => Some(ours(path)),
            Self::Symlink { path } | Self::WrongKind { path, .. } | Self::TooLarge { path, .. } => {
                Some(format!("ls -ld {}", quoted(path)))
            }
            Self::Io { path, source, .. } => shown(path, source),
        }
    }

    /// Tells whether something could not be written, as against looked at.
    pub(crate) fn is_about_writing(&self) -> bool {
        const LOOKING: [&str; 4] = ["open", "read", "look at", "list"];
        matches!(self, Self::Io { doing, .. } if !LOOKING.contains(doing))
    }

    /// Tells whether the file is simply not there.
    pub(crate) fn is_missing(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

/// Returns the command that shows what kept an operation from succeeding.
fn shown(path: &Path, source: &io::Error) -> Option<String> {
    use io::ErrorKind as E;
    let folder = folder_of(path);
    match source.kind() {
        E::StorageFull | E::QuotaExceeded | E::ReadOnlyFilesystem => Some(format!("df -h {}", quoted(folder))),
        E::FileTooLarge => Some("ulimit -f unlimited".to_owned()),
        E::NotFound | E::NotADirectory | E::AlreadyExists => Some(format!("ls -la {}", quoted(folder))),
        E::PermissionDenied => Some(format!("ls -ld {} {}", quoted(folder), quoted(path))),
        _ => None,
    }
}

/// Writes a path so that a shell takes it as one word.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', "'\\''"))
}

/// Whose a file may be and who may read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Ours alone, and no symbolic link: everything in the vault and state folders.
    Private,
    /// Ours, or root's and then readable by the group; a link may lead there (systemd and Kubernetes make them so).
    Credential,
    /// Ours or root's, readable by all, writable by nobody else: `config.toml`.
    Readable,
}

/// Wraps an error of the system with what was tried on which path.
pub(crate) fn fault<E: Into<io::Error>>(doing: &'static str, path: &Path) -> impl FnOnce(E) -> FileFault {
    let path = path.to_owned();
    move |source| FileFault::Io { doing, path, source: source.into() }
}

/// Reads a whole file of at most `limit` bytes after checking on the open descriptor who else may use it.
pub(crate) fn read(path: &Path, access: Access, limit: usize) -> Result<Vec<u8>, FileFault> {
    let mut flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    if access == Access::Private {
        flags |= OFlags::NOFOLLOW;
    }
    let file = rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| match errno {
        Errno::LOOP => FileFault::Symlink { path: path.to_owned() },
        errno => fault("open", path)(errno),
    })?;
    let stat = rustix::fs::fstat(&file).map_err(fault("look at", path))?;
    check_stat(path, &stat, access, Kind::File)?;
    let mut bytes = Vec::with_capacity(usize::try_from(stat.st_size).unwrap_or(0).min(limit) + 1);
    let read = File::from(file).take(limit as u64 + 1).read_to_end(&mut bytes);
    read.map_err(fault("read", path))?;
    if bytes.len() > limit {
        return Err(FileFault::TooLarge { path: path.to_owned(), limit });
    }
    Ok(bytes)
}

/// Checks that a folder is ours alone and no symbolic link.
pub(crate) fn check_folder(path: &Path) -> Result<(), FileFault> {
    let stat = rustix::fs::lstat(path).map_err(fault("look at", path))?;
    check_stat(path, &stat, Access::Private, Kind::Folder)
}

/// Checks that nobody else can write into a folder, which a link may lead to: somebody else's file could take the place of
/// one of ours.
pub(crate) fn check_unwritable(path: &Path) -> Result<(), FileFault> {
    let stat = rustix::fs::stat(path).map_err(fault("look at", path))?;
    check_stat(path, &stat, Access::Readable, Kind::Folder)
}

/// Opens a file to look at it: never through a link, and without waiting for whoever would write into a pipe.
pub(crate) fn open_to_look(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    Ok(File::from(rustix::fs::open(path, flags, Mode::empty())?))
}

/// Checks who else may use a file, without opening it.
pub(crate) fn check_file(path: &Path, access: Access) -> Result<(), FileFault> {
    let look = if access == Access::Private { rustix::fs::lstat(path) } else { rustix::fs::stat(path) };
    check_stat(path, &look.map_err(fault("look at", path))?, access, Kind::File)
}

/// Returns who owns a file or folder, if it is there.
pub(crate) fn owner(path: &Path) -> Option<u32> {
    rustix::fs::lstat(path).ok().map(|stat| stat.st_uid)
}

/// Lists the names in a folder.
pub(crate) fn list(path: &Path) -> Result<Vec<OsString>, FileFault> {
    let items = std::fs::read_dir(path).map_err(fault("list", path))?;
    items.map(|item| item.map(|item| item.file_name())).collect::<io::Result<_>>().map_err(fault("list", path))
}

/// What a path must lead to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
}

/// Applies the rules of [`Access`] to what the system says of a file.
fn check_stat(path: &Path, stat: &Stat, access: Access, kind: Kind) -> Result<(), FileFault> {
    let owned = path.to_owned();
    match (FileType::from_raw_mode(stat.st_mode), kind) {
        (FileType::Symlink, _) => return Err(FileFault::Symlink { path: owned }),
        (FileType::RegularFile, Kind::File) | (FileType::Directory, Kind::Folder) => {}
        (_, Kind::File) => return Err(FileFault::WrongKind { path: owned, expected: "a regular file" }),
        (_, Kind::Folder) => return Err(FileFault::WrongKind { path: owned, expected: "a folder" }),
    }
    let ours = stat.st_uid == rustix::process::geteuid().as_raw();
    if !ours && (access == Access::Private || stat.st_uid != 0) {
        return Err(FileFault::WrongOwner { path: owned, owner: stat.st_uid });
    }
    let forbidden = match access {
        Access::Private => 0o077,
        Access::Credential if ours && stat.st_uid != 0 => 0o077,
        Access::Credential => 0o027,
        Access::Readable => 0o022,
    };
    let mode = stat.st_mode & 0o777;
    if mode & forbidden != 0 {
        let wanted = match (kind, access) {
            (Kind::Folder, Access::Readable) => mode & !forbidden,
            (Kind::Folder, _) => 0o700,
            (Kind::File, _) => mode & 0o700 & !forbidden,
        };
        return Err(FileFault::TooOpen { path: owned, mode, wanted });
    }
    Ok(())
}

/// Makes a folder of mode 0700 and its parents, and waits until their names rest on the disk; one that is already there
/// is left as it is.
pub(crate) fn make_folder(path: &Path) -> Result<(), FileFault> {
    let made = match rustix::fs::mkdir(path, Mode::RWXU) {
        Err(Errno::NOENT) => {
            let parent = path.parent().ok_or(Errno::NOENT).map_err(fault("make", path))?;
            make_folder(parent)?;
            // once: behind a link to nowhere it stays what it is
            rustix::fs::mkdir(path, Mode::RWXU)
        }
        made => made,
    };
    match made {
        Ok(()) => {
            rustix::fs::chmod(path, Mode::RWXU).map_err(fault("set the mode of", path))?;
            sync_folder(folder_of(path))
        }
        Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(fault("make", path)(errno)),
    }
}

/// Opens a file of mode 0600 for writing and reading, made if it is not there, and never through a link.
pub(crate) fn open_private(path: &Path, extra: OFlags) -> Result<File, FileFault> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW | extra;
    let file = rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR).map_err(|errno| match errno {
        Errno::LOOP => FileFault::Symlink { path: path.to_owned() },
        errno => fault("write", path)(errno),
    })?;
    let stat = rustix::fs::fstat(&file).map_err(fault("look at", path))?;
    if stat.st_mode & 0o777 != 0o600 && stat.st_uid == rustix::process::geteuid().as_raw() && stat.st_size == 0 {
        rustix::fs::fchmod(&file, Mode::RUSR | Mode::WUSR).map_err(fault("set the mode of", path))?;
    } else {
        check_stat(path, &stat, Access::Private, Kind::File)?;
    }
    Ok(File::from(file))
}

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
    place(path, bytes, mode, |new| std::fs::rename(new, path).map_err(fault("replace", path)))
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
fn folder_of(path: &Path) -> &Path {
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
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    use super::*;

    #[test]
    fn a_folder_behind_a_link_to_nowhere_cannot_be_made() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(folder.path().join("nowhere/below"), &link).unwrap();
        assert!(make_folder(&link.join("one/two")).unwrap_err().is_missing());
    }

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
