//! What a JWT says, read without believing it: nothing here checks a signature.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::scopes::Scopes;
use super::time::Timestamp;
use crate::secret::Secret;

/// The claims of a JWT (RFC 7519 section 4).
#[derive(Clone, Debug)]
pub(crate) struct Claims(Map<String, Value>);

/// Reads the header of a signed JWT; `None` if the text is none.
pub(super) fn header(text: &str) -> Option<Map<String, Value>> {
    let mut parts = text.split('.');
    let (header, _payload, _signature) = (parts.next()?, parts.next()?, parts.next()?);
    // five parts would be an encrypted token, of which nothing can be read
    if parts.next().is_some() {
        return None;
    }
    part::<Map<String, Value>>(header).filter(|header| header.get("alg").is_some_and(Value::is_string))
}

/// Tells whether a token is a signed JWT.
pub(crate) fn is_jwt(token: &Secret<String>) -> bool {
    header(token.expose()).is_some()
}

/// Decodes one part of a compact JWT.
fn part<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}

impl Claims {
    /// Reads the claims of a text without checking anything; `None` if it is no signed JWT.
    pub(crate) fn unverified(token: &Secret<String>) -> Option<Self> {
        let text = token.expose();
        header(text)?;
        text.split('.').nth(1).and_then(part).map(Self)
    }

    /// Takes claims, from a verified token or from an introspection answer.
    pub(crate) const fn new(claims: Map<String, Value>) -> Self {
        Self(claims)
    }

    /// Returns a claim that is a text.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    /// Returns a claim that is a time (RFC 7519 section 2, `NumericDate`).
    pub(crate) fn time(&self, name: &str) -> Option<Timestamp> {
        let value = self.0.get(name)?;
        #[expect(clippy::cast_possible_truncation, reason = "a fraction of a second is dropped; `as` saturates")]
        let seconds = value.as_i64().or_else(|| value.as_f64().map(|seconds| seconds as i64))?;
        Some(Timestamp::from_epoch(seconds))
    }

    /// Tells whether a claim is there and is no time.
    pub(crate) fn has_unreadable_time(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|value| !value.is_null()) && self.time(name).is_none()
    }

    /// Returns when the token expires.
    pub(crate) fn expires_at(&self) -> Option<Timestamp> {
        self.time("exp")
    }

    /// Returns the audiences; one text counts as a list of one.
    pub(crate) fn audiences(&self) -> Vec<&str> {
        match self.0.get("aud") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
            Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => Vec::new(),
        }
    }

    /// Returns the scopes, from `scope` (RFC 9068) or `scp` (Ory Hydra, Microsoft), as text or as list.
    pub(crate) fn scopes(&self) -> Option<Scopes> {
        match self.0.get("scope").or_else(|| self.0.get("scp"))? {
            Value::String(text) => Some(Scopes::lenient(text)),
            Value::Array(many) => {
                let texts: Vec<&str> = many.iter().filter_map(Value::as_str).collect();
                Some(Scopes::lenient(&texts.join(" ")))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
        }
    }

    /// Adds scopes that are known from elsewhere, unless the claims name some.
    pub(crate) fn or_scopes(mut self, scopes: Option<&Scopes>) -> Self {
        if let (None, Some(scopes)) = (self.scopes(), scopes) {
            self.0.insert("scope".to_owned(), Value::from(scopes.to_string()));
        }
        self
    }

    /// Returns the client the token was made for.
    pub(crate) fn client(&self) -> Option<&str> {
        self.text("client_id").or_else(|| self.text("azp"))
    }
}
