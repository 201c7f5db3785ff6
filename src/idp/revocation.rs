//! Revocation (RFC 7009).

use super::Client;
use super::error::IdpError;
use super::form::Form;
use super::http::{Patience, Wire};
use super::refusal::Refusal;
use crate::profile::SecureUrl;
use crate::secret::RefreshToken;

/// What became of a token that was to be revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Revocation {
    /// The provider took it back; some say so of tokens that they never knew, too.
    Revoked,
    /// The provider does not know it: it is worth nothing either way.
    Unknown,
}

impl Wire {
    /// Revokes a refresh token, and says that it is one so that the provider finds it sooner (RFC 7009 section 2.1).
    pub(crate) fn revoke(
        &self,
        endpoint: &SecureUrl,
        client: &Client,
        token: &RefreshToken,
    ) -> Result<Revocation, IdpError> {
        let form = Form::of(client).field("token", token.expose()).field("token_type_hint", "refresh_token");
        let answer = self.post(endpoint, &form, Patience::Short)?;
        let code = answer.oauth_error(&form.secrets()).code;
        if code.as_deref() == Some("invalid_token") && matches!(answer.status, 200..=299 | 400) {
            // Keycloak, with status 200
            Ok(Revocation::Unknown)
        } else if let Some(refusal) = Refusal::of(&answer, &form.secrets()) {
            Err(IdpError::Refused(refusal))
        } else if answer.is_success() && code.is_none() {
            Ok(Revocation::Revoked)
        } else {
            Err(answer.status_error(&form.secrets()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::idp::canned::{self, Canned};
    use crate::profile::ClientAuth;

    fn revoke(canned: Canned) -> Result<Revocation, IdpError> {
        let client = Client { id: "cli".into(), auth: ClientAuth::None, secret: None };
        Wire::open(None).unwrap().revoke(&canned::serve(canned), &client, &RefreshToken::new("canary".into()))
    }

    #[test]
    fn a_token_that_was_known_is_told_from_one_that_was_not() {
        assert_eq!(revoke(Canned::json(200, "")).unwrap(), Revocation::Revoked);
        assert_eq!(revoke(Canned::json(200, r#"{"error":"invalid_token"}"#)).unwrap(), Revocation::Unknown);
    }

    #[test]
    fn a_provider_that_cannot_or_will_not_says_so() {
        assert!(matches!(revoke(Canned::json(400, r#"{"error":"invalid_client"}"#)), Err(IdpError::Refused(_))));
        assert!(revoke(Canned::json(200, r#"{"error":"unsupported_token_type"}"#)).is_err());
        assert!(revoke(Canned::html(503, "busy")).unwrap_err().is_temporary());
        assert!(!revoke(Canned::html(404, "what?")).unwrap_err().is_temporary());
    }
}
