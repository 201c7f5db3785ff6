//! Judging what a token says, once it is known who says it. Pure: time and demands are arguments.

use std::fmt;

use serde_json::{Map, Value, json};

use crate::error::{Failure, Kind};
use crate::idp::IdpError;
use crate::token::claims::Claims;
use crate::token::jwt::{self, Rejection};
use crate::token::scopes::Scopes;
use crate::token::time::{Lifetime, Timestamp};

/// What a good token must have.
#[derive(Debug)]
pub(super) struct Demands {
    /// Who must be among its audiences.
    pub(super) audience: Option<String>,
    /// The scopes that it must all have.
    pub(super) all: Scopes,
    /// The scopes of which it must have one.
    pub(super) any: Scopes,
    /// How much life it must have left.
    pub(super) min_ttl: Option<Lifetime>,
}

/// What is known of a token, and from whom.
#[derive(Debug)]
pub(super) struct Facts {
    /// Which kind of token it is: `provider`, or the word for one of our own.
    pub(super) kind: &'static str,
    /// Who issued it: the provider that was believed, or us.
    pub(super) issuer: String,
    /// What the token says, or what the provider says of it.
    pub(super) claims: Claims,
    /// How it was checked.
    pub(super) checked_by: CheckedBy,
    /// What the keeper wants the person to know.
    pub(super) notice: Option<String>,
}

/// How a token was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CheckedBy {
    /// By its signature.
    Signature,
    /// By asking the provider (RFC 7662).
    Introspection,
    /// By a refresh, from which it came.
    Refresh,
    /// By the expiry that the provider named when it gave the token.
    Expiry,
    /// By our own ledger, which issued it or trusts its key.
    Ledger,
}

impl CheckedBy {
    /// Returns the word that stands in JSON.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Signature => "signature",
            Self::Introspection => "introspection",
            Self::Refresh => "refresh",
            Self::Expiry => "expiry",
            Self::Ledger => "ledger",
        }
    }
}

/// Why a token is not called good.
#[derive(Debug)]
pub(super) enum Flaw {
    /// It is not.
    No(No),
    /// It cannot be told, or could not be found out.
    Failure(Failure),
}

/// The answer no.
#[derive(Debug)]
pub(super) struct No {
    /// Which no.
    pub(super) reason: Reason,
    /// The words for people.
    pub(super) message: String,
    /// When the token's life ended, if that is why.
    pub(super) expires_at: Option<Timestamp>,
    /// How to come by a good one, if that is not a matter of the provider.
    pub(super) hint: Option<String>,
}

/// Why the answer is no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// It cannot be read.
    Malformed,
    /// The provider did not sign it.
    Signature,
    /// Another provider issued it.
    Issuer,
    /// It is meant for somebody else.
    Audience,
    /// It has expired.
    Expired,
    /// It is not good yet.
    NotYetValid,
    /// It lives shorter than was demanded.
    MinTtl,
    /// It lacks a scope.
    Scope,
    /// The provider says so.
    Inactive,
    /// It was taken back.
    Revoked,
    /// Its holder may not report the event.
    Event,
    /// Nobody issued it.
    Unknown,
    /// Its job has ended.
    Ended,
    /// Nobody keeps its job running.
    Lapsed,
    /// It is another job's, or none's.
    Job,
    /// It speaks for somebody else.
    Owner,
    /// It is for another service, or for none.
    Service,
}

impl Reason {
    /// Returns the word that stands in JSON.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Signature => "signature",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::MinTtl => "min_ttl",
            Self::Scope => "scope",
            Self::Inactive => "inactive",
            Self::Revoked => "revoked",
            Self::Event => "event",
            Self::Unknown => "unknown",
            Self::Ended => "ended",
            Self::Lapsed => "lapsed",
            Self::Job => "job",
            Self::Owner => "owner",
            Self::Service => "service",
        }
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::No(no) => &no.message,
            Self::Failure(failure) => &failure.message,
        })
    }
}

impl From<Failure> for Flaw {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl From<IdpError> for Flaw {
    fn from(error: IdpError) -> Self {
        Self::Failure(error.into())
    }
}

impl From<Rejection> for Flaw {
    fn from(rejection: Rejection) -> Self {
        let (reason, expires_at) = match &rejection {
            Rejection::NotAJwt | Rejection::CriticalHeader | Rejection::NoExpiry | Rejection::UnreadableTime(_) => {
                (Reason::Malformed, None)
            }
            Rejection::Encrypted => {
                return cannot_tell(rejection.to_string(), "let the provider tell: add --online").into();
            }
            Rejection::AlgorithmNotAllowed(_) | Rejection::UnknownKey { .. } | Rejection::BadSignature => {
                (Reason::Signature, None)
            }
            Rejection::IssuerMismatch { .. } => (Reason::Issuer, None),
            Rejection::AudienceMismatch { .. } => (Reason::Audience, None),
            Rejection::Expired { at } => (Reason::Expired, Some(*at)),
            Rejection::NotYetValid { .. } => (Reason::NotYetValid, None),
            Rejection::MissingScope(_) | Rejection::NoneOfScopes(_) => (Reason::Scope, None),
        };
        Self::No(No { reason, message: rejection.to_string(), expires_at, hint: None })
    }
}

impl Flaw {
    /// Adds how to come by a good token, where the answer is no.
    pub(super) fn hinting(self, hint: String) -> Self {
        match self {
            Self::No(no) => Self::No(No { hint: Some(hint), ..no }),
            failure @ Self::Failure(_) => failure,
        }
    }

    /// Says no for a reason that is not in the token's text.
    pub(super) fn no(reason: Reason, message: impl Into<String>) -> Self {
        Self::No(No { reason, message: message.into(), expires_at: None, hint: None })
    }
}

/// Describes a token of which nobody here can say whether it is good.
pub(super) fn cannot_tell(why: impl Into<String>, hint: &str) -> Failure {
    Failure::new(Kind::Failed, "it cannot be told whether the token is good").because(why).hint(hint)
}

impl Demands {
    /// Judges what is known of a token.
    pub(super) fn judge(&self, facts: &Facts, now: Timestamp) -> Result<(), Flaw> {
        let claims = &facts.claims;
        // of what a ledger or a signature vouches for nothing is hidden
        if !matches!(facts.checked_by, CheckedBy::Signature | CheckedBy::Ledger) {
            self.refuse_to_guess(claims)?;
        }
        if let Some(audience) = &self.audience {
            jwt::require_audience(claims, audience)?;
        }
        jwt::require_scopes(claims, &self.all)?;
        jwt::require_any_scope(claims, &self.any)?;
        let end = claims.expires_at();
        if let Some(at) = end.filter(|&at| now >= at) {
            return Err(Rejection::Expired { at }.into());
        }
        match (end, self.min_ttl) {
            (Some(end), Some(least)) if end.since(now) < least => {
                Err(Flaw::no(Reason::MinTtl, format!("it lives only {} more, not {least}", end.since(now))))
            }
            (None, Some(_)) => Err(cannot_tell("nobody says when it expires", "leave out --min-ttl").into()),
            (Some(_) | None, _) => Ok(()),
        }
    }

    /// Refuses to guess what nobody says of an opaque token. A JWT that does not say it does not have it.
    fn refuse_to_guess(&self, claims: &Claims) -> Result<(), Flaw> {
        let silent = |what: &str| {
            let why = format!("nothing can be read in it, and nobody says which {what} it has");
            Err(cannot_tell(why, &format!("leave out the demand for {what}, or ask the provider: add --online")).into())
        };
        if self.audience.is_some() && claims.audiences().is_empty() {
            return silent("audience");
        }
        if !(self.all.is_empty() && self.any.is_empty()) && claims.scopes().is_none() {
            return silent("scopes");
        }
        Ok(())
    }
}

/// Writes down as claims what is known of an opaque token.
pub(super) fn known_claims(scopes: Option<&Scopes>, expires_at: Option<Timestamp>) -> Claims {
    let mut claims = Map::new();
    if let Some(scopes) = scopes {
        claims.insert("scope".to_owned(), json!(scopes.to_string()));
    }
    if let Some(end) = expires_at {
        claims.insert("exp".to_owned(), Value::from(end.epoch()));
    }
    Claims::new(claims)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_epoch(1_000);

    fn judge(change: impl FnOnce(&mut Demands), checked_by: CheckedBy, claims: Value) -> &'static str {
        let Value::Object(claims) = claims else { panic!("not an object") };
        let mut demands = Demands { audience: None, all: Scopes::default(), any: Scopes::default(), min_ttl: None };
        change(&mut demands);
        let (kind, issuer, claims) = ("provider", "https://a.example".to_owned(), Claims::new(claims));
        match demands.judge(&Facts { kind, issuer, claims, checked_by, notice: None }, NOW) {
            Ok(()) => "good",
            Err(Flaw::No(no)) => no.reason.name(),
            Err(Flaw::Failure(failure)) => failure.kind.name(),
        }
    }

    #[test]
    fn a_token_is_good_to_its_last_second() {
        let at = |end: i64| judge(|_| (), CheckedBy::Signature, json!({ "exp": end }));
        assert_eq!((at(1_001), at(1_000)), ("good", "expired"));
    }

    #[test]
    fn less_life_than_demanded_is_a_no() {
        let least = |demands: &mut Demands| demands.min_ttl = Some(Lifetime::seconds(60));
        let at = |end: Value| judge(least, CheckedBy::Signature, json!({ "exp": end }));
        assert_eq!((at(json!(1_060)), at(json!(1_059)), at(Value::Null)), ("good", "min_ttl", "failed"));
    }

    #[test]
    fn what_nobody_says_of_an_opaque_token_is_not_guessed() {
        let both = |demands: &mut Demands| {
            demands.audience = Some("api".into());
            demands.all = Scopes::lenient("read");
        };
        let opaque = |claims: Value| judge(both, CheckedBy::Introspection, claims);
        assert_eq!(opaque(json!({"scope": "read"})), "failed");
        assert_eq!(opaque(json!({"aud": "api"})), "failed");
        assert_eq!(opaque(json!({"aud": "api", "scope": "read"})), "good");
        assert_eq!(opaque(json!({"aud": "other", "scope": "read"})), "audience");
        assert_eq!(opaque(json!({"aud": "api", "scope": "write"})), "scope");
        assert_eq!(judge(both, CheckedBy::Signature, json!({"aud": "api"})), "scope");
    }
}
