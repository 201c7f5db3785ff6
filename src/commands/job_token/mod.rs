//! `tokenkeep job-token`: tokens that are worth something only while their job runs.

mod authorize;
mod end;
mod issue;
mod list;
mod renew;
mod revoke;
mod run;

use super::actor::{Acting, AsArgs};
use super::{Context, Outcome};
use crate::error::Failure;
use crate::host::machine;
use crate::ledger::job::{JobAsk, Limit, Present};
use crate::ledger::lease::{GraceAsk, JobRef, Whose};
use crate::ledger::rights::Actor;
use crate::token::names::{Job, Owner};
use crate::token::text::escaped;
use crate::token::time::Lifetime;

/// Examples of the whole group.
const EXAMPLES: &str = "Examples:
  tokenkeep job-token run nightly-17 -- ./job
  tokenkeep job-token issue nightly-17 --scope read --lease 5m
  tokenkeep job-token authorize nightly-17 update --stdin < token.txt
  tokenkeep job-token end nightly-17
";

/// Issue tokens for jobs, and check what jobs may do with them
#[derive(clap::Args)]
#[command(after_help = EXAMPLES, disable_help_subcommand = true)]
pub(crate) struct Args {
    /// What to do
    #[command(subcommand)]
    command: Command,
}

/// What can be done with job tokens. Each is described where its arguments are: what stood here would take the place of
/// that.
#[derive(clap::Subcommand)]
enum Command {
    Issue(Box<issue::Args>),
    Renew(renew::Args),
    End(end::Args),
    Run(Box<run::Args>),
    Authorize(authorize::Args),
    Revoke(revoke::Args),
    List(list::Args),
}

/// Runs the command.
pub(crate) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    match &args.command {
        Command::Issue(args) => issue::run(args, cx),
        Command::Renew(args) => renew::run(args, cx),
        Command::End(args) => end::run(args, cx),
        Command::Run(args) => run::run(args, cx),
        Command::Authorize(args) => authorize::run(args, cx),
        Command::Revoke(args) => revoke::run(args, cx),
        Command::List(args) => list::run(args, cx),
    }
}

/// What a new job token is to be.
#[derive(clap::Args)]
pub(super) struct AskArgs {
    /// The job: a name that the pipeline gives it
    #[arg(value_name = "JOB")]
    job: Job,
    /// Whom the token speaks for [default: who acts]
    #[arg(long, value_name = "OWNER")]
    owner: Option<Owner>,
    /// What it may do (repeat for more)
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// How long the job may take at most [default: `job_ttl`, 24h]
    #[arg(long, value_name = "TIME")]
    ttl: Option<Lifetime>,
    /// How long scopes of it stay good after the end, for a clean-up [default: 0s]
    #[arg(long, value_name = "TIME")]
    grace: Option<Lifetime>,
    /// Which scopes these are (repeat for more) [default: all that it has]
    #[arg(long = "grace-scope", value_name = "SCOPE", requires = "grace")]
    grace_scopes: Vec<String>,
    /// Make a new token in the place of the present one, whoever holds the job
    #[arg(long)]
    rotate: bool,
    #[command(flatten)]
    acting: AsArgs,
}

impl AskArgs {
    /// Finds out who acts, and for whom if that was not said.
    fn begin(&self, cx: &mut Context, ask: JobAsk) -> Result<(Acting, JobAsk), Failure> {
        let acting = self.acting.begin(cx)?;
        let owner = acting.actor.owner().filter(|_| self.owner.is_none()).map(str::to_owned);
        let ask = JobAsk { owner: owner.unwrap_or(ask.owner), ..ask };
        Ok((acting, ask))
    }

    /// Says what is wanted.
    fn ask(&self, cx: &Context, lease: Option<Lifetime>) -> Result<JobAsk, Failure> {
        let stated = super::issued::scopes(&self.scopes)?;
        super::issued::known(cx, &stated)?;
        let grace = grace(self.grace, &self.grace_scopes)?;
        Ok(JobAsk {
            owner: self.owner.as_ref().map_or_else(machine::user, ToString::to_string),
            job: self.job.to_string(),
            scopes: if self.scopes.is_empty() { None } else { Some(stated) },
            ttl: match self.ttl {
                Some(ttl) => Limit::Stated(positive(ttl, "--ttl")?),
                None => Limit::Default(positive(cx.settings()?.job_ttl(), "--ttl")?),
            },
            lease: lease.map(|lease| positive(lease, "--lease")).transpose()?,
            grace,
            present: if self.rotate { Present::Rotate } else { Present::Keep },
        })
    }
}

/// Which job of whom.
#[derive(clap::Args)]
pub(super) struct JobArgs {
    /// The job
    #[arg(value_name = "JOB")]
    job: Job,
    /// Whose token of the job [default: that of who acts; if they never had one, the only one there is]
    #[arg(long, value_name = "OWNER", conflicts_with = "all_owners")]
    owner: Option<Owner>,
    /// The tokens of all owners
    #[arg(long)]
    all_owners: bool,
    #[command(flatten)]
    acting: AsArgs,
}

impl JobArgs {
    /// Says whose token is meant.
    fn which(&self, actor: &Actor) -> JobRef {
        let acts = || actor.owner().map_or_else(machine::user, str::to_owned);
        let whose = match &self.owner {
            Some(owner) => Whose::Of(owner.to_string()),
            None if self.all_owners => Whose::All,
            None => Whose::Usual(acts()),
        };
        JobRef { job: self.job.to_string(), whose }
    }

    /// Names the job, and the owner whose token of it was meant.
    fn name(&self, owner: Option<&str>) -> String {
        owner.map_or_else(|| format!("job `{}`", self.job), |owner| format!("job `{}` of {}", self.job, escaped(owner)))
    }
}

/// Reads what stays good after the end.
fn grace(length: Option<Lifetime>, scopes: &[String]) -> Result<Option<GraceAsk>, Failure> {
    let Some(length) = length else { return Ok(None) };
    let named = super::issued::scopes(scopes)?;
    Ok(Some(GraceAsk { length, scopes: if scopes.is_empty() { None } else { Some(named) } }))
}

/// Refuses a time that is none.
fn positive(time: Lifetime, flag: &str) -> Result<Lifetime, Failure> {
    if time > Lifetime::seconds(0) {
        return Ok(time);
    }
    Err(Failure::new(crate::error::Kind::Usage, format!("{flag} 0s would be over before it begins"))
        .hint(format!("give some time: `{flag} 5m`")))
}
