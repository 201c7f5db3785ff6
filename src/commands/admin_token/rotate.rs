//! `admin-token rotate`: puts a new key in the place of one.

use clap_complete::ArgValueCompleter;

use super::{how_to_trust, issuer, make_key, not_a_key, print_key, record};
use crate::commands::completions::entry_names;
use crate::commands::issued::adopt;
use crate::commands::{Context, Outcome};
use crate::error::{Failure, Kind};
use crate::keeper::LOCK_PATIENCE;
use crate::ledger::admin::{OldKey, Origin};
use crate::profile::EntryName;
use crate::token::admin_key::{AdminKey, Signing};
use crate::token::admin_token::AdminLifetime;
use crate::vault::Vault;
use crate::vault::entry::Body;
use crate::vault::shelf::Shelf;

/// Examples.
const EXAMPLES: &str = "Examples:
  tokenkeep admin-token rotate ops
  tokenkeep admin-token rotate ops --revoke-old      it may have been stolen
";

/// Put a new key in the place of one
///
/// The old key mints no more. What it minted before dies by itself, within 15 minutes; with --revoke-old it is refused at
/// once wherever the ledger is asked, and so is what keys before it minted. Hosts and gateways that check by themselves
/// need the new public key, which is printed.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The key
    #[arg(value_name = "NAME", add = ArgValueCompleter::new(entry_names))]
    name: EntryName,
    /// How the new one signs [default: as the old one]
    #[arg(long, value_enum, value_name = "ALG")]
    alg: Option<Signing>,
    /// Take back all tokens of the old key, and of those before it
    #[arg(long)]
    revoke_old: bool,
}

/// Runs the command.
pub(crate) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    let name = &args.name;
    refuse_unknown(cx, name)?;
    let vault = cx.open_vault()?;
    let by = cx.by();
    let mut ledger = cx.ledger(&by)?;
    let lock = vault.lock(name, LOCK_PATIENCE)?;
    adopt(cx, &vault, name, &lock)?;
    let before = signing_of(&vault, name)?;
    let old = ledger.admin_key_named(name.as_str())?;
    let (key, body) = make_key(cx, args.alg.unwrap_or(before))?;
    vault.put(name, body, &lock, cx.now())?;
    let fate = if args.revoke_old { OldKey::Revoke } else { OldKey::Retire };
    ledger.replace_admin_key(&record(name, key.public(), Origin::Own, cx.now()), fate, &by)?;
    let issuer = issuer(cx, &ledger)?;
    print_key(cx, name, key.public(), &issuer)?;
    let end = by.at.after(AdminLifetime::LONGEST);
    let fate = match (&old, args.revoke_old) {
        (None, _) => "there was no other key of this name in the ledger".to_owned(),
        (Some(_), true) => format!(
            "the old key is revoked, with any before it: refused from now on where this ledger is asked; elsewhere its tokens \
             live until {end} at most"
        ),
        (Some(_), false) => format!("the old key mints no more; its last token is over at {end}"),
    };
    cx.printer.notice(&format!("{fate}\n{}", how_to_trust(name, &issuer, " --replace")));
    Ok(Outcome::Done)
}

/// Refuses a name that nothing has. An unknown name comes before a locked vault.
fn refuse_unknown(cx: &Context, name: &EntryName) -> Result<(), Failure> {
    if Shelf::of(&cx.vault_folder()?).lists(name).is_ok_and(|is_there| !is_there) {
        return Err(Failure::new(Kind::NotFound, format!("there is no admin key `{name}` in the vault"))
            .hint(format!("make one with `tokenkeep admin-token keygen {name}`; one that is only trusted here is replaced with `admin-token trust {name} --replace`"))
            .unless_token(name, None));
    }
    Ok(())
}

/// Returns how the present key signs; one that cannot be read is replaced all the same.
fn signing_of(vault: &Vault, name: &EntryName) -> Result<Signing, Failure> {
    match vault.newest(name)?.map(|entry| entry.body) {
        Some(Body::AdminKey(stored)) => {
            Ok(AdminKey::read(stored.secret.secret()).map(|key| key.public().signing()).unwrap_or_default())
        }
        Some(other) => Err(not_a_key(name, other.kind())),
        None => Ok(Signing::default()),
    }
}
