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

    /// The end of the canary, so that looking for it does not bring it into memory.
    const MASKED: [u8; 24] = [
        0x36, 0x34, 0x3b, 0x34, 0x27, 0x2c, 0x78, 0x3d, 0x30, 0x34, 0x25, 0x78, 0x2d, 0x62, 0x04, 0x2f, 0x67, 0x0b,
        0x3e, 0x65, 0x1d, 0x22, 0x1a, 0x61,
    ];

    /// Makes the canary; its beginning is what an allocator writes over when memory is given back.
    fn canary() -> String {
        let mut text = String::with_capacity(64 + MASKED.len());
        text.extend(std::iter::repeat_n('x', 64));
        text.extend(MASKED.iter().map(|byte| char::from(byte ^ 0x55)));
        text
    }

    #[cfg(target_os = "linux")]
    /// Tells whether the canary stands in memory that this process can write, the stacks of its threads included.
    fn is_in_memory() -> bool {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let memory = std::fs::File::open("/proc/self/mem").unwrap();
        let writable = maps.lines().filter(|line| line.contains(" rw"));
        writable.into_iter().any(|line| {
            let (from, to) = line.split(' ').next().unwrap().split_once('-').unwrap();
            let [from, to] = [from, to].map(|number| u64::from_str_radix(number, 16).unwrap());
            let mut bytes = vec![0; usize::try_from(to - from).unwrap()];
            // memory that another test gave back meanwhile holds nothing
            let read = std::os::unix::fs::FileExt::read_at(&memory, &mut bytes, from).unwrap_or(0);
            bytes.truncate(read);
            let starts = bytes.iter().enumerate().filter(|(_, byte)| **byte == MASKED[0] ^ 0x55);
            starts.into_iter().any(|(at, _)| {
                let text = bytes.get(at..at + MASKED.len());
                text.is_some_and(|text| text.iter().zip(MASKED).all(|(byte, masked)| byte ^ 0x55 == masked))
            })
        })
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn nothing_is_left_in_memory_of_a_secret_that_was_dropped() {
        let mut json = zeroize::Zeroizing::new(String::with_capacity(200));
        json.extend(["\"", zeroize::Zeroizing::new(canary()).as_str(), "\""]);
        let read: RefreshToken = serde_json::from_str(&json).unwrap();
        let access = AccessToken::new(canary());
        let moved = Some(Box::new(access.clone()));
        let secrets = (read.clone(), read, IdToken::new(canary()), ClientSecret::from(StoredSecret::new(canary())));
        let more = (DeviceCode::new(canary()), Passphrase::new(canary()), Secret::new(canary().into_bytes()));
        assert!(is_in_memory(), "the look finds nothing");
        drop((json, access, moved, secrets, more));
        assert!(!is_in_memory());
    }
}
