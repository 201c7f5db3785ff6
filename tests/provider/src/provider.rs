//! The handle of a running provider: its addresses, and what an administrator or the person at the browser does.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::device::Decision;
use crate::family::Granted;
use crate::keys::Keys;
use crate::server::{Listener, Shared};
use crate::state::{Registered, Standing, State};
use crate::tls::Identity;
use crate::{Client, Endpoint, Fault, Settings, Tls};

/// A provider that serves until it is dropped; dropped with violations that nobody took, it panics with the list.
pub struct Provider {
    shared: Arc<Shared>,
    listener: Mutex<Option<Listener>>,
    port: u16,
    origin: String,
    ca_pem: Option<String>,
    keys: Arc<Keys>,
}

impl Provider {
    /// Starts a provider; it serves when this returns.
    pub fn start(settings: Settings) -> Self {
        let identity = Identity::make(settings.tls);
        let listener = Listener::bind(settings.port).expect("the port can be bound");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        let scheme = if settings.tls == Tls::Plain { "http" } else { "https" };
        let origin = format!("{scheme}://127.0.0.1:{port}");
        let issuer = format!("{origin}{}", settings.issuer_path);
        let keys = Arc::new(Keys::default());
        let state = State::new(settings, issuer, Arc::clone(&keys));
        let shared = Shared::new(state, identity.as_ref().map(|identity| Arc::clone(&identity.config)));
        let listener = Listener::start(listener, Arc::clone(&shared)).expect("the listener has an address");
        let ca_pem = identity.map(|identity| identity.ca_pem);
        Self { shared, listener: Mutex::new(Some(listener)), port, origin, ca_pem, keys }
    }

    /// Returns the issuer.
    pub fn issuer(&self) -> String {
        self.state().issuer.clone()
    }

    /// Returns the address of a path that begins with a slash, on this host and port.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    /// Returns the address of an endpoint; the OpenID Connect document's for discovery.
    pub fn endpoint(&self, endpoint: Endpoint) -> String {
        self.state().address(match endpoint {
            Endpoint::Discovery => "/.well-known/openid-configuration",
            Endpoint::Device => "/device_authorization",
            Endpoint::Verification => "/device",
            Endpoint::Authorization => "/authorize",
            Endpoint::Token => "/token",
            Endpoint::Revocation => "/revoke",
            Endpoint::Introspection => "/introspect",
            Endpoint::Jwks => "/jwks",
            Endpoint::Userinfo => "/userinfo",
            Endpoint::Elsewhere => "/elsewhere",
        })
    }

    /// Returns the address of the token endpoint.
    pub fn token_endpoint(&self) -> String {
        self.endpoint(Endpoint::Token)
    }

    /// Returns the port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the CA certificate that signs what the server shows.
    pub fn ca_pem(&self) -> &str {
        self.ca_pem.as_deref().expect("a provider without TLS has no CA")
    }

    /// Writes the CA certificate to a file.
    pub fn write_ca(&self, path: impl AsRef<Path>) {
        std::fs::write(path, self.ca_pem()).expect("the CA file can be written");
    }

    /// Closes the port: connections are refused, all knowledge stays.
    pub fn go_offline(&self) {
        let listener = self.listener().take();
        if let Some(listener) = listener {
            listener.close();
        }
    }

    /// Opens the same port again.
    pub fn go_online(&self) {
        let mut place = self.listener();
        if place.is_none() {
            let bound = Listener::bind(self.port).expect("the port can be bound again");
            *place = Some(Listener::start(bound, Arc::clone(&self.shared)).expect("the listener has an address"));
        }
    }

    /// Lets the person approve a device grant.
    pub fn approve(&self, user_code: &str) {
        self.state().decide(user_code, Decision::Approved);
    }

    /// Lets the person refuse a device grant.
    pub fn deny(&self, user_code: &str) {
        self.state().decide(user_code, Decision::Denied);
    }

    /// Returns the user codes that nobody has decided, oldest first.
    pub fn pending_user_codes(&self) -> Vec<String> {
        let state = self.state();
        let pending = state.devices.iter().filter(|device| device.decision == Decision::Pending);
        pending.map(|device| device.user_code.clone()).collect()
    }

    /// Logs a person in without any flow and returns the refresh token, whatever the scopes.
    pub fn grant(&self, client: &str, scopes: &[&str]) -> String {
        let mut state = self.state();
        let (family, refresh) = state.log_in(client, &owned(scopes), &[]);
        refresh.unwrap_or_else(|| state.new_refresh_token(family))
    }

    /// Hands out an access token without any flow.
    pub fn grant_access(&self, client: &str, scopes: &[&str], audiences: &[&str]) -> String {
        let (scope, audiences) = (owned(scopes), owned(audiences));
        let mut state = self.state();
        let (family, _) = state.log_in(client, &scope, &audiences);
        let granted = Granted { client, family: Some(family), scope: &scope, audiences: &audiences, refresh: None };
        let answer = state.token_answer(&granted);
        answer["access_token"].as_str().unwrap_or_default().to_owned()
    }

    /// Sets how long access tokens live that are granted from now on.
    pub fn set_access_ttl(&self, ttl: Duration) {
        self.state().settings.access_ttl = ttl;
    }

    /// Sets how long successful refreshes take from now on.
    pub fn set_refresh_latency(&self, latency: Duration) {
        self.state().settings.refresh_latency = latency;
    }

    /// Ends every access token's life here; what a JWT says of itself stays.
    pub fn expire_access_tokens(&self) {
        let mut state = self.state();
        let now = state.now();
        for token in state.access_tokens.values_mut() {
            token.expires_at = token.expires_at.min(now);
        }
    }

    /// Shifts the provider's own clock forward.
    pub fn advance(&self, time: Duration) {
        self.state().ahead += time;
    }

    /// Disables the person: her refreshes are `invalid_grant`, her tokens stop working.
    pub fn disable_user(&self) {
        self.state().user = Standing::Disabled;
    }

    /// Enables the person again; her tokens work as before.
    pub fn enable_user(&self) {
        self.state().user = Standing::Enabled;
    }

    /// Registers a client.
    pub fn add_client(&self, client: Client) {
        self.state().clients.push(Registered { client, standing: Standing::Enabled });
    }

    /// Changes a client's secret.
    pub fn set_client_secret(&self, client: &str, secret: &str) {
        with_client(&mut self.state(), client, |registered| registered.client.secret = Some(secret.to_owned()));
    }

    /// Disables a client: everything it asks is `invalid_client`.
    pub fn disable_client(&self, client: &str) {
        with_client(&mut self.state(), client, |registered| registered.standing = Standing::Disabled);
    }

    /// Enables a client again.
    pub fn enable_client(&self, client: &str) {
        with_client(&mut self.state(), client, |registered| registered.standing = Standing::Enabled);
    }

    /// Ends the login that a refresh token belongs to, with all of its tokens.
    pub fn revoke_family_of(&self, refresh_token: &str) {
        let mut state = self.state();
        let family = state.family_of(refresh_token).expect("the provider made this refresh token");
        state.revoke_family(family);
    }

    /// Misbehaves at the next request to an endpoint; several calls make a queue.
    pub fn misbehave(&self, endpoint: Endpoint, fault: Fault) {
        self.state().faults.once(endpoint, fault);
    }

    /// Misbehaves at every request to an endpoint that finds no fault in the queue.
    pub fn misbehave_always(&self, endpoint: Endpoint, fault: Fault) {
        self.state().faults.always(endpoint, fault);
    }

    /// Ends all misbehaviour of an endpoint.
    pub fn behave(&self, endpoint: Endpoint) {
        self.state().faults.clear(endpoint);
    }

    /// Ends the waiting (delay, hang, drip, latency) of every request that has arrived; later ones wait again.
    pub fn release(&self) {
        self.state().releases += 1;
        self.shared.announce();
    }

    /// Locks the state.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.shared.lock()
    }

    /// Returns what the threads share.
    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Returns the signing keys.
    pub(crate) fn keys(&self) -> &Keys {
        &self.keys
    }

    fn listener(&self) -> MutexGuard<'_, Option<Listener>> {
        self.listener.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.go_offline();
        self.shared.end();
        let violations = self.take_violations();
        let blameless = violations.is_empty() || thread::panicking();
        assert!(blameless, "the provider saw violations:\n  {}", violations.join("\n  "));
    }
}

fn with_client(state: &mut State, id: &str, change: impl FnOnce(&mut Registered)) {
    let found = state.clients.iter_mut().find(|registered| registered.client.id == id);
    change(found.unwrap_or_else(|| panic!("no client is called {id}")));
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}
