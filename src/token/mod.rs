//! What tokens, scopes and times are: pure values, with no clock, no files and no randomness.

#![warn(clippy::wildcard_enum_match_arm)]

pub(crate) mod admin_key;
pub(crate) mod admin_token;
pub(crate) mod claims;
pub(crate) mod issued;
pub(crate) mod issuer;
pub(crate) mod jwt;
pub(crate) mod names;
pub(crate) mod nearest;
pub(crate) mod overlap;
pub(crate) mod policy;
pub(crate) mod scopes;
pub(crate) mod text;
pub(crate) mod time;
pub(crate) mod words;
