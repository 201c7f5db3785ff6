//! Tokens of people and programs: created, changed, rotated and taken back, with the rights of whoever does it.

use rusqlite::{Connection, params};
use serde_json::{Map, Value, json};

use super::change::{self, Closing, descendants};
use super::history::{self, Action, Event};
use super::issued::{Issued, write_new};
use super::rights::Actor;
use super::rotate::supersede;
use super::token::{self, Found, NewToken, Standing, Token};
use super::{By, Ledger, LedgerError};
use crate::token::issued::{PublicId, TokenKind};
use crate::token::names::Owner;
use crate::token::overlap::Overlap;
use crate::token::scopes::Scopes;
use crate::token::time::{Lifetime, Timestamp};

/// The shortest life that a new token may have: one that ends sooner is more likely a mistake.
const SHORTEST: Lifetime = Lifetime::seconds(300);

/// What somebody wants a token to be.
#[derive(Clone, Debug)]
pub(crate) struct NamedAsk {
    /// User, service or session.
    pub(crate) kind: TokenKind,
    /// Whom it speaks for.
    pub(crate) owner: String,
    /// What they call it.
    pub(crate) name: Option<String>,
    /// What it may do.
    pub(crate) scopes: Scopes,
    /// When it ends.
    pub(crate) expires: Option<Timestamp>,
    /// What happens to the owner's other user tokens.
    pub(crate) others: Others,
}

/// Why there is no such token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unfit {
    /// Nobody could tell it from the owner's others.
    #[error("a user token needs a name")]
    NoName,
    /// It would have a name for nothing.
    #[error("only user tokens have a name")]
    Named,
    /// Its owner is a person.
    #[error("a service token's owner is a program")]
    NotABot,
    /// It would take the place of tokens of another kind.
    #[error("only user tokens are replaced")]
    NotReplaced,
    /// It begins with a job.
    #[error("a job's token is issued with its job")]
    AJobs,
    /// It comes from another token.
    #[error("{} token has a parent", .0.with_article())]
    AChild(TokenKind),
}

impl Unfit {
    /// Says what to type instead.
    pub(crate) const fn instead(self) -> &'static str {
        match self {
            Self::NoName => "give it one: `--name laptop`",
            Self::Named => "leave --name out",
            Self::NotABot => "name one like `--owner bot-ci`",
            Self::NotReplaced => "leave --replace out",
            Self::AJobs => "type `tokenkeep job-token issue JOB`",
            Self::AChild(_) => "type `tokenkeep token delegate --kind KIND --parent-stdin < TOKEN`",
        }
    }
}

impl NamedAsk {
    /// What a person's only token is called where nobody says it.
    const ONLY: &str = "default";

    /// Refuses what does not go with the kind, and names what goes without a name.
    pub(crate) fn fit(self) -> Result<Self, LedgerError> {
        let replaces = matches!(self.others, Others::Replace(_));
        let is_bots = self.owner.parse().is_ok_and(|owner| Owner::is_bot(&owner));
        let unfit = match (self.kind, &self.name) {
            (TokenKind::Job, _) => Unfit::AJobs,
            (kind @ (TokenKind::Notebook | TokenKind::Internal | TokenKind::Oidc), _) => Unfit::AChild(kind),
            (TokenKind::Service | TokenKind::Session, _) if replaces => Unfit::NotReplaced,
            (TokenKind::Service | TokenKind::Session, Some(_)) => Unfit::Named,
            (TokenKind::Service, None) if !is_bots => Unfit::NotABot,
            (TokenKind::User, None) if !replaces => Unfit::NoName,
            (TokenKind::User, None) => return Ok(Self { name: Some(Self::ONLY.to_owned()), ..self }),
            (TokenKind::User, Some(_)) | (TokenKind::Service | TokenKind::Session, None) => return Ok(self),
        };
        Err(unfit.into())
    }
}

/// What happens to the other user tokens of the same owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Others {
    /// They stay.
    Keep,
    /// Another one takes their place, at once or after a while: one key a person.
    Replace(Overlap),
}

/// What shall be different.
#[derive(Clone, Debug, Default)]
pub(crate) struct Change {
    /// The name.
    pub(crate) name: Option<String>,
    /// The scopes.
    pub(crate) scopes: Option<Scopes>,
    /// The end.
    pub(crate) end: Option<End>,
}

/// When a token ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// At a time.
    At(Timestamp),
    /// Not by itself.
    Never,
}

impl End {
    /// Returns the time, if there is one.
    pub(crate) const fn time(self) -> Option<Timestamp> {
        match self {
            Self::At(time) => Some(time),
            Self::Never => None,
        }
    }
}

/// What taking a token back did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Revoked {
    /// So many tokens were closed, its descendants included.
    Now(usize),
    /// It was over already, and this is how it stood.
    Before(&'static str),
}

/// What a change did.
#[derive(Clone, Debug)]
pub(crate) struct Changed {
    /// The token as it is now.
    pub(crate) token: Token,
    /// How many tokens were changed, its descendants included; 0 if there was nothing to do.
    pub(crate) count: usize,
}

impl Ledger {
    /// Creates a token.
    pub(crate) fn create(&mut self, ask: &NamedAsk, actor: &Actor, by: &By) -> Result<Issued, LedgerError> {
        let fresh = self.fresh()?;
        self.write(|db| {
            actor.require_may_issue(ask.kind, &ask.owner, &ask.scopes)?;
            refuse_soon(ask.expires, by.at)?;
            if let Others::Replace(overlap) = ask.others {
                let which = "t.owner = ?1 AND t.kind = 'user' AND t.state = 'live'";
                for other in token::rows(db, which, &[&ask.owner])? {
                    replace(db, &other, &fresh.id, overlap, by)?;
                }
            }
            free_name(db, &ask.owner, ask.name.as_deref(), by)?;
            let new = NewToken {
                kind: ask.kind,
                owner: ask.owner.clone(),
                name: ask.name.clone(),
                scopes: ask.scopes.clone(),
                service: None,
                job: None,
                parent: None,
                expires: ask.expires,
            };
            write_new(db, &new, &fresh, by)
        })
    }

    /// Finds a token that is the actor's business; any other looks as if it were not there.
    pub(crate) fn visible(&self, id: &PublicId, actor: &Actor) -> Result<Token, LedgerError> {
        visible(&self.db, id, actor)
    }

    /// Changes a user token. A shorter life shortens the lives of its descendants, too.
    pub(crate) fn modify(
        &mut self,
        id: &PublicId,
        change: &Change,
        actor: &Actor,
        by: &By,
    ) -> Result<Changed, LedgerError> {
        self.write(|db| {
            let old = visible(db, id, actor)?;
            actor.require_admin()?;
            if old.kind != TokenKind::User {
                return Err(LedgerError::NotModifiable { kind: old.kind });
            }
            refuse_closed(&old, by.at)?;
            if let Some(end) = change.end {
                refuse_soon(end.time(), by.at)?;
            }
            if change.name.is_some() && change.name != old.name {
                free_name(db, &old.owner, change.name.as_deref(), by)?;
            }
            let mut new = old.clone();
            new.name = change.name.clone().or(new.name);
            new.scopes = change.scopes.clone().unwrap_or(new.scopes);
            new.expires = change.end.map_or(new.expires, End::time);
            let mut count = usize::from(edit(db, &old, &new, None, by)?);
            count += close_wider(db, &new, by)?;
            if let Some(end) = new.expires {
                count += shorten_below(db, &new, end, by)?;
            }
            Ok(Changed { token: token::by_id(db, id)?.unwrap_or(new), count })
        })
    }

    /// Takes a token back, and its descendants with it.
    pub(crate) fn revoke(&mut self, id: &PublicId, actor: &Actor, by: &By) -> Result<Revoked, LedgerError> {
        self.write(|db| {
            let unknown = || LedgerError::NoSuchToken { id: id.to_string() };
            let old = token::find(db, "t.id = ?1", &[&id.as_str()])?.ok_or_else(unknown)?;
            let (is_visible, is_over, before) = match &old {
                Found::Token(token) => {
                    let standing = token.standing(by.at);
                    (actor.may_see(&token.owner), standing.is_over(), standing.word())
                }
                // nobody knows whose it is
                Found::Unreadable(_) => {
                    (actor.is_admin(), !token::exists(db, OPEN, &[&old.serial(), &by.at.epoch()])?, "closed")
                }
            };
            match (is_visible, is_over) {
                (false, _) => Err(unknown()),
                (true, true) => Ok(Revoked::Before(before)),
                (true, false) => change::close(db, by, &old, Closing::Revoke, None).map(Revoked::Now),
            }
        })
    }

    /// Takes all tokens back; returns how many there were.
    pub(crate) fn wipe(&mut self, actor: &Actor, by: &By) -> Result<usize, LedgerError> {
        self.write(|db| {
            actor.require_admin()?;
            let which = "(t.state = 'live' OR t.grace_until > ?1) AND t.state <> 'revoked' ORDER BY t.serial DESC";
            let mut count = 0;
            for token in token::rows(db, which, &[&by.at.epoch()])? {
                // a child may have gone with its parent meanwhile
                if token::exists(db, "t.serial = ?1 AND t.state <> 'revoked'", &[&token.serial()])? {
                    count += change::close(db, by, &token, Closing::Revoke, Some("all tokens were taken back"))?;
                }
            }
            history::append(
                db,
                by,
                Action::Wipe,
                Event {
                    reason: Some(if count == 1 { "1 token".to_owned() } else { format!("{count} tokens") }),
                    ..Event::default()
                },
            )?;
            Ok(count)
        })
    }
}

/// A row that something is still good of; `?1` is the row, `?2` the time.
const OPEN: &str = "t.serial = ?1 AND (t.state = 'live' OR t.state = 'ended' AND t.grace_until > ?2)";

/// Lets a token make room for another one, whether it can be read or not.
fn replace(db: &Connection, old: &Found, successor: &PublicId, overlap: Overlap, by: &By) -> Result<(), LedgerError> {
    match old {
        // it dies by itself, sooner than the others
        Found::Token(token) if token.is_superseded() && overlap.length().is_some() => Ok(()),
        Found::Token(token) => supersede(db, token, successor, overlap, by),
        Found::Unreadable(_) => {
            let reason = format!("{successor} takes its place");
            change::close(db, by, old, Closing::Rotate, Some(&reason)).map(drop)
        }
    }
}

/// Finds a token that is the actor's business.
pub(super) fn visible(db: &Connection, id: &PublicId, actor: &Actor) -> Result<Token, LedgerError> {
    let found = token::by_id(db, id)?.filter(|token| actor.may_see(&token.owner));
    found.ok_or_else(|| LedgerError::NoSuchToken { id: id.to_string() })
}

/// Refuses an end that comes too soon.
pub(super) fn refuse_soon(end: Option<Timestamp>, now: Timestamp) -> Result<(), LedgerError> {
    match end {
        Some(end) if end.since(now) < SHORTEST => Err(LedgerError::TooSoon { least: SHORTEST }),
        Some(_) | None => Ok(()),
    }
}

/// Refuses to change what is over.
pub(super) fn refuse_closed(token: &Token, now: Timestamp) -> Result<(), LedgerError> {
    let over = |how| Err(LedgerError::Over { id: token.id.to_string(), how });
    if token.is_superseded() {
        return over("rotated already");
    }
    match token.standing(now) {
        Standing::Good | Standing::Lapsed { .. } | Standing::Grace { .. } => Ok(()),
        closed @ (Standing::Ended { .. } | Standing::Revoked { .. } | Standing::Expired { .. }) => over(closed.word()),
    }
}

/// Refuses a name that a live token of the owner has; one whose time is over gives it up.
fn free_name(db: &Connection, owner: &str, name: Option<&str>, by: &By) -> Result<(), LedgerError> {
    let Some(name) = name else { return Ok(()) };
    let which = "t.owner = ?1 AND t.name = ?2 AND t.state = 'live'";
    match token::one(db, which, &[&owner, &name])? {
        Some(token) if matches!(token.standing(by.at), Standing::Expired { .. }) => {
            change::close(db, by, &token, Closing::Expire, None).map(drop)
        }
        Some(_) => Err(LedgerError::NameTaken { owner: owner.to_owned(), name: name.to_owned() }),
        None => Ok(()),
    }
}

/// Writes what is different, and the record of it; tells whether there was anything.
pub(super) fn edit(
    db: &Connection,
    old: &Token,
    new: &Token,
    reason: Option<&str>,
    by: &By,
) -> Result<bool, LedgerError> {
    let mut before = Map::new();
    if old.name != new.name {
        before.insert("name".to_owned(), json!(old.name));
    }
    if old.scopes != new.scopes {
        before.insert("scope".to_owned(), json!(old.scopes.to_string()));
    }
    if old.expires != new.expires {
        before.insert("expires_epoch".to_owned(), json!(old.expires.map(Timestamp::epoch)));
    }
    if before.is_empty() {
        return Ok(false);
    }
    db.execute(
        "UPDATE token SET name = ?2, scopes = ?3, expires = ?4 WHERE serial = ?1",
        params![new.serial, new.name, new.scopes.to_string(), new.expires.map(Timestamp::epoch)],
    )?;
    let old = Some(Value::Object(before).to_string());
    let event = Event { old, reason: reason.map(str::to_owned), ..new.event() };
    history::append(db, by, Action::Edit, event)?;
    Ok(true)
}

/// Revokes all descendants that could do what their ancestor may not do any more; returns how many.
fn close_wider(db: &Connection, token: &Token, by: &By) -> Result<usize, LedgerError> {
    let mut count = 0;
    // the deepest come first, so none has gone with its parent before its turn
    for child in descendants(db, token.serial)?.into_iter().filter_map(Found::token) {
        if child.scopes.iter().any(|scope| !token.scopes.contains(scope)) {
            let reason = format!("its parent {} may do less", token.id);
            count += change::close(db, by, &child, Closing::Revoke, Some(&reason))?;
        }
    }
    Ok(count)
}

/// Shortens the lives of all descendants that would outlive an end; returns how many.
pub(super) fn shorten_below(db: &Connection, token: &Token, end: Timestamp, by: &By) -> Result<usize, LedgerError> {
    let mut count = 0;
    for child in descendants(db, token.serial)?.into_iter().filter_map(Found::token) {
        if child.expires.is_none_or(|expires| expires > end) {
            let shorter = Token { expires: Some(end), ..child.clone() };
            let reason = format!("its parent {} ends sooner", token.id);
            count += usize::from(edit(db, &child, &shorter, Some(&reason), by)?);
        }
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::super::scratch::{NOW, by, ledger};
    use super::*;

    fn ask(name: &str, scopes: &str) -> NamedAsk {
        NamedAsk {
            kind: TokenKind::User,
            owner: "ada".into(),
            name: Some(name.into()),
            scopes: Scopes::lenient(scopes),
            expires: None,
            others: Others::Keep,
        }
    }

    #[test]
    fn nobody_rotates_a_token_that_may_do_more_than_the_one_that_acts() {
        let (_folder, mut ledger) = ledger();
        let mut make = |name, scopes| ledger.create(&ask(name, scopes), &Actor::System, &by(NOW)).unwrap().token;
        let (strong, weak) = (make("strong", "admin:token"), make("weak", "user:token read"));
        let like = make("like", "read");
        let actor = Actor::of(weak).unwrap();
        assert!(matches!(ledger.rotate(&strong.id, Overlap::default(), &actor, &by(NOW)), Err(LedgerError::Denied(_))));
        assert_eq!(ledger.visible(&strong.id, &actor).unwrap().standing(by(NOW).at), Standing::Good);
        ledger.rotate(&like.id, Overlap::default(), &actor, &by(NOW)).unwrap();
    }
}
