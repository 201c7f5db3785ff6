//! Who starts tokenkeep regularly or on behalf of others, and whether what they start is there.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Scene;
use super::finding::{Finding, Status};
use crate::commands::schedule::units_of_user;
use crate::host::{files, program};

/// Files of other programs in which tokenkeep may stand, below the home folder.
const HELPERS: [&str; 6] =
    [".gitconfig", ".config/git/config", ".kube/config", ".cargo/config.toml", ".docker/config.json", ".aws/config"];

/// A file of more than a megabyte is no configuration that somebody wrote.
const LARGEST: usize = 1 << 20;

/// A text in which tokenkeep is spoken of.
struct Mention {
    /// Where.
    place: String,
    /// The text.
    text: String,
}

/// Checks that something refreshes regularly, and that every program of ours that is named somewhere is there.
pub(super) fn refreshing(scene: &Scene<'_>) -> Vec<Finding> {
    let mut mentions = timers(scene);
    let refreshing = mentions
        .iter()
        .filter(|mention| mention.text.contains(" refresh "))
        .map(|mention| Finding::new("schedule", Status::Ok, format!("{} refreshes", mention.place)));
    let mut findings: Vec<Finding> = refreshing.collect();
    if findings.is_empty() {
        let finding = Finding::new("schedule", Status::Info, "nothing refreshes regularly here");
        findings.push(finding.mend("type `tokenkeep schedule install --every 1h --now`"));
    }
    let home = scene.folders().and_then(|folders| folders.home);
    let helpers = home.iter().flat_map(|home| HELPERS.iter().map(|name| home.join(name)));
    mentions.extend(helpers.filter_map(|path| mention(&path)));
    findings.extend(mentions.iter().flat_map(missing_programs));
    findings
}

/// Reads the units and crontabs in which tokenkeep stands.
fn timers(scene: &Scene<'_>) -> Vec<Mention> {
    let folders = units_of_user(scene.cx).into_iter();
    let folders = folders.chain(["/etc/systemd/system", "/etc/systemd/user", "/etc/cron.d"].map(PathBuf::from));
    let below = |folder: PathBuf| {
        let names = files::list(&folder).unwrap_or_default();
        names.into_iter().map(move |name| folder.join(name))
    };
    // a timer names no program
    let is_timer = |path: &PathBuf| path.extension().is_some_and(|end| end == "timer");
    let paths = folders.flat_map(below).filter(|path| !is_timer(path) && path.is_file());
    paths.filter_map(|path| mention(&path)).chain(crontab(scene)).collect()
}

/// Reads a file, if tokenkeep stands in it.
fn mention(path: &Path) -> Option<Mention> {
    let text = files::read(path, files::Access::Readable, LARGEST).ok()?;
    let text = String::from_utf8_lossy(&text).into_owned();
    text.contains("tokenkeep").then(|| Mention { place: path.display().to_string(), text })
}

/// Reads the crontab of this user, if it has one and tokenkeep stands in it.
fn crontab(scene: &Scene<'_>) -> Option<Mention> {
    const PATIENCE: Duration = Duration::from_secs(3);
    let ended = program::run_within("crontab", &["-l".to_owned()], &scene.cx.host.env, PATIENCE).ok()?;
    let is_ours = ended.success && ended.said.contains("tokenkeep");
    is_ours.then(|| Mention { place: "your crontab".to_owned(), text: ended.said })
}

/// Says which programs are named and not there.
fn missing_programs(mention: &Mention) -> Vec<Finding> {
    let lines = mention.text.lines().filter(|line| !line.trim_start().starts_with(['#', ';']));
    let words = lines.flat_map(|line| line.split(|c: char| c.is_whitespace() || "\"'!=:,".contains(c)));
    let is_program = |word: &&str| word.starts_with('/') && word.ends_with("/tokenkeep");
    let missing = words.filter(is_program).filter(|word| !Path::new(word).exists());
    let mut missing: Vec<&str> = missing.collect();
    missing.dedup();
    let finding = |program: &str| {
        let message = format!("{} starts {program}, which is not there", mention.place);
        let ours = mention.text.contains("tokenkeep schedule");
        let mend = if ours {
            "type `tokenkeep schedule install` again, with the same flags"
        } else {
            "correct the path there"
        };
        Finding::new("schedule", Status::Fail, message).mend(mend)
    };
    missing.into_iter().map(finding).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_gone_is_named_and_a_folder_of_that_name_is_none() {
        let text = "# /gone/tokenkeep\nExecStart=\"/nowhere/tokenkeep\" refresh\n\
                    Environment=TOKENKEEP_HOME=/nowhere/tokenkeep-home\n[credential]\nhelper = !/elsewhere/tokenkeep get x\n";
        let mention = Mention { place: "x".to_owned(), text: text.to_owned() };
        let said: Vec<String> = missing_programs(&mention).into_iter().map(|finding| finding.message).collect();
        assert_eq!(
            said,
            ["x starts /nowhere/tokenkeep, which is not there", "x starts /elsewhere/tokenkeep, which is not there"]
        );
    }
}
