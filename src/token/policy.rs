//! Which events a job may report, and whose token each of them needs. Pure: a list of words, and a decision.

use std::collections::BTreeSet;

use super::text::shown;

/// What may be done to jobs, and with which token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Policy {
    /// Events that need the job's own token, or an admin token.
    job_events: BTreeSet<String>,
    /// Events that need an admin token.
    admin_events: BTreeSet<String>,
}

/// Whose token somebody holds, once it was found to be good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    /// The job itself.
    Job,
    /// An administrator.
    Admin,
}

/// Why an event is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EventRefusal {
    /// Nobody may report it.
    #[error("there is no event `{event}`; those there are: {}", .known.join(", "))]
    Unknown {
        /// The event.
        event: String,
        /// The events that the policy knows.
        known: Vec<String>,
    },
    /// The job's token does not do.
    #[error("the event `{event}` needs an admin token")]
    AdminOnly {
        /// The event.
        event: String,
    },
}

/// Why lists of events are no policy.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PolicyFault {
    /// A word is no event's name.
    #[error("`{}` is no name of an event: up to 64 of A-Z a-z 0-9 . _ -", shown(.0))]
    NotAnEvent(String),
    /// It could not be told which token the event needs.
    #[error("the event `{0}` stands in job_events and in admin_events; leave it in one of them")]
    Doubled(String),
}

impl Policy {
    /// Takes the events that need the job's own token, and those that need an admin token.
    pub(crate) fn new(job_events: BTreeSet<String>, admin_events: BTreeSet<String>) -> Result<Self, PolicyFault> {
        if let Some(event) = job_events.iter().chain(&admin_events).find(|event| !is_event(event)) {
            return Err(PolicyFault::NotAnEvent(event.clone()));
        }
        if let Some(event) = job_events.intersection(&admin_events).next() {
            return Err(PolicyFault::Doubled(event.clone()));
        }
        Ok(Self { job_events, admin_events })
    }

    /// Decides whether the holder of a good token may report an event.
    pub(crate) fn permit(&self, event: &str, holder: Holder) -> Result<(), EventRefusal> {
        let (of_job, of_admin) = (self.job_events.contains(event), self.admin_events.contains(event));
        match holder {
            Holder::Job | Holder::Admin if of_job => Ok(()),
            Holder::Admin if of_admin => Ok(()),
            Holder::Job if of_admin => Err(EventRefusal::AdminOnly { event: event.to_owned() }),
            Holder::Job | Holder::Admin => {
                let known = self.job_events.union(&self.admin_events).cloned().collect();
                Err(EventRefusal::Unknown { event: shown(event), known })
            }
        }
    }

    /// Returns the events that need the job's own token, or an admin token.
    pub(crate) const fn job_events(&self) -> &BTreeSet<String> {
        &self.job_events
    }

    /// Returns the events that need an admin token.
    pub(crate) const fn admin_events(&self) -> &BTreeSet<String> {
        &self.admin_events
    }
}

impl Default for Policy {
    /// The events of a pipeline's job, from its creation to its retirement.
    fn default() -> Self {
        let words = |words: &str| words.split(' ').map(str::to_owned).collect();
        Self { job_events: words(JOB_EVENTS), admin_events: words(ADMIN_EVENTS) }
    }
}

/// Tells whether a word may be an event's name.
fn is_event(word: &str) -> bool {
    let inside = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=64).contains(&word.len()) && word.bytes().all(inside)
}

/// What moves a job forward.
const JOB_EVENTS: &str =
    "create run update resource fail finish index indexed validate validated finalize reject retire";

/// What throws a job's work away, or lets it begin once more.
const ADMIN_EVENTS: &str = "reset ready delete purge";

#[cfg(test)]
mod tests {
    use super::*;

    fn set(words: &[&str]) -> BTreeSet<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn only_an_admin_token_does_for_the_events_of_administrators() {
        let policy = Policy::default();
        for event in ["reset", "ready", "delete", "purge"] {
            let refusal = policy.permit(event, Holder::Job).unwrap_err();
            assert_eq!(refusal, EventRefusal::AdminOnly { event: event.to_owned() });
            assert_eq!(policy.permit(event, Holder::Admin), Ok(()));
        }
    }

    #[test]
    fn both_tokens_do_for_the_events_of_a_job() {
        for holder in [Holder::Job, Holder::Admin] {
            assert_eq!(Policy::default().permit("update", holder), Ok(()));
        }
    }

    #[test]
    fn an_unknown_event_is_refused_whoever_reports_it() {
        for (event, holder) in [("explode", Holder::Admin), ("Update", Holder::Job), ("", Holder::Admin)] {
            let refusal = Policy::default().permit(event, holder).unwrap_err();
            assert!(matches!(refusal, EventRefusal::Unknown { .. }), "{refusal}");
        }
    }

    #[test]
    fn an_event_stands_in_one_list() {
        let doubled = Policy::new(set(&["run", "reset"]), set(&["reset"])).unwrap_err();
        assert!(doubled.to_string().contains("`reset`"), "{doubled}");
        assert!(Policy::new(set(&["run"]), set(&["reset all"])).is_err());
        assert!(Policy::new(set(&[""]), set(&[])).is_err());
        assert!(Policy::new(set(&[]), set(&[])).is_ok());
    }
}
