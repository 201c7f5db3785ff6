//! Finding out how everything stands: nothing is changed, and whatever is wrong is put down with what mends it.

use std::path::PathBuf;

use crate::commands::Context;
use crate::commands::issued::is_issue_key;
use crate::commands::problems::{Problem, misplaced, of_default, of_entry, of_profile};
use crate::commands::seen::{self, Seen};
use crate::error::Failure;
use crate::host::kernel_keyring::KernelFault;
use crate::profile::EntryName;
use crate::token::time::Timestamp;
use crate::vault::header::{Header, Slot};
use crate::vault::kernel;
use crate::vault::keyring::DesktopFault;
use crate::vault::sealing::digest_hex;
use crate::vault::shelf::Shelf;
use crate::vault::unlock::Lent;
use crate::vault::{Vault, VaultError};

/// How everything stands.
pub(super) struct Health {
    /// The vault's folder.
    pub(super) vault: PathBuf,
    /// The digest of the vault's recipient.
    pub(super) recipient: Option<String>,
    /// The digest that is pinned.
    pub(super) pinned: Option<String>,
    /// The vault's slots.
    pub(super) slots: Vec<Slot>,
    /// The source that would unlock the vault.
    pub(super) source: Option<String>,
    /// What came of opening it.
    pub(super) opens: Lookup,
    /// Whether `unlock` left it open.
    pub(super) left: Left,
    /// How many entries there are.
    pub(super) entries: usize,
    /// Whether one of them is what derived secrets come from.
    pub(super) has_issue_key: bool,
    /// How many of them are in each state; nothing if nobody can look.
    pub(super) counts: Vec<(&'static str, usize)>,
    /// What is wrong.
    pub(super) problems: Vec<Problem>,
}

/// What came of opening the vault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Lookup {
    /// It is open.
    Open,
    /// Nothing is there that could open it without a person; the problem is known where the keyring is what is locked.
    Locked(Option<Problem>),
    /// It does not open.
    Failed(Problem),
    /// There is none.
    Missing,
}

/// Whether `unlock` left the vault open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// It is open, until a time that is known unless somebody else put something there.
    Open(Option<Timestamp>),
    /// It is not.
    Closed,
    /// It cannot be.
    Unusable(KernelFault),
}

/// Every state that is counted, also if no entry is in it.
const STATES: [&str; 12] = [
    "good",
    "due",
    "refreshing",
    "unavailable",
    "response lost",
    "refused",
    "spent",
    "moved",
    "unusable",
    "expired",
    "unknown",
    "damaged",
];

impl Health {
    /// Looks at everything.
    pub(super) fn examine(cx: &Context) -> Result<Self, Failure> {
        let folder = cx.vault_folder()?;
        let sources = cx.sources()?;
        let (vault, opens) = match Vault::open(&cx.site()?, &cx.pin()?, &sources, None) {
            Ok(vault) => (Some(vault), Lookup::Open),
            Err(VaultError::Missing { .. }) => (None, Lookup::Missing),
            Err(VaultError::Locked { .. }) => (None, Lookup::Locked(None)),
            Err(error @ VaultError::Desktop { fault: DesktopFault::Locked, .. }) => {
                (None, Lookup::Locked(Some(Problem::of(error.into()))))
            }
            Err(error) => (None, Lookup::Failed(Problem::of(error.into()))),
        };
        // what is wrong with them was said when the vault was opened
        let header = Header::read(&folder).ok();
        let left = header.as_ref().map_or(Left::Closed, |header| left(&header.recipient));
        let pinned = cx.pin()?.read().ok().flatten();
        let names = Shelf::of(&folder).names().unwrap_or_default().entries;
        let seen = look_at_all(cx, vault.as_ref(), &names)?;
        let mut problems = of_vault(cx, &opens)?;
        problems.extend(misplaced(cx, &names)?);
        problems.extend(seen.iter().filter_map(of_entry));
        let settings = cx.settings()?;
        problems.extend(of_default(settings, &names));
        problems.extend(settings.config.profiles.keys().flat_map(|name| of_profile(settings, name, &names)));
        let count = |state: &'static str| (state, seen.iter().filter(|one| one.state() == Some(state)).count());
        Ok(Self {
            recipient: header.as_ref().map(|header| digest_hex(&header.recipient)),
            slots: header.map(|header| header.slots).unwrap_or_default(),
            pinned,
            source: sources.present(if matches!(left, Left::Open(_)) { Lent::Yes } else { Lent::No }),
            left,
            entries: names.len(),
            has_issue_key: names.iter().any(is_issue_key),
            counts: if vault.is_some() { STATES.map(count).to_vec() } else { Vec::new() },
            vault: folder,
            opens,
            problems,
        })
    }
}

/// Looks whether `unlock` left a vault open.
fn left(recipient: &str) -> Left {
    match kernel::find(recipient) {
        Ok(Some(opened)) => Left::Open(opened.until),
        Ok(None) => Left::Closed,
        Err(fault) => Left::Unusable(fault),
    }
}

/// Looks at every entry.
fn look_at_all(cx: &Context, vault: Option<&Vault>, names: &[EntryName]) -> Result<Vec<Seen>, Failure> {
    names.iter().filter_map(|name| seen::look(cx, vault, name).transpose()).collect()
}

/// Says what is wrong with the vault. A locked one is as it should be where a person types a passphrase.
fn of_vault(cx: &Context, opens: &Lookup) -> Result<Vec<Problem>, Failure> {
    Ok(match opens {
        Lookup::Open => Vec::new(),
        Lookup::Missing => {
            let what = format!("there is no vault in {}", cx.vault_folder()?.display());
            vec![Problem::new(what, "make one with `tokenkeep init`")]
        }
        Lookup::Locked(None) if cx.asker().is_some() => Vec::new(),
        Lookup::Locked(None) => {
            // what keeps the kernel's keyring from being asked is told apart
            let locked = VaultError::Locked { slots: slot_kinds(cx)?, kernel: None };
            vec![Problem::of(locked.into())]
        }
        Lookup::Locked(Some(problem)) | Lookup::Failed(problem) => vec![problem.clone()],
    })
}

/// Returns the kinds of the vault's slots.
fn slot_kinds(cx: &Context) -> Result<Vec<crate::vault::header::SlotKind>, Failure> {
    let header = Header::read(&cx.vault_folder()?).ok();
    Ok(header.into_iter().flat_map(|header| header.slots).map(|slot| slot.kind).collect())
}
