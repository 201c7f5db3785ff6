//! `init`: makes a vault.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::{Context, Outcome, new_passphrase};
use crate::error::{Failure, Kind};
use crate::host::files::{self, Published};
use crate::output::Form;
use crate::profile::EntryName;
use crate::settings::edit::Edit;
use crate::vault::sealing::Identity;
use crate::vault::slots::Wrapping;
use crate::vault::{Vault, VaultError, header, unlock};

/// Examples of the command.
const EXAMPLES: &str = "Examples:
  tokenkeep init
  tokenkeep init --unlock passphrase
  tokenkeep init --unlock file --identity-file /etc/ci/tokenkeep-identity.txt
";

/// Make a vault
///
/// With `--unlock file` the key that opens the vault is written to a file that only you can read, so that cron jobs and
/// scripts can use the vault; with `--unlock passphrase` a person must type a passphrase. More ways to unlock can be added
/// with `tokenkeep vault slot add`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// How the vault is opened
    #[arg(long, value_enum, default_value_t, value_name = "HOW")]
    unlock: Unlock,
    /// Where the key is written; a key that is already there is used
    #[arg(long, value_name = "FILE")]
    identity_file: Option<PathBuf>,
}

/// How a new vault is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Unlock {
    /// By a key in a file of yours
    #[default]
    File,
    /// By a passphrase
    Passphrase,
}

/// Runs the command.
pub(crate) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    let (vault, identity_file) = match args.unlock {
        Unlock::File => {
            let file = args.identity_file.clone().map_or_else(|| default_identity_file(cx), Ok)?;
            (make_with_file(cx, &file)?, Some(file))
        }
        Unlock::Passphrase if args.identity_file.is_some() => {
            return Err(
                Failure::new(Kind::Usage, "--identity-file goes with `--unlock file`").hint("leave out one of the two")
            );
        }
        Unlock::Passphrase => (make_with_passphrase(cx)?, None),
    };
    report(cx, &vault, identity_file.as_deref())?;
    Ok(Outcome::Done)
}

/// Makes a vault that a key in a file opens, and writes that file's path into the configuration.
pub(crate) fn make_with_file(cx: &Context, file: &Path) -> Result<Vault, Failure> {
    // a shell leaves the tilde in `--identity-file=~/x` alone
    let below_home = file.strip_prefix("~").ok().zip(cx.settings()?.folders.home.as_ref());
    let file = below_home.map_or_else(|| file.to_owned(), |(below, home)| home.join(below));
    let file = std::path::absolute(&file).unwrap_or(file);
    refuse_existing(cx)?;
    let identity = identity_in(&file)?;
    // before there is a vault, so that no end in between leaves one that nothing names the key of
    let mut edit = Edit::open(&cx.settings()?.path)?;
    edit.set(&["unlock"], "identity_file", shown_path(cx, &file)?)?;
    edit.save()?;
    Ok(Vault::create(&cx.vault_folder()?, &cx.pin()?, identity, None)?)
}

/// Returns where the key is kept unless somebody says otherwise: beside the configuration.
pub(crate) fn default_identity_file(cx: &Context) -> Result<PathBuf, Failure> {
    Ok(cx.settings()?.folders.config.join("identity.txt"))
}

/// Makes a vault that a passphrase opens.
fn make_with_passphrase(cx: &mut Context) -> Result<Vault, Failure> {
    refuse_existing(cx)?;
    let passphrase = new_passphrase::take(cx, "--passphrase-fd", cx.globals.passphrase_fd)?;
    #[expect(clippy::expect_used, reason = "a constant that is a name")]
    let name: EntryName = "passphrase".parse().expect("a name");
    let wrapping = Some((name, Wrapping::Passphrase(passphrase)));
    Ok(Vault::create(&cx.vault_folder()?, &cx.pin()?, Identity::generate(), wrapping)?)
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
fn report(cx: &mut Context, vault: &Vault, identity_file: Option<&Path>) -> Result<(), Failure> {
    let folder = cx.vault_folder()?;
    if cx.printer.form == Form::Json {
        let file = identity_file.map(|file| file.display().to_string());
        return Ok(cx.printer.object(json!({
            "vault": folder.display().to_string(),
            "recipient": vault.recipient(),
            "identity_file": file,
        }))?);
    }
    cx.printer.notice(&format!("made a vault in {}", folder.display()));
    if let Some(file) = identity_file {
        cx.printer.notice(&format!(
            "it is opened by {}: keep a copy of that file in a safe place, and nowhere else",
            file.display()
        ));
    }
    if identity_file.is_none() {
        cx.printer.notice(
            "a passphrase opens it; `tokenkeep unlock` asks for it once, and leaves the vault open for a while",
        );
    }
    cx.printer.notice("next: `tokenkeep generate PROFILE --issuer URL --client-id ID`");
    Ok(())
}
