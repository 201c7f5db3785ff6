//! Checking a token: whether it is one of ours, good, and enough for what is demanded. The answer cannot be overlooked:
//! what is not accepted is an error.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, params};

use super::history::{self, Action};
use super::token::{self, Standing, Token};
use super::{By, Ledger, LedgerError};
use crate::token::issued::{Misread, Presented, TokenKind};
use crate::token::policy::{EventRefusal, Holder, Policy};
use crate::token::scopes::Scopes;
use crate::token::time::{Lifetime, Timestamp};

/// How often at most it is written down that a token was used, or refused for one reason.
const STAMP_EVERY: Lifetime = Lifetime::seconds(60);

/// How many denials of one token are written down in that time. Words of callers are in them, who may have many.
const MOST_DENIALS: i64 = 10;

/// How long a check waits for other writers: a few of their transactions. Whoever asks is not kept waiting for a record.
const STAMP_PATIENCE: Duration = Duration::from_millis(100);

/// What a token must be and have.
#[derive(Clone, Debug, Default)]
pub(crate) struct Demands<'a> {
    /// The job it must be for.
    pub(crate) job: Option<&'a str>,
    /// The event its job must be allowed to report, and who decides that.
    pub(crate) event: Option<(&'a Policy, &'a str)>,
    /// Whom it must speak for.
    pub(crate) owner: Option<&'a str>,
    /// The service it must be for.
    pub(crate) service: Option<&'a str>,
    /// Who it must be meant for. No token of the ledger is meant for anybody in particular.
    pub(crate) audience: Option<&'a str>,
    /// Scopes that it must all have.
    pub(crate) all: Scopes,
    /// Scopes of which it must have one.
    pub(crate) any: Scopes,
    /// How much life it must have left.
    pub(crate) min_ttl: Option<Lifetime>,
}

/// Why a token is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// It is no whole token of ours.
    #[error(transparent)]
    Misread(#[from] Misread),
    /// The ledger does not know it.
    #[error("nobody issued it: the ledger does not know it")]
    Unknown,
    /// Its job has ended.
    #[error("its job ended at {0}")]
    Ended(Timestamp),
    /// It was taken back.
    #[error("it was revoked at {0}")]
    Revoked(Timestamp),
    /// Its time is over.
    #[error("it expired at {0}")]
    Expired(Timestamp),
    /// Nobody keeps its job running.
    #[error("its job does not run: nobody has renewed its lease since {0}")]
    Lapsed(Timestamp),
    /// It is not a job's.
    #[error("it is {} token, and a job's is needed", .0.with_article())]
    NotAJobs(TokenKind),
    /// It is another job's.
    #[error("it is for another job")]
    WrongJob,
    /// Its job may not report this.
    #[error(transparent)]
    Event(#[from] EventRefusal),
    /// Its job has ended, and what is left is not for events.
    #[error("its job has ended; until {until} it is good for `{scopes}` alone, and for no event")]
    OnlyGrace {
        /// Until when.
        until: Timestamp,
        /// What it is good for.
        scopes: Scopes,
    },
    /// It speaks for somebody else.
    #[error("it speaks for somebody else than `{0}`")]
    WrongOwner(String),
    /// It is for another service, or for none.
    #[error("it is not for the service `{0}`")]
    WrongService(String),
    /// It is meant for nobody in particular, and somebody asks for one of theirs.
    #[error("it has no audience, so it is not meant for `{}`", .0.escape_debug())]
    WrongAudience(String),
    /// It lacks a scope.
    #[error("it does not have the scope `{0}`")]
    MissingScope(String),
    /// It has none of some scopes.
    #[error("it has none of the scopes `{0}`")]
    NoneOfScopes(Scopes),
    /// It lives shorter than was demanded.
    #[error("it lives only {left} more, not {least}")]
    TooShort {
        /// How long it lives.
        left: Lifetime,
        /// How long it should.
        least: Lifetime,
    },
}

/// Why there is no token that is good.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Checked {
    /// The answer is no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// There is no answer.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl From<rusqlite::Error> for Checked {
    fn from(error: rusqlite::Error) -> Self {
        Self::Ledger(error.into())
    }
}

impl Demands<'_> {
    /// Judges a token that the ledger knows.
    fn judge(&self, token: &Token, now: Timestamp) -> Result<(), Refusal> {
        let grace = match token.standing(now) {
            Standing::Good => None,
            Standing::Grace { .. } => token.grace.as_ref(),
            Standing::Ended { at } => return Err(Refusal::Ended(at)),
            Standing::Revoked { at } => return Err(Refusal::Revoked(at)),
            Standing::Expired { at } => return Err(Refusal::Expired(at)),
            Standing::Lapsed { at } => return Err(Refusal::Lapsed(at)),
        };
        self.judge_job(token)?;
        if let Some(owner) = self.owner.filter(|owner| *owner != token.owner) {
            return Err(Refusal::WrongOwner(owner.to_owned()));
        }
        if let Some(service) = self.service.filter(|service| token.service.as_deref() != Some(service)) {
            return Err(Refusal::WrongService(service.to_owned()));
        }
        if let Some(audience) = self.audience {
            return Err(Refusal::WrongAudience(audience.to_owned()));
        }
        match (self.event, grace) {
            (Some(_), Some(grace)) => {
                return Err(Refusal::OnlyGrace { until: grace.until, scopes: grace.scopes.clone() });
            }
            (Some((policy, event)), None) => policy.permit(event, Holder::Job)?,
            (None, _) => {}
        }
        let scopes = grace.map_or(&token.scopes, |grace| &grace.scopes);
        if let Some(missing) = self.all.iter().find(|scope| !scopes.contains(scope)) {
            return Err(Refusal::MissingScope(missing.to_owned()));
        }
        if !self.any.is_empty() && !self.any.iter().any(|scope| scopes.contains(scope)) {
            return Err(Refusal::NoneOfScopes(self.any.clone()));
        }
        let left = token.good_until().map(|end| end.since(now));
        match left.zip(self.min_ttl) {
            Some((left, least)) if left < least => Err(Refusal::TooShort { left, least }),
            Some(_) | None => Ok(()),
        }
    }

    /// Judges whether it is the job's token, where a job's is demanded.
    fn judge_job(&self, token: &Token) -> Result<(), Refusal> {
        if (self.job.is_some() || self.event.is_some()) && token.job.is_none() {
            return Err(Refusal::NotAJobs(token.kind));
        }
        match self.job {
            Some(job) if token.job.as_deref() != Some(job) => Err(Refusal::WrongJob),
            Some(_) | None => Ok(()),
        }
    }
}

impl Ledger {
    /// Checks a token against what is demanded, and writes down what came of it. It is an error not to be accepted.
    pub(crate) fn check(&mut self, shown: &Presented, demands: &Demands<'_>, by: &By) -> Result<Token, Checked> {
        let Some(token) = token::by_id(&self.db, &shown.id)? else { return Err(Refusal::Unknown.into()) };
        let known = shown.digest.is(&token.digest) && shown.kind == token.kind;
        let judged = if known { demands.judge(&token, by.at) } else { Err(Refusal::Unknown) };
        let written = match &judged {
            Ok(()) => self.stamp_use(&token, by),
            Err(Refusal::Unknown) => self.stamp_denial(&token, "the public id is known, the secret is wrong", by),
            Err(refusal) => self.stamp_denial(&token, &refusal.to_string(), by),
        };
        // the answer does not depend on whether it can be written down: who can only read must be able to check
        match written {
            Ok(()) | Err(LedgerError::ReadOnly(_) | LedgerError::Busy) => {}
            Err(error) => tracing::warn!(%error, "what was asked of a token is not in history"),
        }
        judged.map(|()| token).map_err(Checked::Refused)
    }

    /// Writes down that an accepted token did not do for what somebody wanted.
    pub(crate) fn record_denial(&mut self, token: &Token, reason: &str, by: &By) -> Result<(), LedgerError> {
        self.stamp_denial(token, reason, by)
    }

    /// Writes down that a token was accepted; its first use is history.
    fn stamp_use(&mut self, token: &Token, by: &By) -> Result<(), LedgerError> {
        if token.last_used.is_some_and(|last| by.at.since(last) < STAMP_EVERY && last <= by.at) {
            return Ok(());
        }
        self.stamp(|db| {
            // another process may have been faster
            let due = "SELECT last_used IS NULL FROM token
                       WHERE serial = ?1 AND (last_used IS NULL OR last_used > ?2 OR last_used <= ?3)";
            let (now, long_ago) = (by.at.epoch(), by.at.epoch().saturating_sub_unsigned(STAMP_EVERY.as_seconds()));
            let first = db.query_row(due, params![token.serial, now, long_ago], |row| row.get(0)).optional()?;
            let Some(first) = first else { return Ok(()) };
            db.execute("UPDATE token SET last_used = ?2 WHERE serial = ?1", params![token.serial, now])?;
            if first {
                history::append(db, by, Action::Use, token.event())?;
            }
            Ok(())
        })
    }

    /// Writes down that a token was refused, unless the same, or very much, was written within the last minute.
    fn stamp_denial(&mut self, token: &Token, reason: &str, by: &By) -> Result<(), LedgerError> {
        if is_enough(&self.db, token, reason, by.at)? {
            return Ok(());
        }
        self.stamp(|db| {
            // another process may have been faster
            if is_enough(db, token, reason, by.at)? {
                return Ok(());
            }
            db.execute("UPDATE token SET last_denied = ?2 WHERE serial = ?1", params![token.serial, by.at.epoch()])?;
            let mut event = token.event();
            event.reason = Some(reason.to_owned());
            history::append(db, by, Action::Deny, event).map(drop)
        })
    }

    /// Writes what came of a check, if nobody else writes for long. It may be lost when the machine fails; that a token was
    /// issued or revoked may not.
    fn stamp(&mut self, act: impl FnOnce(&Connection) -> Result<(), LedgerError>) -> Result<(), LedgerError> {
        self.patient_for(STAMP_PATIENCE)?;
        let written = self.write_soon(act);
        self.patient_again()?;
        written
    }
}

/// Tells whether enough is known of a token's denials in the last minute: this one, or as many as history bears.
fn is_enough(db: &Connection, token: &Token, reason: &str, now: Timestamp) -> Result<bool, LedgerError> {
    let select = "SELECT count(*), coalesce(max(reason IS ?2), 0) FROM history
                  WHERE token = ?1 AND action = ?3 AND time > ?4 AND time <= ?5";
    let from = now.epoch().saturating_sub_unsigned(STAMP_EVERY.as_seconds());
    let values = params![token.id.as_str(), reason, Action::Deny.word(), from, now.epoch()];
    let read = |row: &rusqlite::Row<'_>| Ok(row.get::<_, i64>(0)? >= MOST_DENIALS || row.get(1)?);
    Ok(db.query_row(select, values, read)?)
}

#[cfg(test)]
mod tests {
    use super::super::named::{NamedAsk, Others};
    use super::super::rights::Actor;
    use super::super::scratch::{NOW, by, ledger, random};
    use super::*;
    use crate::token::issued;

    /// A ledger with a token.
    fn with_token() -> (tempfile::TempDir, Ledger, Presented) {
        let (folder, mut ledger) = ledger();
        let (kind, owner, name) = (TokenKind::User, "ada".to_owned(), Some("laptop".to_owned()));
        let ask = NamedAsk { kind, owner, name, scopes: Scopes::default(), expires: None, others: Others::Keep };
        let issued = ledger.create(&ask, &Actor::System, &by(NOW)).unwrap();
        let shown = issued::read(&issued.text).unwrap();
        (folder, ledger, shown)
    }

    /// How many records there are.
    fn records(ledger: &Ledger) -> i64 {
        history::head(&ledger.db).unwrap().number
    }

    #[test]
    fn denials_in_ever_new_words_do_not_fill_the_history() {
        let (_folder, mut ledger, shown) = with_token();
        let before = records(&ledger);
        let mut refuse = |owner: &str, second: i64| {
            let demands = Demands { owner: Some(owner), ..Demands::default() };
            assert!(matches!(ledger.check(&shown, &demands, &by(second)), Err(Checked::Refused(_))));
            records(&ledger) - before
        };
        // two kinds of words in turns are still two
        for _ in 0..3 {
            refuse("bob", NOW);
            assert!(refuse("eve", NOW) == 2);
        }
        for number in 0..50 {
            refuse(&format!("u{number}"), NOW + 1);
        }
        assert_eq!(refuse("last", NOW + 59), MOST_DENIALS);
        assert_eq!(refuse("last", NOW + 61), MOST_DENIALS + 1);
    }

    #[test]
    fn who_was_slower_writes_no_second_first_use() {
        let (_folder, mut ledger, shown) = with_token();
        // both have read the row before either of them writes
        let read = token::by_id(&ledger.db, &shown.id).unwrap().unwrap();
        let before = records(&ledger);
        for second in [NOW, NOW + 1, NOW + 59] {
            ledger.stamp_use(&read, &by(second)).unwrap();
        }
        assert_eq!(records(&ledger) - before, 1);
        let last_used = |ledger: &Ledger| token::by_id(&ledger.db, &shown.id).unwrap().unwrap().last_used;
        assert_eq!(last_used(&ledger), Some(Timestamp::from_epoch(NOW)));
        ledger.stamp_use(&read, &by(NOW + 60)).unwrap();
        assert_eq!((records(&ledger) - before, last_used(&ledger)), (1, Some(Timestamp::from_epoch(NOW + 60))));
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "it is about how long an answer takes")]
    fn an_answer_waits_for_no_writer_and_needs_no_record() {
        let (_folder, mut ledger, shown) = with_token();
        let writer = Ledger::open(&ledger.path, random, &by(NOW)).unwrap();
        writer.db.execute_batch("BEGIN IMMEDIATE").unwrap();
        let begun = std::time::Instant::now();
        ledger.check(&shown, &Demands::default(), &by(NOW)).unwrap();
        assert!(begun.elapsed() < Duration::from_secs(10));
        writer.db.execute_batch("ROLLBACK").unwrap();
        // every write fails, as on a full disk
        ledger
            .db
            .execute_batch("CREATE TEMP TRIGGER full BEFORE UPDATE ON token BEGIN SELECT RAISE(FAIL, 'full'); END")
            .unwrap();
        assert!(ledger.stamp_use(&token::by_id(&ledger.db, &shown.id).unwrap().unwrap(), &by(NOW)).is_err());
        ledger.check(&shown, &Demands::default(), &by(NOW)).unwrap();
    }
}
