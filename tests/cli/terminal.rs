//! A person at a terminal: a real pseudo-terminal, what is typed, what can be read on the screen, and how it is left.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::process::{Child, Command};

use rexpect::session::StreamSession;
use rustix::io::Errno;
use rustix::process::Signal;
use rustix::pty::OpenptFlags;
use rustix::termios::{LocalModes, OptionalActions};

use crate::harness::{PATIENCE, World};
use crate::outside::started_by;
use crate::signals::{children_of, send};

/// What the shell around the command says at its end.
const END: &str = "[ended with ";

/// What it says at its beginning, before its number.
const SHELL: &str = "[shell ";

/// The last words of a script: how its command ended (`$code`, or the code of what ran last), and how it left the
/// terminal (`$as`).
pub(crate) const LAST_WORDS: &str = "code=${code-$?}; echo \"[ended with $code, terminal as ${as-before}]\"";

/// A command that runs on a terminal of its own. It is killed when this goes.
pub(crate) struct Terminal {
    command: Child,
    session: StreamSession<File>,
    /// Everything that was read until now.
    pub(crate) screen: String,
}

/// What can be read from a terminal, to its end: to Linux that end is an error (EIO).
struct Output(File);

impl Read for Output {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.0.read(buffer);
        let is_end = read.as_ref().is_err_and(|error| Errno::from_io_error(error) == Some(Errno::IO));
        if is_end { Ok(0) } else { read }
    }
}

/// How a command on a terminal ended.
pub(crate) struct Ended {
    pub(crate) code: i32,
    /// Everything that could be read.
    pub(crate) screen: String,
}

impl World {
    /// Starts a command on a terminal that shows what is typed.
    pub(crate) fn on_terminal<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Terminal {
        Terminal::of(&self.shell(&around("\"$0\" \"$@\""), args))
    }

    /// The same with its standard output in the file `output`.
    pub(crate) fn on_terminal_into_file<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Terminal {
        Terminal::of(&self.shell(&around("\"$0\" \"$@\" >output"), args))
    }
}

/// The script that makes the terminal a person's, and says how the command left it.
fn around(command: &str) -> String {
    format!(
        "trap : INT QUIT; echo \"{SHELL}$$]\"; stty sane; before=$(stty -g); {command}; code=$?; \
         if [ \"$(stty -g)\" = \"$before\" ]; then as=before; else as=changed; fi; {LAST_WORDS}"
    )
}

impl Terminal {
    /// Starts a command on a terminal that does not show what is typed. No other command inherits it: one that is told to
    /// read from some descriptor would take what is on the screen.
    pub(crate) fn of(command: &Command) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let ours = rustix::pty::openpt(flags).unwrap();
        rustix::pty::grantpt(&ours).unwrap();
        rustix::pty::unlockpt(&ours).unwrap();
        let theirs = rustix::pty::ioctl_tiocgptpeer(&ours, flags).unwrap();
        let mut modes = rustix::termios::tcgetattr(&theirs).unwrap();
        modes.local_modes.remove(LocalModes::ECHO);
        rustix::termios::tcsetattr(&theirs, OptionalActions::Now, &modes).unwrap();
        let mut command = started_by(&["setsid", "--ctty"], command);
        command.stdin(theirs.try_clone().unwrap()).stdout(theirs.try_clone().unwrap()).stderr(theirs);
        let command = command.env("NO_COLOR", "1").spawn().unwrap();
        let patience = u64::try_from(PATIENCE.as_millis()).unwrap();
        let output = Output(ours.try_clone().unwrap().into());
        Self { command, session: rexpect::spawn_stream(output, ours.into(), Some(patience)), screen: String::new() }
    }

    /// Waits until something stands on the screen.
    #[track_caller]
    pub(crate) fn sees(&mut self, text: &str) -> &mut Self {
        let before = self.session.exp_string(text).unwrap_or_else(|error| panic!("{error}: {}", self.screen));
        self.screen += &(before + text);
        self
    }

    /// Types a line.
    pub(crate) fn types(&mut self, line: &str) -> &mut Self {
        self.session.send_line(line).unwrap();
        self
    }

    /// Types something without pressing Enter.
    pub(crate) fn begins_to_type(&mut self, text: &str) -> &mut Self {
        self.session.send(text).unwrap();
        self.session.flush().unwrap();
        self
    }

    /// Presses Ctrl and a letter.
    pub(crate) fn presses_control(&mut self, letter: char) -> &mut Self {
        self.session.send_control(letter).unwrap();
        self
    }

    /// Sends a signal to the command, of which something was seen before.
    pub(crate) fn gets_sent(&mut self, signal: Signal) -> &mut Self {
        let number = self.screen.split_once(SHELL).and_then(|(_, after)| after.split_once(']'));
        let shell: u32 = number.expect("the shell said its number").0.parse().unwrap();
        let [command] = children_of(shell)[..] else { panic!("the shell has not one child") };
        send(command, signal);
        self
    }

    /// Waits for the end; the terminal must be as it was.
    #[track_caller]
    pub(crate) fn ends(&mut self) -> Ended {
        self.sees(END);
        let code = self.session.exp_string(",").unwrap();
        let left = self.session.exp_string("]").unwrap();
        assert_eq!(left, " terminal as before", "{}", self.screen);
        Ended { code: code.parse().unwrap(), screen: std::mem::take(&mut self.screen) }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        drop(self.command.kill());
        drop(self.command.wait());
    }
}

impl Ended {
    /// Claims an exit code.
    #[track_caller]
    pub(crate) fn with(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}", self.screen);
        self
    }

    /// Claims that something could not be read.
    #[track_caller]
    pub(crate) fn hides(self, secret: &str) -> Self {
        assert!(!self.screen.contains(secret), "a secret on the screen: {}", self.screen);
        self
    }
}
