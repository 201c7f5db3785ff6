//! What the steps ask of a provider, whichever it is.

use crate::http::Wire;
use crate::login::Person;

/// Who may use an account.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Account {
    Enabled,
    Disabled,
}

/// The audience of every JWT access token here.
pub(crate) const AUDIENCE: &str = "https://api.example.org";

/// The public client at both providers, called like Provena's.
pub(crate) const PUBLIC_CLIENT: &str = "automated-access";

/// The same client with a secret.
pub(crate) const CONFIDENTIAL_CLIENT: &str = "build-farm";

/// The secret of that client.
pub(crate) const CLIENT_SECRET: &str = "only-for-tests";

/// A provider that runs, with one person and the two clients.
pub(crate) trait Provider: Sync {
    /// What a browser reaches it by.
    fn wire(&self) -> &Wire;

    /// Its issuer URL.
    fn issuer(&self) -> String;

    /// The scopes of a login that brings a refresh token.
    fn scopes(&self) -> &'static [&'static str];

    /// Flags of `profile add` that make its access tokens JWTs for [`AUDIENCE`].
    fn jwt_flags(&self) -> &'static [&'static str];

    /// The person who logs in.
    fn person(&self) -> Person;

    /// From now on access tokens live that many seconds.
    fn set_token_life(&self, seconds: u32);

    /// Disables the person or enables it again.
    fn set_account(&self, account: Account);

    /// How many refresh grants were asked for so far, granted or refused.
    fn refreshes(&self) -> u64;

    /// How many revocations the provider carried out.
    fn revocations(&self) -> u64;
}
