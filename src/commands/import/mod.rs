//! `import`: takes logins over from other tools, and offers to shred what they left in clear text.

mod kubelogin;
mod oidc_agent;
mod provena;
mod report;
mod take;

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::Path;

use zeroize::Zeroizing;

use super::profile::flags::words;
use super::{Context, Outcome};
use crate::error::{Failure, Kind, file_failure};
use crate::host::files::FileFault;
use crate::host::shred::{HONESTLY, Plaintext};
use crate::migration::{Found, LARGEST, MigrationFault};
use crate::profile::{ClientAuth, EntryName};
use crate::token::text;
use crate::vault::Vault;
use report::Imported;

/// Examples of the whole group.
const EXAMPLES: &str = "Examples:
  tokenkeep import oidc-agent --all --dry-run
  tokenkeep import oidc-agent prod --password-fd 3 --refresh --shred 3<password.txt
  tokenkeep import provena .tokens.json
  kubectl config view --raw --output json | tokenkeep import kubelogin --kubeconfig -
";

/// Take logins over from another tool
///
/// Each becomes a profile and an entry, and the client's secret an entry of its own. What is there already and says
/// otherwise is not replaced. No token is shown to its provider, unless you add --refresh.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES, disable_help_subcommand = true)]
pub(crate) struct Args {
    /// From where
    #[command(subcommand)]
    command: Command,
}

/// The tools whose files are understood. Each is described where its arguments are: what stood here would take the place
/// of that.
#[derive(clap::Subcommand)]
enum Command {
    OidcAgent(Box<oidc_agent::Args>),
    Provena(Box<provena::Args>),
    Kubelogin(Box<kubelogin::Args>),
}

/// Runs the command.
pub(crate) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    match &args.command {
        Command::OidcAgent(args) => oidc_agent::run(args, cx),
        Command::Provena(args) => provena::run(args, cx),
        Command::Kubelogin(args) => kubelogin::run(args, cx),
    }
}

/// Flags for every tool.
#[derive(clap::Args)]
struct Flags {
    /// What to call it, if it is one login
    #[arg(long, value_name = "NAME")]
    name: Option<EntryName>,
    /// The provider, whatever the file says
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// What the provider calls the client, whatever the file says
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,
    /// How the client shows who it is [default: none, or basic with a secret]
    #[arg(long, value_name = "METHOD", value_parser = words::<ClientAuth>())]
    client_auth: Option<ClientAuth>,
    /// The entry for the client's secret [default: NAME-client if the file has one]
    #[arg(long, value_name = "entry:NAME")]
    client_secret: Option<String>,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Replace an entry or a profile that says otherwise
    #[arg(long)]
    replace: bool,
    /// Refresh each login once, to see that it lives, before its file goes
    #[arg(long, conflicts_with = "dry_run")]
    refresh: bool,
    #[command(flatten)]
    file: FileArgs,
}

/// What becomes of a file whose logins rest in the vault.
#[derive(clap::Args)]
#[group(multiple = false)]
struct FileArgs {
    /// Shred the file once the vault has what it holds [default: ask; without a terminal it stays]
    #[arg(long)]
    shred: bool,
    /// Leave the file as it is, and do not ask
    #[arg(long)]
    keep: bool,
}

/// A file of another tool, and what was read in it.
struct Source {
    /// What it is called, fit to be shown.
    shown: String,
    /// The file; none if it came on standard input.
    plaintext: Option<Plaintext>,
    /// The logins in it.
    logins: Result<Vec<Found>, Failure>,
}

impl Source {
    /// Reads a file, or standard input if it is called `-`.
    fn read(cx: &mut Context, path: &Path, read: impl FnOnce(&str, &[u8]) -> Result<Vec<Found>, Failure>) -> Self {
        if path == Path::new("-") {
            let shown = "standard input".to_owned();
            let logins = standard_input(cx).and_then(|bytes| read(&shown, &bytes));
            return Self { shown, plaintext: None, logins };
        }
        let shown = text::escaped(&path.display().to_string());
        match Plaintext::read(path, LARGEST) {
            Ok(plaintext) => {
                let logins = read(&shown, plaintext.bytes());
                Self { shown, plaintext: Some(plaintext), logins }
            }
            Err(fault) => Self { shown, plaintext: None, logins: Err(unreadable(&fault)) },
        }
    }
}

/// Reads standard input to its end.
fn standard_input(cx: &mut Context) -> Result<Zeroizing<Vec<u8>>, Failure> {
    if cx.globals.identity_fd == Some(0) || cx.globals.passphrase_fd == Some(0) {
        return Err(Failure::new(Kind::Usage, "only one thing can be read from standard input")
            .hint("unlock with another descriptor: `--identity-fd 3 3<FILE`"));
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(LARGEST).unwrap_or(0) + 1));
    let read = (&mut cx.host.stdin).take(LARGEST + 1).read_to_end(&mut bytes);
    let failure = |why: String| {
        Failure::new(Kind::Usage, "cannot take it from standard input")
            .because(why)
            .hint("give the file's content, and nothing else")
    };
    read.map_err(|error| failure(error.to_string()))?;
    if bytes.len() as u64 > LARGEST { Err(failure("it is larger than 1 MiB".to_owned())) } else { Ok(bytes) }
}

/// Describes a file that cannot be opened or read.
fn unreadable(fault: &FileFault) -> Failure {
    let kind = if fault.is_missing() { Kind::NotFound } else { Kind::Failed };
    file_failure(kind, fault).or_hint(|| "see with `ls -la` what is there".to_owned())
}

/// Describes a file that is not what it should be.
fn unreadable_content(shown: &str, fault: &MigrationFault) -> Failure {
    let (kind, hint) = match fault {
        MigrationFault::Format { .. } => (Kind::Usage, "name the file that the tool wrote"),
        MigrationFault::WrongPassword => (Kind::Usage, "type the command again, with the password of this account"),
        MigrationFault::Damaged | MigrationFault::TooCostly { .. } => {
            (Kind::Failed, "take the file from a backup, or log in anew: `tokenkeep generate PROFILE`")
        }
        MigrationFault::NoMemory => (Kind::Failed, "see with `free -m` and `ulimit -v` what there is"),
        MigrationFault::Gpg => {
            (Kind::Usage, "let oidc-agent open it: `oidc-gen --print NAME | tokenkeep import oidc-agent -`")
        }
        MigrationFault::Mytoken => (Kind::Usage, "log in at the provider itself: `tokenkeep generate PROFILE`"),
    };
    Failure::new(kind, format!("cannot take anything from {shown}")).because(fault.to_string()).hint(hint)
}

/// Takes over the logins of some files: all that can be, each on its own.
fn import(cx: &mut Context, flags: &Flags, vault: &Vault, sources: Vec<Source>) -> Result<Outcome, Failure> {
    let count = sources.iter().flat_map(|source| &source.logins).map(Vec::len).sum::<usize>();
    if count > 1 && (flags.name.is_some() || flags.client_secret.is_some()) {
        return Err(Failure::new(Kind::Usage, format!("--name and --client-secret are for one login, not {count}"))
            .hint("take them over one after the other"));
    }
    refuse_doubles(&sources)?;
    let mut results = Vec::new();
    for source in sources {
        let of_file = one_file(cx, flags, vault, source);
        let is_over = of_file.iter().any(Imported::is_interrupted);
        results.extend(of_file);
        if is_over {
            break;
        }
    }
    report::report(cx, flags, results)
}

/// Refuses two logins that would get the same name.
fn refuse_doubles(sources: &[Source]) -> Result<(), Failure> {
    let mut seen = BTreeSet::new();
    let mut logins = sources.iter().flat_map(|source| source.logins.iter().flatten());
    let double = logins.find_map(|found| found.name.as_ref().filter(|name| !seen.insert(name.to_lowercase())));
    match double {
        Some(name) => Err(Failure::new(Kind::Usage, format!("two logins would be called `{}`", text::shown(name)))
            .hint("take them over one after the other, each with --name NAME")),
        None => Ok(()),
    }
}

/// Takes over the logins of one file, and then decides what becomes of it.
fn one_file(cx: &Context, flags: &Flags, vault: &Vault, source: Source) -> Vec<Imported> {
    let Source { shown, plaintext, logins } = source;
    let logins = match logins {
        Ok(logins) => logins,
        Err(failure) => return vec![Imported::failed(&shown, "", failure)],
    };
    let keeps = logins.iter().find_map(|found| found.keeps_file).map(str::to_owned);
    let mut results: Vec<Imported> =
        logins.into_iter().map(|found| one_login(cx, flags, vault, (&shown, found))).collect();
    let is_safe = results.iter().any(|result| result.outcome.is_ok()) && results.iter().all(Imported::is_safe);
    let Some(plaintext) = plaintext.filter(|_| is_safe && !flags.dry_run) else { return results };
    let keeps = keeps.or_else(|| results.iter().find_map(Imported::keeps_file));
    match dispose(cx, flags, &plaintext, keeps) {
        Ok(shredded) => {
            for result in &mut results {
                result.is_shredded = shredded;
            }
        }
        Err(failure) => results.push(Imported::failed(&shown, "", failure)),
    }
    results
}

/// Takes over one login of a file.
fn one_login(cx: &Context, flags: &Flags, vault: &Vault, (file, found): (&str, Found)) -> Imported {
    let (label, has_token) = (found.label.clone(), found.refresh_token.is_some());
    if let Err(failure) = take::usable_token(cx, &found) {
        return Imported { is_nothing: true, has_token, ..Imported::failed(file, &label, failure) };
    }
    let outcome = take::take(cx, flags, vault, found);
    Imported { file: file.to_owned(), label, outcome, is_nothing: false, has_token, is_shredded: false }
}

/// Shreds a file, if that is wanted; tells whether it is gone.
fn dispose(cx: &Context, flags: &Flags, plaintext: &Plaintext, keeps: Option<String>) -> Result<bool, Failure> {
    let path = text::escaped(&plaintext.path.display().to_string());
    let stays = |why: String| {
        Err(Failure::new(Kind::Failed, format!("its logins are in the vault, but {path} was not shredded"))
            .because(why)
            .hint("look at it, and remove it yourself; it can still be read"))
    };
    match (flags.file.shred, keeps) {
        (false, _) if flags.file.keep => return Ok(false),
        (true, Some(why)) => return stays(why),
        (true, None) => {}
        (false, None) if cx.may_ask() => {
            if !Context::confirm(&format!("Shred {path} now? ({HONESTLY})"))? {
                return Ok(false);
            }
        }
        (false, _) => return Ok(false),
    }
    match plaintext.shred(cx.host.random) {
        Ok(()) => Ok(true),
        Err(fault) => stays(crate::error::chain(&fault)),
    }
}
