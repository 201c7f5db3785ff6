//! Disks that are full or cannot be written: it shows before a token is spent, nothing is lost, and later it works.

use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc;

use provider::{Approval, Endpoint, Fault, Settings, json};

use crate::harness::{PATIENCE, Ran, World, short_lived};
use crate::outside::{hinted, is_root, leave_out, new_identity, sh, snapshot};

/// Something that was mounted for a test, and goes with it.
pub(crate) struct Mount {
    path: PathBuf,
}

impl Mount {
    /// Mounts; `None` where that is not permitted, said aloud.
    fn new(path: &Path, args: &[&str]) -> Option<Self> {
        if !is_root() {
            return None;
        }
        let mounted = Command::new("mount").args(args).arg(path).output().unwrap();
        if mounted.status.success() {
            return Some(Self { path: path.to_owned() });
        }
        leave_out(&String::from_utf8_lossy(&mounted.stderr));
        None
    }

    /// Mounts a folder onto itself, so that it alone can become read-only.
    pub(crate) fn of_itself(path: &Path) -> Option<Self> {
        Self::new(path, &["--bind", path.to_str().unwrap()])
    }

    /// Changes what may be done.
    pub(crate) fn remount(&self, option: &str) {
        let options = format!("remount,bind,{option}");
        assert!(Command::new("mount").args(["-o", &options]).arg(&self.path).status().unwrap().success());
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.path).status());
    }
}

/// A world whose vault lies on a disk of four megabytes.
fn small(settings: Settings) -> Option<(World, Mount)> {
    let world = World::bare(settings);
    let data = world.home().join("data");
    std::fs::create_dir_all(&data).unwrap();
    let mount = Mount::new(&data, &["-t", "tmpfs", "-o", "size=4m,mode=700", "tmpfs"])?;
    world.run(["init"]).ok();
    world.add_profile("prod", &[]);
    Some((world, mount))
}

/// Fills a disk until less than an entry's room is left.
fn fill(mount: &Mount) -> PathBuf {
    let path = mount.path.join("filler");
    let mut file = std::fs::File::create(&path).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
    file.set_len(file.metadata().unwrap().len() - 64 * 1024).unwrap();
    path
}

/// A world whose vault can be made read-only, with a login.
fn lockable(settings: Settings) -> Option<(World, String, Mount)> {
    let world = World::with(settings);
    let token = world.store_login("prod");
    let mount = Mount::of_itself(&world.home().join("data"))?;
    Some((world, token, mount))
}

#[test]
fn a_full_disk_shows_before_a_refresh_token_is_spent() {
    let Some((world, mount)) = small(short_lived(300)) else { return };
    let token = world.store_login("prod");
    let filler = fill(&mount);
    let before = snapshot(&world.entry("prod"));
    let refused = world.run(["get", "prod"]).fails(1).says("No space left").hides(&token);
    assert!(hinted(&refused).starts_with("df -h '"), "{}", refused.stderr);
    assert_eq!(world.provider.presentations(&token), 0);
    let opened = |all: std::collections::BTreeMap<PathBuf, (u32, Vec<u8>)>| {
        all.into_iter().filter(|(path, _)| path.extension().is_some()).collect::<Vec<_>>()
    };
    assert_eq!(opened(snapshot(&world.entry("prod"))), opened(before));
    std::fs::remove_file(filler).unwrap();
    world.run(["get", "prod"]).ok();
    assert_eq!(world.provider.presentations(&token), 1);
}

/// Leaves no room on a disk, whatever anybody gives back meanwhile, until the other end of the channel is gone.
fn keep_full(mount: &Mount) -> mpsc::Sender<()> {
    let (sender, receiver) = mpsc::channel();
    let mut file = std::fs::File::create(mount.path.join("filler")).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
    std::thread::spawn(move || {
        while receiver.try_recv() != Err(mpsc::TryRecvError::Disconnected) {
            drop(file.write_all(&[0; 4096]));
        }
    });
    sender
}

#[test]
fn a_disk_that_fills_up_while_the_provider_thinks_costs_no_token() {
    let Some((world, mount)) = small(short_lived(300)) else { return };
    world.store_login("prod");
    // an entry that needs nearly all of the room that was reserved, and takes a while to be written
    for letter in ["a", "b", "c", "d"] {
        let jwt = format!("eyJhbGciOiJFUzI1NiJ9.{}.c2lnbmF0dXJl", letter.repeat(220_000));
        world.provider.misbehave(Endpoint::Token, Fault::set("access_token", json!(jwt)));
        world.run(["get", "prod", "--audience", letter]).ok();
    }
    world.provider.set_refresh_latency(PATIENCE);
    let front = world.start(["get", "prod"]);
    world.provider.wait_for_exchanges(5, PATIENCE);
    let full = keep_full(&mount);
    world.provider.release();
    let ran: Ran = front.wait_with_output().unwrap().into();
    drop(full);
    let token = ran.ok().stdout;
    assert!(world.provider.is_access_live(token.trim_end()));
    assert_eq!(world.token("prod"), token.trim_end());
}

#[test]
fn the_room_that_an_entry_does_not_need_is_given_back() {
    let Some((world, _mount)) = small(short_lived(300)) else { return };
    world.store_login("prod");
    world.token("prod");
    assert!(std::fs::metadata(world.entry("prod").join("2.age")).unwrap().blocks() * 512 < 64 * 1024);
}

/// The number of files and folders that a disk has now.
fn inodes(mount: &Mount) -> u64 {
    let found = rustix::fs::statvfs(&mount.path).unwrap();
    found.f_files - found.f_ffree
}

#[test]
fn a_disk_with_few_inodes_shows_before_a_refresh_token_is_spent_or_not_at_all() {
    let Some((world, mount)) = small(short_lived(300)) else { return };
    let mut token = world.store_login("prod");
    let mut worked = 0;
    for spare in 0..4 {
        let used = inodes(&mount);
        sh(&format!("mount -o remount,nr_inodes={} '{}'", used + spare, mount.path.display()));
        let ran = world.run(["get", "prod", "--no-cache"]);
        if ran.code == 0 {
            worked += 1;
            assert!(world.provider.is_access_live(ran.stdout.trim_end()));
        } else {
            ran.fails(1).says("No space left").hides(&token);
            assert_eq!(world.provider.presentations(&token), 0, "{spare} to spare");
        }
        sh(&format!("mount -o remount,nr_inodes={} '{}'", used + 100, mount.path.display()));
        world.run(["get", "prod", "--no-cache"]).ok();
        token = world.provider.newest_refresh_token().unwrap();
        assert!(world.provider.is_refresh_live(&token));
    }
    assert!((1..4).contains(&worked), "{worked} of 4 worked");
}

#[test]
fn a_disk_with_no_inode_to_spare_keeps_what_was_stored_before() {
    let Some((world, mount)) = small(Settings::default()) else { return };
    world.keep("one", "before");
    let used = inodes(&mount);
    sh(&format!("mount -o remount,nr_inodes={used} '{}'", mount.path.display()));
    for name in ["one", "two"] {
        world.feed(["store", name, "--kind", "secret", "--stdin"], "after").fails(1).says("No space left");
    }
    assert_eq!(world.token("one"), "before");
    sh(&format!("mount -o remount,nr_inodes={} '{}'", used + 100, mount.path.display()));
    world.keep("two", "after");
}

#[test]
fn a_full_disk_still_gives_the_cached_token() {
    let Some((world, mount)) = small(short_lived(300)) else { return };
    world.store_login("prod");
    let token = world.token("prod");
    fill(&mount);
    assert_eq!(world.token("prod"), token);
}

#[test]
fn a_full_disk_keeps_what_was_stored_before() {
    let Some((world, mount)) = small(Settings::default()) else { return };
    world.keep("one", "before");
    let filler = fill(&mount);
    world.feed(["store", "one", "--kind", "secret", "--stdin"], "after").fails(1).says("No space left");
    assert_eq!(world.token("one"), "before");
    std::fs::remove_file(filler).unwrap();
    world.keep("one", "after");
    assert_eq!(world.token("one"), "after");
}

#[test]
fn a_full_disk_shows_before_anybody_is_asked_to_log_in() {
    let Some((world, mount)) = small(Settings { approval: Approval::AfterPolls(0), ..Settings::default() }) else {
        return;
    };
    let filler = fill(&mount);
    world.run(["generate", "prod"]).fails(1).says("No space left");
    assert_eq!(world.provider.count(Endpoint::Device), 0);
    std::fs::remove_file(filler).unwrap();
    world.run(["generate", "prod"]).ok();
}

#[test]
fn a_full_disk_makes_no_vault_and_says_why() {
    let world = World::bare(Settings::default());
    let data = world.home().join("data");
    std::fs::create_dir_all(&data).unwrap();
    let Some(mount) = Mount::new(&data, &["-t", "tmpfs", "-o", "size=64k,mode=700", "tmpfs"]) else { return };
    let filler = mount.path.join("filler");
    let mut file = std::fs::File::create(&filler).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
    drop(file);
    world.run(["init"]).fails(1).says("No space left");
    std::fs::remove_file(filler).unwrap();
    world.run(["init"]).ok();
}

#[test]
fn a_full_disk_keeps_the_slots_as_they_are() {
    let world = World::bare(Settings::default());
    let data = world.home().join("data");
    std::fs::create_dir_all(&data).unwrap();
    let Some(mount) = Mount::new(&data, &["-t", "tmpfs", "-o", "size=64k,mode=700", "tmpfs"]) else { return };
    world.run(["init"]).ok();
    let recipient = new_identity(&world.file("other.txt"));
    let mut file = std::fs::File::create(mount.path.join("filler")).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
    world.run(["vault", "slot", "add", "other", "--recipient", &recipient]).fails(1).says("No space left");
    world.run(["vault", "verify"]).ok();
}

#[test]
fn a_disk_that_cannot_be_written_shows_before_a_refresh_token_is_spent() {
    let Some((world, token, mount)) = lockable(short_lived(300)) else { return };
    mount.remount("ro");
    world.run(["get", "prod"]).fails(1).says("Read-only file system").hides(&token);
    assert_eq!(world.provider.presentations(&token), 0);
    mount.remount("rw");
    world.run(["get", "prod"]).ok();
}

#[test]
fn a_disk_that_cannot_be_written_still_gives_the_cached_token() {
    let Some((world, _, mount)) = lockable(short_lived(300)) else { return };
    let token = world.token("prod");
    mount.remount("ro");
    assert_eq!(world.token("prod"), token);
    world.run(["vault", "verify"]).ok();
    world.run(["list"]).ok();
}

#[test]
fn a_disk_that_cannot_be_written_keeps_what_was_stored_before() {
    let Some((world, _, mount)) = lockable(Settings::default()) else { return };
    world.keep("one", "before");
    mount.remount("ro");
    let store = ["store", "one", "--kind", "secret", "--stdin"];
    world.feed(store, "after").fails(1).says("Read-only file system");
    assert_eq!(world.token("one"), "before");
    mount.remount("rw");
    world.keep("one", "after");
    assert_eq!(world.token("one"), "after");
}

#[test]
fn a_disk_that_cannot_be_written_shows_before_anybody_is_asked_to_log_in() {
    let settings = Settings { approval: Approval::AfterPolls(0), ..Settings::default() };
    let Some((world, _, mount)) = lockable(settings) else { return };
    mount.remount("ro");
    world.run(["generate", "prod", "--force"]).fails(1).says("Read-only file system");
    assert_eq!(world.provider.count(Endpoint::Device), 0);
    mount.remount("rw");
    world.run(["generate", "prod", "--force"]).ok();
}

#[test]
fn a_disk_that_cannot_be_written_gets_no_vault_and_says_why() {
    let world = World::bare(Settings::default());
    let data = world.home().join("data");
    std::fs::create_dir_all(&data).unwrap();
    let Some(mount) = Mount::of_itself(&data) else { return };
    mount.remount("ro");
    world.run(["init"]).fails(1).says("Read-only file system");
}

#[test]
fn a_state_folder_that_cannot_be_written_still_gives_the_cached_token() {
    let world = World::logged_in(short_lived(300));
    let token = world.token("prod");
    let Some(mount) = Mount::of_itself(&world.home().join("state")) else { return };
    mount.remount("ro");
    assert_eq!(world.token("prod"), token);
}

#[test]
fn a_state_folder_that_was_never_there_and_cannot_be_made_still_gives_the_cached_token() {
    let world = World::logged_in(short_lived(300));
    let token = world.token("prod");
    std::fs::remove_dir_all(world.home().join("state")).unwrap();
    let Some(mount) = Mount::of_itself(&world.home()) else { return };
    mount.remount("ro");
    assert_eq!(world.token("prod"), token);
}

#[test]
fn a_state_folder_that_cannot_be_written_costs_no_token_at_a_refresh() {
    let world = World::logged_in(short_lived(300));
    let Some(mount) = Mount::of_itself(&world.home().join("state")) else { return };
    mount.remount("ro");
    let first = world.token("prod");
    let second = world.run(["get", "prod", "--no-cache"]).ok().stdout;
    assert_ne!(first, second.trim_end());
    assert!(world.provider.family_alive());
}

/// Runs a command with a limit on the size of files, in blocks of 512 bytes.
fn limited(world: &World, blocks: u32, args: &[&str]) -> Ran {
    world.shell(&format!("ulimit -f {blocks}; exec \"$0\" \"$@\""), args).output().unwrap().into()
}

#[test]
fn a_limit_on_the_size_of_files_shows_before_a_refresh_token_is_spent() {
    let world = World::with(short_lived(300));
    let token = world.store_login("prod");
    for blocks in [0, 1, 2, 100] {
        limited(&world, blocks, &["get", "prod"]).fails(1).says("ulimit -f");
        assert_eq!(world.provider.presentations(&token), 0);
    }
    world.run(["get", "prod"]).ok();
}

#[test]
fn a_limit_on_the_size_of_files_keeps_what_was_stored_before() {
    let world = World::new();
    world.keep("one", "before");
    let script = "ulimit -f 1; exec \"$0\" \"$@\"";
    let command = world.shell(script, ["store", "one", "--kind", "secret", "--stdin"]);
    crate::harness::feed(command, "after").fails(1);
    assert_eq!(world.token("one"), "before");
}

#[test]
fn a_limit_on_the_size_of_files_still_gives_the_cached_token() {
    let world = World::logged_in(short_lived(300));
    let token = world.token("prod");
    assert_eq!(limited(&world, 0, &["get", "prod", "--quiet"]).ok().stdout.trim_end(), token);
}

#[test]
fn a_limit_on_the_size_of_files_is_a_failure_like_another() {
    let world = World::logged_in(short_lived(300));
    world.token("prod");
    for args in [
        &["profile", "add", "other", "--issuer", "https://a.example", "--client-id", "b"][..],
        &["vault", "backup", "vault.tar"],
        &["refresh", "prod", "--write", "token"],
    ] {
        limited(&world, 0, args).fails(1).says("ulimit -f");
    }
}
