//! Figures about the tokens that live: what to show on a dashboard, and what to be warned of.

use rusqlite::params;

use super::history::Action;
use super::{Ledger, LedgerError};
use crate::token::issued::TokenKind;
use crate::token::time::{Lifetime, Timestamp};

/// What counts as soon.
const SOON: Lifetime = Lifetime::seconds(7 * 86_400);

/// What counts as of late.
const OF_LATE: Lifetime = Lifetime::seconds(86_400);

/// The figures.
#[derive(Clone, Debug)]
pub(crate) struct Stats {
    /// Live tokens of each kind.
    pub(crate) live: Vec<(TokenKind, u64)>,
    /// Owners who have a live session.
    pub(crate) active_session_owners: u64,
    /// Live tokens that end within a week, jobs and children aside.
    pub(crate) ending_soon: u64,
    /// Live jobs whose lease has lapsed.
    pub(crate) lapsed_jobs: u64,
    /// Records of history.
    pub(crate) records: u64,
    /// Denials within a day.
    pub(crate) denials: u64,
    /// Bytes of the database.
    pub(crate) bytes: u64,
}

impl Stats {
    /// The figures of a host that has no ledger yet.
    pub(crate) fn none() -> Self {
        Self {
            live: TokenKind::all().map(|kind| (kind, 0)).collect(),
            active_session_owners: 0,
            ending_soon: 0,
            lapsed_jobs: 0,
            records: 0,
            denials: 0,
            bytes: 0,
        }
    }
}

impl Ledger {
    /// Counts.
    pub(crate) fn stats(&self, now: Timestamp) -> Result<Stats, LedgerError> {
        let one = |sql: &str, values: &[&dyn rusqlite::ToSql]| -> Result<u64, LedgerError> {
            let count: i64 = self.db.query_row(sql, values, |row| row.get(0))?;
            Ok(count.unsigned_abs())
        };
        let good = "state = 'live' AND (expires IS NULL OR expires > ?1)
                    AND NOT EXISTS (SELECT 1 FROM lease l WHERE l.token = token.serial AND l.until <= ?1)
                    AND (kind <> 'job' OR EXISTS (SELECT 1 FROM lease l WHERE l.token = token.serial))";
        let mut live = Stats::none().live;
        let mut select = self.db.prepare(&format!("SELECT kind, count(*) FROM token WHERE {good} GROUP BY kind"))?;
        let rows = select.query_map([now.epoch()], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))?;
        for row in rows {
            let (word, count) = row?;
            if let Some((_, slot)) = live.iter_mut().find(|(kind, _)| kind.word() == word) {
                *slot = count.unsigned_abs();
            }
        }
        let (soon, late) = (now.after(SOON).epoch(), now.epoch().saturating_sub_unsigned(OF_LATE.as_seconds()));
        let sessions = format!("SELECT count(DISTINCT owner) FROM token WHERE kind = 'session' AND {good}");
        let ending = "SELECT count(*) FROM token WHERE state = 'live' AND expires > ?1 AND expires <= ?2
                      AND kind IN ('user', 'service', 'session')";
        let lapsed = "SELECT count(*) FROM token t LEFT JOIN lease l ON l.token = t.serial WHERE t.kind = 'job'
                      AND t.state = 'live' AND t.expires > ?1 AND (l.token IS NULL OR l.until <= ?1)";
        let denials = "SELECT count(*) FROM history WHERE time > ?1 AND action = ?2";
        let bytes = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size";
        Ok(Stats {
            live,
            active_session_owners: one(&sessions, params![now.epoch()])?,
            ending_soon: one(ending, params![now.epoch(), soon])?,
            lapsed_jobs: one(lapsed, params![now.epoch()])?,
            records: one("SELECT count(*) FROM history", &[])?,
            denials: one(denials, params![late, Action::Deny.word()])?,
            bytes: one(bytes, &[])?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::job::{JobAsk, Limit, Present};
    use super::super::lease::RUN_LEASE;
    use super::super::rights::Actor;
    use super::super::scratch::{NOW, by, ledger};
    use super::*;

    #[test]
    fn a_job_whose_lease_has_lapsed_does_not_live() {
        let (_folder, mut ledger) = ledger();
        let (ttl, lease) = (Limit::Stated(Lifetime::seconds(3_600)), Some(RUN_LEASE));
        let (owner, job, present) = ("ada".to_owned(), "j1".to_owned(), Present::Keep);
        ledger
            .begin_run(&JobAsk { owner, job, scopes: None, ttl, lease, grace: None, present }, &Actor::System, &by(NOW))
            .unwrap();
        let figures = |second: i64| {
            let stats = ledger.stats(Timestamp::from_epoch(second)).unwrap();
            (stats.live.iter().map(|(_, count)| count).sum::<u64>(), stats.lapsed_jobs)
        };
        assert_eq!((figures(NOW + 59), figures(NOW + 60)), ((1, 0), (0, 1)));
    }
}
