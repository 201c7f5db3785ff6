//! Crowds: two hundred processes on several entries, tokens that live for two seconds, two containers on one vault, and
//! a provider that hangs. Each refresh token is presented once, and nobody waits for ever.

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use provider::{Approval, Endpoint, Fault, PreviousAccess, Settings};

use crate::clock::command_at;
use crate::harness::{PATIENCE, Ran, World, short_lived};
use crate::killing::report;
use crate::outside::{is_root, sh, started_by};
use crate::strace::{can_trace, under_strace};

const NAMES: [&str; 4] = ["dev", "lab", "prod", "stage"];

/// A machine with a login in each of the entries.
fn with_logins(settings: Settings) -> World {
    let world = World::with(settings);
    for name in NAMES {
        if name != "prod" {
            world.add_profile(name, &[]);
        }
        world.store_login(name);
    }
    world
}

/// How often each refresh token arrived.
fn presentations(world: &World) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for request in world.provider.requests() {
        if let Some(token) = request.param("refresh_token") {
            *counts.entry(token.to_owned()).or_default() += 1;
        }
    }
    counts
}

/// Claims that no refresh token arrived twice.
fn presents_each_once(world: &World) {
    assert!(presentations(world).values().all(|count| *count == 1), "a refresh token was presented twice");
    assert!(world.provider.violations().is_empty());
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// When a token ends, as it says itself.
fn end_of(token: &str) -> u64 {
    use base64::Engine as _;
    let claims = token.split('.').nth(1).unwrap();
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims).unwrap();
    serde_json::from_slice::<serde_json::Value>(&claims).unwrap()["exp"].as_u64().unwrap()
}

#[test]
fn two_hundred_processes_on_four_expired_entries_make_one_exchange_for_each() {
    // reuse ends the family here, and a refresh the access tokens before it
    let settings = Settings { previous_access: PreviousAccess::Revoked, ..short_lived(1) };
    let world = with_logins(Settings { refresh_latency: Duration::from_millis(300), ..settings });
    for name in NAMES {
        world.token(name);
    }
    let is_cached = |name: &&str| world.run(["get", name, "--no-refresh"]).code == 0;
    while NAMES.iter().any(is_cached) {}
    world.provider.set_access_ttl(Duration::from_secs(300));
    let asking: Vec<(&str, Child)> =
        (0..50).flat_map(|_| NAMES).map(|name| (name, world.start(["get", name]))).collect();
    let mut tokens: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (name, asked) in asking {
        let token = Ran::from(asked.wait_with_output().unwrap()).ok().stdout;
        assert!(world.provider.is_access_live(token.trim_end()));
        tokens.entry(name).or_default().insert(token);
    }
    assert!(tokens.values().all(|tokens| tokens.len() == 1));
    assert_eq!(world.provider.exchanges(), 8);
    presents_each_once(&world);
}

#[test]
fn tokens_of_two_seconds_survive_a_crowd_that_refreshes_logs_in_and_deletes() {
    let world = with_logins(Settings { approval: Approval::AfterPolls(0), ..short_lived(2) });
    let begun = Instant::now();
    let mut logging_in = Vec::new();
    for round in 0..4 {
        let asking: Vec<(u64, &str, Child)> =
            (0..50).map(|number| NAMES[number % 4]).map(|name| (now(), name, world.start(["get", name]))).collect();
        let refreshing = world.start(["refresh", "--all", "--force"]);
        logging_in.push(world.start(["generate", "lab", "--force", "--no-browser"]));
        if round % 2 == 1 {
            world.run(["delete", "stage", "--yes"]).ok();
            world.store_login("stage");
        }
        for (asked_at, name, asked) in asking {
            let ran: Ran = asked.wait_with_output().unwrap().into();
            if name == "stage" && ran.code == 4 {
                // it was deleted at that moment
                continue;
            }
            let token = ran.ok().stdout;
            assert!(end_of(token.trim_end()) >= asked_at, "a token that was dead before anybody asked");
        }
        let refreshed: Ran = refreshing.wait_with_output().unwrap().into();
        assert!([0, 4].contains(&refreshed.code), "{refreshed:?}");
    }
    for login in logging_in {
        Ran::from(login.wait_with_output().unwrap()).ok();
    }
    presents_each_once(&world);
    // half of its life a token is good for everybody; what is forced comes on top
    let seconds = usize::try_from(begun.elapsed().as_secs()).unwrap();
    assert!(world.provider.exchanges() <= 4 * (seconds + 1) + 4 * 4, "{} exchanges", world.provider.exchanges());
    for name in NAMES {
        world.token(name);
    }
    presents_each_once(&world);
}

/// Asks for each entry again and again, many at once, and leaves the tokens in files; says what failed.
const CROWD: &str = r#"
test "$2" = "$TOKENKEEP_HOME/data/vault" || mount --bind "$2" "$TOKENKEEP_HOME/data/vault" || exit 1
count=0
while [ $count -lt 12 ]; do
  for name in dev lab prod stage; do "$0" get $name >/dev/null || echo "get $name: $?" & done
  "$0" refresh --all --force --write-dir "$1" >/dev/null || echo "refresh: $?" &
  count=$((count + 1))
done
wait
"#;

/// Starts the crowd in namespaces of its own for mounts and processes, whose numbers are those of the other one.
fn container(world: &World, home: &str) -> Child {
    let out = world.file("out");
    let mut unshare = Command::new("unshare");
    unshare.args(["--mount", "--pid", "--fork", "--mount-proc", "sh", "-c", CROWD]);
    unshare.arg(env!("CARGO_BIN_EXE_tokenkeep")).arg(out).arg(world.vault()).env_clear().env("PATH", "/usr/bin:/bin");
    unshare.env("TOKENKEEP_HOME", home).current_dir(world.folder.path());
    unshare.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[test]
fn two_containers_that_share_a_vault_spend_no_token_twice() {
    if !is_root() {
        return;
    }
    let world = with_logins(short_lived(2));
    // another home, another state folder, the same vault
    let (home, other) = (world.home().display().to_string(), world.file("other").display().to_string());
    sh(&format!("umask 077; mkdir -p '{other}/data/vault' && cp -a '{home}/config' '{other}/'"));
    let containers = [container(&world, &home), container(&world, &other)];
    for container in containers {
        let ran: Ran = container.wait_with_output().unwrap().into();
        assert_eq!((ran.code, ran.stdout.as_str()), (0, ""), "{}", ran.stderr);
    }
    presents_each_once(&world);
    for name in NAMES {
        let file = std::fs::read_to_string(world.file("out").join(name)).unwrap();
        assert_eq!(file.matches('.').count(), 2, "a torn token file: {file:?}");
        world.token(name);
    }
    assert_eq!(std::fs::read_dir(world.file("out")).unwrap().count(), NAMES.len(), "something was left behind");
    report(&format!("{} exchanges, each of another token", world.provider.exchanges()));
}

/// Adds a profile whose token endpoint accepts connections and never says a word.
fn add_silent(world: &World) -> TcpListener {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let issuer = format!("https://{}", listener.local_addr().unwrap());
    let endpoint = format!("{issuer}/token");
    let flags = ["--issuer", &issuer, "--client-id", "c", "--token-endpoint", &endpoint];
    world.run(["profile", "add", "silent"].iter().chain(&flags)).ok();
    world.feed(["store", "silent", "--kind", "refresh-token", "--stdin"], "a-refresh-token").ok();
    listener
}

#[test]
fn nobody_waits_for_ever_for_a_provider_that_hangs() {
    let hanging = [
        Fault::HangBeforeBody(PATIENCE * 2),
        Fault::HangAfterHeaders(PATIENCE * 2),
        Fault::Drip { chunk: 1, every: Duration::from_secs(1) },
        Fault::Delay(PATIENCE * 2),
    ];
    let worlds: Vec<World> = hanging.iter().map(|_| World::logged_in(short_lived(300))).collect();
    let cached = worlds[0].token("prod");
    let begun = Instant::now();
    let asking: Vec<Child> = worlds
        .iter()
        .zip(hanging)
        .map(|(world, fault)| {
            world.token("prod");
            world.provider.misbehave(Endpoint::Token, fault);
            let front = world.start(["get", "prod", "--no-cache"]);
            world.provider.wait_for(Endpoint::Token, 2, PATIENCE);
            front
        })
        .collect();
    let world = &worlds[0];
    let silent = add_silent(world);
    let unheard = world.start(["get", "silent"]);
    let content = command_at(world, "+250", &["get", "prod"]).spawn().unwrap();
    let insisting: Vec<Child> = (0..30).map(|_| world.start(["get", "prod", "--no-cache"])).collect();
    // without a handshake no token was sent
    let unheard = Ran::from(unheard.wait_with_output().unwrap()).fails(6);
    assert!(!unheard.stderr.contains("response lost"), "{}", unheard.stderr);
    assert!(begun.elapsed().as_secs() < 25, "it waited {:?}", begun.elapsed());
    drop(silent);
    for waiting in insisting {
        Ran::from(waiting.wait_with_output().unwrap()).fails(6).says("has held the lock");
    }
    let waited = begun.elapsed().as_secs();
    assert!((30..45).contains(&waited), "they waited {waited} s");
    assert_eq!(Ran::from(content.wait_with_output().unwrap()).ok().says("has held the lock").stdout.trim_end(), cached);
    for (world, front) in worlds.iter().zip(asking) {
        Ran::from(front.wait_with_output().unwrap()).fails(6).says("response lost").says("in time");
        presents_each_once(world);
        world.token("prod");
    }
    let waited = begun.elapsed().as_secs();
    assert!((50..60).contains(&waited), "they waited {waited} s");
}

#[test]
fn a_crowd_whose_clocks_are_an_hour_apart_spends_no_token_twice() {
    let world = World::logged_in(short_lived(300));
    let offsets = ["+1h", "-1h", "+0"];
    let asking: Vec<Child> =
        (0..30).map(|number| command_at(&world, offsets[number % 3], &["get", "prod"]).spawn().unwrap()).collect();
    for asked in asking {
        let token = Ran::from(asked.wait_with_output().unwrap()).ok().stdout;
        assert!(world.provider.is_access_live(token.trim_end()));
    }
    presents_each_once(&world);
    assert!(world.provider.family_alive());
}

/// Starts a command under strace in process namespaces of its own, where it always has the same number.
fn numbered(world: &World, args: &[&str], options: &[&str]) -> Child {
    let traced = under_strace(&world.command(args), options);
    started_by(&["unshare", "--pid", "--fork", "--kill-child"], &traced).spawn().unwrap()
}

#[test]
fn two_processes_of_one_number_that_write_one_token_file_both_succeed() {
    if !can_trace() {
        return;
    }
    let world = World::logged_in(short_lived(300));
    let token = world.token("prod");
    let out = world.file("out");
    let refresh = ["refresh", "prod", "--write", "out/token"];
    // the first one is held up for half a second when its file is written and waits for its name
    let slow = ["-o", "/dev/null", "-e", "trace=rename,renameat", "-e", "inject=rename,renameat:delay_enter=500000"];
    let first = numbered(&world, &refresh, &slow);
    let begun = Instant::now();
    while !std::fs::read_dir(&out).is_ok_and(|mut items| items.any(|item| item.unwrap().metadata().unwrap().len() > 0))
    {
        assert!(begun.elapsed() < PATIENCE, "it writes nothing");
        std::thread::yield_now();
    }
    let second = numbered(&world, &refresh, &["-o", "/dev/null", "-e", "trace=rename,renameat"]);
    for writing in [first, second] {
        Ran::from(writing.wait_with_output().unwrap()).ok();
    }
    assert_eq!(std::fs::read_to_string(out.join("token")).unwrap().trim_end(), token);
    assert_eq!(std::fs::read_dir(out).unwrap().count(), 1);
}
