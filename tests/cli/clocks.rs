//! Clocks that are off by an hour: no token is lost, and none is handed out that is known to be used up.

use std::time::Duration;

use provider::{Endpoint, Fault};

use crate::clock::run_at;
use crate::harness::{World, short_lived};

#[test]
fn a_clock_an_hour_ahead_costs_a_refresh_and_nothing_else() {
    let world = World::logged_in(short_lived(300));
    let first = world.token("prod");
    let second = run_at(&world, "+1h", &["get", "prod"]).ok().stdout;
    assert_ne!(second.trim_end(), first);
    assert!(world.provider.is_access_live(second.trim_end()));
    assert!(world.provider.family_alive());
}

#[test]
fn a_token_from_the_future_counts_as_used_up() {
    let world = World::logged_in(short_lived(300));
    let first = world.token("prod");
    let second = run_at(&world, "-1h", &["get", "prod"]).ok().stdout;
    assert_ne!(second.trim_end(), first);
    assert!(world.provider.is_access_live(second.trim_end()));
}

#[test]
fn a_provider_whose_clock_is_an_hour_ahead_makes_no_difference() {
    let world = World::logged_in(short_lived(300));
    world.provider.advance(Duration::from_secs(3_600));
    let token = world.token("prod");
    assert_eq!(world.token("prod"), token);
    assert!(world.provider.is_access_live(&token));
}

#[test]
fn a_provider_whose_clock_is_ahead_and_that_states_no_lifetime_is_not_trusted_too_long() {
    let world = World::logged_in(short_lived(300));
    world.provider.advance(Duration::from_secs(3_600));
    world.provider.misbehave(Endpoint::Token, Fault::remove("expires_in"));
    let token = world.token("prod");
    assert_ne!(run_at(&world, "+301", &["get", "prod"]).ok().stdout.trim_end(), token);
}

#[test]
fn a_refusal_noted_in_the_future_does_not_last_longer() {
    let world = World::logged_in(short_lived(300));
    world.provider.disable_user();
    world.run(["get", "prod"]).fails(4);
    world.provider.enable_user();
    run_at(&world, "-1h", &["get", "prod"]).ok();
}

#[test]
fn a_pause_noted_in_the_future_does_not_last_longer() {
    let world = World::logged_in(short_lived(300));
    world.provider.misbehave(Endpoint::Token, Fault::RetryAfter { status: 503, seconds: 600 });
    world.run(["get", "prod"]).fails(6);
    run_at(&world, "-1h", &["get", "prod"]).ok();
}

#[test]
fn a_stopped_clock_is_no_reason_to_present_a_token_twice() {
    let world = World::logged_in(short_lived(300));
    world.token("prod");
    world.provider.misbehave(Endpoint::Token, Fault::ResetAfterProcessing);
    world.run(["get", "prod", "--no-cache"]).fails(6);
    world.run(["get", "prod", "--no-cache"]).fails(6);
    assert_eq!(world.provider.count(Endpoint::Token), 2);
}

#[test]
fn a_clock_that_jumps_back_and_forth_costs_refreshes_and_nothing_else() {
    let world = World::logged_in(short_lived(300));
    for offset in ["+0", "+1h", "-1h", "+1d", "-1d", "+10y", "-10y", "+0"] {
        let token = run_at(&world, offset, &["get", "prod"]).ok().stdout;
        assert!(world.provider.is_access_live(token.trim_end()), "{offset}");
    }
    assert!(world.provider.family_alive());
    let token = world.token("prod");
    assert_eq!(world.token("prod"), token);
}

#[test]
fn a_lost_answer_noted_by_a_clock_that_was_ahead_keeps_nobody_out() {
    let world = World::logged_in(short_lived(300));
    world.provider.misbehave(Endpoint::Token, Fault::ResetBeforeProcessing);
    run_at(&world, "+1h", &["get", "prod"]).fails(6).says("response lost");
    world.run(["get", "prod"]).ok();
    assert!(world.provider.family_alive());
}

#[test]
fn a_lost_answer_noted_by_a_clock_that_was_behind_is_no_reason_to_kill_what_is_in_use() {
    let world = World::logged_in(short_lived(300));
    let token = world.token("prod");
    world.provider.misbehave(Endpoint::Token, Fault::ResetAfterProcessing);
    run_at(&world, "-1h", &["get", "prod", "--no-cache"]).fails(6).says("response lost");
    world.run(["get", "prod", "--no-cache"]).fails(6).says("response lost");
    assert_eq!(world.token("prod"), token);
    assert!(world.provider.is_access_live(&token));
}
