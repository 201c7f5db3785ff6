//! Where a schedule stands: which files it has, whose they are, and how what stands there is known to be ours.

use std::path::{Path, PathBuf};

use super::job::{Job, Scope};
use super::{cron, units};
use crate::commands::Context;
use crate::error::{Failure, Kind, file_failure};
use crate::host::files::{self, Access};
use crate::host::folders::{Folders, absolute};
use crate::host::machine;
use crate::vault::sealing::digest_hex;

/// Flags that say where a schedule stands.
#[derive(clap::Args)]
pub(super) struct PlaceArgs {
    /// What runs it: systemd or cron
    #[arg(long, value_enum, value_name = "KIND", default_value_t = Means::Systemd, hide_possible_values = true)]
    kind: Means,
    /// For this user: the default, but for timers of root
    #[arg(long, conflicts_with = "system")]
    user: bool,
    /// For the system; it runs as the owner of the vault
    #[arg(long)]
    system: bool,
    /// What it is called: another one for another vault
    #[arg(long, value_name = "NAME", default_value = "tokenkeep-refresh", value_parser = name)]
    name: String,
    /// The folder of the files, if it is not the usual one
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

impl PlaceArgs {
    /// Tells whether cron is meant.
    pub(super) fn is_cron(&self) -> bool {
        self.kind == Means::Cron
    }
}

/// What runs something regularly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Means {
    /// A service and its timer.
    Systemd,
    /// A line in a crontab.
    Cron,
}

/// Reads what a schedule is called: a name that systemd and cron both take for a file of theirs.
fn name(text: &str) -> Result<String, &'static str> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    let first = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    if first && text.len() <= 64 && text.chars().all(fits) {
        return Ok(text.to_owned());
    }
    Err("a letter or digit, then up to 63 of A-Z a-z 0-9 _ -")
}

/// Where a schedule stands.
pub(super) struct Place {
    /// What runs it.
    means: Means,
    /// Whose it is.
    pub(super) scope: Scope,
    /// What it is called.
    name: String,
    /// The folder of its files; a user's crontab is none.
    folder: Option<PathBuf>,
    /// Whether the folder is the one that is looked at by itself.
    pub(super) is_usual: bool,
}

/// A file of a schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// Where it is.
    pub(super) path: PathBuf,
    /// What is in it.
    pub(super) text: String,
}

/// What stands where a file of ours would be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Present {
    /// Nothing.
    Nothing,
    /// The very same.
    Same,
    /// What we wrote before.
    Ours,
    /// Somebody else's, or ours and changed since.
    Foreign,
}

impl Place {
    /// Finds out where.
    pub(super) fn of(args: &PlaceArgs, cx: &Context) -> Result<Self, Failure> {
        let is_roots_timer = machine::effective_user() == 0 && args.kind == Means::Systemd;
        let scope = if args.system || (is_roots_timer && !args.user) { Scope::System } else { Scope::User };
        let folder = match (&args.dir, args.kind, scope) {
            (Some(folder), _, _) => Some(absolute(folder)),
            (None, Means::Systemd, Scope::System) => Some(PathBuf::from("/etc/systemd/system")),
            (None, Means::Systemd, Scope::User) => Some(units_of_user(cx)?),
            (None, Means::Cron, Scope::System) => Some(PathBuf::from("/etc/cron.d")),
            (None, Means::Cron, Scope::User) => None,
        };
        Ok(Self { means: args.kind, scope, name: args.name.clone(), folder, is_usual: args.dir.is_none() })
    }

    /// Tells whether cron runs it.
    pub(super) fn is_cron(&self) -> bool {
        self.means == Means::Cron
    }

    /// Returns the name of the timer.
    pub(super) fn timer(&self) -> String {
        format!("{}.timer", self.name)
    }

    /// Returns the folder of the files.
    pub(super) fn folder(&self) -> Result<&Path, Failure> {
        self.folder.as_deref().ok_or_else(|| {
            Failure::new(Kind::Usage, "a user's crontab belongs to the command `crontab`")
                .hint("type `(crontab -l; tokenkeep schedule show --kind cron) | crontab -`, with the same flags")
        })
    }

    /// Returns the paths of the files, the one that starts the other last.
    pub(super) fn paths(&self) -> Result<Vec<PathBuf>, Failure> {
        let folder = self.folder()?;
        Ok(match self.means {
            Means::Systemd => vec![folder.join(format!("{}.service", self.name)), folder.join(self.timer())],
            Means::Cron => vec![folder.join(&self.name)],
        })
    }

    /// Returns the files as they shall be.
    pub(super) fn parts(&self, job: &Job) -> Result<Vec<Part>, Failure> {
        let texts = match self.means {
            Means::Systemd => vec![units::service(job), units::timer(job)],
            Means::Cron => vec![cron::text(job)?],
        };
        let parts = self.paths()?.into_iter().zip(texts);
        Ok(parts.map(|(path, text)| Part { path, text: marked(&text) }).collect())
    }

    /// Returns the link by which systemd starts the timer.
    pub(super) fn link(&self) -> Option<PathBuf> {
        let folder = self.folder.as_ref().filter(|_| self.means == Means::Systemd)?;
        Some(folder.join("timers.target.wants").join(self.timer()))
    }

    /// Tells whether systemd starts the timer with the machine.
    pub(super) fn is_enabled(&self) -> bool {
        self.link().is_some_and(|link| link.symlink_metadata().is_ok())
    }

    /// Returns the commands that make systemd look at the files and start the timer, without the program's name.
    pub(super) fn starting(&self) -> Vec<Vec<String>> {
        self.systemctl(&[&["daemon-reload"], &["enable", &self.timer()], &["restart", &self.timer()]])
    }

    /// Returns the commands that stop the timer, and leave a refresh that runs alone.
    pub(super) fn stopping(&self) -> Vec<Vec<String>> {
        self.systemctl(&[&["disable", "--now", &self.timer()]])
    }

    /// Returns the command after which systemd has forgotten the files.
    pub(super) fn forgetting(&self) -> Vec<Vec<String>> {
        self.systemctl(&[&["daemon-reload"]])
    }

    /// Says to the right manager what it is to do; cron looks by itself.
    fn systemctl(&self, commands: &[&[&str]]) -> Vec<Vec<String>> {
        if self.is_cron() || !self.is_usual {
            return Vec::new();
        }
        let whose = (self.scope == Scope::User).then_some("--user");
        let command = |words: &&[&str]| whose.iter().chain(*words).map(|word| (*word).to_owned()).collect();
        commands.iter().map(command).collect()
    }

    /// Tells whether the manager of these units runs.
    pub(super) fn has_manager(&self, cx: &Context) -> bool {
        match self.scope {
            Scope::System => Path::new("/run/systemd/system").is_dir(),
            Scope::User => {
                let runtime = cx.host.env.raw("XDG_RUNTIME_DIR").map(Path::new);
                runtime.is_some_and(|runtime| runtime.join("systemd/private").exists())
            }
        }
    }
}

/// Returns where the units of this user are.
pub(in crate::commands) fn units_of_user(cx: &Context) -> Result<PathBuf, Failure> {
    let given = cx.host.env.folder("XDG_CONFIG_HOME");
    let home = || Ok::<_, Failure>(Folders::of(&cx.host)?.home.map(|home| home.join(".config")));
    let base = given.map_or_else(home, |path| Ok(Some(path)))?;
    base.map(|base| base.join("systemd/user")).ok_or_else(|| {
        Failure::new(Kind::Usage, "there is no home folder to put the units in").hint("name a folder with `--dir DIR`")
    })
}

/// How the first line of a file of ours begins; the digest of all that follows the line stands behind it.
const MARK: &str = "# tokenkeep schedule, sha256 ";

/// Puts a line in front by which the text is known again, as long as nobody has changed it.
fn marked(text: &str) -> String {
    let text = format!("# Written by `tokenkeep schedule install`. Change it by running that again.\n{text}");
    format!("{MARK}{}\n{text}", digest_hex(text.as_bytes()))
}

/// Tells whether we wrote a text, and nobody has changed it.
pub(super) fn is_ours(text: &str) -> bool {
    let cut = text.strip_prefix(MARK).and_then(|rest| rest.split_once('\n'));
    cut.is_some_and(|(digest, rest)| digest_hex(rest.as_bytes()) == digest)
}

/// Units and crontabs have some kilobytes.
const LARGEST: usize = 64 * 1024;

/// Looks at what stands where a file of ours would be.
pub(super) fn look(path: &Path, wanted: Option<&str>) -> Result<(Present, Option<String>), Failure> {
    let text = match files::read(path, Access::Readable, LARGEST) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        // a link that leads nowhere is somebody's, too: `systemctl mask` makes such links
        Err(fault) if fault.is_missing() && path.symlink_metadata().is_err() => return Ok((Present::Nothing, None)),
        Err(fault) if fault.is_missing() => return Ok((Present::Foreign, None)),
        Err(fault) => return Err(file_failure(Kind::Failed, &fault)),
    };
    let present = match wanted {
        Some(wanted) if wanted == text => Present::Same,
        _ if is_ours(&text) => Present::Ours,
        _ => Present::Foreign,
    };
    Ok((present, Some(text)))
}

/// Describes a file that is not ours, or no longer as we wrote it.
pub(super) fn foreign(path: &Path) -> Failure {
    Failure::new(Kind::Usage, format!("{} was not written by tokenkeep, or was changed since", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_ours_is_known_until_somebody_changes_it() {
        let text = marked("[Unit]\n");
        assert!(is_ours(&text));
        for other in [text.replace("Unit", "Unix"), text + "#\n", "[Unit]\n".to_owned(), format!("{MARK}\n")] {
            assert!(!is_ours(&other), "{other}");
        }
    }

    #[test]
    fn names_that_are_no_files_of_systemd_and_cron_are_refused() {
        assert!(name("tokenkeep-2").is_ok());
        for bad in ["", "-x", "a.b", "a/b", "a b", "a@b", &"x".repeat(65)] {
            assert!(name(bad).is_err(), "{bad}");
        }
    }
}
