//! From a profile as it is written to one that can be used: parameters are filled in, and every value is parsed.

use std::collections::BTreeMap;

use super::{ProfileTable, Settings, SettingsError};
use crate::profile::{ClientAuth, Endpoints, EntryName, NameFault, Profile, SecureUrl, UrlFault};
use crate::token::scopes::Scopes;

/// A profile that is being filled in.
pub(super) struct Filling<'a> {
    /// What gives parameters their values.
    pub(super) settings: &'a Settings,
    /// The profile's name.
    pub(super) name: &'a EntryName,
    /// What is written.
    pub(super) table: &'a ProfileTable,
}

/// Returns the names of the parameters that a profile has: those in its values, and those that it gives a default.
pub(super) fn parameters(table: &ProfileTable) -> impl Iterator<Item = &str> {
    let one = [
        &table.issuer,
        &table.client_id,
        &table.audience,
        &table.ca_file,
        &table.token_endpoint,
        &table.device_authorization_endpoint,
        &table.authorization_endpoint,
        &table.revocation_endpoint,
        &table.introspection_endpoint,
        &table.jwks_uri,
    ];
    let many = [&table.scopes].into_iter().chain(table.groups.values()).flatten();
    let texts = one.into_iter().flatten().chain(many);
    texts.flat_map(|text| parts(text)).filter_map(|part| part.parameter).chain(table.params.keys().map(String::as_str))
}

/// A piece of a text: what stands before a `{name}`, and the name.
struct Part<'a> {
    /// What stands as it is.
    before: &'a str,
    /// The name between the braces; `None` at the end of the text.
    parameter: Option<&'a str>,
}

/// Splits a text at its parameters.
fn parts(text: &str) -> impl Iterator<Item = Part<'_>> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let split = text.split_once('{').and_then(|(before, after)| Some((before, after.split_once('}')?)));
        rest = split.map(|(_, (_, after))| after);
        Some(Part {
            before: split.map_or(text, |(before, _)| before),
            parameter: split.map(|(_, (parameter, _))| parameter),
        })
    })
}

impl Filling<'_> {
    /// Builds the profile.
    pub(super) fn profile(&self) -> Result<Profile, SettingsError> {
        let table = self.table;
        let missing = |key| self.wrong(key, "is missing".to_owned());
        let issuer = self.url("issuer", table.issuer.as_deref())?.ok_or_else(|| missing("issuer"))?;
        let client_id = self.optional(table.client_id.as_deref())?.ok_or_else(|| missing("client_id"))?;
        let groups = self.groups()?;
        let (client_auth, client_secret) = self.client_auth()?;
        Ok(Profile {
            name: self.name.clone(),
            issuer,
            client_id,
            flow: table.flow.unwrap_or_default(),
            scopes: self.scopes(&table.scopes)?,
            audience: self.optional(table.audience.as_deref())?,
            audience_as: table.audience_as.unwrap_or_default(),
            offline_idle: table.offline_idle.as_ref().map(|spelled| spelled.lifetime),
            reuse_grace: table.reuse_grace.as_ref().map(|spelled| spelled.lifetime).unwrap_or_default(),
            client_auth,
            client_secret,
            ca_file: self.optional(table.ca_file.as_deref())?.map(|path| self.settings.resolve(&path)),
            var: table.var.clone(),
            endpoints: self.endpoints()?,
            groups,
        })
    }

    /// Returns the sets of scopes.
    fn groups(&self) -> Result<BTreeMap<String, Scopes>, SettingsError> {
        let group = |(name, texts): (&String, &Vec<String>)| Ok((name.clone(), self.scopes(texts)?));
        self.table.groups.iter().map(group).collect()
    }

    /// Returns how the client shows who it is, and which entry holds the secret for that. A secret that is named beside
    /// "none" is never used: a file may say so, and `status` does, too.
    fn client_auth(&self) -> Result<(ClientAuth, Option<EntryName>), SettingsError> {
        let secret = secret_entry(self.table.client_secret.as_deref());
        let secret = secret.map_err(|reason| self.wrong("client_secret", reason))?;
        let implied = if secret.is_some() { ClientAuth::Basic } else { ClientAuth::None };
        match (self.table.client_auth.unwrap_or(implied), secret) {
            (ClientAuth::Basic | ClientAuth::Post, None) => {
                Err(self.wrong("client_secret", "is missing: client_auth needs one, as \"entry:NAME\"".to_owned()))
            }
            (ClientAuth::None, _) => Ok((ClientAuth::None, None)),
            fitting @ (ClientAuth::Basic | ClientAuth::Post, Some(_)) => Ok(fitting),
        }
    }

    /// Returns what discovery does not say, or says wrong.
    fn endpoints(&self) -> Result<Endpoints, SettingsError> {
        let table = self.table;
        Ok(Endpoints {
            token: self.url("token_endpoint", table.token_endpoint.as_deref())?,
            device_authorization: self
                .url("device_authorization_endpoint", table.device_authorization_endpoint.as_deref())?,
            authorization: self.url("authorization_endpoint", table.authorization_endpoint.as_deref())?,
            revocation: self.url("revocation_endpoint", table.revocation_endpoint.as_deref())?,
            introspection: self.url("introspection_endpoint", table.introspection_endpoint.as_deref())?,
            jwks: self.url("jwks_uri", table.jwks_uri.as_deref())?,
        })
    }

    /// Fills in scopes.
    fn scopes(&self, texts: &[String]) -> Result<Scopes, SettingsError> {
        let filled = texts.iter().map(|text| self.text(text)).collect::<Result<Vec<_>, _>>()?;
        Scopes::parse(&filled).map_err(|fault| self.wrong("scopes", fault.to_string()))
    }

    /// Fills in a URL.
    fn url(&self, key: &'static str, text: Option<&str>) -> Result<Option<SecureUrl>, SettingsError> {
        let Some(text) = self.optional(text)? else { return Ok(None) };
        text.parse().map(Some).map_err(|fault: UrlFault| self.wrong(key, fault.to_string()))
    }

    /// Fills in what need not be there.
    fn optional(&self, text: Option<&str>) -> Result<Option<String>, SettingsError> {
        text.map(|text| self.text(text)).transpose()
    }

    /// Puts values in the place of `{name}`: a flag's, the environment's, or the default of the profile.
    pub(super) fn text(&self, text: &str) -> Result<String, SettingsError> {
        let mut filled = String::with_capacity(text.len());
        for part in parts(text) {
            filled.push_str(part.before);
            if let Some(parameter) = part.parameter {
                filled.push_str(self.value(parameter)?);
            }
        }
        Ok(filled)
    }

    /// Returns the value of a parameter.
    fn value(&self, parameter: &str) -> Result<&str, SettingsError> {
        let of_environment = || self.settings.environment.get(&parameter.to_ascii_uppercase().replace('-', "_"));
        let value = self.settings.parameters.get(parameter).or_else(of_environment);
        let value = value.or_else(|| self.table.params.get(parameter));
        value.map(String::as_str).ok_or_else(|| SettingsError::MissingParameter {
            profile: self.name.clone(),
            parameter: parameter.to_owned(),
        })
    }

    /// Describes what is wrong with a key.
    fn wrong(&self, key: &'static str, reason: String) -> SettingsError {
        SettingsError::Profile { profile: self.name.clone(), key, reason }
    }
}

/// Reads `entry:NAME`, the only form a client secret may have in the configuration.
fn secret_entry(text: Option<&str>) -> Result<Option<EntryName>, String> {
    let Some(text) = text else { return Ok(None) };
    let name = text.strip_prefix("entry:").ok_or("must be \"entry:NAME\"; the secret itself belongs into the vault")?;
    name.parse().map(Some).map_err(|fault: NameFault| fault.to_string())
}
