//! `import`: logins of other tools. The account files are written by the real oidc-agent (Debian's oidc-agent-cli).

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use base64::Engine as _;
use provider::{Endpoint, Settings};
use serde_json::json;

use crate::harness::{PATIENCE, Ran, World, feed};
use crate::outside::write;

/// The password of the accounts.
const PASSWORD: &str = "correct horse";

/// The secret of the provider's confidential client.
const SECRET: &str = "s3cret-client";

/// A running oidc-agent.
struct Agent {
    process: Child,
    socket: PathBuf,
}

impl Agent {
    /// Starts an agent, and waits until it listens.
    fn start(world: &World) -> Self {
        std::fs::create_dir_all(config_folder(world)).unwrap();
        let socket = world.folder.path().join("agent");
        let mut command = command(world, "oidc-agent");
        command.arg("-d").arg("-a").arg(&socket).stdout(Stdio::null()).stderr(Stdio::null());
        let agent = Self { process: command.spawn().expect("Debian's oidc-agent-cli is installed"), socket };
        let end = Instant::now() + PATIENCE;
        while std::os::unix::net::UnixStream::connect(&agent.socket).is_err() {
            assert!(Instant::now() < end, "the agent does not listen");
            std::thread::yield_now();
        }
        agent
    }

    /// Lets `oidc-gen` write an account of the confidential client, and returns its file.
    fn account(&self, world: &World, name: &str) -> PathBuf {
        let token = world.provider.grant("confidential", &["openid", "offline_access"]);
        let mut command = command(world, "oidc-gen");
        command.args([
            name,
            "--iss",
            &world.provider.issuer(),
            "--client-id",
            "confidential",
            "--client-secret",
            SECRET,
        ]);
        command.args(["--scope", "openid offline_access", "--cp", "/etc/ssl/certs/ca-certificates.crt"]);
        command.args(["--redirect-uri", "http://localhost:4242", "--flow=refresh", "--rt-env", "--pw-env"]);
        command.args(["--confirm-default", "--no-url-call", "--prompt=none"]);
        command.env("OIDC_SOCK", &self.socket).env("OIDC_REFRESH_TOKEN", token);
        let output = command.output().unwrap();
        let file = config_folder(world).join(name);
        assert!(file.is_file(), "{output:?}");
        file
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // its second process ends with it
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// A program of oidc-agent's, in this world.
fn command(world: &World, program: &str) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", world.folder.path().join("user"));
    command.env("OIDC_ENCRYPTION_PW", PASSWORD).current_dir(world.folder.path()).stdin(Stdio::null());
    command
}

/// Where oidc-agent keeps its accounts.
fn config_folder(world: &World) -> PathBuf {
    world.folder.path().join("user/.config/oidc-agent")
}

/// A machine with a vault and no profile.
fn world_without_profile() -> World {
    world_of(Settings::default())
}

/// The same with a provider of its own kind.
fn world_of(settings: Settings) -> World {
    let world = World::bare(settings);
    world.run(["init", "--unlock", "file"]).ok();
    world
}

/// The same with an account `site` that the real agent wrote.
fn world_with_account() -> (World, PathBuf) {
    let world = world_without_profile();
    let file = Agent::start(&world).account(&world, "site");
    (world, file)
}

/// Imports from oidc-agent, with the password in a variable.
fn import(world: &World, args: &[&str]) -> Ran {
    let all = [&["import", "oidc-agent", "--password-env", "PW"][..], args].concat();
    world.command(all).env("PW", PASSWORD).output().unwrap().into()
}

/// How often the provider was asked for a token.
fn token_requests(world: &World) -> usize {
    world.provider.count(Endpoint::Token)
}

/// Claims that an entry gives a token that is good.
#[track_caller]
fn lives(world: &World, name: &str) {
    assert!(world.provider.is_access_live(&world.token(name)), "{name}");
}

#[test]
fn an_account_of_the_real_agent_becomes_a_profile_and_an_entry() {
    let (world, file) = world_with_account();
    let before = token_requests(&world);
    let taken = import(&world, &["site", "--json"]).ok().hides(SECRET).hides(PASSWORD).json();
    let taken = &taken[0];
    assert_eq!((&taken["outcome"], &taken["profile_outcome"]), (&json!("imported"), &json!("made")));
    // oidc-agent puts a slash behind it
    assert_eq!(taken["issuer"], json!(world.provider.issuer()));
    assert_eq!(taken["client_secret"], json!("site-client"));
    assert_eq!(taken["left"], json!([]));
    assert_eq!(token_requests(&world), before, "a token was presented");
    lives(&world, "site");
    assert_eq!(world.token("site-client"), SECRET);
    assert!(file.is_file(), "without a word it stays");
}

#[test]
fn a_slash_that_is_the_provider_s_own_stays() {
    let world = world_of(Settings { issuer_path: "/".to_owned(), ..Settings::default() });
    Agent::start(&world).account(&world, "site");
    let taken = import(&world, &["site", "--json"]).ok().json();
    assert!(taken[0]["issuer"].as_str().unwrap().ends_with('/'), "{taken}");
    lives(&world, "site");
}

#[test]
fn a_provider_that_is_down_keeps_nothing_from_being_taken_over() {
    let (world, _) = world_with_account();
    world.provider.go_offline();
    import(&world, &["site"]).ok().says("nobody could be asked");
    world.provider.go_online();
    lives(&world, "site");
}

#[test]
fn what_is_in_the_vault_already_is_left_as_it_is() {
    let (world, _) = world_with_account();
    import(&world, &["--all"]).ok();
    let again = import(&world, &["--all", "--json"]).ok().json();
    assert_eq!(again.as_array().unwrap().len(), 1, "the agent's own files are no accounts");
    assert_eq!((&again[0]["outcome"], &again[0]["profile_outcome"]), (&json!("unchanged"), &json!("unchanged")));
    world.token("site");
    let after = import(&world, &["--all", "--json", "--replace"]).ok().json();
    assert_eq!(after[0]["outcome"], "newer", "the file's token is spent");
    assert_eq!((world.generation("site"), world.generation("site-client")), (2, 1));
    lives(&world, "site");
}

#[test]
fn a_dry_run_says_it_all_and_does_nothing() {
    let (world, file) = world_with_account();
    let ran = import(&world, &["site", "--dry-run", "--shred"]).ok();
    assert!(ran.stdout.contains("would take over") && ran.stdout.contains(&world.provider.issuer()), "{}", ran.stdout);
    assert!(file.is_file());
    assert_eq!((world.generation("site"), world.generation("site-client")), (0, 0));
    assert!(world.run(["profile", "list", "--json"]).ok().json().as_array().unwrap().is_empty());
}

#[test]
fn an_account_that_is_not_there_is_called_so() {
    let (world, _) = world_with_account();
    let ran = import(&world, &["side", "site"]);
    ran.says("oidc-agent has no account `side`").says("oidc-gen --accounts").says("took over `site`");
    import(&world, &["./side"]).fails(8).says("cannot open ./side");
}

#[test]
fn a_wrong_password_and_a_changed_file_store_nothing() {
    let (world, file) = world_with_account();
    let content = std::fs::read_to_string(&file).unwrap();
    let mut wrong = world.command(["import", "oidc-agent", "site", "--password-env", "PW"]);
    Ran::from(wrong.env("PW", "another").output().unwrap()).fails(2).says("the password does not open it");
    world.run(["import", "oidc-agent", "site"]).fails(2).says("--password-fd");
    let costly = content.replace(":67108864:", ":2147483647:");
    let cut = content.lines().take(5).collect::<Vec<_>>().join("\n");
    let huge = "x".repeat(2 << 20);
    for (changed, code, said) in [(&costly, 1, "more memory"), (&cut, 2, "not 7"), (&huge, 1, "larger than")] {
        std::fs::write(&file, changed).unwrap();
        import(&world, &["site", "--shred"]).fails(code).says(said);
    }
    assert_eq!(world.generation("site"), 0);
    assert!(file.is_file());
    import(&world, &["nobody"]).fails(8).says("nobody").says("oidc-gen --accounts");
    import(&world, &["./nobody"]).fails(8).says("nobody").says("ls -la '.'");
    import(&world, &["site", "nobody"]).fails(1).says("2 of 2 logins").says("larger than");
}

#[test]
fn an_account_that_was_printed_is_read_from_standard_input() {
    let (world, _) = world_with_account();
    let printed = command(&world, "oidc-gen").args(["--print", "site", "--pw-env"]).output().unwrap();
    let printed = String::from_utf8(printed.stdout).unwrap();
    world.feed(["import", "oidc-agent", "-", "--name", "other"], &printed).ok();
    lives(&world, "other");
    let key = world.feed(["import", "oidc-agent", "-", "--name", "issue-key"], &printed);
    assert!(key.code != 0 && key.stderr.contains("the ledger's own"), "{}", key.stderr);
    assert_eq!(world.generation("issue-key"), 0);
}

#[test]
fn the_old_file_is_shredded_once_the_login_was_seen_to_live() {
    let (world, file) = world_with_account();
    let ran = import(&world, &["site", "--refresh", "--shred"]).ok();
    ran.says("copy-on-write").says(file.to_str().unwrap());
    assert!(!file.exists());
    assert_eq!(world.generation("site"), 2, "it was refreshed");
}

#[test]
fn a_file_stays_while_its_login_could_not_be_refreshed_or_stored() {
    let (world, file) = world_with_account();
    world.provider.disable_user();
    import(&world, &["site", "--refresh", "--shred"]).fails(4).says("invalid_grant");
    assert!(file.is_file());
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(world.entry("site"), mode).unwrap();
    import(&world, &["site", "--shred"]).fails(5).says("chmod 700");
    assert!(file.is_file());
}

#[test]
fn a_file_with_another_name_is_not_shredded() {
    let (world, file) = world_with_account();
    std::fs::hard_link(&file, world.folder.path().join("other")).unwrap();
    let ran = import(&world, &["site", "--shred"]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    ran.says("2 names").says("was not shredded");
    assert!(file.is_file());
    assert_eq!(world.generation("site"), 1);
}

#[test]
fn a_person_is_asked_for_the_password_and_about_the_file() {
    let (world, file) = world_with_account();
    let mut terminal = world.on_terminal(["import", "oidc-agent", "site"]);
    terminal.sees("Password of oidc-agent's account site: ").types(PASSWORD).sees("Shred ").sees("[y/N] ").types("n");
    terminal.ends().with(0).hides(PASSWORD);
    assert!(file.is_file());
    let mut terminal = world.on_terminal(["import", "oidc-agent", "--all"]);
    terminal.sees("account site: ").types(PASSWORD).sees("[y/N] ").types("y").sees("overwritten and removed");
    terminal.ends().with(0);
    assert!(!file.exists());
}

#[test]
fn who_gives_up_at_a_question_is_not_asked_the_next() {
    let (world, file) = world_with_account();
    std::fs::copy(&file, file.with_file_name("twin")).unwrap();
    let mut terminal = world.on_terminal(["import", "oidc-agent", "--all"]);
    terminal.sees("account site: ").presses_control('c');
    terminal.ends().with(130);
    let mut terminal = world.on_terminal(["import", "oidc-agent", "site", "--name", "one"]);
    terminal.sees("account site: ").types(PASSWORD).sees("[y/N] ").presses_control('c');
    terminal.ends().with(130);
    assert!(file.is_file());
    assert_eq!((world.generation("one"), world.generation("site")), (1, 0));
}

#[test]
fn a_profile_that_says_otherwise_is_not_replaced_unasked() {
    let (world, _) = world_with_account();
    let elsewhere =
        ["profile", "add", "site", "--issuer", "https://other.example", "--client-id", "c", "--var", "KEPT"];
    world.run(elsewhere).ok();
    import(&world, &["site"]).fails(2).says("the profile `site` says otherwise: issuer");
    assert_eq!((world.generation("site"), world.generation("site-client")), (0, 0));
    import(&world, &["site", "--replace"]).ok();
    lives(&world, "site");
    assert_eq!(world.run(["config", "get", "profiles.site.var"]).ok().stdout, "KEPT\n");
}

#[test]
fn an_entry_that_says_otherwise_is_not_replaced_unasked() {
    let (world, _) = world_with_account();
    let here = ["site", "--name", "here"];
    import(&world, &here).ok();
    let other = world.provider.grant("confidential", &["openid", "offline_access"]);
    world.feed(["store", "here", "--stdin"], &other).ok();
    import(&world, &here).fails(2).says("`here` holds another login").says("--replace");
    assert_eq!(world.generation("here"), 2);
    world.feed(["store", "text", "--stdin"], "a secret").ok();
    import(&world, &["site", "--name", "text", "--replace"]).fails(2).says("of the kind secret");
    world.feed(["store", "spare-client", "--kind", "client-secret", "--stdin"], "another").ok();
    import(&world, &["site", "--name", "spare"]).fails(2).says("`spare-client` holds another client secret");
    assert_eq!((world.generation("spare"), world.generation("spare-client")), (0, 1));

    import(&world, &[&here[..], &["--replace"]].concat()).ok();
    lives(&world, "here");
}

#[test]
fn a_hostile_account_is_refused_in_plain_words() {
    let world = World::new();
    let account = |name: &str, issuer: &str| {
        json!({"name": name, "issuer_url": issuer, "client_id": "c", "refresh_token": "canary-4711"}).to_string()
    };
    let feed = |input: &str| world.feed(["import", "oidc-agent", "-"], input).hides("canary-4711").hides("\u{1b}");
    feed(&account("a\u{1b}[31m", "https://a.example")).fails(2).says("--name NAME");
    feed(&account("../x", "https://a.example")).fails(2).says("no name here");
    feed(&account("x", "http://a.example")).fails(2).says("not https");
    feed(&account("x", "https://a.example/\u{1b}[31m")).fails(2).says("issuer");
    feed(&account("x", "https://a.example").replace("canary-4711", "two words")).fails(2).says("printable ASCII");
    feed("{\"name\": \"x\"}").fails(2).says("no refresh token");
    feed("-----BEGIN PGP MESSAGE-----").fails(2).says("oidc-gen --print");
    assert_eq!(world.generation("x"), 0);
}

/// Writes `.tokens.json` with the tokens of stages, and returns the file and the refresh tokens.
fn tokens_json(world: &World, stages: &[(&str, bool)]) -> (PathBuf, Vec<String>) {
    let access = world.provider.grant_access("automated-access", &["openid"], &[]);
    let (mut refresh, mut written) = (Vec::new(), json!({}));
    for (stage, has_refresh) in stages {
        written[stage] = json!({ "access_token": access });
        if *has_refresh {
            let token = world.provider.grant("automated-access", &["openid", "offline_access"]);
            written[stage]["refresh_token"] = json!(token);
            refresh.push(token);
        }
    }
    let file = world.folder.path().join(".tokens.json");
    std::fs::write(&file, json!({ "stages": written }).to_string()).unwrap();
    (file, refresh)
}

#[test]
fn every_stage_of_provena_s_file_becomes_a_profile() {
    let world = world_without_profile();
    let (file, tokens) = tokens_json(&world, &[("PROD", true), ("DEV", true), ("STAGE", false)]);
    let before = token_requests(&world);
    let ran = world.run(["import", "provena", ".tokens.json", "--shred"]).ok();
    let ran = ran.says("left `STAGE`").says("from the claims of its access token");
    tokens.iter().fold(ran, |ran, token| ran.hides(token));
    assert_eq!(token_requests(&world), before);
    assert!(!file.exists());
    lives(&world, "prod");
    lives(&world, "dev");
}

#[test]
fn a_stage_that_is_left_keeps_the_file() {
    let world = world_without_profile();
    let (file, _) = tokens_json(&world, &[("PROD", true), ("DEV", true)]);
    let ran = world.run(["import", "provena", ".tokens.json", "--stage", "prod", "--name", "mine", "--shred"]);
    assert_eq!(ran.code, 1);
    ran.says("tokens of other stages");
    assert!(file.exists());
    assert_eq!((world.generation("mine"), world.generation("dev")), (1, 0));
    world.run(["import", "provena", ".tokens.json", "--stage", "TEST"]).fails(8).says("DEV, PROD");
    world.run(["import", "provena", ".tokens.json", "--name", "both"]).fails(2).says("for one login, not 2");
}

#[test]
fn a_refresh_token_that_was_skipped_keeps_the_file() {
    let world = world_without_profile();
    let (file, _) = tokens_json(&world, &[("PROD", true), ("DEV", true)]);
    let before = std::fs::read_to_string(&file).unwrap();
    let part = |value: serde_json::Value| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(value.to_string());
    // nobody has checked what it says of its end
    let ended = format!("{}.{}.c2ln", part(json!({"alg": "HS512"})), part(json!({"exp": 1_700_000_000})));
    for token in [ended.as_str(), "two words"] {
        let mut stages: serde_json::Value = serde_json::from_str(&before).unwrap();
        stages["stages"]["DEV"]["refresh_token"] = json!(token);
        std::fs::write(&file, stages.to_string()).unwrap();
        let ran = world.run(["import", "provena", ".tokens.json", "--shred"]);
        assert_eq!(ran.code, 1, "{}", ran.stderr);
        ran.says("the refresh token of `DEV`").says("was not shredded").hides(token);
        assert!(file.exists());
        lives(&world, "prod");
    }
}

#[test]
fn a_file_stays_while_the_newest_generation_does_not_open() {
    let world = world_without_profile();
    let (file, tokens) = tokens_json(&world, &[("PROD", true)]);
    let import = |flags: &[&str]| world.run([&["import", "provena", ".tokens.json", "--shred"], flags].concat());
    world.run(["import", "provena", ".tokens.json"]).ok();
    let damage = || {
        let path = world.entry("prod").join(format!("{}.age", world.generation("prod") + 1));
        write(&path, b"rubbish", 0o600);
    };
    damage();
    import(&[]).fails(5).says("2.age");
    assert!(file.exists());
    // the file is all that is left of it
    import(&["--replace"]).ok().hides(&tokens[0]);
    assert!(!file.exists());
    lives(&world, "prod");
    // nor is a token that is spent a reason, when what came of it is lost
    std::fs::write(&file, json!({"stages": {"PROD": {"refresh_token": tokens[0]}}}).to_string()).unwrap();
    damage();
    import(&["--replace"]).fails(5);
    assert!(file.exists());
}

#[test]
fn a_file_with_nothing_but_access_tokens_is_told_so() {
    let world = world_without_profile();
    let (file, _) = tokens_json(&world, &[("PROD", false)]);
    world.run(["import", "provena", ".tokens.json", "--shred"]).fails(2).says("no refresh token to take over");
    std::fs::write(&file, "{\"stages\": {\"PROD\": null}}").unwrap();
    world.run(["import", "provena", ".tokens.json", "--shred"]).fails(8).says("no stage");
    assert!(file.exists());
}

#[test]
fn an_offline_token_alone_needs_to_be_told_whose_it_is() {
    let world = World::new();
    let token = world.provider.grant("automated-access", &["openid", "offline_access"]);
    std::fs::write(world.folder.path().join("token.txt"), &token).unwrap();
    world.run(["import", "provena", "token.txt"]).fails(2).says("--name NAME");
    for (text, said) in [("[]", "it is a list"), ("\"x\"", "it is a text in quotes")] {
        std::fs::write(world.folder.path().join("odd.json"), text).unwrap();
        world.run(["import", "provena", "odd.json"]).fails(2).says(said);
    }
    world.run(["import", "provena", "token.txt", "--name", "new"]).fails(2).says("--issuer URL --client-id ID");
    // the profile knows it
    world.run(["import", "provena", "token.txt", "--name", "prod"]).ok().hides(&token).says("from the profile");
    lives(&world, "prod");
    // spent under that name, it cannot be taken over under another one
    let hint =
        format!("`tokenkeep generate twin --issuer '{}' --client-id 'automated-access'`", world.provider.issuer());
    let issuer = world.provider.issuer();
    let whose = ["--name", "twin", "--issuer", &issuer, "--client-id", "automated-access"];
    world.run([&["import", "provena", "token.txt"], whose.as_slice()].concat()).fails(4).says(&hint).hides(&token);
}

/// Writes a file of kubelogin's cache; its ID token is one that nobody signed.
fn cache_file(world: &World) -> PathBuf {
    let folder = world.folder.path().join("user/.kube/cache/oidc-login");
    std::fs::create_dir_all(&folder).unwrap();
    let part = |value: serde_json::Value| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = json!({"iss": world.provider.issuer(), "aud": "confidential", "sub": "ada", "exp": 1_700_000_000});
    let id_token = format!("{}.{}.c2ln", part(json!({"alg": "ES256"})), part(claims));
    let token = world.provider.grant("confidential", &["openid", "offline_access"]);
    let file = folder.join("0123456789abcdef".repeat(4));
    std::fs::write(&file, json!({"id_token": id_token, "refresh_token": token}).to_string()).unwrap();
    std::fs::write(file.with_extension("lock"), "").unwrap();
    file
}

#[test]
fn kubelogin_s_cache_and_a_kubeconfig_make_a_login() {
    let world = world_without_profile();
    let file = cache_file(&world);
    let issuer = format!("--oidc-issuer-url={}", world.provider.issuer());
    let args = ["oidc-login", "get-token", &issuer, "--oidc-client-id=confidential", "--oidc-client-secret", SECRET];
    let config = json!({"users": [{"name": "cluster", "user": {"exec": {"command": "kubectl", "args": args}}}]});
    let import = world.command(["import", "kubelogin", "--kubeconfig", "-", "--shred"]);
    feed(import, &config.to_string()).ok().says("the claims of its ID token").hides(SECRET);
    assert!(!file.exists());
    lives(&world, "cluster");
    world.run(["import", "kubelogin"]).fails(8).says("OS keyring").says(".kube/cache/oidc-login holds no tokens");
}

#[test]
fn kubelogin_s_cache_is_where_its_variable_says() {
    let world = world_without_profile();
    let file = cache_file(&world);
    let folder = world.folder.path().join("cache/oidc-login");
    std::fs::create_dir_all(&folder).unwrap();
    let import = |cache: &str| -> Ran {
        let mut command = world.command(["import", "kubelogin"]);
        command.env("KUBECACHEDIR", world.folder.path().join(cache)).output().unwrap().into()
    };
    import("cache").fails(8).says("cache/oidc-login holds no tokens");
    import("nope").fails(8).says("nope/oidc-login holds no tokens");
    std::fs::rename(&file, folder.join(file.file_name().unwrap())).unwrap();
    import("cache").ok();
    assert_eq!(world.generation("confidential"), 1);
}

#[test]
fn a_password_s_variable_that_is_not_set_is_named_with_a_safe_way_to_set_it() {
    let (world, _) = world_with_account();
    let ran = world.run(["import", "oidc-agent", "site", "--password-env", "NOPE"]).fails(2);
    ran.says("the variable NOPE").says("read -rs NOPE && export NOPE").says("--password-fd 3 3<FILE");
}

#[test]
fn kubelogin_s_cache_alone_is_named_after_its_client() {
    let world = world_without_profile();
    let file = cache_file(&world);
    let yaml = feed(world.command(["import", "kubelogin", "--kubeconfig", "-"]), "users: []\n");
    yaml.fails(2).says("kubectl config view --raw");
    let taken = world.run(["import", "kubelogin", file.to_str().unwrap(), "--json"]).ok().json();
    let origin = (&taken[0]["name"], &taken[0]["taken_from"]);
    assert_eq!(origin, (&json!("confidential"), &json!("the claims of its ID token")));
    assert!(file.exists());
}
