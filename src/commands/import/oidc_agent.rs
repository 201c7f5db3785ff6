//! `import oidc-agent`: its account files, whose password is asked for or handed over.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::report::nothing_found;
use super::{Flags, Source, import, unreadable, unreadable_content};
use crate::commands::context::unanswered;
use crate::commands::{Context, Outcome};
use crate::error::{Failure, Kind};
use crate::host::terminal::{self, Echo};
use crate::host::{descriptor, files};
use crate::idp::{IdpError, Wire};
use crate::migration::oidc_agent::{AccountFile, Locked};
use crate::migration::{Found, MigrationFault};
use crate::profile::SecureUrl;
use crate::secret::Passphrase;
use crate::token::text;

/// Examples of the command.
const EXAMPLES: &str = "Examples:
  tokenkeep import oidc-agent prod
  tokenkeep import oidc-agent --all --password-fd 3 3<password.txt
  oidc-gen --print prod | tokenkeep import oidc-agent - --dry-run
";

/// Take over accounts of oidc-agent
///
/// An account file is locked with a password: it is asked for, or read from --password-fd or --password-env. The provider
/// is asked for its public metadata where oidc-agent has put a slash behind its name; it is shown no token.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Accounts by their short names, or files; `-` is what `oidc-gen --print` prints, on standard input
    #[arg(value_name = "ACCOUNT", required_unless_present = "all", conflicts_with = "all")]
    accounts: Vec<PathBuf>,
    /// Every account in oidc-agent's folder
    #[arg(long)]
    all: bool,
    /// Read the password of the accounts from this descriptor
    #[arg(long, value_name = "N", value_parser = descriptor::given, conflicts_with = "password_env")]
    password_fd: Option<i32>,
    /// Take the password of the accounts from an environment variable
    #[arg(long, value_name = "VAR")]
    password_env: Option<String>,
    #[command(flatten)]
    flags: Flags,
}

/// Runs the command.
pub(super) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    let paths = paths(args, cx)?;
    let vault = cx.open_vault()?;
    let mut passwords = Passwords { known: given_password(args, cx)?.into_iter().collect(), may_ask: false };
    passwords.may_ask = passwords.known.is_empty() && cx.may_ask();
    let mut sources = Vec::new();
    for path in &paths {
        let source = source(cx, path, &mut passwords);
        // who gives up at one question must not be asked the next
        if source.logins.as_ref().is_err_and(|failure| failure.kind == Kind::Interrupted) {
            return source.logins.map(|_| Outcome::Done);
        }
        sources.push(source);
    }
    if args.flags.issuer.is_none() {
        let mut answers = Answers::new();
        for found in sources.iter_mut().flat_map(|source| source.logins.iter_mut().flatten()) {
            respell(cx, found, &mut answers)?;
        }
    }
    let outcome = import(cx, &args.flags, &vault, sources)?;
    if !args.flags.dry_run {
        cx.printer.notice(HELD_TWICE);
    }
    Ok(outcome)
}

/// What whoever still runs the agent must know.
const HELD_TWICE: &str = "if a running oidc-agent holds the account, too, take it out there with `oidc-add --remove NAME`: \
     where a provider rotates tokens, only one may present them. (`oidc-gen --delete` would revoke the token.)";

/// Returns the files that are meant.
fn paths(args: &Args, cx: &Context) -> Result<Vec<PathBuf>, Failure> {
    let folder = folder(cx)?;
    if !args.all {
        let in_folder = |name: &PathBuf| {
            let there = folder.as_ref().map(|folder| folder.join(name));
            there.filter(|there| is_bare(name) && there.is_file()).unwrap_or_else(|| name.clone())
        };
        return Ok(args.accounts.iter().map(in_folder).collect());
    }
    let name_it = "name its folder: `export OIDC_CONFIG_DIR=/path/to/it`";
    let folder = folder.ok_or_else(|| nothing_found("there is no folder of oidc-agent", name_it))?;
    let names = files::list(&folder).map_err(|fault| unreadable(&fault))?;
    let mut paths: Vec<PathBuf> =
        names.into_iter().map(|name| folder.join(name)).filter(|path| is_account(path)).collect();
    paths.sort();
    if paths.is_empty() { Err(nothing_found("oidc-agent's folder has no accounts", name_it)) } else { Ok(paths) }
}

/// Tells whether a name may be that of an account, and is not only a file's.
fn is_bare(name: &Path) -> bool {
    name.components().count() == 1 && name != Path::new("-")
}

/// Returns oidc-agent's folder, if there is one.
fn folder(cx: &Context) -> Result<Option<PathBuf>, Failure> {
    let home = cx.settings()?.folders.home.clone();
    let below = |name: &str| home.as_ref().map(|home| home.join(name));
    let named = cx.host.env.raw("OIDC_CONFIG_DIR").map(PathBuf::from);
    let candidates = [named, below(".config/oidc-agent"), below(".oidc-agent")];
    Ok(candidates.into_iter().flatten().find(|folder| folder.is_dir()))
}

/// Tells whether a file may be an account: beside them lie the agent's own files.
fn is_account(path: &Path) -> bool {
    let is_own = path.extension().is_some_and(|extension| extension == "config" || extension == "log");
    path.is_file() && !is_own
}

/// The passwords that accounts were opened with, or may be.
struct Passwords {
    /// Those that are known: mostly one opens all accounts.
    known: Vec<Passphrase>,
    /// Whether somebody sits there who can be asked for more.
    may_ask: bool,
}

/// Reads the password that the command line names a source for.
fn given_password(args: &Args, cx: &Context) -> Result<Option<Passphrase>, Failure> {
    let unreadable = |name: &str, why: String| {
        Failure::new(Kind::Usage, format!("cannot read the password from {name}"))
            .because(why)
            .hint("open it for the command: `--password-fd 3 3<FILE`")
    };
    let text = if let Some(number) = args.password_fd {
        let name = format!("descriptor {number}");
        let bytes = descriptor::read_to_end(number, LONGEST_PASSWORD);
        let bytes = bytes.map_err(|error| unreadable(&name, error.to_string()))?;
        String::from_utf8(bytes).map_err(|_| unreadable(&name, "it is not UTF-8".to_owned()))?
    } else if let Some(variable) = &args.password_env {
        let text = cx.host.env.text(variable).map(str::to_owned);
        let name = text::shown(variable);
        text.ok_or_else(|| {
            unreadable(&format!("the variable {name}"), "it is empty or not set".to_owned()).hint(format!(
                "set it where no history keeps it, `read -rs {name} && export {name}`, or hand it over: \
                 `--password-fd 3 3<FILE`"
            ))
        })?
    } else {
        return Ok(None);
    };
    // of a file, the first line, as `oidc-gen --pw-file` has it
    Ok(Some(Passphrase::new(zeroize::Zeroizing::new(text).lines().next().unwrap_or_default().to_owned())))
}

/// Nobody types more.
const LONGEST_PASSWORD: u64 = 64 * 1024;

/// Reads and opens one account file.
fn source(cx: &mut Context, path: &Path, passwords: &mut Passwords) -> Source {
    let file_name = path.file_name().map(|name| text::shown(&name.to_string_lossy()));
    let file_name = file_name.filter(|name| name != "-").unwrap_or_default();
    let source = Source::read(cx, path, |shown, bytes| {
        let mut found = match AccountFile::read(bytes).map_err(|fault| unreadable_content(shown, &fault))? {
            AccountFile::Open(found) => *found,
            AccountFile::Locked(locked) => passwords.open(&locked, (shown, &file_name))?,
        };
        if found.label.is_empty() {
            found.label.clone_from(&file_name);
        }
        Ok(vec![found])
    });
    match &source.logins {
        Err(failure) if failure.kind == Kind::NotFound && is_bare(path) => {
            let message = format!("oidc-agent has no account `{}`, and there is no such file", source.shown);
            let hint =
                "see its accounts with `oidc-gen --accounts`, or name its folder: `export OIDC_CONFIG_DIR=/path/to/it`";
            Source { logins: Err(nothing_found(&message, hint)), ..source }
        }
        _ => source,
    }
}

impl Passwords {
    /// Opens a locked account with a password that is known, else with one that somebody types.
    fn open(&mut self, locked: &Locked, (shown, account): (&str, &str)) -> Result<Found, Failure> {
        for password in &self.known {
            match locked.open(password) {
                Err(MigrationFault::WrongPassword) => {}
                other => return other.map_err(|fault| unreadable_content(shown, &fault)),
            }
        }
        if !self.may_ask {
            let wrong = || unreadable_content(shown, &MigrationFault::WrongPassword);
            return Err(if self.known.is_empty() { without_password(shown) } else { wrong() });
        }
        let question = format!("Password of oidc-agent's account {account}: ");
        let line = terminal::ask(&question, Echo::Hidden).map_err(|error| unanswered(&error))?;
        let password = Passphrase::new(line.as_str().to_owned());
        let found = locked.open(&password).map_err(|fault| unreadable_content(shown, &fault))?;
        self.known.push(password);
        Ok(found)
    }
}

/// Describes an account whose password nobody can be asked for.
fn without_password(shown: &str) -> Failure {
    Failure::new(Kind::Usage, format!("{shown} is locked with a password, and there is nobody to ask for it"))
        .hint("give it on a descriptor: `--password-fd 3 3<FILE`")
}

/// How providers spell themselves, by what stands in the accounts; `None` where nobody answered.
type Answers = BTreeMap<String, Option<String>>;

/// Takes the slash away that oidc-agent puts behind every provider's name, unless the name has one: a profile that is
/// there knows, or the provider's metadata say so. Where nobody can be asked it is taken away.
fn respell(cx: &Context, found: &mut Found, answers: &mut Answers) -> Result<(), Failure> {
    let Some(bare) = found.issuer.as_ref().and_then(|issuer| issuer.strip_suffix('/')).map(str::to_owned) else {
        return Ok(());
    };
    let slashed = format!("{bare}/");
    let mut known = cx.settings()?.config.profiles.values().filter_map(|table| table.issuer.clone());
    let known = known.find(|issuer| *issuer == bare || *issuer == slashed);
    let ca_file = found.ca_file.as_ref().map(PathBuf::from);
    let ask = || spelling(&bare, &slashed, ca_file.as_deref());
    // of many accounts of a provider that is down, one waits for it
    let spelled = known.or_else(|| answers.entry(slashed.clone()).or_insert_with(ask).clone());
    if spelled.is_none() {
        found.left.push("the slash behind the issuer: nobody could be asked whether it belongs there".to_owned());
    }
    found.issuer = Some(spelled.unwrap_or(bare));
    Ok(())
}

/// Asks a provider's public metadata which of two ways is its own.
fn spelling(bare: &str, slashed: &str, ca_file: Option<&Path>) -> Option<String> {
    let issuer: SecureUrl = slashed.parse().ok()?;
    match Wire::open(ca_file).ok()?.discover(&issuer) {
        Ok(_) => Some(slashed.to_owned()),
        Err(IdpError::IssuerMismatch { found, .. }) if found == bare => Some(found),
        Err(_) => None,
    }
}
