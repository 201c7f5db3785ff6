//! `generate`: a person logs in once, and the offline token goes into the vault.

use serde_json::json;

use super::init::{self, Home};
use super::profile::flags::{ProfileFlags, default_scopes};
use super::revoke_old::{generation_of_login, revoke_old};
use super::seen::{self, Seen};
use super::target::{Target, TokenArgs};
use super::{Context, Outcome};
use crate::error::{Failure, Kind};
use crate::host::process;
use crate::idp::{Client, DeviceLogin, Endpoint, IdpError, Wire};
use crate::keeper::login::{Login, Poll};
use crate::keeper::plan::Fetch;
use crate::keeper::{KeeperError, dies_at, token_set};
use crate::output::link::{self, Qr};
use crate::output::{Form, put_time};
use crate::profile::{EntryName, Profile, SecureUrl};
use crate::secret::ClientSecret;
use crate::token::claims::Claims;
use crate::token::scopes::Scopes;
use crate::token::time::Lifetime;
use crate::vault::entry::{Born, CachedToken};
use crate::vault::{Vault, VaultError, header};

/// Examples of the command.
const EXAMPLES: &str = "Examples:
  tokenkeep generate prod
  tokenkeep generate prod --issuer https://auth.example.org/realms/main --client-id automated-access
  tokenkeep generate prod --user ada --force
";

/// RFC 8628 section 3.5: what `slow_down` adds to the interval.
const SLOW_DOWN: Lifetime = Lifetime::seconds(5);

/// Log in once at a provider and keep the offline token
///
/// Shows a link and a code on standard error; the login itself happens in a browser, on this machine or another. With
/// `--issuer` and `--client-id` the profile is made, too, once the login has succeeded.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The profile, or PROFILE@USER
    #[arg(value_name = "PROFILE", add = clap_complete::ArgValueCompleter::new(super::completions::profile_names))]
    name: Option<EntryName>,
    /// Keep the login under this user's name
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// Log in again although the present token is good
    #[arg(long)]
    force: bool,
    /// Revoke the token of the login before, then prove that the new one lives
    #[arg(long)]
    revoke_old: bool,
    /// Open no browser
    #[arg(long)]
    no_browser: bool,
    /// When to show a QR code
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    qr: Qr,
    #[command(flatten)]
    profile: ProfileFlags,
}

/// Runs the command.
pub(crate) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    process::leave_on_signals().map_err(|error| Failure::from_error(Kind::Failed, &error))?;
    let mut target = Target::of(cx, args.name.as_ref(), args.user.as_deref())?;
    super::issued::refuse_reserved(&target.name)?;
    let new_profile = target.complete(cx, &args.profile, ("generate", Kind::NotFound))?;
    let profile = login_profile(args, &target)?;
    let vault = open_or_make_vault(cx)?;
    refuse_stored(&target, &vault)?;
    if !args.force && is_good(cx, &target, &vault)? {
        refuse_more(args, cx, &target, &vault)?;
        target.write_profile(cx, new_profile.as_ref())?;
        cx.printer.notice(&format!("the token of `{}` is good; log in all the same with --force", target.name));
        return report(cx, &target, &vault);
    }
    let seen = newest_generation(&target, &vault)?;
    let rests = log_in(args, cx, &target, &profile, &vault)?;
    target.write_profile(cx, new_profile.as_ref())?;
    if args.revoke_old {
        match generation_of_login(&vault, &target.name, seen)?.filter(|_| rests == Rests::Published) {
            Some(login) => revoke_old(cx, &target, &vault, login)?,
            None => cx.printer.notice("the old token was not revoked, since the new login is not in its place yet"),
        }
    }
    report(cx, &target, &vault)
}

/// Returns the profile with what the flags ask for in this login.
fn login_profile(args: &Args, target: &Target) -> Result<Profile, Failure> {
    let missing = || target.failure(KeeperError::NoEntry { name: target.name.clone() });
    let mut profile = target.profile.clone().ok_or_else(missing)?;
    if !args.profile.scopes.is_empty() {
        profile.scopes = Scopes::parse(&args.profile.scopes)
            .map_err(|fault| Failure::from_error(Kind::Usage, &fault).hint("repeat --scope for each scope"))?;
    }
    if profile.scopes.is_empty() {
        profile.scopes = default_scopes();
    }
    if let Some(audience) = &args.profile.audience {
        profile.audience = Some(audience.clone());
    }
    Ok(profile)
}

/// Opens the vault; where there is none and a person sits there, makes one after one question.
fn open_or_make_vault(cx: &mut Context) -> Result<Vault, Failure> {
    let folder = cx.vault_folder()?;
    let is_none = || matches!(header::missing(&folder), VaultError::Missing { .. });
    if header::path(&folder).exists() || !cx.may_ask() || !is_none() {
        return cx.open_vault();
    }
    let home = init::default_home(cx)?;
    let by = match &home {
        Home::Keyring(_) => "the keyring of this desktop".to_owned(),
        Home::File(file) => format!("the key file {}", file.display()),
    };
    let question = format!("There is no vault yet. Make one in {}, opened by {by}?", folder.display());
    if !Context::confirm(&question)? {
        return Err(Failure::new(Kind::Locked, "there is no vault").hint("make one with `tokenkeep init`"));
    }
    let vault = init::make(cx, &home)?;
    cx.printer.notice(&match home {
        Home::Keyring(_) => {
            "made a vault; add a passphrase to it with `tokenkeep vault slot add passphrase`".to_owned()
        }
        Home::File(file) => format!("made a vault; keep a copy of {} in a safe place", file.display()),
    });
    Ok(vault)
}

/// Refuses to log in over something that somebody stored: a login replaces a login alone.
fn refuse_stored(target: &Target, vault: &Vault) -> Result<(), Failure> {
    // that nothing of it opens may be why somebody logs in again
    let Some(entry) = target.newest_that_opens(vault)? else { return Ok(()) };
    match token_set(&entry) {
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::from_error(Kind::Usage, &error)
            .hint(format!("log in under another name, or remove it with `tokenkeep delete {}`", target.name))),
    }
}

/// Tells whether the present login still gives access tokens.
fn is_good(cx: &Context, target: &Target, vault: &Vault) -> Result<bool, Failure> {
    let wanted = target.wanted(cx, &TokenArgs::default(), None, Fetch::IfDue)?;
    let keeper = cx.keeper(vault)?;
    if keeper.fetch(&target.name, target.profile.as_ref(), &wanted).is_err() {
        return Ok(false);
    }
    // a cached token that still lives says nothing of the refresh token: it may be refused, or from a restored backup
    let seen = seen::look(cx, Some(vault), &target.name)?;
    Ok(seen.as_ref().and_then(Seen::opened).is_some_and(|opened| !opened.standing.needs_a_person()))
}

/// Refuses flags that ask for something that the token which is kept does not have: they would change nothing.
fn refuse_more(args: &Args, cx: &Context, target: &Target, vault: &Vault) -> Result<(), Failure> {
    let entry = vault.newest(&target.name)?;
    let access = entry.as_ref().and_then(|entry| entry.body.tokens()).map_or(&[][..], |tokens| &tokens.access);
    // what the profile asks for at every login was asked for at the one before, whatever the provider made of it
    let settled = cx.settings()?.profile(&target.name.profile()).ok();
    let refusal = |what: String| {
        Failure::new(Kind::Usage, format!("the token of `{}` is good, but it does not have the {what}", target.name))
            .hint("leave the flag out, or log in again for it: add --force")
    };
    if args.revoke_old {
        return Err(Failure::new(
            Kind::Usage,
            format!("the token of `{}` is good, so there is no old one", target.name),
        )
        .hint("leave --revoke-old out, or log in again and revoke this one: add --force"));
    }
    let wanted = Scopes::parse(&args.profile.scopes)
        .map_err(|fault| Failure::from_error(Kind::Usage, &fault).hint("repeat --scope for each scope"))?;
    if let Some(scope) = wanted.iter().find(|scope| !has_scope(access, settled.as_ref(), scope)) {
        return Err(refusal(format!("scope `{scope}`")));
    }
    match &args.profile.audience {
        Some(audience) if !has_audience(access, settled.as_ref(), audience) => {
            Err(refusal(format!("audience `{audience}`")))
        }
        Some(_) | None => Ok(()),
    }
}

/// Tells whether a login has a scope: it was granted, or the profile asks for it anyway.
fn has_scope(access: &[CachedToken], profile: Option<&Profile>, scope: &str) -> bool {
    // not all providers name this one in their answer, and the offline token is there
    let is_offline = scope == "offline_access";
    let is_granted = || access.iter().filter_map(|token| token.scopes.as_ref()).any(|scopes| scopes.contains(scope));
    is_offline
        || is_granted()
        || profile.is_some_and(|profile| {
            let asked = if profile.scopes.is_empty() { &default_scopes() } else { &profile.scopes };
            asked.contains(scope)
        })
}

/// Tells whether a login has an audience: a token was asked for with it or names it, or the profile asks for it anyway.
fn has_audience(access: &[CachedToken], profile: Option<&Profile>, audience: &str) -> bool {
    let names_it = |token: &CachedToken| {
        Claims::unverified(token.token.secret()).is_some_and(|claims| claims.audiences().contains(&audience))
    };
    profile.is_some_and(|profile| profile.audience.as_deref() == Some(audience))
        || access.iter().any(|token| token.asked.audience.as_deref() == Some(audience) || names_it(token))
}

/// Returns the number of the newest generation, or 0.
fn newest_generation(target: &Target, vault: &Vault) -> Result<u64, Failure> {
    let generations = vault.shelf().generations(&target.name)?;
    Ok(generations.first().copied().unwrap_or(0))
}

/// Where a login rests.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rests {
    /// It is the newest generation.
    Published,
    /// It waits beside the generations, and the next command that writes the entry publishes it.
    Aside,
}

/// Begins the device flow, shows the link, and asks until the person has decided (RFC 8628).
fn log_in(args: &Args, cx: &mut Context, target: &Target, profile: &Profile, vault: &Vault) -> Result<Rests, Failure> {
    let keeper = cx.keeper(vault)?;
    keeper.rehearse(&target.name).map_err(|error| target.login_failure(error))?;
    let mut born = Born {
        issuer: profile.issuer.clone(),
        client_id: profile.client_id.clone(),
        token_endpoint: None,
        client_auth: profile.client_auth,
        client_secret: profile.client_secret.clone(),
    };
    let client_secret = keeper.client_secret(&target.name, &born).map_err(|error| target.login_failure(error))?;
    let wire = Wire::open(profile.ca_file.as_deref())?;
    let begun = begin(&wire, profile, client_secret.clone());
    let (token_endpoint, device) = begun.map_err(|error| target.login_failure(error.into()))?;
    born.token_endpoint = Some(token_endpoint);
    show(args, cx, &device);
    let login = Login { name: &target.name, profile, born, client_secret, code: device.device_code.clone() };
    let (rests, notice) = wait(cx, vault, target, (&login, &device))?;
    if let Some(notice) = notice {
        cx.printer.notice(&notice);
    }
    Ok(rests)
}

/// Begins the device flow; returns where its code is exchanged, too.
fn begin(wire: &Wire, profile: &Profile, secret: Option<ClientSecret>) -> Result<(SecureUrl, DeviceLogin), IdpError> {
    let endpoints = wire.locate(profile, &[Endpoint::DeviceAuthorization, Endpoint::Token])?;
    let token_endpoint = endpoints.need(Endpoint::Token)?.clone();
    let client = Client { id: profile.client_id.clone(), auth: profile.client_auth, secret };
    let audience = profile.audience.as_deref().map(|audience| (profile.audience_as, audience));
    let endpoint = endpoints.need(Endpoint::DeviceAuthorization)?;
    Ok((token_endpoint, wire.begin_device(endpoint, &client, &profile.scopes, audience)?))
}

/// Shows the link and the code, even when notices are silenced: without them nobody can log in.
fn show(args: &Args, cx: &mut Context, device: &DeviceLogin) {
    let link = device.verification_uri_complete.as_ref().unwrap_or(&device.verification_uri);
    let columns = if cx.host.terminals.stderr { crate::host::terminal::columns() } else { None };
    if let Some(code) = link::qr_code(link, args.qr, columns) {
        cx.printer.say(&code);
    }
    cx.printer.say(&format!("To log in, open {link}"));
    if device.verification_uri_complete.is_some() {
        cx.printer.say(&format!("and check that it shows the code {}", device.user_code));
        cx.printer.say(&format!("(or open {} and type the code)", device.verification_uri));
    } else {
        cx.printer.say(&format!("and type the code {}", device.user_code));
    }
    let until = cx.now().after(device.expires_in);
    cx.printer.notice(&format!("waiting for the login until {until}; Ctrl-C ends it"));
    if !args.no_browser && cx.may_ask() && !link::open_browser(link, &cx.host.env) {
        tracing::info!("no browser was opened");
    }
}

/// Asks in the provider's rhythm until the person has decided or the code is too old.
fn wait(
    cx: &mut Context,
    vault: &Vault,
    target: &Target,
    (login, device): (&Login<'_>, &DeviceLogin),
) -> Result<(Rests, Option<String>), Failure> {
    let again = format!("type `tokenkeep generate {}` again", target.name);
    let end = cx.now().after(device.expires_in);
    let mut interval = device.interval;
    let mut told = None;
    while cx.now() < end {
        process::pause(interval.min(end.since(cx.now())).into());
        match cx.keeper(vault)?.poll(login).map_err(|error| target.login_failure(error))? {
            Poll::Pending => {}
            Poll::SlowDown => interval = interval.plus(SLOW_DOWN),
            // RFC 8628 section 3.5: after a connection timeout, ask less often
            Poll::Retry { why } => {
                interval = interval.plus(interval);
                // once for each reason: who waits at the browser may want to end it
                if told.as_ref() != Some(&why) {
                    cx.printer.notice(&format!("no token yet: {why}; asked again until {end}"));
                    told = Some(why);
                }
            }
            Poll::Done { unpublished: Some(why), .. } => {
                return Ok((Rests::Aside, Some(format!("the login is kept, and waits to be published: {why}"))));
            }
            Poll::Done { token, unpublished: None } => {
                let unusable = "the offline token is kept, but the provider's first access token is unusable";
                return Ok((Rests::Published, token.is_none().then(|| unusable.to_owned())));
            }
            Poll::Denied { words } => {
                return Err(Failure::new(Kind::Login, "the login was refused").because(words).hint(again));
            }
            Poll::Expired => break,
        }
    }
    Err(Failure::new(Kind::Login, "nobody logged in before the code expired").hint(again))
}

/// Says what the vault holds now.
fn report(cx: &mut Context, target: &Target, vault: &Vault) -> Result<Outcome, Failure> {
    let entry = vault.newest(&target.name)?;
    let tokens = entry.as_ref().and_then(|entry| entry.body.tokens());
    let idle = target.profile.as_ref().and_then(|profile| profile.offline_idle);
    let dies = tokens.and_then(|tokens| dies_at(tokens, idle));
    let access = tokens.and_then(|tokens| tokens.access.first());
    if cx.printer.form == Form::Json {
        let mut object = json!({
            "profile": target.name.profile(),
            "name": target.name,
            "user": target.name.user(),
            "issuer": tokens.map(|tokens| tokens.born.issuer.as_str()),
            "scope": access.and_then(|access| access.scopes.as_ref()).map(ToString::to_string),
        });
        put_time(&mut object, "access_expires", access.map(|access| access.expires_at));
        put_time(&mut object, "dies", dies);
        cx.printer.object(object)?;
    } else {
        let end = dies.map_or_else(String::new, |dies| format!("; it dies on {dies} if it is not used"));
        cx.printer.notice(&format!("the offline token of `{}` is in the vault{end}", target.name));
        cx.printer.notice(&format!("next: `tokenkeep get {}`", target.name));
    }
    Ok(Outcome::Done)
}
