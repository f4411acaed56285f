//! `network_data.json`: the network as Ironic writes it on a machine's virtual media, in the form that Nova gave it.
//!
//! It may come from anyone who can put a medium into the machine, so its size and its numbers are bounded, and what is
//! written to `ip` and sysfs later is only ever a parsed address, a number or a name of our own.

use std::net::IpAddr;

use serde::Deserialize;

use super::address::{Cidr, Mac, is_usable, prefix};
use super::config::{BOND_MODES, BOND_OPTIONS, Config, Kind, Link, Others, Route, is_bond_value};

/// The most that is read of it, in bytes.
pub const LIMIT: usize = 256 * 1024;
/// Most links, networks, services or routes.
const MOST: usize = 256;

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    links: Vec<JsonLink>,
    #[serde(default)]
    networks: Vec<JsonNetwork>,
    #[serde(default)]
    services: Vec<JsonService>,
}

#[derive(Deserialize)]
struct JsonLink {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    ethernet_mac_address: Option<String>,
    mtu: Option<serde_json::Number>,
    vlan_mac_address: Option<String>,
    vlan_id: Option<u16>,
    vlan_link: Option<String>,
    bond_mode: Option<String>,
    #[serde(default)]
    bond_links: Vec<String>,
    #[serde(flatten)]
    more: serde_json::Map<String, serde_json::Value>,
}

#[derive(Deserialize)]
struct JsonNetwork {
    link: String,
    #[serde(rename = "type")]
    kind: String,
    ip_address: Option<String>,
    netmask: Option<String>,
    gateway: Option<String>,
    #[serde(default)]
    routes: Vec<JsonRoute>,
    #[serde(default)]
    services: Vec<JsonService>,
    #[serde(default)]
    dns_nameservers: Vec<String>,
}

#[derive(Deserialize)]
struct JsonRoute {
    network: String,
    netmask: Option<String>,
    gateway: Option<String>,
    #[serde(default)]
    services: Vec<JsonService>,
}

#[derive(Deserialize)]
struct JsonService {
    #[serde(rename = "type")]
    kind: String,
    address: String,
}

/// Parses the document.
///
/// # Errors
/// One line that names what is wrong in it. Nothing of it is used then: half a network is worse than DHCP.
pub fn parse(json: &[u8]) -> Result<Config, String> {
    if json.len() > LIMIT {
        return Err(format!("it has more than {LIMIT} bytes"));
    }
    let document: Document = serde_json::from_slice(json).map_err(|error| error.to_string())?;
    let routes = document.networks.iter().map(|network| network.routes.len()).max().unwrap_or(0);
    if document.links.len().max(document.networks.len()).max(document.services.len()).max(routes) > MOST {
        return Err(format!("it has more than {MOST} links, networks, services or routes"));
    }
    let mut config = Config { others: Others::Automatic, ..Config::default() };
    for (number, link) in document.links.iter().enumerate() {
        let read = self::link(link, number).map_err(|why| format!("link {:?}: {why}", link.id))?;
        if config.links.iter().any(|known| known.id == read.id) {
            return Err(format!("link {:?} is there twice", link.id));
        }
        config.links.push(read);
    }
    for network in &document.networks {
        let link = config.links.iter_mut().find(|link| link.id == network.link);
        let link = link.ok_or_else(|| format!("a network is on link {:?}, which is not there", network.link))?;
        self::network(network, link).map_err(|why| format!("network on link {:?}: {why}", network.link))?;
        let routes = network.routes.iter().flat_map(|route| &route.services);
        dns(network.services.iter().chain(routes), &mut config.dns)?;
        let plain = network.dns_nameservers.iter().map(|server| (server.as_str(), "dns"));
        add_dns(plain, &mut config.dns)?;
    }
    dns(document.services.iter(), &mut config.dns)?;
    for link in &config.links {
        let below: Vec<&String> = match &link.kind {
            Kind::Physical(_) => continue,
            Kind::Vlan { parent, .. } => vec![parent],
            Kind::Bond { members, .. } => members.iter().collect(),
        };
        if let Some(missing) = below.into_iter().find(|id| !config.links.iter().any(|link| link.id == **id)) {
            return Err(format!("link {:?} is made of link {missing:?}, which is not there", link.id));
        }
    }
    if config.links.is_empty() {
        return Err("it has no links".to_owned());
    }
    Ok(config)
}

fn link(json: &JsonLink, number: usize) -> Result<Link, String> {
    let given = if json.kind == "vlan" { &json.vlan_mac_address } else { &json.ethernet_mac_address };
    let mac = given.as_deref().map(|mac| Mac::parse(mac).ok_or(format!("no MAC address: {mac:?}"))).transpose()?;
    let kind = match json.kind.as_str() {
        "vlan" => {
            let parent = json.vlan_link.clone().ok_or("vlan_link is missing")?;
            let tag = json.vlan_id.filter(|tag| (1..=4094).contains(tag)).ok_or("vlan_id is not 1 to 4094")?;
            Kind::Vlan { parent, tag, name: None }
        }
        "bond" => {
            let mode = json.bond_mode.as_deref().unwrap_or("active-backup");
            if !BOND_MODES.contains(&mode) {
                return Err(format!("no such bond_mode: {mode:?}"));
            }
            if json.bond_links.is_empty() || json.bond_links.len() > MOST {
                return Err("bond_links has none or too many".to_owned());
            }
            let mut options = vec![("mode".to_owned(), mode.to_owned())];
            // Without it the driver never notices that a member is dead.
            let miimon =
                json.more.get("bond_miimon").and_then(serde_json::Value::as_u64).filter(|time| *time <= 60_000);
            options.push(("miimon".to_owned(), miimon.unwrap_or(100).to_string()));
            for (key, value) in &json.more {
                let Some(key) = key.strip_prefix("bond_").filter(|key| *key != "miimon") else { continue };
                let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                if BOND_OPTIONS.contains(&key) && is_bond_value(&value) {
                    options.push((key.to_owned(), value));
                }
            }
            Kind::Bond { members: json.bond_links.clone(), options, name: format!("bond{number}") }
        }
        // All others are NICs of virtual machines for Nova; for Ironic they are what a port is called.
        _ if mac.is_none() => return Err("ethernet_mac_address is missing".to_owned()),
        _ => Kind::Physical(None),
    };
    let mtu = match &json.mtu {
        None => None,
        Some(number) => {
            let mtu =
                number.as_u64().and_then(|mtu| u32::try_from(mtu).ok()).filter(|mtu| (576..=65_535).contains(mtu));
            Some(mtu.ok_or(format!("mtu {number} is not between 576 and 65535"))?)
        }
    };
    Ok(Link { id: json.id.clone(), kind, mac, mtu, ..Link::default() })
}

fn network(json: &JsonNetwork, link: &mut Link) -> Result<(), String> {
    match json.kind.as_str() {
        "ipv4_dhcp" => link.dhcp4 = true,
        "ipv6_dhcp" | "ipv6_dhcpv6-stateful" => link.dhcp6 = true,
        // The kernel does it with what routers tell.
        "ipv6_slaac" | "ipv6_dhcpv6-stateless" => {}
        "ipv4" | "ipv6" => {
            let text = json.ip_address.as_deref().ok_or("ip_address is missing")?;
            let mut address =
                Cidr::parse(text).filter(|own| is_usable(own.address)).ok_or(format!("no address: {text:?}"))?;
            if let Some(mask) = &json.netmask {
                let bits = prefix(mask).ok_or(format!("no netmask: {mask:?}"))?;
                address = Cidr::new(address.address, bits).ok_or(format!("no netmask: {mask:?}"))?;
            }
            if address.address.is_ipv4() != (json.kind == "ipv4") {
                return Err(format!("{} is not of type {}", address.address, json.kind));
            }
            link.addresses.push(address);
            if let Some(gateway) = &json.gateway {
                let everything = if address.address.is_ipv4() { "0.0.0.0/0" } else { "::/0" };
                link.routes.push(route(everything, None, Some(gateway))?);
            }
        }
        other => return Err(format!("no such type: {other:?}")),
    }
    for json in &json.routes {
        link.routes.push(route(&json.network, json.netmask.as_deref(), json.gateway.as_deref())?);
    }
    Ok(())
}

fn route(network: &str, mask: Option<&str>, gateway: Option<&str>) -> Result<Route, String> {
    let wrong = || format!("no route: {network:?} mask {mask:?} gateway {gateway:?}");
    let mut destination = Cidr::parse(network).ok_or_else(wrong)?;
    if let Some(mask) = mask {
        destination = prefix(mask).and_then(|bits| Cidr::new(destination.address, bits)).ok_or_else(wrong)?;
    }
    let gateway: Option<IpAddr> = gateway.map(str::parse).transpose().map_err(|_| wrong())?;
    if gateway.is_some_and(|gateway| gateway.is_ipv4() != destination.address.is_ipv4()) {
        return Err(wrong());
    }
    Ok(Route { destination, gateway: gateway.filter(|gateway| !gateway.is_unspecified()) })
}

fn dns<'a>(services: impl Iterator<Item = &'a JsonService>, servers: &mut Vec<IpAddr>) -> Result<(), String> {
    add_dns(services.map(|service| (service.address.as_str(), service.kind.as_str())), servers)
}

fn add_dns<'a>(services: impl Iterator<Item = (&'a str, &'a str)>, servers: &mut Vec<IpAddr>) -> Result<(), String> {
    for (address, _) in services.filter(|(_, kind)| *kind == "dns") {
        let server = address.parse().map_err(|_| format!("no address of a DNS server: {address:?}"))?;
        if servers.len() < MOST && !servers.contains(&server) {
            servers.push(server);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
