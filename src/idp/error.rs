//! What can go wrong between us and a provider, apart from a token request, whose outcome is a `Reply`.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use super::refusal::Refusal;
use crate::profile::UrlFault;
use crate::token::text;

/// Why a provider could not be asked, or its answer cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IdpError {
    /// No connection was made.
    #[error("cannot reach {url}: {why}")]
    Unreachable {
        /// The address, without its query.
        url: String,
        /// What the network said.
        why: String,
    },
    /// The connection broke before the answer was there.
    #[error("the connection to {url} broke: {why}")]
    Broken {
        /// The address, without its query.
        url: String,
        /// What the network said.
        why: String,
    },
    /// The other side could not show that it is who it should be.
    #[error("no secure connection to {url}: {why}")]
    Tls {
        /// The address, without its query.
        url: String,
        /// What is wrong with its certificate.
        why: String,
    },
    /// The other side took too long.
    #[error("{url} did not answer in time")]
    Timeout {
        /// The address, without its query.
        url: String,
    },
    /// The other side answered with a status that means no.
    #[error("{url} answered {status}{}", words.as_ref().map(|words| format!(" ({words})")).unwrap_or_default())]
    Status {
        /// The address, without its query.
        url: String,
        /// The HTTP status.
        status: u16,
        /// What it said, fit to be shown.
        words: Option<String>,
    },
    /// The provider understood, and says no in the words of the standards.
    #[error("the provider refused: {0}")]
    Refused(Refusal),
    /// The answer is no JSON: an error page, a login page, another service.
    #[error("{url} did not answer with JSON but with {found}")]
    NotJson {
        /// The address, without its query.
        url: String,
        /// What came instead.
        found: String,
    },
    /// The answer is larger than any honest one.
    #[error("the answer of {url} is larger than {limit} bytes")]
    TooLarge {
        /// The address, without its query.
        url: String,
        /// The limit.
        limit: usize,
    },
    /// The answer is JSON and lacks what it must have.
    #[error("the answer of {url} has no usable `{what}`")]
    Incomplete {
        /// The address, without its query.
        url: String,
        /// The field.
        what: &'static str,
    },
    /// Nothing is published where an issuer's metadata must be.
    #[error("{issuer} publishes no metadata: {url} answered 404")]
    NoMetadata {
        /// The provider.
        issuer: String,
        /// Where it was looked for first.
        url: String,
    },
    /// The metadata is another issuer's (RFC 8414 section 3.3); they are compared as text.
    #[error("the provider at `{expected}` calls itself `{found}`")]
    IssuerMismatch {
        /// The issuer that was asked for.
        expected: String,
        /// The issuer that answered.
        found: String,
    },
    /// An address of the metadata is none that a secret may be sent to.
    #[error("the provider's `{what}` cannot be used")]
    InsecureEndpoint {
        /// The name in the metadata.
        what: &'static str,
        /// What is wrong with it.
        source: UrlFault,
    },
    /// The provider does not say that it can do this, nor does the profile.
    #[error("{issuer} names no `{what}`")]
    NoEndpoint {
        /// The name in the metadata.
        what: &'static str,
        /// The provider.
        issuer: String,
    },
    /// The file of certificates cannot be read.
    #[error("cannot read the certificates in {}", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file of certificates holds none.
    #[error("{} holds no certificate in PEM form", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// The system gave us no event loop.
    #[error("cannot prepare for the network")]
    Runtime(#[source] io::Error),
    /// No connection can be made from here at all: no certificates to trust, or an unreadable proxy setting.
    #[error("cannot prepare a connection: {why}")]
    Setup {
        /// What is missing.
        why: String,
    },
}

impl IdpError {
    /// Tells whether the same request may work later; everything else needs another configuration.
    pub(crate) fn is_temporary(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::Broken { .. }
            | Self::Tls { .. }
            | Self::Timeout { .. }
            | Self::Runtime(_) => true,
            // 403: Keycloak says so while a realm is disabled
            Self::Status { status, .. } => matches!(status, 403 | 408 | 425 | 429 | 500..=599),
            Self::Refused(_)
            | Self::NotJson { .. }
            | Self::TooLarge { .. }
            | Self::Incomplete { .. }
            | Self::NoMetadata { .. }
            | Self::IssuerMismatch { .. }
            | Self::InsecureEndpoint { .. }
            | Self::NoEndpoint { .. }
            | Self::CaFile { .. }
            | Self::NoCertificate { .. }
            | Self::Setup { .. } => false,
        }
    }
}

/// Joins what the sources of an error say, from near to far, without the library's own headings and repetitions.
pub(super) fn causes(error: &dyn Error) -> String {
    const HEADINGS: [&str; 3] = ["client error (Connect)", "client error (SendRequest)", "error resolving DNS"];
    let mut texts: Vec<String> = Vec::new();
    for cause in sources(error).map(ToString::to_string).filter(|cause| !HEADINGS.contains(&cause.as_str())) {
        if !texts.last().is_some_and(|last| last.contains(&cause)) {
            texts.push(cause);
        }
    }
    if texts.is_empty() { text::shown(&error.to_string()) } else { text::shown(&texts.join(": ")) }
}

/// Iterates over the sources of an error.
pub(super) fn sources(error: &dyn Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(error.source(), |&cause| cause.source())
}
