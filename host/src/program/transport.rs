//! Plain HTTP or HTTPS, as the operator has it.

use std::path::Path;
use std::sync::Arc;

use slog::{Logger, warn};

use super::Failure;
use super::start::Told;
use crate::api::Transport;
use crate::tls::{Protocol, TlsServer};

/// The API's transport: TLS if a certificate and a key are given.
pub(super) fn given(told: &Told, log: &Logger) -> Result<Transport, Failure> {
    let certificate = told.file("DEFAULT", "tls_cert_file").or_else(|| told.file("ssl", "cert_file"));
    let key = told.file("DEFAULT", "tls_key_file").or_else(|| told.file("ssl", "key_file"));
    let (certificate, key) = match (certificate, key) {
        (Some(certificate), Some(key)) => (Path::new(certificate), Path::new(key)),
        (None, None) => return Ok(Transport::Plain),
        _ => {
            warn!(log, "TLS needs both tls_cert_file and tls_key_file, and only one is given");
            return Ok(Transport::Plain);
        }
    };
    let protocol = protocol(told, log)?;
    let server = TlsServer::from_files(certificate, key, &protocol)
        .map_err(|error| Failure::new(format!("the API cannot be served over TLS: {error}")))?;
    Ok(Transport::Tls(Arc::new(server)))
}

/// Versions and cipher suites of all TLS.
fn protocol(told: &Told, log: &Logger) -> Result<Protocol, Failure> {
    let option = |name: &str, parameter: &str| told.file("DEFAULT", name).or_else(|| told.kernel(parameter));
    let mut protocol = Protocol::default();
    if let Some(version) = option("tls_min_version", "ipa-tls-min-version") {
        protocol.min_version =
            version.parse().map_err(|why| Failure::new(format!("tls_min_version is {version:?}; {why}")))?;
    }
    protocol.cipher_suites = option("tls_cipher_suites", "ipa-tls-cipher-suites").map(str::to_owned);
    for name in protocol.unknown_suites() {
        warn!(log, "tls_cipher_suites has a name that is not known here"; "name" => name);
    }
    Ok(protocol)
}
