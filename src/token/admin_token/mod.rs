//! Admin tokens: JWTs of some minutes (RFC 9068) that an administrator mints with a private key, and that anybody checks who
//! holds the public one. Pure: key, text and time are arguments.
//!
//! Beyond what [`super::jwt`] asks of every JWT, the type must be that of an access token, the key one that is named by its
//! thumbprint and trusted here, the audience ours, and the whole life at most [`AdminLifetime::LONGEST`], however it was
//! signed: who steals a key cannot mint tokens for years.

mod lifetime;
mod refusal;
mod shown;
mod statement;

pub(crate) use lifetime::AdminLifetime;
pub(crate) use refusal::Refusal;
pub(crate) use shown::{AdminToken, Expected, Shown};
pub(crate) use statement::Statement;

/// The type of an access token (RFC 9068 section 2.1).
const TYPE: &str = "at+jwt";
