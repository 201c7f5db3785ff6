//! A client's request as a form, with the client's authentication (RFC 6749 section 2.3.1).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::HeaderValue;
use url::form_urlencoded::{Serializer, byte_serialize};
use zeroize::Zeroizing;

use super::Client;
use crate::profile::{AudienceAs, ClientAuth};

/// The fields of a request, and who sends it.
pub(super) struct Form<'a> {
    client: &'a Client,
    fields: Vec<(&'static str, &'a str)>,
}

impl<'a> Form<'a> {
    /// Begins a client's form.
    pub(super) fn of(client: &'a Client) -> Self {
        let fields = match client.auth {
            ClientAuth::None => vec![("client_id", client.id.as_str())],
            ClientAuth::Basic => Vec::new(),
            ClientAuth::Post => vec![("client_id", client.id.as_str()), ("client_secret", secret(client))],
        };
        Self { client, fields }
    }

    /// Adds a field.
    pub(super) fn field(mut self, name: &'static str, value: &'a str) -> Self {
        self.fields.push((name, value));
        self
    }

    /// Adds the scopes as they go over the wire, unless there are none.
    pub(super) fn scopes(self, scopes: &'a str) -> Self {
        if scopes.is_empty() { self } else { self.field("scope", scopes) }
    }

    /// Adds the audience, if there is one.
    pub(super) fn audience(self, audience: Option<(AudienceAs, &'a str)>) -> Self {
        match audience {
            Some((parameter, audience)) => self.field(parameter.parameter(), audience),
            None => self,
        }
    }

    /// Returns the encoded fields.
    pub(super) fn body(&self) -> Zeroizing<String> {
        // an encoded byte takes three at most; a buffer that grew would leave a copy behind
        let most = self.fields.iter().map(|(name, value)| name.len() + 3 * value.len() + 2).sum();
        Zeroizing::new(Serializer::new(String::with_capacity(most)).extend_pairs(&self.fields).finish())
    }

    /// Returns the Authorization header of a client that authenticates by one.
    pub(super) fn authorization(&self) -> Option<HeaderValue> {
        match self.client.auth {
            ClientAuth::Basic => basic(self.client),
            ClientAuth::None | ClientAuth::Post => None,
        }
    }

    /// Returns what was sent and must not be shown when the provider repeats it.
    pub(super) fn secrets(&self) -> Vec<&'a str> {
        let own = self.client.secret.iter().map(|secret| secret.expose().as_str());
        let sent = self.fields.iter().filter(|(name, _)| SECRET_FIELDS.contains(name)).map(|(_, value)| *value);
        own.chain(sent).collect()
    }
}

/// Makes the value of a Basic header: id and secret are form-encoded first (RFC 6749 section 2.3.1, appendix B).
fn basic(client: &Client) -> Option<HeaderValue> {
    let mut pair = Zeroizing::new(String::with_capacity(3 * (client.id.len() + secret(client).len()) + 1));
    pair.extend(byte_serialize(client.id.as_bytes()));
    pair.push(':');
    pair.extend(byte_serialize(secret(client).as_bytes()));
    let mut header = Zeroizing::new(String::from("Basic "));
    STANDARD.encode_string(pair.as_bytes(), &mut header);
    let mut value = HeaderValue::from_str(&header).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Returns the client's secret.
fn secret(client: &Client) -> &str {
    client.secret.as_ref().map_or("", |secret| secret.expose())
}

/// The fields whose values are secrets.
const SECRET_FIELDS: [&str; 4] = ["refresh_token", "device_code", "token", "client_secret"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::{ClientSecret, StoredSecret};

    fn client(auth: ClientAuth) -> Client {
        Client {
            id: "a client:1".into(), auth, secret: Some(ClientSecret::from(StoredSecret::new("s&cr+t é".into())))
        }
    }

    #[test]
    fn a_public_client_sends_its_id_alone() {
        let client = client(ClientAuth::None);
        let form = Form::of(&client).field("token", "a/b+c=");
        assert_eq!(*form.body(), "client_id=a+client%3A1&token=a%2Fb%2Bc%3D");
        assert!(form.authorization().is_none());
    }

    #[test]
    fn post_puts_id_and_secret_into_the_body() {
        let client = client(ClientAuth::Post);
        assert_eq!(*Form::of(&client).body(), "client_id=a+client%3A1&client_secret=s%26cr%2Bt+%C3%A9");
    }

    #[test]
    fn basic_encodes_id_and_secret_and_keeps_both_out_of_the_body() {
        let client = client(ClientAuth::Basic);
        let form = Form::of(&client).field("grant_type", "refresh_token");
        assert_eq!(*form.body(), "grant_type=refresh_token");
        let value = form.authorization().unwrap();
        let (scheme, encoded) = value.to_str().unwrap().split_once(' ').unwrap();
        assert_eq!(scheme, "Basic");
        assert_eq!(STANDARD.decode(encoded).unwrap(), b"a+client%3A1:s%26cr%2Bt+%C3%A9");
        assert!(value.is_sensitive());
    }

    #[test]
    fn scopes_and_audience_are_sent_when_there_are_some() {
        let client = client(ClientAuth::Basic);
        assert_eq!(*Form::of(&client).scopes("").audience(None).body(), "");
        let form = Form::of(&client).scopes("a b").audience(Some((AudienceAs::Resource, "https://api.example")));
        assert_eq!(*form.body(), "scope=a+b&resource=https%3A%2F%2Fapi.example");
    }
}
