//! What is wrong with a file or folder, and the command that mends it or shows it.

use std::io;
use std::path::{Path, PathBuf};

use super::folder_of;
use crate::host::shell;

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
    shell::quoted(&path.display().to_string())
}

/// Wraps an error of the system with what was tried on which path.
pub(crate) fn fault<E: Into<io::Error>>(doing: &'static str, path: &Path) -> impl FnOnce(E) -> FileFault {
    let path = path.to_owned();
    move |source| FileFault::Io { doing, path, source: source.into() }
}
