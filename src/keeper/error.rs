//! Why an entry gives no access token, as an error that says what a person needs to hear.

use std::io;

use super::note::{self, Refused};
use super::request::NotSent;
use crate::idp::IdpError;
use crate::profile::EntryName;
use crate::token::time::Timestamp;
use crate::vault::VaultError;

/// Why an entry gives no access token.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeeperError {
    /// The vault says no.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// There is no such entry.
    #[error("nothing is stored under `{name}`")]
    NoEntry {
        /// The name.
        name: EntryName,
    },
    /// The entry is there, and holds no refresh token.
    #[error("`{name}` holds {kind}, and no refresh token", kind = article(kind))]
    NotATokenSet {
        /// The name.
        name: EntryName,
        /// What it holds.
        kind: &'static str,
    },
    /// The cache alone was allowed, and has nothing good.
    #[error("`{name}` has no cached access token that is good, and no refresh is allowed")]
    NothingCached {
        /// The name.
        name: EntryName,
    },
    /// The profile was changed, so that the token would go somewhere else than where it came from.
    #[error("the profile of `{name}` has another {what} than its token was issued with ({now}, not {then})")]
    Moved {
        /// The entry.
        name: EntryName,
        /// What changed.
        what: &'static str,
        /// What it is now.
        now: String,
        /// What it was.
        then: String,
    },
    /// The entry with the client's secret is missing, or is something else.
    #[error("`{secret}`, which must hold the client secret for `{name}`, does not")]
    NoClientSecret {
        /// The entry that needs it.
        name: EntryName,
        /// The entry that should hold it.
        secret: EntryName,
    },
    /// The token was exchanged before: this vault is an old copy.
    #[error("the refresh token of `{name}` was exchanged before: this looks like an old copy of the vault")]
    Spent {
        /// The entry.
        name: EntryName,
    },
    /// The refresh token is kept, and is none that may be sent.
    #[error(
        "the refresh token of `{name}` has spaces, control or foreign characters, or is empty; it is not presented"
    )]
    UnusableRefreshToken {
        /// The entry.
        name: EntryName,
    },
    /// The provider refuses the refresh token.
    #[error("the provider refuses the refresh token of `{name}`")]
    Refused {
        /// The entry.
        name: EntryName,
        /// What is remembered of it.
        refused: Refused,
        /// When it is tried again by itself.
        retry_at: Timestamp,
    },
    /// The provider refuses the client, not the token.
    #[error("the provider refuses the client: {words}")]
    ClientRefused {
        /// The provider's words.
        words: String,
    },
    /// The provider refuses the scopes or the audience.
    #[error("the provider refuses what was asked for: {words}")]
    AskedTooMuch {
        /// The provider's words.
        words: String,
    },
    /// The provider gave another answer than the standard knows.
    #[error("the provider refused with an error that nobody expects here: {words}")]
    Unexpected {
        /// The provider's words.
        words: String,
    },
    /// The provider cannot be reached, or sends us away.
    #[error("the provider is not available: {why}")]
    Unavailable {
        /// Why.
        why: String,
        /// When it is tried again by itself.
        until: Option<Timestamp>,
    },
    /// A request was sent, and its answer was lost.
    #[error("response lost: a refresh was sent at {} and its answer never arrived ({why})", note::when(*since))]
    AnswerLost {
        /// When.
        since: Timestamp,
        /// Why, or until when is waited.
        why: String,
    },
    /// Nothing could be sent.
    #[error("the refresh was not begun: {}", .0.why)]
    NotSent(NotSent),
    /// The provider's answer could not be kept.
    #[error("the provider answered, and the answer could not be kept: {why}")]
    NotKept {
        /// Why.
        why: String,
        /// The command that mends it, or shows what is wrong.
        mend: Option<String>,
    },
    /// The provider granted a login, and keeps the refresh token to itself.
    #[error("the provider granted the login without a refresh token")]
    NoRefreshToken,
    /// The child that carries out an exchange could not be run.
    #[error("the exchange could not be carried out")]
    Detached(#[from] io::Error),
    /// The provider's access token cannot be used.
    #[error("the provider's access token has spaces or control characters, or is missing; it is not handed out")]
    Unusable,
    /// The token endpoint could not be found.
    #[error(transparent)]
    Provider(#[from] IdpError),
}

impl KeeperError {
    /// Tells whether the same may work later, with nothing changed.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Unavailable { .. }
            | Self::AnswerLost { .. }
            | Self::Vault(VaultError::Busy { .. } | VaultError::Rotating { .. }) => true,
            Self::Provider(error) => error.is_temporary(),
            Self::Vault(_)
            | Self::NoEntry { .. }
            | Self::NotATokenSet { .. }
            | Self::NothingCached { .. }
            | Self::Moved { .. }
            | Self::NoClientSecret { .. }
            | Self::Spent { .. }
            | Self::UnusableRefreshToken { .. }
            | Self::Refused { .. }
            | Self::ClientRefused { .. }
            | Self::AskedTooMuch { .. }
            | Self::Unexpected { .. }
            | Self::NotSent { .. }
            | Self::NotKept { .. }
            | Self::NoRefreshToken
            | Self::Detached(_)
            | Self::Unusable => false,
        }
    }
}

/// Puts the article in front of a kind.
fn article(kind: &str) -> String {
    let article = if kind.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {kind}")
}

/// Writes an error and its sources on one line; one that only repeats what was just said is left out.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let sources = std::iter::successors(error.source(), |error| error.source());
    let mut texts: Vec<String> = std::iter::once(error.to_string()).chain(sources.map(ToString::to_string)).collect();
    texts.dedup();
    texts.join(": ")
}
