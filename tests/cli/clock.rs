//! Commands whose clock is wrong, by libfaketime. The detached child keeps the right time: its environment is cleared.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use crate::harness::{Ran, World};

/// Runs a command whose clock is this far off, like `+3600` or `-1h`.
pub(crate) fn run_at(world: &World, offset: &str, args: &[&str]) -> Ran {
    command_at(world, offset, args).output().unwrap().into()
}

/// Returns a command whose clock is this far off.
pub(crate) fn command_at(world: &World, offset: &str, args: &[&str]) -> Command {
    let mut command = world.command(args);
    command.env("LD_PRELOAD", library()).env("FAKETIME", offset).env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    command
}

/// Returns where libfaketime is; Debian's package is installed if it is missing.
fn library() -> &'static PathBuf {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        find().unwrap_or_else(|| {
            let installed = Command::new("apt-get").args(["install", "-y", "-qq", "faketime"]).output();
            find().unwrap_or_else(|| panic!("these tests need libfaketime (apt-get install faketime): {installed:?}"))
        })
    })
}

fn find() -> Option<PathBuf> {
    let multiarch = std::fs::read_dir("/usr/lib").ok()?.filter_map(Result::ok).map(|item| item.path());
    let folders = multiarch.chain(["/usr/lib64".into(), "/usr/lib".into()]);
    folders.map(|folder| folder.join("faketime/libfaketime.so.1")).find(|path| path.exists())
}
