//! Looking over files that must be private, and mending what can be mended without asking.

use std::ffi::OsString;
use std::fs::TryLockError;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode};

use super::files::{self, Access, FileFault, fault};

/// Lists what is wrong with a folder and everything below it, where all must be ours alone.
pub(crate) fn faults_below(folder: &Path) -> Vec<FileFault> {
    let mut faults = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        if let Err(fault) = files::check_folder(&folder) {
            // what is behind a link is not ours to look at; what is open to others is
            let is_open = matches!(fault, FileFault::TooOpen { .. });
            faults.push(fault);
            if !is_open {
                continue;
            }
        }
        match files::list(&folder) {
            Ok(names) => {
                for path in names.iter().map(|name| folder.join(name)) {
                    match rustix::fs::lstat(&path) {
                        Ok(stat) if FileType::from_raw_mode(stat.st_mode).is_dir() => folders.push(path),
                        Ok(_) => faults.extend(files::check_file(&path, Access::Private).err()),
                        // it has gone meanwhile: generations do
                        Err(_) => {}
                    }
                }
            }
            Err(fault) if fault.is_missing() => {}
            Err(fault) => faults.push(fault),
        }
    }
    faults
}

/// Returns what is wrong with a file that a group may share, if all others can use it, too.
pub(crate) fn open_to_all(path: &Path) -> Option<FileFault> {
    let mode = rustix::fs::lstat(path).ok()?.st_mode & 0o777;
    let is_open = mode & 0o007 != 0;
    is_open.then(|| FileFault::TooOpen { path: path.to_owned(), mode, wanted: mode & !0o007 })
}

/// Returns the mode of a folder that is there and whose owner cannot list it, look into it, or write there.
pub(crate) fn closed_to_owner(folder: &Path) -> Option<u32> {
    let mode = rustix::fs::stat(folder).ok()?.st_mode & 0o777;
    (mode & 0o700 != 0o700).then_some(mode)
}

/// Tells why nothing can be written into a folder that is there: a file system that is read-only, a flag, a mode.
pub(crate) fn unwritable(folder: &Path) -> Option<FileFault> {
    let may = rustix::fs::access(folder, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK);
    may.err().map(fault("write to", folder)).filter(|fault| !fault.is_missing())
}

/// Sets the mode of a file or folder of ours, and never through a link.
pub(crate) fn set_mode(path: &Path, mode: u32) -> Result<(), FileFault> {
    let file = files::open_to_look(path).map_err(fault("open", path))?;
    rustix::fs::fchmod(&file, Mode::from_raw_mode(mode)).map_err(fault("set the mode of", path))
}

/// Lists what killed processes left of files that they were about to replace, in some folders.
pub(crate) fn leftovers(folders: &[PathBuf]) -> Vec<PathBuf> {
    let below = |folder: &PathBuf| -> Vec<PathBuf> {
        let names = files::list(folder).unwrap_or_default();
        let is_left = |name: &OsString| name.to_str().and_then(files::succeeded).is_some();
        names.into_iter().filter(is_left).map(|name| folder.join(name)).filter(|path| is_free(path)).collect()
    };
    folders.iter().flat_map(below).collect()
}

/// Tells whether nobody writes a file.
fn is_free(path: &Path) -> bool {
    files::open_to_look(path).is_ok_and(|file| file.try_lock().is_ok())
}

/// Removes what a killed process left, unless somebody writes to it now.
pub(crate) fn remove_leftover(path: &Path) -> Result<(), FileFault> {
    let file = files::open_to_look(path).map_err(fault("open", path))?;
    match file.try_lock() {
        Ok(()) => std::fs::remove_file(path).map_err(fault("remove", path)),
        Err(TryLockError::WouldBlock) => Err(fault("remove", path)(io::Error::from(io::ErrorKind::ResourceBusy))),
        Err(TryLockError::Error(error)) => Err(fault("lock", path)(error)),
    }
}

/// Returns how many bytes can still be written to the file system of a path.
pub(crate) fn room_at(path: &Path) -> Option<u64> {
    let nearest = path.ancestors().find(|path| path.exists())?;
    let stat = rustix::fs::statvfs(nearest).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use rustix::fs::OFlags;

    use super::*;

    #[test]
    fn what_is_open_to_others_is_found_deep_down_and_mended() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("vault");
        files::make_folder(&folder.join("a/b")).unwrap();
        files::replace(&folder.join("a/b/1.age"), b"x", 0o640).unwrap();
        std::fs::set_permissions(folder.join("a"), std::fs::Permissions::from_mode(0o755)).unwrap();
        symlink("/etc", folder.join("link")).unwrap();
        let faults = faults_below(&folder);
        assert_eq!(faults.len(), 3, "{faults:?}");
        for fault in faults {
            if let FileFault::TooOpen { path, wanted, .. } = fault {
                set_mode(&path, wanted).unwrap();
            }
        }
        assert!(matches!(faults_below(&folder).as_slice(), [FileFault::Symlink { .. }]));
        assert!(set_mode(&folder.join("link"), 0o700).is_err());
    }

    #[test]
    fn what_somebody_writes_is_no_leftover() {
        let folder = tempfile::tempdir().unwrap();
        let (left, busy) = (folder.path().join(".left.new"), folder.path().join(".busy.new"));
        files::replace(&left, b"", 0o600).unwrap();
        let writer = files::open_private(&busy, OFlags::empty()).unwrap();
        writer.lock().unwrap();
        assert_eq!(leftovers(&[folder.path().to_owned()]), std::slice::from_ref(&left));
        remove_leftover(&busy).unwrap_err();
        remove_leftover(&left).unwrap();
        assert!(busy.exists() && !left.exists());
    }
}
