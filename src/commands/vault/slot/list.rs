//! `vault slot list`: the slots, after checking that the list is ours.

use serde_json::{Value, json};

use crate::commands::{Context, Outcome};
use crate::error::Failure;
use crate::output::Form;
use crate::vault::header::Slot;

/// Runs the command.
pub(super) fn run(cx: &mut Context) -> Result<Outcome, Failure> {
    let vault = cx.open_vault()?;
    if cx.printer.form == Form::Json {
        cx.printer.objects(vault.slots().iter().map(object).collect())?;
    } else if vault.slots().is_empty() {
        cx.printer.notice("no slots: the vault opens with its own key alone");
    } else {
        let rows: Vec<Vec<String>> = vault.slots().iter().map(row).collect();
        cx.printer.table(&["SLOT", "KIND", "RECIPIENT"], &rows)?;
    }
    Ok(Outcome::Done)
}

/// Describes to a program a slot that was added or changed.
pub(super) fn report(cx: &mut Context, slot: Option<&Slot>) -> Result<(), Failure> {
    if cx.printer.form == Form::Json {
        cx.printer.object(slot.map_or(Value::Null, object))?;
    }
    Ok(())
}

/// Describes a slot to programs.
fn object(slot: &Slot) -> Value {
    json!({"name": slot.name, "kind": slot.kind.name(), "recipient": slot.recipient})
}

/// Describes a slot to people.
fn row(slot: &Slot) -> Vec<String> {
    vec![slot.name.to_string(), slot.kind.name().to_owned(), slot.recipient.clone().unwrap_or_default()]
}
