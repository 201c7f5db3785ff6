//! Who issues the tokens of our own: what their `iss` says.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What the `iss` of our own tokens says: a URL or a URN. Nothing is ever fetched from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Issuer(String);

/// The text is no issuer.
#[derive(Debug, thiserror::Error)]
#[error("must be a URL or URN, like https://pipelines.example.org, with no query, no fragment and no space")]
pub(crate) struct NotAnIssuer;

impl Issuer {
    /// Returns the text, which is compared letter by letter (RFC 7519 section 4.1.1).
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Issuer {
    type Err = NotAnIssuer;

    fn from_str(text: &str) -> Result<Self, NotAnIssuer> {
        let named = ["https://", "http://", "urn:"].into_iter().find_map(|scheme| text.strip_prefix(scheme));
        let fit =
            |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#' | b'"' | b'\\' | b'<' | b'>' | b'@');
        let named = named.filter(|name| !name.is_empty() && !name.starts_with('/'));
        if named.is_some() && text.len() <= LONGEST && text.bytes().all(fit) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotAnIssuer)
        }
    }
}

impl TryFrom<String> for Issuer {
    type Error = NotAnIssuer;

    fn try_from(text: String) -> Result<Self, NotAnIssuer> {
        text.parse()
    }
}

impl From<Issuer> for String {
    fn from(issuer: Issuer) -> Self {
        issuer.0
    }
}

impl fmt::Display for Issuer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// It stands in every token; a URL of an issuer has some 60 characters.
const LONGEST: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_is_a_url_or_a_urn() {
        for good in ["https://pipelines.example.org", "http://127.0.0.1:8080/x", "urn:uuid:1-2-3"] {
            assert_eq!(good.parse::<Issuer>().unwrap().as_str(), good);
        }
        let long = format!("https://{}", "a".repeat(LONGEST));
        let bad =
            ["", "pipelines.example.org", "https://", "https:///x", "urn:", "urn:a b", "https://a/?q", "https://a#f"];
        for bad in bad.into_iter().chain(["https://u:p@a", "file:///etc", "https://\u{e4}", "urn:a\n", &long]) {
            assert!(bad.parse::<Issuer>().is_err(), "{bad:?}");
        }
    }
}
