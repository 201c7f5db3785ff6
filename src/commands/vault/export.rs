//! `vault export`: writes entries into one age file.

use std::path::PathBuf;

use serde_json::json;

use crate::commands::completions::entry_names;
use crate::commands::{Context, Outcome, new_passphrase};
use crate::error::{Doing, Failure, Kind, Named, file_failure, keeper_failure};
use crate::host::descriptor;
use crate::host::files::{self, Published};
use crate::keeper::LOCK_PATIENCE;
use crate::output::{Form, counted, json_path};
use crate::profile::EntryName;
use crate::vault::entry::Entry;
use crate::vault::slots::Wrapping;
use crate::vault::{Vault, VaultError, export};

/// Examples of the command.
const EXAMPLES: &str = "Examples:
  tokenkeep vault export -o all.age
  tokenkeep vault export prod stage -o tokens.age --recipient age1...
  tokenkeep vault export --recipient age1... | ssh host tokenkeep vault import -
";

/// Write entries into one file, for a key or a passphrase
///
/// The file is a standard age file: `age -d` prints one JSON object a line, first what it is, then each entry. A refresh
/// token that is exchanged here afterwards is spent there: of two vaults with one login, only one can keep it fresh.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The entries; all of them if none is named
    #[arg(value_name = "NAME", add = clap_complete::ArgValueCompleter::new(entry_names))]
    names: Vec<EntryName>,
    /// Write into this file, which must not be there; without it, to standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// For the key of this recipient (age1..., or age1NAME1... for a plugin); without it, for a passphrase
    #[arg(long, value_name = "RECIPIENT", conflicts_with = "new_passphrase_fd")]
    recipient: Option<String>,
    /// Read the passphrase of the file from this descriptor
    #[arg(long, value_name = "N", value_parser = descriptor::given)]
    new_passphrase_fd: Option<i32>,
}

/// Runs the command.
pub(super) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    refuse_terminal(args, cx)?;
    let vault = cx.open_vault()?;
    let entries = entries(args, cx, &vault)?;
    let wrapping = wrapping(args, cx)?;
    let file = export::write(&entries, &wrapping, cx.now(), cx.asker().as_deref())?;
    match &args.output {
        Some(path) => {
            let made = files::make(path, &file, 0o600).map_err(|fault| file_failure(Kind::Failed, &fault))?;
            if made == Published::NameTaken {
                return Err(Failure::new(Kind::Usage, format!("{} is there already", path.display()))
                    .hint("name another file, or remove that one"));
            }
            if cx.printer.form == Form::Json {
                let names: Vec<&EntryName> = entries.iter().map(|entry| &entry.name).collect();
                cx.printer.object(json!({"file": json_path(path), "entries": names}))?;
            }
        }
        None => cx.printer.bytes(&file)?,
    }
    cx.printer.notice(&format!("exported {}", counted(entries.len(), "entry", "entries")));
    Ok(Outcome::Done)
}

/// Refuses to write what no person can read onto a terminal.
fn refuse_terminal(args: &Args, cx: &Context) -> Result<(), Failure> {
    if args.output.is_none() && cx.host.terminals.stdout {
        return Err(Failure::new(Kind::Usage, "an export is no text for a terminal")
            .hint("write it into a file: `tokenkeep vault export --output FILE`"));
    }
    Ok(())
}

/// Reads the entries that are named, or else all that the vault has.
fn entries(args: &Args, cx: &Context, vault: &Vault) -> Result<Vec<Entry>, Failure> {
    if !args.names.is_empty() {
        let named = |name| newest(cx, vault, name)?.ok_or_else(|| missing(name));
        return args.names.iter().map(named).collect();
    }
    // one that was never published is an entry, too
    let held = vault.shelf().held().map_err(VaultError::from)?;
    let (mut entries, mut first) = (Vec::new(), None);
    for name in &held {
        match newest(cx, vault, name) {
            Ok(entry) => entries.extend(entry),
            Err(failure) if failure.kind == Kind::Locked => first = first.or(Some(failure)),
            Err(failure) => return Err(failure),
        }
    }
    match first {
        Some(failure) => Err(without(failure, &entries)),
        None => Ok(entries),
    }
}

/// Says how all that can be exported is, where something cannot: a file that is not whole is not made unasked.
fn without(failure: Failure, others: &[Entry]) -> Failure {
    /// What a person copies.
    const MOST: usize = 10;
    if others.is_empty() || others.len() > MOST {
        return failure;
    }
    let names: Vec<&str> = others.iter().map(|entry| entry.name.as_str()).collect();
    let hint = failure.hint.as_ref().map(|hint| format!("{hint}; ")).unwrap_or_default();
    let hint = format!("{hint}or export the others: `tokenkeep vault export {}`", names.join(" "));
    failure.hint(hint)
}

/// Reads the newest generation of an entry, after any exchange that is on its way; `None` if there is no such entry.
fn newest(cx: &Context, vault: &Vault, name: &EntryName) -> Result<Option<Entry>, Failure> {
    if !vault.shelf().holds_anything(name).map_err(VaultError::from)? {
        return Ok(None);
    }
    let lock = vault.lock(name, LOCK_PATIENCE)?;
    let adopted = cx.keeper(vault)?.adopt_unpublished(name, &lock);
    adopted.map_err(|error| keeper_failure(name, (Doing::Refresh, Named::EntryAlone), error))?;
    Ok(vault.newest(name)?)
}

/// Describes that there is no such entry.
fn missing(name: &EntryName) -> Failure {
    let failure = Failure::new(Kind::NotFound, format!("there is no entry `{name}`"));
    failure.hint("see what there is with `tokenkeep list`").unless_token(name, None)
}

/// Returns for whom the file is.
fn wrapping(args: &Args, cx: &mut Context) -> Result<Wrapping, Failure> {
    Ok(match &args.recipient {
        Some(recipient) => Wrapping::Recipient(recipient.clone()),
        None => Wrapping::Passphrase(new_passphrase::take(cx, "--new-passphrase-fd", args.new_passphrase_fd)?),
    })
}
