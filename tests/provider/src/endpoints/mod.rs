//! What each endpoint does with a request; the connection is somebody else's.

mod authorization;
mod metadata;
mod resource;
mod token;

pub(crate) use authorization::Code;

use crate::http::{Reply, Request};
use crate::refusal::Refusal;
use crate::state::{Answer, State};
use crate::{Client, Endpoint};

/// Returns the endpoint that a path leads to.
pub(crate) fn route(issuer_path: &str, path: &str) -> Endpoint {
    let base = issuer_path.trim_end_matches('/');
    if path.contains("/.well-known/") {
        return Endpoint::Discovery;
    }
    match path.strip_prefix(base) {
        Some("/device_authorization") => Endpoint::Device,
        Some("/device") => Endpoint::Verification,
        Some("/authorize") => Endpoint::Authorization,
        Some("/token") => Endpoint::Token,
        Some("/revoke") => Endpoint::Revocation,
        Some("/introspect") => Endpoint::Introspection,
        Some("/jwks") => Endpoint::Jwks,
        Some("/userinfo") => Endpoint::Userinfo,
        _ => Endpoint::Elsewhere,
    }
}

/// Processes a request to its answer; a violation is recorded on the way.
pub(crate) fn process(state: &mut State, endpoint: Endpoint, request: &Request, answer: Answer) -> Reply {
    let outcome = match endpoint {
        Endpoint::Discovery => metadata::discovery(state, request),
        Endpoint::Jwks => metadata::jwks(state, request),
        Endpoint::Verification => Ok(Reply::new(200, "text/html", "<!doctype html><title>Device</title>")),
        Endpoint::Device => token::device(state, request),
        Endpoint::Token => token::token(state, request, answer),
        Endpoint::Authorization => authorization::authorize(state, request),
        Endpoint::Revocation => resource::revoke(state, request),
        Endpoint::Introspection => resource::introspect(state, request),
        Endpoint::Userinfo => resource::userinfo(state, request),
        Endpoint::Elsewhere => Err(Refusal::violation(404, "not_found", format!("no endpoint at {}", request.path))),
    };
    outcome.unwrap_or_else(|refusal| {
        if let Some(blamed) = refusal.blamed() {
            state.violations.push(format!("{}: {blamed}", endpoint.name()));
        }
        refusal.reply()
    })
}

/// Checks that a client may have these scopes and audiences.
fn check_wishes(client: &Client, scope: &[String], audiences: &[String]) -> Result<(), Refusal> {
    if client.scopes.as_ref().is_some_and(|allowed| scope.iter().any(|scope| !allowed.contains(scope))) {
        return Err(Refusal::new(400, "invalid_scope", "a scope is not for this client"));
    }
    if client.audiences.as_ref().is_some_and(|allowed| audiences.iter().any(|wish| !allowed.contains(wish))) {
        return Err(Refusal::new(400, "invalid_target", "an audience is not for this client"));
    }
    Ok(())
}
