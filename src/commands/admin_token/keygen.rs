//! `admin-token keygen`: makes an admin key.

use super::{how_to_trust, issuer, make_key, print_key, record};
use crate::commands::{Context, Outcome};
use crate::error::{Failure, Kind, file_failure};
use crate::keeper::LOCK_PATIENCE;
use crate::ledger::admin::Origin;
use crate::profile::EntryName;
use crate::token::admin_key::Signing;
use crate::vault::shelf::Shelf;

/// Examples.
const EXAMPLES: &str = "Examples:
  tokenkeep admin-token keygen ops
  tokenkeep admin-token keygen gateway --alg es256
";

/// Make a key: the private half goes into the vault, the public one into the ledger
///
/// The public key is printed as a JWK (RFC 7517), to be trusted on hosts that only check tokens. NAME is who acts with it: a
/// person or a duty. Nobody else can mint with it, so each administrator makes a key of their own.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// What to call the key: the name of the vault's entry, and the `sub` of its tokens
    #[arg(value_name = "NAME")]
    name: EntryName,
    /// How it signs
    #[arg(long, value_enum, value_name = "ALG", default_value_t)]
    alg: Signing,
}

/// Runs the command.
pub(crate) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    let name = &args.name;
    crate::commands::issued::refuse_reserved(name)?;
    let vault = cx.open_vault()?;
    let by = cx.by();
    let mut ledger = cx.ledger(&by)?;
    if let Some(key) = ledger.admin_key_named(name.as_str())? {
        return Err(believed(&vault.shelf(), name, &key.kid));
    }
    let lock = vault.lock(name, LOCK_PATIENCE)?;
    if vault.shelf().holds_anything(name).map_err(|fault| file_failure(Kind::Locked, &fault))? {
        return Err(Failure::new(Kind::Usage, format!("there already is an entry `{name}`")).hint("take another name"));
    }
    let (key, body) = make_key(cx, args.alg)?;
    vault.put(name, body, &lock, cx.now())?;
    ledger.put_admin_key(&record(name, key.public(), Origin::Own, cx.now()), &by)?;
    let issuer = issuer(cx, &ledger)?;
    print_key(cx, name, key.public(), &issuer)?;
    cx.printer.notice(&format!(
        "the private key is in the entry `{name}`; mint with `tokenkeep admin-token mint {name} --audience AUDIENCE`\n{}",
        how_to_trust(name, &issuer, "")
    ));
    Ok(Outcome::Done)
}

/// Refuses the name of a key that is believed already: one of ours, or one whose private half is elsewhere or lost.
fn believed(shelf: &Shelf, name: &EntryName, kid: &str) -> Failure {
    let failure = Failure::new(Kind::Usage, format!("there already is an admin key `{name}`"));
    if shelf.lists(name).is_ok_and(|is_there| !is_there) {
        return failure.because("its private half is not in this vault").hint(format!(
            "take another name; if it is lost, `tokenkeep admin-token revoke {kid}`, then make the new one"
        ));
    }
    failure.hint(format!("put a new key in its place with `tokenkeep admin-token rotate {name}`, or take another name"))
}
