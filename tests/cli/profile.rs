//! `profile`: what is written into `config.toml`, and what is refused.

use std::fs;

use crate::harness::World;

fn config(world: &World) -> String {
    fs::read_to_string(world.home().join("config/config.toml")).unwrap()
}

const ADD: [&str; 7] = ["profile", "add", "new", "--issuer", "https://a.example", "--client-id", "c"];

#[test]
fn a_profile_asks_for_an_offline_token_unless_told_otherwise() {
    let world = World::new();
    let ran = world.run(ADD).ok().says("tokenkeep generate new");
    assert_eq!(ran.stdout, "");
    let shown = world.run(["profile", "show", "new", "--json"]).ok().json();
    assert_eq!(shown["scopes"], serde_json::json!(["offline_access", "openid"]));
    assert_eq!((&shown["flow"], &shown["client_auth"]), (&"auto".into(), &"none".into()));
}

#[test]
fn comments_and_order_survive_adding_replacing_and_removing() {
    let world = World::new();
    world.edit_config(|text| format!("# mine\n\n{text}# the last word\n"));
    let before = config(&world);
    world.run(ADD).ok();
    world.run([&ADD[..], &["--replace", "--var", "V"]].concat()).ok();
    assert!(config(&world).contains("var = \"V\""));
    world.run(["profile", "remove", "new"]).ok();
    let after = config(&world);
    for line in before.lines() {
        assert!(after.contains(line), "lost: {line}\n{after}");
    }
}

#[test]
fn of_profiles_added_at_once_none_is_lost() {
    let world = World::new();
    let add =
        |name: String| world.start(["profile", "add", &name, "--issuer", "https://a.example", "--client-id", "c"]);
    let children: Vec<_> = (0..20).map(|number| add(format!("p{number}"))).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(world.run(["profile", "list", "--json"]).ok().json().as_array().unwrap().len(), 21);
}

#[test]
fn an_existing_profile_is_not_overwritten() {
    let world = World::new();
    world.run(ADD).ok();
    world.run(ADD).fails(2).says("--replace");
}

#[test]
fn a_profile_whose_name_differs_only_by_case_is_refused() {
    let world = World::new();
    world.run(["profile", "add", "Prod", "--issuer", "https://a.example", "--client-id", "c"]).fails(2).says("`prod`");
    world.run(["profile", "add", "Prod", "--issuer", "https://a.example", "--client-id", "c", "--replace"]).fails(2);
    assert_eq!(world.run(["profile", "list", "--json"]).ok().json().as_array().unwrap().len(), 1);
}

#[test]
fn a_parameter_that_no_profile_has_is_exit_2() {
    let world = World::new();
    let issuer = "https://{domain}/realms/{realm}";
    world.run(["profile", "add", "stage", "--issuer", issuer, "--client-id", "c", "--set-param", "spare=x"]).ok();
    let given = ["--param", "domain=d.example", "--param", "realm=main"];
    let with = |more: &str| world.run([&["profile", "show", "stage"][..], &given, &["--param", more]].concat());
    with("spare=y").ok();
    with("relm=main").fails(2).says("`relm`").says("--param realm=VALUE");
    with("realm-of-nobody=main").fails(2).says("--param realm=VALUE");
    // another profile may have it
    world.run(["profile", "show", "prod", "--param", "realm=main"]).ok();
    world.run(["profile", "show", "prod", "--param", "nobody=main"]).fails(2);
    let add = ["profile", "add", "new", "--issuer", "https://{host}", "--client-id", "c"];
    world.run([&add[..], &["--param", "hos=a.example"]].concat()).fails(2).says("--param host=VALUE");
    world.run([&add[..], &["--param", "host=a.example"]].concat()).ok();
}

#[test]
fn what_could_never_be_used_is_refused_and_nothing_is_written() {
    let world = World::new();
    let before = config(&world);
    let refused = |flags: &[&str]| world.run([&["profile", "add", "new"], flags].concat()).fails(2);
    refused(&["--issuer", "http://a.example", "--client-id", "c"]).says("not https");
    refused(&["--issuer", "http://a.{domain}", "--client-id", "c"]).says("not https");
    refused(&["--client-id", "c"]).says("--issuer");
    refused(&["--issuer", "https://a.example"]).says("--client-id");
    refused(&["--issuer", "https://a.example", "--client-id", "c", "--client-auth", "basic"]).says("client-secret");
    let secret = ["--issuer", "https://a.example", "--client-id", "c", "--client-secret", "hunter2"];
    refused(&secret).says("entry:NAME").hides("hunter2");
    world.run(["profile", "add", "a@b", "--issuer", "https://a.example", "--client-id", "c"]).fails(2);
    assert_eq!(config(&world), before);
}

#[test]
fn parameters_are_filled_from_flag_environment_and_default() {
    let world = World::new();
    let issuer = "https://auth.{domain}/{realm}";
    let add = ["profile", "add", "stage", "--issuer", issuer, "--client-id", "c", "--set-param", "realm=main"];
    world.run(add).ok().says("--param domain=VALUE");
    world.run(["profile", "show", "stage"]).fails(2).says("domain");
    let shown = world.run(["profile", "show", "stage", "--param", "domain=d.example", "--json"]).ok().json();
    assert_eq!(shown["issuer"], "https://auth.d.example/main");
    let listed = world.run(["profile", "list", "--json"]).ok().json();
    assert_eq!(listed[1]["issuer"], issuer);
}

#[test]
fn removing_a_profile_tells_what_stays_in_the_vault() {
    let world = World::logged_in(provider::Settings::default());
    world.run(["profile", "remove", "prod"]).ok().says("tokenkeep delete prod");
    world.run(["profile", "remove", "prod"]).fails(8);
}

#[test]
fn discovery_shows_what_a_provider_offers() {
    let world = World::new();
    let issuer = world.provider.issuer();
    let found = world.run(["profile", "discover", &issuer, "--json"]).ok().says("profile add NAME").json();
    assert_eq!(found["issuer"], issuer.as_str());
    assert_eq!(world.run(["profile", "discover", "prod", "--json"]).ok().json(), found);
    world.run(["profile", "discover", &format!("{issuer}/")]).fails(9).says("calls itself");
    let with_slash = format!("{issuer}/");
    let hint = format!("`--issuer {issuer}`");
    world.run(["generate", "new", "--issuer", &with_slash, "--client-id", "automated-access"]).fails(9).says(&hint);
    let nowhere = format!("{issuer}/nowhere");
    let hint = format!("`tokenkeep profile discover {nowhere}`");
    world.run(["generate", "new", "--issuer", &nowhere, "--client-id", "automated-access"]).fails(9).says(&hint);
    world.run(["profile", "discover", "http://127.0.0.1:9"]).fails(6);
    world.run(["profile", "discover", "http://a.example"]).fails(2);
    world.run(["profile", "discover", "nobody"]).fails(8);
    let missing = world.run(["profile", "discover", &issuer, "--ca-file", "nofile"]).fails(9).says("certificates in");
    assert!(missing.stderr.contains("PEM") && !missing.stderr.contains("letter by letter"), "{}", missing.stderr);
}

#[test]
fn the_endpoint_of_a_browser_is_a_key_like_the_others() {
    let world = World::new();
    let address = "https://auth.example.org/authorize";
    world.add_profile("flagged", &["--authorization-endpoint", address]);
    world.edit_config(|config| {
        let table = "[profiles.written]\nissuer = \"https://auth.example.org\"\nclient_id = \"c\"\n";
        format!("{config}\n{table}authorization_endpoint = \"{address}\"\n")
    });
    for name in ["flagged", "written"] {
        assert_eq!(world.run(["profile", "show", name, "--json"]).ok().json()["authorization_endpoint"], address);
        assert!(world.run(["profile", "show", name]).ok().stdout.contains(address));
        let key = format!("profiles.{name}.authorization_endpoint");
        assert_eq!(world.run(["config", "get", &key]).ok().stdout.trim_end(), address);
    }
    let far = ["profile", "add", "far", "--issuer", "https://a.example", "--client-id", "c"];
    let flag = ["--authorization-endpoint", "http://a.example/authorize"];
    world.run([&far[..], &flag].concat()).fails(2).says("--authorization-endpoint").says("not https");
    world.edit_config(|config| config.replace(address, flag[1]));
    world.run(["profile", "show", "written"]).fails(9).says("authorization_endpoint");
}

#[test]
fn a_client_secret_that_is_not_used_is_told_and_not_needed() {
    let world = World::logged_in(provider::Settings::default());
    let idle = "client_auth = \"none\"\nclient_secret = \"entry:nowhere\"\n";
    world.edit_config(|text| text.replacen("[profiles.prod]\n", &format!("[profiles.prod]\n{idle}"), 1));
    world.run(["get", "prod", "--no-cache"]).ok();
    assert_eq!(world.run(["profile", "show", "prod", "--json"]).ok().json()["client_secret"], "entry:nowhere");
    let problems = world.run(["status", "--json"]).ok().json()["problems"].to_string();
    assert!(problems.contains("is not used") && !problems.contains("not in the vault"), "{problems}");
    let flags = ["--client-auth", "none", "--client-secret", "entry:nowhere"];
    world.run([&ADD[..], &flags].concat()).fails(2).says("would never be used");
}

#[test]
fn what_a_later_version_will_have_is_refused_by_its_name() {
    let world = World::new();
    for (key, word) in [("flow", "browser"), ("flow", "jwt-bearer"), ("client_auth", "mtls")] {
        let not_yet = format!("`{word}` is not in this version yet");
        let flag = format!("--{}", key.replace('_', "-"));
        world.run([&ADD[..], &[&flag, word]].concat()).fails(2).says(&not_yet).says(&flag);
        let generate = ["generate", "prod", &flag, word];
        world.run(generate).fails(2).says(&not_yet);
        let written = format!("[profiles.prod]\n{key} = \"{word}\"\n");
        world.edit_config(|text| text.replacen("[profiles.prod]\n", &written, 1));
        world.run(["get", "prod"]).fails(9).says(&not_yet).says("config.toml:");
        world.edit_config(|text| text.replacen(&written, "[profiles.prod]\n", 1));
    }
    world.run([&ADD[..], &["--flow", "devise"]].concat()).fails(2).says("[possible values: auto, device]");
}

#[test]
fn an_address_without_https_is_told_so_and_the_last_slash_which_way() {
    let world = World::new();
    world
        .run(["profile", "discover", "auth.example.org"])
        .fails(8)
        .says("`tokenkeep profile discover https://auth.example.org`");
    let issuer = world.provider.issuer();
    world.run(["profile", "discover", &format!("{issuer}/")]).fails(9).says("try it without the last `/`");
}
