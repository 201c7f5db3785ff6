//! Lists of tokens, the newest first, in pages that cost the same wherever they are.

use std::fmt::Write as _;

use rusqlite::ToSql;

use super::token::{self, Found, Token};
use super::{Ledger, LedgerError};
use crate::token::issued::{PublicId, TokenKind};
use crate::token::time::Timestamp;

/// Which tokens are listed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    /// Those of this owner.
    pub(crate) owner: Option<String>,
    /// Those of this kind.
    pub(crate) kind: Option<TokenKind>,
    /// Those of this job.
    pub(crate) job: Option<String>,
    /// The children of this one.
    pub(crate) parent: Option<PublicId>,
    /// Those that live at this time; `None` for all.
    pub(crate) live_at: Option<Timestamp>,
    /// No more than so many.
    pub(crate) limit: Option<u32>,
    /// Those that were issued before the one at this place.
    pub(crate) before: Option<i64>,
}

/// A list of tokens.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listed {
    /// Those that can be read.
    pub(crate) tokens: Vec<Token>,
    /// How many rows cannot be read; an audit tells of each.
    pub(crate) unreadable: usize,
}

impl Token {
    /// Returns its place in lists.
    pub(crate) const fn place(&self) -> i64 {
        self.serial
    }
}

impl Ledger {
    /// Lists tokens, the newest first.
    pub(crate) fn tokens(&self, filter: &Filter) -> Result<Listed, LedgerError> {
        let mut which = "1 = 1".to_owned();
        let mut values: Vec<Box<dyn ToSql>> = Vec::new();
        let mut and = |condition: &str, value: Option<Box<dyn ToSql>>| {
            if let Some(value) = value {
                values.push(value);
                which.push_str(" AND ");
                which.push_str(&condition.replace('?', &format!("?{}", values.len())));
            }
        };
        and("t.owner = ?", filter.owner.clone().map(|owner| Box::new(owner) as _));
        and("t.kind = ?", filter.kind.map(|kind| Box::new(kind.word()) as _));
        and("t.job = ?", filter.job.clone().map(|job| Box::new(job) as _));
        let parent = filter.parent.as_ref().map(|id| Box::new(id.as_str().to_owned()) as _);
        and("t.parent = (SELECT serial FROM token WHERE id = ?)", parent);
        let live = "t.state = 'live' AND (t.expires IS NULL OR t.expires > ?)";
        and(live, filter.live_at.map(|now| Box::new(now.epoch()) as _));
        and("t.serial < ?", filter.before.map(|place| Box::new(place) as _));
        which.push_str(" ORDER BY t.serial DESC");
        if let Some(limit) = filter.limit {
            // writing to a String cannot fail
            write!(which, " LIMIT {limit}").ok();
        }
        let values: Vec<&dyn ToSql> = values.iter().map(AsRef::as_ref).collect();
        let rows = token::rows(&self.db, &which, &values)?;
        let found = rows.len();
        let tokens: Vec<_> = rows.into_iter().filter_map(Found::token).collect();
        Ok(Listed { unreadable: found - tokens.len(), tokens })
    }
}
