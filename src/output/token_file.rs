//! A file that holds one token and nothing else, for programs that read theirs from a file.

use std::path::Path;

use crate::host::files::{self, FileFault};
use crate::secret::Secret;

/// Replaces a token's file in one step, unless it already holds that token. Its owner alone may read it.
pub(crate) fn write(path: &Path, token: &Secret<String>) -> Result<(), FileFault> {
    let text = token.expose().as_bytes();
    if std::fs::read(path).is_ok_and(|present| present == text) {
        return Ok(());
    }
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        files::make_folder(folder)?;
    }
    files::replace(path, text, 0o600)
}
