//! The keeper: one entry's life. Is the cached token good; if not, lock, read again, exchange, put to rest, hand out.
//!
//! The most valuable thing here is a refresh token that the provider may rotate at every use. So: never refresh without
//! the lock, never from a process that a person can interrupt, never hand out before the disk has it, and never delete
//! on an error.

#![warn(clippy::wildcard_enum_match_arm)]

mod adoption;
mod error;
mod exact_path;
pub(crate) mod exchange;
mod handed;
pub(crate) mod login;
pub(crate) mod note;
pub(crate) mod plan;
mod refusal;
pub(crate) mod request;
mod revocation;
pub(crate) mod spent;
pub(crate) mod standing;

use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use zeroize::Zeroizing;

use crate::host::progress::{Progress, Watcher};
use crate::host::{Environment, process};
use crate::idp::{Endpoint, IdpError, RefusalKind, Wire, bare};
use crate::profile::{EntryName, Profile, SecureUrl};
use crate::secret::ClientSecret;
use crate::token::scopes::Scopes;
use crate::token::text::is_usable;
use crate::token::time::{Lifetime, MinTtl, Timestamp};
use crate::vault::entry::{Body, Born, Entry, TokenSet};
use crate::vault::publication::EntryLock;
use crate::vault::{Vault, VaultError};
pub(crate) use adoption::Adopted;
pub(crate) use error::{KeeperError, chain};
use handed::usable;
pub(crate) use handed::{Handed, How};
use note::{Note, Refused};
use plan::{Circumstances, Fetch, Insistence, Obstacle, Wanted};
use request::{Answer, Presented, Request};
use standing::LONGEST_EXCHANGE;

/// How long a command waits for somebody else's exchange: half of what that exchange may take at most, and longer than
/// any provider that is not broken needs.
pub(crate) const LOCK_PATIENCE: Duration = Duration::from_secs(30);

/// How long a command waits at most: for the lock, then for an exchange of its own.
const LONGEST_WAIT: Lifetime = Lifetime::seconds(LOCK_PATIENCE.as_secs() + LONGEST_EXCHANGE.as_seconds());

/// What the keeper works with.
pub(crate) struct Keeper<'a> {
    /// The open vault.
    pub(crate) vault: &'a Vault,
    /// The state folder.
    pub(crate) state: &'a Path,
    /// The environment, of which a child gets a part.
    pub(crate) env: &'a Environment,
    /// The clock.
    pub(crate) now: fn() -> SystemTime,
    /// Who sees what it waits for.
    pub(crate) watcher: Watcher,
}

impl Keeper<'_> {
    /// Opens the newest generation of an entry; if the only one waits to be published, it is published first.
    pub(crate) fn entry(&self, name: &EntryName) -> Result<Entry, KeeperError> {
        match self.vault.newest(name)? {
            Some(entry) => Ok(entry),
            None => self.first_login(name)?.ok_or_else(|| KeeperError::NoEntry { name: name.clone() }),
        }
    }

    /// Returns an access token that is good, refreshing it if that is needed.
    pub(crate) fn fetch(
        &self,
        name: &EntryName,
        profile: Option<&Profile>,
        wanted: &Wanted,
    ) -> Result<Handed, KeeperError> {
        self.fetch_from(&self.entry(name)?, profile, wanted)
    }

    /// Returns an access token that is good: that of an entry which was just opened, or a refreshed one.
    pub(crate) fn fetch_from(
        &self,
        entry: &Entry,
        profile: Option<&Profile>,
        wanted: &Wanted,
    ) -> Result<Handed, KeeperError> {
        let (name, tokens) = (&entry.name, token_set(entry)?);
        // another provider's token is of no use, and no business of the new one
        if let Some(profile) = profile {
            refuse_moved(name, &tokens.born, profile)?;
        }
        if wanted.fetch != Fetch::Always
            && let Some(token) = plan::good_token(tokens, wanted, self.now())
        {
            return usable(Handed::new(token, How::Cached));
        }
        if wanted.fetch == Fetch::Never {
            return Err(KeeperError::NothingCached { name: name.clone() });
        }
        self.refresh(entry, profile, wanted).or_else(|error| self.leftover(name, wanted, error))
    }

    /// Tells whether the refresh token of an entry was exchanged before, so that only a new login helps.
    pub(crate) fn is_spent(&self, name: &EntryName, tokens: &TokenSet) -> Result<bool, KeeperError> {
        Ok(spent::contains(self.state, name, &tokens.refresh_token).map_err(VaultError::from)?)
    }

    /// Returns the time.
    fn now(&self) -> Timestamp {
        (self.now)().into()
    }

    /// Locks, reads again, and exchanges.
    fn refresh(&self, seen: &Entry, profile: Option<&Profile>, wanted: &Wanted) -> Result<Handed, KeeperError> {
        process::leave_on_signals()?;
        let _waiting = self.waiting_for(&seen.name);
        tracing::debug!(name = %seen.name, generation = seen.generation, "not good enough; taking the lock");
        let lock = self.vault.lock(&seen.name, LOCK_PATIENCE)?;
        self.adopt_unpublished(&seen.name, &lock)?;
        let entry = self.vault.newest(&seen.name)?.ok_or_else(|| KeeperError::NoEntry { name: seen.name.clone() })?;
        let tokens = token_set(&entry)?;
        if entry.generation > seen.generation
            && let Some(token) = plan::living_token(tokens, &wanted.asked, self.now())
        {
            return usable(Handed::new(token, How::Adopted));
        }
        let request = self.prepare(&entry, profile, wanted, &lock)?;
        let endpoint = request.born.token_endpoint.as_ref().map(bare);
        tracing::info!(name = %seen.name, generation = entry.generation, endpoint, "presenting the refresh token");
        let handed = self.exchange(&request, &lock)?;
        Ok(handed.with_notice_below(wanted.min_ttl, self.now()).with_notice_of_scopes())
    }

    /// Tells a person who watches what is waited for: somebody else's exchange, then our own.
    fn waiting_for(&self, name: &EntryName) -> Option<Progress> {
        let end = self.now().after(LONGEST_WAIT);
        (self.watcher == Watcher::Person)
            .then(|| Progress::begin(format!("a token of `{name}`, until {end} at the latest")))
    }

    /// Decides whether the refresh token may be presented, and writes the request.
    fn prepare(
        &self,
        entry: &Entry,
        profile: Option<&Profile>,
        wanted: &Wanted,
        lock: &EntryLock,
    ) -> Result<Request, KeeperError> {
        let tokens = token_set(entry)?;
        if !is_usable(tokens.refresh_token.secret()) {
            return Err(KeeperError::UnusableRefreshToken { name: entry.name.clone() });
        }
        let mut born = destination(&entry.name, &tokens.born, profile)?;
        let client_secret = self.client_secret(&entry.name, &born)?;
        let fingerprint = self.fingerprint(&born, client_secret.as_ref());
        let before = Note::read(&lock.file, entry.generation)?;
        let seen = Circumstances {
            tokens,
            fingerprint: &fingerprint,
            reuse_grace: profile.map(|profile| profile.reuse_grace).unwrap_or_default(),
            waiting: lock.waiting,
            insistence: wanted.insistence,
        };
        self.refuse_to_present(entry, &seen, before.as_ref())?;
        let ca_file = profile.and_then(|profile| profile.ca_file.clone());
        if born.token_endpoint.is_none() {
            let found = discovered_token_endpoint(&born.issuer, ca_file.as_deref());
            born.token_endpoint = Some(found.inspect_err(|error| {
                exchange::note_undiscovered(&lock.file, entry.generation, before.as_ref(), (error, self.now()));
            })?);
        }
        let audience_as = profile.map(|profile| profile.audience_as).unwrap_or_default();
        Ok(Request {
            name: entry.name.clone(),
            vault: self.vault.folder().to_owned().into(),
            backend: self.vault.backend(),
            next: entry.generation + 1,
            sealer: self.vault.sealer(),
            born,
            client_secret,
            ca_file: ca_file.map(Into::into),
            presented: Presented::Refresh { generation: entry.generation, tokens: Box::new(tokens.clone()), before },
            scopes: wanted.asked.scopes.clone(),
            audience: wanted.asked.audience.clone().map(|audience| (audience_as, audience)),
            asked: wanted.asked.clone(),
            fingerprint,
            journal: spent::path(self.state, &entry.name).into(),
        })
    }

    /// Refuses to present a refresh token now, if what happened before is against it.
    fn refuse_to_present(
        &self,
        entry: &Entry,
        seen: &Circumstances<'_>,
        before: Option<&Note>,
    ) -> Result<(), KeeperError> {
        let now = self.now();
        plan::may_present(before, seen, now).map_err(|obstacle| obstructed(&entry.name, obstacle, now))?;
        let is_spent = self.is_spent(&entry.name, seen.tokens)?;
        if is_spent && seen.insistence < Insistence::PresentSpent {
            return Err(KeeperError::Spent { name: entry.name.clone() });
        }
        Ok(())
    }

    /// Reads the client's secret from its own entry.
    pub(crate) fn client_secret(&self, name: &EntryName, born: &Born) -> Result<Option<ClientSecret>, KeeperError> {
        let Some(secret) = &born.client_secret else { return Ok(None) };
        match self.vault.newest(secret)?.map(|entry| entry.body) {
            Some(Body::ClientSecret(stored)) => Ok(Some(stored.secret.into())),
            // no other text was meant for a provider
            Some(Body::RefreshToken(_) | Body::AccessToken(_) | Body::AdminKey(_) | Body::Secret(_)) | None => {
                Err(KeeperError::NoClientSecret { name: name.clone(), secret: secret.clone() })
            }
        }
    }

    /// Returns a code of issuer, client and secret: when it changes, a refusal no longer holds. It stands in the lock's
    /// file in clear, and tells nobody anything who cannot open the vault: a secret that people chose could be guessed.
    fn fingerprint(&self, born: &Born, secret: Option<&ClientSecret>) -> String {
        let secret = secret.map(|secret| secret.expose().as_str()).unwrap_or_default();
        let client = format!("{}\0{}\0{:?}\0{secret}", born.issuer, born.client_id, born.client_auth);
        self.vault.keyed_digest("refusal", Zeroizing::new(client).as_bytes())
    }

    /// Lets the detached child carry out a request, and judges its answer.
    fn exchange(&self, request: &Request, lock: &EntryLock) -> Result<Handed, KeeperError> {
        let since = self.now();
        match self.run(request, lock)? {
            Answer::Granted { token, unpublished } => {
                let token = token.ok_or(KeeperError::Unusable)?;
                let notice = unpublished.map(|why| format!("the new token is kept, and waits to be published: {why}"));
                Ok(Handed { token, how: How::Exchanged, notice })
            }
            Answer::Refused(refusal) => self.judge(request, lock, &refusal),
            Answer::Unavailable { why } => Err(KeeperError::Unavailable { why, until: None }),
            Answer::Lost { why } => Err(KeeperError::AnswerLost { since, why }),
            Answer::NotSent(reason) => Err(KeeperError::NotSent(reason)),
            Answer::NotKept { why, mend } => Err(KeeperError::NotKept { why, mend }),
            Answer::NoRefreshToken => Err(KeeperError::NoRefreshToken),
        }
    }

    /// Runs the detached child.
    fn run(&self, request: &Request, lock: &EntryLock) -> Result<Answer, KeeperError> {
        let text = Zeroizing::new(serde_json::to_vec(request).map_err(io::Error::from)?);
        let answer = process::run_detached(&text, &lock.file, self.env)?;
        Ok(serde_json::from_slice(&answer).unwrap_or_else(|_| self.left_by_the_dead(request, lock)))
    }

    /// Says what became of an exchange whose process was killed: what it had put to rest before is not lost.
    fn left_by_the_dead(&self, request: &Request, lock: &EntryLock) -> Answer {
        // what cannot be adopted or read now is found by the next holder of the lock
        drop(self.adopt_unpublished(&request.name, lock));
        let newest = self.vault.newest(&request.name).ok().flatten();
        match newest.filter(|newest| newest.generation >= request.next).map(|newest| newest.body) {
            Some(Body::RefreshToken(tokens)) => {
                Answer::Granted { token: exchange::usable_token(&tokens, &request.asked).cloned(), unpublished: None }
            }
            Some(Body::AccessToken(_) | Body::ClientSecret(_) | Body::AdminKey(_) | Body::Secret(_)) | None => {
                Answer::Lost { why: "the process that carried it out was killed".to_owned() }
            }
        }
    }

    /// Decides what a refusal means.
    fn judge(&self, request: &Request, lock: &EntryLock, refusal: &crate::idp::Refusal) -> Result<Handed, KeeperError> {
        let words = exchange::words_of(refusal);
        if exchange::is_final(refusal, request) {
            // somebody who ignores locks may have brought a newer one meanwhile
            if let Some(newer) = self.vault.newest(&request.name)?.filter(|entry| entry.generation >= request.next)
                && let Some(token) = plan::living_token(token_set(&newer)?, &request.asked, self.now())
            {
                return usable(Handed::new(token, How::Adopted));
            }
            // without the note the provider's words are still known
            let note = Note::read(&lock.file, request.next - 1).ok().flatten();
            return Err(refused(&request.name, note, words, self.now()));
        }
        Err(match refusal.kind {
            RefusalKind::Client => KeeperError::ClientRefused { words },
            RefusalKind::Scope | RefusalKind::BadRequest => KeeperError::AskedTooMuch { words },
            RefusalKind::DeadToken
            | RefusalKind::Interaction
            | RefusalKind::Pending
            | RefusalKind::SlowDown
            | RefusalKind::AccessDenied
            | RefusalKind::ExpiredCode
            | RefusalKind::Other => KeeperError::Unexpected { words },
        })
    }

    /// Where the same refresh may work later, hands out what life the cached token has left, unless that was ruled out.
    fn leftover(&self, name: &EntryName, wanted: &Wanted, error: KeeperError) -> Result<Handed, KeeperError> {
        let default = matches!(wanted.min_ttl, MinTtl::Default(_)) && wanted.fetch == Fetch::IfDue;
        if !error.is_passing() || !default {
            return Err(error);
        }
        // what is wrong with the vault now is not why the refresh failed
        let newest = self.vault.newest(name).ok().flatten();
        let tokens = newest.as_ref().and_then(|entry| entry.body.tokens());
        match tokens.and_then(|tokens| plan::living_token(tokens, &wanted.asked, self.now())) {
            Some(token) if is_usable(token.token.secret()) => {
                let left = token.left(self.now());
                let notice = Some(format!("{error}; the cached token lives {left} more"));
                Ok(Handed { notice, ..Handed::new(token, How::Leftover) })
            }
            Some(_) | None => Err(error),
        }
    }
}

/// Returns the tokens of an entry.
pub(crate) fn token_set(entry: &Entry) -> Result<&TokenSet, KeeperError> {
    let other = || KeeperError::NotATokenSet { name: entry.name.clone(), kind: entry.body.kind() };
    entry.body.tokens().ok_or_else(other)
}

/// Refuses a profile that says otherwise about where a token came from: it is not sent, nor handed out, elsewhere.
fn refuse_moved(name: &EntryName, born: &Born, profile: &Profile) -> Result<(), KeeperError> {
    let Some((what, now, then)) = moved(born, profile) else { return Ok(()) };
    Err(KeeperError::Moved { name: name.clone(), what, now: now.to_owned(), then: then.to_owned() })
}

/// Returns what a profile says otherwise about where a token came from: the key, its value, and what it was.
fn moved<'a>(born: &'a Born, profile: &'a Profile) -> Option<(&'static str, &'a str, &'a str)> {
    match (profile.endpoints.token.as_ref(), born.token_endpoint.as_ref()) {
        _ if profile.issuer != born.issuer => Some(("issuer", profile.issuer.as_str(), born.issuer.as_str())),
        _ if profile.client_id != born.client_id => Some(("client_id", &profile.client_id, &born.client_id)),
        (Some(now), Some(then)) if now != then => Some(("token_endpoint", now.as_str(), then.as_str())),
        (Some(_) | None, _) => None,
    }
}

/// Says where a refresh token goes and as whom. Never to another place than it came from.
fn destination(name: &EntryName, born: &Born, profile: Option<&Profile>) -> Result<Born, KeeperError> {
    let Some(profile) = profile else { return Ok(born.clone()) };
    refuse_moved(name, born, profile)?;
    let token_endpoint = born.token_endpoint.clone().or_else(|| profile.endpoints.token.clone());
    let (client_auth, client_secret) = (profile.client_auth, profile.client_secret.clone());
    Ok(Born { token_endpoint, client_auth, client_secret, ..born.clone() })
}

/// Asks the provider where its token endpoint is.
fn discovered_token_endpoint(issuer: &SecureUrl, ca_file: Option<&Path>) -> Result<SecureUrl, IdpError> {
    Wire::open(ca_file)?.discover(issuer)?.need(Endpoint::Token).cloned()
}

/// Turns an obstacle into an error.
fn obstructed(name: &EntryName, obstacle: Obstacle, now: Timestamp) -> KeeperError {
    match obstacle {
        Obstacle::BackOff { until, why } => KeeperError::Unavailable { why, until: Some(until) },
        Obstacle::AnswerLost { until, since } => {
            let why = format!("presenting the token again could kill the one in use, so it waits until {until}");
            KeeperError::AnswerLost { since, why }
        }
        Obstacle::Refused { note } => refused(name, Some(note), String::new(), now),
    }
}

/// Describes a refusal, from the note if there is one; what nobody noted keeps nobody from trying again.
fn refused(name: &EntryName, note: Option<Note>, words: String, now: Timestamp) -> KeeperError {
    let (refused, retry_at) = match note {
        Some(Note { event: note::Event::Refused(refused), tries, .. }) => {
            let retry_at = refused.retry_at(tries);
            (refused, retry_at)
        }
        Some(_) | None => (Refused { at: now, words, fingerprint: String::new(), lost_since: None }, now),
    };
    KeeperError::Refused { name: name.clone(), refused, retry_at }
}

/// Returns what a plain `get` asks for: no scopes, and the profile's audience.
pub(crate) fn plain_request(profile: Option<&Profile>) -> crate::vault::entry::Asked {
    crate::vault::entry::Asked {
        scopes: Scopes::default(),
        audience: profile.and_then(|profile| profile.audience.clone()),
    }
}

/// Returns when an offline token dies, as far as that is known: its own expiry, or its last use and the idle limit.
pub(crate) fn dies_at(tokens: &TokenSet, idle: Option<Lifetime>) -> Option<Timestamp> {
    let last = tokens.used_at.unwrap_or(tokens.login_at);
    let idle_end = idle.map(|idle| last.after(idle));
    match (tokens.refresh_expires_at, idle_end) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_that_nobody_noted_is_tried_again_at_once_and_not_in_1970() {
        let (name, now) = ("prod".parse().unwrap(), Timestamp::from_epoch(1_000));
        let KeeperError::Refused { refused, retry_at, .. } = refused(&name, None, "no".to_owned(), now) else {
            panic!("not refused")
        };
        assert_eq!((refused.at, refused.words.as_str(), retry_at), (now, "no", now));
    }
}
