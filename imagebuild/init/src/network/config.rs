//! What is wanted of the network, wherever that was said.

use std::net::IpAddr;

use super::address::{Cidr, Mac};

/// The network that is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    /// The links, each after those that it is made of.
    pub links: Vec<Link>,
    /// Servers for names, the first one first.
    pub dns: Vec<IpAddr>,
    /// The machine's name.
    pub hostname: Option<String>,
    /// What becomes of NICs that no link is about.
    pub others: Others,
}

/// What becomes of NICs that nothing is said about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Others {
    /// They get DHCP as soon as they have a carrier.
    #[default]
    Automatic,
    /// They are left alone.
    Leave,
}

/// A link and what is configured on it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Link {
    /// By which other links name it.
    pub id: String,
    /// What it is.
    pub kind: Kind,
    /// Its address: for a NIC the one by which it is found, for others the one that they are given.
    pub mac: Option<Mac>,
    /// Its largest packet, in bytes.
    pub mtu: Option<u32>,
    /// Fixed addresses.
    pub addresses: Vec<Cidr>,
    /// Fixed routes.
    pub routes: Vec<Route>,
    /// Whether it gets an address by DHCP.
    pub dhcp4: bool,
    /// Whether it gets an address by DHCPv6 without being told so by a router.
    pub dhcp6: bool,
}

/// What a link is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A NIC, by its name or else by its address.
    Physical(Option<String>),
    /// A tagged part of another link.
    Vlan {
        /// The link below.
        parent: String,
        /// The tag, 1 to 4094.
        tag: u16,
        /// What it is called; `PARENT.TAG` if nothing is said.
        name: Option<String>,
    },
    /// Several links as one.
    Bond {
        /// Links that it is made of.
        members: Vec<String>,
        /// Names and values of the driver's options, the mode first.
        options: Vec<(String, String)>,
        /// What it is called.
        name: String,
    },
}

impl Default for Kind {
    fn default() -> Self {
        Self::Physical(None)
    }
}

/// A fixed route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// The network; a prefix of no bits is the default route.
    pub destination: Cidr,
    /// The router; none if the network is on the link itself.
    pub gateway: Option<IpAddr>,
}

/// Modes of the bonding driver.
pub(super) const BOND_MODES: &[&str] =
    &["balance-rr", "active-backup", "balance-xor", "broadcast", "802.3ad", "balance-tlb", "balance-alb"];
/// Options of the bonding driver, besides the mode, that are taken over.
pub(super) const BOND_OPTIONS: &[&str] = &[
    "miimon",
    "downdelay",
    "updelay",
    "lacp_rate",
    "xmit_hash_policy",
    "ad_select",
    "fail_over_mac",
    "primary",
    "primary_reselect",
    "arp_interval",
    "arp_ip_target",
    "arp_validate",
    "min_links",
    "num_grat_arp",
    "all_slaves_active",
];

/// True for a value of an option of the bonding driver: it is written to a file of sysfs as it is.
pub(super) fn is_bond_value(value: &str) -> bool {
    (1..=64).contains(&value.len())
        && value.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+' | ':'))
}
