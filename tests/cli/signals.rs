//! What tests do to running processes: find the detached child of an exchange, send signals, wait for the end.

use std::path::Path;
use std::process::{Child, ChildStdin};
use std::time::Instant;

use rustix::process::{Pid, Signal};

use crate::harness::{PATIENCE, World};

/// Ends a process as `kill -9` does.
pub(crate) fn kill(pid: u32) {
    send(pid, Signal::KILL);
}

/// Sends a signal.
pub(crate) fn send(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(pid.try_into().unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

/// Sends a signal to a whole process group, unless it is gone.
pub(crate) fn send_to_group(leader: u32, signal: Signal) {
    let group = Pid::from_raw(leader.try_into().unwrap()).unwrap();
    let sent = rustix::process::kill_process_group(group, signal);
    assert!(matches!(sent, Ok(()) | Err(rustix::io::Errno::SRCH)), "{sent:?}");
}

/// Kills the front of an exchange, and reaps it.
pub(crate) fn kill_front(mut front: Child) {
    front.kill().unwrap();
    front.wait().unwrap();
}

/// Returns the detached child that carries out the exchange of a running command.
pub(crate) fn exchange_of(front: &Child) -> u32 {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(child) = children_of(front.id()).into_iter().find(|child| is_exchange(*child)) {
            return child;
        }
        assert!(Instant::now() < end, "no exchange was started");
        std::thread::yield_now();
    }
}

/// Waits until nobody holds the lock of an entry: its exchange has ended.
pub(crate) fn wait_for_lock(world: &World, entry: &str) {
    let path = world.entry(entry).join("lock");
    let file = std::fs::File::options().read(true).write(true).open(path).unwrap();
    file.lock().unwrap();
}

/// Waits until a file is there.
pub(crate) fn wait_for_file(path: &Path) {
    let end = Instant::now() + PATIENCE;
    while !path.exists() {
        assert!(Instant::now() < end, "{} does not come", path.display());
        std::thread::yield_now();
    }
}

/// Waits until a process waits for a file lock that somebody else holds.
pub(crate) fn wait_until_blocked(front: &Child) {
    let end = Instant::now() + PATIENCE;
    let id = front.id().to_string();
    let waits = |line: &str| line.contains("->") && line.split_whitespace().any(|word| word == id);
    while !std::fs::read_to_string("/proc/locks").unwrap().lines().any(waits) {
        assert!(Instant::now() < end, "it does not wait for a lock");
        std::thread::yield_now();
    }
}

/// Waits until what was written into a pipe has been read.
pub(crate) fn wait_until_read(pipe: &ChildStdin) {
    let end = Instant::now() + PATIENCE;
    while rustix::io::ioctl_fionread(pipe).unwrap() > 0 {
        assert!(Instant::now() < end, "it does not read its input");
        std::thread::yield_now();
    }
}

/// Returns what a process was started with, or an empty text where that cannot be read.
pub(crate) fn proc_file(pid: u32, name: &str) -> String {
    let bytes = std::fs::read(Path::new("/proc").join(pid.to_string()).join(name)).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn is_exchange(pid: u32) -> bool {
    proc_file(pid, "cmdline").starts_with("tokenkeep\0__exchange\0")
}

/// Returns the processes that a process has started.
pub(crate) fn children_of(parent: u32) -> Vec<u32> {
    let all = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let pids = all.filter_map(|item| item.file_name().to_str()?.parse().ok());
    pids.filter(|pid| parent_of(*pid) == Some(parent)).collect()
}

fn parent_of(pid: u32) -> Option<u32> {
    let stat = proc_file(pid, "stat");
    // the name in parentheses may hold anything
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}
