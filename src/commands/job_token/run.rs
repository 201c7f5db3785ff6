//! `job-token run`: runs a command as a job, with its token in its environment, and ends the job with it.

use std::ffi::{OsStr, OsString};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};

use super::AskArgs;
use crate::commands::exec::{self, OURS};
use crate::commands::variables::check_variable;
use crate::commands::{Context, Outcome};
use crate::error::{Failure, Kind};
use crate::host::child::{ChildEvent, Running, Watch};
use crate::ledger::Ledger;
use crate::ledger::issued::Issued;
use crate::ledger::lease::{RUN_LEASE, Renewal};
use crate::ledger::token::Token;
use crate::token::time::Lifetime;

/// How many times within a lease it is renewed: twice that may fail or be late.
const RENEWALS: u64 = 3;

/// Where the command finds its token.
const VARIABLE: &str = "TOKENKEEP_JOB_TOKEN";

/// Examples of the command.
const EXAMPLES: &str = "Examples:
  tokenkeep job-token run nightly-17 -- ./job
  tokenkeep job-token run nightly-17 --scope read --ttl 2h --var JOB_TOKEN -- make nightly
";

/// Run a command as a job, with its token in its environment
///
/// The token is good as long as the command runs, and not longer than --ttl. It ends on every way out; if this program is
/// killed or the machine fails, within 60 seconds, or its --lease. Signals are passed on. The exit code is the command's, or 128+N if
/// signal N killed it; 127 if it was not found, 126 if it cannot be run, 125 if it was never started. No vault is needed.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    ask: AskArgs,
    /// How long the token outlives this program if that is killed; which renews it in time [default: 60s]
    #[arg(long, value_name = "TIME")]
    lease: Option<Lifetime>,
    /// The variable that holds the token
    #[arg(long, value_name = "VAR", default_value = VARIABLE)]
    var: String,
    /// The command and its arguments, behind `--`
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<OsString>,
}

/// Runs the command.
pub(super) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    check_variable(&args.var).map_err(|failure| failure.with_code(OURS))?;
    let (sender, events) = mpsc::channel();
    // before there is a token: a signal must not leave it behind
    let watch = Watch::begin(&sender).map_err(|error| exec::unwatched(&error))?;
    let (mut ledger, issued) = begin(args, cx).map_err(|failure| failure.with_code(OURS))?;
    let token = issued.token.clone();
    let variables = [(args.var.as_str(), OsStr::new(issued.text.expose()))];
    let started = exec::start(&args.command, cx, &variables, &watch);
    drop(issued);
    let ran = started.and_then(|child| {
        attend(cx, &child, &events, (&mut ledger, &token));
        exec::end_of(child)
    });
    if let Err(error) = ledger.end_run(&token, &cx.by()) {
        // the command has run: its exit code is the answer, and the lease ends the token
        let why = Failure::from(error).one_line();
        cx.printer.say(&format!("the token of the job cannot be ended now, and ends with its lease: {why}"));
    }
    ran
}

/// Begins the job.
fn begin(args: &Args, cx: &mut Context) -> Result<(Ledger, Issued), Failure> {
    let ask = args.ask.ask(cx, Some(lease(args)?))?;
    let (mut acting, ask) = args.ask.begin(cx, ask)?;
    // it is for this program, not for the command
    args.ask.acting.forget(cx);
    let issued = acting.ledger.begin_run(&ask, &acting.actor, &acting.by);
    let issued = acting.answer(issued)?;
    Ok((acting.ledger, issued))
}

/// Returns how long the lease holds; one that is too short to be renewed in time is refused.
fn lease(args: &Args) -> Result<Lifetime, Failure> {
    let lease = args.lease.unwrap_or(RUN_LEASE);
    if lease.as_seconds() >= RENEWALS {
        return Ok(lease);
    }
    Err(Failure::new(Kind::Usage, format!("--lease {lease} is over before it can be renewed"))
        .hint(format!("give {RENEWALS} seconds at least: `--lease {RUN_LEASE}`")))
}

/// Waits for the command's end, passes signals on, and renews the lease meanwhile.
fn attend(cx: &mut Context, child: &Running, events: &Receiver<ChildEvent>, (ledger, token): (&mut Ledger, &Token)) {
    let length = token.lease.as_ref().and_then(|lease| lease.length).unwrap_or(RUN_LEASE);
    let renew_every = Lifetime::seconds(length.as_seconds() / RENEWALS);
    let (mut due, mut held) = (cx.now().after(renew_every), Renewal::Held);
    loop {
        match events.recv_timeout(renew_every.into()) {
            Ok(ChildEvent::Ended) | Err(RecvTimeoutError::Disconnected) => return,
            Ok(ChildEvent::Signal(signal)) => child.pass_on(signal),
            Err(RecvTimeoutError::Timeout) => due = cx.now(),
        }
        if held == Renewal::Held && cx.now() >= due {
            due = cx.now().after(renew_every);
            held = renew(cx, ledger, token);
        }
    }
}

/// Renews the lease, and says so when it is not ours any more.
fn renew(cx: &mut Context, ledger: &mut Ledger, token: &Token) -> Renewal {
    match ledger.renew_run(token, &cx.by()) {
        Ok(Renewal::Held) => Renewal::Held,
        Ok(Renewal::Lost) => {
            cx.printer.notice(
                "the token of the job is good no more: it was ended, revoked or taken over, or its time is over",
            );
            Renewal::Lost
        }
        Err(error) => {
            let why = Failure::from(error).one_line();
            cx.printer.notice(&format!("cannot renew the lease of the job, and will try again: {why}"));
            Renewal::Held
        }
    }
}
