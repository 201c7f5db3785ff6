//! `tokenkeep profile show`: a profile as it is in force, with its parameters filled in and its defaults named.

use clap_complete::ArgValueCompleter;
use serde_json::{Value, json};

use super::flags::keys;
use crate::commands::completions::profile_names;
use crate::commands::{Context, Outcome};
use crate::error::Failure;
use crate::output::{Form, json_path};
use crate::profile::{EntryName, Profile, SecureUrl};
use crate::settings::ProfileTable;
use crate::token::scopes::Scopes;
use crate::token::time::Lifetime;

/// Examples.
const EXAMPLES: &str = "Examples:
  tokenkeep profile show prod
  tokenkeep profile show stage --param realm=dev --json
";

/// Show a profile as it is in force
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The profile [default: the default profile]
    #[arg(value_name = "PROFILE", add = ArgValueCompleter::new(profile_names))]
    name: Option<EntryName>,
}

/// Runs the command.
pub(crate) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    let name = cx.name_or_default(args.name.as_ref())?.profile();
    let profile = cx.settings()?.profile(&name)?;
    // one that is not used is shown all the same
    let secret = cx.settings()?.config.profiles.get(&name).and_then(|table| table.client_secret.as_deref());
    match cx.printer.form {
        Form::Json => {
            let object = object(&profile, secret);
            cx.printer.object(object)?;
        }
        Form::Text => {
            let text = text(&profile, secret);
            cx.printer.raw(&text)?;
        }
    }
    Ok(Outcome::Done)
}

/// Describes a profile to people, in the words of `config.toml`.
fn text(profile: &Profile, client_secret: Option<&str>) -> String {
    let quoted = |name: &str| {
        let bare = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        if bare { name.to_owned() } else { toml_edit::Value::from(name).to_string() }
    };
    let name = quoted(profile.name.as_str());
    let keys = keys(&in_force(profile, client_secret)).into_iter().map(|(key, value)| format!("{key} = {value}"));
    let groups = profile.groups.iter().map(|(group, scopes)| {
        let scopes: toml_edit::Array = scopes.iter().collect();
        format!("{} = {scopes}", quoted(group))
    });
    let heading = Some(format!("\n[profiles.{name}.groups]")).filter(|_| !profile.groups.is_empty());
    let lines = std::iter::once(format!("[profiles.{name}]")).chain(keys).chain(heading).chain(groups);
    lines.fold(String::new(), |text, line| text + &line + "\n")
}

/// Describes a profile to programs: the same keys, and null for what is not set.
fn object(profile: &Profile, client_secret: Option<&str>) -> Value {
    let list = |scopes: &Scopes| scopes.iter().map(str::to_owned).collect::<Vec<_>>();
    let groups: serde_json::Map<_, _> =
        profile.groups.iter().map(|(group, scopes)| (group.clone(), json!(list(scopes)))).collect();
    json!({
        "name": profile.name,
        "issuer": profile.issuer,
        "client_id": profile.client_id,
        "flow": profile.flow,
        "scopes": list(&profile.scopes),
        "audience": profile.audience,
        "audience_as": profile.audience_as,
        "offline_idle": profile.offline_idle.map(Lifetime::exact),
        "offline_idle_seconds": profile.offline_idle,
        "reuse_grace": profile.reuse_grace.exact(),
        "reuse_grace_seconds": profile.reuse_grace,
        "client_auth": profile.client_auth,
        "client_secret": client_secret,
        "ca_file": profile.ca_file.as_deref().map(json_path),
        "var": profile.var,
        "token_endpoint": profile.endpoints.token,
        "device_authorization_endpoint": profile.endpoints.device_authorization,
        "authorization_endpoint": profile.endpoints.authorization,
        "revocation_endpoint": profile.endpoints.revocation,
        "introspection_endpoint": profile.endpoints.introspection,
        "jwks_uri": profile.endpoints.jwks,
        "groups": groups,
    })
}

/// Writes a profile as a table in which nothing is left to defaults.
fn in_force(profile: &Profile, client_secret: Option<&str>) -> ProfileTable {
    let Profile { endpoints, .. } = profile;
    let url = |url: &Option<SecureUrl>| url.as_ref().map(ToString::to_string);
    ProfileTable {
        issuer: Some(profile.issuer.to_string()),
        client_id: Some(profile.client_id.clone()),
        flow: Some(profile.flow),
        scopes: profile.scopes.iter().map(str::to_owned).collect(),
        audience: profile.audience.clone(),
        audience_as: Some(profile.audience_as),
        offline_idle: profile.offline_idle.map(Into::into),
        reuse_grace: Some(profile.reuse_grace.into()),
        client_auth: Some(profile.client_auth),
        client_secret: client_secret.map(str::to_owned),
        ca_file: profile.ca_file.as_ref().map(|path| path.display().to_string()),
        var: profile.var.clone(),
        token_endpoint: url(&endpoints.token),
        device_authorization_endpoint: url(&endpoints.device_authorization),
        authorization_endpoint: url(&endpoints.authorization),
        revocation_endpoint: url(&endpoints.revocation),
        introspection_endpoint: url(&endpoints.introspection),
        jwks_uri: url(&endpoints.jwks),
        ..ProfileTable::default()
    }
}
