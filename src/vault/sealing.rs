//! Sealing and opening one generation: an age file whose two lines are JSON and the MAC of that JSON.
//!
//! age hides, but does not say who wrote: whoever knows the public recipient could plant a file. The MAC's key comes
//! from the vault identity, and what it covers names the entry and its generation.

use std::io::Read as _;
use std::str::FromStr as _;

use age::secrecy::ExposeSecret as _;
use age::x25519;
use hkdf::Hkdf;
use hmac::{Hmac, Mac as _};
use serde::{Deserialize, Serialize, Serializer};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::entry::Entry;
use crate::profile::EntryName;
use crate::secret::Secret;

/// The most that one plaintext may hold.
const LARGEST_PLAINTEXT: usize = 1 << 20;

/// The most that one age file may hold: the plaintext, its header and 16 bytes for each chunk of 64 KiB.
pub(crate) const LARGEST_FILE: usize = LARGEST_PLAINTEXT + 8_192;

/// Why a file is not the generation that its path says.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SealFault {
    /// It is no age file, or a cut one.
    #[error("it is no whole age file: {0}")]
    NotAge(&'static str),
    /// It was sealed for somebody else.
    #[error("it was not sealed for this vault")]
    NotForUs,
    /// Somebody without the vault identity wrote it.
    #[error("its authentication code is wrong: it was not written by who can open this vault")]
    Forged,
    /// It is ours, but not what it must be.
    #[error("its content is not what this version of tokenkeep writes: {0}")]
    Content(String),
    /// It belongs to another entry or generation.
    #[error("it is generation {generation} of `{name}`, moved or renumbered")]
    Misplaced {
        /// The entry it belongs to.
        name: EntryName,
        /// The generation it is.
        generation: u64,
    },
    /// It cannot be sealed.
    #[error("it is larger than {LARGEST_PLAINTEXT} bytes")]
    TooLarge,
}

/// A key of the vault for one purpose. Not an array: a value that is moved leaves its bytes behind on the stack.
pub(crate) type Key = Secret<Box<[u8]>>;

/// The native age key that opens every entry of a vault.
pub(crate) struct Identity {
    /// The age crate's form of it, in a box for the same reason.
    native: Box<x25519::Identity>,
    /// The key's own 32 bytes, from which our other keys are derived.
    bytes: Key,
}

impl Identity {
    /// Makes a new one.
    pub(crate) fn generate() -> Self {
        let text = x25519::Identity::generate().to_string();
        #[expect(clippy::expect_used, reason = "the age crate reads what it wrote")]
        Self::parse(text.expose_secret()).expect("a new identity is well-formed")
    }

    /// Reads `AGE-SECRET-KEY-1...`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let native = Box::new(x25519::Identity::from_str(text).ok()?);
        let (_, decoded) = bech32::decode(text).ok()?;
        // copied, not shrunk: what it leaves behind is wiped
        let decoded = Zeroizing::new(decoded);
        (decoded.len() == 32).then(|| Self { native, bytes: Secret::new(Box::from(decoded.as_slice())) })
    }

    /// Returns the recipient that belongs to it.
    pub(crate) fn recipient(&self) -> x25519::Recipient {
        self.native.to_public()
    }

    /// Returns the age crate's form of it.
    pub(super) fn native(&self) -> &x25519::Identity {
        &self.native
    }

    /// Returns the line that stands in an identity file.
    pub(crate) fn text(&self) -> Zeroizing<String> {
        Zeroizing::new(self.native.to_string().expose_secret().to_owned())
    }

    /// Derives a key for one purpose (RFC 5869).
    pub(crate) fn derive(&self, purpose: &str) -> Key {
        let mut key = vec![0; 32].into_boxed_slice();
        let hkdf = Hkdf::<Sha256>::new(None, self.bytes.expose());
        #[expect(clippy::expect_used, reason = "RFC 5869 allows 255 blocks of 32 bytes; this is one")]
        hkdf.expand(format!("tokenkeep/1/{purpose}").as_bytes(), &mut key).expect("one block can be expanded");
        Secret::new(key)
    }
}

/// Returns the HMAC-SHA-256 state over some bytes.
fn mac_state(key: &Key, bytes: &[u8]) -> Hmac<Sha256> {
    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key.expose()).expect("any length will do");
    mac.update(bytes);
    mac
}

/// Returns the MAC of some bytes in hexadecimal.
pub(crate) fn mac_hex(key: &Key, bytes: &[u8]) -> String {
    hex(&mac_state(key, bytes).finalize().into_bytes())
}

/// Checks a MAC in hexadecimal, in constant time.
pub(crate) fn mac_matches(key: &Key, bytes: &[u8], expected: &str) -> bool {
    unhex(expected).is_some_and(|expected| mac_state(key, bytes).verify_slice(&expected).is_ok())
}

/// Returns SHA-256 in hexadecimal.
pub(crate) fn digest_hex(bytes: impl AsRef<[u8]>) -> String {
    hex(&Sha256::digest(bytes))
}

/// Writes bytes in hexadecimal.
fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let digits = |byte: &u8| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]];
    bytes.iter().flat_map(digits).collect()
}

/// Reads bytes in hexadecimal.
fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.chars().map(|c| c.to_digit(16)).collect::<Option<Vec<u32>>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    let bytes = pairs.iter().map(|[high, low]| u8::try_from(high << 4 | low).ok()).collect();
    if rest.is_empty() { bytes } else { None }
}

/// What is needed to write entries, and nothing that opens one: this, not the identity, goes to the detached child.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Sealer {
    /// The recipient that was computed from the open identity.
    recipient: String,
    /// The key of the entries' MAC.
    #[serde(serialize_with = "expose_key")]
    key: Key,
}

/// Writes the MAC's key into the request to the detached child.
fn expose_key<S: Serializer>(key: &Key, serializer: S) -> Result<S::Ok, S::Error> {
    key.expose().serialize(serializer)
}

impl Sealer {
    /// Takes what an open identity gives.
    pub(crate) fn of(identity: &Identity) -> Self {
        Self { recipient: identity.recipient().to_string(), key: identity.derive("entry") }
    }

    /// Returns the vault's recipient.
    pub(crate) fn recipient(&self) -> &str {
        &self.recipient
    }

    /// Seals one generation.
    pub(crate) fn seal(&self, entry: &Entry) -> Result<Vec<u8>, SealFault> {
        let content = |what: &dyn std::fmt::Display| SealFault::Content(what.to_string());
        self.seal_json(Zeroizing::new(entry.to_json().map_err(|error| content(&error))?))
    }

    /// Seals the line that an entry consists of.
    pub(super) fn seal_json(&self, mut plaintext: Zeroizing<Vec<u8>>) -> Result<Vec<u8>, SealFault> {
        let content = |what: &dyn std::fmt::Display| SealFault::Content(what.to_string());
        let mac = mac_hex(&self.key, &plaintext);
        plaintext.push(b'\n');
        plaintext.extend_from_slice(mac.as_bytes());
        plaintext.push(b'\n');
        if plaintext.len() > LARGEST_PLAINTEXT {
            return Err(SealFault::TooLarge);
        }
        let recipient = x25519::Recipient::from_str(&self.recipient).map_err(|error| content(&error))?;
        age::encrypt(&recipient, &plaintext).map_err(|error| SealFault::Content(format!("{error:?}")))
    }
}

/// Opens an age file with one identity; at most [`LARGEST_PLAINTEXT`] bytes come out.
pub(crate) fn decrypt(identity: &dyn age::Identity, file: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealFault> {
    decrypt_within(identity, file, LARGEST_PLAINTEXT)
}

/// Opens an age file with one identity; at most `limit` bytes come out.
pub(super) fn decrypt_within(
    identity: &dyn age::Identity,
    file: &[u8],
    limit: usize,
) -> Result<Zeroizing<Vec<u8>>, SealFault> {
    let fault = |error: age::DecryptError| match error {
        age::DecryptError::NoMatchingKeys | age::DecryptError::DecryptionFailed => SealFault::NotForUs,
        other => SealFault::NotAge(words(&other)),
    };
    let decryptor = age::Decryptor::new_buffered(file).map_err(fault)?;
    let reader = decryptor.decrypt(std::iter::once(identity)).map_err(fault)?;
    let mut plaintext = Zeroizing::new(Vec::with_capacity(file.len()));
    let read = reader.take(limit as u64 + 1).read_to_end(&mut plaintext);
    read.map_err(|_| SealFault::NotAge(CUT))?;
    if plaintext.len() > limit { Err(SealFault::TooLarge) } else { Ok(plaintext) }
}

/// What is said of a file whose end or middle is missing or changed.
const CUT: &str = "it is cut short or damaged";

/// Says why the age crate does not read a file. Its own words come out of language files that it loads for the purpose,
/// and go wrong where a file claims an absurd work factor.
const fn words(error: &age::DecryptError) -> &'static str {
    match error {
        age::DecryptError::InvalidHeader => "its header is damaged",
        age::DecryptError::InvalidMac => "the code of its header is wrong",
        age::DecryptError::UnknownFormat => "its format is unknown",
        age::DecryptError::ExcessiveWork { .. } => "its passphrase takes too much work to try",
        _ => CUT,
    }
}

/// Opens one generation and checks that it is the one its path says.
pub(crate) fn open(
    identity: &Identity,
    key: &Key,
    file: &[u8],
    (name, generation): (&EntryName, u64),
) -> Result<Entry, SealFault> {
    let entry = Entry::from_json(&open_json(identity, key, file)?).map_err(SealFault::Content)?;
    if (&entry.name, entry.generation) != (name, generation) {
        return Err(SealFault::Misplaced { name: entry.name, generation: entry.generation });
    }
    Ok(entry)
}

/// Opens a file and returns the line that an entry consists of, if somebody wrote it who can open the vault.
pub(super) fn open_json(identity: &Identity, key: &Key, file: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealFault> {
    let mut plaintext = decrypt(identity.native.as_ref(), file)?;
    let mut lines = plaintext.split(|&byte| byte == b'\n');
    let (Some(json), Some(mac), Some([]), None) = (lines.next(), lines.next(), lines.next(), lines.next()) else {
        return Err(SealFault::Content("it does not have two lines".to_owned()));
    };
    if !std::str::from_utf8(mac).is_ok_and(|mac| mac_matches(key, json, mac)) {
        return Err(SealFault::Forged);
    }
    let length = json.len();
    plaintext.truncate(length);
    Ok(plaintext)
}
