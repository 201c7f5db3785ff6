//! The main job in one command, on a machine with Rust and nothing else: `cargo run --example quickstart`.
//!
//! A provider on the loopback interface, a vault in a temporary folder, a login, two `get`s across an expiry with a rotated
//! refresh token, `env`, and what lies on disk before and after. With arguments this program is tokenkeep itself, so that
//! every step below runs the real thing in a process of its own.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a demonstration: what cannot be shown ends it"
)]

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, SystemTime};

use provider::{Provider, Settings};
use tokenkeep::host::Host;

/// How long an access token lives here: long enough to be read, short enough to be outlived.
const ACCESS_LIFE: Duration = Duration::from_secs(4);

fn main() -> ExitCode {
    if std::env::args_os().len() > 1 {
        return tokenkeep::run(Host::of_this_process()).into();
    }
    demonstrate();
    ExitCode::SUCCESS
}

/// Shows the main job from an empty folder to an exported variable.
fn demonstrate() {
    let provider = Provider::start(Settings { access_ttl: ACCESS_LIFE, ..Settings::default() });
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    println!("A provider listens on {}; its access tokens live {} s.", provider.issuer(), ACCESS_LIFE.as_secs());
    println!("TOKENKEEP_HOME is {}; on disk: {}", home.display(), listing(home));

    heading("Make a vault, and log in once (here the provider approves by itself)");
    step(home, &["init", "--unlock", "file"]);
    step(home, &["generate", "demo", "--issuer", &provider.issuer(), "--client-id", "automated-access"]);
    let login_token = provider.newest_refresh_token().expect("the login brought a refresh token");

    heading("From now on programs get good access tokens, with nobody at the keyboard");
    let first = step(home, &["get", "demo"]);
    let second = step(home, &["get", "demo"]);
    println!("the same token twice, from the vault: {}", first == second);
    wait_for_expiry(home);
    let third = step(home, &["get", "demo"]);
    let newest = provider.newest_refresh_token().expect("the exchange brought a refresh token");
    println!("another one after the expiry: {}", third != first);
    println!("the provider rotated the refresh token, and the vault has the new one: {}", newest != login_token);
    step(home, &["env", "demo"]);
    step(home, &["list"]);

    heading("What lies on disk");
    println!("{}", listing(home));
    for secret in [&login_token, &newest, &first, &third] {
        assert!(!on_disk(home, secret.trim().as_bytes()), "a token lies on disk in clear");
    }
    println!("Every entry is an age file, and none of the tokens above can be read in any file there.");
    println!("Exchanges the provider saw: {}. Now try it with yours: see README.md.", provider.exchanges());
}

/// Prints a heading.
fn heading(text: &str) {
    println!("\n# {text}");
}

/// Runs one command, shows it with what it prints, and returns its standard output.
fn step(home: &Path, args: &[&str]) -> String {
    println!("$ tokenkeep {}", args.join(" "));
    let output = tokenkeep(home, args).stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "tokenkeep {} failed", args.join(" "));
    let text = String::from_utf8(output.stdout).unwrap();
    for line in text.lines() {
        println!("{}", shortened(line));
    }
    text
}

/// This program as tokenkeep, with a folder of its own.
fn tokenkeep(home: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(args).env("TOKENKEEP_HOME", home).stdin(Stdio::null());
    for variable in ["TOKENKEEP_CONFIG", "TOKENKEEP_PROFILE", "TOKENKEEP_IDENTITY", "TOKENKEEP_IDENTITY_FILE"] {
        command.env_remove(variable);
    }
    command
}

/// Cuts tokens short: even a demonstration does not print them whole.
fn shortened(line: &str) -> String {
    let short = |word: &str| {
        let start: String = word.chars().take(30).collect();
        if word.len() > 100 { format!("{start}...") } else { word.to_owned() }
    };
    if line.len() > 100 { line.split(' ').map(short).collect::<Vec<_>>().join(" ") } else { line.to_owned() }
}

/// Waits until the cached token has ended, as it says itself.
fn wait_for_expiry(home: &Path) {
    let output = tokenkeep(home, &["get", "demo", "--no-refresh", "--min-ttl", "0", "--json"]).output().unwrap();
    let token: provider::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let end = token.get("expires_epoch").and_then(provider::Value::as_u64).unwrap_or(0);
    let left = (SystemTime::UNIX_EPOCH + Duration::from_secs(end)).duration_since(SystemTime::now());
    println!("(waiting for the token to expire)");
    std::thread::sleep(left.unwrap_or_default());
}

/// Lists the files below a folder with their sizes.
fn listing(folder: &Path) -> String {
    let mut lines = Vec::new();
    visit(folder, &mut |path, content| {
        let name = path.strip_prefix(folder).unwrap().display().to_string();
        lines.push(format!("\n  {name:<34} {:>6} bytes", content.len()));
    });
    lines.sort();
    if lines.is_empty() { "nothing".to_owned() } else { lines.concat() }
}

/// Tells whether a text lies in any file.
fn on_disk(folder: &Path, text: &[u8]) -> bool {
    let mut found = false;
    visit(folder, &mut |_, content| found |= content.windows(text.len()).any(|window| window == text));
    found
}

/// Visits every file below a folder.
fn visit(folder: &Path, seen: &mut dyn FnMut(&Path, &[u8])) {
    for item in std::fs::read_dir(folder).unwrap() {
        let path = item.unwrap().path();
        if path.is_dir() {
            visit(&path, seen);
        } else {
            seen(&path, &std::fs::read(&path).unwrap());
        }
    }
}
