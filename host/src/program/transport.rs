//! Plain HTTP or HTTPS, as the operator has it.

use std::sync::Arc;

use slog::{Logger, warn};

use super::Failure;
use crate::api::Transport;
use crate::config::Config;
use crate::tls::{Protocol, TlsServer};

/// The API's transport: TLS if a certificate and a key are given.
pub(super) fn given(config: &Config, log: &Logger) -> Result<Transport, Failure> {
    let (Some(certificate), Some(key)) = (config.tls_cert_file(), config.tls_key_file()) else {
        return Ok(Transport::Plain);
    };
    let protocol = Protocol::of(config);
    for name in protocol.unknown_suites() {
        warn!(log, "tls_cipher_suites has a name that is not known here"; "name" => name);
    }
    let server = TlsServer::from_files(&certificate, &key, &protocol)
        .map_err(|error| Failure::new(format!("the API cannot be served over TLS: {error}")))?;
    Ok(Transport::Tls(Arc::new(server)))
}
