//! Points in time and lifetimes, in whole seconds, UTC.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, SecondsFormat};
use serde::{Deserialize, Serialize};

/// A point in time: seconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Timestamp(i64);

impl Timestamp {
    /// Takes the seconds since the epoch.
    pub(crate) const fn from_epoch(seconds: i64) -> Self {
        Self(seconds)
    }

    /// Returns the seconds since the epoch.
    pub(crate) const fn epoch(self) -> i64 {
        self.0
    }

    /// Returns the time a lifetime later; the far future is the furthest there is.
    pub(crate) const fn after(self, lifetime: Lifetime) -> Self {
        Self(self.0.saturating_add_unsigned(lifetime.0))
    }

    /// Returns how long it is from `earlier` to this time; nothing if it is not later.
    pub(crate) fn since(self, earlier: Self) -> Lifetime {
        Lifetime(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let seconds = match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_secs()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_secs()).map_or(i64::MIN, |seconds| -seconds),
        };
        Self(seconds)
    }
}

impl fmt::Display for Timestamp {
    /// Writes RFC 3339.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match DateTime::from_timestamp(self.0, 0) {
            Some(time) => formatter.write_str(&time.to_rfc3339_opts(SecondsFormat::Secs, true)),
            None => write!(formatter, "@{}", self.0),
        }
    }
}

impl FromStr for Timestamp {
    type Err = NotATime;

    /// Reads RFC 3339, with any offset; a day alone is its first second, UTC.
    fn from_str(text: &str) -> Result<Self, NotATime> {
        let whole = DateTime::parse_from_rfc3339(text);
        let time = whole.or_else(|_| DateTime::parse_from_rfc3339(&format!("{text}T00:00:00Z")));
        time.map(|time| Self(time.timestamp())).map_err(|_| NotATime)
    }
}

/// The text is no time of RFC 3339.
#[derive(Debug, thiserror::Error)]
#[error("not a time like 2026-12-31T23:59:59Z, or a day like 2026-12-31")]
pub(crate) struct NotATime;

/// A length of time in whole seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Lifetime(u64);

impl Lifetime {
    /// Takes seconds.
    pub(crate) const fn seconds(seconds: u64) -> Self {
        Self(seconds)
    }

    /// Returns the seconds.
    pub(crate) const fn as_seconds(self) -> u64 {
        self.0
    }

    /// Returns the sum; the longest time is the longest there is.
    pub(crate) const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// Writes it so that reading gives the same again; what people read may be rounded.
    pub(crate) fn exact(self) -> String {
        let short = self.to_string();
        if short.parse().is_ok_and(|read: Self| read == self) { short } else { format!("{}s", self.0) }
    }

    /// Returns half of it, rounded down.
    pub(crate) const fn half(self) -> Self {
        Self(self.0 / 2)
    }
}

impl From<Lifetime> for Duration {
    fn from(lifetime: Lifetime) -> Self {
        Self::from_secs(lifetime.0)
    }
}

impl fmt::Display for Lifetime {
    /// Writes the two largest units: `3d 4h`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];
        let (mut rest, mut written) = (self.0, 0);
        for (size, unit) in UNITS {
            if rest >= size && written < 2 {
                let space = if written == 0 { "" } else { " " };
                write!(formatter, "{space}{}{unit}", rest / size)?;
                rest %= size;
                written += 1;
            }
        }
        if written == 0 { formatter.write_str("0s") } else { Ok(()) }
    }
}

impl FromStr for Lifetime {
    type Err = NotALifetime;

    /// Reads `90s`, `5m`, `8h`, `30d`, `1h 30m`, or a bare number of seconds.
    fn from_str(text: &str) -> Result<Self, NotALifetime> {
        if let Ok(seconds) = text.parse() {
            return Ok(Self(seconds));
        }
        let duration = humantime::parse_duration(text).map_err(|_| NotALifetime)?;
        Ok(Self(duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0))))
    }
}

/// The text is no length of time.
#[derive(Debug, thiserror::Error)]
#[error("not a length of time like 60s, 5m, 8h or 30d")]
pub(crate) struct NotALifetime;

/// When something ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Expires {
    /// At a time.
    At(Timestamp),
    /// Some time from now.
    In(Lifetime),
}

impl Expires {
    /// Returns the time.
    pub(crate) fn end(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(time) => time,
            Self::In(lifetime) => now.after(lifetime),
        }
    }
}

impl FromStr for Expires {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let at = || text.parse().map(Self::At);
        text.parse()
            .map(Self::In)
            .or_else(|_| at())
            .map_err(|_| "not a time like 2026-12-31T23:59:59Z, 2026-12-31 (00:00 UTC) or 90d")
    }
}

/// How much life an access token must have left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MinTtl {
    /// Somebody asked for it with a flag or a variable: less will not do.
    Explicit(Lifetime),
    /// The default or the file's: never more than half of the token's own life.
    Default(Lifetime),
}

impl MinTtl {
    /// Returns how much life a token of this whole lifetime must have left.
    pub(crate) fn for_token_of(self, whole: Lifetime) -> Lifetime {
        match self {
            Self::Explicit(lifetime) => lifetime,
            Self::Default(lifetime) => lifetime.min(whole.half()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_are_read_with_and_without_units() {
        let read = |text: &str| text.parse::<Lifetime>().map(Lifetime::as_seconds).ok();
        assert_eq!(read("60"), Some(60));
        assert_eq!(read("1h 30m"), Some(5_400));
        assert_eq!(read("30d"), Some(2_592_000));
        assert_eq!(read("1500ms"), Some(2));
        assert_eq!(read("soon"), None);
        assert_eq!(read("-5"), None);
    }

    #[test]
    fn lifetimes_are_written_in_their_two_largest_units() {
        assert_eq!(Lifetime::seconds(0).to_string(), "0s");
        assert_eq!(Lifetime::seconds(59).to_string(), "59s");
        assert_eq!(Lifetime::seconds(3_605).to_string(), "1h 5s");
        assert_eq!(Lifetime::seconds(2_592_000 + 60).to_string(), "30d 1m");
    }

    #[test]
    fn lifetimes_are_written_exactly_where_they_are_read_again() {
        for seconds in [0, 60, 3_661, 2_592_000, 90_061] {
            let lifetime = Lifetime::seconds(seconds);
            assert_eq!(lifetime.exact().parse::<Lifetime>().unwrap(), lifetime);
        }
    }

    #[test]
    fn times_are_rfc_3339_both_ways() {
        let time: Timestamp = "2026-11-23T18:00:00+02:00".parse().unwrap();
        assert_eq!(time.to_string(), "2026-11-23T16:00:00Z");
        for text in ["yesterday", "", "2026-11", "2026-11-23T18:00", "2026-11-31", "26-11-23", "2026-11-23Z"] {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_day_is_its_first_second_in_utc() {
        let time: Timestamp = "2027-05-01".parse().unwrap();
        assert_eq!(time.to_string(), "2027-05-01T00:00:00Z");
        let end = "2027-05-01".parse::<Expires>().unwrap().end(Timestamp::from_epoch(0));
        assert_eq!(end, time);
    }

    #[test]
    fn the_far_future_does_not_overflow() {
        let end = Timestamp::from_epoch(i64::MAX).after(Lifetime::seconds(u64::MAX));
        assert_eq!(end.epoch(), i64::MAX);
        assert_eq!(Timestamp::from_epoch(5).since(end), Lifetime::seconds(0));
    }
}
