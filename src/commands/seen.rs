//! What can be seen of entries without asking a provider or a person: shared by `list`, `show` and `status`.

use serde_json::{Value, json};

use super::Context;
use super::issued::is_issue_key;
use crate::error::Failure;
use crate::keeper::dies_at;
use crate::keeper::note::Note;
use crate::keeper::standing::{self, Standing};
use crate::output::put_time;
use crate::profile::{EntryName, Profile};
use crate::token::time::{Lifetime, Timestamp};
use crate::vault::entry::{Body, Entry};
use crate::vault::keyring::DesktopFault;
use crate::vault::{Vault, VaultError};

/// An entry as it looks from outside.
pub(crate) struct Seen {
    /// Its name.
    pub(crate) name: EntryName,
    /// The profile that goes with it, if there is one that can be used.
    pub(crate) profile: Option<Profile>,
    /// What was found.
    pub(crate) found: Found,
}

/// What was found under a name.
pub(crate) enum Found {
    /// Nothing can be read: the vault is locked.
    Locked,
    /// It rests in a keyring that does not let anybody look now.
    Closed(DesktopFault),
    /// It does not open.
    Damaged(VaultError),
    /// The newest generation.
    Open(Box<Opened>),
}

/// The newest generation of an entry, and how it stands.
pub(crate) struct Opened {
    /// The generation.
    pub(crate) entry: Entry,
    /// What the last holder of the lock noted about it.
    pub(crate) note: Option<Note>,
    /// How it stands.
    pub(crate) standing: Standing,
}

/// Looks at an entry; `None` if it has gone meanwhile.
pub(crate) fn look(cx: &Context, vault: Option<&Vault>, name: &EntryName) -> Result<Option<Seen>, Failure> {
    let (settings, spent) = (cx.settings()?, cx.spent()?);
    // a profile that lacks a parameter still lets its entry be seen
    let profile = settings.profile(&name.profile()).ok();
    let found = match vault.map(|vault| (vault, vault.newest(name))) {
        None => Found::Locked,
        Some((_, Err(VaultError::Desktop { fault, .. }))) if fault.is_about_asking() => Found::Closed(fault),
        Some((_, Err(error))) => Found::Damaged(error),
        Some((_, Ok(None))) => return Ok(None),
        Some((vault, Ok(Some(entry)))) => {
            // a note that cannot be read is no reason to hide the entry
            let note = standing::noted(&vault.shelf(), name, entry.generation).unwrap_or(None);
            let wanted = (profile.as_ref(), settings.min_ttl(None));
            let standing = standing::standing(&entry.body, (note.as_ref(), spent), wanted, cx.now());
            Found::Open(Box::new(Opened { entry, note, standing }))
        }
    };
    Ok(Some(Seen { name: name.clone(), profile, found }))
}

impl Seen {
    /// Returns the word for how the entry stands; none if nobody can look.
    pub(crate) fn state(&self) -> Option<&'static str> {
        match &self.found {
            Found::Locked | Found::Closed(_) => None,
            Found::Damaged(_) => Some("damaged"),
            Found::Open(opened) => Some(opened.standing.name()),
        }
    }

    /// Returns what is wrong with an entry that does not open.
    pub(crate) fn damage(&self) -> Option<String> {
        match &self.found {
            Found::Damaged(error) => {
                let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
                Some(format!("{error}{}", cause.unwrap_or_default()))
            }
            Found::Locked | Found::Closed(_) | Found::Open(_) => None,
        }
    }

    /// Returns why the keyring that an entry rests in does not let anybody look.
    pub(crate) const fn closed(&self) -> Option<&DesktopFault> {
        if let Found::Closed(fault) = &self.found { Some(fault) } else { None }
    }

    /// Returns the newest generation, if it opens.
    pub(crate) fn opened(&self) -> Option<&Opened> {
        match &self.found {
            Found::Open(opened) => Some(opened),
            Found::Locked | Found::Closed(_) | Found::Damaged(_) => None,
        }
    }

    /// Returns the user; nobody says more than the name while the vault is locked.
    pub(crate) fn user(&self) -> Option<&str> {
        match &self.found {
            Found::Locked | Found::Closed(_) => None,
            Found::Damaged(_) | Found::Open(_) => self.name.user(),
        }
    }

    /// Returns the word for what it holds, if it opens.
    pub(crate) fn kind(&self) -> Option<&'static str> {
        match &self.opened()?.entry.body {
            Body::Secret(_) if is_issue_key(&self.name) => Some("issue-key"),
            body => Some(body.kind()),
        }
    }

    /// Returns how much life the access token has left.
    pub(crate) fn access_left(&self, now: Timestamp) -> Option<Lifetime> {
        match &self.opened()?.entry.body {
            Body::RefreshToken(tokens) => {
                standing::plain_token(tokens, self.profile.as_ref()).map(|token| token.left(now))
            }
            Body::AccessToken(fixed) => fixed.expires_at.map(|end| end.since(now)),
            Body::ClientSecret(_) | Body::AdminKey(_) | Body::Secret(_) => None,
        }
    }

    /// Returns when the access token ends.
    pub(crate) fn access_expires_at(&self) -> Option<Timestamp> {
        match &self.opened()?.entry.body {
            Body::RefreshToken(tokens) => {
                standing::plain_token(tokens, self.profile.as_ref()).map(|token| token.expires_at)
            }
            Body::AccessToken(fixed) => fixed.expires_at,
            Body::ClientSecret(_) | Body::AdminKey(_) | Body::Secret(_) => None,
        }
    }

    /// Returns when the entry is of no use any more, as far as that is known.
    pub(crate) fn dies_at(&self) -> Option<Timestamp> {
        match &self.opened()?.entry.body {
            Body::RefreshToken(tokens) => {
                dies_at(tokens, self.profile.as_ref().and_then(|profile| profile.offline_idle))
            }
            Body::AccessToken(fixed) => fixed.expires_at,
            Body::ClientSecret(stored) | Body::AdminKey(stored) | Body::Secret(stored) => stored.expires_at,
        }
    }

    /// Returns what `list` and `show` say to programs; there is nothing secret in it.
    pub(crate) fn json(&self, now: Timestamp) -> Value {
        let opened = self.opened();
        let tokens = opened.and_then(|opened| opened.entry.body.tokens());
        let has_profile = tokens.is_some() || (opened.is_some() && self.profile.is_some());
        let (refused_at, retry_at) = match opened.map(|opened| &opened.standing) {
            Some(Standing::Refused { refused, retry_at }) => (Some(refused.at), Some(*retry_at)),
            Some(Standing::Unavailable { retry_at, .. }) => (None, Some(*retry_at)),
            Some(
                Standing::Good
                | Standing::Due
                | Standing::Refreshing
                | Standing::ResponseLost { .. }
                | Standing::Spent
                | Standing::Moved
                | Standing::Unusable
                | Standing::Expired { .. }
                | Standing::Unknown,
            )
            | None => (None, None),
        };
        let mut object = json!({
            "name": self.name,
            "profile": has_profile.then(|| self.name.profile()),
            "kind": self.kind(),
            "user": self.user(),
            "issuer": tokens.map(|tokens| &tokens.born.issuer),
            "generation": opened.map(|opened| opened.entry.generation),
            "access_left_seconds": self.access_left(now).map(Lifetime::as_seconds),
            "state": self.state(),
        });
        put_time(&mut object, "access_expires", self.access_expires_at());
        put_time(&mut object, "dies", self.dies_at());
        put_time(&mut object, "refused", refused_at);
        put_time(&mut object, "retry", retry_at);
        object
    }
}
