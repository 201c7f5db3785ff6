//! What the commands of issued tokens share: the issue key, and how a token is shown.

use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{Context, Outcome};
use crate::error::{Doing, Failure, Kind, Named, keeper_failure};
use crate::keeper::LOCK_PATIENCE;
use crate::ledger::issued::{Issued, Reused};
use crate::ledger::token::{Standing, Token};
use crate::ledger::{By, Ledger};
use crate::output::{Form, put_time};
use crate::profile::EntryName;
use crate::token::issued::{self, IssueKey};
use crate::token::scopes::Scopes;
use crate::token::time::Timestamp;
use crate::vault::Vault;
use crate::vault::entry::{Body, Entry, Stored};
use crate::vault::publication::EntryLock;

/// The entry that holds what derived secrets come from.
const ISSUE_KEY: &str = "issue-key";

/// Tells whether an entry is the one that holds what derived secrets come from.
pub(super) fn is_issue_key(name: &EntryName) -> bool {
    name.as_str() == ISSUE_KEY
}

/// Refuses to hand out, or to write over, what is the ledger's own.
pub(super) fn refuse_reserved(name: &EntryName) -> Result<(), Failure> {
    if !is_issue_key(name) {
        return Ok(());
    }
    Err(Failure::new(Kind::Usage, format!("the entry `{ISSUE_KEY}` is the ledger's own"))
        .because("the secrets of job, notebook and internal tokens come from it: nobody else gets it, or puts it there")
        .hint("take another name; the commands that issue tokens make and read it by themselves"))
}

/// Reads the issue key from the vault; the first time it is made.
pub(super) fn issue_key(cx: &Context) -> Result<IssueKey, Failure> {
    let vault = cx.open_vault()?;
    #[expect(clippy::expect_used, reason = "the name is a constant that is a name")]
    let name: EntryName = ISSUE_KEY.parse().expect("the entry of the issue key has a name");
    if let Some(entry) = vault.newest(&name)? {
        return key_in(&entry);
    }
    make_issue_key(cx, &vault, &name)
}

/// Puts a new issue key into the vault, unless another process was faster.
fn make_issue_key(cx: &Context, vault: &Vault, name: &EntryName) -> Result<IssueKey, Failure> {
    let lock = vault.lock(name, LOCK_PATIENCE)?;
    adopt(cx, vault, name, &lock)?;
    if let Some(entry) = vault.newest(name)? {
        return key_in(&entry);
    }
    let mut bytes = Zeroizing::new([0; 32]);
    (cx.host.random)(&mut *bytes).map_err(crate::ledger::LedgerError::NoRandomness)?;
    let secret = issued::new_key_text(&bytes);
    let stored = Stored { secret, expires_at: None, stored_at: cx.now() };
    let key = issued::key_of(&stored.secret);
    vault.put(name, Body::Secret(stored), &lock, cx.now())?;
    Ok(key)
}

/// Publishes what a dead holder of an entry's lock left unpublished, before anything is written in its place.
pub(super) fn adopt(cx: &Context, vault: &Vault, name: &EntryName, lock: &EntryLock) -> Result<(), Failure> {
    let adopted = cx.keeper(vault)?.adopt_unpublished(name, lock);
    adopted.map(drop).map_err(|error| keeper_failure(name, (Doing::Refresh, Named::EntryAlone), error))
}

/// Takes the key out of its entry.
fn key_in(entry: &Entry) -> Result<IssueKey, Failure> {
    match &entry.body {
        Body::Secret(stored) => Ok(issued::key_of(&stored.secret)),
        Body::RefreshToken(_) | Body::AccessToken(_) | Body::ClientSecret(_) | Body::AdminKey(_) => {
            Err(Failure::new(Kind::Locked, format!("the entry `{ISSUE_KEY}` holds no issue key"))
                .hint(format!("make room for one: `tokenkeep delete {ISSUE_KEY} --yes`")))
        }
    }
}

/// Reads scopes from repeated flags.
pub(super) fn scopes(texts: &[String]) -> Result<Scopes, Failure> {
    let read = Scopes::parse(texts);
    read.map_err(|fault| Failure::from_error(Kind::Usage, &fault).hint("repeat --scope for each scope"))
}

/// Refuses scopes that the settings do not know.
pub(super) fn known(cx: &Context, scopes: &Scopes) -> Result<(), Failure> {
    let Some(known) = cx.settings()?.known_scopes() else { return Ok(()) };
    match scopes.iter().find(|scope| !known.contains(scope)) {
        Some(scope) => Err(Failure::new(Kind::Usage, format!("the scope `{scope}` is not known"))
            .because(format!("known_scopes in [issued] of config.toml has: {known}"))
            .hint("ask for one of these, or add it there")),
        None => Ok(()),
    }
}

/// Shows a token the one time; one that is new is taken back if nobody can see it.
pub(super) fn show_once(cx: &mut Context, issued: &Issued, ledger: &mut Ledger, by: &By) -> Result<Outcome, Failure> {
    show(cx, issued).map_err(|failure| {
        let id = &issued.token.id;
        let why = match ledger.revoke_untold(&issued.token, by) {
            Ok(()) => format!("the token {id}, which nobody has seen, was revoked"),
            Err(error) => {
                let why = Failure::from(error).one_line();
                return failure
                    .because(format!("the token {id}, which nobody has seen, is good and cannot be revoked now: {why}"))
                    .hint(format!("take it back with `tokenkeep token revoke {id}`"));
            }
        };
        failure.because(why).hint("make room for what is printed, or send it elsewhere, then type the command again")
    })
}

/// Shows a token that can be told again, and says what it is.
pub(super) fn show_again(cx: &mut Context, issued: &Issued) -> Result<Outcome, Failure> {
    show(cx, issued)
        .map_err(|failure| failure.because(format!("the token {} is good: asking again prints it", issued.token.id)))
}

/// Shows a token that took the place of another one, which cannot come back.
pub(super) fn show_successor(cx: &mut Context, issued: &Issued) -> Result<Outcome, Failure> {
    show(cx, issued).map_err(|failure| {
        let id = &issued.token.id;
        failure.because(format!("the token {id}, which nobody has seen, has taken the place of the old one")).hint(
            format!("`tokenkeep token rotate {id}` prints another one, `tokenkeep token revoke {id}` takes it back"),
        )
    })
}

/// Shows a token, and says what it is.
fn show(cx: &mut Context, issued: &Issued) -> Result<Outcome, Failure> {
    let (token, now) = (&issued.token, cx.now());
    if cx.printer.form == Form::Json {
        let mut object = object(token, now);
        if let Some(fields) = object.as_object_mut() {
            fields.insert("token".to_owned(), Value::Null);
            fields.insert("reused".to_owned(), json!(issued.reused == Reused::Yes));
        }
        cx.printer.object_with_secrets(object, &[("/token".to_owned(), &issued.text)])?;
    } else {
        cx.printer.secret_line("", &issued.text, "")?;
    }
    let told = if issued.reused == Reused::Yes { "the same as before" } else { "new" };
    let end = token.expires.map_or_else(|| "never expires".to_owned(), |end| format!("expires {end}"));
    let lease = token.lease.as_ref().and_then(|lease| lease.until).zip(token.job.as_ref());
    let lease = lease.map_or_else(String::new, |(until, job)| {
        format!("; it is good until {until} if nobody types `tokenkeep job-token renew {job}` before")
    });
    cx.printer.notice(&format!("{} token {} of {} ({told}): {end}{lease}", token.kind, token.id, token.owner));
    Ok(Outcome::Done)
}

/// Says that some rows are missing in a list because they are damaged, also where nothing else is said.
pub(super) fn say_unreadable(cx: &mut Context, count: usize) {
    let left_out = match count {
        0 => return,
        1 => "1 row cannot be read, and is left out".to_owned(),
        count => format!("{count} rows cannot be read, and are left out"),
    };
    cx.printer.say(&format!("{left_out}; `tokenkeep audit` says what is wrong"));
}

/// Describes a token to programs.
pub(super) fn object(token: &Token, now: Timestamp) -> Value {
    let lease = token.lease.as_ref().map(|lease| {
        let mut object = json!({"holder": lease.holder.word(), "host": lease.host});
        put_time(&mut object, "started", Some(lease.started));
        put_time(&mut object, "until", lease.until);
        object
    });
    let grace = token.grace.as_ref().map(|grace| {
        let mut object = json!({"scope": grace.scopes.to_string()});
        put_time(&mut object, "until", Some(grace.until));
        object
    });
    let mut object = json!({
        "id": token.id.as_str(),
        "kind": token.kind.word(),
        "owner": token.owner,
        "name": token.name,
        "scope": token.scopes.to_string(),
        "service": token.service,
        "job": token.job,
        "parent": token.parent.as_ref().map(ToString::to_string),
        "state": token.state(now),
        "lease": lease,
        "grace": grace,
        "cursor": token.place().to_string(),
    });
    let times = [
        ("created", Some(token.created)),
        ("expires", token.expires),
        ("closed", token.closed),
        ("last_used", token.last_used),
        ("last_denied", token.last_denied),
    ];
    for (name, time) in times {
        put_time(&mut object, name, time);
    }
    object
}

/// Describes a token to people.
pub(super) fn facts(token: &Token, now: Timestamp) -> Vec<(&'static str, String)> {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let time = |time: Option<Timestamp>| time.map(|time| time.to_string()).unwrap_or_default();
    let lease = token.lease.as_ref().map(|lease| {
        let until = lease.until.map_or_else(String::new, |until| format!(", until {until} unless renewed"));
        format!("{} on {} since {}{until}", lease.holder, lease.host, lease.started)
    });
    let grace = token.grace.as_ref().map(|grace| format!("{} until {}", grace.scopes, grace.until));
    let mut facts = vec![
        ("id", token.id.to_string()),
        ("kind", token.kind.to_string()),
        ("state", token.state(now).to_owned()),
        ("owner", token.owner.clone()),
        ("name", text(&token.name)),
        ("scopes", token.scopes.to_string()),
        ("service", text(&token.service)),
        ("job", text(&token.job)),
        ("parent", token.parent.as_ref().map(ToString::to_string).unwrap_or_default()),
        ("held by", lease.unwrap_or_default()),
        ("grace", grace.unwrap_or_default()),
        ("created", token.created.to_string()),
        ("expires", token.expires.map_or_else(|| "never".to_owned(), |end| end.to_string())),
        ("closed", time(token.closed)),
        ("last used", time(token.last_used)),
        ("last denied", time(token.last_denied)),
    ];
    facts.retain(|(_, fact)| !fact.is_empty());
    facts
}

/// Returns how long a token still lives, for a column.
pub(super) fn left(token: &Token, now: Timestamp) -> String {
    if !matches!(token.standing(now), Standing::Good | Standing::Grace { .. }) {
        return "-".to_owned();
    }
    token.good_until().map_or_else(|| "never ends".to_owned(), |end| end.since(now).to_string())
}
