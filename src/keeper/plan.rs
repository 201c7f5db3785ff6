//! Deciding: which token is good enough, and whether the refresh token may be presented now. Pure, so that every rule
//! can be tested to its second.

use super::note::{Event, Note};
use crate::host::process::Waiting;
use crate::token::time::{Lifetime, MinTtl, Timestamp};
use crate::vault::entry::{Asked, CachedToken, TokenSet};

/// Whether an exchange is wanted at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fetch {
    /// Only if no cached token is good.
    IfDue,
    /// Never: the cache has to do.
    Never,
    /// Always, unless somebody else brings a new token while we wait for the lock.
    Always,
}

/// What a person takes upon themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Insistence {
    /// Nothing.
    None,
    /// Presenting a token that was refused, is in its back-off, or whose last answer was lost.
    Force,
    /// Presenting even a token that is known to be spent.
    PresentSpent,
}

/// What is wanted of an entry.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// The scopes and the audience.
    pub(crate) asked: Asked,
    /// How much life the token must have left.
    pub(crate) min_ttl: MinTtl,
    /// Whether an exchange is wanted.
    pub(crate) fetch: Fetch,
    /// What a person takes upon themselves.
    pub(crate) insistence: Insistence,
}

/// What stands in the way of presenting the refresh token now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Obstacle {
    /// The provider could not be reached a moment ago.
    BackOff {
        /// When it may be tried again.
        until: Timestamp,
        /// What happened.
        why: String,
    },
    /// The answer to the last presentation was lost, and presenting again now could kill a token that is in use.
    AnswerLost {
        /// When it may be tried again.
        until: Timestamp,
        /// When the answer was lost.
        since: Timestamp,
    },
    /// The provider refused the token, and nothing has changed since.
    Refused {
        /// The note about it.
        note: Note,
    },
}

/// Returns the cached token that can be handed out for what is wanted, if there is one.
pub(super) fn good_token<'a>(tokens: &'a TokenSet, wanted: &Wanted, now: Timestamp) -> Option<&'a CachedToken> {
    let found = tokens.access.iter().find(|cached| cached.asked == wanted.asked)?;
    found.is_good(wanted.min_ttl, now).then_some(found)
}

/// Returns the cached token for what is wanted that has any life left at all.
pub(super) fn living_token<'a>(tokens: &'a TokenSet, asked: &Asked, now: Timestamp) -> Option<&'a CachedToken> {
    let found = tokens.access.iter().find(|cached| &cached.asked == asked)?;
    (found.left(now) > Lifetime::default()).then_some(found)
}

/// What the decision about a presentation rests on, besides the note.
pub(super) struct Circumstances<'a> {
    /// The newest generation's tokens.
    pub(super) tokens: &'a TokenSet,
    /// The code of issuer, client and secret as they are now.
    pub(super) fingerprint: &'a str,
    /// How long the provider takes a rotated refresh token once more.
    pub(super) reuse_grace: Lifetime,
    /// Whether somebody else held the lock when we came.
    pub(super) waiting: Waiting,
    /// What a person takes upon themselves.
    pub(super) insistence: Insistence,
}

/// Decides whether the refresh token may be presented now, given what the last holder of the lock noted.
pub(super) fn may_present(note: Option<&Note>, seen: &Circumstances<'_>, now: Timestamp) -> Result<(), Obstacle> {
    let Some(note) = note.filter(|_| seen.insistence == Insistence::None) else { return Ok(()) };
    // a clock that was put back since would make every pause longer than it is
    let is_past = now >= note.since;
    let after_loss = |retry_at: Timestamp| match note.missing_since() {
        Some(since) => after_loss(since, if is_past { retry_at } else { now }, seen, now),
        None => Ok(()),
    };
    match &note.event {
        Event::Intent => after_loss(note.since.after(back_off(note.tries))),
        Event::Lost { retry_at } => after_loss(*retry_at),
        Event::Unavailable { retry_at, why } => {
            // who waited while another one failed shares that failure; who comes later may try at once
            let shared = seen.waiting == Waiting::Some && now.since(note.since) < PATIENCE;
            if is_past && (now < *retry_at || shared) {
                return Err(Obstacle::BackOff { until: (*retry_at).max(now), why: why.clone() });
            }
            after_loss(now)
        }
        Event::Refused(refused) => {
            let unchanged = refused.fingerprint == seen.fingerprint;
            if unchanged && is_past && now >= refused.at && now < refused.retry_at(note.tries) {
                return Err(Obstacle::Refused { note: note.clone() });
            }
            Ok(())
        }
    }
}

/// How long somebody may have waited for the lock when a failure was noted.
const PATIENCE: Lifetime = Lifetime::seconds(super::LOCK_PATIENCE.as_secs());

/// Decides after a lost answer: at once while the provider's grace period lasts, else when nothing in use can be killed.
fn after_loss(since: Timestamp, retry_at: Timestamp, seen: &Circumstances<'_>, now: Timestamp) -> Result<(), Obstacle> {
    if now >= since && now.since(since) < seen.reuse_grace {
        return Ok(());
    }
    let alive = seen.tokens.access.iter().filter(|cached| cached.left(now) > Lifetime::default());
    let until = alive.map(|cached| cached.expires_at).max().unwrap_or(now).max(retry_at);
    if until > now { Err(Obstacle::AnswerLost { until, since }) } else { Ok(()) }
}

/// Returns the pause after the nth failure in a row: none at first, then 1, 2, 4 seconds and so on to a minute.
pub(super) fn back_off(tries: u32) -> Lifetime {
    match tries {
        0 | 1 => Lifetime::default(),
        2..=7 => Lifetime::seconds(1 << (tries - 2)),
        _ => Lifetime::seconds(60),
    }
}

#[cfg(test)]
mod tests {
    use super::super::note::Refused;
    use super::*;

    const fn at(seconds: i64) -> Timestamp {
        Timestamp::from_epoch(seconds)
    }

    fn wanted(min_ttl: MinTtl) -> Wanted {
        Wanted { asked: Asked::default(), min_ttl, fetch: Fetch::IfDue, insistence: Insistence::None }
    }

    fn is_good(min_ttl: MinTtl, (received, expires): (i64, i64), now: i64) -> bool {
        good_token(&TokenSet::sample(received, expires), &wanted(min_ttl), at(now)).is_some()
    }

    #[test]
    fn a_token_is_good_to_its_last_second_above_the_minimum() {
        let explicit = MinTtl::Explicit(Lifetime::seconds(60));
        assert!(is_good(explicit, (0, 300), 240));
        assert!(!is_good(explicit, (0, 300), 241));
    }

    #[test]
    fn the_default_minimum_is_half_of_a_short_life() {
        let default = MinTtl::Default(Lifetime::seconds(60));
        assert!(is_good(default, (0, 10), 5));
        assert!(!is_good(default, (0, 10), 6));
        assert!(is_good(default, (0, 300), 240));
        assert!(!is_good(default, (0, 300), 241));
    }

    #[test]
    fn a_token_from_the_future_counts_as_expired() {
        assert!(!is_good(MinTtl::Explicit(Lifetime::seconds(0)), (1_000, 1_300), 999));
        assert!(is_good(MinTtl::Explicit(Lifetime::seconds(0)), (1_000, 1_300), 1_000));
        assert!(!is_good(MinTtl::Explicit(Lifetime::seconds(0)), (1_000, 1_300), 1_300));
    }

    fn decide(event: Event, since: i64, change: impl FnOnce(&mut Circumstances<'_>), now: i64) -> Result<(), Obstacle> {
        let tokens = TokenSet::sample(0, 100);
        let mut seen = Circumstances {
            tokens: &tokens,
            fingerprint: "f",
            reuse_grace: Lifetime::default(),
            waiting: Waiting::None,
            insistence: Insistence::None,
        };
        change(&mut seen);
        let note = Note { generation: 1, since: at(since), lost_since: None, tries: 1, event };
        may_present(Some(&note), &seen, at(now))
    }

    fn decide_again(event: Event, grace: u64, now: i64) -> Result<(), Obstacle> {
        let seen = Circumstances {
            tokens: &TokenSet::sample(0, 100),
            fingerprint: "f",
            reuse_grace: Lifetime::seconds(grace),
            waiting: Waiting::None,
            insistence: Insistence::None,
        };
        let note = Note { generation: 1, since: at(50), lost_since: Some(at(40)), tries: 3, event };
        may_present(Some(&note), &seen, at(now))
    }

    #[test]
    fn the_grace_period_began_with_the_first_answer_that_was_lost() {
        assert_eq!(decide_again(Event::Intent, 15, 54), Ok(()));
        assert_eq!(decide_again(Event::Intent, 15, 55), Err(Obstacle::AnswerLost { until: at(100), since: at(40) }));
    }

    #[test]
    fn who_dies_while_presenting_again_leaves_a_pause() {
        let tokens = TokenSet::sample(0, 10);
        let seen = Circumstances {
            tokens: &tokens,
            fingerprint: "f",
            reuse_grace: Lifetime::default(),
            waiting: Waiting::None,
            insistence: Insistence::None,
        };
        let note = Note { generation: 1, since: at(50), lost_since: Some(at(40)), tries: 3, event: Event::Intent };
        assert!(may_present(Some(&note), &seen, at(51)).is_err());
        assert_eq!(may_present(Some(&note), &seen, at(52)), Ok(()));
    }

    #[test]
    fn an_unreachable_provider_does_not_make_a_lost_answer_forgotten() {
        let away = || Event::Unavailable { retry_at: at(60), why: String::new() };
        assert!(matches!(decide_again(away(), 0, 59), Err(Obstacle::BackOff { .. })));
        assert!(matches!(decide_again(away(), 0, 60), Err(Obstacle::AnswerLost { .. })));
        assert_eq!(decide_again(away(), 0, 100), Ok(()));
    }

    #[test]
    fn a_clock_that_was_put_back_does_not_prolong_a_pause() {
        let away = Event::Unavailable { retry_at: at(4_000), why: String::new() };
        assert_eq!(decide(away, 3_700, |_| (), 200), Ok(()));
        assert_eq!(decide(Event::Lost { retry_at: at(3_760) }, 3_700, |_| (), 200), Ok(()));
        let grace = |seen: &mut Circumstances<'_>| seen.reuse_grace = Lifetime::seconds(10);
        assert!(decide(Event::Intent, 3_700, grace, 50).is_err());
    }

    #[test]
    fn after_a_lost_answer_the_cached_token_is_used_up_first() {
        let lost = Obstacle::AnswerLost { until: at(100), since: at(40) };
        assert_eq!(decide(Event::Intent, 40, |_| (), 50), Err(lost));
        assert_eq!(decide(Event::Intent, 40, |_| (), 100), Ok(()));
        assert_eq!(decide(Event::Intent, 40, |seen| seen.reuse_grace = Lifetime::seconds(11), 50), Ok(()));
        assert_eq!(decide(Event::Intent, 40, |seen| seen.insistence = Insistence::Force, 50), Ok(()));
        assert!(decide(Event::Lost { retry_at: at(130) }, 40, |_| (), 129).is_err());
    }

    #[test]
    fn a_refusal_holds_until_its_time_a_change_or_force() {
        let refused =
            || Event::Refused(Refused { at: at(0), words: String::new(), fingerprint: "f".into(), lost_since: None });
        assert!(decide(refused(), 0, |_| (), 899).is_err());
        assert_eq!(decide(refused(), 0, |_| (), 900), Ok(()));
        assert_eq!(decide(refused(), 0, |seen| seen.fingerprint = "other", 10), Ok(()));
        assert_eq!(decide(refused(), 0, |seen| seen.insistence = Insistence::Force, 10), Ok(()));
    }

    #[test]
    fn who_waited_for_a_failure_shares_it_and_who_comes_later_tries() {
        let failed = || Event::Unavailable { retry_at: at(10), why: "refused".into() };
        assert_eq!(decide(failed(), 10, |_| (), 10), Ok(()));
        assert!(decide(failed(), 10, |seen| seen.waiting = Waiting::Some, 10).is_err());
        assert!(decide(failed(), 5, |_| (), 9).is_err());
    }

    #[test]
    fn pauses_grow_to_a_minute() {
        assert_eq!([1, 2, 3, 4, 7, 8, 99].map(|tries| back_off(tries).as_seconds()), [0, 1, 2, 4, 32, 60, 60]);
    }
}
