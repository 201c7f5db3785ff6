//! Which token is judged: that of an entry, which comes through the keeper, or one from elsewhere, which is never spent.

use super::provider::Provider;
use super::verdict::{CheckedBy, Demands, Facts, Flaw, Reason, cannot_tell, known_claims};
use super::{Args, admin, issued};
use crate::commands::Context;
use crate::commands::target::{Handout, Target, TokenArgs};
use crate::error::{Failure, Kind};
use crate::idp::Introspection;
use crate::keeper::plan::Fetch;
use crate::keeper::{Keeper, KeeperError};
use crate::profile::{EntryName, Profile, SecureUrl};
use crate::secret::Secret;
use crate::token::claims::{self, Claims};
use crate::token::jwt;
use crate::token::scopes::Scopes;
use crate::token::text::{self, Look, is_usable};
use crate::vault::entry::{Body, FixedToken, TokenSet};

/// Judges the access token of an entry.
pub(super) fn judge_entry(cx: &Context, name: &EntryName, args: &Args) -> Result<Facts, Flaw> {
    let demands = args.demands()?;
    let target = Target::of(cx, Some(name), args.user.as_deref())?;
    target.must_exist(cx)?;
    let vault = cx.open_vault()?;
    let keeper = cx.keeper(&vault)?;
    let entry = vault.newest(&target.name).map_err(Failure::from)?;
    match entry.map(|entry| entry.body) {
        Some(Body::RefreshToken(tokens)) => {
            Login { cx, args, target: &target, keeper: &keeper, demands }.judge(&tokens)
        }
        Some(Body::AccessToken(fixed)) => judge_stored(cx, args, (&target, &keeper), fixed),
        Some(body @ (Body::ClientSecret(_) | Body::AdminKey(_) | Body::Secret(_))) => {
            let error = KeeperError::NotATokenSet { name: target.name.clone(), kind: body.kind() };
            Err(target.failure(error).into())
        }
        None => Err(target.failure(KeeperError::NoEntry { name: target.name.clone() }).into()),
    }
}

/// Judges a token that somebody hands to us.
pub(super) fn judge_foreign(cx: &mut Context, args: &Args) -> Result<Facts, Flaw> {
    let demands = args.demands()?;
    args.source.check(cx)?;
    let Some(token) = args.source.read_token(cx)? else {
        return Err(Failure::new(Kind::Usage, "there is no token to validate").into());
    };
    if let Some(facts) = issued::judge(cx, args, token.secret())? {
        return Ok(facts);
    }
    if let Some(facts) = admin::judge(cx, args, token.secret())? {
        return Ok(facts);
    }
    let profile = named_profile(cx, args)?;
    let issuer = match trusted(args, profile.as_ref().map(|profile| &profile.issuer)) {
        Ok(issuer) => issuer,
        Err(failure) => {
            refuse_event(args)?;
            let refused = admin::refuse_foreign(cx, token.secret()).or_else(|| issued::refuse_foreign(token.secret()));
            return Err(refused.unwrap_or(failure.into()));
        }
    };
    refuse_event(args)?;
    let provider = Provider::of(issuer, profile, args.ca_file.as_deref());
    let foreign = Foreign { cx, args, provider: &provider, demands };
    if !args.online || !provider.needs_secret() {
        return foreign.judge(token.secret(), None);
    }
    let vault = cx.open_vault()?;
    let keeper = cx.keeper(&vault)?;
    foreign.judge(token.secret(), Some(&keeper))
}

/// Judges an access token that somebody stored: as one from elsewhere, but its expiry may be known.
fn judge_stored(
    cx: &Context,
    args: &Args,
    (target, keeper): (&Target, &Keeper<'_>),
    fixed: FixedToken,
) -> Result<Facts, Flaw> {
    let demands = args.demands()?;
    let end = fixed.expires_at;
    let handout = Handout::Fixed(fixed);
    let known = target.profile.as_ref().map(|profile| &profile.issuer);
    let issuer = trusted(args, known)?;
    let provider = Provider::of(issuer, target.profile.clone(), args.ca_file.as_deref());
    if end.is_some() && !args.online && !claims::is_jwt(handout.secret()) {
        let claims = known_claims(None, end);
        let facts = Facts { checked_by: CheckedBy::Expiry, ..facts(&provider, claims) };
        demands.judge(&facts, cx.now())?;
        return Ok(facts);
    }
    Foreign { cx, args, provider: &provider, demands }.judge(handout.secret(), Some(keeper))
}

/// An entry with a refresh token, and how it is judged.
struct Login<'a> {
    /// What every command works with.
    cx: &'a Context,
    /// What was asked.
    args: &'a Args,
    /// The entry and its profile.
    target: &'a Target,
    /// What hands its access token out.
    keeper: &'a Keeper<'a>,
    /// What the token must have.
    demands: Demands,
}

impl Login<'_> {
    /// Judges the access token, refreshed if that is due.
    fn judge(&self, tokens: &TokenSet) -> Result<Facts, Flaw> {
        let issuer = trusted(self.args, Some(&tokens.born.issuer))?;
        let provider = Provider::of(issuer, self.target.profile.clone(), self.args.ca_file.as_deref());
        let (handout, facts) = self.fetch(&provider, Fetch::IfDue)?;
        if !self.args.online {
            return self.demanded(facts);
        }
        let client = provider.client(Some(self.keeper), Some((&self.target.name, &tokens.born)))?;
        match provider.introspect(&client, handout.secret())? {
            Introspection::Active(claims) => {
                let claims = match facts.checked_by {
                    CheckedBy::Signature => facts.claims,
                    CheckedBy::Expiry | CheckedBy::Introspection | CheckedBy::Refresh | CheckedBy::Ledger => {
                        claims.or_scopes(facts.claims.scopes().as_ref())
                    }
                };
                self.demanded(Facts { claims, checked_by: CheckedBy::Introspection, ..facts })
            }
            Introspection::Inactive => Err(inactive()),
            Introspection::NotAllowed => {
                let (_, facts) = self.fetch(&provider, Fetch::Always)?;
                Ok(Facts { checked_by: CheckedBy::Refresh, ..self.demanded(facts)? })
            }
        }
    }

    /// Gets the access token from the keeper, and what can be known of it without the provider's word.
    fn fetch(&self, provider: &Provider, fetch: Fetch) -> Result<(Handout, Facts), Flaw> {
        let wanted = self.target.wanted(self.cx, &TokenArgs::default(), self.args.min_ttl, fetch)?;
        let handed = self.target.fetch(self.keeper, &wanted)?;
        let (scopes, end, notice) = (handed.token.scopes.clone(), handed.token.expires_at, handed.notice.clone());
        let handout = Handout::Token(handed);
        let (claims, checked_by) = if claims::is_jwt(handout.secret()) {
            let claims = provider.verify(handout.secret(), self.cx.now())?;
            (claims.or_scopes(scopes.as_ref()), CheckedBy::Signature)
        } else {
            (known_claims(scopes.as_ref(), Some(end)), CheckedBy::Expiry)
        };
        Ok((handout, Facts { checked_by, notice, ..facts(provider, claims) }))
    }

    /// Refuses a token that does not have what is demanded.
    fn demanded(&self, facts: Facts) -> Result<Facts, Flaw> {
        self.demands.judge(&facts, self.cx.now())?;
        Ok(facts)
    }
}

/// A token from elsewhere, and how it is judged.
struct Foreign<'a> {
    /// What every command works with.
    cx: &'a Context,
    /// What was asked.
    args: &'a Args,
    /// The provider that is believed.
    provider: &'a Provider,
    /// What the token must have.
    demands: Demands,
}

impl Foreign<'_> {
    /// Judges the token without spending it.
    fn judge(&self, token: &Secret<String>, keeper: Option<&Keeper<'_>>) -> Result<Facts, Flaw> {
        if !is_usable(token) {
            return Err(Flaw::no(Reason::Malformed, "it has spaces or control characters"));
        }
        let verified = self.verified(token)?;
        match (verified, self.args.online) {
            (Some(facts), false) => Ok(facts),
            (None, false) if text::look(token) == Look::Plain => {
                Err(Flaw::no(Reason::Malformed, "it is too short, or too plain, to be a token"))
            }
            (None, false) => {
                let hint = "ask the provider: add --online; if it is a refresh token, `tokenkeep store NAME` it first";
                Err(cannot_tell("nothing can be read in it, and it cannot be told without spending it", hint).into())
            }
            (verified, true) => self.ask(token, keeper, verified),
        }
    }

    /// Checks what can be read; `None` if that is nothing.
    fn verified(&self, token: &Secret<String>) -> Result<Option<Facts>, Flaw> {
        if !claims::is_jwt(token) {
            return Ok(None);
        }
        jwt::require_issuer(token, self.provider.issuer.as_str())?;
        if is_for_the_provider_alone(token) {
            return Ok(None);
        }
        let claims = self.provider.verify(token, self.cx.now())?;
        self.demanded(claims, CheckedBy::Signature).map(Some)
    }

    /// Asks the provider, and judges its answer.
    fn ask(&self, token: &Secret<String>, keeper: Option<&Keeper<'_>>, verified: Option<Facts>) -> Result<Facts, Flaw> {
        let client = self.provider.client(keeper, None)?;
        match (self.provider.introspect(&client, token)?, verified) {
            (Introspection::Active(_), Some(facts)) => Ok(Facts { checked_by: CheckedBy::Introspection, ..facts }),
            (Introspection::Active(claims), None) => self.demanded(claims, CheckedBy::Introspection),
            (Introspection::Inactive, _) => Err(inactive()),
            (Introspection::NotAllowed, Some(_)) => Err(cannot_tell(
                "its signature and times are good, but this client may not ask the provider whether it was revoked",
                "leave out --online if that is enough",
            )
            .into()),
            (Introspection::NotAllowed, None) => Err(cannot_tell(
                "this client may not ask the provider, so it cannot be told without spending it",
                "`tokenkeep store NAME` it first, then `tokenkeep validate --entry NAME --online`",
            )
            .into()),
        }
    }

    /// Refuses a token that does not have what is demanded.
    fn demanded(&self, claims: Claims, checked_by: CheckedBy) -> Result<Facts, Flaw> {
        let facts = Facts { checked_by, ..facts(self.provider, claims) };
        self.demands.judge(&facts, self.cx.now())?;
        Ok(facts)
    }
}

/// Takes what a provider's token says, as checked by its signature.
fn facts(provider: &Provider, claims: Claims) -> Facts {
    let issuer = provider.issuer.to_string();
    Facts { kind: "provider", issuer, claims, checked_by: CheckedBy::Signature, notice: None }
}

impl Args {
    /// Returns what a good token must have.
    pub(super) fn demands(&self) -> Result<Demands, Failure> {
        let scopes = |texts: &[String]| {
            Scopes::parse(texts)
                .map_err(|fault| Failure::from_error(Kind::Usage, &fault).hint("repeat --scope for each scope"))
        };
        let (all, any) = (scopes(&self.scopes)?, scopes(&self.any_scopes)?);
        Ok(Demands { audience: self.audience.clone(), all, any, min_ttl: self.min_ttl })
    }
}

/// Refuses a provider's token for what only tokens of ours can have, whatever its scopes are.
fn refuse_event(args: &Args) -> Result<(), Flaw> {
    let no = |reason, message: &str| Err(Flaw::no(reason, message));
    match (&args.event, &args.job, &args.owner, &args.service) {
        (Some(_), ..) => no(Reason::Event, "only a job's token or an admin token can report an event"),
        (None, Some(_), ..) => no(Reason::Job, "only a job's token, which we issue, or an admin token does for a job"),
        (None, None, Some(_), _) => no(Reason::Owner, "only a token that we issue has an owner here"),
        (None, None, None, Some(_)) => no(Reason::Service, "only a token that we issue is for a service"),
        (None, None, None, None) => Ok(()),
    }
}

/// Returns the provider that is believed: the one that was named, or the one that is known.
fn trusted(args: &Args, known: Option<&SecureUrl>) -> Result<SecureUrl, Failure> {
    args.issuer.as_ref().or(known).cloned().ok_or_else(|| {
        Failure::new(Kind::Usage, "which provider? A token is not asked who issued it")
            .hint("name it with --issuer URL, or a profile with --profile NAME")
    })
}

/// Returns the profile that was named, or the default one if it is needed or fits.
fn named_profile(cx: &Context, args: &Args) -> Result<Option<Profile>, Failure> {
    let settings = cx.settings()?;
    if let Some(name) = &args.profile {
        return Ok(Some(settings.profile(&name.profile())?));
    }
    match (settings.default_profile(), &args.issuer) {
        (Some(name), None) => Ok(Some(settings.profile(&name.profile())?)),
        // with an issuer the default profile is a help at best, so what is wrong with it is of no interest
        (Some(name), Some(_)) => Ok(settings.profile(&name.profile()).ok()),
        (None, _) => Ok(None),
    }
}

/// Tells whether a JWT is one that the provider writes for itself: Keycloak's refresh and offline tokens are signed with
/// a secret of its own.
fn is_for_the_provider_alone(token: &Secret<String>) -> bool {
    let kind = Claims::unverified(token).and_then(|claims| claims.text("typ").map(str::to_owned));
    kind.is_some_and(|kind| ["Refresh", "Offline"].contains(&kind.as_str()))
}

/// Says no because the provider does.
fn inactive() -> Flaw {
    Flaw::no(Reason::Inactive, "the provider says that it is not active: it expired, was revoked, or was never there")
}
