//! A program that is talked to over its standard streams, and that does not outlive its deadline.
//!
//! It runs in a process group of its own, so that what it started itself ends with it.

use std::ffi::OsStr;
use std::io::{self, Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};
use zeroize::Zeroizing;

use super::child::IDENTITY;
use super::process;

/// How long a program that was asked to end may take to do so.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// The longest line that is read: a stanza's are 64 bytes, but for the words of its first one.
const LONGEST_LINE: usize = 16 * 1024;

/// A program that runs and listens.
#[derive(Debug)]
pub(crate) struct Conversation {
    /// The process.
    child: Child,
    /// What it reads; none once we have nothing more to say.
    to: Option<ChildStdin>,
    /// What it writes.
    from: Option<ChildStdout>,
    /// Tells the watch how far we are.
    progress: Sender<()>,
    /// Who ends the program when its time is up.
    watch: Option<JoinHandle<()>>,
    /// Whether that happened.
    expired: Arc<AtomicBool>,
}

impl Conversation {
    /// Starts a program of PATH with one argument, in the root folder and with our environment, but without what opens
    /// the vault. It is ended after `patience`.
    pub(crate) fn start(program: &OsStr, argument: &str, patience: Duration) -> io::Result<Self> {
        let mut command = Command::new(program);
        // a folder of PATH that is not absolute would be looked for below the root, and not where we happen to be
        command.arg(argument).current_dir("/").env_remove(IDENTITY).process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = process::start_foreign(&mut command)?;
        let (to, from) = (child.stdin.take(), child.stdout.take());
        let (progress, steps) = mpsc::channel();
        let expired = Arc::new(AtomicBool::new(false));
        let (group, flag) = (Pid::from_child(&child), Arc::clone(&expired));
        let watch = Some(std::thread::Builder::new().spawn(move || watch_over(group, &steps, patience, &flag))?);
        Ok(Self { child, to, from, progress, watch, expired })
    }

    /// Says something to the program.
    pub(crate) fn say(&mut self, text: &[u8]) -> io::Result<()> {
        let to = self.to.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        to.write_all(text).and_then(|()| to.flush())
    }

    /// Hears one line, without its end.
    pub(crate) fn hear(&mut self) -> io::Result<Zeroizing<Vec<u8>>> {
        let from = self.from.as_mut().ok_or(io::ErrorKind::UnexpectedEof)?;
        // byte by byte: a buffer in between would keep what is secret
        let (mut line, mut byte) = (Zeroizing::new(Vec::with_capacity(LONGEST_LINE)), Zeroizing::new([0]));
        while line.len() < LONGEST_LINE {
            from.read_exact(&mut *byte)?;
            match *byte {
                [b'\n'] => return Ok(line),
                [other] => line.push(other),
            }
        }
        Err(io::ErrorKind::FileTooLarge.into())
    }

    /// Tells whether the program took longer than it had.
    pub(crate) fn has_expired(&self) -> bool {
        self.expired.load(Ordering::SeqCst)
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        drop((self.to.take(), self.from.take()));
        // only a watch that has died does not hear it; then there is nobody to tell
        self.progress.send(()).ok();
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        let pid = Pid::from_child(&self.child);
        // it stays a zombie until the watch has ended, so that no signal of ours can meet another process
        while matches!(rustix::process::waitid(WaitId::Pid(pid), options), Err(rustix::io::Errno::INTR)) {}
        self.progress.send(()).ok();
        drop(self.watch.take().map(JoinHandle::join));
        drop(self.child.wait());
    }
}

/// Ends a program when its time is up, or when nobody listens to it any more.
fn watch_over(group: Pid, steps: &Receiver<()>, patience: Duration, expired: &AtomicBool) {
    // it fails for a program that has ended
    let send = |signal| rustix::process::kill_process_group(group, signal).ok();
    if steps.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
        expired.store(true, Ordering::SeqCst);
        send(Signal::KILL);
    } else {
        send(Signal::TERM);
        if steps.recv_timeout(LAST_WORDS) == Err(RecvTimeoutError::Timeout) {
            send(Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_answered_line_by_line() {
        let mut cat = Conversation::start(OsStr::new("cat"), "-", Duration::from_secs(60)).unwrap();
        cat.say(b"one\ntwo\n").unwrap();
        assert_eq!([cat.hear().unwrap().as_slice(), cat.hear().unwrap().as_slice()], [b"one", b"two"]);
        assert!(!cat.has_expired());
    }

    #[test]
    fn a_program_that_says_nothing_is_ended_with_all_that_it_started() {
        let script = "sleep 1000 & exec sleep 1000";
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sleeper");
        super::super::files::replace(&path, format!("#!/bin/sh\n{script}\n").as_bytes(), 0o700).unwrap();
        let mut sleeper = Conversation::start(path.as_os_str(), "", Duration::from_millis(50)).unwrap();
        assert!(sleeper.hear().is_err());
        assert!(sleeper.has_expired());
    }
}
