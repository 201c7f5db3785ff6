//! A server for one connection on a free loopback port, which answers the same whatever it is asked.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;

use crate::profile::SecureUrl;

/// What the server does after it has read the request.
pub(super) enum Canned {
    /// It sends these bytes and hangs up.
    Raw(String),
    /// It hangs up.
    Hangup,
}

impl Canned {
    pub(super) fn json(status: u16, body: &str) -> Self {
        Self::typed(status, "application/json", body)
    }

    pub(super) fn html(status: u16, body: &str) -> Self {
        Self::typed(status, "text/html", body)
    }

    fn typed(status: u16, kind: &str, body: &str) -> Self {
        let length = body.len();
        Self::Raw(format!("HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}"))
    }
}

/// Serves one connection and returns where.
pub(super) fn serve(canned: Canned) -> SecureUrl {
    serve_all(|_| vec![canned])
}

/// Serves one connection after the other; the answers may name the server's own address.
pub(super) fn serve_all(answers: impl FnOnce(&str) -> Vec<Canned>) -> SecureUrl {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answers = answers(&url);
    thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            read_request(&mut stream);
            if let Canned::Raw(text) = answer {
                // the other side may have seen enough and gone
                drop(stream.write_all(text.as_bytes()));
            }
        }
    });
    url.parse().unwrap()
}

/// Returns an address where nobody listens.
pub(super) fn nobody() -> SecureUrl {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap()).parse().unwrap()
}

/// Reads a request with its body, so that hanging up does not reset what was answered.
fn read_request(stream: &mut TcpStream) {
    let (mut request, mut buffer) = (String::new(), [0; 4096]);
    loop {
        let read = stream.read(&mut buffer).unwrap();
        request += &String::from_utf8_lossy(buffer.get(..read).unwrap());
        let Some((head, body)) = request.split_once("\r\n\r\n") else { continue };
        let length =
            head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if body.len() >= length.unwrap_or(0) {
            return;
        }
    }
}
