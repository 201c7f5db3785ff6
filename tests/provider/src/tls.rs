//! Certificates made at start: a CA, and what the server shows.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::Tls;

/// Holds the server's side of TLS, and the CA a client may trust.
pub(crate) struct Identity {
    /// What the server shows.
    pub(crate) config: Arc<ServerConfig>,
    /// The CA certificate, in PEM.
    pub(crate) ca_pem: String,
}

impl Identity {
    /// Makes keys and certificates for this kind of TLS; none for plain HTTP.
    pub(crate) fn make(tls: Tls) -> Option<Self> {
        if tls == Tls::Plain {
            return None;
        }
        let ca_key = KeyPair::generate().expect("a P-256 key can be made");
        let ca = authority();
        let ca_pem = ca.self_signed(&ca_key).expect("a CA can sign itself").pem();
        let key = KeyPair::generate().expect("a P-256 key can be made");
        let params = server(tls);
        let certificate = if tls == Tls::SelfSignedUnknown {
            params.self_signed(&key)
        } else {
            params.signed_by(&key, &Issuer::new(ca, ca_key))
        };
        let certificate = certificate.expect("the certificate can be signed");
        let config = Arc::new(server_config(certificate.der().clone(), &key));
        Some(Self { config, ca_pem })
    }
}

fn authority() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "provider test CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

fn server(tls: Tls) -> CertificateParams {
    let names: &[&str] = match tls {
        Tls::WrongName => &["elsewhere.example"],
        Tls::Plain | Tls::Good | Tls::Expired | Tls::SelfSignedUnknown => &["localhost", "127.0.0.1"],
    };
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("the names are well formed");
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = if tls == Tls::Expired { date_time_ymd(2021, 1, 1) } else { date_time_ymd(2100, 1, 1) };
    params
}

fn server_config(certificate: CertificateDer<'static>, key: &KeyPair) -> ServerConfig {
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("aws-lc-rs has the default versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("the key is the certificate's")
}
