//! The form of `config.toml`, and what is said when a file does not have it.

use std::collections::BTreeMap;
use std::path::Path;

use serde::de::{Error as _, IntoDeserializer as _};
use serde::{Deserialize, Deserializer};

use super::issued::{IssuedTable, PolicyTable};
use super::{SettingsError, Spelled};
use crate::backend::Backend;
use crate::profile::{AudienceAs, ClientAuth, EntryName, Flow, Words};
use crate::token::nearest::nearest;

/// The whole file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    /// What holds where nothing else is said.
    pub(crate) defaults: Defaults,
    /// Where entries rest.
    pub(crate) vault: VaultTable,
    /// How the vault is opened.
    pub(crate) unlock: Unlock,
    /// The profiles by name.
    #[serde(deserialize_with = "profiles")]
    pub(crate) profiles: BTreeMap<EntryName, ProfileTable>,
    /// The tokens that we issue.
    pub(crate) issued: IssuedTable,
    /// What may be done to jobs, and with which token.
    pub(crate) policy: PolicyTable,
}

/// `[defaults]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Defaults {
    /// The profile that is meant where none is named.
    pub(crate) profile: Option<EntryName>,
    /// How much life an access token must have left.
    #[serde(deserialize_with = "lifetime")]
    pub(crate) min_ttl: Option<Spelled>,
}

/// `[vault]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct VaultTable {
    /// What entries rest in.
    pub(crate) backend: Option<Backend>,
}

/// `[unlock]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Unlock {
    /// The file that holds the vault identity, or one that opens a slot.
    pub(crate) identity_file: Option<String>,
    /// Whether the keyring of the desktop holds the vault identity.
    pub(crate) keyring: Option<bool>,
}

/// `[profiles.NAME]`, as text: parameters are not filled in yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(
    not(test),
    expect(
        clippy::missing_docs_in_private_items,
        reason = "the keys are those of `Profile`, where they are explained"
    )
)]
pub(crate) struct ProfileTable {
    pub(crate) issuer: Option<String>,
    pub(crate) client_id: Option<String>,
    #[serde(deserialize_with = "word")]
    pub(crate) flow: Option<Flow>,
    pub(crate) scopes: Vec<String>,
    pub(crate) audience: Option<String>,
    pub(crate) audience_as: Option<AudienceAs>,
    #[serde(deserialize_with = "lifetime")]
    pub(crate) offline_idle: Option<Spelled>,
    #[serde(deserialize_with = "lifetime")]
    pub(crate) reuse_grace: Option<Spelled>,
    #[serde(deserialize_with = "word")]
    pub(crate) client_auth: Option<ClientAuth>,
    pub(crate) client_secret: Option<String>,
    pub(crate) ca_file: Option<String>,
    pub(crate) var: Option<String>,
    pub(crate) token_endpoint: Option<String>,
    pub(crate) device_authorization_endpoint: Option<String>,
    pub(crate) authorization_endpoint: Option<String>,
    pub(crate) revocation_endpoint: Option<String>,
    pub(crate) introspection_endpoint: Option<String>,
    pub(crate) jwks_uri: Option<String>,
    pub(crate) groups: BTreeMap<String, Vec<String>>,
    pub(crate) params: BTreeMap<String, String>,
}

impl ProfileTable {
    /// Tells whether a client secret is named that is never used.
    pub(crate) fn has_idle_secret(&self) -> bool {
        self.client_auth == Some(ClientAuth::None) && self.client_secret.is_some()
    }
}

/// Reads the profiles; a name with an `@` would be that of a user's entry.
fn profiles<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<EntryName, ProfileTable>, D::Error> {
    let profiles: BTreeMap<EntryName, ProfileTable> = BTreeMap::deserialize(deserializer)?;
    for name in profiles.keys() {
        name.clone().without_user().map_err(D::Error::custom)?;
    }
    Ok(profiles)
}

/// Reads a word of which there may be more in a later version.
fn word<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Words + Deserialize<'de>,
{
    let word = String::deserialize(deserializer)?;
    T::refuse_later(&word).map_err(D::Error::custom)?;
    T::deserialize(word.into_deserializer()).map(Some)
}

/// Reads a length of time.
pub(super) fn lifetime<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Spelled>, D::Error> {
    String::deserialize(deserializer)?.parse().map(Some).map_err(D::Error::custom)
}

/// Parses the file's text.
pub(super) fn parse(path: &Path, bytes: Vec<u8>) -> Result<Config, SettingsError> {
    let content = |line: usize, message: String, nearest: Option<String>| SettingsError::Content {
        path: path.to_owned(),
        line,
        message,
        nearest,
    };
    let text = String::from_utf8(bytes).map_err(|_| content(1, "the file is not UTF-8".to_owned(), None))?;
    toml::from_str(&text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        let line = 1 + text.bytes().take(at).filter(|&byte| byte == b'\n').count();
        let message = error.message().lines().next().unwrap_or_default().to_owned();
        content(line, message.clone(), meant(&message))
    })
}

/// Finds what was probably meant in the words of the parser: "unknown field `x`, expected one of `a`, `b`".
fn meant(message: &str) -> Option<String> {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let word = message.starts_with("unknown ").then(|| quoted.next())??;
    nearest(word, quoted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_is_named_with_its_line_and_the_nearest_one() {
        let text = "[profiles.prod]\nissuer = \"https://a.example\"\nclientid = \"x\"\n";
        let error = parse(Path::new("c.toml"), text.into()).unwrap_err();
        assert!(
            matches!(&error, SettingsError::Content { line: 3, nearest: Some(near), .. } if near == "client_id"),
            "{error:?}"
        );
    }

    #[test]
    fn a_wrong_value_is_named_with_its_line() {
        let error = parse(Path::new("c.toml"), "[defaults]\nmin_ttl = \"soon\"\n".into()).unwrap_err();
        assert!(matches!(error, SettingsError::Content { line: 2, .. }), "{error:?}");
    }

    /// Returns the line and the words of the error that a text brings.
    fn refused(text: &str) -> (usize, String) {
        match parse(Path::new("c.toml"), text.into()).unwrap_err() {
            SettingsError::Content { line, message, .. } => (line, message),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn a_backend_that_is_not_there_is_refused_by_its_name() {
        assert!(parse(Path::new("c.toml"), "[vault]\nbackend = \"age\"\n".into()).is_ok());
        assert!(parse(Path::new("c.toml"), "[vault]\nbackend = \"keyring\"\n".into()).is_ok());
        assert_eq!(refused("[vault]\nbackend = \"disk\"\n").0, 2);
    }

    #[test]
    fn issued_tokens_cannot_be_set_up_wrongly() {
        for value in
            ["issuer = \"pipelines\"", "job_ttl = \"0s\"", "user_ttl = \"soon\"", "known_scopes = [\"a\\\"b\"]"]
        {
            let (line, message) = refused(&format!("[issued]\n{value}\n"));
            assert_eq!(line, 2, "{value}: {message}");
        }
        let (line, message) = refused("[issued]\nknown_scope = []\n");
        assert!(line == 2 && message.contains("known_scope"), "{message}");
    }

    #[test]
    fn a_policy_that_contradicts_itself_is_named_with_its_table() {
        let (line, message) = refused("\n[policy]\njob_events = [\"run\", \"reset\"]\n");
        assert!(line == 2 && message.contains("`reset`"), "{line}: {message}");
        let (line, message) = refused("[policy]\nadmin_event = []\n");
        assert!(line == 2 && message.contains("admin_event"), "{line}: {message}");
        let policy = parse(Path::new("c.toml"), "[policy]\nadmin_events = [\"stop\"]\n".into()).unwrap().policy.policy;
        assert!(policy.admin_events().contains("stop") && policy.job_events().contains("run"));
    }
}
