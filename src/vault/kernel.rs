//! The vault identity in the kernel's keyring: open for a while, for every program of this user on this machine.
//!
//! It rests there as the text of an identity file, under a name that holds the vault's recipient, so that two vaults never
//! meet. A comment in it says until when; the kernel, not we, takes it out then.

use std::path::Path;

use zeroize::Zeroizing;

use super::header::Header;
use super::{Vault, VaultError};
use crate::host::kernel_keyring::{self, KernelFault};
use crate::token::time::{Lifetime, Timestamp};

/// How errors and `status` call it.
pub(crate) const SOURCE: &str = "the kernel keyring";

/// How the names of all vaults begin.
const NAMES: &str = "tokenkeep:";

/// What stands before the time in the comment.
const UNTIL: &str = "# open until ";

/// A vault that was left open.
pub(crate) struct Opened {
    /// The text of an identity file.
    pub(super) text: Zeroizing<String>,
    /// When the kernel takes it out, if it is we who put it there.
    pub(crate) until: Option<Timestamp>,
}

/// Returns what the vault of a recipient is called there.
fn name(recipient: &str) -> String {
    format!("{NAMES}{recipient}")
}

/// Looks whether the vault of a recipient was left open.
pub(crate) fn find(recipient: &str) -> Result<Option<Opened>, KernelFault> {
    let Some(bytes) = kernel_keyring::find(&name(recipient))? else { return Ok(None) };
    // what is no text holds no identity, and is refused as such
    let text = Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned());
    let until = text.lines().find_map(|line| line.strip_prefix(UNTIL)?.parse().ok());
    Ok(Some(Opened { text, until }))
}

/// Closes a vault, and tells whether it was left open.
pub(crate) fn close(vault: &Path) -> Result<bool, VaultError> {
    let header = Header::read(vault)?;
    Ok(kernel_keyring::remove(&name(&header.recipient))?)
}

/// Closes the vault of a recipient that no vault has any more, and tells until when it was left open.
pub(crate) fn close_former(recipient: &str) -> Result<Option<Timestamp>, KernelFault> {
    let until = find(recipient)?.and_then(|opened| opened.until);
    kernel_keyring::remove(&name(recipient)).map(|was_open| until.filter(|_| was_open))
}

/// Closes all vaults of this user, and returns how many were left open.
pub(crate) fn close_all() -> Result<usize, VaultError> {
    Ok(kernel_keyring::remove_all(NAMES)?)
}

impl Vault {
    /// Leaves the vault open for a time from now on, be it longer or shorter than what is left; returns its end.
    pub(crate) fn leave_open(&self, time: Lifetime, now: Timestamp) -> Result<Timestamp, VaultError> {
        let until = now.after(time);
        let identity = self.identity.text();
        // as large as it gets: growing would leave a copy behind
        let mut text = Zeroizing::new(String::with_capacity(256));
        for part in [UNTIL, &until.to_string(), "\n", &identity, "\n"] {
            text.push_str(part);
        }
        kernel_keyring::put(&name(self.recipient()), text.as_bytes(), time.into())?;
        Ok(until)
    }
}
