//! `admin-token` and `validate` of what it mints: a key that nobody else has, minutes of life, and hosts that only check.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use provider::{Settings, Value, json};

use crate::clock::run_at;
use crate::harness::{Ran, World};

/// Who the tokens of these tests are for.
const AUDIENCE: &str = "pipelines";

/// A machine with an admin key `ops`.
fn admin() -> World {
    let world = World::bare(Settings::default());
    world.run(["init", "--unlock", "file"]).ok();
    world.run(["admin-token", "keygen", "ops"]).ok();
    world
}

/// A machine that has no vault, trusts the keys of another one, and calls itself by the same issuer.
fn checking(admin: &World) -> World {
    let world = World::bare(Settings::default());
    let keys = admin.run(["admin-token", "keys", "--json"]).ok().json();
    std::fs::create_dir_all(world.home().join("config")).unwrap();
    world.edit_config(|_| format!("[issued]\nissuer = {}\n", keys[0]["issuer"]));
    world.run(["admin-token", "trust", "ops", &keys[0]["jwk"].to_string()]).ok();
    world
}

fn mint(world: &World, flags: &[&str]) -> String {
    let args = [&["admin-token", "mint", "ops", "--audience", AUDIENCE], flags].concat();
    world.run(args).ok().stdout.trim_end().to_owned()
}

fn validate(world: &World, token: &str, flags: &[&str]) -> Ran {
    world.feed([&["validate", "--stdin", "--audience", AUDIENCE], flags].concat(), token)
}

/// The claims of a token, unchecked.
fn claims(token: &str) -> Value {
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice(&payload).unwrap()
}

fn id(token: &str) -> String {
    claims(token)["jti"].as_str().unwrap().to_owned()
}

/// What `validate` says of a token that is not good.
fn reason(world: &World, token: &str) -> String {
    validate(world, token, &[]).fails(3);
    let ran = validate(world, token, &["--json"]);
    let answer = ran.json();
    assert_eq!((ran.code, &answer["active"], &answer["valid"]), (3, &json!(false), &json!(false)), "{ran:?}");
    answer["reason"].as_str().unwrap().to_owned()
}

/// Where nothing opens the vault any more.
fn lock(world: &World) {
    std::fs::rename(world.identity_file(), world.folder.path().join("elsewhere.txt")).unwrap();
}

#[test]
fn the_example_of_a_pipelines_administrator_is_a_script() {
    let world = admin();
    let script = r#"set -eu
        mint() { "$0" --quiet admin-token mint ops --audience pipelines --ttl 5s > admin.jwt; }
        is_valid() { "$0" --quiet validate --from-file admin.jwt --audience pipelines "$@" > answer 2>&1; }
        [ "$("$0" admin-token lifetime)" = 300 ]
        mint
        is_valid; echo valid
        while is_valid; do :; done
        is_valid || echo "over: $?"
        mint
        is_valid; echo valid
        is_valid --event update; echo update
        is_valid --event reset; echo reset"#;
    let ran = Ran::from(world.shell(script, [""; 0]).output().unwrap()).ok();
    assert_eq!(ran.stdout, "valid\nover: 3\nvalid\nupdate\nreset\n");
}

#[test]
fn a_token_lives_five_minutes_and_begins_when_it_is_minted() {
    let world = admin();
    let token = mint(&world, &[]);
    let file = world.file("admin.jwt");
    std::fs::write(&file, &token).unwrap();
    let at =
        |offset| run_at(&world, offset, &["validate", "--from-file", file.to_str().unwrap(), "--audience", AUDIENCE]);
    at("+240").ok();
    at("+300").fails(3).says("it expired at");
    // a clock may be 30 seconds behind the one that minted
    at("-20").ok();
    at("-40").fails(3).says("it is not valid before");
}

#[test]
fn a_token_says_what_rfc_9068_asks_for_and_nothing_else() {
    let world = admin();
    let minted =
        world.run(["admin-token", "mint", "--audience", "a", "--audience", "b", "--ttl", "15m", "--json"]).ok();
    let minted = minted.json();
    let token = minted["access_token"].as_str().unwrap();
    let claims = claims(token);
    let names: Vec<&str> = claims.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, ["aud", "client_id", "exp", "iat", "iss", "jti", "sub"]);
    assert_eq!((&claims["aud"], &claims["sub"]), (&json!(["a", "b"]), &json!("ops")));
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 900);
    let header: Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap()).unwrap();
    assert_eq!(header, json!({"alg": "EdDSA", "kid": minted["kid"], "typ": "at+jwt"}));
    assert_eq!((&minted["id"], &minted["expires_epoch"]), (&claims["jti"], &claims["exp"]));
    for flags in [&["--ttl", "901"][..], &["--ttl", "0"], &["--audience", ""]] {
        world.run([&["admin-token", "mint", "ops", "--audience", "x"], flags].concat()).fails(2);
    }
    world.run(["admin-token", "mint", "ops"]).fails(2).says("--audience");
}

#[test]
fn an_audience_must_be_named_and_be_the_right_one() {
    let world = admin();
    let token = mint(&world, &[]);
    world.feed(["validate", "--stdin"], &token).fails(2).says("--audience");
    world.feed(["validate", "--stdin", "--audience", "pipeline"], &token).fails(3).says("it is meant for pipelines");
    let good = validate(&world, &token, &["--json"]).ok().json();
    assert_eq!((&good["active"], &good["kind"], &good["sub"]), (&json!(true), &json!("admin"), &json!("ops")));
    let claims = claims(&token);
    for name in ["iss", "jti", "exp", "iat", "client_id"] {
        assert_eq!(good[name], claims[name], "{name}");
    }
}

#[test]
fn events_are_those_of_the_policy() {
    let world = admin();
    let token = mint(&world, &[]);
    for event in ["run", "update", "reset", "ready", "delete", "purge"] {
        validate(&world, &token, &["--event", event]).ok();
    }
    validate(&world, &token, &["--event", "explode"]).fails(3).says("there is no event `explode`");
    world.edit_config(|text| text + "\n[policy]\nadmin_events = [\"explode\"]\n");
    validate(&world, &token, &["--event", "explode"]).ok();
    validate(&world, &token, &["--event", "reset"]).fails(3);
    // rights that an admin token does not have
    validate(&world, &token, &["--scope", "admin"]).fails(3).says("it lacks the scope admin");
    validate(&world, &token, &["--min-ttl", "6m"]).fails(3);
    validate(&world, &token, &["--service", "api"]).fails(3);
    validate(&world, &token, &["--owner", "ada"]).fails(3).says("of `ops`, not of `ada`");
    validate(&world, &token, &["--job", "any", "--event", "run"]).fails(3).says("no job `any`");
    world.run(["job-token", "issue", "any"]).ok();
    validate(&world, &token, &["--owner", "ops", "--job", "any", "--event", "run"]).ok();
}

#[test]
fn an_admin_token_does_for_every_job_where_the_jobs_own_does_not() {
    let world = admin();
    let authorize = |token: &str, job: &str, event: &str, flags: &[&str]| {
        let args = [&["job-token", "authorize", job, event, "--stdin"], flags].concat();
        world.feed(args, token)
    };
    let job = world.run(["job-token", "issue", "nightly"]).ok().stdout;
    authorize(job.trim(), "nightly", "update", &[]).ok();
    authorize(job.trim(), "nightly", "reset", &[]).fails(3).says("needs an admin token");
    let token = mint(&world, &[]);
    world.run(["job-token", "issue", "another"]).ok();
    for (job, event) in [("nightly", "update"), ("nightly", "reset"), ("another", "purge")] {
        authorize(&token, job, event, &["--audience", AUDIENCE]).ok().says("admin:ops");
    }
    authorize(&token, "unknown", "purge", &["--audience", AUDIENCE]).fails(3).says("no job `unknown`");
    let used = world.run(["history", "--kind", "admin", "--json"]).ok().stdout;
    assert!(used.contains("another") && !used.contains("\"job\": \"unknown\""), "{used}");
    authorize(&token, "nightly", "reset", &[]).fails(2).says("--audience");
    authorize(&token, "nightly", "reset", &["--audience", "other"]).fails(3).says("it is meant for pipelines");
    authorize(&token, "nightly", "explode", &["--audience", AUDIENCE]).fails(3).says("no event `explode`");
    let ran = authorize(&token, "nightly", "explode", &["--audience", AUDIENCE, "--json"]);
    assert_eq!((ran.code, &ran.json()["authorized"]), (3, &json!(false)));
    // ended jobs, too: nothing else brings them back
    world.run(["job-token", "end", "nightly"]).ok();
    authorize(job.trim(), "nightly", "update", &[]).fails(3);
    authorize(&token, "nightly", "reset", &["--audience", AUDIENCE]).ok();
    world.run(["admin-token", "revoke", &id(&token)]).ok();
    authorize(&token, "nightly", "reset", &["--audience", AUDIENCE]).fails(3).says("it was revoked");
}

#[test]
fn whom_an_admin_token_speaks_for_is_asked_and_a_no_stands_in_history() {
    let world = admin();
    world.run(["job-token", "issue", "nightly"]).ok();
    let token = mint(&world, &[]);
    let authorize = |owner| {
        let args = ["job-token", "authorize", "nightly", "reset", "--stdin", "--audience", AUDIENCE, "--owner", owner];
        world.feed(args, &token)
    };
    authorize("bob").fails(3).says("not of `bob`");
    authorize("ops").ok();
    validate(&world, &mint(&world, &[]), &["--service", "tap"]).fails(3);
    let history = world.run(["history", "--kind", "admin", "--json"]).ok().stdout;
    assert!(history.contains("not of `bob`") && history.contains("for no service"), "{history}");
}

#[test]
fn a_providers_token_reports_no_event() {
    let world = World::new();
    let token = world.provider.grant_access("automated-access", &["openid"], &[AUDIENCE]);
    validate(&world, &token, &["--profile", "prod"]).ok();
    validate(&world, &token, &["--profile", "prod", "--event", "run"]).fails(3).says("an admin token");
}

#[test]
fn a_providers_token_is_checked_beside_a_ledger_that_is_none() {
    let world = World::new();
    let token = world.provider.grant_access("automated-access", &["openid"], &[AUDIENCE]);
    std::fs::create_dir_all(world.home().join("data")).unwrap();
    std::fs::write(world.home().join("data/ledger.db"), "no database at all, but some text that is long").unwrap();
    world.run(["token", "list"]).fails(9);
    validate(&world, &token, &["--issuer", &world.provider.issuer()]).ok();
}

#[test]
fn a_host_that_has_the_public_key_alone_checks_and_cannot_mint() {
    let admin = admin();
    let host = checking(&admin);
    validate(&host, &mint(&admin, &[]), &["--event", "reset"]).ok();
    host.run(["admin-token", "mint", "ops", "--audience", AUDIENCE]).fails(8);
    host.run(["admin-token", "mint", "--audience", AUDIENCE]).fails(8);
    assert!(!host.vault().exists());
    // the same key once more changes nothing, another one is not believed by its name
    let keys = admin.run(["admin-token", "keys", "--json"]).ok().json();
    host.run(["admin-token", "trust", "ops", &keys[0]["jwk"].to_string()]).ok().says("trusted already");
    host.run(["admin-token", "trust", "other", &keys[0]["jwk"].to_string()]).fails(2).says("as `ops`");
    let new = admin.run(["admin-token", "rotate", "ops"]).ok().stdout;
    host.feed(["admin-token", "trust", "ops", "--stdin"], &new).fails(2).says("--replace");
    assert_eq!(reason(&host, &mint(&admin, &[])), "signature");
    host.feed(["admin-token", "trust", "ops", "--stdin", "--replace"], &new).ok();
    validate(&host, &mint(&admin, &[]), &[]).ok();
}

#[test]
fn a_host_that_calls_itself_by_another_issuer_is_told_the_setting() {
    let admin = admin();
    let host = checking(&admin);
    host.edit_config(|_| "[issued]\nissuer = \"https://other.example.org\"\n".to_owned());
    let refused = validate(&host, &mint(&admin, &[]), &[]).fails(3);
    refused.says("believed here from https://other.example.org (`issuer` in [issued])");
}

#[test]
fn what_stands_before_the_last_colon_says_where_a_token_is_for() {
    let world = admin();
    world.run(["job-token", "issue", "j"]).ok();
    let token = format!("host.example.org:443:{}", mint(&world, &[]));
    validate(&world, &token, &[]).ok();
    let authorize =
        |audience| world.feed(["job-token", "authorize", "j", "reset", "--stdin", "--audience", audience], &token);
    authorize(AUDIENCE).ok();
    let refused = authorize("others").fails(3).says("meant for pipelines");
    assert_eq!(refused.stderr.matches("cause:").count(), 1, "{}", refused.stderr);
}

#[test]
fn a_token_speaks_for_nobody_but_the_name_of_its_key() {
    let admin = admin();
    let host = checking(&admin);
    // the same key under another name: what it mints says `ops`, and would be taken for that one's
    let other = World::bare(Settings::default());
    let keys = admin.run(["admin-token", "keys", "--json"]).ok().json();
    std::fs::create_dir_all(other.home().join("config")).unwrap();
    other.edit_config(|_| format!("[issued]\nissuer = {}\n", keys[0]["issuer"]));
    other.run(["admin-token", "trust", "bob", &keys[0]["jwk"].to_string()]).ok();
    let token = mint(&admin, &[]);
    validate(&host, &token, &["--owner", "ops"]).ok();
    assert_eq!(reason(&other, &token), "owner");
    validate(&other, &token, &[]).fails(3).says("`ops`").says("`bob`");
    other
        .feed(["job-token", "authorize", "j", "reset", "--stdin", "--audience", AUDIENCE], &token)
        .fails(3)
        .says("`bob`");
}

#[test]
fn without_a_ledger_nobody_can_tell() {
    let admin = admin();
    let host = checking(&admin);
    let token = mint(&admin, &[]);
    std::fs::remove_file(host.home().join("data/ledger.db")).unwrap();
    validate(&host, &token, &[]).fails(1).says("TOKENKEEP_LEDGER");
    host.feed(["job-token", "authorize", "j", "reset", "--stdin", "--audience", AUDIENCE], &token).fails(1);
    host.feed(["validate", "--stdin"], &token).fails(2);
    assert!(!host.home().join("data/ledger.db").exists(), "checking made a ledger");
    // another ledger is another issuer
    host.edit_config(|_| String::new());
    host.run(["admin-token", "keys"]).ok();
    let stranger = self::admin();
    assert_eq!(reason(&stranger, &token), "issuer");
}

#[test]
fn everything_but_making_and_minting_works_with_a_locked_vault() {
    let world = admin();
    let token = mint(&world, &[]);
    lock(&world);
    validate(&world, &token, &[]).ok();
    world.run(["admin-token", "keys"]).ok();
    world.run(["admin-token", "keys", "--jwks"]).ok();
    world.run(["admin-token", "lifetime"]).ok();
    world.run(["admin-token", "trust", "other", &other_jwk().to_string()]).ok();
    world.run(["admin-token", "revoke", &id(&token)]).ok();
    world.run(["admin-token", "mint", "ops", "--audience", AUDIENCE]).fails(5);
    world.run(["admin-token", "keygen", "new"]).fails(5);
    world.run(["admin-token", "rotate", "ops"]).fails(5);
    // an unknown name comes before a locked vault
    world.run(["admin-token", "mint", "nobody", "--audience", AUDIENCE]).fails(8);
    world.run(["admin-token", "rotate", "nobody"]).fails(8);
}

#[test]
fn a_revocation_works_where_the_ledger_is_asked_and_says_so() {
    let admin = admin();
    let host = checking(&admin);
    let (token, other) = (mint(&admin, &[]), mint(&admin, &[]));
    let ran = admin.run(["admin-token", "revoke", &id(&token)]).ok();
    ran.says("wherever this ledger is asked").says("elsewhere it lives until");
    assert_eq!(reason(&admin, &token), "revoked");
    validate(&admin, &other, &[]).ok();
    // the other host has not heard of it, and can be told
    validate(&host, &token, &[]).ok();
    host.run(["admin-token", "revoke", &id(&token)]).ok().says("not minted here");
    assert_eq!(reason(&host, &token), "revoked");
    admin.run(["admin-token", "revoke", &id(&token)]).ok().says("already");
    admin.run(["admin-token", "revoke", "no-such-id"]).fails(8);
    admin.run(["admin-token", "revoke", &token]).fails(2).hides(&token);
}

#[test]
fn a_key_is_taken_back_by_its_id_and_its_name_says_so() {
    let world = admin();
    let token = mint(&world, &[]);
    let kid = world.run(["admin-token", "keys", "--json"]).ok().json()[0]["kid"].as_str().unwrap().to_owned();
    let failed = world.run(["admin-token", "revoke", "ops"]).fails(2).says("is the name of a key");
    failed.says(&format!("tokenkeep admin-token revoke {kid}"));
    validate(&world, &token, &[]).ok();
}

#[test]
fn a_damaged_key_is_named_and_keeps_nobody_from_the_others() {
    let world = admin();
    world.run(["admin-token", "keygen", "more"]).ok();
    let ledger = rusqlite::Connection::open(world.home().join("data/ledger.db")).unwrap();
    ledger.execute_batch("UPDATE admin_key SET jwk = 'rubbish' WHERE name = 'more'").unwrap();
    let said = "the admin key `more` is none";
    let kids = |ran: &Ran| ran.json()["keys"].as_array().unwrap().len();
    assert_eq!(kids(&world.run(["admin-token", "keys", "--jwks", "--quiet"]).ok().says(said)), 1);
    let listed = world.run(["admin-token", "keys", "--json"]).ok().says(said).json();
    assert_eq!((listed[0]["name"].as_str(), listed.as_array().unwrap().len()), (Some("ops"), 1));
    let shown = world.run(["admin-token", "keys"]).ok().says(said);
    assert!(shown.stdout.contains("more") && shown.stdout.contains("ops"));
    // what it says can be typed
    let start = shown.stderr.find('`').map(|_| shown.stderr.rsplit('`').nth(1).unwrap()).unwrap();
    world.run(start.split(' ').skip(1)).ok();
}

#[test]
fn a_revoked_key_takes_its_tokens_along() {
    let world = admin();
    let token = mint(&world, &[]);
    let keys = || world.run(["admin-token", "keys", "--json"]).ok().json();
    let kid = keys()[0]["kid"].as_str().unwrap().to_owned();
    world.run(["admin-token", "revoke", &kid]).ok().says("its tokens live until");
    assert_eq!(keys()[0]["state"], "revoked");
    assert_eq!(reason(&world, &token), "revoked");
    world.run(["admin-token", "mint", "ops", "--audience", AUDIENCE]).fails(7).says("rotate ops");
    let jwks = world.run(["admin-token", "keys", "--jwks"]).ok().json();
    assert_eq!(jwks, json!({"keys": []}));
    // it does not come back, and a new one takes its place
    let jwk = keys()[0]["jwk"].to_string();
    world.run(["admin-token", "trust", "ops", &jwk]).fails(2).says("does not come back");
    world.run(["admin-token", "rotate", "ops"]).ok();
    validate(&world, &mint(&world, &[]), &[]).ok();
    assert_eq!(reason(&world, &token), "revoked");
}

#[test]
fn a_rotated_key_mints_no_more_and_its_tokens_die_by_themselves() {
    let world = admin();
    let token = mint(&world, &[]);
    world.run(["admin-token", "rotate", "ops"]).ok().says("mints no more");
    validate(&world, &token, &[]).ok();
    let kids = |at| {
        let set = run_at(&world, at, &["admin-token", "keys", "--jwks"]).ok().json();
        set["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!((kids("+0").len(), kids("+890").len(), kids("+901").len()), (2, 2, 1));
    // who takes the old tokens back means those of the key that was rotated a minute ago, too
    let second = mint(&world, &[]);
    world.run(["admin-token", "rotate", "ops", "--revoke-old", "--alg", "es256"]).ok().says("is revoked");
    assert_eq!(kids("+0").len(), 1);
    assert_eq!((reason(&world, &token), reason(&world, &second)), ("revoked".into(), "revoked".into()));
    validate(&world, &mint(&world, &[]), &[]).ok();
}

/// The key of RFC 8037 appendix A.1, which everybody knows.
fn other_jwk() -> Value {
    json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})
}

#[test]
fn a_key_that_is_no_public_key_is_not_trusted() {
    let world = World::bare(Settings::default());
    let secret = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";
    let mut private = other_jwk();
    private["d"] = json!(secret);
    world.run(["admin-token", "trust", "ops", &private.to_string()]).fails(2).says("private key").hides(secret);
    for jwk in [
        "{}",
        "x",
        "[]",
        r#"{"kty":"oct","k":"c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"}"#,
        r#"{"kty":"RSA","n":"AQAB","e":"AQAB"}"#,
    ] {
        world.run(["admin-token", "trust", "ops", jwk]).fails(2);
    }
    world.run(["admin-token", "trust", "ops"]).fails(2).says("JWK");
    assert!(world.run(["admin-token", "keys", "--json"]).ok().json().as_array().unwrap().is_empty());
}

#[test]
fn of_many_who_make_a_key_of_one_name_one_does() {
    let world = World::bare(Settings::default());
    world.run(["init", "--unlock", "file"]).ok();
    let ran = world.storm(8, &["admin-token", "keygen", "ops"]);
    let (good, bad): (Vec<_>, Vec<_>) = ran.into_iter().partition(|ran| ran.code == 0);
    assert_eq!(good.len(), 1);
    assert!(bad.iter().all(|ran| ran.code == 2), "{bad:?}");
    let minted = world.storm(8, &["admin-token", "mint", "ops", "--audience", AUDIENCE]);
    for ran in minted {
        validate(&world, ran.ok().stdout.trim_end(), &[]).ok();
    }
}

#[test]
fn a_name_that_is_taken_is_not_taken_twice() {
    let world = admin();
    world.keep("other", "text");
    world.run(["admin-token", "keygen", "ops"]).fails(2).says("rotate ops");
    world.run(["admin-token", "keygen", "other"]).fails(2);
    world.run(["admin-token", "mint", "other", "--audience", AUDIENCE]).fails(2).says("kind secret");
    world.run(["admin-token", "rotate", "other"]).fails(2).says("kind secret");
    assert_eq!(world.token("other"), "text");
    world.run(["admin-token", "keygen", "second"]).ok();
    world.run(["admin-token", "mint", "--audience", AUDIENCE]).fails(2).says("ops, second");
}

#[test]
fn a_key_that_was_lost_is_revoked_and_made_anew() {
    let world = admin();
    world.run(["delete", "ops", "--yes"]).ok();
    world.run(["admin-token", "rotate", "ops"]).fails(8);
    let ran = world.run(["admin-token", "keygen", "ops"]).fails(2).says("not in this vault");
    let kid = ran.stderr.split("revoke ").nth(1).unwrap().split('`').next().unwrap().to_owned();
    world.run(["admin-token", "revoke", &kid]).ok();
    world.run(["admin-token", "keygen", "ops"]).ok();
    validate(&world, &mint(&world, &[]), &[]).ok();
}

#[test]
fn a_key_that_anybody_or_nobody_can_sign_for_is_not_trusted() {
    let world = admin();
    let okp = |x: &str| json!({"kty": "OKP", "crv": "Ed25519", "x": x}).to_string();
    let seven = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc";
    let off_curve = json!({"kty": "EC", "crv": "P-256", "x": seven, "y": seven}).to_string();
    let (identity, zero) = (format!("AQ{}", "A".repeat(41)), "A".repeat(43));
    for jwk in [okp(&identity), okp(&zero), off_curve] {
        world.run(["admin-token", "trust", "evil", &jwk]).fails(2).says("curve");
        world.feed(["admin-token", "trust", "evil", "--stdin"], &jwk).fails(2).says("curve");
    }
}

#[test]
fn a_key_that_openssl_made_is_stored_trusted_and_mints() {
    let world = World::bare(Settings::default());
    world.run(["init", "--unlock", "file"]).ok();
    let openssl = |args: &[&str]| {
        let made = std::process::Command::new("openssl").args(args).output().unwrap();
        String::from_utf8(made.stdout).unwrap()
    };
    let p256 = ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];
    for (name, pem) in [("one", openssl(&["genpkey", "-algorithm", "ed25519"])), ("two", openssl(&p256))] {
        let stored = world.feed(["store", name, "--kind", "admin-key", "--stdin"], &pem).ok();
        let jwk = stored.stderr.split('\'').nth(1).unwrap().to_owned();
        world.run(["admin-token", "mint", name, "--audience", AUDIENCE]).fails(7).says(&jwk);
        world.run(["admin-token", "trust", name, &jwk]).ok();
        let token = world.run(["admin-token", "mint", name, "--audience", AUDIENCE]).ok().stdout;
        validate(&world, token.trim_end(), &[]).ok();
    }
    for text in ["secret", &openssl(&["genpkey", "-algorithm", "x25519"])] {
        world.feed(["store", "three", "--kind", "admin-key", "--stdin"], text).fails(2).says("no admin key");
    }
    world.feed(["store", "four", "--kind", "admin-key", "--stdin", "--expires", "1s"], &openssl(&p256)).ok();
    let mint = || world.run(["admin-token", "mint", "four", "--audience", AUDIENCE]);
    // it is not trusted, then it is over: both are 7
    assert_eq!(mint().code, 7);
    let ran = run_at(&world, "+60", &["admin-token", "mint", "four", "--audience", AUDIENCE]);
    ran.fails(7).says("ended at");
}

#[test]
fn nothing_tells_the_private_key() {
    let world = admin();
    let pem = world.token("ops");
    let body: String = pem.lines().filter(|line| !line.starts_with("---")).collect();
    let seed = STANDARD.decode(&body).unwrap().split_off(16);
    let secrets = [body, URL_SAFE_NO_PAD.encode(&seed), STANDARD.encode(&seed)];
    let token = mint(&world, &[]);
    for args in [
        &["admin-token", "keygen", "two"][..],
        &["admin-token", "keys", "--json"],
        &["admin-token", "keys", "--jwks"],
        &["admin-token", "mint", "ops", "--audience", "x", "--json"],
        &["show", "ops", "--json"],
        &["list", "--json"],
        &["admin-token", "revoke", &id(&token)],
        &["admin-token", "rotate", "ops", "--json"],
    ] {
        let ran = world.run([args, &["-vvv"]].concat());
        secrets.iter().fold(ran, |ran, secret| ran.hides(secret));
    }
    let ledger = world.home().join("data/ledger.db");
    for file in [ledger.clone(), ledger.with_extension("db-wal")] {
        let bytes = std::fs::read(&file).unwrap_or_default();
        let signature = token.rsplit_once('.').unwrap().1;
        for secret in secrets.iter().map(String::as_bytes).chain([&seed[..], signature.as_bytes()]) {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret), "{} has a secret", file.display());
        }
    }
}

/// Whoever has the private key: the worst of all forgers.
struct Thief {
    key: EncodingKey,
    header: Header,
    good: Value,
}

impl Thief {
    fn of(world: &World) -> Self {
        let pem = world.token("ops");
        let key: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
        let key = EncodingKey::from_ed_der(&STANDARD.decode(key).unwrap());
        let token = mint(world, &[]);
        let header = jsonwebtoken::decode_header(&token).unwrap();
        Self { key, header, good: claims(&token) }
    }

    /// Signs the claims of a good token with some of them changed, or taken out with null.
    fn sign(&self, header: &Header, changes: &Value) -> String {
        let mut claims = self.good.clone();
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        jsonwebtoken::encode(header, &claims, &self.key).unwrap()
    }
}

#[test]
fn who_has_stolen_the_key_still_cannot_mint_for_years() {
    let world = admin();
    let thief = Thief::of(&world);
    let iat = thief.good["iat"].as_i64().unwrap();
    validate(&world, &thief.sign(&thief.header, &json!({"jti": "stolen"})), &[]).ok();
    for (changes, expected) in [
        (json!({"exp": iat + 901}), "malformed"),
        (json!({"exp": iat + 400_000_000}), "malformed"),
        (json!({"iat": iat - 1_000}), "malformed"),
        (json!({"iat": iat + 120, "exp": iat + 600}), "not_yet_valid"),
        (json!({"nbf": iat + 120}), "not_yet_valid"),
        (json!({"iat": null}), "malformed"),
        (json!({"exp": null}), "malformed"),
        (json!({"jti": null}), "malformed"),
        (json!({"client_id": null}), "malformed"),
        (json!({"sub": null}), "malformed"),
        (json!({"aud": null}), "audience"),
        (json!({"aud": []}), "audience"),
        (json!({"aud": ["pipelines2"]}), "audience"),
        (json!({"iss": "https://evil.example"}), "issuer"),
        (json!({"iss": null}), "issuer"),
    ] {
        assert_eq!(reason(&world, &thief.sign(&thief.header, &changes)), expected, "{changes}");
    }
    for typ in [None, Some("JWT"), Some("logout+jwt"), Some("id_token")] {
        let header = Header { typ: typ.map(str::to_owned), ..thief.header.clone() };
        assert_eq!(reason(&world, &thief.sign(&header, &json!({}))), "malformed", "{typ:?}");
    }
    for kid in [None, Some("other")] {
        let header = Header { kid: kid.map(str::to_owned), ..thief.header.clone() };
        assert_eq!(reason(&world, &thief.sign(&header, &json!({}))), "signature", "{kid:?}");
    }
}

#[test]
fn a_forged_token_is_refused_whatever_it_says_of_itself() {
    let world = admin();
    let thief = Thief::of(&world);
    let token = mint(&world, &[]);
    let parts: Vec<&str> = token.split('.').collect();
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = |alg: &str| part(&json!({"alg": alg, "typ": "at+jwt", "kid": thief.header.kid}));
    let public = world.run(["admin-token", "keys", "--jwks"]).ok().json()["keys"][0].clone();
    for alg in ["none", "None", "NONE", "HS256", "HS512", "RS256", "ES256", "EdDSA "] {
        for signature in ["", parts[2]] {
            assert_eq!(reason(&world, &format!("{}.{}.{signature}", header(alg), parts[1])), "signature", "{alg}");
        }
    }
    let hmac = Header { alg: Algorithm::HS256, ..thief.header.clone() };
    let x = public["x"].as_str().unwrap();
    for secret in [x.as_bytes(), &URL_SAFE_NO_PAD.decode(x).unwrap(), public.to_string().as_bytes()] {
        let forged = jsonwebtoken::encode(&hmac, &thief.good, &EncodingKey::from_secret(secret)).unwrap();
        assert_eq!(reason(&world, &forged), "signature");
    }
    // a key of the forger's own, in the place of ours or beside it
    let stranger = Thief::of(&admin());
    let signed = |header: &Header| jsonwebtoken::encode(header, &thief.good, &stranger.key).unwrap();
    let bring = Header { jwk: Some(serde_json::from_value(public).unwrap()), ..stranger.header.clone() };
    for forged in [signed(&stranger.header), signed(&thief.header), signed(&bring)] {
        assert_eq!(reason(&world, &forged), "signature");
    }
    let mut claims = thief.good.clone();
    claims["sub"] = json!("root");
    assert_eq!(reason(&world, &format!("{}.{}.{}", parts[0], part(&claims), parts[2])), "signature");
    validate(&world, &token, &[]).ok();
}

#[test]
fn a_mint_that_the_ledger_cannot_keep_gives_no_token() {
    let world = admin();
    let ledger = world.home().join("data/ledger.db");
    let remove = || {
        for file in [ledger.clone(), ledger.with_extension("db-wal"), ledger.with_extension("db-shm")] {
            drop(std::fs::remove_file(file));
        }
    };
    remove();
    // what is in the vault alone is not believed, and the hint mends it
    let ran = world.run(["admin-token", "mint", "ops", "--audience", AUDIENCE]).fails(7);
    let jwk = ran.stderr.split('\'').nth(1).unwrap().to_owned();
    world.run(["admin-token", "trust", "ops", &jwk]).ok();
    validate(&world, &mint(&world, &[]), &[]).ok();
    remove();
    std::fs::write(&ledger, "no ledger").unwrap();
    let ran = world.run(["admin-token", "mint", "ops", "--audience", AUDIENCE]);
    assert!(ran.code != 0 && ran.stdout.is_empty(), "{ran:?}");
}
