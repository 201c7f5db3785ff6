//! HTTP: one request, one answer, a deadline and a size limit.

use std::io;
use std::mem::ManuallyDrop;
use std::path::Path;
use std::time::Duration;

use chrono::DateTime;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{RequestBuilder, Response};
use serde_json::Value;
use tokio::runtime::{self, Runtime};
use url::Url;
use zeroize::Zeroizing;

use super::error::{IdpError, causes, sources};
use super::form::Form;
use super::refusal::OAuthError;
use super::route::{Clients, Trust};
use crate::profile::SecureUrl;
use crate::token::text;
use crate::token::time::{Lifetime, Timestamp};

/// The network, opened for one run of the program.
pub(crate) struct Wire {
    /// Never shut down: that would wait for a name lookup that hangs, long past every deadline.
    runtime: ManuallyDrop<Runtime>,
    clients: Clients,
}

/// How long a request may take.
#[derive(Clone, Copy, Debug)]
pub(super) enum Patience {
    /// A token is at stake: the answer is waited for nearly as long as a detached exchange lives (60 s).
    Long,
    /// It can be asked again.
    Short,
    /// It is one of two questions that may be asked while an entry is locked: both together end before those who wait
    /// for the lock give up (30 s).
    Half,
}

/// What came back.
pub(super) struct Answer {
    /// Where it came from, without the query.
    pub(super) url: String,
    /// The HTTP status.
    pub(super) status: u16,
    /// How long to wait before the next request.
    pub(super) retry_after: Option<Lifetime>,
    /// What time it was there.
    pub(super) clock: Option<Timestamp>,
    /// The kind of body, fit to be shown.
    content_type: Option<String>,
    /// All of the body, or why it was not read to its end.
    pub(super) body: Result<Zeroizing<Vec<u8>>, IdpError>,
}

/// Why nothing came back.
#[derive(Debug)]
pub(super) enum Fault {
    /// No byte of the request has left this machine.
    Unsent(IdpError),
    /// The request may have arrived.
    Sent(IdpError),
}

impl Wire {
    /// Opens the network; `ca_file` names certificates to trust besides the system's.
    pub(crate) fn open(ca_file: Option<&Path>) -> Result<Self, IdpError> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build().map_err(IdpError::Runtime)?;
        Ok(Self { runtime: ManuallyDrop::new(runtime), clients: Clients::new(ca_file)? })
    }

    /// Makes ready for a request to an address, as far as that goes without sending anything.
    pub(crate) fn prepare(&self, url: &SecureUrl) -> Result<(), IdpError> {
        self.clients.to(url, Trust::Nearest).map(drop)
    }

    /// Posts a client's form.
    pub(super) fn post(&self, url: &SecureUrl, form: &Form<'_>, patience: Patience) -> Result<Answer, Fault> {
        self.send(url, patience, |client| {
            let request = client
                .post(url.as_str())
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(std::mem::take(&mut *form.body()));
            match form.authorization() {
                Some(credentials) => request.header(AUTHORIZATION, credentials),
                None => request,
            }
        })
    }

    /// Gets a public document.
    pub(super) fn get(&self, url: &SecureUrl, patience: Patience) -> Result<Answer, IdpError> {
        Ok(self.send(url, patience, |client| client.get(url.as_str()))?)
    }

    /// Sends a request once and waits for its answer.
    fn send(
        &self,
        url: &SecureUrl,
        patience: Patience,
        request: impl Fn(&reqwest::Client) -> RequestBuilder,
    ) -> Result<Answer, Fault> {
        let answer = match self.try_to_send(url, patience, (&request, Trust::Nearest)) {
            // the handshake comes before the request
            Err(Fault::Unsent(IdpError::Tls { .. })) => self.try_to_send(url, patience, (&request, Trust::Everything)),
            answer => answer,
        };
        match &answer {
            Ok(Answer { url, status, .. }) => tracing::debug!(%url, status, "answered"),
            Err(Fault::Unsent(error) | Fault::Sent(error)) => tracing::debug!(url = %bare(url), %error, "no answer"),
        }
        answer
    }

    /// Sends a request, trusting some certificates.
    fn try_to_send(
        &self,
        url: &SecureUrl,
        patience: Patience,
        (request, trust): (impl Fn(&reqwest::Client) -> RequestBuilder, Trust),
    ) -> Result<Answer, Fault> {
        let client = self.clients.to(url, trust).map_err(Fault::Unsent)?;
        let request = request(client).header(ACCEPT, "application/json").timeout(patience.into());
        let url = bare(url);
        self.runtime.block_on(async {
            let response = request.send().await.map_err(|error| fault(&url, error))?;
            Ok(Answer::read(url.clone(), response).await)
        })
    }
}

impl Answer {
    /// Reads an answer; a body that cannot be read is remembered as such, for the status may say enough.
    async fn read(url: String, mut response: Response) -> Self {
        let status = response.status().as_u16();
        let (retry_after, clock) = (retry_after(response.headers()), clock(response.headers()));
        let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(text::shown);
        let body = read_body(&url, &mut response).await;
        Self { url, status, retry_after, clock, content_type, body }
    }

    /// Tells whether the request was done.
    pub(super) const fn is_success(&self) -> bool {
        matches!(self.status, 200..=299)
    }

    /// Returns the body as JSON.
    pub(super) fn json(self) -> Result<Value, IdpError> {
        let not_json = self.not_json();
        serde_json::from_slice(&self.body?).map_err(|_| not_json)
    }

    /// Refuses an answer that does not call itself JSON.
    pub(super) fn require_json(self) -> Result<Self, IdpError> {
        let is_json = self.content_type.as_ref().is_none_or(|kind| kind.to_ascii_lowercase().contains("json"));
        if is_json { Ok(self) } else { Err(self.not_json()) }
    }

    /// Describes an answer that is no JSON.
    pub(super) fn not_json(&self) -> IdpError {
        let found = match &self.content_type {
            Some(kind) if kind.to_ascii_lowercase().contains("json") => {
                "something that only calls itself so".to_owned()
            }
            Some(kind) => kind.clone(),
            None => "something else".to_owned(),
        };
        IdpError::NotJson { url: self.url.clone(), found }
    }

    /// Describes an answer by its status and its error's words; `secrets` are what must not be repeated.
    pub(super) fn status_error(&self, secrets: &[&str]) -> IdpError {
        IdpError::Status { url: self.url.clone(), status: self.status, words: self.oauth_error(secrets).words() }
    }

    /// Reads the error that a provider put into the body, if it did.
    pub(super) fn oauth_error(&self, secrets: &[&str]) -> OAuthError {
        self.body.as_ref().map(|body| OAuthError::parse(body, secrets)).unwrap_or_default()
    }
}

impl Fault {
    /// Returns what went wrong, for requests that spend nothing.
    pub(super) fn into_error(self) -> IdpError {
        match self {
            Self::Unsent(error) | Self::Sent(error) => error,
        }
    }
}

impl From<Fault> for IdpError {
    fn from(fault: Fault) -> Self {
        fault.into_error()
    }
}

impl From<Patience> for Duration {
    fn from(patience: Patience) -> Self {
        match patience {
            Patience::Long => Self::from_secs(50),
            Patience::Short => Self::from_secs(20),
            Patience::Half => Self::from_secs(10),
        }
    }
}

/// Returns an address without its query, for people and logs.
pub(crate) fn bare(url: &SecureUrl) -> String {
    match Url::parse(url.as_str()) {
        Ok(mut parsed) => {
            parsed.set_query(None);
            parsed.into()
        }
        Err(_) => "the provider".to_owned(),
    }
}

/// Reads all of a body, into memory that is wiped: it may hold tokens.
async fn read_body(url: &str, response: &mut Response) -> Result<Zeroizing<Vec<u8>>, IdpError> {
    // the whole capacity at once, so that no copy stays behind where it grew
    let mut body = Zeroizing::new(Vec::with_capacity(LARGEST_ANSWER));
    while let Some(chunk) = response.chunk().await.map_err(|error| describe(url, error))? {
        if body.len() + chunk.len() > LARGEST_ANSWER {
            return Err(IdpError::TooLarge { url: url.to_owned(), limit: LARGEST_ANSWER });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Reads `Retry-After`: a number of seconds, or a date, which the provider's own clock goes with (RFC 9110 section 10.2.3).
fn retry_after(headers: &HeaderMap) -> Option<Lifetime> {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).map(str::trim);
    let date = |text: &str| DateTime::parse_from_rfc2822(text).ok();
    let wanted = text(RETRY_AFTER)?;
    let until = || {
        let left = date(wanted)?.signed_duration_since(date(text(DATE)?)?);
        Some(u64::try_from(left.num_seconds()).unwrap_or(0))
    };
    let seconds = wanted.parse().ok().or_else(until)?;
    Some(Lifetime::seconds(seconds).min(LONGEST_PAUSE))
}

/// Reads `Date` (RFC 9110 section 6.6.1).
fn clock(headers: &HeaderMap) -> Option<Timestamp> {
    let text = headers.get(DATE).and_then(|value| value.to_str().ok())?;
    Some(Timestamp::from_epoch(DateTime::parse_from_rfc2822(text.trim()).ok()?.timestamp()))
}

/// Says whether a failed request had left this machine: not while the connection was being made.
fn fault(url: &str, error: reqwest::Error) -> Fault {
    let unsent = error.is_connect() || error.is_builder();
    let error = describe(url, error);
    if unsent { Fault::Unsent(error) } else { Fault::Sent(error) }
}

/// Describes why a request failed.
fn describe(url: &str, error: reqwest::Error) -> IdpError {
    let url = url.to_owned();
    let error = error.without_url();
    if error.is_timeout() {
        IdpError::Timeout { url }
    } else if !error.is_connect() {
        IdpError::Broken { url, why: causes(&error) }
    } else if sources(&error).filter_map(|cause| cause.downcast_ref()).any(is_tls_fault) {
        IdpError::Tls { url, why: causes(&error) }
    } else {
        IdpError::Unreachable { url, why: causes(&error) }
    }
}

/// Tells whether an error comes from the handshake: rustls reports its own as invalid data, which is wrapped once more.
fn is_tls_fault(error: &io::Error) -> bool {
    let inner = || error.get_ref().and_then(|inner| inner.downcast_ref());
    error.kind() == io::ErrorKind::InvalidData || inner().is_some_and(is_tls_fault)
}

/// An honest answer has some kilobytes; key sets and tokens with many groups reach tens.
const LARGEST_ANSWER: usize = 256 * 1024;

/// Longer than this nobody is made to wait by a header.
pub(crate) const LONGEST_PAUSE: Lifetime = Lifetime::seconds(3_600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_query() {
        assert_eq!(bare(&"https://a.example/t?code=canary".parse().unwrap()), "https://a.example/t");
    }
}
