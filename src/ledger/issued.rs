//! Tokens as they come into being: the text is composed, told once, and only its digest stays.

use rusqlite::Connection;

use super::change::{self, Closing};
use super::history::{self, Action, Event};
use super::token::{NewToken, Token};
use super::{By, Ledger, LedgerError};
use crate::secret::Secret;
use crate::token::issued::{self, IssueKey, PublicId, TokenSecret};

/// A token, and its text for the one time it is shown.
pub(crate) struct Issued {
    /// What to show.
    pub(crate) text: Secret<String>,
    /// What is known of it.
    pub(crate) token: Token,
    /// Whether it was there before.
    pub(crate) reused: Reused,
}

/// Whether a token was there before somebody asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reused {
    /// It was.
    Yes,
    /// It is new.
    No,
}

/// What makes a token another one than all others: drawn before the transaction that writes it.
pub(super) struct Fresh {
    /// Its public id.
    pub(super) id: PublicId,
    /// The random part of its text.
    secret: TokenSecret,
}

impl Ledger {
    /// Draws a token that is told once.
    pub(super) fn fresh(&self) -> Result<Fresh, LedgerError> {
        Ok(Fresh { id: PublicId::of(self.random()?), secret: self.random_secret()? })
    }

    /// Draws a token that can be told again by who has the issue key.
    pub(super) fn fresh_derived(&self, key: &IssueKey) -> Result<Fresh, LedgerError> {
        let id = PublicId::of(self.random()?);
        let secret = issued::derive(key, &id);
        Ok(Fresh { id, secret })
    }
}

impl Ledger {
    /// Takes a new token back whose text reached nobody.
    pub(crate) fn revoke_untold(&mut self, token: &Token, by: &By) -> Result<(), LedgerError> {
        let reason = Some("its text could not be told to anybody");
        self.write(|db| change::close(db, by, token, Closing::Revoke, reason).map(drop))
    }
}

/// Writes a new token and its record.
pub(super) fn write_new(db: &Connection, new: &NewToken, fresh: &Fresh, by: &By) -> Result<Issued, LedgerError> {
    let (text, digest) = issued::compose(new.kind, &fresh.id, &fresh.secret);
    let token = new.insert(db, &fresh.id, digest.bytes(), by.at)?;
    history::append(db, by, Action::Issue, Event { digest: Some(*digest.bytes()), ..token.event() })?;
    Ok(Issued { text, token, reused: Reused::No })
}

/// Tells a token's text again, if the issue key is still the one it came from.
pub(super) fn retell(token: &Token, key: &IssueKey) -> Result<Secret<String>, LedgerError> {
    let (text, digest) = issued::compose(token.kind, &token.id, &issued::derive(key, &token.id));
    if digest.is(&token.digest) {
        Ok(text)
    } else {
        Err(LedgerError::Underivable { id: token.id.to_string(), kind: token.kind })
    }
}
