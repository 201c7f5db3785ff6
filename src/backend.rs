//! What entries rest in. Pure: the settings, the vault and the command line speak of it with the same words.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::token::words::words;

words! {
    /// What entries rest in.
    #[derive(Default)]
    Backend {
        /// One age file for each generation.
        #[default]
        Age "age"
        /// The keyring of the desktop.
        Keyring "keyring"
    }
}

impl Backend {
    /// Says where that is, for people.
    pub(crate) const fn place(self) -> &'static str {
        match self {
            Self::Age => "age files",
            Self::Keyring => "the keyring",
        }
    }

    /// Returns the other one, out of which entries are moved.
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Age => Self::Keyring,
            Self::Keyring => Self::Age,
        }
    }
}

impl Serialize for Backend {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}

impl<'de> Deserialize<'de> for Backend {
    /// Reads the word; nothing is used silently in the place of what is not known.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let known = || format!("there are \"{}\" and \"{}\"", Self::Age, Self::Keyring);
        let unknown = |_| serde::de::Error::custom(format!("not a backend: {}", known()));
        String::deserialize(deserializer)?.parse().map_err(unknown)
    }
}
