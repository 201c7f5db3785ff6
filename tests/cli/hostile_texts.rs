//! Hostile texts: tokens that are shell code, or hold quotes, line ends or escapes, through every form in which they are
//! handed out. What a form cannot carry is refused; what it carries is read back by who it is for, byte for byte.

use std::process::{Command, Stdio};

use provider::{Endpoint, Fault, Settings};
use serde_json::json;

use crate::harness::{Ran, World};
use crate::outside::leave_out;

/// Texts on one line; the first could be a token (RFC 6749 appendix A: any printable character).
const ON_A_LINE: [&str; 9] = [
    "$(touch${IFS}hit)`touch${IFS}hit`;touch${IFS}hit&'\"\\",
    "'; touch hit; '",
    "'\\''; touch hit #",
    "\" ; touch hit ; \"",
    "a b  c\t*?[]{}~!^#",
    "%s %n %% ${HOME} %PATH% $HOME",
    "-n -e --help",
    "\u{2018}; touch hit; \u{2019}\u{201b}",
    "Gr\u{fc}\u{df}e \u{202e}txt \u{1b}[2J",
];

/// Texts on several lines, in which a line could be taken for an assignment or an end.
const ON_SEVERAL: [&str; 4] = [
    "first\nPATH=/tmp\nlast",
    "TOKENKEEP_END\nPATH=/tmp\nTOKENKEEP_END_\nx",
    "a\r\nb'\n$(touch hit)",
    "-----BEGIN KEY-----\nabc\n-----END KEY-----",
];

fn world_with(text: &str) -> World {
    let world = World::bare(Settings::default());
    world.run(["init"]).ok();
    // the ends are trimmed, so that an editor's last line end does no harm
    world.keep("evil", text);
    world
}

fn printed(world: &World, format: &str) -> String {
    world.run(["env", "evil", "--var", "V", "--format", format]).ok().stdout
}

/// What a program prints after it has read the assignments from its standard input.
fn read_by(world: &World, program: &str, args: &[&str], input: &str) -> Ran {
    let mut command = Command::new(program);
    command.args(args).current_dir(world.folder.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let ran = crate::harness::feed(command, input).ok();
    assert!(!world.file("hit").exists(), "{program} ran what was meant as text");
    ran
}

/// Tells whether a program is there, and says aloud that something is left out if not.
fn is_there(program: &str) -> bool {
    let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).stdout(Stdio::null()).status();
    let found = found.unwrap().success();
    if !found {
        leave_out(&format!("there is no {program}"));
    }
    found
}

#[test]
fn shells_read_every_text_as_it_is() {
    for text in ON_A_LINE.into_iter().chain(ON_SEVERAL) {
        let world = world_with(text);
        for shell in ["sh", "bash"] {
            let script = "eval \"$(cat)\"; printf %s \"$V\"; [ \"$(env | grep -c '^V=')\" = 1 ]";
            assert_eq!(read_by(&world, shell, &["-c", script], &printed(&world, "sh")).stdout, text, "{shell}");
        }
    }
}

#[test]
fn a_dotenv_file_is_read_by_a_shell_as_it_is() {
    for text in ON_A_LINE {
        let world = world_with(text);
        std::fs::write(world.file("env"), printed(&world, "dotenv")).unwrap();
        let ran = read_by(&world, "sh", &["-c", "set -a; . ./env; printf %s \"$V\""], "");
        assert_eq!(ran.stdout, text);
    }
}

#[test]
fn fish_and_powershell_read_every_text_as_it_is() {
    for (program, format, args) in [
        ("fish", "fish", ["-c", "source -; printf %s $V"]),
        ("pwsh", "powershell", ["-c", "$input | Out-String | Invoke-Expression; [Console]::Out.Write($env:V)"]),
    ] {
        if is_there(program) {
            for text in ON_A_LINE.into_iter().chain(ON_SEVERAL) {
                let world = world_with(text);
                assert_eq!(read_by(&world, program, &args, &printed(&world, format)).stdout, text, "{program}");
            }
        }
    }
}

#[test]
fn json_carries_every_text_as_it_is() {
    for text in ON_A_LINE.into_iter().chain(ON_SEVERAL) {
        let world = world_with(text);
        assert_eq!(world.run(["env", "evil", "--var", "V", "--format", "json"]).ok().json(), json!({ "V": text }));
        assert_eq!(world.run(["get", "evil", "--json"]).ok().json()["access_token"], text);
    }
}

/// Reads a file of GitHub's as its runner does: `NAME=VALUE`, or `NAME<<END`, lines, `END`.
fn read_as_github(file: &str) -> Vec<(String, String)> {
    let mut lines = file.split_terminator('\n');
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        let (equals, heredoc) = (line.find('='), line.find("<<"));
        if let Some(at) = heredoc.filter(|at| equals.is_none_or(|equals| *at < equals)) {
            let value: Vec<&str> = lines.by_ref().take_while(|other| *other != &line[at + 2..]).collect();
            found.push((line[..at].to_owned(), value.join("\n")));
        } else {
            let (name, value) = line.split_once('=').unwrap();
            found.push((name.to_owned(), value.to_owned()));
        }
    }
    found
}

#[test]
fn a_text_adds_nothing_to_the_file_of_a_pipeline() {
    for text in ON_A_LINE.into_iter().chain(ON_SEVERAL) {
        let world = world_with(text);
        assert_eq!(read_as_github(&printed(&world, "github")), [("V".to_owned(), text.to_owned())]);
    }
    for text in ON_A_LINE {
        assert_eq!(printed(&world_with(text), "gitlab"), format!("V={text}\n"));
    }
}

#[test]
fn what_a_form_cannot_carry_is_refused_and_not_shown() {
    for text in ON_SEVERAL {
        let world = world_with(text);
        for format in ["dotenv", "gitlab"] {
            let ran = world.run(["env", "evil", "--var", "V", "--format", format]);
            assert_ne!(ran.code, 0, "{format}");
            assert_eq!(ran.stdout, "");
            ran.says("line end").hides(text);
        }
        for form in ["--header", "--curl"] {
            let ran = world.run(["get", "evil", form]);
            assert_eq!((ran.code == 0, ran.stdout.as_str()), (false, ""), "{form}");
        }
    }
}

#[test]
fn a_command_gets_every_text_as_it_is() {
    for text in ON_A_LINE.into_iter().chain(ON_SEVERAL) {
        let world = world_with(text);
        let ran = world.run(["exec", "evil", "--var", "V", "--", "printenv", "V"]).ok();
        assert_eq!(ran.stdout, format!("{text}\n"));
        let ran = world.run(["exec", "evil", "--var", "V", "--file", "--", "sh", "-c", "cat \"$V\""]).ok();
        assert_eq!(ran.stdout, text);
    }
}

#[test]
fn a_provider_whose_token_is_shell_code_runs_nothing() {
    let world = World::logged_in(Settings::default());
    world.provider.misbehave(Endpoint::Token, Fault::set("access_token", ON_A_LINE[0].into()));
    let assignments = world.run(["env", "prod", "--var", "V"]).ok().stdout;
    let ran = read_by(&world, "sh", &["-c", "eval \"$(cat)\"; printf %s \"$V\""], &assignments);
    assert_eq!(ran.stdout, ON_A_LINE[0]);
}
