//! The texts of a service and its timer for systemd. Pure: what is in them comes from the [`Job`].

use super::job::{Credential, Job, Scope};

/// The service: it refreshes once.
///
/// What is said about stopping is what keeps the token. The exchange is carried out by a process of its own in the unit's
/// control group, which ignores TERM and has 60 s. With `control-group` systemd ends the front and waits for the rest of
/// the group; `mixed` would kill the rest as soon as the front is gone, and `process` would not wait for it, so that a
/// machine that goes down takes the network from it.
pub(super) fn service(job: &Job) -> String {
    let of_system = |text| if job.scope == Scope::System { text } else { "" };
    [
        "[Unit]\nDescription=Refresh the access tokens that are due (tokenkeep)\n",
        of_system("Wants=network-online.target\nAfter=network-online.target\n"),
        "\n[Service]\nType=oneshot\n",
        &running(job),
        STOPPING,
        &writing(job),
        CONFINED,
        of_system(CONFINED_BY_THE_SYSTEM),
    ]
    .concat()
}

/// The timer: it starts the service.
pub(super) fn timer(job: &Job) -> String {
    let (every, seconds) = (job.every, job.every.seconds());
    let when = match every.calendar() {
        Some(calendar) => format!("OnCalendar={calendar}\nPersistent=true"),
        // an hour or a day is no multiple of it: from one run to the next
        None => format!("OnActiveSec=1min\nOnUnitActiveSec={seconds}"),
    };
    // a tenth of the time, so that a provider is not asked by everybody at once; half of that to save energy
    let (delay, accuracy) = ((seconds / 10).min(600), (seconds / 20).clamp(1, 60));
    format!(
        "[Unit]\nDescription=Refresh access tokens every {every} (tokenkeep)\n\n[Timer]\n{when}\n\
         RandomizedDelaySec={delay}\nFixedRandomDelay=true\nAccuracySec={accuracy}\n\n\
         [Install]\nWantedBy=timers.target\n"
    )
}

/// Says what runs, as whom and with what.
fn running(job: &Job) -> String {
    let user = job.user.iter().map(|user| format!("User={user}"));
    let variables =
        job.variables.iter().map(|(name, value)| format!("Environment={}", quoted(&format!("{name}={value}"))));
    let credential = job.credential.iter().map(|given| match given {
        Credential::Plain(path) => format!("LoadCredential={}", credential(path)),
        Credential::Encrypted(path) => format!("LoadCredentialEncrypted={}", credential(path)),
    });
    lines(user.chain(variables).chain(credential).chain([format!("ExecStart={}", command(job))]))
}

/// How the service is stopped.
const STOPPING: &str = "
# A refresh that has begun is finished by a process of its own, which ignores
# TERM and needs 60 seconds at most. Do not take that time from it: with a
# provider that rotates refresh tokens the login would be lost.
KillMode=control-group
TimeoutStopSec=90
";

/// What the service cannot do.
const CONFINED: &str = "
UMask=0077
NoNewPrivileges=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM
";

/// What only the manager of the system can take away. A user's own would have to be given privileges first.
const CONFINED_BY_THE_SYSTEM: &str = "CapabilityBoundingSet=
PrivateDevices=yes
ProcSubset=pid
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
";

/// Says where the service can write: where a refresh writes, and nowhere else.
///
/// A user's own manager can do that in a user namespace only. There, the kernel's keyring is another one, so that a vault
/// that `unlock` left open is locked, and what belongs to root seems to be somebody else's.
fn writing(job: &Job) -> String {
    let runtime = job
        .runtime_folder
        .iter()
        .map(|name| format!("RuntimeDirectory={name}\nRuntimeDirectoryMode=0700\nRuntimeDirectoryPreserve=yes"));
    let confined = confined_to(job).into_iter().filter(|_| job.scope == Scope::System);
    let text = lines(runtime.chain(confined));
    if text.is_empty() { text } else { format!("\n{text}") }
}

/// Confines the service to what it writes.
fn confined_to(job: &Job) -> Vec<String> {
    let writes = job.writes.iter().map(|path| format!("ReadWritePaths={}", quoted(path)));
    let tmp = (!job.needs_tmp()).then(|| "PrivateTmp=yes".to_owned());
    std::iter::once("ProtectSystem=strict".to_owned()).chain(writes).chain(tmp).collect()
}

/// Ends each line.
fn lines(lines: impl Iterator<Item = String>) -> String {
    lines.flat_map(|line| [line, "\n".to_owned()]).collect()
}

/// Writes the command. Variables are expanded in its arguments (`$$` is one `$`), and not in the path of the program.
fn command(job: &Job) -> String {
    let arguments = job.arguments.iter().map(|argument| quoted(&argument.replace('$', "$$")));
    std::iter::once(quoted(&job.program)).chain(arguments).collect::<Vec<_>>().join(" ")
}

/// Writes a credential. What follows the name is taken as it is, without quotes, but for specifiers.
fn credential(path: &str) -> String {
    format!("tokenkeep-identity:{}", path.replace('%', "%%"))
}

/// Writes a word so that systemd reads it back as it is: specifiers are doubled, and quotes put around what needs them.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-+,:=@%$".contains(c);
    let word = word.replace('%', "%%");
    if word.chars().all(plain) && !word.is_empty() {
        return word;
    }
    format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_they_must_be_and_specifiers_always_doubled() {
        assert_eq!(quoted("/srv/ci/a-b_c.d"), "/srv/ci/a-b_c.d");
        assert_eq!(quoted("/srv/50% \"a\\b\""), r#""/srv/50%% \"a\\b\"""#);
        assert_eq!(quoted("X=it's; #1"), r#""X=it's; #1""#);
    }

    #[test]
    fn a_dollar_is_doubled_in_arguments_and_not_in_the_program() {
        let job = Job { program: "/opt/$x".into(), arguments: vec!["$HOME".into()], ..Job::sample() };
        assert_eq!(command(&job), "/opt/$x $$HOME");
    }

    #[test]
    fn tmp_is_hidden_unless_something_there_is_needed() {
        let job = || Job { scope: Scope::System, ..Job::sample() };
        assert!(service(&job()).contains("PrivateTmp=yes"));
        let in_tmp = Job { writes: vec!["/var/tmp/vault".into()], ..job() };
        assert!(!service(&in_tmp).contains("PrivateTmp"));
        let program = Job { program: "/tmp/tokenkeep".into(), ..job() };
        assert!(!service(&program).contains("PrivateTmp"));
    }

    #[test]
    fn a_users_unit_stays_in_the_users_own_namespaces() {
        let text = service(&Job::sample());
        for word in ["Protect", "Private", "ReadWritePaths"] {
            assert!(!text.contains(word), "{word}");
        }
    }

    #[test]
    fn a_timer_that_the_calendar_cannot_say_counts_from_run_to_run() {
        let job = Job { every: "7m".parse().unwrap(), ..Job::sample() };
        let text = timer(&job);
        assert!(text.contains("OnUnitActiveSec=420\n") && !text.contains("Persistent"), "{text}");
    }
}
