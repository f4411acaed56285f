//! Plain HTTP or HTTPS, as the operator has it and Ironic can take it.

use std::net::IpAddr;
use std::sync::Arc;

use slog::{Logger, info, warn};

use super::Failure;
use super::session::Meeting;
use crate::agent::Agent;
use crate::api::Transport;
use crate::config::Config;
use crate::tls::{Protocol, TlsServer, auto};

/// The API's transport, and the certificate that Ironic is to be told, as PEM text, if the agent made it.
pub(super) async fn choose(
    agent: &Agent,
    config: &Config,
    meeting: Option<&Meeting>,
) -> Result<(Transport, Option<String>), Failure> {
    let log = agent.log();
    let version = meeting.map(|meeting| (meeting.api_version.0, meeting.api_version.1));
    match (auto::is_wanted(config.listen_tls(), config.enable_auto_tls(), version), meeting) {
        (Ok(()), Some(meeting)) => {
            let address: IpAddr = meeting.host.parse().map_err(|_| {
                Failure::new(format!(
                    "no certificate can be made for {:?}, which is no IP address; give one with advertise_host, or \
                    set enable_auto_tls to false",
                    meeting.host
                ))
            })?;
            info!(log, "making a certificate"; "address" => %address);
            let made = auto::make(agent.managers(), address, &protocol(config, log))
                .await
                .map_err(|error| Failure::new(format!("the API cannot be served over TLS: {}", error.details())))?;
            Ok((Transport::Tls(Arc::new(made.server)), Some(made.certificate)))
        }
        (why, _) => {
            if let (Err(why), Some(_)) = (why, meeting) {
                info!(log, "no certificate is made: {why}");
            }
            Ok((given(config, log)?, None))
        }
    }
}

/// TLS if a certificate and a key are given.
fn given(config: &Config, log: &Logger) -> Result<Transport, Failure> {
    let (certificate, key) = match (config.tls_cert_file(), config.tls_key_file()) {
        (Some(certificate), Some(key)) => (certificate, key),
        (None, None) => return Ok(Transport::Plain),
        _ => {
            warn!(log, "TLS needs both tls_cert_file and tls_key_file, and only one is given");
            return Ok(Transport::Plain);
        }
    };
    let server = TlsServer::from_files(&certificate, &key, &protocol(config, log))
        .map_err(|error| Failure::new(format!("the API cannot be served over TLS: {error}")))?;
    Ok(Transport::Tls(Arc::new(server)))
}

/// Versions and cipher suites of all TLS. Names of suites that are not known are left out and told.
pub(super) fn protocol(config: &Config, log: &Logger) -> Protocol {
    let protocol = Protocol::of(config);
    for name in protocol.unknown_suites() {
        warn!(log, "tls_cipher_suites has a name that is not known here"; "name" => name);
    }
    protocol
}
