//! The success of a token request (RFC 6749 section 5.1), read as leniently as providers write it: a token that arrived
//! must not be lost over the form of a number.

use serde_json::{Map, Value};

use crate::secret::{AccessToken, IdToken, RefreshToken};
use crate::token::scopes::Scopes;
use crate::token::text;
use crate::token::time::Lifetime;

/// What a token endpoint gave.
#[derive(Clone, Debug)]
pub(crate) struct TokenAnswer {
    /// The access token, if there is one that can be handed out.
    pub(crate) access_token: Option<AccessToken>,
    /// How it is presented: `Bearer`, or something else as the provider wrote it.
    pub(crate) token_type: String,
    /// How long the access token lives.
    pub(crate) expires_in: Option<Lifetime>,
    /// The refresh token, whatever its characters: it is kept before it is judged.
    pub(crate) refresh_token: Option<RefreshToken>,
    /// How long the refresh token lives; unknown if the provider says 0, which means that it does not expire.
    pub(crate) refresh_expires_in: Option<Lifetime>,
    /// The scopes, if the provider says which.
    pub(crate) scope: Option<Scopes>,
    /// Who logged in.
    pub(crate) id_token: Option<IdToken>,
}

impl TokenAnswer {
    /// Reads an answer; `None` if it brings neither an access token that can be used nor a refresh token.
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        // a byte order mark may be ignored (RFC 8259 section 8.1), and the token behind it be the only one left
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        let mut fields: Map<String, Value> = serde_json::from_slice(body).ok()?;
        // the tokens are moved out, not copied: what is left is dropped without being wiped
        let mut token = |name: &str| match fields.remove(name) {
            Some(Value::String(token)) if !token.is_empty() => Some(token),
            Some(_) | None => None,
        };
        let access_token = token("access_token").map(AccessToken::new);
        let refresh_token = token("refresh_token").map(RefreshToken::new);
        let id_token = token("id_token").map(IdToken::new);
        let access_token = access_token.filter(|token| text::is_usable(token.secret()));
        if access_token.is_none() && refresh_token.is_none() {
            return None;
        }
        Some(Self {
            access_token,
            token_type: token_type(fields.get("token_type")),
            expires_in: lifetime(fields.get("expires_in")),
            refresh_token,
            refresh_expires_in: refresh_lifetime(&fields),
            scope: scope(fields.get("scope")),
            id_token,
        })
    }
}

/// Reads a token type; without one it is a bearer token, the only kind that works without being asked for.
fn token_type(value: Option<&Value>) -> String {
    match value.and_then(Value::as_str) {
        Some(name) if !name.is_empty() && !name.eq_ignore_ascii_case(BEARER) => text::shown(name),
        Some(_) | None => BEARER.to_owned(),
    }
}

/// Reads how long the refresh token lives, under Keycloak's name or GitHub's.
fn refresh_lifetime(fields: &Map<String, Value>) -> Option<Lifetime> {
    let value = fields.get("refresh_expires_in").or_else(|| fields.get("refresh_token_expires_in"));
    lifetime(value).filter(|lifetime| lifetime.as_seconds() > 0)
}

/// Reads a number of seconds, as number, fraction or text; nothing else, and nothing negative, is one.
pub(super) fn lifetime(value: Option<&Value>) -> Option<Lifetime> {
    let value = value?;
    let whole = value.as_u64().or_else(|| value.as_str()?.trim().parse().ok());
    let fraction = || {
        let seconds = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked; `as` saturates")]
        (seconds >= 0.0 && seconds.is_finite()).then_some(seconds as u64)
    };
    whole.or_else(fraction).map(Lifetime::seconds)
}

/// Reads scopes, as text or as list.
fn scope(value: Option<&Value>) -> Option<Scopes> {
    match value? {
        Value::String(text) => Some(Scopes::lenient(text)),
        Value::Array(many) => {
            Some(Scopes::lenient(&many.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ")))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    }
}

/// The one token type that everybody means (RFC 6750).
const BEARER: &str = "Bearer";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(answer: &Value) -> Option<TokenAnswer> {
        TokenAnswer::parse(answer.to_string().as_bytes())
    }

    #[test]
    fn lifetimes_are_read_however_they_are_written() {
        let table = [
            (json!(300), Some(300)),
            (json!(299.9), Some(299)),
            (json!("300"), Some(300)),
            (json!(" 1.5 "), Some(1)),
            (json!(0), Some(0)),
            (json!(-1), None),
            (json!("-1"), None),
            (json!("soon"), None),
            (json!("NaN"), None),
            (json!(null), None),
            (json!([300]), None),
            (json!(1e300), Some(u64::MAX)),
        ];
        for (written, read) in table {
            let answer = parse(&json!({"access_token": "a", "expires_in": written})).unwrap();
            assert_eq!(answer.expires_in.map(Lifetime::as_seconds), read, "{written}");
        }
    }

    #[test]
    fn a_refresh_token_with_no_lifetime_left_does_not_expire() {
        for name in ["refresh_expires_in", "refresh_token_expires_in"] {
            let read = |seconds: i64| parse(&json!({"refresh_token": "r", name: seconds})).unwrap().refresh_expires_in;
            assert_eq!(read(0), None);
            assert_eq!(read(-5), None);
            assert_eq!(read(60), Some(Lifetime::seconds(60)));
        }
    }

    #[test]
    fn token_types_are_compared_without_case_and_unknown_ones_kept() {
        let read = |name: Value| parse(&json!({"access_token": "a", "token_type": name})).unwrap().token_type;
        for name in [json!("bearer"), json!("BEARER"), json!(""), json!(null), json!(1)] {
            assert_eq!(read(name), "Bearer");
        }
        assert_eq!(read(json!("DPoP")), "DPoP");
        assert_eq!(read(json!("x\ny")), "x\\u{a}y");
    }

    #[test]
    fn a_refresh_token_is_kept_even_when_the_access_token_cannot_be_used() {
        let answer = parse(&json!({"access_token": "a b", "refresh_token": "r\n"})).unwrap();
        assert!(answer.access_token.is_none());
        assert_eq!(answer.refresh_token.unwrap().expose(), "r\n");
    }

    #[test]
    fn a_byte_order_mark_costs_no_token() {
        let answer = TokenAnswer::parse("\u{feff}{\"refresh_token\":\"r\"}".as_bytes()).unwrap();
        assert_eq!(answer.refresh_token.unwrap().expose(), "r");
    }

    #[test]
    fn an_answer_without_a_token_is_none() {
        for body in
            ["", "<html>", "[]", "{}", r#"{"access_token":""}"#, r#"{"access_token":"a b"}"#, r#"{"id_token":"i"}"#]
        {
            assert!(TokenAnswer::parse(body.as_bytes()).is_none(), "{body}");
        }
    }

    #[test]
    fn unknown_fields_and_odd_scopes_do_no_harm() {
        let read = |scope: Value| parse(&json!({"access_token": "a", "Header": null, "scope": scope})).unwrap().scope;
        assert_eq!(read(json!("b a")), Some(Scopes::lenient("a b")));
        assert_eq!(read(json!(["b", "a", 1])), Some(Scopes::lenient("a b")));
        assert_eq!(read(json!(null)), None);
    }

    #[test]
    fn debug_shows_no_token() {
        let answer = parse(&json!({"access_token": "canary", "refresh_token": "canary", "id_token": "canary"}));
        assert!(!format!("{answer:?}").contains("canary"));
    }
}
