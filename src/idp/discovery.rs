//! What a provider publishes about itself: OpenID Connect Discovery 1.0, else RFC 8414.

use serde_json::Value;
use url::Url;

use super::error::IdpError;
use super::http::{Answer, Patience, Wire, bare};
use crate::profile::{Endpoints, Profile, SecureUrl, UrlFault};
use crate::token::text;
use crate::token::time::Timestamp;

/// What a provider says about itself.
#[derive(Clone, Debug)]
pub(crate) struct Metadata {
    /// Who it is.
    pub(crate) issuer: SecureUrl,
    /// Where tokens are issued.
    pub(crate) token: Option<SecureUrl>,
    /// Where a person logs in.
    pub(crate) authorization: Option<SecureUrl>,
    /// Where a device login begins.
    pub(crate) device_authorization: Option<SecureUrl>,
    /// Where tokens are revoked.
    pub(crate) revocation: Option<SecureUrl>,
    /// Where tokens are asked about.
    pub(crate) introspection: Option<SecureUrl>,
    /// Where the public keys are.
    pub(crate) jwks: Option<SecureUrl>,
    /// The grants it takes, fit to be shown; none if it does not say.
    pub(crate) grant_types: Vec<String>,
    /// The scopes it knows, fit to be shown; none if it does not say, and seldom all.
    pub(crate) scopes: Vec<String>,
    /// How clients may authenticate, fit to be shown; none if it does not say.
    pub(crate) client_auth: Vec<String>,
    /// What time it was there when it answered, if it said.
    pub(crate) clock: Option<Timestamp>,
}

/// An address of a provider that a command needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// Where tokens are issued.
    Token,
    /// Where a device login begins.
    DeviceAuthorization,
    /// Where tokens are revoked.
    Revocation,
    /// Where tokens are asked about.
    Introspection,
    /// Where the public keys are.
    Jwks,
}

impl Wire {
    /// Returns the endpoints of a profile: its own, and what discovery says only where one that is needed is missing.
    pub(crate) fn locate(&self, profile: &Profile, needed: &[Endpoint]) -> Result<Metadata, IdpError> {
        let own = Metadata::unasked(&profile.issuer).with(&profile.endpoints);
        if needed.iter().all(|endpoint| own.need(*endpoint).is_ok()) {
            return Ok(own);
        }
        Ok(self.discover(&profile.issuer)?.with(&profile.endpoints))
    }

    /// Asks an issuer what it publishes about itself.
    pub(crate) fn discover(&self, issuer: &SecureUrl) -> Result<Metadata, IdpError> {
        let (first, second) = addresses(issuer)?;
        let mut answer = self.get(&first, Patience::Half)?;
        if answer.status == 404 {
            answer = self.get(&second, Patience::Half)?;
        }
        if answer.status == 404 {
            return Err(IdpError::NoMetadata { issuer: issuer.to_string(), url: bare(&first) });
        }
        read(answer, issuer)
    }
}

impl Metadata {
    /// Begins with what is known without asking.
    pub(crate) fn unasked(issuer: &SecureUrl) -> Self {
        Self {
            issuer: issuer.clone(),
            token: None,
            authorization: None,
            device_authorization: None,
            revocation: None,
            introspection: None,
            jwks: None,
            grant_types: Vec::new(),
            scopes: Vec::new(),
            client_auth: Vec::new(),
            clock: None,
        }
    }

    /// Puts the addresses of a profile before those of the provider.
    pub(crate) fn with(self, own: &Endpoints) -> Self {
        Self {
            token: own.token.clone().or(self.token),
            device_authorization: own.device_authorization.clone().or(self.device_authorization),
            authorization: own.authorization.clone().or(self.authorization),
            revocation: own.revocation.clone().or(self.revocation),
            introspection: own.introspection.clone().or(self.introspection),
            jwks: own.jwks.clone().or(self.jwks),
            ..self
        }
    }

    /// Returns an address, or an error that names it.
    pub(crate) fn need(&self, endpoint: Endpoint) -> Result<&SecureUrl, IdpError> {
        let address = match endpoint {
            Endpoint::Token => &self.token,
            Endpoint::DeviceAuthorization => &self.device_authorization,
            Endpoint::Revocation => &self.revocation,
            Endpoint::Introspection => &self.introspection,
            Endpoint::Jwks => &self.jwks,
        };
        let missing = || IdpError::NoEndpoint { what: endpoint.name(), issuer: self.issuer.to_string() };
        address.as_ref().ok_or_else(missing)
    }

    /// Reads a document that must be the issuer's own.
    pub(super) fn parse(document: &Value, issuer: &SecureUrl, url: &str) -> Result<Self, IdpError> {
        let found = document.get("issuer").and_then(Value::as_str);
        let found = found.ok_or_else(|| IdpError::Incomplete { url: url.to_owned(), what: "issuer" })?;
        // simple string comparison (RFC 8414 section 3.3): a final slash makes another issuer
        if found != issuer.as_str() {
            let found = found.escape_debug().take(LONGEST_ISSUER).collect();
            return Err(IdpError::IssuerMismatch { expected: issuer.to_string(), found });
        }
        let address = |what| address(document, what);
        Ok(Self {
            issuer: issuer.clone(),
            token: address(Endpoint::Token.name())?,
            authorization: address("authorization_endpoint")?,
            device_authorization: address(Endpoint::DeviceAuthorization.name())?,
            revocation: address(Endpoint::Revocation.name())?,
            introspection: address(Endpoint::Introspection.name())?,
            jwks: address(Endpoint::Jwks.name())?,
            grant_types: texts(document, "grant_types_supported"),
            scopes: texts(document, "scopes_supported"),
            client_auth: texts(document, "token_endpoint_auth_methods_supported"),
            clock: None,
        })
    }
}

impl Endpoint {
    /// Returns the name in the metadata, which is the name in a profile, too.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Token => "token_endpoint",
            Self::DeviceAuthorization => "device_authorization_endpoint",
            Self::Revocation => "revocation_endpoint",
            Self::Introspection => "introspection_endpoint",
            Self::Jwks => "jwks_uri",
        }
    }
}

/// Reads an answer to the question.
fn read(answer: Answer, issuer: &SecureUrl) -> Result<Metadata, IdpError> {
    if !answer.is_success() {
        return Err(answer.status_error(&[]));
    }
    let (url, clock) = (answer.url.clone(), answer.clock);
    Ok(Metadata { clock, ..Metadata::parse(&answer.require_json()?.json()?, issuer, &url)? })
}

/// Returns where an issuer's metadata is: appended to its path (OpenID Connect Discovery section 4), or put before its path
/// (RFC 8414 section 3.1).
fn addresses(issuer: &SecureUrl) -> Result<(SecureUrl, SecureUrl), IdpError> {
    let refuse = |source| IdpError::InsecureEndpoint { what: "issuer", source };
    let mut url =
        Url::parse(issuer.as_str()).map_err(|_| refuse(UrlFault::Unreadable(text::shown(issuer.as_str()))))?;
    url.set_query(None);
    let path = url.path().trim_end_matches('/').to_owned();
    let mut at = |path: &str| {
        url.set_path(path);
        url.as_str().parse().map_err(refuse)
    };
    Ok((
        at(&format!("{path}/.well-known/openid-configuration"))?,
        at(&format!("/.well-known/oauth-authorization-server{path}"))?,
    ))
}

/// Reads an address, written in ASCII; one that no secret may be sent to is an error, even if nobody needs it.
fn address(document: &Value, what: &'static str) -> Result<Option<SecureUrl>, IdpError> {
    let Some(text) = document.get(what).and_then(Value::as_str).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let ascii = Url::parse(text).map_err(|_| UrlFault::Unreadable(text::shown(text)));
    let address = ascii.and_then(|url| url.as_str().parse());
    address.map(Some).map_err(|source| IdpError::InsecureEndpoint { what, source })
}

/// Reads a list of texts.
fn texts(document: &Value, name: &str) -> Vec<String> {
    let list = document.get(name).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).map(text::shown).collect()
}

/// An issuer is a URL of some 100 characters.
const LONGEST_ISSUER: usize = 300;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::idp::canned::{Canned, serve, serve_all};

    fn url(text: &str) -> SecureUrl {
        text.parse().unwrap()
    }

    fn discover(answers: impl FnOnce(&str) -> Vec<Canned>) -> Result<Metadata, IdpError> {
        Wire::open(None).unwrap().discover(&serve_all(answers))
    }

    #[test]
    fn metadata_is_after_the_path_or_before_it() {
        for issuer in ["https://a.example/realms/x", "https://a.example/realms/x/"] {
            let (first, second) = addresses(&url(issuer)).unwrap();
            assert_eq!(first.as_str(), "https://a.example/realms/x/.well-known/openid-configuration");
            assert_eq!(second.as_str(), "https://a.example/.well-known/oauth-authorization-server/realms/x");
        }
        let (first, second) = addresses(&url("https://a.example")).unwrap();
        assert_eq!(first.as_str(), "https://a.example/.well-known/openid-configuration");
        assert_eq!(second.as_str(), "https://a.example/.well-known/oauth-authorization-server");
    }

    #[test]
    fn a_provider_without_openid_is_found_at_the_second_address() {
        let found = discover(|issuer| {
            let document = json!({"issuer": issuer, "token_endpoint": format!("{issuer}/token")}).to_string();
            vec![Canned::html(404, "no"), Canned::json(200, &document)]
        });
        assert!(found.unwrap().token.unwrap().as_str().ends_with("/token"));
    }

    #[test]
    fn a_provider_that_publishes_nothing_is_named() {
        let error = discover(|_| vec![Canned::html(404, ""), Canned::html(404, "")]).unwrap_err();
        assert!(matches!(error, IdpError::NoMetadata { .. }), "{error:?}");
    }

    #[test]
    fn a_web_page_is_no_metadata() {
        let error = discover(|_| vec![Canned::html(200, "<html>")]).unwrap_err();
        assert!(error.to_string().ends_with("did not answer with JSON but with text/html"), "{error}");
    }

    #[test]
    fn a_redirect_is_not_followed() {
        let elsewhere = serve(Canned::json(200, "{}"));
        let answer = format!("HTTP/1.1 302 Found\r\nLocation: {elsewhere}\r\nContent-Length: 0\r\n\r\n");
        let error = discover(|_| vec![Canned::Raw(answer)]).unwrap_err();
        assert!(matches!(error, IdpError::Status { status: 302, .. }), "{error:?}");
    }

    #[test]
    fn a_huge_document_is_not_read() {
        let error = discover(|_| vec![Canned::json(200, &format!("\"{}\"", "x".repeat(300_000)))]).unwrap_err();
        assert!(matches!(error, IdpError::TooLarge { .. }), "{error:?}");
    }

    #[test]
    fn another_issuer_is_refused_even_if_only_a_slash_differs() {
        let issuer = url("https://a.example/realms/x");
        let parse = |found: &str| Metadata::parse(&json!({ "issuer": found }), &issuer, "u");
        assert!(parse("https://a.example/realms/x").is_ok());
        for found in ["https://a.example/realms/x/", "https://A.example/realms/x", "https://b.example"] {
            assert!(matches!(parse(found), Err(IdpError::IssuerMismatch { .. })), "{found}");
        }
    }

    #[test]
    fn an_address_in_clear_text_is_refused_by_name() {
        let issuer = url("https://a.example");
        let document = json!({"issuer": "https://a.example", "revocation_endpoint": "http://a.example/revoke"});
        let error = Metadata::parse(&document, &issuer, "u").unwrap_err();
        assert!(matches!(error, IdpError::InsecureEndpoint { what: "revocation_endpoint", .. }), "{error:?}");
    }

    #[test]
    fn a_profile_s_own_address_goes_before_the_provider_s() {
        let document = json!({"issuer": "https://a.example", "token_endpoint": "https://a.example/t"});
        let found = Metadata::parse(&document, &url("https://a.example"), "u").unwrap();
        let own = Endpoints { token: Some(url("https://b.example/t")), ..Endpoints::default() };
        let metadata = found.with(&own);
        assert_eq!(metadata.need(Endpoint::Token).unwrap().as_str(), "https://b.example/t");
        let error = metadata.need(Endpoint::Introspection).unwrap_err();
        assert_eq!(error.to_string(), "https://a.example names no `introspection_endpoint`");
    }
}
