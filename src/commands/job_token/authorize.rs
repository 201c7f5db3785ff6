//! `job-token authorize`: tells whether a token may report an event of a job.

use serde_json::json;

use crate::commands::admin_token::check::{self, Asked, Refused};
use crate::commands::source::SourceArgs;
use crate::commands::validate::NO_AUDIENCE;
use crate::commands::{Context, Outcome};
use crate::error::{Failure, Kind};
use crate::ledger::admin_verdict::Accepted;
use crate::ledger::check::{Checked, Demands, Refusal};
use crate::ledger::{By, Ledger};
use crate::output::Form;
use crate::secret::Secret;
use crate::token::issued;
use crate::token::names::{Job, Owner, no_token};
use crate::token::nearest::nearest;
use crate::token::policy::{EventRefusal, Policy};

/// Examples of the command.
const EXAMPLES: &str = "Examples:
  tokenkeep job-token authorize nightly-17 update --stdin < token.txt
  tokenkeep job-token authorize nightly-17 finish --from-env TOKENKEEP_JOB_TOKEN
  tokenkeep job-token authorize nightly-17 reset --from-file admin.jwt --audience pipelines
";

/// Tell whether a token may report an event of a job
///
/// An event needs the token of that very job, and the job must run; the administrators' events need an admin token. Both
/// lists are in `[policy]` of config.toml. Exit code 0 means yes, 3 means no; a no is written into the job's history.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The job
    #[arg(value_name = "JOB")]
    job: Job,
    /// What it wants to report
    #[arg(value_name = "EVENT", value_parser = no_token)]
    event: String,
    #[command(flatten)]
    source: SourceArgs,
    /// The token must speak for this owner
    #[arg(long, value_name = "OWNER")]
    owner: Option<Owner>,
    /// Who the token must be meant for: an admin token always needs this, and no other token of ours has an audience
    #[arg(long, value_name = "AUDIENCE")]
    audience: Option<String>,
}

/// Runs the command.
pub(super) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    args.source.check(cx)?;
    let Some(text) = args.source.read_token(cx)? else {
        return Err(Failure::new(Kind::Usage, "it is not said which token wants to do it")
            .hint("give it with --stdin, --from-file, --from-env or --from-fd"));
    };
    let by = cx.by();
    let mut ledger = cx.present_ledger(&by)?;
    if check::is_ours(cx, ledger.as_ref(), text.secret())? {
        return admin(args, cx, ledger.as_mut(), text.secret());
    }
    let answer = match (issued::read(text.secret()), &mut ledger) {
        (Err(misread), _) => Err(Checked::Refused(misread.into())),
        (Ok(shown), Some(ledger)) => ask(args, cx.settings()?.policy(), (ledger, &shown), &by),
        (Ok(_), None) => return Err(unknown(args, cx)?),
    };
    match answer {
        Ok(actor) => yes(args, cx, &actor),
        Err(Checked::Refused(refusal)) => Err(no(args, cx, &refusal)?),
        Err(Checked::Ledger(error)) => Err(error.into()),
    }
}

/// Asks about an admin token, which does for every job and every event.
fn admin(
    args: &Args,
    cx: &mut Context,
    ledger: Option<&mut Ledger>,
    token: &Secret<String>,
) -> Result<Outcome, Failure> {
    let asked = Asked { audience: args.audience.as_deref(), job: Some(args.job.as_str()), event: Some(&args.event) };
    let demand = |accepted: &Accepted| match &args.owner {
        Some(owner) => accepted.require_owner(owner.as_str()).map_err(Refused::from),
        None => Ok(()),
    };
    match check::check(cx, ledger, token, (asked, demand)) {
        Ok(accepted) => yes(args, cx, &accepted.actor()),
        Err(Refused::Failed(failure)) => Err(failure),
        Err(refused) => {
            let why = refused.to_string();
            say_no(args, cx, &why)?;
            let hint = Failure::from(refused).hint;
            Err(Failure { hint, ..Failure::new(Kind::No, not_allowed(args)).because(why) })
        }
    }
}

/// Says yes, and to whom.
fn yes(args: &Args, cx: &mut Context, actor: &str) -> Result<Outcome, Failure> {
    if cx.printer.form == Form::Json {
        let (job, event) = (args.job.as_str(), &args.event);
        cx.printer.object(json!({"authorized": true, "job": job, "event": event, "actor": actor}))?;
    }
    cx.printer.notice(&format!("yes: {actor} may report `{}` of job `{}`", args.event, args.job));
    Ok(Outcome::Done)
}

/// Asks the ledger about a token of ours; returns whom it speaks for.
fn ask(
    args: &Args,
    policy: &Policy,
    (ledger, shown): (&mut Ledger, &issued::Presented),
    by: &By,
) -> Result<String, Checked> {
    let demands = Demands {
        job: Some(args.job.as_str()),
        event: Some((policy, &args.event)),
        owner: args.owner.as_ref().map(Owner::as_str),
        audience: args.audience.as_deref(),
        ..Demands::default()
    };
    ledger.check(shown, &demands, by).map(|token| token.owner)
}

/// Says no, and why.
fn no(args: &Args, cx: &mut Context, refusal: &Refusal) -> Result<Failure, Failure> {
    say_no(args, cx, &refusal.to_string())?;
    let hint = match refusal {
        Refusal::Event(EventRefusal::AdminOnly { .. }) => {
            "an administrator mints a token for it: `tokenkeep admin-token mint --audience AUDIENCE`".to_owned()
        }
        Refusal::Event(EventRefusal::Unknown { event, known }) => {
            match nearest(event, known.iter().map(String::as_str)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "see them with `tokenkeep config get policy.job_events`".to_owned(),
            }
        }
        Refusal::WrongAudience(_) => NO_AUDIENCE.to_owned(),
        _ => format!("see how the job stands: `tokenkeep job-token list --all --job {}`", args.job),
    };
    Ok(Failure::new(Kind::No, not_allowed(args)).because(refusal.to_string()).hint(hint))
}

/// Says no where there is no ledger that could know the token.
fn unknown(args: &Args, cx: &mut Context) -> Result<Failure, Failure> {
    let reason = Refusal::Unknown.to_string();
    say_no(args, cx, &reason)?;
    let Failure { causes, hint, .. } = cx.without_a_ledger();
    let failure = Failure::new(Kind::No, not_allowed(args)).because(reason);
    Ok(Failure { hint, ..causes.into_iter().fold(failure, Failure::because) })
}

/// Says no to programs.
fn say_no(args: &Args, cx: &mut Context, reason: &str) -> Result<(), Failure> {
    if cx.printer.form == Form::Json {
        let (job, event) = (args.job.as_str(), &args.event);
        cx.printer.object(json!({"authorized": false, "job": job, "event": event, "reason": reason}))?;
    }
    Ok(())
}

/// Says no to people.
fn not_allowed(args: &Args) -> String {
    format!("the token may not report `{}` of job `{}`", args.event.escape_debug(), args.job)
}
