//! `help`, `--help`, `man` and what stands where nothing was asked for.

use crate::harness::World;

const TOPICS: [&str; 10] =
    ["environment", "exit-codes", "formats", "ci", "cron", "keycloak", "migration", "issued", "admin", "security"];

#[test]
fn nothing_asked_for_is_a_short_help() {
    let world = World::new();
    let help = world.run::<&str>([]).ok().stdout;
    assert!(help.contains("tokenkeep get prod") && help.lines().count() < 15, "{help}");
}

#[test]
fn every_topic_has_its_page_and_stands_in_the_manual() {
    let world = World::new();
    let manual = world.run(["man"]).ok().stdout;
    for topic in TOPICS {
        let page = world.run(["help", topic]).ok().stdout;
        let heading = page.lines().next().unwrap();
        assert!(manual.contains(heading.split(' ').next().unwrap()), "{topic}");
    }
}

#[test]
fn a_group_without_a_command_names_its_commands() {
    let world = World::new();
    world.run(["import"]).fails(2).says("needs a command: oidc-agent, provena, kubelogin");
    world.run(["vault", "slot"]).fails(2).says("`tokenkeep vault slot` needs a command: add, ");
}

#[test]
fn a_command_is_explained_as_by_its_own_flag() {
    let world = World::new();
    let help = world.run(["help", "profile", "add"]).ok().stdout;
    assert_eq!(help, world.run(["profile", "add", "--help"]).ok().stdout);
}

#[test]
fn a_mistyped_topic_gets_the_nearest_one() {
    let world = World::new();
    world.run(["help", "keycloack"]).fails(2).says("tokenkeep help keycloak");
    world.run(["help", "profile", "ad"]).fails(2).says("tokenkeep help profile add");
    world.run(["man", "gett"]).fails(2).says("get");
}

#[test]
fn a_mistyped_command_gets_the_nearest_one_alone() {
    let world = World::bare(provider::Settings::default());
    let ran = world.run(["valdate"]).fails(2).says("'validate'");
    assert!(!ran.stderr.contains("vault"), "{}", ran.stderr);
    world.run(["vault", "slto"]).fails(2).says("'slot'");
    world.run(["gte", "prod"]).fails(2).says("'get'");
    world.run(["stauts"]).fails(2).says("'status'");
    world.run(["LIST"]).fails(2).says("'list'");
}

#[test]
fn a_word_of_another_program_gets_the_command_that_does_it_here() {
    let world = World::bare(provider::Settings::default());
    world.run(["login", "prod"]).fails(2).says("`tokenkeep generate PROFILE`");
    // both are near to `revoke`, which would end the login
    world.run(["renew", "prod"]).fails(2).says("`tokenkeep refresh PROFILE`");
    world.run(["remove", "prod"]).fails(2).says("`tokenkeep delete NAME`");
    world.run(["test-offline-token", "PROD"]).fails(2).says("`tokenkeep validate --entry NAME`");
}

#[test]
fn a_command_that_is_like_no_other_gets_the_help_to_type() {
    let world = World::bare(provider::Settings::default());
    world.run(["frobnicate"]).fails(2).says("see `tokenkeep --help`");
    world.run(["job-token", "frobnicate"]).fails(2).says("see `tokenkeep job-token --help`");
    world.run(["token", "prod"]).fails(2).says("`tokenkeep get NAME`");
}

#[test]
fn a_word_too_many_gets_the_flag_that_takes_it_and_may_be_a_secret() {
    let world = World::bare(provider::Settings::default());
    world.run(["validate", "prod"]).fails(2).says("`tokenkeep validate --entry prod`");
    world.run(["generate", "--profile", "prod"]).fails(2).says("`tokenkeep generate PROFILE`");
    for secret in [["store", "x", "hunter2"], ["store", "x", "--stdin=hunter2"]] {
        let ran = world.run(secret).fails(2).says("--stdin, or its file");
        assert!(!ran.stderr.contains("hunter2"), "{}", ran.stderr);
    }
}

#[test]
fn the_default_variable_is_named_whole() {
    let world = World::bare(provider::Settings::default());
    for command in ["env", "exec"] {
        let help = world.run([command, "--help"]).ok().stdout;
        assert!(help.contains("with `_ACCESS_TOKEN` behind it"), "{help}");
    }
}

#[test]
fn every_command_shows_examples() {
    let world = World::new();
    let help = world.run(["--help"]).ok().stdout;
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names: Vec<&str> = commands.filter_map(|line| line.split_whitespace().next()).collect();
    assert!(names.len() > 15, "{names:?}");
    for name in names {
        let help = world.run(["help", name]).ok().stdout;
        assert!(help.contains("Examples:\n"), "{name} has no examples");
    }
}

#[test]
fn names_complete_without_unlocking() {
    let world = World::logged_in(provider::Settings::default());
    std::fs::remove_file(world.identity_file()).unwrap();
    let complete = |words: &[&str]| {
        let mut command = world.command([&["--", "tokenkeep"], words].concat());
        let index = words.len().to_string();
        let answer = command.env("COMPLETE", "bash").env("_CLAP_COMPLETE_INDEX", index).env("_CLAP_IFS", "\n");
        String::from_utf8(answer.output().unwrap().stdout).unwrap()
    };
    assert!(complete(&["get", "p"]).lines().any(|word| word == "prod"));
    assert!(complete(&["profile", "show", ""]).lines().any(|word| word == "prod"));
    assert_eq!(complete(&["help", "keyc"]), "keycloak");
    assert!(complete(&["val"]).lines().any(|word| word == "validate"));
}

#[test]
fn a_variable_called_complete_is_no_question() {
    let world = World::new();
    for value in ["yes", "bash"] {
        let ran = world.command(["--version"]).env("COMPLETE", value).output().unwrap();
        assert_eq!(String::from_utf8(ran.stdout).unwrap(), format!("tokenkeep {}\n", env!("CARGO_PKG_VERSION")));
    }
}

#[test]
fn a_value_that_makes_no_sense_gets_the_help_of_its_command() {
    let world = World::new();
    world.run(["get", "prod", "--min-ttl", "soon"]).fails(2).says("`tokenkeep get --help`");
    world.run(["--color", "never", "profile", "add", "x", "--flow", "no"]).fails(2).says("--help`");
    world.run(["exec", "prod", "--min-ttl", "soon", "--", "true"]).fails(125).says("`tokenkeep exec --help`");
    world.run(["exec", "prod", "--min-ttl", "soon"]).fails(125).says("`tokenkeep exec --help`");
}

#[test]
fn who_forgets_the_dashes_before_a_command_is_told_where_they_go() {
    let world = World::new();
    for words in [["prod", "./job.sh"].as_slice(), &["prod", "make", "all"], &["./job.sh"], &["prod"]] {
        world.run([&["exec"], words].concat()).fails(125).says("`tokenkeep exec PROFILE -- COMMAND`");
    }
    for words in [["job-token", "run", "j1", "./job.sh"].as_slice(), &["job-token", "run", "j1"]] {
        world.run(words).fails(125).says("`tokenkeep job-token run JOB -- COMMAND`");
    }
    world.run(["job-token", "run", "--", "true"]).fails(125).says("<JOB>");
}

#[test]
fn the_command_that_reads_the_installed_pages_works() {
    let world = World::bare(provider::Settings::default());
    let home = world.folder.path().join("user");
    let page = home.join(".local/share/man/man1/tokenkeep.1");
    world.run(["man", "--install"]).ok().says(&format!("`man -l '{}'`", page.display()));
    // man looks beside the folders of PATH
    let mut command = world.command(["man", "--install"]);
    command.env("PATH", format!("{}:/usr/bin", home.join(".local/bin").display()));
    crate::harness::feed(command, "").ok().says("`man tokenkeep`");
}

#[test]
fn a_refresh_of_nothing_says_what_to_type() {
    let world = World::new();
    world.run(["refresh"]).fails(2).says("`tokenkeep refresh --all`");
    world.run(["refresh", "--all"]).ok().says("no entry holds a refresh token");
}

#[test]
fn who_looks_on_sees_that_nothing_was_due() {
    let world = World::logged_in(provider::Settings::default());
    world.run(["refresh", "prod"]).ok();
    world.on_terminal(["refresh", "prod"]).sees("prod: not due, good for ").ends().with(0);
    assert_eq!(world.run(["refresh", "prod"]).ok().stderr, "");
}
