//! `get`: prints an access token that is good.

use serde_json::json;

use super::target::{Handout, Target, TokenArgs};
use super::{Context, Outcome};
use crate::error::{Failure, Kind};
use crate::keeper::plan::Fetch;
use crate::output::{Form, put_time, revealed};
use crate::profile::EntryName;
use crate::secret::{IdToken, Secret};
use crate::token::time::Lifetime;

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
}

/// Runs the command.
pub(crate) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    let target = Target::of(cx, args.name.as_ref(), args.token.user.as_deref())?;
    target.must_exist(cx)?;
    let wanted = target.wanted(cx, &args.token, args.min_ttl, args.fetch())?;
    let vault = cx.open_vault()?;
    let handout = target.hand_out(&cx.keeper(&vault)?, &wanted)?;
    if let Some(notice) = handout.notice() {
        cx.printer.notice(notice);
    }
    if args.id_token {
        return print(args, cx, (&target, &handout), id_token(&target, &vault)?.secret());
    }
    print(args, cx, (&target, &handout), handout.secret())
}

/// Returns the ID token that came with the newest token set.
fn id_token(target: &Target, vault: &crate::vault::Vault) -> Result<IdToken, Failure> {
    let entry = vault.newest(&target.name)?;
    let found = entry.as_ref().and_then(|entry| entry.body.tokens()).and_then(|tokens| tokens.id_token.as_ref());
    found.cloned().ok_or_else(|| {
        Failure::new(Kind::Failed, format!("the provider gave no ID token for `{}`", target.name))
            .hint("ask for the scope openid: add it to the profile's scopes, then log in again")
    })
}

/// Prints the token in the form that was asked for.
fn print(
    args: &Args,
    cx: &mut Context,
    (target, handout): (&Target, &Handout),
    secret: &Secret<String>,
) -> Result<Outcome, Failure> {
    let text = revealed(secret);
    let token_type = handout.token().map_or("Bearer", |token| token.token_type.as_str());
    if cx.printer.form == Form::Json {
        let token = handout.token();
        let mut object = json!({
            "profile": target.name,
            "access_token": text,
            "token_type": token.map(|token| &token.token_type),
            "scope": token.and_then(|token| token.scopes.as_ref()).map(ToString::to_string),
            "audience": token.and_then(|token| token.asked.audience.as_ref()),
        });
        put_time(&mut object, "expires", handout.expires_at());
        cx.printer.object(object)?;
    } else if args.header {
        cx.printer.line(&format!("Authorization: {token_type} {text}"))?;
    } else if args.curl {
        // curl's configuration: inside double quotes, backslash and double quote are escaped
        let header = zeroize::Zeroizing::new(format!("Authorization: {token_type} {text}"));
        let quoted = zeroize::Zeroizing::new(header.replace('\\', "\\\\").replace('"', "\\\""));
        cx.printer.line(&format!("header = \"{}\"", quoted.as_str()))?;
    } else {
        cx.printer.line(text)?;
    }
    Ok(Outcome::Done)
}
