//! What an export says of where tokens go, and is not believed. Nobody signs an export: whoever knows the public recipient
//! can write one. What it says decides where a refresh posts a login's token and its client's secret, so that a forged
//! login could carry off a secret of this vault.

use crate::commands::Context;
use crate::error::{Failure, Kind};
use crate::profile::{EntryName, SecureUrl};
use crate::vault::Vault;
use crate::vault::entry::{Body, Born, Entry};

/// What is known here of where a client's tokens go: a token endpoint, and the entry of the client's secret.
type Binding = (Option<SecureUrl>, Option<EntryName>);

/// Forgets the token endpoint of a login, which the keeper then asks of the issuer, unless it is known here.
pub(super) fn forget_endpoint(cx: &Context, vault: &Vault, entry: &mut Entry) -> Result<(), Failure> {
    let Body::RefreshToken(tokens) = &mut entry.body else { return Ok(()) };
    let known = known(cx, vault, (&entry.name, &tokens.born))?;
    if !known.iter().any(|(endpoint, _)| *endpoint == tokens.born.token_endpoint) {
        tokens.born.token_endpoint = None;
    }
    Ok(())
}

/// Refuses a login that names a client secret which neither came with it nor is bound to its client here.
pub(super) fn refuse_lent_secret(
    cx: &Context,
    vault: &Vault,
    entry: &Entry,
    came: &[EntryName],
) -> Result<(), Failure> {
    let name = &entry.name;
    let Some(born) = entry.body.tokens().map(|tokens| &tokens.born) else { return Ok(()) };
    let Some(secret) = &born.client_secret else { return Ok(()) };
    if came.contains(secret) || known(cx, vault, (name, born))?.iter().any(|(_, bound)| bound.as_ref() == Some(secret))
    {
        return Ok(());
    }
    let message = format!("`{name}` wants the client secret `{secret}`, which does not come with it");
    Err(Failure::new(Kind::Usage, message)
        .because(format!("nobody signs an export, and a refresh would send that secret to {}", born.issuer))
        .hint(format!(
            "export both, `tokenkeep vault export {name} {secret}`, or name the secret in a profile of that issuer and client"
        )))
}

/// Returns what the profiles, and the entry that is there already, say of the issuer and client that a token says it is from.
fn known(cx: &Context, vault: &Vault, (name, born): (&EntryName, &Born)) -> Result<Vec<Binding>, Failure> {
    let settings = cx.settings()?;
    // one that is wrong binds nothing
    let profiles = settings.config.profiles.keys().filter_map(|name| settings.profile(name).ok());
    let same = profiles.filter(|profile| profile.issuer == born.issuer && profile.client_id == born.client_id);
    let mut known: Vec<Binding> = same.map(|profile| (profile.endpoints.token, profile.client_secret)).collect();
    let present = vault.newest(name)?;
    let present = present.as_ref().and_then(|present| present.body.tokens()).map(|tokens| &tokens.born);
    let present = present.filter(|present| present.issuer == born.issuer && present.client_id == born.client_id);
    known.extend(present.map(|present| (present.token_endpoint.clone(), present.client_secret.clone())));
    Ok(known)
}
