//! Unlocking: who gives the vault identity, or what opens a slot. The first source that is present decides.

mod named;

use std::io;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::secret::{Passphrase, Secret};
use crate::vault::header::{Header, SlotKind};
use crate::vault::keyring::{DesktopFault, Keyring};
use crate::vault::sealing::Identity;
use crate::vault::{Vault, VaultError, kernel, plugin, slots};
use named::{Given, Named};

pub(crate) use named::{
    LARGEST_IDENTITY, identity_lines, read_identities, read_identity_file, read_passphrase, read_passphrases,
};

/// What the keyring of the desktop is called among the sources.
const KEYRING: &str = "the keyring (unlock.keyring)";

/// Everything that could open the vault, as the command line, the environment and the settings name it.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    /// `--identity-fd`
    pub(crate) identity_fd: Option<i32>,
    /// `--passphrase-fd`
    pub(crate) passphrase_fd: Option<i32>,
    /// `TOKENKEEP_IDENTITY_FILE`
    pub(crate) identity_file_variable: Option<PathBuf>,
    /// `$CREDENTIALS_DIRECTORY`, where systemd puts what a unit loads.
    pub(crate) credentials: Option<PathBuf>,
    /// `TOKENKEEP_IDENTITY`
    pub(crate) identity_variable: Option<Secret<String>>,
    /// `unlock.identity_file`
    pub(crate) identity_file: Option<PathBuf>,
    /// `unlock.keyring`
    pub(crate) keyring: Option<Keyring>,
}

/// Whether an earlier `unlock` left the vault identity in the kernel's keyring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lent {
    /// It did, and the time is not over.
    Yes,
    /// Nobody did.
    No,
}

/// Asks a person for a passphrase.
pub(crate) type AskPassphrase = dyn Fn(&str) -> Result<Passphrase, VaultError>;

/// How a passphrase is asked for; `None` where nobody can be asked.
pub(crate) type Ask<'a> = Option<&'a AskPassphrase>;

/// An identity that was found, and how.
pub(super) struct Unlocked {
    /// The vault identity.
    pub(super) identity: Identity,
    /// Whether it came out of a slot, or of the kernel's keyring, where it does not last.
    pub(super) by_slot: bool,
}

impl Sources {
    /// Opens a vault with the first source that is present.
    pub(super) fn open(&self, vault: &Path, header: &Header, ask: Ask<'_>) -> Result<Unlocked, VaultError> {
        let slots = || header.slots.iter().map(|slot| slot.kind).collect();
        let (source, given) = self.first(header, ask).map_err(|error| match error {
            VaultError::Source { name, fault, .. } => VaultError::Source { name, fault, slots: slots() },
            other => other,
        })?;
        match given {
            Given::Passphrase(_) if header.slots.iter().all(|slot| slot.kind != SlotKind::Passphrase) => {
                Err(VaultError::NoPassphrase { source_name: source })
            }
            Given::Passphrase(passphrase) => match slots::open_with_passphrase(vault, header, &passphrase)? {
                Some(identity) => Ok(Unlocked { identity, by_slot: true }),
                None => Err(VaultError::WrongPassphrase { source_name: source }),
            },
            Given::Identities(text) => open_with_identities((vault, header), &text, source, ask),
            Given::Lent(text) => {
                let unlocked = open_with_identities((vault, header), &text, source, ask)?;
                Ok(Unlocked { by_slot: true, ..unlocked })
            }
        }
    }

    /// Returns what stays of it for the next command of the same shell or unit: a descriptor does not.
    pub(crate) fn of_another_command(self) -> Self {
        Self { identity_fd: None, passphrase_fd: None, ..self }
    }

    /// Returns what stays of it for a process that is started later, like a unit's: what was handed to this one does not.
    pub(crate) fn of_another_process(self) -> Self {
        Self { credentials: None, identity_variable: None, ..self.of_another_command() }
    }

    /// Returns what stays of it outside the session, too: the keyring of the desktop is reached from within alone.
    pub(crate) fn of_another_session(self) -> Self {
        Self { keyring: None, ..self.of_another_process() }
    }

    /// Returns the identity files that somebody named for this user or command, and that are theirs to change.
    pub(crate) fn named_files(&self) -> impl Iterator<Item = &PathBuf> {
        self.identity_file_variable.iter().chain(&self.identity_file)
    }

    /// Tells whether something other than a keyring, a person or a slot was named.
    pub(crate) fn is_named(&self) -> bool {
        self.named().is_some()
    }

    /// Tells whether the keyring is the first source that is present.
    pub(crate) fn is_keyring(&self) -> bool {
        self.named().is_none() && self.keyring.is_some()
    }

    /// Tells whether the first source that is present is one of [`Self::named_files`].
    pub(crate) fn is_named_file(&self) -> bool {
        matches!(self.named(), Some(Named::FileVariable(_) | Named::SettingsFile(_)))
    }

    /// Names the source that would be used; `None` if nobody but a person could open the vault.
    pub(crate) fn present(&self, lent: Lent) -> Option<String> {
        let keyring = || match lent {
            Lent::Yes => Some(kernel::SOURCE.to_owned()),
            Lent::No => self.keyring.as_ref().map(|_| KEYRING.to_owned()),
        };
        self.named().map(|source| source.to_string()).or_else(keyring)
    }

    /// Returns the first source that is present, whatever the keyrings hold.
    fn named(&self) -> Option<Named<'_>> {
        let by_number = self.identity_fd.map(Named::IdentityFd).or(self.passphrase_fd.map(Named::PassphraseFd));
        by_number
            .or_else(|| self.identity_file_variable.as_deref().map(Named::FileVariable))
            .or_else(|| self.credential().map(Named::Credential))
            .or_else(|| self.identity_variable.as_ref().map(Named::Variable))
            .or_else(|| self.identity_file.as_deref().map(Named::SettingsFile))
    }

    /// Returns the file that systemd hands over, if it does.
    fn credential(&self) -> Option<PathBuf> {
        // one that cannot be reached is there all the same, and no reason to try another source
        let is_there = |path: &PathBuf| match path.symlink_metadata() {
            Ok(_) => true,
            Err(error) => !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory),
        };
        self.credentials.as_ref().map(|folder| folder.join("tokenkeep-identity")).filter(is_there)
    }

    /// Returns what the first present source gives, and its name.
    fn first(&self, header: &Header, ask: Ask<'_>) -> Result<(String, Given), VaultError> {
        if let Some(source) = self.named() {
            return Ok((source.to_string(), source.read()?));
        }
        // where it cannot be asked it is not there: that is no reason to keep out who has another way in
        let unasked = match kernel::find(&header.recipient) {
            Ok(Some(opened)) => return Ok((kernel::SOURCE.to_owned(), Given::Lent(opened.text))),
            Ok(None) => None,
            Err(fault) => Some(fault),
        };
        let absence = match self.keyring.as_ref().map(|keyring| from_keyring(keyring, header)) {
            Some(Ok(text)) => return Ok((KEYRING.to_owned(), Given::Identities(text))),
            Some(Err(error)) if error.is_absent_keyring() => Some(error),
            Some(Err(error)) => return Err(error),
            None => None,
        };
        match (ask, absence) {
            (Some(ask), _) if header.slots.iter().any(|slot| slot.kind == SlotKind::Passphrase) => {
                let passphrase = ask("Passphrase of the vault: ")?;
                Ok(("typed".to_owned(), Given::Passphrase(passphrase)))
            }
            (_, Some(absence)) => Err(absence),
            (_, None) => {
                let slots = header.slots.iter().map(|slot| slot.kind).collect();
                Err(VaultError::Locked { slots, kernel: unasked })
            }
        }
    }
}

/// Returns the name under which the keyring holds the identity of a vault: nothing in it is secret, and another vault of
/// the same user has another one.
fn keyring_name(recipient: &str) -> String {
    format!("identity {recipient}")
}

/// Reads the identity of a vault in the keyring.
fn from_keyring(keyring: &Keyring, header: &Header) -> Result<Zeroizing<String>, VaultError> {
    let bytes = keyring
        .read(&keyring_name(&header.recipient))
        .map_err(|fault| VaultError::Desktop { doing: "read the vault's key in the keyring".to_owned(), fault })?;
    let text = std::str::from_utf8(&bytes).map_err(|_| VaultError::NoIdentity { source_name: KEYRING.to_owned() })?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// Gives the identity of a vault to the keyring.
pub(crate) fn keep_in_keyring(keyring: &Keyring, identity: &Identity) -> Result<(), VaultError> {
    let name = keyring_name(&identity.recipient().to_string());
    let text = Zeroizing::new(identity.text().as_bytes().to_vec());
    let kept = keyring.check().and_then(|()| keyring.write(&name, "tokenkeep: the key of a vault", text));
    kept.map_err(not_kept)
}

/// Tells whether the keyring has the identity of a vault; one that cannot be asked has none.
pub(crate) fn is_in_keyring(keyring: &Keyring, recipient: &str) -> bool {
    keyring.read(&keyring_name(recipient)).is_ok()
}

/// Takes the identity of a vault out of the keyring, if it is there.
pub(crate) fn forget_in_keyring(keyring: &Keyring, recipient: &str) -> Result<(), VaultError> {
    let doing = || "take the vault's key out of the keyring".to_owned();
    keyring.remove(&keyring_name(recipient)).map_err(|fault| VaultError::Desktop { doing: doing(), fault })
}

impl Vault {
    /// Lets the keyring open the vault, too.
    pub(crate) fn keep_in_keyring(&self, keyring: &Keyring) -> Result<(), VaultError> {
        keep_in_keyring(keyring, &self.identity)
    }
}

/// Wraps why the keyring did not take or drop an identity.
pub(crate) fn not_kept(fault: DesktopFault) -> VaultError {
    VaultError::Desktop { doing: "keep the vault's key in the keyring".to_owned(), fault }
}

/// Tries each identity of a text: as the vault's own, then on the slots.
fn open_with_identities(
    (vault, header): (&Path, &Header),
    text: &str,
    source: String,
    ask: Ask<'_>,
) -> Result<Unlocked, VaultError> {
    for identity in identity_lines(text).filter_map(Identity::parse) {
        // its key authenticates the header: that is quicker than computing the recipient, and proves the same
        if header.is_authentic(&identity) || identity.recipient().to_string() == header.recipient {
            return Ok(Unlocked { identity, by_slot: false });
        }
    }
    if identity_lines(text).all(|line| Identity::parse(line).is_none() && plugin::of_identity(line).is_none()) {
        return Err(VaultError::NoIdentity { source_name: source });
    }
    let mut fault = None;
    // what needs no plugin goes first: a plugin may want a person
    let (of_plugins, native): (Vec<&str>, Vec<&str>) =
        identity_lines(text).partition(|line| plugin::of_identity(line).is_some());
    for line in native.into_iter().chain(of_plugins) {
        match slots::open_with_identity((vault, header), line, ask) {
            Ok(Some(identity)) => return Ok(Unlocked { identity, by_slot: true }),
            Ok(None) => {}
            // the next line may open another slot
            Err(error) => fault = fault.or(Some(error)),
        }
    }
    Err(fault.unwrap_or(VaultError::NotThisVault { source_name: source }))
}
