//! Addresses as they are written on kernel lines, in JSON and by DHCP clients.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An Ethernet address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// Parses six pairs of hexadecimal digits with colons or dashes between them.
    pub fn parse(text: &str) -> Option<Self> {
        let mut mac = [0; 6];
        let mut parts = text.split([':', '-']);
        for byte in &mut mac {
            let part = parts.next().filter(|part| part.len() == 2 && part.chars().all(|c| c.is_ascii_hexdigit()))?;
            *byte = u8::from_str_radix(part, 16).ok()?;
        }
        parts.next().is_none().then_some(Self(mac))
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// An address with the length of its network's prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    /// The address, of a host or of the network.
    pub address: IpAddr,
    /// Bits of the prefix.
    pub prefix: u8,
}

impl Cidr {
    /// An address with a prefix, if it can have one of that length.
    pub fn new(address: IpAddr, prefix: u8) -> Option<Self> {
        (prefix <= bits(address)).then_some(Self { address, prefix })
    }

    /// Parses `ADDRESS/PREFIX` or `ADDRESS/MASK`; without either, all bits are the prefix.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, mask) = text.split_once('/').unwrap_or((text, ""));
        let address = address.parse().ok()?;
        let prefix = if mask.is_empty() { bits(address) } else { prefix(mask)? };
        Self::new(address, prefix)
    }

    /// True if another address is in the same network.
    pub fn holds(&self, other: IpAddr) -> bool {
        match (self.address, other) {
            (IpAddr::V4(one), IpAddr::V4(other)) => {
                let shift = 32 - u32::from(self.prefix);
                u32::from(one).checked_shr(shift) == u32::from(other).checked_shr(shift)
            }
            (IpAddr::V6(one), IpAddr::V6(other)) => {
                let shift = 128 - u32::from(self.prefix);
                u128::from(one).checked_shr(shift) == u128::from(other).checked_shr(shift)
            }
            _ => false,
        }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// The length of a prefix, written as such or as a mask.
pub fn prefix(text: &str) -> Option<u8> {
    if let Ok(length) = text.parse::<u8>() {
        return (length <= 128).then_some(length);
    }
    let (ones, all) = match text.parse().ok()? {
        IpAddr::V4(mask) => (u32::from(mask).leading_ones(), u32::from(mask).count_ones()),
        IpAddr::V6(mask) => (u128::from(mask).leading_ones(), u128::from(mask).count_ones()),
    };
    // A mask with holes is none.
    (ones == all).then(|| u8::try_from(ones).ok()).flatten()
}

/// The prefix that an IPv4 address has where nobody says so, by the old classes.
pub fn classful(address: Ipv4Addr) -> u8 {
    match address.octets()[0] {
        0..128 => 8,
        128..192 => 16,
        _ => 24,
    }
}

/// True for an address of one host that others can reach: one that an interface may have.
pub fn is_usable(address: IpAddr) -> bool {
    !address.is_unspecified()
        && !address.is_multicast()
        && !address.is_loopback()
        && address != IpAddr::V4(Ipv4Addr::BROADCAST)
}

/// True for an address that is valid on one link only.
pub fn is_link_local(address: Ipv6Addr) -> bool {
    address.segments()[0] & 0xffc0 == 0xfe80
}

/// True for a name that a network interface can have.
pub fn is_interface(name: &str) -> bool {
    (1..=15).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '@'))
}

/// True for the name of a host or a domain.
pub fn is_host(name: &str) -> bool {
    (1..=253).contains(&name.len())
        && !name.starts_with(['-', '.'])
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn macs() {
        assert_eq!(Mac::parse("52-54-00-Aa-bb-01").unwrap().to_string(), "52:54:00:aa:bb:01");
        for bad in
            ["", "52:54:00:aa:bb", "52:54:00:aa:bb:01:02", "5:54:00:aa:bb:01", "+1:54:00:aa:bb:01", "zz:54:00:aa:bb:01"]
        {
            assert_eq!(Mac::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn networks() {
        assert_eq!(Cidr::parse("192.0.2.7/255.255.255.128").unwrap().to_string(), "192.0.2.7/25");
        assert_eq!(Cidr::parse("fd00::1/ffff:ffff:ffff:ffff::").unwrap().to_string(), "fd00::1/64");
        assert_eq!(Cidr::parse("fd00::1").unwrap().prefix, 128);
        for bad in ["192.0.2.7/33", "192.0.2.7/255.0.255.0", "192.0.2/24", "/24", "fd00::1/129", "a/b", "192.0.2.7/-1"]
        {
            assert_eq!(Cidr::parse(bad), None, "{bad}");
        }
        let network = Cidr::parse("192.0.2.7/25").unwrap();
        assert!(network.holds("192.0.2.126".parse().unwrap()) && !network.holds("192.0.2.128".parse().unwrap()));
        assert!(Cidr::parse("0.0.0.0/0").unwrap().holds("192.0.2.1".parse().unwrap()));
        assert!(!network.holds("::1".parse().unwrap()));
    }

    #[test]
    fn names() {
        assert!(is_interface("enp0s31f6.100") && is_host("node-1.example"));
        for bad in ["", "-i", "a b", "sixteen-letters-x", "a/b", "..", "a\n"] {
            assert!(!is_interface(bad), "{bad}");
        }
        for bad in ["", "-h", "a b", "a\nnameserver 1", &"a".repeat(254)] {
            assert!(!is_host(bad), "{bad}");
        }
    }
}
