//! Tokens of our own, known by their text and judged by the ledger. No vault is opened, and nobody is asked.

use serde_json::{Map, json};

use super::Args;
use super::verdict::{CheckedBy, Facts, Flaw, No, Reason};
use crate::commands::Context;
use crate::error::Failure;
use crate::ledger::check::{Checked, Demands, Refusal};
use crate::ledger::token::Token;
use crate::secret::Secret;
use crate::token::claims::Claims;
use crate::token::issued::{self, Misread, Presented};
use crate::token::names::{Job, Owner, Service};
use crate::token::time::Timestamp;

/// How to come by a good one.
const CREATE: &str = "see how tokens stand: `tokenkeep token list --all`";

/// Why no token of the ledger does for an audience.
pub(in crate::commands) const NO_AUDIENCE: &str =
    "only an admin token has an audience; leave --audience out for the others";

/// Judges a token if its text is one of ours; `None` if it is for others to judge.
pub(super) fn judge(cx: &Context, args: &Args, token: &Secret<String>) -> Result<Option<Facts>, Flaw> {
    match issued::read(token) {
        Err(Misread::Foreign) => Ok(None),
        Err(misread) => Err(refused(&misread.into())),
        Ok(shown) => ask(cx, args, &shown).map(Some),
    }
}

/// Says no to what is no token of ours, and no JWT of which a provider could be asked, where no provider is named: whoever
/// checks what strangers show must get an answer, not a complaint about the command line.
pub(super) fn refuse_foreign(token: &Secret<String>) -> Option<Flaw> {
    if Claims::unverified(token).is_some() {
        return None;
    }
    let (reason, message) = (Reason::Malformed, Misread::Foreign.to_string());
    let hint = "if a provider issued it, name that: --issuer URL, or --profile NAME".to_owned();
    Some(Flaw::No(No { reason, message, expires_at: None, hint: Some(hint) }))
}

/// Says no to a token of ours where there is no ledger that could know it.
fn unknown(cx: &Context) -> Flaw {
    let Failure { causes, hint, .. } = cx.without_a_ledger();
    let message = [Refusal::Unknown.to_string()].into_iter().chain(causes).collect::<Vec<_>>().join("; ");
    Flaw::No(No { reason: Reason::Unknown, message, expires_at: None, hint })
}

/// Asks the ledger.
fn ask(cx: &Context, args: &Args, shown: &Presented) -> Result<Facts, Flaw> {
    if args.issuer.is_some() || args.profile.is_some() {
        return Err(Flaw::no(Reason::Issuer, "it is a token of ours, which no provider issued"));
    }
    let scopes = args.demands()?;
    let settings = cx.settings()?;
    let demands = Demands {
        job: args.job.as_ref().map(Job::as_str),
        event: args.event.as_deref().map(|event| (settings.policy(), event)),
        owner: args.owner.as_ref().map(Owner::as_str),
        service: args.service.as_ref().map(Service::as_str),
        audience: args.audience.as_deref(),
        all: scopes.all,
        any: scopes.any,
        min_ttl: args.min_ttl,
    };
    let by = cx.by();
    let Some(mut ledger) = cx.present_ledger(&by)? else { return Err(unknown(cx)) };
    match ledger.check(shown, &demands, &by) {
        Ok(token) => {
            let urn = ledger.urn().map_err(Failure::from)?;
            let issuer = settings.issuer().map_or(urn, |issuer| issuer.as_str().to_owned());
            Ok(facts(&token, issuer, by.at))
        }
        Err(Checked::Refused(refusal)) => Err(refused(&refusal)),
        Err(Checked::Ledger(error)) => Err(Flaw::Failure(error.into())),
    }
}

/// Writes what the ledger says as claims, with the names of RFC 7662.
fn facts(token: &Token, issuer: String, now: Timestamp) -> Facts {
    let scopes = token.grace.as_ref().map_or(&token.scopes, |grace| &grace.scopes);
    let texts = [
        ("sub", Some(token.owner.clone())),
        ("username", Some(token.owner.clone())),
        ("jti", Some(token.id.to_string())),
        ("scope", Some(scopes.to_string())),
        ("job", token.job.clone()),
        ("service", token.service.clone()),
        ("parent", token.parent.as_ref().map(ToString::to_string)),
    ];
    let mut claims: Map<_, _> =
        texts.into_iter().filter_map(|(name, text)| Some((name.to_owned(), json!(text?)))).collect();
    claims.insert("iat".to_owned(), json!(token.created.epoch()));
    if let Some(end) = token.good_until() {
        claims.insert("exp".to_owned(), json!(end.epoch()));
    }
    let notice = token.grace.as_ref().filter(|grace| now < grace.until);
    Facts {
        kind: token.kind.word(),
        issuer,
        claims: Claims::new(claims),
        checked_by: CheckedBy::Ledger,
        notice: notice.map(|grace| {
            if token.is_superseded() {
                return format!("another token has taken its place; it is good until {}", grace.until);
            }
            format!("its job has ended; `{}` stay good until {}", grace.scopes, grace.until)
        }),
    }
}

/// Says no.
fn refused(refusal: &Refusal) -> Flaw {
    let (reason, expires_at) = match refusal {
        Refusal::Misread(_) => (Reason::Malformed, None),
        Refusal::Unknown => (Reason::Unknown, None),
        Refusal::Ended(_) | Refusal::OnlyGrace { .. } => (Reason::Ended, None),
        Refusal::Revoked(_) => (Reason::Revoked, None),
        Refusal::Expired(at) => (Reason::Expired, Some(*at)),
        Refusal::Lapsed(_) => (Reason::Lapsed, None),
        Refusal::NotAJobs(_) | Refusal::WrongJob => (Reason::Job, None),
        Refusal::Event(_) => (Reason::Event, None),
        Refusal::WrongOwner(_) => (Reason::Owner, None),
        Refusal::WrongService(_) => (Reason::Service, None),
        Refusal::WrongAudience(_) => (Reason::Audience, None),
        Refusal::MissingScope(_) | Refusal::NoneOfScopes(_) => (Reason::Scope, None),
        Refusal::TooShort { .. } => (Reason::MinTtl, None),
    };
    let hint = if reason == Reason::Audience { NO_AUDIENCE } else { CREATE };
    Flaw::No(No { reason, message: refusal.to_string(), expires_at, hint: Some(hint.to_owned()) })
}
