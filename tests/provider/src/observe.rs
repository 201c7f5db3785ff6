//! What the provider has seen, for a test to look at.

use std::time::{Duration, Instant};

use crate::device::Decision;
use crate::state::{Standing, State};
use crate::{Endpoint, Provider, Recorded};

impl Provider {
    /// Returns every request, in order of arrival.
    pub fn requests(&self) -> Vec<Recorded> {
        self.state().log.clone()
    }

    /// Returns the last request to an endpoint.
    pub fn last_request(&self, endpoint: Endpoint) -> Recorded {
        let state = self.state();
        let last = state.log.iter().rev().find(|recorded| recorded.endpoint == endpoint).cloned();
        last.unwrap_or_else(|| panic!("no request came to {}", endpoint.name()))
    }

    /// Returns how many requests have arrived at an endpoint.
    pub fn count(&self, endpoint: Endpoint) -> usize {
        count(&self.state(), endpoint)
    }

    /// Returns how often a text arrived as a refresh token, whatever became of the request.
    pub fn presentations(&self, refresh_token: &str) -> usize {
        let presents = |recorded: &&Recorded| {
            recorded.endpoint == Endpoint::Token && recorded.param("refresh_token") == Some(refresh_token)
        };
        self.state().log.iter().filter(presents).count()
    }

    /// Returns how many refreshes were granted, also those whose answer a fault then lost.
    pub fn exchanges(&self) -> usize {
        self.state().exchanges
    }

    /// Says whether an access token would be accepted now.
    pub fn is_access_live(&self, token: &str) -> bool {
        self.state().is_access_live(token)
    }

    /// Says whether a refresh token would be accepted now; asking spends nothing.
    pub fn is_refresh_live(&self, token: &str) -> bool {
        self.state().is_refresh_live(token)
    }

    /// Returns the refresh token that was made last, dead or alive.
    pub fn newest_refresh_token(&self) -> Option<String> {
        self.state().newest_refresh.clone()
    }

    /// Says whether the latest login lives.
    pub fn family_alive(&self) -> bool {
        self.state().families.last().is_some_and(|family| family.standing == Standing::Enabled)
    }

    /// Returns how many logins there have been.
    pub fn logins(&self) -> usize {
        self.state().families.len()
    }

    /// Returns what clients did wrong and nobody has taken yet.
    pub fn violations(&self) -> Vec<String> {
        self.state().violations.clone()
    }

    /// Returns what clients did wrong, and forgets it: the test meant it.
    pub fn take_violations(&self) -> Vec<String> {
        std::mem::take(&mut self.state().violations)
    }

    /// Waits until at least `n` requests have arrived at an endpoint; panics after `timeout`.
    pub fn wait_for(&self, endpoint: Endpoint, n: usize, timeout: Duration) {
        let came = self.shared().wait_until(Instant::now() + timeout, |state| count(state, endpoint) >= n);
        assert!(came, "{} of {n} requests came to {} within {timeout:?}", self.count(endpoint), endpoint.name());
    }

    /// Waits until at least `n` refreshes were granted; panics after `timeout`.
    pub fn wait_for_exchanges(&self, n: usize, timeout: Duration) {
        let came = self.shared().wait_until(Instant::now() + timeout, |state| state.exchanges >= n);
        assert!(came, "{} of {n} refreshes were granted within {timeout:?}", self.exchanges());
    }

    /// Waits for a device grant that nobody has decided and returns its user code; panics after `timeout`.
    pub fn wait_for_user_code(&self, timeout: Duration) -> String {
        let pending = |state: &State| state.devices.iter().any(|device| device.decision == Decision::Pending);
        let came = self.shared().wait_until(Instant::now() + timeout, pending);
        assert!(came, "no device grant was started within {timeout:?}");
        self.pending_user_codes().remove(0)
    }
}

fn count(state: &State, endpoint: Endpoint) -> usize {
    state.log.iter().filter(|recorded| recorded.endpoint == endpoint).count()
}
