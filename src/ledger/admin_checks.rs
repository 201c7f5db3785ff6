//! What the ledger adds to checking an admin token: whether it, or its key, was taken back; and what is written down of it.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::admin::{AdminKey, of_key};
use super::history::{self, Action, Event};
use super::{By, Ledger, LedgerError};
use crate::token::time::{Lifetime, Timestamp};

/// An admin token that was accepted, wherever it was minted.
#[derive(Clone, Debug)]
pub(crate) struct Seen<'a> {
    /// Its id.
    pub(crate) jti: &'a str,
    /// The key that signed it, as it is known here.
    pub(crate) key: &'a AdminKey,
    /// When it ends.
    pub(crate) exp: Option<Timestamp>,
    /// The job that it was shown for.
    pub(crate) job: Option<&'a str>,
    /// The event of that job.
    pub(crate) event: Option<&'a str>,
}

impl Ledger {
    /// Returns since when an admin token, or an admin key, is taken back.
    pub(crate) fn revoked_since(&self, id: &str) -> Result<Option<Timestamp>, LedgerError> {
        let select = "SELECT time FROM revocation WHERE jti = ?1";
        Ok(self.db.query_row(select, [id], |row| row.get(0)).optional()?.map(Timestamp::from_epoch))
    }

    /// Takes an admin key back: it mints no more, and nothing that it minted is good; `None` if nobody knows it.
    pub(crate) fn revoke_admin_key(&mut self, kid: &str, by: &By) -> Result<Option<AdminKey>, LedgerError> {
        let Some(key) = self.admin_key(kid)? else { return Ok(None) };
        self.write(|db| revoke_key(db, &key, by))?;
        self.admin_key(kid)
    }

    /// Writes down that an admin token was accepted, once for each job and event.
    pub(crate) fn record_admin_use(&mut self, seen: &Seen<'_>, by: &By) -> Result<(), LedgerError> {
        if was_seen(&self.db, seen)? {
            return Ok(());
        }
        self.write(|db| {
            // another process may have been faster
            if was_seen(db, seen)? {
                return Ok(());
            }
            let event = Event {
                token: Some(seen.jti.to_owned()),
                kind: Some("admin".to_owned()),
                owner: Some(seen.key.name.clone()),
                parent: Some(seen.key.kid.clone()),
                job: seen.job.map(str::to_owned),
                expires: seen.exp,
                reason: seen.event.map(str::to_owned),
                ..Event::default()
            };
            history::append(db, by, Action::Use, event).map(drop)
        })
    }
}

/// Takes a key back, once.
pub(super) fn revoke_key(db: &Connection, key: &AdminKey, by: &By) -> Result<(), LedgerError> {
    let values = params![key.kid, by.at.epoch()];
    let inserted = db.execute("INSERT INTO revocation (jti, time) VALUES (?1, ?2) ON CONFLICT DO NOTHING", values)?;
    db.execute("UPDATE admin_key SET retired = ?2 WHERE kid = ?1 AND retired IS NULL", values)?;
    if inserted > 0 {
        history::append(db, by, Action::Revoke, of_key(key))?;
    }
    Ok(())
}

/// Tells whether the same is written down already.
fn was_seen(db: &Connection, seen: &Seen<'_>) -> Result<bool, LedgerError> {
    let select = "SELECT 1 FROM history WHERE token = ?1 AND action = 'use' AND job IS ?2 AND reason IS ?3 LIMIT 1";
    Ok(db.query_row(select, params![seen.jti, seen.job, seen.event], |_| Ok(())).optional()?.is_some())
}

/// Tells whether an admin token was refused so short a time ago that once more would only fill the history.
pub(super) fn was_just_denied(db: &Connection, jti: &str, now: Timestamp) -> Result<bool, LedgerError> {
    /// As for `last_denied` of other tokens.
    const MINUTE: Lifetime = Lifetime::seconds(60);
    Ok(last(db, jti, Action::Deny)?.is_some_and(|at| at.after(MINUTE) > now))
}

/// Returns when something was last done to a token.
fn last(db: &Connection, token: &str, action: Action) -> Result<Option<Timestamp>, LedgerError> {
    let select = "SELECT time FROM history WHERE token = ?1 AND action = ?2 ORDER BY time DESC, number DESC LIMIT 1";
    Ok(db.query_row(select, [token, action.word()], |row| row.get(0)).optional()?.map(Timestamp::from_epoch))
}

#[cfg(test)]
mod tests {
    use super::super::admin::Mint;
    use super::super::scratch::{NOW, admin_key, by, ledger};
    use super::*;

    #[test]
    fn a_revoked_key_is_retired_and_taken_back_once() {
        let (_folder, mut ledger) = ledger();
        ledger.put_admin_key(&admin_key("ops", "k1"), &by(NOW)).unwrap();
        assert!(ledger.revoke_admin_key("other", &by(NOW)).unwrap().is_none());
        let first = ledger.revoke_admin_key("k1", &by(NOW + 1)).unwrap().unwrap();
        assert_eq!(first.retired, Some(Timestamp::from_epoch(NOW + 1)));
        ledger.revoke_admin_key("k1", &by(NOW + 2)).unwrap().unwrap();
        assert_eq!(ledger.revoked_since("k1").unwrap(), Some(Timestamp::from_epoch(NOW + 1)));
        assert_eq!(history::head(&ledger.db).unwrap().number, 2);
    }

    #[test]
    fn each_event_that_a_token_was_used_for_is_written_down_once() {
        let (_folder, mut ledger) = ledger();
        let key = admin_key("ops", "k1");
        let seen = |job, event| Seen { jti: "j1", key: &key, exp: None, job, event };
        for second in 0..3 {
            for (job, event) in [(None, None), (Some("a"), Some("reset")), (Some("b"), Some("reset"))] {
                ledger.record_admin_use(&seen(job, event), &by(NOW + second)).unwrap();
            }
        }
        assert_eq!(history::head(&ledger.db).unwrap().number, 3);
        assert_eq!(last(&ledger.db, "j1", Action::Use).unwrap(), Some(Timestamp::from_epoch(NOW)));
    }

    #[test]
    fn denials_are_written_down_once_a_minute_and_for_tokens_that_exist() {
        let (_folder, mut ledger) = ledger();
        let at = Timestamp::from_epoch(NOW);
        let mint = Mint { jti: "j1".into(), sub: "ops".into(), kid: "k1".into(), aud: "api".into(), iat: at, exp: at };
        ledger.record_mint(&mint, &by(NOW)).unwrap();
        for (second, records) in [(0, 2), (59, 2), (60, 3)] {
            ledger.record_admin_denial("j1", "expired", &by(NOW + second)).unwrap();
            assert_eq!(history::head(&ledger.db).unwrap().number, records);
        }
        ledger.record_admin_denial("made-up", "expired", &by(NOW)).unwrap();
        assert_eq!(history::head(&ledger.db).unwrap().number, 3);
    }
}
