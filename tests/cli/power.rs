//! The power goes: what was not flushed disappears, or half of it does, or none, in any order. kill -9 cannot find a
//! missing fsync, for the kernel keeps what a dead process wrote.
//!
//! A command runs under strace. Its calls are played into a model of the disk that knows what rests and what does not;
//! after every call the disk is cut in every way that it could be, put into the place of the real one, and looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use provider::{Approval, Settings};

use crate::harness::{Ran, World, short_lived};
use crate::killing::report;
use crate::outside::{chmod, snapshot, write};
use crate::strace::{Call, can_trace, read_log, under_strace};

/// The calls that change a disk.
const CHANGES: &str = "trace=open,openat,creat,write,pwrite64,ftruncate,fsync,fdatasync,rename,renameat,renameat2,link,\
                       linkat,unlink,unlinkat,mkdir,mkdirat";

/// More changes of names than this that do not rest are not tried in every combination.
const COMBINED: usize = 5;

/// What a folder holds after the power went: the content of each file; a folder has none.
type Remains = BTreeMap<PathBuf, Option<Vec<u8>>>;

/// What of an inode is left.
type Look<'a> = &'a dyn Fn(&Inode) -> Option<Vec<u8>>;

/// A file or folder, whatever it is called.
#[derive(Clone)]
struct Inode {
    /// What a process reads.
    content: Option<Vec<u8>>,
    /// What is left when the power goes.
    resting: Option<Vec<u8>>,
}

/// A change of a name.
#[derive(Clone)]
enum Change {
    Put(PathBuf, usize),
    Remove(PathBuf),
    Move(PathBuf, PathBuf),
}

impl Change {
    /// The folder whose flush makes it rest; both names of a move are in one.
    fn folder(&self) -> &Path {
        let (Self::Put(path, _) | Self::Remove(path) | Self::Move(path, _)) = self;
        path.parent().unwrap()
    }

    fn apply(&self, names: &mut BTreeMap<PathBuf, usize>, moved: &BTreeMap<PathBuf, usize>) {
        match self {
            Self::Put(path, inode) => drop(names.insert(path.clone(), *inode)),
            Self::Remove(path) => drop(names.remove(path)),
            Self::Move(from, to) => {
                // the old name may never have come to rest
                names.remove(from);
                names.insert(to.clone(), moved[to]);
            }
        }
    }
}

/// A disk that knows what rests on it.
struct Disk {
    /// The folder that it is mounted on.
    top: PathBuf,
    inodes: Vec<Inode>,
    /// What processes see.
    names: BTreeMap<PathBuf, usize>,
    /// What is left when the power goes.
    resting: BTreeMap<PathBuf, usize>,
    /// What was done to names and does not rest yet.
    pending: Vec<Change>,
    /// Which inode was moved to a name.
    moved: BTreeMap<PathBuf, usize>,
}

impl Disk {
    /// A disk on which all that is below a folder rests.
    fn of(folder: &Path) -> Self {
        let mut disk = Self {
            top: folder.to_owned(),
            inodes: Vec::new(),
            names: BTreeMap::new(),
            resting: BTreeMap::new(),
            pending: Vec::new(),
            moved: BTreeMap::new(),
        };
        for (path, (_, content)) in snapshot(folder) {
            let content = (!path.is_dir()).then_some(content);
            disk.inodes.push(Inode { resting: content.clone(), content });
            disk.names.insert(path, disk.inodes.len() - 1);
        }
        disk.resting = disk.names.clone();
        disk
    }

    /// Plays a call; calls that failed change nothing.
    fn play(&mut self, call: &Call, home: &Path) {
        let Some((arguments, result)) = call.rest.rsplit_once(" = ") else { return };
        if result.starts_with('-') {
            return;
        }
        let texts = between(arguments, '"', '"');
        let open = between(arguments, '<', '>').iter().map(|text| path(text)).find(|path| path.starts_with(home));
        let named: Vec<PathBuf> = texts.iter().map(|text| path(text)).filter(|path| path.starts_with(home)).collect();
        match (call.name.as_str(), open, named.as_slice()) {
            ("open" | "openat" | "creat", _, [path]) => self.open(path, arguments),
            ("mkdir" | "mkdirat", _, [path]) => self.make(path, None),
            ("unlink" | "unlinkat", _, [path]) => self.change(Change::Remove(path.clone())),
            ("rename" | "renameat" | "renameat2", _, [from, to]) => {
                self.moved.insert(to.clone(), self.names[from]);
                self.change(Change::Move(from.clone(), to.clone()));
            }
            ("link" | "linkat", _, [from, to]) => self.change(Change::Put(to.clone(), self.names[from])),
            ("write", Some(path), _) => self.content(&path).extend_from_slice(&texts[0]),
            ("pwrite64", Some(path), _) => {
                let content = self.content(&path);
                content.resize(content.len().max(texts[0].len()), 0);
                content[..texts[0].len()].copy_from_slice(&texts[0]);
            }
            ("ftruncate", Some(path), _) => {
                let length = arguments.trim_end_matches(')').rsplit(", ").next().unwrap().parse().unwrap();
                self.content(&path).resize(length, 0);
            }
            // one that lies is marked, and was not done
            ("fsync" | "fdatasync", Some(path), _) if !result.contains("INJECTED") => self.flush(&path),
            _ => {}
        }
    }

    fn open(&mut self, path: &Path, arguments: &str) {
        if arguments.contains("O_CREAT") && !self.names.contains_key(path) {
            self.make(path, Some(Vec::new()));
        }
        if arguments.contains("O_TRUNC") {
            self.content(path).clear();
        }
    }

    fn make(&mut self, path: &Path, content: Option<Vec<u8>>) {
        self.inodes.push(Inode { resting: content.clone(), content });
        self.change(Change::Put(path.to_owned(), self.inodes.len() - 1));
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.names, &self.moved);
        self.pending.push(change);
    }

    fn content(&mut self, path: &Path) -> &mut Vec<u8> {
        self.inodes[self.names[path]].content.as_mut().unwrap()
    }

    fn flush(&mut self, path: &Path) {
        if let Some(inode) = self.names.get(path) {
            let inode = &mut self.inodes[*inode];
            inode.resting.clone_from(&inode.content);
        }
        let (done, pending) = self.pending.drain(..).partition(|change| change.folder() == path);
        self.pending = pending;
        let done: Vec<Change> = done;
        for change in &done {
            change.apply(&mut self.resting, &self.moved);
        }
    }

    /// Forgets that a file rests: whoever wrote it has died before the flush.
    fn unrest(&mut self, path: &Path) {
        let inode = self.names[path];
        self.inodes[inode].resting = Some(Vec::new());
        self.resting.remove(path);
        self.pending.push(Change::Put(path.to_owned(), inode));
    }

    /// Everything that may be left if the power goes now.
    fn cuts(&self) -> BTreeSet<Remains> {
        let count = self.pending.len();
        let all: Vec<Vec<usize>> = if count <= COMBINED {
            (0..1_usize << count).map(|set| (0..count).filter(|at| set >> at & 1 == 1).collect()).collect()
        } else {
            let prefixes = (0..=count).map(|length| (0..length).collect());
            let without = (0..count).map(|left_out| (0..count).filter(|at| *at != left_out).collect());
            prefixes.chain(without).chain((0..count).map(|at| vec![at])).collect()
        };
        let nothing = |inode: &Inode| inode.resting.clone();
        let everything = |inode: &Inode| inode.content.clone();
        let torn = |inode: &Inode| match (&inode.content, &inode.resting) {
            (Some(content), resting) if resting.as_ref() != Some(content) => {
                Some(content[..content.len() / 2].to_vec())
            }
            _ => inode.content.clone(),
        };
        let contents: [Look<'_>; 3] = [&nothing, &everything, &torn];
        let names = all.iter().map(|set| {
            let mut names = self.resting.clone();
            for at in set {
                self.pending[*at].apply(&mut names, &self.moved);
            }
            names
        });
        names.flat_map(|names| contents.map(|content| self.remains(&names, content))).collect()
    }

    /// What can be reached: in a folder that is gone there is nothing.
    fn remains(&self, names: &BTreeMap<PathBuf, usize>, content: Look<'_>) -> Remains {
        let below = |path: &&Path| *path != self.top && path.starts_with(&self.top);
        let reached = |path: &Path| path.ancestors().skip(1).filter(below).all(|folder| names.contains_key(folder));
        let found = names.iter().filter(|(path, _)| reached(path));
        found.map(|(path, inode)| (path.clone(), content(&self.inodes[*inode]))).collect()
    }
}

/// The texts between two marks, out of the hexadecimal form in which `strace -xx` writes them.
fn between(text: &str, begin: char, end: char) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((_, behind)) = rest.split_once(begin) {
        let Some((inside, behind)) = behind.split_once(end) else { break };
        let bytes = inside.split("\\x").skip(1).map(|digits| u8::from_str_radix(&digits[..2], 16).unwrap());
        found.push(bytes.collect());
        rest = behind;
    }
    found
}

fn path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(String::from_utf8_lossy(bytes).into_owned())
}

/// Puts what is left into the place of the real folder.
fn restore(home: &Path, remains: &Remains) {
    std::fs::remove_dir_all(home).unwrap();
    std::fs::create_dir(home).unwrap();
    for (path, content) in remains {
        if let Some(content) = content {
            write(path, content, 0o600);
        } else {
            std::fs::create_dir(path).unwrap();
            chmod(path, 0o700);
        }
    }
}

/// Whether a command had said that it was done when the power went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Said {
    Nothing,
    Done,
}

/// A command whose disk is cut at every point.
struct Outage {
    world: World,
    disk: Disk,
    /// More options for strace.
    options: Vec<String>,
}

impl Outage {
    fn of(world: World) -> Self {
        let disk = Disk::of(&world.home());
        Self { world, disk, options: Vec::new() }
    }

    /// Runs a command, and returns all that may be left, with what it had said by then.
    fn cut(&mut self, command: &Command) -> BTreeSet<(Said, Remains)> {
        let (log, home) = (self.world.file("log"), self.world.home());
        let mut options = vec!["-f", "-y", "-xx", "-s", "1200000", "-e", CHANGES, "-o", log.to_str().unwrap()];
        options.extend(self.options.iter().map(String::as_str));
        Ran::from(under_strace(command, &options).output().unwrap()).ok();
        let calls = read_log(&log);
        let front = calls.first().unwrap().process;
        let mut cuts = BTreeSet::new();
        let mut said = Said::Nothing;
        for call in &calls {
            self.disk.play(call, &home);
            if call.process == front && call.name == "write" && call.rest.starts_with("1<") {
                said = Said::Done;
            }
            cuts.extend(self.disk.cuts().into_iter().map(|remains| (said, remains)));
        }
        cuts.extend(self.disk.cuts().into_iter().map(|remains| (Said::Done, remains)));
        assert!(calls.iter().any(|call| call.name.contains("sync")), "nothing was flushed");
        let seen: BTreeMap<_, _> =
            self.disk.names.iter().map(|(path, at)| (path, &self.disk.inodes[*at].content)).collect();
        let real = snapshot(&home);
        for (path, content) in seen {
            let real = real.get(path).unwrap_or_else(|| panic!("{} is not there", path.display()));
            assert!(content.as_ref().is_none_or(|content| *content == real.1), "{} is another", path.display());
        }
        cuts
    }

    /// Looks at each disk that may be left; returns what is wrong with some.
    fn look(
        &self,
        cuts: &BTreeSet<(Said, Remains)>,
        check: impl Fn(&World, Said) -> Result<(), String>,
    ) -> Vec<String> {
        let look = |(said, remains): &(Said, Remains)| {
            restore(&self.world.home(), remains);
            let named = || remains.iter().map(|(path, content)| (path, content.as_ref().map(Vec::len)));
            check(&self.world, *said).err().map(|why| format!("{said:?}: {why}\n{:#?}", named().collect::<Vec<_>>()))
        };
        cuts.iter().filter_map(look).collect()
    }

    /// Claims that nothing is wrong with any.
    fn survives(mut self, command: &Command, check: impl Fn(&World, Said) -> Result<(), String>) {
        let cuts = self.cut(command);
        report(&format!("{} disks that a cut may leave", cuts.len()));
        assert!(cuts.len() > 5, "only {} disks", cuts.len());
        let wrong = self.look(&cuts, check);
        assert!(wrong.is_empty(), "{} of {} disks: {}", wrong.len(), cuts.len(), wrong[0]);
    }
}

/// Claims that the newest refresh token is there after it was printed what came of it, and before that it or the one
/// before: the provider is away, so that what is there is adopted and nothing is presented.
fn holds_the_newest(world: &World, said: Said, before: Option<&str>) -> Result<(), String> {
    let newest = world.provider.newest_refresh_token().unwrap();
    let ran = world.run(["get", "prod", "--no-cache"]);
    if before.is_none() && said == Said::Nothing && ran.code == 4 {
        return Ok(());
    }
    // what was adopted is handed out, and for more there is nobody to ask
    if ran.code != 0 && ran.code != 6 {
        return Err(format!("exit {}: {}", ran.code, ran.stderr));
    }
    let shown = world.run(["show", "prod", "--reveal", "--yes", "--json"]);
    if shown.code != 0 {
        return Err(format!("exit {}: {}", shown.code, shown.stderr));
    }
    let held = shown.json()["secret"].as_str().unwrap().to_owned();
    let known = held == newest || said == Said::Nothing && before == Some(held.as_str());
    if known { Ok(()) } else { Err(format!("it holds {held}, and not {newest}")) }
}

/// A world with a login whose access token is cached.
fn logged_in() -> (World, String) {
    let world = World::logged_in(short_lived(300));
    world.token("prod");
    let before = world.provider.newest_refresh_token().unwrap();
    (world, before)
}

#[test]
fn a_refresh_loses_nothing_that_was_printed_when_the_power_goes() {
    if !can_trace() {
        return;
    }
    let (world, before) = logged_in();
    let command = world.command(["get", "prod", "--no-cache"]);
    let mut outage = Outage::of(world);
    let cuts = outage.cut(&command);
    outage.world.provider.go_offline();
    report(&format!("{} disks that a cut may leave", cuts.len()));
    let wrong = outage.look(&cuts, |world, said| holds_the_newest(world, said, Some(&before)));
    assert!(wrong.is_empty(), "{} of {} disks: {}", wrong.len(), cuts.len(), wrong[0]);
}

#[test]
fn a_flush_that_lies_is_found_by_these_tests() {
    if !can_trace() {
        return;
    }
    // the answer itself, and the name that it gets
    for nth in 1..=2 {
        let (world, before) = logged_in();
        let command = world.command(["get", "prod", "--no-cache"]);
        let mut outage = Outage::of(world);
        outage.options = vec!["-e".to_owned(), format!("inject=fsync:retval=0:when={nth}")];
        let cuts = outage.cut(&command);
        outage.world.provider.go_offline();
        let wrong = outage.look(&cuts, |world, said| holds_the_newest(world, said, Some(&before)));
        assert!(!wrong.is_empty(), "flush {nth} is not needed");
    }
}

#[test]
fn an_answer_of_a_dead_child_that_is_adopted_rests_before_it_is_handed_out() {
    if !can_trace() {
        return;
    }
    let (world, before) = logged_in();
    let command = world.command(["get", "prod", "--no-cache"]);
    let killing = ["-f", "-o", "/dev/null", "-e", "trace=fsync", "-e", "inject=fsync:signal=KILL:when=1"];
    // the front adopts; it dies at the same call
    under_strace(&command, &killing).output().unwrap();
    let next = world.entry("prod").join("next");
    assert!(next.exists(), "the answer was published");
    let mut outage = Outage::of(world);
    outage.disk.unrest(&next);
    let cuts = outage.cut(&command);
    outage.world.provider.go_offline();
    let wrong = outage.look(&cuts, |world, said| holds_the_newest(world, said, Some(&before)));
    assert!(wrong.is_empty(), "{} of {} disks: {}", wrong.len(), cuts.len(), wrong[0]);
    assert_eq!(outage.world.provider.exchanges(), 2);
}

#[test]
fn a_login_loses_nothing_that_was_said_when_the_power_goes() {
    if !can_trace() {
        return;
    }
    let world = World::with(Settings { approval: Approval::AfterPolls(0), ..short_lived(300) });
    let command = world.command(["generate", "prod", "--no-browser"]);
    let mut outage = Outage::of(world);
    let cuts = outage.cut(&command);
    outage.world.provider.go_offline();
    report(&format!("{} disks that a cut may leave", cuts.len()));
    let wrong = outage.look(&cuts, |world, said| holds_the_newest(world, said, None));
    assert!(wrong.is_empty(), "{} of {} disks: {}", wrong.len(), cuts.len(), wrong[0]);
}

/// Claims that a secret is the new one once that was said, and before that the new or the old one.
fn is_one_of(world: &World, said: Said, old: &str, new: &str) -> Result<(), String> {
    let ran = world.run(["get", "one"]);
    let is_new = ran.code == 0 && ran.stdout.trim_end() == new;
    let is_old = ran.code == 0 && ran.stdout.trim_end() == old;
    if is_new || said == Said::Nothing && is_old { Ok(()) } else { Err(format!("{ran:?}")) }
}

#[test]
fn what_was_stored_is_there_when_the_power_goes_and_before_that_what_was_there() {
    if !can_trace() {
        return;
    }
    let world = World::new();
    world.keep("one", "old");
    write(&world.file("secret"), b"new", 0o600);
    let store = world.command(["store", "one", "--kind", "secret", "--from-file", "secret"]);
    Outage::of(world).survives(&store, |world, said| is_one_of(world, said, "old", "new"));
}

#[test]
fn a_deletion_that_the_power_ends_makes_no_older_generation_the_newest() {
    if !can_trace() {
        return;
    }
    let world = World::new();
    for secret in ["first", "second", "third"] {
        world.keep("one", secret);
    }
    let delete = world.command(["delete", "one", "--yes"]);
    Outage::of(world).survives(&delete, |world, said| {
        let ran = world.run(["get", "one"]);
        let is_gone = ran.code == 8;
        let is_there = ran.code == 0 && ran.stdout.trim_end() == "third";
        if is_gone || said == Said::Nothing && is_there { Ok(()) } else { Err(format!("{ran:?}")) }
    });
}

#[test]
fn a_vault_that_was_made_is_there_when_the_power_goes_and_else_can_be_made_again() {
    if !can_trace() {
        return;
    }
    let world = World::bare(Settings::default());
    std::fs::create_dir(world.home()).unwrap();
    let init = world.command(["init", "--unlock", "file"]);
    Outage::of(world).survives(&init, |world, said| {
        if said == Said::Nothing && world.run(["vault", "verify"]).code != 0 {
            let again = world.run(["init", "--unlock", "file"]);
            if again.code != 0 {
                return Err(format!("{again:?}"));
            }
        }
        let verified = world.run(["vault", "verify"]);
        if verified.code == 0 { Ok(()) } else { Err(format!("{verified:?}")) }
    });
}

#[test]
fn a_profile_that_was_added_is_there_when_the_power_goes_and_the_others_always() {
    if !can_trace() {
        return;
    }
    let world = World::new();
    let issuer = world.provider.issuer();
    let add = world.command(["profile", "add", "dev", "--issuer", &issuer, "--client-id", "c"]);
    Outage::of(world).survives(&add, |world, said| {
        let shown = |name: &str| world.run(["profile", "show", name]).code == 0;
        let whole = shown("prod") && (said == Said::Nothing || shown("dev"));
        if whole { Ok(()) } else { Err(world.run(["profile", "list"]).stderr) }
    });
}

#[test]
fn a_token_file_is_the_old_or_the_new_one_when_the_power_goes() {
    if !can_trace() {
        return;
    }
    let (world, _) = logged_in();
    let file = world.home().join("token");
    let file = file.to_str().unwrap();
    world.run(["refresh", "prod", "--write", file]).ok();
    let old = world.token("prod");
    let refresh = world.command(["refresh", "prod", "--force", "--write", file]);
    Outage::of(world).survives(&refresh, |world, _| {
        let found = std::fs::read_to_string(world.home().join("token")).map_err(|error| error.to_string())?;
        if found.trim_end() == old || found.matches('.').count() == 2 { Ok(()) } else { Err(format!("{found:?}")) }
    });
}
