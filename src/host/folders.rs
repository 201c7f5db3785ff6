//! Where tokenkeep's folders are: `TOKENKEEP_HOME`, or the XDG base directories.

use std::path::{Path, PathBuf};

use super::Host;

/// The four folders of one user (or of one `TOKENKEEP_HOME`).
#[derive(Clone, Debug)]
pub(crate) struct Folders {
    /// Holds `config.toml`.
    pub(crate) config: PathBuf,
    /// Holds the vault.
    pub(crate) data: PathBuf,
    /// Holds what belongs to this machine: pins and spent journals.
    pub(crate) state: PathBuf,
    /// The user's home, for `~/` in settings.
    pub(crate) home: Option<PathBuf>,
}

/// Neither `TOKENKEEP_HOME`, nor HOME, nor the user database names a folder.
#[derive(Debug, thiserror::Error)]
#[error("there is no home folder: neither HOME nor TOKENKEEP_HOME is set, and the user database has none")]
pub(crate) struct NoHome;

impl Folders {
    /// Finds the folders of a host.
    pub(crate) fn of(host: &Host) -> Result<Self, NoHome> {
        let home = host.env.folder("HOME").or_else(host.home).filter(|home| home.is_absolute());
        if let Some(root) = host.env.raw("TOKENKEEP_HOME").map(PathBuf::from) {
            let root = absolute(&root);
            return Ok(Self { config: root.join("config"), data: root.join("data"), state: root.join("state"), home });
        }
        let base = |variable: &str, below_home: &str| {
            host.env
                .folder(variable)
                .or_else(|| home.as_ref().map(|home| home.join(below_home)))
                .map(|base| base.join("tokenkeep"))
                .ok_or(NoHome)
        };
        Ok(Self {
            config: base("XDG_CONFIG_HOME", ".config")?,
            data: base("XDG_DATA_HOME", ".local/share")?,
            state: base("XDG_STATE_HOME", ".local/state")?,
            home,
        })
    }

    /// Resolves a path from a setting: a leading `~/` is the home folder, anything relative is relative to `base`.
    pub(crate) fn resolve(&self, path: &str, base: &Path) -> PathBuf {
        match (path.strip_prefix("~/"), &self.home) {
            (Some(rest), Some(home)) => home.join(rest),
            _ => base.join(path),
        }
    }
}

/// Makes a path mean the same in every working folder; where there is none to start from it stays as it is.
pub(crate) fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
