//! This process and the ones it starts: no dumps, the detached child of an exchange, signals.

use std::fs::{File, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Once, OnceLock, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{DumpableBehavior, Resource, Rlimit};
use signal_hook::consts::{SIGCHLD, SIGCONT, SIGHUP, SIGINT, SIGPIPE, SIGQUIT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::{Handle, Signals};
use zeroize::Zeroizing;

use super::descriptor::{Inherit, set_inheritable};
use super::{Environment, route};

/// The name by which the program calls itself to carry out an exchange; not for people.
pub(crate) const EXCHANGE_COMMAND: &str = "__exchange";

/// What the detached child may know of our environment beside how to reach the provider: how to reach the keyring.
const SESSION: [&str; 2] = ["DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR"];

/// The limit on core files that was in force when the program started.
static CORE_LIMIT: OnceLock<Rlimit> = OnceLock::new();

/// Makes the process not dumpable and sets its soft limit for core files to zero.
pub(super) fn harden() {
    CORE_LIMIT.get_or_init(|| rustix::process::getrlimit(Resource::Core));
    forbid_core_files();
    // it cannot fail for oneself; were it otherwise, there would be nothing better to do
    #[cfg(target_os = "linux")]
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).ok();
}

/// Makes writing into a pipe that nobody reads, or beyond the limit on the size of files, an error, and not our end.
pub(super) fn outlive_writing() {
    // it fails for signals alone that cannot be caught
    signal_hook::flag::register(SIGPIPE, Arc::default()).ok();
    if largest_file().is_some() {
        signal_hook::flag::register(SIGXFSZ, Arc::default()).ok();
    }
}

/// Returns how large a file we may write, if that is limited (`ulimit -f`).
pub(crate) fn largest_file() -> Option<u64> {
    rustix::process::getrlimit(Resource::Fsize).current
}

/// Does something that takes many descriptors, with as many as we may have; what we start later has as many as before.
pub(crate) fn with_more_descriptors<T>(work: impl FnOnce() -> T) -> T {
    let before = rustix::process::getrlimit(Resource::Nofile);
    // raising a soft limit up to the hard one is always allowed
    rustix::process::setrlimit(Resource::Nofile, Rlimit { current: before.maximum, ..before }).ok();
    let done = work();
    rustix::process::setrlimit(Resource::Nofile, before).ok();
    done
}

/// Sets the soft limit for core files to zero.
fn forbid_core_files() {
    let none = Rlimit { current: Some(0), ..rustix::process::getrlimit(Resource::Core) };
    // lowering a soft limit is always allowed
    rustix::process::setrlimit(Resource::Core, none).ok();
}

/// Starts a command that is not ours, with the limit on core files that was in force when we were started.
pub(crate) fn start_foreign(command: &mut Command) -> io::Result<Child> {
    mourn();
    if let Some(limit) = CORE_LIMIT.get() {
        rustix::process::setrlimit(Resource::Core, *limit).ok();
    }
    let child = command.spawn();
    forbid_core_files();
    child
}

/// Sees to it that a child that has ended can be asked how: who started us may have the system bury our children at once
/// (SIGCHLD ignored).
fn mourn() {
    static MOURNING: Once = Once::new();
    // it fails for signals alone that cannot be caught
    MOURNING.call_once(|| drop(signal_hook::flag::register(SIGCHLD, Arc::default())));
}

/// A lock that was had, and whether somebody else held it first.
#[derive(Debug)]
pub(crate) struct Locked {
    /// The open file that holds the lock.
    pub(crate) file: File,
    /// How it was had.
    pub(crate) waiting: Waiting,
}

/// Whether a lock was free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// It was free.
    None,
    /// Somebody else held it when we came.
    Some,
}

/// Waits for the exclusive lock of an open file, at most for `patience`; `None` if that was not enough.
///
/// The lock ends with the last descriptor of the open file: the caller's, or that of a child that inherited it.
pub(crate) fn lock_within(file: File, patience: Duration) -> io::Result<Option<Locked>> {
    match file.try_lock() {
        Ok(()) => return Ok(Some(Locked { file, waiting: Waiting::None })),
        Err(TryLockError::WouldBlock) => {}
        Err(TryLockError::Error(error)) => return Err(error),
    }
    // the kernel has no lock with a deadline; a thread that is left behind dies with the process
    let (sender, receiver) = mpsc::sync_channel(0);
    std::thread::Builder::new().spawn(move || {
        let outcome = file.lock().map(|()| Locked { file, waiting: Waiting::Some });
        drop(sender.send(outcome));
    })?;
    match receiver.recv_timeout(patience) {
        Ok(outcome) => outcome.map(Some),
        Err(_) => Ok(None),
    }
}

/// Runs the hidden exchange command of this very executable, detached from the terminal, and returns its answer; what
/// cannot be heard of it is missing. An error says that the request did not reach it.
///
/// The child inherits the lock's descriptor, so that the lock outlives us. One child is started at a time: between
/// making the descriptor inheritable and closing it again, no other child may come into being.
pub(crate) fn run_detached(request: &[u8], lock: &File, env: &Environment) -> io::Result<Zeroizing<Vec<u8>>> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let mut command = Command::new(this_executable()?);
    command.arg0("tokenkeep").args([EXCHANGE_COMMAND, &lock.as_raw_fd().to_string()]).current_dir("/").env_clear();
    command.envs(route::variables().chain(SESSION).filter_map(|name| Some((name, env.raw(name)?))));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = {
        let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        set_inheritable(lock, Inherit::Yes)?;
        let child = command.spawn();
        set_inheritable(lock, Inherit::No)?;
        child?
    };
    let sent = child.stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(request));
    let mut answer = Zeroizing::new(Vec::new());
    // once the request is sent nothing here is an error: an answer that is not heard rests on the disk
    drop(child.stdout.take().map(|mut stdout| stdout.read_to_end(&mut answer)));
    // who started us may have the system bury our children (SIGCHLD ignored); then there is nothing to wait for
    drop(child.wait());
    sent.map(|()| answer)
}

/// Returns a path that starts this executable even after its file was replaced.
fn this_executable() -> io::Result<std::path::PathBuf> {
    if cfg!(target_os = "linux") { Ok("/proc/self/exe".into()) } else { std::env::current_exe() }
}

/// Makes this process the leader of its own session and deaf to INT, TERM and HUP.
pub(crate) fn detach() -> io::Result<()> {
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)))?;
    }
    rustix::process::setsid()?;
    Ok(())
}

/// Whether INT, TERM and HUP end the program; `None` until somebody has decided.
static LEAVING: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// From now on INT, TERM and HUP end the program at once with 128 and the signal's number.
///
/// Process 1 of a container is left as it is: the kernel shields it from signals without a handler, and its end would
/// take the child of an exchange with it. So is a signal that whoever started us wants ignored (`nohup`).
pub(crate) fn leave_on_signals() -> io::Result<()> {
    let mut first = false;
    let leaving = LEAVING.get_or_init(|| {
        first = true;
        Arc::new(AtomicBool::new(true))
    });
    if !first {
        return Ok(());
    }
    for signal in ending([SIGINT, SIGTERM, SIGHUP]) {
        signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(leaving))?;
    }
    Ok(())
}

/// Returns those of some signals that may end us.
fn ending(signals: impl IntoIterator<Item = i32>) -> impl Iterator<Item = i32> {
    let ignored = ignored_signals();
    let may_end = std::process::id() != 1;
    signals.into_iter().filter(move |signal| may_end && !ignored.contains(signal))
}

/// As long as it lives, something is put back before INT, TERM, HUP or QUIT ends the program, and done again after it was
/// stopped and goes on; after it they end it at once.
#[derive(Debug)]
pub(super) struct PutBack {
    /// Stops the thread that waits for signals.
    waiting: Handle,
    /// That thread.
    thread: Option<JoinHandle<()>>,
    /// What [`LEAVING`] was before.
    leaving: bool,
}

impl PutBack {
    /// Begins to wait for signals.
    pub(super) fn first<T: 'static>(put_back: fn() -> T, again: fn()) -> io::Result<Self> {
        static QUITS: AtomicBool = AtomicBool::new(false);
        leave_on_signals()?;
        let leaving = LEAVING.get_or_init(Arc::default);
        // once it is waited for it does nothing by itself any more, also after the question
        for signal in ending([SIGQUIT]).filter(|_| !QUITS.swap(true, Ordering::SeqCst)) {
            signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(leaving))?;
        }
        let mut signals = Signals::new(ending([SIGINT, SIGTERM, SIGHUP, SIGQUIT]).chain([SIGCONT]))?;
        let waiting = signals.handle();
        let leaving = leaving.swap(false, Ordering::SeqCst);
        let wait = move || loop {
            let next = signals.forever().next();
            // one that came just before the end of the waiting counts
            match next.or_else(|| signals.pending().next()) {
                None => break,
                Some(SIGCONT) => again(),
                Some(signal) => {
                    // what it returns is held to the end
                    let _held = put_back();
                    signal_hook::low_level::exit(128 + signal);
                }
            }
        };
        let thread = Some(std::thread::Builder::new().spawn(wait)?);
        Ok(Self { waiting, thread, leaving })
    }
}

impl Drop for PutBack {
    fn drop(&mut self) {
        LEAVING.get_or_init(Arc::default).store(self.leaving, Ordering::SeqCst);
        self.waiting.close();
        drop(self.thread.take().map(JoinHandle::join));
    }
}

/// Takes [`leave_on_signals`] back for good: signals belong to a child from now on.
pub(super) fn stay_on_signals() {
    LEAVING.get_or_init(Arc::default).store(false, Ordering::SeqCst);
}

/// Returns the signals that are ignored in this process; where the system does not say, none.
pub(super) fn ignored_signals() -> Vec<i32> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    (1..=64).filter(|signal| mask >> (signal - 1) & 1 == 1).collect()
}

/// Lets some time pass, as a protocol wants it between two questions.
pub(crate) fn pause(time: Duration) {
    let (_never_sends, receiver) = mpsc::channel::<()>();
    receiver.recv_timeout(time).ok();
}

/// Returns the number of the user whose process this is.
pub(crate) fn user_number() -> u32 {
    rustix::process::getuid().as_raw()
}
