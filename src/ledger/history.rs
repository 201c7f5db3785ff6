//! History: what happened to issued tokens and admin keys. Each record carries the hash of the one before.
//!
//! A record is appended in the transaction that does what it tells of. The chain finds accidents; whoever can write the
//! ledger can rewrite it, which only a number and hash kept elsewhere can show.

use std::net::{IpAddr, Ipv6Addr};

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, params_from_iter};
use sha2::{Digest as _, Sha256};

use super::LedgerError;
use crate::token::time::Timestamp;
use crate::token::words::words;

/// Who does something, where and when.
#[derive(Clone, Debug)]
pub(crate) struct By {
    /// The owner of the token that was shown, else `os:` and the user of the operating system.
    pub(crate) actor: String,
    /// The machine.
    pub(crate) host: String,
    /// The address from which the person came to that machine.
    pub(crate) address: Option<IpAddr>,
    /// The time.
    pub(crate) at: Timestamp,
}

words! {
    /// What was done.
    Action {
        /// A token was issued.
        Issue "issue"
        /// A token was accepted for the first time.
        Use "use"
        /// A token was refused.
        Deny "deny"
        /// Name, scopes or expiry were changed.
        Edit "edit"
        /// Another token took its place.
        Rotate "rotate"
        /// It was taken back.
        Revoke "revoke"
        /// Its job ended.
        End "end"
        /// Its life was over.
        Expire "expire"
        /// An admin token was minted.
        Mint "mint"
        /// An admin key was made.
        AddKey "add-key"
        /// Somebody else's admin key is believed from now on.
        TrustKey "trust-key"
        /// An admin key mints no more.
        RetireKey "retire-key"
        /// An audit mended something.
        Fix "fix"
        /// Old records were removed.
        Cut "cut"
        /// All tokens were taken back.
        Wipe "wipe"
    }
}

/// What a record says, besides who did it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Event {
    /// The public id of a token, the `jti` of an admin token, or the `kid` of an admin key.
    pub(crate) token: Option<String>,
    /// The kind of token, `admin` or `admin-key`.
    pub(crate) kind: Option<String>,
    /// Whom it speaks for.
    pub(crate) owner: Option<String>,
    /// Its name.
    pub(crate) name: Option<String>,
    /// Its scopes.
    pub(crate) scopes: Option<String>,
    /// The service it is for.
    pub(crate) service: Option<String>,
    /// The job it is for.
    pub(crate) job: Option<String>,
    /// The public id of its parent.
    pub(crate) parent: Option<String>,
    /// When it ends.
    pub(crate) expires: Option<Timestamp>,
    /// What was before, as a JSON object of the fields that changed.
    pub(crate) old: Option<String>,
    /// Why.
    pub(crate) reason: Option<String>,
    /// What its text must have, where it was issued: so that an exchanged one is noticed.
    pub(super) digest: Option<[u8; 32]>,
}

/// The hash of a record and of all before it.
pub(crate) type Hash = [u8; 32];

/// The end of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// The number of the newest record; 0 where there is none.
    pub(crate) number: i64,
    /// Its hash.
    pub(crate) hash: Hash,
}

/// What the first record follows.
pub(crate) const BEGINNING: Head = Head { number: 0, hash: [0; 32] };

/// Returns the end of the chain.
pub(super) fn head(db: &Connection) -> Result<Head, LedgerError> {
    let newest = "SELECT number, hash FROM history ORDER BY number DESC LIMIT 1";
    let head = db.query_row(newest, [], |row| Ok(Head { number: row.get(0)?, hash: row.get(1)? })).optional()?;
    Ok(head.unwrap_or(BEGINNING))
}

/// Appends a record to the chain.
pub(super) fn append(db: &Connection, by: &By, action: Action, event: Event) -> Result<Head, LedgerError> {
    let before = head(db)?;
    let digest = event.digest.map(|digest| Value::Blob(digest.to_vec()));
    let mut values = values(before.number + 1, by, action, event);
    values.extend(digest.clone());
    let hash = chain(&before.hash, &values);
    if digest.is_none() {
        values.push(Value::Null);
    }
    values.push(Value::Blob(hash.to_vec()));
    let mut insert = db.prepare(
        "INSERT INTO history (number, time, action, token, kind, owner, name, scopes, service, job, parent, expires, old,
           actor, host, address, reason, digest, hash)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)",
    )?;
    insert.execute(params_from_iter(values))?;
    Ok(Head { number: before.number + 1, hash })
}

/// Returns the columns of a record in their order, without digest and hash.
fn values(number: i64, by: &By, action: Action, event: Event) -> Vec<Value> {
    let text = |text: Option<String>| text.map_or(Value::Null, Value::Text);
    vec![
        Value::Integer(number),
        Value::Integer(by.at.epoch()),
        Value::Text(action.word().to_owned()),
        text(event.token),
        text(event.kind),
        text(event.owner),
        text(event.name),
        text(event.scopes),
        text(event.service),
        text(event.job),
        text(event.parent),
        event.expires.map_or(Value::Null, |end| Value::Integer(end.epoch())),
        text(event.old),
        Value::Text(by.actor.clone()),
        Value::Text(by.host.clone()),
        by.address.map_or(Value::Null, |address| Value::Blob(octets(address).to_vec())),
        text(event.reason),
    ]
}

/// Hashes the columns of a record, its digest only if it has one, and through the hash before it all earlier ones. Each value has its type and length in
/// front, so that no two records are the same bytes.
pub(super) fn chain(before: &Hash, values: &[Value]) -> Hash {
    let mut hash = Sha256::new();
    hash.update(b"tokenkeep history v1\0");
    hash.update(before);
    for value in values {
        let number;
        let (kind, bytes): (u8, &[u8]) = match value {
            Value::Null => (0, &[]),
            Value::Integer(integer) => {
                number = integer.to_be_bytes();
                (1, &number)
            }
            Value::Real(real) => {
                number = real.to_be_bytes();
                (2, &number)
            }
            Value::Text(text) => (3, text.as_bytes()),
            Value::Blob(blob) => (4, blob),
        };
        hash.update([kind]);
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    }
    hash.finalize().into()
}

/// Writes an address in 16 bytes, so that both kinds have one order (RFC 4291 section 2.5.5.2).
pub(super) fn octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

/// Reads an address out of 16 bytes.
pub(super) fn address(octets: [u8; 16]) -> IpAddr {
    Ipv6Addr::from(octets).to_canonical()
}

/// Writes the first record of all as the first schema had it.
#[cfg(test)]
pub(super) fn append_first_schema(db: &Connection, by: &By, event: Event) {
    let mut values = values(1, by, Action::Issue, event);
    values.push(Value::Blob(chain(&BEGINNING.hash, &values).to_vec()));
    let marks = vec!["?"; values.len()].join(", ");
    db.execute(&format!("INSERT INTO history VALUES ({marks})"), params_from_iter(values)).unwrap();
}

#[cfg(test)]
mod tests {
    use super::super::scratch::{NOW, by, ledger};
    use super::*;

    fn record(ledger: &mut super::super::Ledger, name: &str) -> Head {
        let event = Event { name: Some(name.to_owned()), ..Event::default() };
        ledger.write(|db| append(db, &by(NOW), Action::Issue, event)).unwrap()
    }

    #[test]
    fn numbers_have_no_gaps_and_each_hash_depends_on_the_one_before() {
        let (_folder, mut ledger) = ledger();
        let (one, two) = (record(&mut ledger, "a"), record(&mut ledger, "a"));
        assert_eq!((one.number, two.number), (1, 2));
        assert_ne!(one.hash, two.hash);
        assert_eq!(head(&ledger.db).unwrap(), two);
    }

    #[test]
    fn a_value_that_moves_to_the_next_column_changes_the_hash() {
        let text = |text: &str| Value::Text(text.to_owned());
        let one = chain(&[0; 32], &[text("ab"), text("c")]);
        assert_ne!(one, chain(&[0; 32], &[text("a"), text("bc")]));
        assert_ne!(one, chain(&[0; 32], &[text("ab"), Value::Blob(b"c".to_vec())]));
    }

    #[test]
    fn addresses_of_both_kinds_survive() {
        for text in ["192.0.2.7", "2001:db8::1"] {
            let read: IpAddr = text.parse().unwrap();
            assert_eq!(address(octets(read)), read);
        }
    }
}
