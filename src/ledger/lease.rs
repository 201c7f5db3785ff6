//! The life of a job's lease: renewed, lapsed, ended, taken back.
//!
//! A lease works across the containers of a machine, where the number of a process does not, and ends by itself when its
//! holder was killed.

use rusqlite::{Connection, params};

use super::change::{self, Closing};
use super::rights::Actor;
use super::token::{self, Found, Grace, Holder, Lease, Standing, Token};
use super::{By, Ledger, LedgerError};
use crate::token::scopes::Scopes;
use crate::token::time::{Lifetime, Timestamp};

/// How long the lease of a `run` holds where nobody says it. Long enough for a busy machine, short enough for what a killed job leaves behind.
pub(crate) const RUN_LEASE: Lifetime = Lifetime::seconds(60);

/// Which token of a job is meant: each owner has one of their own.
#[derive(Clone, Debug)]
pub(crate) struct JobRef {
    /// The job.
    pub(crate) job: String,
    /// Whose token.
    pub(crate) whose: Whose,
}

/// Whose token of a job is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// This owner's.
    Of(String),
    /// That of whom `issue` would issue it for, if they ever had one; else the only one that there is.
    Usual(String),
    /// All of them.
    All,
}

/// What somebody wants to stay good after the end of a job.
#[derive(Clone, Debug)]
pub(crate) struct GraceAsk {
    /// For how long.
    pub(crate) length: Lifetime,
    /// What of it; `None` for all that was named when it began, else all that the token may do.
    pub(crate) scopes: Option<Scopes>,
}

impl GraceAsk {
    /// Says what stays good of a token with these scopes; nothing where no time is left for it.
    pub(super) fn of(&self, own: &Scopes) -> Option<(Lifetime, Scopes)> {
        let scopes = self.scopes.as_ref().unwrap_or(own);
        Some((self.length, scopes.clone())).filter(|(length, _)| *length > Lifetime::seconds(0))
    }
}

/// What was done to a job.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    /// The public ids of the tokens that it was done to.
    pub(crate) ids: Vec<String>,
    /// Whose they were; `None` for all owners'.
    pub(crate) owner: Option<String>,
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
    /// Renews the lease of a `run`, also one that has lapsed while the machine slept.
    pub(crate) fn renew_run(&mut self, token: &Token, by: &By) -> Result<Renewal, LedgerError> {
        let nonce = token.lease.as_ref().map(|lease| lease.nonce.clone()).unwrap_or_default();
        let length = token.lease.as_ref().and_then(|lease| lease.length).unwrap_or(RUN_LEASE);
        let until = by.at.after(length);
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
    pub(crate) fn renew_job(&mut self, which: &JobRef, actor: &Actor, by: &By) -> Result<Vec<Token>, LedgerError> {
        self.write(|db| {
            let job = resolve(db, which, actor, by.at)?;
            let mut renewed = Vec::new();
            for token in job.running(db, by.at)? {
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
        which: &JobRef,
        grace: Option<&GraceAsk>,
        actor: &Actor,
        by: &By,
    ) -> Result<Ended, LedgerError> {
        self.write(|db| {
            let job = resolve(db, which, actor, by.at)?;
            let rows = job.rows(db, "t.state = 'live'", by.at)?;
            for row in &rows {
                match row {
                    Found::Token(token) => end_one(db, token, grace, by)?,
                    // what it is that might stay good cannot be told, so nothing does
                    Found::Unreadable(_) => change::close(db, by, row, Closing::End, None).map(drop)?,
                }
            }
            Ok(job.ended(&rows))
        })
    }

    /// Takes the tokens of a job back, what is left of an ended one included.
    pub(crate) fn revoke_job(&mut self, which: &JobRef, actor: &Actor, by: &By) -> Result<Ended, LedgerError> {
        self.write(|db| {
            let job = resolve(db, which, actor, by.at)?;
            let open = "t.state = 'live' OR t.state <> 'revoked' AND t.grace_until > ?3";
            let rows = job.rows(db, open, by.at)?;
            for row in &rows {
                change::close(db, by, row, Closing::Revoke, None)?;
            }
            Ok(job.ended(&rows))
        })
    }
}

/// A job that the ledger knows, and whose tokens of it are meant.
struct Resolved<'a> {
    /// The job.
    job: &'a str,
    /// The owner; `None` for all of them.
    owner: Option<String>,
}

/// Finds out whose token of a job is meant, and refuses what nobody knows or what is not the actor's business.
fn resolve<'a>(db: &Connection, which: &'a JobRef, actor: &Actor, now: Timestamp) -> Result<Resolved<'a>, LedgerError> {
    let job = which.job.as_str();
    let unknown = || LedgerError::NoSuchJob { job: job.to_owned() };
    // by the job: an owner may have very many tokens
    let knows = |owner: &str| token::exists(db, "t.job = ?1 AND +t.owner = ?2", &[&job, &owner]);
    let owner = match &which.whose {
        Whose::Of(owner) => Some(owner.clone()),
        Whose::Usual(owner) if !actor.is_admin() || knows(owner)? => Some(owner.clone()),
        Whose::Usual(_) => Some(only_owner(db, job, now)?.ok_or_else(unknown)?),
        Whose::All => {
            actor.require_admin()?;
            None
        }
    };
    let is_known = match &owner {
        // what is not one's own looks as if it were not there
        Some(owner) => actor.may_see(owner) && knows(owner)?,
        None => token::exists(db, "t.job = ?1", &[&job])?,
    };
    if is_known { Ok(Resolved { job, owner }) } else { Err(unknown()) }
}

/// Returns the only owner who has a token of a job that is good for anything; any owner where nothing of it is good.
fn only_owner(db: &Connection, job: &str, now: Timestamp) -> Result<Option<String>, LedgerError> {
    let open = "AND (state = 'live' OR state = 'ended' AND grace_until > ?2)";
    let owners = |and| {
        let mut select = db.prepare(&format!(
            "SELECT DISTINCT owner FROM token WHERE job = ?1 {and} AND ?2 IS NOT NULL ORDER BY owner"
        ))?;
        let owners = select.query_map(params![job, now.epoch()], |row| Ok(row.get(0).ok()))?;
        owners.filter_map(Result::transpose).collect::<rusqlite::Result<Vec<String>>>()
    };
    match owners(open)?.as_slice() {
        [only] => Ok(Some(only.clone())),
        [] => Ok(owners("")?.into_iter().next()),
        several => Err(LedgerError::SeveralOwners { job: job.to_owned(), owners: several.join(", ") }),
    }
}

impl Resolved<'_> {
    /// Returns the rows that some condition holds for; `?3` is the time.
    fn rows(&self, db: &Connection, condition: &str, now: Timestamp) -> Result<Vec<Found>, LedgerError> {
        let which = format!(
            "t.job = ?1 AND (?2 IS NULL OR t.owner = ?2) AND ({condition}) AND ?3 IS NOT NULL ORDER BY t.serial"
        );
        token::rows(db, &which, &[&self.job, &self.owner, &now.epoch()])
    }

    /// Returns the tokens whose time is not over, and of which somebody holds a lease.
    fn running(&self, db: &Connection, now: Timestamp) -> Result<Vec<Token>, LedgerError> {
        let live = self.rows(db, "t.state = 'live'", now)?.into_iter().filter_map(Found::token);
        let running: Vec<_> = live.filter(|token| token.lease.is_some() && !token.standing(now).is_over()).collect();
        if running.is_empty() { Err(LedgerError::NotRunning { job: self.job.to_owned() }) } else { Ok(running) }
    }

    /// Says what was done.
    fn ended(self, rows: &[Found]) -> Ended {
        Ended { ids: rows.iter().map(Found::name).collect(), owner: self.owner }
    }
}

/// Refuses a job that another kind of holder keeps running.
pub(super) fn refuse_held(token: &Token, holder: Holder) -> Result<(), LedgerError> {
    match &token.lease {
        Some(lease) if lease.holder != holder => Err(held(token)),
        Some(_) | None => Ok(()),
    }
}

/// Says who keeps a job running.
pub(super) fn held(token: &Token) -> LedgerError {
    let (holder, host, since) = match &token.lease {
        Some(lease) => (lease.holder, lease.host.clone(), lease.started),
        None => (Holder::Issue, String::new(), token.created),
    };
    LedgerError::Held { job: token.job.clone().unwrap_or_default(), holder, host, since }
}

/// Lets a lease hold as long as it does from now.
pub(super) fn extend(db: &Connection, token: &Token, now: Timestamp) -> Result<(), LedgerError> {
    let Some(Lease { length: Some(length), .. }) = token.lease else { return Ok(()) };
    let until = now.after(length).epoch();
    db.execute("UPDATE lease SET until = ?2 WHERE token = ?1", params![token.serial, until])?;
    Ok(())
}

/// Ends one token, and leaves what its grace names.
fn end_one(db: &Connection, token: &Token, grace: Option<&GraceAsk>, by: &By) -> Result<(), LedgerError> {
    let stated = token.lease.as_ref().and_then(|lease| lease.grace.as_ref());
    let grace = match grace {
        Some(asked) => asked.of(stated.map_or(&token.scopes, |(_, scopes)| scopes)),
        None => stated.cloned().filter(|(length, _)| *length > Lifetime::seconds(0)),
    };
    let grace = grace.map(|(length, scopes)| grace_of(token, by.at.after(length), &scopes)).transpose()?;
    let over = matches!(token.standing(by.at), Standing::Expired { .. });
    // nothing stays good beyond the job's own time
    let grace = grace.filter(|_| !over);
    let closing = if over { Closing::Expire } else { Closing::End };
    let reason = grace.as_ref().map(|grace| format!("good until {} for `{}`", grace.until, grace.scopes));
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
pub(super) fn refuse_wider(had: &Scopes, kept: &Scopes) -> Result<(), LedgerError> {
    match kept.iter().find(|scope| !had.contains(scope)) {
        Some(scope) => Err(LedgerError::GraceScope(scope.to_owned())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{Checked, Demands, Refusal};
    use super::super::job::{JobAsk, Present};
    use super::super::scratch::jobs::{ask, check, key, whole};
    use super::super::scratch::{NOW, by, ledger};
    use super::*;
    use crate::token::issued;

    /// Lets a scope be good for a minute after the end.
    fn minute_of(scope: &str) -> GraceAsk {
        GraceAsk { length: Lifetime::seconds(60), scopes: Some(Scopes::lenient(scope)) }
    }

    #[test]
    fn a_runs_token_dies_with_its_lease_and_its_own_run_may_wake_it() {
        let (_folder, mut ledger) = ledger();
        let lease = Some(RUN_LEASE);
        let run = ledger.begin_run(&JobAsk { lease, ..ask(Present::Keep) }, &Actor::System, &by(NOW)).unwrap();
        assert_eq!(check(&mut ledger, &run.text, NOW + 59), None);
        let lapsed = Timestamp::from_epoch(NOW + 60);
        assert_eq!(check(&mut ledger, &run.text, NOW + 60), Some(Refusal::Lapsed(lapsed)));
        assert_eq!(ledger.renew_run(&run.token, &by(NOW + 600)).unwrap(), Renewal::Held);
        assert_eq!(check(&mut ledger, &run.text, NOW + 601), None);
        assert_eq!(ledger.renew_run(&run.token, &by(NOW + 3_600)).unwrap(), Renewal::Lost);
    }

    #[test]
    fn a_run_renews_the_lease_that_it_asked_for() {
        let (_folder, mut ledger) = ledger();
        let ask = JobAsk { lease: Some(Lifetime::seconds(300)), ..ask(Present::Keep) };
        let run = ledger.begin_run(&ask, &Actor::System, &by(NOW)).unwrap();
        assert_eq!(ledger.renew_run(&run.token, &by(NOW + 100)).unwrap(), Renewal::Held);
        assert_eq!(check(&mut ledger, &run.text, NOW + 399), None);
        assert!(check(&mut ledger, &run.text, NOW + 400).is_some());
    }

    #[test]
    fn nobody_may_count_on_more_than_the_lease() {
        let (_folder, mut ledger) = ledger();
        let lease = Some(Lifetime::seconds(10));
        let one = ledger.issue_job(&JobAsk { lease, ..ask(Present::Keep) }, &key(), &Actor::System, &by(NOW)).unwrap();
        assert_eq!(one.token.good_until(), Some(Timestamp::from_epoch(NOW + 10)));
        let demands = Demands { min_ttl: Some(Lifetime::seconds(11)), ..Demands::default() };
        let judged = ledger.check(&issued::read(&one.text).unwrap(), &demands, &by(NOW));
        assert!(matches!(judged, Err(Checked::Refused(Refusal::TooShort { .. }))));
    }

    #[test]
    fn a_lease_by_hand_that_has_lapsed_is_in_nobodys_way() {
        let (_folder, mut ledger) = ledger();
        let (minute, lease) = (Some(Lifetime::seconds(60)), Some(RUN_LEASE));
        let dead = ledger
            .issue_job(&JobAsk { lease: minute, ..ask(Present::Keep) }, &key(), &Actor::System, &by(NOW))
            .unwrap();
        let mut run =
            |second: i64| ledger.begin_run(&JobAsk { lease, ..ask(Present::Keep) }, &Actor::System, &by(second));
        assert!(matches!(run(NOW + 59), Err(LedgerError::Held { holder: Holder::Issue, .. })));
        let run = run(NOW + 60).unwrap();
        assert!(check(&mut ledger, &dead.text, NOW + 61).is_some());
        assert_eq!(check(&mut ledger, &run.text, NOW + 61), None);
    }

    #[test]
    fn a_killed_runs_job_can_run_again() {
        let (_folder, mut ledger) = ledger();
        let lease = Some(RUN_LEASE);
        let dead = ledger.begin_run(&JobAsk { lease, ..ask(Present::Keep) }, &Actor::System, &by(NOW)).unwrap();
        let next = ledger.begin_run(&JobAsk { lease, ..ask(Present::Keep) }, &Actor::System, &by(NOW + 61)).unwrap();
        assert!(check(&mut ledger, &dead.text, NOW + 62).is_some());
        assert_eq!(check(&mut ledger, &next.text, NOW + 62), None);
    }

    #[test]
    fn a_grace_keeps_the_named_scopes_for_its_time() {
        let (_folder, mut ledger) = ledger();
        let one = ledger.issue_job(&ask(Present::Keep), &key(), &Actor::System, &by(NOW)).unwrap();
        let wider = ledger.end_job(&whole(), Some(&minute_of("admin")), &Actor::System, &by(NOW + 1));
        assert!(matches!(wider, Err(LedgerError::GraceScope(scope)) if scope == "admin"));
        ledger.end_job(&whole(), Some(&minute_of("clean")), &Actor::System, &by(NOW + 1)).unwrap();
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
        ledger.issue_job(&ask(Present::Keep), &key(), &Actor::System, &by(NOW)).unwrap();
        ledger.end_job(&whole(), Some(&minute_of("clean")), &Actor::System, &by(NOW + 1)).unwrap();
        assert_eq!(ledger.revoke_job(&whole(), &Actor::System, &by(NOW + 2)).unwrap().ids.len(), 1);
        let head = ledger.head().unwrap();
        assert_eq!(ledger.revoke_job(&whole(), &Actor::System, &by(NOW + 3)).unwrap().ids.len(), 0);
        assert_eq!(ledger.head().unwrap(), head);
    }

    #[test]
    fn history_tells_of_no_grace_where_the_time_was_over() {
        let (_folder, mut ledger) = ledger();
        ledger.issue_job(&ask(Present::Keep), &key(), &Actor::System, &by(NOW)).unwrap();
        ledger.end_job(&whole(), Some(&minute_of("clean")), &Actor::System, &by(NOW + 3_600)).unwrap();
        let newest = "SELECT action, reason FROM history ORDER BY number DESC LIMIT 1";
        let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
        let newest: (String, Option<String>) = ledger.db.query_row(newest, [], read).unwrap();
        assert_eq!(newest, ("expire".to_owned(), None));
    }

    #[test]
    fn an_unknown_job_is_told_from_one_that_has_ended() {
        let (_folder, mut ledger) = ledger();
        assert!(matches!(ledger.end_job(&whole(), None, &Actor::System, &by(NOW)), Err(LedgerError::NoSuchJob { .. })));
        ledger.issue_job(&ask(Present::Keep), &key(), &Actor::System, &by(NOW)).unwrap();
        assert_eq!(ledger.end_job(&whole(), None, &Actor::System, &by(NOW)).unwrap().ids.len(), 1);
        assert_eq!(ledger.end_job(&whole(), None, &Actor::System, &by(NOW)).unwrap().ids.len(), 0);
        assert!(matches!(ledger.renew_job(&whole(), &Actor::System, &by(NOW)), Err(LedgerError::NotRunning { .. })));
    }

    #[test]
    fn without_an_owner_the_usual_ones_token_is_meant_or_the_only_one() {
        let (_folder, mut ledger) = ledger();
        let usual = |owner: &str| JobRef { job: "j1".into(), whose: Whose::Usual(owner.into()) };
        let mut issue = |owner: &str, second: i64| {
            let ask = JobAsk { owner: owner.into(), ..ask(Present::Keep) };
            ledger.issue_job(&ask, &key(), &Actor::System, &by(second)).unwrap();
        };
        issue("bob", NOW);
        issue("eve", NOW);
        let mut end = |which: &JobRef, second: i64| {
            ledger.end_job(which, None, &Actor::System, &by(second)).map(|ended| (ended.ids.len(), ended.owner))
        };
        assert!(
            matches!(end(&usual("ada"), NOW), Err(LedgerError::SeveralOwners { owners, .. }) if owners == "bob, eve")
        );
        assert_eq!(end(&usual("eve"), NOW).unwrap(), (1, Some("eve".into())));
        // to end one's own once more does not end another's
        assert_eq!(end(&usual("eve"), NOW).unwrap(), (0, Some("eve".into())));
        assert_eq!(end(&usual("ada"), NOW).unwrap(), (1, Some("bob".into())));
        // nothing is left that could be meant wrongly
        assert_eq!(end(&usual("ada"), NOW).unwrap().0, 0);
        assert_eq!(end(&whole(), NOW).unwrap(), (0, None));
    }

    #[test]
    fn an_actor_reaches_the_jobs_of_its_own_owner_alone() {
        let (_folder, mut ledger) = ledger();
        let actor = actor(&mut ledger, "bob", "user:token read");
        let foreign = ask(Present::Keep);
        let denied = ledger.issue_job(&foreign, &key(), &actor, &by(NOW));
        assert!(matches!(denied, Err(LedgerError::Denied(_))));
        let wider = JobAsk { owner: "bob".into(), ..foreign.clone() };
        assert!(matches!(ledger.begin_run(&wider, &actor, &by(NOW)), Err(LedgerError::Denied(_))));
        let own = JobAsk { scopes: Some(Scopes::lenient("read")), ..wider.clone() };
        ledger.issue_job(&own, &key(), &actor, &by(NOW)).unwrap();
        ledger.issue_job(&foreign, &key(), &Actor::System, &by(NOW)).unwrap();
        let of = |whose| JobRef { job: "j1".into(), whose };
        let end = |ledger: &mut Ledger, whose| ledger.end_job(&of(whose), None, &actor, &by(NOW));
        assert!(matches!(end(&mut ledger, Whose::Of("ada".into())), Err(LedgerError::NoSuchJob { .. })));
        assert!(matches!(end(&mut ledger, Whose::All), Err(LedgerError::Denied(_))));
        assert_eq!(end(&mut ledger, Whose::Usual("bob".into())).unwrap().ids.len(), 1);
        // the text of a token that may do more is not told either
        ledger.issue_job(&wider, &key(), &Actor::System, &by(NOW)).unwrap();
        let unscoped = JobAsk { scopes: None, ..wider };
        assert!(matches!(ledger.issue_job(&unscoped, &key(), &actor, &by(NOW)), Err(LedgerError::Denied(_))));
    }

    /// Somebody with a token of their own.
    fn actor(ledger: &mut Ledger, owner: &str, scopes: &str) -> Actor {
        use super::super::named::{NamedAsk, Others};
        use crate::token::issued::TokenKind;
        let ask = NamedAsk {
            kind: TokenKind::User,
            owner: owner.into(),
            name: Some("a".into()),
            scopes: Scopes::lenient(scopes),
            expires: None,
            others: Others::Keep,
        };
        Actor::of(ledger.create(&ask, &Actor::System, &by(NOW)).unwrap().token).unwrap()
    }
}
