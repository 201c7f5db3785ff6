//! A command that runs as our child: what it inherits, what we wait for meanwhile, and how its end becomes ours.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc::{self, Receiver, Sender};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::SignalsInfo;
use signal_hook::iterator::exfiltrator::WithOrigin;
use signal_hook::low_level::siginfo::{Cause, Origin};

use super::{Environment, process, terminal};

/// What we are sent and the child is meant to get.
const PASSED_ON: [i32; 6] = [SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGQUIT, SIGINT];

/// What opens the vault, and is nobody else's business.
pub(crate) const IDENTITY: &str = "TOKENKEEP_IDENTITY";

/// What happens to a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChildEvent {
    /// It has ended, and waits to be asked how.
    Ended,
    /// We got a signal that is meant for it.
    Signal(i32),
}

/// What must be in place before a command is started: who tells of signals and of its end.
#[derive(Debug)]
pub(crate) struct Watch {
    /// Where the number of the command goes once it runs.
    number: Sender<Pid>,
}

impl Watch {
    /// Begins to watch. From now on signals do not end us: they come as events, also those that come before the command.
    pub(crate) fn begin<E: From<ChildEvent> + Send + 'static>(events: &Sender<E>) -> io::Result<Self> {
        let ignored = process::ignored_signals();
        let signals = SignalsInfo::new(PASSED_ON.iter().filter(|signal| !ignored.contains(signal)))?;
        process::stay_on_signals();
        tell_signals(signals, events.clone())?;
        let (number, started) = mpsc::channel();
        tell_end(started, events.clone())?;
        Ok(Self { number })
    }
}

/// A command that runs.
#[derive(Debug)]
pub(crate) struct Running {
    /// The process.
    child: Child,
    /// Its number, which is its own until it has been asked how it ended.
    pid: Pid,
}

impl Running {
    /// Starts a command with our environment and some variables more.
    pub(crate) fn start(
        (program, arguments): (&OsString, &[OsString]),
        env: &Environment,
        variables: &[(&str, &OsStr)],
        watch: &Watch,
    ) -> io::Result<Self> {
        let mut command = Command::new(program);
        command.args(arguments).env_clear().envs(env.iter().filter(|(name, _)| *name != IDENTITY));
        command.envs(variables.iter().copied());
        let child = process::start_foreign(&mut command)?;
        let pid = Pid::from_child(&child);
        // the thread waits for it as long as the watch lives
        watch.number.send(pid).ok();
        Ok(Self { child, pid })
    }

    /// Passes a signal on.
    pub(crate) fn pass_on(&self, signal: i32) {
        if let Some(signal) = Signal::from_named_raw(signal) {
            // it fails for a child that has ended, or that became somebody else's (a set-user-ID program)
            rustix::process::kill_process(self.pid, signal).ok();
        }
    }

    /// Asks a child that has ended how, as an exit code: its own, or 128 and the number of the signal that killed it.
    pub(crate) fn exit_code(mut self) -> io::Result<u8> {
        self.child.wait().map(code_of)
    }
}

/// Returns the exit code for an end.
fn code_of(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

/// Tells of every signal that arrives, also of those that came before the child did.
fn tell_signals<E: From<ChildEvent> + Send + 'static>(
    mut signals: SignalsInfo<WithOrigin>,
    events: Sender<E>,
) -> io::Result<()> {
    let tell = move || {
        for origin in signals.forever().filter(|origin| !has_reached_the_child(origin)) {
            if events.send(ChildEvent::Signal(origin.signal).into()).is_err() {
                break;
            }
        }
    };
    std::thread::Builder::new().spawn(tell).map(drop)
}

/// Tells when a child has ended. It stays a zombie, so that no signal of ours can meet another process of its number.
fn tell_end<E: From<ChildEvent> + Send + 'static>(started: Receiver<Pid>, events: Sender<E>) -> io::Result<()> {
    let tell = move || {
        let Ok(pid) = started.recv() else { return };
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while matches!(rustix::process::waitid(WaitId::Pid(pid), options), Err(rustix::io::Errno::INTR)) {}
        drop(events.send(ChildEvent::Ended.into()));
    };
    std::thread::Builder::new().spawn(tell).map(drop)
}

/// Tells whether the child has got a signal as well: what a terminal sends goes to the whole process group, and comes from
/// the kernel; only that it is gone, it tells the leader of the session alone. What another process sends comes to us.
fn has_reached_the_child(origin: &Origin) -> bool {
    match origin.cause {
        Cause::Kernel => origin.signal != SIGHUP || !is_session_leader(),
        Cause::Sent(_) | Cause::Chld(_) => false,
        // not every system says who sent it
        _ => matches!(origin.signal, SIGINT | SIGQUIT) && terminal::is_in_front(),
    }
}

/// Tells whether we lead the session of our terminal.
fn is_session_leader() -> bool {
    rustix::process::getsid(None).is_ok_and(|leader| leader == rustix::process::getpid())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_childs_end_becomes_an_exit_code() {
        let codes = [0, 3 << 8, 9, 15].map(|raw| code_of(ExitStatus::from_raw(raw)));
        assert_eq!(codes, [0, 3, 137, 143]);
    }
}
