//! The way to an address: past which proxies, and believing which certificates.

use std::cell::OnceCell;
use std::fs::File;
use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Certificate, Client, ClientBuilder, redirect, retry};
use url::{Host, Url};

use super::error::{IdpError, causes};
use crate::profile::SecureUrl;

/// The clients of one run of the program.
pub(super) struct Clients {
    /// What is trusted besides the system's certificates.
    roots: Vec<Certificate>,
    /// One client for each [`Route`] and [`Trust`].
    made: [[OnceCell<Client>; 2]; 3],
}

/// The ways that a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route {
    /// To another machine, through a proxy where the environment names one.
    Outside,
    /// To this machine, past every proxy.
    Loopback,
    /// The same in clear text, which needs no certificates.
    ClearText,
}

/// Which certificates a provider's may come from.
///
/// The system keeps some hundred of them in a bundle, and most once more in a folder with a file for each: reading it all
/// takes longer than a refresh. So the nearest are tried first; a handshake that fails has sent nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// The profile's own, or the system's bundle.
    Nearest,
    /// The profile's own, and all that the system has.
    Everything,
}

impl Clients {
    /// Takes the certificates in `ca_file` besides the system's.
    pub(super) fn new(ca_file: Option<&Path>) -> Result<Self, IdpError> {
        Ok(Self { roots: ca_file.map(read_certificates).transpose()?.unwrap_or_default(), made: Default::default() })
    }

    /// Returns the client for an address, and makes it when it is first needed.
    pub(super) fn to(&self, url: &SecureUrl, trust: Trust) -> Result<&Client, IdpError> {
        let route = Route::to(url);
        let [outside, loopback, clear_text] = &self.made;
        let [nearest, everything] = match route {
            Route::Outside => outside,
            Route::Loopback => loopback,
            Route::ClearText => clear_text,
        };
        let cell = match trust {
            Trust::Nearest => nearest,
            Trust::Everything => everything,
        };
        if let Some(client) = cell.get() {
            return Ok(client);
        }
        let client = self.build(route, trust).map_err(|error| IdpError::Setup { why: causes(&error.without_url()) })?;
        Ok(cell.get_or_init(|| client))
    }

    /// Makes the client for a route.
    fn build(&self, route: Route, trust: Trust) -> reqwest::Result<Client> {
        let builder = Client::builder()
            .user_agent(concat!("tokenkeep/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .connect_timeout(CONNECT_DEADLINE)
            // a kept connection may be cut just when the next request is written: was it read, or not?
            .pool_max_idle_per_host(0);
        let trusting = |builder: ClientBuilder| match self.nearest_roots().filter(|_| trust == Trust::Nearest) {
            Some(roots) => builder.tls_certs_only(roots),
            None => builder.tls_certs_merge(self.roots.iter().cloned()),
        };
        match route {
            Route::Outside => trusting(builder).build(),
            Route::Loopback => trusting(builder).no_proxy().build(),
            Route::ClearText => builder.tls_certs_only([]).no_proxy().dns_resolver(ThisMachine).build(),
        }
    }

    /// Returns the certificates that are tried first.
    fn nearest_roots(&self) -> Option<Vec<Certificate>> {
        if self.roots.is_empty() {
            // the environment may name it, else it is where the systems that have one keep it
            read_certificates(&openssl_probe::probe().cert_file?).ok()
        } else {
            Some(self.roots.clone())
        }
    }
}

impl Route {
    /// Returns the way to an address.
    fn to(url: &SecureUrl) -> Self {
        let Ok(parsed) = Url::parse(url.as_str()) else { return Self::Outside };
        let loopback = match parsed.host() {
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            None => false,
        };
        match (loopback, parsed.scheme()) {
            (false, _) => Self::Outside,
            (true, "http") => Self::ClearText,
            (true, _) => Self::Loopback,
        }
    }
}

/// Takes every name for this machine's, as RFC 6761 section 6.3 wants it for `localhost` and all below it: a resolver that
/// knows another address for one would have tokens sent there in clear text.
struct ThisMachine;

impl Resolve for ThisMachine {
    fn resolve(&self, _name: Name) -> Resolving {
        let loopback = [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()];
        // a port of 0 stands for the one of the address
        let places: Addrs = Box::new(loopback.into_iter().map(|address| SocketAddr::new(address, 0)));
        Box::pin(std::future::ready(Ok(places)))
    }
}

/// Reads the certificates in a PEM file.
fn read_certificates(path: &Path) -> Result<Vec<Certificate>, IdpError> {
    let mut pem = Vec::new();
    let read = |file: File| file.take(LARGEST_CA_FILE).read_to_end(&mut pem);
    File::open(path).and_then(read).map_err(|source| IdpError::CaFile { path: path.to_owned(), source })?;
    match Certificate::from_pem_bundle(&pem) {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) | Err(_) => Err(IdpError::NoCertificate { path: path.to_owned() }),
    }
}

/// A connection that takes longer is not made: three lost packets cost 7 s.
const CONNECT_DEADLINE: Duration = Duration::from_secs(10);

/// A whole system's bundle has 220 KB.
const LARGEST_CA_FILE: u64 = 4 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::idp::canned::{Canned, serve};
    use crate::idp::http::{Patience, Wire};

    #[test]
    fn only_this_machine_is_asked_past_the_proxies() {
        let table = [
            ("https://a.example/t", Route::Outside),
            ("https://127.0.0.1.example/t", Route::Outside),
            ("https://127.0.0.1:8443/t", Route::Loopback),
            ("https://localhost/t", Route::Loopback),
            ("https://[::1]/t", Route::Loopback),
            ("http://a.localhost:8080/t", Route::ClearText),
        ];
        for (url, route) in table {
            assert_eq!(Route::to(&url.parse().unwrap()), route, "{url}");
        }
    }

    #[test]
    fn no_resolver_is_asked_where_a_name_of_this_machine_is() {
        let served = serve(Canned::json(200, "{}"));
        let named = served.as_str().replace("127.0.0.1", "no-resolver-knows-this.localhost");
        let answer = Wire::open(None).unwrap().get(&named.parse().unwrap(), Patience::Half).unwrap();
        assert_eq!(answer.status, 200);
    }

    #[test]
    fn a_file_without_a_certificate_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(matches!(Clients::new(Some(file.path())), Err(IdpError::NoCertificate { .. })));
        let missing = file.path().with_extension("missing");
        assert!(matches!(Clients::new(Some(&missing)), Err(IdpError::CaFile { .. })));
    }
}
