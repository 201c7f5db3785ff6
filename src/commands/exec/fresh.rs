//! The files of `exec --file`: each holds a token, and a newer one before the old one ends.
//!
//! Entries are asked in a thread, since a refresh may take a minute and a signal or the command's end must not wait for it.
//! The files are written here, so that nothing is written after they were removed.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

use super::Event;
use crate::commands::Context;
use crate::commands::target::Handout;
use crate::commands::variables::{Filled, Request};
use crate::error::{Failure, Kind, file_failure};
use crate::host::progress::Watcher;
use crate::host::temporary::{self, TemporaryFolder};
use crate::keeper::Keeper;
use crate::output::token_file;
use crate::token::time::{Lifetime, MinTtl, Timestamp};
use crate::vault::Vault;

/// The longest wait without looking at the clock: a machine that sleeps stops the wait, and not the token's life.
const LONGEST_WAIT: u64 = 30;

/// The pause after an attempt that brought nothing better. The keeper holds back by itself; this only avoids spinning.
const PAUSE: Lifetime = Lifetime::seconds(5);

/// The files of one command; they go when this value does.
pub(super) struct FreshFiles {
    /// The files.
    files: Vec<FreshFile>,
    /// Where the number of a file goes whose entry is to be asked.
    asker: Sender<usize>,
    /// The folder they are in.
    _folder: TemporaryFolder,
}

/// One file.
struct FreshFile {
    /// The variable that names it.
    variable: String,
    /// Where it is.
    path: PathBuf,
    /// The entry, for messages.
    name: String,
    /// What life its token must have left.
    min_ttl: MinTtl,
    /// The life of what is in it; `None` for what cannot be refreshed.
    life: Option<Life>,
    /// Whether its entry is being asked.
    asking: Asking,
    /// What was wrong the last time, so that it is said once.
    trouble: Option<String>,
}

/// From when to when a token is good.
#[derive(Clone, Copy)]
struct Life {
    /// How much of its life must be left.
    least: Lifetime,
    /// When it ends.
    ends: Timestamp,
}

/// Whether an entry is being asked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asking {
    /// It is.
    Now,
    /// It is not, and need not be before this time.
    NotBefore(Timestamp),
}

impl FreshFiles {
    /// Writes the files and begins to watch over them.
    pub(super) fn write(
        cx: &Context,
        filled: Vec<Filled>,
        vault: Vault,
        variable: Option<&String>,
        events: Sender<Event>,
    ) -> Result<Self, Failure> {
        let state = cx.settings()?.folders.state.clone();
        let failed = |fault| file_failure(Kind::Failed, &fault);
        let folder = TemporaryFolder::make(runtime(cx).as_deref(), &fallback(&state)).map_err(failed)?;
        let mut written = Vec::with_capacity(filled.len());
        let mut requests = Vec::with_capacity(filled.len());
        for Filled { variable: own, request, handout } in filled {
            let file = FreshFile {
                variable: variable.cloned().unwrap_or_else(|| own + "_FILE"),
                path: folder.file(request.target.name.as_str()),
                name: request.target.name.to_string(),
                min_ttl: request.wanted.min_ttl,
                life: life_of(&handout, request.wanted.min_ttl),
                asking: Asking::NotBefore(cx.now()),
                trouble: None,
            };
            token_file::write(&file.path, handout.secret()).map_err(failed)?;
            written.push(file);
            requests.push(request);
        }
        let asker = start_asking(cx, requests, vault, events)?;
        Ok(Self { files: written, asker, _folder: folder })
    }

    /// Returns the variables with the paths.
    pub(super) fn variables(&self) -> Vec<(&str, &OsStr)> {
        self.files.iter().map(|file| (file.variable.as_str(), file.path.as_os_str())).collect()
    }

    /// Has every entry asked whose token is used up, and returns how long nothing else is to do.
    pub(super) fn ask_for_due(&mut self, now: Timestamp) -> Duration {
        let mut wait = LONGEST_WAIT;
        for (index, file) in self.files.iter_mut().enumerate() {
            match file.due_in(now) {
                Some(0) => {
                    // it fails only if the thread is gone, and then there is nobody to do better
                    let sent = self.asker.send(index);
                    file.asking = if sent.is_ok() { Asking::Now } else { Asking::NotBefore(now.after(PAUSE)) };
                }
                Some(seconds) => wait = wait.min(seconds),
                None => {}
            }
        }
        Duration::from_secs(wait)
    }

    /// Replaces a file with what its entry has now; returns what a person should know.
    pub(super) fn renew(&mut self, index: usize, outcome: Result<Handout, Failure>, now: Timestamp) -> Option<String> {
        self.files.get_mut(index)?.renew(outcome, now)
    }
}

/// Starts the thread that asks for entries, and returns where their numbers go.
fn start_asking(
    cx: &Context,
    requests: Vec<Request>,
    mut vault: Vault,
    events: Sender<Event>,
) -> Result<Sender<usize>, Failure> {
    let (asker, asked) = mpsc::channel();
    let state = cx.settings()?.folders.state.clone();
    let (env, now, reopen) = (cx.host.env.clone(), cx.host.now, cx.reopener()?);
    let answer = move |index: usize| {
        let request: &Request = requests.get(index)?;
        if vault.is_of_before() {
            // if it does not open, what is wrong is said by what is asked next
            if let Ok(reopened) = reopen() {
                vault = reopened;
            }
        }
        let keeper = Keeper { vault: &vault, state: &state, env: &env, now, watcher: Watcher::Nobody };
        Some(request.target.hand_out(&keeper, &request.wanted, &request.flags))
    };
    let started = std::thread::Builder::new().spawn(move || answer_all(answer, &asked, &events));
    started
        .map(|_| asker)
        .map_err(|error| Failure::new(Kind::Failed, "cannot keep the files fresh").because(error.to_string()))
        .map_err(|failure| failure.hint("try again; see the limits with `ulimit -a`"))
}

impl FreshFile {
    /// Returns in how many seconds the entry should be asked.
    fn due_in(&self, now: Timestamp) -> Option<u64> {
        let (Some(Life { least, ends }), Asking::NotBefore(earliest)) = (self.life, self.asking) else { return None };
        // one second after the last one in which it is good, and while it lives
        let spare = ends.since(now).as_seconds().checked_sub(least.as_seconds());
        let used_up = spare.map_or(0, |spare| spare + u64::from(least > Lifetime::default()));
        Some(used_up.max(earliest.since(now).as_seconds()))
    }

    /// Replaces the file.
    fn renew(&mut self, outcome: Result<Handout, Failure>, now: Timestamp) -> Option<String> {
        let trouble = match outcome {
            Ok(handout) => {
                self.life = life_of(&handout, self.min_ttl);
                let replaced = token_file::write(&self.path, handout.secret());
                replaced.err().map(|fault| fault.to_string()).or_else(|| handout.notice().map(str::to_owned))
            }
            Err(failure) => Some(failure.one_line()),
        };
        self.asking = Asking::NotBefore(now);
        if self.due_in(now) == Some(0) {
            self.asking = Asking::NotBefore(now.after(PAUSE));
        }
        let news = trouble.clone().filter(|_| trouble != self.trouble);
        self.trouble = trouble;
        news.map(|trouble| format!("the file with the token of `{}` is not fresh: {trouble}", self.name))
    }
}

/// Returns the folders in which there may be such files.
pub(crate) fn places(cx: &Context, state: &Path) -> Vec<PathBuf> {
    runtime(cx).into_iter().chain([fallback(state)]).collect()
}

/// Removes what commands that were killed have left: tokens, in clear.
pub(crate) fn sweep(cx: &Context) {
    if let Ok(settings) = cx.settings() {
        for place in places(cx, &settings.folders.state) {
            temporary::sweep(&place);
        }
    }
}

/// Returns the folder of this login, which is in memory.
fn runtime(cx: &Context) -> Option<PathBuf> {
    cx.host.env.folder("XDG_RUNTIME_DIR")
}

/// Returns the folder that is used where this login has none.
fn fallback(state: &Path) -> PathBuf {
    state.join("exec")
}

/// Returns the life of what was handed out, if the keeper can bring a newer one.
fn life_of(handout: &Handout, min_ttl: MinTtl) -> Option<Life> {
    let token = handout.token()?;
    Some(Life { least: min_ttl.for_token_of(token.lifetime()), ends: token.expires_at })
}

/// Asks entries as long as somebody wants it.
fn answer_all(
    mut answer: impl FnMut(usize) -> Option<Result<Handout, Failure>>,
    asked: &Receiver<usize>,
    events: &Sender<Event>,
) {
    while let Ok(index) = asked.recv() {
        let Some(outcome) = answer(index) else { continue };
        if events.send(Event::Fetched { index, outcome }).is_err() {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due_in(least: u64, ends: i64, earliest: i64) -> Option<u64> {
        let at = Timestamp::from_epoch;
        let file = FreshFile {
            variable: String::new(),
            path: PathBuf::new(),
            name: String::new(),
            min_ttl: MinTtl::Default(Lifetime::seconds(60)),
            life: Some(Life { least: Lifetime::seconds(least), ends: at(ends) }),
            asking: Asking::NotBefore(at(earliest)),
            trouble: None,
        };
        file.due_in(at(100))
    }

    #[test]
    fn an_entry_is_asked_in_the_first_second_in_which_its_token_is_too_old() {
        assert_eq!(due_in(60, 400, 0), Some(241));
        assert_eq!(due_in(60, 160, 0), Some(1));
        assert_eq!(due_in(60, 159, 0), Some(0));
        assert_eq!(due_in(0, 400, 0), Some(300));
        assert_eq!(due_in(60, 50, 105), Some(5));
    }
}
