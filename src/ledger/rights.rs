//! Who may do what to tokens. Without a token the user of the operating system who can write the ledger is the authority.

use super::LedgerError;
use super::token::Token;
use crate::token::issued::TokenKind;
use crate::token::scopes::Scopes;

/// What a token must have to do anything to anybody's tokens.
const ADMIN: &str = "admin:token";

/// What a token must have to do anything to its own owner's tokens.
const USER: &str = "user:token";

/// Who does something to tokens.
#[derive(Clone, Debug)]
pub(crate) enum Actor {
    /// Whoever can write the ledger.
    System,
    /// The owner of a token that was found to be good.
    Owner(Box<Token>),
}

impl Actor {
    /// Takes the token that somebody shows as theirs.
    pub(crate) fn of(token: Token) -> Result<Self, LedgerError> {
        if token.kind == TokenKind::Job {
            return Err(denied("the token of a job may do nothing to tokens"));
        }
        let actor = Self::Owner(Box::new(token));
        if actor.is_admin() || actor.has(USER) {
            return Ok(actor);
        }
        Err(denied(format!("the token that acts has neither the scope `{USER}` nor `{ADMIN}`")))
    }

    /// Returns whom a token speaks for where nobody says it.
    pub(crate) fn owner(&self) -> Option<&str> {
        match self {
            Self::System => None,
            Self::Owner(token) => Some(&token.owner),
        }
    }

    /// Tells whether it may do anything.
    pub(crate) fn is_admin(&self) -> bool {
        match self {
            Self::System => true,
            Self::Owner(_) => self.has(ADMIN),
        }
    }

    /// Tells whether its token has a scope.
    fn has(&self, scope: &str) -> bool {
        matches!(self, Self::Owner(token) if token.scopes.contains(scope))
    }

    /// Tells whether an owner's tokens are its business.
    pub(crate) fn may_see(&self, owner: &str) -> bool {
        self.is_admin() || self.owner() == Some(owner)
    }

    /// Refuses who is no administrator.
    pub(crate) fn require_admin(&self) -> Result<(), LedgerError> {
        if self.is_admin() {
            Ok(())
        } else {
            Err(denied(format!("only an administrator (scope `{ADMIN}`) may do this")))
        }
    }

    /// Refuses a new token that is none of its business, or that may do more than it may itself.
    pub(super) fn require_may_issue(&self, kind: TokenKind, owner: &str, scopes: &Scopes) -> Result<(), LedgerError> {
        if self.is_admin() {
            return Ok(());
        }
        if !matches!(kind, TokenKind::User | TokenKind::Job) || self.owner() != Some(owner) {
            return Err(denied("without the scope `admin:token` one may only issue user and job tokens of one's own"));
        }
        match scopes.iter().find(|scope| !self.has(scope)) {
            Some(scope) => Err(denied(format!("the token that acts does not have the scope `{scope}` itself"))),
            None => Ok(()),
        }
    }
}

/// Says no.
fn denied(why: impl Into<String>) -> LedgerError {
    LedgerError::Denied(why.into())
}
