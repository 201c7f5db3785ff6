//! The exchange: what the detached child does with the request of its front.
//!
//! The child holds the entry's lock through an inherited descriptor. It reserves room on the disk, notes its intent,
//! sends one request, and puts any success to rest on the disk before anybody hears of it.

use std::fs::File;
use std::io::{self, Read, Write};
use std::time::SystemTime;

use zeroize::Zeroizing;

use super::error::chain;
use super::note::{Event, Note, Refused};
use super::plan::back_off;
use super::request::{Answer, NotSent, Presented, Request};
use super::spent;
use crate::host::files::{FileFault, fault};
use crate::host::{Environment, descriptor, process};
use crate::idp::{Client, Endpoint, Grant, IdpError, Refusal, RefusalKind, Reply, TokenAnswer, TokenRequest, Wire};
use crate::profile::{ClientAuth, SecureUrl};
use crate::secret::AccessToken;
use crate::token::claims::Claims;
use crate::token::text::{self, Look};
use crate::token::time::{Lifetime, Timestamp};
use crate::vault::Site;
use crate::vault::entry::{Asked, Body, CachedToken, Entry, TokenSet};
use crate::vault::keyring::Keyring;
use crate::vault::publication::{EntryLock, Reserved};
use crate::vault::sealing::SealFault;
use crate::vault::shelf::Shelf;

/// How long an access token is trusted whose life nobody states: long enough for one use, too short to go stale.
const UNSTATED_LIFE: Lifetime = Lifetime::seconds(60);

/// How many access tokens for other scopes or audiences stay in an entry.
const KEPT_OTHERS: usize = 16;

/// Runs in the detached child: reads the request, carries it out, writes the answer.
pub(crate) fn serve(
    lock: i32,
    (stdin, stdout): (&mut dyn Read, &mut dyn Write),
    env: &Environment,
    now: fn() -> SystemTime,
) -> io::Result<()> {
    process::detach()?;
    let mut request = Zeroizing::new(Vec::new());
    stdin.read_to_end(&mut request)?;
    // a request that was cut short does not parse, and spends nothing
    let request: Request = serde_json::from_slice(&request)?;
    let site = Site { folder: request.vault.to_path_buf(), backend: request.backend, keyring: Keyring::of(env) };
    let shelf = Shelf::at(&site, request.sealer.recipient());
    let lock = EntryLock::adopt(File::from(descriptor::adopt(lock)?), request.name.clone(), shelf);
    let answer = Zeroizing::new(serde_json::to_vec(&carry_out(&request, &lock, now))?);
    // a front that is gone needs no answer: what counts rests on the disk
    stdout.write_all(&answer)?;
    stdout.flush()
}

/// Prepares, exchanges, and puts to rest.
fn carry_out(request: &Request, lock: &EntryLock, now: fn() -> SystemTime) -> Answer {
    let sent_at = Timestamp::from(now());
    let (wire, endpoint, reserved) = match prepare(request, lock, sent_at) {
        Ok(prepared) => prepared,
        Err(reason) => return Answer::NotSent(reason),
    };
    match send(request, &wire, endpoint) {
        Reply::Granted(answer) => keep(request, lock, reserved, (answer, sent_at)),
        nothing @ (Reply::Refused(_) | Reply::Unavailable { .. } | Reply::Lost { .. }) => {
            reserved.release();
            let answer = dismiss(request, lock, nothing, (sent_at, now().into()));
            answer.unwrap_or_else(|error| Answer::Lost { why: chain(&error) })
        }
    }
}

/// Prepares the connection, reserves, and notes the intent: after this only the provider can say no.
fn prepare<'a>(
    request: &'a Request,
    lock: &EntryLock,
    sent_at: Timestamp,
) -> Result<(Wire, &'a SecureUrl, Reserved), NotSent> {
    let born = &request.born;
    let missing = || IdpError::NoEndpoint { what: Endpoint::Token.name(), issuer: born.issuer.to_string() };
    let endpoint = born.token_endpoint.as_ref().ok_or_else(missing)?;
    let wire = Wire::open(request.ca_file.as_deref())?;
    wire.prepare(endpoint)?;
    let reserved = lock.reserve()?;
    match note_intent(request, lock, sent_at) {
        Ok(()) => Ok((wire, endpoint, reserved)),
        Err(error) => {
            reserved.release();
            Err(fault("write", &lock.path())(error).into())
        }
    }
}

/// Sends the one request.
fn send(request: &Request, wire: &Wire, endpoint: &SecureUrl) -> Reply {
    let auth = request.born.client_auth;
    let secret = request.client_secret.clone().filter(|_| auth != ClientAuth::None);
    let client = Client { id: request.born.client_id.clone(), auth, secret };
    let grant = match &request.presented {
        Presented::Refresh { tokens, .. } => Grant::Refresh { token: tokens.refresh_token.clone() },
        Presented::Device { code } => Grant::Device { code: code.clone() },
    };
    let audience = request.audience.as_ref().map(|(parameter, audience)| (*parameter, audience.as_str()));
    wire.token(&TokenRequest { endpoint, client: &client, grant: &grant, scopes: &request.scopes, audience })
}

/// Notes which generation is being presented.
fn note_intent(request: &Request, lock: &EntryLock, since: Timestamp) -> io::Result<()> {
    match &request.presented {
        Presented::Refresh { generation, before, .. } => {
            let tries = tries_after_loss(before.as_ref()) + 1;
            let lost_since = before.as_ref().and_then(Note::missing_since);
            let (generation, event) = (*generation, Event::Intent);
            Note::write(Some(&Note { generation, since, lost_since, tries, event }), &lock.file)
        }
        Presented::Device { .. } => Ok(()),
    }
}

/// Returns how many answers in a row were lost.
fn tries_after_loss(before: Option<&Note>) -> u32 {
    match before {
        Some(Note { tries, event: Event::Intent | Event::Lost { .. }, .. }) => *tries,
        Some(Note { event: Event::Unavailable { .. } | Event::Refused(_), .. }) | None => 0,
    }
}

/// Puts a success to rest on the disk, then publishes it.
fn keep(request: &Request, lock: &EntryLock, reserved: Reserved, granted: (TokenAnswer, Timestamp)) -> Answer {
    let (answer, sent_at) = granted;
    let previous = match &request.presented {
        Presented::Refresh { tokens, .. } => Some(tokens.as_ref()),
        Presented::Device { .. } => None,
    };
    let Some(tokens) = succeed(request, previous, answer, sent_at) else {
        reserved.release();
        return Answer::NoRefreshToken;
    };
    let token = usable_token(&tokens, &request.asked).filter(|cached| cached.received_at == sent_at).cloned();
    let sealed = match seal(request, &tokens, sent_at) {
        Ok(sealed) => sealed,
        Err(fault) => return Answer::NotKept { why: chain(&fault), mend: None },
    };
    if let Err(fault) = rest(lock, reserved, &sealed) {
        return Answer::NotKept { why: chain(&fault), mend: fault.mend() };
    }
    if let Err(fault) = lock.publish(request.next)
        && lock.awaits_publication()
    {
        return Answer::Granted { token, unpublished: Some(chain(&fault)) };
    }
    if let Some(before) = previous {
        spent::note_exchange(&request.journal, before, &tokens);
    }
    // the note is void for the new generation anyway; clearing it is tidiness
    drop(Note::write(None, &lock.file));
    lock.prune(request.next);
    Answer::Granted { token, unpublished: None }
}

/// Returns the access token for what was asked, if it can be handed out.
pub(super) fn usable_token<'a>(tokens: &'a TokenSet, asked: &Asked) -> Option<&'a CachedToken> {
    let token = tokens.access.iter().find(|cached| &cached.asked == asked);
    token.filter(|cached| text::is_usable(cached.token.secret()))
}

/// Seals a success. If it is too large for an entry, the tokens for other scopes and audiences are left out: they can be
/// had again, and the refresh token cannot.
fn seal(request: &Request, tokens: &TokenSet, written_at: Timestamp) -> Result<Vec<u8>, SealFault> {
    let seal = |tokens: TokenSet| {
        let (name, body) = (request.name.clone(), Body::RefreshToken(tokens));
        request.sealer.seal(&Entry { name, generation: request.next, written_at, body })
    };
    match seal(tokens.clone()) {
        Err(SealFault::TooLarge) => {
            let own = tokens.access.iter().filter(|cached| cached.asked == request.asked);
            seal(TokenSet { access: own.cloned().collect(), ..tokens.clone() })
        }
        sealed => sealed,
    }
}

/// Writes the sealed answer; if that fails, once more into another file. What the first try left stays where it is.
fn rest(lock: &EntryLock, reserved: Reserved, sealed: &[u8]) -> Result<(), FileFault> {
    match reserved.fill(sealed) {
        Ok(()) => Ok(()),
        Err(first) => lock.rewrite(sealed).map_err(|_| first),
    }
}

/// Notes what came of an exchange that brought nothing. An answer that was lost earlier stays lost meanwhile.
fn dismiss(
    request: &Request,
    lock: &EntryLock,
    reply: Reply,
    (sent_at, now): (Timestamp, Timestamp),
) -> io::Result<Answer> {
    let (generation, before) = match &request.presented {
        Presented::Refresh { generation, before, .. } => (*generation, before.as_ref()),
        Presented::Device { .. } => return Ok(without_note(reply)),
    };
    let lost_since = before.and_then(Note::missing_since);
    let note =
        |since, tries, event| Note::write(Some(&Note { generation, since, lost_since, tries, event }), &lock.file);
    match reply {
        Reply::Unavailable { why, retry_after } => {
            let tries = tries_unavailable(before) + 1;
            // a provider that does not mind being asked at once is not available all the same
            let retry_at = now.after(retry_after.unwrap_or_default().max(back_off(tries)));
            note(now, tries, Event::Unavailable { retry_at, why: why.clone() })?;
            Ok(Answer::Unavailable { why })
        }
        Reply::Lost { why } => {
            let tries = tries_after_loss(before) + 1;
            note(sent_at, tries, Event::Lost { retry_at: now.after(back_off(tries)) })?;
            Ok(Answer::Lost { why })
        }
        Reply::Refused(refusal) if is_final(&refusal, request) => {
            let tries = match before {
                Some(Note { tries, event: Event::Refused(_), .. }) => tries + 1,
                Some(_) | None => 1,
            };
            let refused =
                Refused { at: now, words: words_of(&refusal), fingerprint: request.fingerprint.clone(), lost_since };
            note(now, tries, Event::Refused(refused))?;
            Ok(Answer::Refused(refusal))
        }
        reply @ (Reply::Refused(_) | Reply::Granted(_)) => {
            // the token was not looked at, so that what was known of it holds
            Note::write(before, &lock.file)?;
            Ok(without_note(reply))
        }
    }
}

/// Notes that the provider did not even say where its token endpoint is, so that who waits shares that failure.
pub(super) fn note_undiscovered(
    lock: &File,
    generation: u64,
    before: Option<&Note>,
    (error, now): (&IdpError, Timestamp),
) {
    if !error.is_temporary() {
        return;
    }
    let tries = tries_unavailable(before) + 1;
    let event = Event::Unavailable { retry_at: now.after(back_off(tries)), why: error.to_string() };
    let lost_since = before.and_then(Note::missing_since);
    // without the note the next one who asks is only less patient
    drop(Note::write(Some(&Note { generation, since: now, lost_since, tries, event }), lock));
}

/// Returns how often in a row the provider could not be reached.
fn tries_unavailable(before: Option<&Note>) -> u32 {
    match before {
        Some(Note { tries, event: Event::Unavailable { .. }, .. }) => *tries,
        Some(_) | None => 0,
    }
}

/// Turns a reply into an answer that leaves no note.
fn without_note(reply: Reply) -> Answer {
    match reply {
        Reply::Unavailable { why, .. } => Answer::Unavailable { why },
        Reply::Lost { why } => Answer::Lost { why },
        Reply::Refused(refusal) => Answer::Refused(refusal),
        Reply::Granted(_) => Answer::Lost { why: "the answer was dropped".to_owned() },
    }
}

/// Tells whether a refusal says that the refresh token is dead.
///
/// Providers say so as `invalid_grant`, as 400 `invalid_request`, or as 400 with no readable body; the latter two mean
/// it only when nothing else was asked for that could be wrong.
pub(super) fn is_final(refusal: &Refusal, request: &Request) -> bool {
    let plain = request.scopes.is_empty() && request.audience.is_none();
    match refusal.kind {
        RefusalKind::DeadToken | RefusalKind::Interaction => true,
        RefusalKind::BadRequest => plain,
        RefusalKind::Client
        | RefusalKind::Scope
        | RefusalKind::Pending
        | RefusalKind::SlowDown
        | RefusalKind::AccessDenied
        | RefusalKind::ExpiredCode
        | RefusalKind::Other => false,
    }
}

/// Returns a refusal in the provider's words.
pub(super) fn words_of(refusal: &Refusal) -> String {
    match (&refusal.error, &refusal.description) {
        (Some(error), Some(description)) => format!("{error}: {description}"),
        (Some(words), None) | (None, Some(words)) => words.clone(),
        (None, None) => format!("status {} without a reason", refusal.status),
    }
}

/// Makes the next token set out of the present one and an answer; `None` if there would be no refresh token.
fn succeed(
    request: &Request,
    previous: Option<&TokenSet>,
    answer: TokenAnswer,
    sent_at: Timestamp,
) -> Option<TokenSet> {
    let refresh_expires_at = match (&answer.refresh_token, previous) {
        (None, Some(previous)) => previous.refresh_expires_at,
        (Some(_), _) | (None, None) => answer.refresh_expires_in.map(|left| sent_at.after(left)),
    };
    let refresh_token = answer.refresh_token.or_else(|| previous.map(|tokens| tokens.refresh_token.clone()))?;
    let mut access: Vec<CachedToken> = Vec::new();
    if let Some(token) = answer.access_token {
        let expires_at = expiry(&token, answer.expires_in, sent_at);
        let (asked, token_type) = (request.asked.clone(), answer.token_type);
        access.push(CachedToken { asked, token, token_type, scopes: answer.scope, received_at: sent_at, expires_at });
    }
    // an exchange kills the opaque tokens before it at some providers; nobody can revoke a JWT that is checked offline
    let survives = |cached: &&CachedToken| {
        cached.asked != request.asked && cached.expires_at > sent_at && text::look(cached.token.secret()) == Look::Jwt
    };
    let others = previous.map(|tokens| tokens.access.as_slice()).unwrap_or_default();
    access.extend(others.iter().filter(survives).take(KEPT_OTHERS).cloned());
    Some(TokenSet {
        born: request.born.clone(),
        refresh_token,
        refresh_expires_at,
        login_at: previous.map_or(sent_at, |tokens| tokens.login_at),
        used_at: Some(sent_at),
        id_token: answer.id_token.or_else(|| previous.and_then(|tokens| tokens.id_token.clone())),
        access,
    })
}

/// Returns when an access token ends: as the answer says, else as the token says, else soon.
fn expiry(token: &AccessToken, expires_in: Option<Lifetime>, sent_at: Timestamp) -> Timestamp {
    let stated = expires_in.map(|life| sent_at.after(life));
    let claimed = || {
        let claims = Claims::unverified(token.secret())?;
        let ends = claims.expires_at()?;
        // a provider whose clock is ahead of ours writes a time that is too late for us
        let by_its_own_clock = claims.time("iat").map(|issued| sent_at.after(ends.since(issued)));
        Some(by_its_own_clock.map_or(ends, |end| end.min(ends)))
    };
    stated.or_else(claimed).unwrap_or_else(|| sent_at.after(UNSTATED_LIFE))
}
