//! The committed manual pages and completion scripts are those that the program prints.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::harness::World;

/// What makes them anew.
const REGENERATE: &str = "make it anew, and commit it:
  cargo run -q -- man --install man
  cargo run -q -- completions bash > completions/tokenkeep.bash
  cargo run -q -- completions zsh > completions/_tokenkeep
  cargo run -q -- completions fish > completions/tokenkeep.fish
  cargo run -q -- completions elvish > completions/tokenkeep.elv
  cargo run -q -- completions powershell > completions/tokenkeep.ps1";

/// The files in a folder by their names.
fn files(folder: &Path) -> BTreeMap<String, String> {
    let read = |item: std::io::Result<fs::DirEntry>| {
        let item = item.unwrap();
        (item.file_name().into_string().unwrap(), fs::read_to_string(item.path()).unwrap())
    };
    fs::read_dir(folder).map(|items| items.map(read).collect()).unwrap_or_default()
}

/// Claims that the committed files are the printed ones.
fn claim_current(folder: &str, printed: &BTreeMap<String, String>) {
    let committed = files(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder));
    for (name, text) in printed {
        assert!(committed.get(name) == Some(text), "{folder}/{name} is not current; {REGENERATE}");
    }
    let stale: Vec<&String> = committed.keys().filter(|name| !printed.contains_key(*name)).collect();
    assert!(stale.is_empty(), "in {folder} nobody prints {stale:?} any more: remove them");
}

#[test]
fn manual_pages_are_current() {
    let world = World::new();
    let folder = world.folder.path().join("man");
    world.run(["man", "--install", folder.to_str().unwrap()]).ok();
    claim_current("man", &files(&folder));
}

#[test]
fn completions_are_current() {
    let world = World::new();
    let scripts = [
        ("bash", "tokenkeep.bash"),
        ("zsh", "_tokenkeep"),
        ("fish", "tokenkeep.fish"),
        ("elvish", "tokenkeep.elv"),
        ("powershell", "tokenkeep.ps1"),
    ];
    let print = |(shell, file): (&str, &str)| (file.to_owned(), world.run(["completions", shell]).ok().stdout);
    claim_current("completions", &scripts.map(print).into_iter().collect());
}

#[test]
fn the_readme_has_the_text_of_every_topic() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let topics = files(&root.join("src/commands/help"));
    let texts: Vec<&String> = topics.iter().filter(|(name, _)| *name != "mod.rs").map(|(_, text)| text).collect();
    assert!(texts.len() >= 7);
    for text in texts {
        let (heading, body) = text.trim_end().split_once("\n\n").unwrap();
        assert!(readme.contains(&format!("```text\n{body}\n```")), "README.md has another text of {heading}");
    }
}
