//! The cache of int128's kubelogin (`kubectl oidc-login`), and the command lines in a kubeconfig that say what it was made
//! for: the cache itself names neither the client's secret nor its scopes.

use serde::Deserialize;
use zeroize::Zeroizing;

use super::{Found, MigrationFault, filled, json_fault, label};
use crate::secret::{IdToken, RefreshToken, StoredSecret};

/// What a file of the cache should be.
const EXPECTED: &str = "a file of kubelogin's cache";

/// What a kubeconfig should be.
const EXPECTED_CONFIG: &str = "a kubeconfig in JSON";

/// A file of the cache.
#[derive(Deserialize)]
struct CacheFile {
    /// Who logged in, and as which client.
    id_token: Option<IdToken>,
    /// The long-lived token.
    refresh_token: Option<RefreshToken>,
}

/// Reads a file of the cache.
pub(crate) fn read(file_name: &str, bytes: &[u8]) -> Result<Found, MigrationFault> {
    let file: CacheFile = serde_json::from_slice(bytes).map_err(|error| json_fault(EXPECTED, &error))?;
    if file.id_token.is_none() && file.refresh_token.is_none() {
        let reason = "it has neither `id_token` nor `refresh_token`".to_owned();
        return Err(MigrationFault::Format { expected: EXPECTED, reason });
    }
    let short: String = file_name.chars().take(SHORT).collect();
    let mut found = Found {
        label: label(&short),
        refresh_token: file.refresh_token.filter(|token| !token.secret().is_empty()),
        ..Found::default()
    };
    if let Some(token) = &file.id_token {
        found.learn(token.secret(), "the claims of its ID token");
    }
    found.name.clone_from(&found.client_id);
    found.learn_of_itself();
    Ok(found)
}

/// How much of a file's name, which is a digest, tells it from the others.
const SHORT: usize = 12;

/// Tells whether a file's name is one that kubelogin gives.
pub(crate) fn is_cache_name(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A user of a kubeconfig who logs in by kubelogin.
#[derive(Clone, Debug, Default)]
pub(crate) struct KubeUser {
    /// What the kubeconfig calls it.
    name: String,
    /// The provider.
    issuer: Option<String>,
    /// The client.
    client_id: Option<String>,
    /// The client's secret.
    client_secret: Option<StoredSecret>,
    /// Scopes besides `openid`.
    scopes: Vec<String>,
    /// Certificates to trust besides the system's.
    ca_file: Option<String>,
    /// What has no place here.
    left: Vec<String>,
    /// Whether the tokens rest in the OS keyring.
    pub(crate) is_in_keyring: bool,
}

/// A kubeconfig, as far as it matters.
#[derive(Deserialize)]
struct KubeConfig {
    /// Its users.
    #[serde(default)]
    users: Option<Vec<NamedUser>>,
}

/// An item of `users`.
#[derive(Deserialize)]
struct NamedUser {
    /// Its name.
    name: String,
    /// How it logs in.
    #[serde(default)]
    user: Option<User>,
}

/// How a user logs in.
#[derive(Deserialize)]
struct User {
    /// By a command.
    exec: Option<Exec>,
}

/// The command.
#[derive(Deserialize)]
struct Exec {
    /// Its arguments.
    #[serde(default)]
    args: Option<Vec<String>>,
}

/// Reads the users of a kubeconfig who log in by kubelogin.
pub(crate) fn users(bytes: &[u8]) -> Result<Vec<KubeUser>, MigrationFault> {
    let config: KubeConfig = serde_json::from_slice(bytes).map_err(|error| json_fault(EXPECTED_CONFIG, &error))?;
    let by_command = |user: NamedUser| Some((user.name, Zeroizing::new(user.user?.exec?.args?)));
    let all = config.users.unwrap_or_default().into_iter().filter_map(by_command);
    let read = all.map(|(name, args)| KubeUser::read(name, &args));
    Ok(read.filter(|user| user.issuer.is_some() && user.client_id.is_some()).collect())
}

impl KubeUser {
    /// Reads the command's arguments: `--flag=value`, or the value in an argument of its own.
    fn read(name: String, args: &[String]) -> Self {
        let mut user = Self { name, ..Self::default() };
        let mut args = args.iter().map(String::as_str);
        while let Some(arg) = args.next() {
            let (flag, value) = arg.split_once('=').map_or((arg, None), |(flag, value)| (flag, Some(value)));
            if NOT_TAKEN.contains(&flag) {
                user.left.push(format!("the flag {flag}"));
            } else if TAKEN.contains(&flag)
                && let Some(value) = value.or_else(|| args.next())
            {
                user.take(flag, value);
            }
        }
        user
    }

    /// Takes the value of a flag.
    fn take(&mut self, flag: &str, value: &str) {
        let text = || filled(Some(value.to_owned()));
        match flag {
            "--oidc-issuer-url" => self.issuer = text(),
            "--oidc-client-id" => self.client_id = text(),
            // straight into what is wiped
            "--oidc-client-secret" if value.is_empty() => {}
            "--oidc-client-secret" => self.client_secret = Some(StoredSecret::new(value.to_owned())),
            "--oidc-extra-scope" => self.scopes.extend(value.split(',').map(str::to_owned)),
            "--certificate-authority" => self.ca_file = text(),
            "--token-cache-storage" => self.is_in_keyring = value == "keyring",
            _ => {}
        }
    }

    /// Tells whether a login is this user's.
    pub(crate) fn is_of(&self, found: &Found) -> bool {
        self.issuer == found.issuer && self.client_id == found.client_id
    }

    /// Adds what the command line says to a login.
    pub(crate) fn complete(&self, mut found: Found) -> Found {
        found.name = Some(self.name.clone());
        found.client_secret.clone_from(&self.client_secret);
        found.ca_file.clone_from(&self.ca_file);
        let scopes = std::iter::once("openid").chain(self.scopes.iter().map(String::as_str));
        found.scopes = scopes.map(str::to_owned).collect();
        found.left.extend(self.left.iter().cloned());
        found
    }
}

/// Flags whose values are taken.
const TAKEN: [&str; 6] = [
    "--oidc-issuer-url",
    "--oidc-client-id",
    "--oidc-client-secret",
    "--oidc-extra-scope",
    "--certificate-authority",
    "--token-cache-storage",
];

/// Flags that change how the provider is asked, and have no counterpart.
const NOT_TAKEN: [&str; 3] = ["--certificate-authority-data", "--insecure-skip-tls-verify", "--oidc-request-header"];

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of the cache.
    fn cached() -> Found {
        let file = include_bytes!("../../tests/fuzz/corpus/foreign_file/kubelogin-cache");
        read(&"0123456789abcdef".repeat(4), file).unwrap()
    }

    #[test]
    fn the_id_token_says_whose_login_it_is() {
        let found = cached();
        assert_eq!(found.issuer.as_deref(), Some("https://idp.example.org"));
        assert_eq!((found.client_id.as_deref(), found.name.as_deref()), (Some("kubernetes"), Some("kubernetes")));
        assert_eq!((found.origin, found.label.as_str()), ("the claims of its ID token", "0123456789ab"));
        assert_eq!(found.refresh_token.unwrap().expose(), "canary-4711");
    }

    #[test]
    fn a_kubeconfig_says_what_the_cache_does_not() {
        let users = users(include_bytes!("../../tests/fuzz/corpus/foreign_file/kubeconfig")).unwrap();
        let [user] = users.as_slice() else { panic!("one user logs in by kubelogin") };
        assert!(user.is_of(&cached()) && !user.is_in_keyring);
        let found = user.complete(cached());
        assert_eq!(found.name.as_deref(), Some("oidc"));
        assert_eq!(found.client_secret.unwrap().expose(), "s3cret-client");
        assert_eq!(found.scopes, ["openid", "groups", "email", "offline_access"]);
        assert_eq!(found.ca_file.as_deref(), Some("/etc/kube/ca.pem"));
        assert_eq!(found.left, ["the flag --insecure-skip-tls-verify"]);
    }

    #[test]
    fn a_kubeconfig_without_users_or_commands_has_none() {
        for config in ["{}", r#"{"users": null}"#, r#"{"users": [{"name": "x", "user": {"exec": {"args": null}}}]}"#] {
            assert!(users(config.as_bytes()).unwrap().is_empty(), "{config}");
        }
        let fault = users(b"apiVersion: v1\nusers:\n").unwrap_err().to_string();
        assert!(fault.contains("no JSON"), "{fault}");
    }

    #[test]
    fn what_is_no_cache_file_is_refused() {
        for file in ["", "{}", "[]", "{\"id_token\": 1}", "\u{0}"] {
            assert!(read("x", file.as_bytes()).is_err(), "{file}");
        }
        assert!(is_cache_name(&"a0".repeat(32)) && !is_cache_name(&("a0".repeat(32) + ".lock")));
    }
}
