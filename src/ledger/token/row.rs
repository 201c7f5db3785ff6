//! The rows of issued tokens: how they are found, read and written, and what is told of one that cannot be read.

use std::fmt;

use rusqlite::types::FromSql;
use rusqlite::{Connection, OptionalExtension as _, Row, ToSql};

use super::{Grace, Lease, Token};
use crate::ledger::LedgerError;
use crate::ledger::history::Event;
use crate::token::issued::{PublicId, TokenKind};
use crate::token::scopes::Scopes;
use crate::token::time::{Lifetime, Timestamp};

/// What is read of a token.
pub(in crate::ledger) const SELECT: &str = "
SELECT t.serial, t.id, t.digest, t.kind, t.owner, t.name, t.scopes, t.service, t.job,
  (SELECT p.id FROM token p WHERE p.serial = t.parent), t.created, t.expires, t.state, t.closed, t.grace_until,
  t.grace_scopes, t.last_used, t.last_denied, l.holder, l.nonce, l.host, l.started, l.length, l.until,
  l.grace, l.grace_scopes
FROM token t LEFT JOIN lease l ON l.token = t.serial ";

/// A row that this program did not write so. It is in nobody's way: lists leave it out, and it can be closed.
#[derive(Clone, Debug)]
pub(in crate::ledger) struct Unreadable {
    /// The row.
    pub(in crate::ledger) serial: i64,
    /// Its public id, or what stands there.
    pub(in crate::ledger) id: Option<String>,
    /// What of it cannot be read.
    pub(in crate::ledger) what: &'static str,
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
pub(in crate::ledger) enum Found {
    /// One that can be read.
    Token(Box<Token>),
    /// One that cannot.
    Unreadable(Unreadable),
}

impl Found {
    /// Returns the token, if it can be read.
    pub(in crate::ledger) fn token(self) -> Option<Token> {
        match self {
            Self::Token(token) => Some(*token),
            Self::Unreadable(_) => None,
        }
    }

    /// Returns the row.
    pub(in crate::ledger) const fn serial(&self) -> i64 {
        match self {
            Self::Token(token) => token.serial,
            Self::Unreadable(row) => row.serial,
        }
    }

    /// Returns what it is called, for lists of what was done.
    pub(in crate::ledger) fn name(&self) -> String {
        match self {
            Self::Token(token) => token.id.to_string(),
            Self::Unreadable(row) => row.id.clone().unwrap_or_else(|| format!("row {}", row.serial)),
        }
    }

    /// Describes it in history, as far as it can be read.
    pub(in crate::ledger) fn event(&self) -> Event {
        match self {
            Self::Token(token) => token.event(),
            Self::Unreadable(row) => Event { token: row.id.clone(), ..Event::default() },
        }
    }
}

/// Reads a row of [`SELECT`].
pub(in crate::ledger) fn read(row: &Row<'_>) -> rusqlite::Result<Result<Token, Unreadable>> {
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
pub(in crate::ledger) fn find(
    db: &Connection,
    which: &str,
    values: &[&dyn ToSql],
) -> Result<Option<Found>, LedgerError> {
    Ok(db.query_row(&format!("{SELECT} WHERE {which}"), values, |row| read(row).map(Found::from)).optional()?)
}

/// Finds one token; it is an error if it cannot be read.
pub(in crate::ledger) fn one(
    db: &Connection,
    which: &str,
    values: &[&dyn ToSql],
) -> Result<Option<Token>, LedgerError> {
    match find(db, which, values)? {
        Some(Found::Token(token)) => Ok(Some(*token)),
        Some(Found::Unreadable(row)) => Err(row.into()),
        None => Ok(None),
    }
}

/// Tells whether there is a row; nothing of it is read.
pub(in crate::ledger) fn exists(db: &Connection, which: &str, values: &[&dyn ToSql]) -> Result<bool, LedgerError> {
    let select = format!("SELECT EXISTS (SELECT 1 FROM token t LEFT JOIN lease l ON l.token = t.serial WHERE {which})");
    Ok(db.query_row(&select, values, |row| row.get(0))?)
}

/// Finds several rows; `which` is a condition, and what follows one.
pub(in crate::ledger) fn rows(db: &Connection, which: &str, values: &[&dyn ToSql]) -> Result<Vec<Found>, LedgerError> {
    let mut select = db.prepare(&format!("{SELECT} WHERE {which}"))?;
    let rows = select.query_map(values, |row| read(row).map(Found::from))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Finds several tokens, without those that cannot be read.
pub(in crate::ledger) fn readable(
    db: &Connection,
    which: &str,
    values: &[&dyn ToSql],
) -> Result<Vec<Token>, LedgerError> {
    Ok(rows(db, which, values)?.into_iter().filter_map(Found::token).collect())
}

/// Finds the token of a public id.
pub(in crate::ledger) fn by_id(db: &Connection, id: &PublicId) -> Result<Option<Token>, LedgerError> {
    one(db, "t.id = ?1", &[&id.as_str()])
}

/// What is written of a new token.
#[derive(Clone, Debug)]
pub(in crate::ledger) struct NewToken {
    /// What it is for.
    pub(in crate::ledger) kind: TokenKind,
    /// Whom it speaks for.
    pub(in crate::ledger) owner: String,
    /// What its owner calls it.
    pub(in crate::ledger) name: Option<String>,
    /// What it may do.
    pub(in crate::ledger) scopes: Scopes,
    /// The service it is for.
    pub(in crate::ledger) service: Option<String>,
    /// The job it is for.
    pub(in crate::ledger) job: Option<String>,
    /// The row of its parent.
    pub(in crate::ledger) parent: Option<i64>,
    /// When it ends by itself.
    pub(in crate::ledger) expires: Option<Timestamp>,
}

impl NewToken {
    /// Writes the row.
    pub(in crate::ledger) fn insert(
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
