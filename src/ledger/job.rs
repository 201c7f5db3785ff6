//! Job tokens: one live token for each owner and job, good only while the job runs.
//!
//! A job runs from `issue` to `end`, or as long as a `run` renews its lease. A lease works across the containers of a
//! machine, where the number of a process does not, and ends by itself when its holder was killed.

use rusqlite::{Connection, params};

use super::change::{self, Closing};
use super::issued::{Fresh, Issued, Reused, retell, write_new};
use super::token::{self, Grace, Holder, Lease, NewToken, Standing, Token};
use super::{By, Ledger, LedgerError};
use crate::token::issued::{IssueKey, PublicId, TokenKind};
use crate::token::scopes::Scopes;
use crate::token::time::{Lifetime, Timestamp};

/// How long the lease of a `run` holds. Long enough for a busy machine, short enough for what a killed job leaves behind.
pub(crate) const RUN_LEASE: Lifetime = Lifetime::seconds(60);

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
    pub(crate) grace: Option<(Lifetime, Scopes)>,
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

/// What a renewal found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Renewal {
    /// The job runs on.
    Held,
    /// The token is not ours to renew any more: ended, revoked, over its time, or taken over.
    Lost,
}

impl Ledger {
    /// Issues the token of a job, or tells the same text again.
    pub(crate) fn issue_job(&mut self, ask: &JobAsk, key: &IssueKey, by: &By) -> Result<Issued, LedgerError> {
        let (fresh, nonce) = (self.fresh_derived(key)?, PublicId::of(self.random()?));
        self.write(|db| {
            if let Some(present) = present(db, ask, Holder::Issue, by)? {
                let text = retell(&present, key)?;
                extend(db, &present, by.at)?;
                let token = token::by_id(db, &present.id)?.unwrap_or(present);
                return Ok(Issued { text, token, reused: Reused::Yes });
            }
            begin(db, ask, (Holder::Issue, nonce.as_str()), &fresh, by)
        })
    }

    /// Issues the token of a job that runs as our child. It is told once, so its secret is random.
    pub(crate) fn begin_run(&mut self, ask: &JobAsk, by: &By) -> Result<Issued, LedgerError> {
        let (fresh, nonce) = (self.fresh()?, PublicId::of(self.random()?));
        self.write(|db| {
            // `run` never takes the present one up: it is another's, or rotated, or swept
            present(db, ask, Holder::Run, by)?;
            begin(db, ask, (Holder::Run, nonce.as_str()), &fresh, by)
        })
    }

    /// Renews the lease of a `run`, also one that has lapsed while the machine slept.
    pub(crate) fn renew_run(&mut self, token: &Token, by: &By) -> Result<Renewal, LedgerError> {
        let nonce = token.lease.as_ref().map(|lease| lease.nonce.clone()).unwrap_or_default();
        let until = by.at.after(RUN_LEASE);
        // a renewal that is lost with the machine is lost together with the run
        self.write_soon(|db| {
            let renewed = db.execute(
                "UPDATE lease SET until = ?3 WHERE token = ?1 AND nonce = ?2 AND EXISTS (
                   SELECT 1 FROM token WHERE serial = ?1 AND state = 'live' AND (expires IS NULL OR expires > ?4))",
                params![token.serial, nonce, until.epoch(), by.at.epoch()],
            )?;
            Ok(if renewed > 0 { Renewal::Held } else { Renewal::Lost })
        })
    }

    /// Ends the job of a `run`, unless somebody has taken it over or ended it.
    pub(crate) fn end_run(&mut self, run: &Token, by: &By) -> Result<(), LedgerError> {
        self.write(|db| {
            let Some(token) = token::by_id(db, &run.id)? else { return Ok(()) };
            let nonce = |token: &Token| token.lease.as_ref().map(|lease| lease.nonce.clone());
            if nonce(&token) != nonce(run) {
                return Ok(());
            }
            end_one(db, &token, None, by)
        })
    }

    /// Renews the leases of a job's tokens that somebody keeps running by hand; returns what was renewed.
    pub(crate) fn renew_job(&mut self, job: &str, owner: Option<&str>, by: &By) -> Result<Vec<Token>, LedgerError> {
        self.write(|db| {
            let mut renewed = Vec::new();
            for token in running(db, job, owner, by.at)? {
                refuse_held(&token, Holder::Issue)?;
                extend(db, &token, by.at)?;
                renewed.extend(token::by_id(db, &token.id)?);
            }
            Ok(renewed)
        })
    }

    /// Ends a job: its tokens are good for nothing more, but for what is named for a clean-up.
    pub(crate) fn end_job(
        &mut self,
        (job, owner): (&str, Option<&str>),
        grace: Option<(Lifetime, &Scopes)>,
        by: &By,
    ) -> Result<Vec<Token>, LedgerError> {
        self.write(|db| {
            let mut ended = Vec::new();
            for token in live(db, job, owner)? {
                end_one(db, &token, grace, by)?;
                ended.push(token);
            }
            refuse_nothing(db, job, owner, &ended)?;
            Ok(ended)
        })
    }

    /// Takes the tokens of a job back, what is left of an ended one included.
    pub(crate) fn revoke_job(&mut self, job: &str, owner: Option<&str>, by: &By) -> Result<Vec<Token>, LedgerError> {
        self.write(|db| {
            let mut revoked = Vec::new();
            for token in
                of_job(db, job, owner, "AND t.state <> 'revoked' AND (t.state = 'live' OR t.grace_until > ?3)", by.at)?
            {
                change::close(db, by, &token, Closing::Revoke, None)?;
                revoked.push(token);
            }
            refuse_nothing(db, job, owner, &revoked)?;
            Ok(revoked)
        })
    }

    /// Tells whether the ledger knows a job.
    pub(crate) fn knows_job(&self, job: &str) -> Result<bool, LedgerError> {
        Ok(token::one(&self.db, "t.job = ?1 LIMIT 1", &[&job])?.is_some())
    }
}

/// Decides about the live token of the same owner and job: returned if it is to be told again, closed if it is over.
fn present(db: &Connection, ask: &JobAsk, holder: Holder, by: &By) -> Result<Option<Token>, LedgerError> {
    let which = "t.owner = ?1 AND t.job = ?2 AND t.state = 'live'";
    let Some(token) = token::one(db, which, &[&ask.owner, &ask.job])? else { return Ok(None) };
    let is_runs = token.lease.as_ref().is_some_and(|lease| lease.holder == Holder::Run);
    let standing = token.standing(by.at);
    let (closing, reason) = match (standing, ask.present) {
        (Standing::Expired { .. }, _) => (Closing::Expire, None),
        // a lease that somebody renews by hand may be taken up again, but not by a `run`
        (Standing::Lapsed { at }, _) if is_runs || holder == Holder::Run => {
            (Closing::Expire, Some(format!("nobody has renewed its lease since {at}")))
        }
        (_, Present::Rotate) => (Closing::Rotate, Some("another token takes its place".to_owned())),
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
    let grace = ask.grace.is_some() && lease.and_then(|lease| lease.grace.as_ref()) != ask.grace.as_ref();
    let flag = [(ttl, "--ttl"), (held, "--lease"), (grace, "--grace")].into_iter().find(|(other, _)| *other);
    match flag {
        Some((_, flag)) => Err(LedgerError::OtherTerms { job: ask.job.clone(), flag }),
        None => Ok(()),
    }
}

/// Refuses a job that another kind of holder keeps running.
fn refuse_held(token: &Token, holder: Holder) -> Result<(), LedgerError> {
    match &token.lease {
        Some(lease) if lease.holder != holder => Err(held(token)),
        Some(_) | None => Ok(()),
    }
}

/// Says who keeps a job running.
fn held(token: &Token) -> LedgerError {
    let (holder, host, since) = match &token.lease {
        Some(lease) => (lease.holder, lease.host.clone(), lease.started),
        None => (Holder::Issue, String::new(), token.created),
    };
    LedgerError::Held { job: token.job.clone().unwrap_or_default(), holder, host, since }
}

/// Writes a new token with its lease and its record.
fn begin(
    db: &Connection,
    ask: &JobAsk,
    (holder, nonce): (Holder, &str),
    fresh: &Fresh,
    by: &By,
) -> Result<Issued, LedgerError> {
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
    if let Some((_, scopes)) = &ask.grace {
        refuse_wider(&new.scopes, scopes)?;
    }
    let issued = write_new(db, &new, fresh, by)?;
    let seconds = |length: Lifetime| i64::try_from(length.as_seconds()).unwrap_or(i64::MAX);
    db.execute(
        "INSERT INTO lease (token, holder, nonce, host, started, length, until, grace, grace_scopes)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        params![
            issued.token.serial,
            holder.word(),
            nonce,
            by.host,
            by.at.epoch(),
            ask.lease.map(seconds),
            ask.lease.map(|length| by.at.after(length).epoch()),
            ask.grace.as_ref().map(|(length, _)| seconds(*length)),
            ask.grace.as_ref().map(|(_, scopes)| scopes.to_string()),
        ],
    )?;
    let token = token::by_id(db, &fresh.id)?.unwrap_or(issued.token);
    Ok(Issued { token, ..issued })
}

/// Lets a lease hold as long as it does from now.
fn extend(db: &Connection, token: &Token, now: Timestamp) -> Result<(), LedgerError> {
    let Some(Lease { length: Some(length), .. }) = token.lease else { return Ok(()) };
    let until = now.after(length).epoch();
    db.execute("UPDATE lease SET until = ?2 WHERE token = ?1", params![token.serial, until])?;
    Ok(())
}

/// Ends one token, and leaves what its grace names.
fn end_one(db: &Connection, token: &Token, grace: Option<(Lifetime, &Scopes)>, by: &By) -> Result<(), LedgerError> {
    let stated = token.lease.as_ref().and_then(|lease| lease.grace.as_ref());
    let grace =
        grace.or(stated.map(|(length, scopes)| (*length, scopes))).filter(|(length, _)| length.as_seconds() > 0);
    let grace = grace.map(|(length, scopes)| grace_of(token, by.at.after(length), scopes)).transpose()?;
    let over = matches!(token.standing(by.at), Standing::Expired { .. });
    // nothing stays good beyond the job's own time
    let grace = grace.filter(|_| !over);
    let closing = if over { Closing::Expire } else { Closing::End };
    let reason = grace.as_ref().map(|grace| format!("`{}` stay good until {}", grace.scopes, grace.until));
    change::close(db, by, token, closing, reason.as_deref())?;
    match grace {
        Some(grace) => change::leave_grace(db, token, &grace),
        None => Ok(()),
    }
}

/// Names what stays good after the end: never more than the token had, and never beyond its time.
fn grace_of(token: &Token, until: Timestamp, scopes: &Scopes) -> Result<Grace, LedgerError> {
    refuse_wider(&token.scopes, scopes)?;
    Ok(Grace { until: token.expires.map_or(until, |end| end.min(until)), scopes: scopes.clone() })
}

/// Refuses a grace for what the token never had.
fn refuse_wider(had: &Scopes, kept: &Scopes) -> Result<(), LedgerError> {
    match kept.iter().find(|scope| !had.contains(scope)) {
        Some(scope) => Err(LedgerError::GraceScope(scope.to_owned())),
        None => Ok(()),
    }
}

/// Returns the live tokens of a job.
fn live(db: &Connection, job: &str, owner: Option<&str>) -> Result<Vec<Token>, LedgerError> {
    of_job(db, job, owner, "AND t.state = 'live' AND ?3 IS NOT NULL", Timestamp::from_epoch(0))
}

/// Returns the tokens of a job that some condition holds for; `?3` is the time.
fn of_job(
    db: &Connection,
    job: &str,
    owner: Option<&str>,
    and: &str,
    now: Timestamp,
) -> Result<Vec<Token>, LedgerError> {
    let which = format!("t.job = ?1 AND (?2 IS NULL OR t.owner = ?2) {and} ORDER BY t.serial");
    token::many(db, &which, &[&job, &owner, &now.epoch()])
}

/// Returns the tokens of a job whose time is not over.
fn running(db: &Connection, job: &str, owner: Option<&str>, now: Timestamp) -> Result<Vec<Token>, LedgerError> {
    let mut live = live(db, job, owner)?;
    live.retain(|token| !matches!(token.standing(now), Standing::Expired { .. }));
    if live.is_empty() {
        refuse_nothing(db, job, owner, &live)?;
        return Err(LedgerError::NotRunning { job: job.to_owned() });
    }
    Ok(live)
}

/// Tells a job that has ended from one that never was.
fn refuse_nothing(db: &Connection, job: &str, owner: Option<&str>, found: &[Token]) -> Result<(), LedgerError> {
    let known = || of_job(db, job, owner, "AND ?3 IS NOT NULL", Timestamp::from_epoch(0));
    if found.is_empty() && known()?.is_empty() {
        return Err(LedgerError::NoSuchJob { job: job.to_owned() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::check::{Checked, Demands, Refusal};
    use super::super::scratch::{NOW, by, ledger};
    use super::*;
    use crate::secret::Secret;
    use crate::token::issued;

    fn ask(present: Present) -> JobAsk {
        let scopes = Some(Scopes::lenient("read clean"));
        let ttl = Limit::Default(Lifetime::seconds(3_600));
        JobAsk { owner: "ada".into(), job: "j1".into(), scopes, ttl, lease: None, grace: None, present }
    }

    fn key() -> IssueKey {
        Secret::new(Box::new([3; 32]))
    }

    /// What a check at some second says.
    fn check(ledger: &mut Ledger, text: &Secret<String>, second: i64) -> Option<Refusal> {
        let demands = Demands { job: Some("j1"), ..Demands::default() };
        match ledger.check(&issued::read(text).unwrap(), &demands, &by(second)) {
            Ok(_) => None,
            Err(Checked::Refused(refusal)) => Some(refusal),
            Err(Checked::Ledger(error)) => panic!("{error}"),
        }
    }

    #[test]
    fn asking_again_tells_the_same_text_until_the_end() {
        let (_folder, mut ledger) = ledger();
        let one = ledger.issue_job(&ask(Present::Keep), &key(), &by(NOW)).unwrap();
        let again = ledger.issue_job(&ask(Present::Keep), &key(), &by(NOW + 5)).unwrap();
        assert!(one.text.is_same(&again.text) && again.reused == Reused::Yes);
        assert_eq!(check(&mut ledger, &one.text, NOW + 6), None);
        ledger.end_job(("j1", None), None, &by(NOW + 7)).unwrap();
        assert_eq!(check(&mut ledger, &one.text, NOW + 8), Some(Refusal::Ended(Timestamp::from_epoch(NOW + 7))));
        let next = ledger.issue_job(&ask(Present::Keep), &key(), &by(NOW + 9)).unwrap();
        assert!(!one.text.is_same(&next.text));
    }

    #[test]
    fn who_asks_again_for_other_times_is_told_so() {
        let (_folder, mut ledger) = ledger();
        let (hour, minute) = (Lifetime::seconds(3_600), Lifetime::seconds(60));
        let clean = |length: Lifetime| Some((length, Scopes::lenient("clean")));
        let (ttl, lease, grace) = (Limit::Stated(hour), Some(minute), clean(minute));
        let same = JobAsk { ttl, lease, grace, ..ask(Present::Keep) };
        ledger.issue_job(&same, &key(), &by(NOW)).unwrap();
        for again in [&same, &ask(Present::Keep)] {
            assert_eq!(ledger.issue_job(again, &key(), &by(NOW + 1)).unwrap().reused, Reused::Yes);
        }
        for (other, named) in [
            (JobAsk { ttl: Limit::Stated(minute), ..same.clone() }, "--ttl"),
            (JobAsk { lease: Some(hour), ..same.clone() }, "--lease"),
            (JobAsk { grace: clean(hour), ..same.clone() }, "--grace"),
        ] {
            let refused = ledger.issue_job(&other, &key(), &by(NOW + 2));
            assert!(matches!(refused, Err(LedgerError::OtherTerms { flag, .. }) if flag == named), "{named}");
        }
    }

    #[test]
    fn another_issue_key_tells_nothing() {
        let (_folder, mut ledger) = ledger();
        ledger.issue_job(&ask(Present::Keep), &key(), &by(NOW)).unwrap();
        let other = ledger.issue_job(&ask(Present::Keep), &Secret::new(Box::new([4; 32])), &by(NOW));
        assert!(matches!(other, Err(LedgerError::Underivable { .. })));
    }

    #[test]
    fn a_token_dies_at_the_second_of_its_limit() {
        let (_folder, mut ledger) = ledger();
        let one = ledger.issue_job(&ask(Present::Keep), &key(), &by(NOW)).unwrap();
        assert_eq!(check(&mut ledger, &one.text, NOW + 3_599), None);
        let end = Timestamp::from_epoch(NOW + 3_600);
        assert_eq!(check(&mut ledger, &one.text, NOW + 3_600), Some(Refusal::Expired(end)));
    }

    #[test]
    fn a_runs_token_dies_with_its_lease_and_its_own_run_may_wake_it() {
        let (_folder, mut ledger) = ledger();
        let lease = Some(RUN_LEASE);
        let run = ledger.begin_run(&JobAsk { lease, ..ask(Present::Keep) }, &by(NOW)).unwrap();
        assert_eq!(check(&mut ledger, &run.text, NOW + 59), None);
        let lapsed = Timestamp::from_epoch(NOW + 60);
        assert_eq!(check(&mut ledger, &run.text, NOW + 60), Some(Refusal::Lapsed(lapsed)));
        assert_eq!(ledger.renew_run(&run.token, &by(NOW + 600)).unwrap(), Renewal::Held);
        assert_eq!(check(&mut ledger, &run.text, NOW + 601), None);
        assert_eq!(ledger.renew_run(&run.token, &by(NOW + 3_600)).unwrap(), Renewal::Lost);
    }

    #[test]
    fn nobody_may_count_on_more_than_the_lease() {
        let (_folder, mut ledger) = ledger();
        let lease = Some(Lifetime::seconds(10));
        let one = ledger.issue_job(&JobAsk { lease, ..ask(Present::Keep) }, &key(), &by(NOW)).unwrap();
        assert_eq!(one.token.good_until(), Some(Timestamp::from_epoch(NOW + 10)));
        let demands = Demands { min_ttl: Some(Lifetime::seconds(11)), ..Demands::default() };
        let judged = ledger.check(&issued::read(&one.text).unwrap(), &demands, &by(NOW));
        assert!(matches!(judged, Err(Checked::Refused(Refusal::TooShort { .. }))));
    }

    #[test]
    fn a_job_has_one_holder_and_rotating_takes_it_over() {
        let (_folder, mut ledger) = ledger();
        let lease = Some(RUN_LEASE);
        let run = ledger.begin_run(&JobAsk { lease, ..ask(Present::Keep) }, &by(NOW)).unwrap();
        for refused in [
            ledger.issue_job(&ask(Present::Keep), &key(), &by(NOW + 1)),
            ledger.begin_run(&JobAsk { lease, ..ask(Present::Keep) }, &by(NOW + 1)),
        ] {
            assert!(matches!(refused, Err(LedgerError::Held { holder: Holder::Run, .. })));
        }
        let taken = ledger.issue_job(&ask(Present::Rotate), &key(), &by(NOW + 2)).unwrap();
        assert_eq!(ledger.renew_run(&run.token, &by(NOW + 3)).unwrap(), Renewal::Lost);
        ledger.end_run(&run.token, &by(NOW + 4)).unwrap();
        assert_eq!(check(&mut ledger, &taken.text, NOW + 5), None);
    }

    #[test]
    fn a_lease_by_hand_that_has_lapsed_is_in_nobodys_way() {
        let (_folder, mut ledger) = ledger();
        let (minute, lease) = (Some(Lifetime::seconds(60)), Some(RUN_LEASE));
        let dead = ledger.issue_job(&JobAsk { lease: minute, ..ask(Present::Keep) }, &key(), &by(NOW)).unwrap();
        let mut run = |second: i64| ledger.begin_run(&JobAsk { lease, ..ask(Present::Keep) }, &by(second));
        assert!(matches!(run(NOW + 59), Err(LedgerError::Held { holder: Holder::Issue, .. })));
        let run = run(NOW + 60).unwrap();
        assert!(check(&mut ledger, &dead.text, NOW + 61).is_some());
        assert_eq!(check(&mut ledger, &run.text, NOW + 61), None);
    }

    #[test]
    fn a_killed_runs_job_can_run_again() {
        let (_folder, mut ledger) = ledger();
        let lease = Some(RUN_LEASE);
        let dead = ledger.begin_run(&JobAsk { lease, ..ask(Present::Keep) }, &by(NOW)).unwrap();
        let next = ledger.begin_run(&JobAsk { lease, ..ask(Present::Keep) }, &by(NOW + 61)).unwrap();
        assert!(check(&mut ledger, &dead.text, NOW + 62).is_some());
        assert_eq!(check(&mut ledger, &next.text, NOW + 62), None);
    }

    #[test]
    fn a_grace_keeps_the_named_scopes_for_its_time() {
        let (_folder, mut ledger) = ledger();
        let one = ledger.issue_job(&ask(Present::Keep), &key(), &by(NOW)).unwrap();
        let (clean, more) = (Scopes::lenient("clean"), Scopes::lenient("admin"));
        let long = Lifetime::seconds(60);
        let wider = ledger.end_job(("j1", None), Some((long, &more)), &by(NOW + 1));
        assert!(matches!(wider, Err(LedgerError::GraceScope(scope)) if scope == "admin"));
        ledger.end_job(("j1", None), Some((long, &clean)), &by(NOW + 1)).unwrap();
        let shown = issued::read(&one.text).unwrap();
        let mut with = |scope: &str, second: i64| {
            let demands = Demands { all: Scopes::lenient(scope), ..Demands::default() };
            ledger.check(&shown, &demands, &by(second)).is_ok()
        };
        assert!(with("clean", NOW + 2) && !with("read", NOW + 2) && !with("clean", NOW + 61));
    }

    #[test]
    fn what_was_revoked_in_its_grace_is_not_revoked_again() {
        let (_folder, mut ledger) = ledger();
        ledger.issue_job(&ask(Present::Keep), &key(), &by(NOW)).unwrap();
        let clean = Scopes::lenient("clean");
        ledger.end_job(("j1", None), Some((Lifetime::seconds(60), &clean)), &by(NOW + 1)).unwrap();
        assert_eq!(ledger.revoke_job("j1", None, &by(NOW + 2)).unwrap().len(), 1);
        let head = ledger.head().unwrap();
        assert_eq!(ledger.revoke_job("j1", None, &by(NOW + 3)).unwrap().len(), 0);
        assert_eq!(ledger.head().unwrap(), head);
    }

    #[test]
    fn history_tells_of_no_grace_where_the_time_was_over() {
        let (_folder, mut ledger) = ledger();
        ledger.issue_job(&ask(Present::Keep), &key(), &by(NOW)).unwrap();
        let clean = Scopes::lenient("clean");
        ledger.end_job(("j1", None), Some((Lifetime::seconds(60), &clean)), &by(NOW + 3_600)).unwrap();
        let newest = "SELECT action, reason FROM history ORDER BY number DESC LIMIT 1";
        let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
        let newest: (String, Option<String>) = ledger.db.query_row(newest, [], read).unwrap();
        assert_eq!(newest, ("expire".to_owned(), None));
    }

    #[test]
    fn an_unknown_job_is_told_from_one_that_has_ended() {
        let (_folder, mut ledger) = ledger();
        assert!(matches!(ledger.end_job(("j1", None), None, &by(NOW)), Err(LedgerError::NoSuchJob { .. })));
        ledger.issue_job(&ask(Present::Keep), &key(), &by(NOW)).unwrap();
        assert_eq!(ledger.end_job(("j1", None), None, &by(NOW)).unwrap().len(), 1);
        assert_eq!(ledger.end_job(("j1", None), None, &by(NOW)).unwrap().len(), 0);
        assert!(matches!(ledger.renew_job("j1", None, &by(NOW)), Err(LedgerError::NotRunning { .. })));
    }
}
