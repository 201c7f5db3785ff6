//! Exports: entries in one age file, for somebody else's key or a passphrase. What is inside is JSON, one object a line:
//! first what it is, then each entry as it stands in the vault.

use std::collections::BTreeSet;

use age::x25519;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::entry::Entry;
use super::plugin::Plugin;
use super::sealing::{SealFault, decrypt_within};
use super::slots::{self, Wrapping};
use super::unlock::{self, Ask};
use super::{Vault, VaultError};
use crate::secret::Passphrase;
use crate::token::time::Timestamp;

/// The version of the form.
const FORMAT: u32 = 1;

/// The most that is read: many times what a vault of thousands of logins holds.
pub(crate) const LARGEST_EXPORT: usize = 256 << 20;

/// The first line.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Heading {
    /// The version of the form.
    tokenkeep_export: u32,
    /// When it was made.
    exported_at: Timestamp,
    /// How many entries follow.
    entries: usize,
}

/// Writes entries into a file for a key or a passphrase.
pub(crate) fn write(
    entries: &[Entry],
    wrapping: &Wrapping,
    now: Timestamp,
    ask: Ask<'_>,
) -> Result<Vec<u8>, VaultError> {
    let not_json = |error: serde_json::Error| VaultError::NotAnExport(error.to_string());
    let heading = Heading { tokenkeep_export: FORMAT, exported_at: now, entries: entries.len() };
    let mut lines = vec![Zeroizing::new(serde_json::to_vec(&heading).map_err(not_json)?)];
    for entry in entries {
        lines.push(Zeroizing::new(entry.to_json().map_err(not_json)?));
    }
    // as large as it gets: growing would leave copies of tokens behind
    let mut text = Zeroizing::new(Vec::with_capacity(lines.iter().map(|line| line.len() + 1).sum()));
    for line in &lines {
        text.extend_from_slice(line);
        text.push(b'\n');
    }
    slots::seal(wrapping, &text, ask).map(|(_, file)| file)
}

/// What opens an export.
pub(crate) enum Opener {
    /// A passphrase.
    Passphrase(Passphrase),
    /// The text of an identity file.
    Identities(Zeroizing<String>),
}

/// Tells whether a passphrase opens a file.
pub(crate) fn wants_passphrase(file: &[u8]) -> bool {
    age::Decryptor::new_buffered(file).is_ok_and(|decryptor| decryptor.is_scrypt())
}

/// Reads the entries out of a file; `None` if it was not made for this opener.
pub(crate) fn read(file: &[u8], opener: &Opener, ask: Ask<'_>) -> Result<Option<Vec<Entry>>, VaultError> {
    match opener {
        Opener::Passphrase(passphrase) => open(file, &slots::passphrase_key(passphrase)),
        Opener::Identities(text) => {
            for line in unlock::identity_lines(text) {
                let opened = if let Ok(native) = line.parse::<x25519::Identity>() {
                    open(file, &native)?
                } else if let Some(plugin) = Plugin::for_identity(line, ask) {
                    open(file, &plugin).map_err(|error| plugin.fault().unwrap_or(error))?
                } else {
                    None
                };
                if opened.is_some() {
                    return Ok(opened);
                }
            }
            Ok(None)
        }
    }
}

impl Vault {
    /// Reads the entries out of a file that was made for this vault's own key; `None` if it was not.
    pub(crate) fn read_export(&self, file: &[u8]) -> Result<Option<Vec<Entry>>, VaultError> {
        open(file, self.identity.native())
    }
}

/// Opens a file and reads it; `None` if this key does not open it.
fn open(file: &[u8], key: &dyn age::Identity) -> Result<Option<Vec<Entry>>, VaultError> {
    match decrypt_within(key, file, LARGEST_EXPORT) {
        Ok(text) => parse(&text).map(Some).map_err(VaultError::NotAnExport),
        Err(SealFault::NotForUs) => Ok(None),
        Err(fault) => Err(VaultError::NotAnExport(fault.to_string())),
    }
}

/// Reads the lines of an export.
fn parse(text: &[u8]) -> Result<Vec<Entry>, String> {
    let text = text.strip_suffix(b"\n").ok_or("its last line has no end")?;
    let mut lines = text.split(|&byte| byte == b'\n');
    let heading = lines.next().and_then(|line| serde_json::from_slice::<Heading>(line).ok());
    let heading = heading.filter(|heading| heading.tokenkeep_export == FORMAT);
    let heading = heading.ok_or_else(|| format!("its first line is not that of an export of format {FORMAT}"))?;
    let entries = lines.map(Entry::from_json).collect::<Result<Vec<Entry>, String>>()?;
    let names: BTreeSet<String> = entries.iter().map(|entry| entry.name.as_str().to_ascii_lowercase()).collect();
    if entries.len() != heading.entries || names.len() != entries.len() {
        return Err("it does not hold what its first line says, or one name twice".to_owned());
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::super::entry::{Body, TokenSet};
    use super::super::sealing::Identity;
    use super::*;

    fn entry(name: &str) -> Entry {
        let body = Body::RefreshToken(TokenSet::sample(0, 300));
        Entry { name: name.parse().unwrap(), generation: 3, written_at: Timestamp::from_epoch(5), body }
    }

    #[test]
    fn what_was_written_is_read_by_the_one_it_was_written_for() {
        let (ours, other) = (Identity::generate(), Identity::generate());
        let wrapping = Wrapping::Recipient(ours.recipient().to_string());
        let file = write(&[entry("one"), entry("two")], &wrapping, Timestamp::from_epoch(9), None).unwrap();
        let read_by = |identity: &Identity| {
            let opener = Opener::Identities(Zeroizing::new(format!("# x\n{}\n", identity.text().as_str())));
            read(&file, &opener, None).unwrap()
        };
        assert!(read_by(&other).is_none() && !wants_passphrase(&file));
        let names: Vec<String> = read_by(&ours).unwrap().iter().map(|entry| entry.name.to_string()).collect();
        assert_eq!(names, ["one", "two"]);
    }

    #[test]
    fn what_is_no_export_is_refused() {
        let line = |entry: &Entry| String::from_utf8(entry.to_json().unwrap()).unwrap();
        let heading = |count| format!("{{\"tokenkeep_export\":1,\"exported_at\":5,\"entries\":{count}}}\n");
        let good = format!("{}{}\n", heading(1), line(&entry("one")));
        let at = serde_json::to_string(&Timestamp::from_epoch(5)).unwrap();
        let good = good.replace(":5,", &format!(":{at},"));
        assert!(parse(good.as_bytes()).is_ok());
        let twice = good.replace("\"entries\":1", "\"entries\":2") + &line(&entry("ONE")) + "\n";
        let newer = good.replace("export\":1", "export\":2");
        for text in ["", "\n", good.trim_end(), &twice, &newer, &good.replace("\"entries\":1", "\"entries\":2")] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
