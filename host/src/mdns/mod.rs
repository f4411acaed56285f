//! Finding Ironic by multicast DNS, where nobody could tell the agent its address.
//!
//! ```text
//! lookup (attempts, waits) -> Link (sockets) -> the link -> message (a strict parser) -> service (records of one
//!      responder) -> Announced (address, protocol, path) -> Found
//! ```
//!
//! Nobody can tell who answers: any machine on the link can send the agent, and all that it collects, to itself. So
//! nothing is asked unless an option says so; an answer may only lead to [`Places`] that are listed, by default those
//! of networks that are not routed; and it may only set the options that are listed, see
//! [`Config::take_mdns`](crate::config::Config::take_mdns).
//!
//! Questions are sent from a port of their own, as RFC 6762, section 5.1 has it for one-shot queries, and answers come
//! to that port. The agent joins no group and keeps nothing once it has an answer.

mod interfaces;
mod link;
mod lookup;
mod message;
mod name;
mod places;
mod service;

use std::net::IpAddr;

use slog::{Logger, info};
use thiserror::Error;

use self::link::Sockets;
pub use self::places::Places;
use crate::ironic::Endpoint;
use crate::root::Root;

/// Ironic's API.
pub const BAREMETAL: &str = "baremetal._openstack._tcp.local.";
/// Where inspection data go.
pub const INTROSPECTION: &str = "baremetal-introspection._openstack._tcp.local.";

/// How services are looked for.
#[derive(Debug, Clone)]
pub struct Options {
    /// How often, each time for three seconds; at least once.
    pub attempts: u32,
    /// Addresses of the interfaces on which is asked; empty for all.
    pub interfaces: Vec<IpAddr>,
    /// Where a service may be.
    pub places: Places,
}

/// A service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Where it is.
    pub url: Endpoint,
    /// What else was announced.
    pub parameters: Vec<Parameter>,
    /// Who announced it.
    pub from: IpAddr,
}

/// A key, and its value if it has one. Both can be any bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// The key.
    pub key: Vec<u8>,
    /// The value.
    pub value: Option<Vec<u8>>,
}

/// A service that was not found.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{service} was not found by multicast DNS in {attempts} attempts: {why}")]
pub struct LookupError {
    /// The service.
    pub service: String,
    /// How often it was looked for.
    pub attempts: u32,
    /// The last reason.
    pub why: String,
}

/// Looks for a service on the links of this machine.
///
/// # Errors
/// There is none that can be used, or there is no way to ask.
pub async fn find(service: &str, options: &Options, root: &Root, log: &Logger) -> Result<Found, LookupError> {
    info!(log, "asking by multicast DNS"; "service" => service);
    let mut sockets = Sockets::open(options.interfaces.clone(), root.clone()).map_err(|why| LookupError {
        service: service.to_owned(),
        attempts: 0,
        why,
    })?;
    let found = lookup::lookup(&mut sockets, service, options.attempts, &options.places, log).await?;
    info!(log, "found by multicast DNS"; "service" => service, "url" => %found.url, "from" => %found.from);
    Ok(found)
}
