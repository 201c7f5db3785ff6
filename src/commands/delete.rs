//! `delete`: removes an entry from the vault, which need not be open for that.

use serde_json::json;

use super::completions::entry_names;
use super::issued::is_issue_key;
use super::{Context, Outcome};
use crate::error::{Failure, Kind, file_failure};
use crate::keeper::LOCK_PATIENCE;
use crate::keeper::note::Note;
use crate::output::Form;
use crate::profile::EntryName;
use crate::token::nearest::nearest;
use crate::vault::header::Header;
use crate::vault::shelf::Shelf;

/// Examples of the command.
const EXAMPLES: &str = "Examples:
  tokenkeep delete prod-client
  tokenkeep delete prod@ada --yes
";

/// Delete an entry from the vault
///
/// The provider hears nothing of it: a refresh token stays good there. `tokenkeep revoke` ends it there, too. On a terminal
/// it asks first; where nobody can be asked it deletes.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The entry
    #[arg(value_name = "NAME", add = clap_complete::ArgValueCompleter::new(entry_names))]
    name: EntryName,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

/// Runs the command.
pub(crate) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    let Args { name, yes } = args;
    let shelf = shelf_of(cx)?;
    if !shelf.holds_anything(name).map_err(|fault| file_failure(Kind::Locked, &fault))? {
        return Err(unknown(&shelf, name));
    }
    let (warning, after) = consequences(cx, name);
    if !yes && cx.may_ask() {
        let question =
            if warning.is_empty() { format!("Delete `{name}`?") } else { format!("Delete `{name}`? ({warning})") };
        if !Context::confirm(&question)? {
            return Err(Failure::new(Kind::Failed, "nothing was deleted")
                .hint(format!("answer with y, or type `tokenkeep delete {name} --yes`")));
        }
    }
    if !yes && !cx.may_ask() && is_issue_key(name) {
        return Err(Failure::new(
            Kind::Usage,
            format!("`{name}` is the ledger's own key, and nobody said that it shall go"),
        )
        .because(warning)
        .hint(format!("if that is meant, type `tokenkeep delete {name} --yes`")));
    }
    let lock = shelf.lock(name, LOCK_PATIENCE)?;
    shelf.delete(name, &lock)?;
    forget(&lock.file);
    if cx.printer.form == Form::Json {
        cx.printer.object(json!({"name": name, "deleted": true}))?;
    }
    cx.printer.notice(&format!("deleted `{name}`{after}"));
    Ok(Outcome::Done)
}

/// Says what a deletion brings, before and after it: what ends the token at the provider goes with the entry.
fn consequences(cx: &Context, name: &EntryName) -> (String, String) {
    if is_issue_key(name) {
        let warning = "tokens of jobs, notebooks and services that are good cannot be told again, and the next ones come from a new key";
        return (warning.to_owned(), format!("; {warning}"));
    }
    if !is_login(cx, name) {
        return (String::new(), String::new());
    }
    let stays = "its token stays good at the provider";
    (
        format!("{stays}; `tokenkeep revoke {name}` ends it there, too"),
        format!("; {stays}, where `tokenkeep revoke` would have ended it, too"),
    )
}

/// Returns the entries of the vault, which need not be open for this. Without a vault there are none.
fn shelf_of(cx: &Context) -> Result<Shelf, Failure> {
    let site = cx.site()?;
    // what is wrong with it keeps nobody from removing files
    Ok(Header::read(&site.folder)
        .map_or_else(|_| Shelf::of(&site.folder), |header| Shelf::at(&site, &header.recipient)))
}

/// Clears the keeper's note, since the next generation under this name has nothing to do with it.
pub(in crate::commands) fn forget(lock: &std::fs::File) {
    if let Err(error) = Note::write(None, lock) {
        tracing::warn!(%error, "the note of a deleted entry stays");
    }
}

/// Tells whether an entry is likely to hold a refresh token: the vault, which knows, may be locked.
fn is_login(cx: &Context, name: &EntryName) -> bool {
    cx.settings().is_ok_and(|settings| settings.config.profiles.contains_key(&name.profile()))
}

/// Describes a name that stands for nothing.
fn unknown(shelf: &Shelf, name: &EntryName) -> Failure {
    let known = shelf.names().map(|names| names.entries).unwrap_or_default();
    let failure = Failure::new(Kind::NotFound, format!("there is no entry `{name}`"));
    let near = nearest(name.as_str(), known.iter().map(EntryName::as_str));
    let failure = match &near {
        Some(near) => failure.hint(format!("did you mean `{near}`? `tokenkeep list` shows all")),
        None => failure.hint("see what there is with `tokenkeep list`"),
    };
    failure.unless_token(name, near.as_deref())
}
