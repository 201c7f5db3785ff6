//! `store`: every source and kind, what is refused, and what happens to the token that was there before.

use provider::{Endpoint, Settings};

use crate::harness::{World, short_lived};

#[test]
fn who_deletes_a_login_is_told_what_is_gone_and_what_lives_on() {
    let world = World::logged_in(Settings::default());
    world
        .run(["delete", "prod"])
        .ok()
        .says("deleted `prod`")
        .says("stays good at the provider")
        .says("`tokenkeep revoke` would have ended it, too");
    assert_eq!(world.provider.count(Endpoint::Revocation), 0);
}

#[test]
fn a_token_is_taken_without_the_space_around_it() {
    let world = World::new();
    let kinds = ["access-token", "client-secret"];
    for kind in kinds {
        world.feed(["store", kind, "--kind", kind, "--stdin"], "\n \tthe-text \r\n\n").ok();
    }
    assert_eq!(kinds.map(|kind| world.token(kind)), ["the-text", "the-text"]);
}

#[test]
fn a_secret_is_kept_as_it_is_but_for_one_line_end() {
    let world = World::new();
    for (given, kept) in [
        (" with blanks  ", " with blanks  "),
        ("\tone line \n", "\tone line "),
        ("from elsewhere \r\n", "from elsewhere "),
        ("\ntwo ends\n\n", "\ntwo ends\n"),
        ("an odd end\r", "an odd end\r"),
    ] {
        world.feed(["store", "text", "--kind", "secret", "--stdin"], given).ok();
        assert_eq!(world.run(["get", "text"]).ok().stdout, format!("{kept}\n"));
    }
    world.feed(["store", "other", "--stdin"], "\r\n").fails(2).says("empty");
}

#[test]
fn every_source_gives_the_text() {
    let world = World::new();
    let file = world.folder.path().join("secret.txt");
    std::fs::write(&file, "from-a-file\r\n").unwrap();
    world.run(["store", "one", "--from-file", file.to_str().unwrap()]).ok();
    world.feed(["store", "two", "--stdin"], "from-a-pipe\n").ok();
    let mut command = world.command(["store", "three", "--from-env", "HANDED_OVER"]);
    assert_eq!(command.env("HANDED_OVER", "from-a-variable").status().unwrap().code(), Some(0));
    let script = format!("{} store four --from-fd 3 3<{}", env!("CARGO_BIN_EXE_tokenkeep"), file.display());
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", &script]).env_clear().env("TOKENKEEP_HOME", world.home());
    assert_eq!(shell.output().unwrap().status.code(), Some(0));
    let texts = ["one", "two", "three", "four"].map(|name| world.token(name));
    assert_eq!(texts, ["from-a-file", "from-a-pipe", "from-a-variable", "from-a-file"]);
}

#[test]
fn a_stored_refresh_token_is_exchanged_like_that_of_a_login() {
    let world = World::new();
    let token = world.provider.grant("automated-access", &["openid", "offline_access"]);
    let ran = world.feed(["store", "prod", "--stdin", "--json"], &token).ok().hides(&token);
    assert_eq!(ran.json()["kind"], "refresh-token");
    assert_eq!(ran.json()["generation"], 1);
    assert!(world.provider.is_access_live(&world.token("prod")));
}

#[test]
fn a_provider_on_the_command_line_makes_the_profile_too() {
    let world = World::new();
    let token = world.provider.grant("automated-access", &["openid", "offline_access"]);
    let issuer = world.provider.issuer();
    let flags = ["--stdin", "--issuer", &issuer, "--client-id", "automated-access"];
    world.feed([["store", "new"].as_slice(), &flags].concat(), &token).ok();
    assert_eq!(world.run(["config", "get", "profiles.new.issuer"]).ok().stdout.trim_end(), issuer);
    assert!(world.provider.is_access_live(&world.token("new")));
}

#[test]
fn a_profile_that_says_otherwise_is_not_overruled() {
    let world = World::new();
    let other = ["store", "prod", "--stdin", "--issuer", "https://other.example", "--client-id", "automated-access"];
    world.feed(other, "token").fails(2).says("issuer");
    assert_eq!(world.generation("prod"), 0);
}

#[test]
fn a_refresh_token_of_nobody_is_refused() {
    let world = World::new();
    world.feed(["store", "nobody", "--kind", "refresh-token", "--stdin"], "token").fails(2).says("--issuer URL");
    let half = ["store", "nobody", "--stdin", "--issuer", "https://a.example"];
    world.feed(half, "token").fails(2).says("a new one needs --client-id ID, too");
}

#[test]
fn a_token_on_the_command_line_is_refused_and_not_repeated() {
    let world = World::new();
    let token = world.provider.grant_access("automated-access", &["openid"], &[]);
    world.run(["store", "prod", &token]).fails(2).says("--stdin").hides(&token);
    world.run(["store", &token]).fails(2).says("--stdin").hides(&token);
    let how = "`tokenkeep job-token authorize JOB EVENT --stdin`";
    world.run(["job-token", "authorize", "j1", "update", &token]).fails(2).says(how).hides(&token);
    world.run(["token", "show", &token]).fails(2).says("`tokenkeep token list`").hides(&token);
}

#[test]
fn a_token_in_the_place_of_a_name_is_not_repeated() {
    let world = World::new();
    let token = "gho_16C7e42F292c6912E7710c838347Ae178B4a";
    for args in [
        ["get", token].as_slice(),
        &["store", token],
        &["delete", token],
        &["generate", token],
        &["show", token],
        &["refresh", token],
        &["profile", "remove", token],
        &["validate", "--entry", token],
        &["validate", "Bearer eyJhbGciOiJub25lIn0.e30."],
        &["get", "prod", "--no-such=eyJhbGciOiJub25lIn0.e30."],
    ] {
        let ran = world.run(args).fails(2).says("something like a token").says("--stdin");
        ran.hides(token).hides("eyJhbGciOiJub25lIn0");
    }
    let ran = world.run(["exec", token, "--", "true"]).fails(125).hides(token);
    ran.says("something like a token");
}

#[test]
fn a_long_name_is_known_as_one() {
    let world = World::new();
    world.add_profile("automated-access-2024", &[]);
    world.run(["get", "automated-access-2024"]).fails(4).says("automated-access-2024");
    world.run(["get", "automated-access-2025"]).fails(8).says("did you mean `automated-access-2024`?");
}

#[test]
fn what_cannot_be_a_token_or_secret_is_refused() {
    let world = World::new();
    world.feed(["store", "a", "--stdin"], " \n").fails(2).says("empty");
    world.feed(["store", "a", "--stdin"], &"x".repeat(262_145)).fails(2).says("256 KiB");
    world.feed(["store", "a", "--stdin", "--kind", "access-token"], "two words").fails(2).says("without spaces");
    world.feed(["store", "a", "--stdin", "--expires", "2001-01-01T00:00:00Z"], "x").fails(2).says("past");
    world.run(["store", "a"]).fails(2).says("--stdin");
    world.run(["store", "a", "--from-env", "NOT_SET"]).fails(2).says("NOT_SET").says("export the variable");
    world.run(["store", "a", "--from-file", "nowhere"]).fails(2).says("a file that is there");
    world.run(["store", "a", "--from-fd", "9"]).fails(2).says("--from-fd 3 3<FILE");
    assert_eq!(world.generation("a"), 0);
}

#[test]
fn an_access_token_ends_when_it_says_itself() {
    let world = World::with(short_lived(300));
    let token = world.provider.grant_access("automated-access", &["openid"], &["api"]);
    world.feed(["store", "fixed", "--kind", "access-token", "--stdin"], &token).ok();
    let listed = world.run(["list", "--json"]).ok().json();
    assert!(listed[0]["access_left_seconds"].as_u64().unwrap() > 290, "{listed}");
    assert_eq!(world.token("fixed"), token);
    world.run(["get", "fixed", "--min-ttl", "1h"]).fails(4).says("cannot be refreshed");
}

#[test]
fn the_token_before_is_revoked_on_request_and_the_new_one_lives() {
    let world = World::logged_in(Settings::default());
    world.token("prod");
    let before = world.provider.newest_refresh_token().unwrap();
    let new = world.provider.grant("automated-access", &["openid", "offline_access"]);
    world.feed(["store", "prod", "--stdin", "--revoke-old"], &new).ok().says("the new one lives");
    assert!(!world.provider.is_refresh_live(&before));
    assert!(world.provider.is_access_live(&world.token("prod")));
}

#[test]
fn another_kind_replaces_nothing() {
    let world = World::logged_in(Settings::default());
    for kind in ["secret", "access-token", "client-secret", "admin-key"] {
        let ran = world.feed(["store", "prod", "--kind", kind, "--stdin"], "another");
        ran.fails(2).says("refresh-token").says("tokenkeep delete prod");
    }
    assert_eq!(world.generation("prod"), 1);
    assert!(world.provider.is_access_live(&world.token("prod")));
    world.feed(["store", "kept", "--stdin"], "first").ok();
    world.feed(["store", "kept", "--kind", "client-secret", "--stdin"], "second").fails(2).says("delete kept");
    world.feed(["store", "kept", "--stdin"], "third").ok();
    assert_eq!(world.token("kept"), "third");
}

#[test]
fn what_does_not_open_is_replaced_by_a_login_alone() {
    let world = World::logged_in(Settings::default());
    std::fs::write(world.entry("prod").join("1.age"), "damaged").unwrap();
    world.feed(["store", "prod", "--kind", "secret", "--stdin"], "x").fails(5).says("tokenkeep delete prod");
    world.store_login("prod");
    world.token("prod");
}

#[test]
fn a_user_has_an_entry_of_its_own() {
    let world = World::logged_in(Settings::default());
    let token = world.provider.grant("automated-access", &["openid", "offline_access"]);
    world.feed(["store", "prod", "--user", "ada", "--stdin"], &token).ok();
    assert_eq!((world.generation("prod"), world.generation("prod@ada")), (1, 1));
    let listed = world.run(["list", "--user", "ada", "--json"]).ok().json();
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!(listed[0]["user"], "ada");
}

#[test]
fn a_refresh_token_of_no_provider_is_no_mere_secret() {
    let world = World::new();
    // {"alg":"HS512"} . {"typ":"Offline","azp":"automated-access"}, as Keycloak writes them
    let offline = "eyJhbGciOiJIUzUxMiJ9.eyJ0eXAiOiJPZmZsaW5lIiwiYXpwIjoiYXV0b21hdGVkLWFjY2VzcyJ9.c2lnbmF0dXJl";
    let refused = world.feed(["store", "other", "--stdin"], offline).fails(2);
    refused.says("`tokenkeep store other --issuer URL --client-id ID`").says("--kind secret");
    world.feed(["store", "other", "--stdin", "--kind", "secret"], offline).ok();
    // what cannot be told is kept, and said
    world
        .feed(["store", "opaque", "--stdin"], "opaque-text")
        .ok()
        .says("a refresh token needs --issuer and --client-id");
    let named = world.feed(["store", "text", "--stdin", "--kind", "secret"], "opaque-text").ok();
    assert!(!named.stderr.contains("--issuer"), "{}", named.stderr);
}

#[test]
fn a_missing_provider_is_named_beside_the_source() {
    let world = World::new();
    let refused = world.feed(["store", "other", "--stdin", "--kind", "refresh-token"], "text").fails(2);
    refused.says("`tokenkeep store other --issuer URL --client-id ID --stdin < FILE`");
}
