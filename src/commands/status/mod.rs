//! `status`: the vault, how it is unlocked, what is due and what is wrong.

mod health;

use serde_json::{Value, json};

use super::problems::Problem;
use super::{Context, Outcome};
use crate::error::Failure;
use crate::output::{Form, json_path, put_time};
use crate::settings::report::Setting;
use health::{Health, Left, Lookup};

/// Examples of the command.
const EXAMPLES: &str = "Examples:
  tokenkeep status
  tokenkeep status --explain
  tokenkeep status --json
";

/// Show the vault, how it is unlocked, what is due and what is wrong
///
/// Nothing is asked, neither of a person nor of a provider, and nothing is changed. The exit code is 0 whatever is wrong,
/// as long as the configuration can be read.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Show every setting, and where it came from
    #[arg(long)]
    explain: bool,
}

/// Runs the command.
pub(crate) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    let health = Health::examine(cx)?;
    let settings = cx.settings()?.report(&cx.host.env, cx.globals.config.as_deref());
    let explained = args.explain.then_some(settings.as_slice());
    let config = cx.settings()?.path.clone();
    let backend = settings
        .iter()
        .find(|setting| setting.key == "vault.backend")
        .and_then(|found| found.value.as_ref().ok()?.as_ref().map(ToString::to_string));
    if cx.printer.form == Form::Json {
        let mut object = object(&health);
        if let Some(fields) = object.as_object_mut() {
            fields.insert("backend".to_owned(), json!(backend));
            fields.insert("config".to_owned(), json!({"path": json_path(&config), "exists": config.exists()}));
            fields
                .insert("settings".to_owned(), json!(explained.map(|all| all.iter().map(setting).collect::<Vec<_>>())));
        }
        cx.printer.object(object)?;
        return Ok(Outcome::Done);
    }
    let presence = if config.exists() { "" } else { " (not there)" };
    let mut facts = facts(&health);
    facts.extend(backend.map(|backend| ("backend", backend)));
    facts.push(("config", format!("{}{presence}", config.display())));
    facts.extend(health.problems.iter().map(|problem| ("wrong", format!("{}; {}", problem.what, problem.mend))));
    cx.printer.facts(&facts)?;
    if let Some(settings) = explained {
        cx.printer.line("")?;
        let rows: Vec<_> = settings.iter().filter_map(row).collect();
        cx.printer.table(&["SETTING", "VALUE", "FROM"], &rows)?;
    }
    Ok(Outcome::Done)
}

/// Describes everything to people.
fn facts(health: &Health) -> Vec<(&'static str, String)> {
    let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "none".to_owned());
    let slots: Vec<String> = health.slots.iter().map(|slot| format!("{} ({})", slot.name, slot.kind.name())).collect();
    let source = match (&health.source, &health.opens) {
        (Some(source), Lookup::Open) => format!("{source}: opens the vault"),
        (Some(source), Lookup::Failed(_)) => format!("{source}: does not open the vault"),
        (Some(source), Lookup::Locked(_) | Lookup::Missing) => source.clone(),
        (None, Lookup::Locked(_) | Lookup::Failed(_)) => "nothing here opens the vault: it is locked".to_owned(),
        (None, Lookup::Open | Lookup::Missing) => "none".to_owned(),
    };
    let left = match health.left {
        Left::Open(Some(until)) => format!("in the kernel keyring, until {until}"),
        Left::Open(None) => "in the kernel keyring, for an unknown time".to_owned(),
        Left::Closed => "no".to_owned(),
        Left::Unusable(fault) => format!("no: {fault}"),
    };
    let counts: Vec<String> =
        health.counts.iter().filter(|(_, count)| *count > 0).map(|(state, count)| format!("{count} {state}")).collect();
    let counted = if counts.is_empty() { String::new() } else { format!(": {}", counts.join(", ")) };
    vec![
        (
            "vault",
            format!("{}{}", health.vault.display(), if health.opens == Lookup::Missing { " (not there)" } else { "" }),
        ),
        ("recipient", or_none(&health.recipient)),
        ("pinned", or_none(&health.pinned)),
        ("slots", if slots.is_empty() { "none".to_owned() } else { slots.join(", ") }),
        ("unlocked by", source),
        ("left open", left),
        (
            "entries",
            format!(
                "{}{counted}{}",
                health.entries,
                if health.has_issue_key { "; one is the ledger's issue key" } else { "" }
            ),
        ),
    ]
}

/// Describes everything to programs.
fn object(health: &Health) -> Value {
    let slots: Vec<Value> =
        health.slots.iter().map(|slot| json!({"name": slot.name, "kind": slot.kind.name()})).collect();
    let opens = match health.opens {
        Lookup::Open => Some(true),
        Lookup::Failed(_) | Lookup::Locked(_) => Some(false),
        Lookup::Missing => None,
    };
    let mut left = json!({
        "open": matches!(health.left, Left::Open(_)),
        "error": if let Left::Unusable(fault) = health.left { Some(fault.to_string()) } else { None },
    });
    put_time(&mut left, "until", if let Left::Open(until) = health.left { until } else { None });
    let mut entries = json!({"total": health.entries, "issue_key": health.has_issue_key});
    for (state, count) in &health.counts {
        if let Some(fields) = entries.as_object_mut() {
            fields.insert(state.replace(' ', "_"), json!(count));
        }
    }
    let problem = |problem: &Problem| json!({"what": problem.what, "mend": problem.mend});
    json!({
        "vault": {
            "path": json_path(&health.vault),
            "exists": health.opens != Lookup::Missing,
            "recipient_digest": health.recipient,
            "pinned_digest": health.pinned,
            "slots": slots,
        },
        "unlock": {
            "source": health.source,
            "opens": opens,
            "locked": matches!(health.opens, Lookup::Locked(_)),
            "kernel_keyring": left,
        },
        "entries": entries,
        "problems": health.problems.iter().map(problem).collect::<Vec<_>>(),
    })
}

/// Describes a setting to programs.
fn setting(setting: &Setting) -> Value {
    let (value, error) = match &setting.value {
        Ok(value) => (value.as_ref(), None),
        Err(error) => (None, Some(error.to_string())),
    };
    json!({"key": setting.key, "value": value, "origin": setting.origin.to_string(), "error": error})
}

/// Describes a setting to people; one that is not set has no row.
fn row(setting: &Setting) -> Option<Vec<String>> {
    let value = match &setting.value {
        Ok(value) => value.as_ref()?.to_string(),
        Err(error) => format!("({error})"),
    };
    Some(vec![setting.key.clone(), value, setting.origin.to_string()])
}
