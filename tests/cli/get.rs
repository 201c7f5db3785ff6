//! `get`: the cached token, the fast path, and one exchange however many ask.

use provider::Endpoint;

use crate::harness::{World, short_lived};

#[test]
fn a_cached_token_is_handed_out_without_the_provider() {
    let world = World::logged_in(short_lived(300));
    let first = world.token("prod");
    world.provider.go_offline();
    assert_eq!(world.token("prod"), first);
    assert_eq!(world.provider.exchanges(), 1);
}

#[test]
fn an_expired_token_is_exchanged_and_the_rotated_one_kept() {
    let world = World::logged_in(short_lived(300));
    let first = world.token("prod");
    let second = world.run(["get", "prod", "--no-cache"]).ok().stdout.trim_end().to_owned();
    assert_ne!(first, second);
    assert_eq!(world.token("prod"), second);
    assert!(world.provider.is_access_live(&second));
    assert!(world.provider.family_alive());
    assert_eq!(world.provider.exchanges(), 2);
}

#[test]
fn a_refresh_is_one_request_without_discovery() {
    let world = World::logged_in(short_lived(300));
    world.token("prod");
    let discoveries = world.provider.count(Endpoint::Discovery);
    world.run(["get", "prod", "--no-cache"]).ok();
    assert_eq!(world.provider.count(Endpoint::Discovery), discoveries);
    assert_eq!(world.provider.count(Endpoint::Token), 2);
}

#[test]
fn many_processes_make_one_exchange() {
    let world = World::logged_in(short_lived(300));
    let all = world.storm(40, &["get", "prod"]);
    let first = all.first().unwrap().stdout.clone();
    for ran in all {
        assert_eq!(ran.ok().stdout, first);
    }
    assert_eq!(world.provider.exchanges(), 1);
}
