//! The names that issued tokens carry: owners, services, jobs, and what a person calls a token.

use std::fmt;
use std::str::FromStr;

use super::issued;
use super::text::{self, Look};

/// Why a text is no such name. It is not repeated: it may be a token in the wrong place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NameFault {
    /// It has a character that does not belong there, or is too long or too short.
    #[error("not a name: {0}")]
    Malformed(&'static str),
    /// A token stands where a name belongs.
    #[error("this is a token, where every process can read it; give it on standard input, and the name here")]
    IsAToken,
}

/// Defines a kind of name by what it may look like.
macro_rules! names {
    ($($(#[$doc:meta])* $name:ident $most:literal $inside:expr, $form:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) struct $name(String);

        impl $name {
            /// Returns the text.
            pub(crate) fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameFault;

            fn from_str(text: &str) -> Result<Self, NameFault> {
                if issued::is_token(text) {
                    return Err(NameFault::IsAToken);
                }
                let inside: fn(char) -> bool = $inside;
                let length = text.chars().count();
                let trimmed = text.trim() == text && !text.starts_with('-');
                if (1..=$most).contains(&length) && trimmed && text.chars().all(inside) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(NameFault::Malformed($form))
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }
    )*};
}

names! {
    /// Whom a token speaks for.
    Owner 64 |c| c.is_ascii_alphanumeric() || "._@+-".contains(c), "up to 64 of A-Z a-z 0-9 . _ @ + -";
    /// Whom an internal token is for.
    Service 64 |c| c.is_ascii_alphanumeric() || "._@+-".contains(c), "up to 64 of A-Z a-z 0-9 . _ @ + -";
    /// What a pipeline calls a job.
    Job 128 |c| c.is_ascii_alphanumeric() || "._@+:/-".contains(c), "up to 128 of A-Z a-z 0-9 . _ @ + : / -";
    /// What a person calls a token.
    Label 64 |c| !text::is_deceptive(c), "up to 64 characters that can be printed";
}

/// Takes a word that may be unknown, but is no token: who mixes up the arguments must not see it repeated.
pub(crate) fn no_token(text: &str) -> Result<String, NameFault> {
    match text::classify(text) {
        Look::Jwt => Err(NameFault::IsAToken),
        Look::Opaque | Look::Plain if issued::is_token(text) => Err(NameFault::IsAToken),
        Look::Opaque | Look::Plain => Ok(text.to_owned()),
    }
}

impl Owner {
    /// Tells whether it is a program: the only owners that service tokens have.
    pub(crate) fn is_bot(&self) -> bool {
        self.0.strip_prefix("bot-").is_some_and(|rest| !rest.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;
    use crate::token::issued::{PublicId, TokenKind, compose};

    #[test]
    fn names_are_short_and_harmless() {
        for good in ["ada", "ada@example.org", "bot-ci", "1", "a_b"] {
            assert!(good.parse::<Owner>().is_ok(), "{good}");
        }
        for bad in ["", "a b", "-a", "a/b", "ä", "a\n", &"a".repeat(65)] {
            assert!(bad.parse::<Owner>().is_err(), "{bad:?}");
        }
        assert!("pipeline/17:nightly".parse::<Job>().is_ok());
        assert!("my laptop, blue".parse::<Label>().is_ok());
        for bad in ["a\u{202e}b", "a\u{200b}b", "a\nb"] {
            assert!(bad.parse::<Label>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_token_is_no_name() {
        let (text, _) = compose(TokenKind::Job, &PublicId::of([1; 16]), &Secret::new(Box::new([2; 32])));
        assert_eq!(text.expose().parse::<Job>().unwrap_err(), NameFault::IsAToken);
        assert_eq!(no_token(text.expose()).unwrap_err(), NameFault::IsAToken);
        assert_eq!(no_token("eyJhbGciOiJub25lIn0.e30.").unwrap_err(), NameFault::IsAToken);
        assert!(no_token("reset").is_ok() && no_token("no-such-event-0123456789").is_ok());
    }

    #[test]
    fn a_bot_says_so() {
        let is_bot = |owner: &str| owner.parse::<Owner>().unwrap().is_bot();
        assert!(is_bot("bot-ci") && !is_bot("bot-") && !is_bot("ada"));
    }
}
