//! A login: each poll of the device flow is one exchange under the entry's lock, so that its success rests on the disk
//! before anybody hears of it. The lock is free while the person is at the browser.

use super::exchange::{usable_token, words_of};
use super::request::{Answer, Presented, Request};
use super::{Adopted, Keeper, KeeperError, LOCK_PATIENCE, plain_request, spent};
use crate::idp::{Refusal, RefusalKind};
use crate::profile::{EntryName, Profile};
use crate::secret::{ClientSecret, DeviceCode};
use crate::token::scopes::Scopes;
use crate::vault::VaultError;
use crate::vault::entry::{Born, CachedToken};

/// A login that has begun.
pub(crate) struct Login<'a> {
    /// The entry it is for.
    pub(crate) name: &'a EntryName,
    /// The profile.
    pub(crate) profile: &'a Profile,
    /// Where the code is exchanged, and as whom.
    pub(crate) born: Born,
    /// The client's secret.
    pub(crate) client_secret: Option<ClientSecret>,
    /// The code that the person is approving.
    pub(crate) code: DeviceCode,
}

/// What one poll brought.
pub(crate) enum Poll {
    /// The person has not decided yet.
    Pending,
    /// We ask too often.
    SlowDown,
    /// We are in, and everything rests on the disk.
    Done {
        /// The access token; `None` if it cannot be used.
        token: Option<Box<CachedToken>>,
        /// Why it could not be published yet.
        unpublished: Option<String>,
    },
    /// The person or the provider said no.
    Denied {
        /// The provider's words.
        words: String,
    },
    /// The code is too old.
    Expired,
    /// No connection, or no answer: ask again later (RFC 8628 section 3.5).
    Retry {
        /// Why.
        why: String,
    },
}

impl Keeper<'_> {
    /// Proves that the entry can be locked and written, before anybody talks to the provider.
    pub(crate) fn rehearse(&self, name: &EntryName) -> Result<(), KeeperError> {
        let lock = self.vault.lock(name, LOCK_PATIENCE)?;
        self.adopt_or_put_aside(name, &lock)?;
        lock.rehearse()?;
        lock.reserve().map_err(VaultError::from)?.release();
        Ok(())
    }

    /// Asks once whether the person has approved the code.
    pub(crate) fn poll(&self, login: &Login<'_>) -> Result<Poll, KeeperError> {
        let lock = match self.vault.lock(login.name, LOCK_PATIENCE) {
            Ok(lock) => lock,
            // somebody refreshes the token of the login before; the person at the browser must not suffer for it
            Err(busy @ (VaultError::Busy { .. } | VaultError::Rotating { .. })) => {
                return Ok(Poll::Retry { why: busy.to_string() });
            }
            Err(error) => return Err(error.into()),
        };
        let asked = plain_request(Some(login.profile));
        // the process of the poll before may have died between the disk and us: the code would be worth nothing now
        if let Adopted::Login(tokens) = self.adopt_unpublished(login.name, &lock)? {
            let token = usable_token(&tokens, &asked).cloned().map(Box::new);
            return Ok(Poll::Done { token, unpublished: None });
        }
        let newest = self.vault.shelf().generations(login.name)?.first().copied();
        let request = Request {
            name: login.name.clone(),
            vault: self.vault.folder().to_owned().into(),
            backend: self.vault.backend(),
            next: newest.map_or(1, |newest| newest + 1),
            sealer: self.vault.sealer(),
            fingerprint: self.fingerprint(&login.born, login.client_secret.as_ref()),
            born: login.born.clone(),
            client_secret: login.client_secret.clone(),
            ca_file: login.profile.ca_file.clone().map(Into::into),
            presented: Presented::Device { code: login.code.clone() },
            asked,
            scopes: Scopes::default(),
            audience: None,
            journal: spent::path(self.state, login.name).into(),
        };
        match self.run(&request, &lock)? {
            Answer::Granted { token, unpublished } => Ok(Poll::Done { token: token.map(Box::new), unpublished }),
            Answer::Unavailable { why } | Answer::Lost { why } => Ok(Poll::Retry { why }),
            Answer::NotSent(reason) => Err(KeeperError::NotSent(reason)),
            Answer::NotKept { why, mend } => Err(KeeperError::NotKept { why, mend }),
            Answer::NoRefreshToken => Err(KeeperError::NoRefreshToken),
            Answer::Refused(refusal) => refused(&refusal),
        }
    }
}

/// Says what a refusal means to who waits for a person's approval.
fn refused(refusal: &Refusal) -> Result<Poll, KeeperError> {
    let words = words_of(refusal);
    match refusal.kind {
        RefusalKind::Pending => Ok(Poll::Pending),
        RefusalKind::SlowDown => Ok(Poll::SlowDown),
        RefusalKind::ExpiredCode => Ok(Poll::Expired),
        RefusalKind::Client => Err(KeeperError::ClientRefused { words }),
        RefusalKind::Scope => Err(KeeperError::AskedTooMuch { words }),
        RefusalKind::DeadToken
        | RefusalKind::BadRequest
        | RefusalKind::AccessDenied
        | RefusalKind::Interaction
        | RefusalKind::Other => Ok(Poll::Denied { words }),
    }
}
