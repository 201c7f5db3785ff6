//! Entries in environment variables: which entry stands in which variable. Shared by `env` and `exec`.

use super::Context;
use super::completions::entry_names;
use super::target::{Handout, Target, TokenArgs};
use crate::error::{Failure, Kind};
use crate::keeper::Keeper;
use crate::keeper::plan::{Fetch, Wanted};
use crate::output::assignments::is_variable;
use crate::profile::EntryName;
use crate::token::time::Lifetime;

/// Flags that say which entries stand in which variables.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct VariableArgs {
    /// The profiles or entries; without one, the default profile
    #[arg(value_name = "NAME", add = clap_complete::ArgValueCompleter::new(entry_names))]
    pub(crate) names: Vec<EntryName>,
    /// Set this variable (one NAME only)
    #[arg(long, value_name = "VAR")]
    pub(crate) var: Option<String>,
    /// How much life a token must have left
    #[arg(long, value_name = "DURATION")]
    pub(crate) min_ttl: Option<Lifetime>,
    #[command(flatten)]
    pub(crate) token: TokenArgs,
}

/// An entry whose text a variable is to have.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// The entry.
    pub(crate) target: Target,
    /// What is wanted of it.
    pub(crate) wanted: Wanted,
    /// The flags that were given and that a stored text has no answer to.
    pub(crate) flags: Vec<&'static str>,
}

/// A variable and what an entry gave for it.
#[derive(Debug)]
pub(crate) struct Filled {
    /// The variable.
    pub(crate) variable: String,
    /// What was asked for, so that it can be asked for again.
    pub(crate) request: Request,
    /// What it has.
    pub(crate) handout: Handout,
}

impl VariableArgs {
    /// Finds out which entries are meant; an unknown name comes before a locked vault.
    pub(crate) fn targets(&self, cx: &Context) -> Result<Vec<Target>, Failure> {
        if let Some(variable) = &self.var {
            check_variable(variable)?;
        }
        if self.var.is_some() && self.names.len() > 1 {
            return Err(Failure::new(Kind::Usage, "--var names one variable, and there are several NAMEs")
                .hint("leave out --var, or set `var` in the profiles"));
        }
        let user = self.token.user.as_deref();
        if self.names.is_empty() {
            return Ok(vec![Target::of(cx, None, user)?]);
        }
        self.names.iter().map(|name| Target::of(cx, Some(name), user)).collect()
    }

    /// Puts together what is asked for.
    pub(crate) fn requests(&self, cx: &Context) -> Result<Vec<Request>, Failure> {
        let targets = self.targets(cx)?;
        for target in &targets {
            super::issued::refuse_reserved(&target.name)?;
            target.must_exist(cx)?;
        }
        let request = |target: Target| {
            let wanted = target.wanted(cx, &self.token, self.min_ttl, Fetch::IfDue)?;
            Ok(Request { target, wanted, flags: self.token.of_a_provider(self.min_ttl) })
        };
        targets.into_iter().map(request).collect()
    }

    /// Gets everything that was asked for, or nothing.
    pub(crate) fn fill(&self, keeper: &Keeper<'_>, requests: Vec<Request>) -> Result<Vec<Filled>, Failure> {
        let mut all: Vec<Filled> = Vec::with_capacity(requests.len());
        for request in requests {
            let handout = request.target.hand_out(keeper, &request.wanted, &request.flags)?;
            let variable = self.var.clone().unwrap_or_else(|| request.target.variable(&handout));
            check_profile_variable(&request.target, &variable)?;
            if let Some(other) = all.iter().find(|other| other.variable == variable) {
                return Err(doubled(&variable, [&other.request.target.name, &request.target.name]));
            }
            all.push(Filled { variable, request, handout });
        }
        Ok(all)
    }
}

/// Refuses what cannot name a variable.
pub(crate) fn check_variable(variable: &str) -> Result<(), Failure> {
    // a token there would keep everything from being found that is called by its name
    if variable == "PATH" {
        return Err(Failure::new(Kind::Usage, "the variable PATH says where commands are, and cannot hold a token")
            .hint("name another variable, like TOKEN"));
    }
    if is_variable(variable) {
        return Ok(());
    }
    let message = format!("`{}` is not the name of a variable", crate::token::text::shown(variable));
    Err(Failure::new(Kind::Usage, message).hint("use letters, digits and `_`, and no digit at the beginning"))
}

/// Refuses a `var` of a profile that cannot name a variable.
fn check_profile_variable(target: &Target, variable: &str) -> Result<(), Failure> {
    check_variable(variable).map_err(|failure| {
        Failure { kind: Kind::Config, code: Kind::Config as u8, ..failure }
            .because(format!("it is the `var` of [profiles.{}] in config.toml", target.name.profile()))
    })
}

/// Describes two entries that would stand in one variable.
pub(crate) fn doubled(variable: &str, [one, other]: [&EntryName; 2]) -> Failure {
    Failure::new(Kind::Usage, format!("`{one}` and `{other}` would both be {variable}"))
        .hint("set another `var` in one of the profiles, or ask for one at a time with --var")
}
