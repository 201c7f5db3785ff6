//! A configuration, whatever it says: what must hold of it. Compiled for fuzzing and for tests alone.

use std::collections::BTreeMap;
use std::path::Path;

use super::issued::IssuedVariables;
use super::{Settings, file};
use crate::host::folders::Folders;
use crate::profile::is_secure;

/// Reads the bytes as `config.toml`, and builds every profile in it.
pub(crate) fn config(bytes: &[u8]) {
    let path = Path::new("/c/config.toml");
    let config = match file::parse(path, bytes.to_vec()) {
        Ok(config) => config,
        Err(error) => {
            error.to_string();
            return;
        }
    };
    let folders = Folders { config: "/c".into(), data: "/d".into(), state: "/s".into(), home: Some("/h".into()) };
    let settings = Settings {
        path: path.to_owned(),
        folders,
        config,
        parameters: BTreeMap::from([("realm".to_owned(), "{realm}".to_owned())]),
        environment: BTreeMap::new(),
        profile_variable: None,
        min_ttl_variable: None,
        issued_variables: IssuedVariables::default(),
    };
    for name in settings.config.profiles.keys() {
        assert!(name.user().is_none(), "a profile with a user: {name}");
        let Ok(profile) = settings.profile(name) else { continue };
        let endpoints = [&profile.endpoints.token, &profile.endpoints.revocation, &profile.endpoints.jwks];
        for url in endpoints.into_iter().flatten().chain([&profile.issuer]) {
            let parsed = url::Url::parse(url.as_str());
            assert!(parsed.is_ok_and(|parsed| is_secure(&parsed)), "a secret could be sent to {url}");
            assert!(!url.as_str().chars().any(char::is_control), "an address can write on the terminal: {url:?}");
        }
    }
}
