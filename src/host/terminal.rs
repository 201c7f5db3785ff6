//! Asking a person, on the controlling terminal and nowhere else.
//!
//! However a question ends, the terminal is then as it was: with an answer, Ctrl-C, Ctrl-Z, a signal, or a panic.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use rustix::process::Signal;
use rustix::termios::{LocalModes, OptionalActions, QueueSelector, SpecialCodeIndex, Termios};
use zeroize::Zeroizing;

use super::process::{self, PutBack};

/// The most that a terminal hands over as one line (Linux's `N_TTY` buffer).
const LONGEST_LINE: usize = 4_096;

/// Stands in the place of a key that does nothing (`_POSIX_VDISABLE`).
const NO_KEY: u8 = if cfg!(target_os = "linux") { 0 } else { 0xff };

/// The question that is being asked, for whoever must put the terminal back or ask once more.
static ASKED: Mutex<Option<Asked>> = Mutex::new(None);

/// Whether what is typed can be read on the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Echo {
    /// It can.
    Shown,
    /// It cannot.
    Hidden,
}

/// How somebody answers.
enum Answer {
    /// With a line.
    Line(Zeroizing<String>),
    /// Not now: Ctrl-Z.
    Later,
}

/// Asks on the controlling terminal and returns the line that was typed, without its end.
///
/// Ctrl-C gives [`io::ErrorKind::Interrupted`], with the terminal as it was: while a line is read the terminal sends
/// the byte instead of the signal, and takes it as the end of the line. Ctrl-Z does the same, stops us and who waits for us,
/// as ever, and asks again when we go on. A signal that ends us meanwhile does so with the terminal as it was, too.
pub(crate) fn ask(question: &str, echo: Echo) -> io::Result<Zeroizing<String>> {
    loop {
        match ask_once(question, echo)? {
            Answer::Line(line) => return Ok(line),
            // nobody else waits for signals now: we go on after this when somebody lets us go on, or if nobody ever could
            Answer::Later => rustix::process::kill_process_group(rustix::process::getpgrp(), Signal::TSTP)?,
        }
    }
}

/// Asks, until there is an answer of whatever kind.
fn ask_once(question: &str, echo: Echo) -> io::Result<Answer> {
    process::leave_on_signals()?;
    let terminal = open()?;
    let before = rustix::termios::tcgetattr(&terminal)?;
    // changes nothing; in the background the kernel stops us here, where a signal ends us at once
    rustix::termios::tcsetattr(&terminal, OptionalActions::Now, &before)?;
    let key = |index: SpecialCodeIndex| Some(before.special_codes[index]).filter(|key| *key != NO_KEY);
    let keys = Keys { interrupt: key(SpecialCodeIndex::VINTR), suspend: key(SpecialCodeIndex::VSUSP) };
    let _put_back = PutBack::first(put_back, ask_again)?;
    let during = during(&before, echo);
    let asked = Asked { terminal: terminal.try_clone()?, before, during, question: question.to_owned() };
    let _asking = Asking::begin(asked)?;
    // only now: who answers at once, as a script does, would be heard and shown, or not heard at all
    (&terminal).write_all(question.as_bytes())?;
    read_line(&terminal, echo, keys)
}

/// The keys that end a line, and what is typed before them is no answer.
#[derive(Clone, Copy)]
struct Keys {
    /// Ctrl-C, unless somebody chose another one.
    interrupt: Option<u8>,
    /// Ctrl-Z, unless somebody chose another one.
    suspend: Option<u8>,
}

/// Returns the settings of a terminal at which a line is typed.
fn during(before: &Termios, echo: Echo) -> Termios {
    use SpecialCodeIndex as Key;
    let mut during = before.clone();
    // only an extended terminal has a second end of the line
    during.local_modes.insert(LocalModes::ICANON | LocalModes::IEXTEN);
    if echo == Echo::Hidden {
        during.local_modes.remove(LocalModes::ECHO);
    }
    for (from, to) in [(Key::VINTR, Key::VEOL), (Key::VSUSP, Key::VEOL2)] {
        during.special_codes[to] = before.special_codes[from];
        during.special_codes[from] = NO_KEY;
    }
    during
}

/// Reads a line.
fn read_line(mut terminal: &File, echo: Echo, keys: Keys) -> io::Result<Answer> {
    let mut line = Zeroizing::new(Vec::with_capacity(LONGEST_LINE));
    let mut buffer = Zeroizing::new([0; LONGEST_LINE]);
    loop {
        let count = read(terminal, &mut *buffer)?;
        let available = buffer.get(..count).unwrap_or_default();
        let is_end = |byte: &u8| *byte == b'\n' || [keys.interrupt, keys.suspend].contains(&Some(*byte));
        let end = available.iter().position(is_end);
        // what stands behind the end was not there when the question was asked, and is nobody's answer
        line.extend(available.iter().take(end.unwrap_or(count)));
        let last = end.and_then(|end| available.get(end).copied());
        let nothing = available.is_empty();
        if echo == Echo::Hidden && (last.is_some() || nothing) {
            terminal.write_all(b"\n")?;
        }
        match last {
            Some(b'\n') => break,
            Some(_) if last == keys.suspend => return Ok(Answer::Later),
            Some(_) => return Err(io::ErrorKind::Interrupted.into()),
            None if nothing => return Err(io::ErrorKind::UnexpectedEof.into()),
            None => {}
        }
    }
    let text = std::str::from_utf8(&line).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
    Ok(Answer::Line(Zeroizing::new(text.to_owned())))
}

/// Reads what the terminal has, into memory that is wiped.
fn read(mut terminal: &File, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match terminal.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// A question that is being asked.
#[derive(Debug)]
struct Asked {
    /// The controlling terminal.
    terminal: File,
    /// Its settings before the question.
    before: Termios,
    /// Its settings while the answer is typed.
    during: Termios,
    /// What is asked.
    question: String,
}

impl Asked {
    /// Makes the terminal ready for the answer. It never waits: while the screen is held (Ctrl-S) nothing is drained.
    fn make_ready(&self) -> io::Result<()> {
        rustix::termios::tcsetattr(&self.terminal, OptionalActions::Now, &self.during)?;
        // what was typed before is nobody's answer
        Ok(rustix::termios::tcflush(&self.terminal, QueueSelector::IFlush)?)
    }

    /// Puts the terminal back; one that has gone away, or belongs to somebody else by now, needs no restoring.
    fn put_back(&self) {
        if is_in_front_of(&self.terminal) {
            rustix::termios::tcsetattr(&self.terminal, OptionalActions::Now, &self.before).ok();
        }
    }
}

/// As long as it lives, a question is being asked.
#[derive(Debug)]
struct Asking;

impl Asking {
    /// Makes the terminal ready; whoever ends the program from now on finds out how it was.
    fn begin(asked: Asked) -> io::Result<Self> {
        let asking = Self;
        present().insert(asked).make_ready()?;
        Ok(asking)
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        if let Some(asked) = present().take() {
            asked.put_back();
        }
    }
}

/// Returns the present question.
fn present() -> MutexGuard<'static, Option<Asked>> {
    ASKED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Puts the terminal back if a question is being asked; as long as what comes back is held, no other question begins.
fn put_back() -> MutexGuard<'static, Option<Asked>> {
    let present = present();
    if let Some(asked) = present.as_ref() {
        asked.put_back();
    }
    present
}

/// Puts the terminal back if a question is being asked: for who ends the program with a panic. It waits for nobody for long,
/// since whoever is at the question may be the one.
pub(crate) fn put_back_at_once() {
    for _ in 0..1_000 {
        let present = match ASKED.try_lock() {
            Ok(present) => present,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {
                std::thread::yield_now();
                continue;
            }
        };
        if let Some(asked) = present.as_ref() {
            asked.put_back();
        }
        return;
    }
}

/// Asks once more, after the program was stopped from outside, with a shell and its settings in between.
fn ask_again() {
    if let Some(asked) = present().as_ref().filter(|asked| is_in_front_of(&asked.terminal)) {
        // who answers sees what comes of it
        asked.make_ready().and_then(|()| (&asked.terminal).write_all(asked.question.as_bytes())).ok();
    }
}

/// Shows a person a line on the controlling terminal, if there is one.
pub(crate) fn tell(line: &str) {
    if let Ok(mut terminal) = open() {
        // a terminal that has gone away has nobody to tell
        writeln!(terminal, "{line}").ok();
    }
}

/// Opens the controlling terminal.
fn open() -> io::Result<File> {
    File::options().read(true).write(true).open("/dev/tty")
}

/// Tells whether our process group is the one that a terminal listens to, and sends its signals to.
fn is_in_front_of(terminal: &File) -> bool {
    rustix::termios::tcgetpgrp(terminal).is_ok_and(|foreground| foreground == rustix::process::getpgrp())
}

/// Tells whether this process has a controlling terminal, and is in front of it: in the background, as behind `timeout` or
/// `&`, a question would stop it, and nobody would know.
pub(crate) fn is_in_front() -> bool {
    open().is_ok_and(|terminal| is_in_front_of(&terminal))
}

/// Returns how wide the terminal behind standard error is.
pub(crate) fn columns() -> Option<u16> {
    rustix::termios::tcgetwinsize(rustix::stdio::stderr()).ok().map(|size| size.ws_col)
}
