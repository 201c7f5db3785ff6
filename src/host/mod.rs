//! The outside world as one plain struct: arguments, environment, standard streams, clock and randomness.
//!
//! Nothing else in the crate reads the environment or asks for the time. What differs between
//! operating systems (files, descriptors, processes, signals, the terminal, the kernel's keyring) has its place here.

pub(crate) mod child;
pub(crate) mod conversation;
pub(crate) mod deadline;
pub(crate) mod descriptor;
pub(crate) mod files;
pub(crate) mod folders;
pub(crate) mod kernel_keyring;
pub(crate) mod machine;
pub(crate) mod process;
pub(crate) mod program;
pub(crate) mod progress;
pub(crate) mod route;
pub(crate) mod shell;
pub(crate) mod shred;
pub(crate) mod survey;
pub(crate) mod temporary;
pub(crate) mod terminal;

use std::ffi::{OsStr, OsString};
use std::io::{self, IsTerminal as _, Read, Write};
use std::path::PathBuf;
use std::time::SystemTime;

use zeroize::Zeroize as _;

/// Everything a run of tokenkeep gets from outside.
pub struct Host {
    /// The command line, with the program's name first.
    pub args: Vec<OsString>,
    /// The environment variables.
    pub env: Environment,
    /// Standard input.
    pub stdin: Box<dyn Read>,
    /// Standard output: data only.
    pub stdout: Box<dyn Write>,
    /// Standard error: everything a person reads.
    pub stderr: Box<dyn Write>,
    /// Which of the streams are terminals.
    pub terminals: Terminals,
    /// The clock.
    pub now: fn() -> SystemTime,
    /// Fills a buffer with random bytes that nobody can guess.
    pub random: fn(&mut [u8]) -> io::Result<()>,
    /// Where the operating system says the home of this user is, if HOME does not.
    pub home: fn() -> Option<PathBuf>,
}

/// Which streams lead to a terminal.
#[derive(Clone, Copy, Debug, Default)]
pub struct Terminals {
    /// Standard output is a terminal.
    pub stdout: bool,
    /// Standard error is a terminal.
    pub stderr: bool,
}

impl Host {
    /// Describes this process's own world, and makes the process fit to hold secrets: not dumpable, no core files, three
    /// standard streams that no other file can take the place of.
    #[expect(clippy::disallowed_methods, reason = "this is the place that reads the environment and the clock")]
    pub fn of_this_process() -> Self {
        process::harden();
        descriptor::fill_streams();
        process::outlive_writing();
        Self {
            args: std::env::args_os().collect(),
            env: std::env::vars_os().collect(),
            stdin: Box::new(io::stdin()),
            stdout: Box::new(io::stdout()),
            stderr: Box::new(io::stderr()),
            terminals: Terminals { stdout: io::stdout().is_terminal(), stderr: io::stderr().is_terminal() },
            now: SystemTime::now,
            random: machine::random,
            home: std::env::home_dir,
        }
    }
}

/// The environment variables of a run.
#[derive(Clone, Default)]
pub struct Environment(Vec<(OsString, OsString)>);

impl FromIterator<(OsString, OsString)> for Environment {
    fn from_iter<I: IntoIterator<Item = (OsString, OsString)>>(pairs: I) -> Self {
        Self(pairs.into_iter().collect())
    }
}

impl Environment {
    /// Returns a variable's text; an empty one and one that is not UTF-8 count as unset.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.raw(name).and_then(OsStr::to_str)
    }

    /// Returns a variable as it is; an empty one counts as unset.
    pub(crate) fn raw(&self, name: &str) -> Option<&OsStr> {
        // some ten of them are looked up in a run: sorting them first would cost more
        let found = self.0.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| value.as_os_str()).filter(|value| !value.is_empty())
    }

    /// Returns a variable that holds an absolute path; the XDG specification has others ignored.
    pub(crate) fn folder(&self, name: &str) -> Option<PathBuf> {
        self.raw(name).map(PathBuf::from).filter(|path| path.is_absolute())
    }

    /// Takes a variable out and wipes its text.
    pub(crate) fn wipe(&mut self, name: &str) {
        for (_, value) in self.0.extract_if(.., |(other, _)| other == name) {
            value.into_encoded_bytes().zeroize();
        }
    }

    /// Iterates over all variables.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&OsString, &OsString)> {
        self.0.iter().map(|(name, value)| (name, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wiped_variable_is_gone_and_the_others_stay() {
        let pair = |name: &str| (OsString::from(name), OsString::from("text"));
        let mut env: Environment = ["ONE", "TWO"].map(pair).into_iter().collect();
        env.wipe("ONE");
        assert_eq!((env.text("ONE"), env.text("TWO"), env.iter().count()), (None, Some("text"), 1));
    }
}
