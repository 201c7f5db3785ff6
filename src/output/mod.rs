//! The one way out: data to standard output, everything for people to standard error.

pub(crate) mod assignments;
mod json;
pub(crate) mod link;
pub(crate) mod token_file;

use std::io::{self, Write};
use std::path::Path;

use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::host::{Environment, Terminals};
use crate::secret::Secret;
use crate::token::text::escaped;
use crate::token::time::Timestamp;

/// Why nothing can be printed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutputError {
    /// Standard output does not take it.
    #[error("cannot write to standard output")]
    Unwritable(#[source] io::Error),
    /// An object is no JSON.
    #[error("cannot write JSON")]
    Json(#[source] serde_json::Error),
}

/// The version of every JSON object that is printed.
const SCHEMA: u32 = 1;

/// Whether output is for people or for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Text.
    Text,
    /// JSON.
    Json,
}

/// When colour is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless the environment says otherwise.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Color {
    /// Decides for standard error (<https://no-color.org>, `CLICOLOR`, `CLICOLOR_FORCE`, `TERM=dumb`).
    pub(crate) fn on(self, env: &Environment, terminals: Terminals) -> Paint {
        let suits = || terminals.stderr && env.text("TERM") != Some("dumb") && env.text("CLICOLOR") != Some("0");
        match self {
            Self::Always => Paint::Colored,
            Self::Never => Paint::Plain,
            Self::Auto if env.text("NO_COLOR").is_some() => Paint::Plain,
            Self::Auto if env.text("CLICOLOR_FORCE").is_some_and(|force| force != "0") => Paint::Colored,
            Self::Auto => {
                if suits() {
                    Paint::Colored
                } else {
                    Paint::Plain
                }
            }
        }
    }
}

/// How standard error is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paint {
    /// With colours.
    Colored,
    /// Without.
    Plain,
}

/// How loud notices are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notices {
    /// They are shown.
    Shown,
    /// They are not.
    Silenced,
}

/// Writes what a command has to say.
pub(crate) struct Printer {
    /// Standard output.
    stdout: Box<dyn Write>,
    /// Standard error.
    stderr: Box<dyn Write>,
    /// Text or JSON.
    pub(crate) form: Form,
    /// Whether notices are shown.
    notices: Notices,
    /// How standard error is written.
    paint: Paint,
}

impl Printer {
    /// Takes the streams.
    pub(crate) fn new(stdout: Box<dyn Write>, stderr: Box<dyn Write>) -> Self {
        Self { stdout, stderr, form: Form::Text, notices: Notices::Shown, paint: Paint::Plain }
    }

    /// Sets how things are shown, once the command line is known.
    pub(crate) fn configure(&mut self, form: Form, notices: Notices, paint: Paint) {
        (self.form, self.notices, self.paint) = (form, notices, paint);
    }

    /// Writes a line of data.
    pub(crate) fn line(&mut self, text: &str) -> Result<(), OutputError> {
        self.data(format_args!("{text}\n"))
    }

    /// Writes data that brings its own line ends.
    pub(crate) fn raw(&mut self, text: &str) -> Result<(), OutputError> {
        self.write(text.as_bytes())
    }

    /// Writes data that is no text.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<(), OutputError> {
        self.write(bytes)
    }

    /// Writes a line of data with a secret in it.
    pub(crate) fn secret_line(
        &mut self,
        before: &str,
        secret: &Secret<String>,
        after: &str,
    ) -> Result<(), OutputError> {
        let secret = secret.expose();
        let mut text = Zeroizing::new(String::with_capacity(before.len() + secret.len() + after.len() + 1));
        for part in [before, secret, after, "\n"] {
            text.push_str(part);
        }
        self.write(text.as_bytes())
    }

    /// Writes an Authorization header as a line of curl's configuration.
    pub(crate) fn curl_header(&mut self, token_type: &str, secret: &Secret<String>) -> Result<(), OutputError> {
        let secret = secret.expose();
        let mut text = Zeroizing::new(String::with_capacity(2 * (token_type.len() + secret.len()) + 64));
        text.push_str("header = \"Authorization: ");
        // inside double quotes curl takes a backslash and a double quote with a backslash in front
        for character in token_type.chars().chain([' ']).chain(secret.chars()) {
            if matches!(character, '\\' | '"') {
                text.push('\\');
            }
            text.push(character);
        }
        text.push_str("\"\n");
        self.write(text.as_bytes())
    }

    /// Writes one JSON object, with the schema's number in front.
    pub(crate) fn object(&mut self, object: Value) -> Result<(), OutputError> {
        self.object_with_secrets(object, &[])
    }

    /// Writes one JSON object with secrets in it: each stands where its pointer (RFC 6901) leads, in the place of a null.
    pub(crate) fn object_with_secrets(
        &mut self,
        object: Value,
        secrets: &[(String, &Secret<String>)],
    ) -> Result<(), OutputError> {
        let text = json::pretty(&with_schema(object), secrets).map_err(OutputError::Json)?;
        self.write(&text)
    }

    /// Writes a JSON array of objects, each with the schema's number.
    pub(crate) fn objects(&mut self, objects: Vec<Value>) -> Result<(), OutputError> {
        let array = Value::Array(objects.into_iter().map(with_schema).collect());
        let text = json::pretty(&array, &[]).map_err(OutputError::Json)?;
        self.write(&text)
    }

    /// Writes a table with a heading. What is in it may come from a file that anybody wrote: nothing moves the cursor.
    pub(crate) fn table(&mut self, heading: &[&str], rows: &[Vec<String>]) -> Result<(), OutputError> {
        let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|cell| escaped(cell)).collect()).collect();
        let width = |column: usize| {
            let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
            cells.chain(heading.get(column).map(|cell| cell.chars().count())).max().unwrap_or(0)
        };
        // nothing stands behind the last column
        let mut widths: Vec<usize> = (1..heading.len()).map(|column| width(column - 1)).collect();
        widths.push(0);
        let write = |cells: &mut dyn Iterator<Item = &str>| {
            // by hand: the width of a format has 16 bits, and a cell may be longer
            let padded = cells
                .zip(&widths)
                .map(|(cell, width)| format!("{cell}{}", " ".repeat(width.saturating_sub(cell.chars().count()))));
            padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        self.line(&write(&mut heading.iter().copied()))?;
        for row in &rows {
            self.line(&write(&mut row.iter().map(String::as_str)))?;
        }
        Ok(())
    }

    /// Writes facts, one a line, with their labels in front; a label that comes again is left blank.
    pub(crate) fn facts(&mut self, facts: &[(&str, String)]) -> Result<(), OutputError> {
        let facts: Vec<_> = facts.iter().map(|(label, fact)| (*label, fact.as_str(), None)).collect();
        self.facts_with_secrets(&facts)
    }

    /// Writes facts, some of them with a secret at their end.
    pub(crate) fn facts_with_secrets(
        &mut self,
        facts: &[(&str, &str, Option<&Secret<String>>)],
    ) -> Result<(), OutputError> {
        let width = facts.iter().map(|(label, ..)| label.chars().count()).max().unwrap_or(0);
        let mut last = "";
        for (label, fact, secret) in facts {
            let shown = if *label == last { "" } else { label };
            let text = format!("{shown:<width$}  {}", escaped(fact));
            match secret {
                Some(secret) => self.secret_line(&text, secret, "")?,
                None => self.line(text.trim_end())?,
            }
            last = label;
        }
        Ok(())
    }

    /// Tells a person something, unless notices are silenced.
    pub(crate) fn notice(&mut self, text: &str) {
        if self.notices == Notices::Shown {
            self.say(text);
        }
    }

    /// Tells a person what they cannot do without, in lines of which none can move the cursor.
    pub(crate) fn say(&mut self, text: &str) {
        for line in text.split('\n') {
            // when standard error is gone there is nobody left to tell
            drop(writeln!(self.stderr, "{}", escaped(line)));
        }
    }

    /// Shows how a command failed, in the words of whoever knows them.
    pub(crate) fn complain(&mut self, text: &str) {
        drop(self.stderr.write_all(text.as_bytes()));
    }

    /// Colours a heading.
    pub(crate) fn heading(&self, heading: &str) -> String {
        match (self.paint, heading) {
            (Paint::Plain, _) => heading.to_owned(),
            (Paint::Colored, "error:") => format!("\u{1b}[1;31m{heading}\u{1b}[0m"),
            (Paint::Colored, _) => format!("\u{1b}[1m{heading}\u{1b}[0m"),
        }
    }

    /// Writes to standard output at once; a reader that has gone away is no error.
    fn data(&mut self, text: std::fmt::Arguments<'_>) -> Result<(), OutputError> {
        // formatted first: what belongs together must reach the system in one write
        self.write(text.to_string().as_bytes())
    }

    /// Writes to standard output in one go.
    fn write(&mut self, bytes: &[u8]) -> Result<(), OutputError> {
        match self.stdout.write_all(bytes).and_then(|()| self.stdout.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(OutputError::Unwritable(error)),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

/// Puts the schema's number into an object.
fn with_schema(mut object: Value) -> Value {
    if let Some(fields) = object.as_object_mut() {
        fields.insert("schema".to_owned(), json!(SCHEMA));
    }
    object
}

/// Writes a path for programs: JSON has no words for what is not UTF-8, so a sign (U+FFFD) stands in its place.
pub(crate) fn json_path(path: &Path) -> Value {
    Value::String(path.to_string_lossy().into_owned())
}

/// Says how many there are of something.
pub(crate) fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// Adds a time to a JSON object twice: `NAME_at` for people, `NAME_epoch` for arithmetic; null where unknown.
pub(crate) fn put_time(object: &mut Value, name: &str, time: Option<Timestamp>) {
    if let Some(fields) = object.as_object_mut() {
        fields.insert(format!("{name}_at"), json!(time.map(|time| time.to_string())));
        fields.insert(format!("{name}_epoch"), json!(time.map(Timestamp::epoch)));
    }
}
