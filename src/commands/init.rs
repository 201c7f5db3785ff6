//! `init`: makes a vault.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::{Context, Outcome, new_passphrase};
use crate::error::{Failure, Kind};
use crate::host::files::{self, Published};
use crate::host::folders::absolute;
use crate::output::{Form, json_path};
use crate::profile::EntryName;
use crate::settings::edit::Edit;
use crate::vault::keyring::{DesktopFault, Keyring};
use crate::vault::sealing::Identity;
use crate::vault::slots::Wrapping;
use crate::vault::{Vault, VaultError, header, refuse_remains, unlock};

/// Examples of the command.
const EXAMPLES: &str = "Examples:
  tokenkeep init
  tokenkeep init --unlock keyring
  tokenkeep init --unlock passphrase
  tokenkeep init --unlock file --identity-file /etc/ci/tokenkeep-identity.txt
";

/// Make a vault
///
/// With `--unlock keyring` the key that opens the vault rests in the keyring of the desktop, and the vault is open while that
/// is. With `--unlock file` it is written to a file that only you can read, so that cron jobs and scripts can use the vault
/// on a machine without one. With `--unlock passphrase` a person must type a passphrase. Without the flag it is the file that
/// `unlock.identity_file` names, else the keyring where one is there that outlives the session, else a file. More ways to
/// unlock can be added with `tokenkeep vault slot add`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// How the vault is opened
    #[arg(long, value_enum, value_name = "HOW")]
    unlock: Option<Unlock>,
    /// Where the key is written; a key that is already there is used
    #[arg(long, value_name = "FILE")]
    identity_file: Option<PathBuf>,
}

/// How a new vault is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Unlock {
    /// By the keyring of the desktop
    Keyring,
    /// By a key in a file of yours
    File,
    /// By a passphrase
    Passphrase,
}

/// Where the key of a new vault rests.
pub(crate) enum Home {
    /// In the keyring of the desktop.
    Keyring(Keyring),
    /// In a file.
    File(PathBuf),
}

/// Runs the command.
pub(crate) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    let home = match (args.unlock, &args.identity_file) {
        (Some(Unlock::Keyring | Unlock::Passphrase), Some(_)) => {
            return Err(
                Failure::new(Kind::Usage, "--identity-file goes with `--unlock file`").hint("leave out one of the two")
            );
        }
        (Some(Unlock::Keyring), None) => Some(Home::Keyring(cx.keyring())),
        (Some(Unlock::File) | None, Some(file)) => Some(Home::File(file.clone())),
        (Some(Unlock::File), None) => Some(Home::File(identity_file(cx)?)),
        (None, None) => Some(default_home(cx)?),
        (Some(Unlock::Passphrase), None) => None,
    };
    let vault = match &home {
        Some(home) => make(cx, home)?,
        None => make_with_passphrase(cx)?,
    };
    report(cx, &vault, home.as_ref())?;
    Ok(Outcome::Done)
}

/// Decides where a key rests of which the command line says nothing: in the file that the configuration names, else in the
/// keyring where one is that keeps it for good. One that is locked or silent is there all the same, and nothing weaker takes
/// its place unasked.
pub(crate) fn default_home(cx: &Context) -> Result<Home, Failure> {
    refuse_existing(cx)?;
    if let Some(file) = cx.settings()?.identity_file() {
        return Ok(Home::File(file));
    }
    let keyring = cx.keyring();
    match keyring.check() {
        Ok(()) => Ok(Home::Keyring(keyring)),
        Err(fault) if fault.is_absence() || matches!(fault, DesktopFault::Forgetful) => {
            Ok(Home::File(identity_file(cx)?))
        }
        Err(fault) => Err(without_keyring(unlock::not_kept(fault), INSTEAD)),
    }
}

/// What is typed where there is no keyring for a new vault.
const INSTEAD: &str = "tokenkeep init --unlock file";

/// Describes a keyring that does not take a vault's key, with what is typed in its place.
pub(crate) fn without_keyring(error: VaultError, instead: &str) -> Failure {
    let mend = match &error {
        VaultError::Desktop { fault: DesktopFault::NoBus(_), .. } => {
            "type it in the session of the desktop, or name that: `export XDG_RUNTIME_DIR=/run/user/$(id -u)`"
                .to_owned()
        }
        VaultError::Desktop { fault, .. } => fault.mend(),
        _ => return error.into(),
    };
    Failure::from(error).hint(format!("{mend}; or do without it: `{instead}`"))
}

/// Makes a vault whose key rests somewhere.
pub(crate) fn make(cx: &Context, home: &Home) -> Result<Vault, Failure> {
    match home {
        Home::Keyring(keyring) => make_with_keyring(cx, keyring),
        Home::File(file) => make_with_file(cx, file),
    }
}

/// Makes a vault that the keyring of the desktop opens, and says so in the configuration.
fn make_with_keyring(cx: &Context, keyring: &Keyring) -> Result<Vault, Failure> {
    refuse_existing(cx)?;
    refuse_remains(&cx.site()?, None)?;
    let identity = Identity::generate();
    let recipient = identity.recipient().to_string();
    unlock::keep_in_keyring(keyring, &identity).map_err(|error| without_keyring(error, INSTEAD))?;
    let made = point_to_keyring(cx).and_then(|()| Ok(Vault::create(&cx.site()?, &cx.pin()?, identity, None)?));
    if made.is_err() {
        // what is left there opens nothing
        drop(unlock::forget_in_keyring(keyring, &recipient));
    }
    made
}

/// Writes into the configuration that the keyring opens the vault. A file that was named there would decide before it.
fn point_to_keyring(cx: &Context) -> Result<(), Failure> {
    let mut edit = Edit::open(&cx.settings()?.path)?;
    edit.retain(&["unlock"], &["keyring"]);
    edit.set(&["unlock"], "keyring", true)?;
    Ok(edit.save()?)
}

/// Makes a vault that a key in a file opens, and writes that file's path into the configuration.
fn make_with_file(cx: &Context, file: &Path) -> Result<Vault, Failure> {
    let file = placed(cx, file)?;
    refuse_existing(cx)?;
    // before a key is written beside entries that it does not open
    match unlock::read_identity_file(&file) {
        Ok(identity) => refuse_remains(&cx.site()?, Some(&identity))?,
        Err(VaultError::Source { fault, .. }) if fault.is_missing() => refuse_remains(&cx.site()?, None)?,
        Err(error) => return Err(error.into()),
    }
    let identity = identity_in(&file)?;
    // before there is a vault, so that no end in between leaves one that nothing names the key of
    if cx.settings()?.identity_file().as_ref() != Some(&file) {
        let mut edit = Edit::open(&cx.settings()?.path)?;
        edit.set(&["unlock"], "identity_file", shown_path(cx, &file)?)?;
        edit.save()?;
    }
    Ok(Vault::create(&cx.site()?, &cx.pin()?, identity, None)?)
}

/// Returns the whole path of an identity file. A shell leaves the tilde in `--identity-file=~/x` alone.
fn placed(cx: &Context, file: &Path) -> Result<PathBuf, Failure> {
    let below_home = file.strip_prefix("~").ok().zip(cx.settings()?.folders.home.as_ref());
    let file = below_home.map_or_else(|| file.to_owned(), |(below, home)| home.join(below));
    Ok(absolute(&file))
}

/// Returns where the key is kept unless a flag says otherwise: where the configuration says, or beside that.
fn identity_file(cx: &Context) -> Result<PathBuf, Failure> {
    let settings = cx.settings()?;
    Ok(settings.identity_file().unwrap_or_else(|| settings.folders.config.join("identity.txt")))
}

/// Makes a vault that a passphrase opens.
fn make_with_passphrase(cx: &mut Context) -> Result<Vault, Failure> {
    refuse_existing(cx)?;
    refuse_remains(&cx.site()?, None)?;
    let passphrase = new_passphrase::take(cx, "--passphrase-fd", cx.globals.passphrase_fd)?;
    #[expect(clippy::expect_used, reason = "a constant that is a name")]
    let name: EntryName = "passphrase".parse().expect("a name");
    let wrapping = Some((name, Wrapping::Passphrase(passphrase)));
    Ok(Vault::create(&cx.site()?, &cx.pin()?, Identity::generate(), wrapping)?)
}

/// Says so before anybody types a passphrase for a vault that is there.
fn refuse_existing(cx: &Context) -> Result<(), Failure> {
    let vault = cx.vault_folder()?;
    if header::path(&vault).exists() { Err(VaultError::Exists { vault }.into()) } else { Ok(()) }
}

/// Reads the key that a file holds; if there is no such file, makes both.
pub(crate) fn identity_in(file: &Path) -> Result<Identity, Failure> {
    match unlock::read_identity_file(file) {
        Ok(identity) => Ok(identity),
        Err(VaultError::Source { fault, .. }) if fault.is_missing() => write_identity(file),
        Err(error) => Err(error.into()),
    }
}

/// Makes a new key and writes its file; of two who do so at once, both take the first one's.
fn write_identity(file: &Path) -> Result<Identity, Failure> {
    let identity = Identity::generate();
    if let Some(folder) = file.parent() {
        files::make_folder(folder).map_err(|fault| crate::error::file_failure(Kind::Failed, &fault))?;
    }
    let recipient = identity.recipient();
    let text = zeroize::Zeroizing::new(format!(
        "# opens a tokenkeep vault; whoever can read this can use every token in it\n# public key: {recipient}\n{}\n",
        identity.text().as_str()
    ));
    let made = files::make(file, text.as_bytes(), 0o600);
    match made.map_err(|fault| crate::error::file_failure(Kind::Failed, &fault))? {
        Published::Yes => Ok(identity),
        Published::NameTaken => Ok(unlock::read_identity_file(file)?),
    }
}

/// Writes a path the way people do: `~/` for the home folder.
fn shown_path(cx: &Context, file: &Path) -> Result<String, Failure> {
    let home = cx.settings()?.folders.home.as_deref();
    let below = home.and_then(|home| file.strip_prefix(home).ok()).and_then(Path::to_str);
    if let Some(below) = below {
        return Ok(format!("~/{below}"));
    }
    file.to_str()
        .map(str::to_owned)
        .ok_or_else(|| Failure::new(Kind::Usage, "the path of the identity file is not UTF-8").hint("use another path"))
}

/// Says what was made.
fn report(cx: &mut Context, vault: &Vault, home: Option<&Home>) -> Result<(), Failure> {
    let folder = cx.vault_folder()?;
    if cx.printer.form == Form::Json {
        let (unlock, file) = match home {
            Some(Home::Keyring(_)) => ("keyring", None),
            Some(Home::File(file)) => ("file", Some(placed(cx, file)?)),
            None => ("passphrase", None),
        };
        return Ok(cx.printer.object(json!({
            "vault": json_path(&folder),
            "recipient": vault.recipient(),
            "unlock": unlock,
            "identity_file": file.as_deref().map(json_path),
        }))?);
    }
    cx.printer.notice(&format!("made a vault in {}", folder.display()));
    match home {
        Some(Home::Keyring(_)) => cx.printer.notice(
            "it is opened by the keyring of this desktop alone; for the day when that is lost, add a passphrase: \
             `tokenkeep vault slot add passphrase`",
        ),
        Some(Home::File(file)) => {
            let file = placed(cx, file)?;
            cx.printer.notice(&format!(
                "it is opened by {}: keep a copy of that file in a safe place, and nowhere else",
                file.display()
            ));
        }
        None => cx.printer.notice(
            "a passphrase opens it; `tokenkeep unlock` asks for it once, and leaves the vault open for a while",
        ),
    }
    cx.printer.notice("next: `tokenkeep generate PROFILE --issuer URL --client-id ID`");
    Ok(())
}
