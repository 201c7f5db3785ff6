//! A desktop for tests: a D-Bus of its own, with a real gnome-keyring on it or without, and a machine whose programs find it.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use provider::Settings;
use rustix::process::Signal;
use tempfile::TempDir;

use crate::harness::{Ran, World, feed};
use crate::signals::send;

/// The password of the keyring.
const PASSWORD: &str = "desktop";

/// A desktop, which ends with the value.
pub(crate) struct Desktop {
    /// What its programs keep on the disk.
    folder: TempDir,
    /// The session's D-Bus.
    bus: Child,
    /// Where it listens.
    address: String,
    /// The keyring, while there is one.
    daemon: Option<Child>,
}

/// A machine with a desktop.
pub(crate) struct Machine {
    pub(crate) world: World,
    pub(crate) desktop: Desktop,
}

impl Desktop {
    /// A session's D-Bus on which nothing is, nor is started by a call.
    pub(crate) fn without_keyring() -> Self {
        Self::with_limits("")
    }

    /// The same, with limits of the bus.
    pub(crate) fn with_limits(limits: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (config, socket) = (folder.path().join("bus.conf"), folder.path().join("bus"));
        let rules = "<allow send_destination='*'/><allow receive_sender='*'/><allow own='*'/>";
        let text = format!(
            "<busconfig><type>session</type><listen>unix:path={}</listen><auth>EXTERNAL</auth>\
             <policy context='default'>{rules}</policy>{limits}</busconfig>",
            socket.display()
        );
        std::fs::write(&config, text).unwrap();
        let mut bus = Command::new("dbus-daemon");
        bus.args(["--nofork", "--nopidfile", "--print-address=1"]);
        bus.arg(format!("--config-file={}", config.display()));
        let mut bus = bus.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut address = String::new();
        BufReader::new(bus.stdout.take().unwrap()).read_line(&mut address).unwrap();
        Self { folder, bus, address: address.trim().to_owned(), daemon: None }
    }

    /// A desktop whose keyring is open.
    pub(crate) fn open() -> Self {
        let mut desktop = Self::without_keyring();
        desktop.start_keyring();
        desktop
    }

    /// Starts the keyring, and opens it with its password.
    pub(crate) fn start_keyring(&mut self) {
        self.start_daemon(&["--unlock"], PASSWORD);
    }

    /// Starts a keyring that nobody has opened.
    pub(crate) fn start_closed_keyring(&mut self) {
        self.start_daemon(&[], "");
    }

    fn start_daemon(&mut self, flags: &[&str], input: &str) {
        let mut command = self.command("gnome-keyring-daemon");
        command.args(["--foreground", "--components=secrets"]).args(flags);
        let mut daemon = command.stdin(Stdio::piped()).spawn().unwrap();
        daemon.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        self.daemon = Some(daemon);
        let is_there = || {
            let reply = self.call("org.freedesktop.DBus", "org.freedesktop.DBus.NameHasOwner", &[SERVICE]);
            String::from_utf8_lossy(&reply.stdout).contains("boolean true")
        };
        assert!((0..1_000).any(|_| is_there()), "the keyring does not come up");
    }

    /// Ends the keyring; what it holds stays on the disk.
    pub(crate) fn stop_keyring(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            daemon.kill().unwrap();
            daemon.wait().unwrap();
        }
    }

    /// Tells whether a keyring is there.
    pub(crate) fn has_keyring(&self) -> bool {
        self.daemon.is_some()
    }

    /// Locks the keyring, as a person does who leaves.
    pub(crate) fn lock(&self) {
        self.ask("Service.Lock", &[&format!("array:objpath:{LOGIN}")]);
    }

    /// Keeps the keyring from answering, or lets it answer again.
    pub(crate) fn signal_keyring(&self, signal: Signal) {
        send(self.daemon.as_ref().unwrap().id(), signal);
    }

    /// Keeps the bus from passing anything on, or lets it again.
    pub(crate) fn signal_bus(&self, signal: Signal) {
        send(self.bus.id(), signal);
    }

    /// Makes a collection the default one.
    pub(crate) fn set_default(&self, collection: &str) {
        self.ask("Service.SetAlias", &["string:default", &format!("objpath:{COLLECTIONS}{collection}")]);
    }

    /// Calls the Secret Service, and claims that it answers.
    fn ask(&self, method: &str, arguments: &[&str]) {
        let reply = self.call(SECRETS, &format!("org.freedesktop.Secret.{method}"), arguments);
        assert!(reply.status.success(), "{}", String::from_utf8_lossy(&reply.stderr));
    }

    /// Calls somebody on the bus.
    fn call(&self, destination: &str, method: &str, arguments: &[&str]) -> Output {
        let object = format!("/{}", destination.replace('.', "/"));
        let mut command = self.command("dbus-send");
        command.args(["--session", "--print-reply"]).arg(format!("--dest={destination}")).arg(object).arg(method);
        command.args(arguments).output().unwrap()
    }

    /// A program of this desktop.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("DBUS_SESSION_BUS_ADDRESS", &self.address);
        for variable in ["HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR"] {
            command.env(variable, self.folder.path());
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        command
    }

    /// What the keyring holds under a name, as its own program prints it.
    pub(crate) fn lookup(&self, name: &str) -> Vec<u8> {
        let mut command = self.command("secret-tool");
        command.args(["lookup", "service", "tokenkeep", "username", name]).output().unwrap().stdout
    }

    /// Where the bus is.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// The socket of the bus.
    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("bus")
    }
}

impl Drop for Desktop {
    fn drop(&mut self) {
        for child in self.daemon.iter_mut().chain([&mut self.bus]) {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

impl Machine {
    /// A machine with a desktop, and nothing of ours.
    pub(crate) fn bare(desktop: Desktop) -> Self {
        Self { world: World::bare(Settings::default()), desktop }
    }

    /// A machine with a vault that the open keyring of the desktop opens, and the profile `prod`.
    pub(crate) fn new() -> Self {
        let machine = Self::bare(Desktop::open());
        machine.run(["init", "--unlock", "keyring"]).ok();
        machine.world.add_profile("prod", &[]);
        machine
    }

    /// A machine whose vault rests in the keyring, and is opened by a file: it is open while the keyring is locked.
    pub(crate) fn in_keyring(desktop: Desktop) -> Self {
        let machine = Self::bare(desktop);
        machine.rest_in("keyring");
        machine.run(["init", "--unlock", "file"]).ok();
        machine.world.add_profile("prod", &[]);
        machine
    }

    /// Writes into the configuration what entries rest in.
    pub(crate) fn rest_in(&self, backend: &str) {
        std::fs::create_dir_all(self.world.home().join("config")).unwrap();
        self.world.edit_config(|text| format!("# mine\n[vault]\nbackend = \"{backend}\" # why\n{text}"));
    }

    /// The same with a login.
    pub(crate) fn logged_in() -> Self {
        let machine = Self::new();
        machine.store_login("prod");
        machine
    }

    /// Puts a fresh refresh token into an entry, and returns it.
    pub(crate) fn store_login(&self, name: &str) -> String {
        let token = self.world.provider.grant("automated-access", &["openid", "offline_access"]);
        self.feed(["store", name, "--kind", "refresh-token", "--stdin"], &token).ok();
        token
    }

    /// A command on this desktop.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = self.world.command(args);
        command.env("DBUS_SESSION_BUS_ADDRESS", self.desktop.address());
        command
    }

    /// Starts, and leaves running.
    pub(crate) fn start<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Child {
        self.command(args).spawn().unwrap()
    }

    /// The token that `get` prints.
    pub(crate) fn token(&self, name: &str) -> String {
        self.run(["get", name]).ok().stdout.trim_end().to_owned()
    }

    /// Stores a secret.
    pub(crate) fn keep(&self, name: &str, secret: &str) {
        self.feed(["store", name, "--kind", "secret", "--stdin"], secret).ok();
    }

    /// The text of an entry's item.
    pub(crate) fn item(&self, name: &str) -> String {
        String::from_utf8(self.desktop.lookup(&format!("entry {} {name}", self.recipient()))).unwrap()
    }

    /// The generation that the first line of an entry's item names; 0 if there is none.
    pub(crate) fn generation(&self, name: &str) -> u64 {
        self.item(name).lines().next().map_or(0, |line| line.parse().unwrap())
    }

    /// Puts a text into the keyring.
    pub(crate) fn put_item(&self, name: &str, text: &str) {
        let user = format!("entry {} {name}", self.recipient());
        let mut store = self.desktop.command("secret-tool");
        store.args(["store", "--label=by hand", "service", "tokenkeep", "username", &user]);
        let mut store = store.stdin(Stdio::piped()).spawn().unwrap();
        store.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        assert!(store.wait().unwrap().success());
    }

    /// Runs to the end.
    pub(crate) fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Ran {
        self.command(args).output().unwrap().into()
    }

    /// Runs to the end with something on standard input.
    pub(crate) fn feed<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>, input: &str) -> Ran {
        feed(self.command(args), input)
    }

    /// Runs to the end on the same machine, where nobody has told of the desktop: under cron.
    pub(crate) fn run_without_desktop<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Ran {
        self.world.run(args)
    }

    /// The configuration's text.
    pub(crate) fn config(&self) -> String {
        std::fs::read_to_string(self.world.home().join("config/config.toml")).unwrap_or_default()
    }

    /// The vault's recipient.
    pub(crate) fn recipient(&self) -> String {
        let header = std::fs::read_to_string(self.world.vault().join("vault.toml")).unwrap();
        header.split('"').find(|word| word.starts_with("age1")).unwrap().to_owned()
    }
}

/// Tells whether any file below a folder holds a text.
pub(crate) fn is_on_disk(folder: &Path, text: &[u8]) -> bool {
    let items = std::fs::read_dir(folder).unwrap().map(|item| item.unwrap().path());
    items.into_iter().any(|path| {
        if path.is_dir() {
            return is_on_disk(&path, text);
        }
        std::fs::read(&path).unwrap().windows(text.len()).any(|window| window == text)
    })
}

/// The name of the Secret Service.
const SECRETS: &str = "org.freedesktop.secrets";

/// The same as an argument of a call.
const SERVICE: &str = "string:org.freedesktop.secrets";

/// Where collections are.
const COLLECTIONS: &str = "/org/freedesktop/secrets/collection/";

/// The collection of the login.
const LOGIN: &str = "/org/freedesktop/secrets/collection/login";
