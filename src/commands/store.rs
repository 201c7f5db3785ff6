//! `store`: puts a token or secret into the vault that somebody already holds.

use serde_json::json;

use super::admin_token::how_to_mint;
use super::context::unanswered;
use super::profile::flags::ProfileFlags;
use super::revoke_old::revoke_old;
use super::source::{SourceArgs, trimmed, whole};
use super::target::Target;
use super::{Context, Outcome};
use crate::error::{Failure, Kind};
use crate::host::terminal::{self, Echo};
use crate::keeper::LOCK_PATIENCE;
use crate::output::Form;
use crate::profile::{EntryName, Profile};
use crate::secret::{RefreshToken, StoredSecret};
use crate::token::admin_key::AdminKey;
use crate::token::claims::Claims;
use crate::token::text::is_usable;
use crate::token::time::{Expires, Timestamp};
use crate::vault::Vault;
use crate::vault::entry::{Body, Born, FixedToken, Stored, TokenSet};

/// Examples of the command.
const EXAMPLES: &str = "Examples:
  tokenkeep store prod --from-file ~/offline-token.txt
  tokenkeep store prod --stdin --issuer https://auth.example.org/realms/main \\
      --client-id automated-access < token.txt
  tokenkeep store prod-client --kind client-secret
  openssl genpkey -algorithm ed25519 | tokenkeep store ops --kind admin-key --stdin
";

/// Put a token or secret you already hold into the vault
///
/// It is asked for on the terminal, or read from one of the sources below: never from the command line, where every
/// process can read it. A refresh token needs a profile that says whose it is, or --issuer and --client-id, which make the
/// profile, too.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// What to call it: the profile's name for a refresh token
    #[arg(value_name = "NAME")]
    name: EntryName,
    /// What it is [default: refresh-token if there is a profile NAME or an --issuer, else secret]
    #[arg(long, value_enum)]
    kind: Option<StoreKind>,
    #[command(flatten)]
    source: SourceArgs,
    /// Keep it under this user's name
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// When it ends: 2026-12-31T23:59:59Z, 2026-12-31 (00:00 UTC), or 90d from now
    #[arg(long, value_name = "TIME")]
    expires: Option<Expires>,
    /// Revoke the refresh token that was there before
    #[arg(long)]
    revoke_old: bool,
    #[command(flatten)]
    profile: ProfileFlags,
}

/// What can be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum StoreKind {
    /// A refresh or offline token of a provider
    RefreshToken,
    /// An access token, which cannot be refreshed
    AccessToken,
    /// The secret of a client, for a profile's `client_secret`
    ClientSecret,
    /// The signing key of an administrator, in PKCS#8 form
    AdminKey,
    /// Any other text, kept as it is but for one line end behind it
    Secret,
}

/// Runs the command.
pub(crate) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    let mut target = Target::of(cx, Some(&args.name), args.user.as_deref())?;
    super::issued::refuse_reserved(&target.name)?;
    let kind = kind(args, &target)?;
    let new_profile = match kind {
        StoreKind::RefreshToken => target.complete(cx, &args.profile, ("store", Kind::Usage))?,
        StoreKind::AccessToken | StoreKind::ClientSecret | StoreKind::AdminKey | StoreKind::Secret => None,
    };
    let expires_at = expiry(args, cx)?;
    args.source.check(cx)?;
    let vault = cx.open_vault()?;
    let text = read(args, cx, &target, kind)?;
    let is_a_secret_by_default = args.kind.is_none() && kind == StoreKind::Secret;
    if is_a_secret_by_default {
        refuse_login(&target.name, &text)?;
    }
    let body = body(kind, (&text, expires_at), &target, cx.now())?;
    let mut spent = None;
    let generation = put(cx, &target, (&vault, body.clone()), || {
        spent = spent_notice(cx, &target, &vault, &body)?;
        Ok(())
    })?;
    target.write_profile(cx, new_profile.as_ref())?;
    report(cx, &target, &body, generation)?;
    if is_a_secret_by_default {
        let name = &target.name;
        let message =
            format!("`tokenkeep get {name}` prints it as it is; a refresh token needs --issuer and --client-id");
        cx.printer.notice(&message);
    }
    if let Some(notice) = spent {
        cx.printer.notice(&notice);
    }
    if args.revoke_old {
        revoke_old(cx, &target, &vault, generation)?;
    }
    Ok(Outcome::Done)
}

/// Decides what is stored, and refuses flags that do not go with it.
fn kind(args: &Args, target: &Target) -> Result<StoreKind, Failure> {
    let is_login = target.profile.is_some() || args.profile.issuer.is_some();
    let kind = args.kind.unwrap_or(if is_login { StoreKind::RefreshToken } else { StoreKind::Secret });
    if kind == StoreKind::RefreshToken {
        return Ok(kind);
    }
    if !args.profile.is_empty() || args.revoke_old {
        return Err(Failure::new(Kind::Usage, "only a refresh token has a provider")
            .hint("leave the provider's flags and --revoke-old out, or add --kind refresh-token"));
    }
    Ok(kind)
}

/// Refuses to keep a refresh token as a mere secret only because nobody said whose it is.
fn refuse_login(name: &EntryName, text: &StoredSecret) -> Result<(), Failure> {
    let claims = Claims::unverified(text.secret());
    // so does Keycloak call them, whose refresh tokens are JWTs
    if !claims.is_some_and(|claims| matches!(claims.text("typ"), Some("Offline" | "Refresh"))) {
        return Ok(());
    }
    let hint = format!(
        "name it with the same source: `tokenkeep store {name} --issuer URL --client-id ID`; to keep it as it is, add --kind secret"
    );
    Err(Failure::new(Kind::Usage, "it is a refresh token, and nothing says of which provider").hint(hint))
}

/// Returns when it ends, as far as the command line says.
fn expiry(args: &Args, cx: &Context) -> Result<Option<Timestamp>, Failure> {
    let now = cx.now();
    let end = args.expires.map(|expires| expires.end(now));
    match end {
        Some(end) if end <= now => Err(Failure::new(Kind::Usage, format!("--expires {end} is in the past"))
            .hint("give a time that is still to come, or leave it out")),
        Some(_) | None => Ok(end),
    }
}

/// Reads the text from the source that is named, or asks for it. Of a secret the white space around it may be a part.
fn read(args: &Args, cx: &mut Context, target: &Target, kind: StoreKind) -> Result<StoredSecret, Failure> {
    let named = if kind == StoreKind::Secret { args.source.read_whole(cx) } else { args.source.read(cx) };
    if let Some(text) = named? {
        return Ok(text);
    }
    if !cx.may_ask() {
        let failure = Failure::new(Kind::Usage, "there is nothing to store, and nobody to ask for it")
            .hint(format!("name a source: `tokenkeep store {} --stdin < FILE`", target.name));
        let is_unknown = target.must_exist(cx).is_err();
        return Err(if is_unknown { failure.unless_token(&target.name, None) } else { failure });
    }
    let line = terminal::ask(&format!("Text for `{}` (not shown): ", target.name), Echo::Hidden);
    let line = line.map_err(|error| unanswered(&error))?;
    if kind == StoreKind::Secret { whole(&line, "the terminal") } else { trimmed(&line, "the terminal") }
}

/// Makes the body of the entry.
fn body(
    kind: StoreKind,
    (text, expires_at): (&StoredSecret, Option<Timestamp>),
    target: &Target,
    now: Timestamp,
) -> Result<Body, Failure> {
    let stored = || Stored { secret: text.clone(), expires_at, stored_at: now };
    let refuse_unusable = || {
        let message = "a token is printable ASCII without spaces, and this text is not";
        let failure =
            || Failure::new(Kind::Usage, message).hint("give the token alone, or store it with --kind secret");
        if is_usable(text.secret()) { Ok(()) } else { Err(failure()) }
    };
    match kind {
        StoreKind::RefreshToken => {
            refuse_unusable()?;
            let profile = target.profile.as_ref().ok_or_else(|| Failure::new(Kind::Usage, "there is no profile"))?;
            Ok(Body::RefreshToken(tokens(profile, text.clone().into(), (expires_at, now))))
        }
        StoreKind::AccessToken => {
            refuse_unusable()?;
            let claimed = || Claims::unverified(text.secret()).and_then(|claims| claims.expires_at());
            let expires_at = expires_at.or_else(claimed);
            Ok(Body::AccessToken(FixedToken { token: text.clone().into(), expires_at, stored_at: now }))
        }
        StoreKind::ClientSecret => Ok(Body::ClientSecret(stored())),
        StoreKind::AdminKey => Ok(Body::AdminKey(stored())),
        StoreKind::Secret => Ok(Body::Secret(stored())),
    }
}

/// Makes the token set of a refresh token that brought nothing yet.
pub(super) fn tokens(
    profile: &Profile,
    token: RefreshToken,
    (expires_at, now): (Option<Timestamp>, Timestamp),
) -> TokenSet {
    TokenSet {
        born: Born {
            issuer: profile.issuer.clone(),
            client_id: profile.client_id.clone(),
            token_endpoint: profile.endpoints.token.clone(),
            client_auth: profile.client_auth,
            client_secret: profile.client_secret.clone(),
        },
        refresh_token: token,
        refresh_expires_at: expires_at,
        login_at: now,
        used_at: None,
        id_token: None,
        access: Vec::new(),
    }
}

/// Puts the next generation into the vault, and returns its number. Under the lock, `judge` may still refuse.
pub(super) fn put(
    cx: &Context,
    target: &Target,
    (vault, body): (&Vault, Body),
    judge: impl FnOnce() -> Result<(), Failure>,
) -> Result<u64, Failure> {
    let name = &target.name;
    let lock = vault.lock(name, LOCK_PATIENCE)?;
    cx.keeper(vault)?.adopt_or_put_aside(name, &lock).map_err(|error| target.failure(error))?;
    refuse_other_kind(target, vault, &body)?;
    refuse_useless_key(&body)?;
    judge()?;
    let generation = vault.put(name, body, &lock, cx.now())?;
    super::delete::forget(&lock.file);
    Ok(generation)
}

/// Refuses to replace an entry by one of another kind: a few generations later a refresh token would be gone for good.
pub(super) fn refuse_other_kind(target: &Target, vault: &Vault, new: &Body) -> Result<(), Failure> {
    let name = &target.name;
    let is_empty = vault.shelf().generations(name)?.is_empty();
    let hint = format!("store it under another name, or remove what is there first: `tokenkeep delete {name}`");
    match target.newest_that_opens(vault)?.map(|present| present.body.kind()) {
        Some(present) if present == new.kind() => Ok(()),
        Some(present) => {
            let new = new.kind();
            let message =
                format!("`{name}` holds a text of the kind {present}, which one of the kind {new} does not replace");
            Err(Failure::new(Kind::Usage, message).hint(hint))
        }
        // a login may be what is damaged, and only a login ends it
        None if is_empty || new.tokens().is_some() => Ok(()),
        None => {
            Err(Failure::new(Kind::Locked, format!("nothing of `{name}` opens, so it cannot be told what it holds"))
                .hint(hint))
        }
    }
}

/// Refuses to replace a login by a token that is known to be spent; says so of one that replaces nothing better.
fn spent_notice(cx: &Context, target: &Target, vault: &Vault, new: &Body) -> Result<Option<String>, Failure> {
    let (name, keeper) = (&target.name, cx.keeper(vault)?);
    let is_spent = |body: &Body| {
        let spent = body.tokens().map(|tokens| keeper.is_spent(name, tokens)).transpose();
        spent.map(Option::unwrap_or_default).map_err(|error| target.failure(error))
    };
    if !is_spent(new)? {
        return Ok(None);
    }
    let message = format!("the token for `{name}` was exchanged for a newer one before");
    // one that does not open may be that newer one
    let is_better = match vault.newest(name) {
        Ok(present) => present.map(|present| is_spent(&present.body)).transpose()? == Some(false),
        Err(_) => true,
    };
    if is_better {
        return Err(Failure::new(Kind::Login, message)
            .because("what is kept there may be the newest one, and stays")
            .hint(format!("give the newest token, or log in again with `tokenkeep generate {name}`")));
    }
    Ok(Some(format!("{message}; it will not be presented: log in with `tokenkeep generate {name}`")))
}

/// Refuses an admin key that could never sign.
fn refuse_useless_key(body: &Body) -> Result<(), Failure> {
    let Body::AdminKey(stored) = body else { return Ok(()) };
    let checked = AdminKey::read(stored.secret.secret()).map(drop);
    checked.map_err(|fault| {
        Failure::from_error(Kind::Usage, &fault)
            .while_doing("this is no admin key")
            .hint("make one with `tokenkeep admin-token keygen NAME`, or with `openssl genpkey -algorithm ed25519`")
    })
}

/// Says what was stored.
fn report(cx: &mut Context, target: &Target, body: &Body, generation: u64) -> Result<(), Failure> {
    let (name, kind) = (&target.name, body.kind());
    if cx.printer.form == Form::Json {
        cx.printer.object(json!({"name": name, "kind": kind, "generation": generation}))?;
    }
    cx.printer.notice(&format!("stored `{name}`: {kind}, generation {generation}"));
    if let Body::AccessToken(FixedToken { expires_at: Some(end), .. }) = body
        && *end <= cx.now()
    {
        cx.printer.notice(&format!("it expired at {end}"));
    }
    if let Body::AdminKey(stored) = body
        && let Some(next) = how_to_mint(cx, name, stored)?
    {
        cx.printer.notice(&next);
    }
    Ok(())
}
