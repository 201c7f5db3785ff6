//! The test vectors of the age format (`tests/vectors`) through the code that opens the vault's own files.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;
use std::str::FromStr as _;

use super::sealing::{SealFault, decrypt, digest_hex};
use super::slots;
use crate::secret::Passphrase;

/// One vector: what is known of it, and the age file.
struct Vector {
    name: String,
    facts: BTreeMap<String, Vec<String>>,
    file: Vec<u8>,
}

/// What becomes of a vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    /// It opens, and the payload is the right one.
    Opened,
    /// It opens, although the format does not allow it, or to something else.
    OpenedToAnother,
    /// It opens to more than an entry may be.
    TooLarge,
    /// It was sealed for somebody else, or nothing in it can be unwrapped.
    NotForUs,
    /// It is no age file, or a damaged one.
    Refused,
    /// It is for a kind of key that our vaults do not have (the hybrid ones).
    ForeignKey,
}

impl Vector {
    fn read(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap();
        let cut = bytes.windows(2).position(|pair| pair == b"\n\n").unwrap();
        let (head, body) = (bytes.get(..cut).unwrap(), bytes.get(cut + 2..).unwrap());
        let mut facts: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for line in std::str::from_utf8(head).unwrap().lines() {
            let (key, value) = line.split_once(": ").unwrap();
            facts.entry(key.to_owned()).or_default().push(value.to_owned());
        }
        let mut vector = Self { name: path.file_name().unwrap().to_str().unwrap().to_owned(), facts, file: Vec::new() };
        if vector.is("compressed", "zlib") {
            flate2::read::ZlibDecoder::new(body).read_to_end(&mut vector.file).unwrap();
        } else {
            vector.file = body.to_vec();
        }
        vector
    }

    fn texts(&self, key: &str) -> &[String] {
        self.facts.get(key).map(Vec::as_slice).unwrap_or_default()
    }

    fn is(&self, key: &str, value: &str) -> bool {
        self.texts(key).iter().any(|text| text == value)
    }

    /// Every key that could open it, as a vault takes them.
    fn keys(&self) -> Vec<Box<dyn age::Identity>> {
        let native = self.texts("identity").iter().filter_map(|text| age::x25519::Identity::from_str(text).ok());
        let words = self.texts("passphrase").iter().map(|words| slots::passphrase_key(&Passphrase::new(words.clone())));
        let native = native.map(|identity| Box::new(identity) as Box<dyn age::Identity>);
        native.chain(words.map(|key| Box::new(key) as Box<dyn age::Identity>)).collect()
    }

    /// The digest of what must come out.
    fn payload(&self) -> String {
        self.texts("payload").concat()
    }

    /// Opens it with each key in turn; the first that is meant decides.
    fn open(&self) -> Outcome {
        let mut outcome = Outcome::ForeignKey;
        for key in self.keys() {
            outcome = match decrypt(key.as_ref(), &self.file) {
                Ok(payload) if digest_hex(payload.as_slice()) == self.payload() => return Outcome::Opened,
                Ok(_) => return Outcome::OpenedToAnother,
                Err(SealFault::TooLarge) => return Outcome::TooLarge,
                Err(SealFault::NotForUs) => Outcome::NotForUs,
                Err(SealFault::NotAge(_)) => Outcome::Refused,
                Err(other) => panic!("{}: {other}", self.name),
            };
        }
        outcome
    }

    /// What must become of it with us.
    fn expected(&self) -> &'static [Outcome] {
        if self.keys().is_empty() {
            return &[Outcome::ForeignKey];
        }
        // the vault's files are never armored
        if self.is("armored", "yes") {
            return &[Outcome::Refused];
        }
        if LEGACY.contains(&self.name.as_str()) {
            return &[Outcome::OpenedToAnother];
        }
        match self.texts("expect").concat().as_str() {
            "success" => &[Outcome::Opened, Outcome::TooLarge],
            "no match" => &[Outcome::NotForUs],
            // a stanza that is not as it must be, the age crate passes over like one for somebody else
            "header failure" => &[Outcome::Refused, Outcome::NotForUs],
            "HMAC failure" | "payload failure" => &[Outcome::Refused],
            other => panic!("{}: {other}", self.name),
        }
    }
}

/// What the age crate still reads as rage wrote it before the format was fixed: a stanza whose last line is full and is
/// not followed by an empty one. The code of the header covers it all the same, so nobody gains by it.
const LEGACY: [&str; 2] = ["stanza_missing_body", "stanza_missing_final_line"];

#[test]
fn the_vectors_of_the_age_format_come_out_as_they_must() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/age");
    let mut counts: BTreeMap<Outcome, usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    for item in std::fs::read_dir(folder).unwrap() {
        let vector = Vector::read(&item.unwrap().path());
        let outcome = vector.open();
        *counts.entry(outcome).or_default() += 1;
        if !vector.expected().contains(&outcome) {
            wrong.push(format!("{}: {outcome:?}, not {:?}", vector.name, vector.expected()));
        }
    }
    wrong.sort();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let opened = [(Outcome::Opened, 12), (Outcome::OpenedToAnother, 2), (Outcome::TooLarge, 3)];
    let refused = [(Outcome::NotForUs, 7), (Outcome::Refused, 99), (Outcome::ForeignKey, 20)];
    assert_eq!(counts, opened.into_iter().chain(refused).collect());
}
