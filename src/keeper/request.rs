//! What the front of an exchange and its detached child tell each other: one request, one answer, as JSON.

use serde::{Deserialize, Serialize, Serializer};

use super::error::chain;
use super::exact_path::ExactPath;
use super::note::Note;
use crate::backend::Backend;
use crate::host::files::FileFault;
use crate::idp::{IdpError, Refusal};
use crate::profile::{AudienceAs, EntryName};
use crate::secret::{ClientSecret, DeviceCode};
use crate::token::scopes::Scopes;
use crate::vault::entry::{Asked, Born, CachedToken, TokenSet};
use crate::vault::sealing::Sealer;

/// Everything that one exchange needs. The vault identity is not among it.
#[derive(Serialize, Deserialize)]
pub(super) struct Request {
    /// The entry.
    pub(super) name: EntryName,
    /// The vault's folder.
    pub(super) vault: ExactPath,
    /// What a new entry rests in.
    pub(super) backend: Backend,
    /// The number of the generation that a success becomes.
    pub(super) next: u64,
    /// What seals a success.
    pub(super) sealer: Sealer,
    /// Where the request goes, and as whom.
    pub(super) born: Born,
    /// The client's secret.
    #[serde(serialize_with = "expose_secret")]
    pub(super) client_secret: Option<ClientSecret>,
    /// Certificates to trust besides the system's.
    pub(super) ca_file: Option<ExactPath>,
    /// What is presented.
    pub(super) presented: Presented,
    /// Under which key the access token is kept.
    pub(super) asked: Asked,
    /// The scopes to send.
    pub(super) scopes: Scopes,
    /// The audience to send, and how.
    pub(super) audience: Option<(AudienceAs, String)>,
    /// The code of issuer, client and secret, which a refusal is noted with.
    pub(super) fingerprint: String,
    /// Where spent tokens are noted.
    pub(super) journal: ExactPath,
}

/// What is presented to the token endpoint.
#[derive(Serialize, Deserialize)]
pub(super) enum Presented {
    /// The refresh token of a generation.
    Refresh {
        /// The generation.
        generation: u64,
        /// Its tokens.
        tokens: Box<TokenSet>,
        /// The note that was in force before.
        before: Option<Note>,
    },
    /// The device code of a login.
    Device {
        /// The code.
        #[serde(serialize_with = "expose_code")]
        code: DeviceCode,
    },
}

/// Writes a client's secret into the request to the child.
#[expect(clippy::ref_option, reason = "serde passes the field itself")]
fn expose_secret<S: Serializer>(secret: &Option<ClientSecret>, serializer: S) -> Result<S::Ok, S::Error> {
    secret.as_ref().map(ClientSecret::expose).serialize(serializer)
}

/// Writes a device code into the request to the child.
fn expose_code<S: Serializer>(code: &DeviceCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(code.expose())
}

/// What became of an exchange.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    /// The provider granted it, and it rests on the disk.
    Granted {
        /// The access token; `None` if the provider sent none that can be used.
        token: Option<CachedToken>,
        /// Why it could not be published; the next holder of the lock will.
        unpublished: Option<String>,
    },
    /// The provider refused it.
    Refused(Refusal),
    /// The provider could not be reached, or sent us away: nothing was spent.
    Unavailable {
        /// Why.
        why: String,
    },
    /// It was sent, and no answer came back.
    Lost {
        /// Why.
        why: String,
    },
    /// Nothing was sent.
    NotSent(NotSent),
    /// The provider granted a login without a refresh token.
    NoRefreshToken,
    /// The provider granted it, and it could not be written anywhere.
    NotKept {
        /// Why.
        why: String,
        /// The command that mends it, or shows what is wrong.
        mend: Option<String>,
    },
}

/// Why nothing was sent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct NotSent {
    /// Why, in words.
    pub(crate) why: String,
    /// Where it must be mended.
    pub(crate) place: Place,
    /// The command that mends it, or shows what is wrong.
    pub(crate) mend: Option<String>,
}

/// Where something must be mended before a request can be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Place {
    /// This machine: its disk, mostly.
    Machine,
    /// The configuration.
    Configuration,
}

impl From<FileFault> for NotSent {
    fn from(fault: FileFault) -> Self {
        Self { why: chain(&fault), place: Place::Machine, mend: fault.mend() }
    }
}

impl From<IdpError> for NotSent {
    fn from(error: IdpError) -> Self {
        let place = if error.is_temporary() { Place::Machine } else { Place::Configuration };
        Self { why: chain(&error), place, mend: None }
    }
}
