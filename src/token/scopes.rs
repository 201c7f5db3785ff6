//! Sets of scopes (RFC 6749 section 3.3): sorted, without repetition, so that equal requests are equal values.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::issued;

/// A set of scopes.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Scopes(BTreeSet<String>);

/// Why a text is no scope. It is not repeated: it may be a token in the wrong place.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotAScope {
    /// It holds a character that RFC 6749 section 3.3 does not allow.
    #[error("a scope is printable ASCII without spaces, quotes and backslashes")]
    Malformed,
    /// A token of ours stands where a scope belongs.
    #[error("this is a token, where every process can read it; give it on standard input, and the scope here")]
    IsAToken,
}

impl Scopes {
    /// Takes texts that each hold one scope, or several with spaces between them.
    pub(crate) fn parse<S: AsRef<str>>(texts: impl IntoIterator<Item = S>) -> Result<Self, NotAScope> {
        let mut scopes = BTreeSet::new();
        for text in texts {
            for scope in text.as_ref().split(' ').filter(|scope| !scope.is_empty()) {
                if !scope.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e)) {
                    return Err(NotAScope::Malformed);
                }
                if issued::is_whole_token(scope) {
                    return Err(NotAScope::IsAToken);
                }
                scopes.insert(scope.to_owned());
            }
        }
        Ok(Self(scopes))
    }

    /// Takes what a provider or a token says, dropping what is no scope.
    pub(crate) fn lenient(text: &str) -> Self {
        Self(text.split_whitespace().map(str::to_owned).collect())
    }

    /// Tells whether nothing is asked for.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Tells whether a scope is among them.
    pub(crate) fn contains(&self, scope: &str) -> bool {
        self.0.contains(scope)
    }

    /// Iterates in alphabetical order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl fmt::Display for Scopes {
    /// Writes the form that goes over the wire: one space between two.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, scope) in self.0.iter().enumerate() {
            let space = if index == 0 { "" } else { " " };
            write!(formatter, "{space}{scope}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_scopes_are_the_same_set_however_they_are_given() {
        let one = Scopes::parse(["b a", "a"]).unwrap();
        let other = Scopes::parse(["a", "b"]).unwrap();
        assert_eq!(one, other);
        assert_eq!(one.to_string(), "a b");
    }

    #[test]
    fn quotes_and_control_characters_are_no_scope() {
        for text in ["a\"b", "a\\b", "a\nb", "é"] {
            assert!(Scopes::parse([text]).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_token_is_no_scope() {
        let token = format!("tku_{}", "a".repeat(71));
        assert_eq!(Scopes::parse([token]).unwrap_err(), NotAScope::IsAToken);
        // what only begins like one may be a provider's
        assert!(Scopes::parse(["tku_read", "tkx_"]).is_ok());
    }
}
