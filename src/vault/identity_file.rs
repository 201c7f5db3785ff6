//! Identity files when the vault's key changes: the new key stands behind the old one until the vault has changed, too, so
//! that at every moment one of the two opens what is there.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::VaultError;
use super::plugin;
use super::sealing::Identity;
use super::unlock::LARGEST_IDENTITY;
use crate::host::files::{self, Access, fault};
use crate::host::machine;

/// Tells whether a file holds an identity; one that is not there holds none.
pub(super) fn holds(path: &Path, identity: &Identity) -> Result<bool, VaultError> {
    Ok(read(path)?.is_some_and(|text| text.lines().any(|line| is_of(line, identity))))
}

/// Writes an identity behind another one, or as the first one into a file that has none.
pub(super) fn add(path: &Path, new: &Identity, behind: &Identity) -> Result<(), VaultError> {
    let text = read(path)?.unwrap_or_default();
    let lines = Zeroizing::new(format!("{}{}\n{}\n", PUBLIC_KEY, new.recipient(), new.text().as_str()));
    let mut changed = Zeroizing::new(String::with_capacity(text.len() + lines.len() + 1));
    let mut is_in = false;
    for line in text.lines() {
        changed.push_str(line);
        changed.push('\n');
        if is_of(line, behind) && !is_in {
            changed.push_str(&lines);
            is_in = true;
        }
    }
    if !is_in {
        let is_identity =
            |line: &str| Identity::parse(line.trim()).is_some() || plugin::of_identity(line.trim()).is_some();
        if text.lines().any(is_identity) {
            return Err(VaultError::OtherIdentities { path: path.to_owned() });
        }
        changed.push_str(&lines);
    }
    replace(path, &changed)
}

/// Removes the identities that have lost, and the comments that belong to them.
pub(super) fn remove(path: &Path, has_lost: impl Fn(&Identity) -> bool) -> Result<(), VaultError> {
    let Some(text) = read(path)? else { return Ok(()) };
    let lost: Vec<Identity> = text.lines().filter_map(|line| Identity::parse(line.trim())).filter(has_lost).collect();
    if lost.is_empty() {
        return Ok(());
    }
    let comments: Vec<String> = lost.iter().map(|identity| format!("{PUBLIC_KEY}{}", identity.recipient())).collect();
    let mut changed = Zeroizing::new(String::with_capacity(text.len()));
    for line in text.lines() {
        if !comments.iter().any(|comment| comment == line) && !lost.iter().any(|identity| is_of(line, identity)) {
            changed.push_str(line);
            changed.push('\n');
        }
    }
    if changed.is_empty() {
        // it was made for an identity that never opened anything
        return std::fs::remove_file(path).map_err(|error| fault("remove", path)(error).into());
    }
    replace(path, &changed)
}

/// How `age-keygen` writes the recipient into an identity file.
const PUBLIC_KEY: &str = "# public key: ";

/// Tells whether a line is a certain identity.
fn is_of(line: &str, identity: &Identity) -> bool {
    line.trim() == identity.text().as_str()
}

/// Reads an identity file; none if it is not there.
fn read(path: &Path) -> Result<Option<Zeroizing<String>>, VaultError> {
    let source = |fault| VaultError::Source { name: path.display().to_string(), fault, slots: Vec::new() };
    match files::read(path, Access::Credential, LARGEST_IDENTITY) {
        Ok(bytes) => String::from_utf8(bytes)
            .map(|text| Some(Zeroizing::new(text)))
            .map_err(|_| VaultError::NoIdentity { source_name: path.display().to_string() }),
        Err(fault) if fault.is_missing() => Ok(None),
        Err(fault) => Err(source(fault)),
    }
}

/// Returns the mode for a file that takes the place of another one. It belongs to us: a group may read along only where root
/// is the owner, and one that root gave us to read would be refused as our own.
const fn mode_of_successor(mode: u32, user: u32) -> u32 {
    if user == 0 { mode & 0o777 } else { mode & 0o700 }
}

/// Replaces an identity file behind any symbolic link, with the mode that it has as far as it may.
fn replace(path: &Path, text: &str) -> Result<(), VaultError> {
    let path: PathBuf = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mode = std::fs::metadata(&path).map_or(0o600, |stat| stat.permissions().mode());
    let mode = mode_of_successor(mode, machine::effective_user());
    if let Some(folder) = path.parent() {
        files::make_folder(folder)?;
    }
    Ok(files::replace(&path, text.as_bytes(), mode)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_new_identity_stands_behind_the_old_one_until_that_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("identity.txt");
        let (old, new, other) = (Identity::generate(), Identity::generate(), Identity::generate());
        let [old_line, new_line, other_line] = [&old, &new, &other].map(|identity| identity.text().as_str().to_owned());
        let (old_key, new_key) = (old.recipient(), new.recipient());
        let before = format!("# mine\n# public key: {old_key}\n{old_line}\n# theirs\n{other_line}\n");
        files::replace(&path, before.as_bytes(), 0o400).unwrap();
        add(&path, &new, &old).unwrap();
        assert!(holds(&path, &old).unwrap() && holds(&path, &new).unwrap());
        remove(&path, |identity| identity.recipient().to_string() == old_key.to_string()).unwrap();
        let after = format!("# mine\n# public key: {new_key}\n{new_line}\n# theirs\n{other_line}\n");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), after);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o400);
    }

    #[test]
    fn a_file_of_somebody_else_is_not_added_to() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("identity.txt");
        let (old, new) = (Identity::generate(), Identity::generate());
        add(&path, &new, &old).unwrap();
        assert!(holds(&path, &new).unwrap());
        assert!(matches!(add(&path, &Identity::generate(), &old), Err(VaultError::OtherIdentities { .. })));
        remove(&path, |_| true).unwrap();
        add(&path, &new, &old).unwrap();
        assert!(holds(&path, &new).unwrap());
    }

    #[test]
    fn what_root_lets_a_group_read_becomes_a_file_for_its_new_owner_alone() {
        assert_eq!([mode_of_successor(0o100_640, 1000), mode_of_successor(0o440, 1000)], [0o600, 0o400]);
        assert_eq!(mode_of_successor(0o100_640, 0), 0o640);
    }
}
