//! What is asked about a token, or done to it: revocation, introspection, userinfo.

use serde_json::{Value, json};

use crate::authentication;
use crate::form::Form;
use crate::http::{Reply, Request};
use crate::keys::edit;
use crate::refusal::Refusal;
use crate::state::{Standing, State};

/// Revokes a token (RFC 7009); a refresh token takes its family with it.
pub(super) fn revoke(state: &mut State, request: &Request) -> Result<Reply, Refusal> {
    let form = Form::of(request)?;
    let client = authentication::client(state, request, &form)?.id.clone();
    let text = form.required("token")?;
    form.optional("token_type_hint")?;
    if let Some(family) = state.family_of(text) {
        if state.families[family].client != client {
            return Err(Refusal::new(400, "unauthorized_client", "the token is another client's"));
        }
        state.revoke_family(family);
    } else if let Some(token) = state.access_tokens.get_mut(text) {
        token.standing = Standing::Disabled;
    }
    Ok(Reply::empty(200))
}

/// Tells whether a token is good (RFC 7662), to confidential clients only.
pub(super) fn introspect(state: &State, request: &Request) -> Result<Reply, Refusal> {
    let form = Form::of(request)?;
    let client = authentication::client(state, request, &form)?;
    if client.secret.is_none() {
        return Err(Refusal::new(403, "invalid_request", "Client not allowed."));
    }
    let text = form.required("token")?;
    form.optional("token_type_hint")?;
    Ok(Reply::json(200, &facts(state, text)))
}

fn facts(state: &State, text: &str) -> Value {
    if state.is_access_live(text) {
        let mut facts = state.access_tokens[text].claims.clone();
        edit(&mut facts, &json!({ "active": true, "token_type": "Bearer", "username": state.settings.user }));
        return facts;
    }
    match state.family_of(text) {
        Some(family) if state.is_refresh_live(text) => {
            let family = &state.families[family];
            json!({
                "active": true,
                "client_id": family.client,
                "scope": family.scope.join(" "),
                "sub": state.settings.user,
                "username": state.settings.user,
                "iss": state.issuer,
            })
        }
        _ => json!({ "active": false }),
    }
}

/// Tells who a bearer token speaks for.
pub(super) fn userinfo(state: &State, request: &Request) -> Result<Reply, Refusal> {
    if !matches!(request.method.as_str(), "GET" | "POST") {
        return Err(Refusal::violation(405, "invalid_request", format!("method {}", request.method)));
    }
    let header = request.header("authorization").unwrap_or_default();
    let Some(token) = header.strip_prefix("Bearer ").filter(|token| is_bearer_token(token)) else {
        return Err(Refusal::violation(401, "invalid_token", "no well-formed Bearer token"));
    };
    if !state.is_access_live(token) {
        return Err(Refusal::new(401, "invalid_token", "Token verification failed"));
    }
    let claims = &state.access_tokens[token].claims;
    Ok(Reply::json(200, &json!({ "sub": claims["sub"], "preferred_username": claims["sub"] })))
}

// RFC 6750 section 2.1
fn is_bearer_token(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    !body.is_empty() && body.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte))
}
