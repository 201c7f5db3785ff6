//! What kind of provider a test wants; everything has a default.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::Endpoint;

/// Holds everything that can be chosen before the provider starts.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Says whether and how the provider speaks TLS.
    pub tls: Tls,
    /// Names the port; 0 takes a free one.
    pub port: u16,
    /// Says what follows the host and port in the issuer: "", "/", "/realms/main".
    pub issuer_path: String,
    /// Says what discovery tells.
    pub advertise: Advertise,
    /// Lists the clients that are registered.
    pub clients: Vec<Client>,
    /// Names the person who logs in, the `sub` of her tokens.
    pub user: String,
    /// Says how long an access token lives.
    pub access_ttl: Duration,
    /// Says what an access token looks like.
    pub access_format: Format,
    /// Says how JWTs are signed.
    pub alg: Algorithm,
    /// Says what a refresh does to the access tokens handed out before it.
    pub previous_access: PreviousAccess,
    /// Says what a refresh does to the refresh token that it presents.
    pub rotation: Rotation,
    /// Says whether a refresh token presented after it was spent is the client's violation.
    pub reuse: Reuse,
    /// Says who gets a refresh token.
    pub refresh_tokens: RefreshTokens,
    /// Says how long a refresh token may lie unused; shown as `refresh_expires_in`.
    pub refresh_idle: Option<Duration>,
    /// Says how many characters a refresh token has.
    pub refresh_length: usize,
    /// Says how long a successful refresh takes: the token is spent first, then the answer waits.
    pub refresh_latency: Duration,
    /// Says how far apart device polls must be; in the answer as whole seconds, rounded up.
    pub device_interval: Duration,
    /// Says whether the device answer carries `interval`.
    pub interval_field: IntervalField,
    /// Says how long a device code lives.
    pub device_ttl: Duration,
    /// Says what the person at the browser does.
    pub approval: Approval,
    /// Says whether each answered request is a line on standard error.
    pub log: Log,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            tls: Tls::Plain,
            port: 0,
            issuer_path: String::new(),
            advertise: Advertise::default(),
            clients: vec![Client::public("automated-access"), Client::confidential("confidential", "s3cret-client")],
            user: "ada".to_owned(),
            access_ttl: Duration::from_secs(300),
            access_format: Format::Jwt,
            alg: Algorithm::Es256,
            previous_access: PreviousAccess::StaysGood,
            rotation: Rotation::Strict,
            reuse: Reuse::IsViolation,
            refresh_tokens: RefreshTokens::WithOfflineAccess,
            refresh_idle: None,
            refresh_length: 43,
            refresh_latency: Duration::ZERO,
            device_interval: Duration::from_secs(1),
            interval_field: IntervalField::Shown,
            device_ttl: Duration::from_secs(600),
            approval: Approval::AfterPolls(1),
            log: Log::Silent,
        }
    }
}

/// Says whether and how the provider speaks TLS.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Tls {
    /// Plain HTTP.
    Plain,
    /// A certificate for `localhost` and 127.0.0.1, signed by the CA of `Provider::ca_pem`.
    Good,
    /// Signed by the same CA, but it ended years ago.
    Expired,
    /// Signed by itself; `Provider::ca_pem` is a CA that has nothing to do with it.
    SelfSignedUnknown,
    /// Signed by the CA of `Provider::ca_pem`, for another host.
    WrongName,
}

/// Says what discovery tells.
#[derive(Clone, Debug, Default)]
pub struct Advertise {
    /// Says which of the two documents exist.
    pub documents: Documents,
    /// Lists the endpoints that exist but are left out of the documents.
    pub hidden: Vec<Endpoint>,
    /// Adds to the documents, or replaces what they would say.
    pub extra: Map<String, Value>,
}

/// Says which discovery documents exist.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Documents {
    /// OpenID Connect and RFC 8414.
    #[default]
    Both,
    /// `/.well-known/openid-configuration` alone.
    OpenId,
    /// `/.well-known/oauth-authorization-server` alone.
    OAuth,
    /// None at all: 404.
    Neither,
}

/// Says what happens to a refresh token that is presented.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Rotation {
    /// Stays good; the answer carries no refresh token.
    Off,
    /// Stays good; the answer carries the same text again (Dex within its grace).
    SameText,
    /// A new text each time, and all of them stay good (Keycloak's default).
    NewTextOldStillGood,
    /// A new text each time; presenting a spent one is refused and leaves the newest alive (zitadel).
    NewestLives,
    /// A new text each time; presenting a spent one ends the family and its access tokens (Keycloak strict, Hydra).
    Strict,
    /// Like `Strict`, but a spent one works for this long: each asker gets another new text, all good (Hydra).
    Grace(Duration),
}

/// Says whether a refresh token presented after it was spent is the client's violation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reuse {
    /// The test fails, unless a fault had tampered with the answer that spent the token.
    IsViolation,
    /// The test is about reuse.
    IsExpected,
}

/// Says what a refresh does to the access tokens handed out before it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PreviousAccess {
    /// They live on to their own expiry.
    StaysGood,
    /// They die at once (Hydra, zitadel).
    Revoked,
}

/// Says who gets a refresh token.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RefreshTokens {
    /// Whoever was granted `offline_access`.
    WithOfflineAccess,
    /// Every login.
    Always,
    /// Nobody.
    Never,
}

/// Says what an access token looks like.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    /// Random text.
    Opaque,
    /// A JWT of RFC 9068.
    Jwt,
    /// Random text in five parts that begins like a JWT (zitadel's encrypted tokens).
    Jwe,
}

/// Says how a JWT is signed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Algorithm {
    /// RSA 2048, PKCS #1 v1.5, SHA-256.
    Rs256,
    /// RSA 2048, PSS, SHA-256.
    Ps256,
    /// ECDSA on P-256.
    Es256,
    /// ECDSA on P-384.
    Es384,
    /// Ed25519.
    EdDsa,
}

impl Algorithm {
    /// Lists them all.
    pub const ALL: [Self; 5] = [Self::Rs256, Self::Ps256, Self::Es256, Self::Es384, Self::EdDsa];

    /// Returns the name of RFC 7518 and RFC 8037.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }
}

/// Says whether the device answer carries `interval`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum IntervalField {
    /// It does.
    Shown,
    /// It does not, so RFC 8628's default of 5 s holds, and is enforced.
    Omitted,
}

/// Says what the person at the browser does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Approval {
    /// Approves once so many polls were answered `authorization_pending`.
    AfterPolls(usize),
    /// Nothing until the test calls `Provider::approve` or `Provider::deny`.
    ByHand,
    /// Refuses at the first poll.
    Deny,
}

/// Describes one registered client.
#[derive(Clone, Debug)]
pub struct Client {
    /// Names it.
    pub id: String,
    /// Holds its secret; a public client has none.
    pub secret: Option<String>,
    /// Lists how a confidential client may send its secret.
    pub methods: Vec<Method>,
    /// Lists the scopes it may ask for; `None` is any.
    pub scopes: Option<Vec<String>>,
    /// Lists the audiences and resources it may ask for; `None` is any.
    pub audiences: Option<Vec<String>>,
}

impl Client {
    /// Describes a client without a secret.
    pub fn public(id: &str) -> Self {
        Self { id: id.to_owned(), secret: None, methods: Vec::new(), scopes: None, audiences: None }
    }

    /// Describes a client that may send its secret either way.
    pub fn confidential(id: &str, secret: &str) -> Self {
        Self { secret: Some(secret.to_owned()), methods: vec![Method::Basic, Method::Post], ..Self::public(id) }
    }
}

/// Names a way to send a client secret.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Method {
    /// In the Authorization header.
    Basic,
    /// In the body.
    Post,
}

/// Says whether each answered request is a line on standard error.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Log {
    /// It is not.
    Silent,
    /// Method, path and status.
    Stderr,
}
