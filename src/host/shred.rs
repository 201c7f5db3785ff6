//! Old plaintext: a file that is read, and destroyed once something better holds what it said.
//!
//! Overwriting reaches the blocks that a plain disk keeps a file in. Flash, copy-on-write file systems, snapshots and
//! backups keep copies that nobody can overwrite: [`HONESTLY`] is what people are told.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use zeroize::Zeroizing;

use super::files::{self, FileFault};

/// What is true of every shredded file.
pub(crate) const HONESTLY: &str = "overwritten and removed; flash disks, copy-on-write file systems, snapshots and \
     backups may still keep a copy, and only ending the token at its provider makes that one worthless";

/// A file as it was read.
pub(crate) struct Plaintext {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// What it said.
    bytes: Zeroizing<Vec<u8>>,
    /// Which file it was: device and number.
    file: (u64, u64),
}

/// Why a file stays as it is.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ShredFault {
    /// It has another name, which somebody else may need.
    #[error("{} has {} names (hard links), and the others would lose their content", path.display(), count)]
    HardLinked {
        /// The file.
        path: PathBuf,
        /// How many names it has.
        count: u64,
    },
    /// It is not what was read.
    #[error("{} was changed since it was read", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// There is nothing to overwrite it with.
    #[error("the system gives no random bytes")]
    NoRandomness(#[source] io::Error),
    /// It is no file of ours, or cannot be written.
    #[error(transparent)]
    File(#[from] FileFault),
}

impl Plaintext {
    /// Reads a file of at most `limit` bytes, whatever its mode; a pipe may be read, but not shredded.
    pub(crate) fn read(path: &Path, limit: u64) -> Result<Self, FileFault> {
        use std::os::unix::fs::MetadataExt as _;
        let file = File::open(path).map_err(files::fault("open", path))?;
        let found = file.metadata().map_err(files::fault("look at", path))?;
        if found.is_dir() {
            return Err(FileFault::WrongKind { path: path.to_owned(), expected: "a file" });
        }
        let bytes = read_limited(&file, limit).map_err(files::fault("read", path))?;
        Ok(Self { path: path.to_owned(), bytes, file: (found.dev(), found.ino()) })
    }

    /// Returns what it said.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Overwrites the file with random bytes, waits until they rest on the disk, and removes it. What is not the file that
    /// was read, has other names, or is a link, stays.
    pub(crate) fn shred(&self, random: fn(&mut [u8]) -> io::Result<()>) -> Result<(), ShredFault> {
        let path = self.path.as_path();
        let file = self.reopen()?;
        let changed = || ShredFault::Changed { path: path.to_owned() };
        let now = read_limited(&file, self.bytes.len() as u64).map_err(|_| changed())?;
        if *now != *self.bytes {
            return Err(changed());
        }
        let mut noise = vec![0; self.bytes.len()];
        random(&mut noise).map_err(ShredFault::NoRandomness)?;
        (&file).rewind().and_then(|()| (&file).write_all(&noise)).map_err(files::fault("overwrite", path))?;
        files::flush(&file, path)?;
        self.require_same_name()?;
        std::fs::remove_file(path).map_err(files::fault("remove", path))?;
        Ok(files::sync_folder(path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new(".")))?)
    }

    /// Opens the file for writing, if it is the one that was read, ours, and has one name.
    fn reopen(&self) -> Result<File, ShredFault> {
        let path = self.path.as_path();
        let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| match errno {
            Errno::LOOP => FileFault::Symlink { path: path.to_owned() },
            errno => files::fault("write", path)(errno),
        })?;
        let stat = rustix::fs::fstat(&file).map_err(files::fault("look at", path))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(FileFault::WrongKind { path: path.to_owned(), expected: "a regular file" }.into());
        }
        if stat.st_uid != rustix::process::geteuid().as_raw() {
            return Err(FileFault::WrongOwner { path: path.to_owned(), owner: stat.st_uid }.into());
        }
        if (stat.st_dev, stat.st_ino) != self.file {
            return Err(ShredFault::Changed { path: path.to_owned() });
        }
        #[expect(clippy::useless_conversion, reason = "the field's type differs from machine to machine")]
        let count = u64::from(stat.st_nlink);
        if count != 1 {
            return Err(ShredFault::HardLinked { path: path.to_owned(), count });
        }
        Ok(File::from(file))
    }

    /// Makes sure that the name still is the file's, so that nobody else's file is removed.
    fn require_same_name(&self) -> Result<(), ShredFault> {
        let found = rustix::fs::lstat(&self.path).map_err(files::fault("look at", &self.path))?;
        let is_same = (found.st_dev, found.st_ino) == self.file;
        if is_same { Ok(()) } else { Err(ShredFault::Changed { path: self.path.clone() }) }
    }
}

/// Reads to the end, if that is not too far away; into memory that never moves.
fn read_limited(file: &File, limit: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(limit).unwrap_or(0) + 1));
    file.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::other(format!("it is larger than {limit} bytes")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// Fills with what can be recognised.
    #[expect(clippy::unnecessary_wraps, reason = "the form of a host's randomness")]
    fn noise(buffer: &mut [u8]) -> io::Result<()> {
        buffer.fill(b'#');
        Ok(())
    }

    /// A new file with a text in it.
    fn write(path: &Path, text: &str) {
        files::make(path, text.as_bytes(), 0o600).unwrap();
    }

    /// A file with a token in it, as it was read.
    fn token_file(folder: &Path) -> Plaintext {
        let path = folder.join("token");
        write(&path, "canary-4711");
        Plaintext::read(&path, 100).unwrap()
    }

    #[test]
    fn what_is_shredded_is_overwritten_before_its_name_goes() {
        let folder = tempfile::tempdir().unwrap();
        let plaintext = token_file(folder.path());
        let mut open = File::open(&plaintext.path).unwrap();
        plaintext.shred(noise).unwrap();
        assert!(!plaintext.path.exists());
        let mut seen = String::new();
        open.read_to_string(&mut seen).unwrap();
        assert_eq!(seen, "###########");
    }

    #[test]
    fn a_file_with_two_names_stays() {
        let folder = tempfile::tempdir().unwrap();
        let plaintext = token_file(folder.path());
        std::fs::hard_link(&plaintext.path, folder.path().join("other")).unwrap();
        assert!(matches!(plaintext.shred(noise), Err(ShredFault::HardLinked { count: 2, .. })));
        assert_eq!(std::fs::read(&plaintext.path).unwrap(), b"canary-4711");
    }

    #[test]
    fn a_link_is_read_and_not_shredded() {
        let folder = tempfile::tempdir().unwrap();
        let plaintext = token_file(folder.path());
        let link = folder.path().join("link");
        symlink(&plaintext.path, &link).unwrap();
        let linked = Plaintext::read(&link, 100).unwrap();
        assert_eq!(linked.bytes(), b"canary-4711");
        assert!(matches!(linked.shred(noise), Err(ShredFault::File(FileFault::Symlink { .. }))));
        assert!(link.exists() && plaintext.path.exists());
    }

    #[test]
    fn what_was_changed_or_replaced_since_it_was_read_stays() {
        let folder = tempfile::tempdir().unwrap();
        let plaintext = token_file(folder.path());
        let mut open = std::fs::OpenOptions::new().append(true).open(&plaintext.path).unwrap();
        open.write_all(b"!").unwrap();
        assert!(matches!(plaintext.shred(noise), Err(ShredFault::Changed { .. })));
        std::fs::rename(&plaintext.path, folder.path().join("moved")).unwrap();
        write(&plaintext.path, "canary-4711");
        assert!(matches!(plaintext.shred(noise), Err(ShredFault::Changed { .. })));
        assert_eq!(std::fs::read(&plaintext.path).unwrap(), b"canary-4711");
    }

    #[test]
    fn what_is_too_large_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = token_file(folder.path()).path;
        assert!(Plaintext::read(&path, 10).is_err() && Plaintext::read(folder.path(), 10).is_err());
    }
}
