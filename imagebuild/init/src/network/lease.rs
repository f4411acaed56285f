//! What a DHCP client tells: busybox's `udhcpc` and Debian's `dhcpcd` run a program with the lease in its environment.
//!
//! That program is this one, under the name [`HANDLER`]. It passes on what matters as one datagram to PID 1, which does
//! the rest; so there is one place that knows the state of the network.

use std::net::{IpAddr, Ipv4Addr};

use super::address::{Cidr, is_host, is_interface, is_usable, prefix};
use super::config::Route;
use super::{Client, lease6};

/// Name of the link to this program that the clients run.
pub const HANDLER: &str = "dhcp-event";
/// Socket of PID 1, beside that link.
pub const SOCKET: &str = "dhcp.socket";
/// Largest datagram, in bytes.
pub const LIMIT: usize = 16 * 1024;
/// What is passed on of the environment, besides what an IPv6 lease has.
const VARIABLES: &[&str] = &[
    "interface",
    "ip",
    "mask",
    "subnet",
    "router",
    "dns",
    "domain",
    "search",
    "hostname",
    "mtu",
    "staticroutes",
    "serverid",
    "lease",
    "ntpsrv",
];
/// Most routes, servers or domains of a lease.
pub(super) const MOST: usize = 64;
/// A lease's smallest MTU that is believed, in bytes: what every IPv4 host must take.
const LEAST_MTU: u32 = 576;

/// What a DHCP client told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The interface's name.
    pub interface: String,
    /// Which client.
    pub client: Client,
    /// What became of the lease.
    pub change: Change,
}

/// What became of a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// There is none any more.
    Lost,
    /// There is one, new or again.
    Bound(Box<Lease>),
    /// A server told this and gave no address: those come from elsewhere.
    Informed(Services),
    /// No server answered; the client goes on.
    Unanswered,
}

/// A lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The address, with the network's prefix.
    pub address: Cidr,
    /// The routes.
    pub routes: Vec<Route>,
    /// What the server told besides.
    pub services: Services,
    /// The machine's name.
    pub hostname: Option<String>,
    /// Largest packet, in bytes.
    pub mtu: Option<u32>,
    /// Who gave the lease, for the log.
    pub server: Option<IpAddr>,
    /// How long it is valid, in seconds, for the log.
    pub seconds: Option<u32>,
}

/// What a server tells that has nothing to do with its client's address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Services {
    /// Servers for names.
    pub dns: Vec<IpAddr>,
    /// Domains in which names are looked for.
    pub domains: Vec<String>,
    /// Time servers: names, or addresses with the link that they are on (`fe80::1%ens3`) where it matters.
    pub ntp: Vec<String>,
}

/// Makes the datagram of a client's event and environment.
pub fn encode<'a>(event: &str, variable: impl Fn(&str) -> Option<String> + 'a) -> Vec<u8> {
    let mut datagram = event.as_bytes().to_vec();
    for name in VARIABLES.iter().chain(lease6::VARIABLES) {
        let Some(value) = variable(name).filter(|value| !value.contains('\0')) else { continue };
        // Whole or not at all: half of an address may be another one.
        if datagram.len() + name.len() + value.len() + 2 > LIMIT {
            continue;
        }
        datagram.push(0);
        datagram.extend(name.bytes());
        datagram.push(b'=');
        datagram.extend(value.bytes());
    }
    datagram
}

/// Reads the datagram. What a server sent is in it as the client passed it on.
///
/// # Errors
/// One line that says what it lacks.
pub fn decode(datagram: &[u8]) -> Result<Told, String> {
    let text = String::from_utf8_lossy(datagram);
    let mut parts = text.split('\0');
    let event = parts.next().unwrap_or_default();
    let pairs: Vec<(&str, &str)> = parts.filter_map(|part| part.split_once('=')).collect();
    let value = |key: &str| pairs.iter().find(|(name, _)| *name == key).map(|(_, value)| *value);
    let interface = value("interface").filter(|name| is_interface(name)).ok_or("a DHCP client names no interface")?;
    let bound = |lease: Result<Lease, String>| Ok(Change::Bound(Box::new(lease?)));
    let (client, change) = match event {
        "bound" | "renew" | "informed" => (Client::V4, bound(lease(value))),
        "deconfig" => (Client::V4, Ok(Change::Lost)),
        "leasefail" | "nak" => (Client::V4, Ok(Change::Unanswered)),
        "BOUND6" | "RENEW6" | "REBIND6" | "REBOOT6" => (Client::V6, bound(lease6::lease(interface, value))),
        "INFORM6" => (Client::Information, Ok(Change::Informed(lease6::services(interface, value)))),
        "EXPIRE6" | "STOP6" => (Client::V6, Ok(Change::Lost)),
        other => return Err(format!("DHCP on {interface}: unknown event {other:?}")),
    };
    let change = change.map_err(|why: String| format!("DHCP on {interface}: {why}"))?;
    Ok(Told { interface: interface.to_owned(), client, change })
}

fn lease<'a>(value: impl Fn(&str) -> Option<&'a str>) -> Result<Lease, String> {
    let words = |key| value(key).unwrap_or_default().split_whitespace().take(MOST);
    let ip = value("ip").ok_or("the lease has no address that can be used")?;
    let ip: Ipv4Addr = ip.parse().map_err(|_| format!("the lease has the address {ip:?}"))?;
    let bits = value("mask").or_else(|| value("subnet")).map_or(Some(24), prefix);
    let address = bits.and_then(|bits| Cidr::new(ip.into(), bits));
    let address = address.filter(|own| is_usable(own.address)).ok_or("the lease has no address that can be used")?;
    let domains = words("search").chain(words("domain")).filter(|name| is_host(name)).map(str::to_owned);
    let servers = |key| words(key).filter_map(|server| server.parse().ok()).filter(|server| is_usable(*server));
    Ok(Lease {
        address,
        routes: routes(value("staticroutes").unwrap_or_default(), words("router")),
        services: Services {
            dns: servers("dns").collect(),
            domains: domains.collect(),
            ntp: servers("ntpsrv").map(|server: IpAddr| server.to_string()).collect(),
        },
        hostname: value("hostname").filter(|name| is_host(name)).map(str::to_owned),
        mtu: value("mtu").and_then(|mtu| mtu.parse().ok()).filter(|mtu| (LEAST_MTU..=65_535).contains(mtu)),
        server: value("serverid").and_then(|server| server.parse().ok()),
        seconds: value("lease").and_then(|seconds| seconds.parse().ok()),
    })
}

/// Routes of the option 121, pairs of network and router; only without them the routers of option 3 count.
fn routes<'a>(pairs: &str, routers: impl Iterator<Item = &'a str>) -> Vec<Route> {
    let words: Vec<&str> = pairs.split_whitespace().take(2 * MOST).collect();
    let (pairs, _) = words.as_chunks::<2>();
    let route = |[network, router]: &[&str; 2]| {
        let destination = Cidr::parse(network).filter(|network| network.address.is_ipv4())?;
        let gateway: Ipv4Addr = router.parse().ok()?;
        Some(Route { destination, gateway: Some(gateway.into()).filter(|_| !gateway.is_unspecified()) })
    };
    let given: Vec<Route> = pairs.iter().filter_map(route).collect();
    if !given.is_empty() {
        return given;
    }
    let routers =
        routers.filter_map(|router| router.parse::<Ipv4Addr>().ok()).map(IpAddr::V4).filter(|ip| is_usable(*ip));
    let everything = Cidr { address: Ipv4Addr::UNSPECIFIED.into(), prefix: 0 };
    routers.take(1).map(|router| Route { destination: everything, gateway: Some(router) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(event: &str, environment: &[(&str, &str)]) -> Result<Told, String> {
        let get = |name: &str| environment.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        decode(&encode(event, get))
    }

    fn bound(environment: &[(&str, &str)]) -> Lease {
        match told("bound", environment).unwrap().change {
            Change::Bound(lease) => *lease,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_lease_of_a_common_server() {
        let lease = bound(&[
            ("interface", "ens3"),
            ("ip", "10.0.2.15"),
            ("mask", "24"),
            ("router", "10.0.2.2 10.0.2.9"),
            ("dns", "10.0.2.3 nonsense 10.0.2.4"),
            ("domain", "example"),
            ("hostname", "node-1"),
            ("mtu", "1400"),
            ("serverid", "10.0.2.2"),
            ("lease", "86400"),
            ("ntpsrv", "10.0.2.4 ntp.example 224.0.1.1 10.0.2.5"),
        ]);
        assert_eq!(lease.address, Cidr::parse("10.0.2.15/24").unwrap());
        assert_eq!(lease.routes.len(), 1);
        assert_eq!(lease.routes[0].gateway, Some("10.0.2.2".parse().unwrap()));
        assert_eq!((lease.services.dns.len(), lease.mtu, lease.seconds), (2, Some(1400), Some(86_400)));
        assert_eq!(lease.services.ntp, ["10.0.2.4", "10.0.2.5"]);
        assert_eq!(lease.hostname.as_deref(), Some("node-1"));
    }

    #[test]
    fn classless_routes_replace_the_router() {
        let lease = bound(&[
            ("interface", "e"),
            ("ip", "10.0.2.15"),
            ("subnet", "255.255.255.0"),
            ("router", "10.0.2.2"),
            ("staticroutes", "10.9.0.0/16 0.0.0.0 0.0.0.0/0 10.0.2.7 bad/99 10.0.2.7 odd"),
        ]);
        let routes: Vec<String> = lease.routes.iter().map(|r| format!("{} {:?}", r.destination, r.gateway)).collect();
        assert_eq!(routes, ["10.9.0.0/16 None", "0.0.0.0/0 Some(10.0.2.7)"]);
    }

    #[test]
    fn what_does_not_fit_is_left_out_whole() {
        let long = "a".repeat(LIMIT);
        let environment = [("interface", "e"), ("ip", "10.0.2.15"), ("router", &long), ("lease", "60")];
        let get = |name: &str| environment.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        assert!(encode("bound", get).len() <= LIMIT);
        assert_eq!(bound(&environment).seconds, Some(60));
    }

    #[test]
    fn servers_that_lie() {
        for (event, environment, says) in [
            ("bound", &[("ip", "10.0.2.15")][..], "names no interface"),
            ("bound", &[("interface", "../../x"), ("ip", "10.0.2.15")], "names no interface"),
            ("bound", &[("interface", "e"), ("ip", "10.0.2")], "has the address"),
            ("bound", &[("interface", "e"), ("ip", "0.0.0.0")], "no address that can be used"),
            ("bound", &[("interface", "e"), ("ip", "224.0.0.1")], "no address that can be used"),
            ("bound", &[("interface", "e"), ("ip", "10.0.2.15"), ("mask", "99")], "no address that can be used"),
            ("bound", &[("interface", "e")], "no address that can be used"),
            ("explode", &[("interface", "e")], "unknown event"),
        ] {
            let error = told(event, environment).unwrap_err();
            assert!(error.contains(says), "{environment:?}: {error}");
        }
        let long = "a".repeat(1 << 20);
        let lease = bound(&[
            ("interface", "e"),
            ("ip", "10.0.2.15"),
            ("hostname", "a\nb"),
            ("domain", "x;y -z ok.example"),
            ("mtu", "0"),
            ("router", "255.255.255.255"),
            ("dns", "0.0.0.0 224.0.0.1"),
            ("lease", &long),
        ]);
        assert_eq!((lease.hostname, lease.mtu, lease.services.domains), (None, None, vec!["ok.example".to_owned()]));
        assert!(lease.routes.is_empty() && lease.services.dns.is_empty());
        assert!(decode(&[0xff; 100]).is_err() && decode(b"").is_err());
        assert_eq!(told("deconfig", &[("interface", "e")]).unwrap().change, Change::Lost);
        assert_eq!(told("leasefail", &[("interface", "e")]).unwrap().change, Change::Unanswered);
    }
}
