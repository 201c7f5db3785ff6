//! A private folder for the time that a command runs, and its files, all removed at the end.
//!
//! What a killed process leaves behind is removed by the next one: a folder is in use as long as somebody holds the lock
//! of a file in it.

use std::ffi::OsString;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::files::{self, FileFault, fault};

/// How many folders of this process's number are stepped over: those of other containers, mostly.
const LEFTOVERS: u32 = 1_000;

/// How the name of each folder begins.
const PREFIX: &str = "tokenkeep-";

/// The file whose lock says that the folder is in use. No entry has such a name.
const LOCK: &str = ".lock";

/// A folder of mode 0700 that goes when this value does.
#[derive(Debug)]
pub(crate) struct TemporaryFolder {
    /// Where it is.
    path: PathBuf,
    /// The file whose lock keeps others from removing it.
    _lock: File,
}

impl TemporaryFolder {
    /// Makes a folder in `runtime` (`XDG_RUNTIME_DIR`), if that is private, else in `fallback`.
    pub(crate) fn make(runtime: Option<&Path>, fallback: &Path) -> Result<Self, FileFault> {
        sweep(fallback);
        if let Some(runtime) = runtime.filter(|runtime| files::check_folder(runtime).is_ok())
            && let Ok(made) = Self::make_in(runtime)
        {
            return Ok(made);
        }
        files::make_folder(fallback)?;
        files::check_folder(fallback)?;
        Self::make_in(fallback)
    }

    /// Makes a folder that was not there before, and removes what others have left behind.
    fn make_in(parent: &Path) -> Result<Self, FileFault> {
        sweep(parent);
        let process = std::process::id();
        for attempt in 0..LEFTOVERS {
            let path = parent.join(format!("{PREFIX}{process}-{attempt}"));
            match rustix::fs::mkdir(&path, Mode::RWXU) {
                Ok(()) => {
                    rustix::fs::chmod(&path, Mode::RWXU).map_err(fault("set the mode of", &path))?;
                    if let Some(lock) = take(&path)? {
                        return Ok(Self { path, _lock: lock });
                    }
                }
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(fault("make", &path)(errno)),
            }
        }
        Err(fault("make a folder in", parent)(Errno::EXIST))
    }

    /// Returns the path of a file in it.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

/// Takes the lock of a folder that was just made; `None` if somebody was quicker and has removed it.
fn take(folder: &Path) -> Result<Option<File>, FileFault> {
    let path = folder.join(LOCK);
    let file = match files::open_private(&path, OFlags::empty()) {
        Ok(file) => file,
        Err(fault) if fault.is_missing() => return Ok(None),
        Err(fault) => return Err(fault),
    };
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) => return Err(fault("lock", &path)(error)),
    }
    let stat = rustix::fs::fstat(&file).map_err(fault("look at", &path))?;
    Ok(Some(file).filter(|_| stat.st_nlink > 0))
}

/// Removes the folders that nobody uses any more: those of processes that were killed.
pub(crate) fn sweep(parent: &Path) {
    for path in left_in(parent) {
        remove_left(&path);
    }
}

/// Lists the folders that nobody uses any more.
pub(crate) fn left_in(parent: &Path) -> Vec<PathBuf> {
    // where others can write they could put another folder in the place of one of ours
    let names = if files::check_folder(parent).is_ok() { files::list(parent) } else { return Vec::new() };
    let ours = |name: &OsString| name.to_str().is_some_and(is_of_a_process);
    let paths = names.unwrap_or_default().into_iter().filter(ours).map(|name| parent.join(name));
    paths.filter(|path| lock_left(path).is_some()).collect()
}

/// Tells whether a folder has a name that a process of ours gave it: its number, and how often there was one already.
fn is_of_a_process(name: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let numbers = name.strip_prefix(PREFIX).and_then(|numbers| numbers.split_once('-'));
    numbers.is_some_and(|(process, attempt)| is_number(process) && is_number(attempt))
}

/// Removes a folder if nobody uses it; tells whether it is gone.
pub(crate) fn remove_left(folder: &Path) -> bool {
    let Some(_lock) = lock_left(folder) else { return false };
    remove(folder);
    !folder.exists()
}

/// Takes the lock of a folder of ours that somebody has left; `None` if it is in use.
fn lock_left(folder: &Path) -> Option<File> {
    files::check_folder(folder).ok()?;
    // without the file it is just being made; then it holds nothing
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = rustix::fs::open(folder.join(LOCK), flags, Mode::empty()).map(File::from).ok()?;
    file.try_lock().is_ok().then_some(file)
}

/// Removes a folder, the file with the lock last: what is interrupted here goes on the next time.
fn remove(folder: &Path) {
    for name in files::list(folder).unwrap_or_default().into_iter().filter(|name| name != LOCK) {
        // what cannot be removed keeps the folder, below
        drop(std::fs::remove_file(folder.join(name)));
    }
    drop(std::fs::remove_dir_all(folder));
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn private() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        folder
    }

    #[test]
    fn the_folder_is_private_and_goes_with_its_files() {
        let runtime = private();
        let folder = TemporaryFolder::make(Some(runtime.path()), Path::new("/nowhere")).unwrap();
        let path = folder.path.clone();
        files::replace(&folder.file("token"), b"x", 0o600).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        drop(folder);
        assert!(!path.exists());
    }

    #[test]
    fn what_a_killed_process_left_is_removed_and_what_is_in_use_is_not() {
        let runtime = private();
        let make = || TemporaryFolder::make(Some(runtime.path()), Path::new("/nowhere")).unwrap();
        let (used, left) = (make(), runtime.path().join("tokenkeep-0-0"));
        files::replace(&used.file("token"), b"x", 0o600).unwrap();
        files::make_folder(&left).unwrap();
        files::replace(&left.join(LOCK), b"", 0o600).unwrap();
        files::replace(&left.join("token"), b"x", 0o600).unwrap();
        let foreign = runtime.path().join("tokenkeep-of-somebody");
        files::make_folder(&foreign).unwrap();
        files::replace(&foreign.join(LOCK), b"", 0o600).unwrap();
        let _next = make();
        assert!(!left.exists());
        assert!(used.file("token").exists() && foreign.exists());
    }

    #[test]
    fn a_runtime_folder_that_others_can_use_is_not_used() {
        let (runtime, state) = (private(), private());
        std::fs::set_permissions(runtime.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let folder = TemporaryFolder::make(Some(runtime.path()), &state.path().join("exec")).unwrap();
        assert!(folder.path.starts_with(state.path()));
    }
}
