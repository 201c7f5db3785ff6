//! Starts Keycloak with an empty database in memory and makes realms of it from `keycloak/realm.json`, one for every
//! step, so that none sees another's settings, users or events.

use std::net::TcpListener;
use std::process::Stdio;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::http::{Answer, Wire};
use crate::login::Person;
use crate::process::Server;
use crate::provider::{Account, Provider};

/// Some ten seconds on two free cores; a loaded machine takes several times that.
const START: Duration = Duration::from_secs(180);

/// Where `tests/real/install` put it.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/real/keycloak");

/// The realm as a file; its name and the treatment of refresh tokens are changed on import.
const REALM: &str = include_str!("keycloak/realm.json");

/// The administrator of the empty database, on loopback, until the test ends.
const ADMIN: (&str, &str) = ("admin", "only-for-tests");

/// What the realm does with a refresh token that was used.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rotation {
    /// It stays good (`revokeRefreshToken` off).
    Off,
    /// It is dead, and presenting it again kills the newest one (`revokeRefreshToken` on, no reuse).
    On,
}

impl Rotation {
    /// As it stands in the name of a step and its realm.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Off => "rotation off",
            Self::On => "rotation on",
        }
    }
}

/// The running server.
pub(crate) struct Keycloak {
    _server: Server,
    wire: Wire,
    base: String,
}

impl Keycloak {
    /// Starts it on a free port.
    pub(crate) fn start() -> Self {
        let port = free_port();
        let base = format!("http://127.0.0.1:{port}/auth");
        let script = format!("{FOLDER}/bin/kc.sh");
        assert!(std::fs::exists(&script).unwrap(), "Keycloak is not there: run tests/real/install");
        let mut server = Server::start(&script, |command| {
            command
                .args(["start", "--optimized", "--http-enabled=true", "--hostname-strict=false", "--cache=local"])
                .args(["--http-host=127.0.0.1", &format!("--http-port={port}")])
                .env("KC_BOOTSTRAP_ADMIN_USERNAME", ADMIN.0)
                .env("KC_BOOTSTRAP_ADMIN_PASSWORD", ADMIN.1)
                .env("JAVA_OPTS_KC_HEAP", "-Xms128m -Xmx640m")
                .stdout(Stdio::null())
                .stderr(Stdio::null())
        });
        let wire = Wire::new();
        server.ready(&wire, &format!("{base}/realms/master/.well-known/openid-configuration"), START);
        Self { _server: server, wire, base }
    }

    /// Imports the realm under a name.
    pub(crate) fn realm(&self, name: &str, rotation: Rotation) -> Realm<'_> {
        let mut realm: Value = serde_json::from_str(REALM).unwrap();
        realm["realm"] = json!(name);
        realm["revokeRefreshToken"] = json!(rotation == Rotation::On);
        let made = self.admin(Method::POST, "", Some(&realm));
        assert_eq!(made.status, 201, "the realm {name} was not imported");
        Realm { keycloak: self, name: name.to_owned() }
    }

    /// The issuer of any realm, with the parameter's braces as its name: Provena's form of the address.
    pub(crate) fn issuer_of(&self, realm: &str) -> String {
        format!("{}/realms/{realm}", self.base)
    }

    /// One request to the administrator's interface; its token lives a minute only, so each brings its own.
    fn admin(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let login =
            [("client_id", "admin-cli"), ("grant_type", "password"), ("username", ADMIN.0), ("password", ADMIN.1)];
        let token =
            self.wire.post(&format!("{}/protocol/openid-connect/token", self.issuer_of("master")), &login).json();
        let bearer = token["access_token"].as_str().expect("an administrator's token");
        self.wire.call(method, &format!("{}/admin/realms{path}", self.base), bearer, body)
    }
}

/// One realm of it.
pub(crate) struct Realm<'a> {
    keycloak: &'a Keycloak,
    name: String,
}

impl Realm<'_> {
    fn admin(&self, method: Method, path: &str, body: Option<&Value>) -> Value {
        let answer = self.keycloak.admin(method, &format!("/{}{path}", self.name), body);
        assert!(answer.status < 300, "the administrator was answered {}", answer.status);
        answer.json()
    }

    fn events(&self, kind: &str) -> u64 {
        let query = format!("/events?max=1000&type={kind}");
        self.admin(Method::GET, &query, None).as_array().unwrap().len() as u64
    }
}

impl Provider for Realm<'_> {
    fn wire(&self) -> &Wire {
        &self.keycloak.wire
    }

    fn issuer(&self) -> String {
        self.keycloak.issuer_of(&self.name)
    }

    /// What Provena's script asks for, and no `openid`.
    fn scopes(&self) -> &'static [&'static str] {
        &["offline_access"]
    }

    fn jwt_flags(&self) -> &'static [&'static str] {
        &[]
    }

    fn person(&self) -> Person {
        Person { name: "alice", password: "only-for-tests" }
    }

    fn set_token_life(&self, seconds: u32) {
        self.admin(Method::PUT, "", Some(&json!({ "accessTokenLifespan": seconds })));
    }

    fn set_account(&self, account: Account) {
        let mut user = self.admin(Method::GET, "/users?username=alice", None)[0].take();
        user["enabled"] = json!(account == Account::Enabled);
        let path = format!("/users/{}", user["id"].as_str().unwrap());
        self.admin(Method::PUT, &path, Some(&user));
    }

    fn refreshes(&self) -> u64 {
        self.events("REFRESH_TOKEN") + self.events("REFRESH_TOKEN_ERROR")
    }

    fn revocations(&self) -> u64 {
        self.events("REVOKE_GRANT")
    }
}

fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}
