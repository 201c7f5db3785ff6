//! Signed JWTs: whether one was signed by a known key, for us, and is good now. Pure: key set, expectation and time are
//! arguments, and nothing is fetched.
//!
//! Trust never comes from the token. Its `alg` only picks among signatures with a public key (so that a public key never
//! becomes an HMAC secret), `kid` only picks among the keys we hold, and `iss` must be the one we expect. `typ` is not
//! asked: providers sign access tokens as `JWT` and as `at+jwt`, and the audience tells an ID token apart.

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use serde_json::Value;

use super::admin_key::PublicKey;
use super::claims::{self, Claims};
use super::scopes::Scopes;
use super::time::{Lifetime, Timestamp};
use crate::secret::Secret;

/// The public keys of a provider (RFC 7517).
#[derive(Clone, Debug)]
pub(crate) struct KeySet(Vec<Jwk>);

/// Why a token is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Rejection {
    /// It is opaque, cut, or garbage.
    #[error("it is not a signed JWT")]
    NotAJwt,
    /// It is a JWE (RFC 7516): only its audience can read it.
    #[error("it is an encrypted JWT, which only its audience can read")]
    Encrypted,
    /// It has no signature, one with a shared secret, one we do not know, or one that its key is not for.
    #[error("its signature algorithm `{0}` is not allowed, or not with its key")]
    AlgorithmNotAllowed(String),
    /// It has a header that must be understood, and we do not (RFC 7515 section 4.1.11).
    #[error("it has a critical header that is not understood")]
    CriticalHeader,
    /// No key of the set is the one it names; the set may be older than the key.
    #[error("it was signed with a key that is not among the provider's{}", kid.as_ref().map(|kid| format!(" (`{kid}`)")).unwrap_or_default())]
    UnknownKey {
        /// The key that it names.
        kid: Option<String>,
    },
    /// It was changed, or somebody else signed it.
    #[error("its signature is wrong")]
    BadSignature,
    /// Somebody else issued it, or says so.
    #[error("it was issued by {}", found.as_ref().map_or_else(|| "nobody".to_owned(), |found| format!("`{found}`")))]
    IssuerMismatch {
        /// Its `iss`.
        found: Option<String>,
    },
    /// It is meant for others.
    #[error("it is meant for {}", if found.is_empty() { "nobody".to_owned() } else { found.join(", ") })]
    AudienceMismatch {
        /// Its `aud`.
        found: Vec<String>,
    },
    /// Its time is over.
    #[error("it expired at {at}")]
    Expired {
        /// Its `exp`.
        at: Timestamp,
    },
    /// Its time has not begun, or one of the clocks is wrong.
    #[error("it is not valid before {at}")]
    NotYetValid {
        /// Its `nbf` or `iat`, whichever is later.
        at: Timestamp,
    },
    /// It would be good for ever.
    #[error("it does not say when it expires")]
    NoExpiry,
    /// It names a time that is no number (RFC 7519 section 2), and what it forbids is not known.
    #[error("its `{0}` is not a time")]
    UnreadableTime(&'static str),
    /// It does not have all scopes asked for.
    #[error("it lacks the scope {}", .0.iter().collect::<Vec<_>>().join(", "))]
    MissingScope(Scopes),
    /// It has none of the scopes of which one is asked for.
    #[error("it has none of the scopes {}", .0.iter().collect::<Vec<_>>().join(", "))]
    NoneOfScopes(Scopes),
}

/// Checks a token's signature, issuer (compared as text) and times, and returns what it says.
pub(crate) fn verify(token: &Secret<String>, keys: &KeySet, issuer: &str, now: Timestamp) -> Result<Claims, Rejection> {
    let form = Form::read(token)?;
    check_issuer(&form.claims, issuer)?;
    check_signature(&form, keys)?;
    check_times(&form.claims, now)?;
    Ok(form.claims)
}

/// Refuses a token that says somebody else issued it, before anything is fetched for it. Nothing else is checked.
pub(crate) fn require_issuer(token: &Secret<String>, expected: &str) -> Result<(), Rejection> {
    check_issuer(&Claims::unverified(token).ok_or(Rejection::NotAJwt)?, expected)
}

/// Refuses claims that name another issuer; they need not name one.
pub(crate) fn refuse_other_issuer(claims: &Claims, expected: &str) -> Result<(), Rejection> {
    if claims.text("iss").is_some() { check_issuer(claims, expected) } else { Ok(()) }
}

/// Refuses claims that are meant for others.
pub(crate) fn require_audience(claims: &Claims, audience: &str) -> Result<(), Rejection> {
    let found = claims.audiences();
    if found.contains(&audience) {
        Ok(())
    } else {
        Err(Rejection::AudienceMismatch { found: found.into_iter().map(legible).collect() })
    }
}

/// Refuses claims that lack one of the scopes.
pub(crate) fn require_scopes(claims: &Claims, all: &Scopes) -> Result<(), Rejection> {
    let present = claims.scopes().unwrap_or_default();
    let missing = Scopes::lenient(&all.iter().filter(|scope| !present.contains(scope)).collect::<Vec<_>>().join(" "));
    if missing.is_empty() { Ok(()) } else { Err(Rejection::MissingScope(missing)) }
}

/// Refuses claims that have none of the scopes; no scopes are met by all claims.
pub(crate) fn require_any_scope(claims: &Claims, any: &Scopes) -> Result<(), Rejection> {
    let present = claims.scopes().unwrap_or_default();
    let met = any.is_empty() || any.iter().any(|scope| present.contains(scope));
    if met { Ok(()) } else { Err(Rejection::NoneOfScopes(any.clone())) }
}

impl KeySet {
    /// Reads a key set (RFC 7517 section 5), skipping keys of unknown kinds; `None` if it is none.
    pub(crate) fn parse(json: &[u8]) -> Option<Self> {
        let set: Value = serde_json::from_slice(json).ok()?;
        let keys = set.get("keys")?.as_array()?;
        Some(Self(keys.iter().filter_map(|key| serde_json::from_value(key.clone()).ok()).collect()))
    }

    /// Takes the one key that a token of ours may be signed with.
    pub(super) fn of(key: &PublicKey) -> Self {
        Self(key.library_jwk().into_iter().collect())
    }

    /// Returns the keys that a signature may be from, never none.
    fn candidates(&self, algorithm: Algorithm, name: &str, kid: Option<&str>) -> Result<Vec<&Jwk>, Rejection> {
        let named = |key: &&Jwk| kid.is_none() || key.common.key_id.as_deref() == kid;
        let fitting: Vec<&Jwk> = self.0.iter().filter(named).filter(|key| fits(key, algorithm)).collect();
        if !fitting.is_empty() {
            Ok(fitting)
        } else if kid.is_some() && self.0.iter().any(|key| named(&key)) {
            Err(Rejection::AlgorithmNotAllowed(name.to_owned()))
        } else {
            Err(Rejection::UnknownKey { kid: kid.map(legible) })
        }
    }
}

/// The parts of a JWT that are looked at, none of them believed.
struct Form<'a> {
    /// The algorithm that it names, one of those allowed.
    algorithm: Algorithm,
    /// The same as text.
    name: String,
    /// The key that it names.
    kid: Option<String>,
    /// What was signed: the first two parts.
    message: &'a str,
    /// The third part.
    signature: &'a str,
    /// What it says.
    claims: Claims,
}

impl<'a> Form<'a> {
    /// Takes a token apart.
    fn read(secret: &'a Secret<String>) -> Result<Self, Rejection> {
        let token = secret.expose();
        // RFC 7516 section 9: five parts are an encrypted token, three a signed one
        if token.split('.').count() == 5 && token.starts_with("ey") {
            return Err(Rejection::Encrypted);
        }
        let header = claims::header(token).ok_or(Rejection::NotAJwt)?;
        let claims = Claims::unverified(secret).ok_or(Rejection::NotAJwt)?;
        let (message, signature) = token.rsplit_once('.').ok_or(Rejection::NotAJwt)?;
        let text = |name: &str| header.get(name).and_then(Value::as_str);
        let name = legible(text("alg").unwrap_or_default());
        let algorithm = allowed(&name).ok_or_else(|| Rejection::AlgorithmNotAllowed(name.clone()))?;
        if header.contains_key("crit") {
            return Err(Rejection::CriticalHeader);
        }
        Ok(Self { algorithm, name, kid: text("kid").map(str::to_owned), message, signature, claims })
    }
}

/// Returns the algorithm of a name: signatures with public keys only, whatever else the library knows.
fn allowed(name: &str) -> Option<Algorithm> {
    match name {
        "RS256" => Some(Algorithm::RS256),
        "RS384" => Some(Algorithm::RS384),
        "RS512" => Some(Algorithm::RS512),
        "PS256" => Some(Algorithm::PS256),
        "PS384" => Some(Algorithm::PS384),
        "PS512" => Some(Algorithm::PS512),
        "ES256" => Some(Algorithm::ES256),
        "ES384" => Some(Algorithm::ES384),
        "EdDSA" => Some(Algorithm::EdDSA),
        _ => None,
    }
}

/// Tells whether a key may make signatures of an algorithm: by its type, its curve, and what it says it is for.
fn fits(key: &Jwk, algorithm: Algorithm) -> bool {
    let kind = match &key.algorithm {
        AlgorithmParameters::RSA(_) => algorithm.family() == AlgorithmFamily::Rsa,
        AlgorithmParameters::EllipticCurve(point) => {
            matches!(
                (algorithm, &point.curve),
                (Algorithm::ES256, EllipticCurve::P256) | (Algorithm::ES384, EllipticCurve::P384)
            )
        }
        AlgorithmParameters::OctetKeyPair(point) => {
            algorithm == Algorithm::EdDSA && point.curve == EllipticCurve::Ed25519
        }
        AlgorithmParameters::OctetKey(_) | AlgorithmParameters::Other(_) | _ => false,
    };
    let common = &key.common;
    kind && common.public_key_use.as_ref().is_none_or(|purpose| *purpose == PublicKeyUse::Signature)
        && common.key_operations.as_ref().is_none_or(|operations| operations.contains(&KeyOperations::Verify))
        && common.key_algorithm.is_none_or(|declared| declared == KeyAlgorithm::from(algorithm))
}

/// Refuses a token that no candidate key signed.
fn check_signature(form: &Form<'_>, keys: &KeySet) -> Result<(), Rejection> {
    let signed = |key: &&Jwk| {
        let Ok(key) = DecodingKey::from_jwk(key) else { return false };
        jsonwebtoken::crypto::verify(form.signature, form.message.as_bytes(), &key, form.algorithm).unwrap_or(false)
    };
    let candidates = keys.candidates(form.algorithm, &form.name, form.kid.as_deref())?;
    if candidates.iter().any(signed) { Ok(()) } else { Err(Rejection::BadSignature) }
}

/// Refuses a token of another issuer.
fn check_issuer(claims: &Claims, expected: &str) -> Result<(), Rejection> {
    let found = claims.text("iss");
    if found == Some(expected) { Ok(()) } else { Err(Rejection::IssuerMismatch { found: found.map(legible) }) }
}

/// Refuses a token whose time is over (from its very second on) or has not begun.
fn check_times(claims: &Claims, now: Timestamp) -> Result<(), Rejection> {
    let at = claims.expires_at().ok_or(Rejection::NoExpiry)?;
    if now >= at {
        return Err(Rejection::Expired { at });
    }
    if claims.has_unreadable_time("nbf") {
        return Err(Rejection::UnreadableTime("nbf"));
    }
    match claims.time("nbf").max(claims.time("iat")) {
        Some(at) if at > now.after(LEEWAY) => Err(Rejection::NotYetValid { at }),
        Some(_) | None => Ok(()),
    }
}

/// Makes a claim fit to be shown. It is no secret, and often a URL, so nothing is redacted.
fn legible(claim: &str) -> String {
    claim.chars().take(LONGEST_SHOWN).flat_map(char::escape_debug).collect()
}

/// How far `nbf` and `iat` may lie ahead: two machines' clocks differ by some seconds without anybody noticing. `exp` has
/// no such leeway, or a token that is over would pass.
const LEEWAY: Lifetime = Lifetime::seconds(30);

/// An issuer or audience is a URL of some 100 characters.
const LONGEST_SHOWN: usize = 300;

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    use jsonwebtoken::{EncodingKey, Header, encode};
    use serde_json::json;

    use super::*;

    const ISSUER: &str = "https://a.example/realms/x";
    const NOW: Timestamp = Timestamp::from_epoch(1_800_000_000);

    fn key(algorithm: Algorithm) -> EncodingKey {
        let der = |text: &str| STANDARD.decode(text).unwrap();
        match algorithm.family() {
            AlgorithmFamily::Ec if algorithm == Algorithm::ES384 => EncodingKey::from_ec_der(&der(P384)),
            AlgorithmFamily::Ec => EncodingKey::from_ec_der(&der(P256)),
            AlgorithmFamily::Ed => EncodingKey::from_ed_der(&der(ED25519)),
            AlgorithmFamily::Rsa => EncodingKey::from_rsa_der(&der(RSA)),
            AlgorithmFamily::Hmac => panic!("no public key is for {algorithm:?}"),
        }
    }

    fn key_set(algorithm: Algorithm, changes: &Value) -> KeySet {
        let mut jwk = serde_json::to_value(Jwk::from_encoding_key(&key(algorithm), algorithm).unwrap()).unwrap();
        jwk["kid"] = json!("k1");
        jwk.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        KeySet::parse(json!({ "keys": [{"kty": "new"}, 5, jwk] }).to_string().as_bytes()).unwrap()
    }

    fn claims(changes: &Value) -> Value {
        let mut claims = json!({"iss": ISSUER, "aud": ["other", "api"], "sub": "ada", "exp": NOW.epoch() + 60});
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        claims
    }

    fn sign(algorithm: Algorithm, changes: &Value) -> String {
        let header = Header { kid: Some("k1".into()), ..Header::new(algorithm) };
        encode(&header, &claims(changes), &key(algorithm)).unwrap()
    }

    /// Makes a token with any header, which nobody signed.
    fn forge(header: &Value, signature: &[u8]) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.{}", part(header), part(&claims(&json!({}))), URL_SAFE_NO_PAD.encode(signature))
    }

    fn verify(token: &str, keys: &KeySet) -> Result<Claims, Rejection> {
        super::verify(&Secret::new(token.to_owned()), keys, ISSUER, NOW)
    }

    fn check(token: &str) -> Result<Claims, Rejection> {
        verify(token, &key_set(Algorithm::ES256, &json!({})))
    }

    fn check_claims(changes: &Value) -> Result<Claims, Rejection> {
        check(&sign(Algorithm::ES256, changes))
    }

    #[test]
    fn signatures_of_every_allowed_algorithm_are_verified() {
        use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
        for algorithm in [RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA] {
            let token = sign(algorithm, &json!({}));
            let found = verify(&token, &key_set(algorithm, &json!({})));
            assert_eq!(found.unwrap().text("sub"), Some("ada"), "{algorithm:?}");
        }
    }

    #[test]
    fn expired_token_is_refused_at_its_exact_second() {
        let at = |seconds: i64| check_claims(&json!({ "exp": NOW.epoch() + seconds }));
        assert!(at(1).is_ok());
        assert_eq!(at(0).unwrap_err(), Rejection::Expired { at: NOW });
        assert_eq!(check_claims(&json!({ "exp": null })).unwrap_err(), Rejection::NoExpiry);
    }

    #[test]
    fn a_beginning_that_cannot_be_read_is_not_taken_for_none() {
        for nbf in [json!("1900000000"), json!(true), json!([1_900_000_000])] {
            assert_eq!(check_claims(&json!({ "nbf": nbf })).unwrap_err(), Rejection::UnreadableTime("nbf"));
        }
        assert!(check_claims(&json!({ "nbf": null })).is_ok());
    }

    #[test]
    fn a_clock_may_be_30_seconds_ahead_of_ours() {
        for claim in ["nbf", "iat"] {
            assert!(check_claims(&json!({ claim: NOW.epoch() + 30 })).is_ok());
            let at = Timestamp::from_epoch(NOW.epoch() + 31);
            assert_eq!(check_claims(&json!({ claim: at.epoch() })).unwrap_err(), Rejection::NotYetValid { at });
        }
    }

    #[test]
    fn a_token_without_signature_is_refused() {
        for name in ["none", "None", "NONE", ""] {
            assert_eq!(
                check(&forge(&json!({ "alg": name }), b"")).unwrap_err(),
                Rejection::AlgorithmNotAllowed(name.into())
            );
        }
    }

    #[test]
    fn a_public_key_is_no_hmac_secret() {
        let keys = key_set(Algorithm::RS256, &json!({}));
        let public = serde_json::to_value(keys.0.last().unwrap()).unwrap()["n"].as_str().unwrap().to_owned();
        let header = Header { kid: Some("k1".into()), ..Header::new(Algorithm::HS256) };
        for secret in [public.as_bytes(), &URL_SAFE_NO_PAD.decode(&public).unwrap()] {
            let token = encode(&header, &claims(&json!({})), &EncodingKey::from_secret(secret)).unwrap();
            let error = verify(&token, &keys).unwrap_err();
            assert_eq!(error, Rejection::AlgorithmNotAllowed("HS256".into()));
        }
    }

    #[test]
    fn an_hmac_key_in_the_set_is_never_used() {
        let keys = json!({"keys": [{"kty": "oct", "kid": "k1", "k": URL_SAFE_NO_PAD.encode("secret")}]}).to_string();
        let token = encode(&Header::new(Algorithm::HS256), &claims(&json!({})), &EncodingKey::from_secret(b"secret"));
        let error = verify(&token.unwrap(), &KeySet::parse(keys.as_bytes()).unwrap()).unwrap_err();
        assert_eq!(error, Rejection::AlgorithmNotAllowed("HS256".into()));
    }

    #[test]
    fn a_changed_claim_breaks_the_signature() {
        let token = sign(Algorithm::ES256, &json!({}));
        let parts: Vec<&str> = token.split('.').collect();
        let changed = URL_SAFE_NO_PAD.encode(claims(&json!({"sub": "eve"})).to_string());
        let forged = format!("{}.{changed}.{}", parts[0], parts[2]);
        assert_eq!(check(&forged).unwrap_err(), Rejection::BadSignature);
        assert_eq!(check(&forge(&json!({"alg": "ES256", "kid": "k1"}), b"")).unwrap_err(), Rejection::BadSignature);
    }

    #[test]
    fn the_key_must_be_the_one_that_is_named() {
        let token = sign(Algorithm::ES256, &json!({}));
        let verify_with = |changes: &Value| verify(&token, &key_set(Algorithm::ES256, changes));
        let error = verify_with(&json!({"kid": "k2"})).unwrap_err();
        assert_eq!(error, Rejection::UnknownKey { kid: Some("k1".into()) });
        for changes in
            [json!({"alg": "ES384"}), json!({"use": "enc"}), json!({"key_ops": ["sign"]}), json!({"crv": "P-384"})]
        {
            let error = verify_with(&changes).unwrap_err();
            assert_eq!(error, Rejection::AlgorithmNotAllowed("ES256".into()), "{changes}");
        }
    }

    #[test]
    fn a_token_that_names_no_key_is_tried_with_each_that_fits() {
        let token = encode(&Header::new(Algorithm::ES256), &claims(&json!({})), &key(Algorithm::ES256)).unwrap();
        let (mut keys, fitting) = (key_set(Algorithm::RS256, &json!({})), key_set(Algorithm::ES256, &json!({})));
        assert_eq!(verify(&token, &keys).unwrap_err(), Rejection::UnknownKey { kid: None });
        keys.0.extend(fitting.0);
        assert!(verify(&token, &keys).is_ok());
    }

    #[test]
    fn a_critical_header_is_refused() {
        let forged = forge(&json!({"alg": "ES256", "crit": ["b64"], "b64": false}), b"");
        assert_eq!(check(&forged).unwrap_err(), Rejection::CriticalHeader);
    }

    #[test]
    fn what_is_no_signed_jwt_is_told_apart() {
        for text in ["", "a.b.c", "opaque", "eyJhbGciOiJFUzI1NiJ9.e30"] {
            assert_eq!(check(text).unwrap_err(), Rejection::NotAJwt, "{text}");
        }
        assert_eq!(check("eyJhbGciOiJkaXIifQ..aa.bb.cc").unwrap_err(), Rejection::Encrypted);
    }

    #[test]
    fn another_issuer_or_audience_is_refused_and_named() {
        let issuer = check_claims(&json!({"iss": "https://a.example/realms/x/"})).unwrap_err();
        assert_eq!(issuer, Rejection::IssuerMismatch { found: Some("https://a.example/realms/x/".into()) });
        let for_api = |aud: &str| require_audience(&check_claims(&json!({ "aud": aud })).unwrap(), "api");
        let audience = for_api("account\n").unwrap_err();
        assert_eq!(audience, Rejection::AudienceMismatch { found: vec!["account\\n".into()] });
        assert_eq!(audience.to_string(), "it is meant for account\\n");
        assert!(for_api("api").is_ok());
        assert!(require_audience(&check_claims(&json!({})).unwrap(), "api").is_ok());
    }

    #[test]
    fn missing_scopes_are_named() {
        let claims = Claims::new(json!({"scope": "read write"}).as_object().unwrap().clone());
        let scopes = Scopes::lenient;
        assert!(require_scopes(&claims, &scopes("write read")).is_ok());
        let error = require_scopes(&claims, &scopes("admin read")).unwrap_err();
        assert_eq!(error, Rejection::MissingScope(scopes("admin")));
        assert!(require_any_scope(&claims, &scopes("admin read")).is_ok());
        assert!(require_any_scope(&claims, &scopes("")).is_ok());
        assert!(require_any_scope(&claims, &scopes("admin")).is_err());
    }

    // keys made for these tests, used nowhere else
    const ED25519: &str = "MC4CAQAwBQYDK2VwBCIEIN3A6uXjy+9a3/eX3UlrVMfACIROsvmOuhMvqJPJm/2t";
    const P256: &str = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgJDc2JS5juY0vwEp4gcJqiErVKf3HNqqHpuIpPh2yzUehRANCAARjW3yH07TA0I\
        ICdO68QWpcwToCv0ZnFNAtxyGRZnT7Xoow7LEwCLxqx0cWd+RR+kvub/NCeKGybvt1yTwVZ7Pu";
    const P384: &str = "MIG2AgEAMBAGByqGSM49AgEGBSuBBAAiBIGeMIGbAgEBBDBs/xqEztFf36NdvoMtqYk2reA0YSulUjFn6NpM7c6AA81pcsGAKxJnWYLs7P+RAh\
        ihZANiAAT7KdH9Q7zZqBTRwuRDwgGgBlBKjM25FpOqyueUa+1k3GqRNaCz4pzuuDUv8nQ6NVq07tHlmXtxQvlbA08jleqO8XugTHjfzhHsmPGt\
        yTkmsEBAolluQDlwqWQ17MZyoeM=";
    const RSA: &str = "MIIEpQIBAAKCAQEA3bx9t9vVFMdgiCXc9LHgykUiboRYfNcdbJAK3D4YprdYXpjJTtOpdq3649gfvDim5KH6DuEYPZ15kwvsyQCbeUxQplotJi\
        C29+AzLlVSPZ/pk2WohaB7enuOCGNVWctlo4L237bp/eI3Oz049/gtdnAf41DNVGZJbU6TSCH1BsB3zj7U8Yiu1TuWcN4QB8WlPXDBQkY/DR0Z\
        VSR+4Yr4fCNvTTTIOm/Pachtpnu7j4ntgoGnuI/CpshvnFJXVnGozMc6gzXTA8bDSiNawyLZlCc/aDY/IHtcXZMJ0OfFtI246AaTXIPda4DBia\
        M5PX4nN0xmOgJTfSlgHpmcvyLxEQIDAQABAoIBAAkK1632A8pBYt0ifXsoFC9DeFGSnuuBDT+LtI8B5EOg4fRs8sv+uIrbsknKMD8e01ArD9Vo\
        ALL7N0WTx1VKFk0GcO/bvmVvO5mVAG6mXEB27eb3eWgboOAgO5ekJLX7pAUx68s4kccV9iPPDcHvp7uhpmyWHg16pLTAWc68/cRHj8MFS7VI3C\
        zm2GmcHtvdGNwr5x54/yKHAzuFuBIMhPs2incPjdiQuONhLvap6AAUiRBHLIVJT9A1Io67mJS8lwpimaCr/iv8qbYtHNW6bot8PA8Vr95orAk0\
        T+BTR87rkdZb4nitIQofp9Q7Twa235FSwJonBywfjhiAoU4W3BECgYEA+ELCkuHU2SquKrgZWGwnWTdSfXEkoV6fsCfuCYXbqLPVIbHHrJOuVX\
        bNJqCEHWy7deoul6XGy8LBmlE2g7o7GawXibDe1/wJUY4pjqlNtSXsziU/OcWhkiNLhMz/SU204bvuzfSyRLVOO1O2i7W8HUH/YuEzuQZWBfRN\
        ftlgdTkCgYEA5KYNi7TLK7K9ggdPnK9lCuL6nLQi9GQSpZNDUSYVRkb3eouw92Z95xrtEWm14DbzTLVE+jSpdO3hvO+mHRhgkTiu/K7nH6/Ut7\
        LQHuR6NLLNIv8fs/+JlMpDM5EZjmYHUAwBuW0gFOhrUJakBbVcx85dT+Pk2dAmSonS3kgV8pkCgYEA9op95hYFJYFAI0ZeTTRiwzOwZMjGosZw\
        eSS+PJDFOj0UrHh7ncOvPkpTo0eGzB3d8FSW3pyP1mxbjV+Xbquz42PGoEOYmg8+RdKTLIyvkfTOvU26AypjsNgCOCjIYMidmArlNX0KyDbxMP\
        OKdiYNYVTYRR72GYnURed+Sjmfk+kCgYEAt2JjTODFbxfdnLNma+HU5aVkoVhtDJxSxE/XVvd3arUyeiwd1F90rW3QI/4n7FvGSYi9ePvRycGd\
        It8G2SEbGn5fArT5FFX/AxK8j3pqdWfO1bnPYJucaiTLP0mqOKamSNJIc8MNTxeWMr2PcjCi6HIgLxo2C2hBvdjKspMYX0kCgYEA3vSBmzsdzi\
        N/8+Gbp9qVdzjgc6JeJrp7PKuTfpnv7sgQ7tZFNLYi6dlxMmnjLQiiIIk8DmZwNaacThO6wuUaIPAd58qr4AKwPCyNO9CGvFyE02HjBFgjg5Xq\
        ZRjnm2bpKqcsy104Ox/Al8GYH7NY347J51qkpzYmb7UsMO8bPig=";
}
