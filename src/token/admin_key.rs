//! Admin keys: the private key that signs admin tokens, and its public half, which is all that checking one takes.

use std::fmt;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use curve25519_dalek::edwards::CompressedEdwardsY;
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk};
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::secret::{Secret, StoredSecret};

/// How an admin token is signed (RFC 7518 section 3.1, RFC 8037 section 3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Signing {
    /// Ed25519
    #[default]
    Eddsa,
    /// ECDSA on the curve P-256, for gateways that know nothing newer
    Es256,
}

/// Why a text is no private admin key. The text is not repeated.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotAPrivateKey {
    /// It is something else, or a key in another form.
    #[error("it is not a private key in PKCS#8 form (PEM, `BEGIN PRIVATE KEY`)")]
    OtherForm,
    /// It is a key that no admin token is signed with.
    #[error("it is neither an Ed25519 nor a P-256 key")]
    OtherKey,
}

/// Why a text is no public admin key.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotAPublicKey {
    /// It is not JSON, or has no `kty`.
    #[error("it is not a JWK (RFC 7517): a JSON object with `kty`, `crv` and `x`")]
    NotAJwk,
    /// It is a private key.
    #[error("it is a private key, which nobody but its owner may have")]
    Private,
    /// It is of another kind, or says that it is for something else.
    #[error("it is neither an Ed25519 nor a P-256 key for signatures")]
    OtherKey,
    /// Its numbers are not numbers of its curve.
    #[error("its coordinates are not 32 bytes in base64url")]
    Coordinates,
    /// Nobody has the private half, or everybody has.
    #[error("its point is not on its curve, or one for which anybody can sign")]
    Unsound,
}

/// A private key that signs admin tokens.
pub(crate) struct AdminKey {
    /// What signs.
    key: EncodingKey,
    /// Its public half.
    public: PublicKey,
}

/// The public half of an admin key: 32 bytes for each coordinate, whatever a JWK looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PublicKey {
    /// How its tokens are signed.
    signing: Signing,
    /// The point's first coordinate; all of it on Ed25519.
    x: [u8; 32],
    /// The second coordinate on P-256.
    y: Option<[u8; 32]>,
}

impl Signing {
    /// Returns the name of the algorithm (RFC 7518 section 3.1, RFC 8037 section 3.1).
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Eddsa => "EdDSA",
            Self::Es256 => "ES256",
        }
    }

    /// Returns the library's word for it.
    pub(super) const fn algorithm(self) -> Algorithm {
        match self {
            Self::Eddsa => Algorithm::EdDSA,
            Self::Es256 => Algorithm::ES256,
        }
    }

    /// Returns what stands before the 32 bytes of a private key in PKCS#8 (RFC 8410 section 7, RFC 5915 section 3).
    const fn pkcs8(self) -> &'static [u8] {
        match self {
            Self::Eddsa => &[0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20],
            Self::Es256 => &[
                0x30, 0x41, 2, 1, 0, 0x30, 0x13, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48,
                0xce, 0x3d, 3, 1, 7, 4, 0x27, 0x30, 0x25, 2, 1, 1, 4, 0x20,
            ],
        }
    }
}

impl AdminKey {
    /// Makes a key of 32 random bytes; `None` if they are no key, which for P-256 happens once in 2^32 times.
    pub(crate) fn of_random(signing: Signing, bytes: &Secret<[u8; 32]>) -> Option<(Self, StoredSecret)> {
        let der = Zeroizing::new([signing.pkcs8(), bytes.expose()].concat());
        Some((Self::of_der(&der)?, pem(&der)))
    }

    /// Reads a private key in PKCS#8 form.
    pub(crate) fn read(text: &Secret<String>) -> Result<Self, NotAPrivateKey> {
        let body = text.expose().trim().strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(END));
        let body = body.ok_or(NotAPrivateKey::OtherForm)?;
        let body = Zeroizing::new(body.split_ascii_whitespace().collect::<String>());
        let der = Zeroizing::new(STANDARD.decode(body.as_bytes()).map_err(|_| NotAPrivateKey::OtherForm)?);
        Self::of_der(&der).ok_or(NotAPrivateKey::OtherKey)
    }

    /// Takes the bytes of a key; `None` if no admin token is signed with such a one.
    fn of_der(der: &[u8]) -> Option<Self> {
        let has = |oid: &[u8]| der.windows(oid.len()).take(LAST_OID).any(|window| window == oid);
        let (key, signing) = if has(&OID_P256) {
            (EncodingKey::from_ec_der(der), Signing::Es256)
        } else if has(&OID_ED25519) {
            (EncodingKey::from_ed_der(der), Signing::Eddsa)
        } else {
            return None;
        };
        let jwk = Jwk::from_encoding_key(&key, signing.algorithm()).ok()?;
        let public = PublicKey::of_jwk(&serde_json::to_value(jwk).ok()?).ok()?;
        Some(Self { key, public })
    }

    /// Returns its public half.
    pub(crate) const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Returns what signs.
    pub(super) const fn signer(&self) -> &EncodingKey {
        &self.key
    }
}

impl fmt::Debug for AdminKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("AdminKey").field("key", &"[secret]").field("public", &self.public).finish()
    }
}

impl PublicKey {
    /// Reads a JWK, or a set with one key in it. What the key calls itself is ignored.
    pub(crate) fn parse(json: &str) -> Result<Self, NotAPublicKey> {
        let value: Value = serde_json::from_str(json).map_err(|_| NotAPublicKey::NotAJwk)?;
        match value.get("keys").and_then(Value::as_array).map(Vec::as_slice) {
            Some([only]) => Self::of_jwk(only),
            Some(_) => Err(NotAPublicKey::NotAJwk),
            None => Self::of_jwk(&value),
        }
    }

    /// Reads the same from a text that somebody handed over; only its public part is taken.
    pub(crate) fn of_text(text: &Secret<String>) -> Result<Self, NotAPublicKey> {
        Self::parse(text.expose())
    }

    /// Reads a JWK.
    fn of_jwk(jwk: &Value) -> Result<Self, NotAPublicKey> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        // an RSA key has no curve, and its private half a `d`, too
        if jwk.get("d").is_some() {
            return Err(NotAPublicKey::Private);
        }
        let signing = match (text("kty").ok_or(NotAPublicKey::NotAJwk)?, text("crv")) {
            ("OKP", Some("Ed25519")) => Signing::Eddsa,
            ("EC", Some("P-256")) => Signing::Es256,
            _ => return Err(NotAPublicKey::OtherKey),
        };
        let says_otherwise = |name: &str, expected: &str| jwk.get(name).is_some_and(|said| said != expected);
        if says_otherwise("alg", signing.name()) || says_otherwise("use", "sig") {
            return Err(NotAPublicKey::OtherKey);
        }
        let coordinate = |name: &str| {
            let bytes = text(name).and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
            bytes.and_then(|bytes| bytes.try_into().ok()).ok_or(NotAPublicKey::Coordinates)
        };
        let y = (signing == Signing::Es256).then(|| coordinate("y")).transpose()?;
        Ok(Self { signing, x: coordinate("x")?, y })
    }

    /// Takes the key, if it can vouch for anything.
    pub(crate) fn sound(self) -> Result<Self, NotAPublicKey> {
        if self.is_sound() { Ok(self) } else { Err(NotAPublicKey::Unsound) }
    }

    /// Tells whether its point is on its curve, and not one of the few on Ed25519 under which signatures can be made up
    /// (RFC 8032 section 8 leaves them to the caller; verifying lets them pass).
    pub(crate) fn is_sound(&self) -> bool {
        match self.y {
            None => CompressedEdwardsY(self.x).decompress().is_some_and(|point| !point.is_small_order()),
            Some(y) => {
                let uncompressed = [&[4], self.x.as_slice(), &y].concat();
                ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, uncompressed).is_ok()
            }
        }
    }

    /// Returns how its tokens are signed.
    pub(crate) const fn signing(&self) -> Signing {
        self.signing
    }

    /// Returns its thumbprint (RFC 7638, RFC 8037 section 2), which is what tokens call it.
    pub(crate) fn kid(&self) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(self.required().to_string()))
    }

    /// Returns the JWK, as every program that checks JWTs takes it.
    pub(crate) fn jwk(&self) -> Value {
        let mut jwk = self.required();
        jwk["kid"] = json!(self.kid());
        jwk["alg"] = json!(self.signing.name());
        jwk["use"] = json!("sig");
        jwk
    }

    /// Returns the key in the library's form.
    pub(super) fn library_jwk(&self) -> Option<Jwk> {
        serde_json::from_value(self.jwk()).ok().filter(|jwk: &Jwk| {
            matches!(jwk.algorithm, AlgorithmParameters::OctetKeyPair(_) | AlgorithmParameters::EllipticCurve(_))
        })
    }

    /// Returns the members of the JWK that say which key it is, in the alphabetical order that the thumbprint needs.
    fn required(&self) -> Value {
        let text = |bytes: [u8; 32]| URL_SAFE_NO_PAD.encode(bytes);
        match self.y {
            None => json!({"crv": "Ed25519", "kty": "OKP", "x": text(self.x)}),
            Some(y) => json!({"crv": "P-256", "kty": "EC", "x": text(self.x), "y": text(y)}),
        }
    }
}

/// Writes the bytes of a private key as PEM (RFC 7468 section 10).
fn pem(der: &[u8]) -> StoredSecret {
    // 64 characters a line
    const LINE: usize = 48;
    let mut text = Zeroizing::new(String::with_capacity(2 * der.len() + 128));
    text.push_str(BEGIN);
    for line in der.chunks(LINE) {
        text.push('\n');
        STANDARD.encode_string(line, &mut text);
    }
    text.push('\n');
    text.push_str(END);
    StoredSecret::new(std::mem::take(&mut *text))
}

/// The first line of a private key.
const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
/// The last line of a private key.
const END: &str = "-----END PRIVATE KEY-----";

/// `id-Ed25519` (RFC 8410 section 3).
const OID_ED25519: [u8; 5] = [6, 3, 0x2b, 0x65, 0x70];
/// `secp256r1` (RFC 5480 section 2.1.1.1).
const OID_P256: [u8; 10] = [6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
/// The names of algorithm and curve stand in the first bytes; what follows is the key itself.
const LAST_OID: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8037 appendix A.1: the private key, as its 32 bytes.
    const RFC_8037: &str = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";

    fn seed(text: &str) -> Secret<[u8; 32]> {
        Secret::new(URL_SAFE_NO_PAD.decode(text).unwrap().try_into().unwrap())
    }

    #[test]
    fn the_key_of_rfc_8037_has_its_public_half_and_its_thumbprint() {
        let (key, _) = AdminKey::of_random(Signing::Eddsa, &seed(RFC_8037)).unwrap();
        let jwk = key.public().jwk();
        assert_eq!(jwk["x"], "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
        assert_eq!(key.public().kid(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        assert_eq!(
            (&jwk["kid"], &jwk["alg"], &jwk["use"]),
            (&json!(key.public().kid()), &json!("EdDSA"), &json!("sig"))
        );
    }

    #[test]
    fn keys_of_both_kinds_are_read_again() {
        for signing in [Signing::Eddsa, Signing::Es256] {
            let (key, text) = AdminKey::of_random(signing, &Secret::new([7; 32])).unwrap();
            let read = AdminKey::read(text.secret()).unwrap();
            assert_eq!(read.public(), key.public());
            assert_eq!(PublicKey::parse(&key.public().jwk().to_string()).unwrap(), *key.public());
            assert!(text.expose().lines().all(|line| line.len() <= 64), "{signing:?}");
        }
    }

    #[test]
    fn bytes_that_are_no_key_of_the_curve_make_none() {
        assert!(AdminKey::of_random(Signing::Es256, &Secret::new([0xff; 32])).is_none());
        assert!(AdminKey::of_random(Signing::Es256, &Secret::new([0; 32])).is_none());
    }

    #[test]
    fn other_texts_are_no_private_key() {
        let read = |text: &str| AdminKey::read(&Secret::new(text.to_owned())).map(|_| ()).unwrap_err().to_string();
        assert!(read("secret").contains("PKCS#8"));
        assert!(read("-----BEGIN EC PRIVATE KEY-----\nMHcC\n-----END EC PRIVATE KEY-----").contains("PKCS#8"));
        assert!(read(&format!("{BEGIN}\n!!\n{END}")).contains("PKCS#8"));
        let mut p384 = Signing::Es256.pkcs8().to_vec();
        p384[22] = 0x22;
        assert!(read(pem(&p384).expose()).contains("neither"));
        assert!(read(pem(Signing::Eddsa.pkcs8()).expose()).contains("neither"));
    }

    #[test]
    fn a_private_key_is_not_trusted_as_a_public_one() {
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": RFC_8037, "d": RFC_8037}).to_string();
        assert_eq!(PublicKey::parse(&jwk), Err(NotAPublicKey::Private));
    }

    #[test]
    fn other_keys_are_not_trusted() {
        let refused = |changes: Value| {
            let mut jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": RFC_8037});
            jwk.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
            PublicKey::parse(&jwk.to_string()).unwrap_err()
        };
        for changes in [
            json!({"kty": "RSA"}),
            json!({"kty": "oct", "k": "c2VjcmV0"}),
            json!({"crv": "X25519"}),
            json!({"kty": "EC", "crv": "P-384"}),
            json!({"use": "enc"}),
            json!({"alg": "ES256"}),
            json!({"alg": "none"}),
        ] {
            assert_eq!(refused(changes.clone()), NotAPublicKey::OtherKey, "{changes}");
        }
        for changes in [json!({"x": "AAAA"}), json!({"x": 5}), json!({"kty": "EC", "crv": "P-256"})] {
            assert_eq!(refused(changes.clone()), NotAPublicKey::Coordinates, "{changes}");
        }
        for text in ["", "[]", "{}", "{\"keys\":[]}", "{\"keys\":[{},{}]}", "eyJhbGciOiJub25lIn0.e30."] {
            assert_eq!(PublicKey::parse(text), Err(NotAPublicKey::NotAJwk), "{text}");
        }
    }

    #[test]
    fn points_that_nobody_or_everybody_can_sign_for_are_unsound() {
        let okp = |x: [u8; 32]| PublicKey { signing: Signing::Eddsa, x, y: None };
        let mut identity = [0; 32];
        identity[0] = 1;
        // the last one has the order 8
        let order_8 = "JuiVj8KyJ7BFw_SJ8u-Y8NXfrAXTxjM5sTgCiG1T_AU";
        for x in [[0; 32], identity, [2; 32], *seed(order_8).expose()] {
            assert_eq!(okp(x).sound(), Err(NotAPublicKey::Unsound), "{x:?}");
        }
        for y in [[0; 32], [7; 32]] {
            let off = PublicKey { signing: Signing::Es256, x: [7; 32], y: Some(y) };
            assert_eq!(off.sound(), Err(NotAPublicKey::Unsound));
        }
        for signing in [Signing::Eddsa, Signing::Es256] {
            assert!(AdminKey::of_random(signing, &seed(RFC_8037)).unwrap().0.public().is_sound());
        }
    }

    #[test]
    fn a_set_with_one_key_is_that_key_and_its_own_name_is_ignored() {
        let (key, _) = AdminKey::of_random(Signing::Es256, &seed(RFC_8037)).unwrap();
        let mut jwk = key.public().jwk();
        jwk["kid"] = json!("mine");
        let read = PublicKey::parse(&json!({"keys": [jwk]}).to_string()).unwrap();
        assert_eq!(read.kid(), key.public().kid());
    }

    #[test]
    fn debug_shows_no_private_key() {
        let (key, text) = AdminKey::of_random(Signing::Eddsa, &seed(RFC_8037)).unwrap();
        let shown = format!("{key:?} {text:?}");
        assert!(shown.contains("[secret]") && !shown.contains(RFC_8037) && !shown.contains("157, 97, 177"), "{shown}");
    }
}
