//! How long admin tokens may live.

use std::fmt;
use std::str::FromStr;

use crate::token::time::{Lifetime, NotALifetime};

/// How long an admin token lives: some seconds to 15 minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AdminLifetime(Lifetime);

impl AdminLifetime {
    /// The most: until then a revocation works only where the ledger is asked.
    pub(crate) const LONGEST: Lifetime = Lifetime::seconds(15 * 60);

    /// Returns the length of time.
    pub(crate) const fn lifetime(self) -> Lifetime {
        self.0
    }
}

impl Default for AdminLifetime {
    /// Long enough for a person to act, too short for a token in a mail or a commit to be worth anything.
    fn default() -> Self {
        Self(Lifetime::seconds(5 * 60))
    }
}

impl FromStr for AdminLifetime {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let lifetime: Lifetime = text.parse().map_err(|fault: NotALifetime| fault.to_string())?;
        if lifetime == Lifetime::default() || lifetime > Self::LONGEST {
            return Err(format!("an admin token lives 1s to {}", Self::LONGEST));
        }
        Ok(Self(lifetime))
    }
}

impl fmt::Display for AdminLifetime {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lifetime_is_a_second_to_15_minutes() {
        let read = |text: &str| text.parse::<AdminLifetime>().map(|ttl| ttl.lifetime().as_seconds()).ok();
        assert_eq!((read("5m"), read("1"), read("15m")), (Some(300), Some(1), Some(900)));
        assert_eq!((read("0"), read("901s"), read("1h"), read("soon")), (None, None, None, None));
        assert_eq!(AdminLifetime::default().lifetime().as_seconds(), 300);
    }
}
