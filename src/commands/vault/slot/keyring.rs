//! `vault slot add --keyring` and `remove --keyring`: the keyring of the desktop, which holds the vault's own key and has no
//! slot.

use serde_json::json;

use crate::commands::init::without_keyring;
use crate::commands::{Context, Outcome};
use crate::error::{Failure, Kind};
use crate::output::Form;
use crate::settings::edit::Edit;
use crate::vault::unlock;

/// Lets the keyring open the vault, too.
pub(super) fn add(cx: &mut Context) -> Result<Outcome, Failure> {
    let vault = cx.open_vault()?;
    let _alone = vault.hold()?;
    vault
        .keep_in_keyring(&cx.keyring())
        .map_err(|error| without_keyring(error, "tokenkeep vault slot add passphrase"))?;
    let mut edit = Edit::open(&cx.settings()?.path)?;
    edit.set(&["unlock"], "keyring", true)?;
    edit.save()?;
    if cx.printer.form == Form::Json {
        cx.printer.object(json!({"name": null, "kind": "keyring", "recipient": null}))?;
    }
    cx.printer.notice("the keyring of the desktop opens the vault now, too");
    if let Some(file) = cx.settings()?.identity_file() {
        let (file, config) = (file.display(), cx.settings()?.path.display());
        cx.printer.notice(&format!(
            "unlock.identity_file ({file}) is used first: if the keyring shall do alone, take that line out of {config}, \
             and the file away"
        ));
    }
    Ok(Outcome::Done)
}

/// Takes the vault's key out of the keyring, unless nothing else is known to open the vault.
pub(super) fn remove(cx: &Context) -> Result<(), Failure> {
    let (vault, sources, keyring) = (cx.open_vault()?, cx.sources()?, cx.keyring());
    let _alone = vault.hold()?;
    if sources.keyring.is_none() && !unlock::is_in_keyring(&keyring, vault.recipient()) {
        return Err(Failure::new(Kind::NotFound, "the keyring of the desktop does not open this vault")
            .hint("see what does with `tokenkeep status`"));
    }
    if vault.slots().is_empty() && !sources.is_named() {
        return Err(Failure::new(Kind::Usage, "the keyring is the only way into this vault that is known")
            .hint("add another one first: `tokenkeep vault slot add passphrase`"));
    }
    unlock::forget_in_keyring(&keyring, vault.recipient())?;
    let mut edit = Edit::open(&cx.settings()?.path)?;
    edit.set(&["unlock"], "keyring", false)?;
    Ok(edit.save()?)
}
