//! `list`, `show`, `status`, `whoami` and `config get`: what can be seen, locked or not, and that no secret is in it.

use std::os::unix::ffi::OsStringExt as _;

use provider::{Endpoint, Fault, Settings, json};

use crate::harness::{Ran, World, short_lived};

/// Takes away what opens the vault.
fn lock(world: &World) {
    world.edit_config(|text| text.replace("[unlock]", "").replace("identity_file", "#"));
    std::fs::rename(world.identity_file(), world.folder.path().join("elsewhere.txt")).unwrap();
}

#[test]
fn an_empty_vault_says_how_to_fill_it() {
    let world = World::new();
    assert_eq!(world.run(["list"]).ok().says("tokenkeep generate").stdout, "");
    assert_eq!(world.run(["list", "--quiet"]).ok().stderr, "");
}

#[test]
fn without_a_vault_there_is_nothing_to_list() {
    let world = World::bare(Settings::default());
    assert_eq!(world.run(["list", "--json"]).ok().says("tokenkeep init").json(), serde_json::json!([]));
    assert_eq!(world.run(["list"]).ok().stdout, "");
    world.run(["status"]).ok();
    world.run(["whoami"]).ok();
}

#[test]
fn a_list_says_how_entries_stand() {
    let world = World::logged_in(short_lived(300));
    let one = |world: &World| world.run(["list", "--json"]).ok().json()[0].clone();
    assert_eq!(one(&world)["state"], "due");
    world.token("prod");
    let good = one(&world);
    assert_eq!(good["state"], "good");
    assert_eq!(good["issuer"], world.provider.issuer());
    assert!(good["access_left_seconds"].is_u64() && good["access_expires_epoch"].is_i64(), "{good}");
}

#[test]
fn a_refused_token_shows_when_and_until_when() {
    let world = World::new();
    world.feed(["store", "prod", "--stdin"], "never-issued").ok();
    world.run(["get", "prod"]).fails(4);
    let listed = world.run(["list", "--json"]).ok().json()[0].clone();
    assert_eq!(listed["state"], "refused");
    let pause = listed["retry_epoch"].as_i64().unwrap() - listed["refused_epoch"].as_i64().unwrap();
    assert_eq!(pause, 15 * 60);
    assert!(world.run(["status"]).ok().stdout.contains("tokenkeep generate prod"));
    assert!(world.run(["show", "prod"]).ok().stdout.contains("invalid_grant"));
}

#[test]
fn an_entry_whose_profile_says_otherwise_does_not_look_good() {
    let world = World::logged_in(short_lived(300));
    world.token("prod");
    world.edit_config(|text| text.replace("automated-access", "another"));
    world.run(["get", "prod"]).fails(4);
    assert_eq!(world.run(["list", "--json"]).ok().json()[0]["state"], "moved");
    assert!(world.run(["status"]).ok().stdout.contains("tokenkeep generate prod"));
}

#[test]
fn an_entry_whose_refresh_token_cannot_be_presented_does_not_look_good() {
    let world = World::logged_in(short_lived(300));
    world.provider.misbehave(Endpoint::Token, Fault::set("refresh_token", json!("bad token")));
    world.token("prod");
    assert_eq!(world.run(["list", "--json"]).ok().json()[0]["state"], "unusable");
    assert!(world.run(["status"]).ok().stdout.contains("tokenkeep generate prod"));
}

#[test]
fn of_a_locked_vault_the_names_are_listed_and_nothing_else() {
    let world = World::logged_in(Settings::default());
    lock(&world);
    let listed = world.run(["list", "--json"]).ok().json();
    let fields = listed[0].as_object().unwrap();
    assert_eq!(fields["name"], "prod");
    let known: Vec<&String> = fields.iter().filter(|(_, value)| !value.is_null()).map(|(key, _)| key).collect();
    assert_eq!(known, ["name", "schema"]);
    assert!(world.run(["list"]).ok().stdout.contains("prod"));
    world.run(["show", "prod"]).fails(5);
    let status = world.run(["status", "--json"]).ok().json();
    assert_eq!(status["unlock"]["locked"], true);
}

#[test]
fn damage_and_foreign_files_are_named() {
    let world = World::logged_in(Settings::default());
    std::fs::write(world.entry("prod").join("1.age"), "not age").unwrap();
    std::fs::write(world.entry("prod").join("notes.txt"), "").unwrap();
    let ran = world.run(["list", "--json"]).ok().says("notes.txt").says("is damaged");
    assert_eq!(ran.json()[0]["state"], "damaged");
    assert!(world.run(["status"]).ok().stdout.contains("1 damaged"));
    world.run(["show", "prod"]).fails(5);
}

#[test]
fn looking_asks_no_provider_and_shows_no_secret() {
    let world = World::with(short_lived(300));
    let refresh = world.store_login("prod");
    let access = world.token("prod");
    let newest = world.provider.newest_refresh_token().unwrap();
    let requests = world.provider.requests().len();
    for args in [&["list"][..], &["show", "prod"], &["status", "--explain"]] {
        for form in [&[][..], &["--json"], &["-vvv"]] {
            world.run([args, form].concat()).ok().hides(&refresh).hides(&access).hides(&newest);
        }
    }
    assert_eq!(world.provider.requests().len(), requests);
}

#[test]
fn secrets_are_shown_only_to_who_insists() {
    let world = World::new();
    world.feed(["store", "secret-one", "--stdin"], "canary-4711").ok();
    world.run(["show", "secret-one"]).ok().hides("canary-4711");
    world.run(["show", "secret-one", "--reveal"]).fails(2).hides("canary-4711");
    let shown = world.run(["show", "secret-one", "--reveal", "--yes", "--json"]).ok().json();
    assert_eq!(shown["secret"], "canary-4711");
}

#[test]
fn a_token_says_who_we_are() {
    let world = World::logged_in(short_lived(300));
    let who = world.run(["whoami", "prod", "--json"]).ok().json();
    assert_eq!(who["subject"], "ada");
    assert_eq!(who["issuer"], world.provider.issuer());
    assert_eq!(who["client_id"], "automated-access");
    assert!(who["left_seconds"].as_u64().unwrap() > 200);
    assert!(world.run(["whoami", "prod"]).ok().stdout.contains("ada"));
    world.feed(["store", "secret-one", "--stdin"], "x").ok();
    world.run(["whoami", "secret-one"]).fails(2);
}

#[test]
fn settings_are_shown_as_they_are_in_force_and_explained() {
    let world = World::new();
    world.add_profile("stage", &["--ca-file", "{folder}/ca.pem"]);
    let get = |args: &[&str]| world.run([["config", "get"].as_slice(), args].concat());
    assert_eq!(get(&["profiles.prod.client_id"]).ok().stdout, "automated-access\n");
    assert_eq!(get(&["defaults.min_ttl"]).ok().stdout, "60s\n");
    assert_eq!(get(&["profiles.stage.ca_file", "--param", "folder=/x"]).ok().stdout, "/x/ca.pem\n");
    get(&["profiles.stage.ca_file"]).fails(2).says("--param folder=VALUE");
    get(&["profiles.prod.audience"]).fails(8);
    assert_eq!(get(&["profiles.prod.audience", "--default", "none"]).ok().stdout, "none\n");
    get(&["profiles.prod.client"]).fails(8).says("profiles.prod.client_id");
    let mut command = world.command(["status", "--explain"]);
    let explained = command.env("TOKENKEEP_MIN_TTL", "90s").output().unwrap().stdout;
    let explained = String::from_utf8(explained).unwrap();
    let row = explained.lines().find(|line| line.starts_with("defaults.min_ttl")).unwrap();
    assert!(row.contains("90s") && row.contains("TOKENKEEP_MIN_TTL"), "{row}");
}

#[test]
fn settings_are_printed_as_they_were_written_and_lists_as_arrays() {
    let world = World::new();
    world.edit_config(|text| {
        let table = "offline_idle = \"720h\"\nreuse_grace = \"90s\"\n";
        let text = text.replacen("[profiles.prod]\n", &format!("[profiles.prod]\n{table}"), 1);
        format!("[defaults]\nmin_ttl = \"45\"\n[issued]\nuser_ttl = \"36h\"\nknown_scopes = [\"b\", \"a\"]\n{text}")
    });
    let get = |key: &str| world.run(["config", "get", key]).ok().stdout;
    assert_eq!(get("defaults.min_ttl"), "45\n");
    assert_eq!(get("profiles.prod.offline_idle"), "720h\n");
    assert_eq!(get("profiles.prod.reuse_grace"), "90s\n");
    assert_eq!((get("issued.user_ttl"), get("issued.job_ttl")), ("36h\n".to_owned(), "24h\n".to_owned()));
    assert_eq!(get("profiles.prod.scopes"), "openid offline_access\n");
    world.edit_config(|text| text.replace("\"45\"", "\"5m\""));
    assert_eq!(get("defaults.min_ttl"), "60s\n", "the file cannot ask for more");
    let mut command = world.command(["config", "get", "issued.job_ttl"]);
    assert_eq!(Ran::from(command.env("TOKENKEEP_JOB_TTL", "90m").output().unwrap()).stdout, "90m\n");
    let json = |key: &str| world.run(["config", "get", key, "--json"]).ok().json()["value"].clone();
    assert_eq!(json("profiles.prod.scopes"), serde_json::json!(["openid", "offline_access"]));
    assert_eq!(json("issued.known_scopes"), serde_json::json!(["a", "b"]));
    assert_eq!(json("policy.admin_events"), serde_json::json!(["delete", "purge", "ready", "reset"]));
    assert_eq!(json("defaults.min_ttl"), "60s");
}

#[test]
fn variables_that_are_not_utf_8_are_not_taken_for_unset() {
    let world = World::logged_in(Settings::default());
    let get = |variable: &str, bytes: &[u8]| {
        let mut command = world.command(["get", "prod"]);
        Ran::from(command.env(variable, std::ffi::OsString::from_vec(bytes.to_vec())).output().unwrap())
    };
    for variable in ["TOKENKEEP_MIN_TTL", "TOKENKEEP_PROFILE", "TOKENKEEP_JOB_TTL", "TOKENKEEP_PARAM_REALM"] {
        get(variable, b"\xff").fails(9).says(&format!("{variable}: it is not UTF-8"));
    }
    get("TOKENKEEP_IDENTITY", b"\xff").fails(5).says("TOKENKEEP_IDENTITY holds no age identity");
    get("TOKENKEEP_MIN_TTL", b"").ok();
}

#[test]
fn an_empty_variable_gives_a_parameter_no_value() {
    let world = World::bare(Settings::default());
    let flags = ["--issuer", "https://auth.example.org/{realm}", "--client-id", "c"];
    world.run([&["profile", "add", "stage"][..], &flags].concat()).ok();
    let show = |realm: &str| {
        let mut command = world.command(["profile", "show", "stage"]);
        Ran::from(command.env("TOKENKEEP_PARAM_REALM", realm).output().unwrap())
    };
    show("").fails(2).says("`realm`");
    assert!(show("dev").ok().stdout.contains("https://auth.example.org/dev"));
}

#[test]
fn a_refresh_that_was_lost_is_seen() {
    let world = World::logged_in(short_lived(300));
    world.provider.misbehave(Endpoint::Token, Fault::status(500));
    world.run(["get", "prod"]).fails(6);
    assert_eq!(world.run(["list", "--json"]).ok().json()[0]["state"], "response lost");
}

#[test]
fn a_secret_that_was_typed_into_the_configuration_is_not_shown() {
    let world = World::new();
    let mistyped = "client_secret = \"canary-4711\"\n";
    world.edit_config(|text| text.replacen("[profiles.prod]\n", &format!("[profiles.prod]\n{mistyped}"), 1));
    for args in [&["status", "--explain"][..], &["status", "--explain", "--json"]] {
        let ran = world.run(args).hides("canary-4711");
        assert!(ran.stdout.contains("(not shown"), "{}", ran.stdout);
    }
    world.run(["config", "get", "profiles.prod.client_secret"]).ok().hides("canary-4711");
    for args in [&["profile", "show", "prod"][..], &["profile", "list"], &["get", "prod"]] {
        world.run(args).hides("canary-4711");
    }
    world.edit_config(|text| text.replace("canary-4711", "entry:one"));
    assert_eq!(world.run(["config", "get", "profiles.prod.client_secret"]).ok().stdout, "entry:one\n");
}
