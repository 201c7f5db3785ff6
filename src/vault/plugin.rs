//! Age plugins: programs `age-plugin-NAME` in PATH that hold keys of other kinds (security keys, TPMs), spoken to as
//! <https://c2sp.org/age-plugin> says.
//!
//! The age crate has a client of its own. It waits for ever, hands the plugin whatever our environment holds, and prints
//! what is said, secrets included, if `AGEDEBUG` is set; so this is ours.

use std::cell::RefCell;
use std::collections::HashSet;
use std::ffi::OsString;
use std::io;
use std::time::Duration;

use age::secrecy::ExposeSecret as _;
use age::{DecryptError, EncryptError};
use age_core::format::{FileKey, Stanza};
use age_core::primitives::bech32_decode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use zeroize::{Zeroize as _, Zeroizing};

use super::VaultError;
use super::unlock::Ask;
use crate::host::conversation::Conversation;
use crate::host::terminal;
use crate::token::text::escaped;

/// How long a plugin may take that has nobody to ask: a security key answers within seconds.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long it may take where a person must find a key, touch it, or type its number.
const PATIENCE_WITH_A_PERSON: Duration = Duration::from_secs(180);

/// How many things a plugin may say before it is done.
const MOST_COMMANDS: usize = 1_000;

/// How many lines one of them may have: a stanza of a key that no quantum computer breaks has some thirty.
const MOST_LINES: usize = 1_000;

/// The width of a stanza's lines.
const COLUMNS: usize = 64;

/// What can go wrong with a plugin.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PluginFault {
    /// It is not installed.
    #[error("there is no program `{program}` in PATH")]
    Missing {
        /// Its name.
        program: String,
    },
    /// It cannot be run.
    #[error("`{program}` cannot be run, or does not speak as plugins of age do")]
    Broken {
        /// Its name.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// It took too long.
    #[error("`{program}` did not answer within {patience:?}")]
    Silent {
        /// Its name.
        program: String,
        /// How long was waited.
        patience: Duration,
    },
    /// It wants to ask a person, and there is none.
    #[error("`{program}` has a question, and there is nobody to answer it: {question}")]
    NobodyToAsk {
        /// Its name.
        program: String,
        /// The question.
        question: String,
    },
    /// It says that it cannot.
    #[error("`{program}` says: {words}")]
    Refused {
        /// Its name.
        program: String,
        /// Its words.
        words: String,
    },
}

impl PluginFault {
    /// Returns what to type next.
    pub(crate) fn mend(&self, name: &str) -> String {
        match self {
            Self::NobodyToAsk { .. } => "type the same command on a terminal".to_owned(),
            Self::Missing { .. } => format!("install it, until `command -v age-plugin-{name}` finds it"),
            Self::Broken { .. } | Self::Silent { .. } | Self::Refused { .. } => {
                format!("see whether it works at all: `age-plugin-{name} --version`")
            }
        }
    }
}

/// Returns the name of the plugin that a recipient (`age1NAME1...`) is for.
pub(crate) fn of_recipient(text: &str) -> Option<String> {
    let name = human_part(text)?.strip_prefix("age1")?.to_owned();
    Some(name).filter(|name| is_name(name))
}

/// Returns the name of the plugin that an identity (`AGE-PLUGIN-NAME-1...`) is for.
pub(crate) fn of_identity(text: &str) -> Option<String> {
    let part = human_part(text)?.to_ascii_lowercase();
    let name = part.strip_prefix("age-plugin-")?.strip_suffix('-')?.to_owned();
    Some(name).filter(|name| is_name(name))
}

/// Returns what stands before the data of a Bech32 text (BIP-173), if its checksum is right.
fn human_part(text: &str) -> Option<String> {
    bech32_decode(text, |_| (), |_| Ok(()), |part, _| Ok(part.to_string())).ok()
}

/// Tells whether a name can be that of a plugin: it becomes a part of a program's name, and no path.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-._".contains(&byte))
}

/// A plugin that wraps for a recipient or unwraps with an identity.
pub(super) struct Plugin<'a> {
    /// The plugin's name.
    name: String,
    /// The recipient or the identity.
    key: &'a str,
    /// Who answers its questions.
    ask: Ask<'a>,
    /// What went wrong: the age crate's errors have no room for it.
    fault: RefCell<Option<PluginFault>>,
}

impl<'a> Plugin<'a> {
    /// Takes the plugin of a recipient.
    pub(super) fn for_recipient(recipient: &'a str, ask: Ask<'a>) -> Option<Self> {
        of_recipient(recipient).map(|name| Self { name, key: recipient, ask, fault: RefCell::default() })
    }

    /// Takes the plugin of an identity.
    pub(super) fn for_identity(identity: &'a str, ask: Ask<'a>) -> Option<Self> {
        of_identity(identity).map(|name| Self { name, key: identity, ask, fault: RefCell::default() })
    }

    /// Returns what went wrong, if something did.
    pub(super) fn fault(&self) -> Option<VaultError> {
        self.fault.take().map(|fault| VaultError::Plugin { name: self.name.clone(), fault })
    }

    /// Returns the plugin's program.
    fn program(&self) -> String {
        format!("age-plugin-{}", self.name)
    }

    /// Begins to talk with the plugin.
    fn start(&self, state_machine: &str) -> Result<Talk<'_>, PluginFault> {
        let program = self.program();
        let patience = if self.ask.is_some() { PATIENCE_WITH_A_PERSON } else { PATIENCE };
        let argument = format!("--age-plugin={state_machine}");
        match Conversation::start(&OsString::from(&program), &argument, patience) {
            Ok(with) => Ok(Talk { with, program, patience, ask: self.ask, words: Vec::new() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(PluginFault::Missing { program }),
            Err(source) => Err(PluginFault::Broken { program, source }),
        }
    }

    /// Lets the plugin wrap a file key.
    fn wrap(&self, file_key: &FileKey) -> Result<(Vec<Stanza>, HashSet<String>), PluginFault> {
        let mut talk = self.start("recipient-v1")?;
        talk.command("add-recipient", &[self.key], b"")?;
        // a plugin that wants to be alone in a file says so by a label; ours always are
        talk.command("extension-labels", &[], b"")?;
        talk.command("wrap-file-key", &[], file_key.expose_secret())?;
        talk.command("done", &[], b"")?;
        let (mut stanzas, mut labels) = (Vec::new(), HashSet::new());
        talk.listen(|command| match (command.tag.as_str(), command.args.as_slice()) {
            ("recipient-stanza", [index, tag, args @ ..]) if index == "0" => {
                stanzas.push(Stanza { tag: tag.clone(), args: args.to_vec(), body: std::mem::take(&mut command.body) });
                true
            }
            ("labels", words) => {
                labels.extend(words.iter().cloned());
                true
            }
            _ => false,
        })?;
        if stanzas.is_empty() { Err(talk.without_answer()) } else { Ok((stanzas, labels)) }
    }

    /// Lets the plugin unwrap a file key; `None` if no stanza is for its identity.
    fn unwrap(&self, stanzas: &[Stanza]) -> Result<Option<FileKey>, PluginFault> {
        let mut talk = self.start("identity-v1")?;
        talk.command("add-identity", &[self.key], b"")?;
        for stanza in stanzas {
            let words: Vec<&str> =
                ["0", &stanza.tag].into_iter().chain(stanza.args.iter().map(String::as_str)).collect();
            talk.command("recipient-stanza", &words, &stanza.body)?;
        }
        talk.command("done", &[], b"")?;
        let mut key = None;
        talk.listen(|command| match (command.tag.as_str(), command.args.as_slice()) {
            ("file-key", [index]) if index == "0" => {
                let fill = |bytes: &mut [u8; 16]| {
                    let body = <&[u8; 16]>::try_from(command.body.as_slice())?;
                    bytes.copy_from_slice(body);
                    Ok::<_, std::array::TryFromSliceError>(())
                };
                key = FileKey::try_init_with_mut(fill).ok();
                command.body.zeroize();
                key.is_some()
            }
            _ => false,
        })?;
        if key.is_none() && !talk.words.is_empty() { Err(talk.without_answer()) } else { Ok(key) }
    }

    /// Keeps a fault for who asks later, and returns what the age crate has for it.
    fn keep(&self, fault: PluginFault) -> io::Error {
        self.fault.replace(Some(fault));
        io::Error::other("the plugin failed")
    }
}

impl age::Recipient for Plugin<'_> {
    fn wrap_file_key(&self, file_key: &FileKey) -> Result<(Vec<Stanza>, HashSet<String>), EncryptError> {
        self.wrap(file_key).map_err(|fault| EncryptError::Io(self.keep(fault)))
    }
}

impl age::Identity for Plugin<'_> {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        self.unwrap_stanzas(std::slice::from_ref(stanza))
    }

    fn unwrap_stanzas(&self, stanzas: &[Stanza]) -> Option<Result<FileKey, DecryptError>> {
        self.unwrap(stanzas).map_err(|fault| DecryptError::Io(self.keep(fault))).transpose()
    }
}

/// A conversation with a plugin.
struct Talk<'a> {
    /// The process.
    with: Conversation,
    /// Its name.
    program: String,
    /// How long it has.
    patience: Duration,
    /// Who answers its questions.
    ask: Ask<'a>,
    /// What it said of errors.
    words: Vec<String>,
}

impl Talk<'_> {
    /// Says one thing: a stanza as in an age header.
    fn command(&mut self, tag: &str, args: &[&str], body: &[u8]) -> Result<(), PluginFault> {
        let mut text = Zeroizing::new(String::with_capacity(2 * body.len() + 128));
        let words: Vec<&str> = ["->", tag].into_iter().chain(args.iter().copied()).collect();
        text.push_str(&words.join(" "));
        text.push('\n');
        let encoded = Zeroizing::new(STANDARD_NO_PAD.encode(body));
        // the last line is shorter than the others, be it empty
        let mut rest = encoded.as_str();
        while let Some((line, more)) = rest.split_at_checked(COLUMNS) {
            text.push_str(line);
            text.push('\n');
            rest = more;
        }
        text.push_str(rest);
        text.push('\n');
        self.with.say(text.as_bytes()).map_err(|error| self.broken(error))
    }

    /// Hears one thing.
    fn hear(&mut self) -> Result<Stanza, PluginFault> {
        let garbled = || io::Error::from(io::ErrorKind::InvalidData);
        let first = self.with.hear().map_err(|error| self.broken(error))?;
        let first = std::str::from_utf8(&first).ok().and_then(|line| line.strip_prefix("-> "));
        let mut words = first.ok_or_else(|| self.broken(garbled()))?.split(' ').map(str::to_owned);
        let tag = words.next().unwrap_or_default();
        let args = words.collect();
        let mut encoded = Zeroizing::new(Vec::with_capacity(COLUMNS));
        for _ in 0..MOST_LINES {
            let line = self.with.hear().map_err(|error| self.broken(error))?;
            encoded.extend_from_slice(&line);
            if line.len() < COLUMNS {
                let body = STANDARD_NO_PAD.decode(encoded.as_slice()).map_err(|_| self.broken(garbled()))?;
                return Ok(Stanza { tag, args, body });
            }
        }
        Err(self.broken(garbled()))
    }

    /// Hears everything that the plugin has to say; `take` tells whether it took a result.
    fn listen(&mut self, mut take: impl FnMut(&mut Stanza) -> bool) -> Result<(), PluginFault> {
        for _ in 0..MOST_COMMANDS {
            let mut command = self.hear()?;
            let tag = command.tag.clone();
            match tag.as_str() {
                "done" => return Ok(()),
                "error" => {
                    self.words.push(escaped(&String::from_utf8_lossy(&command.body)));
                    self.command("ok", &[], b"")?;
                }
                "msg" | "confirm" | "request-public" | "request-secret" => self.answer(&command)?,
                _ if take(&mut command) => self.command("ok", &[], b"")?,
                _ => self.command("unsupported", &[], b"")?,
            }
        }
        Err(self.broken(io::ErrorKind::InvalidData.into()))
    }

    /// Passes on what the plugin has to say to a person, and what the person answers.
    fn answer(&mut self, command: &Stanza) -> Result<(), PluginFault> {
        let said = escaped(&String::from_utf8_lossy(&command.body));
        let (said, is_message) = (format!("{}: {said}", self.program), command.tag == "msg");
        let Some(ask) = self.ask else {
            if is_message {
                return self.command("ok", &[], b"");
            }
            return Err(PluginFault::NobodyToAsk { program: self.program.clone(), question: said });
        };
        if is_message {
            terminal::tell(&said);
            return self.command("ok", &[], b"");
        }
        let is_confirmation = command.tag == "confirm";
        let question = if is_confirmation { format!("{said} [y/N] ") } else { format!("{said} ") };
        let Ok(answer) = ask(&question) else { return self.command("fail", &[], b"") };
        let answer = answer.expose();
        if is_confirmation {
            let is_yes = matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes");
            return self.command("ok", &[if is_yes { "yes" } else { "no" }], b"");
        }
        self.command("ok", &[], answer.as_bytes())
    }

    /// Describes that the plugin is done and has not done what it was asked for.
    fn without_answer(&self) -> PluginFault {
        let words = if self.words.is_empty() { "nothing".to_owned() } else { self.words.join("; ") };
        PluginFault::Refused { program: self.program.clone(), words }
    }

    /// Describes a conversation that broke off.
    fn broken(&self, source: io::Error) -> PluginFault {
        let program = self.program.clone();
        if self.with.has_expired() {
            return PluginFault::Silent { program, patience: self.patience };
        }
        PluginFault::Broken { program, source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bech32(part: &str, data: &[u8]) -> String {
        age_core::primitives::bech32_encode(bech32::Hrp::parse(part).unwrap(), data)
    }

    #[test]
    fn a_plugin_is_named_by_its_recipients_and_identities() {
        let long = bech32("age1pq", &[7; 1_200]);
        assert_eq!(of_recipient(&long).as_deref(), Some("pq"));
        assert_eq!(of_recipient(&bech32("age1my-key", b"x")).as_deref(), Some("my-key"));
        let identity = bech32("age-plugin-my-key-", b"x").to_ascii_uppercase();
        assert_eq!(of_identity(&identity).as_deref(), Some("my-key"));
    }

    #[test]
    fn what_would_name_a_path_or_nothing_is_no_plugin() {
        for part in ["age1", "age1a/b", "age1../x", "age", "age1a b"] {
            let text = bech32::Hrp::parse(part).ok().map(|_| bech32(part, b"x"));
            assert_eq!(text.and_then(|text| of_recipient(&text)), None, "{part}");
        }
        for part in ["age-plugin--", "age-plugin-x", "age-plugin-/bin/sh-", "age-secret-key-"] {
            assert_eq!(of_identity(&bech32(part, b"x").to_ascii_uppercase()), None, "{part}");
        }
        assert_eq!(of_recipient("age1abc1qqqq"), None);
    }
}
