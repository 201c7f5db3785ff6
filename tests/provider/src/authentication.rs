//! Who the client is: nothing, Basic or body, and never two at once (RFC 6749 section 2.3).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::form::Form;
use crate::http::Request;
use crate::refusal::Refusal;
use crate::state::{Registered, Standing, State};
use crate::{Client, Method};

/// Returns the client that sent this request, or the refusal it has earned.
pub(crate) fn client<'a>(state: &'a State, request: &Request, form: &Form) -> Result<&'a Client, Refusal> {
    let claimed = Claim::read(request, form)?;
    let Some(registered) = state.clients.iter().find(|registered| registered.client.id == claimed.id) else {
        return Err(Refusal::new(401, "invalid_client", "Invalid client or Invalid client credentials"));
    };
    check(registered, &claimed)?;
    Ok(&registered.client)
}

fn check(registered: &Registered, claimed: &Claim) -> Result<(), Refusal> {
    let (method, presented) = match (&registered.client.secret, &claimed.secret) {
        (None, None) => return standing(registered),
        (None, Some(_)) => return Err(unexpected("a secret for a public client")),
        (Some(_), None) => return Err(Refusal::new(401, "invalid_client", "the client did not authenticate")),
        (Some(_), Some(sent)) => sent,
    };
    if !registered.client.methods.contains(method) {
        return Err(Refusal::new(401, "invalid_client", "not this client's way to authenticate"));
    }
    if registered.client.secret.as_ref() != Some(presented) {
        return Err(Refusal::new(401, "invalid_client", "wrong client secret"));
    }
    standing(registered)
}

fn standing(registered: &Registered) -> Result<(), Refusal> {
    match registered.standing {
        Standing::Enabled => Ok(()),
        Standing::Disabled => Err(Refusal::new(401, "invalid_client", "Client disabled")),
    }
}

struct Claim {
    id: String,
    secret: Option<(Method, String)>,
}

impl Claim {
    fn read(request: &Request, form: &Form) -> Result<Self, Refusal> {
        let in_body = form.optional("client_id")?;
        let body_secret = form.optional("client_secret")?;
        if request.headers.iter().filter(|(name, _)| name == "authorization").count() > 1 {
            return Err(unexpected("two Authorization headers"));
        }
        let Some(header) = request.header("authorization") else {
            let id = in_body.ok_or_else(|| Refusal::violation(400, "invalid_request", "no client_id"))?.to_owned();
            return Ok(Self { id, secret: body_secret.map(|secret| (Method::Post, secret.to_owned())) });
        };
        if body_secret.is_some() {
            return Err(unexpected("a client secret both in the header and in the body"));
        }
        let (id, secret) = basic(header)?;
        if in_body.is_some_and(|other| other != id) {
            return Err(unexpected("another client_id in the body than in the header"));
        }
        Ok(Self { id, secret: Some((Method::Basic, secret)) })
    }
}

/// Reads Basic credentials, each half form-encoded before the base64 (RFC 6749 section 2.3.1).
fn basic(header: &str) -> Result<(String, String), Refusal> {
    let malformed = |what: &str| Refusal::violation(401, "invalid_client", format!("Authorization: {what}"));
    let (scheme, credentials) = header.split_once(' ').ok_or_else(|| malformed("no credentials"))?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(malformed("not Basic"));
    }
    let bytes = STANDARD.decode(credentials).map_err(|_| malformed("not base64"))?;
    let text = String::from_utf8(bytes).map_err(|_| malformed("not UTF-8"))?;
    let (id, secret) = text.split_once(':').ok_or_else(|| malformed("no colon"))?;
    let decode = |half| decode(half).ok_or_else(|| malformed("id or secret is not form-encoded"));
    Ok((decode(id)?, decode(secret)?))
}

fn decode(half: &str) -> Option<String> {
    let mut bytes = half.bytes();
    while let Some(byte) = bytes.next() {
        let fine = match byte {
            b'%' => bytes.next()?.is_ascii_hexdigit() && bytes.next()?.is_ascii_hexdigit(),
            // `~` is reserved in forms and not in addresses: both readings are found in the field
            _ => byte.is_ascii_alphanumeric() || b"-._*+~".contains(&byte),
        };
        if !fine {
            return None;
        }
    }
    form_urlencoded::parse(format!("half={half}").as_bytes()).next().map(|(_, value)| value.into_owned())
}

fn unexpected(what: &str) -> Refusal {
    Refusal::violation(401, "invalid_client", format!("unexpected client authentication: {what}"))
}
