//! `validate`: is this token good, and why not. What is tested is never spent.
//!
//! `subject` decides what is asked of whom, `provider` asks it, `issued` and `admin` know tokens of our own, `verdict` judges what a token
//! says.

mod admin;
mod issued;
mod provider;
mod subject;
mod verdict;

use std::path::PathBuf;

use clap_complete::ArgValueCompleter;
use serde_json::{Value, json};

use super::completions::{entry_names, profile_names};
use super::source::SourceArgs;
use super::{Context, Outcome};
use crate::error::{Failure, Kind};
use crate::host::shell;
use crate::output::{Form, put_time};
use crate::profile::{EntryName, SecureUrl};
use crate::token::names::{Job, Owner, Service, no_token};
use crate::token::text::{self, Look};
use crate::token::time::{Lifetime, Timestamp};
pub(in crate::commands) use issued::NO_AUDIENCE;
use verdict::{CheckedBy, Facts, Flaw, No, Reason};

/// Examples.
const EXAMPLES: &str = "Examples:
  tokenkeep validate --entry prod
  tokenkeep validate --entry prod --online
  tokenkeep validate --stdin --issuer https://auth.example.org/realms/main \\
      --audience https://api.example.org --scope read < token.txt
  tokenkeep validate --stdin --job nightly-17 --event update < job-token.txt
  tokenkeep validate --from-file admin.jwt --audience pipelines --event reset
";

/// Tell whether a token is good, and why not
///
/// A JWT is checked with the provider's public keys: signature, issuer, audience, times and scopes. Nothing can be read in
/// an opaque token: only the provider knows it (--online). The provider is that of --issuer, of the entry or of the
/// profile, never the one that a token names. An admin token is checked with the keys that the ledger trusts, always for an
/// --audience; a token that we issued is looked up in the ledger, and no vault is opened. Exit code 0 means good, 3 means no, 1 means that it cannot be told.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Check the access token of this entry, refreshed if that is due
    #[arg(long, value_name = "NAME", conflicts_with = "SourceArgs", add = ArgValueCompleter::new(entry_names))]
    entry: Option<EntryName>,
    /// The user whose entry of the profile is meant
    #[arg(long, value_name = "USER", requires = "entry")]
    user: Option<String>,
    #[command(flatten)]
    source: SourceArgs,
    /// The provider that must have issued it [default: that of the entry or the profile]
    #[arg(long, value_name = "URL")]
    issuer: Option<SecureUrl>,
    /// The profile whose provider and client are used [default: the default profile]
    #[arg(long, value_name = "PROFILE", conflicts_with = "entry", add = ArgValueCompleter::new(profile_names))]
    profile: Option<EntryName>,
    /// Trust the certificates in this file, too
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// It must be meant for this audience; of our own tokens only an admin token has one
    #[arg(long, value_name = "AUDIENCE")]
    audience: Option<String>,
    /// It must have this scope (repeat: all of them)
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// It must have one of these scopes (repeat for more)
    #[arg(long = "any-scope", value_name = "SCOPE")]
    any_scopes: Vec<String>,
    /// It must be the token of this job, which must run
    #[arg(long, value_name = "JOB", conflicts_with = "entry")]
    job: Option<Job>,
    /// It must speak for this owner
    #[arg(long, value_name = "OWNER", conflicts_with = "entry")]
    owner: Option<Owner>,
    /// It must be for this service
    #[arg(long, value_name = "SERVICE", conflicts_with = "entry")]
    service: Option<Service>,
    /// Its holder must be allowed to report this event of a job
    #[arg(long, value_name = "EVENT", conflicts_with = "entry", value_parser = no_token)]
    event: Option<String>,
    /// It must live this much longer, like 5m
    #[arg(long, value_name = "TIME")]
    min_ttl: Option<Lifetime>,
    /// Ask the provider, which knows of revocations
    #[arg(long)]
    online: bool,
}

/// Runs the command.
pub(crate) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    let judged = match &args.entry {
        Some(name) => subject::judge_entry(cx, name, args),
        None if args.source.is_named() => subject::judge_foreign(cx, args),
        None => Err(Flaw::Failure(
            Failure::new(Kind::Usage, "it is not said which token to validate")
                .hint("type `tokenkeep validate --entry NAME`, or give a token with --stdin, --from-file, --from-env or --from-fd"),
        )),
    };
    match judged {
        Ok(facts) => report(cx, &facts),
        Err(Flaw::Failure(failure)) => Err(failure),
        Err(Flaw::No(no)) => {
            if cx.printer.form == Form::Json {
                cx.printer.object(refusal_object(&no))?;
            }
            Err(refusal(no, args))
        }
    }
}

/// Says that a token is good.
fn report(cx: &mut Context, facts: &Facts) -> Result<Outcome, Failure> {
    if let Some(notice) = &facts.notice {
        cx.printer.notice(notice);
    }
    let now = cx.now();
    match cx.printer.form {
        Form::Json => cx.printer.object(object(facts))?,
        Form::Text => cx.printer.line(&line(facts, now))?,
    }
    Ok(Outcome::Done)
}

/// Describes a good token to people, on one line.
fn line(facts: &Facts, now: Timestamp) -> String {
    let how = match facts.checked_by {
        CheckedBy::Signature => "its signature is the provider's",
        CheckedBy::Introspection => "the provider says so",
        CheckedBy::Refresh => "the provider has just given it",
        CheckedBy::Ledger => "the ledger says so",
        CheckedBy::Expiry => "it is opaque: only its expiry is known here, --online asks the provider",
    };
    let subject = facts.claims.text("sub").map(|subject| format!(", subject {}", shown(subject)));
    let left = facts.claims.expires_at().map(|end| format!(", {} left", end.since(now)));
    let (subject, left) = (subject.unwrap_or_default(), left.unwrap_or_default());
    format!("good: issued by {}{subject}{left} ({how})", facts.issuer)
}

/// Describes a good token to programs.
fn object(facts: &Facts) -> Value {
    let claims = &facts.claims;
    let mut object = json!({
        "valid": true,
        "reason": null,
        "message": null,
        "kind": facts.kind,
        "issuer": facts.issuer,
        "subject": claims.text("sub"),
        "client_id": claims.client(),
        "audience": claims.audiences(),
        "scope": claims.scopes().map(|scopes| scopes.to_string()),
        "checked_by": facts.checked_by.name(),
    });
    put_time(&mut object, "expires", claims.expires_at());
    put_introspection(&mut object, facts);
    object
}

/// Adds what is known of a good token in the words of RFC 7662 section 2.2, for programs that know introspection.
fn put_introspection(object: &mut Value, facts: &Facts) {
    let claims = &facts.claims;
    let Some(fields) = object.as_object_mut() else { return };
    fields.insert("active".to_owned(), json!(true));
    fields.insert("token_type".to_owned(), json!("Bearer"));
    fields.insert("iss".to_owned(), json!(facts.issuer));
    fields.insert("aud".to_owned(), json!(claims.audiences()));
    for name in ["sub", "username", "jti", "job", "service", "parent"] {
        fields.insert(name.to_owned(), json!(claims.text(name)));
    }
    for name in ["exp", "iat", "nbf"] {
        fields.insert(name.to_owned(), json!(claims.time(name).map(Timestamp::epoch)));
    }
}

/// Describes a token that is not good to programs. Nothing that it says of itself is repeated as if it were true.
fn refusal_object(no: &No) -> Value {
    let mut object = json!({
        "valid": false,
        "active": false,
        "reason": no.reason.name(),
        "message": no.message,
        "kind": null,
        "issuer": null,
        "subject": null,
        "client_id": null,
        "audience": null,
        "scope": null,
        "checked_by": null,
    });
    put_time(&mut object, "expires", no.expires_at);
    object
}

/// Turns a no into the failure that says so.
fn refusal(no: No, args: &Args) -> Failure {
    let hint = match (no.reason, args.entry.as_ref()) {
        (_, None) if no.hint.is_some() => no.hint.unwrap_or_default(),
        (Reason::Issuer, _) => "if that is the right provider, name it: `tokenkeep validate --issuer URL`".to_owned(),
        (Reason::Scope, Some(name)) => {
            let flags = flags("scope", args.scopes.iter().chain(args.any_scopes.first()));
            format!("ask for a token that has it: `tokenkeep get {name}{flags}`")
        }
        (Reason::Audience, Some(name)) => {
            let flags = flags("audience", args.audience.iter());
            format!("ask for a token for it: `tokenkeep get {name}{flags}`")
        }
        (Reason::MinTtl, Some(name)) => {
            format!(
                "no new one lives longer; for a long job keep a file fresh: `tokenkeep exec {name} --file -- COMMAND`"
            )
        }
        (_, Some(name)) => format!("get a new one: `tokenkeep get {name} --no-cache`"),
        (_, None) => "a good one comes from `tokenkeep get PROFILE`".to_owned(),
    };
    Failure::new(Kind::No, "the token is not good").because(no.message).hint(hint)
}

/// Returns a flag with each value, as a shell takes it. What may be a token is not repeated.
fn flags<'a>(flag: &str, values: impl Iterator<Item = &'a String>) -> String {
    let plain = values.filter(|value| text::classify(value) == Look::Plain);
    let quoted = plain.map(|value| format!(" --{flag} {}", shell::quoted(&text::escaped(value))));
    quoted.collect::<Vec<_>>().concat()
}

/// Makes a claim fit for a terminal.
fn shown(claim: &str) -> String {
    claim.escape_debug().to_string()
}
