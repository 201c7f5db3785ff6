//! `env`: prints assignments of environment variables.

use super::target::Target;
use super::variables::{VariableArgs, doubled};
use super::{Context, Outcome};
use crate::error::{Failure, Kind};
use crate::output::Form;
use crate::output::assignments::{Assignment, Format};
use crate::profile::variable_of;

/// Examples of the command.
const EXAMPLES: &str = "Examples:
  eval \"$(tokenkeep env prod)\"
  tokenkeep env prod --var API_TOKEN --format github >> \"$GITHUB_ENV\"
  eval \"$(tokenkeep env prod --unset)\"
";

/// Print assignments of environment variables
///
/// The variable is the profile's `var`, else the name in upper case with `_ACCESS_TOKEN` behind it; a secret's has nothing
/// behind it. Either all variables are printed or none. GitHub hides a value in its logs only after the line
/// `::add-mask::VALUE` on standard output, which `env` does not print: use `exec`, or mask it in your script. A script goes
/// on if the command in `eval "$(...)"` fails, even under `set -e`; `variables=$(tokenkeep env prod); eval "$variables"` stops.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    variables: VariableArgs,
    /// In whose words
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Print what takes the variables out of the environment; this opens no vault
    #[arg(long)]
    unset: bool,
}

/// Runs the command.
pub(crate) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    let format = if cx.printer.form == Form::Json { Format::Json } else { args.format };
    if args.unset {
        return unset(args, format, cx);
    }
    let requests = args.variables.requests(cx)?;
    let vault = cx.open_vault()?;
    let filled = args.variables.fill(&cx.keeper(&vault)?, requests)?;
    let assignments: Vec<_> =
        filled.iter().map(|one| Assignment { variable: &one.variable, value: one.handout.secret() }).collect();
    let text = format.write(&assignments).map_err(|fault| {
        Failure::from_error(Kind::Usage, &fault).hint("choose another --format, or use `tokenkeep exec`")
    })?;
    for notice in filled.iter().filter_map(|one| one.handout.notice()) {
        cx.printer.notice(notice);
    }
    cx.printer.raw(&text)?;
    Ok(Outcome::Done)
}

/// Prints what takes the variables out of the environment.
fn unset(args: &Args, format: Format, cx: &mut Context) -> Result<Outcome, Failure> {
    let mut variables: Vec<String> = Vec::new();
    let mut names = Vec::new();
    for target in args.variables.targets(cx)? {
        for variable in args.variables.var.clone().map_or_else(|| candidates(&target), |named| vec![named]) {
            if let Some(other) = variables.iter().position(|other| *other == variable).and_then(|at| names.get(at)) {
                return Err(doubled(&variable, [other, &target.name]));
            }
            variables.push(variable);
            names.push(target.name.clone());
        }
    }
    let texts: Vec<&str> = variables.iter().map(String::as_str).collect();
    let lines = format.unset(&texts).ok_or_else(|| {
        Failure::new(Kind::Usage, "this format has no words for taking a variable out of the environment")
            .hint("use --format sh, fish, powershell or github")
    })?;
    cx.printer.raw(&lines)?;
    Ok(Outcome::Done)
}

/// Returns the variables that an entry may stand in. The vault, which knows the kind, stays closed: without a profile it
/// may be an access token or a secret.
fn candidates(target: &Target) -> Vec<String> {
    let token = variable_of(&target.name, "_ACCESS_TOKEN");
    match &target.profile {
        Some(profile) => vec![profile.var.clone().unwrap_or(token)],
        None => vec![token, variable_of(&target.name, "")],
    }
}
