//! Process tests: the real binary in a sealed environment, against a real provider on loopback.
//!
//! One file for each command or promise. `harness.rs` has the world they run in.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::string_slice,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, writes the files it needs, and looks at the clock"
)]

mod harness;
mod manager;
mod outside;
mod terminal;

mod admin_tokens;
mod backup;
mod cache;
mod clock;
mod clocks;
mod crowds;
mod disk;
mod doctor;
mod endings;
mod faults;
mod forged;
mod formats;
mod generated;
mod get;
mod help;
mod hostile;
mod hostile_texts;
mod init;
mod interrupts;
mod issue_key;
mod issued_history;
mod issued_jobs;
mod issued_settings;
mod issued_storms;
mod issued_tokens;
mod json;
mod kernel_keyring;
mod keyring;
mod keyring_migrate;
mod keyring_unlock;
mod keyring_vault;
mod killing;
mod kills;
mod leaks;
mod login;
mod looking;
mod migration;
mod passphrase;
mod plugins;
mod power;
mod profile;
mod prompts;
mod provider_faults;
mod proxies;
mod recovery;
mod refusals;
mod rotate;
mod schedule;
mod schedule_systemd;
mod secrecy;
mod signals;
mod slots;
mod store;
mod storms;
mod strace;
mod streams;
mod systemd;
mod transfer;
mod unlock;
mod validate;
mod variables;
