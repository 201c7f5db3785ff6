//! `exec`: runs a command with tokens in its environment, and ends as the command does.

pub(crate) mod fresh;

use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use super::target::Handout;
use super::variables::{Filled, VariableArgs};
use super::{Context, Outcome};
use crate::error::{Failure, Kind};
use crate::host::child::{self, ChildEvent, Running, Watch};
use crate::token::text::shown;
use crate::vault::Vault;
use fresh::FreshFiles;

/// Our own failure, before the command was started.
pub(crate) const OURS: u8 = 125;

/// The command was found, and cannot be run.
const NOT_EXECUTABLE: u8 = 126;

/// The command was not found.
const NOT_FOUND: u8 = 127;

/// How long is waited for an event where nothing else is to do; it only bounds the wait.
const IDLE: Duration = Duration::from_secs(3_600);

/// Examples of the command.
const EXAMPLES: &str = "Examples:
  tokenkeep exec prod -- ./job
  tokenkeep exec prod --var API_TOKEN -- ./job
  tokenkeep exec prod --file -- sh -c './job --token-file \"$PROD_ACCESS_TOKEN_FILE\"'
";

/// Run a command with tokens in its environment
///
/// The variable is the profile's `var`, else the name in upper case with `_ACCESS_TOKEN` behind it; a secret's has nothing
/// behind it. Signals are passed on. The exit code is the command's, or 128+N if signal N killed it; 127 if it was not
/// found, 126 if it cannot be run, 125 if it was never started.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    variables: VariableArgs,
    /// Give the variable, with _FILE behind its name unless --var says it, the path of a private file that is kept fresh
    #[arg(long)]
    file: bool,
    /// The command and its arguments, behind `--`
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<OsString>,
}

/// What happens while the command runs.
enum Event {
    /// Something that concerns the child.
    Child(ChildEvent),
    /// An entry was asked again.
    Fetched {
        /// Which of the files it is for.
        index: usize,
        /// What it has.
        outcome: Result<Handout, Failure>,
    },
}

impl From<ChildEvent> for Event {
    fn from(event: ChildEvent) -> Self {
        Self::Child(event)
    }
}

/// Runs the command.
pub(crate) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    let (filled, vault) = obtain(args, cx).map_err(before_the_command)?;
    for notice in filled.iter().filter_map(|one| one.handout.notice()) {
        cx.printer.notice(notice);
    }
    fresh::sweep(cx);
    // the vault is open: what opened it need not stay in memory
    cx.host.env.wipe(child::IDENTITY);
    let (sender, events) = mpsc::channel();
    // before there are files: a signal must not leave them behind
    let watch = Watch::begin(&sender).map_err(|error| unwatched(&error))?;
    if args.file {
        let files = FreshFiles::write(cx, filled, vault, args.variables.var.as_ref(), sender);
        let files = files.map_err(|failure| failure.with_code(OURS))?;
        let child = start(&args.command, cx, &files.variables(), &watch)?;
        attend(cx, child, &events, Some(files))
    } else {
        // nothing more is asked of it
        drop(vault);
        let child = start(&args.command, cx, &texts(&filled), &watch)?;
        drop(filled);
        attend(cx, child, &events, None)
    }
}

/// Keeps a failure of ours apart from the command's own codes; a person who interrupts us ends both.
fn before_the_command(failure: Failure) -> Failure {
    if failure.kind == Kind::Interrupted { failure } else { failure.with_code(OURS) }
}

/// Gets all that the command is to have.
fn obtain(args: &Args, cx: &Context) -> Result<(Vec<Filled>, Vault), Failure> {
    let requests = args.variables.requests(cx)?;
    let vault = cx.open_vault()?;
    let filled = args.variables.fill(&cx.keeper(&vault)?, requests)?;
    let impossible = |one: &&Filled| !args.file && one.handout.secret().expose().contains('\0');
    if let Some(one) = filled.iter().find(impossible) {
        let message = format!("`{}` has a zero byte, which no environment variable can carry", one.request.target.name);
        return Err(Failure::new(Kind::Usage, message).hint("give the command a file: add --file"));
    }
    Ok((filled, vault))
}

/// Returns the variables with the texts themselves.
fn texts(filled: &[Filled]) -> Vec<(&str, &OsStr)> {
    filled.iter().map(|one| (one.variable.as_str(), OsStr::new(one.handout.secret().expose()))).collect()
}

/// Starts the command.
pub(crate) fn start(
    command: &[OsString],
    cx: &Context,
    variables: &[(&str, &OsStr)],
    watch: &Watch,
) -> Result<Running, Failure> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(Failure::new(Kind::Usage, "there is no command to run").hint("put it behind `--`").with_code(OURS));
    };
    Running::start((program, arguments), &cx.host.env, variables, watch).map_err(|error| {
        let program = shown(&program.to_string_lossy());
        let (code, hint) = match error.kind() {
            ErrorKind::NotFound => (NOT_FOUND, format!("look for it with `command -v {program}`")),
            ErrorKind::WouldBlock | ErrorKind::OutOfMemory => (OURS, "try again".to_owned()),
            _ => (NOT_EXECUTABLE, format!("see whether it may be run: `ls -ld {program}`")),
        };
        let failure = Failure::new(Kind::Failed, format!("cannot run `{program}`"));
        failure.because(error.to_string()).hint(hint).with_code(code)
    })
}

/// Describes that nobody would tell us of signals and of the command's end.
pub(crate) fn unwatched(error: &std::io::Error) -> Failure {
    let failure = Failure::new(Kind::Failed, "cannot watch over a command, so none was started");
    failure.because(error.to_string()).hint("try again; see the limits with `ulimit -a`").with_code(OURS)
}

/// Waits for the command's end, passes signals on and keeps the files fresh meanwhile.
fn attend(
    cx: &mut Context,
    child: Running,
    events: &Receiver<Event>,
    mut files: Option<FreshFiles>,
) -> Result<Outcome, Failure> {
    loop {
        let now = cx.now();
        let patience = files.as_mut().map_or(IDLE, |files| files.ask_for_due(now));
        match events.recv_timeout(patience) {
            Ok(Event::Child(ChildEvent::Ended)) | Err(RecvTimeoutError::Disconnected) => break,
            Ok(Event::Child(ChildEvent::Signal(signal))) => child.pass_on(signal),
            Ok(Event::Fetched { index, outcome }) => {
                let now = cx.now();
                if let Some(trouble) = files.as_mut().and_then(|files| files.renew(index, outcome, now)) {
                    cx.printer.notice(&trouble);
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
    end_of(child)
}

/// Makes the end of a command ours.
pub(crate) fn end_of(child: Running) -> Result<Outcome, Failure> {
    let code = child.exit_code();
    code.map(Outcome::Child).map_err(|error| {
        Failure::new(Kind::Failed, "cannot tell how the command ended").because(error.to_string()).with_code(OURS)
    })
}
