//! The commands that make a link what it should be. Nothing here knows what is there; `ip` says when something is.

use std::net::IpAddr;

use super::address::{Cidr, Mac};
use super::config::{Link, Route};
use super::lease::Lease;
use super::state::Action;

/// An `ip` command of these words.
pub(super) fn ip(words: &[&str]) -> Action {
    Action::Ip(words.iter().map(|word| (*word).to_owned()).collect())
}

pub(super) fn up(name: &str) -> Action {
    ip(&["link", "set", name, "up"])
}

/// Fixed MTU, addresses and routes of a link.
pub(super) fn fixed(name: &str, metric: u32, link: &Link) -> Vec<Action> {
    let mut actions = Vec::new();
    if let Some(mtu) = link.mtu {
        actions.push(self::mtu(name, mtu));
    }
    actions.push(up(name));
    actions.extend(link.addresses.iter().map(|address| self::address(name, address)));
    for route in &link.routes {
        actions.extend(self::route(name, metric, &link.addresses, route));
    }
    actions
}

/// What a lease changes on a link that had another one, or none, before.
pub(super) fn lease(name: &str, metric: u32, old: Option<&Lease>, new: &Lease) -> Vec<Action> {
    let mut actions = Vec::new();
    if let Some(old) = old.filter(|old| old.address != new.address) {
        actions.push(without(name, &old.address));
    }
    if let Some(mtu) = new.mtu {
        actions.push(self::mtu(name, mtu));
    }
    actions.push(address(name, &new.address));
    for route in &new.routes {
        actions.extend(self::route(name, metric, &[new.address], route));
    }
    actions
}

pub(super) fn without(name: &str, address: &Cidr) -> Action {
    ip(&["addr", "del", &address.to_string(), "dev", name])
}

fn mtu(name: &str, mtu: u32) -> Action {
    ip(&["link", "set", name, "mtu", &mtu.to_string()])
}

fn address(name: &str, address: &Cidr) -> Action {
    ip(&["addr", "replace", &address.to_string(), "dev", name])
}

fn route(name: &str, metric: u32, own: &[Cidr], route: &Route) -> Vec<Action> {
    let (network, metric) = (route.destination.to_string(), metric.to_string());
    let Some(gateway) = route.gateway else {
        return vec![ip(&["route", "replace", &network, "dev", name, "metric", &metric])];
    };
    let mut actions = Vec::new();
    let is_near = own.iter().any(|own| own.holds(gateway)) || is_link_local(gateway);
    if !is_near {
        // A router outside of the network, as some clouds have it: it is on the link all the same.
        actions.push(ip(&["route", "replace", &gateway.to_string(), "dev", name, "metric", &metric]));
    }
    actions.push(ip(&["route", "replace", &network, "via", &gateway.to_string(), "dev", name, "metric", &metric]));
    actions
}

fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if super::address::is_link_local(address))
}

/// A tagged part of another link.
pub(super) fn vlan(name: &str, parent: &str, tag: u16, mac: Option<Mac>) -> Vec<Action> {
    let tag = tag.to_string();
    let mut actions = vec![up(parent), ip(&["link", "add", "link", parent, "name", name, "type", "vlan", "id", &tag])];
    actions.extend(mac.map(|mac| ip(&["link", "set", name, "address", &mac.to_string()])));
    actions
}

/// A bond without members.
pub(super) fn bond(name: &str, options: &[(String, String)], mac: Option<Mac>) -> Vec<Action> {
    let mut actions = vec![ip(&["link", "add", name, "type", "bond"])];
    // The mode can only be set while there is no member, and others only once the mode is known.
    actions.extend(options.iter().map(|(key, value)| write(name, key, value.clone())));
    actions.extend(mac.map(|mac| ip(&["link", "set", name, "address", &mac.to_string()])));
    actions
}

/// Makes a NIC a member of a bond.
pub(super) fn enslave(name: &str, bond: &str) -> Vec<Action> {
    vec![ip(&["link", "set", name, "down"]), write(bond, "slaves", format!("+{name}")), up(bond)]
}

fn write(bond: &str, key: &str, value: String) -> Action {
    Action::Write { path: format!("/sys/class/net/{bond}/bonding/{key}"), value }
}
