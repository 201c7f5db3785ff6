//! A private folder for the time that a command runs, and its files, all removed at the end.

use std::path::{Path, PathBuf};

use rustix::fs::Mode;
use rustix::io::Errno;

use super::files::{self, FileFault, fault};

/// How many leftovers of killed processes with our number are stepped over.
const LEFTOVERS: u32 = 1_000;

/// A folder of mode 0700 that goes when this value does.
#[derive(Debug)]
pub(crate) struct TemporaryFolder {
    /// Where it is.
    path: PathBuf,
}

impl TemporaryFolder {
    /// Makes a folder in `runtime` (`XDG_RUNTIME_DIR`), if that is private, else in `fallback`.
    pub(crate) fn make(runtime: Option<&Path>, fallback: &Path) -> Result<Self, FileFault> {
        if let Some(runtime) = runtime.filter(|runtime| runtime.is_absolute() && files::check_folder(runtime).is_ok())
            && let Ok(made) = Self::make_in(runtime)
        {
            return Ok(made);
        }
        files::make_folder(fallback)?;
        files::check_folder(fallback)?;
        Self::make_in(fallback)
    }

    /// Makes a folder that was not there before.
    fn make_in(parent: &Path) -> Result<Self, FileFault> {
        let process = std::process::id();
        for attempt in 0..LEFTOVERS {
            let path = parent.join(format!("tokenkeep-{process}-{attempt}"));
            match rustix::fs::mkdir(&path, Mode::RWXU) {
                Ok(()) => {
                    let made = Self { path };
                    rustix::fs::chmod(&made.path, Mode::RWXU).map_err(fault("set the mode of", &made.path))?;
                    return Ok(made);
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

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        // what cannot be removed now cannot be removed by us at all
        drop(std::fs::remove_dir_all(&self.path));
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
    fn a_runtime_folder_that_others_can_use_is_not_used() {
        let (runtime, state) = (private(), private());
        std::fs::set_permissions(runtime.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let folder = TemporaryFolder::make(Some(runtime.path()), &state.path().join("exec")).unwrap();
        assert!(folder.path.starts_with(state.path()));
    }
}
