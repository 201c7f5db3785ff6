//! Reading history: filters, and pages in both directions that cost the same wherever they are.

use std::net::IpAddr;
use std::str::FromStr;

use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};

use super::history::{Event, Hash, address, octets};
use super::{Ledger, LedgerError};
use crate::token::time::Timestamp;

/// What is read of a record, in the order in which it is hashed; a digest, which nobody needs to see, comes after them.
pub(super) const COLUMNS: &str =
    "number, time, action, token, kind, owner, name, scopes, service, job, parent, expires,
  old, actor, host, address, reason, hash";

/// A record of history.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    /// Its number.
    pub(crate) number: i64,
    /// When it happened.
    pub(crate) time: Timestamp,
    /// What was done.
    pub(crate) action: String,
    /// To what.
    pub(crate) event: Event,
    /// By whom.
    pub(crate) actor: String,
    /// On which machine.
    pub(crate) host: String,
    /// From where.
    pub(crate) address: Option<IpAddr>,
    /// Its hash.
    pub(crate) hash: Hash,
}

/// Which records are read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query {
    /// Of this token, admin token or admin key, and of its children.
    pub(crate) id: Option<String>,
    /// Of the children of this token.
    pub(crate) parent_of: Option<String>,
    /// Whether children of children count, too.
    pub(crate) depth: Depth,
    /// Of this owner's tokens.
    pub(crate) owner: Option<String>,
    /// By this actor.
    pub(crate) actor: Option<String>,
    /// Of tokens of this kind.
    pub(crate) kind: Option<String>,
    /// Of this job.
    pub(crate) job: Option<String>,
    /// On this machine.
    pub(crate) host: Option<String>,
    /// From these addresses.
    pub(crate) network: Option<Network>,
    /// At this time or later.
    pub(crate) since: Option<Timestamp>,
    /// At this time or earlier.
    pub(crate) until: Option<Timestamp>,
    /// No more than so many.
    pub(crate) limit: Option<u32>,
    /// From where, and in which direction.
    pub(crate) cursor: Option<Cursor>,
}

/// How far down the family of a token is followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Depth {
    /// What was named, and its children.
    #[default]
    Children,
    /// All below.
    All,
}

/// A place in history: `<epoch>_<number>` is the first record of a page, `p<epoch>_<number>` the one behind its last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// The time of the record.
    time: i64,
    /// Its number.
    number: i64,
    /// Whether the page before it is meant.
    back: bool,
}

/// A text is no place in history.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("not a cursor like 1795465264_17 or p1795465264_17")]
pub(crate) struct NotACursor;

impl FromStr for Cursor {
    type Err = NotACursor;

    fn from_str(text: &str) -> Result<Self, NotACursor> {
        let (back, place) = text.strip_prefix('p').map_or((false, text), |place| (true, place));
        let (time, number) = place.split_once('_').ok_or(NotACursor)?;
        let read = |text: &str| text.parse().map_err(|_| NotACursor);
        Ok(Self { time: read(time)?, number: read(number)?, back })
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}{}_{}", if self.back { "p" } else { "" }, self.time, self.number)
    }
}

/// Addresses that begin with the same bits (RFC 4632 section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Network {
    /// The first.
    first: [u8; 16],
    /// The last.
    last: [u8; 16],
}

/// A text is neither an address nor a network.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("not an address like 192.0.2.7, or a network like 192.0.2.0/24")]
pub(crate) struct NotANetwork;

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let (base, bits) = text.split_once('/').map_or((text, None), |(base, bits)| (base, Some(bits)));
        let base: IpAddr = base.parse().map_err(|_| NotANetwork)?;
        let most = if base.is_ipv4() { 32 } else { 128 };
        let bits: u32 = bits.map_or(Ok(most), str::parse).map_err(|_| NotANetwork)?;
        let free = most.checked_sub(bits).ok_or(NotANetwork)?;
        // in the 16 bytes of either kind the network's own bits come first
        let mask = u128::MAX.checked_shl(free).unwrap_or(0);
        let base = u128::from_be_bytes(octets(base));
        Ok(Self { first: (base & mask).to_be_bytes(), last: (base | !mask).to_be_bytes() })
    }
}

/// One page of history, the newest record first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Page {
    /// The records.
    pub(crate) records: Vec<Record>,
    /// How many more are there that cannot be read; an audit tells of each.
    pub(crate) unreadable: usize,
    /// Where the next page begins, if there is one.
    pub(crate) next: Option<Cursor>,
    /// What the page before ends at, if there is one.
    pub(crate) previous: Option<Cursor>,
}

impl Ledger {
    /// Reads a page of history.
    pub(crate) fn history(&self, query: &Query) -> Result<Page, LedgerError> {
        let (mut which, mut values) = conditions(query);
        let back = query.cursor.is_some_and(|cursor| cursor.back);
        if let Some(cursor) = query.cursor {
            values.extend([Value::Integer(cursor.time), Value::Integer(cursor.number)]);
            let (operator, at) = (if back { ">" } else { "<=" }, values.len());
            which.push(format!("(time, number) {operator} (?{}, ?{at})", at - 1));
        }
        let order = if back { "time, number" } else { "time DESC, number DESC" };
        // one more than asked for tells whether there are more
        let limit = query.limit.map_or(-1, |limit| i64::from(limit) + 1);
        let which = if which.is_empty() { "1 = 1".to_owned() } else { which.join(" AND ") };
        let sql =
            format!("{} SELECT {COLUMNS} FROM history WHERE {which} ORDER BY {order} LIMIT {limit}", family(query));
        let mut lines = select(&self.db, &sql, &values)?;
        let more = query.limit.is_some_and(|limit| lines.len() > limit as usize);
        let extra = if more { lines.pop() } else { None };
        if back {
            lines.reverse();
        }
        Ok(cut(lines, query.cursor, extra.as_ref()))
    }
}

/// Says what comes before and after a page.
fn cut(lines: Vec<Line>, cursor: Option<Cursor>, extra: Option<&Line>) -> Page {
    let first = lines.first().map(|line| Cursor { back: true, ..line.place });
    let (next, previous) = match cursor {
        Some(start) if start.back => (Some(Cursor { back: false, ..start }), extra.and(first)),
        Some(_) | None => (extra.map(|line| line.place), cursor.and(first)),
    };
    let found = lines.len();
    let records: Vec<_> = lines.into_iter().filter_map(|line| line.record).collect();
    Page { unreadable: found - records.len(), records, next, previous }
}

/// Writes the filters as conditions.
fn conditions(query: &Query) -> (Vec<String>, Vec<Value>) {
    let (mut which, mut values) = (Vec::new(), Vec::new());
    let mut and = |condition: &str, found: Vec<Value>| {
        let first = values.len() + 1;
        values.extend(found);
        // each condition counts its own values from 1
        which.push(condition.replace("?2", &format!("?{}", first + 1)).replace("?1", &format!("?{first}")));
    };
    let text = |text: &String| vec![Value::Text(text.clone())];
    // the family of `?1` is told in front of the query
    match (&query.id, &query.parent_of, query.depth) {
        (Some(id), _, Depth::Children) => and("(token = ?1 OR parent = ?1)", text(id)),
        (Some(id), _, Depth::All) => and("?1 IS NOT NULL AND token IN family", text(id)),
        (None, Some(id), Depth::Children) => and("parent = ?1", text(id)),
        (None, Some(id), Depth::All) => and("?1 IS NOT NULL AND parent IN family", text(id)),
        (None, None, _) => {}
    }
    let equals = [
        ("owner = ?1", &query.owner),
        ("actor = ?1", &query.actor),
        ("kind = ?1", &query.kind),
        ("job = ?1", &query.job),
        ("host = ?1", &query.host),
    ];
    for (condition, value) in equals {
        if let Some(value) = value {
            and(condition, text(value));
        }
    }
    if let Some(network) = &query.network {
        let ends = [network.first, network.last].map(|end| Value::Blob(end.to_vec()));
        and("address BETWEEN ?1 AND ?2", ends.to_vec());
    }
    if let Some(since) = query.since {
        and("time >= ?1", vec![Value::Integer(since.epoch())]);
    }
    if let Some(until) = query.until {
        and("time <= ?1", vec![Value::Integer(until.epoch())]);
    }
    (which, values)
}

/// Writes who belongs to a family, if that is asked for: the token that was named, and all below it. History knows parents
/// whose rows were swept long ago.
fn family(query: &Query) -> String {
    match query.id.as_ref().or(query.parent_of.as_ref()) {
        Some(_) if query.depth == Depth::All => "WITH RECURSIVE family (id) AS (
             SELECT ?1 UNION SELECT h.token FROM history h JOIN family f ON h.parent = f.id WHERE h.token IS NOT NULL
           )"
        .to_owned(),
        Some(_) | None => String::new(),
    }
}

/// A record and its place; what was damaged has one, too.
struct Line {
    /// Where it is.
    place: Cursor,
    /// What it says, if it can be read.
    record: Option<Record>,
}

/// Reads records.
fn select(db: &Connection, sql: &str, values: &[Value]) -> Result<Vec<Line>, LedgerError> {
    let mut select = db.prepare(sql)?;
    let rows = select.query_map(params_from_iter(values), |row| {
        let place = Cursor { number: row.get(0)?, time: row.get(1)?, back: false };
        Ok(Line { place, record: read(row).ok() })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Reads a row of [`COLUMNS`].
fn read(row: &Row<'_>) -> rusqlite::Result<Record> {
    Ok(Record {
        number: row.get(0)?,
        time: Timestamp::from_epoch(row.get(1)?),
        action: row.get(2)?,
        event: Event {
            token: row.get(3)?,
            kind: row.get(4)?,
            owner: row.get(5)?,
            name: row.get(6)?,
            scopes: row.get(7)?,
            service: row.get(8)?,
            job: row.get(9)?,
            parent: row.get(10)?,
            expires: row.get::<_, Option<i64>>(11)?.map(Timestamp::from_epoch),
            old: row.get(12)?,
            reason: row.get(16)?,
            digest: None,
        },
        actor: row.get(13)?,
        host: row.get(14)?,
        address: row.get::<_, Option<[u8; 16]>>(15)?.map(address),
        hash: row.get(17)?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::history::{self, Action};
    use super::super::scratch::{NOW, by, ledger};
    use super::*;

    /// A ledger with ten records, two of them in each second.
    fn ten() -> (tempfile::TempDir, Ledger) {
        let (folder, mut ledger) = ledger();
        for number in 0..10 {
            let event = Event { name: Some(number.to_string()), ..Event::default() };
            ledger.write(|db| history::append(db, &by(NOW + number / 2), Action::Issue, event)).unwrap();
        }
        (folder, ledger)
    }

    fn numbers(page: &Page) -> Vec<i64> {
        page.records.iter().map(|record| record.number).collect()
    }

    #[test]
    fn pages_go_on_where_the_last_one_ended_and_back_again() {
        let (_folder, ledger) = ten();
        let page = |cursor| ledger.history(&Query { limit: Some(4), cursor, ..Query::default() }).unwrap();
        let first = page(None);
        assert_eq!((numbers(&first), first.previous), (vec![10, 9, 8, 7], None));
        let second = page(first.next);
        assert_eq!(numbers(&second), [6, 5, 4, 3]);
        let third = page(second.next);
        assert_eq!((numbers(&third), third.next), (vec![2, 1], None));
        let back = page(third.previous);
        assert_eq!(numbers(&back), [6, 5, 4, 3]);
        assert_eq!(numbers(&page(back.next)), [2, 1]);
        let start = page(back.previous);
        assert_eq!((numbers(&start), start.previous), (vec![10, 9, 8, 7], None));
    }

    #[test]
    fn a_cursor_survives_being_written() {
        for text in ["1795465264_17", "p1795465264_17", "-5_0"] {
            assert_eq!(text.parse::<Cursor>().unwrap().to_string(), text);
        }
        for text in ["", "1", "p", "1_", "x_1"] {
            assert!(text.parse::<Cursor>().is_err(), "{text}");
        }
    }

    #[test]
    fn since_and_until_are_inclusive() {
        let (_folder, ledger) = ten();
        let (since, until) = (Some(Timestamp::from_epoch(NOW + 1)), Some(Timestamp::from_epoch(NOW + 2)));
        let page = ledger.history(&Query { since, until, ..Query::default() }).unwrap();
        assert_eq!(numbers(&page), [6, 5, 4, 3]);
    }

    #[test]
    fn a_network_is_a_range_of_addresses() {
        let network: Network = "192.0.2.0/25".parse().unwrap();
        let inside = |text: &str| (network.first..=network.last).contains(&octets(text.parse().unwrap()));
        assert!(inside("192.0.2.127") && !inside("192.0.2.128") && !inside("::1"));
        assert!("::/0".parse::<Network>().is_ok());
        for text in ["192.0.2.0/33", "x", "1.2.3.4/", "1.2.3.4/-1"] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_family_is_followed_to_its_end() {
        let (_folder, mut ledger) = ledger();
        for (token, parent) in [("a", None), ("b", Some("a")), ("c", Some("b")), ("x", None)] {
            let (token, parent) = (Some(token.to_owned()), parent.map(str::to_owned));
            let event = Event { token, parent, ..Event::default() };
            ledger.write(|db| history::append(db, &by(NOW), Action::Issue, event)).unwrap();
        }
        let count = |query: Query| ledger.history(&query).unwrap().records.len();
        let id = || Some("a".to_owned());
        assert_eq!(count(Query { id: id(), ..Query::default() }), 2);
        assert_eq!(count(Query { id: id(), depth: Depth::All, ..Query::default() }), 3);
        assert_eq!(count(Query { parent_of: id(), ..Query::default() }), 1);
        assert_eq!(count(Query { parent_of: id(), depth: Depth::All, ..Query::default() }), 2);
    }
}
