//! The token endpoint (RFC 6749 section 3.2): one request, whose outcome says what became of the token that was sent.

use super::Client;
use super::answer::TokenAnswer;
use super::error::IdpError;
use super::form::Form;
use super::http::{Answer, Fault, Patience, Wire};
use super::refusal::{OAuthError, Refusal, RefusalKind, Verdict};
use crate::profile::{AudienceAs, SecureUrl};
use crate::secret::{DeviceCode, RefreshToken};
use crate::token::scopes::Scopes;
use crate::token::time::Lifetime;

/// The grant of the device flow (RFC 8628 section 3.4).
pub(crate) const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// What is exchanged for tokens.
#[derive(Clone, Debug)]
pub(crate) enum Grant {
    /// A refresh token (RFC 6749 section 6).
    Refresh {
        /// The token.
        token: RefreshToken,
    },
    /// A device login (RFC 8628 section 3.4).
    Device {
        /// Its code.
        code: DeviceCode,
    },
}

/// One request for tokens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TokenRequest<'a> {
    /// Where it goes.
    pub(crate) endpoint: &'a SecureUrl,
    /// Who asks.
    pub(crate) client: &'a Client,
    /// What is given for the tokens.
    pub(crate) grant: &'a Grant,
    /// The scopes asked for; none leave it to the provider.
    pub(crate) scopes: &'a Scopes,
    /// The audience asked for, and the parameter that carries it.
    pub(crate) audience: Option<(AudienceAs, &'a str)>,
}

/// What became of a token request.
#[derive(Debug)]
pub(crate) enum Reply {
    /// There are tokens.
    Granted(TokenAnswer),
    /// The provider said no.
    Refused(Refusal),
    /// Nothing was spent: no connection, or the provider did not look at the request.
    Unavailable {
        /// What happened.
        why: String,
        /// How long the provider wants to be left alone.
        retry_after: Option<Lifetime>,
    },
    /// It was sent, and nobody knows what became of it.
    Lost {
        /// What happened.
        why: String,
    },
}

impl Wire {
    /// Asks for tokens, once.
    pub(crate) fn token(&self, request: &TokenRequest<'_>) -> Reply {
        let scopes = request.scopes.to_string();
        let form = request.form(&scopes);
        match self.post(request.endpoint, &form, Patience::Long) {
            Ok(answer) => judge(answer, request.grant, &form.secrets()),
            Err(Fault::Unsent(error)) => Reply::Unavailable { why: error.to_string(), retry_after: None },
            Err(Fault::Sent(error)) => Reply::Lost { why: error.to_string() },
        }
    }
}

impl<'a> TokenRequest<'a> {
    /// Writes the request down.
    fn form(&self, scopes: &'a str) -> Form<'a> {
        let form = Form::of(self.client);
        let form = match self.grant {
            Grant::Refresh { token } => {
                form.field("grant_type", "refresh_token").field("refresh_token", token.expose())
            }
            Grant::Device { code } => form.field("grant_type", DEVICE_GRANT).field("device_code", code.expose()),
        };
        form.scopes(scopes).audience(self.audience)
    }
}

/// Says what an answer means for the token that was sent.
fn judge(answer: Answer, grant: &Grant, secrets: &[&str]) -> Reply {
    if answer.is_success()
        && let Some(tokens) = answer.body.as_ref().ok().and_then(|body| TokenAnswer::parse(body))
    {
        return Reply::Granted(tokens);
    }
    let error = answer.oauth_error(secrets);
    match (verdict(answer.status, &error, grant), answer.body.is_ok()) {
        (Verdict::Refused(kind), true) => Reply::Refused(Refusal::new(kind, answer.status, error)),
        // the provider gave no reason only because its answer was cut or too long
        (Verdict::Refused(_), false) | (Verdict::Unavailable, _) => {
            Reply::Unavailable { why: answer.status_error(secrets).to_string(), retry_after: answer.retry_after }
        }
        (Verdict::Lost, _) => Reply::Lost { why: no_token(answer, secrets).to_string() },
    }
}

/// Judges an error for a kind of grant.
fn verdict(status: u16, error: &OAuthError, grant: &Grant) -> Verdict {
    match (grant, status, error.code.as_deref()) {
        // Auth0 answers so when the person at the browser says no; for a refresh it is a disabled realm of Keycloak
        (Grant::Device { .. }, 403, Some("access_denied")) => Verdict::Refused(RefusalKind::AccessDenied),
        (Grant::Device { .. } | Grant::Refresh { .. }, status, code) => Verdict::of(status, code),
    }
}

/// Describes an answer after which nobody knows whether the token was spent.
fn no_token(answer: Answer, secrets: &[&str]) -> IdpError {
    if !answer.is_success() || answer.oauth_error(secrets).words().is_some() {
        return answer.status_error(secrets);
    }
    let url = answer.url.clone();
    answer.json().err().unwrap_or(IdpError::Incomplete { url, what: "access_token" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::idp::canned::{self, Canned};
    use crate::profile::ClientAuth;
    use crate::secret::StoredSecret;

    fn ask(endpoint: &SecureUrl, grant: &Grant) -> Reply {
        let client = Client { id: "cli".into(), auth: ClientAuth::None, secret: None };
        let wire = Wire::open(None).unwrap();
        let (client, scopes) = (&client, &Scopes::default());
        wire.token(&TokenRequest { endpoint, client, grant, scopes, audience: None })
    }

    fn refresh(canned: Canned) -> Reply {
        ask(&canned::serve(canned), &Grant::Refresh { token: RefreshToken::new("canary-token-1".into()) })
    }

    fn is_lost(canned: Canned) -> bool {
        matches!(refresh(canned), Reply::Lost { .. })
    }

    #[test]
    fn debug_shows_no_secret() {
        let grants = [
            Grant::Refresh { token: RefreshToken::new("canary".into()) },
            Grant::Device { code: DeviceCode::new("canary".into()) },
        ];
        let secret = Some(StoredSecret::new("canary".into()).into());
        let client = Client { id: "cli".into(), auth: ClientAuth::Basic, secret };
        assert!(!format!("{grants:?}{client:?}").contains("canary"));
    }

    #[test]
    fn a_grant_brings_its_tokens() {
        let body = r#"{"access_token":"a","refresh_token":"r","token_type":"bearer","expires_in":60}"#;
        let Reply::Granted(tokens) = refresh(Canned::json(200, body)) else { panic!("not granted") };
        assert_eq!(tokens.access_token.unwrap().expose(), "a");
        assert_eq!(tokens.refresh_token.unwrap().expose(), "r");
        assert_eq!(tokens.expires_in, Some(Lifetime::seconds(60)));
    }

    #[test]
    fn a_refusal_does_not_repeat_what_was_presented() {
        let body = r#"{"error":"invalid_grant","error_description":"canary-token-1 is dead"}"#;
        let Reply::Refused(refusal) = refresh(Canned::json(400, body)) else { panic!("not refused") };
        assert_eq!(refusal.kind, RefusalKind::DeadToken);
        assert_eq!(refusal.to_string(), "invalid_grant: [redacted] is dead");
    }

    #[test]
    fn a_success_without_a_token_is_lost() {
        assert!(is_lost(Canned::html(200, "<html>maintenance</html>")));
        assert!(is_lost(Canned::json(200, "{}")));
        assert!(is_lost(Canned::json(200, &format!(r#"{{"access_token":"a","x":"{}"}}"#, "x".repeat(300_000)))));
        assert!(is_lost(Canned::json(500, r#"{"error":"server_error"}"#)));
    }

    #[test]
    fn an_answer_that_is_cut_is_lost() {
        assert!(is_lost(Canned::Hangup));
        assert!(is_lost(Canned::Raw("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{\"access_tok".into())));
    }

    #[test]
    fn a_refusal_that_is_cut_has_spent_nothing() {
        let reply = refresh(Canned::Raw("HTTP/1.1 400 Bad Request\r\nContent-Length: 99\r\n\r\n{\"err".into()));
        assert!(matches!(reply, Reply::Unavailable { .. }), "{reply:?}");
    }

    #[test]
    fn a_connection_that_was_never_made_spends_nothing() {
        let nobody = canned::nobody();
        let Reply::Unavailable { why, .. } = ask(&nobody, &Grant::Device { code: DeviceCode::new("d".into()) }) else {
            panic!("not unavailable")
        };
        assert!(why.contains("Connection refused"), "{why}");
    }

    #[test]
    fn a_redirect_is_not_followed_and_spends_nothing() {
        let elsewhere = canned::serve(Canned::json(200, r#"{"access_token":"stolen"}"#));
        let answer = format!("HTTP/1.1 307 Temporary Redirect\r\nLocation: {elsewhere}\r\nContent-Length: 0\r\n\r\n");
        let reply = refresh(Canned::Raw(answer));
        assert!(matches!(reply, Reply::Unavailable { .. }), "{reply:?}");
    }

    #[test]
    fn a_busy_provider_says_how_long_to_wait_but_not_for_ever() {
        let table = [
            ("7", Some(7)),
            ("99999", Some(3_600)),
            ("Wed, 21 Oct 2026 07:28:00 GMT", None),
            ("Wed, 21 Oct 2026 07:28:00 GMT\r\nDate: Wed, 21 Oct 2026 07:27:30 GMT", Some(30)),
            ("Wed, 21 Oct 2026 07:28:00 GMT\r\nDate: Wed, 21 Oct 2026 07:29:00 GMT", Some(0)),
            ("soon", None),
        ];
        for (written, read) in table {
            let answer = format!("HTTP/1.1 429 Too Many\r\nRetry-After: {written}\r\nContent-Length: 0\r\n\r\n");
            let Reply::Unavailable { retry_after, .. } = refresh(Canned::Raw(answer)) else { panic!("not busy") };
            assert_eq!(retry_after.map(Lifetime::as_seconds), read);
        }
    }

    #[test]
    fn a_person_who_says_no_at_auth0_is_told_from_a_disabled_realm() {
        let error = OAuthError { code: Some("access_denied".into()), description: None };
        let device = Grant::Device { code: DeviceCode::new("d".into()) };
        assert_eq!(verdict(403, &error, &device), Verdict::Refused(RefusalKind::AccessDenied));
        let refresh = Grant::Refresh { token: RefreshToken::new("r".into()) };
        assert_eq!(verdict(403, &error, &refresh), Verdict::Unavailable);
    }
}
