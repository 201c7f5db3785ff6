//! The chain of history, followed from record to record, and compared with a head that was kept elsewhere.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _};

use super::audit::{Alert, Check, Mended};
use super::history::{self, Action, Hash, Head};
use super::maintain::hex;
use super::query::COLUMNS;
use super::{Ledger, LedgerError};

/// Whether history still holds what it held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Tampered {
    /// The record of that number has another hash.
    #[error("the record of that number has another hash: history was rewritten")]
    Differs,
    /// There is no such record any more, and it is newer than what is there.
    #[error("history ends before that number: records were removed from its end")]
    Shorter,
    /// It is missing, and what came before it is there.
    #[error("the record of that number is missing: records were removed from the middle of history")]
    Missing,
    /// It was cut.
    #[error("history was cut beyond that number, so it cannot be compared; keep a newer head")]
    Cut,
}

impl Ledger {
    /// Returns the number and hash of the newest record.
    pub(crate) fn head(&self) -> Result<Head, LedgerError> {
        history::head(&self.db)
    }

    /// Compares history with a number and hash that were kept elsewhere.
    pub(crate) fn compare(&self, number: i64, hash: &Hash) -> Result<Result<(), Tampered>, LedgerError> {
        let read = |row: &rusqlite::Row<'_>| row.get::<_, Hash>(0);
        let found = self.db.query_row("SELECT hash FROM history WHERE number = ?1", [number], read).optional()?;
        let head = self.head()?;
        let begins: Option<i64> = self.db.query_row("SELECT min(number) FROM history", [], |row| row.get(0))?;
        Ok(match found {
            Some(found) if found == *hash => Ok(()),
            Some(_) => Err(Tampered::Differs),
            None if number == 0 && *hash == [0; 32] => Ok(()),
            None if number > head.number => Err(Tampered::Shorter),
            None if begins.is_some_and(|begins| begins < number) => Err(Tampered::Missing),
            None => Err(Tampered::Cut),
        })
    }
}

/// Follows the chain from its beginning, or from where it was cut.
pub(super) fn breaks(db: &Connection) -> Result<Vec<Alert>, LedgerError> {
    let broken = |message: String| Alert { check: Check::Chain, token: None, message, mended: Mended::No };
    let mut select = db.prepare(&format!("SELECT {COLUMNS}, digest FROM history ORDER BY number"))?;
    let mut rows = select.query([])?;
    let (mut before, mut anchor, mut alerts) = (history::BEGINNING, None, Vec::new());
    while let Some(row) = rows.next()? {
        let number: i64 = row.get(0)?;
        let Ok(Link { values, hash, action, reason }) = read_link(row) else {
            alerts.push(broken(format!("record {number} cannot be read")));
            before = Head { number, hash: row.get(17).unwrap_or(before.hash) };
            continue;
        };
        if before.number == 0 && action == Action::Cut.word() {
            anchor = Some(format!("cut up to number {number}:{}", hex(&hash)));
            before = Head { number, hash };
            continue;
        }
        if number != before.number + 1 {
            alerts.push(broken(format!("records are missing between {} and {number}", before.number)));
        } else if history::chain(&before.hash, &values) != hash {
            alerts.push(broken(format!("record {number} was changed, or the one before it")));
        }
        if action == Action::Cut.word() && reason.is_some() && reason == anchor {
            anchor = None;
        }
        before = Head { number, hash };
        if alerts.len() >= 20 {
            break;
        }
    }
    if anchor.is_some() {
        alerts.push(broken("history begins with a cut that no later record tells of".to_owned()));
    }
    Ok(alerts)
}

/// A record as a link of the chain.
struct Link {
    /// All values that are hashed.
    values: Vec<Value>,
    /// The hash.
    hash: Hash,
    /// What was done.
    action: String,
    /// Why.
    reason: Option<String>,
}

/// Reads of a record what the chain needs.
fn read_link(row: &rusqlite::Row<'_>) -> rusqlite::Result<Link> {
    let mut values = (0..17).map(|column| row.get(column)).collect::<rusqlite::Result<Vec<Value>>>()?;
    values.extend(Some(row.get(18)?).filter(|digest| *digest != Value::Null));
    Ok(Link { values, hash: row.get(17)?, action: row.get(2)?, reason: row.get(16)? })
}
