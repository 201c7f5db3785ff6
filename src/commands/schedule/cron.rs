//! The line for cron. Pure: what is in it comes from the [`Job`].

use super::job::Job;
use crate::error::{Failure, Kind};
use crate::host::shell;
use crate::vault::sealing::digest_hex;

/// cron's own limit for a command (`MAX_COMMAND`), its end included.
const LONGEST: usize = 998;

/// What stands in front of the line.
const REMARK: &str = "# Failures are mailed to MAILTO, where the machine can send mail; else append
# `2>&1 | logger -t tokenkeep`. Runs may overlap: tokenkeep has locks of its own.
";

/// Returns the line, with `user` in front of the command where the crontab is not a user's own.
pub(super) fn line(job: &Job) -> Result<String, Failure> {
    let Some(fields) = job.every.crontab(spread(job)) else {
        let nearest = job.every.nearest_in_cron();
        return Err(Failure::new(Kind::Usage, format!("cron cannot run something every {}", job.every))
            .because("it counts minutes within the hour, and hours within the day".to_owned())
            .hint(format!("say `--every {nearest}`, or use a timer: `--kind systemd`")));
    };
    let variables = job.variables.iter().map(|(name, value)| format!("{name}={}", quoted(value)));
    let words = [&job.program].into_iter().chain(&job.arguments).map(|word| quoted(word));
    let command = variables.chain(words).collect::<Vec<_>>().join(" ");
    if command.contains("\\%") {
        // cron would take the backslash for its own, and end the command at the percent sign
        return Err(Failure::new(Kind::Usage, "a backslash before a percent sign cannot stand in a crontab")
            .hint("use another name, or a timer: `--kind systemd`"));
    }
    let command = command.replace('%', "\\%");
    if command.len() > LONGEST {
        return Err(Failure::new(Kind::Usage, format!("the command is longer than the {LONGEST} bytes cron takes"))
            .hint("use a timer: `--kind systemd`"));
    }
    Ok(match &job.user {
        Some(user) => format!("{fields} {user} {command}"),
        None => format!("{fields} {command}"),
    })
}

/// Returns the line as it stands in a file, with a remark.
pub(super) fn text(job: &Job) -> Result<String, Failure> {
    Ok(format!("{REMARK}{}\n", line(job)?))
}

/// Returns a number that is the same for the same vault on the same machine, and another one elsewhere.
fn spread(job: &Job) -> u64 {
    let digest = digest_hex(job.spread_by.as_bytes());
    u64::from_str_radix(&digest.chars().take(12).collect::<String>(), 16).unwrap_or(0)
}

/// Writes a word so that a shell takes it as it is. A `%` is cron's, and dealt with when the command is complete.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,:=@".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    shell::quoted(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percent_sign_is_escaped_and_everything_else_quoted_for_the_shell() {
        let job = Job {
            variables: vec![("TOKENKEEP_HOME".into(), "/srv/it's 50%".into())],
            every: "1m".parse().unwrap(),
            ..Job::sample()
        };
        assert_eq!(
            line(&job).unwrap(),
            r"* * * * * TOKENKEEP_HOME='/srv/it'\''s 50\%' /usr/local/bin/tokenkeep refresh --all"
        );
    }

    #[test]
    fn a_backslash_before_a_percent_sign_is_refused() {
        let with = |argument: &str| {
            line(&Job { arguments: vec![argument.into()], every: "1m".parse().unwrap(), ..Job::sample() })
        };
        assert_eq!(with(r"a\%b").unwrap_err().kind, Kind::Usage);
        assert!(with(r"a%\b\").is_ok());
    }

    #[test]
    fn what_cron_cannot_say_gets_the_nearest_that_it_can() {
        let failure = line(&Job { every: "7m".parse().unwrap(), ..Job::sample() }).unwrap_err();
        assert_eq!(failure.kind, Kind::Usage);
        assert!(failure.hint.unwrap().contains("--every 6m"));
    }

    #[test]
    fn another_vault_has_another_minute() {
        let minutes: std::collections::BTreeSet<String> = (0..40)
            .map(|vault| line(&Job { spread_by: vault.to_string(), ..Job::sample() }).unwrap())
            .map(|line| line.split(' ').next().unwrap().to_owned())
            .collect();
        assert!(minutes.len() > 15, "{minutes:?}");
    }

    #[test]
    fn a_command_that_cron_would_cut_is_refused() {
        let job = Job { arguments: vec!["x".repeat(1_000)], ..Job::sample() };
        assert_eq!(line(&job).unwrap_err().kind, Kind::Usage);
    }
}
