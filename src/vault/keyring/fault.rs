//! Why the keyring of the desktop does not do what it was asked for, and what mends it.

use super::{ENTRY, PATIENCE};
use crate::token::text::escaped;

/// Why the keyring does not do what it was asked for.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum DesktopFault {
    /// Nobody can be asked.
    #[error("there is no keyring here: this session has no D-Bus{0}")]
    NoBus(String),
    /// Nobody answers to the name of the Secret Service.
    #[error("there is no keyring here: nothing on the session's D-Bus is a Secret Service")]
    NoService,
    /// It has no place to keep anything in.
    #[error("the keyring has no default collection")]
    NoCollection,
    /// It would forget.
    #[error("the keyring forgets what it holds at the end of the session")]
    Forgetful,
    /// Somebody has to unlock it.
    #[error("the keyring is locked")]
    Locked,
    /// No answer came in time.
    #[error("the keyring did not answer within {} seconds", PATIENCE.as_secs())]
    Silent,
    /// There is no item of this name.
    #[error("the keyring holds nothing under `{0}`")]
    NoItem(String),
    /// Two items have one name, and nobody knows which is meant.
    #[error("the keyring holds more than one item `{0}`")]
    Ambiguous(String),
    /// It did not keep what it was given.
    #[error("the keyring gives back something else than what it was given for `{0}`")]
    Unfaithful(String),
    /// What it holds is not what we write.
    #[error("the keyring's item `{0}` is damaged")]
    Damaged(String),
    /// An item is newer than what shall take its place, or another one of the same number.
    #[error("the keyring's item `{name}` is generation {held} already")]
    Newer {
        /// The item.
        name: String,
        /// The generation that it holds.
        held: u64,
    },
    /// Names were wanted alone.
    #[error("the keyring was not asked")]
    Unasked,
    /// Anything else, in its own words.
    #[error("the keyring refuses: {0}")]
    Refused(String),
}

impl DesktopFault {
    /// Tells whether there is no keyring, or nothing of ours in it: then another way to unlock may be tried.
    pub(crate) const fn is_absence(&self) -> bool {
        matches!(self, Self::NoBus(_) | Self::NoService | Self::NoCollection | Self::NoItem(_))
    }

    /// Tells whether it could not be asked now, which says nothing of what it holds.
    pub(crate) const fn is_about_asking(&self) -> bool {
        matches!(self, Self::Locked | Self::Silent | Self::NoBus(_) | Self::NoService)
    }

    /// Says what mends it.
    pub(crate) fn mend(&self) -> String {
        let hint = match self {
            Self::Locked => "unlock it in the desktop: log in there, or type `secret-tool lookup service tokenkeep`",
            Self::NoBus(_) => {
                "in cron and over ssh, name the desktop's: `export XDG_RUNTIME_DIR=/run/user/$(id -u)`; where there is \
                 none, give the vault's key (`--identity-fd 3 3<FILE`) or its passphrase (`--passphrase-fd 3 3<FILE`)"
            }
            Self::NoService => "start gnome-keyring, KWallet or KeePassXC",
            Self::NoCollection => "log in to the desktop once, or make one in its password manager",
            Self::Forgetful => "make another collection the default one in the desktop's password manager",
            Self::NoItem(name) if name.starts_with(ENTRY) => {
                "bring back the keyring that held it, then the same again; if that is lost, log in again, or give the \
                 entry up with `tokenkeep delete`"
            }
            Self::NoItem(_) => {
                "use the keyring that the vault was made with, or its passphrase: `--passphrase-fd 3 3<FILE`"
            }
            Self::Silent => "try again; if it stays silent, log out of the desktop and in again",
            Self::Ambiguous(name) => {
                return format!("see them with `secret-tool search --all username '{name}'`, and remove one");
            }
            Self::Newer { name, .. } => {
                return format!(
                    "see it with `secret-tool search --all username '{name}'`; if it is of no use any more, remove it: \
                     `secret-tool clear service tokenkeep username '{name}'`"
                );
            }
            Self::Damaged(_) => "restore the keyring from a backup, or delete the entry and log in again",
            Self::Unasked => "see what there is with `tokenkeep status`",
            Self::Unfaithful(_) | Self::Refused(_) => {
                "see what it says for itself (`journalctl --user -b -g keyring`); what is too large for it can rest in \
                 files: `tokenkeep vault migrate --to age`"
            }
        };
        hint.to_owned()
    }
}

/// Says why no connection came about.
pub(super) fn unconnected(error: &dbus_secret_service::Error) -> DesktopFault {
    match fault(error) {
        DesktopFault::Refused(words) => DesktopFault::NoBus(format!(" ({words})")),
        known => known,
    }
}

/// Says what the Secret Service, or the way to it, complains of.
pub(super) fn fault(error: &dbus_secret_service::Error) -> DesktopFault {
    use dbus_secret_service::Error as E;
    let name = match error {
        E::Locked | E::Prompt => return DesktopFault::Locked,
        E::Unavailable => return DesktopFault::NoService,
        E::Dbus(error) => error.name().unwrap_or_default(),
        _ => "",
    };
    let Some(name) = name.strip_prefix("org.freedesktop.") else { return DesktopFault::Refused(words(error)) };
    match name {
        "Secret.Error.IsLocked" => DesktopFault::Locked,
        "DBus.Error.NoReply" | "DBus.Error.Timeout" | "DBus.Error.TimedOut" => DesktopFault::Silent,
        "DBus.Error.ServiceUnknown" | "DBus.Error.NameHasNoOwner" => DesktopFault::NoService,
        name if name.starts_with("DBus.Error.Spawn.") => DesktopFault::NoService,
        _ => DesktopFault::Refused(words(error)),
    }
}

/// Says what the store complains of; behind most of it is the Secret Service.
pub(super) fn refused(error: &keyring_core::Error) -> DesktopFault {
    use keyring_core::Error as E;
    match error {
        E::PlatformFailure(inner) | E::NoStorageAccess(inner) => {
            inner.downcast_ref().map_or_else(|| DesktopFault::Refused(words(inner)), fault)
        }
        // never in its own words, which hold what it was given
        E::BadEncoding(_) | E::BadDataFormat(..) => DesktopFault::Refused("what it holds is damaged".to_owned()),
        other => DesktopFault::Refused(words(other)),
    }
}

/// Returns an error's words, in which a terminal finds nothing to obey.
fn words(error: &impl std::fmt::Display) -> String {
    escaped(&error.to_string())
}
