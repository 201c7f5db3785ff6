//! strace: which system calls a command makes, and commands in which one of them is the last, fails or lies.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use crate::outside::{is_root, leave_out, started_by};

/// Tells whether system calls can be watched and changed here, and says aloud if not. It takes root: tokenkeep lets
/// nobody else look into its memory.
pub(crate) fn can_trace() -> bool {
    static WORKS: OnceLock<bool> = OnceLock::new();
    let works =
        || Command::new("strace").args(["-o", "/dev/null", "true"]).output().is_ok_and(|ran| ran.status.success());
    if !is_root() {
        return false;
    }
    let works = *WORKS.get_or_init(works);
    if !works {
        leave_out("strace is not there, or may not trace");
    }
    works
}

/// Returns the same command under strace, with its options.
pub(crate) fn under_strace<S: AsRef<str>>(command: &Command, options: &[S]) -> Command {
    let strace: Vec<_> = ["strace", "-qq"].into_iter().chain(options.iter().map(AsRef::as_ref)).collect();
    started_by(&strace, command)
}

/// One call of a log that `strace -f` wrote.
#[derive(Debug)]
pub(crate) struct Call {
    /// The process that made it.
    pub(crate) process: u32,
    /// Its name.
    pub(crate) name: String,
    /// Everything behind the name: arguments and result.
    pub(crate) rest: String,
}

/// Reads the calls of a log, and leaves out signals and ends. A call during which another process made one stands where
/// it ended.
pub(crate) fn read_log(path: &Path) -> Vec<Call> {
    let log = std::fs::read(path).unwrap();
    let log = String::from_utf8_lossy(&log);
    let mut begun: BTreeMap<&str, &str> = BTreeMap::new();
    let mut calls = Vec::new();
    for (process, call) in log.lines().filter_map(|line| line.split_once(' ')) {
        let call = call.trim_start();
        if let Some(beginning) = call.strip_suffix(" <unfinished ...>") {
            begun.insert(process, beginning);
            continue;
        }
        let whole = match call.strip_prefix("<... ").and_then(|rest| rest.split_once(" resumed>")) {
            Some((_, end)) => format!("{}{end}", begun.remove(process).unwrap_or_default()),
            None => call.to_owned(),
        };
        if let Some((name, rest)) = whole.split_once('(')
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        {
            calls.push(Call { process: process.parse().unwrap(), name: name.to_owned(), rest: rest.to_owned() });
        }
    }
    calls
}

/// Counts the calls of each name that some processes made.
pub(crate) fn counts(calls: &[Call], of: impl Fn(&Call) -> bool) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for call in calls.iter().filter(|call| of(call)) {
        *counts.entry(call.name.as_str()).or_default() += 1;
    }
    counts
}
