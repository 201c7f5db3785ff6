//! Everything that speaks to a provider; nothing else speaks to the network.
//!
//! [`Wire`] is the connection to the network. It asks and reports: nothing is retried, cached or stored here, and no
//! answer is believed further than its form. Redirects are never followed, every request has a deadline and every answer
//! a size limit, and what a provider says reaches nobody before it was made fit to be shown.
//!
//! | file | speaks |
//! |---|---|
//! | `discovery` | OpenID Connect Discovery, RFC 8414 |
//! | `device` | RFC 8628 section 3.1 |
//! | `token` | the token endpoint (RFC 6749 section 3.2); `answer` reads its success, `refusal` its errors |
//! | `revocation`, `introspection`, `keys` | RFC 7009, RFC 7662, RFC 7517 |
//! | `form` | a client's request (RFC 6749 section 2.3) |
//! | `http` | HTTP itself; `route`: past which proxies, and by which certificates |

#![warn(clippy::wildcard_enum_match_arm)]

mod answer;
#[cfg(test)]
mod canned;
mod device;
mod discovery;
mod error;
mod form;
#[cfg(any(fuzzing, test))]
pub(crate) mod fuzzing;
mod http;
mod introspection;
mod keys;
mod refusal;
mod revocation;
mod route;
mod token;

use crate::profile::ClientAuth;
use crate::secret::ClientSecret;

pub(crate) use answer::TokenAnswer;
pub(crate) use device::DeviceLogin;
pub(crate) use discovery::{Endpoint, Metadata};
pub(crate) use error::IdpError;
pub(crate) use http::{LONGEST_PAUSE, Wire, bare};
pub(crate) use introspection::Introspection;
pub(crate) use refusal::{Refusal, RefusalKind};
pub(crate) use revocation::Revocation;
pub(crate) use token::{DEVICE_GRANT, Grant, Reply, TokenRequest};

/// Who we are to a provider.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    /// What the provider calls us.
    pub(crate) id: String,
    /// How we show it.
    pub(crate) auth: ClientAuth,
    /// What we show it with; a missing one is sent as an empty one, and the provider says what it thinks of that.
    pub(crate) secret: Option<ClientSecret>,
}
