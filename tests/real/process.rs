//! A provider's process: in a process group of its own, which ends with the value here, and with this process even
//! when it is killed.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::http::Wire;

/// Between two looks whether a provider answers already.
const LOOK: Duration = Duration::from_millis(100);

/// Runs its arguments, and kills the whole group once they end or its standard input does. Keycloak's start script
/// leaves a Java child that would outlive a signal to the script alone.
const GUARD: &str = r#"("$@" </dev/null; kill -KILL 0) & cat >/dev/null; kill -KILL 0"#;

/// A running provider.
pub(crate) struct Server {
    guard: Child,
}

impl Server {
    /// Starts a program; `prepare` adds arguments, environment and where its output goes.
    pub(crate) fn start(program: &str, prepare: impl FnOnce(&mut Command) -> &mut Command) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", GUARD, "guard", program]).stdin(Stdio::piped()).process_group(0);
        Self { guard: prepare(&mut command).spawn().unwrap() }
    }

    /// The first line that the program prints. The pipe stays open: node ends when it cannot write.
    pub(crate) fn first_line(&mut self) -> String {
        let mut line = String::new();
        BufReader::new(self.guard.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    /// Waits for an address to answer 200.
    pub(crate) fn ready(&mut self, wire: &Wire, url: &str, patience: Duration) {
        let start = Instant::now();
        while wire.try_get(url).is_none_or(|answer| answer.status != 200) {
            assert!(self.guard.try_wait().unwrap().is_none(), "the provider ended before it answered");
            assert!(start.elapsed() < patience, "the provider did not answer within {patience:?}");
            std::thread::sleep(LOOK);
        }
    }
}

impl Drop for Server {
    /// Waiting closes the guard's standard input first.
    fn drop(&mut self) {
        drop(self.guard.wait());
    }
}
