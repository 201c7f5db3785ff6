//! A flag for every key of a profile, and how a profile gets into `config.toml`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use serde::Serialize;
use serde::de::value::{Error as WordFault, StrDeserializer};
use serde::de::{DeserializeOwned, Error as _, IntoDeserializer as _};
use toml_edit::{Array, InlineTable, Value};

use crate::commands::Context;
use crate::error::{Failure, Kind};
use crate::host::folders::absolute;
use crate::profile::{AudienceAs, ClientAuth, EntryName, Flow, Words};
use crate::settings::edit::Edit;
use crate::settings::report::word;
use crate::settings::{ProfileTable, Settings, SettingsError, Spelled};
use crate::token::scopes::Scopes;
use crate::token::time::Lifetime;

/// Flags that describe a profile. They are texts: `Settings::build` is the one judge of them.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "The profile")]
pub(crate) struct ProfileFlags {
    /// The provider, exactly as it calls itself
    #[arg(long, value_name = "URL")]
    pub(crate) issuer: Option<String>,
    /// What the provider calls us
    #[arg(long, value_name = "ID")]
    pub(crate) client_id: Option<String>,
    /// How to log in
    #[arg(long, value_name = "FLOW", value_parser = words::<Flow>())]
    pub(crate) flow: Option<Flow>,
    /// Ask for this scope (repeat for more) [default: openid and offline access]
    #[arg(long = "scope", value_name = "SCOPE")]
    pub(crate) scopes: Vec<String>,
    /// The API that the access tokens are for
    #[arg(long, value_name = "AUDIENCE")]
    pub(crate) audience: Option<String>,
    /// The parameter that carries the audience
    #[arg(long, value_name = "PARAMETER", value_parser = words::<AudienceAs>())]
    pub(crate) audience_as: Option<AudienceAs>,
    /// When the provider forgets an offline token that is not used, like 30d
    #[arg(long, value_name = "TIME")]
    pub(crate) offline_idle: Option<Lifetime>,
    /// How long the provider takes a rotated refresh token once more, like 30s
    #[arg(long, value_name = "TIME")]
    pub(crate) reuse_grace: Option<Lifetime>,
    /// How the client shows who it is [default: none, or basic with a secret]
    #[arg(long, value_name = "METHOD", value_parser = words::<ClientAuth>())]
    pub(crate) client_auth: Option<ClientAuth>,
    /// The entry that holds the client's secret, never the secret itself
    #[arg(long, value_name = "entry:NAME")]
    pub(crate) client_secret: Option<String>,
    /// Trust the certificates in this file, too
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<String>,
    /// The variable that `env` and `exec` set
    #[arg(long, value_name = "VAR")]
    pub(crate) var: Option<String>,
    /// Where tokens are issued, if discovery does not say
    #[arg(long, value_name = "URL")]
    pub(crate) token_endpoint: Option<String>,
    /// Where a device login begins, if discovery does not say
    #[arg(long, value_name = "URL")]
    pub(crate) device_authorization_endpoint: Option<String>,
    /// Where a login in a browser begins, if discovery does not say; the device flow does not use it
    #[arg(long, value_name = "URL")]
    pub(crate) authorization_endpoint: Option<String>,
    /// Where tokens are revoked, if discovery does not say
    #[arg(long, value_name = "URL")]
    pub(crate) revocation_endpoint: Option<String>,
    /// Where tokens are asked about, if discovery does not say
    #[arg(long, value_name = "URL")]
    pub(crate) introspection_endpoint: Option<String>,
    /// Where the provider's public keys are, if discovery does not say
    #[arg(long, value_name = "URL")]
    pub(crate) jwks_uri: Option<String>,
    /// Name a set of scopes, for `get --group` (repeat for more)
    #[arg(long = "group", value_name = "NAME=SCOPES", value_parser = assignment)]
    pub(crate) groups: Vec<(String, String)>,
    /// Give a `{name}` in the values its default (repeat for more)
    #[arg(long = "set-param", value_name = "NAME=VALUE", value_parser = assignment)]
    pub(crate) params: Vec<(String, String)>,
}

impl ProfileFlags {
    /// Tells whether none of the flags was given.
    pub(crate) fn is_empty(&self) -> bool {
        self.given() == ProfileTable::default()
    }

    /// Returns the profile that the flags describe, with the scopes of an offline token if none are named.
    pub(crate) fn table(&self) -> ProfileTable {
        let mut table = self.given();
        if table.scopes.is_empty() {
            table.scopes = DEFAULT_SCOPES.map(str::to_owned).to_vec();
        }
        table
    }

    /// Names the key in which an existing profile says otherwise. Flow, scopes and audience are left out: a login may ask
    /// for others than the profile has.
    pub(crate) fn contradiction(&self, existing: &ProfileTable) -> Option<String> {
        let given = self.given();
        let said = keys(existing);
        let differs = |(key, value): &(&'static str, Value)| {
            let same = said.iter().any(|(other, said)| other == key && said.to_string() == value.to_string());
            !same && !["flow", "scopes", "audience"].contains(key)
        };
        let sets = |groups: &BTreeMap<String, Vec<String>>, name: &str| {
            groups.get(name).map(|scopes| scopes.iter().cloned().collect::<BTreeSet<_>>())
        };
        let group = given.groups.keys().find(|name| sets(&given.groups, name) != sets(&existing.groups, name));
        let param = given.params.iter().find(|(name, value)| existing.params.get(*name) != Some(value));
        keys(&given).into_iter().find(differs).map(|(key, _)| key.to_owned()).or_else(|| {
            let group = group.map(|name| format!("groups.{name}"));
            group.or_else(|| param.map(|(name, _)| format!("params.{name}")))
        })
    }

    /// Returns what the flags say, and nothing else.
    fn given(&self) -> ProfileTable {
        let words = |text: &String| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        ProfileTable {
            issuer: self.issuer.clone(),
            client_id: self.client_id.clone(),
            flow: self.flow,
            scopes: self.scopes.iter().flat_map(words).collect(),
            audience: self.audience.clone(),
            audience_as: self.audience_as,
            offline_idle: self.offline_idle.map(Into::into),
            reuse_grace: self.reuse_grace.map(Into::into),
            client_auth: self.client_auth,
            client_secret: self.client_secret.clone(),
            ca_file: self.ca_file.as_deref().map(from_here),
            var: self.var.clone(),
            token_endpoint: self.token_endpoint.clone(),
            device_authorization_endpoint: self.device_authorization_endpoint.clone(),
            authorization_endpoint: self.authorization_endpoint.clone(),
            revocation_endpoint: self.revocation_endpoint.clone(),
            introspection_endpoint: self.introspection_endpoint.clone(),
            jwks_uri: self.jwks_uri.clone(),
            groups: self.groups.iter().map(|(name, scopes)| (name.clone(), words(scopes))).collect(),
            params: self.params.iter().cloned().collect(),
        }
    }
}

/// What a profile asks for if nothing else is said: who logged in, and a token that outlives the session.
const DEFAULT_SCOPES: [&str; 2] = ["openid", "offline_access"];

/// Returns the scopes of a login that asks for none by name.
pub(crate) fn default_scopes() -> Scopes {
    Scopes::lenient(&DEFAULT_SCOPES.join(" "))
}

/// Writes a profile into `config.toml`, in the place of one of that name, after checking that it can be used.
pub(crate) fn write_profile(cx: &Context, name: &EntryName, table: &ProfileTable) -> Result<(), Failure> {
    check_profile(cx, name, table)?;
    let mut edit = Edit::open(&cx.settings()?.path)?;
    let keys = keys(table);
    let path = ["profiles", name.as_str()];
    edit.retain(&path, &keys.iter().map(|(key, _)| *key).collect::<Vec<_>>());
    for (key, value) in keys {
        edit.set(&path, key, value)?;
    }
    if !table.params.is_empty() {
        let params: InlineTable = table.params.iter().collect();
        edit.set(&path, "params", params)?;
    }
    for (group, scopes) in &table.groups {
        edit.set(&["profiles", name.as_str(), "groups"], group, list(scopes))?;
    }
    Ok(edit.save()?)
}

/// Refuses a profile that could never be used. A parameter without a value may still get one later.
pub(crate) fn check_profile(cx: &Context, name: &EntryName, table: &ProfileTable) -> Result<(), Failure> {
    if name.user().is_some() {
        let fault = crate::profile::NameFault::User;
        return Err(Failure::from_error(Kind::Usage, &fault).hint(format!("call it `{}`", name.profile())));
    }
    let settings = cx.settings()?;
    let in_other_case = |other: &&EntryName| *other != name && other.as_str().eq_ignore_ascii_case(name.as_str());
    if let Some(other) = settings.config.profiles.keys().find(in_other_case) {
        return Err(Failure::new(Kind::Usage, format!("`{name}` differs from the profile `{other}` only by case"))
            .hint("choose another name: some file systems would mix their tokens up"));
    }
    settings.check_parameters(table)?;
    if table.has_idle_secret() {
        let message = "with --client-auth none the --client-secret would never be used";
        return Err(Failure::new(Kind::Usage, message).hint("leave out one of the two, or give --client-auth basic"));
    }
    // a word, a port and a whole URL: a parameter may stand for each of them
    let outcomes = ["x", "1", "https://x"].map(|stand_in| build_with(settings, name, table, stand_in));
    let [first, ..] = &outcomes;
    let Err(SettingsError::Profile { key, reason, .. }) = first else { return Ok(()) };
    if outcomes.iter().any(Result::is_ok) {
        return Ok(());
    }
    let flag = flag_of(key);
    let hint = match *key {
        "client_secret" => format!(
            "store it first: `tokenkeep store {name}-client --kind client-secret`, then `{flag} entry:{name}-client`"
        ),
        _ => format!("give another {flag}; `tokenkeep profile add --help` shows all flags"),
    };
    Err(Failure::new(Kind::Usage, format!("the profile `{name}` cannot be used: {flag}: {reason}")).hint(hint))
}

/// Builds a profile with something in the place of every parameter that has no value yet.
fn build_with(
    settings: &Settings,
    name: &EntryName,
    table: &ProfileTable,
    stand_in: &str,
) -> Result<(), SettingsError> {
    let mut table = table.clone();
    loop {
        match settings.build(name, &table) {
            Err(SettingsError::MissingParameter { parameter, .. }) => {
                table.params.insert(parameter, stand_in.to_owned());
            }
            other => return other.map(|_| ()),
        }
    }
}

/// Returns the flag that sets a key.
fn flag_of(key: &str) -> String {
    match key {
        "scopes" => "--scope".to_owned(),
        _ => format!("--{}", key.replace('_', "-")),
    }
}

/// Returns the keys of a profile that have a value, as they stand in the file; groups and parameters are not among them.
pub(super) fn keys(table: &ProfileTable) -> Vec<(&'static str, Value)> {
    let text = |text: &Option<String>| text.clone().map(Value::from);
    let time = |time: &Option<Spelled>| time.as_ref().map(|time| Value::from(time.lifetime.exact()));
    let scopes = Some(&table.scopes).filter(|scopes| !scopes.is_empty());
    let all = [
        ("issuer", text(&table.issuer)),
        ("client_id", text(&table.client_id)),
        ("flow", table.flow.and_then(word_value)),
        ("scopes", scopes.map(|scopes| list(scopes).into())),
        ("audience", text(&table.audience)),
        ("audience_as", table.audience_as.and_then(word_value)),
        ("offline_idle", time(&table.offline_idle)),
        ("reuse_grace", time(&table.reuse_grace)),
        ("client_auth", table.client_auth.and_then(word_value)),
        ("client_secret", text(&table.client_secret)),
        ("ca_file", text(&table.ca_file)),
        ("var", text(&table.var)),
        ("token_endpoint", text(&table.token_endpoint)),
        ("device_authorization_endpoint", text(&table.device_authorization_endpoint)),
        ("authorization_endpoint", text(&table.authorization_endpoint)),
        ("revocation_endpoint", text(&table.revocation_endpoint)),
        ("introspection_endpoint", text(&table.introspection_endpoint)),
        ("jwks_uri", text(&table.jwks_uri)),
    ];
    all.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
}

/// Returns a list of texts for the file.
fn list(texts: &[String]) -> Array {
    texts.iter().collect()
}

/// Returns the word by which the file calls one of our values, as a value of the file.
fn word_value(value: impl Serialize) -> Option<Value> {
    word(value).map(Value::from)
}

/// Makes a path that was typed independent of the working folder: in the file it would be relative to the file's own.
fn from_here(path: &str) -> String {
    let kept = path.starts_with("~/") || path.starts_with('{');
    let whole = || absolute(Path::new(path)).into_os_string().into_string().ok();
    (!kept).then(whole).flatten().unwrap_or_else(|| path.to_owned())
}

/// Reads one of the words that the configuration file knows; those of a later version are refused by their names.
pub(crate) fn words<T>() -> impl TypedValueParser<Value = T>
where
    T: Words + DeserializeOwned + Clone + Send + Sync + 'static,
{
    let known = T::KNOWN.iter().map(PossibleValue::new);
    let later = T::LATER.iter().map(|word| PossibleValue::new(word).hide(true));
    PossibleValuesParser::new(known.chain(later)).try_map(|text| {
        T::refuse_later(&text).map_err(WordFault::custom)?;
        let word: StrDeserializer<'_, WordFault> = text.as_str().into_deserializer();
        T::deserialize(word)
    })
}

/// Reads `NAME=VALUE`.
fn assignment(text: &str) -> Result<(String, String), String> {
    match text.split_once('=').filter(|(name, value)| !name.is_empty() && !value.is_empty()) {
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None => Err("not of the form NAME=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, FromArgMatches as _};

    use super::*;

    fn flags(line: &str) -> ProfileFlags {
        let command = ProfileFlags::augment_args(clap::Command::new("add").no_binary_name(true));
        let matches = command.try_get_matches_from(line.split(' ').filter(|word| !word.is_empty())).unwrap();
        ProfileFlags::from_arg_matches(&matches).unwrap()
    }

    #[test]
    fn every_key_of_a_profile_has_a_flag_and_is_written_again() {
        let given = flags(
            "--issuer https://a.example --client-id c --flow device --scope openid --audience a --audience-as resource \
             --offline-idle 30d --reuse-grace 90s --client-auth post --client-secret entry:s --ca-file /ca.pem --var V \
             --token-endpoint https://a/t --device-authorization-endpoint https://a/d --revocation-endpoint https://a/r \
             --authorization-endpoint https://a/l \
             --introspection-endpoint https://a/i --jwks-uri https://a/k --group g=one --set-param p=v",
        );
        let table = given.table();
        let lines = keys(&table).iter().map(|(key, value)| format!("{key} = {value}")).collect::<Vec<_>>();
        let text = lines.join("\n") + "\n" + "params = { p = \"v\" }\n[groups]\ng = [\"one\"]\n";
        assert_eq!(toml::from_str::<ProfileTable>(&text).unwrap(), table);
        assert_eq!(keys(&table).len() + 2, ProfileFlags::augment_args(clap::Command::new("x")).get_arguments().count());
    }

    #[test]
    fn an_offline_token_is_asked_for_if_nothing_else_is_said() {
        assert!(flags("").is_empty());
        assert_eq!(flags("--issuer https://a.example").table().scopes, DEFAULT_SCOPES);
        assert_eq!(flags("--scope profile").table().scopes, ["profile"]);
    }

    #[test]
    fn a_contradiction_names_its_key() {
        let existing = flags("--issuer https://a.example --client-id c --group g=one").table();
        assert_eq!(flags("--issuer https://a.example --scope more").contradiction(&existing), None);
        assert_eq!(flags("--issuer https://b.example").contradiction(&existing), Some("issuer".into()));
        assert_eq!(flags("--client-auth basic").contradiction(&existing), Some("client_auth".into()));
        assert_eq!(flags("--group g=two").contradiction(&existing), Some("groups.g".into()));
    }
}
