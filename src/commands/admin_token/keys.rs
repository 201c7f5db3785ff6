//! `admin-token keys`: the public keys, for people, programs and gateways.

use serde_json::{Value, json};

use super::{issuer, object};
use crate::commands::{Context, Outcome};
use crate::error::Failure;
use crate::ledger::admin::AdminKey;
use crate::ledger::{Ledger, LedgerError};
use crate::output::{Form, put_time};
use crate::token::admin_key::PublicKey;
use crate::token::admin_token::AdminLifetime;
use crate::token::time::Timestamp;

/// Examples.
const EXAMPLES: &str = "Examples:
  tokenkeep admin-token keys
  tokenkeep admin-token keys --jwks > /srv/www/admin-jwks.json
";

/// List the public keys, or print them for a gateway
///
/// With --jwks as a JWK Set (RFC 7517), which anything that checks JWTs can read. In it are the keys whose tokens may still
/// be good: those that mint, and those that were replaced in the last 15 minutes. A gateway must also compare `iss` and
/// `aud`, and take no other `alg` than the key's.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Print a JWK Set
    #[arg(long)]
    jwks: bool,
}

/// How a key stands.
#[derive(Clone, Copy)]
enum State {
    /// It mints.
    Good,
    /// It was replaced; what it minted before dies by itself.
    Retired,
    /// It was taken back, and all it minted.
    Revoked,
}

impl State {
    /// Looks at a key.
    fn of(ledger: &Ledger, key: &AdminKey) -> Result<Self, LedgerError> {
        Ok(match (ledger.revoked_since(&key.kid)?, key.retired) {
            (Some(_), _) => Self::Revoked,
            (None, Some(_)) => Self::Retired,
            (None, None) => Self::Good,
        })
    }

    /// Returns the word for it.
    const fn word(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Retired => "retired",
            Self::Revoked => "revoked",
        }
    }
}

/// Runs the command.
pub(crate) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    let ledger = cx.present_ledger(&cx.by())?;
    let keys = ledger.as_ref().map_or_else(|| Ok(Vec::new()), Ledger::admin_keys)?;
    let state = |key: &AdminKey| ledger.as_ref().map_or(Ok(State::Good), |ledger| State::of(ledger, key));
    let keys = keys.into_iter().map(|key| Ok((state(&key)?, key))).collect::<Result<Vec<_>, LedgerError>>()?;
    if args.jwks {
        let now = cx.now();
        let set = keys.iter().filter(|(state, key)| is_believed(*state, key, now));
        let set = set.filter_map(|(_, key)| key.public().ok()).filter(PublicKey::is_sound);
        let set: Vec<_> = set.map(|key| key.jwk()).collect();
        cx.printer.raw(&format!("{:#}\n", json!({ "keys": set })))?;
    } else if let (Form::Json, Some(ledger)) = (cx.printer.form, &ledger) {
        let sound = keys.iter().filter_map(|(state, key)| Some((*state, key, key.public().ok()?)));
        let objects = sound.map(|(state, key, public)| full_object(cx, ledger, (state, key, &public)));
        let objects = objects.collect::<Result<Vec<_>, Failure>>()?;
        cx.printer.objects(objects)?;
    } else if cx.printer.form == Form::Json {
        cx.printer.objects(Vec::new())?;
    } else if !keys.is_empty() {
        let rows: Vec<_> = keys.iter().map(|(state, key)| row(*state, key)).collect();
        cx.printer.table(&["NAME", "KEY", "ALG", "FROM", "STATE", "SINCE"], &rows)?;
    }
    // one that is damaged keeps nobody from the others
    for (key, fault) in keys.iter().filter_map(|(_, key)| Some((key, key.public().err()?))) {
        let fault = crate::error::chain(&fault);
        let kid = &key.kid;
        cx.printer.say(&format!("{fault}; no token of it is believed: `tokenkeep admin-token revoke {kid}`"));
    }
    if keys.is_empty() {
        cx.printer.notice("no admin keys yet; make one: `tokenkeep admin-token keygen NAME`");
    }
    Ok(Outcome::Done)
}

/// Tells whether a token of a key may still be good.
fn is_believed(state: State, key: &AdminKey, now: Timestamp) -> bool {
    match state {
        State::Good => true,
        State::Retired => key.retired.is_some_and(|at| at.after(AdminLifetime::LONGEST) > now),
        State::Revoked => false,
    }
}

/// Describes a key to people.
fn row(state: State, key: &AdminKey) -> Vec<String> {
    let since = key.retired.unwrap_or(key.created).to_string();
    vec![
        key.name.clone(),
        key.kid.clone(),
        key.alg.clone(),
        key.origin.word().to_owned(),
        state.word().to_owned(),
        since,
    ]
}

/// Describes a key to programs.
fn full_object(
    cx: &Context,
    ledger: &Ledger,
    (state, key, public): (State, &AdminKey, &PublicKey),
) -> Result<Value, Failure> {
    let mut object = object(&key.name, public, &issuer(cx, ledger)?);
    if let Some(fields) = object.as_object_mut() {
        fields.insert("origin".to_owned(), json!(key.origin.word()));
        fields.insert("state".to_owned(), json!(state.word()));
    }
    put_time(&mut object, "created", Some(key.created));
    put_time(&mut object, "retired", key.retired);
    put_time(&mut object, "revoked", ledger.revoked_since(&key.kid)?);
    Ok(object)
}
