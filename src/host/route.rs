//! The variables of the environment that say how a provider is reached.

/// What names a proxy, and may hold a password.
pub(crate) const PROXIES: [&str; 6] =
    ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "https_proxy", "http_proxy", "all_proxy"];

/// What is reached without one.
pub(crate) const DIRECT: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// Which certificates are trusted instead of the system's.
const CERTIFICATES: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

/// Iterates over all of them.
pub(crate) fn variables() -> impl Iterator<Item = &'static str> {
    PROXIES.into_iter().chain(DIRECT).chain(CERTIFICATES)
}
