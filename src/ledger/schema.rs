//! The tables, by numbered migrations. Before each, a copy of the whole ledger is put beside it.

use std::path::PathBuf;
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};

use super::{By, Ledger, LedgerError};
use crate::host::process;

/// What marks an SQLite file as a ledger of ours: "tkpr".
const APPLICATION: i32 = 0x746b_7072;

/// The migrations; the schema of a ledger is how many of them were carried out.
const MIGRATIONS: [&str; NEWEST as usize] = [FIRST, SECOND];

/// The first tables.
///
/// Times are seconds since the epoch. `state` is what was written down; what follows from the time (a life that is over, a
/// lease that has lapsed) is judged at each look.
const FIRST: &str = "
CREATE TABLE ledger (
  key TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE token (
  serial INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  digest BLOB NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('job', 'user', 'service', 'session', 'notebook', 'internal', 'oidc')),
  owner TEXT NOT NULL,
  name TEXT,
  scopes TEXT NOT NULL,
  service TEXT,
  job TEXT,
  parent INTEGER REFERENCES token (serial),
  created INTEGER NOT NULL,
  expires INTEGER,
  state TEXT NOT NULL DEFAULT 'live' CHECK (state IN ('live', 'ended', 'revoked', 'expired')),
  closed INTEGER,
  grace_until INTEGER,
  grace_scopes TEXT,
  last_used INTEGER,
  last_denied INTEGER,
  CHECK ((state = 'live') = (closed IS NULL)),
  CHECK ((kind = 'job') = (job IS NOT NULL)),
  CHECK ((kind = 'internal') = (service IS NOT NULL))
) STRICT;
CREATE UNIQUE INDEX token_name ON token (owner, name) WHERE state = 'live' AND name IS NOT NULL;
CREATE UNIQUE INDEX token_job ON token (owner, job) WHERE state = 'live' AND job IS NOT NULL;
CREATE INDEX token_of_job ON token (job, serial) WHERE job IS NOT NULL;
CREATE INDEX token_parent ON token (parent) WHERE parent IS NOT NULL;
CREATE INDEX token_owner ON token (owner, serial);
CREATE INDEX token_kind ON token (kind, serial);
CREATE INDEX token_live ON token (serial) WHERE state = 'live';
CREATE INDEX token_expiry ON token (expires) WHERE state = 'live' AND expires IS NOT NULL;
CREATE INDEX token_closed ON token (closed) WHERE closed IS NOT NULL;

CREATE TABLE lease (
  token INTEGER PRIMARY KEY REFERENCES token (serial) ON DELETE CASCADE,
  holder TEXT NOT NULL CHECK (holder IN ('issue', 'run')),
  nonce TEXT NOT NULL,
  host TEXT NOT NULL,
  started INTEGER NOT NULL,
  length INTEGER,
  until INTEGER,
  grace INTEGER,
  grace_scopes TEXT
) STRICT;
CREATE INDEX lease_until ON lease (until) WHERE until IS NOT NULL;

CREATE TABLE history (
  number INTEGER PRIMARY KEY,
  time INTEGER NOT NULL,
  action TEXT NOT NULL,
  token TEXT,
  kind TEXT,
  owner TEXT,
  name TEXT,
  scopes TEXT,
  service TEXT,
  job TEXT,
  parent TEXT,
  expires INTEGER,
  old TEXT,
  actor TEXT NOT NULL,
  host TEXT NOT NULL,
  address BLOB,
  reason TEXT,
  hash BLOB NOT NULL
) STRICT;
CREATE INDEX history_time ON history (time, number);
CREATE INDEX history_token ON history (token, time, number) WHERE token IS NOT NULL;
CREATE INDEX history_parent ON history (parent, time, number) WHERE parent IS NOT NULL;
CREATE INDEX history_owner ON history (owner, time, number) WHERE owner IS NOT NULL;
CREATE INDEX history_job ON history (job, time, number) WHERE job IS NOT NULL;
CREATE INDEX history_actor ON history (actor, time, number);
CREATE INDEX history_kind ON history (kind, time, number) WHERE kind IS NOT NULL;
CREATE INDEX history_host ON history (host, time, number);
CREATE INDEX history_address ON history (address, time, number) WHERE address IS NOT NULL;

CREATE TABLE admin_key (
  kid TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  alg TEXT NOT NULL,
  jwk TEXT NOT NULL,
  origin TEXT NOT NULL CHECK (origin IN ('own', 'trusted')),
  created INTEGER NOT NULL,
  retired INTEGER
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX admin_key_name ON admin_key (name) WHERE retired IS NULL;

CREATE TABLE mint (
  jti TEXT PRIMARY KEY,
  sub TEXT NOT NULL,
  kid TEXT NOT NULL,
  aud TEXT NOT NULL,
  iat INTEGER NOT NULL,
  exp INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX mint_exp ON mint (exp);

CREATE TABLE revocation (
  jti TEXT PRIMARY KEY,
  time INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
";

/// History tells with which text a token was issued, by its digest.
const SECOND: &str = "ALTER TABLE history ADD COLUMN digest BLOB;";

/// Brings the tables to the newest form.
pub(super) fn migrate(ledger: &mut Ledger, by: &By) -> Result<(), LedgerError> {
    migrate_by(ledger, &MIGRATIONS, by)
}

/// Carries out those of some migrations that were not yet.
fn migrate_by(ledger: &mut Ledger, migrations: &[&str], by: &By) -> Result<(), LedgerError> {
    let mut version = refuse_newer(&ledger.db)?;
    while (version as usize) < migrations.len() {
        if version == 0 {
            keep_log(&ledger.db)?;
        } else {
            back_up(ledger, version)?;
        }
        let urn = urn(ledger.random()?);
        version = carry_out(&mut ledger.db, migrations, version, &urn, by)?;
    }
    Ok(())
}

/// Lets the ledger keep a log, which can only be said of a whole file, and outside of a transaction. While others make the
/// same file, SQLite does not wait for them by itself.
fn keep_log(db: &Connection) -> Result<(), LedgerError> {
    const ATTEMPTS: usize = 500;
    const PAUSE: Duration = Duration::from_millis(10);
    for _ in 0..ATTEMPTS {
        match db.pragma_update(None, "journal_mode", "WAL").map_err(LedgerError::from) {
            Err(LedgerError::Busy) => process::pause(PAUSE),
            done => return done,
        }
    }
    Err(LedgerError::Busy)
}

/// The newest schema.
const NEWEST: u32 = 2;

/// Returns the schema of a ledger, unless a later program wrote it, or it is something else.
pub(super) fn refuse_newer(db: &Connection) -> Result<u32, LedgerError> {
    // the three are looked at in one moment: another process may be making the ledger right now
    db.execute_batch("SAVEPOINT look")?;
    let looked = look(db);
    db.execute_batch("RELEASE look")?;
    let (version, application, tables) = looked?;
    if version > NEWEST {
        return Err(LedgerError::Newer { found: version, known: NEWEST });
    }
    if application != APPLICATION && (version > 0 || tables > 0) {
        return Err(LedgerError::NotALedger { path: db.path().unwrap_or_default().into() });
    }
    Ok(version)
}

/// Refuses a ledger that was not brought up to date, because it could only be read.
pub(super) fn refuse_older(db: &Connection) -> Result<(), LedgerError> {
    match refuse_newer(db)? {
        NEWEST.. => Ok(()),
        found => Err(LedgerError::Older { found, known: NEWEST }),
    }
}

/// Reads the schema, what marks the file, and how many tables and indexes there are.
fn look(db: &Connection) -> Result<(u32, i32, u32), LedgerError> {
    let version = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let application = db.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let tables = db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok((version, application, tables))
}

/// Carries the next migration out, for a new ledger all of them, unless another process was faster; returns the schema
/// that is there now.
fn carry_out(db: &mut Connection, migrations: &[&str], from: u32, urn: &str, by: &By) -> Result<u32, LedgerError> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version = refuse_newer(&transaction)?;
    if version == from {
        // a new ledger is made at once, so that nobody finds one that is half made
        let last = if from == 0 { migrations.len() } else { from as usize + 1 };
        for migration in migrations.iter().take(last).skip(from as usize) {
            transaction.execute_batch(migration)?;
        }
        if from == 0 {
            transaction.pragma_update(None, "application_id", APPLICATION)?;
            let pairs = [("urn", urn.to_owned()), ("created", by.at.epoch().to_string())];
            for pair in pairs {
                transaction.execute("INSERT INTO ledger (key, value) VALUES (?1, ?2)", pair)?;
            }
        }
        transaction.pragma_update(None, "user_version", u32::try_from(last).unwrap_or(NEWEST))?;
    }
    let version = refuse_newer(&transaction)?;
    transaction.commit()?;
    Ok(version)
}

/// Puts a copy of the ledger beside it, named after its schema; one that is there already stays.
fn back_up(ledger: &Ledger, version: u32) -> Result<(), LedgerError> {
    let mut copy = ledger.path.clone().into_os_string();
    copy.push(format!(".schema-{version}"));
    ledger.back_up(&PathBuf::from(copy)).map(drop)
}

/// Writes 16 random bytes as a URN (RFC 9562 sections 5.4 and 4).
fn urn(mut bytes: [u8; 16]) -> String {
    use std::fmt::Write as _;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let mut urn = "urn:uuid:".to_owned();
    for (index, byte) in bytes.iter().enumerate() {
        let dash = if matches!(index, 4 | 6 | 8 | 10) { "-" } else { "" };
        // writing to a String cannot fail
        write!(urn, "{dash}{byte:02x}").ok();
    }
    urn
}

#[cfg(test)]
mod tests {
    use super::super::audit::Fix;
    use super::super::scratch::{NOW, by, ledger, random};
    use super::super::{history, token};
    use super::*;

    #[test]
    fn a_new_ledger_has_the_newest_tables_and_a_name_of_its_own() {
        let (_one_folder, one) = ledger();
        let (_other_folder, other) = ledger();
        assert_eq!(refuse_newer(&one.db).unwrap(), NEWEST);
        assert_ne!(one.urn().unwrap(), other.urn().unwrap());
        assert_eq!(one.urn().unwrap().len(), "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6".len());
    }

    #[test]
    fn a_ledger_of_a_later_program_is_left_alone() {
        let (_folder, ledger) = ledger();
        ledger.db.pragma_update(None, "user_version", 99).unwrap();
        let opened = Ledger::open(&ledger.path, random, &by(NOW));
        assert!(matches!(opened, Err(LedgerError::Newer { found: 99, .. })));
    }

    #[test]
    fn a_database_of_something_else_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("other.db");
        Connection::open(&path).unwrap().execute_batch("CREATE TABLE t (a)").unwrap();
        assert!(matches!(Ledger::open(&path, random, &by(NOW)), Err(LedgerError::NotALedger { .. })));
    }

    /// A ledger of the first schema, with a token and the record of it.
    fn first_schema() -> (tempfile::TempDir, Ledger) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.db");
        let mut ledger = Ledger { db: Connection::open(&path).unwrap(), path, random };
        migrate_by(&mut ledger, &MIGRATIONS[..1], &by(NOW)).unwrap();
        let digest = [7_u8; 32];
        let insert = "INSERT INTO token (id, digest, kind, owner, name, scopes, created)
                      VALUES ('0000000000000000000001', ?1, 'user', 'ada', 'a', 'read', ?2)";
        ledger.db.execute(insert, rusqlite::params![digest, NOW]).unwrap();
        let token = token::one(&ledger.db, "t.serial = 1", &[]).unwrap().unwrap();
        history::append_first_schema(&ledger.db, &by(NOW), token.event());
        (folder, ledger)
    }

    #[test]
    fn a_ledger_of_the_first_schema_is_brought_up_to_date_with_all_it_holds() {
        let (_folder, old) = first_schema();
        let head = old.head().unwrap();
        assert!(matches!(refuse_older(&old.db), Err(LedgerError::Older { found: 1, known: NEWEST })));
        let mut ledger = Ledger::open(&old.path, random, &by(NOW + 1)).unwrap();
        assert_eq!(refuse_newer(&ledger.db).unwrap(), NEWEST);
        assert_eq!((ledger.head().unwrap(), ledger.urn().unwrap()), (head, old.urn().unwrap()));
        assert!(ledger.audit(None, Fix::No, &by(NOW + 2)).unwrap().is_empty());
        let copy = Connection::open(old.path.with_extension("db.schema-1")).unwrap();
        assert_eq!(refuse_newer(&copy).unwrap(), 1);
        let records: i64 = copy.query_row("SELECT count(*) FROM history", [], |row| row.get(0)).unwrap();
        assert_eq!(records, 1);
    }

    #[test]
    fn migrations_are_carried_out_in_their_order_and_one_that_fails_leaves_what_was_before() {
        let (_folder, mut ledger) = first_schema();
        let version = |ledger: &Ledger| refuse_newer(&ledger.db).unwrap();
        let broken = [FIRST, "CREATE TABLE a (n INTEGER) STRICT; this is no SQL"];
        assert!(migrate_by(&mut ledger, &broken, &by(NOW)).is_err());
        assert_eq!((version(&ledger), ledger.db.prepare("SELECT n FROM a").is_err()), (1, true));
        let sound = [FIRST, "CREATE TABLE a (n INTEGER) STRICT; INSERT INTO a VALUES (1)"];
        for _ in 0..2 {
            migrate_by(&mut ledger, &sound, &by(NOW)).unwrap();
        }
        let rows: i64 = ledger.db.query_row("SELECT count(*) FROM a", [], |row| row.get(0)).unwrap();
        assert_eq!((version(&ledger), rows), (2, 1));
    }

    #[test]
    fn the_copy_before_a_migration_is_a_whole_private_ledger() {
        use std::os::unix::fs::PermissionsExt as _;
        let (_folder, ledger) = ledger();
        back_up(&ledger, 1).unwrap();
        let copy = ledger.path.with_extension("db.schema-1");
        assert_eq!(std::fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
        let opened = Connection::open(&copy).unwrap();
        assert_eq!(refuse_newer(&opened).unwrap(), NEWEST);
    }
}
