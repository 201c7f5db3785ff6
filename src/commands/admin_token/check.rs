//! Checking an admin token: by the keys that the ledger trusts, and by what was taken back. The vault stays closed.

use std::fmt::Display;

use super::{issuer, public_key};
use crate::commands::Context;
use crate::error::{Failure, Kind};
use crate::ledger::admin::AdminKey;
use crate::ledger::admin_checks::Seen;
use crate::ledger::{By, Ledger, LedgerError};
use crate::secret::Secret;
use crate::token::admin_token::{AdminToken, Expected, Refusal, Shown};
use crate::token::claims::Claims;
use crate::token::issuer::Issuer;
use crate::token::names::Owner;
use crate::token::policy::{EventRefusal, Holder};
use crate::token::time::Timestamp;

/// What an admin token is shown for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    /// Who asks; without it nobody is told anything.
    pub(crate) audience: Option<&'a str>,
    /// The job that it is shown for.
    pub(crate) job: Option<&'a str>,
    /// The event of that job which its holder reports.
    pub(crate) event: Option<&'a str>,
}

/// A good admin token, and whose it is.
#[derive(Clone, Debug)]
pub(crate) struct Accepted {
    /// The key that signed it, as it is called here: who acts.
    pub(crate) key: AdminKey,
    /// What it says.
    pub(crate) token: AdminToken,
}

impl Accepted {
    /// Returns who acts, as history says it: what the key is called here, not what the token says.
    pub(crate) fn actor(&self) -> String {
        format!("admin:{}", self.key.name)
    }
}

/// Why an admin token is not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    /// For what it is, or says.
    #[error(transparent)]
    Token(#[from] Refusal),
    /// It was taken back.
    #[error("it was revoked at {at}")]
    Revoked {
        /// When.
        at: Timestamp,
    },
    /// Its key was taken back.
    #[error("its key was revoked at {at}")]
    KeyRevoked {
        /// When.
        at: Timestamp,
    },
    /// No token was ever issued for the job.
    #[error("there is no job `{job}`")]
    UnknownJob {
        /// The job.
        job: String,
    },
    /// It speaks for somebody else.
    #[error("it is an admin token of `{name}`, not of `{owner}`")]
    WrongOwner {
        /// What its key is called.
        name: String,
        /// Whom it should speak for.
        owner: String,
    },
    /// Nobody may report the event.
    #[error(transparent)]
    Event(#[from] EventRefusal),
    /// It could not be found out.
    #[error("{}", .0.message)]
    Failed(Failure),
}

impl From<LedgerError> for Refused {
    fn from(error: LedgerError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Failed(failure) => failure,
            Refused::Event(refusal) => Self::from_error(Kind::No, &refusal).hint(EVENTS),
            Refused::UnknownJob { .. } => Self::from_error(Kind::No, &refused).hint(JOBS),
            Refused::WrongOwner { .. } => Self::from_error(Kind::No, &refused).hint(MINT),
            Refused::Token(_) | Refused::Revoked { .. } | Refused::KeyRevoked { .. } => {
                let hint = match refused {
                    Refused::Token(Refusal::UntrustedKey { .. }) => TRUST,
                    Refused::Token(Refusal::OtherSubject { .. }) => SUBJECT,
                    _ => MINT,
                };
                Self::new(Kind::No, "the admin token is not good").because(refused.to_string()).hint(hint)
            }
        }
    }
}

/// Tells whether a token can be one that we issued, before any ledger is opened: without an issuer in the settings ours
/// is the URN of the ledger, which no provider has.
pub(crate) fn may_be_ours(cx: &Context, token: &Secret<String>) -> Result<bool, Failure> {
    let Some(claims) = Claims::unverified(token) else { return Ok(false) };
    let Some(named) = claims.text("iss") else { return Ok(false) };
    Ok(cx.settings()?.issuer().map_or_else(|| named.starts_with("urn:"), |ours| ours.as_str() == named))
}

/// Tells whether a token says that we issued it: then it is ours to judge, and nobody else is asked.
pub(crate) fn is_ours(cx: &Context, ledger: Option<&Ledger>, token: &Secret<String>) -> Result<bool, Failure> {
    let Some(claims) = Claims::unverified(token) else { return Ok(false) };
    let ours = our_issuer(cx, ledger)?;
    Ok(ours.is_some_and(|ours| claims.text("iss") == Some(ours.as_str())))
}

/// Returns who issues tokens here; nobody where neither the settings nor a ledger say so.
pub(crate) fn our_issuer(cx: &Context, ledger: Option<&Ledger>) -> Result<Option<Issuer>, Failure> {
    match ledger {
        Some(ledger) => issuer(cx, ledger).map(Some),
        None => Ok(cx.settings()?.issuer().cloned()),
    }
}

/// Refuses a token that speaks for somebody else than was demanded.
pub(crate) fn refuse_other_owner(accepted: &Accepted, owner: Option<&Owner>) -> Result<(), Refused> {
    let name = accepted.key.name.as_str();
    match owner.filter(|owner| owner.as_str() != name) {
        Some(owner) => Err(Refused::WrongOwner { name: name.to_owned(), owner: owner.to_string() }),
        None => Ok(()),
    }
}

/// Checks an admin token, whether its holder may report the event, and what else the caller demands; writes down that it
/// was used or refused.
pub(crate) fn check<E: From<Refused> + Display>(
    cx: &Context,
    ledger: Option<&mut Ledger>,
    token: &Secret<String>,
    (asked, demand): (Asked<'_>, impl FnOnce(&Accepted) -> Result<(), E>),
) -> Result<Accepted, E> {
    let audience = asked.audience.ok_or_else(|| Refused::Failed(no_audience()))?;
    let ledger = ledger.ok_or_else(|| Refused::Failed(cx.without_a_ledger()))?;
    let by = cx.by();
    let judged = judge(cx, ledger, (token, audience), by.at).and_then(|accepted| {
        permit(cx, asked.event)?;
        refuse_unknown_job(ledger, asked.job)?;
        Ok(accepted)
    });
    match judged {
        Ok(accepted) => {
            if let Err(unmet) = demand(&accepted) {
                or_warn(ledger.record_admin_denial(&accepted.token.id, &unmet.to_string(), &by));
                return Err(unmet);
            }
            or_warn(record_use(ledger, &accepted, asked, &by));
            Ok(accepted)
        }
        Err(Refused::Failed(failure)) => Err(Refused::Failed(failure).into()),
        Err(refused) => {
            or_warn(record_denial(ledger, token, &refused, &by));
            Err(refused.into())
        }
    }
}

/// Lets a ledger answer that cannot be written.
fn or_warn(written: Result<(), LedgerError>) {
    if let Err(error) = written {
        tracing::warn!(%error, "what was asked of an admin token is not in history");
    }
}

/// Judges an admin token.
fn judge(
    cx: &Context,
    ledger: &Ledger,
    (token, audience): (&Secret<String>, &str),
    now: Timestamp,
) -> Result<Accepted, Refused> {
    let shown = Shown::read(token)?;
    let key = ledger.admin_key(shown.kid())?.ok_or_else(|| shown.untrusted())?;
    let issuer = issuer(cx, ledger).map_err(Refused::Failed)?;
    let public = public_key(&key).map_err(Refused::Failed)?;
    let expected = Expected { key: &public, name: &key.name, retired: key.retired, issuer: &issuer, audience };
    let token = shown.verify(&expected, now)?;
    if let Some(at) = ledger.revoked_since(&key.kid)? {
        return Err(Refused::KeyRevoked { at });
    }
    match ledger.revoked_since(&token.id)? {
        Some(at) => Err(Refused::Revoked { at }),
        None => Ok(Accepted { key, token }),
    }
}

/// Refuses an event that nobody may report.
fn permit(cx: &Context, event: Option<&str>) -> Result<(), Refused> {
    let Some(event) = event else { return Ok(()) };
    let settings = cx.settings().map_err(Refused::Failed)?;
    Ok(settings.policy().permit(event, Holder::Admin)?)
}

/// Refuses a job that nobody knows: its name was mistyped.
fn refuse_unknown_job(ledger: &Ledger, job: Option<&str>) -> Result<(), Refused> {
    match job {
        Some(job) if !ledger.knows_job(job)? => Err(Refused::UnknownJob { job: job.to_owned() }),
        Some(_) | None => Ok(()),
    }
}

/// Writes down that a token was used, and by whom: whoever holds it acts for its key.
fn record_use(ledger: &mut Ledger, accepted: &Accepted, asked: Asked<'_>, by: &By) -> Result<(), LedgerError> {
    let Accepted { key, token } = accepted;
    let (jti, exp) = (token.id.as_str(), token.claims.expires_at());
    let by = By { actor: accepted.actor(), ..by.clone() };
    ledger.record_admin_use(&Seen { jti, key, exp, job: asked.job, event: asked.event }, &by)
}

/// Writes down that a token was refused, if it has the id of one that was minted here.
fn record_denial(ledger: &mut Ledger, token: &Secret<String>, refused: &Refused, by: &By) -> Result<(), LedgerError> {
    let claims = Claims::unverified(token);
    let Some(id) = claims.as_ref().and_then(|claims| claims.text("jti")) else { return Ok(()) };
    ledger.record_admin_denial(id, &refused.to_string(), by)
}

/// Refuses to take a token that is meant for anybody.
fn no_audience() -> Failure {
    Failure::new(Kind::Usage, "an admin token is checked for an audience, and none is named")
        .hint("say who you are: --audience, with what `tokenkeep admin-token mint --audience` was told")
}

/// Where the events stand.
pub(crate) const EVENTS: &str = "see them with `tokenkeep config get policy.job_events`";

/// Where the jobs stand.
pub(crate) const JOBS: &str = "see them with `tokenkeep job-token list --all`";

/// How a key comes to be trusted.
pub(crate) const TRUST: &str = "if its owner is known, trust the key: `tokenkeep admin-token trust NAME 'JWK'`";

/// How subject and key come together.
pub(crate) const SUBJECT: &str = "trust the next key of its owner under the name that its tokens have as `sub`";

/// How to come by a good one.
pub(crate) const MINT: &str = "mint a new one: `tokenkeep admin-token mint --audience AUDIENCE`";
