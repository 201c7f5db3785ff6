//! `whoami`: who a token says we are.

use serde_json::{Value, json};

use super::completions::entry_names;
use super::target::{Handout, Target, TokenArgs};
use super::{Context, Outcome};
use crate::error::{Failure, Kind};
use crate::host::machine;
use crate::host::process::user_number;
use crate::keeper::plan::Fetch;
use crate::output::{Form, json_path, put_time};
use crate::profile::EntryName;
use crate::token::claims::Claims;
use crate::token::time::Timestamp;
use crate::vault::Vault;

/// Examples of the command.
const EXAMPLES: &str = "Examples:
  tokenkeep whoami prod
  tokenkeep whoami prod --json
  tokenkeep whoami
";

/// Show who a token says we are
///
/// The access token says it if it is a JWT, else the ID token of the login. Both came from the provider itself, so their
/// signatures are not checked: `tokenkeep validate` does that. Without a profile only the vault and the user of this
/// machine are shown.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The profile or entry
    #[arg(value_name = "PROFILE", add = clap_complete::ArgValueCompleter::new(entry_names))]
    name: Option<EntryName>,
    #[command(flatten)]
    token: TokenArgs,
}

/// What a token says.
#[derive(Debug, Default)]
struct Identity {
    /// The provider.
    issuer: Option<String>,
    /// Who it is, in the provider's words.
    subject: Option<String>,
    /// The name that a person knows.
    username: Option<String>,
    /// The address.
    email: Option<String>,
    /// The client.
    client: Option<String>,
    /// The scopes.
    scope: Option<String>,
    /// For whom the access token is.
    audience: Vec<String>,
    /// When the access token ends.
    expires_at: Option<Timestamp>,
}

/// Runs the command.
pub(crate) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    let named = args.name.is_some() || cx.settings()?.default_profile().is_some();
    let found = if named { Some(ask(args, cx)?) } else { None };
    let user = machine::user();
    if cx.printer.form == Form::Json {
        let object = object(cx, found.as_ref(), &user)?;
        cx.printer.object(object)?;
        return Ok(Outcome::Done);
    }
    let mut facts = found.as_ref().map(|(target, identity)| facts(target, identity, cx.now())).unwrap_or_default();
    facts.push(("vault", cx.vault_folder()?.display().to_string()));
    facts.push(("os user", format!("{user} ({})", user_number())));
    cx.printer.facts(&facts)?;
    Ok(Outcome::Done)
}

/// Gets a token, and reads what it says.
fn ask(args: &Args, cx: &mut Context) -> Result<(Target, Identity), Failure> {
    let target = Target::of(cx, args.name.as_ref(), args.token.user.as_deref())?;
    target.must_exist(cx)?;
    let wanted = target.wanted(cx, &args.token, None, Fetch::IfDue)?;
    let vault = cx.open_vault()?;
    let handout = target.hand_out(&cx.keeper(&vault)?, &wanted, &args.token.of_a_provider(None))?;
    if let Some(notice) = handout.notice() {
        cx.printer.notice(notice);
    }
    let identity = identity(&target, &vault, &handout)?;
    Ok((target, identity))
}

/// Reads what an access token says, and where it says nothing, what the ID token of the login says.
fn identity(target: &Target, vault: &Vault, handout: &Handout) -> Result<Identity, Failure> {
    if let Handout::Stored { kind, .. } = handout {
        return Err(Failure::new(
            Kind::Usage,
            format!("`{}` is of the kind {kind}, which says nothing about anybody", target.name),
        )
        .hint("name a profile; `tokenkeep list` shows all entries"));
    }
    let entry = vault.newest(&target.name)?;
    let tokens = entry.as_ref().and_then(|entry| entry.body.tokens());
    let access = Claims::unverified(handout.secret());
    let login = tokens.and_then(|tokens| tokens.id_token.as_ref()).and_then(|token| Claims::unverified(token.secret()));
    let claim = |name: &str| {
        let of = |claims: &Option<Claims>| claims.as_ref().and_then(|claims| claims.text(name)).map(str::to_owned);
        of(&access).or_else(|| of(&login))
    };
    let born = tokens.map(|tokens| &tokens.born);
    let token = handout.token();
    let granted = token.and_then(|token| token.scopes.clone());
    let scopes = granted.or_else(|| access.as_ref().and_then(Claims::scopes));
    let claimed_audience: Vec<String> =
        access.as_ref().map(Claims::audiences).unwrap_or_default().into_iter().map(str::to_owned).collect();
    let asked_audience = token.and_then(|token| token.asked.audience.clone());
    Ok(Identity {
        issuer: born.map(|born| born.issuer.to_string()).or_else(|| claim("iss")),
        subject: claim("sub"),
        username: claim("preferred_username"),
        email: claim("email"),
        client: born.map(|born| born.client_id.clone()).or_else(|| access.as_ref()?.client().map(str::to_owned)),
        scope: scopes.map(|scopes| scopes.to_string()),
        audience: if claimed_audience.is_empty() { asked_audience.into_iter().collect() } else { claimed_audience },
        expires_at: handout.expires_at(),
    })
}

/// Describes it to people.
fn facts(target: &Target, identity: &Identity, now: Timestamp) -> Vec<(&'static str, String)> {
    let Identity { issuer, subject, username, email, client, scope, audience, expires_at } = identity;
    let expiry = expires_at.map(|end| format!("{end} ({} left)", end.since(now)));
    let audience = Some(audience.join(", ")).filter(|audience| !audience.is_empty());
    let all = [
        ("profile", Some(target.name.to_string())),
        ("issuer", issuer.clone()),
        ("subject", subject.clone().or_else(|| Some("unknown: neither token says it".to_owned()))),
        ("username", username.clone()),
        ("email", email.clone()),
        ("client", client.clone()),
        ("scope", scope.clone()),
        ("audience", audience),
        ("expires", expiry),
    ];
    all.into_iter().filter_map(|(label, fact)| Some((label, fact?))).collect()
}

/// Describes it to programs.
fn object(cx: &Context, found: Option<&(Target, Identity)>, user: &str) -> Result<Value, Failure> {
    let nobody = Identity::default();
    let identity = found.map_or(&nobody, |(_, identity)| identity);
    let mut object = json!({
        "profile": found.map(|(target, _)| &target.name),
        "issuer": identity.issuer,
        "subject": identity.subject,
        "preferred_username": identity.username,
        "email": identity.email,
        "client_id": identity.client,
        "scope": identity.scope,
        "audience": found.map(|_| &identity.audience),
        "left_seconds": identity.expires_at.map(|end| end.since(cx.now()).as_seconds()),
        "vault": json_path(&cx.vault_folder()?),
        "os_user": user,
        "os_uid": user_number(),
    });
    put_time(&mut object, "expires", identity.expires_at);
    Ok(object)
}
