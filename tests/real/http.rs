//! Plain HTTP as a test needs it: one request, the answer as text or JSON, and a browser that keeps cookies and
//! follows redirects. Loopback only, twenty seconds a request, no proxy.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};
use url::Url;

/// A Keycloak that has just started takes seconds for its first page.
const PATIENCE: Duration = Duration::from_secs(90);

/// More redirects in a row than any login makes.
const REDIRECTS: usize = 12;

/// One client and the runtime it runs on.
pub(crate) struct Wire {
    client: Client,
    runtime: Runtime,
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
    location: Option<String>,
    cookies: Vec<String>,
}

impl Answer {
    /// The body as JSON; null if it is none.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }
}

impl Wire {
    pub(crate) fn new() -> Self {
        let client = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            // Node closes a connection that rests; reusing it just then is a race.
            .pool_max_idle_per_host(0)
            .timeout(PATIENCE)
            .build()
            .unwrap();
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        Self { client, runtime }
    }

    /// GET without credentials; `None` while nobody listens.
    pub(crate) fn try_get(&self, url: &str) -> Option<Answer> {
        self.send(self.client.get(url)).ok()
    }

    /// POST of a form.
    pub(crate) fn post(&self, url: &str, form: &[(&str, &str)]) -> Answer {
        self.send(self.client.post(url).form(form)).unwrap()
    }

    /// A JSON request with a bearer token, to an administrator's interface.
    pub(crate) fn call(&self, method: Method, url: &str, bearer: &str, body: Option<&Value>) -> Answer {
        let mut request = self.client.request(method, url).header(AUTHORIZATION, format!("Bearer {bearer}"));
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.to_string());
        }
        self.send(request).unwrap()
    }

    fn send(&self, request: RequestBuilder) -> reqwest::Result<Answer> {
        self.runtime.block_on(async {
            let response = request.send().await?;
            let text = |value: &reqwest::header::HeaderValue| value.to_str().unwrap_or_default().to_owned();
            Ok(Answer {
                status: response.status().as_u16(),
                location: response.headers().get(LOCATION).map(text),
                cookies: response.headers().get_all(SET_COOKIE).iter().map(text).collect(),
                body: response.text().await?,
            })
        })
    }
}

/// A page and where it was found.
pub(crate) struct Page {
    pub(crate) url: Url,
    pub(crate) body: String,
}

/// A browser session at one host: cookies by name, without paths.
pub(crate) struct Browser<'a> {
    wire: &'a Wire,
    cookies: RefCell<BTreeMap<String, String>>,
}

impl<'a> Browser<'a> {
    pub(crate) fn new(wire: &'a Wire) -> Self {
        Self { wire, cookies: RefCell::default() }
    }

    pub(crate) fn get(&self, url: Url) -> Page {
        let first = self.wire.client.get(url.clone());
        self.follow(url, first)
    }

    pub(crate) fn post(&self, url: Url, form: &[(String, String)]) -> Page {
        let first = self.wire.client.post(url.clone()).form(form);
        self.follow(url, first)
    }

    fn follow(&self, mut url: Url, first: RequestBuilder) -> Page {
        let mut answer = self.exchange(first);
        for _ in 0..REDIRECTS {
            let Some(next) = answer.location.take() else {
                assert!(answer.status < 500, "{} answered {}", url.path(), answer.status);
                return Page { url, body: answer.body };
            };
            url = url.join(&next).unwrap();
            answer = self.exchange(self.wire.client.get(url.clone()));
        }
        panic!("more than {REDIRECTS} redirects, the last to {}", url.path());
    }

    fn exchange(&self, request: RequestBuilder) -> Answer {
        let answer = self.wire.send(request.header(COOKIE, self.header())).unwrap();
        answer.cookies.iter().for_each(|cookie| self.keep(cookie));
        answer
    }

    fn header(&self) -> String {
        let cookies = self.cookies.borrow();
        let pairs: Vec<String> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        pairs.join("; ")
    }

    /// Takes a `Set-Cookie`; an empty value or an age of zero removes it.
    fn keep(&self, cookie: &str) {
        let mut parts = cookie.split(';').map(str::trim);
        let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else { return };
        let gone = value.is_empty() || parts.any(|attribute| attribute.eq_ignore_ascii_case("max-age=0"));
        let mut cookies = self.cookies.borrow_mut();
        if gone {
            cookies.remove(name);
        } else {
            cookies.insert(name.to_owned(), value.to_owned());
        }
    }
}
