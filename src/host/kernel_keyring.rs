//! The kernel's keyring of this user: texts that rest in the kernel's own memory, never on a disk, for a limited time.
//!
//! Of the kernel's keyrings it is the *user* keyring. All processes of a user have it, whatever they were started by: a
//! terminal, ssh, tmux, cron, a service. A session keyring is another one in each ssh login, and none at all where no
//! `pam_keyinit` ran; what hangs on possessing a keyring fails there, too. So a text is readable by its owner, and not only
//! by who possesses it. That gives nothing away: every process of the user can link the user keyring into its own.

use std::time::Duration;

use zeroize::Zeroizing;

/// The most that a text may hold; what we put there has less than 200 bytes.
const LARGEST: usize = 4_096;

/// Why the kernel's keyring cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KernelFault {
    /// There is no such thing, or who forbids it says so.
    #[error("the kernel keyring does not exist here: the kernel has none, or a container hides it")]
    Missing,
    /// Somebody forbids it.
    #[error("the kernel keyring is forbidden here, by the filter of a container or unit, or by a security module")]
    Forbidden,
    /// This user has put too much into it.
    #[error("the kernel keyring is full: this user's quota of keys is used up")]
    Full,
    /// What was put there could not be read.
    #[error("what was put into the kernel keyring cannot be read there, and was taken out again")]
    Lost,
    /// What is there cannot be taken out.
    #[error("what is in the kernel keyring cannot be taken out")]
    Stays,
    /// It cannot be told what is there.
    #[error("it cannot be told what is in the kernel keyring: /proc/keys is hidden")]
    Unlisted,
    /// Anything else.
    #[error("the kernel keyring does not work: error {0}")]
    Other(i32),
}

#[cfg(target_os = "linux")]
pub(crate) use linux::{find, put, remove, remove_all, try_out};

/// What Linux has.
#[cfg(target_os = "linux")]
mod linux {
    use linux_keyutils::{Key, KeyError, KeyPermissionsBuilder, KeyRing, KeyRingIdentifier, KeySerialId, Permission};

    use super::{Duration, KernelFault, LARGEST, Zeroizing};

    impl From<KeyError> for KernelFault {
        fn from(error: KeyError) -> Self {
            /// `ENOSYS` of most machines; the crate has no name for it.
            const NO_SUCH_CALL: i32 = 38;
            match error {
                KeyError::Unknown(NO_SUCH_CALL) | KeyError::OperationNotSupported => Self::Missing,
                KeyError::PermissionDenied | KeyError::AccessDenied => Self::Forbidden,
                KeyError::QuotaExceeded => Self::Full,
                KeyError::Unknown(number) => Self::Other(number),
                // the kernel's number is lost in the crate; each of these would be a defect of ours
                _ => Self::Other(0),
            }
        }
    }

    /// Returns the user's keyring; the kernel makes it at need.
    fn of_user() -> Result<KeyRing, KeyError> {
        KeyRing::from_special_id(KeyRingIdentifier::User, true)
    }

    /// Finds a text; `None` if there is none, or its time has come.
    pub(crate) fn find(name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, KernelFault> {
        let Some(key) = search(name)? else { return Ok(None) };
        let mut bytes = Zeroizing::new(vec![0; LARGEST]);
        let Some(length) = unless_gone(key.read(&mut *bytes))? else { return Ok(None) };
        if length > bytes.len() {
            return Err(KernelFault::Lost);
        }
        bytes.truncate(length);
        Ok(Some(bytes))
    }

    /// Finds the key of a name.
    fn search(name: &str) -> Result<Option<Key>, KernelFault> {
        unless_gone(of_user().and_then(|ring| ring.search(name)))
    }

    /// Tells what is not there, or not any more, from what does not work.
    fn unless_gone<T>(outcome: Result<T, KeyError>) -> Result<Option<T>, KernelFault> {
        match outcome {
            Ok(found) => Ok(Some(found)),
            Err(KeyError::KeyDoesNotExist | KeyError::KeyExpired | KeyError::KeyRevoked) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Puts a text there for a time, in the place of what has the same name.
    ///
    /// It gets its rights and its time in the keyring of this very process, and only then appears in the user's: who kills
    /// us in between leaves nothing that nobody would ever take out. What appears is read back before it is believed.
    pub(crate) fn put(name: &str, text: &[u8], time: Duration) -> Result<(), KernelFault> {
        let before = search(name)?;
        let key = KeyRing::from_special_id(KeyRingIdentifier::Process, true)?.add_key(name, text)?;
        let is_there = || find(name).map(|found| found.is_some_and(|found| found.as_slice() == text));
        let outcome = hand_over(key, time).map_err(KernelFault::from).and_then(|()| is_there());
        if outcome == Ok(true) {
            // it has no name any more, and would go by itself a little later
            before.and_then(|key| key.invalidate().ok());
            return Ok(());
        }
        // whatever failed: it may be in the user's keyring all the same
        key.invalidate().ok();
        if is_there() == Ok(true) { Err(KernelFault::Stays) } else { Err(outcome.err().unwrap_or(KernelFault::Lost)) }
    }

    /// Gives a key of this process its rights and its time, and then to the user's keyring.
    fn hand_over(key: Key, time: Duration) -> Result<(), KeyError> {
        let owner = Permission::VIEW | Permission::READ | Permission::SEARCH;
        key.set_perms(KeyPermissionsBuilder::builder().posessor(Permission::ALL).user(owner).build())?;
        key.set_timeout(usize::try_from(time.as_secs()).unwrap_or(usize::MAX))?;
        of_user()?.link_key(key)
    }

    /// Tries whether something could be put there, and leaves nothing: some containers forbid no more than that.
    pub(crate) fn try_out() -> Result<(), KernelFault> {
        of_user()?;
        let key = KeyRing::from_special_id(KeyRingIdentifier::Process, true)?.add_key("tokenkeep:trial", b"-")?;
        Ok(key.invalidate()?)
    }

    /// Takes a text out, and tells whether there was one.
    pub(crate) fn remove(name: &str) -> Result<bool, KernelFault> {
        let Some(key) = search(name)? else { return Ok(false) };
        unless_gone(key.invalidate())?;
        if search(name)?.is_some() { Err(KernelFault::Stays) } else { Ok(true) }
    }

    /// Takes out all texts whose names begin like this, and returns how many there were.
    pub(crate) fn remove_all(beginning: &str) -> Result<usize, KernelFault> {
        of_user()?;
        // the crate's own list stops at a name that is longer than it thinks
        let all = std::fs::read_to_string("/proc/keys").unwrap_or_default();
        let own = format!("_uid.{}: ", crate::host::process::user_number());
        if !all.lines().any(|line| line.contains(&own)) {
            return Err(KernelFault::Unlisted);
        }
        let mut count = 0;
        for key in all.lines().filter_map(|line| listed(line, beginning)) {
            count += usize::from(unless_gone(key.invalidate())?.is_some());
        }
        Ok(count)
    }

    /// Reads a line of `/proc/keys` (proc(5)): number, flags, uses, time, rights, user, group, kind, name. A key whose time
    /// has come is none.
    fn listed(line: &str, beginning: &str) -> Option<Key> {
        let fields: Vec<&str> = line.split_whitespace().take(9).collect();
        let [number, flags, _, time, _, _, _, "user", name] = fields[..] else { return None };
        let is_alive = !flags.contains(['R', 'D', 'i']) && time != "expd";
        let number = i32::from_str_radix(number, 16).ok()?;
        (is_alive && name.starts_with(beginning)).then(|| Key::from_id(KeySerialId::new(number)))
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn what_proc_keys_lists_is_ours_if_it_is_alive_and_called_so() {
            let is_ours = |line: &str| listed(line, "tokenkeep:").is_some();
            assert!(is_ours("0721ce53 I--Q---     1   7h 3f0b0000     0     0 user      tokenkeep:age1x: 98"));
            for other in [
                "0721ce53 I--Q---     1 expd 3f0b0000     0     0 user      tokenkeep:age1x: 98",
                "0721ce53 IR-Q---     1   7h 3f0b0000     0     0 user      tokenkeep:age1x: 98",
                "0721ce53 I--Q--i     1   7h 3f0b0000     0     0 user      tokenkeep:age1x: 98",
                "0721ce53 I--Q---     1 perm 3f0b0000     0     0 logon     tokenkeep:age1x: 98",
                "0721ce53 I--Q---     1 perm 3f0b0000     0     0 user      other tokenkeep:age1x: 98",
                "0721ce53 I--Q---     2 perm 1f3f0000     0 65534 keyring   _uid.0: empty",
                "",
            ] {
                assert!(!is_ours(other), "{other}");
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) use elsewhere::{find, put, remove, remove_all, try_out};

/// What other systems have: nothing of the kind.
#[cfg(not(target_os = "linux"))]
mod elsewhere {
    use super::{Duration, KernelFault, Zeroizing};

    /// Finds nothing.
    pub(crate) const fn find(_: &str) -> Result<Option<Zeroizing<Vec<u8>>>, KernelFault> {
        Err(KernelFault::Missing)
    }

    /// Puts nothing there.
    pub(crate) const fn put(_: &str, _: &[u8], _: Duration) -> Result<(), KernelFault> {
        Err(KernelFault::Missing)
    }

    /// Says that nothing could be put there.
    pub(crate) const fn try_out() -> Result<(), KernelFault> {
        Err(KernelFault::Missing)
    }

    /// Takes nothing out.
    pub(crate) const fn remove(_: &str) -> Result<bool, KernelFault> {
        Err(KernelFault::Missing)
    }

    /// Takes nothing out.
    pub(crate) const fn remove_all(_: &str) -> Result<usize, KernelFault> {
        Err(KernelFault::Missing)
    }
}
