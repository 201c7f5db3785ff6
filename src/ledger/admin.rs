//! Admin keys and admin tokens: which public keys are believed, which tokens were minted, which were taken back.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::admin_checks::{revoke_key, was_just_denied};
use super::history::{self, Action, Event};
use super::{By, Ledger, LedgerError};
use crate::token::admin_key::PublicKey;
use crate::token::time::Timestamp;
use crate::token::words::words;

words! {
    /// Whose an admin key is.
    Origin {
        /// Its private half is in a vault here.
        Own "own"
        /// Somebody else mints with it.
        Trusted "trusted"
    }
}

/// The public half of an admin key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AdminKey {
    /// The name that people know it by.
    pub(crate) name: String,
    /// The name that tokens carry.
    pub(crate) kid: String,
    /// The algorithm (RFC 7518 section 3.1).
    pub(crate) alg: String,
    /// The public JWK (RFC 7517), as JSON.
    pub(crate) jwk: String,
    /// Whose it is.
    pub(crate) origin: Origin,
    /// When it came into the ledger.
    pub(crate) created: Timestamp,
    /// Since when it mints no more; what it minted before dies by itself.
    pub(crate) retired: Option<Timestamp>,
}

impl AdminKey {
    /// Reads the key itself.
    pub(crate) fn public(&self) -> Result<PublicKey, LedgerError> {
        let damaged = |fault| LedgerError::Damaged(format!("the admin key `{}` is none: {fault}", self.name));
        PublicKey::parse(&self.jwk).map_err(damaged)
    }
}

/// An admin token that was minted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mint {
    /// Its id.
    pub(crate) jti: String,
    /// Who it speaks for.
    pub(crate) sub: String,
    /// The key.
    pub(crate) kid: String,
    /// Whom it is for.
    pub(crate) aud: String,
    /// When it was minted.
    pub(crate) iat: Timestamp,
    /// When it ends.
    pub(crate) exp: Timestamp,
}

/// What becomes of the key that another one takes the place of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OldKey {
    /// What it minted dies by itself.
    Retire,
    /// What it minted is taken back, and what the ones before it minted.
    Revoke,
}

impl Ledger {
    /// Adds an admin key; a name has one key at a time.
    pub(crate) fn put_admin_key(&mut self, key: &AdminKey, by: &By) -> Result<(), LedgerError> {
        self.write(|db| insert_key(db, key, by))
    }

    /// Puts a key in the place of the one that has its name, which mints no more.
    pub(crate) fn replace_admin_key(&mut self, key: &AdminKey, fate: OldKey, by: &By) -> Result<(), LedgerError> {
        self.write(|db| {
            if let Some(old) = one_key(db, "name = ?1 AND retired IS NULL", &key.name)? {
                retire(db, &old, by)?;
            }
            if fate == OldKey::Revoke {
                for old in keys(db, "WHERE name = ?1", &[&key.name])? {
                    revoke_key(db, &old, by)?;
                }
            }
            insert_key(db, key, by)
        })
    }

    /// Lists the admin keys, the retired ones too, by name.
    pub(crate) fn admin_keys(&self) -> Result<Vec<AdminKey>, LedgerError> {
        keys(&self.db, "", &[])
    }

    /// Finds the key of a name that mints.
    pub(crate) fn admin_key_named(&self, name: &str) -> Result<Option<AdminKey>, LedgerError> {
        one_key(&self.db, "name = ?1 AND retired IS NULL", name)
    }

    /// Finds the key that a token names.
    pub(crate) fn admin_key(&self, kid: &str) -> Result<Option<AdminKey>, LedgerError> {
        one_key(&self.db, "kid = ?1", kid)
    }

    /// Writes down that an admin token was minted.
    pub(crate) fn record_mint(&mut self, mint: &Mint, by: &By) -> Result<(), LedgerError> {
        self.write(|db| {
            db.execute(
                "INSERT INTO mint (jti, sub, kid, aud, iat, exp) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![mint.jti, mint.sub, mint.kid, mint.aud, mint.iat.epoch(), mint.exp.epoch()],
            )?;
            let event = Event { reason: Some(format!("for {}", mint.aud)), ..of_mint(mint) };
            history::append(db, by, Action::Mint, event).map(drop)
        })
    }

    /// Finds an admin token that was minted here.
    pub(crate) fn mint(&self, jti: &str) -> Result<Option<Mint>, LedgerError> {
        find_mint(&self.db, jti)
    }

    /// Takes an admin token back, also one that was minted elsewhere; returns what is known of it.
    pub(crate) fn revoke_admin_token(&mut self, jti: &str, by: &By) -> Result<Option<Mint>, LedgerError> {
        self.write(|db| {
            let mint = find_mint(db, jti)?;
            let inserted = db.execute(
                "INSERT INTO revocation (jti, time) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
                params![jti, by.at.epoch()],
            )?;
            if inserted > 0 {
                let unknown = || Event { token: Some(jti.to_owned()), kind: Some("admin".into()), ..Event::default() };
                history::append(db, by, Action::Revoke, mint.as_ref().map_or_else(unknown, of_mint))?;
            }
            Ok(mint)
        })
    }

    /// Writes down that an admin token was refused, for the reason that the person was told.
    pub(crate) fn record_admin_denial(&mut self, jti: &str, reason: &str, by: &By) -> Result<(), LedgerError> {
        let Some(mint) = find_mint(&self.db, jti)? else { return Ok(()) };
        self.write(|db| {
            if was_just_denied(db, jti, by.at)? {
                return Ok(());
            }
            let event = Event { reason: Some(reason.to_owned()), ..of_mint(&mint) };
            history::append(db, by, Action::Deny, event).map(drop)
        })
    }
}

/// The columns of an admin key.
const SELECT_KEY: &str = "SELECT name, kid, alg, jwk, origin, created, retired FROM admin_key";

/// Reads a row of [`SELECT_KEY`].
fn read_key(row: &Row<'_>) -> rusqlite::Result<Result<AdminKey, LedgerError>> {
    let origin: String = row.get(4)?;
    let Ok(origin) = origin.parse() else {
        return Ok(Err(LedgerError::Damaged(format!("an admin key of origin `{origin}`"))));
    };
    Ok(Ok(AdminKey {
        name: row.get(0)?,
        kid: row.get(1)?,
        alg: row.get(2)?,
        jwk: row.get(3)?,
        origin,
        created: Timestamp::from_epoch(row.get(5)?),
        retired: row.get::<_, Option<i64>>(6)?.map(Timestamp::from_epoch),
    }))
}

/// Finds some keys, by name, the oldest first.
fn keys(db: &Connection, which: &str, values: &[&String]) -> Result<Vec<AdminKey>, LedgerError> {
    let mut select = db.prepare(&format!("{SELECT_KEY} {which} ORDER BY name, created"))?;
    let rows = select.query_map(rusqlite::params_from_iter(values), read_key)?;
    rows.map(|row| row?).collect()
}

/// Finds one key.
fn one_key(db: &Connection, which: &str, value: &str) -> Result<Option<AdminKey>, LedgerError> {
    db.query_row(&format!("{SELECT_KEY} WHERE {which}"), [value], read_key).optional()?.transpose()
}

/// Inserts a key and its history.
fn insert_key(db: &Connection, key: &AdminKey, by: &By) -> Result<(), LedgerError> {
    if one_key(db, "name = ?1 AND retired IS NULL", &key.name)?.is_some()
        || one_key(db, "kid = ?1", &key.kid)?.is_some()
    {
        return Err(LedgerError::KeyExists(key.name.clone()));
    }
    db.execute(
        "INSERT INTO admin_key (kid, name, alg, jwk, origin, created) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![key.kid, key.name, key.alg, key.jwk, key.origin.word(), key.created.epoch()],
    )?;
    let action = match key.origin {
        Origin::Own => Action::AddKey,
        Origin::Trusted => Action::TrustKey,
    };
    history::append(db, by, action, of_key(key)).map(drop)
}

/// Marks a key as one that mints no more.
fn retire(db: &Connection, key: &AdminKey, by: &By) -> Result<(), LedgerError> {
    db.execute("UPDATE admin_key SET retired = ?2 WHERE kid = ?1", params![key.kid, by.at.epoch()])?;
    history::append(db, by, Action::RetireKey, of_key(key)).map(drop)
}

/// Finds a minted token.
fn find_mint(db: &Connection, jti: &str) -> Result<Option<Mint>, LedgerError> {
    let select = "SELECT jti, sub, kid, aud, iat, exp FROM mint WHERE jti = ?1";
    let read = |row: &Row<'_>| {
        Ok(Mint {
            jti: row.get(0)?,
            sub: row.get(1)?,
            kid: row.get(2)?,
            aud: row.get(3)?,
            iat: Timestamp::from_epoch(row.get(4)?),
            exp: Timestamp::from_epoch(row.get(5)?),
        })
    };
    Ok(db.query_row(select, [jti], read).optional()?)
}

/// Describes a key in history.
pub(super) fn of_key(key: &AdminKey) -> Event {
    Event {
        token: Some(key.kid.clone()),
        kind: Some("admin-key".to_owned()),
        name: Some(key.name.clone()),
        ..Event::default()
    }
}

/// Describes a minted token in history.
fn of_mint(mint: &Mint) -> Event {
    Event {
        token: Some(mint.jti.clone()),
        kind: Some("admin".to_owned()),
        owner: Some(mint.sub.clone()),
        parent: Some(mint.kid.clone()),
        expires: Some(mint.exp),
        ..Event::default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::scratch::{NOW, admin_key, by, ledger};
    use super::*;

    #[test]
    fn a_name_has_one_key_that_mints_and_the_one_before_is_still_found() {
        let (_folder, mut ledger) = ledger();
        ledger.put_admin_key(&admin_key("ops", "k1"), &by(NOW)).unwrap();
        assert!(matches!(ledger.put_admin_key(&admin_key("ops", "k2"), &by(NOW)), Err(LedgerError::KeyExists(_))));
        ledger.replace_admin_key(&admin_key("ops", "k2"), OldKey::Retire, &by(NOW + 1)).unwrap();
        assert_eq!(ledger.admin_key_named("ops").unwrap().unwrap().kid, "k2");
        assert_eq!(ledger.admin_key("k1").unwrap().unwrap().retired, Some(Timestamp::from_epoch(NOW + 1)));
        assert_eq!(ledger.admin_keys().unwrap().len(), 2);
    }

    #[test]
    fn a_key_is_replaced_and_taken_back_at_once_or_not_at_all() {
        let (_folder, mut ledger) = ledger();
        ledger.put_admin_key(&admin_key("ops", "k1"), &by(NOW)).unwrap();
        let same = ledger.replace_admin_key(&admin_key("ops", "k1"), OldKey::Revoke, &by(NOW));
        assert!(matches!(same, Err(LedgerError::KeyExists(_))));
        assert_eq!(ledger.revoked_since("k1").unwrap(), None);
        assert_eq!(ledger.admin_key("k1").unwrap().unwrap().retired, None);
        ledger.replace_admin_key(&admin_key("ops", "k2"), OldKey::Revoke, &by(NOW)).unwrap();
        assert_eq!(ledger.revoked_since("k1").unwrap(), Some(Timestamp::from_epoch(NOW)));
        assert_eq!(ledger.revoked_since("k2").unwrap(), None);
        // what was only retired before is taken back, too, and what was taken back stays so
        ledger.replace_admin_key(&admin_key("ops", "k3"), OldKey::Retire, &by(NOW + 1)).unwrap();
        ledger.put_admin_key(&admin_key("other", "o1"), &by(NOW + 1)).unwrap();
        ledger.replace_admin_key(&admin_key("ops", "k4"), OldKey::Revoke, &by(NOW + 2)).unwrap();
        let since = |kid: &str| ledger.revoked_since(kid).unwrap().map(|at| at.epoch() - NOW);
        assert_eq!(["k1", "k2", "k3", "k4", "o1"].map(since), [Some(0), Some(2), Some(2), None, None]);
    }

    #[test]
    fn mints_are_listed_and_any_id_can_be_taken_back() {
        let (_folder, mut ledger) = ledger();
        let at = Timestamp::from_epoch;
        let mint = Mint {
            jti: "j1".into(),
            sub: "ada".into(),
            kid: "k1".into(),
            aud: "api".into(),
            iat: at(NOW),
            exp: at(NOW + 300),
        };
        ledger.record_mint(&mint, &by(NOW)).unwrap();
        assert_eq!(ledger.revoked_since("j1").unwrap(), None);
        assert_eq!(ledger.revoke_admin_token("j1", &by(NOW)).unwrap(), Some(mint));
        assert_eq!(ledger.revoke_admin_token("elsewhere", &by(NOW)).unwrap(), None);
        for jti in ["j1", "elsewhere"] {
            assert_eq!(ledger.revoked_since(jti).unwrap(), Some(at(NOW)));
        }
        // taking it back once more changes nothing
        ledger.revoke_admin_token("j1", &by(NOW)).unwrap();
        assert_eq!(history::head(&ledger.db).unwrap().number, 3);
    }
}
