//! Child tokens: what a token's owner hands on to a notebook, a service or another provider. A child never outlives its
//! parent, and dies with it.

use rusqlite::Connection;

use super::issued::{Issued, Reused, retell, write_new};
use super::named::refuse_soon;
use super::token::{self, NewToken, Standing, Token};
use super::{By, Ledger, LedgerError};
use crate::token::issued::{IssueKey, TokenKind};
use crate::token::scopes::Scopes;
use crate::token::time::{Lifetime, Timestamp};

/// What somebody wants a child to be.
#[derive(Clone, Debug)]
pub(crate) struct ChildAsk {
    /// Of which kind.
    pub(crate) kind: ChildKind,
    /// How long it lives at most.
    pub(crate) lifetime: Lifetime,
    /// When it must be over, if somebody said so.
    pub(crate) expires: Option<Timestamp>,
    /// How long it must live at least; `None` if half a life will do.
    pub(crate) min_ttl: Option<Lifetime>,
}

/// The kinds of children, and what each is told.
#[derive(Clone, Debug)]
pub(crate) enum ChildKind {
    /// All that the parent may do.
    Notebook,
    /// Something of it, for one service.
    Internal {
        /// The service.
        service: String,
        /// What it shall be able to do.
        scopes: Scopes,
        /// What happens to what the parent may not do.
        fit: Fit,
    },
    /// Nothing.
    Oidc,
}

/// What happens to scopes that the parent does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fit {
    /// They are refused.
    Reject,
    /// They are left out.
    Intersect,
}

impl ChildAsk {
    /// Refuses times that no child could have, whatever its parent.
    pub(crate) fn refuse_impossible(&self, now: Timestamp) -> Result<(), LedgerError> {
        refuse_soon(self.expires, now)?;
        let most = self.end(now).since(now);
        match self.min_ttl {
            Some(least) if most < least => Err(LedgerError::ChildTooLong { most, least }),
            Some(_) | None => Ok(()),
        }
    }

    /// Returns when it ends at the latest, whatever its parent.
    fn end(&self, now: Timestamp) -> Timestamp {
        let own = now.after(self.lifetime);
        self.expires.map_or(own, |end| end.min(own))
    }
}

impl ChildKind {
    /// Returns the kind of token.
    const fn token_kind(&self) -> TokenKind {
        match self {
            Self::Notebook => TokenKind::Notebook,
            Self::Internal { .. } => TokenKind::Internal,
            Self::Oidc => TokenKind::Oidc,
        }
    }

    /// Tells whether the same one is told again, which takes the issue key.
    pub(crate) const fn is_retold(&self) -> bool {
        !matches!(self, Self::Oidc)
    }

    /// Returns the service it is for.
    fn service(&self) -> Option<String> {
        match self {
            Self::Internal { service, .. } => Some(service.clone()),
            Self::Notebook | Self::Oidc => None,
        }
    }

    /// Decides what it may do.
    fn scopes(&self, parent: &Token) -> Result<Scopes, LedgerError> {
        match self {
            Self::Notebook => Ok(parent.scopes.clone()),
            Self::Oidc => Ok(Scopes::default()),
            Self::Internal { scopes, fit: Fit::Intersect, .. } => {
                let held: Vec<_> = scopes.iter().filter(|scope| parent.scopes.contains(scope)).collect();
                Ok(Scopes::lenient(&held.join(" ")))
            }
            Self::Internal { scopes, fit: Fit::Reject, .. } => {
                match scopes.iter().find(|scope| !parent.scopes.contains(scope)) {
                    Some(scope) => Err(LedgerError::Denied(format!("the parent does not have the scope `{scope}`"))),
                    None => Ok(scopes.clone()),
                }
            }
        }
    }
}

impl Ledger {
    /// Issues a child of a token that was found to be good, or tells a present one again.
    pub(crate) fn delegate(
        &mut self,
        parent: &Token,
        ask: &ChildAsk,
        key: Option<&IssueKey>,
        by: &By,
    ) -> Result<Issued, LedgerError> {
        let fresh = match key {
            Some(key) => self.fresh_derived(key)?,
            None => self.fresh()?,
        };
        self.write(|db| {
            let parent = token::by_id(db, &parent.id)?.filter(|parent| parent.standing(by.at) == Standing::Good);
            let Some(parent) = parent else {
                return Err(LedgerError::Denied("the parent is good no more".to_owned()));
            };
            if !parent.kind.may_delegate() {
                let kind = parent.kind.with_article();
                return Err(LedgerError::Denied(format!("{kind} token may not have children")));
            }
            let (scopes, end) = (ask.kind.scopes(&parent)?, end_of(&parent, ask, by.at)?);
            if let (Some(key), Some(child)) = (key, reusable(db, &parent, ask, (&scopes, end), by.at)?) {
                return Ok(Issued { text: retell(&child, key)?, token: child, reused: Reused::Yes });
            }
            let new = NewToken {
                kind: ask.kind.token_kind(),
                owner: parent.owner.clone(),
                name: None,
                scopes,
                service: ask.kind.service(),
                job: None,
                parent: Some(parent.serial),
                expires: Some(end),
            };
            write_new(db, &new, &fresh, by)
        })
    }
}

/// Decides when a new child ends: with its parent at the latest.
fn end_of(parent: &Token, ask: &ChildAsk, now: Timestamp) -> Result<Timestamp, LedgerError> {
    let own = ask.end(now);
    let end = parent.expires.map_or(own, |end| end.min(own));
    let left = end.since(now);
    match ask.min_ttl {
        Some(least) if left < least => Err(LedgerError::ParentTooShort { left, least }),
        _ if left == Lifetime::seconds(0) => Err(LedgerError::ParentTooShort { left, least: Lifetime::seconds(1) }),
        Some(_) | None => Ok(end),
    }
}

/// Finds a present child that does: the very same scopes and service, and enough life.
fn reusable(
    db: &Connection,
    parent: &Token,
    ask: &ChildAsk,
    (scopes, best): (&Scopes, Timestamp),
    now: Timestamp,
) -> Result<Option<Token>, LedgerError> {
    let which = "t.parent = ?1 AND t.kind = ?2 AND t.scopes = ?3 AND t.service IS ?4 AND t.state = 'live'
                 ORDER BY t.expires DESC";
    let (kind, service) = (ask.kind.token_kind().word(), ask.kind.service());
    let children = token::readable(db, which, &[&parent.serial, &kind, &scopes.to_string(), &service])?;
    let does = |child: &Token| {
        let Some(end) = child.expires.filter(|_| child.standing(now) == Standing::Good) else { return false };
        let enough = ask.min_ttl.unwrap_or_else(|| end.since(child.created).half());
        // a new one that would end no later is no better
        (end.since(now) >= enough || end >= best) && ask.expires.is_none_or(|latest| end <= latest)
    };
    Ok(children.into_iter().find(does))
}
