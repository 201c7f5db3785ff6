//! A real OAuth 2.0 / OpenID Connect provider on a free port of 127.0.0.1, for tests, examples and benches.
//!
//! It is strict about what it receives: a client that breaks a rule of the standards gets the standard's error *and* a
//! violation is recorded, and a [`Provider`] that is dropped with violations nobody asked for panics with the list. It
//! rotates refresh tokens, detects reuse, and misbehaves on demand down to the TCP connection, which is why the server
//! is hand-written over plain sockets.
//!
//! - `settings`: what kind of provider it is
//! - `provider`: the handle, its addresses, and what an administrator or the person at the browser does
//! - `observe`: what the provider has seen
//! - `fault`: misbehaviour
//! - `mint`: JWTs made for tests
//! - inside: `http`, `wire`, `tls` (bytes), `server` (connections), `state` and its parts (the rules), `endpoints`
#![deny(missing_docs)]
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "this crate is the tests' world: what it cannot do must fail the test"
)]

mod authentication;
mod device;
mod endpoints;
mod family;
pub mod fault;
mod form;
mod http;
mod keys;
mod mint;
mod observe;
mod provider;
mod record;
mod refusal;
mod server;
pub mod settings;
mod state;
mod tls;
mod wire;

pub use fault::{Change, Endpoint, Fault};
pub use provider::Provider;
pub use record::Recorded;
pub use serde_json::{Value, json};
pub use settings::{
    Advertise, Algorithm, Approval, Client, Documents, Format, IntervalField, Log, Method, PreviousAccess,
    RefreshTokens, Reuse, Rotation, Settings, Tls,
};
