//! Audit: the ledger against its own rules, and the chain of its history. One alert for each thing that is wrong.

use rusqlite::{Connection, params};

use super::chain;
use super::change::{self, Closing};
use super::history::{self, Action, Event};
use super::maintain::SWEEP_AFTER;
use super::named::edit;
use super::token::{self, Token};
use super::{By, Ledger, LedgerError, schema};
use crate::token::scopes::Scopes;
use crate::token::time::Timestamp;
use crate::token::words::words;

words! {
    /// What can be wrong.
    Check {
        /// The database's own structure is damaged.
        Database "database"
        /// A row cannot be read.
        Unreadable "unreadable"
        /// A live token's time is over since long.
        Overdue "overdue"
        /// A job's lease lapsed since long.
        NotRunning "not-running"
        /// A lease belongs to no live job.
        StrayLease "stray-lease"
        /// A child lives longer than its parent.
        Outlives "outlives-parent"
        /// A live child has no live parent.
        Orphan "orphan"
        /// A token is its own ancestor.
        Cycle "cycle"
        /// Two live tokens have one name, or one job.
        Duplicate "duplicate"
        /// A scope is not among those that are known.
        UnknownScope "unknown-scope"
        /// A live token is not what history says of it.
        Differs "differs-from-history"
        /// A live token has another text than it was issued with.
        Exchanged "exchanged"
        /// Nobody wrote down that it was issued.
        Unrecorded "unrecorded"
        /// The chain of history is broken.
        Chain "chain"
    }
}

/// Something that is wrong.
#[derive(Clone, Debug)]
pub(crate) struct Alert {
    /// What.
    pub(crate) check: Check,
    /// With which token.
    pub(crate) token: Option<String>,
    /// In words.
    pub(crate) message: String,
    /// Whether it was mended.
    pub(crate) mended: Mended,
}

/// Whether something that is wrong was mended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mended {
    /// It was.
    Yes,
    /// It was not, or cannot be.
    No,
}

/// What an audit may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fix {
    /// Mend what can be mended.
    Yes,
    /// Look only.
    No,
}

impl Ledger {
    /// Checks everything, and mends what it may.
    pub(crate) fn audit(&mut self, known: Option<&Scopes>, fix: Fix, by: &By) -> Result<Vec<Alert>, LedgerError> {
        schema::refuse_older(&self.db)?;
        let check = |db: &Connection| check_tokens(db, known, fix, by);
        // whoever only looks needs no right to write, and sees all of it as it was at one moment
        let (mut alerts, sound) = self.read(|db| {
            let mut alerts = damage(db)?;
            let sound = alerts.is_empty();
            if sound {
                alerts.extend(chain::breaks(db)?);
                alerts.extend(unreadable(db)?);
            }
            if sound && fix == Fix::No {
                alerts.extend(check(db)?);
            }
            Ok((alerts, sound))
        })?;
        if sound && fix == Fix::Yes {
            alerts.extend(self.write(check)?);
        }
        Ok(alerts)
    }
}

/// Begins an alert about a token.
fn alert(check: Check, token: &Token, message: impl Into<String>, mended: Mended) -> Alert {
    Alert { check, token: Some(token.id.to_string()), message: message.into(), mended }
}

/// Looks for damage that SQLite itself sees.
fn damage(db: &Connection) -> Result<Vec<Alert>, LedgerError> {
    let mut found = Vec::new();
    for pragma in ["PRAGMA quick_check(20)", "PRAGMA foreign_key_check"] {
        let mut select = db.prepare(pragma)?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let text = match row.get_ref(0)? {
                rusqlite::types::ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
                _ => "a row of another form".to_owned(),
            };
            if text == "token" {
                // a parent that is not there: told below, as an orphan
                continue;
            }
            if text != "ok" {
                found.push(Alert { check: Check::Database, token: None, message: text, mended: Mended::No });
            }
        }
    }
    Ok(found)
}

/// Looks for rows that this program did not write.
fn unreadable(db: &Connection) -> Result<Vec<Alert>, LedgerError> {
    let mut select = db.prepare(token::SELECT)?;
    let rows = select.query_map([], token::read)?;
    let mut alerts = Vec::new();
    for row in rows {
        let Err(row) = row? else { continue };
        let message = format!("{row}; nobody can use it, and it can be revoked");
        alerts.push(Alert { check: Check::Unreadable, token: row.id, message, mended: Mended::No });
    }
    Ok(alerts)
}

/// Checks the live tokens.
fn check_tokens(db: &Connection, known: Option<&Scopes>, fix: Fix, by: &By) -> Result<Vec<Alert>, LedgerError> {
    let mut alerts = Vec::new();
    for (check, which, message) in closable() {
        alerts.extend(closing(db, (check, &which, message), fix, by)?);
    }
    alerts.extend(outliving(db, fix, by)?);
    alerts.extend(stray_leases(db, fix)?);
    alerts.extend(differing(db, by.at)?);
    alerts.extend(known.map(|known| unknown_scopes(db, known, by.at)).transpose()?.unwrap_or_default());
    alerts.extend(duplicates(db)?);
    let mended = alerts.iter().filter(|alert| alert.mended == Mended::Yes).count();
    if mended > 0 {
        let things = if mended == 1 { "thing" } else { "things" };
        let reason = Some(format!("an audit mended {mended} {things}"));
        history::append(db, by, Action::Fix, Event { reason, ..Event::default() })?;
    }
    Ok(alerts)
}

/// What is mended by closing the token; in the conditions `?1` is the time.
fn closable() -> [(Check, String, &'static str); 7] {
    let hour = SWEEP_AFTER.as_seconds();
    [
        (
            Check::Overdue,
            format!("t.expires <= ?1 - {hour}"),
            "its time is over for more than an hour; `tokenkeep maintain` closes such tokens",
        ),
        (
            Check::NotRunning,
            format!("l.until <= ?1 - {hour} AND (t.expires IS NULL OR t.expires > ?1 - {hour})"),
            "its job does not run any more: its lease lapsed more than an hour ago",
        ),
        (
            Check::NotRunning,
            format!("t.kind = 'job' AND l.token IS NULL AND (t.expires IS NULL OR t.expires > ?1 - {hour})"),
            "its job does not run any more: nobody holds a lease of it",
        ),
        (Check::Cycle, format!("t.serial IN ({CYCLES}) AND ?1 > 0"), "it is its own ancestor"),
        (
            Check::Orphan,
            "?1 > 0 AND (t.kind IN ('notebook', 'internal', 'oidc')) AND NOT EXISTS (
               SELECT 1 FROM token p WHERE p.serial = t.parent AND p.state = 'live')"
                .to_owned(),
            "it has no live parent",
        ),
        (
            Check::Differs,
            "?1 > 0 AND EXISTS (SELECT 1 FROM history h
               WHERE h.token = t.id AND h.action IN ('revoke', 'end', 'expire', 'rotate'))"
                .to_owned(),
            "it is live, and history says that it was closed",
        ),
        (
            Check::Exchanged,
            "?1 > 0 AND EXISTS (
               SELECT 1 FROM history h WHERE h.token = t.id AND h.action = 'issue' AND h.digest <> t.digest)"
                .to_owned(),
            "its text was exchanged: it has another digest than it was issued with",
        ),
    ]
}

/// Looks for live tokens that a condition holds for; mended, they are closed.
fn closing(
    db: &Connection,
    (check, which, message): (Check, &str, &str),
    fix: Fix,
    by: &By,
) -> Result<Vec<Alert>, LedgerError> {
    let how = match check {
        Check::Overdue | Check::NotRunning => Closing::Expire,
        _ => Closing::Revoke,
    };
    let mut alerts = Vec::new();
    for token in readable(db, &format!("t.state = 'live' AND {which}"), by.at)? {
        let mended = mend(fix, || {
            if token::exists(db, "t.serial = ?1 AND t.state = 'live'", &[&token.serial])? {
                change::close(db, by, &token, how, Some("an audit found it"))?;
            }
            Ok(())
        })?;
        alerts.push(alert(check, &token, message, mended));
    }
    Ok(alerts)
}

/// The rows that are their own ancestors.
const CYCLES: &str = "
WITH RECURSIVE up (start, serial) AS (
  SELECT serial, parent FROM token WHERE parent IS NOT NULL
  UNION SELECT u.start, t.parent FROM up u JOIN token t ON t.serial = u.serial WHERE t.parent IS NOT NULL
)
SELECT start FROM up WHERE start = serial";

/// Finds tokens, without those that cannot be read: they are told of on their own. `?1` is the time.
fn readable(db: &Connection, which: &str, now: Timestamp) -> Result<Vec<Token>, LedgerError> {
    token::readable(db, which, &[&now.epoch()])
}

/// Mends something, if that is wanted.
fn mend(fix: Fix, act: impl FnOnce() -> Result<(), LedgerError>) -> Result<Mended, LedgerError> {
    if fix == Fix::No {
        return Ok(Mended::No);
    }
    act().map(|()| Mended::Yes)
}

/// Looks for children that outlive their parents; mended, they end with them.
fn outliving(db: &Connection, fix: Fix, by: &By) -> Result<Vec<Alert>, LedgerError> {
    let which = "t.state = 'live' AND ?1 > 0 AND EXISTS (SELECT 1 FROM token p WHERE p.serial = t.parent
                   AND p.expires IS NOT NULL AND (t.expires IS NULL OR t.expires > p.expires))";
    let mut alerts = Vec::new();
    for child in readable(db, which, by.at)? {
        let end = "SELECT p.expires FROM token t JOIN token p ON p.serial = t.parent WHERE t.serial = ?1";
        let end: i64 = db.query_row(end, [child.serial], |row| row.get(0))?;
        let shorter = Token { expires: Some(Timestamp::from_epoch(end)), ..child.clone() };
        let mended = mend(fix, || edit(db, &child, &shorter, Some("an audit found it"), by).map(drop))?;
        alerts.push(alert(Check::Outlives, &child, "it would outlive its parent", mended));
    }
    Ok(alerts)
}

/// Looks for leases that nobody needs; mended, they are gone.
fn stray_leases(db: &Connection, fix: Fix) -> Result<Vec<Alert>, LedgerError> {
    let which = "l.holder IS NOT NULL AND (t.state <> 'live' OR t.kind <> 'job') AND ?1 = 0";
    let mut alerts = Vec::new();
    for token in readable(db, which, Timestamp::from_epoch(0))? {
        let mended =
            mend(fix, || Ok(db.execute("DELETE FROM lease WHERE token = ?1", params![token.serial]).map(drop)?))?;
        alerts.push(alert(Check::StrayLease, &token, "a lease is left of a job that has ended", mended));
    }
    Ok(alerts)
}

/// Looks for live tokens that are not what history says, or of which it says nothing although it reaches back far enough.
fn differing(db: &Connection, now: Timestamp) -> Result<Vec<Alert>, LedgerError> {
    let mut alerts = Vec::new();
    let said = "EXISTS (SELECT 1 FROM history h WHERE h.token = t.id AND h.action IN ('issue', 'edit'))";
    let cut = "EXISTS (SELECT 1 FROM history h WHERE h.action = 'cut')";
    let which = format!("t.state = 'live' AND ?1 > 0 AND NOT {said} AND NOT {cut}");
    for token in readable(db, &which, now)? {
        alerts.push(alert(Check::Unrecorded, &token, "history does not tell that it was issued", Mended::No));
    }
    let which = "t.state = 'live' AND ?1 > 0 AND EXISTS (
        SELECT 1 FROM history h WHERE h.number = (SELECT max(number) FROM history
          WHERE token = t.id AND action IN ('issue', 'edit'))
        AND (h.kind IS NOT t.kind OR h.owner IS NOT t.owner OR h.name IS NOT t.name OR h.scopes IS NOT t.scopes
          OR h.expires IS NOT t.expires OR h.job IS NOT t.job OR h.service IS NOT t.service
          OR h.parent IS NOT (SELECT p.id FROM token p WHERE p.serial = t.parent)
          OR h.action = 'issue' AND h.time <> t.created))";
    for token in readable(db, which, now)? {
        alerts.push(alert(Check::Differs, &token, "it is not what its history says", Mended::No));
    }
    Ok(alerts)
}

/// Looks for scopes that the settings do not know.
fn unknown_scopes(db: &Connection, known: &Scopes, now: Timestamp) -> Result<Vec<Alert>, LedgerError> {
    let mut alerts = Vec::new();
    for token in readable(db, "t.state = 'live' AND t.scopes <> '' AND ?1 > 0", now)? {
        if let Some(scope) = token.scopes.iter().find(|scope| !known.contains(scope)) {
            let message = format!("its scope `{scope}` is not among known_scopes");
            alerts.push(alert(Check::UnknownScope, &token, message, Mended::No));
        }
    }
    Ok(alerts)
}

/// Looks for what the unique indexes forbid: they may be damaged or gone.
fn duplicates(db: &Connection) -> Result<Vec<Alert>, LedgerError> {
    let mut alerts = Vec::new();
    let both = [
        (
            "name",
            "SELECT owner || ' ' || name FROM token NOT INDEXED WHERE state = 'live' AND name IS NOT NULL GROUP BY owner, name HAVING count(*) > 1",
        ),
        (
            "job",
            "SELECT owner || ' ' || job FROM token NOT INDEXED WHERE state = 'live' AND job IS NOT NULL GROUP BY owner, job HAVING count(*) > 1",
        ),
    ];
    for (what, sql) in both {
        let mut select = db.prepare(sql)?;
        for which in
            select.query_map([], |row| Ok(String::from_utf8_lossy(row.get_ref(0)?.as_bytes()?).into_owned()))?
        {
            let message = format!("several live tokens have one owner and {what}: {}", which?.escape_debug());
            alerts.push(Alert { check: Check::Duplicate, token: None, message, mended: Mended::No });
        }
    }
    Ok(alerts)
}

#[cfg(test)]
mod tests {
    use super::super::issued::Issued;
    use super::super::named::{NamedAsk, Others};
    use super::super::rights::Actor;
    use super::super::scratch::{NOW, by, ledger};
    use super::*;
    use crate::token::issued::TokenKind;
    use crate::token::time::Lifetime;

    fn create(ledger: &mut Ledger, name: &str, second: i64) -> Issued {
        let ask = NamedAsk {
            kind: TokenKind::User,
            owner: "ada".into(),
            name: Some(name.into()),
            scopes: Scopes::default(),
            expires: None,
            others: Others::Keep,
        };
        ledger.create(&ask, &Actor::System, &by(second)).unwrap()
    }

    fn audit(ledger: &mut Ledger, fix: Fix, second: i64) -> Vec<(Check, Mended)> {
        let alerts = ledger.audit(None, fix, &by(second)).unwrap();
        alerts.iter().map(|alert| (alert.check, alert.mended)).collect()
    }

    #[test]
    fn a_cut_of_the_very_first_record_alone_is_sound() {
        let (_folder, mut ledger) = ledger();
        create(&mut ledger, "a", NOW);
        create(&mut ledger, "b", NOW + 100);
        // the older of the two
        assert_eq!(ledger.maintain(Lifetime::seconds(50), &by(NOW + 100)).unwrap().cut, 0);
        let first: String =
            ledger.db.query_row("SELECT action FROM history WHERE number = 1", [], |row| row.get(0)).unwrap();
        assert_eq!(first, "cut");
        assert_eq!(audit(&mut ledger, Fix::No, NOW + 100), []);
    }

    #[test]
    fn a_closed_token_that_somebody_set_back_to_live_is_found_and_closed_again() {
        let (_folder, mut ledger) = ledger();
        let token = create(&mut ledger, "a", NOW).token;
        ledger.revoke(&token.id, &Actor::System, &by(NOW + 1)).unwrap();
        assert_eq!(audit(&mut ledger, Fix::No, NOW + 2), []);
        ledger.db.execute("UPDATE token SET state = 'live', closed = NULL", []).unwrap();
        assert_eq!(audit(&mut ledger, Fix::No, NOW + 2), [(Check::Differs, Mended::No)]);
        assert_eq!(audit(&mut ledger, Fix::Yes, NOW + 3), [(Check::Differs, Mended::Yes)]);
        assert_eq!(audit(&mut ledger, Fix::No, NOW + 4), []);
    }

    #[test]
    fn a_text_that_somebody_put_in_the_place_of_another_is_found_and_revoked() {
        let (_folder, mut ledger) = ledger();
        let (token, other) = (create(&mut ledger, "a", NOW).token, create(&mut ledger, "b", NOW).token);
        ledger
            .db
            .execute("UPDATE token SET digest = ?1 WHERE serial = ?2", params![other.digest, token.serial])
            .unwrap();
        assert_eq!(audit(&mut ledger, Fix::No, NOW + 1), [(Check::Exchanged, Mended::No)]);
        assert_eq!(audit(&mut ledger, Fix::Yes, NOW + 1), [(Check::Exchanged, Mended::Yes)]);
        assert_eq!(audit(&mut ledger, Fix::No, NOW + 1), []);
        // in history it cannot be exchanged unnoticed
        ledger.db.execute("UPDATE history SET digest = zeroblob(32) WHERE number = 2", []).unwrap();
        assert_eq!(audit(&mut ledger, Fix::No, NOW + 1).first(), Some(&(Check::Chain, Mended::No)));
    }

    #[test]
    fn every_fact_of_a_token_is_compared_with_its_history() {
        for change in [
            "owner = 'eve'",
            "scopes = 'more'",
            "expires = 4000000000",
            "name = 'c'",
            "created = created - 1",
            "parent = 2",
        ] {
            let (_folder, mut ledger) = ledger();
            create(&mut ledger, "a", NOW);
            create(&mut ledger, "b", NOW);
            ledger.db.execute(&format!("UPDATE token SET {change} WHERE serial = 1"), []).unwrap();
            assert_eq!(audit(&mut ledger, Fix::No, NOW + 1), [(Check::Differs, Mended::No)], "{change}");
        }
    }

    #[test]
    fn who_looks_sees_one_moment() {
        let (_folder, mut ledger) = ledger();
        create(&mut ledger, "a", NOW);
        let mut other = Ledger::open(&ledger.path, ledger.random, &by(NOW)).unwrap();
        let heads = ledger.read(|db| {
            let before = history::head(db)?;
            create(&mut other, "b", NOW + 1);
            Ok((before, history::head(db)?))
        });
        let (before, after) = heads.unwrap();
        assert_eq!(before, after);
        assert_eq!(ledger.head().unwrap().number, after.number + 1);
    }
}
