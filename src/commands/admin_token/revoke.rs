//! `admin-token revoke`: takes a token, or a key with all its tokens, back.

use serde_json::json;

use crate::commands::actor::{Acting, AsArgs};
use crate::commands::{Context, Outcome};
use crate::error::{Failure, Kind};
use crate::output::{Form, put_time};
use crate::token::admin_token::AdminLifetime;
use crate::token::text::{self, Look};
use crate::token::time::Timestamp;

/// Examples.
const EXAMPLES: &str = "Examples:
  tokenkeep admin-token revoke 0f8c2a94b1e7d3650f8c2a94b1e7d365
  tokenkeep admin-token revoke kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k
";

/// Take a token, or a key with all its tokens, back
///
/// A revocation works at once wherever this ledger is asked. Who checks with the public key alone takes the token until it
/// ends by itself, which is said.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The token's id (its `jti`, as `mint` and `validate --json` say it), or the key's (KEY in `admin-token keys`)
    #[arg(value_name = "ID", allow_hyphen_values = true)]
    id: String,
    #[command(flatten)]
    acting: AsArgs,
}

/// What was taken back, and until when it may be taken elsewhere.
struct Revoked {
    /// A token or a key.
    what: &'static str,
    /// When it, or the last token of it, ends by itself.
    ends: Option<Timestamp>,
    /// When it had been taken back before.
    before: Option<Timestamp>,
}

/// Runs the command.
pub(crate) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    let id = args.id.as_str();
    if text::classify(id) == Look::Jwt {
        return Err(Failure::token_on_command_line()
            .hint("give its id: `jti` in `tokenkeep validate --stdin --audience AUDIENCE --json`"));
    }
    let mut acting = args.acting.begin(cx)?;
    acting.require_admin()?;
    let revoked = revoke(&mut acting, id)?;
    report(cx, id, &revoked)
}

/// Takes it back.
fn revoke(Acting { ledger, by, .. }: &mut Acting, id: &str) -> Result<Revoked, Failure> {
    let before = ledger.revoked_since(id)?;
    if let Some(key) = ledger.revoke_admin_key(id, by)? {
        let ends = key.retired.map(|at| at.after(AdminLifetime::LONGEST));
        return Ok(Revoked { what: "key", ends, before });
    }
    let is_ours = ledger.mint(id)?.is_some();
    // one that was minted elsewhere can be taken back here, but a mistyped one cannot
    if !is_ours && !is_id(id) {
        if let Some(key) = ledger.admin_key_named(id)? {
            return Err(named(id, &key.kid));
        }
        return Err(Failure::new(Kind::NotFound, "there is no admin token and no admin key of this id")
            .hint("see the keys with `tokenkeep admin-token keys`, the tokens with `tokenkeep history --kind admin`"));
    }
    let mint = ledger.revoke_admin_token(id, by)?;
    let what = if is_ours { "token" } else { "token, which was not minted here," };
    Ok(Revoked { what, ends: mint.map(|mint| mint.exp), before })
}

/// Describes that the name of a key was given: there may have been others of that name, so a key is taken back by its id.
fn named(name: &str, kid: &str) -> Failure {
    Failure::new(Kind::Usage, format!("`{name}` is the name of a key, and a key is taken back by its id")).hint(format!(
        "type `tokenkeep admin-token revoke {kid}`; or replace it: `tokenkeep admin-token rotate {name} --revoke-old`"
    ))
}

/// Tells whether a text has the form of a token's id.
fn is_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Says where it is refused, and where not.
fn report(cx: &mut Context, id: &str, Revoked { what, ends, before }: &Revoked) -> Result<Outcome, Failure> {
    let now = cx.now();
    if cx.printer.form == Form::Json {
        let mut object = json!({"id": id, "kind": if *what == "key" { "admin-key" } else { "admin" }, "revoked": true});
        put_time(&mut object, "revoked", Some(before.unwrap_or(now)));
        put_time(&mut object, "expires", *ends);
        cx.printer.object(object)?;
    }
    let here = match before {
        Some(at) => format!("the {what} was taken back already, at {at}"),
        None => format!("the {what} is refused from now on wherever this ledger is asked"),
    };
    let elsewhere = match ends {
        Some(end) if *end <= now => format!("it was over at {end} anyway"),
        Some(end) if *what == "key" => format!("elsewhere its tokens live until {end} at most"),
        Some(end) => format!("elsewhere it lives until {end} ({} more)", end.since(now)),
        None => format!("elsewhere it lives until it ends, {} at most", AdminLifetime::LONGEST),
    };
    cx.printer.notice(&format!("{here}; {elsewhere}"));
    Ok(Outcome::Done)
}
