//! `schedule show`: prints what `install` would write.

use serde_json::{Value, json};

use super::cron;
use super::job::{Job, JobArgs};
use super::place::Place;
use crate::commands::{Context, Outcome};
use crate::error::Failure;
use crate::output::{Form, json_path};

/// Examples of the command.
const EXAMPLES: &str = "Examples:
  tokenkeep schedule show --every 10m
  tokenkeep schedule show --system --credential /etc/tokenkeep/identity.txt
  (crontab -l; tokenkeep schedule show --kind cron --every 10m) | crontab -
";

/// Print the units or the cron line, and change nothing
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    job: JobArgs,
}

/// Runs the command.
pub(super) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    let place = Place::of(&args.job.place, cx)?;
    let job = Job::of(&args.job, &place, cx)?;
    super::install::say_left_out(cx, &job);
    if place.folder().is_err() {
        let line = cron::line(&job)?;
        match cx.printer.form {
            Form::Json => cx.printer.object(json!({"files": [], "line": line}))?,
            Form::Text => cx.printer.raw(&cron::text(&job)?)?,
        }
        return Ok(Outcome::Done);
    }
    let parts = place.parts(&job)?;
    if cx.printer.form == Form::Json {
        let files: Vec<Value> =
            parts.iter().map(|part| json!({"path": json_path(&part.path), "text": part.text})).collect();
        let line = place.is_cron().then(|| cron::line(&job)).transpose()?;
        cx.printer.object(json!({"files": files, "line": line}))?;
        return Ok(Outcome::Done);
    }
    // as `systemctl cat` prints them
    let texts: Vec<String> = parts.iter().map(|part| format!("# {}\n{}", part.path.display(), part.text)).collect();
    cx.printer.raw(&texts.join("\n"))?;
    Ok(Outcome::Done)
}
