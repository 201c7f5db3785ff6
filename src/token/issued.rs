//! The text of the tokens that we issue: `tk<kind letter>_<22 characters: public id><43 characters: secret><6: CRC-32>`.
//!
//! Everything behind the prefix is base62, so that a double click takes the whole token. The checksum tells a mistyped
//! token from an unknown one with no look into the ledger; it protects against nobody. What rests in the ledger is the
//! digest of all before the checksum, the kind's letter included.

use std::fmt;

use hkdf::Hkdf;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::words::words;
use crate::secret::{Secret, StoredSecret};

words! {
    /// What a token of ours is for.
    TokenKind {
        /// A job, while it runs.
        Job "job"
        /// A person's named token.
        User "user"
        /// A program's own.
        Service "service"
        /// A person's login.
        Session "session"
        /// A child with all that its parent may do.
        Notebook "notebook"
        /// A child for one service.
        Internal "internal"
        /// A child that may do nothing here.
        Oidc "oidc"
    }
}

impl TokenKind {
    /// All of them, each with its letter.
    const LETTERS: [(Self, char); 7] = [
        (Self::Job, 'j'),
        (Self::User, 'u'),
        (Self::Service, 's'),
        (Self::Session, 'e'),
        (Self::Notebook, 'n'),
        (Self::Internal, 'i'),
        (Self::Oidc, 'o'),
    ];

    /// Returns all kinds.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        Self::LETTERS.iter().map(|(kind, _)| *kind)
    }

    /// Returns the letter in its prefix.
    fn letter(self) -> char {
        Self::LETTERS.iter().find(|(kind, _)| *kind == self).map_or('?', |(_, letter)| *letter)
    }

    /// Returns the word for it with its article.
    pub(crate) fn with_article(self) -> String {
        let article = if matches!(self, Self::Internal | Self::Oidc) { "an" } else { "a" };
        format!("{article} {self}")
    }

    /// Tells whether such a token has a parent and dies with it.
    pub(crate) const fn is_child(self) -> bool {
        matches!(self, Self::Notebook | Self::Internal | Self::Oidc)
    }

    /// Tells whether such a token may have children. A job's may not: it must end with its job.
    pub(crate) const fn may_delegate(self) -> bool {
        !matches!(self, Self::Job | Self::Oidc)
    }
}

/// Finds tokens of ours in any text; for secret scanners. A test holds it to what is issued.
#[cfg(test)]
const SCANNER: &str = "\\btk[jusenio]_[0-9A-Za-z]{71}\\b";

/// How long the parts are.
const PREFIX: usize = 4;
/// The public id: 128 bits.
const ID: usize = 22;
/// The secret: 256 bits.
const SECRET: usize = 43;
/// The checksum: 32 bits.
const CHECKSUM: usize = 6;
/// The id of an admin key: the thumbprint of its public half, 256 bits in base64url.
const KID: usize = 43;
/// The id of an admin token: 128 bits in hexadecimal digits.
const JTI: usize = 32;
/// Everything before the checksum.
const BODY: usize = PREFIX + ID + SECRET;

/// The digits, in the order of their values.
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// What lists, history and messages call a token: no secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PublicId(String);

impl PublicId {
    /// Makes one out of random bytes.
    pub(crate) fn of(bytes: [u8; 16]) -> Self {
        Self(base62(&bytes, ID))
    }

    /// Returns the text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PublicId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A text is no public id. It is not repeated: it may be the token itself.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("a token's public id is {ID} letters and digits; `tokenkeep token list` shows them")]
pub(crate) struct NotAnId;

impl std::str::FromStr for PublicId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let is_id = text.len() == ID && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if is_id { Ok(Self(text.to_owned())) } else { Err(NotAnId) }
    }
}

/// The random part of a token; 32 bytes. They stay where they are when it is passed on, so that all of them are wiped.
pub(crate) type TokenSecret = Secret<Box<[u8]>>;

/// What the secrets of tokens that are told twice are derived from.
pub(crate) type IssueKey = Secret<Box<[u8]>>;

/// Writes random bytes as the text that rests in the vault for the issue key.
pub(crate) fn new_key_text(bytes: &[u8; 32]) -> StoredSecret {
    StoredSecret::new(base62(bytes, SECRET))
}

/// Makes the issue key out of its text.
pub(crate) fn key_of(text: &StoredSecret) -> IssueKey {
    let digest = Zeroizing::new(<[u8; 32]>::from(Sha256::digest(text.expose().as_bytes())));
    Secret::new(Box::from(digest.as_slice()))
}

/// Derives the secret of a token from the issue key and its public id (RFC 5869), so that it can be told again and nothing
/// of it is kept.
pub(crate) fn derive(key: &IssueKey, id: &PublicId) -> TokenSecret {
    let mut secret: Box<[u8]> = Box::new([0; 32]);
    let info = format!("tokenkeep/1/issued/{id}");
    #[expect(clippy::expect_used, reason = "RFC 5869 allows 255 blocks of 32 bytes; this is one")]
    Hkdf::<Sha256>::new(None, key.expose()).expand(info.as_bytes(), &mut secret).expect("one block can be expanded");
    Secret::new(secret)
}

/// What the ledger knows a token by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TokenDigest([u8; 32]);

impl TokenDigest {
    /// Takes the digest of everything before the checksum.
    fn of(body: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"tokenkeep issued token v1\0");
        hash.update(body.as_bytes());
        Self(hash.finalize().into())
    }

    /// Returns the bytes.
    pub(crate) const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Compares with what the ledger holds, in a time that says nothing of where they differ.
    pub(crate) fn is(&self, known: &[u8]) -> bool {
        known.len() == self.0.len()
            && self.0.iter().zip(known).fold(0, |differ, (one, other)| differ | (one ^ other)) == 0
    }
}

/// Writes a token: what is shown once, and what rests in the ledger.
pub(crate) fn compose(kind: TokenKind, id: &PublicId, secret: &TokenSecret) -> (Secret<String>, TokenDigest) {
    // as long as it gets: growing would leave a copy behind
    let mut text = String::with_capacity(BODY + CHECKSUM);
    text.push_str("tk");
    text.push(kind.letter());
    text.push('_');
    text.push_str(id.as_str());
    text.push_str(&Zeroizing::new(base62(secret.expose(), SECRET)));
    let digest = TokenDigest::of(&text);
    let checksum = checksum(&text);
    text.push_str(&checksum);
    (Secret::new(text), digest)
}

/// A token that somebody shows, as far as its text tells. What it may do, only the ledger knows.
#[derive(Clone, Debug)]
pub(crate) struct Presented {
    /// The kind that its letter stands for.
    pub(crate) kind: TokenKind,
    /// Its public id.
    pub(crate) id: PublicId,
    /// What the ledger must know it by.
    pub(crate) digest: TokenDigest,
}

/// Why a text is no whole token of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Misread {
    /// It does not look like one at all.
    #[error("it is no token that tokenkeep issues")]
    Foreign,
    /// It begins like one, and is cut or lengthened.
    #[error("it is a token of ours of which something is missing, or to which something was added")]
    WrongLength,
    /// It is as long as one, and does not add up.
    #[error("it is a token of ours that was mistyped: its checksum is wrong")]
    Mistyped,
}

/// Reads a token; what stands before its last colon (`host:port:`) only says where it is for.
pub(crate) fn read(text: &Secret<String>) -> Result<Presented, Misread> {
    let text = text.expose().trim();
    let text = text.rsplit_once(':').map_or(text, |(_, key)| key);
    let after = text.strip_prefix("tk").ok_or(Misread::Foreign)?;
    let mut characters = after.chars();
    let letter = characters.next();
    let kind = TokenKind::LETTERS.iter().find(|(_, known)| Some(*known) == letter).map(|(kind, _)| *kind);
    let (Some(kind), Some('_')) = (kind, characters.next()) else { return Err(Misread::Foreign) };
    if text.len() != BODY + CHECKSUM {
        return Err(Misread::WrongLength);
    }
    let parts = text.split_at_checked(BODY).zip(text.get(PREFIX..PREFIX + ID));
    let Some(((body, sum), id)) = parts else { return Err(Misread::Mistyped) };
    match id.parse() {
        Ok(id) if checksum(body) == sum => Ok(Presented { kind, id, digest: TokenDigest::of(body) }),
        _ => Err(Misread::Mistyped),
    }
}

/// Tells whether a text that stands where a name belongs is a token of ours.
pub(crate) fn is_token(text: &str) -> bool {
    !matches!(read(&Secret::new(text.to_owned())), Err(Misread::Foreign))
}

/// Tells whether a text is as long as a token of ours, and begins like one.
pub(crate) fn is_whole_token(text: &str) -> bool {
    matches!(read(&Secret::new(text.to_owned())), Ok(_) | Err(Misread::Mistyped))
}

/// Tells whether a text has the form of a token's public id, or of an admin token's: lists, history and messages show them.
pub(crate) fn is_public(text: &str) -> bool {
    let is_jti = || text.len() == JTI && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    text.parse::<PublicId>().is_ok() || is_jti()
}

/// What history tells of: the public id of a token, the `jti` of an admin token, or the `kid` of an admin key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RecordedId(String);

impl RecordedId {
    /// Returns the text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text is none of these. It is not repeated: it may be the token itself.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error(
    "an id is {ID} letters and digits, {JTI} hexadecimal digits of an admin token or {KID} characters of an admin key; `tokenkeep history` shows them"
)]
pub(crate) struct NotRecorded;

impl std::str::FromStr for RecordedId {
    type Err = NotRecorded;

    fn from_str(text: &str) -> Result<Self, NotRecorded> {
        let is_kid =
            text.len() == KID && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        if is_kid || is_public(text) { Ok(Self(text.to_owned())) } else { Err(NotRecorded) }
    }
}

/// Writes a number in base62, with zeros in front.
fn base62(bytes: &[u8], width: usize) -> String {
    let mut number = Zeroizing::new(bytes.to_vec());
    let mut digits = Zeroizing::new(vec![0; width]);
    for digit in digits.iter_mut().rev() {
        let mut rest = 0_u32;
        for byte in number.iter_mut() {
            let value = rest << 8 | u32::from(*byte);
            // both are less than 256: the rest of the division before is less than 62
            *byte = u8::try_from(value / 62).unwrap_or(u8::MAX);
            rest = value % 62;
        }
        *digit = DIGITS.get(rest as usize).copied().unwrap_or(b'0');
    }
    digits.iter().map(|digit| char::from(*digit)).collect()
}

/// Returns the checksum of a text: CRC-32 (ISO 3309, as in zip and PNG) in base62.
fn checksum(text: &str) -> String {
    let crc = !text.bytes().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
    });
    base62(&crc.to_be_bytes(), CHECKSUM)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(kind: TokenKind) -> (String, PublicId, TokenDigest) {
        let id = PublicId::of([7; 16]);
        let (text, digest) = compose(kind, &id, &Secret::new(Box::new([9; 32])));
        (text.expose().clone(), id, digest)
    }

    fn read(text: &str) -> Result<Presented, Misread> {
        super::read(&Secret::new(text.to_owned()))
    }

    #[test]
    fn what_is_written_is_read() {
        for kind in TokenKind::all() {
            let (text, id, digest) = token(kind);
            let presented = read(&text).unwrap();
            assert_eq!((presented.kind, presented.id, presented.digest), (kind, id, digest));
            assert_eq!(text.len(), 75);
            assert_eq!(kind.word().parse::<TokenKind>().unwrap(), kind);
        }
    }

    #[test]
    fn the_scanners_expression_describes_every_token() {
        for kind in TokenKind::all() {
            let (text, ..) = token(kind);
            let (prefix, rest) = text.split_at(PREFIX);
            let letters = SCANNER.split(['[', ']']).nth(1).unwrap();
            assert!(letters.contains(prefix.chars().nth(2).unwrap()));
            assert!(rest.len() == 71 && rest.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        }
    }

    #[test]
    fn a_kind_has_the_article_that_one_says() {
        let said: Vec<_> = TokenKind::all().map(TokenKind::with_article).collect();
        let expected = ["a job", "a user", "a service", "a session", "a notebook", "an internal", "an oidc"];
        assert_eq!(said, expected);
    }

    #[test]
    fn the_checksum_is_the_one_of_zip() {
        // CRC-32 of "123456789" is 0xcbf43926
        assert_eq!(checksum("123456789"), base62(&0xcbf4_3926_u32.to_be_bytes(), 6));
        assert_eq!(base62(&[0xff; 16], 22), "7n42DGM5Tflk9n8mt7Fhc7");
        assert_eq!(base62(&[0, 61], 3), "00z");
    }

    #[test]
    fn a_mistyped_token_is_told_from_an_unknown_one() {
        let (text, ..) = token(TokenKind::User);
        for at in PREFIX..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] = if bytes[at] == b'x' { b'y' } else { b'x' };
            assert_eq!(read(&String::from_utf8(bytes).unwrap()).unwrap_err(), Misread::Mistyped, "at {at}");
        }
        assert_eq!(read(text.get(..70).unwrap()).unwrap_err(), Misread::WrongLength);
        assert_eq!(read("eyJhbGciOiJub25lIn0.e30.").unwrap_err(), Misread::Foreign);
        assert_eq!(read(&text.replace("tku_", "tkx_")).unwrap_err(), Misread::Foreign);
        let wide = format!("tku_{}", "é".repeat(35) + "a");
        assert_eq!(read(&wide).unwrap_err(), Misread::Mistyped);
    }

    #[test]
    fn another_kind_with_a_good_checksum_is_another_token() {
        let (text, id, digest) = token(TokenKind::User);
        let body = text.get(..BODY).unwrap().replace("tku_", "tks_");
        let forged = format!("{body}{}", checksum(&body));
        let presented = read(&forged).unwrap();
        assert_eq!((presented.kind, presented.id), (TokenKind::Service, id));
        assert_ne!(presented.digest, digest);
    }

    #[test]
    fn what_stands_before_the_last_colon_is_no_part_of_it() {
        let (text, id, _) = token(TokenKind::Job);
        for before in ["host:", "host:443:", "host::", ":"] {
            assert_eq!(read(&format!("{before}{text}")).unwrap().id, id, "{before}");
        }
        assert!(read(&format!("{text}:")).is_err());
    }

    #[test]
    fn a_derived_secret_depends_on_key_and_id() {
        let (one, other) = (PublicId::of([1; 16]), PublicId::of([2; 16]));
        let derive = |key: [u8; 32], id: &PublicId| derive(&Secret::new(Box::new(key)), id).expose().clone();
        assert_eq!(derive([5; 32], &one), derive([5; 32], &one));
        assert_ne!(derive([5; 32], &one), derive([5; 32], &other));
        assert_ne!(derive([5; 32], &one), derive([6; 32], &one));
    }

    #[test]
    fn a_secret_that_is_passed_on_leaves_no_bytes_behind() {
        // what moves is where they are, not what they are
        assert!(size_of::<TokenSecret>() < 32 && size_of::<IssueKey>() < 32);
    }
}
