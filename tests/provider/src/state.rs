//! Everything the provider knows, behind one lock: its clock, clients, grants and tokens, and what it has seen.

use std::collections::HashMap;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::device::Device;
use crate::endpoints::Code;
use crate::family::{AccessToken, Family, RefreshToken};
use crate::fault::Faults;
use crate::keys::{Keys, random_text};
use crate::{Client, Format, Recorded, Settings};

/// Says whether an account, a client or a token is in force.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Standing {
    /// It is.
    Enabled,
    /// It is not.
    Disabled,
}

/// Says whether the answer to a request reaches the client as it should.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Answer {
    /// It does.
    Intact,
    /// A fault was injected: what the client does next is not its fault.
    TamperedWith,
}

/// Holds a client and whether it may still do anything.
pub(crate) struct Registered {
    /// The client.
    pub(crate) client: Client,
    /// Whether it may.
    pub(crate) standing: Standing,
}

/// Holds everything.
pub(crate) struct State {
    /// What was chosen at the start; some of it changes on the way.
    pub(crate) settings: Settings,
    /// The issuer.
    pub(crate) issuer: String,
    /// The signing keys.
    pub(crate) keys: Arc<Keys>,
    /// The clients.
    pub(crate) clients: Vec<Registered>,
    /// The person.
    pub(crate) user: Standing,
    /// How far this clock is ahead of the system's.
    pub(crate) ahead: Duration,
    /// The device grants, oldest first.
    pub(crate) devices: Vec<Device>,
    /// The authorization codes.
    pub(crate) codes: Vec<Code>,
    /// The logins, oldest first.
    pub(crate) families: Vec<Family>,
    /// The refresh tokens, by text.
    pub(crate) refresh_tokens: HashMap<String, RefreshToken>,
    /// The access tokens, by text.
    pub(crate) access_tokens: HashMap<String, AccessToken>,
    /// The refresh token that was made last.
    pub(crate) newest_refresh: Option<String>,
    /// How many refreshes succeeded.
    pub(crate) exchanges: usize,
    /// The misbehaviour to come.
    pub(crate) faults: Faults,
    /// The requests, in order of arrival.
    pub(crate) log: Vec<Recorded>,
    /// What clients did wrong.
    pub(crate) violations: Vec<String>,
    /// The open connections.
    pub(crate) connections: HashMap<usize, TcpStream>,
    /// How often waiting requests were told to go on.
    pub(crate) releases: usize,
    /// How many connections there have been.
    pub(crate) connection_count: usize,
    /// Whether the provider still serves; nothing waits once it does not.
    pub(crate) service: Standing,
}

impl State {
    /// Makes the state of a provider that nobody has asked anything.
    pub(crate) fn new(settings: Settings, issuer: String, keys: Arc<Keys>) -> Self {
        let registered = |client: &Client| Registered { client: client.clone(), standing: Standing::Enabled };
        Self {
            clients: settings.clients.iter().map(registered).collect(),
            settings,
            issuer,
            keys,
            user: Standing::Enabled,
            ahead: Duration::ZERO,
            devices: Vec::new(),
            codes: Vec::new(),
            families: Vec::new(),
            refresh_tokens: HashMap::new(),
            access_tokens: HashMap::new(),
            newest_refresh: None,
            exchanges: 0,
            faults: Faults::default(),
            log: Vec::new(),
            violations: Vec::new(),
            connections: HashMap::new(),
            releases: 0,
            connection_count: 0,
            service: Standing::Enabled,
        }
    }

    /// Keeps a handle of a connection, to end it by, and returns its number.
    pub(crate) fn admit(&mut self, socket: TcpStream) -> usize {
        self.connection_count += 1;
        self.connections.insert(self.connection_count, socket);
        self.connection_count
    }

    /// Returns the provider's own time, since the epoch.
    pub(crate) fn now(&self) -> Duration {
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default() + self.ahead
    }

    /// Returns the address of a path below the issuer.
    pub(crate) fn address(&self, path: &str) -> String {
        format!("{}{path}", self.issuer.trim_end_matches('/'))
    }

    /// Returns the claims of an access token granted now (RFC 9068).
    pub(crate) fn access_claims(&self, client: &str, scope: &str, audiences: &[String]) -> Value {
        let now = self.now();
        let audience = match audiences {
            [] => json!(client),
            [one] => json!(one),
            several => json!(several),
        };
        json!({
            "iss": self.issuer,
            "sub": self.settings.user,
            "aud": audience,
            "azp": client,
            "client_id": client,
            "scope": scope,
            "iat": now.as_secs(),
            "exp": (now + self.settings.access_ttl).as_secs(),
            "jti": random_text(22),
        })
    }

    /// Returns the text of a new access token with these claims.
    pub(crate) fn access_text(&self, claims: &Value) -> String {
        match self.settings.access_format {
            Format::Opaque => random_text(32),
            Format::Jwt => self.keys.sign(claims, &json!({ "typ": "at+jwt" }), self.settings.alg),
            Format::Jwe => format!("eyJhbGciOiJkaXIifQ..{}.{}.{}", random_text(16), random_text(80), random_text(22)),
        }
    }

    /// Returns an ID token for a client.
    pub(crate) fn id_token(&self, client: &str) -> String {
        let now = self.now();
        let claims = json!({
            "iss": self.issuer,
            "sub": self.settings.user,
            "aud": client,
            "azp": client,
            "iat": now.as_secs(),
            "exp": (now + self.settings.access_ttl).as_secs(),
            "auth_time": now.as_secs(),
            "preferred_username": self.settings.user,
        });
        self.keys.sign(&claims, &json!({}), self.settings.alg)
    }
}
