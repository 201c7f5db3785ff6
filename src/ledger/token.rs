//! One issued token as the ledger knows it: its facts, its lease, and how it stands at a time.

use rusqlite::{Connection, OptionalExtension as _, Row, ToSql};

use super::LedgerError;
use super::history::Event;
use crate::token::issued::{PublicId, TokenKind};
use crate::token::scopes::Scopes;
use crate::token::time::{Lifetime, Timestamp};
use crate::token::words::words;

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
    pub(super) serial: i64,
    /// What people call it.
    pub(crate) id: PublicId,
    /// What its text must have.
    pub(super) digest: Vec<u8>,
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
        /// Since when.
        at: Timestamp,
    },
}

impl Standing {
    /// Returns the word for it.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Grace { .. } => "grace",
            Self::Ended { .. } => "ended",
            Self::Revoked { .. } => "revoked",
            Self::Expired { .. } => "expired",
            Self::Lapsed { .. } => "lapsed",
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
        match self.lease.as_ref().and_then(|lease| lease.until).filter(|&until| now >= until) {
            Some(at) => Standing::Lapsed { at },
            None => Standing::Good,
        }
    }

    /// Tells whether another token has taken its place, and it is good for a little while yet.
    pub(crate) fn is_superseded(&self) -> bool {
        self.state == State::Live && self.grace.is_some()
    }

    /// Returns until when it is good if nobody does anything.
    pub(crate) fn good_until(&self) -> Option<Timestamp> {
        let end = self.grace.as_ref().map(|grace| grace.until).or(self.expires);
        let lapse = self.lease.as_ref().and_then(|lease| lease.until);
        [end, lapse].into_iter().flatten().min()
    }

    /// Describes it in history.
    pub(super) fn event(&self) -> Event {
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

/// What is read of a token.
pub(super) const SELECT: &str = "
SELECT t.serial, t.id, t.digest, t.kind, t.owner, t.name, t.scopes, t.service, t.job,
  (SELECT p.id FROM token p WHERE p.serial = t.parent), t.created, t.expires, t.state, t.closed, t.grace_until,
  t.grace_scopes, t.last_used, t.last_denied, l.holder, l.nonce, l.host, l.started, l.length, l.until,
  l.grace, l.grace_scopes
FROM token t LEFT JOIN lease l ON l.token = t.serial ";

/// Reads a row of [`SELECT`].
pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Result<Token, LedgerError>> {
    let time = |column: usize| row.get::<_, Option<i64>>(column).map(|time| time.map(Timestamp::from_epoch));
    let id: String = row.get(1)?;
    let texts: (String, String, String) = (row.get(3)?, row.get(6)?, row.get(12)?);
    let damaged = |what: &str| Ok(Err(LedgerError::Damaged(format!("the {what} of token {}", id.escape_debug()))));
    let (Ok(public), Ok(kind), Ok(state)) = (id.parse(), texts.0.parse(), texts.2.parse()) else {
        return damaged("id, kind or state");
    };
    let grace = match (time(14)?, row.get::<_, Option<String>>(15)?) {
        (Some(until), scopes) => Some(Grace { until, scopes: Scopes::lenient(&scopes.unwrap_or_default()) }),
        (None, _) => None,
    };
    let Ok(scopes) = Scopes::parse([&texts.1]) else { return damaged("scopes") };
    let parent: Option<String> = row.get(9)?;
    let Ok(lease) = read_lease(row)? else { return damaged("lease") };
    Ok(Ok(Token {
        serial: row.get(0)?,
        id: public,
        digest: row.get(2)?,
        kind,
        owner: row.get(4)?,
        name: row.get(5)?,
        scopes,
        service: row.get(7)?,
        job: row.get(8)?,
        parent: parent.and_then(|parent| parent.parse().ok()),
        created: Timestamp::from_epoch(row.get(10)?),
        expires: time(11)?,
        state,
        closed: time(13)?,
        grace,
        last_used: time(16)?,
        last_denied: time(17)?,
        lease,
    }))
}

/// Reads the lease in a row of [`SELECT`].
fn read_lease(row: &Row<'_>) -> rusqlite::Result<Result<Option<Lease>, ()>> {
    let Some(holder) = row.get::<_, Option<String>>(18)? else { return Ok(Ok(None)) };
    let Ok(holder) = holder.parse() else { return Ok(Err(())) };
    let length = |column: usize| {
        let seconds: rusqlite::Result<Option<i64>> = row.get(column);
        seconds.map(|seconds| seconds.map(|seconds| Lifetime::seconds(seconds.unsigned_abs())))
    };
    let until: Option<i64> = row.get(23)?;
    let scopes: Option<String> = row.get(25)?;
    Ok(Ok(Some(Lease {
        holder,
        nonce: row.get(19)?,
        host: row.get(20)?,
        started: Timestamp::from_epoch(row.get(21)?),
        length: length(22)?,
        until: until.map(Timestamp::from_epoch),
        grace: length(24)?.zip(scopes.map(|scopes| Scopes::lenient(&scopes))),
    })))
}

/// Finds one token; `which` is a condition on `t` and `l`.
pub(super) fn one(db: &Connection, which: &str, values: &[&dyn ToSql]) -> Result<Option<Token>, LedgerError> {
    db.query_row(&format!("{SELECT} WHERE {which}"), values, read).optional()?.transpose()
}

/// Finds several tokens; `which` is a condition, and what follows one.
pub(super) fn many(db: &Connection, which: &str, values: &[&dyn ToSql]) -> Result<Vec<Token>, LedgerError> {
    let mut select = db.prepare(&format!("{SELECT} WHERE {which}"))?;
    let rows = select.query_map(values, read)?;
    rows.map(|row| row?).collect()
}

/// Finds several tokens, without those that cannot be read: an audit tells of them, and they are in nobody's way.
pub(super) fn readable(db: &Connection, which: &str, values: &[&dyn ToSql]) -> Result<Vec<Token>, LedgerError> {
    let mut select = db.prepare(&format!("{SELECT} WHERE {which}"))?;
    let rows = select.query_map(values, read)?;
    rows.filter_map(|row| row.map(Result::ok).transpose()).map(|row| Ok(row?)).collect()
}

/// Finds the token of a public id.
pub(super) fn by_id(db: &Connection, id: &PublicId) -> Result<Option<Token>, LedgerError> {
    one(db, "t.id = ?1", &[&id.as_str()])
}

/// What is written of a new token.
#[derive(Clone, Debug)]
pub(super) struct NewToken {
    /// What it is for.
    pub(super) kind: TokenKind,
    /// Whom it speaks for.
    pub(super) owner: String,
    /// What its owner calls it.
    pub(super) name: Option<String>,
    /// What it may do.
    pub(super) scopes: Scopes,
    /// The service it is for.
    pub(super) service: Option<String>,
    /// The job it is for.
    pub(super) job: Option<String>,
    /// The row of its parent.
    pub(super) parent: Option<i64>,
    /// When it ends by itself.
    pub(super) expires: Option<Timestamp>,
}

impl NewToken {
    /// Writes the row.
    pub(super) fn insert(
        &self,
        db: &Connection,
        id: &PublicId,
        digest: &[u8],
        created: Timestamp,
    ) -> Result<Token, LedgerError> {
        db.execute(
            "INSERT INTO token (id, digest, kind, owner, name, scopes, service, job, parent, created, expires)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            rusqlite::params![
                id.as_str(),
                digest,
                self.kind.word(),
                self.owner,
                self.name,
                self.scopes.to_string(),
                self.service,
                self.job,
                self.parent,
                created.epoch(),
                self.expires.map(Timestamp::epoch),
            ],
        )?;
        by_id(db, id)?.ok_or_else(|| LedgerError::Damaged("a row that was just written is not there".to_owned()))
    }
}
