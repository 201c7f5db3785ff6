//! `vault.toml`: the vault's format, its public recipient and the list of its slots, authenticated.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::VaultError;
use super::sealing::{Identity, mac_hex, mac_matches};
use super::shelf::Shelf;
use crate::host::files::{self, Access};
use crate::profile::EntryName;

/// A header has one line for each slot; this is room for thousands.
const LARGEST_HEADER: usize = 1 << 20;

/// The version of the vault's layout.
const FORMAT: u32 = 1;

/// What `vault.toml` says.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Header {
    /// The version of the vault's layout.
    format: u32,
    /// The vault's public recipient.
    pub(crate) recipient: String,
    /// The MAC of everything else in this file.
    mac: String,
    /// The ways to unlock.
    #[serde(default)]
    pub(crate) slots: Vec<Slot>,
}

/// One way to unlock: the vault identity, wrapped, in `slots/NAME.age`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Slot {
    /// The slot's name.
    pub(crate) name: EntryName,
    /// What opens it.
    pub(crate) kind: SlotKind,
    /// The recipient it is wrapped for, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) recipient: Option<String>,
    /// SHA-256 of the slot's file, in hexadecimal.
    pub(crate) digest: String,
}

/// What opens a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum SlotKind {
    /// What a person types.
    Passphrase,
    /// Another age identity.
    Recipient,
    /// A key that a plugin of age holds.
    Plugin,
}

impl SlotKind {
    /// Returns the word for it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Passphrase => "passphrase",
            Self::Recipient => "recipient",
            Self::Plugin => "plugin",
        }
    }
}

/// Returns where the header of a vault is.
pub(crate) fn path(vault: &Path) -> PathBuf {
    vault.join("vault.toml")
}

/// Describes that there is no header; entries that are there would be lost with a new one.
pub(crate) fn missing(vault: &Path) -> VaultError {
    let entries = Shelf::of(vault).names().map_or(0, |names| names.entries.len());
    let vault = vault.to_owned();
    if entries == 0 { VaultError::Missing { vault } } else { VaultError::HeaderMissing { vault, entries } }
}

impl Header {
    /// Describes a vault and seals the description.
    pub(crate) fn new(identity: &Identity, slots: Vec<Slot>) -> Self {
        let recipient = identity.recipient().to_string();
        let mut header = Self { format: FORMAT, recipient, mac: String::new(), slots };
        header.mac = mac_hex(&identity.derive("slots"), header.covered().as_bytes());
        header
    }

    /// Reads the header of a vault; it is not authenticated yet.
    pub(crate) fn read(vault: &Path) -> Result<Self, VaultError> {
        let path = path(vault);
        let bytes = match files::read(&path, Access::Private, LARGEST_HEADER) {
            Ok(bytes) => bytes,
            Err(fault) if fault.is_missing() => return Err(missing(vault)),
            Err(fault) => return Err(fault.into()),
        };
        let damaged = |reason: String| VaultError::Header { path: path.clone(), reason };
        let text = String::from_utf8(bytes).map_err(|_| damaged("it is not UTF-8".to_owned()))?;
        let header: Self = toml::from_str(&text).map_err(|error| damaged(error.message().to_owned()))?;
        if header.format != FORMAT {
            return Err(damaged(format!("its format is {}, this version knows {FORMAT}", header.format)));
        }
        if !header.is_well_formed() {
            return Err(damaged("a recipient or digest in it is none".to_owned()));
        }
        Ok(header)
    }

    /// Tells whether recipients and digests are made of what such things are made of: what the MAC covers can then be
    /// read in one way alone.
    fn is_well_formed(&self) -> bool {
        let is_word = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        // the name of a plugin may have these in it; a dash alone stands for none
        let is_recipient = |text: &str| text != "-" && is_word(&text.replace(['+', '-', '.', '_'], ""));
        let is_slot = |slot: &Slot| is_word(&slot.digest) && slot.recipient.as_deref().is_none_or(is_recipient);
        is_word(&self.recipient) && self.slots.iter().all(is_slot)
    }

    /// Tells whether who wrote the list of slots, and the recipient, had this identity.
    pub(crate) fn is_authentic(&self, identity: &Identity) -> bool {
        mac_matches(&identity.derive("slots"), self.covered().as_bytes(), &self.mac)
    }

    /// Refuses a header that somebody else wrote.
    pub(crate) fn authenticate(&self, vault: &Path, identity: &Identity) -> Result<(), VaultError> {
        if self.is_authentic(identity) {
            return Ok(());
        }
        let reason = "its authentication code is wrong: somebody else changed it".to_owned();
        Err(VaultError::Header { path: path(vault), reason })
    }

    /// Replaces the header of a vault.
    pub(crate) fn write(&self, vault: &Path) -> Result<(), VaultError> {
        let path = path(vault);
        let text = toml::to_string(self)
            .map_err(|error| VaultError::Header { path: path.clone(), reason: error.to_string() })?;
        Ok(files::replace(&path, text.as_bytes(), 0o600)?)
    }

    /// Returns the text that the MAC covers; no field of a header that was read or made can hold a space or line end.
    fn covered(&self) -> String {
        let mut text = format!("{}\n{}\n", self.format, self.recipient);
        for slot in &self.slots {
            let recipient = slot.recipient.as_deref().unwrap_or("-");
            let (name, kind, digest) = (&slot.name, slot.kind.name(), &slot.digest);
            // writing to a String cannot fail
            writeln!(text, "{name} {kind} {recipient} {digest}").ok();
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes a header with some slots as somebody would who does not know the key, and reads it.
    fn read(change: impl FnOnce(&mut Header)) -> Result<Header, VaultError> {
        let vault = tempfile::tempdir().unwrap();
        let slot = Slot {
            name: "ci".parse().unwrap(),
            kind: SlotKind::Recipient,
            recipient: Some("age1xyz".to_owned()),
            digest: "0a".to_owned(),
        };
        let mut header = Header::new(&Identity::generate(), vec![slot]);
        let covered = header.covered();
        change(&mut header);
        assert_eq!(header.covered(), covered, "the MAC would tell");
        header.write(vault.path()).unwrap();
        Header::read(vault.path())
    }

    #[test]
    fn a_header_that_was_cut_up_otherwise_under_the_same_code_is_refused() {
        assert!(read(|_| ()).is_ok());
        let moved = read(|header| {
            let slot = header.slots.pop().unwrap();
            header.recipient = format!("{}\n{} recipient age1xyz {}", header.recipient, slot.name, slot.digest);
        });
        assert!(moved.is_err());
    }

    #[test]
    fn a_recipient_that_looks_like_none_is_refused() {
        for recipient in ["-", "", "age1\nx", "a b"] {
            let vault = tempfile::tempdir().unwrap();
            let mut header = Header::new(&Identity::generate(), Vec::new());
            recipient.clone_into(&mut header.recipient);
            header.write(vault.path()).unwrap();
            assert!(matches!(Header::read(vault.path()), Err(VaultError::Header { .. })), "{recipient:?}");
        }
    }
}
