//! A posted form, checked before anybody reads a parameter.

use crate::http::Request;
use crate::refusal::Refusal;

/// The parameters that may come several times (RFC 8707; RFC 8693 for `audience`).
const REPEATABLE: [&str; 2] = ["audience", "resource"];

/// Holds the parameters of a form, each known to come once.
pub(crate) struct Form {
    pairs: Vec<(String, String)>,
}

impl Form {
    /// Reads the form of a POST request.
    pub(crate) fn of(request: &Request) -> Result<Self, Refusal> {
        if request.method != "POST" {
            return Err(Refusal::violation(405, "invalid_request", format!("method {}, not POST", request.method)));
        }
        let content_type = request.header("content-type").unwrap_or_default();
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(invalid(format!("content type {content_type:?}")));
        }
        if !request.query.is_empty() {
            return Err(invalid("parameters in the address of a token request"));
        }
        if str::from_utf8(&request.body).is_err() {
            return Err(invalid("the body is not UTF-8"));
        }
        let form = Self { pairs: pairs(&request.body) };
        form.check_duplicates()?;
        Ok(form)
    }

    /// Reads the query of a GET request by the same rules.
    pub(crate) fn of_query(request: &Request) -> Result<Self, Refusal> {
        if request.method != "GET" {
            return Err(Refusal::violation(405, "invalid_request", format!("method {}, not GET", request.method)));
        }
        let form = Self { pairs: request.query.clone() };
        form.check_duplicates()?;
        Ok(form)
    }

    /// Returns a parameter that must be there.
    pub(crate) fn required(&self, name: &str) -> Result<&str, Refusal> {
        self.optional(name)?.ok_or_else(|| invalid(format!("no {name}")))
    }

    /// Returns a parameter that may be left out, but not left empty.
    pub(crate) fn optional(&self, name: &str) -> Result<Option<&str>, Refusal> {
        match self.pairs.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str()) {
            Some("") => Err(invalid(format!("{name} is empty"))),
            found => Ok(found),
        }
    }

    /// Returns the scopes that are asked for.
    pub(crate) fn scope(&self) -> Result<Option<Vec<String>>, Refusal> {
        let Some(text) = self.optional("scope")? else { return Ok(None) };
        let scopes: Vec<String> = text.split(' ').map(str::to_owned).collect();
        if scopes.iter().any(|scope| !is_scope_token(scope)) {
            return Err(Refusal::violation(400, "invalid_scope", format!("scope {text:?} is malformed")));
        }
        Ok(Some(scopes))
    }

    /// Returns the audiences and resources that are asked for.
    pub(crate) fn audiences(&self) -> Result<Vec<String>, Refusal> {
        let asked: Vec<String> =
            self.pairs.iter().filter(|(n, _)| REPEATABLE.contains(&n.as_str())).map(|(_, v)| v.clone()).collect();
        if asked.iter().any(String::is_empty) {
            return Err(Refusal::violation(400, "invalid_target", "an audience or resource is empty"));
        }
        Ok(asked)
    }

    fn check_duplicates(&self) -> Result<(), Refusal> {
        for (at, (name, _)) in self.pairs.iter().enumerate() {
            let again = self.pairs.iter().skip(at + 1).any(|(other, _)| other == name);
            if again && !REPEATABLE.contains(&name.as_str()) {
                return Err(invalid(format!("{name} comes twice")));
            }
        }
        Ok(())
    }
}

/// Decodes a form, whatever it says.
pub(crate) fn pairs(body: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(body).into_owned().collect()
}

// RFC 6749 appendix A.4
fn is_scope_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}

fn invalid(description: impl Into<String>) -> Refusal {
    Refusal::violation(400, "invalid_request", description)
}
