//! `tokenkeep token`: named tokens of people and programs, and the children that they hand on.

mod create;
mod delegate;
mod list;
mod modify;
mod revoke;
mod rotate;
mod show;
mod wipe;

use super::actor::AsArgs;
use super::{Context, Outcome, issued};
use crate::error::Failure;
use crate::ledger::named::End;
use crate::token::issued::PublicId;
use crate::token::names::Label;
use crate::token::scopes::Scopes;
use crate::token::time::{Expires, Timestamp};

/// Examples of the whole group.
const EXAMPLES: &str = "Examples:
  tokenkeep token create --name laptop --scope read:all --expires 30d
  tokenkeep token list
  tokenkeep token show 4fXk2mQ9sTz7Lw1Rb8Nc3d
  tokenkeep token revoke 4fXk2mQ9sTz7Lw1Rb8Nc3d
";

/// Issue tokens for people and programs, and manage them
#[derive(clap::Args)]
#[command(after_help = EXAMPLES, disable_help_subcommand = true)]
pub(crate) struct Args {
    /// What to do
    #[command(subcommand)]
    command: Command,
}

/// What can be done with tokens. Each is described where its arguments are: what stood here would take the place of
/// that.
#[derive(clap::Subcommand)]
enum Command {
    Create(Box<create::Args>),
    Delegate(Box<delegate::Args>),
    List(list::Args),
    Show(show::Args),
    Modify(modify::Args),
    Rotate(rotate::Args),
    Revoke(revoke::Args),
    Wipe(wipe::Args),
}

/// Runs the command.
pub(crate) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    match &args.command {
        Command::Create(args) => create::run(args, cx),
        Command::Delegate(args) => delegate::run(args, cx),
        Command::List(args) => list::run(args, cx),
        Command::Show(args) => show::run(args, cx),
        Command::Modify(args) => modify::run(args, cx),
        Command::Rotate(args) => rotate::run(args, cx),
        Command::Revoke(args) => revoke::run(args, cx),
        Command::Wipe(args) => wipe::run(args, cx),
    }
}

/// Which token is meant, and who acts.
#[derive(clap::Args)]
struct WhichArgs {
    /// Its public id
    #[arg(value_name = "ID")]
    id: PublicId,
    #[command(flatten)]
    acting: AsArgs,
}

/// What a token of a person or a program is to be.
#[derive(clap::Args)]
struct FactArgs {
    /// What it is called
    #[arg(long, value_name = "NAME")]
    name: Option<Label>,
    /// What it may do (repeat for more; '' for nothing)
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// When it ends: a time, a day (at its 00:00 UTC), or how long from now
    #[arg(long, value_name = "TIME")]
    expires: Option<Expires>,
    /// Let it never end
    #[arg(long, conflicts_with = "expires")]
    no_expire: bool,
}

impl FactArgs {
    /// Returns the name, if one is given.
    fn name(&self) -> Option<String> {
        self.name.as_ref().map(|name| name.as_str().to_owned())
    }

    /// Returns the scopes, if any are given; all of them are known.
    fn scopes(&self, cx: &Context) -> Result<Option<Scopes>, Failure> {
        let scopes = issued::scopes(&self.scopes)?;
        issued::known(cx, &scopes)?;
        Ok(Some(scopes).filter(|_| !self.scopes.is_empty()))
    }

    /// Returns the end, if one is given.
    fn end(&self, now: Timestamp) -> Option<End> {
        if self.no_expire { Some(End::Never) } else { self.expires.map(|expires| End::At(expires.end(now))) }
    }
}
