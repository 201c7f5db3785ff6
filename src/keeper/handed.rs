//! What is handed out: an access token, how it came, and what should be known about it.

use super::KeeperError;
use crate::token::text::is_usable;
use crate::token::time::{Lifetime, MinTtl, Timestamp};
use crate::vault::entry::CachedToken;

/// How an access token came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// It was in the newest generation.
    Cached,
    /// Somebody else brought it while we waited.
    Adopted,
    /// Our own exchange brought it.
    Exchanged,
    /// It has less life left than wanted, and nothing better can be had now.
    Leftover,
}

/// An access token that is handed out.
#[derive(Debug)]
pub(crate) struct Handed {
    /// The token.
    pub(crate) token: CachedToken,
    /// How it came.
    pub(crate) how: How,
    /// What the person should know.
    pub(crate) notice: Option<String>,
}

impl Handed {
    /// Hands a token out.
    pub(super) fn new(token: &CachedToken, how: How) -> Self {
        Self { token: token.clone(), how, notice: None }
    }

    /// Says so if the token lives shorter than was wanted: nobody gives a longer one.
    pub(super) fn with_notice_below(self, min_ttl: MinTtl, now: Timestamp) -> Self {
        if self.notice.is_some() || self.token.is_good(min_ttl, now) {
            return self;
        }
        let (left, least) = (self.token.left(now), min_ttl.for_token_of(self.token.lifetime()));
        let notice = if left > Lifetime::default() {
            format!("the token is new, and lives only {left}, not {least}")
        } else {
            "the token is new, and used up by our clock; compare the clock with the provider's".to_owned()
        };
        Self { notice: Some(notice), ..self }
    }

    /// Says so if the provider granted less than was asked for: some answer a wish that they do not fulfil like that. Once, of
    /// the new token: a job that takes it from the cache would send a mail each time.
    pub(super) fn with_notice_of_scopes(self) -> Self {
        let (asked, granted) = (&self.token.asked.scopes, self.token.scopes.as_ref());
        let is_missing = |scope: &&str| granted.is_some_and(|granted| !granted.contains(scope));
        // not all providers name this one in their answer
        let missing: Vec<&str> = asked.iter().filter(|scope| *scope != "offline_access").filter(is_missing).collect();
        if self.notice.is_some() || missing.is_empty() {
            return self;
        }
        let notice = format!("the provider gave a token without the scope {}", missing.join(", "));
        Self { notice: Some(notice), ..self }
    }
}

/// Refuses to hand out a token that no header can carry.
pub(super) fn usable(handed: Handed) -> Result<Handed, KeeperError> {
    if is_usable(handed.token.token.secret()) { Ok(handed) } else { Err(KeeperError::Unusable) }
}
