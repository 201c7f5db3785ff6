//! `tokenkeep man`: the manual pages, made from the same texts as the help.
//!
//! The pages hold no date, so that the committed ones stay as they are until a text changes.

use std::io;
use std::path::{Path, PathBuf};

use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};
use serde_json::json;

use super::help::{TOPICS, unknown};
use super::{Context, Outcome};
use crate::error::{Failure, Kind, file_failure};
use crate::host::{files, shell};
use crate::output::{Form, json_path};

/// Examples.
const EXAMPLES: &str = "Examples:
  tokenkeep man | man -l -
  tokenkeep man profile add
  tokenkeep man --install
";

/// Print or install the manual pages
///
/// Without a command, the page of the whole program is printed. `--install` writes all pages, by default to where `man`
/// looks for those of this user.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The command whose page is wanted
    #[arg(value_name = "COMMAND", conflicts_with = "install")]
    words: Vec<String>,
    /// Write all pages to this folder, by default to where `man` looks
    #[arg(long, value_name = "DIR", num_args = 0..=1)]
    #[expect(clippy::option_option, reason = "the flag may stand without a value")]
    install: Option<Option<PathBuf>>,
}

/// Runs the command.
pub(crate) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    let mut tree = (cx.tree)();
    tree.build();
    if let Some(folder) = &args.install {
        let folder = folder.clone().map_or_else(|| default_folder(cx), Ok)?;
        let pages = install(&tree, &folder)?;
        if cx.printer.form == Form::Json {
            cx.printer.object(json!({"folder": json_path(&folder), "pages": pages}))?;
        }
        let command = if is_searched(cx, &folder) { "man tokenkeep".to_owned() } else { by_file(&folder) };
        cx.printer.notice(&format!("the manual pages are in {}; read one with `{command}`", folder.display()));
        return Ok(Outcome::Done);
    }
    let mut command = &tree;
    for word in &args.words {
        command = command.find_subcommand(word).ok_or_else(|| unknown(word, command))?;
    }
    cx.printer.raw(&page(command)?)?;
    Ok(Outcome::Done)
}

/// Returns where `man` finds the pages of this user.
fn default_folder(cx: &Context) -> Result<PathBuf, Failure> {
    let given = cx.host.env.folder("XDG_DATA_HOME");
    let home = || cx.settings().map(|settings| settings.folders.home.as_ref().map(|home| home.join(".local/share")));
    let data = given.map_or_else(home, |path| Ok(Some(path)))?;
    let data = data.ok_or_else(|| {
        Failure::new(Kind::Usage, "there is no home folder to put the pages in")
            .hint("name one: `tokenkeep man --install DIR`")
    })?;
    Ok(data.join("man/man1"))
}

/// Tells whether `man` looks there: beside each folder of PATH, as in `bin` and `share/man`.
fn is_searched(cx: &Context, folder: &Path) -> bool {
    let Some(root) = folder.parent() else { return false };
    let path = cx.host.env.raw("PATH").unwrap_or_default();
    let beside =
        |bin: PathBuf| bin.parent().is_some_and(|above| root == above.join("share/man") || root == above.join("man"));
    std::env::split_paths(path).any(beside)
}

/// Returns the command that reads a page wherever it is.
fn by_file(folder: &Path) -> String {
    format!("man -l {}", shell::quoted(&folder.join("tokenkeep.1").display().to_string()))
}

/// Writes the page of a command and those of all below it, and returns how many that is.
fn install(command: &clap::Command, folder: &Path) -> Result<usize, Failure> {
    files::make_folder(folder).map_err(|fault| file_failure(Kind::Failed, &fault))?;
    let path = folder.join(format!("{}.1", name(command)));
    files::replace(&path, page(command)?.as_bytes(), PAGE_MODE).map_err(|fault| file_failure(Kind::Failed, &fault))?;
    command.get_subcommands().try_fold(1, |pages, command| Ok(pages + install(command, folder)?))
}

/// Manual pages are for all to read.
const PAGE_MODE: u32 = 0o644;

/// Returns the name of a command's page.
fn name(command: &clap::Command) -> &str {
    command.get_display_name().unwrap_or_else(|| command.get_name())
}

/// Writes the page of a command.
fn page(command: &clap::Command) -> Result<String, Failure> {
    let written = write(command).and_then(|page| String::from_utf8(page).map_err(io::Error::other));
    let page = written.map_err(|error| Failure::new(Kind::Bug, "cannot write the page").because(error.to_string()))?;
    // each section brings the same preamble; once is enough
    let (preamble, rest) = page.split_at(page.find(".TH").unwrap_or_default());
    Ok(format!("{preamble}{}", rest.replace(preamble, "")))
}

/// Returns the synopsis as the help has it: the list of all flags says neither which take a value, nor where `--` goes.
fn synopsis(command: &clap::Command) -> Roff {
    let usage = command.clone().render_usage().to_string();
    let mut section = Roff::new();
    section.control("SH", ["SYNOPSIS"]);
    section.text([roman(usage.trim_start_matches("Usage: "))]);
    section
}

/// Writes the sections of a page.
fn write(command: &clap::Command) -> io::Result<Vec<u8>> {
    let is_whole = name(command) == "tokenkeep";
    let man = Man::new(command.clone()).source(concat!("tokenkeep ", env!("CARGO_PKG_VERSION"))).manual("tokenkeep");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    synopsis(command).to_writer(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    let mut rest = Roff::new();
    if let Some(after) = command.get_after_help() {
        let after = after.to_string();
        let examples = after.strip_prefix("Examples:\n");
        verbatim(&mut rest, if examples.is_some() { "EXAMPLES" } else { "MORE" }, examples.unwrap_or(&after));
    }
    if is_whole {
        for topic in TOPICS {
            let (heading, text) = topic.text.split_once("\n\n").unwrap_or((topic.name, topic.text));
            verbatim(&mut rest, heading, text);
        }
    } else {
        rest.control("SH", ["SEE ALSO"]);
        rest.text([roman("tokenkeep(1), which has the exit codes, the environment and the formats")]);
    }
    rest.to_writer(&mut page)?;
    Ok(page)
}

/// Writes a section whose lines stay as they are.
fn verbatim(roff: &mut Roff, heading: &str, text: &str) {
    roff.control("SH", [heading]);
    roff.control("nf", []);
    for line in text.trim_end().lines() {
        roff.text([roman(line)]);
    }
    roff.control("fi", []);
}
