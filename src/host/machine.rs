//! The machine and who uses it: its name, its randomness, the user, the address somebody came from, kinds of file systems.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use rustix::fs::FileType;

use super::{Environment, process};

/// Fills a buffer from the operating system's generator.
pub(super) fn random(buffer: &mut [u8]) -> io::Result<()> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        filled += rustix::rand::getrandom(rest, rustix::rand::GetRandomFlags::empty())?;
    }
    Ok(())
}

/// Returns the name of this machine.
pub(crate) fn name() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if name.is_empty() { "localhost".to_owned() } else { name }
}

/// Returns the user whose process this is. Variables are not asked: whoever runs a command can set them.
pub(crate) fn user() -> String {
    user_name(process::user_number())
}

/// Returns the number of the user whose rights this process has.
pub(crate) fn effective_user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Returns a user's name in the user database, else the number.
pub(crate) fn user_name(number: u32) -> String {
    let number = number.to_string();
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name_of = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == number).then(|| name.to_owned())
    };
    users.lines().find_map(name_of).unwrap_or(number)
}

/// Tells whether the programs of this user run when nobody is logged in (`loginctl enable-linger`).
pub(crate) fn lingers() -> bool {
    Path::new("/var/lib/systemd/linger").join(user()).exists()
}

/// Returns the address from which somebody logged in to this machine, if that is known.
pub(crate) fn remote_address(env: &Environment) -> Option<IpAddr> {
    let connection = env.text("SSH_CONNECTION").or_else(|| env.text("SSH_CLIENT"))?;
    connection.split_whitespace().next()?.parse().ok()
}

/// Where the session's D-Bus is, on which programs of the desktop can be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SessionBus {
    /// A variable says it.
    Named,
    /// If it is anywhere, its socket is in the place where systemd puts it.
    Socket(PathBuf),
    /// There is none.
    Nowhere,
}

impl SessionBus {
    /// Reads the variables of a session.
    pub(crate) fn of(env: &Environment) -> Self {
        if env.raw("DBUS_SESSION_BUS_ADDRESS").is_some() {
            return Self::Named;
        }
        env.raw("XDG_RUNTIME_DIR").map_or(Self::Nowhere, |folder| Self::Socket(Path::new(folder).join("bus")))
    }

    /// Tells whether there is one. To look is all: who tries to connect without one may start one in passing.
    pub(crate) fn is_there(&self) -> bool {
        let is_socket =
            |path| rustix::fs::stat(path).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode).is_socket());
        match self {
            Self::Named => true,
            Self::Socket(path) => is_socket(path),
            Self::Nowhere => false,
        }
    }
}

/// Tells whether a path lies on a file system that several machines share.
pub(crate) fn is_on_network(path: &Path) -> bool {
    /// What `statfs` calls them (linux/magic.h): NFS, SMB, CIFS, SMB2, CODA, NCP, AFS, kAFS, Ceph, Lustre, GPFS, 9P.
    const SHARED: [u64; 12] = [
        0x6969,
        0x517b,
        0xff53_4d42,
        0xfe53_4d42,
        0x7375_7245,
        0x564c,
        0x5346_414f,
        0x6b41_4653,
        0x00c3_6400,
        0x0bd0_0bd0,
        0x4750_4653,
        0x0102_1997,
    ];
    // the type of the field differs from machine to machine; the magic numbers have 32 bits
    let kind = |stat: rustix::fs::StatFs| u64::try_from(stat.f_type & 0xffff_ffff).unwrap_or(0);
    match rustix::fs::statfs(path).map(kind) {
        Ok(FUSE) => {
            let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
            rustix::fs::stat(path).is_ok_and(|stat| is_shared_fuse(&mounts, &device(&stat)))
        }
        found => found.is_ok_and(|kind| SHARED.contains(&kind)),
    }
}

/// What `statfs` calls a file system that a program serves. What is behind it, only the name of that program tells; often it
/// is a disk of this machine's containers.
const FUSE: u64 = 0x6573_5546;

/// Returns the device that a file is on, as mountinfo writes it.
fn device(stat: &rustix::fs::Stat) -> String {
    format!("{}:{}", rustix::fs::major(stat.st_dev), rustix::fs::minor(stat.st_dev))
}

/// Tells whether the program that serves a device is known to do so over the network; `mounts` is mountinfo (proc(5)).
fn is_shared_fuse(mounts: &str, device: &str) -> bool {
    const PROGRAMS: [&str; 9] =
        ["sshfs", "glusterfs", "ceph-fuse", "s3fs", "rclone", "gcsfuse", "juicefs", "curlftpfs", "mfs"];
    let served_by = |line: &str| {
        let (place, system) = line.split_once(" - ")?;
        let program = system.split(' ').next()?.strip_prefix("fuse.")?;
        (place.split(' ').nth(2)? == device).then(|| PROGRAMS.contains(&program))
    };
    mounts.lines().find_map(served_by).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    #[test]
    fn random_bytes_differ() {
        let (mut one, mut other) = ([0; 32], [0; 32]);
        random(&mut one).unwrap();
        random(&mut other).unwrap();
        assert!(one != other && one != [0; 32]);
    }

    #[test]
    fn a_disk_that_a_program_serves_over_the_network_is_told_from_one_of_this_machine() {
        let mounts = "36 25 0:41 / /mnt/ssh rw,nosuid - fuse.sshfs ada@host:/srv rw,user_id=0\n\
                      37 25 0:42 / /mnt/over rw master:1 - fuse.fuse-overlayfs overlay rw\n\
                      38 25 0:4 / /mnt/plain rw - fuse /dev/fuse rw\n";
        let shared = ["0:41", "0:42", "0:4", "8:1"].map(|device| is_shared_fuse(mounts, device));
        assert_eq!(shared, [true, false, false, false]);
    }

    #[test]
    fn the_first_word_of_a_connection_is_the_address() {
        let env = |value: &str| [(OsString::from("SSH_CONNECTION"), OsString::from(value))].into_iter().collect();
        assert_eq!(remote_address(&env("192.0.2.7 50122 10.0.0.1 22")), "192.0.2.7".parse().ok());
        assert_eq!(remote_address(&env("nowhere")), None);
    }
}
