//! Profiles: how we log in at a provider. No secrets, and nothing insecure can be built.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use url::{Host, Url};

use crate::token::scopes::Scopes;
use crate::token::time::Lifetime;

/// How we log in at a provider.
#[derive(Clone, Debug)]
pub(crate) struct Profile {
    /// The name people call it by; it has no `@`.
    pub(crate) name: EntryName,
    /// The provider.
    pub(crate) issuer: SecureUrl,
    /// What the provider calls us.
    pub(crate) client_id: String,
    /// The way to log in.
    pub(crate) flow: Flow,
    /// The scopes asked for at a login.
    pub(crate) scopes: Scopes,
    /// The API that the access tokens are for.
    pub(crate) audience: Option<String>,
    /// The parameter that carries the audience.
    pub(crate) audience_as: AudienceAs,
    /// When the provider forgets an offline token that is not used.
    pub(crate) offline_idle: Option<Lifetime>,
    /// How long the provider takes a rotated refresh token once more.
    pub(crate) reuse_grace: Lifetime,
    /// How the client shows who it is.
    pub(crate) client_auth: ClientAuth,
    /// The entry that holds the client's secret; none if the client shows no secret.
    pub(crate) client_secret: Option<EntryName>,
    /// Certificates to trust besides the system's.
    pub(crate) ca_file: Option<PathBuf>,
    /// The environment variable that `env` and `exec` set.
    pub(crate) var: Option<String>,
    /// What discovery does not say, or says wrong.
    pub(crate) endpoints: Endpoints,
    /// Named sets of scopes.
    pub(crate) groups: BTreeMap<String, Scopes>,
}

/// The ways to log in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Flow {
    /// The best one the provider has; so far that is the device flow.
    #[default]
    Auto,
    /// Device authorization (RFC 8628).
    Device,
}

/// The parameter of a token request that names the audience.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum AudienceAs {
    /// `audience`, as Auth0, Keycloak and RFC 8693 have it.
    #[default]
    Audience,
    /// `resource` (RFC 8707).
    Resource,
}

impl AudienceAs {
    /// Returns the parameter's name.
    pub(crate) const fn parameter(self) -> &'static str {
        match self {
            Self::Audience => "audience",
            Self::Resource => "resource",
        }
    }
}

/// How a client shows who it is at the token endpoint (RFC 6749 section 2.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ClientAuth {
    /// A public client: its id alone.
    #[default]
    None,
    /// `client_secret_basic`: the Authorization header.
    Basic,
    /// `client_secret_post`: the request's body.
    Post,
}

/// A key of a profile whose values are words.
pub(crate) trait Words {
    /// The words.
    const KNOWN: &[&str];
    /// Words that have a meaning already, and are not in this version: nobody who writes one has misspelled another.
    const LATER: &[&str] = &[];

    /// Refuses a word of a later version by its name.
    fn refuse_later(word: &str) -> Result<(), NotYet> {
        if Self::LATER.contains(&word) {
            return Err(NotYet { word: word.to_owned(), known: Self::KNOWN.join(", ") });
        }
        Ok(())
    }
}

impl Words for Flow {
    const KNOWN: &[&str] = &["auto", "device"];
    const LATER: &[&str] = &["browser", "client-credentials", "exchange", "jwt-bearer"];
}

impl Words for AudienceAs {
    const KNOWN: &[&str] = &["audience", "resource"];
}

impl Words for ClientAuth {
    const KNOWN: &[&str] = &["none", "basic", "post"];
    const LATER: &[&str] = &["client_secret_jwt", "private_key_jwt", "mtls"];
}

/// A word is for something that is not in this version.
#[derive(Debug, thiserror::Error)]
#[error("`{word}` is not in this version yet, which has {known}")]
pub(crate) struct NotYet {
    /// The word.
    word: String,
    /// Those that there are.
    known: String,
}

/// Endpoints that are set by hand; each goes before what discovery says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Endpoints {
    /// Where tokens are issued.
    pub(crate) token: Option<SecureUrl>,
    /// Where a device login begins (RFC 8628 section 3.1).
    pub(crate) device_authorization: Option<SecureUrl>,
    /// Where a login in a browser begins (RFC 6749 section 3.1). It is kept and shown; the device flow does not use it.
    pub(crate) authorization: Option<SecureUrl>,
    /// Where tokens are revoked (RFC 7009).
    pub(crate) revocation: Option<SecureUrl>,
    /// Where tokens are asked about (RFC 7662).
    pub(crate) introspection: Option<SecureUrl>,
    /// Where the provider's public keys are (RFC 7517).
    pub(crate) jwks: Option<SecureUrl>,
}

/// A URL that a secret may be sent to: https, or http on the loopback interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct SecureUrl(String);

/// Why a URL is none that a secret may be sent to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UrlFault {
    /// It cannot be read.
    #[error("`{0}` is not a URL")]
    Unreadable(String),
    /// It is http, and not on this machine.
    #[error("`{0}` is not https; http is allowed on the loopback interface only")]
    Insecure(String),
    /// It holds a user, a password or a fragment.
    #[error("a provider's URL has no user, no password and no fragment")]
    Decorated,
}

impl FromStr for SecureUrl {
    type Err = UrlFault;

    fn from_str(text: &str) -> Result<Self, UrlFault> {
        let shown = || crate::token::text::shown(text);
        let url = Url::parse(text).map_err(|_| UrlFault::Unreadable(shown()))?;
        // the parser leaves out line ends and outer spaces, and takes a backslash for a slash; the text is kept as it is, and
        // somebody who reads it would see another host
        let is_plain = !text.contains([' ', '\\']) && text.contains("://");
        if !is_plain || !crate::token::text::is_honest(text) {
            return Err(UrlFault::Unreadable(shown()));
        }
        if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            return Err(UrlFault::Decorated);
        }
        if !is_secure(&url) {
            return Err(UrlFault::Insecure(shown()));
        }
        Ok(Self(text.to_owned()))
    }
}

/// Tells whether a URL is https, or http on the loopback interface (RFC 8252 section 8.3).
pub(crate) fn is_secure(url: &Url) -> bool {
    match (url.scheme(), url.host()) {
        ("https", Some(_)) => true,
        ("http", Some(Host::Ipv4(address))) => address.is_loopback(),
        ("http", Some(Host::Ipv6(address))) => address.is_loopback(),
        ("http", Some(Host::Domain(name))) => name == "localhost" || name.ends_with(".localhost"),
        _ => false,
    }
}

impl SecureUrl {
    /// Returns the URL exactly as it was given: issuers are compared as text (RFC 8414 section 3.3).
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for SecureUrl {
    type Error = UrlFault;

    fn try_from(text: String) -> Result<Self, UrlFault> {
        text.parse()
    }
}

impl From<SecureUrl> for String {
    fn from(url: SecureUrl) -> Self {
        url.0
    }
}

impl fmt::Display for SecureUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The name of an entry: a profile's, `profile@user`, or that of something stored.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct EntryName(String);

/// Why a text is no name. The text is not repeated: it may be a token that was typed in the wrong place.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NameFault {
    /// It has a character that does not belong there, or is too long or too short.
    #[error("a name is a letter or digit, then up to 63 of A-Z a-z 0-9 . _ @ + -")]
    Malformed,
    /// The name of a profile has an `@`.
    #[error("a profile's name has no `@`: what follows it names a user")]
    User,
}

impl EntryName {
    /// Returns the name.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the name of the profile: what is before the first `@`.
    pub(crate) fn profile(&self) -> Self {
        Self(self.0.split('@').next().unwrap_or_default().to_owned())
    }

    /// Returns the user: what is after the first `@`.
    pub(crate) fn user(&self) -> Option<&str> {
        self.0.split_once('@').map(|(_, user)| user)
    }

    /// Returns the name of this profile's entry for a user.
    pub(crate) fn with_user(&self, user: &str) -> Result<Self, NameFault> {
        format!("{}@{user}", self.profile()).parse()
    }

    /// Refuses the name of an entry where the name of a profile must stand.
    pub(crate) fn without_user(self) -> Result<Self, NameFault> {
        if self.user().is_some() { Err(NameFault::User) } else { Ok(self) }
    }
}

impl FromStr for EntryName {
    type Err = NameFault;

    fn from_str(text: &str) -> Result<Self, NameFault> {
        let inside = |byte: u8| byte.is_ascii_alphanumeric() || b"._@+-".contains(&byte);
        let first = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        if first && text.len() <= 64 && text.bytes().all(inside) && !text.ends_with('@') {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameFault::Malformed)
        }
    }
}

impl TryFrom<String> for EntryName {
    type Error = NameFault;

    fn try_from(text: String) -> Result<Self, NameFault> {
        text.parse()
    }
}

impl From<EntryName> for String {
    fn from(name: EntryName) -> Self {
        name.0
    }
}

impl fmt::Display for EntryName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Derives the environment variable of a name: upper case, other characters `_`, then a suffix.
pub(crate) fn variable_of(name: &EntryName, suffix: &str) -> String {
    let upper = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    let mut variable: String = name.as_str().chars().map(upper).collect();
    // a variable cannot begin with a digit (POSIX, Base Definitions 8.1)
    if variable.starts_with(|c: char| c.is_ascii_digit()) {
        variable.insert(0, '_');
    }
    variable + suffix
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_is_for_loopback_alone() {
        for good in ["https://a.example/realms/x/", "http://127.0.0.1:8080/r", "http://[::1]/", "http://localhost:1"] {
            assert_eq!(good.parse::<SecureUrl>().unwrap().as_str(), good);
        }
        for bad in [
            "http://a.example",
            "http://127.0.0.1.example",
            "ftp://localhost",
            "file:///etc",
            "x",
            "https://u:p@h/",
            "https://a/\n",
            "https://a/\u{202e}",
            " https://a.example",
            "https://evil.example\\@a.example",
            "https:a.example",
        ] {
            assert!(bad.parse::<SecureUrl>().is_err(), "{bad}");
        }
    }

    #[test]
    fn names_are_64_harmless_characters_at_most() {
        let longest = "a".repeat(64);
        for good in ["a", "prod@ada@example.org", "9.x_+-", longest.as_str()] {
            assert!(good.parse::<EntryName>().is_ok(), "{good}");
        }
        let too_long = "a".repeat(65);
        for bad in ["", ".a", "a/b", "..", "ä", "a b", "a\n", "-a", "prod@", too_long.as_str()] {
            assert!(bad.parse::<EntryName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_first_at_starts_the_user() {
        let name: EntryName = "prod@ada@example.org".parse().unwrap();
        assert_eq!(name.profile().as_str(), "prod");
        assert_eq!(name.user(), Some("ada@example.org"));
    }

    #[test]
    fn variables_can_be_set_in_any_shell() {
        let variable = |name: &str| variable_of(&name.parse().unwrap(), "_ACCESS_TOKEN");
        assert_eq!(variable("prod"), "PROD_ACCESS_TOKEN");
        assert_eq!(variable("a.b-c@d"), "A_B_C_D_ACCESS_TOKEN");
        assert_eq!(variable("1st"), "_1ST_ACCESS_TOKEN");
    }
}
