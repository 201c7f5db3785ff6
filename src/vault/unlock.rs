//! Unlocking: who gives the vault identity, or what opens a slot. The first source that is present decides.

use std::io;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::header::{Header, SlotKind};
use super::keyring::{DesktopFault, Keyring};
use super::sealing::Identity;
use super::{VaultError, kernel, plugin, slots};
use crate::host::descriptor;
use crate::host::files::{self, Access};
use crate::secret::{Passphrase, Secret};

/// An identity file holds a key and some comments.
pub(super) const LARGEST_IDENTITY: usize = 64 * 1024;

/// What systemd's own way of handing an identity over is called.
const CREDENTIAL: &str = "the systemd credential";

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

/// What one source gave.
enum Given {
    /// The text of an identity file.
    Identities(Zeroizing<String>),
    /// The same, from where it will go away by itself.
    Lent(Zeroizing<String>),
    /// What a person would type.
    Passphrase(Passphrase),
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

    /// Names the source that would be used; `None` if nobody but a person could open the vault. `lent` says whether the
    /// kernel's keyring has the identity.
    pub(crate) fn present(&self, lent: bool) -> Option<String> {
        let file = |name: &str, path: &Path| format!("{name} ({})", path.display());
        if let Some(number) = self.identity_fd {
            Some(format!("--identity-fd {number}"))
        } else if let Some(number) = self.passphrase_fd {
            Some(format!("--passphrase-fd {number}"))
        } else if let Some(path) = &self.identity_file_variable {
            Some(file("TOKENKEEP_IDENTITY_FILE", path))
        } else if let Some(path) = self.credential() {
            Some(file(CREDENTIAL, &path))
        } else if self.identity_variable.is_some() {
            Some("TOKENKEEP_IDENTITY".to_owned())
        } else if let Some(path) = &self.identity_file {
            Some(file("unlock.identity_file", path))
        } else {
            let desktop = || self.keyring.as_ref().map(|_| KEYRING.to_owned());
            lent.then(|| kernel::SOURCE.to_owned()).or_else(desktop)
        }
    }

    /// Returns the identity files that somebody named for this user or command, and that are theirs to change.
    pub(crate) fn named_files(&self) -> impl Iterator<Item = &PathBuf> {
        self.identity_file_variable.iter().chain(&self.identity_file)
    }

    /// Tells whether the keyring is the first source that is present.
    pub(crate) fn is_keyring(&self) -> bool {
        self.present(false).as_deref() == Some(KEYRING)
    }

    /// Tells whether the first source that is present is one of [`Self::named_files`].
    pub(crate) fn is_named_file(&self) -> bool {
        let by_number = self.identity_fd.is_some() || self.passphrase_fd.is_some();
        let in_between = self.credential().is_some() || self.identity_variable.is_some();
        !by_number && (self.identity_file_variable.is_some() || !in_between && self.identity_file.is_some())
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
        if let Some(number) = self.identity_fd {
            let text = read_descriptor("--identity-fd", number)?;
            return Ok((format!("--identity-fd {number}"), Given::Identities(text)));
        }
        if let Some(number) = self.passphrase_fd {
            let line = passphrase_of(&read_descriptor("--passphrase-fd", number)?);
            return Ok((format!("--passphrase-fd {number}"), Given::Passphrase(line)));
        }
        if let Some(path) = &self.identity_file_variable {
            return from_file("TOKENKEEP_IDENTITY_FILE", path);
        }
        if let Some(path) = self.credential() {
            return from_file(CREDENTIAL, &path);
        }
        if let Some(text) = &self.identity_variable {
            let text = Zeroizing::new(text.expose().clone());
            return Ok(("TOKENKEEP_IDENTITY".to_owned(), Given::Identities(text)));
        }
        if let Some(path) = &self.identity_file {
            return from_file("unlock.identity_file", path);
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
                Err(VaultError::Locked { slots, keyring: unasked })
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

/// Takes the identity of a vault that did not come about back from the keyring.
pub(crate) fn forget_in_keyring(keyring: &Keyring, recipient: &str) -> Result<(), VaultError> {
    keyring.remove(&keyring_name(recipient)).map_err(not_kept)
}

/// Wraps why the keyring did not take or drop an identity.
pub(crate) fn not_kept(fault: DesktopFault) -> VaultError {
    VaultError::Desktop { doing: "keep the vault's key in the keyring".to_owned(), fault }
}

/// Reads an identity file.
fn from_file(source: &str, path: &Path) -> Result<(String, Given), VaultError> {
    let name = format!("{source} ({})", path.display());
    let bytes = files::read(path, Access::Credential, LARGEST_IDENTITY).map_err(|fault| VaultError::Source {
        name: name.clone(),
        fault,
        slots: Vec::new(),
    })?;
    let text = String::from_utf8(bytes).map_err(|_| VaultError::NoIdentity { source_name: name.clone() })?;
    Ok((name, Given::Identities(Zeroizing::new(text))))
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
pub(crate) fn passphrase_of(text: &str) -> Passphrase {
    Passphrase::new(text.lines().next().unwrap_or_default().to_owned())
}

/// Reads a passphrase for a new slot from the descriptor that a flag names.
pub(crate) fn read_passphrase(flag: &'static str, number: i32) -> Result<Passphrase, VaultError> {
    read_descriptor(flag, number).map(|text| passphrase_of(&text))
}

/// Reads the text of an identity file that is not for the vault.
pub(crate) fn read_identities(flag: &str, path: &Path) -> Result<Zeroizing<String>, VaultError> {
    match from_file(flag, path)?.1 {
        Given::Identities(text) => Ok(text),
        Given::Lent(_) | Given::Passphrase(_) => Err(VaultError::NoIdentity { source_name: flag.to_owned() }),
    }
}

/// Reads several passphrases from a descriptor, one a line.
pub(crate) fn read_passphrases(flag: &'static str, number: i32) -> Result<Vec<Passphrase>, VaultError> {
    let text = read_descriptor(flag, number)?;
    Ok(text.lines().filter(|line| !line.is_empty()).map(passphrase_of).collect())
}

/// Reads the identity that an identity file holds, to make a vault with it.
pub(crate) fn read_identity_file(path: &Path) -> Result<Identity, VaultError> {
    let (source_name, given) = from_file("--identity-file", path)?;
    let found = match &given {
        Given::Identities(text) => identity_lines(text).find_map(Identity::parse),
        Given::Lent(_) | Given::Passphrase(_) => None,
    };
    found.ok_or(VaultError::NoIdentity { source_name })
}

/// Iterates over the lines of an identity file that are not comments.
pub(super) fn identity_lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
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
