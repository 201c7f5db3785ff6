//! Private files: who may own them, how they are read, made, replaced and published.
//!
//! Modes are set explicitly and checked on the open descriptor. Whatever is replaced is replaced by a rename of a
//! file that was flushed to disk, and its folder is flushed after.

mod fault;
mod placing;

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

pub(crate) use fault::{FileFault, fault};
pub(crate) use placing::{
    Published, exchange, flush, flush_path, folder_of, make, publish, rehearse, replace, succeeded, successor,
    sync_folder, write_durably,
};

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_behind_a_link_to_nowhere_cannot_be_made() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(folder.path().join("nowhere/below"), &link).unwrap();
        assert!(make_folder(&link.join("one/two")).unwrap_err().is_missing());
    }
}
