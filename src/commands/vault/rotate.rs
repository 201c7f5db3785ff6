//! `vault rotate`: gives the vault a new key.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;

use serde_json::json;

use crate::commands::{Context, Outcome};
use crate::error::{Doing, Failure, Kind, Named, chain, keeper_failure};
use crate::host::descriptor;
use crate::host::folders::absolute;
use crate::keeper::LOCK_PATIENCE;
use crate::keeper::note::Note;
use crate::output::{Form, counted, json_path};
use crate::profile::EntryName;
use crate::secret::Passphrase;
use crate::vault::header::Slot;
use crate::vault::keyring::Keyring;
use crate::vault::rotation::{Outside, Rotated, Rotation, Successor, wrapping_of};
use crate::vault::slots::Wrapping;
use crate::vault::unlock::{self, AskPassphrase, Lent, Sources};
use crate::vault::{Vault, VaultError, kernel};

/// Examples of the command.
const EXAMPLES: &str = "Examples:
  tokenkeep vault rotate
  tokenkeep vault rotate --drop old-runner
  tokenkeep vault rotate --identity-file new-identity.txt
";

/// Give the vault a new key, and seal everything in it anew
///
/// The key of before opens nothing that is in the vault from then on, and the older generations are gone. What somebody
/// copied before stays as it was: log in again where that matters. Slots for recipients and plugins are wrapped anew, one
/// for a passphrase only with that passphrase; identity files that tokenkeep is told of get the new key in the place of the
/// old one. A refresh that is on its way is waited for; until all is done, and whatever interrupts it, the vault is either
/// the old one or the new one. The same command again removes what an interrupted one left. Entries that rest in the
/// keyring are not rotated: `tokenkeep vault migrate --to age` first, and `--to keyring` after.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Let go of a slot: it does not open the vault any more
    #[arg(long, value_name = "SLOT")]
    drop: Vec<EntryName>,
    /// Write the new key into this file, where the present one came from a descriptor, a credential or a variable
    #[arg(long, value_name = "FILE")]
    identity_file: Option<PathBuf>,
    /// Read the passphrases of slots from this descriptor, one a line
    #[arg(long, value_name = "N", value_parser = descriptor::given)]
    slot_passphrase_fd: Option<i32>,
}

/// Passphrases that were typed or read, the latter with the number of their line.
type Heard = Rc<RefCell<Vec<(Passphrase, Option<usize>)>>>;

/// What a rotation needs, before anything is locked.
struct Plan {
    /// The vault as it is.
    vault: Vault,
    /// The identity files that change with it.
    files: Vec<PathBuf>,
    /// The keyring, if it holds the present key.
    keyring: Option<Keyring>,
    /// What gave the present key, if we cannot put the new one there.
    elsewhere: Option<String>,
    /// The new key, wrapped.
    successor: Successor,
}

/// Runs the command.
pub(super) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    let plan = plan(args, cx)?;
    let (before, files, elsewhere) = (plan.vault.recipient().to_owned(), plan.files.clone(), plan.elsewhere.clone());
    let is_in_keyring = plan.keyring.is_some();
    let rotated = carry_out(cx, plan)?;
    stay_open(cx, &before, &rotated.vault);
    let count = rotated.vault.shelf().names().map_err(VaultError::from)?.entries.len();
    if cx.printer.form == Form::Json {
        let names = |slots: &[Slot]| slots.iter().map(|slot| slot.name.to_string()).collect::<Vec<_>>();
        cx.printer.object(json!({
            "recipient": rotated.vault.recipient(),
            "recipient_before": before,
            "entries": count,
            "slots": names(rotated.vault.slots()),
            "dropped": args.drop,
            "identity_files": files.iter().map(|file| json_path(file)).collect::<Vec<_>>(),
            "replace_elsewhere": elsewhere,
        }))?;
    }
    cx.printer.notice(&format!("the vault has a new key; {} sealed anew", counted(count, "entry", "entries")));
    for file in &files {
        cx.printer.notice(&format!("the new key stands in {}", file.display()));
    }
    if is_in_keyring {
        cx.printer.notice("the new key rests in the keyring of the desktop");
    }
    if let (Some(source), Some(file)) = (&elsewhere, files.first()) {
        let file = file.display();
        cx.printer.say(&format!("{source} opens the vault no more: what stands in {file} has to go there"));
    }
    for fault in &rotated.faults {
        let fault = chain(fault);
        cx.printer.say(&format!("not all could be tidied up: {fault}; type `tokenkeep vault rotate` again"));
    }
    cx.printer.notice("on other machines that use this vault: `tokenkeep vault verify --trust`");
    cx.printer.notice("backups made before open with the old key alone: make a new one with `tokenkeep vault backup`");
    cx.printer.notice("who knew the old key may know what was in the vault: log in again where that matters");
    Ok(Outcome::Done)
}

/// Opens the vault and finds out how the new key can be kept; nothing is changed yet.
fn plan(args: &Args, cx: &Context) -> Result<Plan, Failure> {
    let (sources, heard) = (cx.sources()?, Heard::default());
    let vault = open(cx, &sources, &heard)?;
    if let Some(number) = args.slot_passphrase_fd {
        let lines = unlock::read_passphrases("--slot-passphrase-fd", number)?;
        heard.borrow_mut().extend(lines.into_iter().zip((1..).map(Some)));
    }
    let files = identity_files(args, &sources, &vault)?;
    let keyring = sources.keyring.clone().filter(|keyring| unlock::is_in_keyring(keyring, vault.recipient()));
    let is_kept = sources.is_named_file() || keyring.is_some() && sources.is_keyring();
    let is_elsewhere = !vault.is_opened_by_slot() && !is_kept;
    let elsewhere = sources.present(Lent::No).filter(|_| is_elsewhere);
    if let Some(source) = elsewhere.as_ref().filter(|_| files.is_empty()) {
        let message = format!("the present key came from {source}, and the new one has to go somewhere");
        return Err(Failure::new(Kind::Usage, message)
            .hint("name a file for it: `tokenkeep vault rotate --identity-file FILE`, and put it in its place then"));
    }
    let wrappings = wrappings(args, cx, &vault, &heard)?;
    if files.is_empty() && keyring.is_none() && wrappings.is_empty() {
        return Err(Failure::new(Kind::Usage, "nothing would open the vault any more")
            .hint("keep a slot, or name a file for the new key: `tokenkeep vault rotate --identity-file FILE`"));
    }
    let successor = vault.successor(wrappings, cx.asker().as_deref())?;
    Ok(Plan { vault, files, keyring, elsewhere, successor })
}

/// Opens the vault and keeps what was typed for it: the slot that it opened is wrapped for it again.
fn open(cx: &Context, sources: &Sources, heard: &Heard) -> Result<Vault, Failure> {
    let (site, pin) = (cx.site()?, cx.pin()?);
    let listening = |answer: Box<AskPassphrase>| -> Box<AskPassphrase> {
        let heard = Rc::clone(heard);
        Box::new(move |question| {
            answer(question).inspect(|passphrase| heard.borrow_mut().push((passphrase.clone(), None)))
        })
    };
    let (None, Some(number)) = (sources.identity_fd, sources.passphrase_fd) else {
        return Ok(Vault::open(&site, &pin, sources, cx.asker().map(listening).as_deref())?);
    };
    let given = unlock::read_passphrase("--passphrase-fd", number)?;
    let answer = listening(Box::new(move |_| Ok(given.clone())));
    match Vault::open(&site, &pin, &Sources::default(), Some(&*answer)) {
        Err(VaultError::WrongPassphrase { .. }) => {
            Err(VaultError::WrongPassphrase { source_name: format!("--passphrase-fd {number}") }.into())
        }
        opened => Ok(opened?),
    }
}

/// Returns the identity files that hold the vault's own key, and the one that is named for it.
fn identity_files(args: &Args, sources: &Sources, vault: &Vault) -> Result<Vec<PathBuf>, Failure> {
    let real = |path: &PathBuf| std::fs::canonicalize(path).unwrap_or_else(|_| absolute(path));
    let mut files: Vec<PathBuf> = Vec::new();
    for path in sources.named_files() {
        if vault.is_opened_by(path)? {
            files.push(path.clone());
        }
    }
    if let Some(file) = &args.identity_file {
        files.push(absolute(file));
    }
    let mut known = Vec::new();
    files.retain(|file| {
        let file = real(file);
        let is_new = !known.contains(&file);
        known.push(file);
        is_new
    });
    Ok(files)
}

/// Returns how each slot is wrapped anew.
fn wrappings(args: &Args, cx: &Context, vault: &Vault, heard: &Heard) -> Result<Vec<(EntryName, Wrapping)>, Failure> {
    if let Some(unknown) = args.drop.iter().find(|name| vault.slots().iter().all(|slot| slot.name != **name)) {
        return Err(VaultError::NoSuchSlot { name: unknown.clone() }.into());
    }
    let kept = vault.slots().iter().filter(|slot| !args.drop.contains(&slot.name));
    let wrapping = |slot: &Slot| match wrapping_of(slot) {
        Some(wrapping) => Ok((slot.name.clone(), wrapping)),
        None => Ok((slot.name.clone(), Wrapping::Passphrase(passphrase_of(slot, cx, vault, heard)?))),
    };
    kept.map(wrapping).collect()
}

/// Returns the passphrase of a slot: one that was heard, or one that a person types now.
fn passphrase_of(slot: &Slot, cx: &Context, vault: &Vault, heard: &Heard) -> Result<Passphrase, Failure> {
    for (passphrase, _) in heard.borrow().iter() {
        if vault.opens(slot, passphrase)? {
            return Ok(passphrase.clone());
        }
    }
    let name = &slot.name;
    let Some(ask) = cx.asker() else {
        let message = format!("the slot `{name}` cannot be wrapped anew without its passphrase");
        let failure = Failure::new(Kind::Locked, message).hint(format!(
            "give it on a descriptor, `--slot-passphrase-fd 3 3<FILE`, or let go of it: `--drop {name}`"
        ));
        return Err(wrong_lines(vault, heard)?.into_iter().fold(failure, Failure::because));
    };
    let passphrase = ask(&format!("Passphrase of the slot `{name}`: "))?;
    if vault.opens(slot, &passphrase)? {
        return Ok(passphrase);
    }
    Err(VaultError::WrongPassphrase { source_name: format!("the slot `{name}`") }.into())
}

/// Says of each line that was read whether it opens no slot at all.
fn wrong_lines(vault: &Vault, heard: &Heard) -> Result<Vec<String>, Failure> {
    let mut wrong = Vec::new();
    let slots = || vault.slots().iter().filter(|slot| wrapping_of(slot).is_none());
    for (passphrase, line) in heard.borrow().iter() {
        let Some(line) = line else { continue };
        let opened = slots().map(|slot| vault.opens(slot, passphrase)).collect::<Result<Vec<bool>, _>>()?;
        if !opened.contains(&true) {
            wrong.push(format!("passphrase {line} of --slot-passphrase-fd opens no slot"));
        }
    }
    Ok(wrong)
}

/// Takes every lock, publishes what waits to be published, and rotates.
fn carry_out(cx: &Context, plan: Plan) -> Result<Rotated, Failure> {
    let Plan { vault, files, keyring, successor, .. } = plan;
    let pin = cx.pin()?;
    let rotation =
        vault.begin_rotation(Outside { pin: &pin, files: &files, keyring: keyring.as_ref() }, LOCK_PATIENCE)?;
    let refusals = match prepare(cx, &vault, &rotation) {
        Ok(refusals) => refusals,
        Err(failure) => {
            rotation.abandon();
            return Err(failure);
        }
    };
    let rotated = rotation.finish(successor)?;
    let keeper = cx.keeper(&rotated.vault)?;
    for (index, note) in refusals {
        if let Some((name, lock)) = rotated.locks.get(index) {
            keeper.renew_refusal(name, cx.settings()?.profile(&name.profile()).ok().as_ref(), (note, lock));
        }
    }
    Ok(rotated)
}

/// Lets a vault that `unlock` left open stay so for the rest of the time, and takes the key of before out of the kernel.
fn stay_open(cx: &mut Context, before: &str, vault: &Vault) {
    // where the kernel's keyring cannot be asked nothing was left open
    let Ok(Some(until)) = kernel::close_former(before) else { return };
    let now = cx.now();
    if until > now
        && let Err(error) = vault.leave_open(until.since(now), now)
    {
        cx.printer.notice(&format!("the vault is closed now: {}", chain(&error)));
    }
}

/// Publishes answers that wait for it, and returns the refusals that hold, by the numbers of their locks.
fn prepare(cx: &Context, vault: &Vault, rotation: &Rotation<'_>) -> Result<Vec<(usize, Note)>, Failure> {
    let (keeper, settings) = (cx.keeper(vault)?, cx.settings()?);
    let mut refusals = Vec::new();
    for (index, (name, lock)) in rotation.locks.iter().enumerate() {
        let profile = settings.profile(&name.profile()).ok();
        let described = (Doing::Refresh, Named::of(profile.as_ref()));
        keeper.adopt_unpublished(name, lock).map_err(|error| keeper_failure(name, described, error))?;
        refusals.extend(keeper.refusal(name, profile.as_ref(), lock).map(|note| (index, note)));
    }
    Ok(refusals)
}
