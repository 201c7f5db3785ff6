//! Other people's age programs: they open what our vault wrote, and our vault opens what they wrote.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::tokenkeep::Home;

/// A program of the age format, and the one that makes its keys.
pub(crate) struct Age {
    program: PathBuf,
    keygen: PathBuf,
}

impl Age {
    /// Debian's, in Go.
    pub(crate) fn of_debian() -> Self {
        Self { program: "age".into(), keygen: "age-keygen".into() }
    }

    /// `rage`, in Rust, which `tests/real/install` obtains.
    pub(crate) fn in_rust() -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/real/rage/bin");
        Self { program: folder.join("rage"), keygen: folder.join("rage-keygen") }
    }

    /// Makes a private key, and returns its recipient.
    fn make_key(&self, path: &Path) -> String {
        run(Command::new(&self.keygen).arg("-o").arg(path), b"");
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let text = std::fs::read_to_string(path).unwrap();
        text.lines().find_map(|line| line.strip_prefix("# public key: ")).expect("a recipient").to_owned()
    }

    /// Opens a file.
    fn open(&self, key: &Path, file: &Path) -> Vec<u8> {
        run(Command::new(&self.program).arg("-d").arg("-i").arg(key).arg(file), b"")
    }

    /// Seals a text.
    fn seal(&self, recipient: &str, text: &[u8]) -> Vec<u8> {
        run(Command::new(&self.program).args(["-r", recipient]), text)
    }
}

/// Runs a program to its end, and returns what it printed.
fn run(command: &mut Command, input: &[u8]) -> Vec<u8> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap_or_else(|error| {
        panic!("{}: {error}: was tests/real/install run?", command.get_program().display());
    });
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{command:?} failed");
    output.stdout
}

/// Returns the only file of a name in a home.
fn file(home: &Home, name: &str) -> PathBuf {
    let files: Vec<PathBuf> = home.files().into_iter().filter(|path| path.ends_with(name)).collect();
    let [file] = &files[..] else { panic!("{} files are called {name}", files.len()) };
    file.clone()
}

/// A vault made with their key: they open an entry and a slot of ours, and we open an entry that they sealed.
pub(crate) fn files_are_exchanged_both_ways(age: &Age) {
    let home = Home::without_vault();
    let (key, other) = (home.work().join("key.txt"), home.work().join("other.txt"));
    let recipient = age.make_key(&key);
    home.run(&["init", "--identity-file", key.to_str().unwrap()]).exits(0);
    home.feed(&["store", "one", "--kind", "secret", "--stdin"], "kept by us").exits(0);

    let entry = file(&home, "one/1.age");
    let plaintext = age.open(&key, &entry);
    assert!(String::from_utf8_lossy(&plaintext).contains("kept by us"));

    let sealed = age.seal(&recipient, &plaintext);
    assert_ne!(sealed, std::fs::read(&entry).unwrap());
    std::fs::write(&entry, sealed).unwrap();
    assert_eq!(home.run(&["get", "one"]).exits(0).text(), "kept by us");
    home.run(&["vault", "verify"]).exits(0);

    let recipient = age.make_key(&other);
    home.run(&["vault", "slot", "add", "other", "--recipient", &recipient]).exits(0);
    let wrapped = age.open(&other, &file(&home, "slots/other.age"));
    let wrapped = String::from_utf8(wrapped).unwrap();
    assert!(std::fs::read_to_string(&key).unwrap().contains(wrapped.trim()));
}
