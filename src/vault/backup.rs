//! Backups: a copy of the vault's folder as it was at one moment, without its key and without locks.
//!
//! It is taken under the locks of the header and of each entry, so that no rotation and no exchange comes between.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::filing::is_ours;
use super::header::{self, Header};
use super::shelf::Shelf;
use super::{VaultError, lock_header, rotation, slots};
use crate::host::files::{self, Access};
use crate::token::time::Timestamp;

/// The files of a vault: their paths below its folder, and what they hold. The header is the last one: a copy without it
/// is not a whole one.
pub(crate) struct Backup {
    /// The files.
    files: Vec<(PathBuf, Vec<u8>)>,
    /// How many entries there are.
    pub(crate) entries: usize,
}

impl Backup {
    /// Reads the files of a vault, which need not be open.
    pub(crate) fn take(vault: &Path, patience: Duration) -> Result<Self, VaultError> {
        // where there is no vault, no lock is made
        Header::read(vault)?;
        let _lock = lock_header(vault)?;
        let header = Header::read(vault)?;
        let shelf = Shelf::of(vault);
        let (mut files, mut entries) = (Vec::new(), 0);
        for name in shelf.held()? {
            let lock = shelf.lock(&name, patience)?;
            rotation::refuse_in_keyring(&shelf, &name)?;
            let (below, before) = (Path::new("entries").join(name.as_str()), files.len());
            for file in files::list(&lock.folder())? {
                if file.to_str().is_some_and(is_ours) {
                    files.push(read(vault, below.join(file))?);
                }
            }
            entries += usize::from(files.len() > before);
        }
        for slot in &header.slots {
            files.push((slots::below(&slot.name), slots::read(vault, slot)?));
        }
        let above = Path::new("");
        files.push(read(vault, header::path(above))?);
        Ok(Self { files, entries })
    }

    /// Writes the files into a new folder.
    pub(crate) fn write_folder(&self, to: &Path) -> Result<(), VaultError> {
        for folder in ["entries", "slots"] {
            files::make_folder(&to.join(folder))?;
        }
        for (path, bytes) in &self.files {
            let path = to.join(path);
            if let Some(folder) = path.parent() {
                files::make_folder(folder)?;
            }
            files::replace(&path, bytes, 0o600)?;
        }
        Ok(())
    }

    /// Returns the files as an archive that `tar xf` unpacks into the folder `vault` (POSIX.1-1988, ustar).
    pub(crate) fn archive(&self, now: Timestamp) -> Vec<u8> {
        let top = Path::new("vault");
        let mut folders = vec![top.to_owned(), top.join("entries"), top.join("slots")];
        let mut archive = Vec::new();
        for (path, _) in &self.files {
            let path = top.join(path);
            if let Some(parent) = path.parent().filter(|parent| !folders.iter().any(|known| known == parent)) {
                folders.push(parent.to_owned());
            }
        }
        for folder in &folders {
            archive.extend_from_slice(&record(folder, &Member::Folder, now));
        }
        for (path, bytes) in &self.files {
            archive.extend_from_slice(&record(&top.join(path), &Member::File { length: bytes.len() }, now));
            archive.extend_from_slice(bytes);
            archive.resize(archive.len().next_multiple_of(BLOCK), 0);
        }
        archive.resize(archive.len() + 2 * BLOCK, 0);
        archive
    }
}

/// The size of an archive's blocks.
const BLOCK: usize = 512;

/// What stands in an archive.
enum Member {
    /// A folder.
    Folder,
    /// A file.
    File {
        /// Its length in bytes.
        length: usize,
    },
}

/// Returns the header of one member of an archive.
fn record(path: &Path, member: &Member, now: Timestamp) -> [u8; BLOCK] {
    let (mode, length, kind) = match member {
        Member::Folder => (0o700, 0, b'5'),
        Member::File { length } => (0o600, *length, b'0'),
    };
    let mut record = [0; BLOCK];
    let mut put = |at: usize, text: &str| {
        if let Some(field) = record.get_mut(at..at + text.len()) {
            field.copy_from_slice(text.as_bytes());
        }
    };
    let part = |part: Option<&Path>| part.and_then(Path::to_str).unwrap_or_default().to_owned();
    put(0, &part(path.file_name().map(Path::new)));
    put(100, &format!("{mode:07o}"));
    put(108, "0000000");
    put(116, "0000000");
    put(124, &format!("{length:011o}"));
    put(136, &format!("{:011o}", now.epoch().max(0)));
    put(257, "ustar");
    put(263, "00");
    put(345, &part(path.parent()));
    record[156] = kind;
    // the sum is taken with blanks in its own place
    let sum: u32 = record.iter().map(|&byte| u32::from(byte)).sum::<u32>() + 8 * u32::from(b' ');
    let text = format!("{sum:06o}\0 ");
    if let Some(field) = record.get_mut(148..156) {
        field.copy_from_slice(text.as_bytes());
    }
    record
}

/// Reads one file of a vault.
fn read(vault: &Path, below: PathBuf) -> Result<(PathBuf, Vec<u8>), VaultError> {
    let bytes = files::read(&vault.join(&below), Access::Private, super::sealing::LARGEST_FILE)?;
    Ok((below, bytes))
}
