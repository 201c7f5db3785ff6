//! A path in a request to the child: bytes, since JSON has no words for a path that is not UTF-8.

use std::ffi::OsString;
use std::ops::Deref;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A path that arrives as it was sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ExactPath(PathBuf);

impl From<PathBuf> for ExactPath {
    fn from(path: PathBuf) -> Self {
        Self(path)
    }
}

impl Deref for ExactPath {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl Serialize for ExactPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.as_os_str().as_bytes().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ExactPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(|bytes| Self(OsString::from_vec(bytes).into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_arrives_as_it_was_sent_utf_8_or_not() {
        for bytes in [&b"/srv/vault"[..], b"/srv/\xff\"\n"] {
            let sent = ExactPath(OsString::from_vec(bytes.to_vec()).into());
            let text = serde_json::to_vec(&sent).unwrap();
            assert_eq!(serde_json::from_slice::<ExactPath>(&text).unwrap(), sent);
        }
    }
}
