//! Flags that every command has, in front of it or behind it.

use clap::ArgAction;

use crate::host::descriptor;
use crate::output::Color;

/// Flags that every command has.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Everywhere")]
pub(crate) struct Globals {
    /// Read this configuration file
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<std::path::PathBuf>,
    /// Give a `{name}` in a profile its value
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = parameter)]
    pub(crate) parameters: Vec<(String, String)>,
    /// Print JSON, errors included
    #[arg(long)]
    pub(crate) json: bool,
    /// Print no notices, only errors
    #[arg(long, short)]
    pub(crate) quiet: bool,
    /// Say more of what happens: up to -vvv
    #[arg(long, short, action = ArgAction::Count)]
    pub(crate) verbose: u8,
    /// When to use colour: auto, always or never
    #[arg(long, value_enum, value_name = "WHEN", hide_possible_values = true)]
    pub(crate) color: Option<Color>,
    /// Never ask anything
    #[arg(long)]
    pub(crate) no_input: bool,
    /// Read the vault identity from this descriptor
    #[arg(long, value_name = "N", value_parser = descriptor::given, conflicts_with = "passphrase_fd")]
    pub(crate) identity_fd: Option<i32>,
    /// Read the vault's passphrase from this descriptor
    #[arg(long, value_name = "N", value_parser = descriptor::given)]
    pub(crate) passphrase_fd: Option<i32>,
}

impl Globals {
    /// Joins the flags behind a command with those in front of it; behind goes before.
    pub(crate) fn over(mut self, front: Self) -> Self {
        self.parameters.splice(0..0, front.parameters);
        Self {
            config: self.config.or(front.config),
            parameters: self.parameters,
            json: self.json || front.json,
            quiet: self.quiet || front.quiet,
            verbose: self.verbose.saturating_add(front.verbose),
            color: self.color.or(front.color),
            no_input: self.no_input || front.no_input,
            identity_fd: self.identity_fd.or(front.identity_fd),
            passphrase_fd: self.passphrase_fd.or(front.passphrase_fd),
        }
    }
}

/// Reads `name=value`; Provena's `name:value` is understood, too.
fn parameter(text: &str) -> Result<(String, String), String> {
    let cut = text.split_once('=').or_else(|| text.split_once(':'));
    match cut.filter(|(name, _)| !name.is_empty()) {
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None => Err("not of the form NAME=VALUE".to_owned()),
    }
}
