//! `audit`: checks the ledger against its own rules, and its history against itself.

use serde_json::{Value, json};

use super::actor::{Acting, AsArgs};
use super::{Context, Outcome};
use crate::error::{Failure, Kind};
use crate::ledger::audit::{Alert, Check, Fix, Mended};
use crate::ledger::chain::Tampered;
use crate::ledger::history::{BEGINNING, Hash, Head};
use crate::ledger::maintain::hex;
use crate::output::Form;
use crate::token::text::escaped;

/// Examples of the command.
const EXAMPLES: &str = "Examples:
  tokenkeep audit
  tokenkeep audit --fix
  tokenkeep audit --head | logger -t tokenkeep
  tokenkeep audit --since 120:5f0c6a1b9c8e7d6f5a4b3c2d1e0f9a8b7c6d5e4f3a2b1c0d9e8f7a6b5c4d3e2f
";

/// Check the ledger, and its history
///
/// One line for each thing that is wrong; exit code 1 if any of it remains. The chain of hashes finds accidents. Who can
/// write the ledger can rewrite history: to find that, keep what --head prints elsewhere, and compare with --since.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Mend what can be mended
    #[arg(long)]
    fix: bool,
    /// Print the number and hash of the newest record, and check nothing
    #[arg(long, conflicts_with_all = ["fix", "since"])]
    head: bool,
    /// Check that history still holds what it held then
    #[arg(long, value_name = "N:HASH")]
    since: Option<Since>,
    #[command(flatten)]
    acting: AsArgs,
}

/// A number and a hash that were kept.
#[derive(Clone, Debug)]
struct Since {
    /// The number.
    number: i64,
    /// The hash.
    hash: Hash,
}

impl std::str::FromStr for Since {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = || {
            let (number, hash) = text.trim().split_once(':')?;
            let digits: Vec<u8> = hash.chars().map(|c| c.to_digit(16)?.try_into().ok()).collect::<Option<_>>()?;
            let bytes: Vec<u8> =
                digits.chunks_exact(2).map(|two| two.iter().fold(0, |byte, digit| byte << 4 | digit)).collect();
            let even = digits.len().is_multiple_of(2);
            Some(Self { number: number.parse().ok()?, hash: bytes.try_into().ok().filter(|_| even)? })
        };
        read().ok_or("not a number, a colon and 64 hexadecimal digits, as `audit --head` prints them")
    }
}

/// Runs the command.
pub(crate) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    let Some(mut acting) = args.acting.look(cx)? else { return without_a_ledger(args, cx) };
    acting.require_admin()?;
    let Acting { mut ledger, by, .. } = acting;
    if args.head {
        return print_head(cx, &ledger.head()?);
    }
    if let Some(since) = &args.since
        && let Err(tampered) = ledger.compare(since.number, &since.hash)?
    {
        return Err(not_the_same(since.number, tampered));
    }
    let known = cx.settings()?.known_scopes().cloned();
    let fix = if args.fix { Fix::Yes } else { Fix::No };
    let alerts = ledger.audit(known.as_ref(), fix, &by)?;
    print(cx, &alerts)?;
    let left: Vec<Check> = alerts.iter().filter(|alert| alert.mended == Mended::No).map(|alert| alert.check).collect();
    if left.is_empty() {
        cx.printer.notice(if alerts.is_empty() { "the ledger is sound" } else { "everything was mended" });
        return Ok(Outcome::Done);
    }
    let things = if left.len() == 1 { "thing is" } else { "things are" };
    Err(Failure::new(Kind::Failed, format!("{} {things} wrong with the ledger", left.len())).hint(hint(&left, fix)))
}

/// Looks at a history that nobody has begun. One of which a number was kept elsewhere was begun, and is gone.
fn without_a_ledger(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    let nothing = cx.no_ledger_yet()?;
    if let Some(since) =
        args.since.as_ref().filter(|since| (since.number, since.hash) != (BEGINNING.number, BEGINNING.hash))
    {
        return Err(Failure::new(
            Kind::Failed,
            format!("there is no history that could reach number {}", since.number),
        )
        .because(nothing)
        .hint("restore the ledger from a backup, or name the one that is meant: TOKENKEEP_LEDGER"));
    }
    cx.printer.notice(&nothing);
    if args.head {
        return print_head(cx, &BEGINNING);
    }
    print(cx, &[])?;
    Ok(Outcome::Done)
}

/// Says what helps against what is wrong.
fn hint(left: &[Check], fix: Fix) -> &'static str {
    let has = |test: fn(&Check) -> bool| left.iter().any(test);
    if fix == Fix::No && has(|check| check.is_mendable()) {
        "mend what can be mended: `tokenkeep audit --fix`"
    } else if has(|check| matches!(check, Check::Database | Check::Unreadable | Check::Chain)) {
        "nothing here mends that: look at it with `tokenkeep history`, and restore the ledger from a backup"
    } else {
        "see what each token is with `tokenkeep token show ID`"
    }
}

impl Check {
    /// Tells whether `--fix` can mend it.
    const fn is_mendable(self) -> bool {
        match self {
            Self::Overdue
            | Self::NotRunning
            | Self::StrayLease
            | Self::Outlives
            | Self::Orphan
            | Self::Cycle
            | Self::Exchanged => true,
            Self::Database
            | Self::Unreadable
            | Self::Duplicate
            | Self::UnknownScope
            | Self::Differs
            | Self::Unrecorded
            | Self::Chain => false,
        }
    }
}

/// Says why history cannot be vouched for.
fn not_the_same(number: i64, tampered: Tampered) -> Failure {
    let (message, hint) = match tampered {
        Tampered::Differs | Tampered::Shorter | Tampered::Missing => (
            format!("history is not what it was at number {number}"),
            "look at it with `tokenkeep history`, and restore the ledger from a backup",
        ),
        Tampered::Cut => (
            format!("history cannot be compared at number {number}"),
            "compare with a newer number and hash; they come from `tokenkeep audit --head`",
        ),
    };
    Failure::new(Kind::Failed, message).because(tampered.to_string()).hint(hint)
}

/// Prints the number and hash of the newest record.
fn print_head(cx: &mut Context, head: &Head) -> Result<Outcome, Failure> {
    let (number, hash) = (head.number, hex(&head.hash));
    match cx.printer.form {
        Form::Json => cx.printer.object(json!({"number": number, "hash": hash}))?,
        Form::Text => cx.printer.line(&format!("{number}:{hash}"))?,
    }
    Ok(Outcome::Done)
}

/// Prints one line for each alert.
fn print(cx: &mut Context, alerts: &[Alert]) -> Result<(), Failure> {
    let object = |alert: &Alert| -> Value {
        json!({
            "check": alert.check.word(),
            "token": alert.token,
            "message": alert.message,
            "mended": alert.mended == Mended::Yes,
        })
    };
    if cx.printer.form == Form::Json {
        return Ok(cx.printer.objects(alerts.iter().map(object).collect())?);
    }
    for alert in alerts {
        let token = alert.token.as_deref().map(|token| format!(" {token}")).unwrap_or_default();
        let mended = if alert.mended == Mended::Yes { " (mended)" } else { "" };
        cx.printer.line(&format!("{}{token}: {}{mended}", alert.check, escaped(&alert.message)))?;
    }
    Ok(())
}
