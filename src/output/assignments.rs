//! Assignments of environment variables, in the words of shells, dotenv files and CI systems.
//!
//! A token is only promised to be printable (RFC 6749 appendix A), so it may be shell code: every format quotes it, and
//! what a format cannot carry is refused.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use crate::secret::Secret;

/// The formats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// POSIX shells: `eval "$(tokenkeep env prod)"`
    #[default]
    Sh,
    /// fish: `tokenkeep env prod --format fish | source`
    Fish,
    /// PowerShell: `tokenkeep env prod --format powershell | Invoke-Expression`
    Powershell,
    /// A .env file
    Dotenv,
    /// GitHub Actions: `tokenkeep env prod --format github >> "$GITHUB_ENV"`
    Github,
    /// GitLab CI, a dotenv report: `tokenkeep env prod --format gitlab >> build.env`
    Gitlab,
    /// One JSON object
    Json,
}

/// A variable and its value.
pub(crate) struct Assignment<'a> {
    /// The variable.
    pub(crate) variable: &'a str,
    /// The value.
    pub(crate) value: &'a Secret<String>,
}

/// The value cannot be written in a format.
#[derive(Debug, thiserror::Error)]
#[error("the value of {variable} has {what}, which {format} cannot carry")]
pub(crate) struct Unwritable {
    /// The variable.
    variable: String,
    /// What the value has.
    what: &'static str,
    /// The format.
    format: &'static str,
}

/// Tells whether a text can name an environment variable (POSIX, Base Definitions 8.1).
pub(crate) fn is_variable(name: &str) -> bool {
    let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    first && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

impl Format {
    /// Writes assignments.
    pub(crate) fn write(self, assignments: &[Assignment<'_>]) -> Result<Zeroizing<String>, Unwritable> {
        let values = || assignments.iter().map(|assignment| (assignment.variable, assignment.value.expose().as_str()));
        // six times: JSON writes a control character as \u0000; so no growing leaves a copy behind
        let room = values().map(|(variable, value)| 2 * variable.len() + 6 * value.len() + 128).sum();
        if self == Self::Json {
            return Ok(object(&values().collect(), room));
        }
        let mut text = Zeroizing::new(String::with_capacity(room));
        values().try_for_each(|pair| self.write_one(pair, &mut text))?;
        Ok(text)
    }

    /// Writes one assignment.
    fn write_one(self, (variable, value): (&str, &str), text: &mut String) -> Result<(), Unwritable> {
        let refuse =
            |what: &'static str, format: &'static str| Err(Unwritable { variable: variable.to_owned(), what, format });
        let has_line_end = value.contains(['\n', '\r']);
        if value.contains('\0') {
            return refuse("a zero byte", "an environment variable");
        }
        match self {
            Self::Sh => quote(text, &["export ", variable, "='"], value, |c| (c == '\'').then_some(r"'\'"), "'\n"),
            Self::Fish => {
                let before = |c| matches!(c, '\\' | '\'').then_some("\\");
                quote(text, &["set -gx ", variable, " '"], value, before, "'\n");
            }
            // PowerShell takes typographic quotes for quotes, too, and a quote in front of each for one that is meant
            Self::Powershell => quote(text, &["$env:", variable, " = '"], value, own_quote, "'\n"),
            Self::Dotenv if has_line_end => return refuse("a line end", "a .env file"),
            Self::Dotenv if !value.contains('\'') => quote(text, &[variable, "='"], value, |_| None, "'\n"),
            Self::Dotenv => {
                let before = |c| matches!(c, '\\' | '"' | '$' | '`').then_some("\\");
                quote(text, &[variable, "=\""], value, before, "\"\n");
            }
            Self::Github if has_line_end => github_block(text, variable, value),
            Self::Gitlab if has_line_end => return refuse("a line end", "a dotenv report"),
            Self::Github | Self::Gitlab => quote(text, &[variable, "="], value, |_| None, "\n"),
            Self::Json => return refuse("its own format", "a line"),
        }
        Ok(())
    }

    /// Writes what takes variables out of the environment; `None` where a format has no words for it.
    pub(crate) fn unset(self, variables: &[&str]) -> Option<String> {
        let line = |variable: &&str| match self {
            Self::Sh => Some(format!("unset {variable}\n")),
            Self::Fish => Some(format!("set -e {variable}\n")),
            Self::Powershell => Some(format!("Remove-Item Env:{variable} -ErrorAction SilentlyContinue\n")),
            Self::Github => Some(format!("{variable}=\n")),
            Self::Dotenv | Self::Gitlab | Self::Json => None,
        };
        variables.iter().map(line).collect()
    }
}

/// Writes one JSON object, on a line.
#[expect(clippy::expect_used, reason = "a map of texts is always JSON, and JSON is UTF-8")]
fn object(values: &BTreeMap<&str, &str>, room: usize) -> Zeroizing<String> {
    let mut bytes = Vec::with_capacity(room);
    serde_json::to_writer(&mut bytes, values).expect("texts are JSON, and memory takes them");
    bytes.push(b'\n');
    Zeroizing::new(String::from_utf8(bytes).expect("JSON is UTF-8"))
}

/// Writes a value between two texts, with what `escape` says in front of its characters.
fn quote(text: &mut String, front: &[&str], value: &str, escape: fn(char) -> Option<&'static str>, end: &str) {
    for part in front {
        text.push_str(part);
    }
    for character in value.chars() {
        text.push_str(escape(character).unwrap_or_default());
        text.push(character);
    }
    text.push_str(end);
}

/// Returns the character again if PowerShell takes it for a single quote.
const fn own_quote(character: char) -> Option<&'static str> {
    match character {
        '\'' => Some("'"),
        '\u{2018}' => Some("\u{2018}"),
        '\u{2019}' => Some("\u{2019}"),
        '\u{201a}' => Some("\u{201a}"),
        '\u{201b}' => Some("\u{201b}"),
        _ => None,
    }
}

/// Writes a value of several lines with a delimiter that does not stand in it.
fn github_block(text: &mut String, variable: &str, value: &str) {
    let mut delimiter = "TOKENKEEP_END".to_owned();
    while value.contains(&delimiter) {
        delimiter.push('_');
    }
    for part in [variable, "<<", &delimiter, "\n", value, "\n", &delimiter, "\n"] {
        text.push_str(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(format: Format, value: &str) -> String {
        format
            .write(&[Assignment { variable: "V", value: &Secret::new(value.to_owned()) }])
            .unwrap()
            .as_str()
            .to_owned()
    }

    #[test]
    fn shell_code_stays_text() {
        let evil = r#"a'$(reboot)`x`"\"#;
        assert_eq!(written(Format::Sh, evil), "export V='a'\\''$(reboot)`x`\"\\'\n");
        assert_eq!(written(Format::Fish, evil), "set -gx V 'a\\'$(reboot)`x`\"\\\\'\n");
        assert_eq!(written(Format::Powershell, "a'b\u{2019}c"), "$env:V = 'a''b\u{2019}\u{2019}c'\n");
        assert_eq!(written(Format::Dotenv, evil), "V=\"a'\\$(reboot)\\`x\\`\\\"\\\\\"\n");
    }

    #[test]
    fn a_line_end_adds_no_line_to_a_ci_file() {
        assert_eq!(written(Format::Github, "a\nB=c"), "V<<TOKENKEEP_END\na\nB=c\nTOKENKEEP_END\n");
        assert_eq!(
            written(Format::Github, "a\nTOKENKEEP_END"),
            "V<<TOKENKEEP_END_\na\nTOKENKEEP_END\nTOKENKEEP_END_\n"
        );
        for format in [Format::Gitlab, Format::Dotenv] {
            let value = Secret::new("a\nb".to_owned());
            assert!(format.write(&[Assignment { variable: "V", value: &value }]).is_err());
        }
    }

    #[test]
    fn variables_are_posix_names() {
        assert!(is_variable("_A1") && !is_variable("1A") && !is_variable("A-B") && !is_variable(""));
    }
}
