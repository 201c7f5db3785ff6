//! `get`: prints an access token that is good.

use serde_json::json;

use super::target::{Handout, Target, TokenArgs, is_enough};
use super::{Context, Outcome};
use crate::error::{Failure, Kind};
use crate::keeper::Keeper;
use crate::keeper::plan::{Fetch, Wanted};
use crate::output::{Form, put_time};
use crate::profile::EntryName;
use crate::secret::IdToken;
use crate::token::claims::Claims;
use crate::token::text::is_usable;
use crate::token::time::{Lifetime, Timestamp};

/// Examples of the command.
const EXAMPLES: &str = "Examples:
  tokenkeep get prod
  tokenkeep get prod --min-ttl 5m
  tokenkeep get prod --curl | curl -K - https://api.example.org/items
";

/// Print an access token that is good, or a stored secret
///
/// The cached token is printed while it lives long enough; else a new one is fetched, one exchange however many ask.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
#[expect(clippy::struct_excessive_bools, reason = "flags of the command line")]
pub(crate) struct Args {
    /// The profile or entry
    #[arg(value_name = "NAME", add = clap_complete::ArgValueCompleter::new(super::completions::entry_names))]
    name: Option<EntryName>,
    /// How much life the token must have left
    #[arg(long, value_name = "DURATION")]
    min_ttl: Option<Lifetime>,
    #[command(flatten)]
    token: TokenArgs,
    /// Print an Authorization header
    #[arg(long, conflicts_with_all = ["curl", "id_token"])]
    header: bool,
    /// Print a configuration for `curl -K -`
    #[arg(long, conflicts_with = "id_token")]
    curl: bool,
    /// Print the ID token in place of the access token
    #[arg(long)]
    id_token: bool,
    /// Use the cache alone: never go to the provider
    #[arg(long, conflicts_with = "no_cache")]
    no_refresh: bool,
    /// Fetch a new token although the cached one is good
    #[arg(long)]
    no_cache: bool,
}

impl Args {
    /// Returns whether an exchange is wanted.
    const fn fetch(&self) -> Fetch {
        match (self.no_refresh, self.no_cache) {
            (true, _) => Fetch::Never,
            (false, true) => Fetch::Always,
            (false, false) => Fetch::IfDue,
        }
    }

    /// Refuses to print in two forms at once. `--json` may stand in front of the command, where clap does not compare it.
    fn refuse_two_forms(&self, cx: &Context) -> Result<(), Failure> {
        match (cx.globals.json, self.header, self.curl) {
            (true, true, _) => Err(two_forms("--header")),
            (true, false, true) => Err(two_forms("--curl")),
            (true, false, false) | (false, ..) => Ok(()),
        }
    }

    /// Returns the flags that were given and that a stored text has no answer to.
    fn of_a_provider(&self) -> Vec<&'static str> {
        let no_cache = self.no_cache.then_some("--no-cache");
        self.token.of_a_provider(self.min_ttl).into_iter().chain(no_cache).collect()
    }
}

/// Runs the command.
pub(crate) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    args.refuse_two_forms(cx)?;
    let target = Target::of(cx, args.name.as_ref(), args.token.user.as_deref())?;
    super::issued::refuse_reserved(&target.name)?;
    target.must_exist(cx)?;
    let wanted = target.wanted(cx, &args.token, args.min_ttl, args.fetch())?;
    let vault = cx.open_vault()?;
    let handout = target.hand_out(&cx.keeper(&vault)?, &wanted, &args.of_a_provider())?;
    if let Some(notice) = handout.notice() {
        cx.printer.notice(notice);
    }
    if args.id_token {
        return print_id_token(cx, &target, &id_token(&target, &cx.keeper(&vault)?, &wanted)?);
    }
    print(args, cx, &target, &handout)
}

/// Describes a command line that asks for JSON and for another form.
fn two_forms(flag: &str) -> Failure {
    Failure::new(Kind::Usage, format!("--json and {flag} are two forms of one token")).hint("leave out one of them")
}

/// Returns the ID token of the newest token set, refreshed if it has expired.
fn id_token(target: &Target, keeper: &Keeper<'_>, wanted: &Wanted) -> Result<IdToken, Failure> {
    let now = (keeper.now)().into();
    let is_good = |token: &IdToken| expiry(token).is_none_or(|end| is_enough(end, wanted.min_ttl, now));
    let mut token = newest_id_token(target, keeper)?;
    if !is_good(&token) && wanted.fetch != Fetch::Never {
        target.fetch(keeper, &Wanted { fetch: Fetch::Always, ..wanted.clone() })?;
        token = newest_id_token(target, keeper)?;
    }
    if !is_usable(token.secret()) {
        return Err(Failure::new(
            Kind::Failed,
            format!("the provider's ID token for `{}` cannot be used", target.name),
        )
        .because("it has spaces or control characters; it is not handed out")
        .hint("report it to who runs the provider"));
    }
    if is_good(&token) {
        return Ok(token);
    }
    Err(Failure::new(Kind::Login, format!("the ID token of `{}` has expired", target.name))
        .because("a refresh brought no newer one, or was not allowed")
        .hint(format!("log in again with `tokenkeep generate {} --force`", target.name)))
}

/// Returns the ID token that came with the newest token set.
fn newest_id_token(target: &Target, keeper: &Keeper<'_>) -> Result<IdToken, Failure> {
    let entry = keeper.vault.newest(&target.name)?;
    let found = entry.as_ref().and_then(|entry| entry.body.tokens()).and_then(|tokens| tokens.id_token.as_ref());
    found.cloned().ok_or_else(|| {
        Failure::new(Kind::Failed, format!("the provider gave no ID token for `{}`", target.name))
            .hint("ask for the scope openid: add it to the profile's scopes, then log in again")
    })
}

/// Returns when an ID token ends, as it says itself.
fn expiry(token: &IdToken) -> Option<Timestamp> {
    Claims::unverified(token.secret()).and_then(|claims| claims.expires_at())
}

/// Prints an ID token.
fn print_id_token(cx: &mut Context, target: &Target, token: &IdToken) -> Result<Outcome, Failure> {
    if cx.printer.form == Form::Json {
        let mut object = json!({"profile": target.name, "id_token": null});
        put_time(&mut object, "expires", expiry(token));
        cx.printer.object_with_secrets(object, &[("/id_token".to_owned(), token.secret())])?;
    } else {
        cx.printer.secret_line("", token.secret(), "")?;
    }
    Ok(Outcome::Done)
}

/// Prints the token in the form that was asked for.
fn print(args: &Args, cx: &mut Context, target: &Target, handout: &Handout) -> Result<Outcome, Failure> {
    let (secret, token) = (handout.secret(), handout.token());
    let token_type = token.map_or("Bearer", |token| token.token_type.as_str());
    if cx.printer.form == Form::Json {
        let mut object = json!({
            "profile": target.name,
            "access_token": null,
            "token_type": token.map(|token| &token.token_type),
            "scope": token.and_then(|token| token.scopes.as_ref()).map(ToString::to_string),
            "audience": token.and_then(|token| token.asked.audience.as_ref()),
        });
        put_time(&mut object, "expires", handout.expires_at());
        cx.printer.object_with_secrets(object, &[("/access_token".to_owned(), secret)])?;
    } else if (args.header || args.curl) && !is_usable(secret) {
        // a line end would begin another header, or a directive of curl's
        let message = format!("`{}` has spaces, line ends or other characters that no header can carry", target.name);
        return Err(
            Failure::new(Kind::Usage, message).hint(format!("print it as it is: `tokenkeep get {}`", target.name))
        );
    } else if args.header {
        cx.printer.secret_line(&format!("Authorization: {token_type} "), secret, "")?;
    } else if args.curl {
        cx.printer.curl_header(token_type, secret)?;
    } else {
        cx.printer.secret_line("", secret, "")?;
    }
    Ok(Outcome::Done)
}
