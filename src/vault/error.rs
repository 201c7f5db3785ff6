//! What can be wrong with a vault, in the words that people read.

use std::path::PathBuf;
use std::time::Duration;

use super::HEADER_PATIENCE;
use super::header::{self, SlotKind};
use super::keyring::DesktopFault;
use super::plugin::PluginFault;
use super::sealing::SealFault;
use crate::host::files::FileFault;
use crate::host::kernel_keyring::KernelFault;
use crate::profile::EntryName;

/// What can be wrong with a vault.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VaultError {
    /// There is none.
    #[error("there is no vault in {}", vault.display())]
    Missing {
        /// Where it would be.
        vault: PathBuf,
    },
    /// There are entries, and nothing says whose they are.
    #[error("{} is missing, and its vault holds {}", header::path(vault).display(), counted(*entries))]
    HeaderMissing {
        /// Where it would be.
        vault: PathBuf,
        /// How many entries are there.
        entries: usize,
    },
    /// There already is one.
    #[error("there already is a vault in {}", vault.display())]
    Exists {
        /// Where it is.
        vault: PathBuf,
    },
    /// Nothing that opens it is at hand.
    #[error("the vault is locked, and nothing here opens it")]
    Locked {
        /// The kinds of its slots.
        slots: Vec<SlotKind>,
        /// Why the kernel's keyring could not be asked, if that was so.
        #[source]
        kernel: Option<KernelFault>,
    },
    /// The source that was chosen cannot be read.
    #[error("cannot read the vault identity from {name}")]
    Source {
        /// The source.
        name: String,
        /// What is wrong with its file.
        #[source]
        fault: FileFault,
        /// The kinds of the vault's slots, if it was the vault that was to be opened.
        slots: Vec<SlotKind>,
    },
    /// A descriptor that was named cannot be read.
    #[error("cannot read {flag} {number}")]
    Descriptor {
        /// The flag.
        flag: &'static str,
        /// The descriptor's number.
        number: i32,
        /// Why not.
        source: std::io::Error,
    },
    /// The source holds no identity.
    #[error("{source_name} holds no age identity (a line AGE-SECRET-KEY-1... or AGE-PLUGIN-NAME-1...)")]
    NoIdentity {
        /// The source.
        source_name: String,
    },
    /// The source's identity neither is this vault's nor opens a slot.
    #[error("the identity from {source_name} does not open this vault")]
    NotThisVault {
        /// The source.
        source_name: String,
    },
    /// The passphrase opens no slot.
    #[error("wrong passphrase ({source_name})")]
    WrongPassphrase {
        /// Where it came from.
        source_name: String,
    },
    /// A passphrase was given, and there is no slot for one.
    #[error("no slot of this vault is opened by a passphrase ({source_name})")]
    NoPassphrase {
        /// Where it came from.
        source_name: String,
    },
    /// The keyring does not give or take what it should.
    #[error("cannot {doing}")]
    Desktop {
        /// What was tried, as a verb with its object.
        doing: String,
        /// What is wrong.
        #[source]
        fault: DesktopFault,
    },
    /// Nobody answered.
    #[error("nobody typed a passphrase")]
    NotAnswered(#[source] std::io::Error),
    /// `vault.toml` is damaged or was changed by somebody else.
    #[error("{} cannot be trusted: {reason}", path.display())]
    Header {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The vault is another one than before.
    #[error("this is not the vault you used: {} has another recipient", vault.display())]
    AnotherVault {
        /// The vault's folder.
        vault: PathBuf,
        /// The digest that was pinned.
        pinned: String,
        /// The digest of the recipient that is there.
        found: String,
    },
    /// A slot's file is not the one that was written.
    #[error("slot `{name}` was replaced by somebody else's")]
    SlotReplaced {
        /// The slot.
        name: EntryName,
    },
    /// A slot of that name is there.
    #[error("there already is a slot `{name}`")]
    SlotExists {
        /// The slot.
        name: EntryName,
    },
    /// No slot of that name is there.
    #[error("there is no slot `{name}`")]
    NoSuchSlot {
        /// The slot.
        name: EntryName,
    },
    /// The slot has no passphrase.
    #[error("slot `{name}` is opened by a key, and not by a passphrase")]
    NotAPassphrase {
        /// The slot.
        name: EntryName,
    },
    /// The only slot cannot go.
    #[error("`{name}` is the last slot, and the only way into this vault that is known")]
    LastSlot {
        /// The slot.
        name: EntryName,
    },
    /// The text is no recipient.
    #[error("not an age recipient (age1..., or age1NAME1... for a plugin)")]
    NotARecipient,
    /// The recipient is the vault's own: a slot for it would open also what the key that comes after it keeps.
    #[error("this is the vault's own key, which needs no slot")]
    OwnRecipient,
    /// A secret key was given in the place of a recipient.
    #[error("this is a secret key, and not the recipient that goes with it")]
    SecretForRecipient,
    /// A plugin of age does not do what it is there for.
    #[error("the plugin `{name}` of age cannot be used")]
    Plugin {
        /// Its name.
        name: String,
        /// Why not.
        #[source]
        fault: PluginFault,
    },
    /// The age crate could not wrap an identity.
    #[error("cannot wrap the vault identity: {0}")]
    Wrapping(String),
    /// A generation does not open, or is not what its path says.
    #[error("cannot open {}", path.display())]
    Entry {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        fault: SealFault,
    },
    /// A generation cannot be sealed.
    #[error("cannot seal `{name}`")]
    Sealing {
        /// The entry.
        name: EntryName,
        /// Why not.
        #[source]
        fault: SealFault,
    },
    /// The lock was not had in time.
    #[error("another tokenkeep has held the lock of `{name}` for {waited:?}")]
    Busy {
        /// The entry.
        name: EntryName,
        /// How long was waited.
        waited: Duration,
    },
    /// Two names that some file systems cannot tell apart.
    #[error("`{name}` differs from `{existing}` only by case")]
    CaseClash {
        /// The new name.
        name: EntryName,
        /// The one that is there.
        existing: EntryName,
    },
    /// The file system has no way to publish a file without replacing another.
    #[error("the file system of {} can neither rename without replacing nor link", folder.display())]
    Unsuitable {
        /// The vault's folder.
        folder: PathBuf,
    },
    /// An entry is not among the files.
    #[error("`{name}` rests in the keyring, and not in a file")]
    RestsInKeyring {
        /// The entry.
        name: EntryName,
    },
    /// Somebody changes the vault's key.
    #[error("the key of the vault in {} is being changed", vault.display())]
    Rotating {
        /// The vault's folder.
        vault: PathBuf,
    },
    /// The vault's key was changed while we looked.
    #[error("the key of the vault in {} was changed a moment ago", vault.display())]
    Rotated {
        /// The vault's folder.
        vault: PathBuf,
    },
    /// The vault with the new key may be gone after the power went.
    #[error("{} may not rest on the disk yet, so {} and the keys of both are kept", vault.display(), other.display())]
    MayNotRest {
        /// The vault's folder.
        vault: PathBuf,
        /// The vault of before, or the one that was never finished.
        other: PathBuf,
        /// Why.
        #[source]
        fault: FileFault,
    },
    /// The file system has no way to let two folders change places.
    #[error("two folders cannot change places at {}, or files there cannot have two names", folder.display())]
    NoExchange {
        /// The vault's folder.
        folder: PathBuf,
    },
    /// A file is no export, or a damaged one.
    #[error("this is no whole export of tokenkeep: {0}")]
    NotAnExport(String),
    /// An export was made for somebody else.
    #[error("{opener} does not open this export")]
    ExportNotOpened {
        /// What was tried.
        opener: String,
    },
    /// Somebody else changes the list of slots, or the key, or copies the vault.
    #[error("another tokenkeep has held the lock of the vault in {} for {HEADER_PATIENCE:?}", vault.display())]
    HeaderBusy {
        /// The vault's folder.
        vault: PathBuf,
    },
    /// A file that shall hold the new identity holds others.
    #[error("{} holds another identity than that of this vault", path.display())]
    OtherIdentities {
        /// The file.
        path: PathBuf,
    },
    /// The kernel's keyring does not do what is asked of it.
    #[error(transparent)]
    Kernel(#[from] KernelFault),
    /// A file or folder is not as it must be.
    #[error(transparent)]
    File(#[from] FileFault),
}

impl VaultError {
    /// Tells whether there is no keyring, or nothing in it that is asked for.
    pub(crate) const fn is_absent_keyring(&self) -> bool {
        matches!(self, Self::Desktop { fault, .. } if fault.is_absence())
    }
}

/// Counts entries.
fn counted(entries: usize) -> String {
    if entries == 1 { "an entry".to_owned() } else { format!("{entries} entries") }
}
