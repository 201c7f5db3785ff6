//! What is wrong with a vault, as what a person reads and the shell gets.

use std::borrow::Cow;
use std::io;

use super::{Failure, Kind};
use crate::host::kernel_keyring::KernelFault;
use crate::vault::VaultError;
use crate::vault::header::SlotKind;
use crate::vault::kernel;
use crate::vault::keyring::DesktopFault;

impl From<VaultError> for Failure {
    fn from(error: VaultError) -> Self {
        let mut failure = Self::from_error(kind_of(&error), &error);
        if let VaultError::AnotherVault { pinned, found, .. } = &error {
            failure = failure.because(format!("pinned {pinned}, found {found}"));
        }
        failure.hint = hint_for(&error).map(Cow::into_owned);
        failure
    }
}

/// Says which exit code it has.
fn kind_of(error: &VaultError) -> Kind {
    use VaultError as E;
    match error {
        // where writing fails nothing is locked, and the disk is what must be mended
        E::Source { fault, .. } | E::File(fault) if fault.is_about_writing() => Kind::Failed,
        E::NotAnswered(source) if source.kind() == io::ErrorKind::Interrupted => Kind::Interrupted,
        E::Desktop { fault: DesktopFault::Silent, .. }
        | E::Rotating { .. }
        | E::Rotated { .. }
        | E::Busy { .. }
        | E::HeaderBusy { .. } => Kind::Later,
        E::Missing { .. }
        | E::HeaderMissing { .. }
        | E::Locked { .. }
        | E::Source { .. }
        | E::File(_)
        | E::NoIdentity { .. }
        | E::NotThisVault { .. }
        | E::WrongPassphrase { .. }
        | E::NoPassphrase { .. }
        | E::Desktop { .. }
        | E::NotAnswered(_)
        | E::Header { .. }
        | E::AnotherVault { .. }
        | E::SlotReplaced { .. }
        | E::Plugin { .. }
        | E::Entry { .. }
        | E::ExportNotOpened { .. } => Kind::Locked,
        E::Exists { .. }
        | E::Descriptor { .. }
        | E::SlotExists { .. }
        | E::NotAPassphrase { .. }
        | E::LastSlot { .. }
        | E::OwnRecipient
        | E::SecretForRecipient
        | E::NotARecipient
        | E::OtherIdentities { .. }
        | E::CaseClash { .. } => Kind::Usage,
        E::NoSuchSlot { .. } => Kind::NotFound,
        E::RestsInKeyring { .. } => Kind::Config,
        E::MayNotRest { .. }
        | E::NoExchange { .. }
        | E::NotAnExport(_)
        | E::Kernel(_)
        | E::Unsuitable { .. }
        | E::Wrapping(_)
        | E::Sealing { .. } => Kind::Failed,
    }
}

/// Says what to type.
#[expect(clippy::too_many_lines, reason = "a table: one line for each thing that can be wrong with a vault")]
pub(crate) fn hint_for(error: &VaultError) -> Option<Cow<'static, str>> {
    use VaultError as E;
    let text: &'static str = match error {
        E::NotAnswered(source) if source.kind() == io::ErrorKind::Interrupted => return None,
        E::Source { fault, slots, .. } if fault.is_missing() && !slots.is_empty() => {
            return Some(other_ways(slots).into());
        }
        E::Source { name, fault, .. } if fault.is_missing() && name.starts_with("unlock.identity_file") => {
            "put the file back, or name a copy of it: `export TOKENKEEP_IDENTITY_FILE=/path/to/identity.txt`"
        }
        E::Source { fault, .. } | E::File(fault) => match fault.mend() {
            Some(command) => return Some(format!("type `{command}`").into()),
            None => "see what there is, and how it is unlocked, with `tokenkeep status`",
        },
        E::Descriptor { flag, .. } => return Some(format!("open it for the command: `{flag} 3 3<FILE`").into()),
        E::Desktop { fault, .. } => return Some(fault.mend().into()),
        E::Plugin { name, fault } => return Some(fault.mend(name).into()),
        E::SlotReplaced { name } => {
            let remove = format!("`tokenkeep vault slot remove {name}`");
            return Some(format!("open the vault another way, then {remove}, and add it again").into());
        }
        E::SlotExists { name } => {
            return Some(format!("remove it first: `tokenkeep vault slot remove {name}`").into());
        }
        E::NotAPassphrase { name } => {
            let remove = format!("`tokenkeep vault slot remove {name}`");
            return Some(format!("for another key remove it, {remove}, and add one").into());
        }
        E::Entry { path, .. } => {
            let verify = "check the vault with `tokenkeep vault verify`";
            return Some(format!("{verify}; restore {} from a backup", path.display()).into());
        }
        E::CaseClash { existing, .. } => {
            return Some(format!("use `{existing}`, or a name that differs more").into());
        }
        E::Missing { .. } => "make one with `tokenkeep init`",
        E::HeaderMissing { .. } => {
            "put vault.toml back from a backup, see `tokenkeep help recovery`; or make it anew with the identity file that \
             opens these entries: `tokenkeep init --identity-file FILE`"
        }
        E::Exists { .. } => "see what it holds with `tokenkeep list`",
        E::Locked { slots, .. } if slots.contains(&SlotKind::Passphrase) => {
            "open it for a while with `tokenkeep unlock` on a terminal, or give the passphrase on a descriptor: \
             `--passphrase-fd 3 3<FILE`"
        }
        E::Locked { .. } => "name the identity file: `export TOKENKEEP_IDENTITY_FILE=/path/to/identity.txt`",
        E::NoIdentity { source_name } | E::NotThisVault { source_name } if source_name == kernel::SOURCE => {
            "take it out with `tokenkeep lock`, then open the vault another way"
        }
        E::NoIdentity { .. } | E::NoPassphrase { .. } => "show what opens the vault with `tokenkeep status`",
        E::NotThisVault { .. } => "use the identity this vault was made with; `tokenkeep status` shows both",
        E::WrongPassphrase { .. } => "try again, or unlock with `--identity-fd 3 3<FILE`",
        E::NotAnswered(_) => "give it on a descriptor: `--passphrase-fd 3 3<FILE`",
        E::Header { .. } => "restore vault.toml from a backup",
        E::AnotherVault { .. } => "if you know that it is right, say so with `tokenkeep vault verify --trust`",
        E::NoSuchSlot { .. } => "see them with `tokenkeep vault slot list`",
        E::LastSlot { .. } => "add another one first: `tokenkeep vault slot add NAME`",
        E::OwnRecipient => "make another key: `age-keygen -o FILE` prints its recipient",
        E::SecretForRecipient => {
            "programs beside this one, and the shell's history, have seen it: make another with `age-keygen -o FILE`, and \
             name what `age-keygen -y FILE` prints"
        }
        E::NotARecipient => "`age-keygen -y FILE` prints that of a key: age1...",
        E::MayNotRest { .. } => "when the disk works again, type `tokenkeep vault rotate`",
        E::NoExchange { .. } => "take the long way: `tokenkeep help recovery`",
        E::NotAnExport(_) => "write it anew with `tokenkeep vault export`",
        E::ExportNotOpened { .. } => {
            "name its key, `--file-identity FILE`, or give its passphrase, `--file-passphrase-fd N`"
        }
        E::RestsInKeyring { .. } => "move all into files first: `tokenkeep vault migrate --to age`",
        E::OtherIdentities { .. } => "name a file that is not there yet",
        E::Rotating { .. } | E::Rotated { .. } | E::Busy { .. } | E::HeaderBusy { .. } => "try again in a minute",
        E::Kernel(fault) => kernel_hint(*fault),
        E::Unsuitable { .. } => "put the vault on a local disk: `export TOKENKEEP_HOME=/path/on/that/disk`",
        E::Wrapping(_) => "add another way to unlock: `tokenkeep vault slot add NAME --recipient age1...`",
        E::Sealing { .. } => "check the vault with `tokenkeep vault verify`; what it holds is as before",
    };
    Some(text.into())
}

/// Says which ways into a vault are left where the file that should open it is not there.
fn other_ways(slots: &[SlotKind]) -> String {
    let of_kind = |kind: SlotKind| match kind {
        SlotKind::Passphrase => "with its passphrase: `--passphrase-fd 3 3<FILE`",
        SlotKind::Recipient => {
            "with the identity file of a slot: `export TOKENKEEP_IDENTITY_FILE=/path/to/identity.txt`"
        }
        SlotKind::Plugin => "with the plugin's identity file: `export TOKENKEEP_IDENTITY_FILE=/path/to/identity.txt`",
    };
    let kinds = [SlotKind::Passphrase, SlotKind::Recipient, SlotKind::Plugin];
    let ways: Vec<&str> = kinds.into_iter().filter(|kind| slots.contains(kind)).map(of_kind).collect();
    format!("put the file back, or open the vault {}", ways.join(", or "))
}

/// Says what to type where the kernel's keyring does not do what is asked of it.
const fn kernel_hint(fault: KernelFault) -> &'static str {
    match fault {
        KernelFault::Missing | KernelFault::Forbidden => {
            "use a key in a file: `export TOKENKEEP_IDENTITY_FILE=/path/to/identity.txt`; see `tokenkeep help environment`"
        }
        KernelFault::Full => "see the quota with `cat /proc/key-users`, and what is there with `keyctl show @u`",
        KernelFault::Unlisted => "close one vault at a time: `tokenkeep lock`, with the TOKENKEEP_HOME of each",
        KernelFault::Lost | KernelFault::Stays | KernelFault::Other(_) => "see what is there with `keyctl show @u`",
    }
}
