//! The world of a process test: an own `TOKENKEEP_HOME`, an own provider, and the binary run in an empty environment.

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use provider::{Provider, Settings};
use tempfile::TempDir;

/// The longest a test waits for something that must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A person's machine with tokenkeep on it, and a provider.
pub(crate) struct World {
    /// Everything on disk.
    pub(crate) folder: TempDir,
    /// The provider.
    pub(crate) provider: Provider,
}

/// What a finished process left.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl World {
    /// A machine without a vault.
    pub(crate) fn bare(settings: Settings) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), provider: Provider::start(settings) }
    }

    /// A machine with a vault that a file opens, and the profile `prod`.
    pub(crate) fn with(settings: Settings) -> Self {
        let world = Self::bare(settings);
        world.run(["init", "--unlock", "file"]).ok();
        world.add_profile("prod", &[]);
        world
    }

    /// The same with the provider's defaults.
    pub(crate) fn new() -> Self {
        Self::with(Settings::default())
    }

    /// The same with a refresh token in the entry `prod`, as a login leaves it.
    pub(crate) fn logged_in(settings: Settings) -> Self {
        let world = Self::with(settings);
        world.store_login("prod");
        world
    }

    /// Adds a profile for the public client, with more flags.
    pub(crate) fn add_profile(&self, name: &str, flags: &[&str]) {
        let issuer = self.provider.issuer();
        let mut args = vec!["profile", "add", name, "--issuer", &issuer];
        if !flags.contains(&"--client-id") {
            args.extend(["--client-id", "automated-access"]);
        }
        args.extend(flags);
        self.run(args).ok();
    }

    /// Puts a fresh refresh token of the public client into an entry, and returns it.
    pub(crate) fn store_login(&self, name: &str) -> String {
        let token = self.provider.grant("automated-access", &["openid", "offline_access"]);
        self.feed(["store", name, "--kind", "refresh-token", "--stdin"], &token).ok();
        token
    }

    /// `TOKENKEEP_HOME`.
    pub(crate) fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// The folder of an entry.
    pub(crate) fn entry(&self, name: &str) -> PathBuf {
        self.home().join("data/vault/entries").join(name)
    }

    /// The newest generation of an entry.
    pub(crate) fn generation(&self, name: &str) -> u64 {
        generations(&self.entry(name)).into_iter().max().unwrap_or(0)
    }

    /// The file that opens the vault.
    pub(crate) fn identity_file(&self) -> PathBuf {
        self.home().join("config/identity.txt")
    }

    /// Writes a line into `config.toml`.
    pub(crate) fn edit_config(&self, change: impl FnOnce(String) -> String) {
        let path = self.home().join("config/config.toml");
        let text = change(std::fs::read_to_string(&path).unwrap_or_default());
        std::fs::write(path, text).unwrap();
    }

    /// A command in this world, with no terminal and an empty environment.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tokenkeep"));
        command.args(args).env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("LC_ALL", "C.UTF-8");
        command.env("HOME", self.folder.path().join("user")).env("TOKENKEEP_HOME", self.home());
        command.current_dir(self.folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs to the end.
    pub(crate) fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Ran {
        self.command(args).output().unwrap().into()
    }

    /// Runs to the end with something on standard input.
    pub(crate) fn feed<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>, input: &str) -> Ran {
        feed(self.command(args), input)
    }

    /// Starts, and leaves running.
    pub(crate) fn start<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Child {
        self.command(args).spawn().unwrap()
    }

    /// Starts many at once, and waits for all.
    pub(crate) fn storm<S: AsRef<OsStr> + Copy>(&self, count: usize, args: &[S]) -> Vec<Ran> {
        let children: Vec<Child> = (0..count).map(|_| self.start(args)).collect();
        children.into_iter().map(|child| child.wait_with_output().unwrap().into()).collect()
    }

    /// The token that `get` prints.
    pub(crate) fn token(&self, name: &str) -> String {
        self.run(["get", name]).ok().stdout.trim_end().to_owned()
    }
}

/// Runs a command to the end with something on standard input.
pub(crate) fn feed(mut command: Command, input: &str) -> Ran {
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    // a command that does not read its input closes it
    drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
    child.wait_with_output().unwrap().into()
}

/// Lists the generations in an entry's folder.
pub(crate) fn generations(folder: &Path) -> Vec<u64> {
    let Ok(files) = std::fs::read_dir(folder) else { return Vec::new() };
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    names.filter_map(|name| name.strip_suffix(".age")?.parse().ok()).collect()
}

/// Settings with an access token of some seconds.
pub(crate) fn short_lived(seconds: u64) -> Settings {
    Settings { access_ttl: Duration::from_secs(seconds), ..Settings::default() }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        use std::os::unix::process::ExitStatusExt as _;
        Self {
            code: output.status.code().unwrap_or_else(|| -output.status.signal().unwrap()),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Ran {
    /// Claims success.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.code, 0, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }

    /// Claims a failure: nothing on standard output, an error with a hint on standard error.
    #[track_caller]
    pub(crate) fn fails(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        assert!(self.stderr.contains("error: "), "no error: {}", self.stderr);
        assert!(self.stderr.contains("hint: "), "no hint: {}", self.stderr);
        assert_eq!(self.stdout, "", "data beside a failure");
        self
    }

    /// Claims that standard error mentions something.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "not said: {text}\nstderr: {}", self.stderr);
        self
    }

    /// Claims that a secret is in neither stream.
    #[track_caller]
    pub(crate) fn hides(self, secret: &str) -> Self {
        assert!(!self.stderr.contains(secret), "a secret on standard error");
        assert!(!self.stdout.contains(secret), "a secret on standard output");
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }
}
