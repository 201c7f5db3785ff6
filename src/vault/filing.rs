//! What the files in an entry's folder are called. Pure: nothing is looked at but names.

use std::ffi::{OsStr, OsString};

use crate::host::files;

/// The lock, which also holds the keeper's note, and stays for ever.
pub(super) const LOCK: &str = "lock";

/// What says that the entry rests in the keyring.
pub(super) const MARK: &str = "keyring";

/// Where an answer waits until it is published.
pub(super) const NEXT: &str = "next";

/// Returns what the file of a generation is called.
pub(super) fn of_generation(generation: u64) -> String {
    format!("{generation}.age")
}

/// Returns what an answer is called that was put aside; the `count`th of that second.
pub(super) fn of_aside(now: i64, count: usize) -> String {
    if count > 1 { format!("aside-{now}-{count}.age") } else { format!("aside-{now}.age") }
}

/// Tells whether a file holds something of ours: a generation, or an answer that is none yet, or never became one.
pub(super) fn is_ours(file: &str) -> bool {
    file == NEXT || is_aside(file) || generation_of(file).is_some()
}

/// Tells whether a file has its place there, be it only half written.
pub(super) fn has_its_place(file: &OsStr) -> bool {
    file.to_str().is_some_and(|file| {
        // what a move that was killed left is a generation, too
        file == LOCK || file == MARK || is_ours(files::succeeded(file).unwrap_or(file))
    })
}

/// Tells whether the files say that the entry rests in the keyring.
pub(super) fn is_marked(files: &[OsString]) -> bool {
    files.iter().any(|file| file == MARK)
}

/// Returns the generations among the files, the newest first.
pub(super) fn generations(files: &[OsString]) -> Vec<u64> {
    let mut numbers: Vec<u64> = files.iter().filter_map(|file| generation_of(file.to_str()?)).collect();
    numbers.sort_unstable_by(|one, other| other.cmp(one));
    numbers
}

/// Tells whether a file's name is that of an answer that was put aside.
pub(super) fn is_aside(file: &str) -> bool {
    let when = file.strip_prefix("aside-").and_then(|file| file.strip_suffix(".age"));
    when.is_some_and(|when| when.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-'))
}

/// Reads the generation out of a file's name.
pub(super) fn generation_of(file: &str) -> Option<u64> {
    let digits = file.strip_suffix(".age")?;
    let canonical = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
    if canonical { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_is_called_says_what_it_is() {
        assert_eq!(generation_of(&of_generation(12)), Some(12));
        assert!(["0.age", "012.age", "+1.age", ".age", "1"].iter().all(|file| generation_of(file).is_none()));
        assert!([of_aside(77, 1), of_aside(77, 2)].iter().all(|file| is_aside(file) && is_ours(file)));
        assert_eq!(generations(&["9.age", "lock", "11.age", "10.age"].map(OsString::from)), [11, 10, 9]);
    }

    #[test]
    fn what_is_half_written_has_its_place_and_is_not_ours_yet() {
        for file in ["next", "7.age"] {
            let half = files::successor(file.as_ref());
            assert!(has_its_place(&half) && !half.to_str().is_some_and(is_ours), "{file}");
        }
        assert!(!has_its_place("7.age.bak".as_ref()));
    }
}
