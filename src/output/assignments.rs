//! Assignments of environment variables, in the words of shells, dotenv files and CI systems.
//!
//! A token is only promised to be printable (RFC 6749 appendix A), so it may be shell code: every format quotes it, and
//! what a format cannot carry is refused.

use serde_json::{Map, Value};

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
    pub(crate) value: &'a str,
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
    pub(crate) fn write(self, assignments: &[Assignment<'_>]) -> Result<String, Unwritable> {
        if self == Self::Json {
            let pair = |one: &Assignment<'_>| (one.variable.to_owned(), Value::from(one.value));
            return Ok(format!("{}\n", Value::Object(assignments.iter().map(pair).collect::<Map<_, _>>())));
        }
        assignments.iter().map(|assignment| self.write_one(assignment)).collect()
    }

    /// Writes one assignment.
    fn write_one(self, Assignment { variable, value }: &Assignment<'_>) -> Result<String, Unwritable> {
        let refuse = |what: &'static str, format: &'static str| {
            Err(Unwritable { variable: (*variable).to_owned(), what, format })
        };
        let has_line_end = value.contains(['\n', '\r']);
        if value.contains('\0') {
            return refuse("a zero byte", "an environment variable");
        }
        match self {
            Self::Sh => Ok(format!("export {variable}='{}'\n", value.replace('\'', r"'\''"))),
            Self::Fish => Ok(format!("set -gx {variable} '{}'\n", value.replace('\\', r"\\").replace('\'', r"\'"))),
            // PowerShell takes typographic quotes for quotes, too
            Self::Powershell => {
                let quoted: String =
                    value.chars().flat_map(|c| std::iter::repeat_n(c, if is_quote(c) { 2 } else { 1 })).collect();
                Ok(format!("$env:{variable} = '{quoted}'\n"))
            }
            Self::Dotenv if has_line_end => refuse("a line end", "a .env file"),
            Self::Dotenv if !value.contains('\'') => Ok(format!("{variable}='{value}'\n")),
            Self::Dotenv => {
                let quoted = value.replace('\\', r"\\").replace('"', "\\\"").replace('$', r"\$").replace('`', r"\`");
                Ok(format!("{variable}=\"{quoted}\"\n"))
            }
            Self::Github if has_line_end => Ok(github_block(variable, value)),
            Self::Gitlab if has_line_end => refuse("a line end", "a dotenv report"),
            Self::Github | Self::Gitlab => Ok(format!("{variable}={value}\n")),
            Self::Json => refuse("its own format", "a line"),
        }
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

/// Tells whether PowerShell takes a character for a single quote.
const fn is_quote(character: char) -> bool {
    matches!(character, '\'' | '\u{2018}'..='\u{201b}')
}

/// Writes a value of several lines with a delimiter that does not stand in it.
fn github_block(variable: &str, value: &str) -> String {
    let mut delimiter = "TOKENKEEP_END".to_owned();
    while value.contains(&delimiter) {
        delimiter.push('_');
    }
    format!("{variable}<<{delimiter}\n{value}\n{delimiter}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(format: Format, value: &str) -> String {
        format.write(&[Assignment { variable: "V", value }]).unwrap()
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
            assert!(format.write(&[Assignment { variable: "V", value: "a\nb" }]).is_err());
        }
    }

    #[test]
    fn variables_are_posix_names() {
        assert!(is_variable("_A1") && !is_variable("1A") && !is_variable("A-B") && !is_variable(""));
    }
}
