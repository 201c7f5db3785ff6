//! Connections: TLS good and bad, many at once, and what is recorded.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::thread;

use provider::{Endpoint, Provider, Settings, Tls};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::client::{Answer, OFFLINE, PUBLIC, post, refresh};

fn discover(tls: Tls) -> io::Result<Answer> {
    let provider = Provider::start(Settings { tls, ..Settings::default() });
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(provider.ca_pem().as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let session = ClientConnection::new(Arc::new(config), ServerName::try_from("127.0.0.1").unwrap()).unwrap();
    let mut stream = StreamOwned::new(session, TcpStream::connect(("127.0.0.1", provider.port()))?);
    stream.write_all(b"GET /.well-known/openid-configuration HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    Answer::parse(&bytes)
}

#[test]
fn tls_is_good_for_those_who_trust_the_ca() {
    let answer = discover(Tls::Good).unwrap();
    assert!(answer.text("issuer").starts_with("https://127.0.0.1:"));
}

#[test]
fn a_bad_certificate_is_refused_by_the_client_and_no_violation() {
    for (tls, words) in
        [(Tls::Expired, "Expired"), (Tls::SelfSignedUnknown, "UnknownIssuer"), (Tls::WrongName, "not valid for name")]
    {
        let problem = discover(tls).unwrap_err().to_string();
        assert!(problem.to_lowercase().contains(&words.to_lowercase()), "{tls:?}: {problem}");
    }
}

#[test]
fn two_hundred_clients_at_once_are_all_answered() {
    let provider = Provider::start(Settings::default());
    let tokens: Vec<String> = (0..200).map(|_| provider.grant(PUBLIC, &OFFLINE)).collect();
    let provider = &provider;
    thread::scope(|scope| {
        for token in &tokens {
            scope.spawn(move || assert_eq!(refresh(provider, token).status, 200));
        }
    });
    assert_eq!((provider.exchanges(), provider.count(Endpoint::Token)), (200, 200));
}

#[test]
fn requests_are_recorded_as_they_came() {
    let provider = Provider::start(Settings::default());
    post(&provider, Endpoint::Device, &format!("client_id={PUBLIC}&scope=openid+a%2Fb"));
    let recorded = provider.last_request(Endpoint::Device);
    assert_eq!((recorded.method.as_str(), recorded.status), ("POST", Some(200)));
    assert_eq!(recorded.param("scope"), Some("openid a/b"));
    assert_eq!(recorded.header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(provider.requests().len(), 1);
}
