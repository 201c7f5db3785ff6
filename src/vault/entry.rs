//! What an entry says: the token set of a profile, or one stored secret. This is the JSON inside the age files.

use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::profile::{ClientAuth, EntryName, SecureUrl};
use crate::secret::{AccessToken, IdToken, RefreshToken, StoredSecret};
use crate::token::scopes::Scopes;
use crate::token::time::{Lifetime, MinTtl, Timestamp};

/// The version of the plaintext's form.
pub(crate) const FORMAT: u32 = 1;

/// One generation of an entry.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// The entry's name, which the path must agree with.
    pub(crate) name: EntryName,
    /// The generation, which the path must agree with.
    pub(crate) generation: u64,
    /// When this generation was written.
    pub(crate) written_at: Timestamp,
    /// What it holds.
    pub(crate) body: Body,
}

/// What an entry holds, by its kind.
#[derive(Clone, Debug)]
pub(crate) enum Body {
    /// A refresh or offline token and what came of it.
    RefreshToken(TokenSet),
    /// An access token that cannot be refreshed.
    AccessToken(FixedToken),
    /// The secret of a confidential client.
    ClientSecret(Stored),
    /// The signing key of an administrator.
    AdminKey(Stored),
    /// Anything else.
    Secret(Stored),
}

/// The outer form of an entry: what is the same for every kind.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope<'a, B> {
    /// The version of this form.
    format: u32,
    /// The entry's name.
    name: EntryName,
    /// The generation.
    generation: u64,
    /// When this generation was written.
    written_at: Timestamp,
    /// The kind, which decides the form of the body.
    kind: &'a str,
    /// What it holds.
    body: B,
}

impl Entry {
    /// Writes the JSON, on one line.
    pub(crate) fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        match &self.body {
            Body::RefreshToken(tokens) => self.envelope(tokens),
            Body::AccessToken(fixed) => self.envelope(fixed),
            Body::ClientSecret(stored) | Body::AdminKey(stored) | Body::Secret(stored) => self.envelope(stored),
        }
    }

    /// Writes the JSON around one kind of body.
    fn envelope<B: Serialize>(&self, body: B) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(&Envelope {
            format: FORMAT,
            name: self.name.clone(),
            generation: self.generation,
            written_at: self.written_at,
            kind: self.body.kind(),
            body,
        })
    }

    /// Reads the JSON; unknown keys, doubled keys and unknown kinds are refused.
    pub(crate) fn from_json(json: &[u8]) -> Result<Self, String> {
        fn inner<'a, B: Deserialize<'a>>(raw: &'a RawValue) -> Result<B, String> {
            serde_json::from_str(raw.get()).map_err(|error| words(&error))
        }
        let envelope: Envelope<'_, &RawValue> = serde_json::from_slice(json).map_err(|error| words(&error))?;
        if envelope.format != FORMAT {
            return Err(format!("its format is {}, not {FORMAT}", envelope.format));
        }
        let body = match envelope.kind {
            "refresh-token" => Body::RefreshToken(inner(envelope.body)?),
            "access-token" => Body::AccessToken(inner(envelope.body)?),
            "client-secret" => Body::ClientSecret(inner(envelope.body)?),
            "admin-key" => Body::AdminKey(inner(envelope.body)?),
            "secret" => Body::Secret(inner(envelope.body)?),
            _ => return Err("its kind is unknown".to_owned()),
        };
        let Envelope { name, generation, written_at, .. } = envelope;
        Ok(Self { name, generation, written_at, body })
    }
}

/// Says what is wrong with the JSON, without the text that stands in the wrong place: it could be a token.
fn words(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let quoted = text.split_once('"').zip(text.rsplit_once('"'));
    quoted.map_or_else(|| text.clone(), |((before, _), (_, after))| format!("{}{after}", before.trim_end()))
}

impl Body {
    /// Returns the word for the kind.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::RefreshToken(_) => "refresh-token",
            Self::AccessToken(_) => "access-token",
            Self::ClientSecret(_) => "client-secret",
            Self::AdminKey(_) => "admin-key",
            Self::Secret(_) => "secret",
        }
    }

    /// Writes the JSON of what is held, without the entry around it.
    pub(crate) fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        match self {
            Self::RefreshToken(tokens) => serde_json::to_vec(tokens),
            Self::AccessToken(fixed) => serde_json::to_vec(fixed),
            Self::ClientSecret(stored) | Self::AdminKey(stored) | Self::Secret(stored) => serde_json::to_vec(stored),
        }
    }

    /// Returns the token set, if this is one.
    pub(crate) const fn tokens(&self) -> Option<&TokenSet> {
        match self {
            Self::RefreshToken(tokens) => Some(tokens),
            Self::AccessToken(_) | Self::ClientSecret(_) | Self::AdminKey(_) | Self::Secret(_) => None,
        }
    }
}

/// A refresh token, where it may be sent, and the access tokens it brought.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenSet {
    /// What the refresh token was born with.
    pub(crate) born: Born,
    /// The long-lived token.
    #[serde(serialize_with = "expose_refresh")]
    pub(crate) refresh_token: RefreshToken,
    /// When the provider said the refresh token ends; `None` is unknown, not expired.
    pub(crate) refresh_expires_at: Option<Timestamp>,
    /// When somebody logged in, or stored the token.
    pub(crate) login_at: Timestamp,
    /// When the provider last took the refresh token.
    pub(crate) used_at: Option<Timestamp>,
    /// Who logged in, for the client alone.
    #[serde(serialize_with = "expose_id")]
    pub(crate) id_token: Option<IdToken>,
    /// The access tokens by what was asked for.
    pub(crate) access: Vec<CachedToken>,
}

/// Where a refresh token may be sent, and as whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Born {
    /// The provider that issued it.
    pub(crate) issuer: SecureUrl,
    /// The client it was issued to.
    pub(crate) client_id: String,
    /// Where it is exchanged; `None` until the first exchange of a token that was stored by hand.
    pub(crate) token_endpoint: Option<SecureUrl>,
    /// How the client shows who it is.
    pub(crate) client_auth: ClientAuth,
    /// The entry that holds the client's secret.
    pub(crate) client_secret: Option<EntryName>,
}

/// What was asked for: the key under which an access token is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    /// The scopes; none means what the login got.
    pub(crate) scopes: Scopes,
    /// The audience, if one was named.
    pub(crate) audience: Option<String>,
}

/// An access token with what is needed to judge it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CachedToken {
    /// What was asked for.
    pub(crate) asked: Asked,
    /// The token.
    #[serde(serialize_with = "expose_access")]
    pub(crate) token: AccessToken,
    /// How it is presented, mostly `Bearer`.
    pub(crate) token_type: String,
    /// The scopes that were granted, if the provider said.
    pub(crate) scopes: Option<Scopes>,
    /// When it was asked for.
    pub(crate) received_at: Timestamp,
    /// When it ends.
    pub(crate) expires_at: Timestamp,
}

impl CachedToken {
    /// Returns how much life is left; nothing, too, if the clock stands before the time of receipt.
    pub(crate) fn left(&self, now: Timestamp) -> Lifetime {
        if now < self.received_at { Lifetime::default() } else { self.expires_at.since(now) }
    }

    /// Tells whether as much life is left as is wanted, and any at all.
    pub(crate) fn is_good(&self, min_ttl: MinTtl, now: Timestamp) -> bool {
        let left = self.left(now);
        left > Lifetime::default() && left >= min_ttl.for_token_of(self.lifetime())
    }

    /// Returns how long the token lives in all.
    pub(crate) fn lifetime(&self) -> Lifetime {
        self.expires_at.since(self.received_at)
    }
}

/// An access token that somebody stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FixedToken {
    /// The token.
    #[serde(serialize_with = "expose_access")]
    pub(crate) token: AccessToken,
    /// When it ends, if that is known.
    pub(crate) expires_at: Option<Timestamp>,
    /// When it was stored.
    pub(crate) stored_at: Timestamp,
}

/// A secret that is handed out as it is.
#[expect(clippy::struct_field_names, reason = "the same word as in the other kinds")]
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stored {
    /// The text.
    #[serde(serialize_with = "expose_stored")]
    pub(crate) secret: StoredSecret,
    /// When it ends, if that is known.
    pub(crate) expires_at: Option<Timestamp>,
    /// When it was stored.
    pub(crate) stored_at: Timestamp,
}

/// Writes a refresh token into the plaintext of an entry.
fn expose_refresh<S: Serializer>(token: &RefreshToken, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(token.expose())
}

/// Writes an access token into the plaintext of an entry.
fn expose_access<S: Serializer>(token: &AccessToken, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(token.expose())
}

/// Writes an ID token into the plaintext of an entry.
#[expect(clippy::ref_option, reason = "serde passes the field itself")]
fn expose_id<S: Serializer>(token: &Option<IdToken>, serializer: S) -> Result<S::Ok, S::Error> {
    token.as_ref().map(IdToken::expose).serialize(serializer)
}

/// Writes a stored secret into the plaintext of an entry.
fn expose_stored<S: Serializer>(secret: &StoredSecret, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose())
}

#[cfg(test)]
impl TokenSet {
    /// A login of nobody in particular, whose one access token lives from one second to another.
    pub(crate) fn sample(received: i64, expires: i64) -> Self {
        Self {
            born: Born {
                issuer: "https://a.example".parse().unwrap(),
                client_id: "c".into(),
                token_endpoint: None,
                client_auth: ClientAuth::None,
                client_secret: None,
            },
            refresh_token: RefreshToken::new("r".into()),
            refresh_expires_at: None,
            login_at: Timestamp::from_epoch(0),
            used_at: None,
            id_token: None,
            access: vec![CachedToken {
                asked: Asked::default(),
                token: AccessToken::new("a".into()),
                token_type: "Bearer".into(),
                scopes: None,
                received_at: Timestamp::from_epoch(received),
                expires_at: Timestamp::from_epoch(expires),
            }],
        }
    }
}
