//! Reads what `ipmitool` prints about the LAN channels of a BMC.
//!
//! The formats are those of `ipmi_lanp.c` and `ipmi_lanp6.c` of ipmitool 1.8.19.

use std::net::IpAddr;

/// The IPv4 address in the output of `lan print`.
pub(super) fn ip_address(lan: &str) -> Option<&str> {
    field(lan, "IP Address")
}

/// The hardware address in the output of `lan print`.
pub(super) fn mac_address(lan: &str) -> Option<&str> {
    field(lan, "MAC Address")
}

/// The first word of the value of a line `Name   : value`.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.split_whitespace().next()).flatten()
    })
}

/// Whether a text is a hardware address that identifies something.
pub(super) fn is_real_mac(text: &str) -> bool {
    let mut parts = 0;
    let well_formed = text.split(':').all(|part| {
        parts += 1;
        part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_hexdigit())
    });
    well_formed && parts == 6 && text != "00:00:00:00:00:00"
}

/// Whether the output of `lan6 print N enables` says that the channel speaks IPv6.
pub(super) fn speaks_ipv6(enables: &str) -> bool {
    field_ending(enables, "IPv6/IPv4 Addressing Enables").is_some_and(|mode| mode == "ipv6" || mode == "both")
}

/// The last word of the value of a line `Name: value`.
fn field_ending<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.split_whitespace().last()).flatten()
    })
}

/// One numbered block of `lan6 print N dynamic_addr` or `static_addr`.
#[derive(Debug, Default, PartialEq, Eq)]
struct Block<'a> {
    /// DHCPv6, SLAAC or static.
    source: &'a str,
    /// For static ones only.
    enabled: bool,
    address: &'a str,
    status: &'a str,
}

/// The first address of `lan6 print N dynamic_addr` (or `static_addr`) that is active and set, without its prefix.
pub(super) fn active_ipv6(output: &str, dynamic: bool) -> Option<IpAddr> {
    let wanted = |block: &&Block<'_>| {
        let enabled = if dynamic { matches!(block.source, "DHCPv6" | "SLAAC") } else { block.enabled };
        enabled && block.status == "active" && !is_null(block.address)
    };
    let found = blocks(output);
    let text = found.iter().find(wanted)?.address;
    let (address, prefix) = text.split_once('/').unwrap_or((text, "128"));
    let address: IpAddr = address.parse().ok()?;
    let longest = if address.is_ipv4() { 32 } else { 128 };
    prefix.parse::<u8>().is_ok_and(|prefix| prefix <= longest).then_some(address)
}

/// `::` with or without a prefix.
fn is_null(address: &str) -> bool {
    address.split('/').next() == Some("::")
}

/// A line without indentation opens a block, the indented ones are its fields.
fn blocks(output: &str) -> Vec<Block<'_>> {
    let mut blocks: Vec<Block<'_>> = Vec::new();
    for line in output.lines().filter(|line| !line.trim().is_empty()) {
        if !line.starts_with([' ', '\t']) {
            blocks.push(Block::default());
            continue;
        }
        let (Some(block), Some((key, value))) = (blocks.last_mut(), line.split_once(':')) else { continue };
        let value = value.trim();
        match key.trim() {
            "Source/Type" => block.source = value,
            "Enabled" => block.enabled = value == "yes",
            "Address" => block.address = value,
            "Status" => block.status = value,
            _ => {}
        }
    }
    blocks
}

/// Whether the output of `lan6 print N` holds an address that reaches further than the link.
///
/// Upstream takes no output at all, as from a BMC that does not know IPv6, for an address.
pub(super) fn has_usable_ipv6(lan6: &str) -> bool {
    let mut in_address = false;
    let mut found = Vec::new();
    for line in lan6.lines() {
        if line.starts_with("IPv6 ") {
            in_address = line.starts_with("IPv6 Dynamic Address ") || line.starts_with("IPv6 Static Address ");
        } else if in_address && line.contains("Address:") {
            found.extend(line.split_whitespace().nth(1));
        }
    }
    found.is_empty() || found.iter().any(|address| !address.starts_with("::") && !address.starts_with("fe80"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAN: &str = include_str!("../../fixtures/ipmitool/lan-print");
    const LAN6: &str = include_str!("../../fixtures/ipmitool/lan6-print");
    const DYNAMIC: &str = include_str!("../../fixtures/ipmitool/lan6-dynamic-addr");
    const STATIC: &str = include_str!("../../fixtures/ipmitool/lan6-static-addr");

    #[test]
    fn ipv4_and_mac() {
        assert_eq!(ip_address(LAN), Some("192.168.10.21"));
        assert_eq!(mac_address(LAN), Some("ac:1f:6b:00:11:22"));
        assert_eq!(ip_address("IP Address Source       : DHCP Address\n"), None);
        assert_eq!(ip_address("IP Address              :\n"), None);
        assert_eq!(ip_address(""), None);
    }

    #[test]
    fn real_macs() {
        assert!(is_real_mac("AC:1f:6b:00:11:22"));
        for text in
            ["", "00:00:00:00:00:00", "ac:1f:6b:00:11", "ac:1f:6b:00:11:2", "ac:1f:6b:00:11:22:33", "g0:1f:6b:00:11:22"]
        {
            assert!(!is_real_mac(text), "{text}");
        }
    }

    #[test]
    fn addressing_modes() {
        for (mode, expected) in [("ipv4", false), ("ipv6", true), ("both", true)] {
            assert_eq!(speaks_ipv6(&format!("IPv6/IPv4 Addressing Enables: {mode}\n")), expected, "{mode}");
        }
        assert!(!speaks_ipv6(""));
    }

    #[test]
    fn the_first_active_address_wins() {
        assert_eq!(active_ipv6(DYNAMIC, true), Some("2001:db8::a00:1".parse().unwrap()));
        assert_eq!(active_ipv6(STATIC, false), Some("2001:db8:5::21".parse().unwrap()));
        let odd = "IPv6 Static Address 0:\n    Enabled: yes\n    Address: 2001:db8::1/300\n    Status: active\n";
        assert_eq!(active_ipv6(odd, false), None);
        for garbage in ["", "Address: x\n", "    Address: 2001:db8::1/64\n", "a:\n    Status\n", "\u{fffd}:\n :\n"] {
            assert_eq!(active_ipv6(garbage, true), None, "{garbage:?}");
        }
    }

    #[test]
    fn usable_addresses() {
        assert!(has_usable_ipv6(LAN6));
        let link_local =
            "IPv6 Dynamic Address 0:\n    Address:        fe80::1/64\nIPv6 Dynamic Router 0:\n    Address: 2001::1\n";
        assert!(!has_usable_ipv6(link_local));
        assert!(!has_usable_ipv6("IPv6 Static Address 0:\n    Address:        ::/0\n"));
        assert!(has_usable_ipv6(""), "as upstream");
    }
}
