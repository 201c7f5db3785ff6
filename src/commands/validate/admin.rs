//! Admin tokens: known by the issuer that they name, which is us, and judged by the keys that the ledger trusts.

use super::Args;
use super::verdict::{CheckedBy, Facts, Flaw, No, Reason};
use crate::commands::Context;
use crate::commands::admin_token::check::{self, Accepted, Asked, EVENTS, JOBS, MINT, Refused, SUBJECT, TRUST};
use crate::secret::Secret;
use crate::token::admin_token::Refusal;
use crate::token::claims::Claims;
use crate::token::jwt::Rejection;
use crate::token::names::Job;

/// Judges a token if it says that we issued it; `None` if it is for others to judge.
pub(super) fn judge(cx: &Context, args: &Args, token: &Secret<String>) -> Result<Option<Facts>, Flaw> {
    // who names a provider is told about that provider, and a provider's token needs no ledger
    if args.profile.is_some() || !check::may_be_ours(cx, token)? {
        return Ok(None);
    }
    let mut ledger = cx.present_ledger(&cx.by())?;
    let ours = check::our_issuer(cx, ledger.as_ref())?;
    let is_named = |ours: &str| args.issuer.as_ref().is_none_or(|named| named.as_str() == ours);
    if !ours.is_some_and(|ours| is_named(ours.as_str())) || !check::is_ours(cx, ledger.as_ref(), token)? {
        return Ok(None);
    }
    let asked = Asked {
        audience: args.audience.as_deref(),
        job: args.job.as_ref().map(Job::as_str),
        event: args.event.as_deref(),
    };
    let demands = args.demands()?;
    let demand = |accepted: &Accepted| {
        refuse_others(args, accepted)?;
        demands.judge(&facts(accepted), cx.now())
    };
    let accepted: Result<Accepted, Flaw> = check::check(cx, ledger.as_mut(), token, (asked, demand));
    Ok(Some(facts(&accepted?)))
}

/// Refuses an admin token where one for somebody else is asked for.
fn refuse_others(args: &Args, accepted: &Accepted) -> Result<(), Flaw> {
    check::refuse_other_owner(accepted, args.owner.as_ref())?;
    match &args.service {
        Some(_) => Err(Flaw::no(Reason::Service, "it is an admin token, which is for no service")),
        None => Ok(()),
    }
}

/// Says what is known of a good admin token.
fn facts(Accepted { token, .. }: &Accepted) -> Facts {
    let issuer = token.claims.text("iss").unwrap_or_default().to_owned();
    Facts { kind: "admin", issuer, checked_by: CheckedBy::Ledger, notice: None, claims: token.claims.clone() }
}

/// Says no to a JWT of others where nothing else than our own issuer is known.
pub(super) fn refuse_foreign(cx: &Context, token: &Secret<String>) -> Option<Flaw> {
    let claims = Claims::unverified(token)?;
    let ledger = cx.present_ledger(&cx.by()).ok()?;
    check::our_issuer(cx, ledger.as_ref()).ok()??;
    let found = claims.text("iss").map(|issuer| crate::token::text::escaped(issuer).chars().take(300).collect());
    Some(Rejection::IssuerMismatch { found }.into())
}

impl From<Refused> for Flaw {
    fn from(refused: Refused) -> Self {
        let message = refused.to_string();
        let no = |reason, hint: &str| No { reason, message, expires_at: None, hint: Some(hint.to_owned()) };
        Self::No(match refused {
            Refused::Failed(failure) => return Self::Failure(failure),
            Refused::Token(Refusal::Jwt(rejection)) => match rejection.into() {
                Self::No(plain) => No { hint: Some(MINT.to_owned()), ..plain },
                failure @ Self::Failure(_) => return failure,
            },
            Refused::Token(refusal @ Refusal::UntrustedKey { .. }) => no(reason(&refusal), TRUST),
            Refused::Token(refusal @ Refusal::OtherSubject { .. }) => no(reason(&refusal), SUBJECT),
            Refused::Token(refusal) => no(reason(&refusal), MINT),
            Refused::Revoked { .. } | Refused::KeyRevoked { .. } => no(Reason::Revoked, MINT),
            Refused::Event(_) => no(Reason::Event, EVENTS),
            Refused::WrongOwner { .. } => no(Reason::Owner, MINT),
            Refused::UnknownJob { .. } => no(Reason::Job, JOBS),
        })
    }
}

/// Returns the word for a refusal.
const fn reason(refusal: &Refusal) -> Reason {
    match refusal {
        Refusal::UntrustedKey { .. } | Refusal::UnsoundKey { .. } | Refusal::RetiredKey { .. } | Refusal::NoKey => {
            Reason::Signature
        }
        Refusal::OtherSubject { .. } => Reason::Owner,
        Refusal::Jwt(_) | Refusal::WrongType { .. } | Refusal::TooLong { .. } | Refusal::MissingClaim(_) => {
            Reason::Malformed
        }
    }
}
