//! What is to run regularly: the command, in which environment, as whom, and what it writes.

use std::path::{Path, PathBuf};

use super::every::Every;
use super::place::{Place, PlaceArgs};
use crate::commands::Context;
use crate::error::{Failure, Kind, file_failure};
use crate::host::folders::{self, Folders};
use crate::host::{files, machine, program, route, survey};
use crate::output::assignments::is_variable;
use crate::token::text;
use crate::token::time::Lifetime;
use crate::vault::header;

/// Flags that say what runs, and when.
#[derive(clap::Args)]
pub(super) struct JobArgs {
    /// How often: whole minutes
    #[arg(long, value_name = "DURATION", default_value = "1h")]
    every: Every,
    /// Leave each access token in a file of its name in this folder
    #[arg(long, value_name = "DIR")]
    write_dir: Option<PathBuf>,
    /// Refresh what lives no longer than this; with --write-dir, one and a half times --every by itself
    #[arg(long, value_name = "DURATION")]
    due_within: Option<Lifetime>,
    /// Hand the vault identity in this file over as a systemd credential
    #[arg(long, value_name = "FILE", conflicts_with = "credential_encrypted")]
    credential: Option<PathBuf>,
    /// The same, of a file that `systemd-creds encrypt` made
    #[arg(long, value_name = "FILE")]
    credential_encrypted: Option<PathBuf>,
    #[command(flatten)]
    pub(super) place: PlaceArgs,
}

/// Whose units or crontab it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// A user's own.
    User,
    /// The system's.
    System,
}

/// The file that systemd hands over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Credential {
    /// As it is.
    Plain(String),
    /// Encrypted at rest.
    Encrypted(String),
}

/// What is to run regularly.
#[derive(Clone, Debug)]
pub(super) struct Job {
    /// Whose it is.
    pub(super) scope: Scope,
    /// Our own program.
    pub(super) program: String,
    /// Its arguments.
    pub(super) arguments: Vec<String>,
    /// What it needs in its environment.
    pub(super) variables: Vec<(String, String)>,
    /// The folders that a refresh writes to.
    pub(super) writes: Vec<String>,
    /// A folder below the runtime folder that is made for it.
    pub(super) runtime_folder: Option<String>,
    /// As whom it runs, where that has to be said.
    pub(super) user: Option<String>,
    /// The vault identity.
    pub(super) credential: Option<Credential>,
    /// How often.
    pub(super) every: Every,
    /// What the minute depends on, where it is ours to choose.
    pub(super) spread_by: String,
    /// Variables that are set here and could not be taken over: they hold a password.
    pub(super) left_out: Vec<String>,
}

impl Job {
    /// Puts together what runs as this command was run: the same folders, configuration and parameters.
    pub(super) fn of(args: &JobArgs, place: &Place, cx: &Context) -> Result<Self, Failure> {
        let folders = Folders::of(&cx.host)?;
        let (vault, state) = (folders.data.join("vault"), folders.state.clone());
        let scope = place.scope;
        let write_dir = args.write_dir.as_deref().map(absolute).transpose()?;
        let runtime_folder = write_dir.as_deref().and_then(|folder| below_runtime(folder, place, cx));
        let mut writes = vec![text_of(&vault)?, text_of(&state)?];
        writes.extend(write_dir.clone().filter(|_| runtime_folder.is_none()));
        let credential = args.credential()?;
        let (mut variables, left_out) = network(cx);
        variables.splice(0..0, folder_variables(cx, &folders, scope)?);
        variables.extend(unlocking(cx, credential.as_ref())?);
        for (name, value) in &variables {
            refuse_odd(value).map_err(|failure| failure.while_doing(format!("{name} cannot be taken over")))?;
        }
        Ok(Self {
            scope,
            program: text_of(&own_program(cx)?)?,
            arguments: args.arguments(cx, write_dir)?,
            variables,
            writes,
            runtime_folder,
            user: owner(&vault, scope)?,
            credential,
            every: args.every,
            spread_by: format!("{}\0{}", machine::name(), vault.display()),
            left_out,
        })
    }

    /// Makes sure that all that is needed is there, and all that is written to: in the unit nothing beside it could be made.
    pub(super) fn prepare(&self) -> Result<(), Failure> {
        let Some((vault, others)) = self.writes.split_first() else { return Ok(()) };
        if let Some(mode) = survey::closed_to_owner(Path::new(vault)) {
            return Err(Failure::new(Kind::Locked, format!("the vault in {vault} cannot be used (mode {mode:03o})"))
                .hint(format!("type `chmod 700 '{vault}'`")));
        }
        let path = header::path(Path::new(vault));
        path.symlink_metadata().map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => header::missing(Path::new(vault)).into(),
            _ => file_failure(Kind::Locked, &files::fault("look at", &path)(error)),
        })?;
        self.refuse_missing_credential()?;
        for folder in others.iter().map(Path::new).filter(|folder| !folder.exists()) {
            if files::owner(Path::new(vault)) != Some(machine::effective_user()) {
                let user = self.user.as_deref().unwrap_or_default();
                return Err(Failure::new(Kind::Failed, format!("there is no folder {}", folder.display()))
                    .hint(format!("type `install -d -m 700 -o {user} '{}'`", folder.display())));
            }
            files::make_folder(folder).map_err(|fault| file_failure(Kind::Failed, &fault))?;
        }
        Ok(())
    }

    /// Refuses a credential that systemd would not find: the service would never start.
    fn refuse_missing_credential(&self) -> Result<(), Failure> {
        let Some(Credential::Plain(path) | Credential::Encrypted(path)) = &self.credential else { return Ok(()) };
        match Path::new(path).metadata() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Err(Failure::new(Kind::NotFound, format!("there is no credential {path}"))
                    .hint("name the file that holds the vault identity, or that `systemd-creds encrypt` made of it"))
            }
            _ => Ok(()),
        }
    }

    /// Tells whether something that the service needs lies where temporary files do.
    pub(super) fn needs_tmp(&self) -> bool {
        let values = self.variables.iter().map(|(_, value)| value);
        let all = values.chain(&self.writes).chain(&self.arguments).chain([&self.program]);
        let is_in_tmp = |path: &String| ["/tmp", "/var/tmp"].iter().any(|tmp| Path::new(path).starts_with(tmp));
        all.into_iter().any(is_in_tmp)
    }
}

impl JobArgs {
    /// Returns the arguments of the command that runs.
    fn arguments(&self, cx: &Context, write_dir: Option<String>) -> Result<Vec<String>, Failure> {
        let mut arguments = vec!["refresh".to_owned(), "--all".to_owned()];
        let config = cx.globals.config.as_deref().or_else(|| cx.host.env.raw("TOKENKEEP_CONFIG").map(Path::new));
        if let Some(config) = config {
            arguments.extend(["--config".to_owned(), absolute(config)?]);
        }
        for (name, value) in &cx.globals.parameters {
            arguments.extend(["--param".to_owned(), format!("{name}={value}")]);
        }
        // who reads a file refreshes nothing: what is in it must live until the run after the next one is late
        let by_itself = || write_dir.as_ref().map(|_| self.every.lifetime().plus(self.every.lifetime().half()));
        if let Some(due_within) = self.due_within.or_else(by_itself) {
            arguments.extend(["--due-within".to_owned(), due_within.exact().replace(' ', "")]);
        }
        if let Some(folder) = write_dir {
            arguments.extend(["--write-dir".to_owned(), folder]);
        }
        // the journal of a unit keeps what was done; cron would mail it
        arguments.extend(self.place.is_cron().then(|| "--quiet".to_owned()));
        arguments.iter().try_for_each(|argument| refuse_odd(argument))?;
        Ok(arguments)
    }

    /// Returns the credential that is handed over.
    fn credential(&self) -> Result<Option<Credential>, Failure> {
        let given = self.credential.as_ref().or(self.credential_encrypted.as_ref());
        if given.is_some() && self.place.is_cron() {
            return Err(Failure::new(Kind::Usage, "cron hands over no credentials")
                .hint("use a timer: `--kind systemd`, or name the file: `TOKENKEEP_IDENTITY_FILE`"));
        }
        let ending_the_line = |path: &Path| {
            let path = absolute(path)?;
            // a unit has no quotes for it: a backslash would take the next line along, and a blank be lost
            if path.ends_with(['\\', ' ']) { Err(odd(&path)) } else { Ok(path) }
        };
        Ok(match (&self.credential, &self.credential_encrypted) {
            (Some(path), _) => Some(Credential::Plain(ending_the_line(path)?)),
            (None, Some(path)) => Some(Credential::Encrypted(ending_the_line(path)?)),
            (None, None) => None,
        })
    }
}

/// Returns where our program is, as a person would call it.
fn own_program(cx: &Context) -> Result<PathBuf, Failure> {
    program::own_path(cx.host.args.first().map(std::ffi::OsString::as_os_str), &cx.host.env).map_err(|error| {
        Failure::new(Kind::Failed, "cannot tell where this program is")
            .because(error.to_string())
            .hint("start it by its full path")
    })
}

/// Returns as whom the job runs: as the owner of the vault, for nobody else can use it.
fn owner(vault: &Path, scope: Scope) -> Result<Option<String>, Failure> {
    let ours = machine::effective_user();
    let owner = files::owner(vault).unwrap_or(ours);
    match scope {
        Scope::System => Ok(Some(machine::user_name(owner))),
        Scope::User if owner == ours => Ok(None),
        Scope::User => {
            let owner = machine::user_name(owner);
            Err(Failure::new(Kind::Usage, format!("the vault in {} belongs to {owner}, not to you", vault.display()))
                .hint("make it a job of the system: `--system`"))
        }
    }
}

/// Returns the variables that lead to our folders.
fn folder_variables(cx: &Context, folders: &Folders, scope: Scope) -> Result<Vec<(String, String)>, Failure> {
    if let Some(root) = cx.host.env.raw("TOKENKEEP_HOME") {
        return Ok(vec![("TOKENKEEP_HOME".to_owned(), absolute(Path::new(root))?)]);
    }
    let bases =
        [("XDG_CONFIG_HOME", &folders.config), ("XDG_DATA_HOME", &folders.data), ("XDG_STATE_HOME", &folders.state)];
    // a job of the system is not told the home of whoever sets it up
    let wanted = |name: &str| scope == Scope::System || cx.host.env.folder(name).is_some();
    let bases = bases.into_iter().filter(|(name, _)| wanted(name));
    bases.map(|(name, folder)| Ok((name.to_owned(), text_of(folder.parent().unwrap_or(folder))?))).collect()
}

/// Returns the file that opens the vault, if the environment names one; a credential goes before it.
fn unlocking(cx: &Context, credential: Option<&Credential>) -> Result<Option<(String, String)>, Failure> {
    const VARIABLE: &str = "TOKENKEEP_IDENTITY_FILE";
    let path = cx.host.env.raw(VARIABLE).filter(|_| credential.is_none());
    path.map(|path| Ok((VARIABLE.to_owned(), absolute(Path::new(path))?))).transpose()
}

/// Returns how providers are reached and what fills in profiles, and the names of what holds a password: units and
/// crontabs can be read by everybody.
fn network(cx: &Context) -> (Vec<(String, String)>, Vec<String>) {
    // a name is written as it is: one that a shell could take for more than that is none of ours
    let is_parameter = |name: &str| name.starts_with("TOKENKEEP_PARAM_") && is_variable(name);
    let is_taken = |name: &str| route::variables().any(|known| known == name) || is_parameter(name);
    let pairs = cx.host.env.iter().filter_map(|(name, value)| Some((name.to_str()?, value.to_str()?)));
    let mut taken: Vec<(String, String)> = pairs
        .filter(|(name, value)| is_taken(name) && !value.is_empty())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    taken.sort();
    let is_proxy = |name: &str| route::PROXIES.into_iter().chain(route::DIRECT).any(|known| known == name);
    let (secret, plain): (Vec<_>, Vec<_>) =
        taken.into_iter().partition(|(name, value)| is_proxy(name) && value.contains('@'));
    (plain, secret.into_iter().map(|(name, _)| name).collect())
}

/// Returns the name of a folder that lies directly below the runtime folder, where systemd makes it anew after each start.
fn below_runtime(folder: &str, place: &Place, cx: &Context) -> Option<String> {
    let runtime = match place.scope {
        _ if place.is_cron() => return None,
        Scope::System => Path::new("/run"),
        Scope::User => Path::new(cx.host.env.raw("XDG_RUNTIME_DIR")?),
    };
    let name = Path::new(folder).strip_prefix(runtime).ok()?.to_str()?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    Some(name.to_owned()).filter(|name| !name.is_empty() && name.chars().all(is_plain))
}

/// Makes a path absolute, as a text.
fn absolute(path: &Path) -> Result<String, Failure> {
    text_of(&folders::absolute(path))
}

/// Writes a path as a text that a unit and a crontab can hold.
fn text_of(path: &Path) -> Result<String, Failure> {
    let text = path.to_str().ok_or_else(|| odd(&path.to_string_lossy()))?;
    refuse_odd(text)?;
    Ok(text.to_owned())
}

/// Refuses what no line can hold.
fn refuse_odd(text: &str) -> Result<(), Failure> {
    if text::is_honest(text) { Ok(()) } else { Err(odd(text)) }
}

/// Describes a text that no line can hold.
fn odd(text: &str) -> Failure {
    Failure::new(Kind::Usage, format!("`{text}` cannot stand in a unit or a crontab")).hint("use another name")
}

#[cfg(test)]
impl Job {
    /// A plain one.
    pub(super) fn sample() -> Self {
        Self {
            scope: Scope::User,
            program: "/usr/local/bin/tokenkeep".to_owned(),
            arguments: vec!["refresh".to_owned(), "--all".to_owned()],
            variables: Vec::new(),
            writes: vec!["/home/ada/.local/share/tokenkeep/vault".to_owned()],
            runtime_folder: None,
            user: None,
            credential: None,
            every: "1h".parse().unwrap(),
            spread_by: String::new(),
            left_out: Vec::new(),
        }
    }
}
