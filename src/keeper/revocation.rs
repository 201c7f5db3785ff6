//! Taking a refresh token back at its provider (RFC 7009). As for a refresh, issuer and client must be those that the
//! token came from. Where that provider revokes is not known of a token: a profile that sets `revocation_endpoint` is
//! believed, as the word of who owns `config.toml`; else the provider says it.

use super::{Keeper, KeeperError, destination};
use crate::idp::{Client, Endpoint, Revocation, Wire};
use crate::profile::{ClientAuth, EntryName, Profile, SecureUrl};
use crate::vault::entry::{Born, TokenSet};

impl Keeper<'_> {
    /// Revokes the refresh token of an entry at its provider; the entry stays.
    pub(crate) fn revoke(
        &self,
        name: &EntryName,
        tokens: &TokenSet,
        profile: Option<&Profile>,
    ) -> Result<Revocation, KeeperError> {
        let born = destination(name, &tokens.born, profile)?;
        let secret = self.client_secret(name, &born)?.filter(|_| born.client_auth != ClientAuth::None);
        let wire = Wire::open(profile.and_then(|profile| profile.ca_file.as_deref()))?;
        let endpoint = endpoint(&wire, &born, profile)?;
        let client = Client { id: born.client_id, auth: born.client_auth, secret };
        Ok(wire.revoke(&endpoint, &client, &tokens.refresh_token)?)
    }
}

/// Returns where tokens are revoked: what the profile sets, else what the provider says.
fn endpoint(wire: &Wire, born: &Born, profile: Option<&Profile>) -> Result<SecureUrl, KeeperError> {
    let found = match profile {
        Some(profile) => wire.locate(profile, &[Endpoint::Revocation])?,
        None => wire.discover(&born.issuer)?,
    };
    Ok(found.need(Endpoint::Revocation)?.clone())
}
