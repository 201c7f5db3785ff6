//! Rotation: a new token takes the place of one. The old one is good no more, or for a little while yet, so that whoever
//! holds it can be given the new one first.
//!
//! A token that stays for a while gives its name up, ends no later than that, and carries the end as its grace: that is how
//! it is told from one that was never rotated.

use rusqlite::{Connection, params};

use super::change::{self, Closing};
use super::history::{self, Action, Event};
use super::issued::{Issued, write_new};
use super::named::{edit, refuse_closed, shorten_below, visible};
use super::rights::Actor;
use super::token::{NewToken, Standing, Token};
use super::{By, Ledger, LedgerError};
use crate::token::issued::{PublicId, TokenKind};
use crate::token::overlap::Overlap;

impl Ledger {
    /// Puts a new token in the place of one, with the same owner, name, scopes and end.
    pub(crate) fn rotate(
        &mut self,
        id: &PublicId,
        overlap: Overlap,
        actor: &Actor,
        by: &By,
    ) -> Result<Issued, LedgerError> {
        let fresh = self.fresh()?;
        self.write(|db| {
            let old = visible(db, id, actor)?;
            if old.kind.is_child() || old.kind == TokenKind::Job {
                return Err(LedgerError::NotRotatable { kind: old.kind });
            }
            actor.require_may_issue(old.kind, &old.owner, &old.scopes)?;
            refuse_closed(&old, by.at)?;
            supersede(db, &old, &fresh.id, overlap, by)?;
            let new = NewToken {
                kind: old.kind,
                owner: old.owner,
                name: old.name,
                scopes: old.scopes,
                service: None,
                job: None,
                parent: None,
                expires: old.expires,
            };
            write_new(db, &new, &fresh, by)
        })
    }
}

/// Lets a token make room for another one: closed at once, or with an end that is near.
pub(super) fn supersede(
    db: &Connection,
    old: &Token,
    successor: &PublicId,
    overlap: Overlap,
    by: &By,
) -> Result<(), LedgerError> {
    let is_good = old.standing(by.at) == Standing::Good;
    let Some(length) = overlap.length().filter(|_| is_good) else {
        let reason = format!("{successor} takes its place");
        return change::close(db, by, old, Closing::Rotate, Some(&reason)).map(drop);
    };
    let end = by.at.after(length);
    let end = old.expires.map_or(end, |expires| expires.min(end));
    let reason = format!("{successor} takes its place; it stays good until {end}");
    let ending = Token { name: None, expires: Some(end), ..old.clone() };
    if !edit(db, old, &ending, Some(&reason), by)? {
        let event = Event { reason: Some(reason), ..old.event() };
        history::append(db, by, Action::Edit, event)?;
    }
    shorten_below(db, &ending, end, by)?;
    db.execute(
        "UPDATE token SET grace_until = ?2, grace_scopes = ?3 WHERE serial = ?1",
        params![old.serial, end.epoch(), old.scopes.to_string()],
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::audit::Fix;
    use super::super::check::Demands;
    use super::super::named::{Change, End, NamedAsk, Others};
    use super::super::scratch::{NOW, by, ledger};
    use super::*;
    use crate::secret::Secret;
    use crate::token::issued;
    use crate::token::scopes::Scopes;
    use crate::token::time::{Lifetime, Timestamp};

    fn create(ledger: &mut Ledger, expires: Option<i64>) -> Issued {
        let ask = NamedAsk {
            kind: TokenKind::User,
            owner: "ada".into(),
            name: Some("laptop".into()),
            scopes: Scopes::lenient("read"),
            expires: expires.map(Timestamp::from_epoch),
            others: Others::Keep,
        };
        ledger.create(&ask, &Actor::System, &by(NOW)).unwrap()
    }

    fn is_good(ledger: &mut Ledger, text: &Secret<String>, second: i64) -> bool {
        ledger.check(&issued::read(text).unwrap(), &Demands::default(), &by(second)).is_ok()
    }

    fn minute() -> Overlap {
        Overlap::of(Lifetime::seconds(60)).unwrap()
    }

    #[test]
    fn the_old_token_stays_good_for_the_grace_and_not_a_second_longer() {
        let (_folder, mut ledger) = ledger();
        let old = create(&mut ledger, None);
        let new = ledger.rotate(&old.token.id, minute(), &Actor::System, &by(NOW)).unwrap();
        assert_eq!(new.token.name.as_deref(), Some("laptop"));
        assert!(is_good(&mut ledger, &old.text, NOW + 59) && is_good(&mut ledger, &new.text, NOW + 59));
        assert!(!is_good(&mut ledger, &old.text, NOW + 60) && is_good(&mut ledger, &new.text, NOW + 60));
        assert!(ledger.audit(None, Fix::No, &by(NOW + 60)).unwrap().is_empty());
    }

    #[test]
    fn a_grace_makes_no_life_longer() {
        let (_folder, mut ledger) = ledger();
        let old = create(&mut ledger, Some(NOW + 300));
        ledger.rotate(&old.token.id, minute(), &Actor::System, &by(NOW + 290)).unwrap();
        assert!(is_good(&mut ledger, &old.text, NOW + 299) && !is_good(&mut ledger, &old.text, NOW + 300));
    }

    #[test]
    fn what_was_rotated_is_not_rotated_or_changed_again_but_can_be_taken_back() {
        let (_folder, mut ledger) = ledger();
        let old = create(&mut ledger, None);
        ledger.rotate(&old.token.id, minute(), &Actor::System, &by(NOW)).unwrap();
        let again = ledger.rotate(&old.token.id, Overlap::default(), &Actor::System, &by(NOW + 1));
        assert!(matches!(again, Err(LedgerError::Over { .. })));
        let change = Change { end: Some(End::Never), ..Change::default() };
        let longer = ledger.modify(&old.token.id, &change, &Actor::System, &by(NOW + 1));
        assert!(matches!(longer, Err(LedgerError::Over { .. })));
        ledger.revoke(&old.token.id, &Actor::System, &by(NOW + 1)).unwrap();
        assert!(!is_good(&mut ledger, &old.text, NOW + 2));
    }
}
