//! `network_data.json`: the network as Ironic writes it on a machine's virtual media, in the form that Nova gave it.
//!
//! It may come from anyone who can put a medium into the machine, so its size and its numbers are bounded, and what is
//! written to `ip` and sysfs later is only ever a parsed address, a number or a name of our own.

use std::net::IpAddr;

use serde_json::Value;

use super::address::{Cidr, Mac, is_usable, prefix};
use super::config::{BOND_MODES, BOND_OPTIONS, Config, Kind, Link, Others, Route, is_bond_value};

/// The most that is read of it, in bytes.
pub const LIMIT: usize = 256 * 1024;
/// Most items of a list.
const MOST: usize = 256;

/// Parses the document.
///
/// # Errors
/// One line that names what is wrong in it. Nothing of it is used then: half a network is worse than DHCP.
pub fn parse(json: &[u8]) -> Result<Config, String> {
    if json.len() > LIMIT {
        return Err(format!("it has more than {LIMIT} bytes"));
    }
    // Not into types of our own: this one document is not worth their code in a program that has to be small.
    let document: Value = serde_json::from_slice(json).map_err(|error| error.to_string())?;
    let mut config = Config { others: Others::Automatic, ..Config::default() };
    for (number, json) in list(&document, "links")?.iter().enumerate() {
        let id = text(json, "id")?.ok_or(format!("link {number} has no id"))?;
        if config.links.iter().any(|known| known.id == id) {
            return Err(format!("link {id:?} is there twice"));
        }
        config.links.push(link(json, id, number).map_err(|why| format!("link {id:?}: {why}"))?);
    }
    for json in list(&document, "networks")? {
        let id = text(json, "link")?.ok_or("a network has no link")?;
        let link = config.links.iter_mut().find(|link| link.id == id);
        let link = link.ok_or_else(|| format!("a network is on link {id:?}, which is not there"))?;
        network(json, link, &mut config.dns).map_err(|why| format!("network on link {id:?}: {why}"))?;
    }
    dns(&document, &mut config.dns)?;
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

/// A list of the document; empty if it is not there, or null.
fn list<'a>(json: &'a Value, key: &str) -> Result<&'a [Value], String> {
    match json.get(key) {
        None | Some(Value::Null) if json.is_object() => Ok(&[]),
        Some(Value::Array(items)) if items.len() <= MOST => Ok(items),
        Some(Value::Array(_)) => Err(format!("{key} has more than {MOST} items")),
        _ => Err(format!("{key} is no list")),
    }
}

/// A text of the document; none if it is not there, or null.
fn text<'a>(json: &'a Value, key: &str) -> Result<Option<&'a str>, String> {
    match json.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(format!("{key} is no text, but {}", shown(other))),
    }
}

/// A number of the document within bounds; none if it is not there, or null.
fn number(json: &Value, key: &str, bounds: std::ops::RangeInclusive<u32>) -> Result<Option<u32>, String> {
    let wrong = |other| format!("{key} is not {} to {}, but {}", bounds.start(), bounds.end(), shown(other));
    match json.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(given) => {
            let number = given.as_u64().and_then(|number| u32::try_from(number).ok());
            number.filter(|number| bounds.contains(number)).map(Some).ok_or_else(|| wrong(given))
        }
    }
}

/// A value of the document for a message.
fn shown(json: &Value) -> String {
    json.to_string().chars().take(80).collect()
}

fn link(json: &Value, id: &str, order: usize) -> Result<Link, String> {
    let kind = text(json, "type")?.unwrap_or_default();
    let key = if kind == "vlan" { "vlan_mac_address" } else { "ethernet_mac_address" };
    let mac = text(json, key)?.map(|mac| Mac::parse(mac).ok_or(format!("no MAC address: {mac:?}"))).transpose()?;
    let kind = match kind {
        "vlan" => {
            let parent = text(json, "vlan_link")?.ok_or("vlan_link is missing")?.to_owned();
            let tag = number(json, "vlan_id", 1..=4094)?.and_then(|tag| u16::try_from(tag).ok());
            Kind::Vlan { parent, tag: tag.ok_or("vlan_id is missing")?, name: None }
        }
        "bond" => bond(json, order)?,
        // All others are NICs of virtual machines for Nova; for Ironic they are what a port is called.
        _ if mac.is_none() => return Err("ethernet_mac_address is missing".to_owned()),
        _ => Kind::Physical(None),
    };
    let mtu = number(json, "mtu", 576..=65_535)?;
    Ok(Link { id: id.to_owned(), kind, mac, mtu, ..Link::default() })
}

fn bond(json: &Value, order: usize) -> Result<Kind, String> {
    let mode = text(json, "bond_mode")?.unwrap_or("active-backup");
    if !BOND_MODES.contains(&mode) {
        return Err(format!("no such bond_mode: {mode:?}"));
    }
    let members = list(json, "bond_links")?.iter().map(|id| id.as_str().map(str::to_owned));
    let members: Vec<String> = members.collect::<Option<_>>().ok_or("bond_links has something that is no text")?;
    if members.is_empty() {
        return Err("bond_links is empty".to_owned());
    }
    // Without the second one the driver never notices that a member is dead.
    let miimon = number(json, "bond_miimon", 0..=60_000)?.unwrap_or(100);
    let mut options = vec![("mode".to_owned(), mode.to_owned()), ("miimon".to_owned(), miimon.to_string())];
    for (key, value) in json.as_object().into_iter().flatten() {
        let Some(key) = key.strip_prefix("bond_").filter(|key| *key != "miimon") else { continue };
        let value = value.as_str().map_or_else(|| shown(value), str::to_owned);
        if BOND_OPTIONS.contains(&key) && is_bond_value(&value) {
            options.push((key.to_owned(), value));
        }
    }
    Ok(Kind::Bond { members, options, name: format!("bond{order}") })
}

fn network(json: &Value, link: &mut Link, servers: &mut Vec<IpAddr>) -> Result<(), String> {
    let kind = text(json, "type")?.unwrap_or_default();
    match kind {
        "ipv4_dhcp" => link.dhcp4 = true,
        "ipv6_dhcp" | "ipv6_dhcpv6-stateful" => link.dhcp6 = true,
        // The kernel does it with what routers tell.
        "ipv6_slaac" | "ipv6_dhcpv6-stateless" => {}
        "ipv4" | "ipv6" => {
            let given = text(json, "ip_address")?.ok_or("ip_address is missing")?;
            let wrong = || format!("no address: {given:?}");
            let mut address = Cidr::parse(given).filter(|own| is_usable(own.address)).ok_or_else(wrong)?;
            if let Some(mask) = text(json, "netmask")? {
                let bits = prefix(mask).and_then(|bits| Cidr::new(address.address, bits));
                address = bits.ok_or(format!("no netmask: {mask:?}"))?;
            }
            if address.address.is_ipv4() != (kind == "ipv4") {
                return Err(format!("{} is not of type {kind}", address.address));
            }
            link.addresses.push(address);
            if let Some(gateway) = text(json, "gateway")? {
                let everything = if kind == "ipv4" { "0.0.0.0/0" } else { "::/0" };
                link.routes.push(route(everything, None, Some(gateway))?);
            }
        }
        other => return Err(format!("no such type: {other:?}")),
    }
    for json in list(json, "routes")? {
        let network = text(json, "network")?.ok_or("a route has no network")?;
        link.routes.push(route(network, text(json, "netmask")?, text(json, "gateway")?)?);
        dns(json, servers)?;
    }
    dns(json, servers)
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

/// Adds the servers for names among the services of a document, a network or a route.
fn dns(json: &Value, servers: &mut Vec<IpAddr>) -> Result<(), String> {
    let mut add = |address: &str| -> Result<(), String> {
        let server = address.parse().map_err(|_| format!("no address of a DNS server: {address:?}"))?;
        if servers.len() < MOST && !servers.contains(&server) {
            servers.push(server);
        }
        Ok(())
    };
    for service in list(json, "services")? {
        if text(service, "type")? == Some("dns") {
            add(text(service, "address")?.ok_or("a DNS service has no address")?)?;
        }
    }
    for server in list(json, "dns_nameservers")? {
        add(server.as_str().ok_or("dns_nameservers has something that is no text")?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
