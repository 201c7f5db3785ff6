//! The provider as a program, for benches and trials by hand: the issuer on the first line, commands on standard input.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "standard streams are this program's interface")]

use std::io::{self, BufRead as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use provider::{Endpoint, Log, Provider, Rotation, Settings, Tls, Value, json};

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(problem) => {
            eprintln!("provider: {problem}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let provider = Provider::start(options.settings);
    if let Some(path) = options.ca_out {
        provider.write_ca(path);
    }
    println!("{}", provider.issuer());
    match obey(&provider) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("provider: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// Follows the commands on standard input to its end.
fn obey(provider: &Provider) -> io::Result<()> {
    for line in io::stdin().lock().lines() {
        match line?.trim() {
            "stats" => println!("{}", stats(provider)),
            "expire" => provider.expire_access_tokens(),
            "grant" => println!("{}", provider.grant("automated-access", &["openid", "offline_access"])),
            "quit" => break,
            other => eprintln!("provider: unknown command {other:?}: stats, expire, grant or quit"),
        }
        io::stdout().flush()?;
    }
    for violation in provider.take_violations() {
        eprintln!("provider: violation: {violation}");
    }
    Ok(())
}

/// Returns what has been counted.
fn stats(provider: &Provider) -> Value {
    let counts = Endpoint::ALL.map(|endpoint| (endpoint.name().to_owned(), json!(provider.count(endpoint))));
    json!({
        "requests": Value::Object(counts.into_iter().collect()),
        "exchanges": provider.exchanges(),
        "logins": provider.logins(),
        "family_alive": provider.family_alive(),
        "violations": provider.violations(),
    })
}

/// Holds the command line.
struct Options {
    /// What kind of provider it is.
    settings: Settings,
    /// Where the CA certificate goes.
    ca_out: Option<String>,
}

impl Options {
    /// Reads the command line.
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self { settings: Settings::default(), ca_out: None };
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
            match word.as_str() {
                "--tls" => options.settings.tls = Tls::Good,
                "-v" => options.settings.log = Log::Stderr,
                "--access-ttl" => options.settings.access_ttl = duration(&value()?)?,
                "--latency" => options.settings.refresh_latency = duration(&value()?)?,
                "--interval" => options.settings.device_interval = duration(&value()?)?,
                "--rotation" => options.settings.rotation = rotation(&value()?)?,
                "--port" => options.settings.port = value()?.parse().map_err(|_| "--port takes a number")?,
                "--ca-out" => options.ca_out = Some(value()?),
                other => return Err(format!("unknown option {other:?}")),
            }
        }
        if options.ca_out.is_some() && options.settings.tls == Tls::Plain {
            return Err("--ca-out needs --tls".to_owned());
        }
        Ok(options)
    }
}

/// Reads a kind of rotation.
fn rotation(name: &str) -> Result<Rotation, String> {
    match name {
        "strict" => Ok(Rotation::Strict),
        "off" => Ok(Rotation::Off),
        "new-text" => Ok(Rotation::NewTextOldStillGood),
        other => Err(format!("rotation {other:?} is none of strict, off, new-text")),
    }
}

/// Reads a duration.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(char::is_alphabetic);
    let number: u64 = digits.parse().map_err(|_| format!("{text:?} is not a duration like 50ms, 2s, 5m"))?;
    match text.trim_start_matches(digits) {
        "ms" => Ok(Duration::from_millis(number)),
        "" | "s" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(number * 60)),
        unit => Err(format!("unknown unit {unit:?}: ms, s or m")),
    }
}

/// What is said after a mistake.
const USAGE: &str =
    "usage: provider [--tls] [--ca-out FILE] [--port N] [--access-ttl 2s] [--latency 50ms] [--interval 1s]
                [--rotation strict|off|new-text] [-v]";
