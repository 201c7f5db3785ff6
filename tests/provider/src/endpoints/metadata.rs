//! Discovery documents and the key set.

use serde_json::{Map, Value, json};

use crate::http::{Reply, Request};
use crate::refusal::Refusal;
use crate::state::State;
use crate::{Documents, Endpoint};

/// Answers `OpenID` Connect discovery and RFC 8414.
pub(super) fn discovery(state: &State, request: &Request) -> Result<Reply, Refusal> {
    check_anonymous_get(request)?;
    let documents = state.settings.advertise.documents;
    let base = state.settings.issuer_path.trim_end_matches('/');
    let openid = request.path == format!("{base}/.well-known/openid-configuration")
        && matches!(documents, Documents::Both | Documents::OpenId);
    let oauth = request.path == format!("/.well-known/oauth-authorization-server{base}")
        && matches!(documents, Documents::Both | Documents::OAuth);
    if openid || oauth {
        Ok(Reply::json(200, &document(state)))
    } else {
        Err(Refusal::new(404, "not_found", "Realm does not exist"))
    }
}

/// Answers with the key set.
pub(super) fn jwks(state: &State, request: &Request) -> Result<Reply, Refusal> {
    check_anonymous_get(request)?;
    Ok(Reply::json(200, &state.keys.set(state.settings.alg)))
}

fn document(state: &State) -> Value {
    let mut document = Map::new();
    for (name, endpoint, path) in [
        ("authorization_endpoint", Endpoint::Authorization, "/authorize"),
        ("token_endpoint", Endpoint::Token, "/token"),
        ("device_authorization_endpoint", Endpoint::Device, "/device_authorization"),
        ("revocation_endpoint", Endpoint::Revocation, "/revoke"),
        ("introspection_endpoint", Endpoint::Introspection, "/introspect"),
        ("userinfo_endpoint", Endpoint::Userinfo, "/userinfo"),
        ("jwks_uri", Endpoint::Jwks, "/jwks"),
    ] {
        if !state.settings.advertise.hidden.contains(&endpoint) {
            document.insert(name.to_owned(), json!(state.address(path)));
        }
    }
    let facts = json!({
        "issuer": state.issuer,
        "response_types_supported": ["code"],
        "grant_types_supported": [
            "authorization_code", "refresh_token", "client_credentials", "urn:ietf:params:oauth:grant-type:device_code",
        ],
        "scopes_supported": ["openid", "offline_access", "profile"],
        "subject_types_supported": ["public"],
        "code_challenge_methods_supported": ["S256"],
        "id_token_signing_alg_values_supported": [state.settings.alg.name()],
        "token_endpoint_auth_methods_supported": ["none", "client_secret_basic", "client_secret_post"],
        "authorization_response_iss_parameter_supported": true,
    });
    for more in [facts, Value::Object(state.settings.advertise.extra.clone())] {
        document.extend(more.as_object().cloned().unwrap_or_default());
    }
    Value::Object(document)
}

fn check_anonymous_get(request: &Request) -> Result<(), Refusal> {
    if request.method != "GET" {
        return Err(Refusal::violation(405, "invalid_request", format!("method {}, not GET", request.method)));
    }
    if request.header("authorization").is_some() {
        return Err(Refusal::violation(400, "invalid_request", "credentials sent to a public document"));
    }
    Ok(())
}
