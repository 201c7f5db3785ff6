//! How often: as a person says it, as systemd's calendar has it, and as cron has it.

use std::fmt;
use std::str::FromStr;

use crate::token::time::Lifetime;

/// The time from one refresh to the next: whole minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Every {
    /// The minutes, at least one.
    minutes: u64,
}

/// The text is no time from one refresh to the next.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotAnInterval {
    /// It is no time at all.
    #[error("not a time like 10m, 1h or 1d")]
    Unreadable,
    /// Neither systemd nor cron is meant for less, and no token lives that short.
    #[error("it must be whole minutes, and at least one")]
    NotMinutes,
    /// An offline token that is used so seldom dies.
    #[error("it must be 30 days at most")]
    TooLong,
}

const HOUR: u64 = 60;
const DAY: u64 = 24 * HOUR;
const WEEK: u64 = 7 * DAY;

impl FromStr for Every {
    type Err = NotAnInterval;

    fn from_str(text: &str) -> Result<Self, NotAnInterval> {
        let seconds = text.parse::<Lifetime>().map_err(|_| NotAnInterval::Unreadable)?.as_seconds();
        match seconds / 60 {
            0 => Err(NotAnInterval::NotMinutes),
            _ if !seconds.is_multiple_of(60) => Err(NotAnInterval::NotMinutes),
            minutes if minutes > 30 * DAY => Err(NotAnInterval::TooLong),
            minutes => Ok(Self { minutes }),
        }
    }
}

impl fmt::Display for Every {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.lifetime().exact())
    }
}

impl Every {
    /// Returns it as a length of time.
    pub(super) const fn lifetime(self) -> Lifetime {
        Lifetime::seconds(self.minutes * 60)
    }

    /// Returns the seconds.
    pub(super) const fn seconds(self) -> u64 {
        self.minutes * 60
    }

    /// Writes it as systemd's calendar has it; `None` where hours and days are no multiple of it.
    pub(super) fn calendar(self) -> Option<String> {
        let hours = self.minutes / HOUR;
        match self.minutes {
            minutes if minutes < HOUR && HOUR.is_multiple_of(minutes) => Some(format!("*:0/{minutes}")),
            HOUR => Some("hourly".to_owned()),
            DAY => Some("daily".to_owned()),
            WEEK => Some("weekly".to_owned()),
            minutes if minutes.is_multiple_of(HOUR) && DAY.is_multiple_of(minutes) => Some(format!("0/{hours}:00")),
            _ => None,
        }
    }

    /// Writes the five fields of a crontab; `None` where cron cannot say it. `spread` moves the minute, so that not all
    /// machines ask a provider in the same one.
    pub(super) fn crontab(self, spread: u64) -> Option<String> {
        let (minute, hour, day) = (spread % HOUR, spread / HOUR % 24, spread % 7);
        let hours = self.minutes / HOUR;
        match self.minutes {
            1 => Some("* * * * *".to_owned()),
            minutes if minutes < HOUR && HOUR.is_multiple_of(minutes) => {
                Some(format!("{}-59/{minutes} * * * *", spread % minutes))
            }
            HOUR => Some(format!("{minute} * * * *")),
            DAY => Some(format!("{minute} {hour} * * *")),
            WEEK => Some(format!("{minute} {hour} * * {day}")),
            minutes if minutes.is_multiple_of(HOUR) && DAY.is_multiple_of(minutes) => {
                Some(format!("{minute} {}-23/{hours} * * *", hour % hours))
            }
            _ => None,
        }
    }

    /// Returns the nearest one that cron can say.
    pub(super) fn nearest_in_cron(self) -> Self {
        let of_hour = (1..HOUR).filter(|minutes| HOUR.is_multiple_of(*minutes));
        let of_day = (1..=24).filter(|hours| 24_u64.is_multiple_of(*hours)).map(|hours| hours * HOUR);
        let nearest = of_hour.chain(of_day).chain([WEEK]).min_by_key(|minutes| minutes.abs_diff(self.minutes));
        Self { minutes: nearest.unwrap_or(HOUR) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every(text: &str) -> Every {
        text.parse().unwrap()
    }

    #[test]
    fn what_divides_an_hour_or_a_day_stands_in_the_calendar_and_in_crontabs() {
        let table = [
            ("1m", "*:0/1", "* * * * *"),
            ("10m", "*:0/10", "7-59/10 * * * *"),
            ("30m", "*:0/30", "7-59/30 * * * *"),
            ("1h", "hourly", "37 * * * *"),
            ("6h", "0/6:00", "37 3-23/6 * * *"),
            ("1d", "daily", "37 15 * * *"),
            ("7d", "weekly", "37 15 * * 6"),
        ];
        for (text, calendar, crontab) in table {
            assert_eq!(every(text).calendar().unwrap(), calendar, "{text}");
            assert_eq!(every(text).crontab(15 * 60 + 37).unwrap(), crontab, "{text}");
        }
    }

    #[test]
    fn what_divides_neither_is_for_a_timer_alone_and_gets_a_neighbour() {
        for (text, near) in [("7m", "6m"), ("45m", "30m"), ("90m", "1h"), ("5h", "4h"), ("2d", "1d"), ("30d", "7d")] {
            assert_eq!((every(text).calendar(), every(text).crontab(0)), (None, None), "{text}");
            let nearest = every(text).nearest_in_cron();
            assert_eq!(nearest, every(near), "{text}");
            assert!(nearest.crontab(0).is_some());
        }
    }

    #[test]
    fn no_field_of_a_crontab_leaves_its_range() {
        for minutes in 1..=10_080 {
            for spread in [0, 59, 60, 1_439, 9_999, u64::MAX] {
                let Some(fields) = (Every { minutes }).crontab(spread) else { continue };
                let first = |field: &str| field.split(['-', '/']).next().and_then(|first| first.parse::<u64>().ok());
                let fields: Vec<Option<u64>> = fields.split(' ').map(first).collect();
                assert!(fields[0].is_none_or(|minute| minute < 60) && fields[1].is_none_or(|hour| hour < 24));
                assert!(fields[4].is_none_or(|day| day < 7) && fields.len() == 5);
            }
        }
    }

    #[test]
    fn seconds_nothing_and_years_are_refused() {
        for text in ["0", "59s", "90s", "31d", "soon", ""] {
            assert!(text.parse::<Every>().is_err(), "{text}");
        }
    }
}
