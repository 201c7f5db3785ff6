//! Checking: a token that somebody shows, its key, and what it says.

use serde_json::Value;

use super::{AdminLifetime, Refusal, TYPE};
use crate::secret::Secret;
use crate::token::admin_key::PublicKey;
use crate::token::claims::{self, Claims};
use crate::token::issuer::Issuer;
use crate::token::jwt::{self, KeySet, Rejection};
use crate::token::text::shown;
use crate::token::time::Timestamp;

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

/// A thumbprint has 43 characters.
const LONGEST_SHOWN: usize = 64;

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
    use serde_json::json;

    use super::super::statement::tests::{AUDIENCE, NOW, issuer, key, minted};
    use super::*;
    use crate::token::admin_key::{AdminKey, Signing};
    use crate::token::time::Lifetime;

    fn ours() -> AdminKey {
        key(Signing::Eddsa, 7)
    }

    fn claims(changes: &Value) -> Value {
        let mut claims = json!({
            "iss": issuer(), "sub": "ops", "client_id": "tokenkeep", "aud": AUDIENCE, "jti": "j1",
            "iat": NOW.epoch(), "exp": NOW.epoch() + 300,
        });
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        claims
    }

    fn part(value: &Value) -> String {
        URL_SAFE_NO_PAD.encode(value.to_string())
    }

    /// Signs anything whatever.
    fn forged(header: &Value, claims: &Value, key: &AdminKey) -> Secret<String> {
        let message = format!("{}.{}", part(header), part(claims));
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), key.signer(), Algorithm::EdDSA).unwrap();
        Secret::new(format!("{message}.{signature}"))
    }

    /// Signs anything with our key, as who has stolen it could.
    fn signed(header: &Value, changes: &Value) -> Secret<String> {
        let mut full = json!({"alg": "EdDSA", "typ": "at+jwt", "kid": ours().public().kid()});
        full.as_object_mut().unwrap().extend(header.as_object().unwrap().clone());
        full.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        forged(&full, &claims(changes), &ours())
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
        let error = check(&forged(&header, &claims(&json!({})), &key(Signing::Eddsa, 8))).unwrap_err();
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
}
