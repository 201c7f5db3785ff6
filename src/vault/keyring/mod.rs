//! The keyring of the desktop, a Secret Service on the session's D-Bus: one text under each name.
//!
//! Every call has a deadline, and none opens a dialog: what is locked is an error. Nothing takes the keyring's place, be
//! it a store that forgets at the end of the session.

mod fault;
mod link;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use zeroize::Zeroizing;

use crate::host::machine::SessionBus;
use crate::host::{Environment, process};
pub(crate) use fault::DesktopFault;
use link::Link;

/// What the names of entries' items begin with.
pub(super) const ENTRY: &str = "entry ";

/// How long a call may take. One that works takes some ten milliseconds, and a person who waits longer than this thinks
/// that the program hangs. The library waits as long for each message of a call.
const PATIENCE: Duration = Duration::from_secs(2);

/// The keyring of this session. Nobody is called before the first question.
#[derive(Clone, Debug)]
pub(crate) struct Keyring {
    /// The way to the thread that speaks to it.
    line: Arc<Mutex<Line>>,
    /// Where it could be called.
    bus: SessionBus,
}

/// The way to the thread that speaks to the keyring.
#[derive(Debug)]
enum Line {
    /// It was not called yet.
    Idle,
    /// Somebody listens.
    Open(Sender<Job>),
    /// It owed an answer, and is asked no more: many questions would take many deadlines.
    Silent,
}

/// Something that the thread does with its connection, and with what says that nobody waits for it any more.
type Job = Box<dyn FnOnce(&mut Option<Link>) + Send>;

impl Keyring {
    /// Takes the keyring of a session.
    pub(crate) fn of(env: &Environment) -> Self {
        Self { line: Arc::new(Mutex::new(Line::Idle)), bus: SessionBus::of(env) }
    }

    /// Claims that something could be kept for good now: there is an unlocked collection, and it outlives the session.
    pub(crate) fn check(&self) -> Result<(), DesktopFault> {
        self.call(|link, _| link.check())
    }

    /// Reads the text under a name.
    pub(crate) fn read(&self, name: &str) -> Result<Zeroizing<Vec<u8>>, DesktopFault> {
        let name = name.to_owned();
        self.call(move |link, _| link.read(&name))
    }

    /// Lists the names of all our items.
    pub(crate) fn names(&self) -> Result<Vec<String>, DesktopFault> {
        self.call(|link, _| link.names())
    }

    /// Keeps a text under a name in the place of what is there, and reads it back.
    pub(crate) fn write(&self, name: &str, label: &str, text: Zeroizing<Vec<u8>>) -> Result<(), DesktopFault> {
        let (name, label) = (name.to_owned(), label.to_owned());
        self.call(move |link, overdue| link.write((&name, &label), &text, overdue))
    }

    /// Removes what is under a name, if anything is.
    pub(crate) fn remove(&self, name: &str) -> Result<(), DesktopFault> {
        let name = name.to_owned();
        self.call(move |link, overdue| link.remove(&name, overdue))
    }

    /// Lets the thread do something, and waits for it as long as the deadline allows.
    fn call<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Link, &AtomicBool) -> Result<T, DesktopFault> + Send + 'static,
    ) -> Result<T, DesktopFault> {
        if !self.bus.is_there() {
            return Err(DesktopFault::NoBus(String::new()));
        }
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        let overdue = Arc::new(AtomicBool::new(false));
        let (answer, answered) = mpsc::sync_channel(1);
        let seen = Arc::clone(&overdue);
        line.send(Box::new(move |link| {
            let outcome = connected(link).and_then(|link| act(link, &seen));
            // who asked may have left
            drop(answer.send(outcome));
        }))?;
        let outcome = answered.recv_timeout(PATIENCE).unwrap_or(Err(DesktopFault::Silent));
        if matches!(outcome, Err(DesktopFault::Silent)) {
            overdue.store(true, Ordering::SeqCst);
            *line = Line::Silent;
            ask_again_later(&self.line);
        }
        outcome
    }
}

/// Lets a keyring that owed an answer be asked again after a while: `exec` lives for hours.
fn ask_again_later(line: &Arc<Mutex<Line>>) {
    /// A command that asks many questions ends within this time, having waited for one answer alone.
    const REST: Duration = Duration::from_secs(30);
    let line = Arc::clone(line);
    let rest = move || {
        process::pause(REST);
        *line.lock().unwrap_or_else(PoisonError::into_inner) = Line::Idle;
    };
    // without the thread it stays silent
    drop(std::thread::Builder::new().spawn(rest));
}

impl Line {
    /// Passes a job to the thread, which begins with the first.
    fn send(&mut self, job: Job) -> Result<(), DesktopFault> {
        let ended = |what: &dyn std::fmt::Display| DesktopFault::Refused(what.to_string());
        match self {
            Self::Silent => Err(DesktopFault::Silent),
            Self::Open(jobs) => jobs.send(job).map_err(|error| ended(&error)),
            Self::Idle => {
                let (jobs, asked) = mpsc::channel();
                std::thread::Builder::new().spawn(move || serve(&asked)).map_err(|error| ended(&error))?;
                jobs.send(job).map_err(|error| ended(&error))?;
                *self = Self::Open(jobs);
                Ok(())
            }
        }
    }
}

/// Does what is asked, one job after the other, until nobody can ask any more.
fn serve(asked: &Receiver<Job>) {
    let mut link = None;
    for job in asked {
        job(&mut link);
    }
}

/// Returns the connection, which is made for the first who needs it.
fn connected(link: &mut Option<Link>) -> Result<&Link, DesktopFault> {
    match link {
        Some(link) => Ok(link),
        None => Ok(link.insert(Link::open()?)),
    }
}
