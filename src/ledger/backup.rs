//! Copies of a whole ledger. A copy of its file alone lacks what stands in the log yet.

use std::io;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};
use rustix::fs::OFlags;

use super::{Ledger, LedgerError};
use crate::host::files::{self, Published};

impl Ledger {
    /// Copies the ledger into a new file as it is at one moment, whatever others write meanwhile.
    pub(crate) fn back_up(&self, to: &Path) -> Result<Published, LedgerError> {
        // before anything is copied for nothing, and into a folder that holds no copies, like /dev
        let Some(name) = to.file_name().filter(|_| to.symlink_metadata().is_err()) else {
            return Ok(Published::NameTaken);
        };
        let new = to.with_file_name(files::successor(name));
        let published = copy(&self.db, &new).and_then(|()| Ok(files::publish(&new, to)?));
        if matches!(published, Ok(Published::Yes)) {
            files::sync_folder(files::folder_of(to))?;
        } else {
            // it is half a copy, or one too many
            drop(std::fs::remove_file(&new));
        }
        published
    }
}

/// Copies a database into a file that is made or emptied for it, and waits until that rests on the disk.
fn copy(db: &Connection, to: &Path) -> Result<(), LedgerError> {
    let nameless = || files::fault("write", to)(io::Error::other("its name is not UTF-8"));
    let name = to.to_str().ok_or_else(nameless)?;
    drop(files::open_private(to, OFlags::TRUNC)?);
    db.execute("VACUUM INTO ?1", [name])?;
    // put in the place of a ledger it keeps a log, like every other
    let copied = Connection::open_with_flags(to, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    copied.pragma_update(None, "journal_mode", "WAL")?;
    drop(copied);
    Ok(files::flush_path(to)?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::super::scratch::{NOW, by, ledger, random};
    use super::*;

    #[test]
    fn a_copy_is_a_whole_private_ledger_and_takes_no_others_place() {
        let (folder, mut ledger) = ledger();
        ledger.revoke_admin_token("j1", &by(NOW)).unwrap();
        let copy = folder.path().join("copy.db");
        // left by who was killed
        files::make(&folder.path().join(".copy.db.new"), b"half", 0o600).unwrap();
        assert_eq!(ledger.back_up(&copy).unwrap(), Published::Yes);
        let head = ledger.head().unwrap();
        ledger.revoke_admin_token("j2", &by(NOW)).unwrap();
        let beside = folder.path().join(".copy.db.new");
        files::make(&beside, b"of another one", 0o600).unwrap();
        assert_eq!(ledger.back_up(&copy).unwrap(), Published::NameTaken);
        std::fs::remove_file(&beside).unwrap();
        assert_eq!(std::fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
        let names = std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name());
        assert_eq!(names.filter(|name| name.to_string_lossy().contains("copy")).count(), 1);
        let copied = Ledger::open(&copy, random, &by(NOW)).unwrap();
        assert_eq!((copied.head().unwrap(), copied.urn().unwrap()), (head, ledger.urn().unwrap()));
        let mode: String = copied.db.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
        assert_eq!(mode, "wal");
    }
}
