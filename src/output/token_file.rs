//! A file that holds one token and nothing else, for programs that read theirs from a file.

use std::path::Path;

use zeroize::Zeroizing;

use crate::host::files::{self, Access, FileFault};
use crate::secret::Secret;

/// Replaces a token's file in one step, unless it already holds that token. Its owner alone may read it.
pub(crate) fn write(path: &Path, token: &Secret<String>) -> Result<(), FileFault> {
    let text = token.expose().as_bytes();
    // one that is a link or a pipe, or open to others, is replaced whatever can be read in it
    if files::read(path, Access::Private, text.len()).is_ok_and(|present| Zeroizing::new(present).as_slice() == text) {
        return Ok(());
    }
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        files::make_folder(folder)?;
    }
    files::replace(path, text, 0o600)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn a_file_that_has_the_token_is_replaced_only_if_it_is_not_private() {
        let folder = tempfile::tempdir().unwrap();
        let (path, token) = (folder.path().join("token"), Secret::new("text".to_owned()));
        let inode = || std::fs::symlink_metadata(&path).unwrap().ino();
        write(&path, &token).unwrap();
        let first = inode();
        write(&path, &token).unwrap();
        assert_eq!(inode(), first);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        write(&path, &token).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let elsewhere = folder.path().join("elsewhere");
        std::fs::rename(&path, &elsewhere).unwrap();
        symlink(&elsewhere, &path).unwrap();
        write(&path, &token).unwrap();
        assert!(std::fs::symlink_metadata(&path).unwrap().is_file());
    }

    #[test]
    fn no_device_and_no_stream_of_a_process_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let token = Secret::new("text".to_owned());
        for (name, to) in [("null", "/dev/null"), ("stdout", "/proc/self/fd/1")] {
            let path = folder.path().join(name);
            symlink(to, &path).unwrap();
            assert!(matches!(write(&path, &token), Err(FileFault::WrongKind { .. })), "{name}");
            assert_eq!(std::fs::read_link(&path).unwrap(), Path::new(to));
        }
    }
}
