//! The little of HTTP/1.1 that a provider needs: one request, one answer, and the connection closes.

use std::io::{self, Read};

/// Bounds a request: its head and its body together.
const LIMIT: usize = 1 << 20;

/// Holds one request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// The method, as sent.
    pub(crate) method: String,
    /// The path, without the query.
    pub(crate) path: String,
    /// The query, decoded.
    pub(crate) query: Vec<(String, String)>,
    /// The headers, names in lower case, in order.
    pub(crate) headers: Vec<(String, String)>,
    /// The body.
    pub(crate) body: Vec<u8>,
}

/// Says why no request came out of a connection.
pub(crate) enum Unreadable {
    /// The peer went away, or never spoke.
    Gone,
    /// The peer does not speak HTTP as we know it.
    Malformed(String),
}

impl From<io::Error> for Unreadable {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

impl Request {
    /// Reads one request to the end of its body.
    pub(crate) fn read(stream: &mut impl Read) -> Result<Self, Unreadable> {
        let mut bytes = Vec::new();
        let head_end = loop {
            if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                break at;
            }
            more(stream, &mut bytes)?;
        };
        let head = str::from_utf8(&bytes[..head_end]).map_err(|_| malformed("the head is not UTF-8"))?;
        let mut request = Self::parse_head(head)?;
        let length = request.body_length()?;
        let mut body = bytes.split_off(head_end + 4);
        while body.len() < length {
            more(stream, &mut body)?;
        }
        if body.len() > length {
            return Err(malformed("bytes after the body"));
        }
        request.body = body;
        Ok(request)
    }

    /// Returns a header that came at most once.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    fn parse_head(head: &str) -> Result<Self, Unreadable> {
        let mut lines = head.split("\r\n");
        let start: Vec<&str> = lines.next().unwrap_or_default().split(' ').collect();
        let [method, target, "HTTP/1.1" | "HTTP/1.0"] = start[..] else {
            return Err(malformed(&format!("request line {start:?}")));
        };
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let headers = lines
            .map(|line| {
                let (name, value) = line.split_once(':').ok_or_else(|| malformed(&format!("header {line:?}")))?;
                Ok((name.to_ascii_lowercase(), value.trim().to_owned()))
            })
            .collect::<Result<_, Unreadable>>()?;
        Ok(Self {
            method: method.to_owned(),
            path: path.to_owned(),
            query: form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
            headers,
            body: Vec::new(),
        })
    }

    fn body_length(&self) -> Result<usize, Unreadable> {
        if self.header("transfer-encoding").is_some() {
            return Err(malformed("transfer-encoding in a request"));
        }
        let length = match self.header("content-length") {
            None => 0,
            Some(text) => text.parse().map_err(|_| malformed("content-length is not a number"))?,
        };
        if length > LIMIT { Err(malformed("the body is too large")) } else { Ok(length) }
    }
}

fn more(stream: &mut impl Read, bytes: &mut Vec<u8>) -> Result<(), Unreadable> {
    let mut chunk = [0; 8192];
    let count = stream.read(&mut chunk)?;
    if count == 0 {
        return Err(Unreadable::Gone);
    }
    bytes.extend_from_slice(&chunk[..count]);
    if bytes.len() > LIMIT { Err(malformed("the request is too large")) } else { Ok(()) }
}

fn malformed(what: &str) -> Unreadable {
    Unreadable::Malformed(format!("not HTTP/1.1: {what}"))
}

/// Holds one answer before it is sent.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    /// The status code.
    pub(crate) status: u16,
    /// The headers besides those about the body and the connection.
    pub(crate) headers: Vec<(String, String)>,
    /// The body's type; none if there is no body.
    pub(crate) content_type: Option<String>,
    /// The body.
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// Makes an answer with a body that may not be stored.
    pub(crate) fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: vec![("Cache-Control".to_owned(), "no-store".to_owned())],
            content_type: Some(content_type.to_owned()),
            body: body.into(),
        }
    }

    /// Makes a JSON answer.
    pub(crate) fn json(status: u16, value: &serde_json::Value) -> Self {
        Self::new(status, "application/json", value.to_string())
    }

    /// Makes an answer with no body.
    pub(crate) fn empty(status: u16) -> Self {
        Self { content_type: None, ..Self::new(status, "", Vec::new()) }
    }

    /// Adds a header.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Returns the head as it goes over the wire, the empty line included.
    pub(crate) fn head(&self) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        let content_type = self.content_type.iter().map(|value| ("Content-Type", value.as_str()));
        let headers = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in headers.chain(content_type) {
            head.extend([name, ": ", value, "\r\n"]);
        }
        let length = self.body.len();
        format!("{head}Content-Length: {length}\r\nConnection: close\r\n\r\n").into_bytes()
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        302 => "Found",
        307 => "Temporary Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Answer",
    }
}
