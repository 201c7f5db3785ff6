//! The commands: one file each, with its arguments, its examples and its `run`. No protocol, no cryptography.

mod actor;
pub(crate) mod admin_token;
pub(crate) mod audit;
pub(crate) mod completions;
pub(crate) mod config;
mod context;
pub(crate) mod delete;
pub(crate) mod doctor;
pub(crate) mod env;
pub(crate) mod exec;
pub(crate) mod generate;
pub(crate) mod get;
mod globals;
pub(crate) mod help;
pub(crate) mod history;
pub(crate) mod import;
pub(crate) mod init;
mod issued;
mod issued_list;
pub(crate) mod job_token;
pub(crate) mod list;
pub(crate) mod lock;
pub(crate) mod maintain;
pub(crate) mod man;
mod new_passphrase;
mod problems;
pub(crate) mod profile;
pub(crate) mod refresh;
pub(crate) mod revoke;
mod revoke_old;
pub(crate) mod schedule;
mod seen;
pub(crate) mod show;
mod source;
pub(crate) mod stats;
pub(crate) mod status;
pub(crate) mod store;
mod target;
pub(crate) mod token;
pub(crate) mod unlock;
pub(crate) mod validate;
mod variables;
pub(crate) mod vault;
pub(crate) mod whoami;

pub(crate) use context::Context;
pub(crate) use globals::Globals;

/// How a command that did its work ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// With 0.
    Done,
    /// With the exit code of the command that was run.
    Child(u8),
}
