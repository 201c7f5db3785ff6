//! `history`: what happened to issued tokens, admin tokens and admin keys.

use serde_json::{Value, json};

use super::actor::{Acting, AsArgs};
use super::issued::say_unreadable;
use super::{Context, Outcome};
use crate::error::{Failure, Kind};
use crate::ledger::maintain::hex;
use crate::ledger::query::{Cursor, Depth, Network, Page, Query, Record};
use crate::output::{Form, put_time};
use crate::token::issued::{PublicId, RecordedId, TokenKind};
use crate::token::names::{Job, Owner};
use crate::token::time::{Lifetime, Timestamp};

/// Examples of the command.
const EXAMPLES: &str = "Examples:
  tokenkeep history --limit 20
  tokenkeep history --owner ada --since 7d --json
  tokenkeep history --job nightly-17 --since 2026-11-23
  tokenkeep history --id 4fXk2mQ9sTz7Lw1Rb8Nc3d --recursive
";

/// Show what happened to tokens, the newest first
///
/// Issues, first uses, changes, rotations, revocations, ends and denials, with who did it, where and when. With --limit the
/// next page begins at the `next` cursor that is shown, and the one before at `previous`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Of the token of this public id, and of its children
    #[arg(long, value_name = "ID", group = "family")]
    id: Option<RecordedId>,
    /// Of the children of this token alone
    #[arg(long, value_name = "ID", group = "family")]
    parent_of: Option<PublicId>,
    /// Of their children, too, to the end
    #[arg(long, requires = "family")]
    recursive: bool,
    /// Of the tokens of this owner
    #[arg(long, value_name = "OWNER")]
    owner: Option<Owner>,
    /// By this actor: an owner, or `os:` and a user of the system
    #[arg(long, value_name = "ACTOR")]
    actor: Option<String>,
    /// Of tokens of this kind; `admin` and `admin-key` are kinds, too
    #[arg(long, value_name = "KIND", value_parser = kind)]
    kind: Option<String>,
    /// Of this job
    #[arg(long, value_name = "JOB")]
    job: Option<Job>,
    /// Done on this machine
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// Done from this address or network, like 192.0.2.0/24
    #[arg(long, value_name = "ADDRESS")]
    address: Option<Network>,
    /// At this time or later: a time, a day (from its 00:00 UTC), or how long ago
    #[arg(long, value_name = "TIME")]
    since: Option<Moment>,
    /// At this time or earlier: a time, a day (to its 00:00 UTC), or how long ago
    #[arg(long, value_name = "TIME")]
    until: Option<Moment>,
    /// No more than so many
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// The page at this place
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<Cursor>,
    #[command(flatten)]
    acting: AsArgs,
}

/// Reads the word for a kind of which there is history.
fn kind(word: &str) -> Result<String, String> {
    const ADMINS: [&str; 2] = ["admin", "admin-key"];
    match word.parse::<TokenKind>() {
        Err(fault) if !ADMINS.contains(&word) => Err(format!("{fault}, {}", ADMINS.join(", "))),
        Ok(_) | Err(_) => Ok(word.to_owned()),
    }
}

/// A time in the past.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// That time.
    At(Timestamp),
    /// So long ago.
    Ago(Lifetime),
}

impl std::str::FromStr for Moment {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let at = || text.parse().map(Self::At);
        text.parse()
            .map(Self::Ago)
            .or_else(|_| at())
            .map_err(|_| "not a time like 2026-12-31T23:59:59Z, 2026-12-31 (00:00 UTC) or 7d")
    }
}

impl Moment {
    /// Returns the time.
    fn time(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(time) => time,
            Self::Ago(age) => Timestamp::from_epoch(now.epoch().saturating_sub_unsigned(age.as_seconds())),
        }
    }
}

/// Runs the command.
pub(crate) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    let page = match args.acting.look(cx)? {
        Some(mut acting) => {
            let mut query = query(args, acting.by.at);
            query.owner = acting.visible_owner(query.owner, "see the history of others")?;
            let page = acting.ledger.history(&query)?;
            if page.records.is_empty() && page.unreadable == 0 && !is_known(&acting, &query)? {
                return Err(unknown());
            }
            page
        }
        None if args.id.is_some() || args.parent_of.is_some() => return Err(unknown()),
        None => Page::default(),
    };
    say_unreadable(cx, page.unreadable);
    match cx.printer.form {
        Form::Json => cx.printer.objects(page.records.iter().map(object).collect())?,
        Form::Text if page.records.is_empty() => cx.printer.notice("nothing happened that fits"),
        Form::Text => {
            let rows: Vec<_> = page.records.iter().map(row).collect();
            cx.printer.table(&["TIME", "ACTION", "KIND", "TOKEN", "OWNER", "ACTOR", "WHAT"], &rows)?;
        }
    }
    let places = [("next", page.next), ("previous", page.previous)];
    for (name, cursor) in places.iter().filter_map(|(name, cursor)| cursor.map(|cursor| (name, cursor))) {
        cx.printer.notice(&format!("{name}: --cursor {cursor}"));
    }
    Ok(Outcome::Done)
}

/// Tells whether the ledger knows the token that is asked for, if one is, whatever happened to it.
fn is_known(acting: &Acting, query: &Query) -> Result<bool, Failure> {
    let Some(id) = query.id.as_ref().or(query.parent_of.as_ref()) else { return Ok(true) };
    let whole = Query { id: Some(id.clone()), owner: query.owner.clone(), limit: Some(1), ..Query::default() };
    let told = acting.ledger.history(&whole)?;
    let is_there = || id.parse().is_ok_and(|id| acting.ledger.visible(&id, &acting.actor).is_ok());
    Ok(!told.records.is_empty() || told.unreadable > 0 || is_there())
}

/// Describes an id of which nothing is known. It is not repeated: it may be a part of a token.
fn unknown() -> Failure {
    Failure::new(Kind::NotFound, "there is no token, admin token or admin key of that id")
        .hint("see them with `tokenkeep token list --all`, or `tokenkeep history`")
}

/// Says what is asked for.
fn query(args: &Args, now: Timestamp) -> Query {
    Query {
        id: args.id.as_ref().map(|id| id.as_str().to_owned()),
        parent_of: args.parent_of.as_ref().map(ToString::to_string),
        depth: if args.recursive { Depth::All } else { Depth::Children },
        owner: args.owner.as_ref().map(ToString::to_string),
        actor: args.actor.clone(),
        kind: args.kind.clone(),
        job: args.job.as_ref().map(ToString::to_string),
        host: args.host.clone(),
        network: args.address,
        since: args.since.map(|since| since.time(now)),
        until: args.until.map(|until| until.time(now)),
        limit: args.limit,
        cursor: args.cursor,
    }
}

/// Describes a record to programs.
fn object(record: &Record) -> Value {
    let event = &record.event;
    let old = event.old.as_deref().and_then(|old| serde_json::from_str::<Value>(old).ok());
    let mut object = json!({
        "number": record.number,
        "action": record.action,
        "token": event.token,
        "kind": event.kind,
        "owner": event.owner,
        "name": event.name,
        "scope": event.scopes,
        "service": event.service,
        "job": event.job,
        "parent": event.parent,
        "old": old,
        "actor": record.actor,
        "host": record.host,
        "address": record.address.map(|address| address.to_string()),
        "reason": event.reason,
        "hash": hex(&record.hash),
        // what comes behind this record
        "cursor": format!("{}_{}", record.time.epoch(), record.number - 1),
    });
    put_time(&mut object, "time", Some(record.time));
    put_time(&mut object, "expires", event.expires);
    object
}

/// Says to people what was there before a change.
fn before(old: &str) -> String {
    let Ok(Value::Object(facts)) = serde_json::from_str(old) else { return format!("before: {old}") };
    let fact = |(key, value): (&String, &Value)| match (key.as_str(), value) {
        ("expires_epoch", value) => value
            .as_i64()
            .map_or_else(|| "never expires".to_owned(), |epoch| format!("expires {}", Timestamp::from_epoch(epoch))),
        (key, Value::String(text)) if !text.is_empty() => format!("{key} {text}"),
        (key, _) => format!("no {key}"),
    };
    format!("before: {}", facts.iter().map(fact).collect::<Vec<_>>().join(", "))
}

/// Describes a record to people.
fn row(record: &Record) -> Vec<String> {
    let event = &record.event;
    let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let facts = [("job", &event.job), ("name", &event.name), ("service", &event.service)];
    let facts = facts.iter().filter_map(|(label, fact)| fact.as_ref().map(|fact| format!("{label} {fact}")));
    let old = event.old.as_deref().map(before);
    let what: Vec<_> = facts.chain(event.reason.clone()).chain(old).collect();
    vec![
        record.time.to_string(),
        record.action.clone(),
        text(&event.kind),
        text(&event.token),
        text(&event.owner),
        record.actor.clone(),
        what.join(", "),
    ]
}
