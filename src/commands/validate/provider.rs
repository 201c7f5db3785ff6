//! The provider that is believed, and what it is asked: its keys, and what it knows of a token.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};

use super::verdict::{Flaw, cannot_tell};
use crate::error::{Doing, Failure, Kind, Named, keeper_failure};
use crate::idp::{Client, Endpoint, IdpError, Introspection, Metadata, Wire};
use crate::keeper::Keeper;
use crate::profile::{ClientAuth, EntryName, Profile, SecureUrl};
use crate::secret::Secret;
use crate::token::claims::Claims;
use crate::token::jwt;
use crate::token::time::Timestamp;
use crate::vault::entry::Born;

/// The provider that is believed.
pub(super) struct Provider {
    /// Who it is.
    pub(super) issuer: SecureUrl,
    /// A profile of this very provider.
    profile: Option<Profile>,
    /// Certificates to trust besides the system's.
    ca_file: Option<PathBuf>,
    /// The network, once it was needed.
    wire: OnceCell<Wire>,
    /// What the provider publishes, once it was needed.
    metadata: OnceCell<Metadata>,
}

impl Provider {
    /// Takes an issuer, and a profile only if it is that issuer's: nothing of another one's is sent there.
    pub(super) fn of(issuer: SecureUrl, profile: Option<Profile>, ca_file: Option<&Path>) -> Self {
        let profile = profile.filter(|profile| profile.issuer == issuer);
        let own = profile.as_ref().and_then(|profile| profile.ca_file.clone());
        let ca_file = ca_file.map(Path::to_owned).or(own);
        Self { issuer, profile, ca_file, wire: OnceCell::new(), metadata: OnceCell::new() }
    }

    /// Checks a JWT by its signature and times, and returns what it says.
    pub(super) fn verify(&self, token: &Secret<String>, now: Timestamp) -> Result<Claims, Flaw> {
        // a foreign token is refused before anything is fetched for it
        jwt::require_issuer(token, self.issuer.as_str())?;
        let keys = match self.endpoint(Endpoint::Jwks) {
            Ok(address) => self.wire()?.key_set(&address)?,
            Err(error @ IdpError::NoEndpoint { .. }) => {
                return Err(cannot_tell(error.to_string(), "let the provider tell: add --online").into());
            }
            Err(error) => return Err(error.into()),
        };
        Ok(jwt::verify(token, &keys, self.issuer.as_str(), now)?)
    }

    /// Asks the provider about a token; a provider that answers nobody is one that does not answer us. What it says that
    /// somebody else issued is not its own.
    pub(super) fn introspect(&self, client: &Client, token: &Secret<String>) -> Result<Introspection, Flaw> {
        let answer = match self.endpoint(Endpoint::Introspection) {
            Ok(address) => self.wire()?.introspect(&address, client, token)?,
            Err(IdpError::NoEndpoint { .. }) => Introspection::NotAllowed,
            Err(error) => return Err(error.into()),
        };
        if let Introspection::Active(claims) = &answer {
            jwt::refuse_other_issuer(claims, self.issuer.as_str())?;
        }
        Ok(answer)
    }

    /// Returns who we are to the provider: as the profile says, else as the entry's token was born.
    pub(super) fn client(
        &self,
        keeper: Option<&Keeper<'_>>,
        entry: Option<(&EntryName, &Born)>,
    ) -> Result<Client, Failure> {
        let of_profile = |profile: &Profile| Born {
            issuer: profile.issuer.clone(),
            client_id: profile.client_id.clone(),
            token_endpoint: None,
            client_auth: profile.client_auth,
            client_secret: profile.client_secret.clone(),
        };
        let name = entry.map(|(name, _)| name).or(self.profile.as_ref().map(|profile| &profile.name));
        let born = self.profile.as_ref().map(of_profile).or_else(|| entry.map(|(_, born)| born.clone()));
        let (Some(name), Some(born)) = (name, born) else {
            return Err(Failure::new(
                Kind::Usage,
                format!("there is no profile for {}, so nobody to ask it as", self.issuer),
            )
            .hint("name one with --profile, or leave out --online"));
        };
        let secret = match (born.client_auth, keeper) {
            (ClientAuth::None, _) | (_, None) => None,
            (ClientAuth::Basic | ClientAuth::Post, Some(keeper)) => keeper
                .client_secret(name, &born)
                .map_err(|error| keeper_failure(name, (Doing::Refresh, Named::of(self.profile.as_ref())), error))?,
        };
        Ok(Client { id: born.client_id, auth: born.client_auth, secret })
    }

    /// Tells whether asking as the client takes a secret from the vault.
    pub(super) fn needs_secret(&self) -> bool {
        self.profile.as_ref().is_some_and(|profile| profile.client_auth != ClientAuth::None)
    }

    /// Returns an address: the profile's own, else what the provider publishes.
    fn endpoint(&self, endpoint: Endpoint) -> Result<SecureUrl, IdpError> {
        let own = self.profile.as_ref().map(|profile| profile.endpoints.clone()).unwrap_or_default();
        if let Ok(address) = Metadata::unasked(&self.issuer).with(&own).need(endpoint) {
            return Ok(address.clone());
        }
        if self.metadata.get().is_none() {
            let found = self.wire()?.discover(&self.issuer)?;
            self.metadata.get_or_init(|| found);
        }
        let unasked = || Metadata::unasked(&self.issuer);
        self.metadata.get().map_or_else(unasked, Clone::clone).need(endpoint).cloned()
    }

    /// Returns the network.
    fn wire(&self) -> Result<&Wire, IdpError> {
        if let Some(wire) = self.wire.get() {
            return Ok(wire);
        }
        let wire = Wire::open(self.ca_file.as_deref())?;
        Ok(self.wire.get_or_init(|| wire))
    }
}
