//! `admin-token mint`: signs an admin token, and writes down that it exists.

use clap_complete::ArgValueCompleter;
use serde_json::json;

use super::{issuer, not_a_key};
use crate::commands::completions::entry_names;
use crate::commands::{Context, Outcome};
use crate::error::{Failure, Kind};
use crate::ledger::admin::{Mint, Origin};
use crate::ledger::{By, Ledger, LedgerError};
use crate::output::{Form, put_time};
use crate::profile::EntryName;
use crate::secret::AccessToken;
use crate::token::admin_key::AdminKey;
use crate::token::admin_token::{AdminLifetime, Statement};
use crate::token::issuer::Issuer;
use crate::vault::entry::{Body, Stored};
use crate::vault::shelf::Shelf;

/// Examples.
const EXAMPLES: &str = "Examples:
  tokenkeep admin-token mint ops --audience pipelines
  tokenkeep admin-token mint --audience https://api.example.org --ttl 1m --json
  tokenkeep admin-token mint ops --audience pipelines |
      tokenkeep job-token authorize JOB reset --stdin --audience pipelines
";

/// Mint a token, and print it
///
/// It is good for everything that an administrator may do, at the audiences that it names, until it ends by itself.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The key [default: the only one that there is]
    #[arg(value_name = "NAME", add = ArgValueCompleter::new(entry_names))]
    name: Option<EntryName>,
    /// Who shall take it: what they say with --audience (repeat for more)
    #[arg(long = "audience", value_name = "AUDIENCE", required = true, value_parser = clap::builder::NonEmptyStringValueParser::new())]
    audiences: Vec<String>,
    /// How long it lives, 15m at most
    #[arg(long, value_name = "TIME", default_value_t)]
    ttl: AdminLifetime,
}

/// A token that was minted.
struct Minted {
    /// The token.
    token: AccessToken,
    /// What the ledger keeps of it.
    record: Mint,
    /// Who issued it.
    issuer: Issuer,
}

/// Runs the command.
pub(crate) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    let by = cx.by();
    let name = match &args.name {
        Some(name) => name.clone(),
        None => only_key(cx, &by)?,
    };
    let key = open_key(cx, &name)?;
    let mut ledger = cx.ledger(&by)?;
    refuse_untrusted(&ledger, &name, &key)?;
    let minted = mint(cx, args, (&name, &key), &ledger)?;
    ledger.record_mint(&minted.record, &by)?;
    report(cx, args, &minted)?;
    Ok(Outcome::Done)
}

/// Returns the name of the only key that can mint here.
fn only_key(cx: &Context, by: &By) -> Result<EntryName, Failure> {
    let make = "make one with `tokenkeep admin-token keygen NAME`";
    let ledger = cx.present_ledger(by)?;
    let ledger = ledger.ok_or_else(|| Failure::new(Kind::NotFound, "there is no admin key").hint(make))?;
    let own = ledger.admin_keys()?.into_iter().filter(|key| key.origin == Origin::Own && key.retired.is_none());
    let names: Vec<String> = own.map(|key| key.name).collect();
    match names.as_slice() {
        [only] => only.parse().map_err(|_| LedgerError::Damaged("an admin key has no name".to_owned()).into()),
        [] => Err(Failure::new(Kind::NotFound, "there is no admin key").hint(make)),
        several => Err(Failure::new(Kind::Usage, format!("there are several admin keys: {}", several.join(", ")))
            .hint("name one: `tokenkeep admin-token mint NAME --audience AUDIENCE`")),
    }
}

/// Takes the private key out of the vault.
fn open_key(cx: &Context, name: &EntryName) -> Result<AdminKey, Failure> {
    let unknown = || {
        Failure::new(Kind::NotFound, format!("there is no admin key `{name}` in the vault"))
            .hint(format!("make one with `tokenkeep admin-token keygen {name}`"))
            .unless_token(name, None)
    };
    // an unknown name comes before a locked vault
    if Shelf::of(&cx.vault_folder()?).lists(name).is_ok_and(|is_there| !is_there) {
        return Err(unknown());
    }
    let entry = cx.open_vault()?.newest(name)?.ok_or_else(unknown)?;
    match &entry.body {
        Body::AdminKey(Stored { expires_at: Some(end), .. }) if *end <= cx.now() => Err(Failure::new(
            Kind::Denied,
            format!("the admin key `{name}` ended at {end}, as was said when it was stored"),
        )
        .hint(format!("make a new one: `tokenkeep admin-token rotate {name}`"))),
        Body::AdminKey(stored) => AdminKey::read(stored.secret.secret()).map_err(|fault| {
            Failure::from_error(Kind::Usage, &fault)
                .while_doing(format!("the entry `{name}` holds no key that signs"))
                .hint("store another one, or make one: `tokenkeep admin-token keygen NAME`")
        }),
        Body::RefreshToken(_) | Body::AccessToken(_) | Body::ClientSecret(_) | Body::Secret(_) => {
            Err(not_a_key(name, entry.body.kind()))
        }
    }
}

/// Refuses to mint what nobody who asks this ledger would take.
fn refuse_untrusted(ledger: &Ledger, name: &EntryName, key: &AdminKey) -> Result<(), Failure> {
    let kid = key.public().kid();
    match ledger.admin_key(&kid)? {
        Some(record) => match record.retired {
            None => Ok(()),
            Some(at) => Err(Failure::new(Kind::Denied, format!("the admin key `{name}` was retired at {at}"))
                .hint(format!("make a new one: `tokenkeep admin-token rotate {name}`"))),
        },
        None => Err(Failure::new(Kind::Denied, format!("the ledger does not trust the admin key `{name}`"))
            .because(format!("its public half, {kid}, is not there"))
            .hint(format!("trust it: `tokenkeep admin-token trust {name} '{}'`", key.public().jwk()))),
    }
}

/// Signs a token.
fn mint(cx: &Context, args: &Args, (name, key): (&EntryName, &AdminKey), ledger: &Ledger) -> Result<Minted, Failure> {
    let issuer = issuer(cx, ledger)?;
    let mut id = [0; 16];
    (cx.host.random)(&mut id).map_err(LedgerError::NoRandomness)?;
    let id = format!("{:032x}", u128::from_be_bytes(id));
    let now = cx.now();
    let (subject, audiences) = (name.as_str(), args.audiences.as_slice());
    let statement = Statement { issuer: &issuer, subject, audiences, id: &id, at: now, lifetime: args.ttl };
    let token = statement.sign(key).map_err(|error| {
        Failure::from_error(Kind::Failed, &error).hint(format!("make a new key: `tokenkeep admin-token rotate {name}`"))
    })?;
    let record = Mint {
        jti: id,
        sub: name.to_string(),
        kid: key.public().kid(),
        aud: args.audiences.join(" "),
        iat: now,
        exp: now.after(args.ttl.lifetime()),
    };
    Ok(Minted { token, record, issuer })
}

/// Prints the token.
fn report(cx: &mut Context, args: &Args, Minted { token, record, issuer }: &Minted) -> Result<(), Failure> {
    match cx.printer.form {
        Form::Json => {
            let mut object = json!({
                "access_token": null,
                "token_type": "Bearer",
                "id": record.jti,
                "subject": record.sub,
                "issuer": issuer,
                "audience": args.audiences,
                "kid": record.kid,
            });
            put_time(&mut object, "issued", Some(record.iat));
            put_time(&mut object, "expires", Some(record.exp));
            cx.printer.object_with_secrets(object, &[("/access_token".to_owned(), token.secret())])?;
        }
        Form::Text => cx.printer.secret_line("", token.secret(), "")?,
    }
    cx.printer.notice(&format!(
        "good for {}, until {}; take it back with `tokenkeep admin-token revoke {}`",
        args.ttl, record.exp, record.jti
    ));
    Ok(())
}
