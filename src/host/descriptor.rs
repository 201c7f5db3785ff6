//! Descriptors that the caller of the program, or the front of an exchange, hands over by number.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd, BorrowedFd, FromRawFd as _, IntoRawFd as _, OwnedFd, RawFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, FdFlags};
use rustix::stdio::{stderr, stdin, stdout};

/// Takes over a descriptor that was inherited under a number; the standard streams are not ours to take.
pub(crate) fn adopt(number: RawFd) -> io::Result<OwnedFd> {
    if number <= 2 {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "descriptors 0 to 2 are the standard streams"));
    }
    #[expect(unsafe_code, reason = "a descriptor given by number has no safe form; nothing else here owns it")]
    let (borrowed, owned) = unsafe { (BorrowedFd::borrow_raw(number), OwnedFd::from_raw_fd(number)) };
    match rustix::io::fcntl_setfd(borrowed, FdFlags::CLOEXEC) {
        Ok(()) => Ok(owned),
        Err(errno) => {
            // not open, so there is nothing to close
            let _: RawFd = owned.into_raw_fd();
            Err(errno.into())
        }
    }
}

/// Reads the number of a descriptor from the command line. From then on no program that is started inherits it, be it read
/// before that program runs or never.
pub(crate) fn given(text: &str) -> Result<RawFd, std::num::ParseIntError> {
    let number = text.parse()?;
    if number > 2 {
        #[expect(unsafe_code, reason = "a descriptor given by number has no safe form; it is used for this one call")]
        let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
        // one that is not open is named by who reads it
        rustix::io::fcntl_setfd(borrowed, FdFlags::CLOEXEC).ok();
    }
    Ok(number)
}

/// Reads all that a descriptor gives, at most `limit` bytes; standard input may be named, too.
pub(crate) fn read_to_end(number: RawFd, limit: u64) -> io::Result<Vec<u8>> {
    // as large as it can get: growing would leave a copy of a secret behind
    let mut bytes = Vec::with_capacity(usize::try_from(limit).unwrap_or(0).saturating_add(1));
    if number == 0 {
        io::stdin().take(limit + 1).read_to_end(&mut bytes)?;
    } else {
        File::from(adopt(number)?).take(limit + 1).read_to_end(&mut bytes)?;
    }
    if bytes.len() as u64 > limit {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("more than {limit} bytes")));
    }
    Ok(bytes)
}

/// Opens `/dev/null` in the place of a standard stream that the caller has closed: else the next file that is opened gets
/// its number, and what is meant for a person is written into it.
pub(super) fn fill_streams() {
    let closed = |stream: BorrowedFd<'_>| rustix::io::fcntl_getfd(stream) == Err(Errno::BADF);
    while [stdin(), stdout(), stderr()].into_iter().any(closed) {
        // the lowest number that is free is the one that is missing
        let Ok(null) = rustix::fs::open("/dev/null", OFlags::RDWR, Mode::empty()) else { return };
        let _: RawFd = null.into_raw_fd();
    }
}

/// Lets the next program that is started inherit a descriptor, or not.
pub(crate) fn set_inheritable(descriptor: impl AsFd, inherit: Inherit) -> io::Result<()> {
    let flags = match inherit {
        Inherit::Yes => FdFlags::empty(),
        Inherit::No => FdFlags::CLOEXEC,
    };
    Ok(rustix::io::fcntl_setfd(descriptor, flags)?)
}

/// Whether a started program gets a descriptor.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Inherit {
    /// It does.
    Yes,
    /// It does not.
    No,
}
