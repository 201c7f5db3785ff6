//! Entries in the keyring: for each of them one item, and one for its previous value.
//!
//! An item's text is the generation's number on a line, and then the same sealed file that would lie on a disk, in age's
//! armor: a keyring may keep text alone. Only the holder of the entry's lock replaces one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::VaultError;
use super::keyring::{DesktopFault, ENTRY, Keyring};
use crate::profile::EntryName;

/// The items of one vault.
#[derive(Clone, Debug)]
pub(crate) struct Items {
    /// Where they are.
    keyring: Keyring,
    /// The vault's recipient, by which they are told from those of another vault.
    recipient: String,
}

/// One generation of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    /// The number of the generation.
    pub(super) generation: u64,
    /// The sealed file.
    pub(super) file: Vec<u8>,
}

/// Which of the two items of an entry is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    /// The newest generation.
    Current,
    /// The one before.
    Previous,
}

impl Items {
    /// Takes the items of the same keyring under another recipient.
    pub(super) fn under(self, recipient: &str) -> Self {
        Self { recipient: recipient.to_owned(), ..self }
    }

    /// Takes the items of a vault.
    pub(super) const fn of(keyring: Keyring, recipient: String) -> Self {
        Self { keyring, recipient }
    }

    /// Returns the name that an item of this vault is found by.
    fn name(&self, entry: &EntryName, which: Which) -> String {
        let end = match which {
            Which::Current => "",
            Which::Previous => " previous",
        };
        format!("{}{entry}{end}", self.prefix())
    }

    /// Returns what the names of all entries' items of this vault begin with.
    fn prefix(&self) -> String {
        format!("{ENTRY}{} ", self.recipient)
    }

    /// Says in which item the newest generation of an entry is.
    pub(super) fn place(&self, entry: &EntryName) -> String {
        format!("the keyring's item `{}`", self.current_name(entry))
    }

    /// Returns the name of the item that holds the newest generation of an entry.
    pub(super) fn current_name(&self, entry: &EntryName) -> String {
        self.name(entry, Which::Current)
    }

    /// Claims that something could be kept now.
    pub(super) fn check(&self) -> Result<(), VaultError> {
        self.keyring.check().map_err(|fault| VaultError::Desktop { doing: "use the keyring".to_owned(), fault })
    }

    /// Reads the newest generation of an entry.
    pub(super) fn current(&self, entry: &EntryName) -> Result<Option<Item>, VaultError> {
        self.read(entry, Which::Current)
    }

    /// Reads both generations of an entry, the newest first.
    pub(super) fn both(&self, entry: &EntryName) -> Result<Vec<Item>, VaultError> {
        let (current, previous) = (self.read(entry, Which::Current)?, self.read(entry, Which::Previous)?);
        // whoever was killed between the two steps of a publication left the same one twice
        let previous = previous.filter(|previous| current.as_ref() != Some(previous));
        Ok(current.into_iter().chain(previous).collect())
    }

    /// Lists the entries that have an item.
    pub(super) fn entries(&self) -> Result<Vec<EntryName>, VaultError> {
        let doing = || "list what the keyring holds".to_owned();
        let names = self.keyring.names().map_err(|fault| VaultError::Desktop { doing: doing(), fault })?;
        let prefix = self.prefix();
        let entry = |name: &String| name.strip_prefix(&prefix)?.split(' ').next()?.parse().ok();
        let mut entries: Vec<EntryName> = names.iter().filter_map(entry).collect();
        entries.sort_unstable();
        entries.dedup();
        Ok(entries)
    }

    /// Reads one item.
    fn read(&self, entry: &EntryName, which: Which) -> Result<Option<Item>, VaultError> {
        let name = self.name(entry, which);
        let doing = || format!("read `{entry}` in the keyring");
        match self.keyring.read(&name) {
            Ok(text) => match parse(&text) {
                Some(item) => Ok(Some(item)),
                None => Err(VaultError::Desktop { doing: doing(), fault: DesktopFault::Damaged(name) }),
            },
            Err(DesktopFault::NoItem(_)) => Ok(None),
            Err(fault) => Err(VaultError::Desktop { doing: doing(), fault }),
        }
    }

    /// Writes one item, and reads it back.
    fn write(&self, entry: &EntryName, which: Which, item: &Item) -> Result<(), VaultError> {
        let label = match which {
            Which::Current => format!("tokenkeep: {entry}"),
            Which::Previous => format!("tokenkeep: {entry} (previous)"),
        };
        let kept = self.keyring.write(&self.name(entry, which), &label, Zeroizing::new(text_of(item)));
        kept.map_err(|fault| VaultError::Desktop { doing: format!("keep `{entry}` in the keyring"), fault })
    }

    /// Makes a generation the newest one of an entry: what was the newest becomes the previous one first. Whoever repeats
    /// it after being killed anywhere in between does the rest; what is there already is left as it is.
    pub(super) fn publish(&self, entry: &EntryName, item: &Item) -> Result<(), VaultError> {
        match self.current(entry)? {
            Some(current) if current == *item => return Ok(()),
            Some(current) if current.generation >= item.generation => {
                let fault = DesktopFault::Newer { name: self.name(entry, Which::Current), held: current.generation };
                return Err(VaultError::Desktop { doing: format!("keep `{entry}` in the keyring"), fault });
            }
            Some(current) => self.write(entry, Which::Previous, &current)?,
            // the keyring that it follows a generation of is another one
            None if item.generation > 1 => {
                let fault = DesktopFault::NoItem(self.name(entry, Which::Current));
                return Err(VaultError::Desktop { doing: format!("keep `{entry}` in the keyring"), fault });
            }
            None => {}
        }
        self.write(entry, Which::Current, item)
    }

    /// Writes the generations of an entry that comes from somewhere else, the newest last, and reads them back.
    pub(super) fn receive(&self, entry: &EntryName, current: &Item, previous: Option<&Item>) -> Result<(), VaultError> {
        match previous {
            Some(previous) => self.write(entry, Which::Previous, previous)?,
            // another entry of this name may have left one
            None => self.remove_one(entry, Which::Previous)?,
        }
        self.write(entry, Which::Current, current)
    }

    /// Removes what there is of an entry, the newest last.
    pub(super) fn remove(&self, entry: &EntryName) -> Result<(), VaultError> {
        [Which::Previous, Which::Current].into_iter().try_for_each(|which| self.remove_one(entry, which))
    }

    /// Removes one item, if it is there.
    fn remove_one(&self, entry: &EntryName, which: Which) -> Result<(), VaultError> {
        let removed = self.keyring.remove(&self.name(entry, which));
        removed.map_err(|fault| VaultError::Desktop { doing: format!("remove `{entry}` from the keyring"), fault })
    }
}

/// The first line of age's armor.
const BEGIN: &str = "-----BEGIN AGE ENCRYPTED FILE-----";

/// Its last line.
const END: &str = "-----END AGE ENCRYPTED FILE-----";

/// Writes an item's text.
fn text_of(item: &Item) -> Vec<u8> {
    let base64 = STANDARD.encode(&item.file);
    let mut text = format!("{}\n{BEGIN}\n", item.generation);
    for line in base64.as_bytes().chunks(64) {
        text.extend(line.iter().map(|&byte| char::from(byte)));
        text.push('\n');
    }
    text.push_str(END);
    text.push('\n');
    text.into_bytes()
}

/// Reads an item's text.
fn parse(text: &[u8]) -> Option<Item> {
    let (generation, armored) = std::str::from_utf8(text).ok()?.split_once('\n')?;
    let base64 = armored.trim().strip_prefix(BEGIN)?.strip_suffix(END)?;
    let base64: String = base64.lines().collect();
    Some(Item { generation: generation.parse().ok()?, file: STANDARD.decode(base64).ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_read_back_whatever_its_length() {
        for length in [0, 1, 47, 48, 49, 5_000] {
            let item = Item { generation: 7, file: vec![0xa7; length] };
            let text = String::from_utf8(text_of(&item)).unwrap();
            assert!(text.starts_with("7\n-----BEGIN AGE ENCRYPTED FILE-----\n"));
            assert!(text.lines().all(|line| line.len() <= 64));
            assert_eq!(parse(text.as_bytes()), Some(item));
        }
    }

    #[test]
    fn a_text_that_is_damaged_is_none() {
        let whole = text_of(&Item { generation: 7, file: vec![1; 100] });
        for cut in [0, 1, 30, 60, whole.len() - 5] {
            assert_eq!(parse(&whole[..cut]), None, "{cut}");
        }
        assert_eq!(parse(b"x\n-----BEGIN AGE ENCRYPTED FILE-----\n-----END AGE ENCRYPTED FILE-----\n"), None);
    }
}
