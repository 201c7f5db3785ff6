//! Misbehaviour on demand: what to do to the next request, or to every request, of an endpoint.

use std::time::Duration;

use serde_json::{Value, json};

use crate::http::Reply;

/// Names an endpoint.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Endpoint {
    /// Either discovery document.
    Discovery,
    /// Device authorization (RFC 8628).
    Device,
    /// The page where a person types the user code.
    Verification,
    /// Authorization for the browser flow.
    Authorization,
    /// The token endpoint.
    Token,
    /// Revocation (RFC 7009).
    Revocation,
    /// Introspection (RFC 7662).
    Introspection,
    /// The key set.
    Jwks,
    /// `OpenID` Connect's userinfo.
    Userinfo,
    /// A path that is none of these.
    Elsewhere,
}

impl Endpoint {
    /// Lists them all.
    pub const ALL: [Self; 10] = [
        Self::Discovery,
        Self::Device,
        Self::Verification,
        Self::Authorization,
        Self::Token,
        Self::Revocation,
        Self::Introspection,
        Self::Jwks,
        Self::Userinfo,
        Self::Elsewhere,
    ];

    /// Returns its name in counts and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Discovery => "discovery",
            Self::Device => "device",
            Self::Verification => "verification",
            Self::Authorization => "authorization",
            Self::Token => "token",
            Self::Revocation => "revocation",
            Self::Introspection => "introspection",
            Self::Jwks => "jwks",
            Self::Userinfo => "userinfo",
            Self::Elsewhere => "elsewhere",
        }
    }
}

/// Describes one misbehaviour. Unless it says otherwise, the request is not processed: nothing is spent or granted.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Answers with this, whatever was asked.
    Status {
        /// The status code.
        code: u16,
        /// The type of the body.
        content_type: String,
        /// The body.
        body: String,
        /// Further headers.
        headers: Vec<(String, String)>,
    },
    /// Answers with an error of RFC 6749 section 5.2; an injected `slow_down` is then enforced on the device code.
    OauthError {
        /// The status code.
        status: u16,
        /// The `error`.
        error: String,
        /// The `error_description`.
        description: String,
    },
    /// Answers with this status and `Retry-After`.
    RetryAfter {
        /// The status code.
        status: u16,
        /// The header's value.
        seconds: u64,
    },
    /// Answers 200 with a page, as a captive portal does.
    Html,
    /// Answers 200 `application/json` with text that is not JSON.
    NotJson,
    /// Answers 307 to this address.
    Redirect(String),
    /// Ends the connection with a TCP reset.
    ResetBeforeProcessing,
    /// Waits, then processes and answers as always.
    Delay(Duration),
    /// Processes, so that the token is spent, then does the other thing in place of the answer.
    AfterProcessing(Box<Self>),
    /// Processes, then ends the connection with a TCP reset: the answer is lost.
    ResetAfterProcessing,
    /// Processes, then closes the connection without a byte.
    CloseAfterProcessing,
    /// Processes, sends nothing for so long, then answers.
    HangBeforeBody(Duration),
    /// Processes, sends status and headers, and the body only after so long.
    HangAfterHeaders(Duration),
    /// Processes, then sends the body in pieces.
    Drip {
        /// How many bytes a piece has.
        chunk: usize,
        /// How long the pause between two is.
        every: Duration,
    },
    /// Processes, then pads the JSON answer to at least so many bytes.
    Huge(usize),
    /// Processes, then answers with this content type.
    WrongContentType(String),
    /// Processes, promises the whole body and closes after half of it.
    Truncated,
    /// Processes, then changes fields of the JSON answer.
    Edit(Vec<Change>),
}

impl Fault {
    /// Makes an OAuth error with status 400.
    pub fn oauth(error: &str) -> Self {
        Self::OauthError { status: 400, error: error.to_owned(), description: "injected".to_owned() }
    }

    /// Makes a bare status with an empty text body.
    pub fn status(code: u16) -> Self {
        Self::Status { code, content_type: "text/plain".to_owned(), body: String::new(), headers: Vec::new() }
    }

    /// Makes an `Edit` that sets one field.
    pub fn set(field: &str, value: Value) -> Self {
        Self::Edit(vec![Change::Set(field.to_owned(), value)])
    }

    /// Makes an `Edit` that removes one field.
    pub fn remove(field: &str) -> Self {
        Self::Edit(vec![Change::Remove(field.to_owned())])
    }

    /// Makes the same fault happen after the request was processed.
    #[must_use]
    pub fn after_processing(self) -> Self {
        Self::AfterProcessing(Box::new(self))
    }

    /// Returns the answer that needs no processing, if this fault is one.
    pub(crate) fn canned(&self) -> Option<Reply> {
        match self {
            Self::Status { code, content_type, body, headers } => {
                let reply = Reply::new(*code, content_type, body.as_str());
                Some(headers.iter().fold(reply, |reply, (name, value)| reply.with(name, value)))
            }
            Self::OauthError { status, error, description } => {
                Some(Reply::json(*status, &json!({ "error": error, "error_description": description })))
            }
            Self::RetryAfter { status, seconds } => {
                Some(Reply::empty(*status).with("Retry-After", &seconds.to_string()))
            }
            Self::Html => Some(Reply::new(200, "text/html", "<!doctype html><title>Welcome</title><p>Log in</p>")),
            Self::NotJson => Some(Reply::new(200, "application/json", "{\"access_token\": oops")),
            Self::Redirect(to) => Some(Reply::empty(307).with("Location", to)),
            Self::ResetBeforeProcessing
            | Self::Delay(_)
            | Self::AfterProcessing(_)
            | Self::ResetAfterProcessing
            | Self::CloseAfterProcessing
            | Self::HangBeforeBody(_)
            | Self::HangAfterHeaders(_)
            | Self::Drip { .. }
            | Self::Huge(_)
            | Self::WrongContentType(_)
            | Self::Truncated
            | Self::Edit(_) => None,
        }
    }

    /// Returns a normal answer as this fault leaves it.
    pub(crate) fn reshape(&self, mut reply: Reply) -> Reply {
        match self {
            Self::Huge(size) => {
                reshape_json(&mut reply, &[Change::Set("padding".to_owned(), json!("x".repeat(*size)))]);
            }
            Self::Edit(changes) => reshape_json(&mut reply, changes),
            Self::WrongContentType(content_type) => reply.content_type = Some(content_type.clone()),
            _ => {}
        }
        reply
    }
}

/// Changes one field of a JSON answer.
#[derive(Clone, Debug)]
pub enum Change {
    /// Sets it.
    Set(String, Value),
    /// Leaves it out.
    Remove(String),
}

fn reshape_json(reply: &mut Reply, changes: &[Change]) {
    let Ok(Value::Object(mut object)) = serde_json::from_slice(&reply.body) else { return };
    for change in changes {
        match change {
            Change::Set(field, value) => drop(object.insert(field.clone(), value.clone())),
            Change::Remove(field) => drop(object.remove(field)),
        }
    }
    reply.body = Value::Object(object).to_string().into_bytes();
}

/// Holds the misbehaviour that waits for requests.
#[derive(Default)]
pub(crate) struct Faults {
    once: Vec<(Endpoint, Fault)>,
    always: Vec<(Endpoint, Fault)>,
}

impl Faults {
    /// Adds one for the next request that finds none before it.
    pub(crate) fn once(&mut self, endpoint: Endpoint, fault: Fault) {
        self.once.push((endpoint, fault));
    }

    /// Sets the one for every request without one of its own.
    pub(crate) fn always(&mut self, endpoint: Endpoint, fault: Fault) {
        self.always.retain(|(other, _)| *other != endpoint);
        self.always.push((endpoint, fault));
    }

    /// Forgets all of an endpoint.
    pub(crate) fn clear(&mut self, endpoint: Endpoint) {
        self.once.retain(|(other, _)| *other != endpoint);
        self.always.retain(|(other, _)| *other != endpoint);
    }

    /// Takes the one that the next request meets.
    pub(crate) fn take(&mut self, endpoint: Endpoint) -> Option<Fault> {
        if let Some(at) = self.once.iter().position(|(other, _)| *other == endpoint) {
            return Some(self.once.remove(at).1);
        }
        self.always.iter().find(|(other, _)| *other == endpoint).map(|(_, fault)| fault.clone())
    }
}
