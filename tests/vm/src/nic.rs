//! Network interfaces.

use std::net::{Ipv4Addr, TcpListener};

use ipa_imagebuild::failure::{Doing, Outcome};
use serde_json::json;

use crate::arguments::Arguments;

/// This machine as guests see it through their first interface: what listens on 127.0.0.1 here is reached there.
pub const HOST: &str = "10.0.2.2";
/// The port of the agent in the guest.
const AGENT: u16 = 9999;

/// A network interface, in a slot of its own, with a network of its own that QEMU plays: DHCP, this machine's loopback
/// interface as a host, and nothing else.
#[derive(Debug, Clone)]
pub struct Nic {
    mac: String,
    restricted: bool,
    agent: Option<Ipv4Addr>,
}

impl Nic {
    /// An interface with this MAC address, for example `52:54:00:00:00:01`.
    pub fn new(mac: &str) -> Self {
        Self { mac: mac.to_owned(), restricted: false, agent: None }
    }

    /// Has the guest reach nothing through it, not even this machine; what is forwarded to the guest still comes.
    #[must_use]
    pub fn restricted(self) -> Self {
        Self { restricted: true, ..self }
    }

    /// Looks for the agent at this address of the interface's network, instead of the one that DHCP gives.
    #[must_use]
    pub fn agent_at(self, address: Ipv4Addr) -> Self {
        Self { agent: Some(address), ..self }
    }

    /// Adds it. A port of the loopback interface here is forwarded to the agent's port if one is given.
    pub(crate) fn add_to(&self, arguments: &mut Arguments, index: usize, forward: Option<u16>) {
        let (id, network) = (id(index), index + 2);
        let mut backend = format!("user,id={id}-network,net=10.0.{network}.0/24,host=10.0.{network}.2");
        if self.restricted {
            backend.push_str(",restrict=on");
        }
        if let Some(port) = forward {
            let agent = self.agent.map(|address| address.to_string()).unwrap_or_default();
            backend.push_str(&format!(",hostfwd=tcp:127.0.0.1:{port}-{agent}:{AGENT}"));
        }
        arguments.option("-netdev", backend);
        let bus = arguments.slot(&id);
        // Without its ROM no firmware waits for a network boot that nobody offers.
        arguments.device(&json!({
            "driver": "virtio-net-pci", "id": id, "bus": bus, "netdev": format!("{id}-network"), "mac": self.mac,
            "romfile": "",
        }));
    }
}

/// The name of an interface, by its place in the order of the machine's.
pub(crate) fn id(index: usize) -> String {
    format!("nic{index}")
}

/// A port of the loopback interface that nothing listens on now.
pub(crate) fn free_port() -> Outcome<u16> {
    let doing = "looking for a free port of the loopback interface";
    let listener = TcpListener::bind("127.0.0.1:0").doing(doing)?;
    Ok(listener.local_addr().doing(doing)?.port())
}
