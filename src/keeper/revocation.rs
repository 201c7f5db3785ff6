//! Taking a refresh token back at its provider (RFC 7009). Like a refresh, it goes only where the token came from.

use super::{Keeper, KeeperError, destination};
use crate::idp::{Client, Endpoint, Metadata, Revocation, Wire};
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
    let own = profile.map(|profile| &profile.endpoints);
    if let Some(set) = own.and_then(|own| own.revocation.clone()) {
        return Ok(set);
    }
    let metadata: Metadata = wire.discover(&born.issuer)?;
    Ok(metadata.need(Endpoint::Revocation)?.clone())
}
