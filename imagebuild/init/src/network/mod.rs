//! The network: what is wanted, what is there, and what follows from both.
//!
//! [`Network`] is a pure state machine: events of the kernel and of the DHCP clients go in, [`Action`]s come out, and
//! only the main loop carries them out. What is wanted comes from the kernel line ([`kernel`]) or from the medium that
//! Ironic writes ([`network_data`]); without either, every NIC with a carrier gets DHCP. IPv6 addresses and routes are
//! the kernel's own work, by router advertisements; a DHCPv6 client is started where these ask for it.

pub mod address;
pub mod config;
pub mod kernel;
pub mod lease;
pub mod netlink;
pub mod network_data;
mod plan;
pub mod resolver;
mod state;

pub use state::{Action, Client, Event, Network};
