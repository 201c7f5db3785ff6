//! `tokenkeep profile discover`: what a provider says about itself, and the command that makes a profile of it.

use clap_complete::ArgValueCompleter;
use serde_json::{Value, json};

use crate::commands::completions::profile_names;
use crate::commands::{Context, Outcome};
use crate::error::{Failure, Kind};
use crate::idp::{DEVICE_GRANT, IdpError, Metadata, Wire};
use crate::output::Form;
use crate::profile::{EntryName, Profile, SecureUrl, UrlFault};

/// Examples.
const EXAMPLES: &str = "Examples:
  tokenkeep profile discover https://auth.example.org/realms/main
  tokenkeep profile discover prod --json
";

/// Ask a provider what it offers
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The provider's issuer URL, or a profile
    #[arg(value_name = "ISSUER", add = ArgValueCompleter::new(profile_names))]
    issuer: String,
    /// Trust the certificates in this file, too
    #[arg(long, value_name = "FILE")]
    ca_file: Option<std::path::PathBuf>,
}

/// Runs the command.
pub(crate) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    let profile = named_profile(cx, &args.issuer)?;
    let issuer = match &profile {
        Some(profile) => profile.issuer.clone(),
        None => args.issuer.parse().map_err(|fault: UrlFault| {
            Failure::from_error(Kind::Usage, &fault)
                .hint("give an issuer like https://auth.example.org/realms/main, or the name of a profile")
        })?,
    };
    let ca_file = args.ca_file.clone().or_else(|| profile.as_ref().and_then(|profile| profile.ca_file.clone()));
    let metadata = Wire::open(ca_file.as_deref())?.discover(&issuer).map_err(|error| {
        let other = if issuer.as_str().ends_with('/') { "without" } else { "with" };
        let is_about_it = matches!(error, IdpError::IssuerMismatch { .. } | IdpError::NoMetadata { .. });
        let failure = Failure::from(error);
        if is_about_it {
            failure.hint(format!("an issuer is compared letter by letter: try it {other} the last `/`"))
        } else {
            failure
        }
    })?;
    match cx.printer.form {
        Form::Json => cx.printer.object(object(&metadata))?,
        Form::Text => cx.printer.raw(&text(&metadata))?,
    }
    if !metadata.grant_types.is_empty() && !metadata.grant_types.iter().any(|grant| grant == DEVICE_GRANT) {
        cx.printer.notice("it does not say that it has the device flow, which `tokenkeep generate` needs");
    }
    cx.printer.notice(&next_command(profile.as_ref(), &issuer));
    Ok(Outcome::Done)
}

/// Returns the profile of a name; a URL is none.
fn named_profile(cx: &Context, text: &str) -> Result<Option<Profile>, Failure> {
    match text.parse::<EntryName>() {
        Ok(name) => Ok(Some(cx.settings()?.profile(&name.profile()).map_err(|error| {
            let failure = Failure::from(error);
            let is_host = failure.kind == Kind::NotFound && text.contains('.');
            if is_host {
                failure.hint(format!("if it is an address, type `tokenkeep profile discover https://{text}`"))
            } else {
                failure
            }
        })?)),
        Err(_) => Ok(None),
    }
}

/// Says what to type next.
fn next_command(profile: Option<&Profile>, issuer: &SecureUrl) -> String {
    match profile {
        Some(profile) => format!("log in with `tokenkeep generate {}`", profile.name),
        None => format!("make a profile of it: `tokenkeep profile add NAME --issuer {issuer} --client-id ID`"),
    }
}

/// Describes a provider to people.
fn text(metadata: &Metadata) -> String {
    let url = |url: &Option<SecureUrl>| url.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
    let list = |texts: &[String]| if texts.is_empty() { "-".to_owned() } else { texts.join(" ") };
    let rows = [
        ("issuer", metadata.issuer.to_string()),
        ("token_endpoint", url(&metadata.token)),
        ("authorization_endpoint", url(&metadata.authorization)),
        ("device_authorization_endpoint", url(&metadata.device_authorization)),
        ("revocation_endpoint", url(&metadata.revocation)),
        ("introspection_endpoint", url(&metadata.introspection)),
        ("jwks_uri", url(&metadata.jwks)),
        ("grant_types", list(&metadata.grant_types)),
        ("scopes", list(&metadata.scopes)),
        ("client_auth", list(&metadata.client_auth)),
    ];
    rows.iter().fold(String::new(), |text, (name, value)| text + &format!("{name:<31}{value}\n"))
}

/// Describes a provider to programs.
fn object(metadata: &Metadata) -> Value {
    json!({
        "issuer": metadata.issuer,
        "token_endpoint": metadata.token,
        "authorization_endpoint": metadata.authorization,
        "device_authorization_endpoint": metadata.device_authorization,
        "revocation_endpoint": metadata.revocation,
        "introspection_endpoint": metadata.introspection,
        "jwks_uri": metadata.jwks,
        "grant_types": metadata.grant_types,
        "scopes": metadata.scopes,
        "client_auth": metadata.client_auth,
    })
}
