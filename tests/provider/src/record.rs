//! What is remembered of each request.

use crate::Endpoint;
use crate::form;
use crate::http::Request;

/// Describes one request that arrived, and how it was answered.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The endpoint it came to.
    pub endpoint: Endpoint,
    /// The method.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The query, decoded, in order.
    pub query: Vec<(String, String)>,
    /// The headers, names in lower case, in order.
    pub headers: Vec<(String, String)>,
    /// The posted form, decoded, in order.
    pub form: Vec<(String, String)>,
    /// The status that was answered; none yet, or none at all.
    pub status: Option<u16>,
}

impl Recorded {
    /// Returns a header by its lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// Returns a parameter of the form.
    pub fn param(&self, name: &str) -> Option<&str> {
        find(&self.form, name)
    }

    /// Records a request on its arrival.
    pub(crate) fn of(endpoint: Endpoint, request: &Request) -> Self {
        Self {
            endpoint,
            method: request.method.clone(),
            path: request.path.clone(),
            query: request.query.clone(),
            headers: request.headers.clone(),
            form: form::pairs(&request.body),
            status: None,
        }
    }
}

fn find<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
}
