//! The side of TLS that asks: Ironic's API, and servers of images and config drives.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
};

use super::{Protocol, TlsError, pem};
use crate::config::Config;

/// How servers are checked, and what they may check: `insecure`, `cafile`, `certfile`, `keyfile`.
#[derive(Debug, Clone, Default)]
pub struct ClientOptions {
    /// True if any server is trusted, whatever its certificate.
    pub insecure: bool,
    /// File of the certificates that are trusted; None for the system's.
    pub ca_file: Option<PathBuf>,
    /// Files of the certificate and the key that servers are shown.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// Versions and cipher suites.
    pub protocol: Protocol,
}

impl ClientOptions {
    /// The options of the configuration, which a lookup may have changed since the start.
    pub fn of(config: &Config) -> Self {
        Self {
            insecure: config.insecure(),
            ca_file: config.cafile(),
            certificate: config.certfile().zip(config.keyfile()),
            protocol: Protocol::of(config),
        }
    }
}

/// The configuration of a client. It holds all trusted certificates, so make it when it is needed.
///
/// # Errors
/// A file cannot be used.
pub fn client_config(options: &ClientOptions) -> Result<ClientConfig, TlsError> {
    let provider = options.protocol.provider()?;
    let builder =
        ClientConfig::builder_with_provider(provider.clone()).with_protocol_versions(options.protocol.versions())?;
    let verifier: Arc<dyn ServerCertVerifier> = if options.insecure {
        Arc::new(Anyone(provider.signature_verification_algorithms))
    } else {
        Arc::new(Trusted::new(options, provider)?)
    };
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
    let Some((certificate, key)) = &options.certificate else { return Ok(builder.with_no_client_auth()) };
    builder.with_client_auth_cert(pem::certificates(certificate)?, pem::key(key)?).map_err(|source| TlsError::Pair {
        certificate: certificate.clone(),
        key: key.clone(),
        source,
    })
}

/// Trusts what the authorities have signed, and the certificates of the file themselves.
#[derive(Debug)]
struct Trusted {
    chains: Arc<WebPkiServerVerifier>,
    /// The certificates of the file.
    pinned: Vec<CertificateDer<'static>>,
}

impl Trusted {
    fn new(options: &ClientOptions, provider: Arc<CryptoProvider>) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        let pinned = match &options.ca_file {
            Some(path) => {
                let certificates = pem::certificates(path)?;
                if roots.add_parsable_certificates(certificates.iter().cloned()).0 == 0 {
                    let why = ": none of its certificates can be an authority".to_owned();
                    return Err(TlsError::Content { path: path.clone(), what: "certificate", why });
                }
                certificates
            }
            None => {
                let found = rustls_native_certs::load_native_certs();
                if roots.add_parsable_certificates(found.certs).0 == 0 {
                    let why = found.errors.first().map(|error| format!(": {error}")).unwrap_or_default();
                    return Err(TlsError::NoAuthorities { why });
                }
                Vec::new()
            }
        };
        let chains = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|error| Error::General(error.to_string()))?;
        Ok(Self { chains, pinned })
    }
}

impl ServerCertVerifier for Trusted {
    fn verify_server_cert(
        &self,
        server: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.chains.verify_server_cert(server, chain, name, ocsp, now) {
            // `openssl req -x509` marks what it makes as an authority. Such a certificate in the file is one to trust
            // even if a server shows it; its dates have been checked by then, its name has not.
            Err(error)
                if is_authority(&error) && self.pinned.iter().any(|pinned| pinned.as_ref() == server.as_ref()) =>
            {
                rustls::client::verify_server_name(&ParsedCertificate::try_from(server)?, name)?;
                Ok(ServerCertVerified::assertion())
            }
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        server: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chains.verify_tls12_signature(message, server, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        server: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chains.verify_tls13_signature(message, server, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chains.supported_verify_schemes()
    }
}

/// True if a certificate was refused because it is an authority's.
fn is_authority(error: &Error) -> bool {
    match error {
        Error::InvalidCertificate(CertificateError::Other(OtherError(other))) => {
            matches!(other.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity))
        }
        _ => false,
    }
}

/// Trusts anyone who has the key of the certificate that he shows.
struct Anyone(WebPkiSupportedAlgorithms);

impl fmt::Debug for Anyone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Anyone")
    }
}

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _server: &CertificateDer<'_>,
        _chain: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        server: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, server, signed, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        server: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, server, signed, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
