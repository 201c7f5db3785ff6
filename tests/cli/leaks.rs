//! Secrets stay where they belong: in no stream at any verbosity, in no process list, in no environment.

use provider::{Endpoint, Fault, Method, Settings};

use crate::harness::{PATIENCE, Ran, World, short_lived};
use crate::signals::{exchange_of, proc_file};

/// The secret of the confidential client of this file.
pub(crate) const SECRET: &str = "s3cret+client/of=this%file";

/// A machine with a login of a confidential client.
pub(crate) fn with_secret() -> World {
    let mut client = provider::Client::confidential("confidential", SECRET);
    client.methods = vec![Method::Basic, Method::Post];
    let world = World::with(Settings { clients: vec![client], ..short_lived(300) });
    world.run(["profile", "remove", "prod"]).ok();
    world.add_profile(
        "prod",
        &["--client-id", "confidential", "--client-secret", "entry:conf", "--client-auth", "post"],
    );
    world.feed(["store", "conf", "--kind", "client-secret", "--stdin"], SECRET).ok();
    let token = world.provider.grant("confidential", &["openid", "offline_access"]);
    world.feed(["store", "prod", "--kind", "refresh-token", "--stdin"], &token).ok();
    world
}

/// Everything that was secret in this world so far, access tokens apart.
pub(crate) fn secrets(world: &World) -> Vec<String> {
    let identity = std::fs::read_to_string(world.identity_file()).unwrap();
    let key = identity.lines().find(|line| line.starts_with("AGE-SECRET-KEY-")).unwrap().to_owned();
    let sent = world.provider.requests().into_iter().flat_map(|request| request.form);
    let is_secret = |name: &str| matches!(name, "refresh_token" | "device_code" | "client_secret" | "token");
    let sent = sent.filter(|(name, _)| is_secret(name)).map(|(_, value)| value);
    sent.chain([key, SECRET.to_owned()]).chain(world.provider.newest_refresh_token()).collect()
}

/// Claims that what a command printed holds no secret.
fn tells_nothing(world: &World, ran: Ran) -> Ran {
    secrets(world).iter().fold(ran, |ran, secret| ran.hides(secret))
}

#[test]
fn no_command_tells_a_secret_at_any_verbosity() {
    let world = with_secret();
    for args in [
        vec!["get", "prod"],
        vec!["get", "prod", "--no-cache"],
        vec!["get", "prod", "--json", "--scope", "openid"],
        vec!["refresh", "--all", "--force"],
        vec!["refresh", "prod", "--force", "--json"],
        vec!["generate", "prod", "--force"],
        vec!["generate", "prod", "--force", "--revoke-old", "--json"],
        vec!["list"],
        vec!["list", "--json"],
        vec!["show", "prod"],
        vec!["show", "prod", "--json"],
        vec!["profile", "show", "prod"],
        vec!["get", "prod", "--scope", "not-granted"],
        vec!["get", "nobody"],
    ] {
        let ran = world.run(args.iter().copied().chain(["-vvv"]));
        assert!([0, 8, 9].contains(&ran.code), "{args:?}: {}", ran.stderr);
        tells_nothing(&world, ran);
    }
}

#[test]
fn no_failure_tells_a_secret_at_any_verbosity() {
    let echo = |secret: &str| Fault::OauthError {
        status: 400,
        error: "invalid_scope".to_owned(),
        description: format!("no: {secret} or {SECRET}"),
    };
    let world = with_secret();
    world.run(["get", "prod"]).ok();
    for fault in [
        echo(&world.provider.newest_refresh_token().unwrap()),
        Fault::oauth("invalid_client"),
        Fault::status(503),
        Fault::Html,
        Fault::oauth("invalid_grant"),
        Fault::ResetBeforeProcessing,
    ] {
        world.provider.misbehave(Endpoint::Token, fault);
        let ran = world.run(["refresh", "prod", "--force", "-vvv"]);
        assert_ne!(ran.code, 0);
        tells_nothing(&world, ran);
    }
}

#[test]
fn an_access_token_is_printed_only_where_it_is_asked_for() {
    let world = with_secret();
    let token = world.token("prod");
    for args in [
        &["refresh", "prod", "-vvv"][..],
        &["list", "-vvv"],
        &["show", "prod", "--json"],
        &["generate", "prod", "-vvv"],
    ] {
        world.run(args).ok().hides(&token);
    }
    let ran = world.run(["get", "prod", "-vvv"]).ok();
    assert!(!ran.stderr.contains(&token));
}

#[test]
fn the_processes_of_an_exchange_show_no_secret() {
    let world = with_secret();
    world.token("prod");
    world.provider.misbehave(Endpoint::Token, Fault::HangBeforeBody(PATIENCE));
    let mut command = world.command(["get", "prod", "--no-cache"]);
    let identity = std::fs::read_to_string(world.identity_file()).unwrap();
    let key = identity.lines().find(|line| line.starts_with("AGE-SECRET-KEY-")).unwrap().to_owned();
    let front = command.env("TOKENKEEP_IDENTITY", &key).spawn().unwrap();
    world.provider.wait_for_exchanges(2, PATIENCE);
    let child = exchange_of(&front);
    let seen = ["cmdline", "environ"].map(|name| proc_file(child, name)).concat() + &proc_file(front.id(), "cmdline");
    world.provider.release();
    Ran::from(front.wait_with_output().unwrap()).ok();
    assert!(seen.contains("__exchange"));
    for secret in secrets(&world) {
        assert!(!seen.contains(&secret));
    }
}

#[test]
fn the_child_of_an_exchange_gets_an_environment_of_its_own() {
    let world = with_secret();
    world.token("prod");
    world.provider.misbehave(Endpoint::Token, Fault::HangBeforeBody(PATIENCE));
    let mut command = world.command(["get", "prod", "--no-cache"]);
    let front = command.env("RUNNER_TRACKING_ID", "x").env("NO_PROXY", "here").spawn().unwrap();
    world.provider.wait_for_exchanges(2, PATIENCE);
    let environment = proc_file(exchange_of(&front), "environ");
    world.provider.release();
    Ran::from(front.wait_with_output().unwrap()).ok();
    // only root and the process itself may read it: we are one of them, or see nothing
    assert!(environment.is_empty() || environment == "NO_PROXY=here\0", "{environment:?}");
}

#[test]
fn what_rests_on_the_disk_holds_no_secret_in_clear() {
    let world = with_secret();
    world.run(["get", "prod"]).ok();
    world.provider.disable_user();
    world.run(["get", "prod", "--no-cache"]).fails(4);
    let secrets = secrets(&world);
    for file in files(&world.home()).into_iter().filter(|file| *file != world.identity_file()) {
        let bytes = std::fs::read(&file).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        assert!(!secrets.iter().any(|secret| text.contains(secret.as_str())), "{}", file.display());
    }
}

pub(crate) fn files(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let items = std::fs::read_dir(folder).unwrap().map(|item| item.unwrap().path());
    items.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
