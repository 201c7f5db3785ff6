//! Asking a person, on the controlling terminal and nowhere else.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Write as _};

use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios};
use zeroize::Zeroizing;

/// The byte that Ctrl-C sends when it raises no signal.
const INTERRUPT: u8 = 0x03;

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
/// the byte instead of the signal, and takes it as the end of the line.
pub(crate) fn ask(question: &str, echo: Echo) -> io::Result<Zeroizing<String>> {
    let terminal = File::options().read(true).write(true).open("/dev/tty")?;
    let before = rustix::termios::tcgetattr(&terminal)?;
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
    let mut line = Zeroizing::new(Vec::with_capacity(1024));
    let mut reader = BufReader::with_capacity(1024, &terminal);
    loop {
        let available = reader.fill_buf()?;
        let end = available.iter().position(|&byte| byte == b'\n' || byte == INTERRUPT);
        let taken = end.unwrap_or(available.len());
        line.extend(available.iter().take(taken));
        let last = end.and_then(|end| available.get(end).copied());
        let nothing = available.is_empty();
        reader.consume(taken + usize::from(end.is_some()));
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
    String::from_utf8(line.to_vec()).map(Zeroizing::new).map_err(|_| io::ErrorKind::InvalidData.into())
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
        // a terminal that has gone away needs no restoring
        rustix::termios::tcsetattr(self.terminal, OptionalActions::Now, &self.before).ok();
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
