//! Admin tokens: JWTs of some minutes (RFC 9068) that an administrator mints with a private key, and that anybody checks who
//! holds the public one. Pure: key, text and time are arguments.
//!
//! Beyond what [`super::jwt`] asks of every JWT, the type must be that of an access token, the key one that is named by its
//! thumbprint and trusted here, the audience ours, and the whole life at most [`AdminLifetime::LONGEST`], however it was
//! signed: who steals a key cannot mint tokens for years.

use std::fmt;
use std::str::FromStr;

use jsonwebtoken::{Header, encode};
use serde::Serialize;
use serde_json::Value;

use super::admin_key::{AdminKey, PublicKey};
use super::claims::{self, Claims};
use super::issuer::Issuer;
use super::jwt::{self, KeySet, Rejection};
use super::text::shown;
use super::time::{Lifetime, Timestamp};
use crate::secret::{AccessToken, Secret};

/// How long an admin token lives: some seconds to 15 minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AdminLifetime(Lifetime);

impl AdminLifetime {
    /// The most: until then a revocation works only where the ledger is asked.
    pub(crate) const LONGEST: Lifetime = Lifetime::seconds(15 * 60);

    /// Returns the length of time.
    pub(crate) const fn lifetime(self) -> Lifetime {
        self.0
    }
}

impl Default for AdminLifetime {
    /// Long enough for a person to act, too short for a token in a mail or a commit to be worth anything.
    fn default() -> Self {
        Self(Lifetime::seconds(5 * 60))
    }
}

impl FromStr for AdminLifetime {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let lifetime: Lifetime = text.parse().map_err(|fault: super::time::NotALifetime| fault.to_string())?;
        if lifetime == Lifetime::default() || lifetime > Self::LONGEST {
            return Err(format!("an admin token lives 1s to {}", Self::LONGEST));
        }
        Ok(Self(lifetime))
    }
}

/// What an admin token says.
#[derive(Clone, Debug)]
pub(crate) struct Statement<'a> {
    /// Who issues it.
    pub(crate) issuer: &'a Issuer,
    /// The name of the key, which is who acts.
    pub(crate) subject: &'a str,
    /// Who it is for, never nobody.
    pub(crate) audiences: &'a [String],
    /// Its own name, by which it is revoked.
    pub(crate) id: &'a str,
    /// When it is minted.
    pub(crate) at: Timestamp,
    /// How long it lives.
    pub(crate) lifetime: AdminLifetime,
}

/// The claims as they are written (RFC 9068 section 2.2).
#[derive(Serialize)]
struct Written<'a> {
    iss: &'a str,
    sub: &'a str,
    client_id: &'static str,
    aud: Audience<'a>,
    jti: &'a str,
    iat: i64,
    exp: i64,
}

/// One audience is written as a text, several as a list (RFC 7519 section 4.1.3).
#[derive(Serialize)]
#[serde(untagged)]
enum Audience<'a> {
    /// One.
    One(&'a str),
    /// Several.
    Several(&'a [String]),
}

/// The key cannot sign, though it could be read.
#[derive(Debug, thiserror::Error)]
#[error("the admin key does not sign")]
pub(crate) struct CannotSign(#[source] jsonwebtoken::errors::Error);

impl Statement<'_> {
    /// Signs it, which makes it an admin token.
    pub(crate) fn sign(&self, key: &AdminKey) -> Result<AccessToken, CannotSign> {
        let public = key.public();
        let header =
            Header { typ: Some(TYPE.to_owned()), kid: Some(public.kid()), ..Header::new(public.signing().algorithm()) };
        let aud = match self.audiences {
            [only] => Audience::One(only),
            several => Audience::Several(several),
        };
        let claims = Written {
            iss: self.issuer.as_str(),
            sub: self.subject,
            client_id: CLIENT_ID,
            aud,
            jti: self.id,
            iat: self.at.epoch(),
            exp: self.at.after(self.lifetime.0).epoch(),
        };
        encode(&header, &claims, key.signer()).map(AccessToken::new).map_err(CannotSign)
    }
}

/// Why a token is not believed to be an administrator's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// For a reason that any JWT may be refused for.
    #[error(transparent)]
    Jwt(#[from] Rejection),
    /// It is another kind of JWT, like an ID token.
    #[error("it is a JWT of the type `{found}`, not `at+jwt` (RFC 9068)")]
    WrongType {
        /// Its `typ`.
        found: String,
    },
    /// It does not say with which key it was signed.
    #[error("it does not name its key")]
    NoKey,
    /// Nobody here trusts the key.
    #[error("its key `{kid}` is not one of those that are trusted here")]
    UntrustedKey {
        /// The key that it names.
        kid: String,
    },
    /// The key proves nothing.
    #[error("its key `{kid}` is trusted here, and yet anybody could sign with it")]
    UnsoundKey {
        /// The key that it names.
        kid: String,
    },
    /// It was minted after its key had been replaced.
    #[error("its key was retired at {at}, before it was minted")]
    RetiredKey {
        /// When the key was retired.
        at: Timestamp,
    },
    /// It would live for longer than any admin token may.
    #[error("it lives {lifetime}, and an admin token lives {} at most", AdminLifetime::LONGEST)]
    TooLong {
        /// From `iat` to `exp`.
        lifetime: Lifetime,
    },
    /// It speaks for somebody else than its key may.
    #[error("it says that it is of `{found}`, and its key is trusted here as `{name}`")]
    OtherSubject {
        /// Its `sub`.
        found: String,
        /// What its key is called here.
        name: String,
    },
    /// A claim is missing that every access token has.
    #[error("it has no `{0}`")]
    MissingClaim(&'static str),
}

/// A token that somebody shows, taken apart; nothing of it is believed yet.
#[derive(Clone, Debug)]
pub(crate) struct Shown<'a> {
    /// The text.
    token: &'a Secret<String>,
    /// The key that it names.
    kid: String,
}

/// What is expected of a token.
#[derive(Clone, Debug)]
pub(crate) struct Expected<'a> {
    /// The key that it names, as it is trusted here.
    pub(crate) key: &'a PublicKey,
    /// What that key is called here, which its tokens must have as their subject.
    pub(crate) name: &'a str,
    /// When that key was retired, if it was.
    pub(crate) retired: Option<Timestamp>,
    /// Who issues admin tokens.
    pub(crate) issuer: &'a Issuer,
    /// Who we are.
    pub(crate) audience: &'a str,
}

/// An admin token that was found to be good, but for what the ledger knows of it.
#[derive(Clone, Debug)]
pub(crate) struct AdminToken {
    /// Its own name.
    pub(crate) id: String,
    /// Everything it says.
    pub(crate) claims: Claims,
}

impl<'a> Shown<'a> {
    /// Takes a token apart and refuses what could be no admin token, whatever its key.
    pub(crate) fn read(token: &'a Secret<String>) -> Result<Self, Refusal> {
        let header = claims::header(token.expose()).ok_or(Rejection::NotAJwt)?;
        let text = |name: &str| header.get(name).and_then(Value::as_str);
        // RFC 9068 section 4; an application/ in front is allowed, and case does not count (RFC 7515 section 4.1.9)
        let found = text("typ").unwrap_or_default();
        if !found.eq_ignore_ascii_case(TYPE) && !found.eq_ignore_ascii_case("application/at+jwt") {
            return Err(Refusal::WrongType { found: shown(found) });
        }
        let kid = text("kid").filter(|kid| !kid.is_empty()).ok_or(Refusal::NoKey)?;
        Ok(Self { token, kid: kid.to_owned() })
    }

    /// Returns the name of the key that it names, to look it up among those that are trusted.
    pub(crate) fn kid(&self) -> &str {
        &self.kid
    }

    /// Describes a token whose key nobody here trusts.
    pub(crate) fn untrusted(&self) -> Refusal {
        Refusal::UntrustedKey { kid: shown_name(&self.kid) }
    }

    /// Checks it with the key that it names.
    pub(crate) fn verify(&self, expected: &Expected<'_>, now: Timestamp) -> Result<AdminToken, Refusal> {
        // the caller looked the key up by this name; a mistake there must not make it another one
        if expected.key.kid() != self.kid {
            return Err(self.untrusted());
        }
        // an older version may have let it into the ledger
        if !expected.key.is_sound() {
            return Err(Refusal::UnsoundKey { kid: shown_name(&self.kid) });
        }
        let claims = jwt::verify(self.token, &KeySet::of(expected.key), expected.issuer.as_str(), now)?;
        jwt::require_audience(&claims, expected.audience)?;
        let text = |name| claims.text(name).filter(|text| !text.is_empty()).ok_or(Refusal::MissingClaim(name));
        let id = text("jti")?.to_owned();
        let subject = text("sub")?;
        if subject != expected.name {
            return Err(Refusal::OtherSubject { found: shown_name(subject), name: expected.name.to_owned() });
        }
        text("client_id")?;
        let minted = claims.time("iat").ok_or(Refusal::MissingClaim("iat"))?;
        let lifetime = claims.expires_at().unwrap_or(minted).since(minted);
        if lifetime > AdminLifetime::LONGEST {
            return Err(Refusal::TooLong { lifetime });
        }
        match expected.retired {
            Some(at) if minted > at => Err(Refusal::RetiredKey { at }),
            Some(_) | None => Ok(AdminToken { id, claims }),
        }
    }
}

/// Makes the name of a key, or of who has it, fit to be shown. It is no secret, though it looks like one.
fn shown_name(kid: &str) -> String {
    kid.chars().take(LONGEST_SHOWN).flat_map(char::escape_debug).collect()
}

impl fmt::Display for AdminLifetime {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// The type of an access token (RFC 9068 section 2.1).
const TYPE: &str = "at+jwt";

/// Who asked for the token: this program, for the subject.
const CLIENT_ID: &str = "tokenkeep";

/// A thumbprint has 43 characters.
const LONGEST_SHOWN: usize = 64;

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use jsonwebtoken::{Algorithm, EncodingKey};
    use serde_json::json;

    use super::super::admin_key::Signing;
    use super::*;

    const NOW: Timestamp = Timestamp::from_epoch(1_800_000_000);
    const AUDIENCE: &str = "https://pipelines.example.org/api";

    fn issuer() -> Issuer {
        "https://pipelines.example.org".parse().unwrap()
    }

    fn key(signing: Signing, byte: u8) -> AdminKey {
        AdminKey::of_random(signing, &Secret::new([byte; 32])).unwrap().0
    }

    fn ours() -> AdminKey {
        key(Signing::Eddsa, 7)
    }

    fn minted(key: &AdminKey, audiences: &[&str]) -> Secret<String> {
        let audiences: Vec<String> = audiences.iter().map(|audience| (*audience).to_owned()).collect();
        let issuer = issuer();
        let lifetime = AdminLifetime::default();
        let statement =
            Statement { issuer: &issuer, subject: "ops", audiences: &audiences, id: "j1", at: NOW, lifetime };
        Secret::new(statement.sign(key).unwrap().expose().clone())
    }

    fn claims(changes: &Value) -> Value {
        let mut claims = json!({
            "iss": issuer(), "sub": "ops", "client_id": CLIENT_ID, "aud": AUDIENCE, "jti": "j1",
            "iat": NOW.epoch(), "exp": NOW.epoch() + 300,
        });
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        claims
    }

    /// Signs anything with our key, as who has stolen it could.
    fn signed(header: &Value, changes: &Value) -> Secret<String> {
        let mut full = json!({"alg": "EdDSA", "typ": "at+jwt", "kid": ours().public().kid()});
        full.as_object_mut().unwrap().extend(header.as_object().unwrap().clone());
        full.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(&full), part(&claims(changes)));
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), ours().signer(), Algorithm::EdDSA).unwrap();
        Secret::new(format!("{message}.{signature}"))
    }

    fn expected<'a>(key: &'a PublicKey, issuer: &'a Issuer) -> Expected<'a> {
        Expected { key, name: "ops", retired: None, issuer, audience: AUDIENCE }
    }

    fn check_at(token: &Secret<String>, now: Timestamp) -> Result<AdminToken, Refusal> {
        Shown::read(token)?.verify(&expected(ours().public(), &issuer()), now)
    }

    fn check(token: &Secret<String>) -> Result<AdminToken, Refusal> {
        check_at(token, NOW)
    }

    fn check_claims(changes: &Value) -> Result<AdminToken, Refusal> {
        check(&signed(&json!({}), changes))
    }

    fn jwt(rejection: Rejection) -> Refusal {
        Refusal::Jwt(rejection)
    }

    #[test]
    fn tokens_of_both_kinds_of_keys_are_good_and_say_what_rfc_9068_asks_for() {
        for signing in [Signing::Eddsa, Signing::Es256] {
            let key = key(signing, 9);
            let token = minted(&key, &[AUDIENCE]);
            let header = claims::header(token.expose()).unwrap();
            assert_eq!((&header["typ"], &header["alg"]), (&json!("at+jwt"), &json!(signing.name())));
            let good = Shown::read(&token).unwrap().verify(&expected(key.public(), &issuer()), NOW).unwrap();
            assert_eq!(good.id, "j1");
            for claim in ["iss", "sub", "client_id", "aud", "jti"] {
                assert!(good.claims.text(claim).is_some(), "{claim}");
            }
            assert_eq!(good.claims.expires_at(), Some(Timestamp::from_epoch(NOW.epoch() + 300)));
            assert_eq!(good.claims.time("iat"), Some(NOW));
        }
    }

    #[test]
    fn several_audiences_are_a_list_of_which_one_must_be_ours() {
        assert!(check(&minted(&ours(), &["other", AUDIENCE])).is_ok());
        let error = check(&minted(&ours(), &["other", "third"])).unwrap_err();
        assert_eq!(error, jwt(Rejection::AudienceMismatch { found: vec!["other".into(), "third".into()] }));
    }

    #[test]
    fn it_ends_at_its_exact_second() {
        let token = minted(&ours(), &[AUDIENCE]);
        let at = |seconds| check_at(&token, Timestamp::from_epoch(NOW.epoch() + seconds));
        assert!(at(299).is_ok());
        let end = Timestamp::from_epoch(NOW.epoch() + 300);
        assert_eq!(at(300).unwrap_err(), jwt(Rejection::Expired { at: end }));
    }

    #[test]
    fn it_may_be_30_seconds_ahead_and_no_more() {
        let token = minted(&ours(), &[AUDIENCE]);
        assert!(check_at(&token, Timestamp::from_epoch(NOW.epoch() - 30)).is_ok());
        let error = check_at(&token, Timestamp::from_epoch(NOW.epoch() - 31)).unwrap_err();
        assert_eq!(error, jwt(Rejection::NotYetValid { at: NOW }));
    }

    #[test]
    fn more_than_15_minutes_are_refused_however_they_are_signed() {
        assert!(check_claims(&json!({"exp": NOW.epoch() + 900})).is_ok());
        let error = check_claims(&json!({"exp": NOW.epoch() + 901})).unwrap_err();
        assert_eq!(error, Refusal::TooLong { lifetime: Lifetime::seconds(901) });
        // an early beginning does not help, nor does one that is far too early to be subtracted
        for begin in [NOW.epoch() - 900, i64::MIN] {
            assert!(matches!(check_claims(&json!({"iat": begin})).unwrap_err(), Refusal::TooLong { .. }), "{begin}");
        }
        let error = check_claims(&json!({"exp": i64::MAX, "iat": null})).unwrap_err();
        assert_eq!(error, Refusal::MissingClaim("iat"));
    }

    #[test]
    fn claims_that_are_missing_or_of_another_form_are_refused() {
        for claim in ["jti", "sub", "client_id"] {
            for value in [Value::Null, json!(""), json!(5), json!(["x"])] {
                let error = check_claims(&json!({ claim: value })).unwrap_err();
                assert_eq!(error, Refusal::MissingClaim(claim), "{value}");
            }
        }
        assert_eq!(check_claims(&json!({"iat": null})).unwrap_err(), Refusal::MissingClaim("iat"));
        assert_eq!(check_claims(&json!({"exp": null})).unwrap_err(), jwt(Rejection::NoExpiry));
        assert_eq!(check_claims(&json!({"exp": "1800000300"})).unwrap_err(), jwt(Rejection::NoExpiry));
    }

    #[test]
    fn a_token_for_nobody_or_for_others_is_refused() {
        for audience in [Value::Null, json!([]), json!({}), json!(5)] {
            let error = check_claims(&json!({ "aud": audience })).unwrap_err();
            assert_eq!(error, jwt(Rejection::AudienceMismatch { found: vec![] }), "{audience}");
        }
        // neither a part of ours nor a longer one is ours
        for audience in ["https://pipelines.example.org/ap", "https://pipelines.example.org/api/", ""] {
            let error = check_claims(&json!({ "aud": audience })).unwrap_err();
            assert_eq!(error, jwt(Rejection::AudienceMismatch { found: vec![audience.into()] }));
        }
    }

    #[test]
    fn another_issuer_is_refused() {
        for issuer in [json!("https://evil.example"), json!("https://pipelines.example.org/"), Value::Null] {
            let error = check_claims(&json!({ "iss": issuer })).unwrap_err();
            assert!(matches!(error, Refusal::Jwt(Rejection::IssuerMismatch { .. })), "{error}");
        }
    }

    #[test]
    fn only_the_type_of_an_access_token_will_do() {
        for typ in ["at+jwt", "AT+JWT", "application/at+jwt"] {
            assert!(check(&signed(&json!({ "typ": typ }), &json!({}))).is_ok(), "{typ}");
        }
        for typ in [json!("JWT"), json!("logout+jwt"), json!("at+jwt "), json!(""), json!(5), Value::Null] {
            let error = check(&signed(&json!({ "typ": typ }), &json!({}))).unwrap_err();
            assert!(matches!(error, Refusal::WrongType { .. }), "{typ}: {error}");
        }
    }

    #[test]
    fn a_token_that_names_no_key_or_another_one_is_refused() {
        assert_eq!(check(&signed(&json!({"kid": null}), &json!({}))).unwrap_err(), Refusal::NoKey);
        assert_eq!(check(&signed(&json!({"kid": ""}), &json!({}))).unwrap_err(), Refusal::NoKey);
        let error = check(&signed(&json!({"kid": "k\u{1b}"}), &json!({}))).unwrap_err();
        assert_eq!(error, Refusal::UntrustedKey { kid: "k\\u{1b}".into() });
    }

    #[test]
    fn who_has_a_key_speaks_for_its_name_alone() {
        let error = check_claims(&json!({"sub": "root\u{1b}"})).unwrap_err();
        assert_eq!(error, Refusal::OtherSubject { found: "root\\u{1b}".into(), name: "ops".into() });
        assert!(check_claims(&json!({"sub": "ops"})).is_ok());
    }

    #[test]
    fn a_key_that_anybody_can_sign_for_vouches_for_nothing() {
        let mut identity = [0; 32];
        identity[0] = 1;
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(identity)});
        let key = PublicKey::parse(&jwk.to_string()).unwrap();
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let header = json!({"alg": "EdDSA", "typ": "at+jwt", "kid": key.kid()});
        // R is the identity, S is 0: good for every text
        let signature = URL_SAFE_NO_PAD.encode([identity, [0; 32]].concat());
        let token = Secret::new(format!("{}.{}.{signature}", part(&header), part(&claims(&json!({})))));
        assert!(jwt::verify(&token, &KeySet::of(&key), issuer().as_str(), NOW).is_ok(), "the forgery is none");
        let error = Shown::read(&token).unwrap().verify(&expected(&key, &issuer()), NOW).unwrap_err();
        assert_eq!(error, Refusal::UnsoundKey { kid: key.kid() });
    }

    #[test]
    fn a_key_that_nobody_trusts_signs_nothing() {
        let other = key(Signing::Eddsa, 8);
        let error = check(&minted(&other, &[AUDIENCE])).unwrap_err();
        assert_eq!(error, Refusal::UntrustedKey { kid: other.public().kid() });
        // with our key's name on it the signature tells
        let header =
            Header { typ: Some(TYPE.to_owned()), kid: Some(ours().public().kid()), ..Header::new(Algorithm::EdDSA) };
        let forged = encode(&header, &claims(&json!({})), other.signer()).unwrap();
        assert_eq!(check(&Secret::new(forged)).unwrap_err(), jwt(Rejection::BadSignature));
    }

    #[test]
    fn the_header_does_not_bring_its_own_key() {
        let jwk = key(Signing::Eddsa, 8).public().jwk();
        let message = signed(&json!({"jwk": jwk, "jku": "https://evil.example/jwks"}), &json!({}));
        // signed by us all the same it is good: what stands there is not looked at
        assert!(check(&message).is_ok());
        let header = json!({"alg": "EdDSA", "typ": TYPE, "kid": ours().public().kid(), "jwk": jwk});
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(&header), part(&claims(&json!({}))));
        let key = key(Signing::Eddsa, 8);
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), key.signer(), Algorithm::EdDSA).unwrap();
        let error = check(&Secret::new(format!("{message}.{signature}"))).unwrap_err();
        assert_eq!(error, jwt(Rejection::BadSignature));
    }

    #[test]
    fn a_token_without_signature_is_refused() {
        for name in ["none", "None", "NONE", "nOnE"] {
            let whole = signed(&json!({ "alg": name }), &json!({}));
            let unsigned = Secret::new(format!("{}.", whole.expose().rsplit_once('.').unwrap().0));
            for token in [whole, unsigned] {
                assert_eq!(check(&token).unwrap_err(), jwt(Rejection::AlgorithmNotAllowed(name.into())));
            }
        }
        let cut = signed(&json!({}), &json!({}));
        let cut = Secret::new(format!("{}.", cut.expose().rsplit_once('.').unwrap().0));
        assert_eq!(check(&cut).unwrap_err(), jwt(Rejection::BadSignature));
    }

    #[test]
    fn the_public_key_is_no_secret_to_sign_with() {
        let public = ours().public().jwk();
        let x = public["x"].as_str().unwrap();
        let header =
            Header { typ: Some(TYPE.into()), kid: Some(ours().public().kid()), ..Header::new(Algorithm::HS256) };
        for secret in [x.as_bytes(), &URL_SAFE_NO_PAD.decode(x).unwrap(), public.to_string().as_bytes(), b""] {
            let forged = encode(&header, &claims(&json!({})), &EncodingKey::from_secret(secret)).unwrap();
            let error = check(&Secret::new(forged)).unwrap_err();
            assert_eq!(error, jwt(Rejection::AlgorithmNotAllowed("HS256".into())));
        }
    }

    #[test]
    fn the_algorithm_is_that_of_the_key() {
        for name in ["ES256", "RS256", "PS512"] {
            let error = check(&signed(&json!({ "alg": name }), &json!({}))).unwrap_err();
            assert_eq!(error, jwt(Rejection::AlgorithmNotAllowed(name.into())));
        }
    }

    #[test]
    fn what_was_changed_is_refused() {
        let token = minted(&ours(), &[AUDIENCE]);
        let parts: Vec<&str> = token.expose().split('.').collect();
        let other = URL_SAFE_NO_PAD.encode(claims(&json!({"sub": "eve"})).to_string());
        let forged = Secret::new(format!("{}.{other}.{}", parts[0], parts[2]));
        assert_eq!(check(&forged).unwrap_err(), jwt(Rejection::BadSignature));
        for index in 0..token.expose().len() {
            let mut bytes = token.expose().clone().into_bytes();
            bytes[index] = if bytes[index] == b'A' { b'B' } else { b'A' };
            let changed = Secret::new(String::from_utf8(bytes).unwrap());
            assert!(check(&changed).is_err(), "the character {index} may be another one");
        }
        for after in [".", "=", " ", "A", ".x"] {
            assert!(check(&Secret::new(format!("{}{after}", token.expose()))).is_err(), "{after:?}");
        }
    }

    #[test]
    fn a_critical_header_is_refused() {
        let error = check(&signed(&json!({"crit": ["exp"]}), &json!({}))).unwrap_err();
        assert_eq!(error, jwt(Rejection::CriticalHeader));
    }

    #[test]
    fn a_retired_key_mints_no_more_and_what_it_minted_before_dies_by_itself() {
        let (key, issuer) = (ours(), issuer());
        let retired =
            |at: i64| Expected { retired: Some(Timestamp::from_epoch(at)), ..expected(key.public(), &issuer) };
        let token = minted(&key, &[AUDIENCE]);
        let verify = |at| Shown::read(&token).unwrap().verify(&retired(at), NOW);
        assert!(verify(NOW.epoch()).is_ok());
        let at = Timestamp::from_epoch(NOW.epoch() - 1);
        assert_eq!(verify(NOW.epoch() - 1).unwrap_err(), Refusal::RetiredKey { at });
    }

    #[test]
    fn what_is_no_jwt_is_told_apart() {
        for text in ["", "a.b.c", "tkj_abc", "eyJhbGciOiJFZERTQSJ9.e30"] {
            let error = Shown::read(&Secret::new(text.to_owned())).map(|_| ()).unwrap_err();
            assert_eq!(error, jwt(Rejection::NotAJwt), "{text}");
        }
    }

    #[test]
    fn a_lifetime_is_a_second_to_15_minutes() {
        let read = |text: &str| text.parse::<AdminLifetime>().map(|ttl| ttl.lifetime().as_seconds()).ok();
        assert_eq!((read("5m"), read("1"), read("15m")), (Some(300), Some(1), Some(900)));
        assert_eq!((read("0"), read("901s"), read("1h"), read("soon")), (None, None, None, None));
        assert_eq!(AdminLifetime::default().lifetime().as_seconds(), 300);
    }
}
