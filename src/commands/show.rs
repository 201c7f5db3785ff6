//! `show`: one entry, with its secrets only where somebody insists.

use serde_json::{Value, json};

use super::completions::entry_names;
use super::seen::{self, Found, Opened, Seen};
use super::target::Target;
use super::{Context, Outcome};
use crate::error::{Failure, Kind};
use crate::keeper::KeeperError;
use crate::keeper::note::{Event, Note};
use crate::output::{Form, put_time};
use crate::profile::EntryName;
use crate::secret::Secret;
use crate::token::time::{Lifetime, Timestamp};
use crate::vault::VaultError;
use crate::vault::entry::{Body, CachedToken, TokenSet};

/// Examples of the command.
const EXAMPLES: &str = "Examples:
  tokenkeep show prod
  tokenkeep show prod --json
  tokenkeep show prod-client --reveal --yes
";

/// Show one entry, without its secrets
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The entry
    #[arg(value_name = "NAME", add = clap_complete::ArgValueCompleter::new(entry_names))]
    name: Option<EntryName>,
    /// The user whose entry of the profile is meant
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// Show the secrets, too; this asks, on a terminal only
    #[arg(long)]
    reveal: bool,
    /// Do not ask
    #[arg(long, short, requires = "reveal")]
    yes: bool,
}

/// Whether secrets are shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Secrets {
    /// They are.
    Shown,
    /// They are not.
    Hidden,
}

impl Secrets {
    /// Returns what an entry is kept for, if it may be seen.
    fn of(self, body: &Body) -> Option<&Secret<String>> {
        let secret = match body {
            Body::RefreshToken(tokens) => tokens.refresh_token.secret(),
            Body::AccessToken(fixed) => fixed.token.secret(),
            Body::ClientSecret(stored) | Body::AdminKey(stored) | Body::Secret(stored) => stored.secret.secret(),
        };
        (self == Self::Shown).then_some(secret)
    }

    /// Returns a cached access token, if it may be seen.
    fn of_access(self, token: &CachedToken) -> Option<&Secret<String>> {
        (self == Self::Shown).then(|| token.token.secret())
    }

    /// Returns all that may be seen, and where it stands in the JSON.
    fn placed(self, body: &Body) -> Vec<(String, &Secret<String>)> {
        let access = body.tokens().map(|tokens| tokens.access.as_slice()).unwrap_or_default().iter().enumerate();
        let access =
            access.filter_map(|(index, token)| Some((format!("/access/{index}/access_token"), self.of_access(token)?)));
        access.chain(self.of(body).map(|secret| ("/secret".to_owned(), secret))).collect()
    }
}

/// Runs the command.
pub(crate) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    let target = Target::of(cx, args.name.as_ref(), args.user.as_deref())?;
    target.must_exist(cx)?;
    let vault = cx.open_vault()?;
    let missing = || target.failure(KeeperError::NoEntry { name: target.name.clone() });
    let seen = seen::look(cx, Some(&vault), &target.name)?.ok_or_else(missing)?;
    let generations = vault.shelf().generations(&target.name)?;
    let secrets = secrets(args, cx, &target)?;
    match seen.found {
        Found::Damaged(error) => Err(error.into()),
        Found::Closed(fault) => {
            Err(VaultError::Desktop { doing: format!("read `{}` in the keyring", seen.name), fault }.into())
        }
        Found::Locked => Err(missing()),
        Found::Open(ref opened) => {
            if cx.printer.form == Form::Json {
                let object = object(&seen, opened, (&generations, secrets), cx.now());
                cx.printer.object_with_secrets(object, &secrets.placed(&opened.entry.body))?;
            } else {
                let facts = facts(&seen, opened, (&generations, secrets), cx.now());
                let facts: Vec<_> =
                    facts.iter().map(|(label, fact, secret)| (*label, fact.as_str(), *secret)).collect();
                cx.printer.facts_with_secrets(&facts)?;
            }
            Ok(Outcome::Done)
        }
    }
}

/// Decides whether secrets are shown.
fn secrets(args: &Args, cx: &Context, target: &Target) -> Result<Secrets, Failure> {
    if !args.reveal {
        return Ok(Secrets::Hidden);
    }
    super::issued::refuse_reserved(&target.name)?;
    if !args.yes && !cx.may_ask() {
        return Err(Failure::new(Kind::Usage, "--reveal asks, and there is nobody to ask")
            .hint(format!("say that it is meant: `tokenkeep show {} --reveal --yes`", target.name)));
    }
    if args.yes || Context::confirm(&format!("Show the secrets of `{}` in clear?", target.name))? {
        return Ok(Secrets::Shown);
    }
    Ok(Secrets::Hidden)
}

/// Describes the entry to programs.
fn object(seen: &Seen, opened: &Opened, (generations, secrets): (&[u64], Secrets), now: Timestamp) -> Value {
    let mut object = seen.json(now);
    let mut put = |name: &str, value: Value| {
        if let Some(fields) = object.as_object_mut() {
            fields.insert(name.to_owned(), value);
        }
    };
    put("generations", json!(generations));
    put("note", opened.note.as_ref().map(note_json).into());
    let body = &opened.entry.body;
    let (begun, used) = match body {
        Body::RefreshToken(tokens) => {
            put("born", json!(tokens.born));
            put("access", tokens.access.iter().map(|token| access_json(token, secrets, now)).collect());
            (tokens.login_at, tokens.used_at)
        }
        Body::AccessToken(fixed) => (fixed.stored_at, None),
        Body::ClientSecret(stored) | Body::AdminKey(stored) | Body::Secret(stored) => (stored.stored_at, None),
    };
    if secrets == Secrets::Shown {
        put("secret", Value::Null);
    }
    put_time(&mut object, "login", Some(begun));
    put_time(&mut object, "used", used);
    put_time(&mut object, "written", Some(opened.entry.written_at));
    object
}

/// Describes an access token to programs.
fn access_json(token: &CachedToken, secrets: Secrets, now: Timestamp) -> Value {
    let mut object = json!({
        "asked_scope": token.asked.scopes.to_string(),
        "asked_audience": token.asked.audience,
        "scope": token.scopes.as_ref().map(ToString::to_string),
        "token_type": token.token_type,
        "left_seconds": token.left(now).as_seconds(),
    });
    put_time(&mut object, "received", Some(token.received_at));
    put_time(&mut object, "expires", Some(token.expires_at));
    if let (Secrets::Shown, Some(fields)) = (secrets, object.as_object_mut()) {
        fields.insert("access_token".to_owned(), Value::Null);
    }
    object
}

/// Describes the note in the lock's file to programs.
fn note_json(note: &Note) -> Value {
    let (event, words, retry_at) = match &note.event {
        Event::Intent => ("intent", None, None),
        Event::Lost { retry_at } => ("lost", None, Some(*retry_at)),
        Event::Unavailable { retry_at, why } => ("unavailable", Some(why), Some(*retry_at)),
        Event::Refused(refused) => ("refused", Some(&refused.words), Some(refused.retry_at(note.tries))),
    };
    let mut object = json!({"event": event, "words": words, "tries": note.tries});
    put_time(&mut object, "since", Some(note.since));
    put_time(&mut object, "retry", retry_at);
    object
}

/// A fact: its label, what is said, and a secret behind it.
type Fact<'a> = (&'static str, String, Option<&'a Secret<String>>);

/// Describes the entry to people.
fn facts<'a>(
    seen: &Seen,
    opened: &'a Opened,
    (generations, secrets): (&[u64], Secrets),
    now: Timestamp,
) -> Vec<Fact<'a>> {
    let plain = |(label, fact)| (label, fact, None);
    let entry = &opened.entry;
    let numbers: Vec<String> = generations.iter().map(u64::to_string).collect();
    let mut facts: Vec<Fact<'a>> = vec![
        ("name", entry.name.to_string(), None),
        ("kind", seen.kind().unwrap_or_default().to_owned(), None),
        ("state", opened.standing.name().to_owned(), None),
    ];
    match &entry.body {
        Body::RefreshToken(tokens) => {
            facts.extend(of_tokens(tokens).into_iter().map(plain));
            facts.extend(tokens.access.iter().map(|token| access_fact(token, secrets, now)));
        }
        Body::AccessToken(fixed) => facts.push(("stored", fixed.stored_at.to_string(), None)),
        Body::ClientSecret(stored) | Body::AdminKey(stored) | Body::Secret(stored) => {
            facts.push(("stored", stored.stored_at.to_string(), None));
        }
    }
    facts.push(("dies", seen.dies_at().map_or_else(|| "unknown".to_owned(), |end| end.to_string()), None));
    facts.push(("generations", numbers.join(", "), None));
    facts.extend(opened.note.as_ref().map(|note| ("note", note_line(note), None)));
    facts.extend(secrets.of(&entry.body).map(|secret| ("secret", String::new(), Some(secret))));
    facts
}

/// Describes where a token set came from.
fn of_tokens(tokens: &TokenSet) -> Vec<(&'static str, String)> {
    let born = &tokens.born;
    let unknown = || "not known yet".to_owned();
    let mut facts = vec![
        ("issuer", born.issuer.to_string()),
        ("client", born.client_id.clone()),
        ("token endpoint", born.token_endpoint.as_ref().map_or_else(unknown, ToString::to_string)),
    ];
    facts.extend(born.client_secret.as_ref().map(|entry| ("client secret", format!("in the entry {entry}"))));
    facts.push(("login", tokens.login_at.to_string()));
    facts.extend(tokens.used_at.map(|at| ("last used", at.to_string())));
    facts
}

/// Describes an access token in one line.
fn access_fact(token: &CachedToken, secrets: Secrets, now: Timestamp) -> Fact<'_> {
    let asked =
        if token.asked.scopes.is_empty() { "the login's scopes".to_owned() } else { token.asked.scopes.to_string() };
    let audience = token.asked.audience.as_ref().map(|audience| format!(", for {audience}")).unwrap_or_default();
    let left = token.left(now);
    let life = if left > Lifetime::default() { format!("{left} left") } else { "expired".to_owned() };
    let secret = secrets.of_access(token);
    let colon = if secret.is_some() { ": " } else { "" };
    ("access token", format!("{asked}{audience}; until {} ({life}){colon}", token.expires_at), secret)
}

/// Describes the note in one line.
fn note_line(note: &Note) -> String {
    let since = note.since;
    match &note.event {
        Event::Intent => format!("being refreshed since {since}"),
        Event::Lost { retry_at } => {
            format!("the answer of {since} was lost; tried again after {retry_at} at the earliest")
        }
        Event::Unavailable { retry_at, why } => {
            format!("not available on {since}: {why}; tried again after {retry_at} at the earliest")
        }
        Event::Refused(refused) => {
            let retry_at = refused.retry_at(note.tries);
            format!("refused on {}: {}; tried again after {retry_at}", refused.at, refused.words)
        }
    }
}
