//! `refresh`: brings access tokens up to date, many at once, and leaves them in files for jobs that only read.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

use super::exec::fresh;
use super::target::{Target, TokenArgs};
use super::{Context, Outcome};
use crate::error::{Failure, Kind, file_failure};
use crate::keeper::plan::{Fetch, Insistence, Wanted};
use crate::keeper::{Handed, How, Keeper};
use crate::output::token_file;
use crate::output::{Form, put_time};
use crate::profile::EntryName;
use crate::token::time::{Lifetime, MinTtl};
use crate::vault::Vault;

/// Examples of the command.
const EXAMPLES: &str = "Examples:
  tokenkeep refresh prod
  tokenkeep refresh --all --quiet
  tokenkeep refresh --all --due-within 10m --write-dir /run/user/1000/tokens
";

/// Bring access tokens up to date; for cron
///
/// A token that is not due is left alone. Waits overlap: a slow provider does not hold up the others.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The profiles or entries
    #[arg(value_name = "PROFILE", add = clap_complete::ArgValueCompleter::new(super::completions::entry_names))]
    names: Vec<EntryName>,
    /// All entries that hold a refresh token
    #[arg(long, conflicts_with = "names")]
    all: bool,
    /// Refresh although it is not due, or was refused before
    #[arg(long)]
    force: bool,
    /// Refresh what lives no longer than this
    #[arg(long, value_name = "DURATION", conflicts_with = "force")]
    due_within: Option<Lifetime>,
    /// Write the access token of the one profile to this file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["all", "write_dir"])]
    write: Option<PathBuf>,
    /// Write each access token to a file of its name in this folder
    #[arg(long, value_name = "DIR")]
    write_dir: Option<PathBuf>,
    /// How many are refreshed at once
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u8).range(1..=64))]
    jobs: u8,
    /// Present the token of the one profile even if it was exchanged before
    #[arg(long, conflicts_with = "all")]
    present_spent: bool,
}

/// What became of one entry.
struct Refreshed {
    /// The entry.
    name: EntryName,
    /// Its token, or why there is none.
    outcome: Result<Handed, Failure>,
}

/// Runs the command.
pub(crate) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    if args.all {
        // what runs regularly: no token in clear outlives a killed `exec` for long
        fresh::sweep(cx);
    }
    let named = named_targets(args, cx)?;
    let vault = cx.open_vault()?;
    let (targets, mut results) = if args.all { all_targets(cx, &vault)? } else { (named, Vec::new()) };
    if targets.is_empty() && results.is_empty() {
        cx.printer.notice("no entry holds a refresh token; log in with `tokenkeep generate PROFILE`");
    }
    let work = targets.into_iter().map(|target| Ok((wanted(args, cx, &target)?, target)));
    let work: Vec<(Wanted, Target)> = work.collect::<Result<_, Failure>>()?;
    results.extend(refresh_all(&cx.keeper(&vault)?, &work, usize::from(args.jobs)));
    results.sort_by(|one, other| one.name.cmp(&other.name));
    let results = results.into_iter().map(|result| written(args, result)).collect();
    report(cx, results)
}

/// Returns the targets that were named, or the default one.
fn named_targets(args: &Args, cx: &Context) -> Result<Vec<Target>, Failure> {
    if args.all {
        return Ok(Vec::new());
    }
    let one = args.write.is_some() || args.present_spent;
    if one && args.names.len() > 1 {
        return Err(Failure::new(Kind::Usage, "--write and --present-spent are for one profile")
            .hint("use --write-dir DIR, or name one profile"));
    }
    let names = if args.names.is_empty() {
        cx.settings()?;
        let all = |failure: Failure| failure.hint("name one, or type `tokenkeep refresh --all`");
        vec![cx.name_or_default(None).map_err(all)?]
    } else {
        args.names.clone()
    };
    let target = |name: &EntryName| {
        let target = Target::of(cx, Some(name), None)?;
        super::issued::refuse_reserved(&target.name)?;
        target.must_exist(cx)?;
        Ok(target)
    };
    names.iter().map(target).collect()
}

/// Returns a target for every entry with a refresh token, and the entries whose profile cannot be used: they must not
/// hold up the others. What does not open is left in, so that it is reported.
fn all_targets(cx: &Context, vault: &Vault) -> Result<(Vec<Target>, Vec<Refreshed>), Failure> {
    let names = vault.shelf().names().map_err(crate::vault::VaultError::from)?.entries;
    let refreshable = |name: &EntryName| match vault.newest(name) {
        Ok(entry) => entry.is_some_and(|entry| entry.body.tokens().is_some()),
        Err(_) => true,
    };
    let (mut targets, mut failed) = (Vec::new(), Vec::new());
    for name in names.into_iter().filter(refreshable) {
        match Target::of(cx, Some(&name), None) {
            Ok(target) => targets.push(target),
            Err(failure) => failed.push(Refreshed { name, outcome: Err(failure) }),
        }
    }
    Ok((targets, failed))
}

/// Returns what is wanted of one target.
fn wanted(args: &Args, cx: &Context, target: &Target) -> Result<Wanted, Failure> {
    let fetch = if args.force || args.present_spent { Fetch::Always } else { Fetch::IfDue };
    let mut wanted = target.wanted(cx, &TokenArgs::default(), None, fetch)?;
    if let Some(due_within) = args.due_within {
        wanted.min_ttl = MinTtl::Explicit(due_within);
    }
    wanted.insistence = match (args.present_spent, args.force) {
        (true, _) => Insistence::PresentSpent,
        (false, true) => Insistence::Force,
        (false, false) => Insistence::None,
    };
    Ok(wanted)
}

/// Refreshes several entries, at most `jobs` at once, and returns the results in the order of the names.
fn refresh_all(keeper: &Keeper<'_>, work: &[(Wanted, Target)], jobs: usize) -> Vec<Refreshed> {
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, Refreshed)>> = Mutex::new(Vec::with_capacity(work.len()));
    std::thread::scope(|scope| {
        for _ in 0..jobs.min(work.len()) {
            scope.spawn(|| {
                while let Some((index, (wanted, target))) = {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    work.get(index).map(|item| (index, item))
                } {
                    let result = Refreshed { name: target.name.clone(), outcome: target.fetch(keeper, wanted) };
                    done.lock().unwrap_or_else(PoisonError::into_inner).push((index, result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

/// Leaves a token in its file, if files were asked for.
fn written(args: &Args, result: Refreshed) -> Refreshed {
    let file = match (&args.write, &args.write_dir) {
        (Some(file), _) => file.clone(),
        (None, Some(folder)) => folder.join(result.name.as_str()),
        (None, None) => return result,
    };
    let outcome = result.outcome.and_then(|handed| {
        token_file::write(&file, handed.token.token.secret())
            .map_err(|fault| file_failure(Kind::Failed, &fault).while_doing("the token is good, and its file is not"))
            .map_err(|failure| failure.or_hint(|| "name a place that you can write to".to_owned()))?;
        Ok(handed)
    });
    Refreshed { outcome, ..result }
}

/// Says what became of each entry, and fails if one of them failed.
fn report(cx: &mut Context, results: Vec<Refreshed>) -> Result<Outcome, Failure> {
    let now = cx.now();
    for result in &results {
        if let Ok(handed) = &result.outcome {
            let left = handed.token.left(now);
            match (handed.how, &handed.notice) {
                (_, Some(notice)) => cx.printer.notice(&format!("{}: {notice}", result.name)),
                (How::Exchanged | How::Adopted, None) => {
                    cx.printer.notice(&format!("{}: refreshed, good for {left}", result.name));
                }
                // a timer's log and mails hold what happened; who looks on asks what did not
                (How::Cached | How::Leftover, None) if cx.host.terminals.stderr => {
                    cx.printer.notice(&format!("{}: not due, good for {left}", result.name));
                }
                (How::Cached | How::Leftover, None) => {
                    tracing::info!(name = %result.name, %left, "not due");
                }
            }
        }
    }
    if cx.printer.form == Form::Json {
        cx.printer.objects(results.iter().map(object).collect())?;
    }
    let count = results.len();
    let mut failures: Vec<(EntryName, Failure)> =
        results.into_iter().filter_map(|result| Some((result.name, result.outcome.err()?))).collect();
    if failures.len() <= 1 {
        return failures.pop().map_or(Ok(Outcome::Done), |(_, failure)| Err(failure));
    }
    failures.sort_by_key(|(_, failure)| severity(failure.kind));
    let kind = failures.first().map_or(Kind::Failed, |(_, failure)| failure.kind);
    let summary = Failure::new(kind, format!("{} of {count} entries could not be refreshed", failures.len()));
    let hint = failures.first().and_then(|(_, failure)| failure.hint.clone());
    let mut summary = failures
        .into_iter()
        .fold(summary, |summary, (name, failure)| summary.because(format!("{name}: {}", failure.one_line())));
    summary.hint = hint;
    Err(summary)
}

/// Describes a result for programs.
fn object(result: &Refreshed) -> Value {
    let mut object = json!({"name": result.name, "error": null});
    match &result.outcome {
        Ok(handed) => {
            object["outcome"] = json!(match handed.how {
                How::Cached => "not-due",
                How::Adopted | How::Exchanged => "refreshed",
                How::Leftover => "kept",
            });
            put_time(&mut object, "expires", Some(handed.token.expires_at));
        }
        Err(failure) => {
            object["outcome"] = json!("failed");
            object["error"] = failure.json()["error"].clone();
            put_time(&mut object, "expires", None);
        }
    }
    object
}

/// Orders failures: what needs a person first, what passes by itself last.
const fn severity(kind: Kind) -> u8 {
    match kind {
        Kind::Bug => 0,
        Kind::Locked => 1,
        Kind::Login => 2,
        Kind::Config => 3,
        Kind::NotFound | Kind::Usage | Kind::No | Kind::Denied | Kind::Interrupted => 4,
        Kind::Failed => 5,
        Kind::Later => 6,
    }
}
