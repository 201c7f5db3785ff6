//! `job-token authorize`: tells whether a token may report an event of a job.

use serde_json::json;

use crate::commands::source::SourceArgs;
use crate::commands::{Context, Outcome};
use crate::error::{Failure, Kind};
use crate::ledger::check::{Checked, Demands, Refusal};
use crate::ledger::{By, Ledger};
use crate::output::Form;
use crate::token::issued;
use crate::token::names::{Job, Owner};

/// Examples of the command.
const EXAMPLES: &str = "Examples:
  tokenkeep job-token authorize nightly-17 update --stdin < token.txt
  tokenkeep job-token authorize nightly-17 finish --from-env TOKENKEEP_JOB_TOKEN
";

/// Tell whether a token may report an event of a job
///
/// An event needs the token of that very job, and the job must run; the administrators' events need an admin token. Both
/// lists are in [policy] of config.toml. Exit code 0 means yes, 3 means no; a no is written into the job's history.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The job
    #[arg(value_name = "JOB")]
    job: Job,
    /// What it wants to report
    #[arg(value_name = "EVENT")]
    event: String,
    #[command(flatten)]
    source: SourceArgs,
    /// The token must speak for this owner
    #[arg(long, value_name = "OWNER")]
    owner: Option<Owner>,
}

/// Runs the command.
pub(super) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    args.source.check(cx)?;
    let Some(text) = args.source.read(cx)? else {
        return Err(Failure::new(Kind::Usage, "it is not said which token wants to do it")
            .hint("give it with --stdin, --from-file, --from-env or --from-fd"));
    };
    let by = cx.by();
    let answer = match (issued::read(text.secret()), cx.present_ledger(&by)?) {
        (Err(misread), _) => Err(Checked::Refused(misread.into())),
        (Ok(_), None) => Err(Checked::Refused(Refusal::Unknown)),
        (Ok(shown), Some(mut ledger)) => ask(args, cx, (&mut ledger, &shown), &by),
    };
    match answer {
        Ok(actor) => {
            if cx.printer.form == Form::Json {
                let (job, event) = (args.job.as_str(), &args.event);
                cx.printer.object(json!({"authorized": true, "job": job, "event": event, "actor": actor}))?;
            }
            cx.printer.notice(&format!("yes: {actor} may report `{}` of job `{}`", args.event, args.job));
            Ok(Outcome::Done)
        }
        Err(Checked::Refused(refusal)) => Err(no(args, cx, &refusal)?),
        Err(Checked::Ledger(error)) => Err(error.into()),
    }
}

/// Asks the ledger about a token of ours; returns whom it speaks for.
fn ask(
    args: &Args,
    cx: &Context,
    (ledger, shown): (&mut Ledger, &issued::Presented),
    by: &By,
) -> Result<String, Checked> {
    let settings = cx.settings().map_err(|_| Refusal::Unknown)?;
    let demands = Demands {
        job: Some(args.job.as_str()),
        event: Some((settings.policy(), &args.event)),
        owner: args.owner.as_ref().map(Owner::as_str),
        ..Demands::default()
    };
    ledger.check(shown, &demands, by).map(|token| token.owner)
}

/// Says no, and why.
fn no(args: &Args, cx: &mut Context, refusal: &Refusal) -> Result<Failure, Failure> {
    if cx.printer.form == Form::Json {
        let (job, event, reason) = (args.job.as_str(), &args.event, refusal.to_string());
        cx.printer.object(json!({"authorized": false, "job": job, "event": event, "reason": reason}))?;
    }
    let hint = match refusal {
        Refusal::Event(crate::token::policy::EventRefusal::AdminOnly { .. }) => {
            "an administrator mints a token for it: `tokenkeep admin-token mint --audience AUDIENCE`".to_owned()
        }
        _ => format!("see how the job stands: `tokenkeep job-token list --all --job {}`", args.job),
    };
    let message = format!("the token may not report `{}` of job `{}`", args.event.escape_debug(), args.job);
    Ok(Failure::new(Kind::No, message).because(refusal.to_string()).hint(hint))
}
