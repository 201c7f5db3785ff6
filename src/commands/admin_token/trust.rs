//! `admin-token trust`: believes the tokens of a key whose private half is elsewhere.

use super::{issuer, print_key, record};
use crate::commands::actor::{Acting, AsArgs};
use crate::commands::source::SourceArgs;
use crate::commands::{Context, Outcome};
use crate::error::{Failure, Kind};
use crate::ledger::admin::{AdminKey, OldKey, Origin};
use crate::profile::EntryName;
use crate::token::admin_key::{NotAPublicKey, PublicKey};
use crate::vault::shelf::Shelf;

/// Examples.
const EXAMPLES: &str = "Examples:
  tokenkeep admin-token trust ops '{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qY...\"}'
  ssh admin-host tokenkeep admin-token keys --jwks | tokenkeep admin-token trust ops --stdin
  tokenkeep admin-token trust ops --from-file new.jwk --replace
";

/// Trust somebody else's public key
///
/// From then on `validate` and `job-token authorize` take the admin tokens of that key, here and wherever this ledger is
/// asked. Who has the private half can do everything that an administrator may: compare the key with its owner. The issuer
/// of the tokens must be ours, too: `issuer` in `[issued]` of config.toml.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// What its owner calls the key: its tokens speak for this name alone, and history says so who acted
    #[arg(value_name = "NAME")]
    name: EntryName,
    /// The public key, as `admin-token keygen` prints it
    #[arg(value_name = "JWK", conflicts_with = "SourceArgs")]
    jwk: Option<String>,
    /// Put it in the place of the key that has this name
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    acting: AsArgs,
}

/// Runs the command.
pub(crate) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    let name = &args.name;
    args.acting.check_beside(&args.source)?;
    let key = read(args, cx)?;
    let mut acting = args.acting.begin(cx)?;
    acting.require_admin()?;
    if let Some(known) = acting.ledger.admin_key(&key.kid())? {
        refuse_known(name, &known)?;
        cx.printer.notice(&format!("`{name}` was trusted already, since {}", known.created));
    } else {
        trust(args, cx, &key, &mut acting)?;
        cx.printer.notice(&format!("tokens of `{name}` ({}) are believed from now on", key.kid()));
    }
    let issuer = issuer(cx, &acting.ledger)?;
    print_key(cx, name, &key, &issuer)?;
    cx.printer.notice(&format!("they must say that {issuer} issued them (`issuer` in [issued] of config.toml)"));
    Ok(Outcome::Done)
}

/// Reads the public key.
fn read(args: &Args, cx: &mut Context) -> Result<PublicKey, Failure> {
    args.source.check(cx)?;
    if let Some(jwk) = &args.jwk {
        return PublicKey::parse(jwk).and_then(PublicKey::sound).map_err(|fault| unusable(&fault));
    }
    match args.source.read(cx)? {
        Some(text) => PublicKey::of_text(text.secret()).and_then(PublicKey::sound).map_err(|fault| unusable(&fault)),
        None => Err(Failure::new(Kind::Usage, "it is not said which key to trust").hint(format!(
            "give its JWK: `tokenkeep admin-token trust {} 'JWK'`, or --stdin or --from-file",
            args.name
        ))),
    }
}

/// Describes a text that is no public key.
fn unusable(fault: &NotAPublicKey) -> Failure {
    let hint = match fault {
        NotAPublicKey::Private => "do not use that key any more if others could read it; make another one",
        NotAPublicKey::Unsound => "do not believe who gave it to you; no program makes such a key",
        NotAPublicKey::NotAJwk | NotAPublicKey::OtherKey | NotAPublicKey::Coordinates => {
            "its owner prints it with `tokenkeep admin-token keys --jwks`"
        }
    };
    Failure::from_error(Kind::Usage, fault).while_doing("cannot trust this key").hint(hint)
}

/// Puts the key into the ledger.
fn trust(args: &Args, cx: &Context, key: &PublicKey, Acting { ledger, by, .. }: &mut Acting) -> Result<(), Failure> {
    let name = &args.name;
    // a key that was stored by hand mints here, too
    let shelf = Shelf::of(&cx.vault_folder()?);
    let own = shelf.lists(name).unwrap_or(false);
    let key = record(name, key, if own { Origin::Own } else { Origin::Trusted }, by.at);
    if args.replace {
        return Ok(ledger.replace_admin_key(&key, OldKey::Retire, by)?);
    }
    if let Some(other) = ledger.admin_key_named(name.as_str())? {
        return Err(Failure::new(Kind::Usage, format!("another key is trusted as `{name}`: {}", other.kid))
            .hint("take another name, or add --replace to believe the other one no more"));
    }
    Ok(ledger.put_admin_key(&key, by)?)
}

/// Refuses a key that is in the ledger under another name, or that was taken out of use.
fn refuse_known(name: &EntryName, known: &AdminKey) -> Result<(), Failure> {
    if let Some(at) = known.retired {
        return Err(Failure::new(Kind::Usage, format!("this key was retired at {at}, and does not come back"))
            .hint("its owner makes a new one: `tokenkeep admin-token rotate NAME`"));
    }
    if known.name != name.as_str() {
        return Err(Failure::new(Kind::Usage, format!("this key is already trusted as `{}`", known.name))
            .hint("see all with `tokenkeep admin-token keys`"));
    }
    Ok(())
}
