//! `--json`: every command prints one object, or an array of objects, and each has the schema's number; an error is one
//! object on standard error; and no path is too odd for that.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;
use std::process::Command;

use provider::{Approval, Settings};
use serde_json::Value;

use crate::harness::{Ran, World, feed, short_lived};
use crate::outside::new_identity;

/// Commands that print no JSON of ours, or that other files walk through.
const OTHERS: [&str; 8] = [
    // what they print is text, or another program's
    "completions",
    "exec",
    "help",
    "job-token run",
    // the same report as `import provena`, from files that other programs have to write: migration.rs
    "import kubelogin",
    "import oidc-agent",
    // a key in the kernel's keyring, of which a user has only so many: kernel_keyring.rs
    "lock",
    "unlock",
];

/// A walk through all commands, with the vault and everything else in one folder.
struct Walk {
    world: World,
    home: OsString,
    /// Which commands were run.
    seen: BTreeSet<String>,
}

impl Walk {
    fn in_home(name: &[u8]) -> Self {
        let world = World::bare(Settings { approval: Approval::AfterPolls(0), ..short_lived(300) });
        let home = world.folder.path().join(OsString::from_vec(name.to_vec())).into_os_string();
        new_identity(&world.folder.path().join("identity.txt"));
        Self { world, home, seen: BTreeSet::new() }
    }

    fn command(&self, line: &str) -> Command {
        let mut command = self.world.command(line.split(' ').chain(["--json"]));
        command.env("TOKENKEEP_HOME", &self.home);
        command
    }

    /// Runs a command and returns what it printed.
    #[track_caller]
    fn run(&mut self, line: &str) -> Value {
        let command = self.command(line);
        self.end(line, &feed(command, ""))
    }

    /// The same, with something on standard input.
    #[track_caller]
    fn feed(&mut self, line: &str, input: &str) -> Value {
        let command = self.command(line);
        self.end(line, &feed(command, input))
    }

    /// Claims that what was printed is what programs are promised.
    #[track_caller]
    fn end(&mut self, line: &str, ran: &Ran) -> Value {
        let words: Vec<&str> = line.split(' ').collect();
        self.seen.extend((1..=words.len().min(3)).map(|count| words[..count].join(" ")));
        assert_eq!(ran.code, 0, "{line}: {}", ran.stderr);
        let json = ran.json();
        let objects = json.as_array().cloned().unwrap_or_else(|| vec![json.clone()]);
        for object in objects {
            assert_eq!(object["schema"], 1, "{line}: {json}");
        }
        json
    }

    /// Claims that a command fails with one JSON object.
    #[track_caller]
    fn fails(&self, line: &str, code: i32) {
        let ran = feed(self.command(line), "");
        assert_eq!((ran.code, ran.stdout.as_str()), (code, ""), "{line}: {}", ran.stderr);
        let told: Value = serde_json::from_str(ran.stderr.lines().last().unwrap()).unwrap();
        assert_eq!(told["error"]["exit_code"], code, "{told}");
    }

    fn the_vault(&mut self) {
        self.run("init --identity-file identity.txt");
        let issuer = self.world.provider.issuer();
        let made = self.run(&format!("profile add prod --issuer {issuer} --client-id automated-access"));
        assert_eq!((&made["name"], &made["outcome"]), (&"prod".into(), &"made".into()));
        let again = format!("profile add prod --issuer {issuer} --client-id automated-access --replace");
        assert_eq!(self.run(&again)["outcome"], "replaced");
        self.run("profile list");
        self.run("profile show prod");
        self.run(&format!("profile discover {issuer}"));
        self.run("generate prod");
        assert_eq!(self.run("refresh prod")[0]["error"], Value::Null);
        self.feed("store one --stdin", "canary");
        for line in ["get prod", "list", "show prod", "status --explain", "whoami prod", "doctor", "vault slot list"] {
            self.run(line);
        }
        self.run("config get defaults.min_ttl");
        self.run("validate --entry prod");
        let env: Value = feed(self.command("env one"), "").ok().json();
        assert_eq!(env, serde_json::json!({"ONE": "canary"}), "the variables alone");
        self.seen.insert("env".to_owned());
    }

    fn its_slots_and_copies(&mut self) {
        let words = "correct horse battery staple";
        let added = self.feed("vault slot add words --new-passphrase-fd 0", words);
        assert_eq!((&added["name"], &added["kind"]), (&"words".into(), &"passphrase".into()));
        self.feed("vault slot change words --new-passphrase-fd 0", words);
        assert_eq!(self.run("vault slot remove words")["outcome"], "removed");
        let recipient = new_identity(&self.world.folder.path().join("other.txt"));
        self.run(&format!("vault export --output export --recipient {recipient}"));
        self.run("vault import export --file-identity other.txt");
        self.run("vault backup copy");
        self.run("vault backup copy.tar");
        self.run("vault verify");
        self.run("vault rotate");
        self.run("vault migrate --to age");
    }

    fn tokens_of_our_own(&mut self) {
        self.run("job-token issue job");
        let token = self.run("job-token issue job")["token"].as_str().unwrap().to_owned();
        self.feed("job-token authorize job update --stdin", &token);
        self.feed("validate --stdin", &token);
        for line in ["job-token list", "job-token renew job", "job-token end job", "job-token revoke job"] {
            self.run(line);
        }
        let made = self.run("token create --name laptop");
        let (id, parent) = (made["id"].as_str().unwrap().to_owned(), made["token"].as_str().unwrap().to_owned());
        self.feed("token delegate --kind notebook --parent-stdin", &parent);
        self.run(&format!("token modify {id} --expires 2d"));
        self.run(&format!("token show {id}"));
        let id = self.run(&format!("token rotate {id}"))["id"].as_str().unwrap().to_owned();
        self.run(&format!("token revoke {id}"));
        self.run("token list --all");
        self.run("token wipe --yes");
        self.run("admin-token keygen ops");
        let minted = self.run("admin-token mint ops --audience api");
        self.run("admin-token lifetime");
        let jwk = self.run("admin-token keys")[0]["jwk"].to_string();
        self.feed("admin-token trust ops --stdin", &jwk);
        let id = minted["id"].as_str().unwrap();
        self.run(&format!("admin-token revoke {id}"));
        self.run("admin-token rotate ops");
        for line in ["history", "audit", "audit --head", "maintain", "stats"] {
            self.run(line);
        }
    }

    fn the_end(&mut self) {
        self.run("man --install pages");
        self.run("--version");
        let token = self.world.provider.grant("automated-access", &["openid", "offline_access"]);
        std::fs::write(self.world.folder.path().join("token.txt"), token).unwrap();
        let issuer = self.world.provider.issuer();
        self.run(&format!("import provena token.txt --name mine --issuer {issuer} --client-id automated-access"));
        self.run("delete one");
        self.run("revoke prod");
        let removed = self.run("profile remove prod");
        assert_eq!((&removed["name"], &removed["outcome"]), (&"prod".into(), &"removed".into()));
        self.fails("get one", 8);
        self.fails("get --no-such-flag", 2);
    }
}

/// The commands that have none below them, as the manual names them.
fn commands() -> Vec<String> {
    let pages = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("man")).unwrap();
    let names = pages.map(|page| page.unwrap().file_name().into_string().unwrap());
    let names: Vec<String> = names.map(|name| name.trim_end_matches(".1").to_owned()).collect();
    let is_group = |name: &String| names.iter().any(|other| other.starts_with(&format!("{name}-")));
    let groups: Vec<&String> = names.iter().filter(|name| is_group(name)).collect();
    let spaced = |name: &String| {
        // a hyphen behind a group's name is a space; others belong to the word
        let group = groups.iter().filter(|group| name.starts_with(&format!("{group}-")));
        let mut ends: Vec<usize> = group.map(|group| group.len()).collect();
        ends.sort_unstable();
        let mut text = name.clone();
        for end in ends {
            text.replace_range(end..=end, " ");
        }
        text.strip_prefix("tokenkeep ").unwrap_or_default().to_owned()
    };
    names.iter().filter(|name| !is_group(name)).map(spaced).collect()
}

#[test]
fn every_command_prints_one_object_or_an_array_with_the_number_of_the_schema() {
    let mut walk = Walk::in_home(b"home");
    walk.the_vault();
    walk.its_slots_and_copies();
    walk.tokens_of_our_own();
    walk.run("schedule show --every 10m --dir units");
    walk.run("schedule install --every 10m --dir units");
    walk.run("schedule remove --dir units");
    walk.the_end();
    walk.seen.extend(OTHERS.map(str::to_owned));
    walk.seen.insert("man".to_owned());
    let commands = commands();
    assert!(commands.len() > 60 && commands.contains(&"vault slot add".to_owned()), "{commands:?}");
    let unseen: Vec<&String> = commands.iter().filter(|name| !walk.seen.contains(*name)).collect();
    assert_eq!(unseen, Vec::<&String>::new());
}

#[test]
fn paths_that_are_not_utf_8_break_no_command() {
    let mut walk = Walk::in_home(b"h\xff");
    walk.the_vault();
    walk.its_slots_and_copies();
    walk.tokens_of_our_own();
    let status = walk.run("status");
    assert!(status["vault"]["path"].as_str().unwrap().ends_with("h\u{fffd}/data/vault"), "{status}");
    for line in [&["vault", "backup"][..], &["vault", "export", "--recipient", "self", "--output"]] {
        let recipient = new_identity(&walk.world.folder.path().join("third.txt"));
        let odd = OsString::from_vec([line[1].as_bytes(), b"\xff"].concat());
        let args = line.iter().map(|&word| if word == "self" { recipient.clone().into() } else { word.into() });
        let mut command = walk.world.command(args.chain([odd, "--json".into()]));
        command.env("TOKENKEEP_HOME", &walk.home);
        let ran = feed(command, "");
        walk.end(&line[..2].join(" "), &ran);
    }
    walk.fails("schedule show --every 10m", 2);
    walk.the_end();
}
