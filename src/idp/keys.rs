//! A provider's public keys (RFC 7517).

use super::error::IdpError;
use super::http::{Patience, Wire};
use crate::profile::SecureUrl;
use crate::token::jwt::KeySet;

impl Wire {
    /// Gets the key set.
    pub(crate) fn key_set(&self, jwks_uri: &SecureUrl) -> Result<KeySet, IdpError> {
        let answer = self.get(jwks_uri, Patience::Short)?;
        if !answer.is_success() {
            return Err(answer.status_error(&[]));
        }
        let (url, not_json) = (answer.url.clone(), answer.not_json());
        let body = answer.body?;
        match KeySet::parse(&body) {
            Some(keys) => Ok(keys),
            None if serde_json::from_slice::<serde::de::IgnoredAny>(&body).is_ok() => {
                Err(IdpError::Incomplete { url, what: "keys" })
            }
            None => Err(not_json),
        }
    }
}
