//! The beginning of a device login (RFC 8628 sections 3.1 and 3.2); the polling is the caller's, with [`Grant::Device`].
//!
//! [`Grant::Device`]: super::Grant::Device

use serde_json::Value;
use url::Url;

use super::Client;
use super::answer::lifetime;
use super::error::IdpError;
use super::form::Form;
use super::http::{Patience, Wire};
use super::refusal::Refusal;
use crate::profile::{self, AudienceAs, SecureUrl, UrlFault};
use crate::secret::DeviceCode;
use crate::token::scopes::Scopes;
use crate::token::text;
use crate::token::time::Lifetime;

/// A device login that waits for its person.
#[derive(Clone, Debug)]
pub(crate) struct DeviceLogin {
    /// What we ask with.
    pub(crate) device_code: DeviceCode,
    /// What the person types, fit to be shown.
    pub(crate) user_code: String,
    /// Where the person types it: https, or http on loopback, and ASCII throughout.
    pub(crate) verification_uri: String,
    /// The same with the code in it.
    pub(crate) verification_uri_complete: Option<String>,
    /// How long to wait between two questions.
    pub(crate) interval: Lifetime,
    /// How long the person has.
    pub(crate) expires_in: Lifetime,
}

impl Wire {
    /// Begins a device login.
    pub(crate) fn begin_device(
        &self,
        endpoint: &SecureUrl,
        client: &Client,
        scopes: &Scopes,
        audience: Option<(AudienceAs, &str)>,
    ) -> Result<DeviceLogin, IdpError> {
        let scopes = scopes.to_string();
        let form = Form::of(client).scopes(&scopes).audience(audience);
        let answer = self.post(endpoint, &form, Patience::Short)?;
        if let Some(refusal) = Refusal::of(&answer, &form.secrets()) {
            return Err(IdpError::Refused(refusal));
        }
        if !answer.is_success() {
            return Err(answer.status_error(&form.secrets()));
        }
        let url = answer.url.clone();
        DeviceLogin::parse(answer.json()?, &url)
    }
}

impl DeviceLogin {
    /// Reads the answer of `url`.
    pub(super) fn parse(mut answer: Value, url: &str) -> Result<Self, IdpError> {
        let missing = |what| IdpError::Incomplete { url: url.to_owned(), what };
        let device_code = match answer.get_mut("device_code").map(Value::take) {
            Some(Value::String(code)) if !code.is_empty() => DeviceCode::new(code),
            Some(_) | None => return Err(missing("device_code")),
        };
        let field = |name: &str| answer.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        // Google's name is older than the standard's
        let verification_uri = field("verification_uri").or_else(|| field("verification_url"));
        Ok(Self {
            device_code,
            user_code: field("user_code").map(text::shown).ok_or_else(|| missing("user_code"))?,
            verification_uri: address(verification_uri.ok_or_else(|| missing("verification_uri"))?)?,
            verification_uri_complete: field("verification_uri_complete").map(address).transpose()?,
            interval: interval(answer.get("interval")),
            expires_in: lifetime(answer.get("expires_in")).unwrap_or(EXPIRES_IN).min(LONGEST_LOGIN),
        })
    }
}

/// Checks an address that a person is sent to, and writes it in ASCII, so that it reads as what it is.
fn address(uri: &str) -> Result<String, IdpError> {
    let refuse = |source| IdpError::InsecureEndpoint { what: "verification_uri", source };
    let parsed = Url::parse(uri).map_err(|_| refuse(UrlFault::Unreadable(text::shown(uri))))?;
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(refuse(UrlFault::Decorated));
    }
    if !profile::is_secure(&parsed) {
        return Err(refuse(UrlFault::Insecure(text::shown(uri))));
    }
    Ok(parsed.into())
}

/// Returns how long to wait between two questions.
fn interval(stated: Option<&Value>) -> Lifetime {
    lifetime(stated).filter(|wait| *wait > Lifetime::default()).unwrap_or(INTERVAL).min(LONGEST_INTERVAL)
}

/// How often to ask where the provider does not say (RFC 8628 section 3.2).
const INTERVAL: Lifetime = Lifetime::seconds(5);

/// How long the person has where the provider does not say, though it must: what Keycloak gives.
const EXPIRES_IN: Lifetime = Lifetime::seconds(600);

/// The longest that we wait between two questions, whatever the provider says; they say 5 s or 10 s.
const LONGEST_INTERVAL: Lifetime = Lifetime::seconds(300);

/// The longest that a login may take: nobody sits that long before a browser, and a job without a terminal must end.
const LONGEST_LOGIN: Lifetime = Lifetime::seconds(24 * 3_600);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(changes: &Value) -> Result<DeviceLogin, IdpError> {
        let mut answer =
            json!({"device_code": "d", "user_code": "WDJB-MJHT", "verification_uri": "https://a.example/d"});
        for (name, value) in changes.as_object().unwrap() {
            answer[name] = value.clone();
        }
        DeviceLogin::parse(answer, "https://a.example/device")
    }

    #[test]
    fn a_short_answer_gets_the_defaults_of_the_standard() {
        let login = parse(&json!({})).unwrap();
        assert_eq!((login.interval, login.expires_in), (INTERVAL, EXPIRES_IN));
        assert_eq!(login.verification_uri, "https://a.example/d");
        assert_eq!(parse(&json!({"interval": 0})).unwrap().interval, INTERVAL);
        assert_eq!(parse(&json!({"interval": 1})).unwrap().interval, Lifetime::seconds(1));
    }

    #[test]
    fn a_login_ends_whatever_the_provider_says() {
        let login = parse(&json!({"interval": 1e300, "expires_in": u64::MAX})).unwrap();
        assert_eq!((login.interval, login.expires_in), (LONGEST_INTERVAL, LONGEST_LOGIN));
    }

    #[test]
    fn nobody_is_sent_to_an_insecure_or_deceptive_address() {
        for uri in
            ["http://a.example/d", "javascript:alert(1)", "file:///etc/passwd", "https://a.example@b.example/", "d"]
        {
            for name in ["verification_uri", "verification_uri_complete"] {
                let error = parse(&json!({ name: uri })).unwrap_err();
                assert!(matches!(error, IdpError::InsecureEndpoint { .. }), "{uri}: {error:?}");
            }
        }
    }

    #[test]
    fn what_a_person_reads_holds_no_control_characters() {
        let login =
            parse(&json!({"user_code": "A\u{1b}[2J", "verification_uri": "https://a.example/\u{202e}x\n"})).unwrap();
        assert_eq!(login.user_code, "A\\u{1b}[2J");
        assert_eq!(login.verification_uri, "https://a.example/%E2%80%AEx");
    }

    #[test]
    fn an_answer_without_a_code_is_named() {
        let error = parse(&json!({"device_code": null})).unwrap_err();
        assert!(matches!(error, IdpError::Incomplete { what: "device_code", .. }));
    }
}
