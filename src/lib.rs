//! tokenkeep keeps tokens so that programs can use them with nobody at the keyboard.
pub mod host;
pub(crate) mod secret;
pub(crate) mod token;
pub(crate) mod profile;
pub(crate) mod settings;
pub(crate) mod vault;
pub(crate) mod error;
/// Runs.
pub fn run(_host: host::Host) -> std::process::ExitCode { std::process::ExitCode::SUCCESS }
