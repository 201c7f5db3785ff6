//! A line at a person's terminal that says what is waited for: it comes once that takes long, and goes with the end of it.

use std::io::{self, Write as _};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::terminal;

/// Who sees what is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Watcher {
    /// A person, at the terminal that standard error is.
    Person,
    /// Nobody.
    Nobody,
}

/// Something that is waited for, until this value goes.
pub(crate) struct Progress {
    /// Its end is how the thread learns of ours.
    end: Option<Sender<()>>,
    /// Shows the line in time, and tells whether it did.
    thread: Option<JoinHandle<bool>>,
    /// What is waited for.
    what: String,
}

/// People take an answer for immediate up to about this long; a line that only flashes up is a nuisance.
const PATIENCE: Duration = Duration::from_secs(1);

/// What is shown as being waited for now.
static SHOWN: Mutex<Vec<String>> = Mutex::new(Vec::new());

impl Progress {
    /// Begins to wait. Where no thread can be had, nothing is shown.
    pub(crate) fn begin(what: String) -> Self {
        let (end, ended) = mpsc::channel();
        let shown = what.clone();
        let show = move || {
            let is_long = ended.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout);
            // in the background the terminal is somebody else's
            let is_seen = is_long && terminal::is_in_front();
            if is_seen {
                change(|all| all.push(shown));
            }
            is_seen
        };
        Self { end: Some(end), thread: std::thread::Builder::new().spawn(show).ok(), what }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        drop(self.end.take());
        if self.thread.take().is_some_and(|thread| thread.join().unwrap_or(false)) {
            let is_this = |other: &String| *other == self.what;
            change(|all| drop(all.iter().position(is_this).map(|place| all.remove(place))));
        }
    }
}

/// Changes what is shown, and shows it.
fn change(change: impl FnOnce(&mut Vec<String>)) {
    let mut shown = SHOWN.lock().unwrap_or_else(PoisonError::into_inner);
    change(&mut shown);
    // a line that is broken in two could not be taken away again
    let columns = terminal::columns().filter(|columns| *columns > 0).unwrap_or(80);
    let line: String = line(&shown).chars().take(usize::from(columns) - 1).collect();
    // who cannot be told goes without
    drop(write!(io::stderr(), "\r\x1b[K{line}"));
}

/// Says what is waited for, in one line.
fn line(shown: &[String]) -> String {
    match shown {
        [] => String::new(),
        [one] => format!("waiting for {one}"),
        [one, more @ ..] => format!("waiting for {one}, and {} more", more.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_things_are_one_line() {
        let all = ["a".to_owned(), "b".to_owned(), "c".to_owned()];
        assert_eq!((line(&all[..1]), line(&all)), ("waiting for a".to_owned(), "waiting for a, and 2 more".to_owned()));
        assert_eq!(line(&[]), "");
    }
}
