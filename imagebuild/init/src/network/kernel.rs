//! The network as the kernel line wants it: `ip=`, `BOOTIF=`, `nameserver=`, `vlan=` and `bond=`, as dracut reads them, and
//! the agent's own `ipa-ntp-server=`.

use std::net::IpAddr;

use super::address::{Cidr, Mac, classful, is_host, is_interface, prefix};
use super::config::{BOND_MODES, BOND_OPTIONS, Config, Kind, Link, Others, Route, is_bond_value};
use crate::kernel_line::KernelLine;

/// Most words of one kind that are looked at.
const MOST: usize = 32;

/// What the kernel line says of the network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// What is wanted.
    pub config: Config,
    /// True if the line says anything of addresses, so that no medium is asked.
    pub is_explicit: bool,
    /// The NIC that the machine booted from.
    pub boot_nic: Option<Mac>,
    /// Time servers, addresses or names.
    pub time_servers: Vec<String>,
    /// What of the line was not understood and is left out.
    pub complaints: Vec<String>,
}

/// Reads the kernel line.
pub fn read(line: &KernelLine) -> Wanted {
    let mut wanted = Wanted::default();
    for value in line.all("bond").take(MOST) {
        let bond = bond(value).map_err(|why| format!("bond={value}: {why}, the word is left out"));
        add(&mut wanted, bond);
    }
    for value in line.all("vlan").take(MOST) {
        let vlan = vlan(value).map_err(|why| format!("vlan={value}: {why}, the word is left out"));
        add(&mut wanted, vlan);
    }
    for value in line.all("ip").take(MOST) {
        match ip(value, &mut wanted.config) {
            Ok(()) => wanted.is_explicit = true,
            Err(why) => wanted.complaints.push(format!("ip={value}: {why}, the word is left out")),
        }
    }
    for value in line.all("nameserver").take(MOST) {
        match unbracketed(value).parse() {
            Ok(server) => wanted.config.dns.push(server),
            Err(_) => wanted.complaints.push(format!("nameserver={value}: no address, the word is left out")),
        }
    }
    if let Some(value) = line.value("ipa-ntp-server").filter(|value| !value.is_empty()) {
        if unbracketed(value).parse::<IpAddr>().is_ok() || is_host(value) {
            wanted.time_servers.push(unbracketed(value).to_owned());
        } else {
            wanted.complaints.push(format!("ipa-ntp-server={value}: no address and no name, the word is left out"));
        }
    }
    if let Some(value) = line.value("BOOTIF") {
        wanted.boot_nic = boot_nic(value);
        if wanted.boot_nic.is_none() {
            wanted.complaints.push(format!("BOOTIF={value}: not 01-aa-bb-cc-dd-ee-ff, the word is left out"));
        }
    }
    wanted
}

fn add(wanted: &mut Wanted, link: Result<Link, String>) {
    match link {
        Ok(link) => wanted.config.links.push(link),
        Err(complaint) => wanted.complaints.push(complaint),
    }
}

/// The address in `BOOTIF`: with the hardware type 01 before it, or as iPXE may write it, without.
fn boot_nic(value: &str) -> Option<Mac> {
    value.strip_prefix("01-").and_then(Mac::parse).or_else(|| Mac::parse(value))
}

fn vlan(value: &str) -> Result<Link, String> {
    let (name, parent) = value.split_once(':').ok_or("not NAME:PARENT")?;
    if !is_interface(name) || !is_interface(parent) {
        return Err("not the names of interfaces".to_owned());
    }
    let digits = name.len() - name.chars().rev().take_while(char::is_ascii_digit).count();
    let tag = name[digits..].parse().ok().filter(|tag| (1..=4094).contains(tag)).ok_or("no tag at the name's end")?;
    let kind = Kind::Vlan { parent: parent.to_owned(), tag, name: Some(name.to_owned()) };
    Ok(Link { id: name.to_owned(), kind, ..Link::default() })
}

/// `NAME[:MEMBERS[:OPTIONS[:MTU]]]`.
fn bond(value: &str) -> Result<Link, String> {
    let mut fields = value.split(':');
    let name = fields.next().filter(|name| is_interface(name)).ok_or("no name of an interface")?;
    let members: Vec<String> = fields.next().unwrap_or("eth0,eth1").split(',').map(str::to_owned).collect();
    if members.len() > MOST || !members.iter().all(|member| is_interface(member)) {
        return Err("its members are not names of interfaces".to_owned());
    }
    let mut options = vec![("mode".to_owned(), "balance-rr".to_owned())];
    for word in fields.next().unwrap_or_default().split(',').filter(|word| !word.is_empty()).take(MOST) {
        match word.split_once('=') {
            Some(("mode", mode)) => {
                let named = mode.parse().ok().and_then(|number: usize| BOND_MODES.get(number).copied());
                let mode = named.unwrap_or(mode);
                if !BOND_MODES.contains(&mode) {
                    return Err(format!("no such mode {mode}"));
                }
                mode.clone_into(&mut options[0].1);
            }
            Some((key, value)) if BOND_OPTIONS.contains(&key) && is_bond_value(value) => {
                options.push((key.to_owned(), value.to_owned()));
            }
            _ => return Err(format!("no such option {word}")),
        }
    }
    let mtu = fields.next().map(|mtu| mtu_of(mtu).ok_or(format!("no such MTU {mtu}"))).transpose()?;
    let kind = Kind::Bond { members, options, name: name.to_owned() };
    Ok(Link { id: name.to_owned(), kind, mtu, ..Link::default() })
}

fn mtu_of(text: &str) -> Option<u32> {
    text.parse().ok().filter(|mtu| (576..=65_535).contains(mtu))
}

fn unbracketed(text: &str) -> &str {
    text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text)
}

/// Splits at colons outside of brackets, within which IPv6 addresses stand.
fn fields(value: &str) -> Vec<&str> {
    let mut depth = 0_u32;
    let split = value.split(move |c| {
        match c {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ':' && depth == 0
    });
    split.map(unbracketed).collect()
}

/// One word `ip=`: `METHOD`, `NIC:METHOD[:MTU[:MAC]]`, or
/// `ADDRESS:[PEER]:[GATEWAY]:[MASK]:[HOSTNAME]:[NIC]:[METHOD][:MTU[:MAC]]`, also with `:DNS[:DNS]` at the end.
fn ip(value: &str, config: &mut Config) -> Result<(), String> {
    let (value, mac) = match value.len().checked_sub(18).and_then(|at| value.split_at_checked(at)) {
        // An Ethernet address has colons as well.
        Some((before, end)) if end.starts_with(':') && Mac::parse(&end[1..]).is_some() => {
            (before, Mac::parse(&end[1..]))
        }
        _ => (value, None),
    };
    let fields = fields(value);
    let field = |n: usize| fields.get(n).copied().filter(|field| !field.is_empty());
    let mut link = Link::default();
    let (nic, method, rest) = match fields.len() {
        1 => (None, field(0), 1),
        2..=4 => (field(0), field(1), 2),
        5..=9 => {
            if let Some(address) = field(0) {
                fixed(address, field(2), field(3), &mut link)?;
            }
            if let Some(name) = field(4) {
                config.hostname =
                    Some(Some(name).filter(|name| is_host(name)).ok_or("not the name of a host")?.to_owned());
            }
            (field(5), field(6), 7)
        }
        _ => return Err("too many fields".to_owned()),
    };
    if let Some(nic) = nic
        && !is_interface(nic)
    {
        return Err(format!("{nic} is not the name of an interface"));
    }
    match method.unwrap_or(if link.addresses.is_empty() { "any" } else { "none" }) {
        "none" | "off" | "static" => {}
        "dhcp" | "on" | "any" | "single-dhcp" | "both" | "either6" => link.dhcp4 = true,
        "dhcp6" => link.dhcp6 = true,
        // These are what the kernel does with every link that is up.
        "auto6" | "link6" | "link-local" => {}
        "ibft" => return Err("iBFT is not supported; give the address on the kernel line".to_owned()),
        other => return Err(format!("no such method {other}")),
    }
    match (field(rest), field(rest + 1)) {
        (Some(first), second) if first.parse::<IpAddr>().is_ok() => {
            config
                .dns
                .extend([Some(first), second].into_iter().flatten().filter_map(|server| server.parse::<IpAddr>().ok()));
        }
        (mtu, None) => link.mtu = mtu.map(|mtu| mtu_of(mtu).ok_or(format!("no such MTU {mtu}"))).transpose()?,
        (_, Some(mac)) => return Err(format!("no MAC address {mac}")),
    }
    // To dracut the address is one to set; here it finds a NIC whose name is not known.
    link.mac = mac;
    if nic.is_none() && link.mac.is_none() {
        // Every NIC, or none.
        if !link.addresses.is_empty() {
            return Err("a fixed address needs the name of its NIC in the sixth field".to_owned());
        }
        if !link.dhcp4 && !link.dhcp6 && matches!(method, Some("off" | "none" | "static")) {
            config.others = Others::Leave;
        }
        return Ok(());
    }
    config.others = Others::Leave;
    let name = nic.unwrap_or_default();
    match config.links.iter_mut().find(|known| nic.is_some() && known.id == name) {
        // A bond, a VLAN, or one address more.
        Some(known) => {
            known.addresses.extend(link.addresses);
            known.routes.extend(link.routes);
            known.dhcp4 |= link.dhcp4;
            known.dhcp6 |= link.dhcp6;
            known.mtu = link.mtu.or(known.mtu);
        }
        None => {
            name.clone_into(&mut link.id);
            link.kind = Kind::Physical(nic.map(str::to_owned));
            config.links.push(link);
        }
    }
    Ok(())
}

fn fixed(address: &str, gateway: Option<&str>, mask: Option<&str>, link: &mut Link) -> Result<(), String> {
    let (host, length) = address.split_once('/').map_or((address, None), |(host, length)| (host, Some(length)));
    let host: IpAddr = unbracketed(host).parse().map_err(|_| format!("no address {address}"))?;
    let bits = match (mask.or(length), host) {
        (Some(mask), _) => prefix(mask).ok_or(format!("no mask {mask}"))?,
        (None, IpAddr::V4(host)) => classful(host),
        (None, IpAddr::V6(_)) => 64,
    };
    let own = Cidr::new(host, bits).ok_or(format!("a prefix of {bits} bits is too long"))?;
    link.addresses.push(own);
    if let Some(gateway) = gateway {
        let gateway: IpAddr = gateway.parse().map_err(|_| format!("no gateway {gateway}"))?;
        let everything = if host.is_ipv4() { "0.0.0.0/0" } else { "::/0" };
        let destination = Cidr::parse(everything).ok_or("no default route")?;
        link.routes.push(Route { destination, gateway: Some(gateway) });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
