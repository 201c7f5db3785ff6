//! Interrupted exchanges: whatever happens to the processes, no token is presented twice while that could do harm, and
//! none is lost that reached us.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use provider::{Endpoint, Fault, Rotation, Settings, json};
use rustix::process::Signal;

use crate::clock::run_at;
use crate::harness::{PATIENCE, Ran, World, generations, short_lived};
use crate::signals::{exchange_of, kill, kill_front, send, send_to_group, wait_for_lock, wait_until_blocked};

/// A machine with a cached token, at a provider that answers a refresh only when it is told to.
fn slow_provider() -> World {
    let world = World::logged_in(short_lived(300));
    world.token("prod");
    world.provider.set_refresh_latency(PATIENCE);
    world
}

/// Starts a refresh and waits until the provider has spent the token for it.
fn in_flight(world: &World) -> Child {
    let front = world.start(["get", "prod", "--no-cache"]);
    world.provider.wait_for_exchanges(2, PATIENCE);
    front
}

/// A machine with a cached token whose refresh was killed, front and child, after the provider had spent the token.
fn with_a_lost_answer(settings: Settings, profile: &[&str]) -> World {
    let world = World::with(settings);
    world.run(["profile", "remove", "prod"]).ok();
    world.add_profile("prod", profile);
    world.store_login("prod");
    world.token("prod");
    world.provider.misbehave(Endpoint::Token, Fault::HangBeforeBody(PATIENCE));
    let front = in_flight(&world);
    let child = exchange_of(&front);
    kill_front(front);
    kill(child);
    wait_for_lock(&world, "prod");
    world
}

/// Claims that the answer reached the vault, although nobody waited for it: nobody has to ask the provider again.
fn is_adopted(world: &World) {
    let token = world.token("prod");
    assert!(world.provider.is_access_live(&token));
    assert!(world.provider.family_alive());
    assert_eq!(world.provider.count(Endpoint::Token), 2);
    world.provider.set_refresh_latency(Duration::ZERO);
    world.run(["get", "prod", "--no-cache"]).ok();
}

#[test]
fn an_exchange_outlives_the_kill_of_its_front() {
    let world = slow_provider();
    let before = world.token("prod");
    let front = in_flight(&world);
    kill_front(front);
    world.provider.release();
    wait_for_lock(&world, "prod");
    assert_ne!(world.token("prod"), before);
    is_adopted(&world);
}

#[test]
fn who_comes_while_a_killed_fronts_exchange_runs_waits_for_it_and_adopts() {
    let world = slow_provider();
    let before = world.token("prod");
    kill_front(in_flight(&world));
    let waiting = world.start(["get", "prod", "--no-cache"]);
    wait_until_blocked(&waiting);
    world.provider.release();
    let ran: Ran = waiting.wait_with_output().unwrap().into();
    assert_ne!(ran.ok().stdout.trim_end(), before);
    is_adopted(&world);
}

#[test]
fn ctrl_c_ends_the_front_at_once_and_not_the_exchange() {
    let world = slow_provider();
    let mut front = in_flight(&world);
    send(front.id(), Signal::INT);
    assert_eq!(front.wait().unwrap().code(), Some(130));
    world.provider.release();
    wait_for_lock(&world, "prod");
    is_adopted(&world);
}

#[test]
fn signals_to_the_child_do_not_end_an_exchange() {
    let world = slow_provider();
    let front = in_flight(&world);
    let child = exchange_of(&front);
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        send(child, signal);
    }
    world.provider.release();
    Ran::from(front.wait_with_output().unwrap()).ok();
    is_adopted(&world);
}

#[test]
fn a_front_that_is_killed_at_any_moment_loses_nothing() {
    let world = World::logged_in(Settings { refresh_latency: Duration::from_millis(5), ..short_lived(300) });
    for delay in (0..60).step_by(2) {
        let front = world.start(["get", "prod", "--no-cache"]);
        // the aim is any moment, not a certain one
        std::thread::sleep(Duration::from_millis(delay));
        kill_front(front);
    }
    world.run(["get", "prod", "--no-cache"]).ok();
    assert!(world.provider.family_alive());
}

#[test]
fn ctrl_c_at_any_moment_loses_nothing() {
    let world = World::logged_in(Settings { refresh_latency: Duration::from_millis(5), ..short_lived(300) });
    for delay in (0..60).step_by(2) {
        let mut command = world.command(["get", "prod", "--no-cache"]);
        let mut front = command.process_group(0).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(delay));
        // as a terminal does: to the child, too, if it has not left yet
        send_to_group(front.id(), Signal::INT);
        front.wait().unwrap();
    }
    world.run(["get", "prod", "--no-cache"]).ok();
    assert!(world.provider.family_alive());
}

#[test]
fn a_child_that_is_killed_is_told_as_a_lost_answer() {
    let world = World::logged_in(short_lived(300));
    world.token("prod");
    world.provider.misbehave(Endpoint::Token, Fault::HangBeforeBody(PATIENCE));
    let front = in_flight(&world);
    kill(exchange_of(&front));
    Ran::from(front.wait_with_output().unwrap()).fails(6).says("response lost").says("was killed");
}

#[test]
fn a_terminal_that_is_closed_does_not_end_an_exchange() {
    let world = slow_provider();
    let mut inside = Command::new("script");
    let line = format!("exec {} get prod --no-cache", env!("CARGO_BIN_EXE_tokenkeep"));
    inside.args(["--quiet", "--command", &line, "/dev/null"]).env("TOKENKEEP_HOME", world.home());
    let mut terminal = inside.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    world.provider.wait_for_exchanges(2, PATIENCE);
    terminal.kill().unwrap();
    terminal.wait().unwrap();
    world.provider.release();
    wait_for_lock(&world, "prod");
    is_adopted(&world);
}

#[test]
fn nothing_is_presented_after_a_lost_answer_while_the_cached_token_lives() {
    let world = with_a_lost_answer(short_lived(300), &[]);
    world.run(["get", "prod", "--min-ttl", "1h"]).fails(6).says("response lost");
    world.run(["get", "prod", "--no-cache"]).fails(6).says("response lost");
    assert_eq!(world.provider.count(Endpoint::Token), 2);
}

#[test]
fn the_cached_token_is_handed_out_after_a_lost_answer() {
    let world = with_a_lost_answer(short_lived(300), &[]);
    let token = world.token("prod");
    assert_eq!(run_at(&world, "+250", &["get", "prod"]).ok().says("response lost").stdout.trim_end(), token);
    assert!(world.provider.is_access_live(&token));
}

#[test]
fn a_token_whose_answer_was_lost_is_presented_again_when_nothing_can_be_killed_by_it() {
    let world = with_a_lost_answer(short_lived(300), &[]);
    run_at(&world, "+400", &["get", "prod"]).fails(4).says("response lost").says("tokenkeep generate prod");
    assert_eq!(world.provider.count(Endpoint::Token), 3);
}

#[test]
fn a_lost_answer_is_still_the_reason_after_the_provider_was_away() {
    let world = with_a_lost_answer(short_lived(300), &[]);
    world.provider.go_offline();
    run_at(&world, "+400", &["get", "prod"]).fails(6);
    world.provider.go_online();
    run_at(&world, "+400", &["get", "prod"]).fails(4).says("response lost");
}

#[test]
fn a_person_may_insist_after_a_lost_answer() {
    let world = with_a_lost_answer(Settings { rotation: Rotation::NewTextOldStillGood, ..short_lived(300) }, &[]);
    world.run(["refresh", "prod", "--force"]).ok();
    assert_eq!(world.provider.exchanges(), 3);
}

#[test]
fn a_lost_answer_heals_at_once_within_the_providers_grace_period() {
    let settings = Settings { rotation: Rotation::Grace(PATIENCE), ..short_lived(300) };
    let world = with_a_lost_answer(settings, &["--reuse-grace", "60s"]);
    let token = world.run(["get", "prod", "--no-cache"]).ok().stdout;
    assert!(world.provider.is_access_live(token.trim_end()));
    assert!(world.provider.family_alive());
}

#[test]
fn a_lock_file_with_garbage_counts_as_an_exchange_that_was_begun() {
    let world = World::logged_in(short_lived(300));
    world.token("prod");
    std::fs::write(world.entry("prod").join("lock"), "garbage").unwrap();
    world.run(["get", "prod", "--no-cache"]).fails(6).says("response lost").says("an unknown time");
    assert_eq!(world.provider.count(Endpoint::Token), 1);
}

#[test]
fn a_lock_file_with_garbage_costs_nothing_once_the_cached_token_is_used_up() {
    let world = World::logged_in(short_lived(300));
    world.token("prod");
    std::fs::write(world.entry("prod").join("lock"), "garbage").unwrap();
    run_at(&world, "+400", &["get", "prod"]).ok();
    assert!(world.provider.family_alive());
}

/// Runs the hidden command by hand, with an entry's lock and some text for a request.
fn exchange_by_hand(world: &World, request: &[u8]) -> Ran {
    let line = r#"exec "$0" __exchange 9 9<>"$1""#;
    let lock = world.entry("prod").join("lock");
    let mut command = Command::new("sh");
    command.args(["-c", line, env!("CARGO_BIN_EXE_tokenkeep")]).arg(lock).env_clear();
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(request).unwrap();
    child.wait_with_output().unwrap().into()
}

#[test]
fn a_request_that_was_cut_short_spends_and_leaves_nothing() {
    let world = World::logged_in(short_lived(300));
    world.token("prod");
    let before = std::fs::read(world.entry("prod").join("lock")).unwrap();
    let ran = exchange_by_hand(&world, br#"{"name":"prod","folder":"/"#);
    assert_ne!(ran.code, 0);
    assert_eq!(std::fs::read(world.entry("prod").join("lock")).unwrap(), before);
    assert_eq!(world.provider.count(Endpoint::Token), 1);
    world.run(["get", "prod", "--no-cache"]).ok();
}

/// Lets an exchange end while a file of the next generation's name stands in its way.
fn with_an_obstacle(world: &World) -> Ran {
    let obstacle = world.entry("prod").join("3.age");
    world.provider.misbehave(Endpoint::Token, Fault::HangBeforeBody(PATIENCE));
    let front = in_flight(world);
    std::fs::write(&obstacle, "").unwrap();
    world.provider.release();
    let ran: Ran = front.wait_with_output().unwrap().into();
    std::fs::remove_file(obstacle).unwrap();
    ran
}

#[test]
fn an_answer_that_cannot_be_published_is_handed_out_with_a_notice() {
    let world = World::logged_in(short_lived(300));
    world.token("prod");
    let ran = with_an_obstacle(&world).ok().says("waits to be published");
    assert!(world.provider.is_access_live(ran.stdout.trim_end()));
    assert!(world.entry("prod").join("next").exists());
}

#[test]
fn an_unpublished_answer_is_adopted_by_the_next_who_locks() {
    let world = World::logged_in(short_lived(300));
    world.token("prod");
    let token = with_an_obstacle(&world).ok().stdout;
    assert_eq!(world.run(["get", "prod", "--no-cache"]).ok().stdout, token);
    assert_eq!(world.provider.count(Endpoint::Token), 2);
    assert!(!world.entry("prod").join("next").exists());
}

#[test]
fn an_adopted_answer_marks_the_token_before_it_as_spent() {
    let world = World::logged_in(short_lived(300));
    world.token("prod");
    let old = std::fs::read(world.entry("prod").join("2.age")).unwrap();
    with_an_obstacle(&world).ok();
    world.run(["get", "prod", "--no-cache"]).ok();
    // somebody restores the entry as it was before
    for generation in generations(&world.entry("prod")) {
        std::fs::remove_file(world.entry("prod").join(format!("{generation}.age"))).unwrap();
    }
    std::fs::write(world.entry("prod").join("2.age"), old).unwrap();
    private(&world.entry("prod").join("2.age"));
    world.run(["get", "prod", "--no-cache"]).fails(4).says("exchanged before");
}

#[test]
fn an_unpublished_answer_that_follows_nothing_is_put_aside() {
    let world = World::logged_in(short_lived(300));
    world.token("prod");
    let stale = world.entry("prod").join("next");
    std::fs::copy(world.entry("prod").join("2.age"), &stale).unwrap();
    private(&stale);
    world.run(["get", "prod", "--no-cache"]).ok();
    let names = std::fs::read_dir(world.entry("prod")).unwrap().map(|file| file.unwrap().file_name());
    assert!(names.into_iter().any(|name| name.to_string_lossy().starts_with("aside-")));
    assert_eq!(world.generation("prod"), 3);
}

#[test]
fn an_answer_that_was_torn_by_a_crash_is_put_aside() {
    let world = World::logged_in(short_lived(300));
    world.token("prod");
    let torn = world.entry("prod").join("next");
    std::fs::write(&torn, "age-encryption.org/v1\n-> X25519 ").unwrap();
    private(&torn);
    world.run(["get", "prod", "--no-cache"]).ok();
}

#[test]
fn a_newest_generation_that_does_not_open_is_never_passed_over() {
    let world = World::logged_in(short_lived(300));
    world.token("prod");
    let broken = world.entry("prod").join("3.age");
    std::fs::write(&broken, "garbage").unwrap();
    private(&broken);
    world.run(["get", "prod"]).fails(5).says("3.age");
    assert_eq!(world.provider.count(Endpoint::Token), 1);
}

#[test]
fn a_restored_backup_is_not_presented() {
    let world = World::logged_in(short_lived(300));
    let entry = world.entry("prod");
    let old = std::fs::read(entry.join("1.age")).unwrap();
    world.token("prod");
    std::fs::remove_file(entry.join("2.age")).unwrap();
    std::fs::write(entry.join("1.age"), old).unwrap();
    world.run(["get", "prod"]).fails(4).says("exchanged before").says("--present-spent");
    assert_eq!(world.provider.count(Endpoint::Token), 1);
}

#[test]
fn a_person_may_present_a_spent_token() {
    let world = World::logged_in(Settings { rotation: Rotation::NewTextOldStillGood, ..short_lived(300) });
    world.token("prod");
    std::fs::remove_file(world.entry("prod").join("2.age")).unwrap();
    world.run(["refresh", "prod", "--force"]).fails(4);
    world.run(["refresh", "prod", "--present-spent"]).ok();
}

#[test]
fn a_spent_token_that_the_provider_leaves_in_use_is_spent_no_more() {
    let world = World::logged_in(Settings { rotation: Rotation::NewTextOldStillGood, ..short_lived(300) });
    let first = world.provider.newest_refresh_token().unwrap();
    world.token("prod");
    std::fs::remove_file(world.entry("prod").join("2.age")).unwrap();
    world.provider.misbehave(Endpoint::Token, Fault::set("refresh_token", json!(first)));
    world.run(["refresh", "prod", "--present-spent"]).ok();
    world.run(["refresh", "prod", "--force"]).ok();
}

#[test]
fn a_child_that_is_killed_after_its_answer_came_to_rest_has_lost_nothing() {
    let world = World::logged_in(Settings { rotation: Rotation::NewTextOldStillGood, ..short_lived(300) });
    world.token("prod");
    let resting = world.run(["get", "prod", "--no-cache"]).ok().stdout;
    let entry = world.entry("prod");
    std::fs::rename(entry.join("3.age"), world.folder.path().join("answer")).unwrap();
    std::fs::remove_dir_all(world.home().join("state/spent")).unwrap();
    world.provider.misbehave(Endpoint::Token, Fault::Delay(PATIENCE));
    let front = world.start(["get", "prod", "--no-cache"]);
    world.provider.wait_for(Endpoint::Token, 3, PATIENCE);
    std::fs::rename(world.folder.path().join("answer"), entry.join("next")).unwrap();
    kill(exchange_of(&front));
    assert_eq!(Ran::from(front.wait_with_output().unwrap()).ok().stdout, resting);
}

#[test]
fn who_lets_the_system_bury_our_children_gets_the_token_all_the_same() {
    let world = World::logged_in(short_lived(300));
    let ran: Ran = world.shell("trap '' CHLD; exec \"$0\" \"$@\"", ["get", "prod"]).output().unwrap().into();
    assert!(world.provider.is_access_live(ran.ok().stdout.trim_end()));
}

#[test]
fn three_generations_stay() {
    let world = World::logged_in(short_lived(300));
    for _ in 0..5 {
        world.run(["get", "prod", "--no-cache"]).ok();
    }
    let mut kept = generations(&world.entry("prod"));
    kept.sort_unstable();
    assert_eq!(kept, [4, 5, 6]);
}

/// Gives a file the mode that the vault wants.
fn private(path: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}
