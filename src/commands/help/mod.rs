//! `tokenkeep help`: explains a topic or a command.
//!
//! A topic is a text file beside this one, at most 80 columns wide. What `help` prints, the manual pages contain, too.

use clap_complete::ArgValueCompleter;

use super::completions::topics_and_commands;
use clap::error::ErrorKind;

use super::{Context, Outcome};
use crate::error::{Failure, Kind};
use crate::token::nearest::nearest;

/// Examples.
const EXAMPLES: &str = "Examples:
  tokenkeep help keycloak
  tokenkeep help profile add
";

/// Arguments.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// A topic (environment, exit-codes, formats, ci, cron, keycloak, migration, issued, admin,
    /// security, recovery) or a command
    #[arg(value_name = "TOPIC|COMMAND", add = ArgValueCompleter::new(topics_and_commands))]
    words: Vec<String>,
}

/// Something that is explained on a page of its own.
pub(crate) struct Topic {
    /// What is typed after `help`.
    pub(crate) name: &'static str,
    /// The page: a heading, an empty line, the text.
    pub(crate) text: &'static str,
}

/// All topics.
pub(crate) const TOPICS: [Topic; 11] = [
    Topic { name: "environment", text: include_str!("environment.txt") },
    Topic { name: "exit-codes", text: include_str!("exit-codes.txt") },
    Topic { name: "formats", text: include_str!("formats.txt") },
    Topic { name: "ci", text: include_str!("ci.txt") },
    Topic { name: "cron", text: include_str!("cron.txt") },
    Topic { name: "keycloak", text: include_str!("keycloak.txt") },
    Topic { name: "migration", text: include_str!("migration.txt") },
    Topic { name: "issued", text: include_str!("issued.txt") },
    Topic { name: "admin", text: include_str!("admin.txt") },
    Topic { name: "security", text: include_str!("security.txt") },
    Topic { name: "recovery", text: include_str!("recovery.txt") },
];

/// Shown below the list of commands.
pub(crate) const AFTER_HELP: &str = "Topics (tokenkeep help TOPIC):
  environment  the variables that are read, and where things are
  exit-codes   what each exit code means
  formats      JSON, variables, config.toml
  ci           tokens in pipelines
  cron         keeping tokens fresh
  keycloak     five minutes with Keycloak
  migration    coming from oidc-agent, Provena, kubelogin
  issued       tokens of our own: jobs, people, programs
  admin        keys of administrators, and tokens of some minutes
  security     what is promised, and what is not
  recovery     backups, exports, and what age alone can read

Example:
  tokenkeep generate prod --issuer https://auth.example.org/realms/main \\
      --client-id automated-access
  tokenkeep get prod --curl | curl -K - https://api.example.org/items
";

/// Shown where nothing was asked for.
pub(crate) const SHORT: &str = "tokenkeep keeps tokens so that programs can use them with nobody at the keyboard.

Log in once, then get a good access token whenever one is needed:

  tokenkeep generate prod --issuer https://auth.example.org/realms/main \\
      --client-id automated-access
  tokenkeep get prod

All commands: tokenkeep --help    One of them: tokenkeep help get
Topics: tokenkeep help environment, exit-codes, formats, ci, cron, keycloak,
        migration, issued, admin, security, recovery
";

/// Runs the command.
pub(crate) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    let text = match args.words.as_slice() {
        [] => (cx.tree)().render_help().ansi().to_string(),
        [name] if topic(name).is_some() => topic(name).map(|topic| topic.text.to_owned()).unwrap_or_default(),
        words => command_help((cx.tree)(), words)?,
    };
    cx.printer.raw(&text)?;
    Ok(Outcome::Done)
}

/// Returns the topic of a name.
fn topic(name: &str) -> Option<&'static Topic> {
    TOPICS.iter().find(|topic| topic.name == name)
}

/// Returns what a command says with `--help`.
fn command_help(mut tree: clap::Command, words: &[String]) -> Result<String, Failure> {
    tree.build();
    let mut command = &tree;
    for word in words {
        command = command.find_subcommand(word).ok_or_else(|| unknown(word, command))?;
    }
    let line = ["tokenkeep"].into_iter().chain(words.iter().map(String::as_str)).chain(["--help"]);
    match tree.clone().try_get_matches_from(line) {
        Err(help) if help.kind() == ErrorKind::DisplayHelp => Ok(help.render().ansi().to_string()),
        Ok(_) | Err(_) => Err(Failure::new(Kind::Bug, "a command does not know --help")),
    }
}

/// Describes a word that is neither a topic nor a command below another one.
pub(super) fn unknown(word: &str, command: &clap::Command) -> Failure {
    let commands = command.get_subcommands().map(clap::Command::get_name);
    let above = command.get_bin_name().and_then(|name| name.strip_prefix("tokenkeep")).unwrap_or_default();
    let topics = TOPICS.iter().map(|topic| topic.name).filter(|_| above.is_empty());
    let failure = Failure::new(Kind::Usage, "there is no such topic or command");
    match nearest(word, topics.chain(commands)) {
        Some(near) => failure.hint(format!("did you mean `tokenkeep help{above} {near}`?")),
        None => failure.hint("see all topics and commands with `tokenkeep --help`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_fit_on_a_screen_of_80_columns() {
        for Topic { name, text } in TOPICS {
            let wide = text.lines().find(|line| line.chars().count() > 80);
            assert_eq!(wide, None, "{name}");
            assert!(text.ends_with('\n') && !text.ends_with("\n\n"), "{name}");
        }
    }

    #[test]
    fn every_topic_is_listed() {
        for Topic { name, .. } in TOPICS {
            assert!(AFTER_HELP.contains(name) && SHORT.contains(name), "{name}");
        }
    }

    #[test]
    fn the_formats_name_every_key_of_a_profile() {
        let text = include_str!("formats.txt");
        let command = <super::super::profile::flags::ProfileFlags as clap::Args>::augment_args(clap::Command::new("x"));
        let keys = command.get_arguments().filter_map(|arg| arg.get_long()).map(|flag| match flag {
            "scope" => "scopes".to_owned(),
            "group" => "groups".to_owned(),
            "set-param" => "params".to_owned(),
            flag => flag.replace('-', "_"),
        });
        for key in keys {
            assert!(text.contains(&key), "{key}");
        }
    }
}
