//! One issued token as the ledger knows it: its facts, its lease, and how it stands at a time.

mod row;

use super::history::Event;
use crate::token::issued::{PublicId, TokenKind};
use crate::token::scopes::Scopes;
use crate::token::time::{Lifetime, Timestamp};
use crate::token::words::words;
pub(in crate::ledger) use row::{Found, NewToken, SELECT, by_id, exists, find, one, read, readable, rows};

words! {
    /// What was written down of a token's life.
    State {
        /// It was not ended.
        Live "live"
        /// Its job ended.
        Ended "ended"
        /// Somebody took it back.
        Revoked "revoked"
        /// Its time was over, or its runner was gone, and somebody swept it.
        Expired "expired"
    }
}

words! {
    /// Who keeps a job running.
    Holder {
        /// Whoever asked for the token, until they end the job.
        Issue "issue"
        /// A `run` that lives as long as the job's command.
        Run "run"
    }
}

/// How long a job is kept running, and by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lease {
    /// By whom.
    pub(crate) holder: Holder,
    /// What only the holder knows.
    pub(crate) nonce: String,
    /// The machine of the holder.
    pub(crate) host: String,
    /// Since when.
    pub(crate) started: Timestamp,
    /// For how long each renewal holds; `None` if nobody has to renew.
    pub(crate) length: Option<Lifetime>,
    /// Until when it holds, if somebody has to renew it.
    pub(crate) until: Option<Timestamp>,
    /// What stays good for how long after the end.
    pub(crate) grace: Option<(Lifetime, Scopes)>,
}

/// What is left of a token after its job ended, or another one took its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grace {
    /// Until when.
    pub(crate) until: Timestamp,
    /// For what.
    pub(crate) scopes: Scopes,
}

/// An issued token.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    /// Its row.
    pub(in crate::ledger) serial: i64,
    /// What people call it.
    pub(crate) id: PublicId,
    /// What its text must have.
    pub(in crate::ledger) digest: Vec<u8>,
    /// What it is for.
    pub(crate) kind: TokenKind,
    /// Whom it speaks for.
    pub(crate) owner: String,
    /// What its owner calls it.
    pub(crate) name: Option<String>,
    /// What it may do.
    pub(crate) scopes: Scopes,
    /// The service it is for.
    pub(crate) service: Option<String>,
    /// The job it is for.
    pub(crate) job: Option<String>,
    /// Its parent.
    pub(crate) parent: Option<PublicId>,
    /// When it was issued.
    pub(crate) created: Timestamp,
    /// When it ends by itself.
    pub(crate) expires: Option<Timestamp>,
    /// What was written down of its life.
    pub(crate) state: State,
    /// When that was.
    pub(crate) closed: Option<Timestamp>,
    /// What is left after the end, or after another token took its place.
    pub(crate) grace: Option<Grace>,
    /// When it was accepted last, to the minute.
    pub(crate) last_used: Option<Timestamp>,
    /// When it was refused last, to the minute.
    pub(crate) last_denied: Option<Timestamp>,
    /// Who keeps its job running.
    pub(crate) lease: Option<Lease>,
}

/// How a token stands at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is good.
    Good,
    /// Its job has ended, and some of its scopes are still good.
    Grace {
        /// Until when.
        until: Timestamp,
    },
    /// Its job has ended.
    Ended {
        /// When.
        at: Timestamp,
    },
    /// It was taken back.
    Revoked {
        /// When.
        at: Timestamp,
    },
    /// Its time is over.
    Expired {
        /// Since when.
        at: Timestamp,
    },
    /// Nobody says any more that its job runs.
    Lapsed {
        /// Since when; since it was issued, where nobody holds a lease at all.
        at: Timestamp,
    },
}

/// The word for what is left after the end.
const GRACE: &str = "grace";

impl Standing {
    /// Returns the word for it.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Grace { .. } => GRACE,
            Self::Ended { .. } => "ended",
            Self::Revoked { .. } => "revoked",
            Self::Expired { .. } => "expired",
            Self::Lapsed { .. } => "lapsed",
        }
    }

    /// Tells whether nothing of it can be good again.
    pub(crate) const fn is_over(self) -> bool {
        match self {
            Self::Good | Self::Lapsed { .. } | Self::Grace { .. } => false,
            Self::Ended { .. } | Self::Revoked { .. } | Self::Expired { .. } => true,
        }
    }
}

impl Token {
    /// Judges how it stands. A token is good to the second before its end.
    pub(crate) fn standing(&self, now: Timestamp) -> Standing {
        let at = self.closed.unwrap_or(now);
        match (self.state, &self.grace) {
            (State::Revoked, _) => return Standing::Revoked { at },
            (State::Expired, _) => return Standing::Expired { at: self.expires.unwrap_or(at).min(at) },
            (State::Ended, Some(grace)) if now < grace.until => return Standing::Grace { until: grace.until },
            (State::Ended, _) => return Standing::Ended { at },
            (State::Live, _) => {}
        }
        if let Some(at) = self.expires.filter(|&at| now >= at) {
            return Standing::Expired { at };
        }
        let lapse = match &self.lease {
            Some(lease) => lease.until,
            None => Some(self.created.min(now)).filter(|_| self.kind == TokenKind::Job),
        };
        match lapse.filter(|&until| now >= until) {
            Some(at) => Standing::Lapsed { at },
            None => Standing::Good,
        }
    }

    /// Tells whether another token has taken its place, and it is good for a little while yet.
    pub(crate) fn is_superseded(&self) -> bool {
        self.state == State::Live && self.grace.is_some()
    }

    /// Returns the word for how it stands; one that was rotated is good for its grace.
    pub(crate) fn state(&self, now: Timestamp) -> &'static str {
        match self.standing(now) {
            Standing::Good if self.is_superseded() => GRACE,
            standing => standing.word(),
        }
    }

    /// Returns until when it is good if nobody does anything.
    pub(crate) fn good_until(&self) -> Option<Timestamp> {
        let end = self.grace.as_ref().map(|grace| grace.until).or(self.expires);
        let lapse = self.lease.as_ref().and_then(|lease| lease.until);
        [end, lapse].into_iter().flatten().min()
    }

    /// Describes it in history.
    pub(in crate::ledger) fn event(&self) -> Event {
        Event {
            token: Some(self.id.to_string()),
            kind: Some(self.kind.word().to_owned()),
            owner: Some(self.owner.clone()),
            name: self.name.clone(),
            scopes: Some(self.scopes.to_string()),
            service: self.service.clone(),
            job: self.job.clone(),
            parent: self.parent.as_ref().map(PublicId::to_string),
            expires: self.expires,
            ..Event::default()
        }
    }
}
