//! The connection to the Secret Service: it looks before it reads or writes, so that nobody is asked to unlock anything.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dbus_secret_service::{EncryptionType, SecretService};
use dbus_secret_service_keyring_store::Store;
use keyring_core::Entry;
use keyring_core::api::{CredentialPersistence, CredentialStoreApi as _};
use zeroize::Zeroizing;

use super::fault::{DesktopFault, fault, refused, unconnected};

/// What all our items are found by, beside the name of each.
const SERVICE: &str = "tokenkeep";

/// Two connections of one thread to the Secret Service.
pub(super) struct Link {
    /// Sees what is locked. It cannot ask anybody to unlock anything, which is what the store would do by itself.
    scout: SecretService,
    /// Reads and writes.
    store: Arc<Store>,
}

/// Where an item is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// It can be read and replaced.
    There,
    /// There is none.
    Nowhere,
}

impl Link {
    /// Connects.
    pub(super) fn open() -> Result<Self, DesktopFault> {
        let scout = SecretService::connect_with_max_prompt_timeout(EncryptionType::Plain, 0)
            .map_err(|error| unconnected(&error))?;
        let store = Store::new().map_err(|error| refused(&error))?;
        Ok(Self { scout, store })
    }

    /// Claims that something could be kept for good now.
    pub(super) fn check(&self) -> Result<(), DesktopFault> {
        let home = self.scout.get_default_collection().map_err(|error| match error {
            dbus_secret_service::Error::NoResult => DesktopFault::NoCollection,
            error => fault(&error),
        })?;
        let forgets = self.scout.get_collection_by_alias("session").is_ok_and(|session| session.path == home.path);
        if forgets || !matches!(self.store.persistence(), CredentialPersistence::UntilDelete) {
            return Err(DesktopFault::Forgetful);
        }
        let locked = home.is_locked().map_err(|error| fault(&error))?;
        if locked { Err(DesktopFault::Locked) } else { Ok(()) }
    }

    /// Looks where an item is. One that is locked is an error; in a collection that is locked, there could be one.
    fn find(&self, name: &str) -> Result<Place, DesktopFault> {
        let attributes = HashMap::from([("service", SERVICE), ("username", name)]);
        let found = self.scout.search_items(attributes).map_err(|error| fault(&error))?;
        if !found.locked.is_empty() {
            return Err(DesktopFault::Locked);
        }
        match found.unlocked.len() {
            0 => match self.check() {
                Ok(()) | Err(DesktopFault::NoCollection | DesktopFault::Forgetful) => Ok(Place::Nowhere),
                Err(fault) => Err(fault),
            },
            1 => Ok(Place::There),
            _ => Err(DesktopFault::Ambiguous(name.to_owned())),
        }
    }

    /// Lists the names of all our items.
    pub(super) fn names(&self) -> Result<Vec<String>, DesktopFault> {
        let found = self.scout.search_items(HashMap::from([("service", SERVICE)])).map_err(|error| fault(&error))?;
        if !found.locked.is_empty() {
            return Err(DesktopFault::Locked);
        }
        let attributes = found.unlocked.iter().map(|item| item.get_attributes().map_err(|error| fault(&error)));
        let attributes = attributes.collect::<Result<Vec<_>, _>>()?;
        Ok(attributes.into_iter().filter_map(|mut found| found.remove("username")).collect())
    }

    /// Returns the store's entry for a name.
    fn entry(&self, name: &str, label: &str) -> Result<Entry, DesktopFault> {
        let label = HashMap::from([("label", label)]);
        self.store.build(SERVICE, name, Some(&label)).map_err(|error| refused(&error))
    }

    /// Reads the text under a name.
    pub(super) fn read(&self, name: &str) -> Result<Zeroizing<Vec<u8>>, DesktopFault> {
        match self.find(name)? {
            Place::There => text_of(&self.entry(name, name)?, name),
            Place::Nowhere => Err(DesktopFault::NoItem(name.to_owned())),
        }
    }

    /// Keeps a text under a name, and reads it back.
    pub(super) fn write(
        &self,
        (name, label): (&str, &str),
        text: &[u8],
        overdue: &AtomicBool,
    ) -> Result<(), DesktopFault> {
        if self.find(name)? == Place::Nowhere {
            self.check()?;
        }
        let entry = self.entry(name, label)?;
        refuse_late(overdue)?;
        entry.set_secret(text).map_err(|error| refused(&error))?;
        let kept = text_of(&entry, name)?;
        if kept.as_slice() == text { Ok(()) } else { Err(DesktopFault::Unfaithful(name.to_owned())) }
    }

    /// Removes what is under a name.
    pub(super) fn remove(&self, name: &str, overdue: &AtomicBool) -> Result<(), DesktopFault> {
        if self.find(name)? == Place::Nowhere {
            return Ok(());
        }
        let entry = self.entry(name, name)?;
        refuse_late(overdue)?;
        match entry.delete_credential() {
            Ok(()) | Err(keyring_core::Error::NoEntry) => Ok(()),
            Err(error) => Err(refused(&error)),
        }
    }
}

/// Reads the text of an entry.
fn text_of(entry: &Entry, name: &str) -> Result<Zeroizing<Vec<u8>>, DesktopFault> {
    match entry.get_secret() {
        Ok(text) => Ok(Zeroizing::new(text)),
        Err(keyring_core::Error::NoEntry) => Err(DesktopFault::NoItem(name.to_owned())),
        Err(error) => Err(refused(&error)),
    }
}

/// Keeps a change from happening after who wanted it has given up, and perhaps the lock with it.
fn refuse_late(overdue: &AtomicBool) -> Result<(), DesktopFault> {
    if overdue.load(Ordering::SeqCst) { Err(DesktopFault::Silent) } else { Ok(()) }
}
