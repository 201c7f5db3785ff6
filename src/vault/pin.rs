//! The pin: the digest of the recipient of the vault that was used first, kept outside the vault, as ssh keeps host keys.

use std::path::{Path, PathBuf};

use super::VaultError;
use super::sealing::digest_hex;
use crate::host::files::{self, Access};
use crate::host::folders::absolute;

/// Where the pin of one vault is.
#[derive(Clone, Debug)]
pub(crate) struct Pin {
    /// The pin's file in the state folder.
    path: PathBuf,
}

/// Whether a vault was used before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// It is the one that is pinned.
    Same,
    /// Nothing is pinned yet.
    New,
}

impl Pin {
    /// Takes the pin of a vault; two vaults on one machine have two.
    pub(crate) fn of(state: &Path, vault: &Path) -> Self {
        let vault = absolute(vault);
        let digest = digest_hex(vault.as_os_str().as_encoded_bytes());
        let short: String = digest.chars().take(16).collect();
        Self { path: state.join("pins").join(short) }
    }

    /// Returns the pinned digest, if there is one.
    pub(crate) fn read(&self) -> Result<Option<String>, VaultError> {
        for folder in self.path.ancestors().skip(1).take(2) {
            match files::check_folder(folder) {
                Err(fault) if !fault.is_missing() => return Err(fault.into()),
                Ok(()) | Err(_) => {}
            }
        }
        match files::read(&self.path, Access::Private, 256) {
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).trim().to_owned())),
            Err(fault) if fault.is_missing() => Ok(None),
            Err(fault) => Err(fault.into()),
        }
    }

    /// Compares a recipient with the pin.
    pub(crate) fn check(&self, vault: &Path, recipient: &str) -> Result<Known, VaultError> {
        let found = digest_hex(recipient);
        match self.read()? {
            Some(pinned) if names(&pinned, &found) => Ok(Known::Same),
            Some(pinned) => Err(VaultError::AnotherVault { vault: vault.to_owned(), pinned, found }),
            None => Ok(Known::New),
        }
    }

    /// Pins the recipient of a vault that is used for the first time.
    pub(super) fn set(&self, recipient: &str) {
        if let Err(error) = self.renew(recipient) {
            // a state folder that cannot be written must not keep a reader from its token
            tracing::warn!(%error, "the vault could not be pinned");
        }
    }

    /// Pins a recipient, whatever was pinned before.
    pub(crate) fn renew(&self, recipient: &str) -> Result<(), VaultError> {
        self.write(&[recipient])
    }

    /// Pins two recipients, of which one is about to take the place of the other.
    pub(super) fn renew_for_both(&self, before: &str, after: &str) -> Result<(), VaultError> {
        self.write(&[before, after])
    }

    /// Tells whether a recipient is pinned.
    pub(super) fn knows(&self, recipient: &str) -> Result<bool, VaultError> {
        let digest = digest_hex(recipient);
        Ok(self.read()?.is_some_and(|pinned| names(&pinned, &digest)))
    }

    /// Writes the digests of recipients.
    fn write(&self, recipients: &[&str]) -> Result<(), VaultError> {
        if let Some(folder) = self.path.parent() {
            files::make_folder(folder)?;
        }
        let text: String = recipients.iter().map(|recipient| digest_hex(recipient) + "\n").collect();
        Ok(files::replace(&self.path, text.as_bytes(), 0o600)?)
    }
}

/// Tells whether a digest is among those that are pinned: two while the vault's key is being changed.
fn names(pinned: &str, digest: &str) -> bool {
    pinned.lines().any(|line| line == digest)
}
