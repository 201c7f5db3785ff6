//! `vault import`: puts the entries of an export into the vault.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde_json::json;
use zeroize::Zeroizing;

use super::unsigned;
use crate::commands::issued::is_issue_key;
use crate::commands::{Context, Outcome, delete};
use crate::error::{Doing, Failure, Kind, Named, keeper_failure};
use crate::host::descriptor;
use crate::host::folders::absolute;
use crate::keeper::{Keeper, KeeperError, LOCK_PATIENCE};
use crate::output::Form;
use crate::profile::{EntryName, SecureUrl};
use crate::vault::entry::{Body, Entry};
use crate::vault::export::{self, Opener};
use crate::vault::{Vault, VaultError, unlock};

/// Examples of the command.
const EXAMPLES: &str = "Examples:
  tokenkeep vault import tokens.age
  tokenkeep vault import tokens.age --file-identity key.txt --skip
  ssh host tokenkeep vault export --recipient age1... | tokenkeep vault import - --file-identity key.txt
";

/// Put the entries of an export into the vault
///
/// Nothing is imported if one of the names is taken by something else, unless you say what is to be done then. What is
/// there already, the same to the letter, is left as it is: an import that was interrupted can be repeated. A refresh token
/// that is known to be spent replaces none that is not, and is never presented. Nobody signs an export: where a login's
/// tokens go is asked of its issuer again, and a client secret that did not come with it is not lent to it.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The export; `-` for standard input
    file: PathBuf,
    /// Replace what is there under the same name and of the same kind
    #[arg(long, group = "taken")]
    replace: bool,
    /// Leave what is there under the same name, and import the others
    #[arg(long, group = "taken")]
    skip: bool,
    /// Open the export with the key in this file; without it, with the vault's own, or a passphrase
    #[arg(long, value_name = "FILE", group = "opener")]
    file_identity: Option<PathBuf>,
    /// Read the passphrase of the export from this descriptor
    #[arg(long, value_name = "N", value_parser = descriptor::given, group = "opener")]
    file_passphrase_fd: Option<i32>,
}

/// What becomes of an entry of the export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It is new.
    New,
    /// It takes the place of another one.
    Replaces,
    /// It is there already.
    Same,
    /// Another one is there, which stays.
    Skipped,
    /// Another one is there, and nobody has said what to do.
    Taken,
    /// Another one is there, of another kind.
    OtherKind,
    /// Another issue key is there: who wrote the export would know what is issued from then on.
    OwnKey,
    /// Its refresh token is spent, and that of the one that is there is not.
    Spent,
}

impl Fate {
    /// Tells whether the entry of the export is written.
    const fn is_written(self) -> bool {
        matches!(self, Self::New | Self::Replaces)
    }

    /// Returns the word for it.
    const fn name(self) -> &'static str {
        match self {
            Self::New => "imported",
            Self::Replaces => "replaced",
            Self::Same => "unchanged",
            Self::Skipped | Self::Taken | Self::OtherKind | Self::OwnKey => "left",
            Self::Spent => "spent",
        }
    }
}

/// Runs the command.
pub(super) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    let vault = cx.open_vault()?;
    let mut entries = read(args, cx, &vault)?;
    for entry in &mut entries {
        unsigned::forget_endpoint(cx, &vault, entry)?;
    }
    // a client's secret comes before the login that needs it
    entries.sort_by_key(|entry| entry.body.tokens().is_some());
    let fates = entries.iter().map(|entry| fate(args, cx, &vault, entry)).collect::<Result<Vec<_>, _>>()?;
    refuse_taken(&entries, &fates)?;
    let came: Vec<EntryName> = entries.iter().zip(&fates).filter_map(|(entry, fate)| secret_of(entry, *fate)).collect();
    for (entry, _) in entries.iter().zip(&fates).filter(|(_, fate)| fate.is_written()) {
        unsigned::refuse_lent_secret(cx, &vault, entry, &came)?;
    }
    let (mut done, mut came) = (Vec::new(), Vec::new());
    for entry in entries {
        let (name, issuer) = (entry.name.clone(), entry.body.tokens().map(|tokens| tokens.born.issuer.clone()));
        let is_spent = is_spent(&cx.keeper(&vault)?, &entry)?;
        let fate = put(args, cx, &vault, (entry, &mut came))?;
        done.push(Done { name, issuer, fate, is_spent });
    }
    report(cx, &done)?;
    Ok(Outcome::Done)
}

/// What became of an entry of the export.
struct Done {
    /// Its name.
    name: EntryName,
    /// The provider that it says its refresh token is from.
    issuer: Option<SecureUrl>,
    /// What became of it.
    fate: Fate,
    /// Whether its refresh token is known to be spent.
    is_spent: bool,
}

/// Returns the name of a client secret that the vault holds just as the export does, or will.
fn secret_of(entry: &Entry, fate: Fate) -> Option<EntryName> {
    let is_ours = matches!(entry.body, Body::ClientSecret(_)) && (fate.is_written() || fate == Fate::Same);
    is_ours.then(|| entry.name.clone())
}

/// Reads and opens the export.
fn read(args: &Args, cx: &mut Context, vault: &Vault) -> Result<Vec<Entry>, Failure> {
    let unreadable = |error: std::io::Error| {
        Failure::new(Kind::Failed, format!("cannot read {}", args.file.display()))
            .because(error.to_string())
            .hint("name a file that `tokenkeep vault export` has written")
    };
    let mut file = Vec::new();
    let limit = export::LARGEST_EXPORT as u64;
    let read = if args.file == Path::new("-") {
        (&mut cx.host.stdin).take(limit).read_to_end(&mut file)
    } else {
        File::open(&args.file).and_then(|opened| opened.take(limit).read_to_end(&mut file))
    };
    read.map_err(unreadable)?;
    let (name, opener) = match (&args.file_identity, args.file_passphrase_fd) {
        (Some(path), _) => {
            let path = absolute(path);
            let text = unlock::read_identities("--file-identity", &path)?;
            (format!("--file-identity {}", path.display()), Opener::Identities(text))
        }
        (None, Some(number)) => (
            format!("--file-passphrase-fd {number}"),
            Opener::Passphrase(unlock::read_passphrase("--file-passphrase-fd", number)?),
        ),
        (None, None) => match (vault.read_export(&file)?, cx.asker()) {
            (Some(entries), _) => return Ok(entries),
            (None, Some(ask)) if export::wants_passphrase(&file) => {
                ("the passphrase".to_owned(), Opener::Passphrase(ask("Passphrase of the export: ")?))
            }
            (None, _) => ("the vault's own key".to_owned(), Opener::Identities(Zeroizing::default())),
        },
    };
    let opened = export::read(&file, &opener, cx.asker().as_deref())?;
    Ok(opened.ok_or(VaultError::ExportNotOpened { opener: name })?)
}

/// Decides what becomes of an entry.
fn fate(args: &Args, cx: &Context, vault: &Vault, entry: &Entry) -> Result<Fate, Failure> {
    let Some(present) = vault.newest(&entry.name)? else { return Ok(Fate::New) };
    let keeper = cx.keeper(vault)?;
    if is_same(&present.body, &entry.body)? {
        return Ok(Fate::Same);
    }
    Ok(match (args.replace, args.skip) {
        (false, true) => Fate::Skipped,
        (true, _) if present.body.kind() != entry.body.kind() => Fate::OtherKind,
        (true, _) if is_issue_key(&entry.name) => Fate::OwnKey,
        (true, _) if is_spent(&keeper, entry)? && !is_spent(&keeper, &present)? => Fate::Spent,
        (true, _) => Fate::Replaces,
        (false, false) => Fate::Taken,
    })
}

/// Tells whether two entries hold the same to the letter.
fn is_same(one: &Body, other: &Body) -> Result<bool, Failure> {
    let bytes = |body: &Body| {
        let bytes = body.to_json().map(Zeroizing::new);
        bytes.map_err(|error| Failure::new(Kind::Bug, "an entry cannot be written").because(error.to_string()))
    };
    Ok(one.kind() == other.kind() && bytes(one)? == bytes(other)?)
}

/// Tells whether the refresh token of an entry was exchanged before.
fn is_spent(keeper: &Keeper<'_>, entry: &Entry) -> Result<bool, Failure> {
    let spent = entry.body.tokens().map(|tokens| keeper.is_spent(&entry.name, tokens)).transpose();
    Ok(spent.map_err(|error| failure(&entry.name, error))?.unwrap_or(false))
}

/// Describes what the keeper could not do.
fn failure(name: &EntryName, error: KeeperError) -> Failure {
    keeper_failure(name, (Doing::Refresh, Named::EntryAlone), error)
}

/// Refuses to import anything while names are taken.
fn refuse_taken(entries: &[Entry], fates: &[Fate]) -> Result<(), Failure> {
    let with = |wanted: Fate| -> Vec<&str> {
        let all = entries.iter().zip(fates).filter(|(_, fate)| **fate == wanted);
        all.map(|(entry, _)| entry.name.as_str()).collect()
    };
    let (taken, other) = (with(Fate::Taken), with(Fate::OtherKind));
    if !other.is_empty() {
        let message = format!("the vault holds something of another kind under {}", other.join(", "));
        return Err(Failure::new(Kind::Usage, message)
            .hint(format!("remove it first, `tokenkeep delete {}`, or add `--skip`", other.join(" "))));
    }
    if !taken.is_empty() {
        let message = format!("the vault holds something else under {}", taken.join(", "));
        return Err(Failure::new(Kind::Usage, message)
            .hint("say what is to be done: `--replace`, or `--skip` to leave what is there"));
    }
    Ok(())
}

/// Puts one entry into the vault, under its lock, if it still is to be; `came` are the client secrets that came so far.
fn put(args: &Args, cx: &Context, vault: &Vault, (entry, came): (Entry, &mut Vec<EntryName>)) -> Result<Fate, Failure> {
    let lock = vault.lock(&entry.name, LOCK_PATIENCE)?;
    cx.keeper(vault)?.adopt_or_put_aside(&entry.name, &lock).map_err(|error| failure(&entry.name, error))?;
    let fate = fate(args, cx, vault, &entry)?;
    came.extend(secret_of(&entry, fate));
    match fate {
        Fate::New | Fate::Replaces => {
            // another secret may have been stored a moment ago
            unsigned::refuse_lent_secret(cx, vault, &entry, came)?;
            vault.put(&entry.name, entry.body, &lock, cx.now())?;
            delete::forget(&lock.file);
        }
        Fate::Same | Fate::Skipped | Fate::OwnKey | Fate::Spent => {}
        // somebody has put it there a moment ago
        Fate::Taken | Fate::OtherKind => refuse_taken(&[entry], &[fate])?,
    }
    Ok(fate)
}

/// Says what was imported, from whom it says it is, and what is of no use.
fn report(cx: &mut Context, done: &[Done]) -> Result<(), Failure> {
    if cx.printer.form == Form::Json {
        let object = |done: &Done| {
            let Done { name, issuer, fate, is_spent } = done;
            json!({"name": name, "outcome": fate.name(), "spent": is_spent, "issuer": issuer})
        };
        cx.printer.objects(done.iter().map(object).collect())?;
    }
    for Done { name, issuer, fate, .. } in done {
        let from = issuer.as_ref().map(|issuer| format!(", a login at {issuer}")).unwrap_or_default();
        cx.printer.notice(&match fate {
            Fate::New if is_issue_key(name) => {
                format!("imported `{name}`: tokens that jobs are told again come from it now, and who wrote the export knows them")
            }
            Fate::New => format!("imported `{name}`{from}"),
            Fate::Replaces => format!("replaced `{name}`{from}"),
            Fate::Same => format!("`{name}` is there already"),
            Fate::Skipped | Fate::Taken | Fate::OtherKind => {
                format!("skipped `{name}`: the vault holds something else")
            }
            Fate::OwnKey => format!("kept `{name}` as it is: tokens that were issued here come from it"),
            Fate::Spent => format!("kept `{name}` as it is: the token in the export is spent"),
        });
    }
    for Done { name, .. } in done.iter().filter(|done| done.is_spent && done.fate != Fate::Spent) {
        cx.printer.say(&format!(
            "the refresh token of `{name}` was exchanged before and is not presented; log in again: `tokenkeep generate {name}`"
        ));
    }
    Ok(())
}
