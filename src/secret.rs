//! Secrets: values that cannot be printed, compared by accident or left in memory.
//!
//! There is no `Display` and no `Serialize`; `Debug` is redacted; the memory is wiped on drop.
//! [`Secret::expose`] is the one way to the value, named so that it can be searched for.

use std::fmt;

use serde::Deserialize;
use zeroize::Zeroize;

/// A value that only [`Secret::expose`] shows.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub(crate) struct Secret<T: Zeroize>(T);

impl<T: Zeroize> Secret<T> {
    /// Wraps a value.
    pub(crate) const fn new(value: T) -> Self {
        Self(value)
    }

    /// Shows the value to code that must have it.
    pub(crate) const fn expose(&self) -> &T {
        &self.0
    }
}

impl Secret<[u8; 32]> {
    /// Fills it in its place, so that nothing is copied.
    pub(crate) fn fill<E>(&mut self, source: fn(&mut [u8]) -> Result<(), E>) -> Result<(), E> {
        source(&mut self.0)
    }
}

impl Secret<String> {
    /// Tells whether there is nothing in it.
    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Tells whether another one holds the same text.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[secret]")
    }
}

impl From<StoredSecret> for AccessToken {
    /// Says what kind a stored text is.
    fn from(stored: StoredSecret) -> Self {
        Self(stored.0)
    }
}

impl From<StoredSecret> for RefreshToken {
    /// Says what kind a stored text is.
    fn from(stored: StoredSecret) -> Self {
        Self(stored.0)
    }
}

impl From<StoredSecret> for ClientSecret {
    /// Says what kind a stored text is.
    fn from(stored: StoredSecret) -> Self {
        Self(stored.0)
    }
}

/// Defines one type for each kind of secret text, so that one kind is never passed for another.
macro_rules! secret_texts {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Deserialize)]
        #[serde(transparent)]
        pub(crate) struct $name(Secret<String>);

        impl $name {
            /// Shows the text to code that must have it.
            pub(crate) const fn expose(&self) -> &String {
                self.0.expose()
            }
        }
    )*};
}

/// Lets some kinds be made out of a text that was read or typed.
macro_rules! made_of_texts {
    ($($name:ident)*) => {$(
        impl $name {
            /// Wraps the text.
            pub(crate) const fn new(text: String) -> Self {
                Self(Secret::new(text))
            }
        }
    )*};
}

/// Lets some kinds be passed on without their kind, and without being shown.
macro_rules! passed_on {
    ($($name:ident)*) => {$(
        impl $name {
            /// Returns the text without its kind, and without showing it.
            pub(crate) const fn secret(&self) -> &Secret<String> {
                &self.0
            }
        }
    )*};
}

secret_texts! {
    /// What is shown to an API (RFC 6749 section 1.4).
    AccessToken
    /// What is shown to the token endpoint alone (RFC 6749 section 1.5).
    RefreshToken
    /// Who logged in, for the client alone (OpenID Connect Core section 2).
    IdToken
    /// The password of a confidential client (RFC 6749 section 2.3.1).
    ClientSecret
    /// What the device asks with while the person logs in (RFC 8628 section 3.2).
    DeviceCode
    /// What a person types to open the vault.
    Passphrase
    /// Any other text that somebody stored, or a token of unknown kind.
    StoredSecret
}

made_of_texts! { AccessToken RefreshToken IdToken DeviceCode Passphrase StoredSecret }

passed_on! { AccessToken RefreshToken IdToken Passphrase StoredSecret }

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_of_every_kind_is_redacted() {
        let canary = "canary-4711";
        let shown = [
            format!("{:?}", AccessToken::new(canary.into())),
            format!("{:?}", RefreshToken::new(canary.into())),
            format!("{:?}", IdToken::new(canary.into())),
            format!("{:?}", ClientSecret::from(StoredSecret::new(canary.into()))),
            format!("{:?}", DeviceCode::new(canary.into())),
            format!("{:?}", Passphrase::new(canary.into())),
            format!("{:?}", StoredSecret::new(canary.into())),
            format!("{:?}", Secret::new(canary.to_owned())),
        ];
        for text in shown {
            assert!(!text.contains(canary), "{text}");
            assert!(text.contains("[secret]"), "{text}");
        }
    }
}
