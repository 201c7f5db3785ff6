//! The provider's signing keys, one for each algorithm, made when first used; signing and the key set.

use std::sync::OnceLock;

use aws_lc_rs::digest;
use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{self, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
    RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};

use crate::Algorithm;

/// Holds the keys.
#[derive(Default)]
pub(crate) struct Keys {
    slots: [OnceLock<Key>; Algorithm::ALL.len()],
}

impl Keys {
    /// Signs claims; `header` adds to the usual `alg`, `kid` and `typ`, replaces them, or removes them by null.
    pub(crate) fn sign(&self, claims: &Value, header: &Value, alg: Algorithm) -> String {
        let key = self.key(alg);
        let mut full = json!({ "alg": alg.name(), "kid": key.kid(), "typ": "JWT" });
        edit(&mut full, header);
        let input = signing_input(&full, claims);
        let signature = key.sign(alg, input.as_bytes());
        format!("{input}.{}", encode(&signature))
    }

    /// Returns the key set: the key of `alg`, and every other one that was used.
    pub(crate) fn set(&self, alg: Algorithm) -> Value {
        self.key(alg);
        let used = Algorithm::ALL.into_iter().filter_map(|alg| Some((alg, self.slots[alg as usize].get()?)));
        json!({ "keys": used.map(|(alg, key)| key.jwk(alg)).collect::<Vec<_>>() })
    }

    /// Returns the public key of `alg` as a PEM text.
    pub(crate) fn public_pem(&self, alg: Algorithm) -> String {
        let text = STANDARD.encode(self.key(alg).spki());
        let lines: Vec<&str> =
            text.as_bytes().chunks(64).map(|line| str::from_utf8(line).expect("base64 is ASCII")).collect();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
    }

    fn key(&self, alg: Algorithm) -> &Key {
        self.slots[alg as usize].get_or_init(|| Key::make(alg))
    }
}

/// Joins header and claims to what a JWT's signature is made over.
pub(crate) fn signing_input(header: &Value, claims: &Value) -> String {
    format!("{}.{}", encode(header.to_string().as_bytes()), encode(claims.to_string().as_bytes()))
}

/// Encodes as base64url without padding.
pub(crate) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Makes random text of so many characters that need no quoting anywhere.
pub(crate) fn random_text(length: usize) -> String {
    let mut bytes = vec![0; length];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system has randomness");
    let mut text = encode(&bytes).replace('-', "x").replace('_', "y");
    text.truncate(length);
    text
}

/// Merges `changes` into an object; null removes.
pub(crate) fn edit(object: &mut Value, changes: &Value) {
    let (Some(object), Some(changes)) = (object.as_object_mut(), changes.as_object()) else { return };
    for (name, value) in changes {
        set_or_remove(object, name, value);
    }
}

fn set_or_remove(object: &mut Map<String, Value>, name: &str, value: &Value) {
    if value.is_null() {
        object.remove(name);
    } else {
        object.insert(name.to_owned(), value.clone());
    }
}

enum Key {
    Rsa(rsa::KeyPair),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

impl Key {
    fn make(alg: Algorithm) -> Self {
        let made = match alg {
            Algorithm::Rs256 | Algorithm::Ps256 => rsa::KeyPair::generate(KeySize::Rsa2048).map(Self::Rsa),
            Algorithm::Es256 => EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map(Self::Ec),
            Algorithm::Es384 => EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).map(Self::Ec),
            Algorithm::EdDsa => Ed25519KeyPair::generate().map(Self::Ed),
        };
        made.expect("a key can be made")
    }

    fn sign(&self, alg: Algorithm, message: &[u8]) -> Vec<u8> {
        let rng = SystemRandom::new();
        match self {
            Self::Rsa(key) => {
                let encoding: &'static dyn RsaEncoding =
                    if alg == Algorithm::Ps256 { &RSA_PSS_SHA256 } else { &RSA_PKCS1_SHA256 };
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(encoding, &rng, message, &mut signature).expect("RSA signs");
                signature
            }
            Self::Ec(key) => key.sign(&rng, message).expect("ECDSA signs").as_ref().to_vec(),
            Self::Ed(key) => key.sign(message).as_ref().to_vec(),
        }
    }

    fn spki(&self) -> Vec<u8> {
        let der: Result<PublicKeyX509Der<'_>, _> = match self {
            Self::Rsa(key) => key.public_key().as_der(),
            Self::Ec(key) => key.public_key().as_der(),
            Self::Ed(key) => key.public_key().as_der(),
        };
        der.expect("a public key has a DER form").as_ref().to_vec()
    }

    fn kid(&self) -> String {
        let mut kid = encode(digest::digest(&digest::SHA256, &self.spki()).as_ref());
        kid.truncate(16);
        kid
    }

    fn jwk(&self, alg: Algorithm) -> Value {
        let mut jwk = match self {
            Self::Rsa(key) => json!({
                "kty": "RSA",
                "n": encode(key.public_key().modulus().big_endian_without_leading_zero()),
                "e": encode(key.public_key().exponent().big_endian_without_leading_zero()),
            }),
            Self::Ec(key) => {
                // SEC 1: one byte 4, then both coordinates
                let (x, y) = key.public_key().as_ref()[1..].split_at(key.public_key().as_ref().len() / 2);
                let curve = if alg == Algorithm::Es384 { "P-384" } else { "P-256" };
                json!({ "kty": "EC", "crv": curve, "x": encode(x), "y": encode(y) })
            }
            Self::Ed(key) => json!({ "kty": "OKP", "crv": "Ed25519", "x": encode(key.public_key().as_ref()) }),
        };
        edit(&mut jwk, &json!({ "use": "sig", "alg": alg.name(), "kid": self.kid() }));
        jwk
    }
}
