//! What a provider's no means. Only the `error` code decides, then the status; the description is for people.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::form_urlencoded::byte_serialize;

use super::http::Answer;
use crate::token::text;

/// A provider's no, in the words of the standards.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Refusal {
    /// What it means for us.
    pub(crate) kind: RefusalKind,
    /// The HTTP status.
    pub(crate) status: u16,
    /// The code, fit to be shown.
    pub(crate) error: Option<String>,
    /// The provider's explanation, fit to be shown.
    pub(crate) description: Option<String>,
}

/// What a refusal means for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum RefusalKind {
    /// `invalid_grant`: the token or code is not taken, now or for ever.
    DeadToken,
    /// `invalid_request`, or no reason at all: a provider may mean a dead token by either.
    BadRequest,
    /// The provider refuses our client: its id, its secret, or what it may do.
    Client,
    /// The scopes, the audience or the resource are not to be had.
    Scope,
    /// The person has not finished the login (RFC 8628 section 3.5).
    Pending,
    /// The person has not finished, and we ask too often (RFC 8628 section 3.5).
    SlowDown,
    /// The person said no.
    AccessDenied,
    /// The person took too long (RFC 8628 section 3.5).
    ExpiredCode,
    /// A person must do something at the provider first.
    Interaction,
    /// A code that no standard for this request knows.
    Other,
}

/// What an answer that is no success means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The provider decided.
    Refused(RefusalKind),
    /// The provider did not look at it: nothing was spent.
    Unavailable,
    /// Nobody knows what the provider did.
    Lost,
}

/// The error in a provider's answer (RFC 6749 section 5.2), fit to be shown.
#[derive(Clone, Debug, Default)]
pub(super) struct OAuthError {
    /// The `error`.
    pub(super) code: Option<String>,
    /// The `error_description`.
    pub(super) description: Option<String>,
}

impl Refusal {
    /// Describes an answer of a known meaning.
    pub(super) fn new(kind: RefusalKind, status: u16, error: OAuthError) -> Self {
        Self { kind, status, error: error.code, description: error.description }
    }

    /// Tells a refusal apart from an answer that says nothing about the request; `secrets` must not be repeated.
    pub(super) fn of(answer: &Answer, secrets: &[&str]) -> Option<Self> {
        let error = answer.oauth_error(secrets);
        match Verdict::of(answer.status, error.code.as_deref()) {
            Verdict::Refused(kind) => Some(Self::new(kind, answer.status, error)),
            Verdict::Unavailable | Verdict::Lost => None,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.error, &self.description) {
            (Some(error), Some(description)) => write!(formatter, "{error}: {description}"),
            (Some(words), None) | (None, Some(words)) => formatter.write_str(words),
            (None, None) => write!(formatter, "status {}, with no reason", self.status),
        }
    }
}

impl Verdict {
    /// Judges an answer by its code and its status.
    pub(super) fn of(status: u16, code: Option<&str>) -> Self {
        match status {
            // GitHub says no with status 200
            200..=299 => code.and_then(known).map_or(Self::Lost, Self::Refused),
            300..=399 | 503 => Self::Unavailable,
            400..=499 => Self::of_client_error(status, code),
            _ => Self::Lost,
        }
    }

    /// Judges an answer of a status from 400 to 499.
    fn of_client_error(status: u16, code: Option<&str>) -> Self {
        let turned_away = matches!(status, 403 | 404 | 429);
        match (status, code) {
            // Keycloak: the realm is disabled, or wants https
            (_, Some("access_denied" | "invalid_request")) if turned_away => Self::Unavailable,
            (400, None) => Self::Refused(RefusalKind::BadRequest),
            (401, None) => Self::Refused(RefusalKind::Client),
            // without a code it was no token endpoint but a proxy, a firewall, or another service
            (_, None | Some("temporarily_unavailable" | "server_error")) => Self::Unavailable,
            (_, Some("invalid_request")) if status != 400 => Self::Refused(RefusalKind::Other),
            (_, Some(code)) => match known(code) {
                Some(kind) => Self::Refused(kind),
                None if turned_away => Self::Unavailable,
                None => Self::Refused(RefusalKind::Other),
            },
        }
    }
}

/// Returns the meaning of the codes that the standards define.
fn known(code: &str) -> Option<RefusalKind> {
    match code {
        "invalid_grant" => Some(RefusalKind::DeadToken),
        "invalid_request" => Some(RefusalKind::BadRequest),
        "invalid_client" | "unauthorized_client" | "unsupported_grant_type" => Some(RefusalKind::Client),
        "invalid_scope" | "invalid_target" => Some(RefusalKind::Scope),
        "authorization_pending" => Some(RefusalKind::Pending),
        "slow_down" => Some(RefusalKind::SlowDown),
        "access_denied" => Some(RefusalKind::AccessDenied),
        "expired_token" => Some(RefusalKind::ExpiredCode),
        "interaction_required" | "login_required" | "consent_required" | "account_selection_required" => {
            Some(RefusalKind::Interaction)
        }
        _ => None,
    }
}

impl OAuthError {
    /// Reads an error out of a body; a body that is none has neither code nor description.
    pub(super) fn parse(body: &[u8], secrets: &[&str]) -> Self {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let text = |name: &str| {
            let text = body.get(name)?.as_str()?;
            (!text.is_empty()).then(|| text::shown(&without(text, secrets)))
        };
        Self { code: text("error"), description: text("error_description") }
    }

    /// Returns what it says, in one text.
    pub(super) fn words(&self) -> Option<String> {
        match (&self.code, &self.description) {
            (Some(code), Some(description)) => Some(format!("{code}: {description}")),
            (Some(words), None) | (None, Some(words)) => Some(words.clone()),
            (None, None) => None,
        }
    }
}

/// Takes secrets out of a text, as they are and as they look in a form.
fn without(text: &str, secrets: &[&str]) -> String {
    secrets.iter().filter(|secret| !secret.is_empty()).fold(text.to_owned(), |text, secret| {
        let encoded: String = byte_serialize(secret.as_bytes()).collect();
        text.replace(secret, "[redacted]").replace(&encoded, "[redacted]")
    })
}

#[cfg(test)]
mod tests {
    use super::RefusalKind::*;
    use super::Verdict::{Lost, Refused, Unavailable};
    use super::*;

    #[test]
    fn the_code_decides_before_the_status() {
        let table = [
            (400, Some("invalid_grant"), Refused(DeadToken)),
            (401, Some("invalid_grant"), Refused(DeadToken)),
            (403, Some("invalid_grant"), Refused(DeadToken)),
            (400, Some("invalid_request"), Refused(BadRequest)),
            (400, None, Refused(BadRequest)),
            (403, Some("invalid_request"), Unavailable),
            (401, Some("invalid_client"), Refused(Client)),
            (401, Some("unauthorized_client"), Refused(Client)),
            (400, Some("unsupported_grant_type"), Refused(Client)),
            (401, None, Refused(Client)),
            (400, Some("invalid_scope"), Refused(Scope)),
            (400, Some("invalid_target"), Refused(Scope)),
            (400, Some("authorization_pending"), Refused(Pending)),
            (403, Some("authorization_pending"), Refused(Pending)),
            (200, Some("authorization_pending"), Refused(Pending)),
            (429, Some("slow_down"), Refused(SlowDown)),
            (400, Some("access_denied"), Refused(AccessDenied)),
            (401, Some("access_denied"), Refused(AccessDenied)),
            (403, Some("access_denied"), Unavailable),
            (400, Some("expired_token"), Refused(ExpiredCode)),
            (400, Some("login_required"), Refused(Interaction)),
            (400, Some("no_such_code"), Refused(Other)),
            (404, Some("Realm does not exist"), Unavailable),
            (400, Some("temporarily_unavailable"), Unavailable),
        ];
        for (status, code, verdict) in table {
            assert_eq!(Verdict::of(status, code), verdict, "{status} {code:?}");
        }
    }

    #[test]
    fn without_a_code_the_status_decides() {
        for status in [301, 307, 403, 404, 405, 429, 503] {
            assert_eq!(Verdict::of(status, None), Unavailable, "{status}");
        }
        for status in [200, 204, 500, 502, 504, 520] {
            assert_eq!(Verdict::of(status, None), Lost, "{status}");
        }
        assert_eq!(Verdict::of(500, Some("server_error")), Lost);
        assert_eq!(Verdict::of(503, Some("temporarily_unavailable")), Unavailable);
    }

    #[test]
    fn repeated_secrets_and_control_characters_are_not_shown() {
        let body = br#"{"error":"invalid_grant","error_description":"no s/1 or s%2F1\u001b[2J"}"#;
        let error = OAuthError::parse(body, &["s/1", ""]);
        assert_eq!(error.words().unwrap(), "invalid_grant: no [redacted] or [redacted]\\u{1b}[2J");
    }

    #[test]
    fn a_body_that_is_no_oauth_error_has_no_code() {
        for body in ["", "<html>", "[]", r#"{"error":{"code":400}}"#, r#"{"error":""}"#, "null"] {
            let error = OAuthError::parse(body.as_bytes(), &[]);
            assert!(error.code.is_none() && error.words().is_none(), "{body}");
        }
    }
}
