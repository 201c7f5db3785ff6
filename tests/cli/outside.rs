//! The world around the vault: a shell, other users, what lies on disk, and the hands of somebody who changes it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::str::FromStr as _;

use age::secrecy::ExposeSecret as _;
use hkdf::Hkdf;
use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};

use crate::harness::{Ran, World};

/// The user that nothing belongs to.
pub(crate) const NOBODY: u32 = 65_534;

/// Makes a new identity file, and returns its recipient.
pub(crate) fn new_identity(path: &Path) -> String {
    let identity = age::x25519::Identity::generate();
    write(path, format!("# somebody's\n{}\n", identity.to_string().expose_secret()).as_bytes(), 0o600);
    identity.to_public().to_string()
}

/// Returns the same command as the last arguments of a program that starts it.
pub(crate) fn started_by<S: AsRef<OsStr>>(starter: &[S], command: &Command) -> Command {
    let [program, options @ ..] = starter else { panic!("nothing starts it") };
    let mut started = Command::new(program);
    started.args(options).arg(command.get_program()).args(command.get_args());
    started.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    started.current_dir(command.get_current_dir().unwrap());
    started.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    started
}

impl World {
    /// A command that a shell starts: the script runs it as `"$0" "$@"`.
    pub(crate) fn shell<S: AsRef<OsStr>>(&self, script: &str, args: impl IntoIterator<Item = S>) -> Command {
        started_by(&["/bin/sh", "-c", script], &self.command(args))
    }

    /// Runs to the end with a text on descriptor 3.
    pub(crate) fn hand<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>, text: &str) -> Ran {
        let path = self.folder.path().join("handed");
        write(&path, text.as_bytes(), 0o600);
        self.shell("exec \"$0\" \"$@\" 3<handed", args).output().unwrap().into()
    }

    /// The vault's folder.
    pub(crate) fn vault(&self) -> PathBuf {
        self.home().join("data/vault")
    }

    /// A file in the world's folder, outside of everything that is ours.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Stores a secret, which `get` prints without any provider.
    pub(crate) fn keep(&self, name: &str, secret: &str) {
        self.feed(["store", name, "--kind", "secret", "--stdin"], secret).ok();
    }

    /// Lets go of the file that opens the vault: no setting names it any more.
    pub(crate) fn forget_identity_file(&self) {
        self.edit_config(|text| {
            text.lines()
                .filter(|line| !line.starts_with("identity_file"))
                .fold(String::new(), |text, line| text + line + "\n")
        });
    }
}

/// Writes a file of a given mode.
pub(crate) fn write(path: &Path, bytes: &[u8], mode: u32) {
    drop(std::fs::remove_file(path));
    let mut file = std::fs::File::options().write(true).create_new(true).mode(0o600).open(path).unwrap();
    file.write_all(bytes).unwrap();
    chmod(path, mode);
}

/// Sets a mode.
pub(crate) fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// Returns a mode.
pub(crate) fn mode(path: &Path) -> u32 {
    std::fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

/// Everything below a folder: kind, mode and content of each file, for comparing before and after.
pub(crate) fn snapshot(folder: &Path) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    let mut all = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for item in std::fs::read_dir(&folder).unwrap() {
            let path = item.unwrap().path();
            let stat = std::fs::symlink_metadata(&path).unwrap();
            let content = if stat.is_file() { std::fs::read(&path).unwrap() } else { Vec::new() };
            if stat.is_dir() {
                folders.push(path.clone());
            }
            all.insert(path, (stat.mode(), content));
        }
    }
    all
}

/// The command that a hint tells people to type.
pub(crate) fn hinted(ran: &Ran) -> String {
    let hint = ran.stderr.lines().find(|line| line.contains("hint: ")).expect("a hint");
    hint.split('`').nth(1).expect("a command in the hint").to_owned()
}

/// Types a command into a shell.
pub(crate) fn sh(command: &str) {
    assert!(Command::new("/bin/sh").args(["-c", command]).status().unwrap().success(), "{command}");
}

/// Runs Debian's age.
pub(crate) fn age(args: &[&OsStr], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new("age")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program age is needed: apt-get install age");
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "age {args:?}");
    output.stdout
}

/// Tells whether this is root, and says aloud that a test is left out if not.
pub(crate) fn is_root() -> bool {
    let root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
    if !root {
        leave_out("it needs root");
    }
    root
}

/// Says aloud that this test cannot be run here.
pub(crate) fn leave_out(why: &str) {
    let test = std::thread::current().name().unwrap_or_default().to_owned();
    // not through `eprintln`, which the test's runner captures: nobody would see it
    std::io::stderr().write_all(format!("LEFT OUT: {test}: {why}\n").as_bytes()).unwrap();
}

/// Who holds the vault identity and writes what tokenkeep would never write.
pub(crate) struct Forger {
    identity: age::x25519::Identity,
    bytes: Vec<u8>,
}

impl Forger {
    /// Somebody who stole the identity file.
    pub(crate) fn of(world: &World) -> Self {
        let text = std::fs::read_to_string(world.identity_file()).unwrap();
        let line = text.lines().find(|line| line.starts_with("AGE-SECRET-KEY-1")).unwrap();
        let identity = age::x25519::Identity::from_str(line).unwrap();
        Self { identity, bytes: bech32::decode(line).unwrap().1 }
    }

    /// The public recipient.
    pub(crate) fn recipient(&self) -> age::x25519::Recipient {
        self.identity.to_public()
    }

    /// The identity's 32 bytes in hexadecimal.
    pub(crate) fn hex_bytes(&self) -> String {
        hex(&self.bytes)
    }

    /// The code that authenticates a text for a purpose.
    pub(crate) fn mac(&self, purpose: &str, text: &[u8]) -> String {
        let mut key = [0; 32];
        let info = format!("tokenkeep/1/{purpose}");
        Hkdf::<Sha256>::new(None, &self.bytes).expand(info.as_bytes(), &mut key).unwrap();
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
        mac.update(text);
        hex(&mac.finalize().into_bytes())
    }

    /// Seals any text for the vault.
    pub(crate) fn encrypt(&self, plaintext: &[u8]) -> Vec<u8> {
        age::encrypt(&self.recipient(), plaintext).unwrap()
    }

    /// Seals a JSON text with the code that makes it ours.
    pub(crate) fn seal(&self, json: &str) -> Vec<u8> {
        self.encrypt(format!("{json}\n{}\n", self.mac("entry", json.as_bytes())).as_bytes())
    }

    /// Opens a file of the vault.
    pub(crate) fn open(&self, path: &Path) -> String {
        String::from_utf8(age::decrypt(&self.identity, &std::fs::read(path).unwrap()).unwrap()).unwrap()
    }

    /// The JSON of a generation.
    pub(crate) fn json(&self, path: &Path) -> String {
        self.open(path).lines().next().unwrap().to_owned()
    }

    /// Puts a JSON text into a generation's place.
    pub(crate) fn put(&self, path: &Path, json: &str) {
        write(path, &self.seal(json), 0o600);
    }
}

/// SHA-256 in hexadecimal.
pub(crate) fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)]))
        .collect()
}
