//! Slots: the vault identity wrapped for one way to unlock.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use age::secrecy::SecretString;
use age::{scrypt, x25519};
use zeroize::Zeroizing;

use super::header::{Header, Slot, SlotKind};
use super::plugin::{self, Plugin};
use super::sealing::{Identity, SealFault, decrypt, digest_hex};
use super::unlock::Ask;
use super::{Vault, VaultError, lock_header, rotation};
use crate::host::files::{self, Access, FileFault};
use crate::profile::EntryName;
use crate::secret::Passphrase;

/// The work factor that we write: a second and 256 MiB on a present machine. The age crate's own choice depends on how
/// busy the machine is.
const WORK_FACTOR: u8 = 18;

/// The highest work factor that is tried: four times the time and memory of ours.
const HIGHEST_WORK_FACTOR: u8 = 20;

/// A wrapped identity is some hundred bytes.
const LARGEST_SLOT: usize = 64 * 1024;

/// For whom the vault identity is wrapped.
pub(crate) enum Wrapping {
    /// Who knows a passphrase.
    Passphrase(Passphrase),
    /// Who has the identity of this recipient.
    Recipient(String),
}

/// Returns where a slot's file is.
fn path(vault: &Path, name: &EntryName) -> PathBuf {
    vault.join(below(name))
}

/// Returns where a slot's file is below the vault's folder.
pub(super) fn below(name: &EntryName) -> PathBuf {
    Path::new("slots").join(format!("{name}.age"))
}

/// Tells whether something lies where a slot's file would be.
pub(super) fn exists(vault: &Path, name: &EntryName) -> bool {
    path(vault, name).symlink_metadata().is_ok()
}

/// A slot and its file, which is not written yet.
pub(super) struct Wrapped {
    /// The slot.
    pub(super) slot: Slot,
    /// What its file will hold.
    file: Vec<u8>,
}

/// Returns where the file waits that is to take a slot's place. No slot's own file is called so.
fn successor(vault: &Path, name: &EntryName) -> PathBuf {
    vault.join("slots").join(format!("{name}.age.next"))
}

/// Wraps an identity and writes the slot's file, which must not exist yet.
pub(super) fn write(
    (vault, name): (&Path, &EntryName),
    identity: &Identity,
    wrapping: Wrapping,
    ask: Ask<'_>,
) -> Result<Slot, VaultError> {
    let wrapped = wrapped(name.clone(), identity, wrapping, ask)?;
    put(vault, &wrapped)?;
    Ok(wrapped.slot)
}

/// Wraps an identity for a slot.
pub(super) fn wrapped(
    name: EntryName,
    identity: &Identity,
    wrapping: Wrapping,
    ask: Ask<'_>,
) -> Result<Wrapped, VaultError> {
    let (kind, file) = seal(&wrapping, identity.text().as_bytes(), ask)?;
    refuse_unreadable(&file)?;
    let recipient = match wrapping {
        Wrapping::Passphrase(_) => None,
        Wrapping::Recipient(recipient) => Some(recipient),
    };
    Ok(Wrapped { slot: Slot { name, kind, recipient, digest: digest_hex(&file) }, file })
}

/// Refuses a slot that nobody could read again: a plugin may say more than a slot holds, and what no header can.
fn refuse_unreadable(file: &[u8]) -> Result<(), VaultError> {
    if file.len() > LARGEST_SLOT || age::Decryptor::new_buffered(file).is_err() {
        return Err(VaultError::Wrapping("what the plugin answered could not be read again".to_owned()));
    }
    Ok(())
}

/// Refuses to wrap an identity for itself: after a rotation who has the old one would open the new one with it.
fn refuse_own(wrapping: &Wrapping, identity: &Identity) -> Result<(), VaultError> {
    match wrapping {
        Wrapping::Recipient(recipient) if recipient.eq_ignore_ascii_case(&identity.recipient().to_string()) => {
            Err(VaultError::OwnRecipient)
        }
        Wrapping::Recipient(_) | Wrapping::Passphrase(_) => Ok(()),
    }
}

/// Writes the file of a slot.
pub(super) fn put(vault: &Path, wrapped: &Wrapped) -> Result<(), VaultError> {
    let folder = vault.join("slots");
    files::make_folder(&folder)?;
    files::check_folder(&folder)?;
    Ok(files::replace(&path(vault, &wrapped.slot.name), &wrapped.file, 0o600)?)
}

/// Tells whether a file's name is that of a slot, or of what waits to take its place.
pub(super) fn is_file_of(slot: &Slot, file: &str) -> bool {
    file.strip_suffix(".next").unwrap_or(file).strip_suffix(".age") == Some(slot.name.as_str())
}

/// Seals some bytes for who knows a passphrase or has a key, and tells which of these it is.
pub(super) fn seal(wrapping: &Wrapping, bytes: &[u8], ask: Ask<'_>) -> Result<(SlotKind, Vec<u8>), VaultError> {
    let wrapped = |error: age::EncryptError| VaultError::Wrapping(format!("{error:?}"));
    let recipient = match wrapping {
        Wrapping::Passphrase(passphrase) => {
            return Ok((SlotKind::Passphrase, seal_for(&passphrase_lock(passphrase), bytes).map_err(wrapped)?));
        }
        Wrapping::Recipient(recipient) => recipient,
    };
    if let Ok(native) = x25519::Recipient::from_str(recipient) {
        return Ok((SlotKind::Recipient, seal_for(&native, bytes).map_err(wrapped)?));
    }
    if recipient.to_ascii_uppercase().starts_with("AGE-SECRET-KEY-") {
        return Err(VaultError::SecretForRecipient);
    }
    let plugin = Plugin::for_recipient(recipient, ask).ok_or(VaultError::NotARecipient)?;
    let file = seal_for(&plugin, bytes);
    Ok((SlotKind::Plugin, file.map_err(|error| plugin.fault().unwrap_or_else(|| wrapped(error)))?))
}

/// Encrypts for one recipient that may fail; the age crate's own short cut ends the program then.
fn seal_for(recipient: &dyn age::Recipient, bytes: &[u8]) -> Result<Vec<u8>, age::EncryptError> {
    let encryptor = age::Encryptor::with_recipients(std::iter::once(recipient))?;
    let mut file = Vec::with_capacity(bytes.len() + 1024);
    let mut writer = encryptor.wrap_output(&mut file)?;
    writer.write_all(bytes)?;
    writer.finish()?;
    Ok(file)
}

/// Returns what closes a file with a passphrase, at a price that does not depend on how busy the machine is.
fn passphrase_lock(passphrase: &Passphrase) -> scrypt::Recipient {
    let mut recipient = scrypt::Recipient::new(for_age(passphrase));
    recipient.set_work_factor(WORK_FACTOR);
    recipient
}

/// Reads the file of a slot, be it that it still waits to take its place.
pub(super) fn read(vault: &Path, slot: &Slot) -> Result<Vec<u8>, VaultError> {
    let file = files::read(&path(vault, &slot.name), Access::Private, LARGEST_SLOT)?;
    if digest_hex(&file) == slot.digest {
        return Ok(file);
    }
    waiting(vault, slot).ok_or_else(|| VaultError::SlotReplaced { name: slot.name.clone() })
}

/// Returns the file that waits to take a slot's place, if it is the one on the list.
fn waiting(vault: &Path, slot: &Slot) -> Option<Vec<u8>> {
    let file = files::read(&successor(vault, &slot.name), Access::Private, LARGEST_SLOT).ok()?;
    (digest_hex(&file) == slot.digest).then_some(file)
}

/// Ends, under the lock, what a change that was killed has begun: the file on the list gets its place, any other goes.
fn settle(vault: &Path, header: &Header) -> Result<(), VaultError> {
    for slot in &header.slots {
        let (path, successor) = (path(vault, &slot.name), successor(vault, &slot.name));
        if successor.symlink_metadata().is_err() {
            continue;
        }
        if waiting(vault, slot).is_some() {
            std::fs::rename(&successor, &path).map_err(files::fault("replace", &path))?;
        } else {
            std::fs::remove_file(&successor).map_err(files::fault("remove", &successor))?;
        }
        files::sync_folder(&vault.join("slots"))?;
    }
    Ok(())
}

/// Tries to open the slots of a header with a passphrase.
pub(super) fn open_with_passphrase(
    vault: &Path,
    header: &Header,
    passphrase: &Passphrase,
) -> Result<Option<Identity>, VaultError> {
    open_kind(vault, header, SlotKind::Passphrase, &passphrase_key(passphrase))
}

/// Tries to open one slot with a passphrase.
pub(super) fn open_one(
    vault: &Path,
    header: &Header,
    slot: &Slot,
    passphrase: &Passphrase,
) -> Result<Option<Identity>, VaultError> {
    open(vault, header, slot, &passphrase_key(passphrase))
}

/// Returns what opens the files behind a passphrase, if that takes no more work than we are ready for.
pub(super) fn passphrase_key(passphrase: &Passphrase) -> scrypt::Identity {
    let mut key = scrypt::Identity::new(for_age(passphrase));
    key.set_max_work_factor(HIGHEST_WORK_FACTOR);
    key
}

/// Hands a passphrase to the age crate.
fn for_age(passphrase: &Passphrase) -> SecretString {
    SecretString::from(passphrase.expose().clone())
}

/// Tries to open the slots of a header with another identity, or with what a plugin takes for one.
pub(super) fn open_with_identity(
    (vault, header): (&Path, &Header),
    other: &str,
    ask: Ask<'_>,
) -> Result<Option<Identity>, VaultError> {
    if let Ok(identity) = x25519::Identity::from_str(other) {
        return open_kind(vault, header, SlotKind::Recipient, &identity);
    }
    let Some(key) = Plugin::for_identity(other, ask) else { return Ok(None) };
    let is_its_own =
        |slot: &&Slot| slot.recipient.as_deref().and_then(plugin::of_recipient) == plugin::of_identity(other);
    let slots = header.slots.iter().filter(|slot| slot.kind == SlotKind::Plugin).filter(is_its_own);
    match open_first(slots, |slot| open(vault, header, slot, &key)) {
        Ok(Some(identity)) => Ok(Some(identity)),
        opened => key.fault().map_or(opened, Err),
    }
}

/// Tries all slots of one kind; what comes out must be the identity of this vault.
fn open_kind(
    vault: &Path,
    header: &Header,
    kind: SlotKind,
    key: &dyn age::Identity,
) -> Result<Option<Identity>, VaultError> {
    open_first(header.slots.iter().filter(|slot| slot.kind == kind), |slot| open(vault, header, slot, key))
}

/// Opens the first slot that can be opened.
///
/// One that was tampered with keeps nobody out who can open another one; else it is the answer.
fn open_first<'a>(
    slots: impl Iterator<Item = &'a Slot>,
    open: impl Fn(&Slot) -> Result<Option<Identity>, VaultError>,
) -> Result<Option<Identity>, VaultError> {
    let mut fault = None;
    for slot in slots {
        match open(slot) {
            Ok(Some(identity)) => return Ok(Some(identity)),
            Ok(None) => {}
            Err(error) => fault = fault.or(Some(error)),
        }
    }
    fault.map_or(Ok(None), Err)
}

/// Tries one slot; `None` if the key is not the one it was wrapped for.
fn open(vault: &Path, header: &Header, slot: &Slot, key: &dyn age::Identity) -> Result<Option<Identity>, VaultError> {
    let replaced = || VaultError::SlotReplaced { name: slot.name.clone() };
    let file = match read(vault, slot) {
        Ok(file) => file,
        Err(fault) => return open_newer(vault, header, slot, key).unwrap_or(Err(fault)),
    };
    let text = match decrypt(key, &file) {
        Ok(text) => text,
        Err(SealFault::NotForUs) => return Ok(None),
        // we write whole files, and none that takes more work than the limit
        Err(_) => return Err(replaced()),
    };
    let text = Zeroizing::new(String::from_utf8_lossy(&text).trim().to_owned());
    let identity = Identity::parse(&text).filter(|identity| identity.recipient().to_string() == header.recipient);
    identity.map(Some).ok_or_else(replaced)
}

/// Tries a slot whose file is not the one on our list, if somebody has changed it since we read that; else `None`.
fn open_newer(
    vault: &Path,
    header: &Header,
    slot: &Slot,
    key: &dyn age::Identity,
) -> Option<Result<Option<Identity>, VaultError>> {
    let newer = Header::read(vault).ok().filter(|newer| newer.recipient == header.recipient)?;
    let changed = newer.slots.iter().find(|other| other.name == slot.name && other.digest != slot.digest)?;
    let opened = open(vault, &newer, changed, key);
    // nobody else looks at this list
    Some(opened.and_then(|identity| match identity {
        Some(identity) => newer.authenticate(vault, &identity).map(|()| Some(identity)),
        None => Ok(None),
    }))
}

/// Lists what lies beside the header and the slots on its list and has no place there.
pub(super) fn foreign(vault: &Path, header: &Header) -> Result<Vec<PathBuf>, FileFault> {
    const OURS: [&str; 4] = ["vault.toml", "lock", "slots", "entries"];
    let mut listed: Vec<PathBuf> = header.slots.iter().map(|slot| path(vault, &slot.name)).collect();
    let has_changed = |slot: &&Slot| waiting(vault, slot).is_some();
    listed.extend(header.slots.iter().filter(has_changed).map(|slot| successor(vault, &slot.name)));
    let beside = files::list(vault)?.into_iter().filter(|name| !OURS.iter().any(|ours| name == ours));
    let beside = beside.map(|name| vault.join(name));
    let folder = vault.join("slots");
    let slots = match files::list(&folder) {
        Err(fault) if fault.is_missing() => Vec::new(),
        listing => listing?,
    };
    let unlisted = slots.into_iter().map(|name| folder.join(name)).filter(|path| !listed.contains(path));
    Ok(beside.chain(unlisted).collect())
}

/// Checks that every slot's file is the one on the list.
pub(super) fn check_all(vault: &Path, header: &Header) -> Vec<VaultError> {
    header.slots.iter().filter_map(|slot| read(vault, slot).err()).collect()
}

impl Vault {
    /// Adds a slot.
    pub(crate) fn add_slot(&mut self, name: &EntryName, wrapping: Wrapping, ask: Ask<'_>) -> Result<(), VaultError> {
        self.refuse_taken(name)?;
        refuse_own(&wrapping, &self.identity)?;
        // others do not wait for the lock as long as a passphrase or a plugin may take
        let wrapped = wrapped(name.clone(), &self.identity, wrapping, ask)?;
        let _lock = lock_header(&self.folder)?;
        self.reread_header()?;
        self.refuse_taken(name)?;
        put(&self.folder, &wrapped)?;
        let slots = self.header.slots.iter().cloned().chain([wrapped.slot]).collect();
        self.replace_slots(slots)
    }

    /// Refuses a name that a slot has, be it in other letters.
    fn refuse_taken(&self, name: &EntryName) -> Result<(), VaultError> {
        let taken = |slot: &Slot| slot.name.as_str().eq_ignore_ascii_case(name.as_str());
        if self.header.slots.iter().any(taken) {
            return Err(VaultError::SlotExists { name: name.clone() });
        }
        Ok(())
    }

    /// Finds a slot that a passphrase opens.
    pub(crate) fn passphrase_slot(&self, name: &EntryName) -> Result<&Slot, VaultError> {
        match self.header.slots.iter().find(|slot| &slot.name == name) {
            Some(slot) if slot.kind == SlotKind::Passphrase => Ok(slot),
            Some(_) => Err(VaultError::NotAPassphrase { name: name.clone() }),
            None => Err(VaultError::NoSuchSlot { name: name.clone() }),
        }
    }

    /// Gives a slot another passphrase.
    ///
    /// The new file waits beside the old one until the list names it, and then takes its place: at each moment the list
    /// names one that is there.
    pub(crate) fn change_passphrase(&mut self, name: &EntryName, passphrase: Passphrase) -> Result<(), VaultError> {
        let Wrapped { slot, file } = wrapped(name.clone(), &self.identity, Wrapping::Passphrase(passphrase), None)?;
        let _lock = lock_header(&self.folder)?;
        self.reread_header()?;
        self.passphrase_slot(name)?;
        files::check_folder(&self.folder.join("slots"))?;
        files::replace(&successor(&self.folder, name), &file, 0o600)?;
        let mut slots = self.header.slots.clone();
        slots.iter_mut().filter(|other| &other.name == name).for_each(|other| slot.clone_into(other));
        self.replace_slots(slots)?;
        settle(&self.folder, &self.header)
    }

    /// Removes a slot. The last way in stays, unless the vault was opened with its bare identity.
    pub(crate) fn remove_slot(&mut self, name: &EntryName) -> Result<(), VaultError> {
        let _lock = lock_header(&self.folder)?;
        self.reread_header()?;
        let (removed, slots): (Vec<Slot>, Vec<Slot>) =
            self.header.slots.iter().cloned().partition(|slot| &slot.name == name);
        if removed.is_empty() {
            return Err(VaultError::NoSuchSlot { name: name.clone() });
        }
        if slots.is_empty() && self.opened_by_slot {
            return Err(VaultError::LastSlot { name: name.clone() });
        }
        self.replace_slots(slots)?;
        let path = path(&self.folder, name);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(files::fault("remove", &path)(error).into())
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Reads the list of slots again, under the lock: somebody else may have changed it since we opened the vault, or have
    /// been killed over it.
    fn reread_header(&mut self) -> Result<(), VaultError> {
        rotation::refuse_another(&self.folder, &self.header)?;
        let header = Header::read(&self.folder)?;
        header.authenticate(&self.folder, &self.identity)?;
        settle(&self.folder, &header)?;
        self.header = header;
        Ok(())
    }

    /// Writes the list of slots anew.
    fn replace_slots(&mut self, slots: Vec<Slot>) -> Result<(), VaultError> {
        let header = Header::new(&self.identity, slots);
        header.write(&self.folder)?;
        self.header = header;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::Site;

    /// A vault with the slot `words`, and its folder.
    fn vault(folder: &Path) -> Vault {
        let pin = super::super::pin::Pin::of(&folder.join("state"), &folder.join("vault"));
        let words = ("words".parse().unwrap(), Wrapping::Passphrase(passphrase("old")));
        Vault::create(&Site::in_files(folder.join("vault")), &pin, Identity::generate(), Some(words)).unwrap()
    }

    fn passphrase(text: &str) -> Passphrase {
        Passphrase::new(text.to_owned())
    }

    #[test]
    fn who_has_read_the_list_before_a_change_opens_with_the_new_passphrase() {
        let folder = tempfile::tempdir().unwrap();
        let mut vault = vault(folder.path());
        let before = vault.header.clone();
        vault.change_passphrase(&"words".parse().unwrap(), passphrase("new")).unwrap();
        let open = |text: &str| open_with_passphrase(&vault.folder, &before, &passphrase(text));
        let opened = open("new").unwrap().unwrap();
        assert_eq!(opened.recipient().to_string(), before.recipient);
        assert!(open("old").unwrap().is_none());
    }

    #[test]
    fn a_newer_list_that_somebody_else_wrote_opens_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let vault = vault(folder.path());
        let (name, before): (EntryName, _) = ("words".parse().unwrap(), vault.header.clone());
        // the file is good, but the list that names it is authenticated by another key
        let wrapping = Wrapping::Passphrase(passphrase("new"));
        let Wrapped { slot, file } = wrapped(name.clone(), &vault.identity, wrapping, None).unwrap();
        files::replace(&path(&vault.folder, &name), &file, 0o600).unwrap();
        let mut forged = Header::new(&Identity::generate(), vec![slot]);
        before.recipient.clone_into(&mut forged.recipient);
        forged.write(&vault.folder).unwrap();
        let opened = open_with_passphrase(&vault.folder, &before, &passphrase("new"));
        assert!(matches!(opened, Err(VaultError::Header { .. })));
    }
}
