//! The device authorization endpoint and the token endpoint with its grants.

use serde_json::Value;

use super::{authorization, check_wishes};
use crate::Client;
use crate::authentication;
use crate::family::Granted;
use crate::form::Form;
use crate::http::{Reply, Request};
use crate::refusal::Refusal;
use crate::state::{Answer, State};

/// Starts a device grant.
pub(super) fn device(state: &mut State, request: &Request) -> Result<Reply, Refusal> {
    let form = Form::of(request)?;
    let client = authentication::client(state, request, &form)?.clone();
    let scope = form.scope()?.unwrap_or_default();
    let audiences = form.audiences()?;
    check_wishes(&client, &scope, &audiences)?;
    Ok(Reply::json(200, &state.start_device(&client.id, &scope, &audiences)))
}

/// Answers a token request.
pub(super) fn token(state: &mut State, request: &Request, answer: Answer) -> Result<Reply, Refusal> {
    let form = Form::of(request)?;
    let grant = form.required("grant_type")?;
    let client = authentication::client(state, request, &form)?.clone();
    let tokens = match grant {
        "urn:ietf:params:oauth:grant-type:device_code" => by_device(state, &client, &form),
        "refresh_token" => by_refresh(state, &client, &form, answer),
        "client_credentials" => by_credentials(state, &client, &form),
        "authorization_code" => authorization::by_code(state, &client, &form),
        other => Err(Refusal::new(400, "unsupported_grant_type", &format!("grant type {other}"))),
    }?;
    Ok(Reply::json(200, &tokens))
}

fn by_device(state: &mut State, client: &Client, form: &Form) -> Result<Value, Refusal> {
    let at = state.poll(form.required("device_code")?, &client.id)?;
    let (scope, audiences) = (state.devices[at].scope.clone(), state.devices[at].audiences.clone());
    Ok(log_in(state, &client.id, &scope, &audiences))
}

fn by_refresh(state: &mut State, client: &Client, form: &Form, answer: Answer) -> Result<Value, Refusal> {
    let text = form.required("refresh_token")?;
    let asked = form.scope()?;
    let mut audiences = form.audiences()?;
    let family = state.present(text, &client.id)?;
    let granted = &state.families[family];
    let scope = asked.unwrap_or_else(|| granted.scope.clone());
    if scope.iter().any(|scope| !granted.scope.contains(scope)) {
        return Err(Refusal::new(400, "invalid_scope", "Invalid scopes: more than was granted"));
    }
    if audiences.is_empty() {
        audiences.clone_from(&granted.audiences);
    }
    check_wishes(client, &scope, &audiences)?;
    let refresh = state.rotate(text, answer);
    state.age_access_tokens(family);
    state.exchanges += 1;
    let client = &client.id;
    Ok(state.token_answer(&Granted { client, family: Some(family), scope: &scope, audiences: &audiences, refresh }))
}

fn by_credentials(state: &mut State, client: &Client, form: &Form) -> Result<Value, Refusal> {
    if client.secret.is_none() {
        return Err(Refusal::new(400, "unauthorized_client", "Public client not allowed to retrieve service account"));
    }
    let scope = form.scope()?.unwrap_or_default();
    let audiences = form.audiences()?;
    check_wishes(client, &scope, &audiences)?;
    let client = &client.id;
    Ok(state.token_answer(&Granted { client, family: None, scope: &scope, audiences: &audiences, refresh: None }))
}

/// Starts a login and returns its token answer.
pub(super) fn log_in(state: &mut State, client: &str, scope: &[String], audiences: &[String]) -> Value {
    let (family, refresh) = state.log_in(client, scope, audiences);
    state.token_answer(&Granted { client, family: Some(family), scope, audiences, refresh })
}
