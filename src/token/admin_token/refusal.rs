//! Why somebody is not believed to be an administrator.

use super::AdminLifetime;
use crate::token::jwt::Rejection;
use crate::token::time::{Lifetime, Timestamp};

/// Why a token is not believed to be an administrator's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// For a reason that any JWT may be refused for.
    #[error(transparent)]
    Jwt(#[from] Rejection),
    /// It is another kind of JWT, like an ID token.
    #[error("it is a JWT of the type `{found}`, not `at+jwt` (RFC 9068)")]
    WrongType {
        /// Its `typ`.
        found: String,
    },
    /// It does not say with which key it was signed.
    #[error("it does not name its key")]
    NoKey,
    /// Nobody here trusts the key.
    #[error("its key `{kid}` is not one of those that are trusted here")]
    UntrustedKey {
        /// The key that it names.
        kid: String,
    },
    /// The key proves nothing.
    #[error("its key `{kid}` is trusted here, and yet anybody could sign with it")]
    UnsoundKey {
        /// The key that it names.
        kid: String,
    },
    /// It was minted after its key had been replaced.
    #[error("its key was retired at {at}, before it was minted")]
    RetiredKey {
        /// When the key was retired.
        at: Timestamp,
    },
    /// It would live for longer than any admin token may.
    #[error("it lives {lifetime}, and an admin token lives {} at most", AdminLifetime::LONGEST)]
    TooLong {
        /// From `iat` to `exp`.
        lifetime: Lifetime,
    },
    /// It speaks for somebody else than its key may.
    #[error("it says that it is of `{found}`, and its key is trusted here as `{name}`")]
    OtherSubject {
        /// Its `sub`.
        found: String,
        /// What its key is called here.
        name: String,
    },
    /// A claim is missing that every access token has.
    #[error("it has no `{0}`")]
    MissingClaim(&'static str),
}
