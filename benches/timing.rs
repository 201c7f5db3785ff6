//! How long whole processes take.

use std::process::{Command, Stdio};
use std::time::Instant;

/// Sends all streams of a command nowhere.
pub(crate) fn quiet(command: &mut Command) -> &mut Command {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null())
}

/// Runs a command and returns its wall time in milliseconds.
pub(crate) fn wall(command: &mut Command) -> f64 {
    quiet(command);
    let start = Instant::now();
    assert!(command.status().unwrap().success(), "{command:?} failed");
    start.elapsed().as_secs_f64() * 1e3
}

/// Returns the middle of some figures.
pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Times two commands in turn; returns both medians and the median of the ratios.
pub(crate) fn compare(one: &dyn Fn() -> Command, other: &dyn Fn() -> Command, pairs: usize) -> (f64, f64, f64) {
    let runs: Vec<(f64, f64)> = (0..pairs).map(|_| (wall(&mut one()), wall(&mut other()))).collect();
    let ratio = median(runs.iter().map(|(one, other)| one / other).collect());
    (median(runs.iter().map(|run| run.0).collect()), median(runs.iter().map(|run| run.1).collect()), ratio)
}
