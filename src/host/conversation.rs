//! A program that is talked to over its standard streams, and that does not outlive its deadline.
//!
//! It runs in a process group of its own, so that what it started itself ends with it.

use std::ffi::OsStr;
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};
use zeroize::Zeroizing;

use super::child::IDENTITY;
use super::deadline::Deadline;
use super::process;

/// How long a program that was asked to end may take to do so, and one that was killed to be gone.
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
    /// When its time is up.
    deadline: Deadline,
    /// Whether that happened.
    expired: bool,
}

impl Conversation {
    /// Starts a program of PATH with one argument, in the root folder and with our environment, but without what opens
    /// the vault. It has `patience` for all that it says and hears.
    pub(crate) fn start(program: &OsStr, argument: &str, patience: Duration) -> io::Result<Self> {
        let mut command = Command::new(program);
        // a folder of PATH that is not absolute would be looked for below the root, and not where we happen to be
        command.arg(argument).current_dir("/").env_remove(IDENTITY).process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = process::start_foreign(&mut command)?;
        let (to, from) = (child.stdin.take(), child.stdout.take());
        let started = Self { child, to, from, deadline: Deadline::after(patience), expired: false };
        started.to.as_ref().map_or(Ok(()), |to| rustix::io::ioctl_fionbio(to, true))?;
        started.from.as_ref().map_or(Ok(()), |from| rustix::io::ioctl_fionbio(from, true))?;
        Ok(started)
    }

    /// Says something to the program.
    pub(crate) fn say(&mut self, mut text: &[u8]) -> io::Result<()> {
        while !text.is_empty() {
            let to = self.to.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
            let written = within(self.deadline, (to, PollFlags::OUT), |to| to.write(text));
            let written = self.heed(written)?;
            text = text.get(written..).unwrap_or_default();
        }
        Ok(())
    }

    /// Hears one line, without its end.
    pub(crate) fn hear(&mut self) -> io::Result<Zeroizing<Vec<u8>>> {
        // byte by byte: a buffer in between would keep what is secret
        let (mut line, mut byte) = (Zeroizing::new(Vec::with_capacity(LONGEST_LINE)), Zeroizing::new([0]));
        while line.len() < LONGEST_LINE {
            let from = self.from.as_mut().ok_or(io::ErrorKind::UnexpectedEof)?;
            let read = within(self.deadline, (from, PollFlags::IN), |from| from.read(&mut *byte));
            match (self.heed(read)?, *byte) {
                (0, _) => return Err(io::ErrorKind::UnexpectedEof.into()),
                (_, [b'\n']) => return Ok(line),
                (_, [other]) => line.push(other),
            }
        }
        Err(io::ErrorKind::FileTooLarge.into())
    }

    /// Tells whether the program took longer than it had.
    pub(crate) const fn has_expired(&self) -> bool {
        self.expired
    }

    /// Ends the program if its time is up.
    fn heed<T>(&mut self, outcome: io::Result<T>) -> io::Result<T> {
        if outcome.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::TimedOut) {
            self.expired = true;
            self.send(Signal::KILL);
        }
        outcome
    }

    /// Sends the program a signal, and what it started; it may have left its group.
    fn send(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        // they fail for a program that has ended, or that became somebody else's (a set-user-ID program)
        rustix::process::kill_process_group(pid, signal).ok();
        rustix::process::kill_process(pid, signal).ok();
    }

    /// Tells once when the program has ended. It stays a zombie, so that no signal of ours can meet another process.
    fn end(&self) -> Receiver<()> {
        let (sender, end) = mpsc::channel();
        let pid = Pid::from_child(&self.child);
        let tell = move || {
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            while matches!(rustix::process::waitid(WaitId::Pid(pid), options), Err(Errno::INTR)) {}
            sender.send(()).ok();
        };
        // without a thread nothing is told: then the program is killed at once
        drop(std::thread::Builder::new().spawn(tell));
        end
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        drop((self.to.take(), self.from.take()));
        let end = self.end();
        self.send(Signal::TERM);
        if end.recv_timeout(LAST_WORDS).is_err() {
            self.send(Signal::KILL);
            // what even that does not end is left behind
            end.recv_timeout(LAST_WORDS).ok();
        }
        self.child.try_wait().ok();
    }
}

/// Does something with a stream that does not block, as soon as that can be done; an error of its own (timed out) says
/// that the deadline came first. Who else holds the other end of the stream does not matter.
fn within<S: AsFd>(
    deadline: Deadline,
    (stream, ready): (&mut S, PollFlags),
    mut attempt: impl FnMut(&mut S) -> io::Result<usize>,
) -> io::Result<usize> {
    loop {
        let left = deadline.left();
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        match attempt(stream) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            done => return done,
        }
        let left = Timespec::try_from(left).map_err(io::Error::other)?;
        match poll(&mut [PollFd::new(stream, ready)], Some(&left)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Starts a script that has some time.
    fn script(text: &str, patience: Duration) -> Conversation {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("script");
        super::super::files::replace(&path, format!("{text}\n").as_bytes(), 0o600).unwrap();
        // the shell reads it: a child of another test may hold it open, and such a file cannot be executed
        let (shell, path) = (OsStr::new("sh"), path.to_str().unwrap());
        let mut script = Conversation::start(shell, path, patience + Duration::from_secs(10)).unwrap();
        // once it says so it has read its file, and the folder may go
        assert_eq!(script.hear().unwrap().as_slice(), b"begun");
        script.deadline = Deadline::after(patience);
        script
    }

    /// Tells how long something takes.
    fn time_of(work: impl FnOnce()) -> Duration {
        let long = Duration::from_secs(600);
        let deadline = Deadline::after(long);
        work();
        long.saturating_sub(deadline.left())
    }

    #[test]
    fn what_is_said_is_answered_line_by_line() {
        let mut cat = Conversation::start(OsStr::new("cat"), "-", Duration::from_secs(60)).unwrap();
        cat.say(b"one\ntwo\n").unwrap();
        assert_eq!([cat.hear().unwrap().as_slice(), cat.hear().unwrap().as_slice()], [b"one", b"two"]);
        assert!(!cat.has_expired());
    }

    #[test]
    fn a_program_that_says_nothing_is_ended_with_all_that_it_started() {
        let mut sleeper = script("sleep 1000 & echo begun; exec sleep 1000", Duration::from_millis(50));
        assert!(sleeper.hear().is_err());
        assert!(sleeper.has_expired());
    }

    #[test]
    fn who_holds_the_stream_in_a_session_of_its_own_does_not_outlast_the_deadline() {
        let mut sleeper = script("setsid sleep 15 & echo begun; exec sleep 15", Duration::from_millis(50));
        let took = time_of(|| {
            assert!(sleeper.hear().is_err());
            assert!(sleeper.has_expired());
            drop(sleeper);
        });
        assert!(took < Duration::from_secs(5), "{took:?}");
    }

    #[test]
    fn a_program_that_hears_nothing_is_not_talked_to_for_ever() {
        let mut sleeper = script("echo begun; exec sleep 15", Duration::from_millis(50));
        let took = time_of(|| assert!(sleeper.say(&vec![b'x'; 1 << 20]).is_err()));
        assert!(sleeper.has_expired() && took < Duration::from_secs(5), "{took:?}");
    }

    #[test]
    fn a_program_that_talks_without_end_has_a_deadline_all_the_same() {
        let mut talker = script("echo begun; exec yes", Duration::from_millis(50));
        let took = time_of(|| while talker.hear().is_ok() {});
        assert!(talker.has_expired() && took < Duration::from_secs(5), "{took:?}");
    }

    #[test]
    fn a_program_that_left_its_group_is_ended() {
        // nothing is in the group that it was started in, and it does not mind being asked to end
        let text = r#"exec perl -e '$SIG{TERM} = "IGNORE"; setpgrp(0, getpgrp(getppid)); syswrite(STDOUT, "begun\n"); sleep 15'"#;
        let mut leaver = script(text, Duration::from_millis(50));
        let took = time_of(|| {
            assert!(leaver.hear().is_err());
            drop(leaver);
        });
        assert!(took < Duration::from_secs(5), "{took:?}");
    }
}
