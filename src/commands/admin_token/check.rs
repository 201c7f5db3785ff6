//! Checking an admin token: by the keys that the ledger trusts, and by what was taken back. The vault stays closed.

use std::fmt::Display;

use super::issuer;
use crate::commands::Context;
use crate::error::{Failure, Kind};
use crate::ledger::admin_verdict::{Accepted, AdminChecked, AdminDemands, AdminRefusal};
use crate::ledger::{Ledger, LedgerError};
use crate::secret::Secret;
use crate::token::admin_token::Refusal;
use crate::token::claims::Claims;
use crate::token::issuer::Issuer;

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

/// Why an admin token is not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    /// The answer is no.
    #[error(transparent)]
    No(#[from] AdminRefusal),
    /// It could not be found out.
    #[error("{}", .0.message)]
    Failed(Failure),
}

impl From<AdminChecked> for Refused {
    fn from(checked: AdminChecked) -> Self {
        match checked {
            AdminChecked::Refused(refusal) => Self::No(refusal),
            AdminChecked::Ledger(error) => Self::Failed(error.into()),
        }
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        let refusal = match refused {
            Refused::Failed(failure) => return failure,
            Refused::No(refusal) => refusal,
        };
        match &refusal {
            AdminRefusal::Event(_) | AdminRefusal::UnknownJob { .. } | AdminRefusal::WrongOwner { .. } => {
                Self::from_error(Kind::No, &refusal)
            }
            AdminRefusal::Token(_) | AdminRefusal::Revoked { .. } | AdminRefusal::KeyRevoked { .. } => {
                Self::new(Kind::No, "the admin token is not good").because(refusal.to_string())
            }
        }
        .hint(hint(&refusal))
    }
}

/// Says what helps.
pub(crate) const fn hint(refusal: &AdminRefusal) -> &'static str {
    match refusal {
        AdminRefusal::Event(_) => "see them with `tokenkeep config get policy.job_events`",
        AdminRefusal::UnknownJob { .. } => "see them with `tokenkeep job-token list --all`",
        AdminRefusal::Token(Refusal::UntrustedKey { .. }) => {
            "if its owner is known, trust the key: `tokenkeep admin-token trust NAME 'JWK'`"
        }
        AdminRefusal::Token(Refusal::OtherSubject { .. }) => {
            "trust the next key of its owner under the name that its tokens have as `sub`"
        }
        AdminRefusal::Token(_)
        | AdminRefusal::WrongOwner { .. }
        | AdminRefusal::Revoked { .. }
        | AdminRefusal::KeyRevoked { .. } => "mint a new one: `tokenkeep admin-token mint --audience AUDIENCE`",
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
    let (by, issuer) = (cx.by(), issuer(cx, ledger).map_err(Refused::Failed)?);
    let policy = cx.settings().map_err(Refused::Failed)?.policy();
    let event = asked.event.map(|event| (policy, event));
    let demands = AdminDemands { issuer: &issuer, audience, job: asked.job, event };
    match ledger.judge_admin(token, &demands, by.at).map_err(Refused::from) {
        Ok(accepted) => {
            if let Err(unmet) = demand(&accepted) {
                or_warn(ledger.record_admin_denial(&accepted.token.id, &unmet.to_string(), &by));
                return Err(unmet);
            }
            or_warn(ledger.record_accepted(&accepted, &demands, &by));
            Ok(accepted)
        }
        Err(refused) => {
            if let Refused::No(refusal) = &refused {
                or_warn(ledger.record_refused(token, refusal, &by));
            }
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

/// Refuses to take a token that is meant for anybody.
fn no_audience() -> Failure {
    Failure::new(Kind::Usage, "an admin token is checked for an audience, and none is named")
        .hint("say who you are: --audience, with what `tokenkeep admin-token mint --audience` was told")
}
