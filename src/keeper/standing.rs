//! How an entry stands, as far as that can be told without asking anybody: for those who look.

use std::io;

use super::note::{Event, Note, Refused};
use super::spent::Spent;
use super::{dies_at, moved, plain_request};
use crate::host::files;
use crate::profile::{EntryName, Profile};
use crate::token::text::is_usable;
use crate::token::time::{Lifetime, MinTtl, Timestamp};
use crate::vault::entry::{Body, CachedToken, TokenSet};
use crate::vault::shelf::Shelf;

/// An exchange has ended after this long, one way or another.
pub(super) const LONGEST_EXCHANGE: Lifetime = Lifetime::seconds(60);

/// How an entry stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It can be handed out at once.
    Good,
    /// The access token is used up, or soon will be; the next one who asks brings a new one.
    Due,
    /// A new access token is on its way.
    Refreshing,
    /// The provider could not be reached.
    Unavailable {
        /// Why.
        why: String,
        /// When it is tried again at the earliest.
        retry_at: Timestamp,
    },
    /// The refresh token was presented, and the answer never arrived.
    ResponseLost {
        /// When.
        since: Timestamp,
    },
    /// The provider refused the refresh token.
    Refused {
        /// What is remembered of it.
        refused: Refused,
        /// When it is tried again by itself.
        retry_at: Timestamp,
    },
    /// The refresh token was exchanged before: an old copy came back, and it is not presented.
    Spent,
    /// The profile says otherwise about where the token came from: it is not sent, nor handed out, elsewhere.
    Moved,
    /// The refresh token has characters that no request can carry, and is not presented.
    Unusable,
    /// It is too old to be of use.
    Expired {
        /// Since when.
        at: Timestamp,
    },
    /// Nobody knows how long it lives.
    Unknown,
}

impl Standing {
    /// Returns the word for it.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Due => "due",
            Self::Refreshing => "refreshing",
            Self::Unavailable { .. } => "unavailable",
            Self::ResponseLost { .. } => "response lost",
            Self::Refused { .. } => "refused",
            Self::Spent => "spent",
            Self::Moved => "moved",
            Self::Unusable => "unusable",
            Self::Expired { .. } => "expired",
            Self::Unknown => "unknown",
        }
    }

    /// Tells whether only a login, or another profile, brings the next access token, whatever the present one is good for.
    pub(crate) const fn needs_a_person(&self) -> bool {
        match self {
            Self::Refused { .. } | Self::Spent | Self::Moved | Self::Unusable | Self::Expired { .. } => true,
            Self::Good
            | Self::Due
            | Self::Refreshing
            | Self::Unavailable { .. }
            | Self::ResponseLost { .. }
            | Self::Unknown => false,
        }
    }

    /// Says how an entry stands whose refresh token is spent. What the provider says of it goes before what we know.
    fn spent(self) -> Self {
        match self {
            Self::Refreshing | Self::Refused { .. } | Self::Moved | Self::Unusable => self,
            Self::Good
            | Self::Due
            | Self::Unavailable { .. }
            | Self::ResponseLost { .. }
            | Self::Spent
            | Self::Expired { .. }
            | Self::Unknown => Self::Spent,
        }
    }
}

/// Reads the note about a generation without taking the entry's lock: good enough to look at, not to act on.
pub(crate) fn noted(shelf: &Shelf, name: &EntryName, generation: u64) -> io::Result<Option<Note>> {
    match files::open_to_look(&shelf.lock_path(name)) {
        Ok(file) => Note::read(&file, generation),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns the access token that a plain `get` would look at.
pub(crate) fn plain_token<'a>(tokens: &'a TokenSet, profile: Option<&Profile>) -> Option<&'a CachedToken> {
    let plain = plain_request(profile);
    tokens.access.iter().find(|cached| cached.asked == plain)
}

/// Says how an entry stands. What is known to be spent was read before the entry was: an exchange in between cannot make
/// one look spent that is not.
pub(crate) fn standing(
    body: &Body,
    (note, spent): (Option<&Note>, &Spent),
    (profile, min_ttl): (Option<&Profile>, MinTtl),
    now: Timestamp,
) -> Standing {
    let expiry = match body {
        Body::RefreshToken(tokens) => {
            let standing = of_tokens(tokens, note, (profile, min_ttl), now);
            return if spent.holds(tokens) { standing.spent() } else { standing };
        }
        Body::AccessToken(fixed) if fixed.expires_at.is_none() => return Standing::Unknown,
        Body::AccessToken(fixed) => fixed.expires_at,
        Body::ClientSecret(stored) | Body::AdminKey(stored) | Body::Secret(stored) => stored.expires_at,
    };
    match expiry {
        Some(at) if at <= now => Standing::Expired { at },
        Some(_) | None => Standing::Good,
    }
}

/// Says how a token set stands; what the last holder of the lock noted comes first.
fn of_tokens(
    tokens: &TokenSet,
    note: Option<&Note>,
    (profile, min_ttl): (Option<&Profile>, MinTtl),
    now: Timestamp,
) -> Standing {
    if profile.is_some_and(|profile| moved(&tokens.born, profile).is_some()) {
        return Standing::Moved;
    }
    if !is_usable(tokens.refresh_token.secret()) {
        return Standing::Unusable;
    }
    let good = plain_token(tokens, profile).is_some_and(|cached| cached.is_good(min_ttl, now));
    match note.map(|note| (&note.event, note)) {
        Some((Event::Refused(refused), note)) => {
            return Standing::Refused { refused: refused.clone(), retry_at: refused.retry_at(note.tries) };
        }
        Some((Event::Intent, note)) if now.since(note.since) < LONGEST_EXCHANGE => {
            return if good { Standing::Good } else { Standing::Refreshing };
        }
        Some((Event::Intent | Event::Lost { .. }, note)) => return Standing::ResponseLost { since: note.since },
        Some((Event::Unavailable { retry_at, why }, _)) if !good => {
            return Standing::Unavailable { why: why.clone(), retry_at: *retry_at };
        }
        Some((Event::Unavailable { .. }, _)) | None => {}
    }
    match dies_at(tokens, profile.and_then(|profile| profile.offline_idle)) {
        _ if good => Standing::Good,
        Some(at) if at <= now => Standing::Expired { at },
        Some(_) | None => Standing::Due,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::{AccessToken, StoredSecret};
    use crate::vault::entry::{FixedToken, Stored};

    const fn at(seconds: i64) -> Timestamp {
        Timestamp::from_epoch(seconds)
    }

    fn token_set(refresh_expires: Option<i64>) -> Body {
        let refresh_expires_at = refresh_expires.map(at);
        Body::RefreshToken(TokenSet { refresh_expires_at, ..TokenSet::sample(0, 300) })
    }

    fn stand(body: &Body, event: Option<Event>, now: i64) -> &'static str {
        let note = event.map(|event| Note { generation: 1, since: at(100), lost_since: None, tries: 1, event });
        standing(body, (note.as_ref(), &Spent::default()), (None, MinTtl::Default(Lifetime::seconds(60))), at(now))
            .name()
    }

    #[test]
    fn a_token_set_is_good_then_due_then_expired() {
        let body = token_set(Some(1_000));
        assert_eq!([240, 241, 999, 1_000].map(|now| stand(&body, None, now)), ["good", "due", "due", "expired"]);
        assert_eq!(stand(&token_set(None), None, 1_000_000), "due");
    }

    #[test]
    fn what_was_noted_comes_first() {
        let body = token_set(None);
        let refused = || {
            Event::Refused(Refused { at: at(100), words: String::new(), fingerprint: String::new(), lost_since: None })
        };
        assert_eq!(stand(&body, Some(refused()), 110), "refused");
        assert_eq!(stand(&body, Some(Event::Lost { retry_at: at(0) }), 110), "response lost");
        assert_eq!(stand(&body, Some(Event::Intent), 110), "good");
        assert_eq!(stand(&body, Some(Event::Intent), 160), "response lost");
        let unavailable = || Event::Unavailable { retry_at: at(0), why: String::new() };
        assert_eq!(stand(&body, Some(unavailable()), 110), "good");
        assert_eq!(stand(&body, Some(unavailable()), 299), "unavailable");
    }

    #[test]
    fn what_is_spent_looks_neither_good_nor_worth_another_try() {
        for (standing, word) in [
            (Standing::Good, "spent"),
            (Standing::Due, "spent"),
            (Standing::ResponseLost { since: at(0) }, "spent"),
            (Standing::Expired { at: at(0) }, "spent"),
            (Standing::Refreshing, "refreshing"),
        ] {
            assert_eq!(standing.spent().name(), word);
        }
    }

    #[test]
    fn what_was_stored_is_good_to_its_end() {
        let stored = |end: Option<i64>| Stored {
            secret: StoredSecret::new("s".into()),
            expires_at: end.map(at),
            stored_at: at(0),
        };
        assert_eq!(stand(&Body::Secret(stored(None)), None, 5), "good");
        assert_eq!([9, 10].map(|now| stand(&Body::Secret(stored(Some(10))), None, now)), ["good", "expired"]);
        let fixed = FixedToken { token: AccessToken::new("a".into()), expires_at: None, stored_at: at(0) };
        assert_eq!(stand(&Body::AccessToken(fixed), None, 5), "unknown");
    }
}
