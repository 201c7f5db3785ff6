//! Settings: `config.toml`, environment and flags, parsed once into values that cannot be wrong.

pub(crate) mod edit;
mod file;
mod filling;
#[cfg(any(fuzzing, test))]
pub(crate) mod fuzzing;
mod issued;
pub(crate) mod report;
mod spelled;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::host::files::{self, Access, FileFault};
use crate::host::folders::{Folders, absolute};
use crate::host::{Environment, Host};
use crate::profile::{EntryName, Profile};
use crate::token::nearest::nearest;
use crate::token::time::{Lifetime, MinTtl};

pub(crate) use file::{Config, ProfileTable};
use filling::Filling;
pub(crate) use spelled::Spelled;

/// A configuration file is text that somebody types; more than this is a mistake.
const LARGEST_CONFIG: usize = 1 << 20;

/// What is wrong with the settings. All of it is for a person to mend.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    /// The file cannot be read, or others may write to it.
    #[error("cannot use the configuration file")]
    File(#[from] FileFault),
    /// The file does not say what it must.
    #[error("{path}:{line}: {message}", path = path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        message: String,
        /// The key or value that was probably meant.
        nearest: Option<String>,
    },
    /// A profile's value is wrong.
    #[error("profile `{profile}`: {key}: {reason}")]
    Profile {
        /// The profile.
        profile: EntryName,
        /// The key in its table.
        key: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A `{name}` in a profile has no value.
    #[error("profile `{profile}` needs the parameter `{parameter}`, and nothing gives it a value")]
    MissingParameter {
        /// The profile.
        profile: EntryName,
        /// The name between the braces.
        parameter: String,
    },
    /// A value is given for a `{name}` that stands in no profile.
    #[error("no profile has the parameter `{parameter}`, which the command line gives")]
    UnknownParameter {
        /// The name that was given.
        parameter: String,
        /// The parameter that was probably meant.
        nearest: Option<String>,
    },
    /// There is no such profile.
    #[error("there is no profile `{name}`")]
    UnknownProfile {
        /// The name that was asked for.
        name: EntryName,
        /// The profile that was probably meant.
        nearest: Option<String>,
    },
    /// An environment variable holds something else than what it is for.
    #[error("{variable}: {reason}")]
    Variable {
        /// The variable.
        variable: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The file cannot be changed without breaking it.
    #[error("cannot change {path}: {reason}", path = path.display())]
    Unchangeable {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
}

/// The settings as they are in force.
#[derive(Debug)]
pub(crate) struct Settings {
    /// The configuration file, which need not exist.
    pub(crate) path: PathBuf,
    /// Where everything else is.
    pub(crate) folders: Folders,
    /// What the file says.
    pub(crate) config: Config,
    /// Values for `{name}` in profiles: flags, before the environment.
    parameters: BTreeMap<String, String>,
    /// `TOKENKEEP_PARAM_...`.
    environment: BTreeMap<String, String>,
    /// `TOKENKEEP_PROFILE`.
    profile_variable: Option<EntryName>,
    /// `TOKENKEEP_MIN_TTL`.
    min_ttl_variable: Option<Spelled>,
    /// `TOKENKEEP_LEDGER` and its like.
    issued_variables: issued::IssuedVariables,
}

impl Settings {
    /// Reads the settings of a host; `config` and `parameters` come from flags.
    pub(crate) fn load(
        host: &Host,
        folders: Folders,
        config: Option<&Path>,
        parameters: &[(String, String)],
    ) -> Result<Self, SettingsError> {
        let named = config.or_else(|| host.env.raw("TOKENKEEP_CONFIG").map(Path::new));
        let path = named.map_or_else(|| folders.config.join("config.toml"), Path::to_owned);
        // what is relative to this file must mean the same to a child, which runs in another folder
        let path = absolute(&path);
        let config = match files::read(&path, Access::Readable, LARGEST_CONFIG) {
            Ok(bytes) => file::parse(&path, bytes)?,
            Err(fault) if fault.is_missing() && named.is_none() => Config::default(),
            Err(fault) => return Err(fault.into()),
        };
        Ok(Self {
            path,
            folders,
            config,
            parameters: parameters.iter().cloned().collect(),
            environment: parameters_of(&host.env)?,
            profile_variable: variable(&host.env, "TOKENKEEP_PROFILE")?,
            min_ttl_variable: variable(&host.env, "TOKENKEEP_MIN_TTL")?,
            issued_variables: issued::IssuedVariables::of(&host.env)?,
        })
    }

    /// Returns the profile that is meant where none is named.
    pub(crate) fn default_profile(&self) -> Option<&EntryName> {
        self.profile_variable.as_ref().or(self.config.defaults.profile.as_ref())
    }

    /// Decides how much life a token must have left; `flag` is what the command line says.
    pub(crate) fn min_ttl(&self, flag: Option<Lifetime>) -> MinTtl {
        match flag.or_else(|| self.min_ttl_variable.as_ref().map(|spelled| spelled.lifetime)) {
            Some(lifetime) => MinTtl::Explicit(lifetime),
            None => MinTtl::Default(self.short_min_ttl().map_or(LONGEST_MIN_TTL, |spelled| spelled.lifetime)),
        }
    }

    /// Returns what the file says of that, unless it asks for more than the default.
    fn short_min_ttl(&self) -> Option<&Spelled> {
        self.config.defaults.min_ttl.as_ref().filter(|spelled| spelled.lifetime <= LONGEST_MIN_TTL)
    }

    /// Returns the path of the identity file that the configuration names.
    pub(crate) fn identity_file(&self) -> Option<PathBuf> {
        self.config.unlock.identity_file.as_ref().map(|path| self.resolve(path))
    }

    /// Resolves a path that stands in the configuration file, relative to that file's folder.
    pub(crate) fn resolve(&self, path: &str) -> PathBuf {
        self.folders.resolve(path, self.path.parent().unwrap_or(Path::new(".")))
    }

    /// Returns a profile with its parameters filled in.
    pub(crate) fn profile(&self, name: &EntryName) -> Result<Profile, SettingsError> {
        let table = self.config.profiles.get(name).ok_or_else(|| SettingsError::UnknownProfile {
            name: name.clone(),
            nearest: nearest(name.as_str(), self.config.profiles.keys().map(EntryName::as_str)),
        })?;
        self.check_parameters(table)?;
        self.build(name, table)
    }

    /// Refuses a parameter of the command line that neither this table nor any profile of the file has: it would be
    /// ignored. One that only another profile has is fine, since a command may use many.
    pub(crate) fn check_parameters(&self, table: &ProfileTable) -> Result<(), SettingsError> {
        if self.parameters.is_empty() {
            return Ok(());
        }
        let tables = self.config.profiles.values().chain([table]);
        let known: BTreeSet<&str> = tables.flat_map(filling::parameters).collect();
        match self.parameters.keys().find(|parameter| !known.contains(parameter.as_str())) {
            Some(parameter) => Err(SettingsError::UnknownParameter {
                parameter: parameter.clone(),
                nearest: nearest(parameter, known.into_iter()),
            }),
            None => Ok(()),
        }
    }

    /// Builds a profile from a table, one of the file's or one that flags describe.
    pub(crate) fn build(&self, name: &EntryName, table: &ProfileTable) -> Result<Profile, SettingsError> {
        Filling { settings: self, name, table }.profile()
    }
}

/// Collects `TOKENKEEP_PARAM_NAME` as NAME; an empty one counts as unset, as every variable does.
fn parameters_of(env: &Environment) -> Result<BTreeMap<String, String>, SettingsError> {
    let parameter = |(name, value): (&std::ffi::OsString, &std::ffi::OsString)| {
        let variable = name.to_str()?;
        let name = variable.strip_prefix("TOKENKEEP_PARAM_")?;
        Some(utf_8(variable, value).map(|value| (name.to_owned(), value.to_owned())))
    };
    env.iter().filter(|(_, value)| !value.is_empty()).filter_map(parameter).collect()
}

/// Returns the text of an environment variable; what is no text is not taken for nothing.
fn utf_8<'a>(variable: &str, value: &'a OsStr) -> Result<&'a str, SettingsError> {
    let wrong = || SettingsError::Variable { variable: variable.to_owned(), reason: "it is not UTF-8".to_owned() };
    value.to_str().ok_or_else(wrong)
}

/// Parses an environment variable.
fn variable<T>(env: &Environment, variable: &str) -> Result<Option<T>, SettingsError>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    let Some(value) = env.raw(variable) else { return Ok(None) };
    let parsed = utf_8(variable, value)?.parse().map(Some);
    parsed.map_err(|fault: T::Err| SettingsError::Variable { variable: variable.to_owned(), reason: fault.to_string() })
}

/// What a request, a queue and a slow provider together take, and what most providers' clocks differ by.
const LONGEST_MIN_TTL: Lifetime = Lifetime::seconds(60);
