//! What the ledger costs: `cargo bench --bench ledger`. Prints each figure beside its target.
//!
//! A ledger is filled up to a million tokens with rows of the same form as the program's own, then the program is run on it
//! as its users run it: one process for each check, each page, each token. Wall times are medians of runs that alternate
//! with an empty program.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark: it measures real time, prints, and what cannot be measured ends it"
)]

mod timing;

use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use rusqlite::Connection;
use timing::{compare, median, wall};

/// How many pairs of runs a figure rests on.
const PAIRS: usize = 100;

/// The binary that is measured.
const TOKENKEEP: &str = env!("CARGO_BIN_EXE_tokenkeep");

/// A ledger with one real token, and many more.
struct World {
    /// Everything on disk.
    folder: tempfile::TempDir,
    /// The real token, in a file.
    token: PathBuf,
}

impl World {
    /// Makes a ledger with so many tokens.
    fn new(count: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let token = folder.path().join("token");
        let world = Self { folder, token };
        let created = world.command(&["token", "create", "--owner", "ada", "--name", "real", "--scope", "read"]);
        let created = { created }.output().unwrap();
        assert!(created.status.success());
        std::fs::write(&world.token, created.stdout).unwrap();
        world.fill(count);
        // its first use is history; afterwards a check writes once a minute
        assert!(world.check().status().unwrap().success());
        world
    }

    /// A command in this world.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(TOKENKEEP);
        command.args(args).env_clear().env("PATH", "/usr/bin:/bin").env("TOKENKEEP_HOME", self.folder.path().join("h"));
        command
    }

    /// The check of the real token.
    fn check(&self) -> Command {
        self.command(&["validate", "--scope", "read", "--from-file", self.token.to_str().unwrap()])
    }

    /// Adds tokens of a hundred owners, each with a record of history.
    fn fill(&self, count: u32) {
        let db = Connection::open(self.folder.path().join("h/data/ledger.db")).unwrap();
        db.execute_batch(&format!(
            "BEGIN;
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
             INSERT INTO token (id, digest, kind, owner, name, scopes, created, expires)
               SELECT lower(hex(randomblob(11))), randomblob(32), 'user', 'owner' || (i % 100), 'token' || i, 'read write',
                 unixepoch() - i % 9999, unixepoch() + 86400 + i FROM n;
             INSERT INTO history (number, time, action, token, kind, owner, name, scopes, expires, actor, host, hash)
               SELECT serial + 1000, unixepoch() - {count} + serial, 'issue', id, kind, owner, name, scopes, expires, 'os:ada',
                 'here', randomblob(32) FROM token WHERE serial > 1;
             COMMIT; PRAGMA wal_checkpoint(TRUNCATE);"
        ))
        .unwrap();
    }
}

/// Measures checks and pages on a ledger; returns how long a check takes beyond an empty program.
fn measure(count: u32) -> f64 {
    let world = World::new(count);
    let (check, empty, _) = compare(&|| world.check(), &|| Command::new("/bin/true"), PAIRS);
    println!("check, {count:>7} tokens: {check:.2} ms, {:.2} over an empty program (target 4)", check - empty);
    let pages: [&[&str]; 5] = [
        &["token", "list", "--limit", "50", "--json"],
        &["token", "list", "--owner", "owner7", "--limit", "50"],
        &["history", "--limit", "50", "--json"],
        &["history", "--owner", "owner7", "--limit", "50"],
        &["history", "--limit", "50", "--since", "10d", "--until", "2d"],
    ];
    for page in pages {
        let time = median((0..PAIRS / 5).map(|_| wall(&mut world.command(page))).collect());
        println!("{:<60} {time:.2} ms (target 50)", page.join(" "));
    }
    check - empty
}

/// Measures how many tokens a second one process after the other issues, each of them durable.
fn issue() {
    const COUNT: u32 = 300;
    let world = World::new(100);
    let start = Instant::now();
    for number in 0..COUNT {
        wall(&mut world.command(&["token", "create", "--name", &number.to_string()]));
    }
    let rate = f64::from(COUNT) / start.elapsed().as_secs_f64();
    println!("issue, one process for each token: {rate:.0} a second (target 100)");
}

fn main() {
    issue();
    let (few, many) = (measure(100), measure(1_000_000));
    println!("a check at a million tokens costs {:.2} x one at a hundred (target 2)", many / few);
}
