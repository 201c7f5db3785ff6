//! One issued token as the ledger knows it: its facts, its lease, and how it stands at a time.

use std::fmt;

use rusqlite::types::FromSql;
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
}

impl Standing {
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

/// A row that this program did not write so. It is in nobody's way: lists leave it out, and it can be closed.
#[derive(Clone, Debug)]
pub(super) struct Unreadable {
    /// The row.
    pub(super) serial: i64,
    /// Its public id, or what stands there.
    pub(super) id: Option<String>,
    /// What of it cannot be read.
    pub(super) what: &'static str,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.id {
            Some(id) => write!(formatter, "the {} of token {} cannot be read", self.what, id.escape_debug()),
            None => write!(formatter, "the {} of the token in row {} cannot be read", self.what, self.serial),
        }
    }
}

impl From<Unreadable> for LedgerError {
    fn from(row: Unreadable) -> Self {
        Self::Damaged(row.to_string())
    }
}

impl From<Result<Token, Unreadable>> for Found {
    fn from(read: Result<Token, Unreadable>) -> Self {
        read.map_or_else(Self::Unreadable, |token| Self::Token(Box::new(token)))
    }
}

/// A row of the ledger.
#[derive(Clone, Debug)]
pub(super) enum Found {
    /// One that can be read.
    Token(Box<Token>),
    /// One that cannot.
    Unreadable(Unreadable),
}

impl Found {
    /// Returns the token, if it can be read.
    pub(super) fn token(self) -> Option<Token> {
        match self {
            Self::Token(token) => Some(*token),
            Self::Unreadable(_) => None,
        }
    }

    /// Returns the row.
    pub(super) const fn serial(&self) -> i64 {
        match self {
            Self::Token(token) => token.serial,
            Self::Unreadable(row) => row.serial,
        }
    }

    /// Returns what it is called, for lists of what was done.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Token(token) => token.id.to_string(),
            Self::Unreadable(row) => row.id.clone().unwrap_or_else(|| format!("row {}", row.serial)),
        }
    }

    /// Describes it in history, as far as it can be read.
    pub(super) fn event(&self) -> Event {
        match self {
            Self::Token(token) => token.event(),
            Self::Unreadable(row) => Event { token: row.id.clone(), ..Event::default() },
        }
    }
}

/// Reads a row of [`SELECT`].
pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Result<Token, Unreadable>> {
    let serial = row.get(0)?;
    let unreadable = |what| Unreadable { serial, id: row.get(1).ok(), what };
    Ok(read_columns(row, serial).map_err(unreadable))
}

/// Reads the columns of a row; an error is what of it cannot be read.
fn read_columns(row: &Row<'_>, serial: i64) -> Result<Token, &'static str> {
    let word = |index, what| column::<String>(row, index, what);
    let grace = match (time(row, 14, "grace")?, column::<Option<String>>(row, 15, "grace")?) {
        (Some(until), scopes) => Some(Grace { until, scopes: Scopes::lenient(&scopes.unwrap_or_default()) }),
        (None, _) => None,
    };
    let parent: Option<String> = column(row, 9, "parent")?;
    Ok(Token {
        serial,
        id: word(1, "id")?.parse().map_err(|_| "id")?,
        digest: column(row, 2, "digest")?,
        kind: word(3, "kind")?.parse().map_err(|_| "kind")?,
        owner: column(row, 4, "owner")?,
        name: column(row, 5, "name")?,
        scopes: Scopes::parse([&word(6, "scopes")?]).map_err(|_| "scopes")?,
        service: column(row, 7, "service")?,
        job: column(row, 8, "job")?,
        parent: parent.and_then(|parent| parent.parse().ok()),
        created: Timestamp::from_epoch(column(row, 10, "time")?),
        expires: time(row, 11, "end")?,
        state: word(12, "state")?.parse().map_err(|_| "state")?,
        closed: time(row, 13, "time")?,
        grace,
        last_used: time(row, 16, "time")?,
        last_denied: time(row, 17, "time")?,
        lease: read_lease(row)?,
    })
}

/// Reads a column.
fn column<T: FromSql>(row: &Row<'_>, index: usize, what: &'static str) -> Result<T, &'static str> {
    row.get(index).map_err(|_| what)
}

/// Reads a column that holds a time, or none.
fn time(row: &Row<'_>, index: usize, what: &'static str) -> Result<Option<Timestamp>, &'static str> {
    Ok(column::<Option<i64>>(row, index, what)?.map(Timestamp::from_epoch))
}

/// Reads the lease in a row of [`SELECT`].
fn read_lease(row: &Row<'_>) -> Result<Option<Lease>, &'static str> {
    const WHAT: &str = "lease";
    let Some(holder) = column::<Option<String>>(row, 18, WHAT)? else { return Ok(None) };
    let length = |index: usize| -> Result<_, &'static str> {
        let seconds: Option<i64> = column(row, index, WHAT)?;
        Ok(seconds.map(|seconds| Lifetime::seconds(seconds.unsigned_abs())))
    };
    let scopes: Option<String> = column(row, 25, WHAT)?;
    Ok(Some(Lease {
        holder: holder.parse().map_err(|_| WHAT)?,
        nonce: column(row, 19, WHAT)?,
        host: column(row, 20, WHAT)?,
        started: Timestamp::from_epoch(column(row, 21, WHAT)?),
        length: length(22)?,
        until: time(row, 23, WHAT)?,
        grace: length(24)?.zip(scopes.map(|scopes| Scopes::lenient(&scopes))),
    }))
}

/// Finds one row; `which` is a condition on `t` and `l`.
pub(super) fn find(db: &Connection, which: &str, values: &[&dyn ToSql]) -> Result<Option<Found>, LedgerError> {
    Ok(db.query_row(&format!("{SELECT} WHERE {which}"), values, |row| read(row).map(Found::from)).optional()?)
}

/// Finds one token; it is an error if it cannot be read.
pub(super) fn one(db: &Connection, which: &str, values: &[&dyn ToSql]) -> Result<Option<Token>, LedgerError> {
    match find(db, which, values)? {
        Some(Found::Token(token)) => Ok(Some(*token)),
        Some(Found::Unreadable(row)) => Err(row.into()),
        None => Ok(None),
    }
}

/// Tells whether there is a row; nothing of it is read.
pub(super) fn exists(db: &Connection, which: &str, values: &[&dyn ToSql]) -> Result<bool, LedgerError> {
    let select = format!("SELECT EXISTS (SELECT 1 FROM token t LEFT JOIN lease l ON l.token = t.serial WHERE {which})");
    Ok(db.query_row(&select, values, |row| row.get(0))?)
}

/// Finds several rows; `which` is a condition, and what follows one.
pub(super) fn rows(db: &Connection, which: &str, values: &[&dyn ToSql]) -> Result<Vec<Found>, LedgerError> {
    let mut select = db.prepare(&format!("{SELECT} WHERE {which}"))?;
    let rows = select.query_map(values, |row| read(row).map(Found::from))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Finds several tokens, without those that cannot be read.
pub(super) fn readable(db: &Connection, which: &str, values: &[&dyn ToSql]) -> Result<Vec<Token>, LedgerError> {
    Ok(rows(db, which, values)?.into_iter().filter_map(Found::token).collect())
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
