//! `revoke`: takes a refresh token back at its provider, then forgets it.

use serde_json::json;

use super::completions::entry_names;
use super::target::Target;
use super::{Context, Outcome};
use crate::error::{Failure, Kind, revocation_failure};
use crate::idp::Revocation;
use crate::keeper::{KeeperError, LOCK_PATIENCE};
use crate::output::Form;
use crate::profile::EntryName;
use crate::vault::entry::{Body, TokenSet};
use crate::vault::{Vault, VaultError};

/// Examples of the command.
const EXAMPLES: &str = "Examples:
  tokenkeep revoke prod
  tokenkeep revoke prod --user ada
  tokenkeep revoke prod --local-only
";

/// Revoke a token at its provider, then forget it
///
/// If the provider cannot be reached, or cannot revoke, nothing is forgotten.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The profile
    #[arg(value_name = "PROFILE", add = clap_complete::ArgValueCompleter::new(entry_names))]
    name: Option<EntryName>,
    /// Forget the token here, and tell the provider nothing
    #[arg(long)]
    local_only: bool,
    /// The user whose entry of the profile is meant
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// For scripts that say it to every command: `revoke` never asks
    #[arg(long, short, hide = true)]
    yes: bool,
}

/// What became of a token.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// The provider took it back.
    Revoked,
    /// The provider did not know it.
    Unknown,
    /// The provider was not asked.
    Forgotten,
}

/// Runs the command.
pub(crate) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    let target = Target::of(cx, args.name.as_ref(), args.user.as_deref())?;
    target.must_exist(cx)?;
    let vault = cx.open_vault()?;
    let end = take_back(args, cx, &target, &vault)?;
    let name = &target.name;
    if cx.printer.form == Form::Json {
        let at_provider = match end {
            End::Revoked => Some("revoked"),
            End::Unknown => Some("unknown"),
            End::Forgotten => None,
        };
        cx.printer.object(json!({"name": name, "deleted": true, "at_provider": at_provider}))?;
    }
    cx.printer.notice(&match end {
        End::Revoked => format!("revoked the token of `{name}` at the provider, and deleted it"),
        End::Unknown => format!("the provider does not know the token of `{name}`, which is worth nothing; deleted it"),
        End::Forgotten => format!("deleted `{name}`; the provider was told nothing, and its token stays good there"),
    });
    Ok(Outcome::Done)
}

/// Revokes and deletes under the entry's lock, so that no refresh can come between.
fn take_back(args: &Args, cx: &Context, target: &Target, vault: &Vault) -> Result<End, Failure> {
    let (keeper, shelf) = (cx.keeper(vault)?, vault.shelf());
    if !shelf.holds_anything(&target.name).map_err(VaultError::from)? {
        return Err(target.failure(KeeperError::NoEntry { name: target.name.clone() }));
    }
    let lock = vault.lock(&target.name, LOCK_PATIENCE)?;
    keeper.adopt_unpublished(&target.name, &lock).map_err(|error| target.failure(error))?;
    let entry = vault.newest(&target.name)?;
    let tokens = tokens_of(target, entry.as_ref().map(|entry| &entry.body))?;
    let end = if args.local_only {
        End::Forgotten
    } else {
        match keeper.revoke(&target.name, tokens, target.profile.as_ref()) {
            Ok(Revocation::Revoked) => End::Revoked,
            Ok(Revocation::Unknown) => End::Unknown,
            Err(error) => return Err(not_revoked(target, error)),
        }
    };
    shelf.delete(&target.name, &lock)?;
    super::delete::forget(&lock.file);
    Ok(end)
}

/// Returns the tokens of an entry, which must be of that kind.
fn tokens_of<'a>(target: &Target, body: Option<&'a Body>) -> Result<&'a TokenSet, Failure> {
    let name = &target.name;
    match body {
        Some(Body::RefreshToken(tokens)) => Ok(tokens),
        Some(other @ (Body::AccessToken(_) | Body::ClientSecret(_) | Body::AdminKey(_) | Body::Secret(_))) => {
            let error = KeeperError::NotATokenSet { name: name.clone(), kind: other.kind() };
            Err(Failure::from_error(Kind::Usage, &error).hint(format!("delete it with `tokenkeep delete {name}`")))
        }
        None => Err(target.failure(KeeperError::NoEntry { name: name.clone() })),
    }
}

/// Describes a token that could not be revoked, and so is still there.
fn not_revoked(target: &Target, error: KeeperError) -> Failure {
    revocation_failure(error)
        .while_doing(format!("cannot revoke the token of `{}`; nothing was deleted", target.name))
        .hint(format!("forget it here alone with `tokenkeep revoke {} --local-only`", target.name))
}
