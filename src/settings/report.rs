//! Every setting as it is in force, and where it came from: for `config get` and `status --explain`.

use std::fmt;
use std::path::Path;

use serde::Serialize;

use super::file::{Config, Defaults, ProfileTable, Unlock, VaultTable};
use super::filling::Filling;
use super::{Settings, SettingsError, Spelled};
use crate::host::Environment;
use crate::profile::EntryName;

/// A setting as it is in force.
#[derive(Debug)]
pub(crate) struct Setting {
    /// Its name, like `defaults.profile`.
    pub(crate) key: String,
    /// Its value; `None` where nothing is set and nothing holds by itself.
    pub(crate) value: Result<Option<Value>, SettingsError>,
    /// Where it came from.
    pub(crate) origin: Origin,
}

/// The value of a setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum Value {
    /// A text, a word, a length of time.
    Text(String),
    /// A list of words.
    List(Vec<String>),
}

impl fmt::Display for Value {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => formatter.write_str(text),
            Self::List(words) => formatter.write_str(&words.join(" ")),
        }
    }
}

/// Where a setting came from, the strongest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A flag of this command line.
    Flag(&'static str),
    /// An environment variable.
    Variable(String),
    /// `config.toml`.
    File,
    /// Nobody said anything.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => formatter.write_str(flag),
            Self::Variable(variable) => formatter.write_str(variable),
            Self::File => formatter.write_str("config.toml"),
            Self::Default => formatter.write_str("default"),
        }
    }
}

impl Setting {
    /// Takes a value that cannot be wrong.
    pub(super) fn new(key: &str, value: Option<Value>, origin: Origin) -> Self {
        Self { key: key.to_owned(), value: Ok(value), origin }
    }

    /// Takes a text.
    fn text(key: &str, text: Option<String>, origin: Origin) -> Self {
        Self::new(key, text.map(Value::Text), origin)
    }
}

impl Settings {
    /// Lists every setting; `config` is what the flag of that name says.
    pub(crate) fn report(&self, env: &Environment, config: Option<&Path>) -> Vec<Setting> {
        let Config { defaults, vault, unlock, profiles, issued: _, policy: _ } = &self.config;
        let mut settings = self.paths(env, config);
        settings.push(of_vault(vault));
        settings.extend(self.of_unlock(unlock, env));
        settings.extend(self.of_defaults(defaults));
        settings.extend(self.of_issued());
        settings.extend(self.parameters.iter().map(|(name, value)| {
            Setting::text(&format!("params.{name}"), Some(value.clone()), Origin::Flag("--param"))
        }));
        settings.extend(self.environment.iter().map(|(name, value)| {
            let origin = Origin::Variable(format!("TOKENKEEP_PARAM_{name}"));
            Setting::text(&format!("params.{}", name.to_ascii_lowercase()), Some(value.clone()), origin)
        }));
        settings.extend(profiles.iter().flat_map(|(name, table)| self.of_profile(name, table)));
        settings
    }

    /// Lists where everything is.
    fn paths(&self, env: &Environment, config: Option<&Path>) -> Vec<Setting> {
        let folder = |variable: &str| {
            let set = ["TOKENKEEP_HOME", variable].into_iter().find(|variable| env.raw(variable).is_some());
            set.map_or(Origin::Default, |variable| Origin::Variable(variable.to_owned()))
        };
        let file = match config {
            Some(_) => Origin::Flag("--config"),
            None if env.raw("TOKENKEEP_CONFIG").is_some() => Origin::Variable("TOKENKEEP_CONFIG".to_owned()),
            None => folder("XDG_CONFIG_HOME"),
        };
        let path = |key, path: &Path, origin| Setting::text(key, Some(path.display().to_string()), origin);
        vec![
            path("config.path", &self.path, file),
            path("vault.path", &self.folders.data.join("vault"), folder("XDG_DATA_HOME")),
            path("state.path", &self.folders.state, folder("XDG_STATE_HOME")),
        ]
    }

    /// Says what opens the vault.
    fn of_unlock(&self, Unlock { identity_file, keyring }: &Unlock, env: &Environment) -> [Setting; 2] {
        const VARIABLE: &str = "TOKENKEEP_IDENTITY_FILE";
        let (path, origin) = match (env.raw(VARIABLE), identity_file) {
            (Some(path), _) => (Some(path.into()), Origin::Variable(VARIABLE.to_owned())),
            (None, Some(path)) => (Some(self.resolve(path)), Origin::File),
            (None, None) => (None, Origin::Default),
        };
        [
            Setting::text("unlock.identity_file", path.map(|path| path.display().to_string()), origin),
            Setting::text(
                "unlock.keyring",
                Some(keyring.unwrap_or(false).to_string()),
                Given::of(keyring.as_ref()).origin(),
            ),
        ]
    }

    /// Lists `[defaults]`.
    fn of_defaults(&self, Defaults { profile, min_ttl }: &Defaults) -> [Setting; 2] {
        let origin = |variable: Option<&str>, in_file: Given| match (variable, in_file) {
            (Some(variable), _) => Origin::Variable(variable.to_owned()),
            (None, Given::Yes) => Origin::File,
            (None, Given::No) => Origin::Default,
        };
        let profile_variable = self.profile_variable.as_ref().map(|_| "TOKENKEEP_PROFILE");
        let min_ttl_variable = self.min_ttl_variable.as_ref().map(|_| "TOKENKEEP_MIN_TTL");
        let min_ttl_in_force = self.min_ttl_variable.as_ref().or_else(|| self.short_min_ttl());
        [
            Setting::text(
                "defaults.profile",
                self.default_profile().map(ToString::to_string),
                origin(profile_variable, Given::of(profile.as_ref())),
            ),
            Setting::text(
                "defaults.min_ttl",
                Some(min_ttl_in_force.map_or_else(|| "60s".to_owned(), ToString::to_string)),
                origin(min_ttl_variable, Given::of(min_ttl.as_ref())),
            ),
        ]
    }

    /// Lists the keys of a profile, with their parameters filled in.
    fn of_profile(&self, name: &EntryName, table: &ProfileTable) -> Vec<Setting> {
        let ProfileTable { issuer, client_id, flow, scopes, audience, audience_as, offline_idle, .. } = table;
        let ProfileTable { reuse_grace, client_auth, client_secret, ca_file, var, groups, params, .. } = table;
        let ProfileTable { token_endpoint, device_authorization_endpoint, revocation_endpoint, .. } = table;
        let ProfileTable { authorization_endpoint, introspection_endpoint, jwks_uri, .. } = table;
        let full = |key: &str| format!("profiles.{name}.{key}");
        let filling = Filling { settings: self, name, table };
        let text = |key: &str, text: &Option<String>| Setting {
            key: full(key),
            value: text.as_deref().map(|text| filling.text(text).map(Value::Text)).transpose(),
            origin: Given::of(text.as_ref()).origin(),
        };
        let plain = |key: &str, given: Option<String>, default: Option<&str>| {
            let origin = Given::of(given.as_ref()).origin();
            Setting::text(&full(key), given.or_else(|| default.map(str::to_owned)), origin)
        };
        let time = |time: &Option<Spelled>| time.as_ref().map(ToString::to_string);
        let list = |key: &str, texts: &[String]| {
            let texts = Some(texts).filter(|texts| !texts.is_empty());
            let filled = |texts: &[String]| -> Result<Vec<String>, SettingsError> {
                texts.iter().map(|text| filling.text(text)).collect()
            };
            Setting {
                key: full(key),
                value: texts.map(|texts| filled(texts).map(Value::List)).transpose(),
                origin: Given::of(texts.as_ref()).origin(),
            }
        };
        let implied = if client_secret.is_some() { "basic" } else { "none" };
        let mut settings = vec![
            text("issuer", issuer),
            text("client_id", client_id),
            plain("flow", flow.and_then(word), Some("auto")),
            list("scopes", scopes),
            text("audience", audience),
            plain("audience_as", audience_as.and_then(word), Some("audience")),
            plain("offline_idle", time(offline_idle), None),
            plain("reuse_grace", time(reuse_grace), Some("0s")),
            plain("client_auth", client_auth.and_then(word), Some(implied)),
            plain("client_secret", client_secret.as_deref().map(entry_alone), None),
            text("ca_file", ca_file),
            plain("var", var.clone(), None),
            text("token_endpoint", token_endpoint),
            text("device_authorization_endpoint", device_authorization_endpoint),
            text("authorization_endpoint", authorization_endpoint),
            text("revocation_endpoint", revocation_endpoint),
            text("introspection_endpoint", introspection_endpoint),
            text("jwks_uri", jwks_uri),
        ];
        settings.extend(groups.iter().map(|(group, scopes)| list(&format!("groups.{group}"), scopes)));
        settings
            .extend(params.iter().map(|(param, value)| plain(&format!("params.{param}"), Some(value.clone()), None)));
        settings
    }
}

/// Returns the name of the entry that holds a secret; what is no such name may be the secret itself.
fn entry_alone(text: &str) -> String {
    let hidden = "(not shown: not of the form entry:NAME)";
    if text.starts_with("entry:") { text } else { hidden }.to_owned()
}

/// Says what entries rest in.
fn of_vault(VaultTable { backend }: &VaultTable) -> Setting {
    Setting::text("vault.backend", word(backend.unwrap_or_default()), Given::of(backend.as_ref()).origin())
}

/// Whether the file has a key.
#[derive(Clone, Copy)]
pub(super) enum Given {
    /// It has.
    Yes,
    /// It has not.
    No,
}

impl Given {
    /// Looks at a key.
    pub(super) const fn of<T>(value: Option<&T>) -> Self {
        if value.is_some() { Self::Yes } else { Self::No }
    }

    /// Returns where its value came from.
    pub(super) const fn origin(self) -> Origin {
        match self {
            Self::Yes => Origin::File,
            Self::No => Origin::Default,
        }
    }
}

/// Returns the word by which the file calls one of our values.
pub(crate) fn word(value: impl Serialize) -> Option<String> {
    serde_json::to_value(value).ok()?.as_str().map(str::to_owned)
}
