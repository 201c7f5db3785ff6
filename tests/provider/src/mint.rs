//! JWTs made for tests, good ones and forged ones.

use aws_lc_rs::hmac;
use serde_json::{Value, json};

use crate::keys::{encode, signing_input};
use crate::{Algorithm, Provider};

impl Provider {
    /// Signs `claims` with the provider's key of `alg`; `header` adds to `alg`, `kid` and `typ`, replaces, or removes by null.
    pub fn sign(&self, claims: &Value, header: &Value, alg: Algorithm) -> String {
        self.keys().sign(claims, header, alg)
    }

    /// Forges a token by HS256 with the text of the public key as the secret, the classic confusion of algorithms.
    pub fn forge_hs256_with_public_key(&self, claims: &Value) -> String {
        let alg = self.state().settings.alg;
        let input = signing_input(&json!({ "alg": "HS256", "typ": "JWT" }), claims);
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.keys().public_pem(alg).as_bytes());
        format!("{input}.{}", encode(hmac::sign(&key, input.as_bytes()).as_ref()))
    }

    /// Makes an unsigned token, `alg: none`.
    pub fn alg_none(&self, claims: &Value) -> String {
        format!("{}.", signing_input(&json!({ "alg": "none", "typ": "JWT" }), claims))
    }

    /// Returns the claims that an access token granted now would carry.
    pub fn access_claims(&self, client: &str, scope: &str, audience: &str) -> Value {
        self.state().access_claims(client, scope, &[audience.to_owned()])
    }

    /// Makes an ID token as a login would give it.
    pub fn id_token(&self, client: &str) -> String {
        let state = self.state();
        state.id_token(client)
    }

    /// Returns the key set, as the endpoint does.
    pub fn jwks(&self) -> Value {
        let alg = self.state().settings.alg;
        self.keys().set(alg)
    }

    /// Returns the public key of `alg` as a PEM text.
    pub fn public_pem(&self, alg: Algorithm) -> String {
        self.keys().public_pem(alg)
    }
}
