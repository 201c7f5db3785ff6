//! The command line: global flags, the commands, and one match that dispatches them.
//!
//! The arguments of a command are built only when that command was typed ([`clap::Command::defer`]): the whole tree would
//! cost more than handing out a token.

use std::ffi::OsString;
use std::mem::ManuallyDrop;

use clap::builder::Styles;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, Args as _, FromArgMatches as _};

use crate::commands::{self, Context, Globals, Outcome};
use crate::error::{Failure, Kind};
use crate::token::issued;
use crate::token::nearest::nearest;
use crate::token::text::{self, Look};

/// Declares the commands: the enum, how each is described and parsed, and what runs it.
macro_rules! commands {
    ($($variant:ident $module:ident $name:literal $about:literal;)*) => {
        /// A command with its arguments.
        pub(crate) enum Command {
            $(#[doc = $about] $variant(commands::$module::Args),)*
        }

        /// The commands: their arguments are made only when they are needed.
        const COMMANDS: &[Known] = &[
            $(Known {
                name: $name,
                about: $about,
                make: || clap::Command::new($name).about($about).defer(|command| {
                    with_globals(commands::$module::Args::augment_args(command).about($about))
                }),
            },)*
        ];

        /// Reads the command that was typed, and the global flags behind it.
        fn command_of(matches: &mut ArgMatches) -> Result<Option<(Globals, Command)>, clap::Error> {
            let Some((name, mut matches)) = matches.remove_subcommand() else { return Ok(None) };
            let command = match name.as_str() {
                $($name => Command::$variant(commands::$module::Args::from_arg_matches_mut(&mut matches)?),)*
                _ => return Ok(None),
            };
            Ok(Some((Globals::from_arg_matches_mut(&mut matches)?, command)))
        }

        /// Runs a command.
        pub(crate) fn dispatch(command: &Command, cx: &mut Context) -> Result<Outcome, Failure> {
            match command {
                $(Command::$variant(args) => commands::$module::run(args, cx),)*
            }
        }
    };
}

commands! {
    Generate generate "generate" "Log in once at a provider and keep the offline token";
    Store store "store" "Put a token or secret you already hold into the vault";
    Get get "get" "Print an access token that is good, or a stored secret";
    Refresh refresh "refresh" "Bring access tokens up to date; for cron";
    Env env "env" "Print assignments of environment variables";
    Exec exec "exec" "Run a command with tokens in its environment";
    Validate validate "validate" "Tell whether a token is good, and why not";
    Revoke revoke "revoke" "Revoke a token at its provider, then forget it";
    List list "list" "List the entries of the vault";
    Show show "show" "Show one entry, without its secrets";
    Status status "status" "Show the vault, how it is unlocked, what is due and what is wrong";
    Whoami whoami "whoami" "Show who a token says we are";
    Doctor doctor "doctor" "Check everything and say how to mend it";
    JobToken job_token "job-token" "Issue tokens for jobs, and check what jobs may do with them";
    AdminToken admin_token "admin-token" "Manage admin keys, and mint admin tokens";
    Token token "token" "Issue tokens for people and programs, and manage them";
    History history "history" "Show what happened to tokens, the newest first";
    Audit audit "audit" "Check the ledger, and its history";
    Maintain maintain "maintain" "Close expired tokens, sweep orphans, cut history; for cron";
    Stats stats "stats" "Show figures about the tokens that live";
    Init init "init" "Make a vault";
    Unlock unlock "unlock" "Open the vault for a while";
    Lock lock "lock" "Close what `unlock` opened, now";
    Import import "import" "Take logins over from another tool";
    Profile profile "profile" "Add, list, show, remove and discover profiles";
    Vault vault "vault" "Manage the vault: slots, its key, exports, backups; verify it";
    Schedule schedule "schedule" "Refresh regularly: a systemd timer or a cron job";
    Config config "config" "Show settings as they are in force";
    Delete delete "delete" "Delete an entry from the vault";
    Completions completions "completions" "Print the completion script of a shell";
    Man man "man" "Print or install the manual pages";
    Help help "help" "Explain a topic or a command";
}

/// A command that there is.
struct Known {
    name: &'static str,
    about: &'static str,
    make: fn() -> clap::Command,
}

/// Returns the whole tree.
pub(crate) fn tree() -> clap::Command {
    trunk().subcommands(COMMANDS.iter().map(|command| (command.make)()))
}

/// Returns the tree with nothing in it but the command that seems to have been typed.
fn branch(args: &[OsString]) -> Option<clap::Command> {
    let named = |arg: &OsString| COMMANDS.iter().find(|command| arg == command.name);
    args.iter().skip(1).find_map(named).map(|command| trunk().subcommand((command.make)()))
}

/// Returns the tree with no command in it, and a help that lists them all the same.
fn summit() -> clap::Command {
    let width = COMMANDS.iter().map(|command| command.name.len()).max().unwrap_or_default();
    let list: Vec<String> =
        COMMANDS.iter().map(|Known { name, about, .. }| format!("  {name:width$}  {about}")).collect();
    let list = list.join("\n");
    trunk().override_usage("tokenkeep [OPTIONS] [COMMAND]").help_template(format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\nCommands:\n{list}\n\n{{all-args}}{{after-help}}"
    ))
}

/// Returns the tree without its commands.
fn trunk() -> clap::Command {
    let trunk = clap::Command::new("tokenkeep")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Keeps tokens so that programs can use them with nobody at the keyboard")
        .after_help(commands::help::AFTER_HELP)
        .disable_help_subcommand(true)
        .styles(Styles::plain())
        .subcommand_required(false)
        .arg(Arg::new("version").short('V').long("version").action(ArgAction::Version).help("Print the version"))
        .disable_version_flag(true);
    add_globals(trunk)
}

/// Adds the global flags to one command. Only within a group are they global: in the whole tree clap would copy each of
/// them into each command, and every match once more.
fn with_globals(command: clap::Command) -> clap::Command {
    let command = add_globals(command);
    if command.has_subcommands() { command.mut_args(|arg| arg.global(true)) } else { command }
}

/// Adds the global flags, and keeps what the command says of itself: clap would replace it by what they say.
fn add_globals(command: clap::Command) -> clap::Command {
    let (about, long_about) = (command.get_about().cloned(), command.get_long_about().cloned());
    let mut command = Globals::augment_args(command);
    if let Some(about) = about {
        command = command.about(about);
    }
    if let Some(long_about) = long_about {
        command = command.long_about(long_about);
    }
    command
}

/// What the command line asks for.
pub(crate) enum Asked {
    /// A command.
    Run(Globals, Box<Command>),
    /// Text that clap has ready: help.
    Print(String),
    /// The version, in the words for people.
    Version(String),
    /// Nothing: a short help.
    Nothing,
}

/// Parses the command line.
///
/// First by a tree that holds the typed command alone, or none if none was typed: what is right there means the same in the
/// whole tree, and anything else (another word that happens to be a command's name, help for a command, a mistake) is asked
/// of the whole tree.
pub(crate) fn parse(args: &[OsString]) -> Result<Asked, Failure> {
    // trees live as long as the process: taking one down costs more than parsing did
    match branch(args).map(ManuallyDrop::new) {
        Some(mut branch) => {
            if let Ok(asked @ Asked::Run(..)) = parse_by(&mut branch, args) {
                return Ok(asked);
            }
        }
        None => match parse_by(&mut ManuallyDrop::new(summit()), args) {
            Err(error) if !asks_for_text(&error) => {}
            answer => return answer.or_else(|error| Ok(text_of(&error))),
        },
    }
    let mut tree = ManuallyDrop::new(tree());
    parse_by(&mut tree, args).or_else(|error| match error.kind() {
        _ if asks_for_text(&error) => Ok(text_of(&error)),
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => Err(missing_command(&tree, &command_words(&tree, args))),
        _ => {
            let command = command_words(&tree, args);
            let failure = usage_failure(&error, &tree, args, &command);
            // their own codes are kept apart from those of their child
            let runs_a_child = command == ["exec"] || command == ["job-token", "run"];
            Err(if runs_a_child { failure.with_code(commands::exec::OURS) } else { failure })
        }
    })
}

/// Whether what clap calls an error is help or the version.
fn asks_for_text(error: &clap::Error) -> bool {
    matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion)
}

/// Returns that text. The styles are plain, so there is nothing to strip.
fn text_of(error: &clap::Error) -> Asked {
    let text = error.render().ansi().to_string();
    if error.kind() == ErrorKind::DisplayVersion { Asked::Version(text) } else { Asked::Print(text) }
}

/// Parses the command line by one tree.
fn parse_by(tree: &mut clap::Command, args: &[OsString]) -> Result<Asked, clap::Error> {
    let mut matches = tree.try_get_matches_from_mut(args)?;
    let command = command_of(&mut matches)?;
    let front = Globals::from_arg_matches_mut(&mut matches)?;
    Ok(command.map_or(Asked::Nothing, |(behind, command)| Asked::Run(behind.over(front), Box::new(command))))
}

/// Returns the names of the command that was typed, and of those below it.
fn command_words(tree: &clap::Command, args: &[OsString]) -> Vec<String> {
    let takes_value = |arg: &str| {
        let flag = |flag: &&Arg| flag.get_long().is_some_and(|long| arg.strip_prefix("--") == Some(long));
        tree.get_arguments().find(flag).is_some_and(|flag| flag.get_action().takes_values())
    };
    let (mut words, mut at) = (Vec::new(), tree);
    let mut args = args.iter().skip(1).map(|arg| arg.to_str().unwrap_or_default());
    while let Some(arg) = args.next() {
        if let Some(below) = at.find_subcommand(arg) {
            words.push(arg.to_owned());
            at = below;
        } else if !arg.starts_with('-') {
            break;
        } else if takes_value(arg) {
            args.next();
        }
    }
    words
}

/// Describes a group of commands of which none was named.
fn missing_command(tree: &clap::Command, words: &[String]) -> Failure {
    let group = words.iter().try_fold(tree, |at, word| at.find_subcommand(word));
    let names: Vec<&str> =
        group.into_iter().flat_map(clap::Command::get_subcommands).map(clap::Command::get_name).collect();
    let typed = format!("tokenkeep {}", words.join(" "));
    Failure::new(Kind::Usage, format!("`{typed}` needs a command: {}", names.join(", ")))
        .hint(format!("see `{typed} --help`"))
}

/// The commands that take a profile by its mere name.
const TAKE_A_PROFILE: [&str; 8] = ["env", "exec", "generate", "get", "refresh", "revoke", "show", "whoami"];

/// The commands that are told the ids of tokens.
const TAKE_IDS: [&str; 4] = ["admin-token", "history", "job-token", "token"];

/// Describes a command line that makes no sense. A token in it is not repeated.
fn usage_failure(error: &clap::Error, tree: &clap::Command, args: &[OsString], command: &[String]) -> Failure {
    // where an id belongs, what looks like one is one; a recipient of age is known to everybody
    let takes_ids = command.first().is_some_and(|name| TAKE_IDS.contains(&name.as_str()));
    let is_known = |word: &str| word.starts_with("age1") || takes_ids && issued::is_public(word);
    let looks_secret = |word: &str| text::classify(word) != Look::Plain && !is_known(word);
    // a header or an assignment may be around it
    let is_secret = |arg: &str| {
        let mut words = arg.split_whitespace();
        words.any(|word| looks_secret(word.split_once('=').map_or(word, |(_, value)| value)))
    };
    if args.iter().skip(1).filter_map(|arg| arg.to_str()).any(is_secret) {
        return token_typed(command);
    }
    if let Some(usage) = without_dashes(error, args, command) {
        let hint = format!("`--` goes before the command: `{usage}`");
        return Failure::new(Kind::Usage, "it is not said which command to run").hint(hint);
    }
    if error.kind() == ErrorKind::InvalidSubcommand {
        return unknown_command(error, tree, command);
    }
    if let Some(failure) = stray_word(error, command) {
        return failure;
    }
    let rendered = error.render().ansi().to_string();
    let mut paragraphs = rendered.trim().trim_start_matches("error: ").split("\n\n");
    let message = paragraphs.next().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
    let tip = rendered.lines().find_map(|line| line.trim().strip_prefix("tip: ").map(str::to_owned));
    let tip = tip.filter(|tip| !tip.starts_with("to pass"));
    let usage = rendered.lines().find_map(|line| line.strip_prefix("Usage: "));
    Failure::new(Kind::Usage, message).hint(match (tip, usage) {
        (Some(tip), _) => tip,
        (None, Some(usage)) => format!("usage: {usage}"),
        (None, None) => {
            let words: Vec<&str> =
                ["tokenkeep"].into_iter().chain(command.iter().map(String::as_str)).chain(["--help"]).collect();
            format!("see `{}`", words.join(" "))
        }
    })
}

/// Describes a token that was typed, and says how this command takes it.
fn token_typed(command: &[String]) -> Failure {
    let failure = Failure::token_on_command_line();
    let words: Vec<&str> = command.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["job-token", "authorize"] => {
            failure.hint("give it on standard input: `tokenkeep job-token authorize JOB EVENT --stdin`")
        }
        ["token", ..] => failure.hint("name it by its public id, which `tokenkeep token list` shows"),
        _ => failure,
    }
}

/// Returns how a command is run with tokens, if that is what was meant and `--` was forgotten.
fn without_dashes(error: &clap::Error, args: &[OsString], command: &[String]) -> Option<&'static str> {
    let usage = match command {
        [exec] if exec == "exec" => "tokenkeep exec PROFILE -- COMMAND",
        [group, run] if group == "job-token" && run == "run" => "tokenkeep job-token run JOB -- COMMAND",
        _ => return None,
    };
    let flag = |text: &str| text.starts_with('-');
    let about_a_word = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(word)) => !flag(word),
        Some(ContextValue::Strings(words)) => words.iter().all(|word| word.starts_with("<CMD>")),
        _ => false,
    };
    (about_a_word && args.iter().all(|arg| arg != "--")).then_some(usage)
}

/// Describes a word that no command takes there.
fn stray_word(error: &clap::Error, command: &[String]) -> Option<Failure> {
    let word = match (error.kind(), error.get(ContextKind::InvalidArg)) {
        (ErrorKind::UnknownArgument, Some(ContextValue::String(word))) if word == "--profile" => word,
        (ErrorKind::UnknownArgument, Some(ContextValue::String(word))) if !word.starts_with('-') => word,
        (ErrorKind::TooManyValues, Some(ContextValue::String(flag))) => flag,
        _ => return None,
    };
    match command {
        [verb] if word == "--profile" => TAKE_A_PROFILE.contains(&verb.as_str()).then(|| {
            let failure = Failure::new(Kind::Usage, "unexpected argument '--profile' found");
            failure.hint(format!("name the profile without it: `tokenkeep {verb} PROFILE`"))
        }),
        // the word is likely to be the secret itself, and is not repeated
        [store] if store == "store" => {
            let message = "`store` takes a name alone: every process can read what stands on the command line";
            let hint = "give the text with --stdin, or its file: `tokenkeep store NAME --from-file FILE`";
            Some(Failure::new(Kind::Usage, message).hint(hint))
        }
        [validate]
            if validate == "validate"
                && word.chars().all(|letter| letter.is_alphanumeric() || "._@+-".contains(letter)) =>
        {
            let failure = Failure::new(Kind::Usage, format!("unexpected argument '{word}' found"));
            Some(failure.hint(format!("if it is an entry, type `tokenkeep validate --entry {word}`")))
        }
        _ => None,
    }
}

/// Describes a command that there is not, and names the one that was probably meant.
fn unknown_command(error: &clap::Error, tree: &clap::Command, above: &[String]) -> Failure {
    let typed = match error.get(ContextKind::InvalidSubcommand) {
        Some(ContextValue::String(typed)) => typed.as_str(),
        _ => "",
    };
    let group = above.iter().try_fold(tree, |at, word| at.find_subcommand(word)).unwrap_or(tree);
    let elsewhere = ELSEWHERE.iter().find(|(word, _)| above.is_empty() && *word == typed);
    let near = nearest(typed, group.get_subcommands().map(clap::Command::get_name));
    let help = || [&["tokenkeep".to_owned()], above, &["--help".to_owned()]].concat().join(" ");
    let failure = Failure::new(Kind::Usage, format!("unrecognized subcommand '{typed}'"));
    match (elsewhere, near) {
        (Some((_, ours)), _) => failure.hint(format!("here that is `tokenkeep {ours}`")),
        (None, Some(near)) => failure.hint(format!("a similar command exists: '{near}'")),
        (None, None) if above == ["token"] => {
            failure.hint(format!("see `{}`; a token of a provider is printed by `tokenkeep get NAME`", help()))
        }
        (None, None) => failure.hint(format!("see `{}`", help())),
    }
}

/// What other programs call a command of ours. Some of these words are near to another one, which does the reverse.
const ELSEWHERE: &[(&str, &str)] = &[
    ("login", "generate PROFILE"),
    ("logout", "revoke PROFILE"),
    ("auth", "generate PROFILE"),
    ("print", "get NAME"),
    ("fetch", "get NAME"),
    ("read", "get NAME"),
    ("print-access-token", "get NAME"),
    ("renew", "refresh PROFILE"),
    ("run", "exec NAME -- COMMAND"),
    ("export", "env NAME"),
    ("add", "store NAME"),
    ("put", "store NAME"),
    ("write", "store NAME"),
    ("rm", "delete NAME"),
    ("remove", "delete NAME"),
    ("test", "validate --entry NAME"),
    ("check", "validate --entry NAME"),
    ("generate-offline-token", "generate PROFILE"),
    ("test-offline-token", "validate --entry NAME"),
    ("version", "--version"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_without_the_commands_is_that_of_the_whole_tree() {
        let (mut short, mut whole) = (summit(), tree());
        assert_eq!(short.render_help().to_string(), whole.render_help().to_string());
        assert_eq!(short.render_long_help().to_string(), whole.render_long_help().to_string());
    }

    /// Returns a command and all below it.
    fn with_all_below(command: &clap::Command) -> Vec<clap::Command> {
        let below = command.get_subcommands().flat_map(with_all_below);
        std::iter::once(command.clone()).chain(below).collect()
    }

    #[test]
    fn what_other_programs_call_a_command_is_no_command_of_ours() {
        let tree = tree();
        for (word, ours) in ELSEWHERE {
            assert!(tree.find_subcommand(word).is_none(), "{word}");
            let command = ours.split(' ').next().unwrap();
            assert!(command.starts_with("--") || tree.find_subcommand(command).is_some(), "{ours}");
        }
    }

    #[test]
    fn no_program_inherits_a_descriptor_that_the_command_line_names() {
        let mut tree = tree();
        tree.build();
        let mut seen = std::collections::BTreeSet::new();
        for command in with_all_below(&tree) {
            for flag in command.get_arguments().filter_map(Arg::get_long).filter(|flag| flag.ends_with("-fd")) {
                let (ours, _other) = std::io::pipe().unwrap();
                rustix::io::fcntl_setfd(&ours, rustix::io::FdFlags::empty()).unwrap();
                let number = std::os::fd::AsRawFd::as_raw_fd(&ours).to_string();
                // other arguments may be missing; that is found after this one was read
                drop(command.clone().try_get_matches_from(["tokenkeep", &format!("--{flag}"), &number]));
                let flags = rustix::io::fcntl_getfd(&ours).unwrap();
                assert_eq!(flags, rustix::io::FdFlags::CLOEXEC, "{} --{flag}", command.get_name());
                seen.insert(flag.to_owned());
            }
        }
        assert!(seen.len() > 5 && seen.contains("slot-passphrase-fd"), "{seen:?}");
    }
}
