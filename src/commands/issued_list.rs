//! What `token list` and `job-token list` share: which part of a list is shown, and how.

use super::issued::{object, say_unreadable};
use super::{Context, Outcome};
use crate::error::Failure;
use crate::ledger::list::Listed;
use crate::ledger::token::Token;
use crate::output::Form;
use crate::token::time::Timestamp;

/// Which part of a list is shown.
#[derive(clap::Args)]
pub(super) struct PartArgs {
    /// No more than so many
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) limit: Option<u32>,
    /// Go on behind the line with this `cursor` (in --json)
    #[arg(long, value_name = "CURSOR")]
    pub(super) cursor: Option<i64>,
}

/// How a list is shown to people.
pub(super) struct Columns<const N: usize> {
    /// What is said where there is nothing.
    pub(super) nothing: &'static str,
    /// What the columns are called.
    pub(super) heads: [&'static str; N],
    /// What stands in them.
    pub(super) row: fn(&Token, Timestamp) -> [String; N],
}

/// Shows a list.
pub(super) fn show<const N: usize>(
    cx: &mut Context,
    listed: &Listed,
    columns: &Columns<N>,
) -> Result<Outcome, Failure> {
    say_unreadable(cx, listed.unreadable);
    let now = cx.now();
    if cx.printer.form == Form::Json {
        cx.printer.objects(listed.tokens.iter().map(|token| object(token, now)).collect())?;
    } else if listed.tokens.is_empty() {
        cx.printer.notice(columns.nothing);
    } else {
        let rows: Vec<_> = listed.tokens.iter().map(|token| (columns.row)(token, now).to_vec()).collect();
        cx.printer.table(&columns.heads, &rows)?;
    }
    Ok(Outcome::Done)
}
