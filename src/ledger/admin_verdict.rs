//! Judging an admin token: by the keys that are believed, by what was taken back, and by what it is shown for.

use super::admin::AdminKey;
use super::admin_checks::Seen;
use super::{By, Ledger, LedgerError};
use crate::secret::Secret;
use crate::token::admin_token::{self, AdminToken, Expected, Shown};
use crate::token::claims::Claims;
use crate::token::issuer::Issuer;
use crate::token::policy::{EventRefusal, Holder, Policy};
use crate::token::time::Timestamp;

/// What an admin token must be good for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AdminDemands<'a> {
    /// Who issues admin tokens.
    pub(crate) issuer: &'a Issuer,
    /// Who asks.
    pub(crate) audience: &'a str,
    /// The job that it is shown for.
    pub(crate) job: Option<&'a str>,
    /// The event of that job which its holder reports, and who decides about events.
    pub(crate) event: Option<(&'a Policy, &'a str)>,
}

/// A good admin token, and whose it is.
#[derive(Clone, Debug)]
pub(crate) struct Accepted {
    /// The key that signed it, as it is called here: who acts.
    pub(crate) key: AdminKey,
    /// What it says.
    pub(crate) token: AdminToken,
}

impl Accepted {
    /// Returns who acts, as history says it: what the key is called here, not what the token says.
    pub(crate) fn actor(&self) -> String {
        format!("admin:{}", self.key.name)
    }

    /// Refuses one that speaks for somebody else than was demanded.
    pub(crate) fn require_owner(&self, owner: &str) -> Result<(), AdminRefusal> {
        let name = self.key.name.as_str();
        if owner == name {
            return Ok(());
        }
        Err(AdminRefusal::WrongOwner { name: name.to_owned(), owner: owner.to_owned() })
    }
}

/// Why an admin token is not taken.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum AdminRefusal {
    /// For what it is, or says.
    #[error(transparent)]
    Token(#[from] admin_token::Refusal),
    /// It was taken back.
    #[error("it was revoked at {at}")]
    Revoked {
        /// When.
        at: Timestamp,
    },
    /// Its key was taken back.
    #[error("its key was revoked at {at}")]
    KeyRevoked {
        /// When.
        at: Timestamp,
    },
    /// No token was ever issued for the job.
    #[error("there is no job `{job}`")]
    UnknownJob {
        /// The job.
        job: String,
    },
    /// It speaks for somebody else.
    #[error("it is an admin token of `{name}`, not of `{owner}`")]
    WrongOwner {
        /// What its key is called.
        name: String,
        /// Whom it should speak for.
        owner: String,
    },
    /// Nobody may report the event.
    #[error(transparent)]
    Event(#[from] EventRefusal),
}

/// Why there is no admin token that is good.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AdminChecked {
    /// The answer is no.
    #[error(transparent)]
    Refused(#[from] AdminRefusal),
    /// There is no answer.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl Ledger {
    /// Judges an admin token. Nothing is written yet: whoever asks may demand more.
    pub(crate) fn judge_admin(
        &self,
        token: &Secret<String>,
        demands: &AdminDemands<'_>,
        now: Timestamp,
    ) -> Result<Accepted, AdminChecked> {
        let refused = |refusal: admin_token::Refusal| AdminChecked::Refused(refusal.into());
        let shown = Shown::read(token).map_err(refused)?;
        let key = self.admin_key(shown.kid())?.ok_or_else(|| refused(shown.untrusted()))?;
        let public = key.public()?;
        let (issuer, audience) = (demands.issuer, demands.audience);
        let expected = Expected { key: &public, name: &key.name, retired: key.retired, issuer, audience };
        let token = shown.verify(&expected, now).map_err(refused)?;
        if let Some(at) = self.revoked_since(&key.kid)? {
            return Err(AdminRefusal::KeyRevoked { at }.into());
        }
        if let Some(at) = self.revoked_since(&token.id)? {
            return Err(AdminRefusal::Revoked { at }.into());
        }
        if let Some((policy, event)) = demands.event {
            policy.permit(event, Holder::Admin).map_err(AdminRefusal::from)?;
        }
        match demands.job {
            // its name was mistyped
            Some(job) if !self.knows_job(job)? => Err(AdminRefusal::UnknownJob { job: job.to_owned() }.into()),
            Some(_) | None => Ok(Accepted { key, token }),
        }
    }

    /// Writes down that an admin token was used, and by whom: whoever holds it acts for its key.
    pub(crate) fn record_accepted(
        &mut self,
        accepted: &Accepted,
        demands: &AdminDemands<'_>,
        by: &By,
    ) -> Result<(), LedgerError> {
        let Accepted { key, token } = accepted;
        let (jti, exp) = (token.id.as_str(), token.claims.expires_at());
        let by = By { actor: accepted.actor(), ..by.clone() };
        let event = demands.event.map(|(_, event)| event);
        self.record_admin_use(&Seen { jti, key, exp, job: demands.job, event }, &by)
    }

    /// Writes down that an admin token was refused, if it has the id of one that was minted here.
    pub(crate) fn record_refused(
        &mut self,
        token: &Secret<String>,
        refusal: &AdminRefusal,
        by: &By,
    ) -> Result<(), LedgerError> {
        let claims = Claims::unverified(token);
        let Some(id) = claims.as_ref().and_then(|claims| claims.text("jti")) else { return Ok(()) };
        self.record_admin_denial(id, &refusal.to_string(), by)
    }
}
