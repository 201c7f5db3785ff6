//! Starts `oidc-provider` (npm) by the script beside its lock file. Refresh tokens rotate; access tokens are opaque
//! unless a resource is asked for.

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};

use crate::http::Wire;
use crate::login::Person;
use crate::process::Server;
use crate::provider::{AUDIENCE, Account, CLIENT_SECRET, Provider};

/// It starts within a second; a loaded machine takes longer.
const START: Duration = Duration::from_secs(30);

/// Where the server and its libraries are.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real/oidc-provider");

/// The running server.
pub(crate) struct OidcProvider {
    _server: Server,
    wire: Wire,
    issuer: String,
}

impl OidcProvider {
    /// Starts it on a free port.
    pub(crate) fn start() -> Self {
        let mut server = Server::start("node", |command| {
            command
                .arg("server.mjs")
                .current_dir(FOLDER)
                .env("CLIENT_SECRET", CLIENT_SECRET)
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
        });
        let issuer = server.first_line();
        assert!(issuer.starts_with("http://127.0.0.1:"), "oidc-provider did not start: was tests/real/install run?");
        let wire = Wire::new();
        server.ready(&wire, &format!("{issuer}/.well-known/openid-configuration"), START);
        Self { _server: server, wire, issuer }
    }

    fn control(&self, wanted: &Value) {
        self.wire.call(reqwest::Method::POST, &format!("{}/control", self.issuer), "", Some(wanted));
    }

    fn count(&self, name: &str) -> u64 {
        let answer = self.wire.try_get(&format!("{}/control", self.issuer)).unwrap();
        answer.json()[name].as_u64().unwrap()
    }
}

impl Provider for OidcProvider {
    fn wire(&self) -> &Wire {
        &self.wire
    }

    fn issuer(&self) -> String {
        self.issuer.clone()
    }

    fn scopes(&self) -> &'static [&'static str] {
        &["openid", "offline_access"]
    }

    fn jwt_flags(&self) -> &'static [&'static str] {
        &["--scope", "read:all", "--audience", AUDIENCE, "--audience-as", "resource"]
    }

    fn person(&self) -> Person {
        Person { name: "alice", password: "any" }
    }

    fn set_token_life(&self, seconds: u32) {
        self.control(&json!({ "token_life": seconds }));
    }

    fn set_account(&self, account: Account) {
        self.control(&json!({ "disabled": account == Account::Disabled }));
    }

    fn refreshes(&self) -> u64 {
        self.count("exchanges") + self.count("refused")
    }

    fn revocations(&self) -> u64 {
        self.count("revoked")
    }
}
