//! Interrupts: Ctrl-C, TERM and HUP wherever a command waits, and what the command that `exec` runs gets of them.

use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitStatus, Stdio};

use provider::{Approval, Endpoint, Fault, Settings};
use rustix::process::Signal;

use crate::harness::{PATIENCE, World, short_lived};
use crate::outside::write;
use crate::signals::{kill_front, send, wait_for_file, wait_for_lock, wait_until_read};
use crate::terminal::Terminal;

/// What ends a program unless it says otherwise.
const ENDING: [Signal; 3] = [Signal::INT, Signal::TERM, Signal::HUP];

const WORDS: &str = "correct horse battery staple";

/// Claims that a process ended by a signal: killed by it, or with the code that a shell makes of that.
#[track_caller]
fn is_ended_by(status: ExitStatus, signal: Signal, what: &[&str]) {
    let number = signal.as_raw();
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    assert_eq!(code, Some(128 + number), "{what:?} by {signal:?}");
}

/// Claims that each signal ends a command that waits for an endpoint of the provider.
#[track_caller]
fn ends_at(world: &World, endpoint: Endpoint, args: &[&str]) {
    for signal in ENDING {
        world.provider.misbehave(endpoint, Fault::HangBeforeBody(PATIENCE));
        let asked = world.provider.count(endpoint);
        // no cached token will do
        let mut front = world.command(args).env("TOKENKEEP_MIN_TTL", "1h").spawn().unwrap();
        world.provider.wait_for(endpoint, asked + 1, PATIENCE);
        send(front.id(), signal);
        is_ended_by(front.wait().unwrap(), signal, args);
        world.provider.release();
        wait_for_lock(world, "prod");
    }
}

#[test]
fn every_command_that_exchanges_a_token_ends_by_a_signal() {
    let world = World::logged_in(short_lived(300));
    world.run(["get", "prod"]).ok();
    for args in [
        &["get", "prod", "--no-cache"][..],
        &["get", "prod", "--no-cache", "--json"],
        &["refresh", "prod", "--force"],
        &["refresh", "--all", "--force"],
        &["env", "prod"],
        &["exec", "prod", "--", "true"],
        &["exec", "prod", "--file", "--", "true"],
        &["whoami", "prod"],
        &["validate", "--entry", "prod"],
    ] {
        ends_at(&world, Endpoint::Token, args);
    }
    // no token was lost over it
    world.run(["get", "prod", "--no-cache"]).ok();
    assert!(world.provider.family_alive());
}

#[test]
fn every_command_that_asks_the_provider_something_else_ends_by_a_signal() {
    let world = World::logged_in(short_lived(300));
    world.run(["get", "prod"]).ok();
    ends_at(&world, Endpoint::Jwks, &["validate", "--entry", "prod"]);
    ends_at(&world, Endpoint::Discovery, &["profile", "discover", &world.provider.issuer()]);
    ends_at(&world, Endpoint::Discovery, &["generate", "prod", "--force", "--no-browser"]);
    ends_at(&world, Endpoint::Device, &["generate", "prod", "--force", "--no-browser"]);
    ends_at(&world, Endpoint::Revocation, &["revoke", "prod"]);
}

#[test]
fn every_command_that_reads_its_input_ends_by_a_signal() {
    let world = World::logged_in(short_lived(300));
    for args in [
        &["store", "new", "--kind", "secret", "--stdin"][..],
        &["store", "new", "--kind", "secret", "--from-fd", "0"],
        &["validate", "--stdin", "--issuer", "https://a.example"],
        &["vault", "slot", "add", "more", "--new-passphrase-fd", "0"],
        &["get", "prod", "--identity-fd", "0"],
    ] {
        for signal in ENDING {
            let mut child = world.command(args).stdin(Stdio::piped()).spawn().unwrap();
            let mut input = child.stdin.take().unwrap();
            input.write_all(b"x").unwrap();
            wait_until_read(&input);
            send(child.id(), signal);
            is_ended_by(child.wait().unwrap(), signal, args);
        }
    }
    assert!(!world.entry("new").exists());
}

/// A vault that a passphrase opens, with a login in it.
fn locked_by_words() -> World {
    let world = World::logged_in(short_lived(300));
    world.hand(["vault", "slot", "add", "words", "--new-passphrase-fd", "3"], WORDS).ok();
    world
}

/// Claims that each signal ends a command at a question, and that the terminal is then as it was before.
#[track_caller]
fn ends_at_the_question(mut ask: impl FnMut() -> Terminal) {
    for signal in ENDING {
        ask().gets_sent(signal).ends().with(128 + signal.as_raw());
    }
    ask().presses_control('c').ends().with(130);
}

#[test]
fn every_question_ends_by_a_signal_and_leaves_the_terminal_as_it_was() {
    let world = locked_by_words();
    let asked = |world: &World, args: &[&str], question: &str| {
        let mut terminal = world.on_terminal(args);
        terminal.sees(question);
        terminal
    };
    ends_at_the_question(|| asked(&world, &["show", "prod", "--reveal"], "[y/N]"));
    ends_at_the_question(|| asked(&world, &["delete", "prod"], "[y/N]"));
    ends_at_the_question(|| asked(&world, &["store", "new", "--kind", "secret"], ": "));
    ends_at_the_question(|| asked(&world, &["vault", "slot", "add", "more"], "New passphrase: "));
    world.forget_identity_file();
    for args in [
        &["get", "prod"][..],
        &["env", "prod"],
        &["exec", "prod", "--", "true"],
        &["refresh", "--all"],
        &["generate", "prod", "--force", "--no-browser"],
        &["vault", "verify"],
    ] {
        ends_at_the_question(|| asked(&world, args, "Passphrase of the vault: "));
    }
    assert_eq!(world.provider.exchanges(), 0);
    assert_eq!(world.generation("prod"), 1);
}

#[test]
fn the_questions_before_there_is_a_vault_end_by_a_signal_and_make_none() {
    let world = World::bare(Settings::default());
    let issuer = world.provider.issuer();
    ends_at_the_question(|| {
        let mut terminal = world.on_terminal(["init", "--unlock", "passphrase"]);
        terminal.sees("New passphrase: ").types(WORDS).sees("The same once more: ");
        terminal
    });
    ends_at_the_question(|| {
        let client = ["--client-id", "automated-access", "--no-browser"];
        let mut terminal = world.on_terminal([&["generate", "prod", "--issuer", &issuer][..], &client].concat());
        terminal.sees("[y/N]");
        terminal
    });
    assert!(!world.vault().join("vault.toml").exists());
}

#[test]
fn a_signal_after_the_passphrase_ends_the_login_that_is_waited_for() {
    let world = World::with(Settings { approval: Approval::ByHand, ..Settings::default() });
    world.hand(["vault", "slot", "add", "words", "--new-passphrase-fd", "3"], WORDS).ok();
    world.forget_identity_file();
    let mut terminal = world.on_terminal(["generate", "prod", "--no-browser"]);
    terminal.sees("Passphrase of the vault: ").types(WORDS).sees("waiting for the login");
    terminal.gets_sent(Signal::TERM).ends().with(143);
}

/// What a command run by `exec` does here: it counts what it gets, and tells how often when USR1 comes. It ends by itself
/// where the test that started it was killed.
const COUNTING: &str = "trap 'i=$((i+1)); echo int' INT; trap 't=$((t+1)); echo term' TERM; \
    trap 'h=$((h+1)); echo hup' HUP; trap 'q=$((q+1)); echo quit' QUIT; \
    trap 'echo counted $i $t $h $q; exit 7' USR1; i=0; t=0; h=0; q=0; n=0; \
    echo ready; while [ $n -lt 600 ]; do sleep 0.1 & wait $!; n=$((n+1)); done";

#[test]
fn a_command_on_a_terminal_gets_ctrl_c_once() {
    let world = World::logged_in(Settings::default());
    let mut terminal = world.on_terminal(["exec", "prod", "--", "sh", "-c", COUNTING]);
    terminal.sees("ready").presses_control('c').sees("int").presses_control('\\').sees("quit");
    terminal.gets_sent(Signal::USR1).sees("counted 1 0 0 1").ends().with(7);
}

#[test]
fn a_command_on_a_terminal_gets_a_signal_that_was_sent_to_us_once() {
    let world = World::logged_in(Settings::default());
    let mut terminal = world.on_terminal(["exec", "prod", "--", "sh", "-c", COUNTING]);
    terminal.sees("ready").gets_sent(Signal::INT).sees("int").gets_sent(Signal::TERM).sees("term");
    terminal.gets_sent(Signal::HUP).sees("hup").gets_sent(Signal::QUIT).sees("quit");
    terminal.gets_sent(Signal::USR1).sees("counted 1 1 1 1").ends().with(7);
}

#[test]
fn a_command_that_does_not_mind_ctrl_c_decides_how_it_ends() {
    let world = World::logged_in(Settings::default());
    let mut terminal =
        world.on_terminal(["exec", "prod", "--", "sh", "-c", "trap '' INT; echo ready; read -r line; exit 5"]);
    terminal.sees("ready").presses_control('c').types("go on").ends().with(5);
}

#[test]
fn a_command_that_ctrl_c_kills_is_130() {
    let world = World::logged_in(Settings::default());
    let mut terminal = world.on_terminal(["exec", "prod", "--", "sh", "-c", "echo ready; exec sleep 60"]);
    terminal.sees("ready").presses_control('c').ends().with(130);
}

/// Runs a line of shell with `exec` in it on a terminal, closes that, and returns how many hang-ups the command got.
fn hang_ups(line: &str) -> String {
    let world = World::logged_in(Settings::default());
    let counting = "trap 'h=$((h+1)); >hung' HUP; trap 'echo $h >new; mv new counted; exit' USR1; h=0; n=0; \
        echo $PPID >new; mv new ready; while [ $n -lt 600 ]; do sleep 0.1 & wait $!; n=$((n+1)); done";
    write(&world.file("count.sh"), counting.as_bytes(), 0o600);
    let mut terminal = Command::new("script");
    terminal.args(["--quiet", "--command", line, "/dev/null"]).env("TOKENKEEP_HOME", world.home());
    terminal.env("OURS", env!("CARGO_BIN_EXE_tokenkeep")).current_dir(world.folder.path());
    terminal.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let terminal = terminal.spawn().unwrap();
    wait_for_file(&world.file("ready"));
    let ours = std::fs::read_to_string(world.file("ready")).unwrap().trim().parse().unwrap();
    kill_front(terminal);
    wait_for_file(&world.file("hung"));
    // signals are passed on in their order
    send(ours, Signal::USR1);
    wait_for_file(&world.file("counted"));
    std::fs::read_to_string(world.file("counted")).unwrap().trim().to_owned()
}

#[test]
fn a_command_whose_terminal_is_closed_gets_one_hang_up() {
    // as a child of the shell that the terminal belongs to, and in its place
    assert_eq!(hang_ups("$OURS exec prod -- sh count.sh; true"), "1");
    assert_eq!(hang_ups("exec $OURS exec prod -- sh count.sh"), "1");
}
