//! Minting: what is said of an administrator, signed.

use jsonwebtoken::{Header, encode};
use serde::Serialize;

use super::{AdminLifetime, TYPE};
use crate::secret::AccessToken;
use crate::token::admin_key::AdminKey;
use crate::token::issuer::Issuer;
use crate::token::time::Timestamp;

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
            exp: self.at.after(self.lifetime.lifetime()).epoch(),
        };
        encode(&header, &claims, key.signer()).map(AccessToken::new).map_err(CannotSign)
    }
}

/// Who asked for the token: this program, for the subject.
const CLIENT_ID: &str = "tokenkeep";

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::super::{Expected, Shown};
    use super::*;
    use crate::secret::Secret;
    use crate::token::admin_key::Signing;
    use crate::token::claims;

    pub(crate) const NOW: Timestamp = Timestamp::from_epoch(1_800_000_000);
    pub(crate) const AUDIENCE: &str = "https://pipelines.example.org/api";

    pub(crate) fn issuer() -> Issuer {
        "https://pipelines.example.org".parse().unwrap()
    }

    pub(crate) fn key(signing: Signing, byte: u8) -> AdminKey {
        AdminKey::of_random(signing, &Secret::new([byte; 32])).unwrap().0
    }

    pub(crate) fn minted(key: &AdminKey, audiences: &[&str]) -> Secret<String> {
        let audiences: Vec<String> = audiences.iter().map(|audience| (*audience).to_owned()).collect();
        let issuer = issuer();
        let lifetime = AdminLifetime::default();
        let statement =
            Statement { issuer: &issuer, subject: "ops", audiences: &audiences, id: "j1", at: NOW, lifetime };
        Secret::new(statement.sign(key).unwrap().expose().clone())
    }

    #[test]
    fn tokens_of_both_kinds_of_keys_are_good_and_say_what_rfc_9068_asks_for() {
        for signing in [Signing::Eddsa, Signing::Es256] {
            let key = key(signing, 9);
            let token = minted(&key, &[AUDIENCE]);
            let header = claims::header(token.expose()).unwrap();
            assert_eq!((&header["typ"], &header["alg"]), (&json!("at+jwt"), &json!(signing.name())));
            let issuer = issuer();
            let expected =
                Expected { key: key.public(), name: "ops", retired: None, issuer: &issuer, audience: AUDIENCE };
            let good = Shown::read(&token).unwrap().verify(&expected, NOW).unwrap();
            assert_eq!(good.id, "j1");
            for claim in ["iss", "sub", "client_id", "aud", "jti"] {
                assert!(good.claims.text(claim).is_some(), "{claim}");
            }
            assert_eq!(good.claims.expires_at(), Some(Timestamp::from_epoch(NOW.epoch() + 300)));
            assert_eq!(good.claims.time("iat"), Some(NOW));
        }
    }
}
