//! The note in the lock file: what the last holder of the lock was doing, and what came of it.
//!
//! One record of 4 KiB with a checksum, written in one go and never flushed: it helps the next holder decide, and the
//! vault is right without it. Only the holder of the lock acts on it; it is void when its generation is not the newest.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};

use serde::{Deserialize, Serialize};

use crate::idp::LONGEST_PAUSE;
use crate::token::text;
use crate::token::time::{Lifetime, Timestamp};
use crate::vault::sealing::digest_hex;

/// The size of the record: one page, so that one write carries all of it.
const SIZE: usize = 4096;

/// When something happened of which no record is left.
const UNKNOWN_TIME: Timestamp = Timestamp::from_epoch(0);

/// Says when a request was sent, for people.
pub(crate) fn when(sent: Timestamp) -> String {
    if sent == UNKNOWN_TIME { "an unknown time".to_owned() } else { sent.to_string() }
}

/// How many characters of a provider's words are kept: JSON writes one with at most six bytes, and the record has room
/// for 3,000 of them beside everything else.
const LONGEST_WORDS: usize = 500;

/// As many attempts as make a difference, and some more.
const MOST_TRIES: u32 = 1_000;

/// What the last holder of an entry's lock noted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Note {
    /// The generation whose refresh token it is about.
    pub(crate) generation: u64,
    /// When it was sent; for a refusal or an unreachable provider, when we learnt of it.
    pub(crate) since: Timestamp,
    /// When the first request was sent whose answer is still missing, if one is.
    pub(crate) lost_since: Option<Timestamp>,
    /// How often in a row it ended like this.
    pub(crate) tries: u32,
    /// What happened.
    pub(crate) event: Event,
}

/// What happened to a presentation of the refresh token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Event {
    /// It is being presented; if nobody holds the lock, nobody knows what became of it.
    Intent,
    /// It was sent, and no answer came back.
    Lost {
        /// When it may be presented again at the earliest.
        retry_at: Timestamp,
    },
    /// The provider could not be reached, or sent us away: nothing was spent.
    Unavailable {
        /// When it may be presented again at the earliest.
        retry_at: Timestamp,
        /// Why, in words.
        why: String,
    },
    /// The provider refused the token.
    Refused(Refused),
}

/// A refusal as it is remembered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Refused {
    /// When.
    pub(crate) at: Timestamp,
    /// The provider's words.
    pub(crate) words: String,
    /// A code of issuer, client and secret, by a key of the vault: a changed profile may try again.
    pub(crate) fingerprint: String,
    /// Since when an answer was lost before, if one was: then the refusal is no riddle.
    pub(crate) lost_since: Option<Timestamp>,
}

impl Refused {
    /// Returns when the token may be presented again all the same: a disabled user may be enabled again.
    pub(crate) fn retry_at(&self, tries: u32) -> Timestamp {
        const PAUSES: [u64; 4] = [15 * 60, 3_600, 6 * 3_600, 24 * 3_600];
        let step = usize::try_from(tries.saturating_sub(1)).unwrap_or(usize::MAX).min(PAUSES.len() - 1);
        self.at.after(Lifetime::seconds(PAUSES.get(step).copied().unwrap_or(24 * 3_600)))
    }
}

impl Note {
    /// Returns since when an answer has been missing.
    pub(crate) fn missing_since(&self) -> Option<Timestamp> {
        match &self.event {
            Event::Intent | Event::Lost { .. } => Some(self.lost_since.unwrap_or(self.since)),
            Event::Unavailable { .. } => self.lost_since,
            Event::Refused(refused) => refused.lost_since,
        }
    }

    /// Reads the note about a generation; one about another generation is void.
    ///
    /// A record that does not check counts as an intent: somebody was writing it when the machine stopped.
    pub(crate) fn read(file: &File, newest: u64) -> io::Result<Option<Self>> {
        let mut record = [0; SIZE];
        let mut length = 0;
        while let Some(rest) = record.get_mut(length..).filter(|rest| !rest.is_empty()) {
            match file.read_at(rest, length as u64) {
                Ok(0) => break,
                Ok(more) => length += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let record = record.get(..length).unwrap_or_default();
        if record.is_empty() {
            return Ok(None);
        }
        let (since, event) = (UNKNOWN_TIME, Event::Intent);
        let unknown = Self { generation: newest, since, lost_since: None, tries: 0, event };
        let note = parse(record).map_or(Some(unknown), |note| note.map(Self::moderated));
        Ok(note.filter(|note| note.generation == newest))
    }

    /// Writes a note, or that there is none.
    pub(crate) fn write(note: Option<&Self>, file: &File) -> io::Result<()> {
        let json = serde_json::to_string(&note.map(Self::shortened))?;
        let mut record = format!("{json}\n{}\n", checksum(&json)).into_bytes();
        record.resize(SIZE, b' ');
        refuse_linked(file)?;
        file.write_all_at(&record, 0)
    }

    /// Takes out what we never write: who can write the folder can write a note, which must neither put a refresh off for
    /// years nor write on a terminal.
    fn moderated(mut self) -> Self {
        let latest = self.since.after(LONGEST_PAUSE);
        self.tries = self.tries.min(MOST_TRIES);
        match &mut self.event {
            Event::Lost { retry_at } => *retry_at = latest.min(*retry_at),
            Event::Unavailable { retry_at, why } => (*retry_at, *why) = (latest.min(*retry_at), text::escaped(why)),
            Event::Refused(refused) => refused.words = text::escaped(&refused.words),
            Event::Intent => {}
        }
        self
    }

    /// Returns the note with words that fit into the record.
    fn shortened(&self) -> Self {
        let mut note = self.clone();
        match &mut note.event {
            Event::Unavailable { why: words, .. } | Event::Refused(Refused { words, .. }) => {
                *words = words.chars().take(LONGEST_WORDS).collect();
            }
            Event::Intent | Event::Lost { .. } => {}
        }
        note
    }
}

/// Refuses a file that has another name and is no lock: whoever can write the folder may have linked it there.
fn refuse_linked(file: &File) -> io::Result<()> {
    let found = file.metadata()?;
    if found.nlink() > 1 && found.len() != 0 && found.len() != SIZE as u64 {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is a hard link to a file that is no lock"));
    }
    Ok(())
}

/// Parses a record; `None` if it does not check, and `Some(None)` if it says that there is nothing to say.
#[expect(clippy::option_option, reason = "whether it checks and whether there is a note are two questions")]
fn parse(record: &[u8]) -> Option<Option<Note>> {
    let mut lines = std::str::from_utf8(record).ok()?.split('\n');
    let (json, sum) = (lines.next()?, lines.next()?);
    if checksum(json) == sum { serde_json::from_str(json).ok() } else { None }
}

/// Returns the checksum of a record's text.
fn checksum(json: &str) -> String {
    digest_hex(json).chars().take(16).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn intent() -> Note {
        Note { generation: 7, since: Timestamp::from_epoch(1_000), lost_since: None, tries: 2, event: Event::Intent }
    }

    #[test]
    fn a_note_is_read_back_and_void_for_another_generation() {
        let file = tempfile::tempfile().unwrap();
        assert_eq!(Note::read(&file, 7).unwrap(), None);
        Note::write(Some(&intent()), &file).unwrap();
        assert_eq!(Note::read(&file, 7).unwrap(), Some(intent()));
        assert_eq!(Note::read(&file, 8).unwrap(), None);
        Note::write(None, &file).unwrap();
        assert_eq!(Note::read(&file, 7).unwrap(), None);
        assert_eq!(file.metadata().unwrap().len(), 4096);
    }

    #[test]
    fn a_record_that_does_not_check_counts_as_an_intent() {
        let file = tempfile::tempfile().unwrap();
        Note::write(Some(&intent()), &file).unwrap();
        file.write_all_at(b"X", 3).unwrap();
        let note = Note::read(&file, 9).unwrap().unwrap();
        assert_eq!((note.generation, &note.event), (9, &Event::Intent));
        assert_eq!(when(note.since), "an unknown time");
    }

    #[test]
    fn a_note_that_we_did_not_write_puts_nothing_off_for_years_and_has_no_escapes() {
        let (file, far) = (tempfile::tempfile().unwrap(), Timestamp::from_epoch(i64::MAX));
        let words = || "a\u{1b}[2J\nb".to_owned();
        let read = |event| {
            Note::write(Some(&Note { event, tries: u32::MAX, ..intent() }), &file).unwrap();
            Note::read(&file, 7).unwrap().unwrap()
        };
        let (latest, why) = (Timestamp::from_epoch(4_600), "a\\u{1b}[2J\\u{a}b".to_owned());
        let away = read(Event::Unavailable { retry_at: far, why: words() });
        assert_eq!((away.event, away.tries), (Event::Unavailable { retry_at: latest, why: why.clone() }, MOST_TRIES));
        assert_eq!(read(Event::Lost { retry_at: far }).event, Event::Lost { retry_at: latest });
        let refused = Refused { at: far, words: words(), fingerprint: String::new(), lost_since: None };
        let Event::Refused(refused) = read(Event::Refused(refused)).event else { panic!("another") };
        assert_eq!(refused.words, why);
    }

    #[test]
    fn a_file_of_ours_that_is_linked_into_the_place_of_a_lock_is_not_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let (precious, lock) = (folder.path().join("precious"), folder.path().join("lock"));
        crate::host::files::replace(&precious, b"precious", 0o600).unwrap();
        std::fs::hard_link(&precious, &lock).unwrap();
        Note::write(Some(&intent()), &File::options().write(true).open(&lock).unwrap()).unwrap_err();
        assert_eq!(std::fs::read(&precious).unwrap(), b"precious");
    }

    #[test]
    fn an_answer_stays_missing_while_the_provider_is_away() {
        let at = Timestamp::from_epoch;
        let away = Event::Unavailable { retry_at: at(0), why: String::new() };
        assert_eq!(intent().missing_since(), Some(at(1_000)));
        assert_eq!(Note { lost_since: Some(at(900)), ..intent() }.missing_since(), Some(at(900)));
        assert_eq!(Note { event: away.clone(), ..intent() }.missing_since(), None);
        assert_eq!(Note { event: away, lost_since: Some(at(900)), ..intent() }.missing_since(), Some(at(900)));
    }

    #[test]
    fn refusals_are_tried_again_after_15_minutes_then_an_hour_then_six_then_daily() {
        let refused = Refused {
            at: Timestamp::from_epoch(0),
            words: String::new(),
            fingerprint: String::new(),
            lost_since: None,
        };
        let pauses = [1, 2, 3, 4, 5, 99].map(|tries| refused.retry_at(tries).epoch() / 60);
        assert_eq!(pauses, [15, 60, 360, 1440, 1440, 1440]);
    }

    #[test]
    fn long_words_still_fit() {
        let file = tempfile::tempfile().unwrap();
        let event = Event::Unavailable { retry_at: Timestamp::from_epoch(0), why: "\u{1}".repeat(9_000) };
        Note::write(Some(&Note { event, ..intent() }), &file).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 4096);
        let Event::Unavailable { why, .. } = Note::read(&file, 7).unwrap().unwrap().event else { panic!("another") };
        assert_eq!(why, "\\u{1}".repeat(LONGEST_WORDS));
    }
}
