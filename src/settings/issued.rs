//! `[issued]` and `[policy]`: the tokens of our own, as the settings have them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer};

use super::file::lifetime;
use super::report::{Given, Origin, Setting, Value};
use super::{Settings, SettingsError, Spelled, variable};
use crate::host::Environment;
use crate::host::folders::absolute;
use crate::token::issuer::Issuer;
use crate::token::policy::{Policy, PolicyFault};
use crate::token::scopes::Scopes;
use crate::token::time::Lifetime;

/// `[issued]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct IssuedTable {
    /// The `iss` of admin tokens.
    issuer: Option<Issuer>,
    /// The ledger's file.
    ledger: Option<String>,
    /// How long a job's token lives at most.
    #[serde(deserialize_with = "positive")]
    job_ttl: Option<Spelled>,
    /// How long a user's token lives.
    #[serde(deserialize_with = "positive")]
    user_ttl: Option<Spelled>,
    /// The scopes that a token of ours can have.
    #[serde(deserialize_with = "scopes")]
    known_scopes: Option<Scopes>,
}

/// `[policy]`; a list that is left out is the default one.
#[derive(Debug, Default, Deserialize)]
#[serde(try_from = "PolicyLists")]
pub(crate) struct PolicyTable {
    /// Which lists are there.
    given: [Option<()>; 2],
    /// What they come to.
    pub(super) policy: Policy,
}

/// The lists of `[policy]` as they stand there.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyLists {
    /// Events that need the job's own token, or an admin token.
    job_events: Option<BTreeSet<String>>,
    /// Events that need an admin token.
    admin_events: Option<BTreeSet<String>>,
}

impl TryFrom<PolicyLists> for PolicyTable {
    type Error = PolicyFault;

    fn try_from(PolicyLists { job_events, admin_events }: PolicyLists) -> Result<Self, PolicyFault> {
        let default = Policy::default();
        let given = [job_events.as_ref().map(drop), admin_events.as_ref().map(drop)];
        let job_events = job_events.unwrap_or_else(|| default.job_events().clone());
        let admin_events = admin_events.unwrap_or_else(|| default.admin_events().clone());
        Ok(Self { given, policy: Policy::new(job_events, admin_events)? })
    }
}

/// What the environment says about issued tokens. Nothing there can widen the policy or the scopes: a job's environment is
/// made by others than who runs the ledger.
#[derive(Debug, Default)]
pub(super) struct IssuedVariables {
    /// `TOKENKEEP_ISSUED_ISSUER`.
    issuer: Option<Issuer>,
    /// `TOKENKEEP_LEDGER`.
    ledger: Option<PathBuf>,
    /// `TOKENKEEP_JOB_TTL`.
    job_ttl: Option<Spelled>,
    /// `TOKENKEEP_USER_TTL`.
    user_ttl: Option<Spelled>,
}

impl IssuedVariables {
    /// Reads them.
    pub(super) fn of(env: &Environment) -> Result<Self, SettingsError> {
        let lifetime = |name: &str| match variable::<Spelled>(env, name)? {
            Some(none) if none.lifetime == Lifetime::default() => {
                Err(SettingsError::Variable { variable: name.to_owned(), reason: NOTHING.to_owned() })
            }
            other => Ok(other),
        };
        let ledger = env.raw(LEDGER).map(Path::new);
        Ok(Self {
            issuer: variable(env, ISSUER)?,
            ledger: ledger.map(absolute),
            job_ttl: lifetime(JOB_TTL)?,
            user_ttl: lifetime(USER_TTL)?,
        })
    }
}

impl Settings {
    /// Returns the `iss` of admin tokens; without one it is a URN made with the ledger.
    pub(crate) fn issuer(&self) -> Option<&Issuer> {
        self.issued_variables.issuer.as_ref().or(self.config.issued.issuer.as_ref())
    }

    /// Returns the ledger's file.
    pub(crate) fn ledger(&self) -> PathBuf {
        let in_file = || self.config.issued.ledger.as_deref().map(|path| self.resolve(path));
        self.issued_variables.ledger.clone().or_else(in_file).unwrap_or_else(|| self.folders.data.join("ledger.db"))
    }

    /// Returns who says where the ledger is.
    pub(crate) fn ledger_origin(&self) -> Origin {
        match &self.issued_variables.ledger {
            Some(_) => Origin::Variable(LEDGER.to_owned()),
            None => Given::of(self.config.issued.ledger.as_ref()).origin(),
        }
    }

    /// Returns how long a job's token lives at most.
    pub(crate) fn job_ttl(&self) -> Lifetime {
        /// A day: longer than most jobs run, and short enough that one that was forgotten does not stay.
        const DEFAULT: Lifetime = Lifetime::seconds(24 * 3_600);
        self.given_job_ttl().map_or(DEFAULT, |spelled| spelled.lifetime)
    }

    /// Returns what somebody said of that.
    fn given_job_ttl(&self) -> Option<&Spelled> {
        self.issued_variables.job_ttl.as_ref().or(self.config.issued.job_ttl.as_ref())
    }

    /// Returns how long a user's token lives.
    pub(crate) fn user_ttl(&self) -> Lifetime {
        /// A quarter of a year: what is used still is renewed in time, what is not dies.
        const DEFAULT: Lifetime = Lifetime::seconds(90 * 86_400);
        self.given_user_ttl().map_or(DEFAULT, |spelled| spelled.lifetime)
    }

    /// Returns what somebody said of that.
    fn given_user_ttl(&self) -> Option<&Spelled> {
        self.issued_variables.user_ttl.as_ref().or(self.config.issued.user_ttl.as_ref())
    }

    /// Returns the scopes that a token of ours can have; `None` if any will do.
    pub(crate) const fn known_scopes(&self) -> Option<&Scopes> {
        self.config.issued.known_scopes.as_ref()
    }

    /// Returns which events a job may report, and with whose token.
    pub(crate) const fn policy(&self) -> &Policy {
        &self.config.policy.policy
    }

    /// Lists `[issued]` and `[policy]`.
    pub(super) fn of_issued(&self) -> Vec<Setting> {
        let (table, variables) = (&self.config.issued, &self.issued_variables);
        let IssuedTable { issuer, ledger: _, job_ttl, user_ttl, known_scopes } = table;
        let origin = |variable: (&str, Given), in_file: Given| match variable {
            (name, Given::Yes) => Origin::Variable(name.to_owned()),
            (_, Given::No) => in_file.origin(),
        };
        let of = |name, variable| (name, variable);
        let text = |text: Option<String>| text.map(Value::Text);
        let spelled = |given: Option<&Spelled>, default: &str| {
            Some(Value::Text(given.map_or_else(|| default.to_owned(), ToString::to_string)))
        };
        let events = |events: &BTreeSet<String>| Some(Value::List(events.iter().cloned().collect()));
        let scopes = |scopes: &Scopes| Value::List(scopes.iter().map(str::to_owned).collect());
        let [job_events, admin_events] = &self.config.policy.given;
        let rows = [
            (
                "issued.issuer",
                text(self.issuer().map(ToString::to_string)),
                origin(of(ISSUER, Given::of(variables.issuer.as_ref())), Given::of(issuer.as_ref())),
            ),
            ("issued.ledger", text(Some(self.ledger().display().to_string())), self.ledger_origin()),
            (
                "issued.job_ttl",
                spelled(self.given_job_ttl(), "24h"),
                origin(of(JOB_TTL, Given::of(variables.job_ttl.as_ref())), Given::of(job_ttl.as_ref())),
            ),
            (
                "issued.user_ttl",
                spelled(self.given_user_ttl(), "90d"),
                origin(of(USER_TTL, Given::of(variables.user_ttl.as_ref())), Given::of(user_ttl.as_ref())),
            ),
            ("issued.known_scopes", self.known_scopes().map(scopes), Given::of(known_scopes.as_ref()).origin()),
            ("policy.job_events", events(self.policy().job_events()), Given::of(job_events.as_ref()).origin()),
            ("policy.admin_events", events(self.policy().admin_events()), Given::of(admin_events.as_ref()).origin()),
        ];
        rows.into_iter().map(|(key, value, origin)| Setting::new(key, value, origin)).collect()
    }
}

/// Reads a length of time that is more than nothing.
fn positive<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Spelled>, D::Error> {
    let read = lifetime(deserializer)?;
    let is_nothing = read.as_ref().is_some_and(|read| read.lifetime == Lifetime::default());
    if is_nothing { Err(serde::de::Error::custom(NOTHING)) } else { Ok(read) }
}

/// Reads a list of scopes.
fn scopes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Scopes>, D::Error> {
    let texts: Vec<String> = Vec::deserialize(deserializer)?;
    Scopes::parse(&texts).map(Some).map_err(serde::de::Error::custom)
}

/// Said of a lifetime of 0.
const NOTHING: &str = "a token must live longer than nothing";

/// Sets `issued.issuer`.
const ISSUER: &str = "TOKENKEEP_ISSUED_ISSUER";
/// Sets `issued.ledger`.
const LEDGER: &str = "TOKENKEEP_LEDGER";
/// Sets `issued.job_ttl`.
const JOB_TTL: &str = "TOKENKEEP_JOB_TTL";
/// Sets `issued.user_ttl`.
const USER_TTL: &str = "TOKENKEEP_USER_TTL";
