//! Runs named steps side by side, says how long each took, and fails once, at the end, with the names of those that
//! failed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

/// Steps at a time. They mostly wait, for an expiry or between two polls of a login.
const WORKERS: usize = 4;

/// A part of a test that can fail alone.
pub(crate) struct Step<'a> {
    name: String,
    run: Box<dyn FnOnce() + Send + 'a>,
}

impl<'a> Step<'a> {
    /// Names a step.
    pub(crate) fn new(name: &str, run: impl FnOnce() + Send + 'a) -> Self {
        Self { name: name.to_owned(), run: Box::new(run) }
    }

    /// Runs it; the panic of a failure has been reported by then.
    fn succeeds(self) -> bool {
        catch_unwind(AssertUnwindSafe(self.run)).is_ok()
    }
}

/// Runs all steps, first those that come first.
pub(crate) fn run(provider: &str, mut steps: Vec<Step<'_>>) {
    steps.reverse();
    let waiting = Mutex::new(steps);
    let failed = Mutex::new(Vec::new());
    let worker = || {
        loop {
            let Some(step) = waiting.lock().unwrap().pop() else { return };
            let (name, start) = (step.name.clone(), Instant::now());
            let verdict = if step.succeeds() { "ok" } else { "FAILED" };
            eprintln!("{provider}: {name}: {verdict} after {:.1} s", start.elapsed().as_secs_f32());
            if verdict != "ok" {
                failed.lock().unwrap().push(name);
            }
        }
    };
    thread::scope(|scope| (0..WORKERS).for_each(|_| drop(scope.spawn(worker))));
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{provider}: these steps failed: {}", failed.join("; "));
}
