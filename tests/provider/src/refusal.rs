//! An answer of "no" by the standards, and whether the client is to blame for asking.

use serde_json::json;

use crate::http::Reply;

/// Says no to a request.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: u16,
    error: &'static str,
    description: String,
    blame: Blame,
}

/// Says whose doing a refusal is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Blame {
    /// The client broke a rule: a violation.
    Client,
    /// It happens to good clients.
    Nobody,
}

impl Refusal {
    /// Refuses what a good client may well ask.
    pub(crate) fn new(status: u16, error: &'static str, description: &str) -> Self {
        Self { status, error, description: description.to_owned(), blame: Blame::Nobody }
    }

    /// Refuses what no client may ask.
    pub(crate) fn violation(status: u16, error: &'static str, description: impl Into<String>) -> Self {
        Self { status, error, description: description.into(), blame: Blame::Client }
    }

    /// Returns what to record as a violation, if it is one.
    pub(crate) fn blamed(&self) -> Option<String> {
        (self.blame == Blame::Client).then(|| format!("{}: {}", self.error, self.description))
    }

    /// Returns the answer of RFC 6749 section 5.2, or RFC 6750 section 3 for a bearer token.
    pub(crate) fn reply(&self) -> Reply {
        let reply = Reply::json(self.status, &json!({ "error": self.error, "error_description": self.description }));
        match (self.status, self.error) {
            (401, "invalid_token") => reply.with("WWW-Authenticate", "Bearer error=\"invalid_token\""),
            (401, _) => reply.with("WWW-Authenticate", "Basic realm=\"provider\""),
            _ => reply,
        }
    }
}
