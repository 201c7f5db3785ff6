//! Closing tokens: revoked, ended or expired, each with its descendants, the deepest first, and a record for each.

use rusqlite::{Connection, params};

use super::history::{self, Action, Event};
use super::token::{self, Found, Grace, State, Token};
use super::{By, LedgerError};

/// How a token's life is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closing {
    /// Somebody takes it back.
    Revoke,
    /// Another one takes its place.
    Rotate,
    /// Its job ended.
    End,
    /// Its time is over, or its runner is gone.
    Expire,
}

impl Closing {
    /// What the ledger and history call it.
    const fn words(self) -> (State, Action) {
        match self {
            Self::Revoke => (State::Revoked, Action::Revoke),
            Self::Rotate => (State::Revoked, Action::Rotate),
            Self::End => (State::Ended, Action::End),
            Self::Expire => (State::Expired, Action::Expire),
        }
    }
}

/// What is closed: a row, and how history describes it.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// The row.
    serial: i64,
    /// What its children's history calls it.
    name: String,
    /// What its own history says.
    event: Event,
}

impl From<&Token> for Target {
    fn from(token: &Token) -> Self {
        Self { serial: token.serial, name: token.id.to_string(), event: token.event() }
    }
}

impl From<&Found> for Target {
    fn from(found: &Found) -> Self {
        Self { serial: found.serial(), name: found.name(), event: found.event() }
    }
}

/// Closes a token and its descendants, whether they can be read or not; returns how many there were.
pub(super) fn close(
    db: &Connection,
    by: &By,
    target: impl Into<Target>,
    closing: Closing,
    reason: Option<&str>,
) -> Result<usize, LedgerError> {
    let target = target.into();
    let descendants = descendants(db, target.serial)?;
    for child in &descendants {
        // a child whose own time is not over dies all the same, for its parent's reason
        let reason = format!("its parent {} is gone", target.name.escape_debug());
        close_one(db, by, child.into(), closing, Some(&reason))?;
    }
    close_one(db, by, target, closing, reason)?;
    Ok(1 + descendants.len())
}

/// Closes one row.
fn close_one(
    db: &Connection,
    by: &By,
    target: Target,
    closing: Closing,
    reason: Option<&str>,
) -> Result<(), LedgerError> {
    let (state, action) = closing.words();
    db.execute(
        "UPDATE token SET state = ?2, closed = ?3 WHERE serial = ?1",
        params![target.serial, state.word(), by.at.epoch()],
    )?;
    db.execute("DELETE FROM lease WHERE token = ?1", [target.serial])?;
    let event = Event { reason: reason.map(str::to_owned), ..target.event };
    history::append(db, by, action, event).map(drop)
}

/// Lets some scopes of a token that has just been ended be good a little longer.
pub(super) fn leave_grace(db: &Connection, token: &Token, grace: &Grace) -> Result<(), LedgerError> {
    db.execute(
        "UPDATE token SET grace_until = ?2, grace_scopes = ?3 WHERE serial = ?1",
        params![token.serial, grace.until.epoch(), grace.scopes.to_string()],
    )?;
    Ok(())
}

/// Returns the live descendants of a token, the deepest first.
pub(super) fn descendants(db: &Connection, serial: i64) -> Result<Vec<Found>, LedgerError> {
    // UNION, not UNION ALL: a cycle, which only damage can make, would never end; a child comes after its parent
    let which = "t.state = 'live' AND t.serial <> ?1 AND t.serial IN (
           WITH RECURSIVE below (serial) AS (
             SELECT serial FROM token WHERE parent = ?1
             UNION SELECT c.serial FROM token c JOIN below b ON c.parent = b.serial
           )
           SELECT serial FROM below)
         ORDER BY t.serial DESC";
    token::rows(db, which, &[&serial])
}

#[cfg(test)]
mod tests {
    use super::super::scratch::{NOW, by, ledger};
    use super::super::token::NewToken;
    use super::*;
    use crate::token::issued::{PublicId, TokenKind};
    use crate::token::scopes::Scopes;

    #[test]
    fn the_deepest_descendant_goes_with_the_first_parent() {
        /// More than SQLite would follow by itself, or a careful author would think of.
        const GENERATIONS: usize = 1_200;
        let (_folder, mut ledger) = ledger();
        let count = ledger.write(|db| {
            let (mut first, mut parent) = (None, None);
            for number in 0..GENERATIONS {
                let id: PublicId = format!("{number:022}").parse().unwrap();
                let kind = TokenKind::Notebook;
                let (owner, scopes) = ("ada".to_owned(), Scopes::default());
                let new = NewToken { kind, owner, name: None, scopes, service: None, job: None, parent, expires: None };
                let token = new.insert(db, &id, &[0; 32], by(NOW).at)?;
                parent = Some(token.serial);
                first.get_or_insert(token);
            }
            close(db, &by(NOW), &first.unwrap(), Closing::Revoke, None)
        });
        assert_eq!(count.unwrap(), GENERATIONS);
    }
}
