//! The device grant: codes, the pace of polling, and what the person decides (RFC 8628).

use std::time::Duration;

use serde_json::{Value, json};

use crate::keys::random_text;
use crate::refusal::Refusal;
use crate::state::State;
use crate::{Approval, IntervalField};

/// How much too early a poll may come: what a network and a busy machine do to a punctual client.
const TOLERANCE: Duration = Duration::from_millis(100);

/// What `slow_down` adds to the interval (RFC 8628 section 3.5), and the interval that holds when none is given.
const FIVE_SECONDS: Duration = Duration::from_secs(5);

/// Holds one device grant.
pub(crate) struct Device {
    /// What the device polls with.
    pub(crate) code: String,
    /// What the person types.
    pub(crate) user_code: String,
    /// The client that asked.
    pub(crate) client: String,
    /// The scopes it asked for.
    pub(crate) scope: Vec<String>,
    /// The audiences it asked for.
    pub(crate) audiences: Vec<String>,
    /// What has been decided.
    pub(crate) decision: Decision,
    interval: Duration,
    expires_at: Duration,
    polled_at: Option<Duration>,
    pending_answers: usize,
}

/// Says how far a device grant is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Decision {
    /// Nobody has decided.
    Pending,
    /// The person said yes.
    Approved,
    /// The person said no.
    Denied,
    /// The tokens were handed out.
    Used,
}

impl State {
    /// Starts a device grant and returns the answer.
    pub(crate) fn start_device(&mut self, client: &str, scope: &[String], audiences: &[String]) -> Value {
        let letters = random_text(8).to_ascii_uppercase();
        let (left, right) = letters.split_at(4);
        let shown = self.settings.interval_field == IntervalField::Shown;
        let device = Device {
            code: random_text(40),
            user_code: format!("{left}-{right}"),
            client: client.to_owned(),
            scope: scope.to_vec(),
            audiences: audiences.to_vec(),
            decision: Decision::Pending,
            interval: if shown { self.settings.device_interval } else { FIVE_SECONDS },
            expires_at: self.now() + self.settings.device_ttl,
            polled_at: None,
            pending_answers: 0,
        };
        let mut answer = json!({
            "device_code": device.code,
            "user_code": device.user_code,
            "verification_uri": self.address("/device"),
            "verification_uri_complete": self.address(&format!("/device?user_code={}", device.user_code)),
            "expires_in": self.settings.device_ttl.as_secs(),
        });
        if shown {
            answer["interval"] = json!(device.interval.as_millis().div_ceil(1000));
        }
        self.devices.push(device);
        answer
    }

    /// Answers a poll: the grant's place once it is approved, or why there is nothing yet.
    pub(crate) fn poll(&mut self, code: &str, client: &str) -> Result<usize, Refusal> {
        let now = self.now();
        let approval = self.settings.approval;
        let at = self.devices.iter().position(|device| device.code == code && device.client == client);
        let Some(at) = at else {
            return Err(Refusal::violation(400, "invalid_grant", "Device code not valid"));
        };
        let device = &mut self.devices[at];
        if device.decision == Decision::Used {
            return Err(Refusal::violation(400, "invalid_grant", "Device code used twice"));
        }
        if now >= device.expires_at {
            return Err(Refusal::new(400, "expired_token", "Device code is expired"));
        }
        device.keep_pace(now)?;
        device.decide(approval);
        match device.decision {
            Decision::Approved => {
                device.decision = Decision::Used;
                Ok(at)
            }
            Decision::Denied | Decision::Used => {
                Err(Refusal::new(400, "access_denied", "The end user denied the authorization request"))
            }
            Decision::Pending => {
                device.pending_answers += 1;
                Err(Refusal::new(400, "authorization_pending", "The authorization request is still pending"))
            }
        }
    }

    /// Notes a poll that a fault answered, so that the client is held to what it was told.
    pub(crate) fn note_faulty_poll(&mut self, code: &str, error: &str) {
        let now = self.now();
        for device in self.devices.iter_mut().filter(|device| device.code == code) {
            device.polled_at = Some(now);
            if error == "slow_down" {
                device.interval += FIVE_SECONDS;
            }
        }
    }

    /// Decides a device grant by its user code.
    pub(crate) fn decide(&mut self, user_code: &str, decision: Decision) {
        let device = self.devices.iter_mut().find(|device| device.user_code == user_code);
        let device = device.unwrap_or_else(|| panic!("no device grant has the user code {user_code}"));
        device.decision = decision;
    }
}

impl Device {
    fn keep_pace(&mut self, now: Duration) -> Result<(), Refusal> {
        let early = self.polled_at.is_some_and(|last| now + TOLERANCE < last + self.interval);
        self.polled_at = Some(now);
        if !early {
            return Ok(());
        }
        let expected = self.interval;
        self.interval += FIVE_SECONDS;
        Err(Refusal::violation(400, "slow_down", format!("polled before {expected:?} had passed")))
    }

    fn decide(&mut self, approval: Approval) {
        match approval {
            Approval::AfterPolls(polls) if self.decision == Decision::Pending && self.pending_answers >= polls => {
                self.decision = Decision::Approved;
            }
            Approval::Deny => self.decision = Decision::Denied,
            Approval::AfterPolls(_) | Approval::ByHand => {}
        }
    }
}
