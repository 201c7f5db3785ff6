//! `schedule install`: writes the units or the crontab, and starts the timer if that was asked for.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::job::{Job, JobArgs, Scope};
use super::place::{Part, Place, Present, foreign, look};
use crate::commands::{Context, Outcome};
use crate::error::{Failure, Kind, file_failure};
use crate::host::{files, machine, program};
use crate::output::{Form, json_path};
use crate::vault::unlock::Lent;

/// Examples of the command.
const EXAMPLES: &str = "Examples:
  tokenkeep schedule install --every 10m --now
  tokenkeep schedule install --every 2m --write-dir /run/user/1000/tokens
  sudo TOKENKEEP_HOME=/srv/ci/tokenkeep tokenkeep schedule install --system \\
      --credential-encrypted /etc/credstore.encrypted/tokenkeep-identity
";

/// Write the units, and start the timer with --now
///
/// The units run as this command does: with the same folders, configuration and parameters. Without --now the commands that
/// start the timer are printed. Running it again brings the files up to date; what somebody else wrote, or changed, stays.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    job: JobArgs,
    /// Start the timer, too
    #[arg(long, conflicts_with = "dir")]
    now: bool,
    /// Replace files that are not ours, or were changed
    #[arg(long)]
    force: bool,
}

/// What was done.
struct Done {
    /// The files.
    parts: Vec<Part>,
    /// Whether any of them is another one now.
    changed: bool,
    /// Whether the timer was started, too.
    started: bool,
}

/// Runs the command.
pub(super) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    let place = Place::of(&args.job.place, cx)?;
    let job = Job::of(&args.job, &place, cx)?;
    if args.now && place.is_cron() {
        return Err(Failure::new(Kind::Usage, "cron looks at its files by itself").hint("leave out --now"));
    }
    let parts = place.parts(&job)?;
    let before = parts.iter().map(|part| look(&part.path, Some(&part.text))).collect::<Result<Vec<_>, _>>()?;
    if !args.force {
        refuse_foreign(&parts, &before)?;
    }
    job.prepare()?;
    write_all(&parts, &before).map_err(|failure| as_root(failure, &job))?;
    let changed = before.iter().any(|(present, _)| *present != Present::Same);
    say_left_out(cx, &job);
    say_locked(cx, &job)?;
    if args.now {
        start(&place, cx)?;
    }
    report(cx, &place, &Done { parts, changed, started: args.now })
}

/// Refuses to replace what is not ours.
fn refuse_foreign(parts: &[Part], before: &[(Present, Option<String>)]) -> Result<(), Failure> {
    match parts.iter().zip(before).find(|(_, (present, _))| *present == Present::Foreign) {
        Some((part, _)) => {
            Err(foreign(&part.path).hint("replace it with --force, or choose another name with `--name NAME`"))
        }
        None => Ok(()),
    }
}

/// Writes all files, or none: if one cannot be written, those before it are put back as they were.
fn write_all(parts: &[Part], before: &[(Present, Option<String>)]) -> Result<(), Failure> {
    let mut done: Vec<(&Part, Option<&String>)> = Vec::new();
    for (part, (present, text)) in parts.iter().zip(before) {
        if *present == Present::Same {
            continue;
        }
        if let Err(failure) = write(&part.path, &part.text) {
            for (part, text) in done {
                // what cannot be put back either is found and named by the next run
                match text {
                    Some(text) => drop(write(&part.path, text)),
                    None => drop(std::fs::remove_file(&part.path)),
                }
            }
            return Err(failure);
        }
        done.push((part, text.as_ref()));
    }
    Ok(())
}

/// Says how the files of the system are written: as root, who would find another vault unless told.
fn as_root(failure: Failure, job: &Job) -> Failure {
    if job.scope == Scope::User || machine::effective_user() == 0 {
        return failure;
    }
    let variables = job.variables.iter().filter(|(name, _)| name == "TOKENKEEP_HOME" || name.starts_with("XDG_"));
    let variables: String = variables.flat_map(|(name, value)| [name, "='", value, "' "].map(str::to_owned)).collect();
    let program = &job.program;
    failure.hint(format!("as root: `sudo {variables}{program} schedule install --system`, with the same flags"))
}

/// Writes a file that everybody may read.
fn write(path: &Path, text: &str) -> Result<(), Failure> {
    const READABLE: u32 = 0o644;
    let folder = path.parent().unwrap_or(path);
    files::make_folder(folder)
        .and_then(|()| files::replace(path, text.as_bytes(), READABLE))
        .map_err(|fault| file_failure(Kind::Failed, &fault).or_hint(|| "name another folder: `--dir DIR`".to_owned()))
}

/// Says which variables hold a password, and are not taken over.
pub(super) fn say_left_out(cx: &mut Context, job: &Job) {
    for name in &job.left_out {
        cx.printer.notice(&format!("{name} holds a password, which everybody could read there: it is left out"));
    }
}

/// Says so if nothing would open the vault there; about somebody else's vault nothing is known.
fn say_locked(cx: &mut Context, job: &Job) -> Result<(), Failure> {
    let is_ours =
        job.writes.first().is_none_or(|vault| files::owner(Path::new(vault)) == Some(machine::effective_user()));
    if job.credential.is_some() || !is_ours {
        return Ok(());
    }
    let reached = match job.scope {
        Scope::User => cx.sources()?.of_another_process(),
        Scope::System => cx.sources()?.of_another_session(),
    };
    if reached.present(Lent::No).is_none() {
        cx.printer.notice(
            "nothing opens the vault there without a person: give the key with --credential, or leave it open with `tokenkeep unlock`",
        );
    }
    Ok(())
}

/// A manager that is busy takes its time; more than this nobody waits for.
const PATIENCE: Duration = Duration::from_secs(60);

/// Makes systemd look at the files, and starts the timer.
fn start(place: &Place, cx: &Context) -> Result<(), Failure> {
    if !place.has_manager(cx) {
        return Err(Failure::new(Kind::Failed, "the units are written, and systemd does not run here")
            .because("nothing can be started now".to_owned())
            .hint(format!("where it runs, type `{}`", typed(&place.starting()))));
    }
    systemctl(&place.starting(), cx)
        .map_err(|failure| failure.while_doing("the units are written, and the timer was not started".to_owned()))
}

/// Says something to systemd.
pub(super) fn systemctl(commands: &[Vec<String>], cx: &Context) -> Result<(), Failure> {
    for arguments in commands {
        let typed = typed(std::slice::from_ref(arguments));
        let failed = |why: String| {
            Failure::new(Kind::Failed, format!("`{typed}` failed"))
                .because(why)
                .hint(format!("try it by hand: `{typed}`"))
        };
        let ended = program::run_within("systemctl", arguments, &cx.host.env, PATIENCE);
        let ended = ended.map_err(|error| failed(error.to_string()))?;
        if !ended.success {
            return Err(failed(crate::token::text::shown(&ended.said)));
        }
    }
    Ok(())
}

/// Writes commands of `systemctl` as they are typed.
pub(super) fn typed(commands: &[Vec<String>]) -> String {
    commands.iter().map(|words| format!("systemctl {}", words.join(" "))).collect::<Vec<_>>().join(" && ")
}

/// Says what was done, and what is to be typed next.
fn report(cx: &mut Context, place: &Place, done: &Done) -> Result<Outcome, Failure> {
    let Done { parts, changed, started } = done;
    let next = if *started { Vec::new() } else { place.starting() };
    if cx.printer.form == Form::Json {
        let paths: Vec<Value> = parts.iter().map(|part| json_path(&part.path)).collect();
        let next: Vec<String> = next.iter().map(|command| typed(std::slice::from_ref(command))).collect();
        cx.printer.object(json!({"files": paths, "changed": changed, "started": started, "next": next}))?;
        return Ok(Outcome::Done);
    }
    for part in parts {
        cx.printer.notice(&format!(
            "{} is {}",
            part.path.display(),
            if *changed { "written" } else { "as it should be" }
        ));
    }
    if !next.is_empty() && (*changed || !place.is_enabled()) {
        if !place.has_manager(cx) {
            cx.printer.notice("systemd does not run here: the timer waits until it does");
        }
        cx.printer.notice(&format!("next: `{}`", typed(&next)));
    }
    if place.scope == Scope::User && !place.is_cron() && place.is_usual && !machine::lingers() {
        cx.printer.notice("it runs while you are logged in; `loginctl enable-linger` lets it run always");
    }
    Ok(Outcome::Done)
}
