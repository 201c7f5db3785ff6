//! A deadline that several waits share.

use std::time::{Duration, Instant};

/// A moment after which nothing more is waited for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline(Instant);

impl Deadline {
    /// Returns the moment after some time.
    #[expect(clippy::disallowed_methods, reason = "a wait is measured here, and no time is told")]
    pub(crate) fn after(patience: Duration) -> Self {
        Self(Instant::now() + patience)
    }

    /// Returns how long may still be waited.
    #[expect(clippy::disallowed_methods, reason = "a wait is measured here, and no time is told")]
    pub(crate) fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }
}
