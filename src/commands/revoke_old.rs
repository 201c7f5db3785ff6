//! `--revoke-old` of `generate` and `store`: takes back the refresh token that a new login has replaced.

use super::Context;
use super::target::{Target, TokenArgs};
use crate::error::{Failure, revocation_failure};
use crate::idp::Revocation;
use crate::keeper::plan::Fetch;
use crate::profile::EntryName;
use crate::vault::entry::{Entry, TokenSet};
use crate::vault::{Vault, VaultError};

/// Revokes the refresh token of the generation before a new login, then proves that the new one lives: a provider may
/// count both as one grant.
pub(super) fn revoke_old(cx: &mut Context, target: &Target, vault: &Vault, login: u64) -> Result<(), Failure> {
    let Some(old) = token_before(vault, &target.name, login)? else {
        cx.printer.notice("there was no other refresh token to revoke");
        return Ok(());
    };
    let keeper = cx.keeper(vault)?;
    let said = keeper.revoke(&target.name, &old, target.profile.as_ref()).map_err(|error| {
        revocation_failure(error).while_doing("the new login is kept; the old token could not be revoked")
    })?;
    let wanted = target.wanted(cx, &TokenArgs::default(), None, Fetch::Always)?;
    target
        .fetch(&keeper, &wanted)
        .map_err(|failure| failure.while_doing("the old token is revoked, and the new login gives no access token"))?;
    cx.printer.notice(match said {
        Revocation::Revoked => "revoked the old token; the new one lives",
        Revocation::Unknown => "the provider does not know the old token, which is worth nothing; the new one lives",
    });
    Ok(())
}

/// Returns the number of the generation that a login has made, if `seen` was the newest one before it. Meanwhile others
/// may have refreshed the old token, and then the new one.
pub(super) fn generation_of_login(vault: &Vault, name: &EntryName, seen: u64) -> Result<Option<u64>, VaultError> {
    let mut login: Option<(u64, TokenSet)> = None;
    for generation in vault.shelf().generations(name)?.into_iter().take_while(|generation| *generation > seen) {
        let Some(tokens) = tokens(vault, name, generation)? else { break };
        if login.as_ref().is_some_and(|(_, newer)| newer.login_at != tokens.login_at) {
            break;
        }
        login = Some((generation, tokens));
    }
    Ok(login.map(|(generation, _)| generation))
}

/// Returns the token set of the generation before a login, unless it has the same refresh token.
fn token_before(vault: &Vault, name: &EntryName, login: u64) -> Result<Option<TokenSet>, VaultError> {
    let before = vault.shelf().generations(name)?.into_iter().find(|generation| *generation < login);
    let Some(old) = before.map(|before| tokens(vault, name, before)).transpose()?.flatten() else { return Ok(None) };
    let new = tokens(vault, name, login)?;
    let is_same = new.is_some_and(|new| new.refresh_token.secret().is_same(old.refresh_token.secret()));
    Ok(Some(old).filter(|_| !is_same))
}

/// Reads the token set of one generation; `None` for one of another kind.
fn tokens(vault: &Vault, name: &EntryName, generation: u64) -> Result<Option<TokenSet>, VaultError> {
    let file = vault.shelf().read(name, generation)?;
    let Entry { body, .. } = vault.unseal(name, generation, &file)?;
    Ok(body.tokens().cloned())
}
