//! Asking a person, on the controlling terminal and nowhere else.

use std::fs::File;
use std::io::{self, Read as _, Write as _};

use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios};
use zeroize::Zeroizing;

use super::process::PutBack;

/// The byte that Ctrl-C sends when it raises no signal.
const INTERRUPT: u8 = 0x03;

/// The most that a terminal hands over as one line (Linux's `N_TTY` buffer).
const LONGEST_LINE: usize = 4_096;

/// Whether what is typed can be read on the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Echo {
    /// It can.
    Shown,
    /// It cannot.
    Hidden,
}

/// Asks on the controlling terminal and returns the line that was typed, without its end.
///
/// Ctrl-C gives [`io::ErrorKind::Interrupted`], with the terminal as it was: while a line is read the terminal sends
/// the byte instead of the signal, and takes it as the end of the line. A signal that ends us meanwhile does so with the
/// terminal as it was, too.
pub(crate) fn ask(question: &str, echo: Echo) -> io::Result<Zeroizing<String>> {
    let terminal = File::options().read(true).write(true).open("/dev/tty")?;
    let before = rustix::termios::tcgetattr(&terminal)?;
    let (same, as_before) = (terminal.try_clone()?, before.clone());
    let _put_back = PutBack::first(move || restore(&same, &as_before))?;
    let _restore = Restore { terminal: &terminal, before: before.clone() };
    let mut during = before;
    during.local_modes.remove(LocalModes::ISIG);
    if echo == Echo::Hidden {
        during.local_modes.remove(LocalModes::ECHO);
    }
    during.special_codes[SpecialCodeIndex::VEOL] = INTERRUPT;
    rustix::termios::tcsetattr(&terminal, OptionalActions::Flush, &during)?;
    // only now: who answers at once, as a script does, would be heard and shown, or not heard at all
    (&terminal).write_all(question.as_bytes())?;
    let mut line = Zeroizing::new(Vec::with_capacity(LONGEST_LINE));
    let mut buffer = Zeroizing::new([0; LONGEST_LINE]);
    loop {
        let count = read(&terminal, &mut *buffer)?;
        let available = buffer.get(..count).unwrap_or_default();
        let end = available.iter().position(|&byte| byte == b'\n' || byte == INTERRUPT);
        // what stands behind the end was not there when the question was asked, and is nobody's answer
        line.extend(available.iter().take(end.unwrap_or(count)));
        let last = end.and_then(|end| available.get(end).copied());
        let nothing = available.is_empty();
        if echo == Echo::Hidden && (last.is_some() || nothing) {
            (&terminal).write_all(b"\n")?;
        }
        match last {
            Some(INTERRUPT) => return Err(io::ErrorKind::Interrupted.into()),
            Some(_) => break,
            None if nothing => return Err(io::ErrorKind::UnexpectedEof.into()),
            None => {}
        }
    }
    let text = std::str::from_utf8(&line).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
    Ok(Zeroizing::new(text.to_owned()))
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

/// Puts the terminal back as it was.
struct Restore<'a> {
    /// The controlling terminal.
    terminal: &'a File,
    /// Its settings before the question.
    before: Termios,
}

impl Drop for Restore<'_> {
    fn drop(&mut self) {
        restore(self.terminal, &self.before);
    }
}

/// Puts a terminal back; one that has gone away needs no restoring.
fn restore(terminal: &File, before: &Termios) {
    rustix::termios::tcsetattr(terminal, OptionalActions::Now, before).ok();
}

/// Shows a person a line on the controlling terminal, if there is one.
pub(crate) fn tell(line: &str) {
    if let Ok(mut terminal) = File::options().write(true).open("/dev/tty") {
        // a terminal that has gone away has nobody to tell
        writeln!(terminal, "{line}").ok();
    }
}

/// Tells whether this process has a controlling terminal.
pub(crate) fn is_present() -> bool {
    File::options().read(true).write(true).open("/dev/tty").is_ok()
}

/// Returns how wide the terminal behind standard error is.
pub(crate) fn columns() -> Option<u16> {
    rustix::termios::tcgetwinsize(rustix::stdio::stderr()).ok().map(|size| size.ws_col)
}
