//! The spent journal: digests of refresh tokens that were exchanged for newer ones, kept outside the vault.
//!
//! A backup that is restored brings an old refresh token back; presenting it would make a careful provider revoke the
//! newest one, too. A digest in this journal says: not this one.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::host::files::{self, Access, FileFault};
use crate::profile::EntryName;
use crate::secret::RefreshToken;
use crate::vault::entry::TokenSet;
use crate::vault::sealing::digest_hex;

/// How many digests stay. A token that is refreshed every ten minutes fills this in four weeks.
const KEPT: usize = 4_096;

/// The journal is rewritten only when it has grown to twice of what stays.
const LARGEST: usize = 2 * KEPT * 65 + 65;

/// Returns where the journal of an entry is.
pub(super) fn path(state: &Path, name: &EntryName) -> PathBuf {
    folder(state).join(name.as_str())
}

/// Returns where the journals are.
fn folder(state: &Path) -> PathBuf {
    state.join("spent")
}

/// Returns the line that stands for a token.
fn line_of(token: &RefreshToken) -> String {
    digest_hex(Zeroizing::new(format!("tokenkeep spent refresh token v1\0{}", token.expose())).as_bytes())
}

/// Tells whether a token was exchanged before, under this name or any other: one token may have been stored twice.
pub(super) fn contains(state: &Path, name: &EntryName, token: &RefreshToken) -> Result<bool, FileFault> {
    let line = line_of(token);
    let is_in = |text: String| text.lines().any(|spent| spent == line);
    if is_in(read(&path(state, name))?) {
        return Ok(true);
    }
    let Ok(journals) = std::fs::read_dir(folder(state)) else { return Ok(false) };
    // what cannot be read there is not a journal of ours
    Ok(journals.flatten().any(|journal| read(&journal.path()).is_ok_and(is_in)))
}

/// All that is known to be spent, read once: for those who look at many entries, and present nothing.
#[derive(Debug, Default)]
pub(crate) struct Spent(HashSet<String>);

impl Spent {
    /// Reads every journal; what cannot be read is no reason to see nothing.
    pub(crate) fn read(state: &Path) -> Self {
        let journals = std::fs::read_dir(folder(state)).into_iter().flatten().flatten();
        let texts = journals.filter_map(|journal| read(&journal.path()).ok());
        Self(texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect())
    }

    /// Tells whether the refresh token of an entry is among them.
    pub(crate) fn holds(&self, tokens: &TokenSet) -> bool {
        !self.0.is_empty() && self.0.contains(&line_of(&tokens.refresh_token))
    }
}

/// Adds the refresh token of a generation if it was exchanged for another one; a new login leaves the old one unspent.
/// The one that came of it is not spent, whatever was known of it before.
pub(super) fn note_exchange(journal: &Path, before: &TokenSet, after: &TokenSet) {
    let is_other = before.refresh_token.expose() != after.refresh_token.expose();
    // a journal that cannot be written weakens a warning about backups, and must not cost the token
    drop(forget(journal, &after.refresh_token));
    if is_other && before.login_at == after.login_at {
        drop(add(journal, &before.refresh_token));
    }
}

/// Removes a token that the provider gave, or left to us, once more.
fn forget(journal: &Path, token: &RefreshToken) -> Result<(), FileFault> {
    let (text, line) = (read(journal)?, line_of(token));
    if !text.lines().any(|spent| spent == line) {
        return Ok(());
    }
    let others: String = text.lines().filter(|spent| *spent != line).flat_map(|l| [l, "\n"]).collect();
    files::replace(journal, others.as_bytes(), 0o600)
}

/// Adds a token that was exchanged; the newest stay.
fn add(journal: &Path, token: &RefreshToken) -> Result<(), FileFault> {
    if let Some(folder) = journal.parent() {
        files::make_folder(folder)?;
    }
    let text = read(journal)?;
    let line = line_of(token);
    if text.lines().any(|spent| spent == line) {
        return Ok(());
    }
    let count = text.lines().count();
    if count < 2 * KEPT {
        let file = files::open_private(journal, rustix::fs::OFlags::APPEND)?;
        return files::write_durably(&file, format!("{line}\n").as_bytes(), journal);
    }
    let newest: String = text.lines().skip(count - KEPT + 1).chain([line.as_str()]).flat_map(|l| [l, "\n"]).collect();
    files::replace(journal, newest.as_bytes(), 0o600)
}

/// Reads a journal; one that is not there is empty.
fn read(journal: &Path) -> Result<String, FileFault> {
    match journal.parent().map(files::check_folder) {
        Some(Err(fault)) if !fault.is_missing() => return Err(fault),
        Some(_) | None => {}
    }
    match files::read(journal, Access::Private, LARGEST) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(fault) if fault.is_missing() => Ok(String::new()),
        Err(fault) => Err(fault),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_knows_what_was_spent_and_forgets_the_oldest() {
        let folder = tempfile::tempdir().unwrap();
        let journal = folder.path().join("spent/prod");
        let contains = |_: &PathBuf, token: &RefreshToken| contains(folder.path(), &"prod".parse().unwrap(), token);
        let token = |number: usize| RefreshToken::new(format!("token-{number}"));
        assert!(!contains(&journal, &token(0)).unwrap());
        add(&journal, &token(0)).unwrap();
        add(&journal, &token(0)).unwrap();
        assert!(contains(&journal, &token(0)).unwrap());
        let lines: String = (1..2 * KEPT).map(|number| line_of(&token(number)) + "\n").collect();
        let text = std::fs::read_to_string(&journal).unwrap() + &lines;
        files::replace(&journal, text.as_bytes(), 0o600).unwrap();
        add(&journal, &token(99_999)).unwrap();
        assert!(!contains(&journal, &token(0)).unwrap());
        assert!(contains(&journal, &token(2 * KEPT - 1)).unwrap());
        assert!(contains(&journal, &token(99_999)).unwrap());
        forget(&journal, &token(99_999)).unwrap();
        assert!(!contains(&journal, &token(99_999)).unwrap());
        add(&journal, &token(99_999)).unwrap();
        assert_eq!(std::fs::read_to_string(&journal).unwrap().lines().count(), KEPT);
        assert!(super::contains(folder.path(), &"other".parse().unwrap(), &token(99_999)).unwrap());
    }
}
