//! TLS of the tests' own clients.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion, version};

/// A client that trusts the authorities of a PEM text and nobody else, and speaks nothing below TLS 1.3.
pub(crate) fn trusting(pem: &[u8]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        roots.add(certificate.expect("a certificate in PEM form")).expect("a certificate");
    }
    client(&version::TLS13, roots)
}

/// A client that trusts nobody and speaks TLS 1.2 alone.
pub(crate) fn only_1_2() -> ClientConfig {
    client(&version::TLS12, RootCertStore::empty())
}

fn client(version: &'static SupportedProtocolVersion, roots: RootCertStore) -> ClientConfig {
    ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[version])
        .expect("the provider has both versions")
        .with_root_certificates(roots)
        .with_no_client_auth()
}
