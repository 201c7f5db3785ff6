//! Unlocking: every source, in the documented order; the first that is present decides, and nobody is kept waiting.

use std::ffi::OsString;
use std::os::unix::fs::{chown, symlink};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use provider::Settings;

use crate::harness::{Ran, World};
use crate::outside::{NOBODY, chmod, hinted, is_root, new_identity, sh, write};
use crate::terminal::{LAST_WORDS, Terminal};

const WORDS: &str = "correct horse battery staple";

/// Who can open the vault, and a file that cannot.
struct Keys {
    world: World,
    right: PathBuf,
    wrong: PathBuf,
}

/// A vault that `right.txt` opens, and no setting that says so.
fn keys() -> Keys {
    let world = World::bare(Settings::default());
    let (right, wrong) = (world.file("right.txt"), world.file("wrong.txt"));
    new_identity(&right);
    new_identity(&wrong);
    world.run(["init", "--identity-file", "right.txt"]).ok();
    world.keep("one", "secret");
    world.forget_identity_file();
    Keys { world, right, wrong }
}

/// The sources that are present on a machine; each holds the path of an identity file.
#[derive(Clone, Default)]
struct Present {
    descriptor: Option<PathBuf>,
    file_variable: Option<PathBuf>,
    credential: Option<PathBuf>,
    variable: Option<PathBuf>,
    setting: Option<PathBuf>,
}

impl Present {
    /// Puts a file into the source of this rank, 0 to 4.
    fn set(&mut self, rank: usize, path: &std::path::Path) {
        let source = [
            &mut self.descriptor,
            &mut self.file_variable,
            &mut self.credential,
            &mut self.variable,
            &mut self.setting,
        ];
        *source.into_iter().nth(rank).unwrap() = Some(path.to_owned());
    }
}

/// How the error names the source of each rank.
const NAMES: [&str; 5] =
    ["--identity-fd 3", "TOKENKEEP_IDENTITY_FILE", "credential", "TOKENKEEP_IDENTITY", "unlock.identity_file"];

impl Keys {
    /// A `get` with these sources.
    fn get(&self, present: &Present) -> Command {
        let mut args: Vec<OsString> = ["get", "one"].map(OsString::from).to_vec();
        let mut script = "exec \"$0\" \"$@\"";
        if let Some(path) = &present.descriptor {
            args.extend(["--identity-fd", "3"].map(OsString::from));
            std::fs::copy(path, self.world.file("handed")).unwrap();
            script = "exec \"$0\" \"$@\" 3<handed";
        }
        let setting = present.setting.as_ref().map(|path| format!("identity_file = \"{}\"", path.display()));
        self.world.edit_config(|_| setting.map_or_else(String::new, |line| format!("[unlock]\n{line}\n")));
        let mut command = self.world.shell(script, args);
        if let Some(path) = &present.file_variable {
            command.env("TOKENKEEP_IDENTITY_FILE", path);
        }
        if let Some(path) = &present.credential {
            let folder = self.world.file("credentials");
            std::fs::create_dir_all(&folder).unwrap();
            write(&folder.join("tokenkeep-identity"), &std::fs::read(path).unwrap(), 0o400);
            command.env("CREDENTIALS_DIRECTORY", folder);
        }
        if let Some(path) = &present.variable {
            command.env("TOKENKEEP_IDENTITY", std::fs::read_to_string(path).unwrap());
        }
        command
    }

    /// Runs it.
    fn run(&self, present: &Present) -> Ran {
        self.get(present).output().unwrap().into()
    }
}

#[test]
fn each_source_opens_the_vault_alone() {
    let keys = keys();
    for (rank, name) in NAMES.iter().enumerate() {
        let mut present = Present::default();
        present.set(rank, &keys.right);
        assert_eq!(keys.run(&present).ok().stdout, "secret\n", "{name}");
    }
}

#[test]
fn the_first_source_that_is_present_decides() {
    let keys = keys();
    for (rank, name) in NAMES.iter().enumerate() {
        let mut present = Present::default();
        present.set(rank, &keys.right);
        (rank + 1..NAMES.len()).for_each(|later| present.set(later, &keys.wrong));
        assert_eq!(keys.run(&present).ok().stdout, "secret\n", "{name}");
    }
}

#[test]
fn a_source_that_does_not_open_the_vault_is_named_and_no_later_one_is_tried() {
    let keys = keys();
    for (rank, name) in NAMES.iter().enumerate() {
        let mut present = Present::default();
        present.set(rank, &keys.wrong);
        (rank + 1..NAMES.len()).for_each(|later| present.set(later, &keys.right));
        keys.run(&present).fails(5).says(name).says("does not open this vault");
    }
}

#[test]
fn a_source_whose_file_is_missing_is_named_and_no_later_one_is_tried() {
    let keys = keys();
    let mut present = Present { setting: Some(keys.right.clone()), ..Present::default() };
    present.file_variable = Some(keys.world.file("nowhere.txt"));
    keys.run(&present).fails(5).says("TOKENKEEP_IDENTITY_FILE").says("nowhere.txt");
    present = Present { setting: Some(keys.world.file("nowhere.txt")), ..Present::default() };
    keys.run(&present)
        .fails(5)
        .says("unlock.identity_file")
        .says("nowhere.txt")
        .says("export TOKENKEEP_IDENTITY_FILE=");
}

#[test]
fn a_credentials_folder_without_ours_is_no_source() {
    let keys = keys();
    let present = Present { setting: Some(keys.right.clone()), ..Present::default() };
    let mut command = keys.get(&present);
    let output = command.env("CREDENTIALS_DIRECTORY", keys.world.folder.path()).output().unwrap();
    assert_eq!(Ran::from(output).ok().stdout, "secret\n");
}

#[test]
fn a_credential_that_leads_nowhere_is_named_and_no_later_source_is_tried() {
    let keys = keys();
    symlink("nowhere", keys.world.file("tokenkeep-identity")).unwrap();
    let present = Present { setting: Some(keys.right.clone()), ..Present::default() };
    let mut command = keys.get(&present);
    let output = command.env("CREDENTIALS_DIRECTORY", keys.world.folder.path()).output().unwrap();
    Ran::from(output).fails(5).says("credential");
}

#[test]
fn what_holds_no_identity_is_named() {
    let keys = keys();
    let path = keys.world.file("other.txt");
    for text in ["", "hello\n", "# AGE-SECRET-KEY-1\n", "AGE-SECRET-KEY-1QQQQ\n", "ssh-ed25519 AAAA\n", "\u{fe}\u{ff}"]
    {
        write(&path, text.as_bytes(), 0o600);
        let present = Present { file_variable: Some(path.clone()), ..Present::default() };
        keys.run(&present).fails(5).says("TOKENKEEP_IDENTITY_FILE").says("holds no age identity");
    }
}

#[test]
fn a_file_with_several_identities_opens_if_one_fits() {
    let keys = keys();
    let both = [std::fs::read(&keys.wrong).unwrap(), std::fs::read(&keys.right).unwrap()].concat();
    let path = keys.world.file("both.txt");
    write(&path, &both, 0o600);
    keys.run(&Present { file_variable: Some(path), ..Present::default() }).ok();
}

#[test]
fn no_message_shows_the_identity() {
    let keys = keys();
    let text = std::fs::read_to_string(&keys.wrong).unwrap();
    let secret = text.lines().nth(1).unwrap();
    let present = Present { variable: Some(keys.wrong.clone()), ..Present::default() };
    keys.run(&present).fails(5).hides(secret);
    let verbose = keys.world.command(["get", "one", "-vvv"]).env("TOKENKEEP_IDENTITY", secret).output().unwrap();
    Ran::from(verbose).fails(5).hides(secret);
}

#[test]
fn a_descriptor_that_is_not_open_is_named() {
    let keys = keys();
    keys.world.run(["get", "one", "--identity-fd", "9"]).fails(2).says("--identity-fd 9");
    keys.world.run(["get", "one", "--passphrase-fd", "9"]).fails(2).says("--passphrase-fd 9");
}

#[test]
fn one_cannot_give_an_identity_and_a_passphrase() {
    let keys = keys();
    keys.world.run(["get", "one", "--identity-fd", "3", "--passphrase-fd", "4"]).fails(2);
}

#[test]
fn an_identity_that_everybody_can_read_is_refused_until_the_hinted_command_ran() {
    let keys = keys();
    chmod(&keys.right, 0o644);
    let present = Present { setting: Some(keys.right.clone()), ..Present::default() };
    let refused = keys.run(&present).fails(5).says("open to others");
    sh(&hinted(&refused));
    keys.run(&present).ok();
}

#[test]
fn the_hinted_command_survives_a_quote_in_the_path() {
    let keys = keys();
    let folder = keys.world.file("it's; touch harm");
    std::fs::create_dir(&folder).unwrap();
    let path = folder.join("id.txt");
    write(&path, &std::fs::read(&keys.right).unwrap(), 0o644);
    let mut command = keys.world.command(["get", "one"]);
    let refused = Ran::from(command.env("TOKENKEEP_IDENTITY_FILE", &path).output().unwrap()).fails(5);
    sh(&hinted(&refused));
    Ran::from(command.output().unwrap()).ok();
}

#[test]
fn an_identity_that_others_can_write_is_refused() {
    let keys = keys();
    chmod(&keys.right, 0o602);
    keys.run(&Present { setting: Some(keys.right.clone()), ..Present::default() }).fails(5).says("chmod 600");
}

#[test]
fn an_identity_behind_a_link_is_taken() {
    let keys = keys();
    let link = keys.world.file("link.txt");
    symlink(&keys.right, &link).unwrap();
    keys.run(&Present { setting: Some(link), ..Present::default() }).ok();
}

#[test]
fn an_identity_that_is_a_pipe_or_a_folder_is_refused_and_not_waited_for() {
    let keys = keys();
    let pipe = keys.world.file("pipe");
    sh(&format!("mkfifo -m 600 '{}'", pipe.display()));
    keys.run(&Present { setting: Some(pipe), ..Present::default() }).fails(5).says("not a regular file");
    let folder = keys.world.folder.path().to_owned();
    keys.run(&Present { setting: Some(folder), ..Present::default() }).fails(5).says("not a regular file");
}

#[test]
fn the_identity_in_the_environment_is_not_for_children() {
    let keys = keys();
    let text = std::fs::read_to_string(&keys.right).unwrap();
    let mut command = keys.world.command(["exec", "one", "--", "env"]);
    let ran = Ran::from(command.env("TOKENKEEP_IDENTITY", &text).output().unwrap()).ok();
    assert!(ran.stdout.contains("ONE=secret"), "{}", ran.stdout);
    assert!(!ran.stdout.contains("TOKENKEEP_IDENTITY") && !ran.stdout.contains("AGE-SECRET"), "{}", ran.stdout);
}

/// Nothing on this machine opens the vault; both answers must come at once.
#[track_caller]
fn is_locked_at_once(mut command: Command) -> Ran {
    let begun = Instant::now();
    let ran = Ran::from(command.output().unwrap()).fails(5).says("locked");
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    ran
}

#[test]
fn a_locked_vault_and_nobody_to_ask_is_exit_5_at_once() {
    is_locked_at_once(keys().world.command(["get", "one"])).says("TOKENKEEP_IDENTITY_FILE");
}

#[test]
fn a_vault_with_a_passphrase_and_nobody_to_ask_is_exit_5_at_once() {
    let world = locked_by_words();
    is_locked_at_once(world.command(["get", "one"])).says("--passphrase-fd");
}

#[test]
fn an_input_that_never_ends_is_not_waited_for() {
    let world = locked_by_words();
    let (reader, _writer) = std::io::pipe().unwrap();
    let mut command = world.command(["get", "one"]);
    command.stdin(reader);
    is_locked_at_once(command);
}

/// A vault that a passphrase opens, with the secret `one` in it.
fn locked_by_words() -> World {
    let world = World::bare(Settings::default());
    world.run(["init"]).ok();
    world.keep("one", "secret");
    world.hand(["vault", "slot", "add", "words", "--new-passphrase-fd", "3"], WORDS).ok();
    world.forget_identity_file();
    world
}

#[test]
fn a_person_at_a_terminal_is_asked_and_the_passphrase_is_not_shown() {
    let world = locked_by_words();
    let mut terminal = world.on_terminal(["get", "one"]);
    terminal.sees("Passphrase of the vault: ").types(WORDS).sees("secret");
    terminal.ends().with(0).hides("horse");
}

#[test]
fn a_person_is_asked_although_the_output_goes_into_a_file() {
    let world = locked_by_words();
    let mut terminal = world.on_terminal_into_file(["get", "one"]);
    terminal.sees("Passphrase of the vault: ").types(WORDS).ends().with(0);
    assert_eq!(std::fs::read_to_string(world.file("output")).unwrap(), "secret\n");
}

#[test]
fn a_wrong_passphrase_at_a_terminal_is_exit_5() {
    let world = locked_by_words();
    let mut terminal = world.on_terminal(["get", "one"]);
    terminal.sees("Passphrase of the vault: ").types("wrong").sees("wrong passphrase (typed)").ends().with(5);
}

#[test]
fn ctrl_c_at_the_passphrase_is_130_and_the_terminal_is_as_before() {
    let world = locked_by_words();
    let mut terminal = world.on_terminal(["get", "one"]);
    terminal.sees("Passphrase of the vault: ").presses_control('c').ends().with(130);
}

#[test]
fn nobody_is_asked_with_no_input() {
    let world = locked_by_words();
    world.on_terminal(["get", "one", "--no-input"]).sees("locked").ends().with(5);
}

#[test]
fn nobody_is_asked_who_could_not_see_the_question() {
    let world = locked_by_words();
    let script = format!("\"$0\" \"$@\" 2>said; {LAST_WORDS}");
    Terminal::of(&world.shell(&script, ["get", "one"])).ends().with(5);
    assert!(std::fs::read_to_string(world.file("said")).unwrap().contains("locked"));
}

#[test]
fn nobody_is_asked_in_ci() {
    let world = locked_by_words();
    let mut command = world.shell(&format!("CI=true \"$0\" \"$@\"; {LAST_WORDS}"), ["get", "one"]);
    command.env("TERM", "dumb");
    Terminal::of(&command).sees("locked").ends().with(5);
}

#[test]
fn a_source_comes_before_the_person() {
    let world = locked_by_words();
    world.edit_config(|_| format!("[unlock]\nidentity_file = \"{}\"\n", world.identity_file().display()));
    world.on_terminal(["get", "one"]).sees("secret").ends().with(0);
}

#[test]
fn a_wrong_passphrase_on_a_descriptor_is_named_and_nobody_is_asked() {
    let world = locked_by_words();
    world.hand(["get", "one", "--passphrase-fd", "3"], "wrong").fails(5).says("--passphrase-fd 3");
}

#[test]
fn a_passphrase_for_a_vault_that_has_no_slot_for_one_is_not_called_wrong() {
    let ran = World::new().hand(["list", "--passphrase-fd", "3"], "right").ok();
    assert!(!ran.says("no slot").stderr.contains("wrong"));
    World::new().hand(["vault", "verify", "--passphrase-fd", "3"], "right").fails(5).says("tokenkeep status");
}

#[test]
fn a_passphrase_on_a_descriptor_comes_before_every_file() {
    let world = locked_by_words();
    new_identity(&world.file("wrong.txt"));
    write(&world.file("handed"), WORDS.as_bytes(), 0o600);
    let mut command = world.shell("exec \"$0\" \"$@\" 3<handed", ["get", "one", "--passphrase-fd", "3"]);
    Ran::from(command.env("TOKENKEEP_IDENTITY_FILE", world.file("wrong.txt")).output().unwrap()).ok();
    write(&world.file("handed"), b"wrong", 0o600);
    let ran = Ran::from(command.env("TOKENKEEP_IDENTITY_FILE", world.identity_file()).output().unwrap());
    ran.fails(5).says("--passphrase-fd 3");
}

#[test]
fn the_descriptor_with_the_identity_is_not_for_children() {
    let keys = keys();
    let text = std::fs::read_to_string(&keys.right).unwrap();
    let script = "printf '%s' \"$ONE\"; cat <&3";
    let ran = keys.world.hand(["exec", "one", "--identity-fd", "3", "--", "sh", "-c", script], &text);
    assert_eq!(ran.stdout, "secret", "{}", ran.stderr);
    assert_ne!(ran.code, 0);
}

#[test]
fn a_list_of_a_locked_vault_has_names_alone() {
    let keys = keys();
    let list = keys.world.run(["list", "--json"]).ok().json();
    assert_eq!(list[0]["name"], "one");
}

#[test]
fn a_list_with_the_wrong_key_has_names_alone_and_says_so() {
    let keys = keys();
    let mut command = keys.world.command(["list", "--json"]);
    let ran = Ran::from(command.env("TOKENKEEP_IDENTITY_FILE", &keys.wrong).output().unwrap()).ok();
    let list = ran.says("TOKENKEEP_IDENTITY_FILE").says("does not open this vault").json();
    assert_eq!((&list[0]["name"], &list[0]["kind"]), (&"one".into(), &serde_json::Value::Null));
}

/// The vault belongs to a user without privileges, and so do the commands.
struct Unprivileged {
    keys: Keys,
}

impl Unprivileged {
    fn new() -> Self {
        let keys = keys();
        let world = &keys.world;
        chmod(world.folder.path(), 0o755);
        let program = env!("CARGO_BIN_EXE_tokenkeep");
        if std::fs::hard_link(program, world.file("tokenkeep")).is_err() {
            std::fs::copy(program, world.file("tokenkeep")).unwrap();
        }
        sh(&format!("chown -R {NOBODY}:{NOBODY} '{}'", world.home().display()));
        Self { keys }
    }

    /// Runs `get` as that user, with the variable that systemd or a person sets.
    fn get(&self, variable: &str, path: &std::path::Path) -> Ran {
        let script = format!("exec setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups ./tokenkeep \"$@\"");
        self.keys.world.shell(&script, ["get", "one"]).env(variable, path).output().unwrap().into()
    }

    /// A file with the right identity of an owner, a group and a mode.
    fn identity(&self, (owner, group): (u32, u32), mode: u32) -> PathBuf {
        let path = self.keys.world.file("theirs.txt");
        write(&path, &std::fs::read(&self.keys.right).unwrap(), mode);
        chown(&path, Some(owner), Some(group)).unwrap();
        path
    }
}

#[test]
fn an_own_identity_that_the_group_can_read_is_refused() {
    if is_root() {
        let user = Unprivileged::new();
        let path = user.identity((NOBODY, NOBODY), 0o640);
        user.get("TOKENKEEP_IDENTITY_FILE", &path).fails(5).says("chmod 600");
    }
}

#[test]
fn an_identity_of_root_that_the_group_can_read_is_taken() {
    if is_root() {
        let user = Unprivileged::new();
        let path = user.identity((0, NOBODY), 0o440);
        user.get("TOKENKEEP_IDENTITY_FILE", &path).ok();
    }
}

#[test]
fn an_identity_of_root_that_everybody_can_read_is_refused() {
    if is_root() {
        let user = Unprivileged::new();
        let path = user.identity((0, 0), 0o444);
        user.get("TOKENKEEP_IDENTITY_FILE", &path).fails(5).says("open to others");
    }
}

#[test]
fn an_identity_of_a_third_user_is_refused() {
    if is_root() {
        let user = Unprivileged::new();
        let path = user.identity((1, NOBODY), 0o440);
        user.get("TOKENKEEP_IDENTITY_FILE", &path).fails(5).says("belongs to user 1");
    }
}

#[test]
fn an_identity_that_may_not_be_read_is_named() {
    if is_root() {
        let user = Unprivileged::new();
        let path = user.identity((0, 0), 0o400);
        user.get("TOKENKEEP_IDENTITY_FILE", &path).fails(5).says("theirs.txt").says("ermission denied");
    }
}

#[test]
fn a_credential_as_kubernetes_lays_it_out_is_taken_through_its_links() {
    if is_root() {
        let user = Unprivileged::new();
        let folder = user.keys.world.file("secret");
        std::fs::create_dir_all(folder.join("..2026")).unwrap();
        let real = user.identity((0, NOBODY), 0o440);
        std::fs::rename(real, folder.join("..2026/tokenkeep-identity")).unwrap();
        symlink("..2026", folder.join("..data")).unwrap();
        symlink("..data/tokenkeep-identity", folder.join("tokenkeep-identity")).unwrap();
        chmod(&folder, 0o555);
        user.get("CREDENTIALS_DIRECTORY", &folder).ok();
    }
}

#[test]
fn the_vault_of_another_user_is_refused_and_root_is_no_exception() {
    if is_root() {
        let user = Unprivileged::new();
        sh(&format!("chown -R 0 '{}'", user.keys.world.home().join("config").display()));
        let mut command = user.keys.world.command(["get", "one"]);
        let ran = Ran::from(command.env("TOKENKEEP_IDENTITY_FILE", &user.keys.right).output().unwrap());
        ran.fails(5).says(&format!("belongs to user {NOBODY}"));
    }
}
