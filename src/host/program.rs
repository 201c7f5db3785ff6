//! Programs that are not ours, run to their end with a deadline, and where our own is.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{Pid, Signal};

use super::child::IDENTITY;
use super::folders::absolute;
use super::{Environment, process};

/// How a program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Whether it did what it was asked for.
    pub(crate) success: bool,
    /// What it said, on both streams.
    pub(crate) said: String,
}

/// Runs a program to its end, with our environment and nothing to read; one that takes too long is killed.
pub(crate) fn run_within(
    program: &str,
    arguments: &[String],
    env: &Environment,
    patience: Duration,
) -> io::Result<Ended> {
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(env.iter().filter(|(name, _)| *name != IDENTITY));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = process::start_foreign(&mut command)?;
    let pid = Pid::from_child(&child);
    let (sender, receiver) = mpsc::sync_channel(1);
    std::thread::Builder::new().spawn(move || drop(sender.send(child.wait_with_output())))?;
    let Ok(output) = receiver.recv_timeout(patience) else {
        // nobody has asked how it ended, so the number is still its own
        rustix::process::kill_process(pid, Signal::KILL).ok();
        return Err(io::ErrorKind::TimedOut.into());
    };
    output.map(Ended::of)
}

impl Ended {
    /// Reads what a program left.
    fn of(output: Output) -> Self {
        let said = [output.stderr, output.stdout].concat();
        Self { success: output.status.success(), said: String::from_utf8_lossy(&said).trim().to_owned() }
    }
}

/// Returns the path by which this program is called: a link that leads to it stays right when the program is replaced.
pub(crate) fn own_path(name: Option<&OsStr>, env: &Environment) -> io::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let real = own.canonicalize()?;
    let is_own = |path: &PathBuf| path.canonicalize().is_ok_and(|found| found == real);
    let Some(name) = name.map(Path::new) else { return Ok(real) };
    let called = if name.components().count() > 1 {
        Some(absolute(name))
    } else {
        let folders = env.raw("PATH").map(|path| std::env::split_paths(path).collect::<Vec<_>>()).unwrap_or_default();
        folders.into_iter().filter(|folder| folder.is_absolute()).map(|folder| folder.join(name)).find(is_own)
    };
    Ok(called.filter(is_own).unwrap_or(real))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    fn run(script: &str, patience: Duration) -> io::Result<Ended> {
        let env = [(OsString::from("PATH"), OsString::from("/usr/bin:/bin"))].into_iter().collect();
        run_within("sh", &["-c".to_owned(), script.to_owned()], &env, patience)
    }

    #[test]
    fn a_program_says_something_and_ends() {
        let ended = run("echo one; echo two >&2; exit 3", Duration::from_secs(60)).unwrap();
        assert_eq!((ended.success, ended.said.as_str()), (false, "two\none"));
        assert!(run("exit 0", Duration::from_secs(60)).unwrap().success);
    }

    #[test]
    fn a_program_that_takes_too_long_is_killed() {
        let error = run("exec sleep 600", Duration::from_millis(20)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn our_own_path_is_the_link_we_were_called_by() {
        let folder = tempfile::tempdir().unwrap();
        let own = std::env::current_exe().unwrap();
        let link = folder.path().join("tokenkeep");
        std::os::unix::fs::symlink(&own, &link).unwrap();
        let pair = (OsString::from("PATH"), folder.path().as_os_str().to_owned());
        let env: Environment = [pair].into_iter().collect();
        assert_eq!(own_path(Some(OsStr::new("tokenkeep")), &env).unwrap(), link);
        assert_eq!(own_path(Some(link.as_os_str()), &Environment::default()).unwrap(), link);
        let real = own.canonicalize().unwrap();
        assert_eq!(own_path(Some(OsStr::new("another")), &env).unwrap(), real);
        assert_eq!(own_path(Some(OsStr::new("/bin/sh")), &env).unwrap(), real);
    }
}
