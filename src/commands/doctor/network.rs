//! The providers of all profiles: reachable, who they say they are, what they offer, and what time it is there.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::{Duration, SystemTime};

use super::Scene;
use super::finding::{Finding, Status};
use crate::idp::{DEVICE_GRANT, IdpError, Metadata, Wire};
use crate::profile::{ClientAuth, Flow, Profile};
use crate::token::time::{Lifetime, Timestamp};

/// Each question has a deadline of its own, and all are asked at once; name lookups have none but this.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// A clock that is further off makes tokens look used up, or good when they are not.
const TOLERANCE: Lifetime = Lifetime::seconds(30);

/// A provider and those who use it: by issuer, and by the certificates that are trusted.
type Asked = BTreeMap<(String, Option<PathBuf>), Vec<Profile>>;

/// Asks every provider once.
pub(super) fn providers(scene: &Scene<'_>) -> Vec<Finding> {
    let Ok(settings) = scene.cx.settings() else {
        return vec![Finding::new("providers", Status::Skip, "the configuration cannot be read")];
    };
    let mut asked = Asked::new();
    for profile in settings.config.profiles.keys().filter_map(|name| settings.profile(name).ok()) {
        let key = (profile.issuer.to_string(), profile.ca_file.clone());
        asked.entry(key).or_default().push(profile);
    }
    let (sender, receiver) = mpsc::channel();
    for (key, profiles) in &asked {
        let (sender, key, profiles, now) = (sender.clone(), key.clone(), profiles.clone(), scene.cx.host.now);
        // one that hangs is left behind, and dies with the process
        let spawned = std::thread::Builder::new().spawn(move || drop(sender.send((key, ask(&profiles, now)))));
        drop(spawned);
    }
    drop(sender);
    collect(&asked, &receiver)
}

/// What one provider's answer came to.
type Found = ((String, Option<PathBuf>), Vec<Finding>);

/// Waits for all answers, but not for ever.
fn collect(asked: &Asked, receiver: &mpsc::Receiver<Found>) -> Vec<Finding> {
    let mut found = BTreeMap::new();
    while found.len() < asked.len() {
        let Ok((key, findings)) = receiver.recv_timeout(PATIENCE) else { break };
        found.insert(key, findings);
    }
    let silent = |key: &(String, _)| {
        let message = format!("{} did not answer within {} s", key.0, PATIENCE.as_secs());
        vec![Finding::new("provider", Status::Fail, message).mend("look at the network and the name server")]
    };
    asked.keys().flat_map(|key| found.remove(key).unwrap_or_else(|| silent(key))).collect()
}

/// Asks one provider for all profiles that use it.
fn ask(profiles: &[Profile], now: fn() -> SystemTime) -> Vec<Finding> {
    let Some(first) = profiles.first() else { return Vec::new() };
    let failed = |error: IdpError| vec![Finding::of_failure("provider", Status::Fail, error)];
    let wire = match Wire::open(first.ca_file.as_deref()) {
        Ok(wire) => wire,
        Err(error) => return failed(error),
    };
    let before: Timestamp = now().into();
    let metadata = match wire.discover(&first.issuer) {
        Ok(metadata) => metadata,
        // nothing is missing if all addresses are known
        Err(error) if profiles.iter().all(|profile| profile.endpoints.token.is_some()) => {
            return vec![Finding::of_failure("provider", Status::Warn, error)];
        }
        Err(error) => return failed(error),
    };
    let mut findings = vec![of_clock(&metadata, before, now().into())];
    findings.extend(of_keys(&wire, &metadata));
    findings.extend(profiles.iter().flat_map(|profile| of_offers(profile, &metadata)));
    findings
}

/// Compares the clocks.
fn of_clock(metadata: &Metadata, before: Timestamp, after: Timestamp) -> Finding {
    let issuer = &metadata.issuer;
    let Some(there) = metadata.clock else {
        return Finding::new("provider", Status::Ok, format!("{issuer} answers"));
    };
    // somewhere between question and answer
    let (ahead, behind) = (before.since(there), there.since(after));
    let off = ahead.max(behind);
    if off > TOLERANCE {
        let which = if ahead > behind { "ahead of" } else { "behind" };
        let message = format!("our clock is {off} {which} that of {issuer}");
        return Finding::new("provider", Status::Warn, message).mend("type `timedatectl set-ntp true`");
    }
    Finding::new("provider", Status::Ok, format!("{issuer} answers, and the clocks agree"))
}

/// Checks that the public keys can be had; `validate` needs them.
fn of_keys(wire: &Wire, metadata: &Metadata) -> Option<Finding> {
    let error = wire.key_set(metadata.jwks.as_ref()?).err()?;
    Some(Finding::of_failure("provider", Status::Warn, error))
}

/// Compares what a profile wants with what the provider says it has; what it does not speak of may be there.
fn of_offers(profile: &Profile, metadata: &Metadata) -> Vec<Finding> {
    let says_no = |list: &[String], word: &str| !list.is_empty() && !list.iter().any(|offered| offered == word);
    let device = match profile.flow {
        Flow::Auto | Flow::Device => DEVICE_GRANT,
    };
    let auth = match profile.client_auth {
        ClientAuth::None => "none",
        ClientAuth::Basic => "client_secret_basic",
        ClientAuth::Post => "client_secret_post",
    };
    let missing = [
        (says_no(&metadata.grant_types, device), "the device flow, by which `generate` logs in"),
        (says_no(&metadata.grant_types, "refresh_token"), "refresh tokens"),
        (says_no(&metadata.client_auth, auth) && profile.client_auth != ClientAuth::None, "its client authentication"),
    ];
    let mend = format!("compare with `tokenkeep profile discover {}`", profile.name);
    let finding = |what: &str| {
        let message = format!("the provider does not say that it has {what}");
        Finding::new(&format!("profile {}", profile.name), Status::Warn, message).mend(mend.clone())
    };
    let missing = missing.iter().filter(|(missing, _)| *missing).map(|(_, what)| finding(what));
    let scopes = profile.scopes.iter().filter(|scope| says_no(&metadata.scopes, scope));
    let scopes = scopes.map(|scope| Finding { status: Status::Info, ..finding(&format!("the scope `{scope}`")) });
    missing.chain(scopes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_are_compared_with_the_time_between_question_and_answer() {
        let at = Timestamp::from_epoch;
        let status = |there: Option<i64>| {
            let issuer = "https://a.example".parse().unwrap();
            let metadata = Metadata { clock: there.map(at), ..Metadata::unasked(&issuer) };
            of_clock(&metadata, at(1_000), at(1_010)).status
        };
        assert_eq!([970, 1_005, 1_040].map(|there| status(Some(there))), [Status::Ok; 3]);
        assert_eq!([969, 1_041].map(|there| status(Some(there))), [Status::Warn; 2]);
        assert_eq!(status(None), Status::Ok);
    }
}
