//! Questions on a terminal: how one is left, come back to, and never asked where nobody could answer.

use std::process::Command;
use std::time::{Duration, Instant};

use provider::Settings;
use rustix::process::Signal;

use crate::harness::{PATIENCE, World};
use crate::outside::new_identity;
use crate::signals::{children_of, send};
use crate::terminal::{LAST_WORDS, Terminal};

const WORDS: &str = "correct horse battery staple";

const QUESTION: &str = "Passphrase of the vault: ";

/// What the shell says when it is ready.
const PROMPT: &str = "ready> ";

/// A vault that a passphrase opens, with the secret `one` in it.
fn world() -> World {
    let world = World::bare(Settings::default());
    new_identity(&world.file("right.txt"));
    world.run(["init", "--identity-file", "right.txt"]).ok();
    world.keep("one", "secret");
    world.hand(["vault", "slot", "add", "words", "--new-passphrase-fd", "3"], WORDS).ok();
    world.forget_identity_file();
    world
}

impl Terminal {
    /// Sits down at an interactive shell with job control.
    fn at(world: &World, shell: &[&str]) -> Self {
        let mut command = Command::new(shell[0]);
        command.args(&shell[1..]).env_clear().current_dir(world.folder.path());
        command.envs([("PATH", "/usr/bin:/bin"), ("PS1", PROMPT), ("TERM", "dumb"), ("LC_ALL", "C")]);
        command.env("TOKENKEEP_HOME", world.home()).env("TK", env!("CARGO_BIN_EXE_tokenkeep"));
        let mut person = Self::of(&command);
        person.sees(PROMPT).types("before=$(stty -g)").sees(PROMPT);
        person
    }

    /// Finds the terminal as it was before.
    #[track_caller]
    fn finds_it_as_it_was(&mut self) -> &mut Self {
        self.types("[ \"$(stty -g)\" = \"$before\" ] && echo as-$((1+1)) || echo changed-$((1+1))").sees("-2");
        assert!(self.screen.ends_with("as-2"), "{}", self.screen);
        self.sees(PROMPT)
    }
}

/// The shells that people sit at.
const SHELLS: [&[&str]; 2] = [&["bash", "--norc", "--noprofile", "--noediting", "-i"], &["dash", "-i"]];

#[test]
fn ctrl_z_leaves_the_terminal_as_it_was_and_the_question_is_asked_again_in_front() {
    let world = world();
    for shell in SHELLS {
        let mut person = Terminal::at(&world, shell);
        person.types("$TK get one").sees(QUESTION);
        // what was typed before is no part of the answer
        person.begins_to_type("rubbish").presses_control('z').sees("Stopped").sees(PROMPT).finds_it_as_it_was();
        person.types("fg").sees(QUESTION).types(WORDS).sees("secret").sees(PROMPT).finds_it_as_it_was();
        assert!(!person.screen.contains("horse") && !person.screen.contains("rubbish"), "{shell:?}: {}", person.screen);
    }
}

#[test]
fn ctrl_z_stops_the_script_that_waits_for_us_too() {
    let world = world();
    let mut person = Terminal::at(&world, SHELLS[0]);
    person.types("sh -c '$TK get one; echo code-$?'").sees(QUESTION).presses_control('z').sees("Stopped").sees(PROMPT);
    person.finds_it_as_it_was();
    person.types("fg").sees(QUESTION).presses_control('c').sees("code-130").sees(PROMPT).finds_it_as_it_was();
}

#[test]
fn a_question_that_was_sent_into_the_background_waits_there_and_can_be_ended() {
    let world = world();
    let mut person = Terminal::at(&world, SHELLS[0]);
    person.types("$TK get one").sees(QUESTION).presses_control('z').sees("Stopped").sees(PROMPT);
    person.types("bg").sees(PROMPT).finds_it_as_it_was();
    // bash says once more that it was stopped (150), if it has not looked since
    person.types("kill %1; code=150; while [ $code = 150 ]; do wait %1; code=$?; done; echo code-$code");
    person.sees("code-143").sees(PROMPT).finds_it_as_it_was();
}

#[test]
fn ctrl_z_where_nobody_could_let_us_go_on_asks_again() {
    let world = world();
    let mut terminal = world.on_terminal(["get", "one"]);
    terminal.sees(QUESTION).presses_control('z').sees(QUESTION).types(WORDS).sees("secret").ends().with(0);
}

#[test]
fn who_was_stopped_from_outside_asks_again() {
    let world = world();
    let mut terminal = world.on_terminal(["get", "one"]);
    terminal.sees(QUESTION).gets_sent(Signal::STOP).gets_sent(Signal::CONT);
    terminal.sees(QUESTION).types(WORDS).sees("secret").ends().with(0).hides("horse");
}

#[test]
fn ctrl_backslash_ends_a_question_and_the_terminal_is_as_before() {
    let world = world();
    let mut terminal = world.on_terminal(["get", "one"]);
    terminal.sees(QUESTION).presses_control('\\').ends().with(131);
}

#[test]
fn the_end_of_the_input_is_no_answer() {
    let world = world();
    let mut terminal = world.on_terminal(["get", "one"]);
    terminal.sees(QUESTION).presses_control('d').sees("nobody typed a passphrase").ends().with(5);
}

#[test]
fn the_keys_are_those_that_the_person_has_chosen() {
    let world = world();
    let script = format!(
        "stty sane intr ^X susp ^Y; before=$(stty -g); \"$0\" \"$@\"; code=$?; \
         [ \"$(stty -g)\" = \"$before\" ] && as=before || as=changed; {LAST_WORDS}"
    );
    let ask = || {
        let mut terminal = Terminal::of(&world.shell(&script, ["get", "one"]));
        terminal.sees(QUESTION);
        terminal
    };
    ask().presses_control('x').ends().with(130);
    ask().presses_control('y').sees(QUESTION).types(WORDS).sees("secret").ends().with(0);
    // it is a character like any other now
    ask().presses_control('c').types("").sees("wrong passphrase").ends().with(5);
}

#[test]
fn a_question_that_another_one_follows_is_left_the_same_way() {
    let world = world();
    let mut person = Terminal::at(&world, SHELLS[0]);
    person.types("$TK vault slot change words").sees(QUESTION).types(WORDS).sees("New passphrase: ");
    person.presses_control('z').sees("Stopped").sees(PROMPT).finds_it_as_it_was();
    person.types("fg").sees("New passphrase: ").types("eleven violet tractors").sees("once more: ");
    person.presses_control('c').sees(PROMPT).finds_it_as_it_was();
    world.hand(["get", "one", "--passphrase-fd", "3"], WORDS).ok();
}

#[test]
fn nobody_is_asked_in_the_background_of_a_terminal() {
    let world = world();
    // timeout makes a process group of its own, which is not the one in front
    let script = format!("timeout 30 \"$0\" \"$@\"; {LAST_WORDS}");
    let begun = Instant::now();
    Terminal::of(&world.shell(&script, ["get", "one"])).sees("locked").ends().with(5).hides(QUESTION);
    let mut person = Terminal::at(&world, SHELLS[0]);
    person.types("$TK get one & wait $!; echo code-$?").sees("locked").sees("code-5");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[test]
fn a_terminal_that_is_closed_in_the_middle_of_a_question_ends_it() {
    let world = world();
    let mut terminal = Command::new("script");
    let line = "echo $$ >number; exec \"$TK\" get one";
    terminal
        .args(["--quiet", "--log-out", "log", "--flush", "--command", line])
        .env("TK", env!("CARGO_BIN_EXE_tokenkeep"));
    terminal.env("TOKENKEEP_HOME", world.home()).env_remove("CI").current_dir(world.folder.path());
    terminal.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::null());
    let terminal = terminal.spawn().unwrap();
    let end = Instant::now() + PATIENCE;
    let log = world.file("log");
    while !std::fs::read_to_string(&log).is_ok_and(|text| text.contains(QUESTION)) {
        assert!(Instant::now() < end, "nobody was asked");
        std::thread::yield_now();
    }
    let ours: u32 = std::fs::read_to_string(world.file("number")).unwrap().trim().parse().unwrap();
    assert!(children_of(terminal.id()).contains(&ours));
    send(terminal.id(), Signal::KILL);
    terminal.wait_with_output().unwrap();
    while std::path::Path::new("/proc").join(ours.to_string()).exists() {
        assert!(Instant::now() < end, "it waits for an answer for ever");
        std::thread::yield_now();
    }
}
