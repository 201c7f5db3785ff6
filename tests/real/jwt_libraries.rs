//! Admin tokens and the JWT libraries of others: `PyJWT` and node's `jose` take what we mint with our public keys alone,
//! as a gateway would, and refuse what is wrong with it; we take what they sign with an admin key, and none of the
//! tricks that can be signed with it.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::tokenkeep::{Home, Ran};

/// Where the scripts are, and node's library.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real/jwt-libraries");

/// The python that has `PyJWT`.
const PYTHON: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/real/python/bin/python");

/// Who the tokens are for.
const AUDIENCE: &str = "pipelines";

/// The longest wait for a token of a second to be over.
const PATIENCE: Duration = Duration::from_secs(30);

/// A library that nobody here wrote.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Library {
    /// <https://pyjwt.readthedocs.io>
    PyJwt,
    /// <https://github.com/panva/jose>
    Jose,
}

impl Library {
    /// Asks the script that uses it.
    fn ask(self, request: &Value) -> Value {
        let (program, script) = match self {
            Self::PyJwt => (PYTHON, "answer.py"),
            Self::Jose => ("node", "answer.mjs"),
        };
        let mut command = Command::new(program);
        command.arg(script).current_dir(FOLDER).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child =
            command.spawn().unwrap_or_else(|error| panic!("{program}: {error}: was tests/real/install run?"));
        child.stdin.take().unwrap().write_all(request.to_string().as_bytes()).unwrap();
        let answer = child.wait_with_output().unwrap();
        assert!(answer.status.success(), "{self:?} failed: was tests/real/install run?");
        serde_json::from_slice(&answer.stdout).unwrap()
    }

    /// Signs anything with a key.
    fn sign(self, key: &str, header: &Value, claims: &Value) -> String {
        let answer = self.ask(&json!({"sign": {"key": key, "header": header, "claims": claims}}));
        answer["token"].as_str().unwrap().to_owned()
    }
}

/// A home with an admin key, and what a gateway knows of it.
struct Administrator {
    home: Home,
    jwks: Value,
    issuer: String,
}

impl Administrator {
    fn new(alg: &str) -> Self {
        let home = Home::new();
        home.run(&["admin-token", "keygen", "ops", "--alg", alg]).exits(0);
        let jwks = home.run(&["admin-token", "keys", "--jwks"]).exits(0).json();
        let keys = home.run(&["admin-token", "keys", "--json"]).exits(0).json();
        Self { home, jwks, issuer: keys[0]["issuer"].as_str().unwrap().to_owned() }
    }

    fn mint(&self, ttl: &str) -> String {
        let ran = self.home.run(&["admin-token", "mint", "ops", "--audience", AUDIENCE, "--ttl", ttl]);
        ran.exits(0).token().0
    }

    /// Asks a library about a token, as a gateway that calls itself `audience`.
    fn ask(&self, library: Library, token: &str, audience: &str) -> Value {
        let issuer = &self.issuer;
        library.ask(&json!({"check": {"jwks": self.jwks, "token": token, "issuer": issuer, "audience": audience}}))
    }

    /// Asks tokenkeep about a token.
    fn validate(&self, token: &str) -> Ran {
        self.home.feed(&["validate", "--stdin", "--audience", AUDIENCE, "--event", "reset"], token)
    }
}

/// Whether a library took a token.
fn is_good(answer: &Value) -> bool {
    answer["good"].as_bool().unwrap()
}

/// They take ours, and say no where it is no.
pub(crate) fn ours_is_good_for_them(library: Library) {
    for alg in ["eddsa", "es256"] {
        let admin = Administrator::new(alg);
        let token = admin.mint("5m");
        let answer = admin.ask(library, &token, AUDIENCE);
        assert!(is_good(&answer), "{library:?} refuses {alg}: {}", answer["why"]);
        assert_eq!(answer["claims"]["sub"], "ops");
        assert!(!is_good(&admin.ask(library, &token, "another")), "{library:?}: audience");
        let stranger = Administrator { issuer: "https://another.example".to_owned(), ..admin };
        assert!(!is_good(&stranger.ask(library, &token, AUDIENCE)), "{library:?}: issuer");
        let other = Administrator { jwks: Administrator::new(alg).jwks, ..stranger };
        assert!(!is_good(&other.ask(library, &token, AUDIENCE)), "{library:?}: key");
    }
}

/// They know when ours is over.
pub(crate) fn ours_is_over_for_them_too(library: Library) {
    let admin = Administrator::new("eddsa");
    let token = admin.mint("1s");
    let start = Instant::now();
    while is_good(&admin.ask(library, &token, AUDIENCE)) {
        assert!(start.elapsed() < PATIENCE, "{library:?} takes a token that is over");
    }
    admin.validate(&token).exits(3).says("it expired at");
}

/// We take theirs, signed with an admin key, and none of their tricks.
pub(crate) fn theirs_is_good_for_us_without_tricks(library: Library) {
    for alg in ["eddsa", "es256"] {
        let admin = Administrator::new(alg);
        let key = admin.home.run(&["get", "ops"]).exits(0).text().to_owned();
        let answer = admin.ask(library, &admin.mint("5m"), AUDIENCE);
        let (header, claims) = (&answer["header"], &answer["claims"]);
        admin.validate(&library.sign(&key, header, claims)).exits(0);
        for (changed, trick) in tricks(&admin, header, claims) {
            let (header, claims, key) = (&trick[0], &trick[1], trick[2].as_str().unwrap_or(&key));
            let forged = library.sign(key, header, claims);
            let ran = admin.validate(&forged);
            assert_eq!(ran.is_no(), Ok(()), "{library:?}, {alg}: {changed}");
        }
    }
}

/// Everything that can be wrong with a token though it is signed: its header, its claims, and the key if another one.
fn tricks(admin: &Administrator, header: &Value, claims: &Value) -> Vec<(&'static str, [Value; 3])> {
    let with = |base: &Value, changes: Value| {
        let mut changed = base.clone();
        changed.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        changed.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        changed
    };
    let head = |changes: Value| [with(header, changes), claims.clone(), Value::Null];
    let body = |changes: Value| [header.clone(), with(claims, changes), Value::Null];
    let iat = claims["iat"].as_i64().unwrap();
    // long enough for the library, and a secret that everybody knows
    let public = admin.jwks["keys"][0]["x"].as_str().unwrap();
    let stranger = Administrator::new(if header["alg"] == "ES256" { "es256" } else { "eddsa" });
    let other_key = stranger.home.run(&["get", "ops"]).exits(0).text().to_owned();
    vec![
        ("no signature", head(json!({"alg": "none"}))),
        ("the public key as a secret", [with(header, json!({"alg": "HS256"})), claims.clone(), json!(public)]),
        ("another key under our key's name", [header.clone(), claims.clone(), json!(other_key)]),
        ("another key's name", head(json!({"kid": "another"}))),
        ("the type of an ID token", head(json!({"typ": "JWT"}))),
        ("the type of a logout token", head(json!({"typ": "logout+jwt"}))),
        ("minted in ten minutes", body(json!({"iat": iat + 600, "exp": iat + 900}))),
        ("sixteen minutes", body(json!({"exp": iat + 960}))),
        ("over", body(json!({"iat": iat - 300, "exp": iat - 1}))),
        ("for ever", body(json!({"exp": null}))),
        ("for nobody", body(json!({"aud": null}))),
        ("for others", body(json!({"aud": ["another"]}))),
        ("by others", body(json!({"iss": "https://another.example"}))),
        ("without an id", body(json!({"jti": null}))),
    ]
}
