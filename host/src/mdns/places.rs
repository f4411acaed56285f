//! Where Ironic may be, if nobody but the network says where it is.

use std::net::IpAddr;

/// Networks and hosts: the option `[mdns]allowed_addresses`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places(Vec<Place>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Network {
        address: IpAddr,
        prefix: u8,
    },
    /// A host, in lower case.
    Host(String),
    /// All hosts below a domain, which is in lower case and begins with a dot.
    Domain(String),
}

impl Places {
    /// Reads networks (`10.0.0.0/8`, `fe80::/10`), addresses, hosts (`ironic.example`) and domains (`.example`).
    ///
    /// # Errors
    /// An item is none of these; a sentence names it.
    pub fn parse<S: AsRef<str>>(items: &[S]) -> Result<Self, String> {
        items.iter().map(|item| Place::parse(item.as_ref().trim())).collect::<Result<_, _>>().map(Self)
    }

    /// True if one of the networks has this address.
    pub fn has_address(&self, address: IpAddr) -> bool {
        self.0.iter().any(|place| {
            matches!(place, Place::Network { address: network, prefix }
            if is_within(address.to_canonical(), *network, *prefix))
        })
    }

    /// True if this is one of the hosts: by name, or an address of one of the networks.
    pub fn has_host(&self, host: &str) -> bool {
        if let Ok(address) = host.parse() {
            return self.has_address(address);
        }
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        self.0.iter().any(|place| match place {
            Place::Network { .. } => false,
            Place::Host(name) => *name == host,
            Place::Domain(domain) => host.ends_with(domain) && host.len() > domain.len(),
        })
    }
}

impl Place {
    fn parse(item: &str) -> Result<Self, String> {
        let refused = || format!("{item:?} is no network (10.0.0.0/8), address, host or domain (.example)");
        let (address, prefix) = item.split_once('/').map_or((item, None), |(address, prefix)| (address, Some(prefix)));
        if let Ok(address) = address.parse::<IpAddr>() {
            let longest = if address.is_ipv4() { 32 } else { 128 };
            let prefix = prefix.map_or(Ok(longest), |text| text.parse().map_err(|_| refused()))?;
            return if prefix <= longest { Ok(Self::Network { address, prefix }) } else { Err(refused()) };
        }
        let harmless = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let name = item.trim_end_matches('.').to_ascii_lowercase();
        if prefix.is_some() || name.trim_matches('.').is_empty() || !name.chars().all(harmless) {
            return Err(refused());
        }
        Ok(if name.starts_with('.') { Self::Domain(name) } else { Self::Host(name) })
    }
}

fn is_within(address: IpAddr, network: IpAddr, prefix: u8) -> bool {
    let same =
        |one: u128, other: u128, bits: u32| (one ^ other).checked_shr(bits - u32::from(prefix)).unwrap_or(0) == 0;
    match (address, network) {
        (IpAddr::V4(one), IpAddr::V4(other)) => same(u32::from(one).into(), u32::from(other).into(), 32),
        (IpAddr::V6(one), IpAddr::V6(other)) => same(one.into(), other.into(), 128),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn places(items: &[&str]) -> Places {
        Places::parse(items).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn by_default_ironic_is_in_a_network_that_nobody_routes() {
        let default = Places::parse(&Config::default().mdns_allowed_addresses()).expect("valid");
        for near in ["10.1.2.3", "172.31.0.1", "192.168.0.9", "100.64.0.1", "169.254.7.7", "fd00::5", "fe80::1"] {
            assert!(default.has_host(near), "{near}");
        }
        for far in ["9.9.9.9", "172.32.0.1", "2001:db8::1", "::ffff:9.9.9.9", "127.0.0.1", "ironic.example", ""] {
            assert!(!default.has_host(far), "{far}");
        }
    }

    #[test]
    fn networks_addresses_hosts_and_domains_can_be_listed() {
        let some = places(&["192.0.2.0/25", "2001:db8::7", "Ironic.example.", ".lab.example"]);
        for (host, is) in [
            ("192.0.2.127", true),
            ("192.0.2.128", false),
            ("::ffff:192.0.2.1", true),
            ("2001:db8::7", true),
            ("2001:db8::8", false),
            ("IRONIC.example.", true),
            ("evil-ironic.example", false),
            ("a.b.lab.example", true),
            ("lab.example", false),
            (".lab.example", false),
        ] {
            assert_eq!(some.has_host(host), is, "{host}");
        }
        assert!(places(&["0.0.0.0/0"]).has_host("9.9.9.9") && places(&["::/0"]).has_host("2001:db8::1"));
        assert!(!places(&[]).has_host("10.0.0.1"));
    }

    #[test]
    fn what_is_no_place_is_named() {
        for item in ["10.0.0.0/33", "fe80::/129", "10.0.0.0/x", "a b", "", ".", "ironic/8", "http://a"] {
            let error = Places::parse(&[item]).expect_err(item);
            assert!(error.contains(&format!("{item:?}")), "{error}");
        }
    }
}
