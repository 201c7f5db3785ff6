//! Builds the [`Host`] from the operating system, runs tokenkeep in it and returns its exit code.

use std::process::ExitCode;

use tokenkeep::host::Host;

fn main() -> ExitCode {
    tokenkeep::run(Host::of_this_process())
}
