//! What Provena's clients leave: `.tokens.json` with the tokens of each stage, that of the newer client with one pair, and
//! the file that `generate-offline-token` writes, which is the token alone.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Found, MigrationFault, json_fault, label};
use crate::secret::{AccessToken, RefreshToken, StoredSecret};

/// What a file should be.
const EXPECTED: &str = "a `.tokens.json` of Provena's client, or an offline token";

/// There are four stages.
const MOST_STAGES: usize = 100;

/// The file, in the forms of both clients.
#[derive(Deserialize)]
struct TokenFile {
    /// The tokens of each stage.
    stages: Option<BTreeMap<String, Option<Tokens>>>,
    /// The one pair of the newer client.
    #[serde(flatten)]
    only: Tokens,
}

/// A pair of tokens.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Tokens {
    /// The short-lived one, which says who issued it to whom.
    access_token: Option<AccessToken>,
    /// The long-lived one, which is left out for offline logins.
    refresh_token: Option<RefreshToken>,
}

/// Reads a file. Each stage is a login; one without a refresh token is found all the same, and says so.
pub(crate) fn read(bytes: &[u8]) -> Result<Vec<Found>, MigrationFault> {
    let text = std::str::from_utf8(bytes).map_err(|_| wrong("it is not text"))?.trim();
    if text.starts_with(['[', '"']) {
        let what = if text.starts_with('[') { "it is a list" } else { "it is a text in quotes" };
        return Err(wrong(&format!("{what}, and tokens stand in an object, `{{\"stages\": ...}}`, or alone")));
    }
    if !text.starts_with('{') {
        return Ok(vec![token_alone(text)?]);
    }
    let file: TokenFile = serde_json::from_str(text).map_err(|error| json_fault(EXPECTED, &error))?;
    match file.stages {
        Some(stages) if stages.len() > MOST_STAGES => Err(wrong("it has too many stages")),
        Some(stages) => {
            let with_tokens = stages.into_iter().filter_map(|(stage, tokens)| Some((stage, tokens?)));
            Ok(with_tokens.map(|(stage, tokens)| found(&stage, tokens)).collect())
        }
        None if file.only.access_token.is_none() && file.only.refresh_token.is_none() => {
            Err(wrong("it has neither `stages` nor tokens"))
        }
        None => Ok(vec![found("", file.only)]),
    }
}

/// Reads a file that is the token and nothing else.
fn token_alone(text: &str) -> Result<Found, MigrationFault> {
    if text.is_empty() || text.contains(char::is_whitespace) {
        return Err(wrong("it is neither JSON nor one token"));
    }
    let token = StoredSecret::new(text.to_owned()).into();
    Ok(found("", Tokens { access_token: None, refresh_token: Some(token) }))
}

/// Makes a login of a pair of tokens.
fn found(stage: &str, tokens: Tokens) -> Found {
    let mut found = Found {
        label: label(stage),
        name: Some(stage.to_ascii_lowercase()).filter(|name| !name.is_empty()),
        refresh_token: tokens.refresh_token,
        ..Found::default()
    };
    if let Some(token) = found.refresh_token.clone() {
        found.learn(token.secret(), "the claims of its refresh token");
    }
    if let Some(token) = &tokens.access_token {
        found.learn(token.secret(), "the claims of its access token");
    }
    found.learn_of_itself();
    found
}

/// Describes what is wrong with the form.
fn wrong(reason: &str) -> MigrationFault {
    MigrationFault::Format { expected: EXPECTED, reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stage_with_tokens_is_a_login_of_whom_its_tokens_name() {
        let file = include_bytes!("../../tests/fuzz/corpus/foreign_file/provena-stages");
        let logins = read(file).unwrap();
        let names: Vec<_> = logins.iter().map(|found| found.name.as_deref().unwrap()).collect();
        assert_eq!(names, ["dev", "prod", "stage"]);
        let [dev, prod, stage] = logins.as_slice() else { panic!("three") };
        assert_eq!(prod.issuer.as_deref(), Some("https://auth.example.org/auth/realms/main"));
        assert_eq!(prod.client_id.as_deref(), Some("automated-access"));
        assert_eq!((prod.origin, prod.expires_at), ("the claims of its refresh token", None));
        assert_eq!(prod.scopes, ["offline_access"]);
        assert_eq!(dev.client_id.as_deref(), Some("client-tools"));
        assert!(dev.left.first().unwrap().contains("ends with its session"));
        assert_eq!(dev.expires_at.unwrap().epoch(), 4_000_000_000);
        assert!(stage.refresh_token.is_none() && stage.issuer.is_some());
    }

    #[test]
    fn a_pair_and_a_token_alone_are_one_login_without_a_name() {
        let files: [&[u8]; 2] = [
            include_bytes!("../../tests/fuzz/corpus/foreign_file/provena-pair"),
            include_bytes!("../../tests/fuzz/corpus/foreign_file/provena-token"),
        ];
        for file in files {
            let logins = read(file).unwrap();
            let [found] = logins.as_slice() else { panic!("one") };
            assert_eq!((found.name.as_deref(), found.client_id.as_deref()), (None, Some("automated-access")));
        }
        let opaque = read(b"canary-4711\n").unwrap();
        assert!(opaque.first().is_some_and(|found| found.issuer.is_none() && found.refresh_token.is_some()));
    }

    #[test]
    fn what_is_neither_is_refused_without_being_repeated() {
        let files =
            ["", "two words", "{}", "{\"stages\": \"canary-4711\"}", "{\"refresh_token\": [\"canary-4711\"]}", "{"];
        for file in files {
            let fault = read(file.as_bytes()).unwrap_err().to_string();
            assert!(!fault.contains("canary"), "{fault}");
        }
        assert!(read(&[0xff]).is_err());
        let stages: Vec<String> = (0..101).map(|stage| format!("\"{stage}\": null")).collect();
        assert!(read(format!("{{\"stages\": {{{}}}}}", stages.join(",")).as_bytes()).is_err());
    }
}
