//! Files that other tools leave behind, read into logins which a command then stores.
//!
//! Everything here is a pure function of bytes: nothing is written, nobody is asked, and nothing is sent. What the files
//! say is foreign: names and addresses are handed on as text, and judged where ours are.

#![warn(clippy::wildcard_enum_match_arm)]

pub(crate) mod kubelogin;
pub(crate) mod oidc_agent;
pub(crate) mod provena;

use crate::profile::AudienceAs;
use crate::secret::{RefreshToken, Secret, StoredSecret};
use crate::token::claims::Claims;
use crate::token::text;
use crate::token::time::Timestamp;

/// The most that is read of a file: a hundred times the largest that any of these tools writes.
pub(crate) const LARGEST: u64 = 1024 * 1024;

/// A login that another tool kept.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    /// What the tool calls it, fit to be shown.
    pub(crate) label: String,
    /// What it could be called here; not every text is a name.
    pub(crate) name: Option<String>,
    /// The provider, as the file or a token says it.
    pub(crate) issuer: Option<String>,
    /// What the provider calls the client.
    pub(crate) client_id: Option<String>,
    /// Where these two were read.
    pub(crate) origin: &'static str,
    /// The client's secret.
    pub(crate) client_secret: Option<StoredSecret>,
    /// The scopes of a login.
    pub(crate) scopes: Vec<String>,
    /// The API that access tokens are for.
    pub(crate) audience: Option<String>,
    /// The parameter that carries it.
    pub(crate) audience_as: Option<AudienceAs>,
    /// Certificates to trust besides the system's.
    pub(crate) ca_file: Option<String>,
    /// Where a device login begins, if somebody set it by hand.
    pub(crate) device_authorization_endpoint: Option<String>,
    /// The long-lived token; none if the tool did not keep one.
    pub(crate) refresh_token: Option<RefreshToken>,
    /// When that token ends, if it says so.
    pub(crate) expires_at: Option<Timestamp>,
    /// What is not taken, for people.
    pub(crate) left: Vec<String>,
    /// A secret in the file that is not taken: shredding the file would lose it.
    pub(crate) keeps_file: Option<&'static str>,
}

/// Why a file cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MigrationFault {
    /// It is something else.
    #[error("it is not {expected}: {reason}")]
    Format {
        /// What it should be.
        expected: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The password does not open it.
    #[error("the password does not open it: it is wrong, or the file was changed")]
    WrongPassword,
    /// The password is right, and the content is not what was written.
    #[error("the password is right, but the file is damaged or was changed")]
    Damaged,
    /// Opening it would cost far more than opening any real one.
    #[error("it asks for more memory or time than oidc-agent ever does ({asked})")]
    TooCostly {
        /// What it asks for.
        asked: String,
    },
    /// There is no memory to derive the key in.
    #[error("there is not enough memory to open it: 64 MiB are needed")]
    NoMemory,
    /// It is locked with a key of GPG's.
    #[error("it is encrypted with GPG, not with a password")]
    Gpg,
    /// What it holds is no token of the provider's.
    #[error("the account is one of a mytoken server, and holds no refresh token of a provider")]
    Mytoken,
}

/// Describes a text that is no JSON of the right form, without repeating any of it: it could be a token.
fn json_fault(expected: &'static str, error: &serde_json::Error) -> MigrationFault {
    use serde_json::error::Category;
    let what = match error.classify() {
        Category::Syntax => "no JSON",
        Category::Eof => "JSON that ends too early",
        Category::Data | Category::Io => "JSON of another form",
    };
    let reason = format!("line {}, column {}: {what}", error.line(), error.column());
    MigrationFault::Format { expected, reason }
}

/// Takes an empty text for none.
fn filled(text: Option<String>) -> Option<String> {
    text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

impl Found {
    /// Takes what is not known yet from the claims of a token: who issued it, and to which client.
    fn learn(&mut self, token: &Secret<String>, origin: &'static str) {
        let Some(claims) = Claims::unverified(token) else { return };
        let client = || claims.text("azp").or_else(|| claims.text("client_id"));
        // the audience of an ID token is its client (OpenID Connect Core section 2)
        let audience = || match claims.audiences().as_slice() {
            [only] if Some(*only) != claims.text("iss") => Some(*only),
            _ => None,
        };
        let read = (claims.text("iss").map(str::to_owned), client().or_else(audience).map(str::to_owned));
        if let (Some(issuer), Some(client_id)) = read
            && (self.issuer.is_none() || self.client_id.is_none())
        {
            (self.issuer, self.client_id, self.origin) = (Some(issuer), Some(client_id), origin);
        }
    }

    /// Takes what the refresh token says of itself: its scopes, and when it ends. Keycloak's are JWTs.
    fn learn_of_itself(&mut self) {
        let claims = self.refresh_token.as_ref().and_then(|token| Claims::unverified(token.secret()));
        let Some(claims) = claims else { return };
        self.expires_at = claims.expires_at();
        if let Some(scope) = claims.text("scope").filter(|_| self.scopes.is_empty()) {
            self.scopes = scope.split_whitespace().map(str::to_owned).collect();
        }
        if claims.text("typ") == Some("Refresh") {
            self.left.push("an offline token: this one ends with its session, so log in again soon".to_owned());
        }
    }
}

/// Makes a text of a file fit to be shown as a label.
fn label(text: &str) -> String {
    text::shown(text)
}
