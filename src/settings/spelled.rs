//! A length of time, and the words in which somebody gave it: `config get` shows a setting as it was written.

use std::fmt;
use std::str::FromStr;

use crate::token::time::{Lifetime, NotALifetime};

/// A length of time as it was written. Two are the same if they are equally long.
#[derive(Clone, Debug)]
pub(crate) struct Spelled {
    /// How long it is.
    pub(crate) lifetime: Lifetime,
    /// How it was written.
    text: String,
}

impl FromStr for Spelled {
    type Err = NotALifetime;

    fn from_str(text: &str) -> Result<Self, NotALifetime> {
        Ok(Self { lifetime: text.parse()?, text: text.to_owned() })
    }
}

impl From<Lifetime> for Spelled {
    fn from(lifetime: Lifetime) -> Self {
        Self { lifetime, text: lifetime.exact() }
    }
}

impl fmt::Display for Spelled {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl PartialEq for Spelled {
    fn eq(&self, other: &Self) -> bool {
        self.lifetime == other.lifetime
    }
}

impl Eq for Spelled {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_stay_and_only_the_length_counts() {
        let (one, other): (Spelled, Spelled) = ("90s".parse().unwrap(), "1m 30s".parse().unwrap());
        assert_eq!((one.to_string(), other.to_string()), ("90s".to_owned(), "1m 30s".to_owned()));
        assert_eq!(one, other);
        assert_ne!(one, Spelled::from(Lifetime::seconds(91)));
    }
}
