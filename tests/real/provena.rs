//! Provena's own way of working, row by row, on Keycloak: stages as profiles with parameters, realm URLs as issuers
//! (with the old `/auth` in them), a token file of its `offline_tokens.py`, and what its users do with the token.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::keycloak::{Keycloak, Realm, Rotation};
use crate::login::Decision;
use crate::main_job::{LONG, answer_login, held, log_in, logged_in, nothing_in_clear};
use crate::provider::{PUBLIC_CLIENT, Provider as _};
use crate::tokenkeep::{Home, Token};

/// A step and its name.
type Step<'a> = (&'a str, fn(&Keycloak));

/// What Provena's users do.
pub(crate) const STEPS: &[Step<'static>] = &[
    ("stages as profiles with parameters", stages_are_profiles_with_parameters),
    ("a token file of offline_tokens.py", token_file_of_offline_tokens_is_imported),
    ("a dead token file", dead_token_file_is_told_from_a_good_one),
    ("one profile refreshed", forced_refresh_touches_one_profile_only),
    ("ways to use the token", token_goes_where_it_is_used),
    ("the day the offline token dies", offline_token_dies_when_it_was_idle_too_long),
    ("quiet and machine-readable", quiet_login_still_shows_its_link),
];

/// The days of `offlineSessionIdleTimeout`, in seconds.
const IDLE: u64 = 30 * 86_400;

/// `--param`, its variable and its absence; and a stage's token goes to no other stage.
fn stages_are_profiles_with_parameters(keycloak: &Keycloak) {
    let dev = keycloak.realm("dev", Rotation::Off);
    let stage = keycloak.realm("stage", Rotation::Off);
    dev.set_token_life(LONG);
    stage.set_token_life(LONG);
    let mut home = Home::new();
    add(&home, "provena", &keycloak.issuer_of("{realm}"));

    assert!(names_realm(&home.run(&["get", "provena"]).exits(2).stderr), "a missing parameter is named");
    log_in(&home, &dev, &["--param", "realm=dev", "generate", "provena"]).exits(0);
    let by_flag = home.run(&["--param", "realm=dev", "get", "provena"]).exits(0).token();
    home.set("TOKENKEEP_PARAM_REALM", "dev");
    let by_variable = home.run(&["get", "provena"]).exits(0).token();
    assert_eq!(by_flag, by_variable);

    let asked = stage.refreshes();
    home.run(&["--param", "realm=stage", "get", "provena", "--no-cache"]).exits(4);
    assert_eq!(stage.refreshes(), asked, "a stage's token is not sent to another");
    home.unset("TOKENKEEP_PARAM_REALM");
    home.run(&["--param", "realm=dev", "refresh", "provena", "--force"]).exits(0);
    let listed = home.run(&["profile", "list", "--json"]).exits(0).json();
    assert_eq!(listed.as_array().map(Vec::len), Some(1));
    home.run(&["--param", "realm=dev", "profile", "show", "provena"]).exits(0);
}

/// Without a parameter that it needs, a command says which.
fn names_realm(said: &str) -> bool {
    said.contains("realm") && said.starts_with("error:")
}

/// The file as the script writes it, text and no newline, becomes an entry that `get` uses.
fn token_file_of_offline_tokens_is_imported(keycloak: &Keycloak) {
    let realm = keycloak.realm("import", Rotation::On);
    realm.set_token_life(LONG);
    let offline = script_login(&realm);
    let home = Home::new();
    std::fs::write(home.work().join("token.txt"), &offline.0).unwrap();
    add(&home, "prod", &realm.issuer());

    home.run(&["store", "prod", "--kind", "refresh-token", "--from-file", "token.txt"]).exits(0);
    std::fs::remove_file(home.work().join("token.txt")).unwrap();
    let token = home.run(&["get", "prod"]).exits(0).token();
    assert_eq!(realm.refreshes(), 1, "one exchange brings the first access token");
    assert_eq!(home.run(&["get", "prod"]).exits(0).token(), token);
    home.run(&["refresh", "prod", "--force"]).exits(0);
    home.run(&["validate", "--entry", "prod", "--online"]).exits(0);
    assert_eq!(realm.refreshes(), 3, "a public client may not introspect: the online check is a refresh");
    nothing_in_clear(&home, &offline);
    nothing_in_clear(&home, &token);
}

/// What `test-offline-token` was for: a token that the realm does not take is told at once, by the provider's words.
fn dead_token_file_is_told_from_a_good_one(keycloak: &Keycloak) {
    let right = keycloak.realm("right-stage", Rotation::Off);
    let wrong = keycloak.realm("wrong-stage", Rotation::Off);
    let offline = script_login(&right);
    let mut home = Home::new();
    home.set("PROVENA_OFFLINE_TOKEN", &format!("{}\n", offline.0));
    add(&home, "right", &right.issuer());
    add(&home, "wrong", &wrong.issuer());
    for name in ["right", "wrong"] {
        home.run(&["store", name, "--kind", "refresh-token", "--from-env", "PROVENA_OFFLINE_TOKEN"]).exits(0);
    }
    home.run(&["refresh", "wrong", "--force"]).exits(4).says("invalid_grant").hints("tokenkeep generate wrong");
    home.run(&["refresh", "right", "--force"]).exits(0);
}

/// `refresh PROFILE --force` leaves the tokens of other profiles alone.
fn forced_refresh_touches_one_profile_only(keycloak: &Keycloak) {
    let realm = keycloak.realm("two-profiles", Rotation::Off);
    realm.set_token_life(LONG);
    let home = logged_in(&realm);
    add(&home, "other", &realm.issuer());
    log_in(&home, &realm, &["generate", "other"]).exits(0);
    let prod = home.run(&["get", "prod"]).exits(0).token();
    let other = home.run(&["get", "other"]).exits(0).token();
    home.run(&["refresh", "other", "--force"]).exits(0);
    assert_eq!(home.run(&["get", "prod"]).exits(0).token(), prod);
    assert_ne!(home.run(&["get", "other"]).exits(0).token(), other);
}

/// A header, a variable of a command, assignments for a shell, and the provider's own interface that takes it.
fn token_goes_where_it_is_used(keycloak: &Keycloak) {
    let realm = keycloak.realm("uses", Rotation::Off);
    realm.set_token_life(LONG);
    let home = logged_in(&realm);
    let (token, _) = held(&home);
    let header = home.run(&["get", "prod", "--header"]).exits(0);
    assert!(header.text() == format!("Authorization: Bearer {}", token.0), "`get --header` prints a header");
    let seen = home.run(&["exec", "prod", "--", "sh", "-c", "printf '%s\\n' \"$PROD_ACCESS_TOKEN\""]).exits(0);
    assert_eq!(seen.token(), token);
    home.run(&["exec", "prod", "--", "sh", "-c", "exit 23"]).exits(23);
    let assignment = home.run(&["env", "prod"]).exits(0);
    assert!(assignment.text().contains("PROD_ACCESS_TOKEN") && assignment.text().contains(&token.0));
    nothing_in_clear(&home, &token);
    home.run(&["revoke", "prod"]).exits(0);
    home.run(&["get", "prod"]).exits(4).hints("tokenkeep generate prod");
}

/// Keycloak says 0 for *does not expire* and yet forgets an idle token: `list` has the day, by our own last use.
fn offline_token_dies_when_it_was_idle_too_long(keycloak: &Keycloak) {
    let realm = keycloak.realm("dies-on", Rotation::Off);
    let home = Home::new();
    let issuer = realm.issuer();
    let flags = ["--client-id", PUBLIC_CLIENT, "--scope", "offline_access", "--offline-idle", "30d"];
    home.run(&[&["profile", "add", "prod", "--issuer", &issuer][..], &flags].concat()).exits(0);
    log_in(&home, &realm, &["generate", "prod"]).exits(0);
    let listed = home.run(&["list", "--json"]).exits(0).json();
    let dies = dies_epoch(&listed[0]).expect("the second in which the offline token dies, in `list --json`");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    assert!(dies.abs_diff(now + IDLE) < 300, "thirty days from the last use");
}

fn dies_epoch(entry: &Value) -> Option<u64> {
    entry.as_object()?.iter().find(|(name, _)| name.contains("dies") && name.ends_with("_epoch"))?.1.as_u64()
}

/// `silent` of Provena's client: nothing but the link and its code.
fn quiet_login_still_shows_its_link(keycloak: &Keycloak) {
    let realm = keycloak.realm("quiet", Rotation::Off);
    let home = Home::new();
    add(&home, "prod", &realm.issuer());
    answer_login(&home, &realm, &["--quiet", "generate", "prod"], Decision::Agree).exits(0);
    let said = home.run(&["--quiet", "get", "prod"]).exits(0).stderr;
    assert!(said.is_empty(), "nothing is said beside the token");
}

/// A profile like Provena's.
fn add(home: &Home, name: &str, issuer: &str) {
    let flags = ["--issuer", issuer, "--client-id", PUBLIC_CLIENT, "--flow", "device", "--scope", "offline_access"];
    home.run(&[&["profile", "add", name][..], &flags].concat()).exits(0);
}

/// What `offline_tokens.py generate-offline-token` does: a device login with the scope `offline_access` alone.
fn script_login(realm: &Realm<'_>) -> Token {
    let endpoint = |path: &str| format!("{}/protocol/openid-connect/{path}", realm.issuer());
    let client = ("client_id", PUBLIC_CLIENT);
    let started = realm.wire().post(&endpoint("auth/device"), &[client, ("scope", "offline_access")]).json();
    let text = |name: &str| started[name].as_str().unwrap();
    realm.person().visit(realm.wire(), text("verification_uri_complete"), Decision::Agree);
    let grant = ("grant_type", "urn:ietf:params:oauth:grant-type:device_code");
    let answer = realm.wire().post(&endpoint("token"), &[client, grant, ("device_code", text("device_code"))]).json();
    Token(answer["refresh_token"].as_str().expect("a refresh token").to_owned())
}
