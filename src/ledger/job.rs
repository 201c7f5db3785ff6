//! Asking for a job's token: one live token for each owner and job, good only while the job runs.
//!
//! A job runs from `issue` to `end`, or as long as a `run` renews its lease; `lease` has what happens to it meanwhile.

use rusqlite::{Connection, params};

use super::change::{self, Closing};
use super::issued::{Fresh, Issued, Reused, retell, write_new};
use super::lease::{GraceAsk, extend, held, refuse_held, refuse_wider};
use super::rights::Actor;
use super::token::{self, Found, Holder, NewToken, Standing, Token};
use super::{By, Ledger, LedgerError};
use crate::token::issued::{IssueKey, PublicId, TokenKind};
use crate::token::scopes::Scopes;
use crate::token::time::Lifetime;

/// What somebody wants a job's token to be.
#[derive(Clone, Debug)]
pub(crate) struct JobAsk {
    /// Whom it speaks for.
    pub(crate) owner: String,
    /// The job.
    pub(crate) job: String,
    /// What it may do; `None` if nobody said.
    pub(crate) scopes: Option<Scopes>,
    /// How long the job may run at most.
    pub(crate) ttl: Limit,
    /// How long it runs without a renewal; `None` if it needs none.
    pub(crate) lease: Option<Lifetime>,
    /// What stays good for how long after the end.
    pub(crate) grace: Option<GraceAsk>,
    /// What happens to the token that is there.
    pub(crate) present: Present,
}

/// How long a job may run at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    /// Somebody said so.
    Stated(Lifetime),
    /// Nobody said so.
    Default(Lifetime),
}

impl Limit {
    /// Returns the time.
    const fn length(self) -> Lifetime {
        match self {
            Self::Stated(length) | Self::Default(length) => length,
        }
    }
}

/// What happens to a live token of the same owner and job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Present {
    /// It stays.
    Keep,
    /// Another takes its place, whoever holds the job.
    Rotate,
}

/// Who keeps a new job running, and by what it is known to be them.
struct Keeping {
    /// In which way.
    holder: Holder,
    /// What only they know.
    nonce: PublicId,
}

impl Ledger {
    /// Issues the token of a job, or tells the same text again.
    pub(crate) fn issue_job(
        &mut self,
        ask: &JobAsk,
        key: &IssueKey,
        actor: &Actor,
        by: &By,
    ) -> Result<Issued, LedgerError> {
        let fresh = self.fresh_derived(key)?;
        let keeping = Keeping { holder: Holder::Issue, nonce: PublicId::of(self.random()?) };
        self.write(|db| {
            ask.require_right(actor)?;
            if let Some(present) = present(db, ask, Holder::Issue, by)? {
                // who is told the text can do what it does
                actor.require_may_issue(TokenKind::Job, &present.owner, &present.scopes)?;
                let text = retell(&present, key)?;
                extend(db, &present, by.at)?;
                let token = token::by_id(db, &present.id)?.unwrap_or(present);
                return Ok(Issued { text, token, reused: Reused::Yes });
            }
            begin(db, ask, &keeping, &fresh, by)
        })
    }

    /// Issues the token of a job that runs as our child. It is told once, so its secret is random.
    pub(crate) fn begin_run(&mut self, ask: &JobAsk, actor: &Actor, by: &By) -> Result<Issued, LedgerError> {
        let fresh = self.fresh()?;
        let keeping = Keeping { holder: Holder::Run, nonce: PublicId::of(self.random()?) };
        self.write(|db| {
            ask.require_right(actor)?;
            // `run` never takes the present one up: it is another's, or rotated, or swept
            present(db, ask, Holder::Run, by)?;
            begin(db, ask, &keeping, &fresh, by)
        })
    }

    /// Tells whether the ledger knows a job.
    pub(crate) fn knows_job(&self, job: &str) -> Result<bool, LedgerError> {
        token::exists(&self.db, "t.job = ?1", &[&job])
    }
}

impl JobAsk {
    /// Refuses who may not ask for such a token.
    fn require_right(&self, actor: &Actor) -> Result<(), LedgerError> {
        actor.require_may_issue(TokenKind::Job, &self.owner, self.scopes.as_ref().unwrap_or(&Scopes::default()))
    }
}

/// Decides about the live token of the same owner and job: returned if it is to be told again, closed if it is over.
fn present(db: &Connection, ask: &JobAsk, holder: Holder, by: &By) -> Result<Option<Token>, LedgerError> {
    let which = "t.owner = ?1 AND t.job = ?2 AND t.state = 'live'";
    let token = match token::find(db, which, &[&ask.owner, &ask.job])? {
        None => return Ok(None),
        Some(Found::Token(token)) => *token,
        Some(row @ Found::Unreadable(_)) if ask.present == Present::Rotate => {
            return change::close(db, by, &row, Closing::Rotate, Some(REPLACED)).map(|_| None);
        }
        Some(Found::Unreadable(row)) => return Err(row.into()),
    };
    // without a lease nobody keeps it running, and nothing is there to be renewed
    let is_lost = token.lease.as_ref().is_none_or(|lease| lease.holder == Holder::Run);
    let standing = token.standing(by.at);
    let (closing, reason) = match (standing, ask.present) {
        (Standing::Expired { .. }, _) => (Closing::Expire, None),
        // a lease that somebody renews by hand may be taken up again, but not by a `run`
        (Standing::Lapsed { at }, _) if is_lost || holder == Holder::Run => {
            (Closing::Expire, Some(format!("nobody has renewed its lease since {at}")))
        }
        (_, Present::Rotate) => (Closing::Rotate, Some(REPLACED.to_owned())),
        (_, Present::Keep) => {
            refuse_held(&token, holder)?;
            if holder == Holder::Run {
                return Err(held(&token));
            }
            if ask.scopes.as_ref().is_some_and(|scopes| *scopes != token.scopes) {
                return Err(LedgerError::OtherScopes { job: ask.job.clone(), scopes: token.scopes });
            }
            refuse_other_terms(&token, ask)?;
            return Ok(Some(token));
        }
    };
    change::close(db, by, &token, closing, reason.as_deref())?;
    Ok(None)
}

/// Refuses to tell a token again to somebody who asks for other times than it has.
fn refuse_other_terms(token: &Token, ask: &JobAsk) -> Result<(), LedgerError> {
    let lease = token.lease.as_ref();
    let ttl = match ask.ttl {
        Limit::Stated(length) => token.expires != Some(token.created.after(length)),
        Limit::Default(_) => false,
    };
    let held = ask.lease.is_some() && lease.and_then(|lease| lease.length) != ask.lease;
    let stated = lease.and_then(|lease| lease.grace.as_ref());
    let own = stated.map_or(&token.scopes, |(_, scopes)| scopes);
    let grace = ask.grace.as_ref().is_some_and(|grace| grace.of(own).as_ref() != stated);
    let flag = [(ttl, "--ttl"), (held, "--lease"), (grace, "--grace")].into_iter().find(|(other, _)| *other);
    match flag {
        Some((_, flag)) => Err(LedgerError::OtherTerms { job: ask.job.clone(), flag }),
        None => Ok(()),
    }
}

/// Writes a new token with its lease and its record.
fn begin(db: &Connection, ask: &JobAsk, keeping: &Keeping, fresh: &Fresh, by: &By) -> Result<Issued, LedgerError> {
    let new = NewToken {
        kind: TokenKind::Job,
        owner: ask.owner.clone(),
        name: None,
        scopes: ask.scopes.clone().unwrap_or_default(),
        service: None,
        job: Some(ask.job.clone()),
        parent: None,
        expires: Some(by.at.after(ask.ttl.length())),
    };
    let grace = ask.grace.as_ref().and_then(|grace| grace.of(&new.scopes));
    if let Some((_, scopes)) = &grace {
        refuse_wider(&new.scopes, scopes)?;
    }
    let issued = write_new(db, &new, fresh, by)?;
    let seconds = |length: Lifetime| i64::try_from(length.as_seconds()).unwrap_or(i64::MAX);
    db.execute(
        "INSERT INTO lease (token, holder, nonce, host, started, length, until, grace, grace_scopes)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        params![
            issued.token.serial,
            keeping.holder.word(),
            keeping.nonce.as_str(),
            by.host,
            by.at.epoch(),
            ask.lease.map(seconds),
            ask.lease.map(|length| by.at.after(length).epoch()),
            grace.as_ref().map(|(length, _)| seconds(*length)),
            grace.as_ref().map(|(_, scopes)| scopes.to_string()),
        ],
    )?;
    let token = token::by_id(db, &fresh.id)?.unwrap_or(issued.token);
    Ok(Issued { token, ..issued })
}

/// Why a token was closed that somebody did not want any more.
const REPLACED: &str = "another token takes its place";

#[cfg(test)]
mod tests {
    use super::super::check::Refusal;
    use super::super::lease::{RUN_LEASE, Renewal};
    use super::super::scratch::jobs::{ask, check, key, whole};
    use super::super::scratch::{NOW, by, ledger};
    use super::*;
    use crate::secret::Secret;
    use crate::token::time::Timestamp;

    #[test]
    fn asking_again_tells_the_same_text_until_the_end() {
        let (_folder, mut ledger) = ledger();
        let one = ledger.issue_job(&ask(Present::Keep), &key(), &Actor::System, &by(NOW)).unwrap();
        let again = ledger.issue_job(&ask(Present::Keep), &key(), &Actor::System, &by(NOW + 5)).unwrap();
        assert!(one.text.is_same(&again.text) && again.reused == Reused::Yes);
        assert_eq!(check(&mut ledger, &one.text, NOW + 6), None);
        ledger.end_job(&whole(), None, &Actor::System, &by(NOW + 7)).unwrap();
        assert_eq!(check(&mut ledger, &one.text, NOW + 8), Some(Refusal::Ended(Timestamp::from_epoch(NOW + 7))));
        let next = ledger.issue_job(&ask(Present::Keep), &key(), &Actor::System, &by(NOW + 9)).unwrap();
        assert!(!one.text.is_same(&next.text));
    }

    #[test]
    fn who_asks_again_for_other_times_is_told_so() {
        let (_folder, mut ledger) = ledger();
        let (hour, minute) = (Lifetime::seconds(3_600), Lifetime::seconds(60));
        let clean = |length: Lifetime| Some(GraceAsk { length, scopes: Some(Scopes::lenient("clean")) });
        let (ttl, lease, grace) = (Limit::Stated(hour), Some(minute), clean(minute));
        let same = JobAsk { ttl, lease, grace, ..ask(Present::Keep) };
        ledger.issue_job(&same, &key(), &Actor::System, &by(NOW)).unwrap();
        for again in [&same, &ask(Present::Keep)] {
            assert_eq!(ledger.issue_job(again, &key(), &Actor::System, &by(NOW + 1)).unwrap().reused, Reused::Yes);
        }
        for (other, named) in [
            (JobAsk { ttl: Limit::Stated(minute), ..same.clone() }, "--ttl"),
            (JobAsk { lease: Some(hour), ..same.clone() }, "--lease"),
            (JobAsk { grace: clean(hour), ..same.clone() }, "--grace"),
        ] {
            let refused = ledger.issue_job(&other, &key(), &Actor::System, &by(NOW + 2));
            assert!(matches!(refused, Err(LedgerError::OtherTerms { flag, .. }) if flag == named), "{named}");
        }
    }

    #[test]
    fn a_grace_of_no_time_is_none_and_one_without_scopes_is_of_the_tokens_own() {
        let (_folder, mut ledger) = ledger();
        let grace = |seconds: u64| Some(GraceAsk { length: Lifetime::seconds(seconds), scopes: None });
        let mut issue = |grace: Option<GraceAsk>, present: Present| {
            let ask = JobAsk { scopes: None, grace, ..ask(present) };
            ledger.issue_job(&ask, &key(), &Actor::System, &by(NOW)).map(|one| one.token.lease.unwrap().grace)
        };
        assert_eq!(issue(grace(0), Present::Keep).unwrap(), None);
        for same in [None, grace(0)] {
            assert_eq!(issue(same, Present::Keep).unwrap(), None);
        }
        assert!(issue(grace(60), Present::Keep).is_err());
        let (minute, whole) = (Lifetime::seconds(60), Scopes::lenient("read clean"));
        let mut with = |scopes, present| {
            let ask = JobAsk { scopes, grace: grace(60), ..ask(present) };
            ledger.issue_job(&ask, &key(), &Actor::System, &by(NOW)).unwrap().token.lease.unwrap().grace
        };
        assert_eq!(with(Some(whole.clone()), Present::Rotate), Some((minute, whole.clone())));
        // the same is meant by who does not repeat the scopes
        assert_eq!(with(None, Present::Keep), Some((minute, whole)));
    }

    #[test]
    fn a_token_that_lost_its_lease_does_not_run_and_makes_room() {
        let (_folder, mut ledger) = ledger();
        let one = ledger.issue_job(&ask(Present::Keep), &key(), &Actor::System, &by(NOW)).unwrap();
        ledger.db.execute("DELETE FROM lease", []).unwrap();
        let lapsed = Refusal::Lapsed(Timestamp::from_epoch(NOW));
        assert_eq!(check(&mut ledger, &one.text, NOW + 1), Some(lapsed));
        let renewed = ledger.renew_job(&whole(), &Actor::System, &by(NOW + 1));
        assert!(matches!(renewed, Err(LedgerError::NotRunning { .. })));
        let stats = ledger.stats(Timestamp::from_epoch(NOW + 1)).unwrap();
        assert_eq!((stats.live.iter().map(|(_, count)| count).sum::<u64>(), stats.lapsed_jobs), (0, 1));
        let next = ledger.issue_job(&ask(Present::Keep), &key(), &Actor::System, &by(NOW + 2)).unwrap();
        assert_eq!((next.reused, check(&mut ledger, &next.text, NOW + 3)), (Reused::No, None));
    }

    #[test]
    fn another_issue_key_tells_nothing() {
        let (_folder, mut ledger) = ledger();
        ledger.issue_job(&ask(Present::Keep), &key(), &Actor::System, &by(NOW)).unwrap();
        let other = ledger.issue_job(&ask(Present::Keep), &Secret::new(Box::new([4; 32])), &Actor::System, &by(NOW));
        assert!(matches!(other, Err(LedgerError::Underivable { .. })));
    }

    #[test]
    fn a_token_dies_at_the_second_of_its_limit() {
        let (_folder, mut ledger) = ledger();
        let one = ledger.issue_job(&ask(Present::Keep), &key(), &Actor::System, &by(NOW)).unwrap();
        assert_eq!(check(&mut ledger, &one.text, NOW + 3_599), None);
        let end = Timestamp::from_epoch(NOW + 3_600);
        assert_eq!(check(&mut ledger, &one.text, NOW + 3_600), Some(Refusal::Expired(end)));
    }

    #[test]
    fn a_job_has_one_holder_and_rotating_takes_it_over() {
        let (_folder, mut ledger) = ledger();
        let lease = Some(RUN_LEASE);
        let run = ledger.begin_run(&JobAsk { lease, ..ask(Present::Keep) }, &Actor::System, &by(NOW)).unwrap();
        for refused in [
            ledger.issue_job(&ask(Present::Keep), &key(), &Actor::System, &by(NOW + 1)),
            ledger.begin_run(&JobAsk { lease, ..ask(Present::Keep) }, &Actor::System, &by(NOW + 1)),
        ] {
            assert!(matches!(refused, Err(LedgerError::Held { holder: Holder::Run, .. })));
        }
        let taken = ledger.issue_job(&ask(Present::Rotate), &key(), &Actor::System, &by(NOW + 2)).unwrap();
        assert_eq!(ledger.renew_run(&run.token, &by(NOW + 3)).unwrap(), Renewal::Lost);
        ledger.end_run(&run.token, &by(NOW + 4)).unwrap();
        assert_eq!(check(&mut ledger, &taken.text, NOW + 5), None);
    }
}
