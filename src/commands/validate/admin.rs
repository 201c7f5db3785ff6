//! Admin tokens: known by the issuer that they name, which is us, and judged by the keys that the ledger trusts.

use super::Args;
use super::verdict::{CheckedBy, Facts, Flaw, Reason};
use crate::commands::Context;
use crate::commands::admin_token::check::{self, Asked, Refused, hint};
use crate::ledger::admin_verdict::{Accepted, AdminRefusal};
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
    if let Some(owner) = &args.owner {
        accepted.require_owner(owner.as_str()).map_err(Refused::from)?;
    }
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
    let ours = check::our_issuer(cx, ledger.as_ref()).ok()??;
    let found = claims.text("iss").map(|issuer| crate::token::text::escaped(issuer).chars().take(300).collect());
    let hint = format!(
        "for a provider's token type `tokenkeep validate --issuer URL`; admin tokens are believed here from {} (`issuer` in [issued])",
        ours.as_str()
    );
    Some(Flaw::from(Rejection::IssuerMismatch { found }).hinting(hint))
}

impl From<Refused> for Flaw {
    fn from(refused: Refused) -> Self {
        let refusal = match refused {
            Refused::Failed(failure) => return Self::Failure(failure),
            Refused::No(refusal) => refusal,
        };
        let (message, hint) = (refusal.to_string(), hint(&refusal).to_owned());
        let reason = match refusal {
            AdminRefusal::Token(Refusal::Jwt(rejection)) => return Self::from(rejection).hinting(hint),
            AdminRefusal::Token(refusal) => reason(&refusal),
            AdminRefusal::Revoked { .. } | AdminRefusal::KeyRevoked { .. } => Reason::Revoked,
            AdminRefusal::Event(_) => Reason::Event,
            AdminRefusal::WrongOwner { .. } => Reason::Owner,
            AdminRefusal::UnknownJob { .. } => Reason::Job,
        };
        Self::no(reason, message).hinting(hint)
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
