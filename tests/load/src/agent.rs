//! One simulated agent: the product's lookup and heartbeats without an API behind them.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use ipa_host::ironic::{
    Announcement, ApiForm, Endpoint, Ironic, Pace, Settings, Subject, TlsSource, TokenAnswer, keep_beating,
};
use ipa_host::tls::self_signed::{self, Curve, Wish};
use ipa_host::tls::{ClientOptions, client_config};
use serde_json::Value;
use slog::Logger;

use crate::journal::Life;

/// The product's defaults.
const REQUEST: Duration = Duration::from_secs(30);
const PACE: Pace = Pace { timeout: Duration::from_secs(300), interval: Duration::from_secs(1) };

/// What agents meet.
#[derive(Clone)]
pub(crate) struct Target {
    url: Endpoint,
    tls: TlsSource,
    certificate: String,
}

impl Target {
    /// Makes the certificate that all agents tell: making one for each would take longer than all they do.
    pub(crate) fn new(url: Endpoint, tls: ClientOptions) -> Result<Self, String> {
        let wish = Wish {
            ip_address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            host_name: "simulated".into(),
            curve: Curve::P256,
            clock_skew_s: 3600,
        };
        let pem = self_signed::make(&wish).map_err(|error| format!("making a certificate: {error}"))?;
        let tls: TlsSource = Arc::new(move || client_config(&tls).map_err(|error| error.to_string()));
        Ok(Self { url, tls, certificate: pem.certificate })
    }
}

/// Whose agent it is.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    mac: String,
    /// What the agent was started with.
    token: Option<String>,
}

impl Node {
    /// Reads a MAC address and perhaps a token; None if the line is empty.
    pub(crate) fn of_line(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace().map(str::to_owned);
        Some(Self { mac: words.next()?, token: words.next() })
    }
}

/// Looks the node up and sends heartbeats until dropped.
///
/// # Errors
/// The node was not found.
pub(crate) async fn live(target: Target, node: Node, life: Life, log: Logger) -> Result<Infallible, String> {
    let settings =
        Settings { urls: vec![target.url], request_id: None, timeout: REQUEST, api_version: None, tls: target.tls };
    let ironic = Ironic::new(settings, ApiForm::V1, "generic", log.clone());
    let subject = Subject { addresses: vec![node.mac], node_uuid: None };
    let found = ironic.lookup(&subject, &Value::Null, PACE, node.token.is_some()).await?;
    let token = match found.token {
        TokenAnswer::Issued(token) => Some(token),
        TokenAnswer::Taken | TokenAnswer::Absent => node.token,
    };
    life.finds(found.heartbeat_timeout);
    let announcement = Announcement {
        uuid: found.uuid,
        // Nobody listens: Ironic does not call agents of nodes that have nothing to do.
        callback_url: "https://127.0.0.1:9".into(),
        agent_version: env!("CARGO_PKG_VERSION").into(),
        certificate: Some(target.certificate),
    };
    let (ironic, announcement, token) = (&ironic, &announcement, token.as_deref());
    let beat = || life.sends(ironic.beat(announcement, token));
    Ok(keep_beating(found.heartbeat_timeout, &log, std::future::pending, beat).await)
}
