//! Refusals when the vault's key changes: what a note says of issuer, client and secret is coded by a key of the vault, and
//! must not look like another profile afterwards.

use super::note::{Event, Note, Refused};
use super::{Keeper, destination};
use crate::profile::{EntryName, Profile};
use crate::vault::publication::EntryLock;

impl Keeper<'_> {
    /// Returns the note of an entry's refusal, if that still holds for its profile.
    pub(crate) fn refusal(&self, name: &EntryName, profile: Option<&Profile>, lock: &EntryLock) -> Option<Note> {
        let (generation, fingerprint) = self.present_fingerprint(name, profile)?;
        let note = Note::read(&lock.file, generation).ok().flatten()?;
        let holds = matches!(&note.event, Event::Refused(refused) if refused.fingerprint == fingerprint);
        Some(note).filter(|_| holds)
    }

    /// Writes the note of a refusal that held before, coded by the key of this vault.
    pub(crate) fn renew_refusal(&self, name: &EntryName, profile: Option<&Profile>, (note, lock): (Note, &EntryLock)) {
        let Some((_, fingerprint)) = self.present_fingerprint(name, profile) else { return };
        let Event::Refused(refused) = note.event else { return };
        let event = Event::Refused(Refused { fingerprint, ..refused });
        // without the note the token is presented once more, and refused once more
        drop(Note::write(Some(&Note { event, ..note }), &lock.file));
    }

    /// Returns the newest generation of a login, and the code of its issuer, client and secret.
    fn present_fingerprint(&self, name: &EntryName, profile: Option<&Profile>) -> Option<(u64, String)> {
        let entry = self.vault.newest(name).ok().flatten()?;
        let born = destination(name, &entry.body.tokens()?.born, profile).ok()?;
        let secret = self.client_secret(name, &born).ok()?;
        Some((entry.generation, self.fingerprint(&born, secret.as_ref())))
    }
}
