//! `tokenkeep completions`: what a shell needs to complete our command lines, and the answers when it asks.
//!
//! The names of entries and profiles are completed from the names of files and from `config.toml`: nothing is unlocked.
//! An argument that takes such a name says so: `#[arg(add = ArgValueCompleter::new(completions::entry_names))]`.

use std::ffi::OsStr;
use std::io::{self, Write as _};
use std::sync::OnceLock;

use clap_complete::CompletionCandidate;
use clap_complete::env::{Bash, Elvish, EnvCompleter, Fish, Powershell, Shells, Zsh};

use super::help::TOPICS;
use super::{Context, Outcome};
use crate::error::{Failure, Kind};
use crate::host::Host;
use crate::host::folders::Folders;
use crate::profile::EntryName;
use crate::settings::Settings;
use crate::vault::shelf::Shelf;

/// Examples, and where each shell wants the script.
const EXAMPLES: &str = "Examples:
  bash:        source <(tokenkeep completions bash)     in ~/.bashrc
  zsh:         source <(tokenkeep completions zsh)      in ~/.zshrc, after compinit
  fish:        tokenkeep completions fish | source      in ~/.config/fish/config.fish
  elvish:      eval (tokenkeep completions elvish | slurp)
  powershell:  tokenkeep completions powershell | Out-String | Invoke-Expression
";

/// Arguments.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// The shells that can be helped.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Shell {
    /// GNU Bash
    Bash,
    /// Z shell
    Zsh,
    /// fish
    Fish,
    /// Elvish
    Elvish,
    /// PowerShell
    Powershell,
}

impl Shell {
    /// Returns what knows the shell's ways.
    fn completer(self) -> &'static dyn EnvCompleter {
        match self {
            Self::Bash => &Bash,
            Self::Zsh => &Zsh,
            Self::Fish => &Fish,
            Self::Elvish => &Elvish,
            Self::Powershell => &Powershell,
        }
    }
}

/// Runs the command.
pub(crate) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    let script = registration(args.shell.completer())
        .map_err(|error| Failure::new(Kind::Bug, "cannot write the script").because(error.to_string()))?;
    cx.printer.raw(&script)?;
    Ok(Outcome::Done)
}

/// Writes the script that tells a shell to ask us.
fn registration(shell: &dyn EnvCompleter) -> io::Result<String> {
    let mut script = Vec::new();
    shell.write_registration(VARIABLE, PROGRAM, PROGRAM, PROGRAM, &mut script)?;
    let script = String::from_utf8(script).map_err(io::Error::other)?;
    // one line end at the end and none at the beginning, so that the committed files are tidy
    Ok(format!("{}\n", script.trim()))
}

/// The whole command line, for the completers, to which clap passes nothing but the word that was begun.
static TREE: OnceLock<fn() -> clap::Command> = OnceLock::new();

/// Answers a shell that asks how a command line goes on; `None` if it is no shell that asks.
pub(crate) fn complete(host: &mut Host, tree: fn() -> clap::Command) -> Option<u8> {
    let shell = host.env.text(VARIABLE)?;
    let shells = Shells::builtins();
    let shell = shells.completer(shell)?;
    // the script of every shell puts `--` before the words; without it somebody just has a variable of that name
    let mut words = host.args.iter().skip(1);
    words.next().filter(|word| *word == "--")?;
    let mut tree = TREE.get_or_init(|| tree)();
    tree.build();
    let mut answer = Vec::new();
    let folder = std::env::current_dir().ok();
    let written = shell.write_complete(&mut tree, words.cloned().collect(), folder.as_deref(), &mut answer);
    let written = written.and_then(|()| host.stdout.write_all(&answer)).and_then(|()| host.stdout.flush());
    Some(written.is_err().into())
}

/// Completes the name of an entry of the vault.
pub(crate) fn entry_names(current: &OsStr) -> Vec<CompletionCandidate> {
    let folders = Folders::of(&Host::of_this_process()).ok();
    let entries = folders.and_then(|folders| Shelf::of(&folders.data.join("vault")).names().ok());
    let names = entries.map(|names| names.entries).unwrap_or_default();
    candidates(current, names.iter().map(EntryName::as_str))
}

/// Completes the name of a profile.
pub(crate) fn profile_names(current: &OsStr) -> Vec<CompletionCandidate> {
    let host = Host::of_this_process();
    let folders = Folders::of(&host).ok();
    let settings = folders.and_then(|folders| Settings::load(&host, folders, None, &[]).ok());
    let profiles = settings.map(|settings| settings.config.profiles).unwrap_or_default();
    candidates(current, profiles.keys().map(EntryName::as_str))
}

/// Completes what `help` explains.
pub(crate) fn topics_and_commands(current: &OsStr) -> Vec<CompletionCandidate> {
    let tree = TREE.get().map(|tree| tree());
    let commands = tree.iter().flat_map(clap::Command::get_subcommands).map(clap::Command::get_name);
    candidates(current, TOPICS.iter().map(|topic| topic.name).chain(commands))
}

/// Keeps the names that begin like what was typed.
fn candidates<'a>(current: &OsStr, names: impl Iterator<Item = &'a str>) -> Vec<CompletionCandidate> {
    let begun = current.to_str().unwrap_or_default();
    names.filter(|name| name.starts_with(begun)).map(CompletionCandidate::new).collect()
}

/// The variable by which a script asks us.
const VARIABLE: &str = "COMPLETE";

/// What the program is called on the search path.
const PROGRAM: &str = "tokenkeep";
