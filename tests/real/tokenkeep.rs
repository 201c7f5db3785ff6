//! The program under test in a sealed place: a folder of its own, no environment but what is named, no terminal, and
//! an end to every wait. What it prints is kept, and shown only with everything redacted that could be a token.

use std::cell::RefCell;
use std::fmt;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

/// Longer than any command may take on a loaded machine; its own deadlines are shorter.
const PATIENCE: Duration = Duration::from_secs(90);

/// From this length on a run of token characters is redacted.
const TELLING: usize = 32;

/// A token's text: compared, passed on, never shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Token(pub(crate) String);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[a token of {} characters]", self.0.len())
    }
}

/// A vault, a configuration and a working folder that exist for one step.
pub(crate) struct Home {
    folder: TempDir,
    variables: Vec<(&'static str, String)>,
    heard: RefCell<String>,
}

impl Home {
    /// Makes a vault that a file unlocks.
    pub(crate) fn new() -> Self {
        let home = Self::without_vault();
        home.run(&["init", "--unlock", "file"]).exits(0);
        home
    }

    /// Only the folders.
    pub(crate) fn without_vault() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("work")).unwrap();
        Self { folder, variables: Vec::new(), heard: RefCell::default() }
    }

    /// Sets a variable for all later commands.
    pub(crate) fn set(&mut self, name: &'static str, value: &str) {
        self.variables.push((name, value.to_owned()));
    }

    /// Removes it again.
    pub(crate) fn unset(&mut self, name: &str) {
        self.variables.retain(|(set, _)| *set != name);
    }

    /// The folder that commands run in.
    pub(crate) fn work(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    /// All files of this home.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let mut folders = vec![self.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in folder.read_dir().unwrap().map(Result::unwrap) {
                let list = if entry.file_type().unwrap().is_dir() { &mut folders } else { &mut files };
                list.push(entry.path());
            }
        }
        files
    }

    /// All that commands wrote to stderr so far.
    pub(crate) fn heard(&self) -> String {
        self.heard.borrow().clone()
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        self.feed(arguments, "")
    }

    /// The same with a text on stdin.
    pub(crate) fn feed(&self, arguments: &[&str], input: &str) -> Ran {
        let running = self.start(arguments);
        self.finish(running, input)
    }

    /// Runs the same command many times at once.
    pub(crate) fn run_at_once(&self, times: usize, arguments: &[&str]) -> Vec<Ran> {
        let running: Vec<Running> = (0..times).map(|_| self.start(arguments)).collect();
        running.into_iter().map(|one| self.finish(one, "")).collect()
    }

    /// Starts a command; its stdout is collected from now on, its stderr as the lines come.
    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tokenkeep"));
        command
            .args(arguments)
            .current_dir(self.work())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("TOKENKEEP_HOME", self.folder.path().join("home"))
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Running::new(command.spawn().unwrap(), &arguments.join(" "))
    }

    /// Waits for a started command.
    pub(crate) fn finish(&self, running: Running, input: &str) -> Ran {
        let ran = running.end(input);
        self.heard.borrow_mut().push_str(&ran.stderr);
        ran
    }
}

/// A command that was started and not yet waited for.
pub(crate) struct Running {
    name: String,
    child: Child,
    input: ChildStdin,
    output: Receiver<String>,
    errors: Receiver<String>,
    seen: String,
}

impl Running {
    fn new(mut child: Child, name: &str) -> Self {
        let (send_output, output) = channel();
        let (send_error, errors) = channel();
        let mut stdout = child.stdout.take().unwrap();
        let stderr = child.stderr.take().unwrap();
        thread::spawn(move || {
            let mut text = String::new();
            stdout.read_to_string(&mut text).map(|_| send_output.send(text))
        });
        thread::spawn(move || lines(stderr).for_each(|line| send_error.send(line).unwrap_or_default()));
        Self { name: name.to_owned(), input: child.stdin.take().unwrap(), child, output, errors, seen: String::new() }
    }

    /// Waits for a line on stderr in which `find` finds something.
    pub(crate) fn hear<T>(&mut self, find: impl Fn(&str) -> Option<T>) -> T {
        loop {
            let Ok(line) = self.errors.recv_timeout(PATIENCE) else {
                panic!("`tokenkeep {}` did not say it; it said:\n{}", self.name, redacted(&self.seen));
            };
            self.seen.push_str(&line);
            if let Some(found) = find(&line) {
                return found;
            }
        }
    }

    fn end(mut self, input: &str) -> Ran {
        // A command that asks for no input may have gone before it is written.
        drop(self.input.write_all(input.as_bytes()));
        drop(self.input);
        let Ok(stdout) = self.output.recv_timeout(PATIENCE) else {
            drop(self.child.kill());
            panic!("`tokenkeep {}` took longer than {PATIENCE:?}", self.name);
        };
        self.seen.extend(self.errors.iter());
        Ran { name: self.name, code: self.child.wait().unwrap().code(), stdout, stderr: self.seen }
    }
}

fn lines(stderr: ChildStderr) -> impl Iterator<Item = String> {
    BufReader::new(stderr).lines().map_while(Result::ok).map(|line| line + "\n")
}

/// A command that ended.
pub(crate) struct Ran {
    name: String,
    code: Option<i32>,
    stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// Holds it to an exit code.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert!(self.code == Some(code), "{self:?} should have exited {code}");
        self
    }

    /// Holds it to a hint.
    #[track_caller]
    pub(crate) fn hints(self, hint: &str) -> Self {
        let given = self.stderr.lines().any(|line| line.trim_start().starts_with("hint:") && line.contains(hint));
        assert!(given, "{self:?} should have hinted at `{hint}`");
        self
    }

    /// Holds its stderr to a text.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "{self:?} should have said `{text}`");
        self
    }

    /// Tells whether the answer was no, and which one it was if not.
    pub(crate) fn is_no(&self) -> Result<(), Option<i32>> {
        if self.code == Some(3) { Ok(()) } else { Err(self.code) }
    }

    /// What it printed.
    pub(crate) fn text(&self) -> &str {
        self.stdout.trim_end_matches('\n')
    }

    /// The one line it printed, as a token.
    #[track_caller]
    pub(crate) fn token(&self) -> Token {
        assert!(self.stdout.ends_with('\n') && self.stdout.lines().count() == 1, "{self:?} should have printed a line");
        assert!(self.text().chars().all(|c| c.is_ascii_graphic()), "{self:?} should have printed a token");
        Token(self.text().to_owned())
    }

    /// What it printed, as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|_| panic!("{self:?} should have printed JSON"))
    }
}

impl fmt::Debug for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = self.code.map_or_else(|| "a signal".to_owned(), |code| code.to_string());
        let Self { name, stdout, stderr, .. } = self;
        write!(f, "`tokenkeep {}` (exit {code}, {} bytes out, ", redacted(name), stdout.len())?;
        write!(f, "stderr:\n{})", redacted(stderr).trim_end())
    }
}

/// The text without its long runs of token characters.
fn redacted(text: &str) -> String {
    let is_token = |c: char| c.is_ascii_alphanumeric() || "-_.~+=".contains(c);
    let words = text.split_inclusive(|c| !is_token(c));
    words.map(|word| if word.len() > TELLING && word.starts_with(is_token) { "[redacted] " } else { word }).collect()
}
