//! How long a token stays good beside the one that takes its place.

use std::str::FromStr;

use super::time::{Lifetime, NotALifetime};

/// Nothing, which is the default, or up to a day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Overlap(Lifetime);

/// A text is no such length of time.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OverlapFault {
    /// It is no length of time.
    #[error(transparent)]
    NotALifetime(#[from] NotALifetime),
    /// It is too long.
    #[error("a token that was rotated stays good for {} at most", Overlap::LONGEST)]
    TooLong,
}

impl Overlap {
    /// The most: long enough to bring a new token everywhere by hand. Two that are good for longer are two tokens.
    pub(crate) const LONGEST: Lifetime = Lifetime::seconds(86_400);

    /// Takes a length of time.
    pub(crate) fn of(length: Lifetime) -> Result<Self, OverlapFault> {
        if length > Self::LONGEST { Err(OverlapFault::TooLong) } else { Ok(Self(length)) }
    }

    /// Returns how long it is, if it is anything.
    pub(crate) fn length(self) -> Option<Lifetime> {
        Some(self.0).filter(|length| *length > Lifetime::default())
    }
}

impl FromStr for Overlap {
    type Err = OverlapFault;

    fn from_str(text: &str) -> Result<Self, OverlapFault> {
        Self::of(text.parse()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overlap_is_nothing_to_a_day() {
        let read = |text: &str| text.parse::<Overlap>().map(|overlap| overlap.length().map(Lifetime::as_seconds)).ok();
        assert_eq!((read("0s"), read("10m"), read("1d")), (Some(None), Some(Some(600)), Some(Some(86_400))));
        assert_eq!((read("86401s"), read("soon")), (None, None));
    }
}
