//! TLS of the tests' own clients and servers.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoClientAuth, WebPkiClientVerifier};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion, version};
pub use rustls::{ServerConfig, version::TLS12};

use crate::certificates::Pair;

/// A server that shows this certificate.
pub fn server(pair: &Pair) -> ServerConfig {
    server_of(pair, rustls::ALL_VERSIONS, None)
}

/// A server that shows this certificate, speaks only these versions, and wants a certificate of its clients that this
/// authority has signed, if one is given.
pub fn server_of(pair: &Pair, versions: &[&'static SupportedProtocolVersion], clients: Option<&Path>) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = clients.map(|authority| {
        let roots = Arc::new(roots(&std::fs::read(authority).expect("readable")));
        WebPkiClientVerifier::builder_with_provider(roots, provider.clone()).build().expect("an authority")
    });
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(&pair.certificate).expect("readable").collect();
    ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .expect("the provider has both versions")
        .with_client_cert_verifier(verifier.unwrap_or_else(|| Arc::new(NoClientAuth)))
        .with_single_cert(chain.expect("certificates"), PrivateKeyDer::from_pem_file(&pair.key).expect("a key"))
        .expect("a pair")
}

/// A client that trusts the authorities of a PEM text and nobody else, and speaks nothing below TLS 1.3.
pub(crate) fn trusting(pem: &[u8]) -> ClientConfig {
    ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[&version::TLS13])
        .expect("the provider has TLS 1.3")
        .with_root_certificates(roots(pem))
        .with_no_client_auth()
}

fn roots(pem: &[u8]) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        roots.add(certificate.expect("a certificate in PEM form")).expect("a certificate");
    }
    roots
}
