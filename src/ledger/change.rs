//! Closing tokens: revoked, ended or expired, each with its descendants, the deepest first, and a record for each.

use rusqlite::{Connection, params};

use super::history::{self, Action};
use super::token::{self, Grace, State, Token};
use super::{By, LedgerError};
use crate::token::issued::PublicId;

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

/// Closes a token and its descendants; returns how many there were.
pub(super) fn close(
    db: &Connection,
    by: &By,
    token: &Token,
    closing: Closing,
    reason: Option<&str>,
) -> Result<usize, LedgerError> {
    let descendants = descendants(db, token.serial)?;
    for child in &descendants {
        // a child whose own time is not over dies all the same, for its parent's reason
        let reason = format!("its parent {} is gone", token.id);
        close_one(db, by, child, closing, Some(&reason))?;
    }
    close_one(db, by, token, closing, reason)?;
    Ok(1 + descendants.len())
}

/// Closes one token.
fn close_one(
    db: &Connection,
    by: &By,
    token: &Token,
    closing: Closing,
    reason: Option<&str>,
) -> Result<(), LedgerError> {
    let (state, action) = closing.words();
    db.execute(
        "UPDATE token SET state = ?2, closed = ?3 WHERE serial = ?1",
        params![token.serial, state.word(), by.at.epoch()],
    )?;
    db.execute("DELETE FROM lease WHERE token = ?1", [token.serial])?;
    let mut event = token.event();
    event.reason = reason.map(str::to_owned);
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
pub(super) fn descendants(db: &Connection, serial: i64) -> Result<Vec<Token>, LedgerError> {
    // UNION, not UNION ALL: a cycle, which only damage can make, would never end; a child comes after its parent
    let mut select = db.prepare(
        "WITH RECURSIVE below (serial) AS (
           SELECT serial FROM token WHERE parent = ?1
           UNION SELECT t.serial FROM token t JOIN below b ON t.parent = b.serial
         )
         SELECT t.id FROM below b JOIN token t ON t.serial = b.serial
         WHERE t.state = 'live' AND t.serial <> ?1 ORDER BY t.serial DESC",
    )?;
    let ids = select.query_map([serial], |row| row.get::<_, String>(0))?;
    let mut found = Vec::new();
    for id in ids {
        let id: PublicId = id?.parse().map_err(|_| LedgerError::Damaged("a token without an id".to_owned()))?;
        found.extend(token::by_id(db, &id)?);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::super::scratch::{NOW, by, ledger};
    use super::super::token::NewToken;
    use super::*;
    use crate::token::issued::TokenKind;
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
