//! What only the kernel's sockets tell about network interfaces. A trait, so that tests can answer in its place.

use std::fmt;

use super::{ethtool, ifaddrs};

/// The kernel's answers about network interfaces.
pub trait Network: fmt::Debug + Send + Sync {
    /// The hardware address that was burnt into the interface; `None` if it has none or does not tell.
    fn permanent_address(&self, interface: &str) -> Option<Vec<u8>>;

    /// The link modes that the hardware supports, as the 64 lowest bits of the kernel's list; `None` if unknown.
    fn supported_modes(&self, interface: &str) -> Option<u64>;

    /// All IP addresses of all interfaces in kernel order.
    fn addresses(&self) -> std::io::Result<Vec<Address>>;
}

/// An IP address of an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Name of the interface.
    pub interface: String,
    /// The address.
    pub ip: std::net::IpAddr,
    /// Whether an IPv6 address is good on this link only.
    pub link_scope: bool,
}

/// The running kernel.
#[derive(Debug, Clone, Copy, Default)]
pub struct Kernel;

impl Network for Kernel {
    fn permanent_address(&self, interface: &str) -> Option<Vec<u8>> {
        ethtool::permanent_address(interface)
    }

    fn supported_modes(&self, interface: &str) -> Option<u64> {
        ethtool::supported_modes(interface)
    }

    fn addresses(&self) -> std::io::Result<Vec<Address>> {
        ifaddrs::addresses()
    }
}
