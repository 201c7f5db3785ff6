//! What opens a vault, as somebody named it: identity files, descriptors, a variable; read, and not yet tried.

use std::fmt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::host::descriptor;
use crate::host::files::{self, Access};
use crate::secret::{Passphrase, Secret};
use crate::vault::VaultError;
use crate::vault::sealing::Identity;

/// An identity file holds a key and some comments.
pub(crate) const LARGEST_IDENTITY: usize = 64 * 1024;

/// A source that is named on the command line, in the environment or in the settings.
pub(super) enum Named<'a> {
    /// `--identity-fd`
    IdentityFd(i32),
    /// `--passphrase-fd`
    PassphraseFd(i32),
    /// `TOKENKEEP_IDENTITY_FILE`
    FileVariable(&'a Path),
    /// What systemd's own way of handing an identity over left.
    Credential(PathBuf),
    /// `TOKENKEEP_IDENTITY`
    Variable(&'a Secret<String>),
    /// `unlock.identity_file`
    SettingsFile(&'a Path),
}

/// What one source gave.
pub(super) enum Given {
    /// The text of an identity file.
    Identities(Zeroizing<String>),
    /// The same, from where it will go away by itself.
    Lent(Zeroizing<String>),
    /// What a person would type.
    Passphrase(Passphrase),
}

impl Named<'_> {
    /// Reads it.
    pub(super) fn read(&self) -> Result<Given, VaultError> {
        let text = match self {
            Self::IdentityFd(number) => read_descriptor("--identity-fd", *number)?,
            Self::PassphraseFd(number) => {
                return read_passphrase("--passphrase-fd", *number).map(Given::Passphrase);
            }
            Self::FileVariable(path) | Self::SettingsFile(path) => read_file(&self.to_string(), path)?,
            Self::Credential(path) => read_file(&self.to_string(), path)?,
            Self::Variable(text) => Zeroizing::new(text.expose().clone()),
        };
        Ok(Given::Identities(text))
    }
}

impl fmt::Display for Named<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::IdentityFd(number) => write!(formatter, "--identity-fd {number}"),
            Self::PassphraseFd(number) => write!(formatter, "--passphrase-fd {number}"),
            Self::FileVariable(path) => formatter.write_str(&name_of("TOKENKEEP_IDENTITY_FILE", path)),
            Self::Credential(path) => formatter.write_str(&name_of("the systemd credential", path)),
            Self::Variable(_) => formatter.write_str("TOKENKEEP_IDENTITY"),
            Self::SettingsFile(path) => formatter.write_str(&name_of("unlock.identity_file", path)),
        }
    }
}

/// Reads an identity file.
fn read_file(name: &str, path: &Path) -> Result<Zeroizing<String>, VaultError> {
    let bytes = files::read(path, Access::Credential, LARGEST_IDENTITY).map_err(|fault| VaultError::Source {
        name: name.to_owned(),
        fault,
        slots: Vec::new(),
    })?;
    let text = String::from_utf8(bytes).map_err(|_| VaultError::NoIdentity { source_name: name.to_owned() })?;
    Ok(Zeroizing::new(text))
}

/// Names a file and who named it.
fn name_of(by: &str, path: &Path) -> String {
    format!("{by} ({})", path.display())
}

/// Reads a descriptor to its end.
fn read_descriptor(flag: &'static str, number: i32) -> Result<Zeroizing<String>, VaultError> {
    let bytes = descriptor::read_to_end(number, LARGEST_IDENTITY as u64).map_err(|source| VaultError::Descriptor {
        flag,
        number,
        source,
    })?;
    let text =
        String::from_utf8(bytes).map_err(|_| VaultError::NoIdentity { source_name: format!("{flag} {number}") })?;
    Ok(Zeroizing::new(text))
}

/// Takes the first line as a passphrase.
fn passphrase_of(text: &str) -> Passphrase {
    Passphrase::new(text.lines().next().unwrap_or_default().to_owned())
}

/// Reads a passphrase for a new slot from the descriptor that a flag names.
pub(crate) fn read_passphrase(flag: &'static str, number: i32) -> Result<Passphrase, VaultError> {
    read_descriptor(flag, number).map(|text| passphrase_of(&text))
}

/// Reads the text of an identity file that is not for the vault.
pub(crate) fn read_identities(flag: &str, path: &Path) -> Result<Zeroizing<String>, VaultError> {
    read_file(&name_of(flag, path), path)
}

/// Reads several passphrases from a descriptor, one a line.
pub(crate) fn read_passphrases(flag: &'static str, number: i32) -> Result<Vec<Passphrase>, VaultError> {
    let text = read_descriptor(flag, number)?;
    Ok(text.lines().filter(|line| !line.is_empty()).map(passphrase_of).collect())
}

/// Reads the identity that an identity file holds, to make a vault with it.
pub(crate) fn read_identity_file(path: &Path) -> Result<Identity, VaultError> {
    let source_name = name_of("--identity-file", path);
    let text = read_file(&source_name, path)?;
    identity_lines(&text).find_map(Identity::parse).ok_or(VaultError::NoIdentity { source_name })
}

/// Iterates over the lines of an identity file that are not comments.
pub(crate) fn identity_lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}
