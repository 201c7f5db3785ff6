//! Opening: where the ledger lies, who may write there, and how SQLite is set so that many processes share it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use rustix::fs::OFlags;

use super::{By, Ledger, LedgerError, Random, schema};
use crate::host::files;
use crate::host::machine;

/// The oldest SQLite that may be linked: before 3.51.3 a reset of the write-ahead log could lose what was committed.
const OLDEST_SQLITE: i32 = 3_051_003;

/// How long a writer waits for the others. A transaction takes milliseconds, so this is hundreds of them in a queue.
const PATIENCE: Duration = Duration::from_secs(30);

/// A log that is longer goes back into the database: whoever opens first after a pause must read all of it.
const LONGEST_LOG: u64 = 1024 * 1024;

impl Ledger {
    /// Opens the ledger for reading and writing, and makes it if there is none.
    pub(crate) fn open(path: &Path, random: Random, by: &By) -> Result<Self, LedgerError> {
        if let Some(folder) = path.parent() {
            files::make_folder(folder)?;
        }
        refuse_unsuitable(path)?;
        if !path.exists() {
            drop(files::open_private(path, OFlags::empty())?);
        }
        let path = &settled(path);
        let made = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE).and_then(|db| {
            let mut ledger = Self { db, path: path.to_owned(), random };
            schema::migrate(&mut ledger, by)?;
            Ok(ledger)
        });
        made.map_err(|error| match error {
            LedgerError::Database(fault) if fault.is(ErrorCode::NotADatabase) => {
                LedgerError::NotALedger { path: path.to_owned() }
            }
            error => error,
        })
    }

    /// Opens a ledger that is there: for writing too where that is possible, else for reading alone.
    pub(crate) fn open_existing(path: &Path, random: Random, by: &By) -> Result<Self, LedgerError> {
        // a file that is there and empty is one that is being made
        if !std::fs::metadata(path).is_ok_and(|file| file.len() > 0) {
            return Err(LedgerError::Missing { path: path.to_owned() });
        }
        match Self::open(path, random, by) {
            Err(LedgerError::ReadOnly(_) | LedgerError::File(_)) => Self::open_reading(path, random),
            Err(LedgerError::Database(fault)) if fault.is(ErrorCode::CannotOpen) => Self::open_reading(path, random),
            opened => opened,
        }
    }

    /// Opens a ledger that this process cannot write. Where there is no log, and none can be made, nobody is writing.
    fn open_reading(path: &Path, random: Random) -> Result<Self, LedgerError> {
        refuse_unsuitable(path)?;
        let path = &settled(path);
        let db = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY).and_then(|db| {
            schema::refuse_newer(&db)?;
            Ok(db)
        });
        let db = match db {
            Err(LedgerError::ReadOnly(_) | LedgerError::Database(_)) if !log_of(path).exists() => {
                let db = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI)?;
                schema::refuse_newer(&db)?;
                db
            }
            db => db?,
        };
        Ok(Self { db, path: path.to_owned(), random })
    }

    /// Waits only so long for other writers.
    pub(super) fn patient_for(&self, patience: Duration) -> Result<(), LedgerError> {
        Ok(self.db.busy_timeout(patience)?)
    }

    /// Waits for other writers as every writer does.
    pub(super) fn patient_again(&self) -> Result<(), LedgerError> {
        self.patient_for(PATIENCE)
    }

    /// Puts a long log back into the database and empties it. SQLite would do the first by itself, but never the second
    /// where each process writes once: the next one does not know what was put back, and the log would grow for ever.
    pub(super) fn fold_log(&self) {
        if !std::fs::metadata(log_of(&self.path)).is_ok_and(|log| log.len() > LONGEST_LOG) {
            return;
        }
        let fold = || {
            // others who read or write at this moment are not waited for: the next writer tries again
            self.db.busy_timeout(Duration::ZERO)?;
            let folded = self.db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
            // whatever came of it: what this process writes next waits for its turn again
            self.db.busy_timeout(PATIENCE).and(folded)
        };
        if let Err(error) = fold() {
            tracing::warn!(%error, "the ledger's log stays long");
        }
    }
}

/// Returns the files of a ledger: the database, and what SQLite keeps beside it.
pub(crate) fn files_of(path: &Path) -> [PathBuf; 3] {
    let path = settled(path);
    let mut index = path.as_os_str().to_owned();
    index.push("-shm");
    [log_of(&path), index.into(), path]
}

/// Follows links to where the file is: there SQLite keeps its log.
fn settled(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// Returns where SQLite keeps the log of a database.
fn log_of(path: &Path) -> PathBuf {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    log.into()
}

/// Refuses a place where locks do not hold, or where everybody could write.
fn refuse_unsuitable(path: &Path) -> Result<(), LedgerError> {
    #[expect(clippy::expect_used, reason = "the version is that of the C library that this program was built with")]
    Some(()).filter(|()| rusqlite::version_number() >= OLDEST_SQLITE).expect("SQLite is 3.51.3 or newer");
    // a link may lead from a good folder to a bad one, and the file lies in the latter
    let file = settled(path);
    let [folder, files_folder] = [path, &file].map(|path| path.parent().unwrap_or(path));
    if machine::is_on_network(files_folder) || machine::is_on_network(folder) {
        return Err(LedgerError::OnNetwork { path: path.to_owned() });
    }
    for place in [folder, files_folder, path] {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(place).map_or(0, |found| found.permissions().mode());
        let path = place.to_owned();
        match mode & 0o1002 {
            0o0002 => return Err(LedgerError::OpenToAll { path }),
            // to take that right away would be bad advice
            0o1002 => return Err(LedgerError::AmongAll { path }),
            _ => {}
        }
    }
    Ok(())
}

/// Connects to the database and sets what a connection forgets.
fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, LedgerError> {
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = if flags.contains(OpenFlags::SQLITE_OPEN_URI) {
        Connection::open_with_flags(immutable(path), flags)?
    } else {
        Connection::open_with_flags(path, flags)?
    };
    db.busy_timeout(PATIENCE)?;
    // the last process to leave must not keep the next ones waiting, nor take the log away from those who can only read
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    db.pragma_update(None, "foreign_keys", true)?;
    if !flags.contains(OpenFlags::SQLITE_OPEN_READ_ONLY) {
        db.pragma_update(None, "synchronous", "FULL")?;
        db.pragma_update(None, "wal_autocheckpoint", 0)?;
    }
    Ok(db)
}

/// Writes the path as a URI that says that nobody changes the file (SQLite, "Uniform Resource Identifiers").
fn immutable(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt as _;
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-".contains(byte);
    let escape = |byte: &u8| if plain(byte) { char::from(*byte).to_string() } else { format!("%{byte:02x}") };
    let path: String = path.as_os_str().as_bytes().iter().map(escape).collect();
    format!("file:{path}?immutable=1")
}

#[cfg(test)]
mod tests {
    use super::super::scratch::{NOW, by, ledger, random};
    use super::*;

    #[test]
    fn the_log_of_many_processes_that_write_once_stays_short() {
        let (_folder, ledger) = ledger();
        let path = ledger.path.clone();
        drop(ledger);
        let mut longest = 0;
        for number in 0..200 {
            let mut ledger = Ledger::open(&path, random, &by(NOW)).unwrap();
            ledger.revoke_admin_token(&format!("j{number}"), &by(NOW)).unwrap();
            longest = longest.max(std::fs::metadata(log_of(&path)).unwrap().len());
        }
        assert!(longest > 0 && longest < 2 * LONGEST_LOG, "{longest} bytes");
    }

    /// A link to a ledger, in a folder of its own.
    fn link_to(path: &Path, folder: &Path) -> PathBuf {
        let link = folder.join("linked.sqlite");
        std::os::unix::fs::symlink(path, &link).unwrap();
        link
    }

    #[test]
    fn a_link_has_the_log_of_the_file_that_it_leads_to() {
        let (folder, mut ledger) = ledger();
        ledger.revoke_admin_token("j1", &by(NOW)).unwrap();
        let link = link_to(&ledger.path, folder.path());
        assert!(log_of(&ledger.path).exists());
        for opened in [Ledger::open(&link, random, &by(NOW)), Ledger::open_reading(&link, random)] {
            assert!(log_of(&opened.unwrap().path).exists());
        }
    }

    #[test]
    fn nobody_is_told_to_close_a_folder_that_is_there_for_all() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o1777)).unwrap();
        let opened = Ledger::open(&folder.path().join("ledger.db"), random, &by(NOW));
        assert!(matches!(opened, Err(LedgerError::AmongAll { path }) if path == folder.path()));
    }

    #[test]
    fn a_link_is_as_unsuitable_as_the_folder_that_it_leads_to() {
        use std::os::unix::fs::PermissionsExt as _;
        let (_folder, ledger) = ledger();
        let elsewhere = tempfile::tempdir().unwrap();
        let link = link_to(&ledger.path, elsewhere.path());
        let folder = ledger.path.parent().unwrap();
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o777)).unwrap();
        let opened = Ledger::open_existing(&link, random, &by(NOW));
        assert!(matches!(opened, Err(LedgerError::OpenToAll { path }) if path == folder));
    }
}
