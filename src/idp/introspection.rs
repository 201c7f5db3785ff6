//! Introspection (RFC 7662): what a provider says about a token.

use serde_json::Value;

use super::Client;
use super::error::IdpError;
use super::form::Form;
use super::http::{Patience, Wire};
use super::refusal::Refusal;
use crate::profile::SecureUrl;
use crate::secret::Secret;
use crate::token::claims::Claims;

/// What a provider says about a token.
#[derive(Clone, Debug)]
pub(crate) enum Introspection {
    /// It is good, and this is what it stands for.
    Active(Claims),
    /// It is expired, revoked, unknown, or not for this client to know.
    Inactive,
    /// This client may not ask, or not about this kind of token; public clients seldom may.
    NotAllowed,
}

impl Wire {
    /// Asks about a token.
    pub(crate) fn introspect(
        &self,
        endpoint: &SecureUrl,
        client: &Client,
        token: &Secret<String>,
    ) -> Result<Introspection, IdpError> {
        let form = Form::of(client).field("token", token.expose());
        let answer = self.post(endpoint, &form, Patience::Short)?;
        if matches!(answer.status, 401 | 403) {
            return Ok(Introspection::NotAllowed);
        }
        if let Some(refusal) = Refusal::of(&answer, &form.secrets()) {
            // RFC 7009 section 2.2.1, used here by providers that do not look at their own JWTs
            if refusal.error.as_deref() == Some("unsupported_token_type") {
                return Ok(Introspection::NotAllowed);
            }
            return Err(IdpError::Refused(refusal));
        }
        if !answer.is_success() {
            return Err(answer.status_error(&form.secrets()));
        }
        let url = answer.url.clone();
        parse(answer.json()?).ok_or(IdpError::Incomplete { url, what: "active" })
    }
}

/// Reads an answer; without a clear yes or no it is none.
pub(super) fn parse(answer: Value) -> Option<Introspection> {
    let Value::Object(claims) = answer else { return None };
    let active = claims.get("active")?.as_bool()?;
    Some(if active { Introspection::Active(Claims::new(claims)) } else { Introspection::Inactive })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::idp::canned::{self, Canned};
    use crate::profile::ClientAuth;

    fn ask(status: u16, body: &str) -> Result<Introspection, IdpError> {
        let client = Client { id: "cli".into(), auth: ClientAuth::None, secret: None };
        let endpoint = canned::serve(Canned::json(status, body));
        Wire::open(None).unwrap().introspect(&endpoint, &client, &Secret::new("canary".into()))
    }

    #[test]
    fn an_active_token_brings_its_claims() {
        let Introspection::Active(claims) = ask(200, r#"{"active":true,"sub":"ada"}"#).unwrap() else {
            panic!("not active")
        };
        assert_eq!(claims.text("sub"), Some("ada"));
        assert!(matches!(ask(200, r#"{"active":false}"#), Ok(Introspection::Inactive)));
    }

    #[test]
    fn a_provider_that_does_not_look_at_jwts_does_not_answer() {
        let body = r#"{"error":"unsupported_token_type","error_description":"cannot be introspected"}"#;
        assert!(matches!(ask(400, body), Ok(Introspection::NotAllowed)));
    }

    #[test]
    fn a_public_client_at_keycloak_may_not_ask() {
        let body = r#"{"error":"invalid_request","error_description":"Client not allowed."}"#;
        assert!(matches!(ask(403, body), Ok(Introspection::NotAllowed)));
    }

    #[test]
    fn anything_but_a_clear_answer_is_an_error() {
        for body in ["{}", r#"{"active":"true"}"#, "[]"] {
            assert!(matches!(ask(200, body), Err(IdpError::Incomplete { what: "active", .. })), "{body}");
        }
    }
}
