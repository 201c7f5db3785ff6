//! Where a token or secret comes from that somebody hands to us: never from the command line itself.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use zeroize::Zeroizing;

use super::Context;
use crate::error::{Failure, Kind};
use crate::host::descriptor;
use crate::secret::StoredSecret;
use crate::token::text::{self, Look};

/// The most that is read: many times the longest token, and small enough for an entry.
const LARGEST: u64 = 256 * 1024;

/// How a text is given.
const ALONE: &str = "give the token or secret alone, as text";

/// Flags that say where the text comes from; at most one of them.
#[derive(Clone, Debug, Default, clap::Args)]
#[group(multiple = false)]
pub(crate) struct SourceArgs {
    /// Read it from standard input
    #[arg(long)]
    pub(crate) stdin: bool,
    /// Read it from a file
    #[arg(long, value_name = "FILE")]
    pub(crate) from_file: Option<PathBuf>,
    /// Take it from an environment variable
    #[arg(long, value_name = "VAR")]
    pub(crate) from_env: Option<String>,
    /// Read it from an open descriptor
    #[arg(long, value_name = "N", value_parser = descriptor::given)]
    pub(crate) from_fd: Option<i32>,
}

impl SourceArgs {
    /// Tells whether a source is named.
    pub(crate) const fn is_named(&self) -> bool {
        self.stdin || self.from_file.is_some() || self.from_env.is_some() || self.from_fd.is_some()
    }

    /// Refuses to read standard input twice.
    pub(crate) fn check(&self, cx: &Context) -> Result<(), Failure> {
        let ours = self.stdin || self.from_fd == Some(0);
        if ours && (cx.globals.identity_fd == Some(0) || cx.globals.passphrase_fd == Some(0)) {
            return Err(Failure::new(Kind::Usage, "only one thing can be read from standard input")
                .hint("unlock with another descriptor: `--identity-fd 3 3<FILE`"));
        }
        Ok(())
    }

    /// Reads the text, without the white space around it; `None` if no source is named.
    pub(crate) fn read(&self, cx: &mut Context) -> Result<Option<StoredSecret>, Failure> {
        self.read_part(cx, trimmed)
    }

    /// Reads the text as it is, but for one line end behind it; `None` if no source is named.
    pub(crate) fn read_whole(&self, cx: &mut Context) -> Result<Option<StoredSecret>, Failure> {
        self.read_part(cx, whole)
    }

    /// Reads a token that is to be judged, without what says where it is for.
    pub(crate) fn read_token(&self, cx: &mut Context) -> Result<Option<StoredSecret>, Failure> {
        self.read_part(cx, |text, name| trimmed(without_place(text), name))
    }

    /// Reads the text, and takes what is meant of it.
    fn read_part(
        &self,
        cx: &mut Context,
        part: fn(&str, &str) -> Result<StoredSecret, Failure>,
    ) -> Result<Option<StoredSecret>, Failure> {
        let (name, bytes) = if self.stdin {
            ("standard input".to_owned(), limited(&mut cx.host.stdin))
        } else if let Some(path) = &self.from_file {
            // the user's own file, with whatever mode, a pipe included
            (path.display().to_string(), File::open(path).and_then(|mut file| limited(&mut file)))
        } else if let Some(variable) = &self.from_env {
            let value = cx.host.env.raw(variable).map(|value| value.as_encoded_bytes().to_vec());
            (variable.clone(), value.ok_or_else(|| io::Error::other("the variable is empty or not set")))
        } else if let Some(number) = self.from_fd {
            (format!("descriptor {number}"), descriptor::read_to_end(number, LARGEST))
        } else {
            return Ok(None);
        };
        let bytes = bytes.map_err(|error| unreadable(&name, &error.to_string()).hint(self.how_to_give(&error)));
        let bytes = Zeroizing::new(bytes?);
        let text = std::str::from_utf8(&bytes).map_err(|_| unreadable(&name, "it is not UTF-8"))?;
        part(text, &name).map(Some)
    }

    /// Says how a source is named that could not be read.
    fn how_to_give(&self, error: &io::Error) -> &'static str {
        match self {
            Self { from_file: Some(_), .. } if error.kind() == io::ErrorKind::NotFound => {
                "name a file that is there: `ls -la` shows what is here"
            }
            Self { from_env: Some(_), .. } => "export the variable first, or give the text with --stdin",
            Self { from_fd: Some(_), .. } => "open it for the command: `--from-fd 3 3<FILE`",
            Self { .. } => ALONE,
        }
    }
}

/// Takes what stands before the last colon (`host:port:`) away from a JWT, as it is done for tokens of ours. Of other
/// tokens a colon may be a part.
fn without_place(text: &str) -> &str {
    let rest = text.rsplit_once(':').map(|(_, rest)| rest.trim());
    rest.filter(|rest| text::classify(rest) == Look::Jwt).unwrap_or(text)
}

/// Takes the white space around a text away, and refuses what is left if that is nothing or too much.
pub(crate) fn trimmed(text: &str, name: &str) -> Result<StoredSecret, Failure> {
    whole(text.trim(), name)
}

/// Takes one line end behind a text away, and refuses what is left if that is nothing to see or too much.
pub(crate) fn whole(text: &str, name: &str) -> Result<StoredSecret, Failure> {
    let text = text.strip_suffix('\n').map_or(text, |text| text.strip_suffix('\r').unwrap_or(text));
    if text.trim().is_empty() {
        return Err(unreadable(name, "it is empty"));
    }
    if text.len() as u64 > LARGEST {
        return Err(unreadable(name, "it is larger than 256 KiB"));
    }
    Ok(StoredSecret::new(text.to_owned()))
}

/// Reads to the end, if that is not too far away.
fn limited(source: &mut dyn Read) -> io::Result<Vec<u8>> {
    // as large as it can get: growing would leave a copy behind
    let mut bytes = Vec::with_capacity(usize::try_from(LARGEST).unwrap_or(0) + 1);
    source.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        return Err(io::Error::other("it is larger than 256 KiB"));
    }
    Ok(bytes)
}

/// Describes a source that gives nothing usable.
fn unreadable(name: &str, why: &str) -> Failure {
    Failure::new(Kind::Usage, format!("cannot take it from {name}")).because(why).hint(ALONE)
}
