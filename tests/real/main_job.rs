//! The main job, shown on any provider: log in once, get good access tokens from then on, check them, revoke.

use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::login::Decision;
use crate::provider::{AUDIENCE, PUBLIC_CLIENT, Provider};
use crate::tokenkeep::{Home, Ran, Token};

/// A life within which an expiry is met soon, yet not while a loaded machine still starts the next command.
pub(crate) const SHORT: u32 = 4;

/// A life that no step outlives.
pub(crate) const LONG: u32 = 600;

/// The second `get` is the first one's token, and nobody was asked.
pub(crate) fn cached_token_is_given_without_an_exchange(provider: &dyn Provider) {
    provider.set_token_life(LONG);
    let home = logged_in(provider);
    let before = provider.refreshes();
    let first = home.run(&["get", "prod"]).exits(0).token();
    let second = home.run(&["get", "prod"]).exits(0).token();
    assert_eq!(first, second);
    assert_eq!(provider.refreshes(), before, "a cached token needs no exchange");
    nothing_in_clear(&home, &first);
}

/// After the expiry another token comes, by one exchange; and again after the next.
pub(crate) fn expired_token_is_replaced_by_one_exchange(provider: &dyn Provider) {
    provider.set_token_life(SHORT);
    let home = logged_in(provider);
    let (mut old, mut end) = held(&home);
    for _ in 0..2 {
        let before = provider.refreshes();
        wait_until(end);
        let (new, new_end) = held(&home);
        assert_ne!(new, old, "an expired token is not handed out again");
        assert_eq!(provider.refreshes() - before, 1, "one exchange for one expiry");
        (old, end) = (new, new_end);
    }
}

/// Twenty processes at once get one and the same new token.
pub(crate) fn twenty_askers_of_an_expired_token_cause_one_exchange(provider: &dyn Provider) {
    provider.set_token_life(SHORT);
    let home = logged_in(provider);
    let (expired, end) = held(&home);
    let before = provider.refreshes();
    provider.set_token_life(LONG);
    wait_until(end);
    let answers = home.run_at_once(20, &["get", "prod"]);
    let tokens: Vec<Token> = answers.into_iter().map(|ran| ran.exits(0).token()).collect();
    assert!(tokens.iter().all(|token| *token == tokens[0] && *token != expired), "all get the same new token");
    assert_eq!(provider.refreshes() - before, 1, "twenty askers, one exchange");
}

/// A good token is good; an expired one, one for somebody else, a forged and a foreign one are not.
pub(crate) fn checks_tell_a_good_token_from_a_bad_one(provider: &dyn Provider) {
    provider.set_token_life(SHORT);
    let home = logged_in(provider);
    let (expired, _) = held(&home);
    provider.set_token_life(LONG);
    wait_until(own_end(&expired));
    let good = home.run(&["get", "prod"]).exits(0).token();
    let issuer = provider.issuer();
    let check = |token: &Token, more: &[&str]| {
        let arguments = [&["validate", "--stdin", "--issuer", &issuer], more].concat();
        home.feed(&arguments, &format!("{}\n", token.0))
    };
    check(&good, &["--audience", AUDIENCE]).exits(0);
    check(&expired, &["--audience", AUDIENCE]).exits(3);
    check(&good, &["--audience", "https://other.example.org"]).exits(3);
    check(&forged(&good), &["--audience", AUDIENCE]).exits(3);
    check(&good, &["--audience", AUDIENCE, "--scope", "nobody:has"]).exits(3);
    let foreign = ["validate", "--stdin", "--issuer", "http://127.0.0.1:9/", "--audience", AUDIENCE];
    home.feed(&foreign, &good.0).exits(3);
    home.run(&["validate", "--entry", "prod"]).exits(0);
    nothing_in_clear(&home, &good);
}

/// `--online` for an entry of a client that may not introspect asks by a refresh, and loses nothing.
pub(crate) fn online_check_of_a_public_clients_entry_asks_the_provider(provider: &dyn Provider) {
    provider.set_token_life(LONG);
    let home = logged_in(provider);
    let checked = home.run(&["validate", "--entry", "prod", "--online", "--json"]).exits(0).json();
    let by = checked["checked_by"].as_str();
    assert!(matches!(by, Some("introspection" | "refresh")), "the provider was not asked: {by:?}");
    let token = home.run(&["get", "prod"]).exits(0).token();
    nothing_in_clear(&home, &token);
}

/// A token that says nothing about itself is cached, replaced and checked like a JWT.
pub(crate) fn opaque_token_is_kept_like_any_other(provider: &dyn Provider) {
    provider.set_token_life(SHORT);
    let home = Home::new();
    add_plain_profile(&home, provider, &["--client-id", PUBLIC_CLIENT]);
    log_in(&home, provider, &["generate", "prod"]).exits(0);
    let (old, end) = held(&home);
    assert!(!old.0.contains('.'), "no JWT was asked for");
    provider.set_token_life(LONG);
    wait_until(end);
    let new = home.run(&["get", "prod"]).exits(0).token();
    assert_ne!(new, old);
    assert_eq!(home.run(&["get", "prod"]).exits(0).token(), new);
    home.run(&["validate", "--entry", "prod", "--online"]).exits(0);
    nothing_in_clear(&home, &new);
}

/// A revoked login is gone at the provider and here, and the next `get` says how to log in again.
pub(crate) fn revoked_login_asks_for_another(provider: &dyn Provider) {
    provider.set_token_life(LONG);
    let home = logged_in(provider);
    let before = provider.revocations();
    home.run(&["revoke", "prod"]).exits(0);
    assert!(provider.revocations() > before, "the provider was told");
    home.run(&["get", "prod"]).exits(4).hints("tokenkeep generate prod");
    log_in(&home, provider, &["generate", "prod"]).exits(0);
    home.run(&["get", "prod"]).exits(0).token();
}

/// A home whose profile `prod` has logged in with the public client.
pub(crate) fn logged_in(provider: &dyn Provider) -> Home {
    let home = Home::new();
    add_profile(&home, provider, &["--client-id", PUBLIC_CLIENT]);
    log_in(&home, provider, &["generate", "prod"]).exits(0);
    home
}

/// Adds the profile `prod`, whose access tokens are JWTs.
pub(crate) fn add_profile(home: &Home, provider: &dyn Provider, client: &[&str]) {
    add_plain_profile(home, provider, &[client, provider.jwt_flags()].concat());
}

/// Adds the profile `prod` with what every login needs.
fn add_plain_profile(home: &Home, provider: &dyn Provider, more: &[&str]) {
    let issuer = provider.issuer();
    let common = ["profile", "add", "prod", "--flow", "device", "--issuer", &issuer];
    let scopes: Vec<&str> = provider.scopes().iter().flat_map(|scope| ["--scope", scope]).collect();
    home.run(&[&common, &scopes[..], more].concat()).exits(0);
}

/// Runs a `generate` while a person agrees at the browser.
pub(crate) fn log_in(home: &Home, provider: &dyn Provider, arguments: &[&str]) -> Ran {
    answer_login(home, provider, arguments, Decision::Agree)
}

/// Runs a `generate` while a person decides at the browser.
pub(crate) fn answer_login(home: &Home, provider: &dyn Provider, arguments: &[&str], decision: Decision) -> Ran {
    let mut running = home.start(arguments);
    let link = running.hear(link);
    provider.person().visit(provider.wire(), &link, decision);
    home.finish(running, "")
}

/// The link with the code in it.
fn link(line: &str) -> Option<String> {
    line.split_whitespace().find(|word| word.starts_with("http") && word.contains("user_code=")).map(str::to_owned)
}

/// The token that `get` gives, and the second in which it expires.
pub(crate) fn held(home: &Home) -> (Token, u64) {
    let answer = home.run(&["get", "prod", "--json"]).exits(0).json();
    let token = answer["access_token"].as_str().expect("`access_token` in `get --json`");
    (Token(token.to_owned()), answer["expires_epoch"].as_u64().expect("`expires_epoch` in `get --json`"))
}

/// Waits for a second of the clock: an expiry is an event that nobody reports.
pub(crate) fn wait_until(epoch: u64) {
    let instant = UNIX_EPOCH + Duration::from_secs(epoch);
    if let Ok(left) = instant.duration_since(SystemTime::now()) {
        thread::sleep(left);
    }
}

/// The token with another character in the middle of its signature.
fn forged(token: &Token) -> Token {
    let (signed, signature) = token.0.rsplit_once('.').unwrap();
    let (before, after) = signature.split_at(signature.len() / 2);
    let other = if after.starts_with('A') { 'B' } else { 'A' };
    Token(format!("{signed}.{before}{other}{}", after.chars().skip(1).collect::<String>()))
}

/// When a JWT ends by its own claim, which may be a second after what the answer's `expires_in` says.
fn own_end(token: &Token) -> u64 {
    let payload = token.0.split('.').nth(1).unwrap();
    let claims: serde_json::Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
    claims["exp"].as_u64().unwrap()
}

/// Neither a file nor anything said contains the token.
pub(crate) fn nothing_in_clear(home: &Home, token: &Token) {
    assert!(!home.heard().contains(&token.0), "a token was written to stderr");
    let found = home.files().into_iter().find(|file| holds(&std::fs::read(file).unwrap(), token.0.as_bytes()));
    assert_eq!(found, None, "a token lies in clear");
}

fn holds(file: &[u8], text: &[u8]) -> bool {
    file.windows(text.len()).any(|window| window == text)
}
