//! What is fuzzed (`tests/fuzz`), and what must hold of it whatever the bytes are. Compiled under `cfg(fuzzing)` and in
//! unit tests, which try the kept corpus; it is in no program that anybody runs.
//!
//! Each function takes the bytes of one input and panics if a promise is broken.

#![expect(clippy::panic, reason = "a broken promise ends the run")]

use crate::migration::oidc_agent::AccountFile;
use crate::migration::{kubelogin, provena};
use crate::output::assignments::{Assignment, Format};
use crate::profile::EntryName;
use crate::secret::Secret;
use crate::token::claims::{Claims, is_jwt};
use crate::token::jwt::{self, KeySet};
use crate::token::scopes::Scopes;
use crate::token::text;
use crate::token::time::{Lifetime, Timestamp};
use crate::vault::entry::Entry;
use crate::vault::sealing::{self, Identity, Sealer};
use crate::{idp, settings};

/// The plaintext and the file of an entry: what is read can be written, sealed and opened to the same, and nothing opens
/// that the vault did not seal.
pub fn entry(bytes: &[u8]) {
    let identity = identity();
    let (key, name) = (identity.derive("entry"), some_name());
    assert!(sealing::open(&identity, &key, bytes, (&name, 1)).is_err(), "somebody else's file was opened");
    let Ok(entry) = Entry::from_json(bytes) else { return };
    let written = entry.to_json().unwrap_or_default();
    let again = Entry::from_json(&written).map(|entry| entry.to_json().unwrap_or_default());
    assert_eq!(again.as_deref(), Ok(written.as_slice()), "an entry is read otherwise than it was written");
    assert!(!written.contains(&b'\n'), "an entry is more than a line");
    let place = (&entry.name, entry.generation);
    if let Ok(sealed) = Sealer::of(&identity).seal(&entry) {
        let opened = sealing::open(&identity, &key, &sealed, place);
        assert!(opened.is_ok_and(|opened| opened.to_json().is_ok_and(|opened| opened == written)), "sealed in vain");
        assert!(sealing::open(&identity, &key, &sealed, (place.0, place.1 ^ 1)).is_err(), "it was renumbered");
    }
}

/// `config.toml`: what is read makes profiles that send nothing in clear text, and what is wrong is said in one line.
pub fn config(bytes: &[u8]) {
    settings::fuzzing::config(bytes);
}

/// The text of tokens, names, scopes and lifetimes: what is shown cannot write on a terminal, and no format of `env`
/// lets a value out of its quotes.
pub fn token_text(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    for shown in [text::shown(text), text::escaped(text)] {
        assert!(!shown.chars().any(char::is_control), "a control character is shown");
        assert!(!shown.contains(['\u{202e}', '\u{2066}', '\u{200b}', '\u{feff}']), "text can be reordered or hidden");
    }
    let secret = Secret::new(text.to_owned());
    if text::is_usable(&secret) {
        assert!(text.bytes().all(|byte| byte.is_ascii_graphic()), "a token that is not printable");
    }
    assert!(!is_jwt(&secret) || text.contains('.'), "a JWT without parts");
    if let Ok(name) = text.parse::<EntryName>() {
        assert!(!name.as_str().contains(['/', '\\', '\0']) && !name.as_str().starts_with('.'), "a name is a path");
        assert!(name.as_str().len() <= 64, "a name is too long");
        assert!(!name.profile().as_str().contains('@'), "a profile with a user");
    }
    if let Ok(scopes) = Scopes::parse([text]) {
        assert_eq!(Scopes::parse([scopes.to_string()]).ok(), Some(scopes), "scopes are read otherwise than written");
    }
    if let Ok(lifetime) = text.parse::<Lifetime>() {
        assert_eq!(lifetime.exact().parse::<Lifetime>().ok(), Some(lifetime), "a lifetime is read otherwise");
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        assert_eq!(time.to_string().parse::<Timestamp>().ok(), Some(time), "a time is read otherwise than written");
    }
    assignments(&secret, text);
}

/// Holds the formats of `env` to what their readers make of them.
fn assignments(secret: &Secret<String>, text: &str) {
    let write = |format: Format| format.write(&[Assignment { variable: "V", value: secret }]);
    for format in [Format::Dotenv, Format::Gitlab] {
        assert!(write(format).map_or(true, |lines| lines.matches('\n').count() == 1), "a value added a line");
    }
    if let Ok(lines) = write(Format::Sh) {
        assert_eq!(unquoted(&lines, "export V=").as_deref(), Some(text), "a shell reads another value");
    }
    if let Ok(json) = write(Format::Json) {
        let read = serde_json::from_str::<std::collections::BTreeMap<String, String>>(&json);
        assert!(read.is_ok_and(|read| read.get("V").is_some_and(|value| value == text)), "JSON says another value");
    }
}

/// Reads an assignment as POSIX describes single quotes and backslashes (Shell Command Language 2.2).
fn unquoted(line: &str, front: &str) -> Option<String> {
    let (mut value, mut quoted) = (String::new(), false);
    let mut characters = line.strip_prefix(front)?.strip_suffix('\n')?.chars();
    while let Some(character) = characters.next() {
        match (quoted, character) {
            (_, '\'') => quoted = !quoted,
            (true, other) => value.push(other),
            (false, '\\') => value.push(characters.next()?),
            (false, _) => return None,
        }
    }
    (!quoted).then_some(value)
}

/// What a provider answers, at each of its endpoints.
pub fn provider_answer(bytes: &[u8]) {
    let Ok(issuer) = ISSUER.parse() else { panic!("the issuer cannot be read") };
    idp::fuzzing::answer(bytes, &issuer);
}

/// A JWT from anywhere: none is believed that the provider's key did not sign.
pub fn jwt(bytes: &[u8]) {
    let Ok(token) = String::from_utf8(bytes.to_vec()) else { return };
    let token = Secret::new(token);
    let Some(keys) = KeySet::parse(KEYS.as_bytes()) else { panic!("the key set cannot be read") };
    assert!(jwt::verify(&token, &keys, ISSUER, NOW).is_err(), "a token that nobody signed is good");
    let Some(claims) = Claims::unverified(&token) else { return };
    // what it says is shown to people
    let issued_here = jwt::require_issuer(&token, ISSUER).is_ok();
    assert_eq!(issued_here, claims.text("iss") == Some(ISSUER), "an issuer is read in two ways");
    let audience = claims.audiences().first().map(|&first| first.to_owned()).unwrap_or_default();
    assert_eq!(jwt::require_audience(&claims, &audience).is_ok(), !claims.audiences().is_empty());
    for rejection in [jwt::require_issuer(&token, "").err(), jwt::require_audience(&claims, "\0").err()] {
        let words = rejection.map(|rejection| rejection.to_string()).unwrap_or_default();
        assert!(!words.chars().any(char::is_control), "a claim can write on the terminal");
    }
}

/// A key set from anywhere: no key in it makes a token good that has no signature, a wrong one, or one with a shared secret.
pub fn jwks(bytes: &[u8]) {
    let Some(keys) = KeySet::parse(bytes) else { return };
    for (header, length) in UNSIGNED {
        let token = format!("{header}.{CLAIMS}.{}", "B".repeat(length));
        let verified = jwt::verify(&Secret::new(token), &keys, ISSUER, NOW);
        assert!(verified.is_err(), "a key set made a token good that nobody signed: {header}");
    }
}

/// What another tool left, in each form that is understood: what is shown of it cannot write on a terminal, and no key is
/// derived on the word of a file alone.
pub fn foreign_file(bytes: &[u8]) {
    let account = AccountFile::read(bytes).map(|file| match file {
        AccountFile::Open(found) => vec![*found],
        AccountFile::Locked(_) => Vec::new(),
    });
    let cached = kubelogin::read("0123", bytes).map(|found| vec![found]);
    let users = kubelogin::users(bytes).unwrap_or_default();
    for logins in [account, provena::read(bytes), cached] {
        let words = logins.as_ref().err().map(ToString::to_string).unwrap_or_default();
        assert!(text::is_honest(&words), "a fault can write on the terminal: {words:?}");
        for found in logins.unwrap_or_default() {
            let completed = users.iter().map(|user| user.complete(found.clone()));
            for found in completed.chain([found.clone()]) {
                let said = found.left.join("") + &found.label;
                assert!(text::is_honest(&said), "a file can write on the terminal: {said:?}");
            }
        }
    }
}

/// Whose tokens are expected.
const ISSUER: &str = "https://a.example";

/// A time at which the tokens below have not expired.
const NOW: Timestamp = Timestamp::from_epoch(1_800_000_000);

/// The public keys of the examples in RFC 7517 appendix A.1 and RFC 8037 appendix A.2; no fuzzer computes a signature.
const KEYS: &str = r#"{"keys":[
{"kty":"EC","crv":"P-256","use":"sig","kid":"1","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"},
{"kty":"OKP","crv":"Ed25519","kid":"2",
"x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

/// The claims of a token of the issuer that is good at that time.
const CLAIMS: &str = "eyJpc3MiOiJodHRwczovL2EuZXhhbXBsZSIsImF1ZCI6IngiLCJzdWIiOiJhZGEiLCJleHAiOjQwMDAwMDAwMDB9";

/// Headers that name `none`, `HS256`, `RS256`, `ES256` and `EdDSA`, and a signature of the right length that nobody made.
const UNSIGNED: [(&str, usize); 5] = [
    ("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0", 0),
    ("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9", 43),
    ("eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9", 342),
    ("eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCJ9", 86),
    ("eyJhbGciOiJFZERTQSIsInR5cCI6IkpXVCJ9", 86),
];

/// Returns the identity of the vault that is fuzzed.
fn identity() -> Identity {
    // the identity of the age format's own test vectors: no vault of anybody's is opened by it
    let text = "AGE-SECRET-KEY-1EGTZVFFV20835NWYV6270LXYVK2VKNX2MMDKWYKLMGR48UAWX40Q2P2LM0";
    let Some(identity) = Identity::parse(text) else { panic!("the identity cannot be read") };
    identity
}

/// Returns the name of an entry.
fn some_name() -> EntryName {
    let Ok(name) = "prod".parse() else { panic!("the name cannot be read") };
    name
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Tries every file of a target's corpus.
    fn replay(target: &str, fuzz: fn(&[u8])) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target);
        let mut count = 0;
        for item in std::fs::read_dir(folder).unwrap() {
            let path = item.unwrap().path();
            fuzz(&std::fs::read(&path).unwrap());
            count += 1;
        }
        assert!(count > 5, "{target} has a corpus of {count} files");
    }

    #[test]
    fn the_kept_corpora_break_no_promise() {
        replay("entry", entry);
        replay("config", config);
        replay("token_text", token_text);
        replay("provider_answer", provider_answer);
        replay("jwt", jwt);
        replay("jwks", jwks);
        replay("foreign_file", foreign_file);
    }

    #[test]
    fn the_promises_can_be_broken() {
        assert_eq!(unquoted("export V='a'\\''b'\n", "export V=").as_deref(), Some("a'b"));
        assert_eq!(unquoted("export V='a'$(b)\n", "export V="), None);
        assert_eq!(unquoted("export V='a\n", "export V="), None);
    }
}
