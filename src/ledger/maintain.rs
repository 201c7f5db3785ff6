//! Maintenance: expired tokens are closed together with their children, orphaned jobs swept, old rows and history cut.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::change::{self, Closing};
use super::history::{self, Action, Event, Hash};
use super::token;
use super::{By, Ledger, LedgerError};
use crate::token::admin_token::AdminLifetime;
use crate::token::time::{Lifetime, Timestamp};

/// How long after its lease lapsed a job is swept: a laptop that slept may still wake up and go on.
pub(super) const SWEEP_AFTER: Lifetime = Lifetime::seconds(3_600);

/// How many tokens are closed, or rows removed, in one transaction: others wait no longer than for one of these.
const BATCH: i64 = 500;

/// How many records are cut in one transaction. Each leaves a record of its own, so that these are not too many.
const CUT_BATCH: i64 = 10_000;

/// How long at least it is known that an admin token was taken back: as long as one can be good, with some room for
/// clocks that differ.
const REVOKED_AT_LEAST: Lifetime = Lifetime::seconds(2 * AdminLifetime::LONGEST.as_seconds());

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Maintained {
    /// Tokens whose time is over, and their children.
    pub(crate) expired: usize,
    /// Jobs whose runner is gone.
    pub(crate) swept: usize,
    /// Rows that were over long ago: of tokens, and of admin tokens that were minted or revoked.
    pub(crate) forgotten: usize,
    /// Records of history that were cut.
    pub(crate) cut: usize,
}

impl Ledger {
    /// Brings the ledger up to date, and forgets what is older than `keep`.
    pub(crate) fn maintain(&mut self, keep: Lifetime, by: &By) -> Result<Maintained, LedgerError> {
        let mut done = Maintained::default();
        let expired = "t.state = 'live' AND t.expires <= ?1 LIMIT ?2";
        done.expired = self.close_all(expired, by.at, None, by)?;
        let swept = "t.state = 'live' AND l.until <= ?1 LIMIT ?2";
        let before = Timestamp::from_epoch(by.at.epoch().saturating_sub_unsigned(SWEEP_AFTER.as_seconds()));
        done.swept = self.close_all(swept, before, Some("its runner is gone"), by)?;
        let old = Timestamp::from_epoch(by.at.epoch().saturating_sub_unsigned(keep.as_seconds()));
        loop {
            let forgotten = self.write(|db| forget(db, old, by.at))?;
            done.forgotten += forgotten;
            if forgotten == 0 {
                break;
            }
        }
        loop {
            let cut = self.write(|db| cut(db, (old, CUT_BATCH), by))?;
            done.cut += cut;
            if cut == 0 {
                break;
            }
        }
        self.db.execute_batch("PRAGMA optimize")?;
        // somebody may be reading: then the log goes back another time
        self.db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        Ok(done)
    }

    /// Closes all tokens that a condition holds for, some at a time.
    fn close_all(&mut self, which: &str, time: Timestamp, reason: Option<&str>, by: &By) -> Result<usize, LedgerError> {
        let mut closed = 0;
        loop {
            let batch = self.write(|db| {
                let mut count = 0;
                for token in token::rows(db, which, &[&time.epoch(), &BATCH])? {
                    // its parent may have taken it along a moment ago
                    if token::exists(db, "t.serial = ?1 AND t.state = 'live'", &[&token.serial()])? {
                        count += change::close(db, by, &token, Closing::Expire, reason)?;
                    }
                }
                Ok(count)
            })?;
            closed += batch;
            if batch == 0 {
                return Ok(closed);
            }
        }
    }
}

/// Removes rows that were closed long ago and have no children; admin tokens, too. History still tells of them.
fn forget(db: &Connection, old: Timestamp, now: Timestamp) -> Result<usize, LedgerError> {
    let tokens = db.execute(
        "DELETE FROM token WHERE serial IN (
           SELECT t.serial FROM token t WHERE t.closed < ?1 AND (t.grace_until IS NULL OR t.grace_until < ?1)
             AND NOT EXISTS (SELECT 1 FROM token c WHERE c.parent = t.serial) LIMIT ?2)",
        params![old.epoch(), BATCH],
    )?;
    let mints = "DELETE FROM mint WHERE jti IN (SELECT jti FROM mint WHERE exp < ?1 LIMIT ?2)";
    let mints = db.execute(mints, params![old.epoch(), BATCH])?;
    // what was taken back must be known as long as it would be good, and a key that is in the ledger for ever
    let over = Timestamp::from_epoch(now.epoch().saturating_sub_unsigned(REVOKED_AT_LEAST.as_seconds()));
    let taken = "DELETE FROM revocation WHERE jti IN (
        SELECT jti FROM revocation WHERE time < ?1 AND jti NOT IN (SELECT kid FROM admin_key) LIMIT ?2)";
    let taken = db.execute(taken, params![old.min(over).epoch(), BATCH])?;
    Ok(tokens + mints + taken)
}

/// Removes the oldest records before a time, so many at most. The last of them becomes one that holds the hash it had, so
/// that the chain goes on from there, and a new record at the end says what was cut.
fn cut(db: &Connection, (old, most): (Timestamp, i64), by: &By) -> Result<usize, LedgerError> {
    // numbers, not times: a clock that was set back must leave no hole
    let first_kept = "SELECT min(number) FROM history WHERE time >= ?1";
    let first_kept: Option<i64> = db.query_row(first_kept, [old.epoch()], |row| row.get(0))?;
    let last = "SELECT number, time, hash, action FROM history WHERE (?1 IS NULL OR number < ?1)
                AND number <= (SELECT min(number) FROM history) + ?2 ORDER BY number DESC LIMIT 1";
    let read = |row: &rusqlite::Row<'_>| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, Hash>(2)?, row.get::<_, String>(3)?))
    };
    let found = db.query_row(last, params![first_kept, most], read).optional()?;
    let Some((number, time, hash, action)) = found else { return Ok(0) };
    if action == Action::Cut.word() && is_first(db, number)? {
        return Ok(0);
    }
    let count = db.execute("DELETE FROM history WHERE number <= ?1", [number])?;
    let anchor = format!("everything up to number {number} was cut; this is the hash it had");
    db.execute(
        "INSERT INTO history (number, time, action, actor, host, reason, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        // with its own time it is before `old`, and the next batch goes on behind it
        params![number, time, Action::Cut.word(), by.actor, by.host, anchor, hash],
    )?;
    let reason = Some(format!("cut up to number {number}:{}", hex(&hash)));
    history::append(db, by, Action::Cut, Event { reason, ..Event::default() })?;
    Ok(count.saturating_sub(1))
}

/// Tells whether nothing comes before a record.
fn is_first(db: &Connection, number: i64) -> Result<bool, LedgerError> {
    Ok(db.query_row("SELECT NOT EXISTS (SELECT 1 FROM history WHERE number < ?1)", [number], |row| row.get(0))?)
}

/// Writes a hash as text.
pub(crate) fn hex(hash: &Hash) -> String {
    use std::fmt::Write as _;
    hash.iter().fold(String::new(), |mut text, byte| {
        // writing to a String cannot fail
        write!(text, "{byte:02x}").ok();
        text
    })
}

#[cfg(test)]
mod tests {
    use super::super::audit::Fix;
    use super::super::job::{JobAsk, Limit, Present};
    use super::super::rights::Actor;
    use super::super::scratch::{NOW, admin_key, by, ledger};
    use super::*;
    use crate::secret::Secret;

    /// Begins a job of a minute.
    fn issue(ledger: &mut Ledger, job: &str, second: i64) {
        let (ttl, present) = (Limit::Stated(Lifetime::seconds(60)), Present::Keep);
        let (owner, job) = ("ada".to_owned(), job.to_owned());
        let ask = JobAsk { owner, job, scopes: None, ttl, lease: None, grace: None, present };
        ledger.issue_job(&ask, &Secret::new(Box::new([3; 32])), &Actor::System, &by(second)).unwrap();
    }

    #[test]
    fn a_row_that_cannot_be_read_is_closed_with_the_others() {
        let (_folder, mut ledger) = ledger();
        issue(&mut ledger, "j1", NOW);
        issue(&mut ledger, "j2", NOW);
        ledger.db.execute("UPDATE token SET scopes = 'a\"b' WHERE job = 'j1'", []).unwrap();
        let done = ledger.maintain(Lifetime::seconds(86_400), &by(NOW + 60)).unwrap();
        assert_eq!(done.expired, 2);
    }

    #[test]
    fn history_is_cut_in_batches_and_each_leaves_a_sound_chain() {
        let (_folder, mut ledger) = ledger();
        for job in ["j1", "j2", "j3", "j4", "j5"] {
            issue(&mut ledger, job, NOW);
        }
        let old = Timestamp::from_epoch(NOW + 1);
        let mut batches = Vec::new();
        while batches.last() != Some(&0) {
            batches.push(ledger.write(|db| cut(db, (old, 2), &by(NOW + 2))).unwrap());
            assert!(ledger.audit(None, Fix::No, &by(NOW + 2)).unwrap().is_empty());
        }
        // 1 to 3, whose last stays as the cut; then 4 and 5
        assert_eq!(batches, [2, 2, 0]);
    }

    #[test]
    fn what_was_taken_back_stays_so_however_little_is_kept() {
        let (_folder, mut ledger) = ledger();
        ledger.put_admin_key(&admin_key("ops", "k1"), &by(NOW)).unwrap();
        ledger.revoke_admin_key("k1", &by(NOW)).unwrap();
        ledger.revoke_admin_token("j1", &by(NOW)).unwrap();
        let lives = i64::try_from(AdminLifetime::LONGEST.as_seconds()).unwrap();
        for (later, is_known) in [(lives + 30, true), (2 * lives + 1, false)] {
            ledger.maintain(Lifetime::seconds(0), &by(NOW + later)).unwrap();
            assert_eq!(ledger.revoked_since("j1").unwrap().is_some(), is_known, "after {later}");
            assert!(ledger.revoked_since("k1").unwrap().is_some());
        }
    }
}
