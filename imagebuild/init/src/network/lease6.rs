//! The lease that Debian's `dhcpcd` tells of: it runs a program as `udhcpc` does, with other names in the environment.
//!
//! `dhcpcd` gives the interface its address itself, with the lifetimes that the server set, and takes it away again. So
//! a lease matters here for its servers for names and time, and for the log.
//!
//! Where addresses come from elsewhere and a router only sends hosts to a server for the rest (stateless DHCPv6, the flag
//! O), the same client asks for that alone.

use std::net::{IpAddr, Ipv6Addr};

use super::Client;
use super::address::{Cidr, Mac, is_host, is_link_local, is_usable};
use super::lease::{Lease, MOST, Services};

/// What is passed on of the environment.
pub(super) const VARIABLES: &[&str] = &[
    ADDRESSES[0].0,
    ADDRESSES[0].1,
    ADDRESSES[1].0,
    ADDRESSES[1].1,
    ADDRESSES[2].0,
    ADDRESSES[2].1,
    NAME_SERVERS,
    DOMAINS,
    TIME_SERVERS[0],
    TIME_SERVERS[1],
    TIME_SERVERS[2],
];
/// The addresses of the one set that is asked for, and how long each is valid, in seconds.
const ADDRESSES: [(&str, &str); 3] = [
    ("new_dhcp6_ia_na1_ia_addr1", "new_dhcp6_ia_na1_ia_addr1_vltime"),
    ("new_dhcp6_ia_na1_ia_addr2", "new_dhcp6_ia_na1_ia_addr2_vltime"),
    ("new_dhcp6_ia_na1_ia_addr3", "new_dhcp6_ia_na1_ia_addr3_vltime"),
];
const NAME_SERVERS: &str = "new_dhcp6_name_servers";
const DOMAINS: &str = "new_dhcp6_domain_search";
/// Time servers: addresses and names of the option 56, and addresses of its predecessor, the option 31.
const TIME_SERVERS: [&str; 3] = ["new_dhcp6_ntp_server_addr", "new_dhcp6_ntp_server_fqdn", "new_dhcp6_sntp_servers"];
/// What the client asks for besides an address, by its names of the options.
const OPTIONS: [&str; 4] = ["dhcp6_name_servers", "dhcp6_domain_search", "dhcp6_ntp_server", "dhcp6_sntp_servers"];

/// What the client is told on its command line, for one interface: to get an address, or only [`Client::Information`].
/// `handler` is the program that it runs, and `duid` the option that [`duid`] makes.
pub fn arguments<'a>(client: Client, interface: &'a str, handler: &'a str, duid: &'a str) -> Vec<&'a str> {
    let mut words = vec!["-6", "--nobackground", "--config", "/dev/null", "--nodev"];
    // The kernel listens to routers; and asking goes on until somebody answers.
    let wanted = if client == Client::Information { "--inform6" } else { "--ia_na" };
    words.extend(["--noipv6rs", wanted, "--timeout", "0"]);
    // An address outlives its client, which is started again.
    words.extend(["--persistent", "--script", handler, duid]);
    words.extend(OPTIONS.iter().flat_map(|option| ["--option", option]));
    // It is the name of an interface, and never an option.
    words.extend(["--", interface]);
    words
}

/// What a server knows a link by: its address, as servers that are set up with MAC addresses expect, and the same at
/// every boot. What has no Ethernet address gets one by its own rules.
pub fn duid(mac: Option<Mac>) -> String {
    // A DUID of the kind "link-layer", for Ethernet.
    mac.map_or("--duid=ll".to_owned(), |mac| format!("--duid=00:03:00:01:{mac}"))
}

/// The lease in what the client passed on of a server's answer.
pub(super) fn lease<'a>(interface: &str, value: impl Fn(&str) -> Option<&'a str>) -> Result<Lease, String> {
    let usable = |(address, seconds): &(&str, &str)| {
        let address: Ipv6Addr = value(address)?.parse().ok()?;
        let seconds: Option<u32> = value(seconds).and_then(|seconds| seconds.parse().ok());
        // A server takes an address back by saying that it is valid no longer.
        let counts = is_usable(address.into()) && !is_link_local(address) && seconds != Some(0);
        counts.then_some((Cidr { address: address.into(), prefix: 128 }, seconds))
    };
    let (address, seconds) =
        ADDRESSES.iter().find_map(usable).ok_or("the lease has no IPv6 address that can be used")?;
    let services = services(interface, value);
    Ok(Lease { address, routes: Vec::new(), services, hostname: None, mtu: None, server: None, seconds })
}

/// What a server tells besides addresses.
pub(super) fn services<'a>(interface: &str, value: impl Fn(&str) -> Option<&'a str>) -> Services {
    let words = |key| value(key).unwrap_or_default().split_whitespace().take(MOST);
    let servers = words(NAME_SERVERS).filter_map(|server| server.parse::<Ipv6Addr>().ok().map(IpAddr::V6));
    let time_server = |server: &str| match server.parse::<Ipv6Addr>() {
        Ok(address) if !is_usable(address.into()) => None,
        // It can be asked only by who knows where.
        Ok(address) if is_link_local(address) => Some(format!("{address}%{interface}")),
        Ok(address) => Some(address.to_string()),
        Err(_) => is_host(server).then(|| server.to_owned()),
    };
    Services {
        dns: servers.filter(|server| is_usable(*server)).collect(),
        domains: words(DOMAINS).filter(|name| is_host(name)).map(str::to_owned).collect(),
        ntp: TIME_SERVERS.iter().flat_map(|key| words(key)).filter_map(time_server).take(MOST).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::lease::{Change, Told, decode, encode};
    use super::*;

    const ADDRESS: &str = ADDRESSES[0].0;
    const VALID: &str = ADDRESSES[0].1;

    fn told(event: &str, environment: &[(&str, &str)]) -> Result<Told, String> {
        let get = |name: &str| environment.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        decode(&encode(event, get))
    }

    fn bound(environment: &[(&str, &str)]) -> Lease {
        match told("BOUND6", environment).unwrap() {
            Told { client: Client::V6, change: Change::Bound(lease), .. } => *lease,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_lease_as_dhcpcd_tells_it() {
        let environment = [
            ("interface", "ens3"),
            (ADDRESS, "fd00:1::1b5"),
            (VALID, "600"),
            (NAME_SERVERS, "fd00:1::53 fd00:1::54"),
            (DOMAINS, "example sub.example"),
            ("ip", "10.0.2.15"),
            ("router", "10.0.2.2"),
        ];
        let lease = bound(&environment);
        assert_eq!(lease.address, Cidr::parse("fd00:1::1b5/128").unwrap());
        let Services { dns, domains, .. } = &lease.services;
        assert_eq!((dns.len(), domains.len(), lease.seconds), (2, 2, Some(600)));
        assert!(lease.routes.is_empty());
        for event in ["RENEW6", "REBIND6", "REBOOT6"] {
            let change = told(event, &environment).unwrap().change;
            assert_eq!(change, Change::Bound(Box::new(lease.clone())), "{event}");
        }
        for event in ["EXPIRE6", "STOP6"] {
            let lost = Told { interface: "ens3".to_owned(), client: Client::V6, change: Change::Lost };
            assert_eq!(told(event, &environment[..1]).unwrap(), lost, "{event}");
        }
    }

    #[test]
    fn what_is_told_without_an_address() {
        let environment = [
            ("interface", "ens3"),
            (NAME_SERVERS, "fd00:1::53"),
            (DOMAINS, "example"),
            (TIME_SERVERS[0], "fd00:1::123 fe80::1"),
            (TIME_SERVERS[1], "ntp.example -x"),
            (TIME_SERVERS[2], "ff05::101 fd00:1::124"),
        ];
        let services = Services {
            dns: vec!["fd00:1::53".parse().unwrap()],
            domains: vec!["example".to_owned()],
            ntp: ["fd00:1::123", "fe80::1%ens3", "ntp.example", "fd00:1::124"].map(str::to_owned).to_vec(),
        };
        let (interface, client) = ("ens3".to_owned(), Client::Information);
        let change = Change::Informed(services.clone());
        assert_eq!(told("INFORM6", &environment).unwrap(), Told { interface, client, change });
        let with_address = [&environment[..], &[(ADDRESS, "fd00::7")]].concat();
        assert_eq!(bound(&with_address).services, services);
    }

    #[test]
    fn an_address_that_is_taken_back_is_none() {
        let (second, _) = ADDRESSES[1];
        let lease = bound(&[("interface", "e"), (ADDRESS, "fd00::7"), (VALID, "0"), (second, "fd00::8")]);
        assert_eq!((lease.address.to_string().as_str(), lease.seconds), ("fd00::8/128", None));
        let error = told("RENEW6", &[("interface", "e"), (ADDRESS, "fd00::7"), (VALID, "0")]).unwrap_err();
        assert_eq!(error, "DHCP on e: the lease has no IPv6 address that can be used");
    }

    #[test]
    fn servers_that_lie() {
        for address in
            ["", "fd00::7/64", "::", "::1", "ff02::1", "fe80::1", "10.0.2.15", "fd00::7 fd00::8", "fd00::7\n"]
        {
            let error = told("BOUND6", &[("interface", "e"), (ADDRESS, address)]).unwrap_err();
            assert!(error.contains("no IPv6 address that can be used"), "{address:?}: {error}");
        }
        assert!(
            told("BOUND6", &[("interface", "../../x"), (ADDRESS, "fd00::7")]).unwrap_err().contains("no interface")
        );
        assert!(told("EXPLODE6", &[("interface", "e")]).unwrap_err().contains("unknown event"));
        let servers = "fd00::53 ".repeat(1000);
        let lease = bound(&[
            ("interface", "e"),
            (ADDRESS, "fd00::7"),
            (VALID, "99999999999"),
            (NAME_SERVERS, &servers),
            (DOMAINS, "x;y -z ok.example nameserver\u{1b}[2J"),
        ]);
        let Services { dns, domains, .. } = lease.services;
        assert_eq!((dns.len(), lease.seconds, domains), (MOST, None, vec!["ok.example".to_owned()]));
        let lease = bound(&[("interface", "e"), (ADDRESS, "fd00::7"), (NAME_SERVERS, ":: ff02::fb 10.0.0.1 x")]);
        assert!(lease.services.dns.is_empty());
    }

    #[test]
    fn the_client_minds_one_interface_and_addresses_only() {
        let mac = Mac::parse("52:54:00:aa:bb:01");
        assert_eq!((duid(mac).as_str(), duid(None).as_str()), ("--duid=00:03:00:01:52:54:00:aa:bb:01", "--duid=ll"));
        for (client, wanted, other) in
            [(Client::V6, "--ia_na", "--inform6"), (Client::Information, "--inform6", "--ia_na")]
        {
            let words = arguments(client, "ens3", "/run/ipa-init/dhcp-event", "--duid=ll");
            assert_eq!(words.last_chunk(), Some(&["--", "ens3"]));
            for word in ["-6", "--noipv6rs", "--persistent", "--duid=ll", wanted] {
                assert!(words.contains(&word), "{word} in {words:?}");
            }
            assert!(!words.contains(&other), "{words:?}");
        }
    }
}
