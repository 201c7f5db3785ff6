//! `tokenkeep admin-token`: keys of administrators, and the tokens of some minutes that they mint.
//!
//! Only `keygen`, `rotate` and `mint` open the vault, where private keys rest. Everything else needs the ledger alone, or
//! less: who checks a token can make none.

pub(crate) mod check;
mod keygen;
mod keys;
mod lifetime;
mod mint;
mod revoke;
mod rotate;
mod trust;

use serde_json::{Value, json};

use super::{Context, Outcome};
use crate::error::{Failure, Kind};
use crate::ledger::admin::{AdminKey as KeyRecord, Origin};
use crate::ledger::{Ledger, LedgerError};
use crate::output::Form;
use crate::profile::EntryName;
use crate::secret::Secret;
use crate::token::admin_key::{AdminKey, PublicKey, Signing};
use crate::token::issuer::Issuer;
use crate::token::time::Timestamp;
use crate::vault::entry::{Body, Stored};

/// Examples of the whole group.
const EXAMPLES: &str = "Examples:
  tokenkeep admin-token keygen ops
  tokenkeep admin-token mint ops --audience pipelines > admin.jwt
  tokenkeep validate --from-file admin.jwt --audience pipelines --event reset
  tokenkeep admin-token keys --jwks      for a gateway, or a host that only checks
  tokenkeep admin-token revoke ID
";

/// Manage admin keys, and mint admin tokens
///
/// An admin token is a JWT (RFC 9068) that lives some minutes and may do everything to a job. It is signed with a private
/// key that rests in the vault, and checked with the public one: by `validate` and `job-token authorize` wherever the
/// key is trusted, and by anything that checks JWTs. There is no built-in key and no shared secret.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES, disable_help_subcommand = true)]
pub(crate) struct Args {
    /// What to do
    #[command(subcommand)]
    command: Command,
}

/// What can be done with admin keys and admin tokens. Each is described where its arguments are: what stood here would
/// take the place of that.
#[derive(clap::Subcommand)]
enum Command {
    Keygen(keygen::Args),
    Mint(mint::Args),
    Keys(keys::Args),
    Trust(trust::Args),
    Rotate(rotate::Args),
    Revoke(revoke::Args),
    Lifetime(lifetime::Args),
}

/// Runs the command.
pub(crate) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    match &args.command {
        Command::Keygen(args) => keygen::run(args, cx),
        Command::Mint(args) => mint::run(args, cx),
        Command::Keys(args) => keys::run(args, cx),
        Command::Trust(args) => trust::run(args, cx),
        Command::Rotate(args) => rotate::run(args, cx),
        Command::Revoke(args) => revoke::run(args, cx),
        Command::Lifetime(args) => lifetime::run(args, cx),
    }
}

/// Returns who issues our tokens: the settings' issuer, else the URN that was made with the ledger.
pub(crate) fn issuer(cx: &Context, ledger: &Ledger) -> Result<Issuer, Failure> {
    if let Some(issuer) = cx.settings()?.issuer() {
        return Ok(issuer.clone());
    }
    let urn = ledger.urn()?;
    urn.parse().map_err(|_| LedgerError::Damaged("its URN is none".to_owned()).into())
}

/// Makes a private key, and the body of the entry that keeps it.
fn make_key(cx: &Context, signing: Signing) -> Result<(AdminKey, Body), Failure> {
    loop {
        let mut bytes = Secret::new([0; 32]);
        let random = bytes.fill(cx.host.random);
        random.map_err(|source| Failure::from(LedgerError::NoRandomness(source)))?;
        if let Some((key, text)) = AdminKey::of_random(signing, &bytes) {
            return Ok((key, Body::AdminKey(Stored { secret: text, expires_at: None, stored_at: cx.now() })));
        }
    }
}

/// Returns what the ledger keeps of a key.
fn record(name: &EntryName, key: &PublicKey, origin: Origin, now: Timestamp) -> KeyRecord {
    KeyRecord {
        name: name.to_string(),
        kid: key.kid(),
        alg: key.signing().name().to_owned(),
        jwk: key.jwk().to_string(),
        origin,
        created: now,
        retired: None,
    }
}

/// Prints a public key: for people the JWK alone, which is what they pass on.
fn print_key(cx: &mut Context, name: &EntryName, key: &PublicKey, issuer: &Issuer) -> Result<(), Failure> {
    match cx.printer.form {
        Form::Json => cx.printer.object(object(name.as_str(), key, issuer))?,
        Form::Text => cx.printer.line(&key.jwk().to_string())?,
    }
    Ok(())
}

/// Describes a public key to programs.
fn object(name: &str, key: &PublicKey, issuer: &Issuer) -> Value {
    json!({"name": name, "kid": key.kid(), "alg": key.signing().name(), "issuer": issuer, "jwk": key.jwk()})
}

/// Says how another host comes to believe the tokens of a key; `flag` is what its command needs besides.
fn how_to_trust(name: &EntryName, issuer: &Issuer, flag: &str) -> String {
    format!(
        "where tokens are only checked, trust the line above: `tokenkeep admin-token trust {name}{flag} 'JWK'`, with \
         `issuer = \"{issuer}\"` in [issued] of config.toml"
    )
}

/// Says how tokens of a key that was stored by hand come to be believed; nothing where they are already.
pub(super) fn how_to_mint(cx: &Context, name: &EntryName, stored: &Stored) -> Result<Option<String>, Failure> {
    let Ok(key) = AdminKey::read(stored.secret.secret()) else { return Ok(None) };
    let known = match cx.present_ledger(&cx.by())? {
        Some(ledger) => ledger.admin_key(&key.public().kid())?,
        None => None,
    };
    let jwk = key.public().jwk();
    let trust = || format!("to mint with it, trust it here: `tokenkeep admin-token trust {name} '{jwk}'`");
    Ok(known.is_none().then(trust))
}

/// Describes an entry that holds something else than an admin key.
fn not_a_key(name: &EntryName, kind: &str) -> Failure {
    Failure::new(Kind::Usage, format!("`{name}` holds a text of the kind {kind}, not an admin key"))
        .hint("see the keys with `tokenkeep admin-token keys`, or make one: `tokenkeep admin-token keygen NAME`")
}
