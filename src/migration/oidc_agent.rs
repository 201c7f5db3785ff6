//! Account files of oidc-agent: how they are locked, and what an account says.
//!
//! Since 2.1.0 a file has seven lines: the length of the ciphertext, nonce, salt, parameters, ciphertext, a value that
//! checks the password, and the version. Before, it was one line of hex. The cipher is libsodium's secretbox
//! (XSalsa20-Poly1305), the key comes from the password by Argon2.

use argon2::{Algorithm, Argon2, Block, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crypto_secretbox::aead::Aead as _;
use crypto_secretbox::{KeyInit as _, XSalsa20Poly1305};
use serde::Deserialize;
use serde_json::Value;
use zeroize::{Zeroize as _, Zeroizing};

use super::{Found, MigrationFault, filled, json_fault, label};
use crate::profile::AudienceAs;
use crate::secret::{Passphrase, RefreshToken, StoredSecret};

/// What a file should be.
const EXPECTED: &str = "an account file of oidc-agent";

/// An account file.
#[derive(Debug)]
pub(crate) enum AccountFile {
    /// It is locked with a password.
    Locked(Locked),
    /// It is what `oidc-gen --print` prints.
    Open(Box<Found>),
}

/// A locked account.
#[derive(Debug)]
pub(crate) struct Locked {
    /// The ciphertext, with its authenticator in front.
    sealed: Vec<u8>,
    /// The nonce.
    nonce: [u8; 24],
    /// The salt of the password.
    salt: [u8; 16],
    /// How the key was made; for old files nothing says which of two ways it was.
    ways: Vec<Derivation>,
    /// What the second half of the derived bytes must be; old files have no such value.
    check: Option<[u8; 32]>,
    /// The version that wrote it, 0 if it does not say.
    major: u32,
}

/// How libsodium made a key out of the password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Derivation {
    /// Which Argon2.
    algorithm: Algorithm,
    /// How often the memory is gone over.
    passes: u32,
    /// How much memory, in KiB.
    kib: u32,
}

/// libsodium's interactive limits before 1.0.15, and since.
const INTERACTIVE: [Derivation; 2] = [
    Derivation { algorithm: Algorithm::Argon2i, passes: 4, kib: 32 * 1024 },
    Derivation { algorithm: Algorithm::Argon2id, passes: 2, kib: 64 * 1024 },
];

/// The most that is taken from a file: libsodium's moderate limits. No version of oidc-agent ever asked for more than the
/// interactive ones, and who plants a file must not be able to have the machine's memory.
const LARGEST: (u32, u32) = (6, 256 * 1024);

impl AccountFile {
    /// Reads a file.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, MigrationFault> {
        let text = std::str::from_utf8(bytes).map_err(|_| wrong("it is not text"))?.trim();
        if text.starts_with("-----BEGIN PGP MESSAGE") {
            return Err(MigrationFault::Gpg);
        }
        if text.starts_with('{') {
            return account(text.as_bytes(), 0).map(Box::new).map(Self::Open);
        }
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        let first = lines.first().copied().unwrap_or_default();
        if first.contains(':') { hex_line(first) } else { seven_lines(&lines) }.map(Self::Locked)
    }
}

/// Reads the form of 2.1.0 and later.
fn seven_lines(lines: &[&str]) -> Result<Locked, MigrationFault> {
    let [length, nonce, salt, parameters, sealed, check, rest @ ..] = lines else {
        let word = if lines.len() == 1 { "line" } else { "lines" };
        return Err(wrong(&format!("it has {} {word}, and not 7", lines.len())));
    };
    let numbers: Vec<u32> = parameters.split(':').map(str::parse).collect::<Result<_, _>>().unwrap_or_default();
    let [24, 16, 16, 32, 1, passes, memory, algorithm] = *numbers.as_slice() else {
        return Err(wrong("its fourth line does not describe the cipher"));
    };
    let sealed = base64(sealed)?;
    if length.parse() != Ok(sealed.len()) {
        return Err(wrong("its ciphertext is shorter or longer than its first line says"));
    }
    let version = rest.first().and_then(|line| line.rsplit_once(' ')?.1.split('.').next()?.parse().ok());
    Ok(Locked {
        sealed,
        nonce: exactly(&base64(nonce)?)?,
        salt: exactly(&base64(salt)?)?,
        ways: vec![derivation(algorithm, passes, memory)?],
        check: Some(exactly(&base64(check)?)?),
        major: version.unwrap_or(0),
    })
}

/// Reads the form of versions before 2.1.0: length, salt, nonce and ciphertext.
fn hex_line(line: &str) -> Result<Locked, MigrationFault> {
    let parts: Vec<&str> = line.split(':').collect();
    let [length, salt, nonce, sealed] = *parts.as_slice() else {
        return Err(wrong(&format!("its line has {} parts, and not 4", parts.len())));
    };
    let sealed = hex(sealed)?;
    if length.parse() != Ok(sealed.len()) {
        return Err(wrong("its ciphertext is shorter or longer than its first number says"));
    }
    let (nonce, salt) = (exactly(&hex(nonce)?)?, exactly(&hex(salt)?)?);
    Ok(Locked { sealed, nonce, salt, ways: INTERACTIVE.to_vec(), check: None, major: 0 })
}

/// Reads what the key is made with, within limits.
fn derivation(algorithm: u32, passes: u32, memory: u32) -> Result<Derivation, MigrationFault> {
    let algorithm = match algorithm {
        1 => Algorithm::Argon2i,
        2 => Algorithm::Argon2id,
        other => return Err(wrong(&format!("it names the unknown key derivation {other}"))),
    };
    let kib = memory / 1024;
    if passes > LARGEST.0 || kib > LARGEST.1 {
        return Err(MigrationFault::TooCostly { asked: format!("{} MiB, {passes} passes", kib / 1024) });
    }
    Ok(Derivation { algorithm, passes, kib })
}

impl Locked {
    /// Opens it, and reads the account.
    pub(crate) fn open(&self, password: &Passphrase) -> Result<Found, MigrationFault> {
        let mut fault = MigrationFault::WrongPassword;
        for way in &self.ways {
            match self.open_with(*way, password) {
                Ok(text) => return account(&text, self.major),
                Err(other) => fault = other,
            }
        }
        Err(fault)
    }

    /// Opens it with a key that is made in one way.
    fn open_with(&self, way: Derivation, password: &Passphrase) -> Result<Zeroizing<Vec<u8>>, MigrationFault> {
        let mut keys = Zeroizing::new([0; 64]);
        // the check is the second half of what is derived, and Argon2 makes other bytes where fewer are asked for
        let (wanted, _) = keys.split_at_mut(if self.check.is_some() { 64 } else { 32 });
        way.derive(password, &self.salt, wanted)?;
        let (key, check) = keys.split_at(32);
        if self.check.is_some_and(|expected| expected != check) {
            return Err(MigrationFault::WrongPassword);
        }
        let cipher = XSalsa20Poly1305::new_from_slice(key).map_err(|_| MigrationFault::Damaged)?;
        let opened = cipher.decrypt((&self.nonce).into(), self.sealed.as_slice());
        // without a check, a wrong password and a changed file look the same
        let fault = if self.check.is_some() { MigrationFault::Damaged } else { MigrationFault::WrongPassword };
        opened.map(Zeroizing::new).map_err(|_| fault)
    }
}

impl Derivation {
    /// Makes the key.
    fn derive(self, password: &Passphrase, salt: &[u8], key: &mut [u8]) -> Result<(), MigrationFault> {
        let params = Params::new(self.kib, self.passes, 1, Some(key.len()));
        let params = params.map_err(|error| wrong(&format!("its key derivation cannot be: {error}")))?;
        let mut memory: Vec<Block> = Vec::new();
        memory.try_reserve_exact(params.block_count()).map_err(|_| MigrationFault::NoMemory)?;
        memory.resize(params.block_count(), Block::default());
        let argon2 = Argon2::new(self.algorithm, Version::V0x13, params);
        let derived = argon2.hash_password_into_with_memory(password.expose().as_bytes(), salt, key, &mut memory);
        memory.iter_mut().for_each(Block::zeroize);
        derived.map_err(|error| wrong(&format!("its key derivation cannot be: {error}")))
    }
}

/// What an account says, in the keys of all versions.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Account {
    name: Option<String>,
    issuer_url: Option<String>,
    issuer: Option<String>,
    mytoken_url: Option<String>,
    config_endpoint: Option<String>,
    device_authorization_endpoint: Option<String>,
    #[serde(rename = "daeSetByUser")]
    is_device_endpoint_set: Value,
    client_id: Option<String>,
    client_secret: Option<StoredSecret>,
    refresh_token: Option<RefreshToken>,
    cert_path: Option<String>,
    scope: Option<String>,
    auth_scope: Option<String>,
    refresh_scope: Option<String>,
    audience: Option<String>,
    username: Option<String>,
    password: Option<StoredSecret>,
}

/// Reads an account; `major` is the version that wrote it.
fn account(json: &[u8], major: u32) -> Result<Found, MigrationFault> {
    let account: Account = serde_json::from_slice(json).map_err(|error| json_fault(EXPECTED, &error))?;
    if filled(account.mytoken_url.clone()).is_some() {
        return Err(MigrationFault::Mytoken);
    }
    let mut found = Found {
        label: account.name.as_deref().map(label).unwrap_or_default(),
        name: filled(account.name.clone()),
        issuer: filled(account.issuer_url.clone()).or_else(|| filled(account.issuer.clone())),
        client_id: filled(account.client_id.clone()),
        origin: "the account file",
        client_secret: account.client_secret.clone().filter(|secret| !secret.secret().is_empty()),
        // before 5.0 the parameter was `audience`
        audience_as: Some(AudienceAs::Resource).filter(|_| major >= 5),
        ca_file: filled(account.cert_path.clone()).filter(|path| !SYSTEM_BUNDLES.contains(&path.as_str())),
        refresh_token: account.refresh_token.clone().filter(|token| !token.secret().is_empty()),
        ..Found::default()
    };
    found.take_scopes(&account);
    found.take_audience(&account);
    found.take_addresses(&account);
    if account.password.as_ref().is_some_and(|password| !password.secret().is_empty()) {
        found.left.push(format!("the password of {}", label(account.username.as_deref().unwrap_or("the user"))));
        found.keeps_file = Some("it still holds a password, which was not taken");
    }
    found.learn_of_itself();
    Ok(found)
}

impl Found {
    /// Takes the scopes of a login. Those that oidc-agent asks for at each refresh are no setting here.
    fn take_scopes(&mut self, account: &Account) {
        let of_login = filled(account.auth_scope.clone()).or_else(|| filled(account.scope.clone()));
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        self.scopes = of_login.as_deref().map(words).unwrap_or_default();
        if let Some(narrow) = filled(account.refresh_scope.clone())
            && words(&narrow).iter().any(|scope| !self.scopes.contains(scope))
        {
            self.left.push(format!("the scopes of a refresh: {}", label(&narrow)));
        }
    }

    /// Takes the audience if it is one; a profile has no list of them.
    fn take_audience(&mut self, account: &Account) {
        let Some(audience) = filled(account.audience.clone()) else {
            self.audience_as = None;
            return;
        };
        if audience.contains(char::is_whitespace) {
            self.left.push(format!("more than one audience: {}", label(&audience)));
            self.audience_as = None;
        } else {
            self.audience = Some(audience);
        }
    }

    /// Takes the addresses that somebody set by hand.
    fn take_addresses(&mut self, account: &Account) {
        let by_hand = match &account.is_device_endpoint_set {
            Value::Number(number) => number.as_i64() == Some(1),
            Value::String(text) => text == "1",
            Value::Bool(set) => *set,
            Value::Null | Value::Array(_) | Value::Object(_) => false,
        };
        if by_hand {
            self.device_authorization_endpoint = filled(account.device_authorization_endpoint.clone());
        }
        let known = self.issuer.as_deref().map(|issuer| issuer.trim_end_matches('/'));
        let is_usual = |url: &str| known.is_some_and(|issuer| url.starts_with(issuer) && url.contains("/.well-known/"));
        if let Some(url) = filled(account.config_endpoint.clone()).filter(|url| !is_usual(url)) {
            self.left.push(format!("its own place of the provider's metadata: {}", label(&url)));
        }
    }
}

/// What oidc-agent writes into every account where nobody named certificates.
const SYSTEM_BUNDLES: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/usr/share/ssl/certs/ca-bundle.crt",
];

/// Describes what is wrong with the form.
fn wrong(reason: &str) -> MigrationFault {
    MigrationFault::Format { expected: EXPECTED, reason: reason.to_owned() }
}

/// Reads base64 with its padding.
fn base64(text: &str) -> Result<Vec<u8>, MigrationFault> {
    STANDARD.decode(text).map_err(|_| wrong("a line is not base64"))
}

/// Reads hex.
fn hex(text: &str) -> Result<Vec<u8>, MigrationFault> {
    let not_hex = || wrong("a part of its line is not hex");
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pairs = text.as_bytes().chunks(2).map(|pair| match *pair {
        [high, low] => u8::try_from(digit(high)? * 16 + digit(low)?).ok(),
        _ => None,
    });
    pairs.collect::<Option<_>>().ok_or_else(not_hex)
}

/// Takes bytes of a fixed number.
fn exactly<const N: usize>(bytes: &[u8]) -> Result<[u8; N], MigrationFault> {
    bytes.try_into().map_err(|_| wrong(&format!("a value has {} bytes, and not {N}", bytes.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What oidc-agent 4.2.6 wrote.
    const ACCOUNT: &str = include_str!("../../tests/fuzz/corpus/foreign_file/account");

    /// The form before 2.1.0, with libsodium's limits before 1.0.15 and since; made with libsodium, read by oidc-gen 4.2.6.
    const HEX: [&str; 2] = [
        include_str!("../../tests/fuzz/corpus/foreign_file/account-hex-argon2i"),
        include_str!("../../tests/fuzz/corpus/foreign_file/account-hex-argon2id"),
    ];

    /// Opens a file with a password.
    fn open(file: &str, password: &str) -> Result<Found, MigrationFault> {
        match AccountFile::read(file.as_bytes())? {
            AccountFile::Locked(locked) => locked.open(&Passphrase::new(password.to_owned())),
            AccountFile::Open(found) => Ok(*found),
        }
    }

    /// Replaces a line of the file, counted from 0.
    fn with_line(number: usize, line: &str) -> String {
        let lines: Vec<&str> =
            ACCOUNT.lines().enumerate().map(|(at, old)| if at == number { line } else { old }).collect();
        lines.join("\n")
    }

    /// What the account says beside a name.
    fn said(json: &str) -> Found {
        account(format!("{{\"name\":\"prod\",{json}}}").as_bytes(), 5).unwrap()
    }

    #[test]
    fn a_file_of_the_real_agent_opens_with_its_password_alone() {
        let found = open(ACCOUNT, "correct horse").unwrap();
        assert_eq!(found.name.as_deref(), Some("prod"));
        assert!(found.issuer.unwrap().starts_with("http://127.0.0.1:"));
        assert_eq!(found.client_id.as_deref(), Some("confidential"));
        assert_eq!(found.client_secret.unwrap().expose(), "s3cret-client");
        assert_eq!(found.refresh_token.unwrap().expose().len(), 43);
        assert_eq!(found.scopes, ["openid", "offline_access"]);
        assert_eq!((found.ca_file, found.audience, found.left), (None, None, Vec::new()));
        assert_eq!(open(ACCOUNT, "wrong horse").unwrap_err(), MigrationFault::WrongPassword);
    }

    #[test]
    fn files_of_old_versions_open_with_either_of_libsodium_s_old_limits() {
        for file in HEX {
            let found = open(file, "correct horse").unwrap();
            assert_eq!(found.refresh_token.unwrap().expose(), "canary-4711");
            assert_eq!(found.issuer.as_deref(), Some("https://a.example/"));
        }
        assert_eq!(open(HEX[0], "wrong").unwrap_err(), MigrationFault::WrongPassword);
    }

    #[test]
    fn a_changed_file_opens_with_no_password() {
        let sealed = ACCOUNT.lines().nth(4).unwrap();
        let other = if sealed.starts_with('A') { 'B' } else { 'A' };
        let changed: String = std::iter::once(other).chain(sealed.chars().skip(1)).collect();
        assert_eq!(open(&with_line(4, &changed), "correct horse").unwrap_err(), MigrationFault::Damaged);
    }

    #[test]
    fn a_file_of_another_form_is_refused_before_any_key_is_made() {
        let cut: String = ACCOUNT.chars().take(300).collect();
        let files = [
            (cut.as_str(), "lines, and not 7"),
            (&with_line(0, "1"), "shorter or longer"),
            (&with_line(0, "99999999999999999999"), "shorter or longer"),
            (&with_line(1, "AAAA"), "3 bytes, and not 24"),
            (&with_line(2, "?"), "not base64"),
            (&with_line(3, "24:16:16:32:1:2:67108864:3"), "unknown key derivation 3"),
            (&with_line(3, "24:16:16:32:1:2:67108864"), "fourth line"),
            (&with_line(3, "25:16:16:32:1:2:67108864:2"), "fourth line"),
            (&with_line(3, "24:16:16:32:1:2:99999999999:2"), "fourth line"),
            ("168:00:11", "3 parts, and not 4"),
            ("1:00:11:zz", "not hex"),
            ("", "lines, and not 7"),
            ("{\"name\": 1}", "JSON of another form"),
            ("{\"name\"", "ends too early"),
        ];
        for (file, reason) in files {
            let fault = AccountFile::read(file.as_bytes()).unwrap_err().to_string();
            assert!(fault.contains(reason), "{file}: {fault}");
        }
        assert!(AccountFile::read(&[0xff, 0xfe]).is_err());
    }

    #[test]
    fn a_file_that_would_eat_the_machine_is_refused() {
        for limits in ["2:2147483647:2", "1000:67108864:2", "7:67108864:1"] {
            let file = with_line(3, &format!("24:16:16:32:1:{limits}"));
            let fault = AccountFile::read(file.as_bytes()).unwrap_err();
            assert!(matches!(fault, MigrationFault::TooCostly { .. }), "{limits}: {fault}");
        }
        // too little is Argon2's to refuse
        let nothing = open(&with_line(3, "24:16:16:32:1:0:0:2"), "x").unwrap_err();
        assert!(matches!(nothing, MigrationFault::Format { .. }), "{nothing}");
    }

    #[test]
    fn what_needs_another_program_is_named() {
        let gpg = include_str!("../../tests/fuzz/corpus/foreign_file/gpg");
        assert_eq!(AccountFile::read(gpg.as_bytes()).unwrap_err(), MigrationFault::Gpg);
        let mytoken = account(br#"{"mytoken_url": "https://mytoken.example"}"#, 5).unwrap_err();
        assert_eq!(mytoken, MigrationFault::Mytoken);
    }

    #[test]
    fn what_has_no_place_here_is_said() {
        let found =
            said(r#""username":"ada","password":"canary","audience":"a b","refresh_scope":"x","auth_scope":"y""#);
        assert!(found.keeps_file.is_some());
        assert_eq!(found.left.len(), 3, "{:?}", found.left);
        assert!(!found.left.join(" ").contains("canary"));
        assert_eq!((found.audience, found.audience_as), (None, None));
    }

    #[test]
    fn the_parameter_of_the_audience_is_that_of_the_version() {
        let found = |major| account(br#"{"audience": "https://api.example"}"#, major).unwrap();
        assert_eq!(found(5).audience_as, Some(AudienceAs::Resource));
        assert_eq!((found(4).audience_as, found(4).audience.as_deref()), (None, Some("https://api.example")));
    }

    #[test]
    fn addresses_are_taken_if_somebody_set_them() {
        let set = said(r#""device_authorization_endpoint":"https://a.example/d","daeSetByUser":1"#);
        assert_eq!(set.device_authorization_endpoint.as_deref(), Some("https://a.example/d"));
        let found = said(r#""device_authorization_endpoint":"https://a.example/d","daeSetByUser":0"#);
        assert_eq!(found.device_authorization_endpoint, None);
        let usual =
            r#""issuer":"https://a.example/","config_endpoint":"https://a.example/.well-known/openid-configuration""#;
        assert!(said(usual).left.is_empty());
        assert_eq!(said(r#""config_endpoint":"file:///etc/op.json""#).left.len(), 1);
    }
}
