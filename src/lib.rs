//! tokenkeep keeps tokens so that programs can use them with nobody at the keyboard.
//!
//! The crate is a library and a thin binary. A folder is a room; what is in it says what it may touch.
//!
//! | room | what it owns |
//! |---|---|
//! | [`host`] | the outside world as one plain struct: arguments, environment, streams, clock; files, processes, the terminal |
//! | `secret` | secrets: redacted, wiped, opened by `expose` alone |
//! | `token` | pure: the text of tokens, claims, signatures, scopes, times |
//! | `backend` | what entries rest in: age files, or the keyring; pure |
//! | `profile` | how we log in at a provider; http refused except on loopback |
//! | `settings` | `config.toml`, environment and flags, parsed once |
//! | `idp` | everything that speaks to a provider; nothing else speaks to the network |
//! | `vault` | entries at rest, and how they are unlocked |
//! | `ledger` | the tokens we issued: digests and facts, their history, never a token's text |
//! | `migration` | files of other tools, read into logins; pure |
//! | `keeper` | one entry's life: good, plan, lock, exchange, put to rest, hand out |
//! | `cli`, `commands` | the command line; one file for each command |
//! | `output` | data on standard output, everything else on standard error |
//! | `error` | every room's errors, as exit codes and as what people read |
//! | `fuzzing` | the door through which `tests/fuzz` comes in; in no program that anybody runs |
//!
//! Who may use whom: `main -> lib, host`; `lib -> cli -> commands`; `commands -> keeper, vault, ledger, idp, settings,
//! output, error` and the pure rooms; `keeper -> idp, vault`; `settings, idp, vault, ledger -> profile, token, secret,
//! host`; `settings, vault -> backend -> token`; `commands -> migration -> profile, token, secret`; `profile -> token ->
//! secret`. `idp`, `vault` and `ledger` never see each other. No room knows `error`. `now` is always an argument.
//! `tests/architecture` holds the tree to this.

mod backend;
mod cli;
mod commands;
mod error;
#[cfg(any(fuzzing, test))]
#[doc(hidden)]
pub mod fuzzing;
pub mod host;
mod idp;
mod keeper;
mod ledger;
mod migration;
mod output;
mod profile;
mod secret;
mod settings;
mod token;
mod vault;

use std::io;

use serde_json::json;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use cli::Asked;
use commands::{Context, Globals, Outcome};
use error::{Failure, Kind};
use host::Host;
use output::{Form, Notices, Paint, Printer};

/// Runs tokenkeep in a world, and returns the exit code.
pub fn run(mut host: Host) -> u8 {
    die_with_70_on_panic(form_asked_for(&host));
    if let Some(code) = hidden(&mut host) {
        return code;
    }
    let stdout = std::mem::replace(&mut host.stdout, Box::new(io::sink()));
    let stderr = std::mem::replace(&mut host.stderr, Box::new(io::sink()));
    let mut printer = Printer::new(stdout, stderr);
    match cli::parse(&host.args) {
        Ok(Asked::Run(globals, command)) => {
            configure(&mut printer, &host, &globals);
            let mut cx = Context::new(host, globals, printer, cli::tree);
            let outcome = cli::dispatch(&command, &mut cx);
            exit(outcome, &mut cx.printer)
        }
        Ok(Asked::Print(text)) => print(&text, &mut printer),
        Ok(Asked::Version(text)) => version(&text, form_asked_for(&host), &mut printer),
        Ok(Asked::Nothing) => print(commands::help::SHORT, &mut printer),
        Err(failure) => {
            printer.form = form_asked_for(&host);
            exit(Err(failure), &mut printer)
        }
    }
}

/// Tells for whom output is where the command line was not understood, or not yet; behind `--` it is another program's.
fn form_asked_for(host: &Host) -> Form {
    let mut ours = host.args.iter().take_while(|arg| *arg != "--");
    if ours.any(|arg| arg == "--json") { Form::Json } else { Form::Text }
}

/// Answers what is not for people: the detached exchange, and a shell that completes a command line.
fn hidden(host: &mut Host) -> Option<u8> {
    let first = host.args.get(1).and_then(|arg| arg.to_str());
    if first == Some(host::process::EXCHANGE_COMMAND) {
        let lock = host.args.get(2).and_then(|arg| arg.to_str()).and_then(|number| number.parse().ok())?;
        let served = keeper::exchange::serve(lock, (&mut host.stdin, &mut host.stdout), &host.env, host.now);
        return Some(served.is_err().into());
    }
    if host.env.raw("COMPLETE").is_some() { commands::completions::complete(host, cli::tree) } else { None }
}

/// Sets how things are shown.
fn configure(printer: &mut Printer, host: &Host, globals: &Globals) {
    let form = if globals.json { Form::Json } else { Form::Text };
    let notices = if globals.quiet { Notices::Silenced } else { Notices::Shown };
    let paint = globals.color.unwrap_or_default().on(&host.env, host.terminals);
    printer.configure(form, notices, paint);
    let level = match globals.verbose {
        0 => return,
        1 => tracing::Level::INFO,
        2 => tracing::Level::DEBUG,
        _ => tracing::Level::TRACE,
    };
    let lines =
        tracing_subscriber::fmt::layer().with_writer(io::stderr).with_target(false).with_ansi(paint == Paint::Colored);
    // ours alone: what libraries trace may hold headers and bodies
    let ours = tracing_subscriber::filter::Targets::new().with_target("tokenkeep", level);
    // only a test that runs twice in one process finds one set already
    drop(tracing_subscriber::registry().with(lines).with(ours).try_init());
}

/// Prints a text that is the whole answer.
fn print(text: &str, printer: &mut Printer) -> u8 {
    let printed = printer.raw(text).map(|()| Outcome::Done).map_err(Failure::from);
    exit(printed, printer)
}

/// Prints which program this is.
fn version(text: &str, form: Form, printer: &mut Printer) -> u8 {
    if form == Form::Text {
        return print(text, printer);
    }
    printer.form = form;
    let (version, system, machine) = (env!("CARGO_PKG_VERSION"), std::env::consts::OS, std::env::consts::ARCH);
    let object = json!({"program": "tokenkeep", "version": version, "system": system, "machine": machine});
    let printed = printer.object(object).map(|()| Outcome::Done).map_err(Failure::from);
    exit(printed, printer)
}

/// Shows a failure and returns the exit code.
fn exit(outcome: Result<Outcome, Failure>, printer: &mut Printer) -> u8 {
    match outcome {
        Ok(Outcome::Done) => 0,
        Ok(Outcome::Child(code)) => code,
        Err(failure) => {
            printer.complain(&failure.shown(printer.form, |heading| printer.heading(heading)));
            failure.code
        }
    }
}

/// Makes a panic print where it happened and leave with 70.
#[expect(clippy::exit, clippy::print_stderr, clippy::disallowed_methods, reason = "a panic has no other way out")]
fn die_with_70_on_panic(form: Form) {
    std::panic::set_hook(Box::new(move |panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        host::terminal::put_back_at_once();
        // not the message: it may quote what must not be shown
        let failure = Failure::new(Kind::Bug, format!("this is a bug in tokenkeep, at {place}"));
        eprint!("{}", failure.hint("please report this line").shown(form, str::to_owned));
        std::process::exit(i32::from(Kind::Bug as u8));
    }));
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::process::{Command, Stdio};

    use rustix::termios::{LocalModes, tcgetattr};

    use super::*;

    #[test]
    #[ignore = "the test below runs it, on a terminal of its own"]
    fn panics_in_the_middle_of_a_question() {
        die_with_70_on_panic(Form::Text);
        std::thread::spawn(|| host::terminal::ask("Question: ", host::terminal::Echo::Hidden).map(drop));
        let terminal = File::open("/dev/tty").unwrap();
        while tcgetattr(&terminal).unwrap().local_modes.contains(LocalModes::ECHO) {
            std::thread::yield_now();
        }
        panic!("as a test");
    }

    #[test]
    #[ignore = "the test below runs it, in a process of its own"]
    fn panics_where_a_program_reads() {
        die_with_70_on_panic(Form::Json);
        panic!("as a test");
    }

    #[test]
    fn a_panic_is_told_a_program_in_json() {
        let mut tests = Command::new(std::env::current_exe().unwrap());
        let tests = tests.args(["--ignored", "--exact", "--nocapture", "tests::panics_where_a_program_reads"]);
        let ended = tests.output().unwrap();
        let told: serde_json::Value = serde_json::from_slice(&ended.stderr).unwrap();
        assert_eq!((ended.status.code(), &told["error"]["exit_code"]), (Some(70), &json!(70)));
        assert_eq!(told["error"]["kind"], "bug");
        assert!(told["error"]["message"].as_str().unwrap().contains("src/lib.rs"), "{told}");
    }

    #[test]
    fn a_panic_in_the_middle_of_a_question_leaves_the_terminal_as_it_was() {
        let line = "stty sane; before=$(stty -g); \"$TESTS\" --ignored --exact tests::panics_in_the_middle_of_a_question; \
             code=$?; [ \"$(stty -g)\" = \"$before\" ] && as=before || as=changed; echo \"ended with $code, $as\"";
        let mut terminal = Command::new("script");
        terminal.args(["--quiet", "--command", line, "/dev/null"]).env("TESTS", std::env::current_exe().unwrap());
        // an input that stays open: its end would be an answer
        let mut terminal = terminal.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let input = terminal.stdin.take();
        let screen = terminal.wait_with_output().unwrap().stdout;
        drop(input);
        let screen = String::from_utf8_lossy(&screen);
        assert!(screen.contains("ended with 70, before"), "{screen}");
    }
}
