//! What tokenkeep costs as a process: `cargo bench`. Prints each figure beside its target.
//!
//! Wall times are medians of runs that alternate with the program they are compared with; ratios are taken pair by pair.
//! Instruction counts come from callgrind and can be compared between machines. Needs `valgrind`, GNU `time` and `curl`;
//! what is missing is left out, and said so.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    reason = "a benchmark: it measures real time, prints, and what cannot be measured ends it"
)]

mod timing;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use provider::{Endpoint, Provider, Settings, Tls};
use timing::{compare, median, quiet};

/// How many pairs of runs a ratio rests on.
const PAIRS: usize = 200;

/// The binary that is measured.
const TOKENKEEP: &str = env!("CARGO_BIN_EXE_tokenkeep");

/// A vault with a login, and its provider.
struct World {
    /// Everything on disk.
    folder: tempfile::TempDir,
    /// The provider.
    provider: Provider,
}

impl World {
    /// Makes a vault, a profile and a login.
    fn new(settings: Settings) -> Self {
        let world = Self { folder: tempfile::tempdir().unwrap(), provider: Provider::start(settings) };
        world.run(&["init"]);
        let (issuer, ca_file) = (world.provider.issuer(), world.folder.path().join("ca.pem"));
        let mut add = vec!["profile", "add", "prod", "--issuer", &issuer, "--client-id", "automated-access"];
        if issuer.starts_with("https") {
            world.provider.write_ca(&ca_file);
            add.extend(["--ca-file", ca_file.to_str().unwrap()]);
        }
        world.run(&add);
        let token = world.provider.grant("automated-access", &["offline_access"]);
        let file = world.folder.path().join("token.txt");
        std::fs::write(&file, token).unwrap();
        world.run(&["store", "prod", "--kind", "refresh-token", "--from-file", file.to_str().unwrap()]);
        world.run(&["get", "prod"]);
        world
    }

    /// A command in this world.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(TOKENKEEP);
        command.args(args).env_clear().env("PATH", "/usr/bin:/bin").env("TOKENKEEP_HOME", self.folder.path().join("h"));
        command
    }

    /// Runs a command to its end.
    fn run(&self, args: &[&str]) {
        assert!(quiet(&mut self.command(args)).status().unwrap().success(), "tokenkeep {args:?} failed");
    }

    /// The folder of the entries.
    fn entries(&self) -> PathBuf {
        self.folder.path().join("h/data/vault/entries")
    }

    /// Fills the vault with copies of the entry under other names: a listing pays for them as for real ones.
    fn fill(&self, prefix: &str, count: usize) {
        let mut source = self.entries().join("prod/1.age");
        for number in 0..count {
            let folder = self.entries().join(format!("{prefix}-{number}"));
            std::fs::create_dir(&folder).unwrap();
            let target = folder.join("1.age");
            // a file takes 65,000 links on common file systems
            if std::fs::hard_link(&source, &target).is_err() {
                std::fs::copy(&source, &target).unwrap();
                source = target;
            }
        }
    }
}

/// Returns how long it takes until the last of many processes that were started together has ended.
fn together(command: &dyn Fn() -> Command, count: usize) -> f64 {
    let once = || {
        let start = Instant::now();
        let children: Vec<_> = (0..count).map(|_| quiet(&mut command()).spawn().unwrap()).collect();
        for mut child in children {
            assert!(child.wait().unwrap().success());
        }
        start.elapsed().as_secs_f64() * 1e3
    };
    median((0..9).map(|_| once()).collect())
}

/// Counts the instructions of a command.
fn instructions(command: &Command) -> Option<f64> {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(command.get_program());
    valgrind.args(command.get_args()).env_clear();
    valgrind.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = valgrind.stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stderr);
    let line = text.lines().find(|line| line.contains("Collected"))?;
    line.rsplit(' ').next()?.parse().ok()
}

/// Measures the peak memory of a command in KiB.
fn peak(command: &Command) -> Option<f64> {
    let mut time = Command::new("/usr/bin/time");
    time.args(["-f", "%M"]).arg(command.get_program()).args(command.get_args()).env_clear();
    time.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = time.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).output().ok()?;
    String::from_utf8_lossy(&output.stderr).lines().last()?.trim().parse().ok()
}

/// Prints a figure beside its target.
fn show(what: &str, figure: Option<f64>, target: f64) {
    let Some(figure) = figure else {
        println!("{what:<68} not measured: a tool is missing");
        return;
    };
    let verdict = if figure <= target { "" } else { "  MISSED" };
    println!("{what:<68} {figure:>10.2}  at most {target}{verdict}");
}

fn main() {
    binary();
    cached();
    refresh();
    storm();
    admin_token();
}

/// The binary itself.
fn binary() {
    let size = std::fs::metadata(TOKENKEEP).unwrap().len() as f64 / 1e6;
    show("binary, stripped, MB", Some(size), 10.5);
    let world = World { folder: tempfile::tempdir().unwrap(), provider: Provider::start(Settings::default()) };
    show("--help, million instructions", instructions(&world.command(&["--help"])).map(|count| count / 1e6), 1.0);
}

/// `get` with a token that still lives.
fn cached() {
    let world = World::new(Settings { access_ttl: Duration::from_secs(3_600), ..Settings::default() });
    let get = || world.command(&["get", "prod"]);
    let (mine, base, ratio) = compare(&get, &|| Command::new("/bin/true"), PAIRS);
    println!("get, cached: {mine:.2} ms; /bin/true: {base:.2} ms");
    show("get, cached, times /bin/true", Some(ratio), 2.2);
    let few = instructions(&get());
    show("get, cached, million instructions", few.map(|count| count / 1e6), 2.4);
    show("get, cached, peak memory in MB", peak(&get()).map(|kib| kib * 1.024 / 1e3), 8.0);
    let ratio = together(&get, 50) / together(&|| Command::new("/bin/true"), 50);
    show("50 gets at once, times 50 /bin/true", Some(ratio), 1.7);
    world.fill("few", 10);
    let ten = instructions(&get());
    world.fill("many", 100_000);
    let many = instructions(&get());
    let growth = ten.zip(many).map(|(ten, many)| many / ten);
    show("instructions with 100,000 entries, times those with 10", growth, 1.1);
    let (_, _, ratio) = compare(&get, &|| Command::new("/bin/true"), PAIRS);
    show("get, cached, 100,000 entries, times /bin/true", Some(ratio), 2.2);
}

/// A refresh with rotation over TLS, against curl's bare request to the same endpoint.
fn refresh() {
    let world = World::new(Settings { tls: Tls::Good, ..Settings::default() });
    let ca_file = world.folder.path().join("ca.pem");
    let before = (world.provider.count(Endpoint::Token), world.provider.count(Endpoint::Discovery));
    world.run(&["refresh", "prod", "--force"]);
    let after = (world.provider.count(Endpoint::Token), world.provider.count(Endpoint::Discovery));
    show("refresh over TLS, requests to the token endpoint", Some((after.0 - before.0) as f64), 1.0);
    show("refresh over TLS, discovery requests", Some((after.1 - before.1) as f64), 0.0);
    let refresh = || world.command(&["refresh", "prod", "--force"]);
    let endpoint = world.provider.token_endpoint();
    if Command::new("curl").arg("--version").stdout(Stdio::null()).status().is_err() {
        return show("refresh over TLS, times curl's bare POST", None, 1.0);
    }
    let curl = || bare_post(&ca_file, &endpoint);
    let (mine, base, ratio) = compare(&refresh, &curl, 100);
    println!("refresh: {mine:.2} ms; curl's bare POST: {base:.2} ms");
    show("refresh over TLS, times curl's bare POST", Some(ratio), 1.0);
    drop(world.provider.take_violations());
}

/// curl's request with a token that nobody issued: the same bytes over the same TLS, and nothing is kept.
fn bare_post(ca_file: &Path, endpoint: &str) -> Command {
    let mut curl = Command::new("curl");
    curl.args(["-s", "--cacert"]).arg(ca_file);
    curl.args(["-d", "grant_type=refresh_token&client_id=automated-access&refresh_token=none", endpoint]);
    curl
}

/// Two hundred processes that ask for one expired token.
fn storm() {
    let world = World::new(Settings { access_ttl: Duration::from_secs(2), ..Settings::default() });
    world.provider.set_access_ttl(Duration::from_secs(300));
    let seen = world.provider.exchanges();
    let get = || {
        let mut command = world.command(&["get", "prod", "--min-ttl", "60"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
    };
    let start = Instant::now();
    let children: Vec<_> = (0..200).map(|_| get()).collect();
    let outputs: Vec<_> = children.into_iter().map(|child| child.wait_with_output().unwrap()).collect();
    println!("200 askers of one expired token: all done after {:.0} ms", start.elapsed().as_secs_f64() * 1e3);
    let failed = outputs.iter().filter(|output| !output.status.success()).count();
    let tokens: std::collections::BTreeSet<_> = outputs.into_iter().map(|output| output.stdout).collect();
    show("200 askers, failures", Some(failed as f64), 0.0);
    show("200 askers, different tokens", Some(tokens.len() as f64), 1.0);
    show("200 askers, exchanges", Some((world.provider.exchanges() - seen) as f64), 1.0);
}

/// `validate` of an admin token: a signature, three rows of the ledger, and no vault.
fn admin_token() {
    let world = World::new(Settings::default());
    world.run(&["admin-token", "keygen", "ops"]);
    let minted = world.command(&["admin-token", "mint", "ops", "--audience", "api", "--ttl", "15m"]).output().unwrap();
    let file = world.folder.path().join("admin.jwt");
    std::fs::write(&file, minted.stdout).unwrap();
    let validate = || world.command(&["validate", "--from-file", file.to_str().unwrap(), "--audience", "api"]);
    // the first use is written down, and only that
    world.run(&["validate", "--from-file", file.to_str().unwrap(), "--audience", "api"]);
    let (mine, base, _) = compare(&validate, &|| Command::new("/bin/true"), PAIRS);
    println!("check of an admin token: {mine:.2} ms; /bin/true: {base:.2} ms");
    show("check of an admin token, ms over /bin/true", Some(mine - base), 4.0);
    let count = instructions(&validate());
    show("check of an admin token, million instructions", count.map(|count| count / 1e6), 6.0);
}
