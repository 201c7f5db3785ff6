//! `doctor`: looks at everything, says how to mend it, and mends what is safe.

mod environment;
mod finding;
mod fix;
mod network;
mod schedule;
mod settings;
mod vault;

use serde_json::{Value, json};

use super::{Context, Outcome};
use crate::error::{Failure, Kind};
use crate::host::folders::Folders;
use crate::host::machine;
use crate::output::Form;
use crate::vault::{Vault, VaultError};
use finding::{Finding, Redaction, Status};

/// Examples of the command.
const EXAMPLES: &str = "Examples:
  tokenkeep doctor
  tokenkeep doctor --fix
  tokenkeep doctor --offline --json
";

/// Check everything and say how to mend it
///
/// Each line is ok, info, skip, warn or fail, with what mends it. Nobody is asked anything, and the vault may be locked.
/// The exit code is 1 if something failed and was not mended. The report holds no secrets and can be shown to others: the
/// home folder is written as `~`; the names of entries and profiles and the addresses of providers are in it.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Mend what is safe: modes, missing folders, what killed processes left, answers that were never published
    #[arg(long)]
    fix: bool,
    /// Ask no provider
    #[arg(long)]
    offline: bool,
}

/// A check: it looks, and puts down what it finds.
type Check = fn(&Scene<'_>) -> Vec<Finding>;

/// What looks at this machine alone, in the order in which people read it.
const CHECKS: [Check; 19] = [
    environment::program,
    environment::surroundings,
    environment::variables,
    settings::file,
    settings::overrides,
    environment::folders,
    environment::room,
    environment::writing,
    environment::clock,
    vault::header,
    vault::files,
    vault::unlocking,
    vault::kernel_keyring,
    vault::desktop_keyring,
    vault::leftovers,
    vault::entries,
    settings::profiles,
    settings::ledger,
    schedule::refreshing,
];

/// What all checks look at.
struct Scene<'a> {
    /// The world, and the settings if they can be read.
    cx: &'a Context,
    /// The vault, if it opens without a person; else why not.
    vault: Result<Result<Vault, VaultError>, Failure>,
}

/// How often is looked again after something was mended: a folder's mode may hide what is wrong inside it.
const ROUNDS: usize = 4;

/// Runs the command.
pub(crate) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    let mut mended = Vec::new();
    let mut findings = look(cx);
    for _ in 0..if args.fix { ROUNDS } else { 0 } {
        let done = fix::mend(cx, &findings);
        if done.is_empty() {
            break;
        }
        mended.extend(done);
        findings = look(cx);
    }
    findings.extend(ask_providers(args, cx));
    report(cx, &findings, &mended)?;
    outcome(&findings)
}

impl<'a> Scene<'a> {
    /// Opens what can be opened.
    fn of(cx: &'a Context) -> Self {
        let open = || {
            let (site, pin, sources) = (cx.site()?, cx.pin()?, cx.sources()?);
            Ok(Vault::open(&site, &pin, &sources, None))
        };
        Self { cx, vault: open() }
    }

    /// Returns the open vault.
    fn open_vault(&self) -> Option<&Vault> {
        self.vault.as_ref().ok().and_then(|vault| vault.as_ref().ok())
    }

    /// Returns where everything is; a broken configuration does not hide that.
    fn folders(&self) -> Option<Folders> {
        Folders::of(&self.cx.host).ok()
    }
}

/// Looks at everything on this machine.
fn look(cx: &Context) -> Vec<Finding> {
    let scene = Scene::of(cx);
    CHECKS.iter().flat_map(|check| check(&scene)).collect()
}

/// Asks the providers, unless that was ruled out.
fn ask_providers(args: &Args, cx: &mut Context) -> Vec<Finding> {
    if args.offline {
        return vec![Finding::new("providers", Status::Skip, "not asked: --offline")];
    }
    if cx.settings().is_ok_and(|settings| !settings.config.profiles.is_empty()) {
        cx.printer.notice(&format!("asking the providers, for {} s at most", network::PATIENCE.as_secs()));
    }
    network::providers(&Scene::of(cx))
}

/// Prints what was found, and what was done about it.
fn report(cx: &mut Context, findings: &[Finding], mended: &[String]) -> Result<(), Failure> {
    let home = Folders::of(&cx.host).ok().and_then(|folders| folders.home);
    let redact = Redaction::of(home.as_deref(), machine::user());
    if cx.printer.form == Form::Json {
        let count = |status| findings.iter().filter(|finding| finding.status == status).count();
        let counts = [Status::Ok, Status::Info, Status::Skip, Status::Warn, Status::Fail];
        let counts: serde_json::Map<String, Value> =
            counts.into_iter().map(|status| (status.word().to_owned(), json!(count(status)))).collect();
        return Ok(cx.printer.object(json!({
            "version": env!("CARGO_PKG_VERSION"),
            "checks": findings.iter().map(|finding| finding.object(&redact)).collect::<Vec<_>>(),
            "counts": counts,
            "mended": mended.iter().map(|done| redact.text(done)).collect::<Vec<_>>(),
        }))?);
    }
    let width = findings.iter().map(|finding| finding.check.chars().count()).max().unwrap_or(0).min(WIDEST);
    for done in mended {
        cx.printer.line(&format!("done  {}", redact.text(done)))?;
    }
    for finding in findings {
        let mend = finding.mend.as_ref().map(|mend| format!("; {mend}")).unwrap_or_default();
        let said = redact.text(&format!("{}{mend}", finding.message));
        cx.printer.line(&format!("{:<4}  {:<width$}  {said}", finding.status.word(), finding.check))?;
    }
    Ok(())
}

/// The names of entries can have 64 characters; most have ten.
const WIDEST: usize = 24;

/// Fails if something is left that does not work.
fn outcome(findings: &[Finding]) -> Result<Outcome, Failure> {
    let failed: Vec<&Finding> = findings.iter().filter(|finding| finding.status == Status::Fail).collect();
    if failed.is_empty() {
        return Ok(Outcome::Done);
    }
    let checks = if failed.len() == 1 { "check" } else { "checks" };
    let hint = if failed.iter().any(|finding| finding.fix.is_some()) {
        "mend what can be mended: `tokenkeep doctor --fix`"
    } else {
        "each line says what mends it"
    };
    Err(Failure::new(Kind::Failed, format!("{} {checks} failed", failed.len())).hint(hint))
}
