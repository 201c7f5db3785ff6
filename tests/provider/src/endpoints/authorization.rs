//! The browser flow: a person who decides at once, PKCE S256 always, loopback redirects only (RFC 8252).

use std::time::Duration;

use aws_lc_rs::digest;
use serde_json::Value;

use super::{check_wishes, token};
use crate::form::Form;
use crate::http::{Reply, Request};
use crate::keys::{encode, random_text};
use crate::refusal::Refusal;
use crate::state::{Standing, State};
use crate::{Approval, Client};

/// How long a code may wait to be exchanged.
const CODE_LIFE: Duration = Duration::from_secs(60);

/// Holds one authorization code.
pub(crate) struct Code {
    text: String,
    client: String,
    redirect_uri: String,
    challenge: String,
    scope: Vec<String>,
    audiences: Vec<String>,
    expires_at: Duration,
    standing: Standing,
}

/// Sends the browser back with a code, or with the person's refusal.
pub(super) fn authorize(state: &mut State, request: &Request) -> Result<Reply, Refusal> {
    let form = Form::of_query(request)?;
    let client = form.required("client_id")?;
    let registered = state.clients.iter().map(|registered| &registered.client).find(|other| other.id == client);
    let client = registered.ok_or_else(|| Refusal::new(400, "invalid_request", "Client not found."))?.clone();
    let redirect_uri = form.required("redirect_uri")?.to_owned();
    check_request(&form, &redirect_uri)?;
    let mut back = vec![("state", form.required("state")?.to_owned()), ("iss", state.issuer.clone())];
    if state.settings.approval == Approval::Deny {
        back.push(("error", "access_denied".to_owned()));
    } else {
        let code = new_code(state, &client, &form, redirect_uri.clone())?;
        back.push(("code", code.text.clone()));
        state.codes.push(code);
    }
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(back).finish();
    Ok(Reply::empty(302).with("Location", &format!("{redirect_uri}?{query}")))
}

/// Exchanges a code for tokens.
pub(super) fn by_code(state: &mut State, client: &Client, form: &Form) -> Result<Value, Refusal> {
    let now = state.now();
    let text = form.required("code")?;
    let redirect_uri = form.required("redirect_uri")?;
    let verifier = form.required("code_verifier")?;
    let wrong = |why| Refusal::violation(400, "invalid_grant", why);
    let code = state.codes.iter_mut().find(|code| code.text == text && code.client == client.id);
    let code = code.ok_or_else(|| wrong("Code not valid"))?;
    if code.standing == Standing::Disabled {
        return Err(wrong("Code used twice"));
    }
    code.standing = Standing::Disabled;
    if now > code.expires_at {
        return Err(Refusal::new(400, "invalid_grant", "Code is expired"));
    }
    if code.redirect_uri != redirect_uri {
        return Err(wrong("Incorrect redirect_uri"));
    }
    if !is_verifier(verifier) || code.challenge != encode(digest::digest(&digest::SHA256, verifier.as_bytes()).as_ref())
    {
        return Err(wrong("PKCE verification failed"));
    }
    let (scope, audiences) = (code.scope.clone(), code.audiences.clone());
    Ok(token::log_in(state, &client.id, &scope, &audiences))
}

fn check_request(form: &Form, redirect_uri: &str) -> Result<(), Refusal> {
    let wrong = |what: &str| Err(Refusal::violation(400, "invalid_request", what));
    if !redirect_uri.starts_with("http://127.0.0.1:") && !redirect_uri.starts_with("http://[::1]:") {
        return wrong("redirect_uri is not a loopback address");
    }
    if form.required("response_type")? != "code" {
        return wrong("response_type is not code");
    }
    if form.required("code_challenge_method")? != "S256" || form.required("code_challenge")?.len() != 43 {
        return wrong("PKCE is not S256");
    }
    if form.required("state")?.len() < 16 {
        return wrong("state can be guessed");
    }
    Ok(())
}

fn new_code(state: &State, client: &Client, form: &Form, redirect_uri: String) -> Result<Code, Refusal> {
    let scope = form.scope()?.unwrap_or_default();
    let audiences = form.audiences()?;
    check_wishes(client, &scope, &audiences)?;
    Ok(Code {
        text: random_text(32),
        client: client.id.clone(),
        redirect_uri,
        challenge: form.required("code_challenge")?.to_owned(),
        scope,
        audiences,
        expires_at: state.now() + CODE_LIFE,
        standing: Standing::Enabled,
    })
}

// RFC 7636 section 4.1
fn is_verifier(text: &str) -> bool {
    (43..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b))
}
