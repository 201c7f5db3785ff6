//! Answers that whoever held the lock could not publish: who holds it next publishes them, or puts them aside.

use super::note::Note;
use super::{Keeper, KeeperError, LOCK_PATIENCE, spent};
use crate::profile::EntryName;
use crate::vault::VaultError;
use crate::vault::entry::{Body, Entry, TokenSet};
use crate::vault::publication::EntryLock;

/// What a dead holder of the lock had left behind.
pub(crate) enum Adopted {
    /// Nothing that follows the newest generation.
    Nothing,
    /// The tokens of a login.
    Login(Box<TokenSet>),
    /// The tokens of a refresh, or what was being stored.
    Other,
}

impl Keeper<'_> {
    /// Publishes an answer that a dead holder of the lock left behind, if it follows the newest generation. Where the keyring
    /// holds no generation, nobody can tell: then the answer stays where it is.
    pub(crate) fn adopt_unpublished(&self, name: &EntryName, lock: &EntryLock) -> Result<Adopted, KeeperError> {
        if lock.unpublished().map_err(VaultError::from)?.is_some() {
            self.vault.refuse_lost(name)?;
        }
        self.adopt_or_put_aside(name, lock)
    }

    /// The same for who is about to replace the entry: what follows no generation that is there makes room.
    pub(crate) fn adopt_or_put_aside(&self, name: &EntryName, lock: &EntryLock) -> Result<Adopted, KeeperError> {
        let Some(file) = lock.unpublished().map_err(VaultError::from)? else { return Ok(Adopted::Nothing) };
        let newest = self.vault.shelf().generations(name)?.first().copied();
        // one that was published by who died before it could say so is adopted all the same
        let published = if lock.is_newest(&file)? { newest } else { None };
        let next = published.unwrap_or_else(|| newest.map_or(1, |newest| newest.saturating_add(1)));
        let Ok(answer) = self.vault.unseal(name, next, &file) else {
            lock.put_aside(self.now().epoch()).map_err(VaultError::from)?;
            return Ok(Adopted::Nothing);
        };
        // one that does not open is followed all the same: the answer is the better one
        let before = match published {
            Some(published) => self.vault.generation_before(name, published),
            None => self.vault.newest(name).ok().flatten(),
        };
        if let Err(fault) = lock.publish_left(next)
            && lock.awaits_publication()
        {
            return Err(fault.into());
        }
        let before = before.as_ref().and_then(|entry| entry.body.tokens());
        let is_login = |after: &TokenSet| before.is_none_or(|before| before.login_at != after.login_at);
        if let (Some(before), Some(after)) = (before, answer.body.tokens()) {
            spent::note_exchange(&spent::path(self.state, name), before, after);
        }
        // the note is void for the new generation; a backup that is restored must not find it
        drop(Note::write(None, &lock.file));
        lock.prune(next);
        Ok(match answer.body {
            Body::RefreshToken(tokens) if is_login(&tokens) => Adopted::Login(Box::new(tokens)),
            Body::RefreshToken(_)
            | Body::AccessToken(_)
            | Body::ClientSecret(_)
            | Body::AdminKey(_)
            | Body::Secret(_) => Adopted::Other,
        })
    }

    /// Publishes a first login whose answer could not be published, if there is one.
    pub(super) fn first_login(&self, name: &EntryName) -> Result<Option<Entry>, KeeperError> {
        // a lock would make the folder of an entry that nobody has logged in to
        let shelf = self.vault.shelf();
        // a copy that was put back has no locks
        if !shelf.lock_path(name).exists() && !shelf.awaits_publication(name) {
            return Ok(None);
        }
        let lock = self.vault.lock(name, LOCK_PATIENCE)?;
        self.adopt_unpublished(name, &lock)?;
        Ok(self.vault.newest(name)?)
    }
}
