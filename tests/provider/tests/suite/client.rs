//! The least of a client: one request over a plain socket.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;

use provider::{Endpoint, Provider, Value};

/// The client that every provider has.
pub(crate) const PUBLIC: &str = "automated-access";

/// The scopes of a login that is meant to last.
pub(crate) const OFFLINE: [&str; 2] = ["openid", "offline_access"];

/// Holds an answer.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The status code.
    pub(crate) status: u16,
    /// Everything before the body.
    pub(crate) head: String,
    /// The body.
    pub(crate) body: String,
}

impl Answer {
    /// Reads what came over a connection.
    pub(crate) fn parse(bytes: &[u8]) -> io::Result<Self> {
        let text = String::from_utf8(bytes.to_vec()).map_err(io::Error::other)?;
        let (head, body) = text.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Ok(Self { status, head: head.to_owned(), body: body.to_owned() })
    }

    /// Returns the body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// Returns a text field of the JSON body.
    #[track_caller]
    pub(crate) fn text(&self, field: &str) -> String {
        self.json()[field].as_str().unwrap_or_else(|| panic!("no {field} in {}", self.body)).to_owned()
    }

    /// Returns the status and the OAuth error.
    pub(crate) fn error(&self) -> (u16, String) {
        (self.status, self.text("error"))
    }
}

/// Sends bytes, and returns all that comes back.
pub(crate) fn exchange(provider: &Provider, request: &str) -> io::Result<Vec<u8>> {
    let mut socket = TcpStream::connect(("127.0.0.1", provider.port()))?;
    socket.write_all(request.as_bytes())?;
    let mut bytes = Vec::new();
    socket.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Sends one request.
pub(crate) fn send(provider: &Provider, start: &str, headers: &[&str], body: &str) -> io::Result<Answer> {
    let length = format!("Content-Length: {}", body.len());
    let start = format!("{start} HTTP/1.1");
    let head = [&[start.as_str(), "Host: 127.0.0.1", &length], headers].concat().join("\r\n");
    let request = format!("{head}\r\n\r\n{body}");
    Answer::parse(&exchange(provider, &request)?)
}

/// Gets a path.
pub(crate) fn get(provider: &Provider, path: &str, headers: &[&str]) -> Answer {
    send(provider, &format!("GET {path}"), headers, "").unwrap()
}

/// Posts a form that is given as text.
pub(crate) fn try_post(provider: &Provider, endpoint: Endpoint, headers: &[&str], form: &str) -> io::Result<Answer> {
    let address = provider.endpoint(endpoint);
    let path = address.strip_prefix(&provider.url("")).unwrap();
    let mut all = vec!["Content-Type: application/x-www-form-urlencoded"];
    all.extend(headers);
    send(provider, &format!("POST {path}"), &all, form)
}

/// Posts a form and expects any answer.
pub(crate) fn post(provider: &Provider, endpoint: Endpoint, form: &str) -> Answer {
    try_post(provider, endpoint, &[], form).unwrap()
}

/// Presents a refresh token.
pub(crate) fn refresh(provider: &Provider, token: &str) -> Answer {
    post(provider, Endpoint::Token, &refresh_form(token))
}

/// Returns the form that presents a refresh token.
pub(crate) fn refresh_form(token: &str) -> String {
    format!("grant_type=refresh_token&client_id={PUBLIC}&refresh_token={token}")
}

/// Asks userinfo and returns the status.
pub(crate) fn userinfo(provider: &Provider, token: &str) -> u16 {
    get(provider, "/userinfo", &[&format!("Authorization: Bearer {token}")]).status
}
