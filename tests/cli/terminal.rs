//! A person at a terminal: a real pseudo-terminal, what is typed, what can be read on the screen, and how it is left.

use std::ffi::OsStr;
use std::process::{Command, Stdio};

use rexpect::session::{PtySession, spawn_command};
use rustix::process::Signal;

use crate::harness::{PATIENCE, World};
use crate::signals::{children_of, send};

/// What the shell around the command says at its end.
const END: &str = "[ended with ";

/// What it says at its beginning, before its number.
const SHELL: &str = "[shell ";

/// A command that runs on a terminal.
pub(crate) struct Terminal {
    session: PtySession,
    screen: String,
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
        Terminal::of(self.shell(&around("\"$0\" \"$@\""), args))
    }

    /// The same with its standard output in the file `output`.
    pub(crate) fn on_terminal_into_file<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Terminal {
        Terminal::of(self.shell(&around("\"$0\" \"$@\" >output"), args))
    }
}

/// The script that makes the terminal a person's, and says how the command left it.
fn around(command: &str) -> String {
    format!(
        "trap : INT QUIT; echo \"{SHELL}$$]\"; stty sane; before=$(stty -g); {command}; code=$?; \
         if [ \"$(stty -g)\" = \"$before\" ]; then as=before; else as=changed; fi; \
         echo \"{END}$code, terminal as $as]\""
    )
}

impl Terminal {
    /// Starts a command on a terminal.
    pub(crate) fn of(mut command: Command) -> Self {
        command.env("NO_COLOR", "1");
        command.stdin(Stdio::inherit()).stdout(Stdio::inherit()).stderr(Stdio::inherit());
        let patience = u64::try_from(PATIENCE.as_millis()).unwrap();
        Self { session: spawn_command(command, Some(patience)).unwrap(), screen: String::new() }
    }

    /// Waits until something stands on the screen.
    #[track_caller]
    pub(crate) fn sees(&mut self, text: &str) -> &mut Self {
        let before = self.session.exp_string(text).unwrap();
        self.screen += &(before + text);
        self
    }

    /// Types a line.
    pub(crate) fn types(&mut self, line: &str) -> &mut Self {
        self.session.send_line(line).unwrap();
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
