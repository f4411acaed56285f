//! Network interfaces: which count, and what is known about one.

use std::net::IpAddr;
use std::time::Duration;

use ipa_plugin_api::error::{HwError, HwResult};
use ipa_plugin_api::inventory::NetworkInterface;

use super::network::{Address, Network};
use crate::root::Root;
use crate::tools::Tools;

const NET: &str = "sys/class/net";
const BIOSDEVNAME: &str = "biosdevname";

/// The names of the interfaces that count, in kernel order: those with a device, bonds, and VLANs by their name.
pub fn names(root: &Root) -> HwResult<Vec<String>> {
    let all = root
        .names(NET)
        .map_err(|error| HwError::command_execution(format!("Cannot list network interfaces in /{NET}: {error}")))?;
    let counts = |name: &String| {
        is_vlan(name) || root.exists(format!("{NET}/{name}/device")) || root.exists(format!("{NET}/{name}/bonding"))
    };
    Ok(all.into_iter().filter(counts).collect())
}

/// Whether the name has the form of a VLAN interface: `eth0.100`.
pub fn is_vlan(name: &str) -> bool {
    name.split_once('.').is_some_and(|(_, id)| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Describes one interface.
///
/// # Errors
/// Incompatible when it has no usable hardware address, so that the caller leaves it out.
pub fn read(
    root: &Root,
    network: &dyn Network,
    addresses: &[Address],
    tools: &dyn Tools,
    name: &str,
) -> HwResult<NetworkInterface> {
    if name.contains('/') || matches!(name, "" | "." | "..") {
        return Err(HwError::incompatible(format!("{name:?} is no name of a network interface")));
    }
    let attribute = |path: &str| root.trimmed(format!("{NET}/{name}/{path}"));
    let mac_address = mac_address(root, network, name)
        .ok_or_else(|| HwError::incompatible(format!("network interface {name} has no usable hardware address")))?;
    let first = |wanted: fn(&IpAddr) -> bool| {
        addresses.iter().find(|address| address.interface == name && wanted(&address.ip)).map(shown)
    };
    let has_device = root.exists(format!("{NET}/{name}/device"));
    Ok(NetworkInterface {
        mac_address,
        ipv4_address: first(IpAddr::is_ipv4),
        ipv6_address: first(IpAddr::is_ipv6),
        has_carrier: attribute("carrier").as_deref() == Some("1"),
        lldp: None,
        vendor: attribute("device/vendor"),
        product: attribute("device/device"),
        client_id: None,
        biosdevname: firmware_name(root, tools, name),
        // A bond or VLAN supports what its ports support, but upstream reports hardware only.
        speed_mbps: has_device.then(|| network.supported_modes(name).and_then(fastest)).flatten(),
        pci_address: root.link_name(format!("{NET}/{name}/device")),
        driver: root.link_name(format!("{NET}/{name}/device/driver")),
        name: name.to_owned(),
    })
}

/// The permanent address, else the current one.
///
/// An address that begins with `fa:` is one that a BMC made up for its in-band interface: it would enrol every machine
/// of the same make under one address.
fn mac_address(root: &Root, network: &dyn Network, name: &str) -> Option<String> {
    let permanent = network
        .permanent_address(name)
        .map(|bytes| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":"));
    let address = permanent.or_else(|| root.trimmed(format!("{NET}/{name}/address")))?;
    (!address.is_empty() && !address.to_lowercase().starts_with("fa:")).then_some(address)
}

fn shown(address: &Address) -> String {
    if address.link_scope { format!("{}%{}", address.ip, address.interface) } else { address.ip.to_string() }
}

/// Bits of the kernel's link mode list and the speed in Mbit/s that lshw gives them.
const MODES: &[(&[u32], u64)] = &[
    (&[36, 37, 38, 39], 100_000),
    (&[27, 28, 29, 30], 56_000),
    (&[23, 24, 25, 26], 40_000),
    (&[31, 32, 33], 25_000),
    (&[21, 22], 20_000),
    (&[12, 18, 19, 20, 42, 43, 44, 45, 46], 10_000),
    (&[48], 5_000),
    (&[15, 47], 2_500),
    (&[4, 5, 17, 41], 1_000),
    (&[2, 3], 100),
    (&[0, 1], 10),
];

fn fastest(supported: u64) -> Option<u64> {
    MODES.iter().find(|(bits, _)| bits.iter().any(|bit| supported >> bit & 1 == 1)).map(|(_, speed)| *speed)
}

/// What `biosdevname` says; most ramdisks do not have the tool, and on virtual machines it has no answer.
fn firmware_name(root: &Root, tools: &dyn Tools, name: &str) -> Option<String> {
    const PLACES: [&str; 4] = ["usr/sbin", "sbin", "usr/bin", "bin"];
    if is_vlan(name) || !PLACES.iter().any(|place| root.exists(format!("{place}/{BIOSDEVNAME}"))) {
        return None;
    }
    let output = tools.run(&[BIOSDEVNAME, "-i", name], Duration::from_secs(10)).ok()?;
    (output.status == 0).then(|| output.stdout.trim_end_matches('\n').to_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::io;

    use ipa_plugin_api::error::ErrorKind;

    use super::*;
    use crate::root::fixture::Tree;
    use crate::tools::fake::Table;

    #[derive(Debug, Default)]
    struct Fake {
        permanent: HashMap<&'static str, Vec<u8>>,
        modes: HashMap<&'static str, u64>,
    }

    impl Network for Fake {
        fn permanent_address(&self, interface: &str) -> Option<Vec<u8>> {
            self.permanent.get(interface).cloned()
        }

        fn supported_modes(&self, interface: &str) -> Option<u64> {
            self.modes.get(interface).copied()
        }

        fn addresses(&self) -> io::Result<Vec<Address>> {
            Ok(Vec::new())
        }
    }

    fn address(interface: &str, ip: &str) -> Address {
        let ip: IpAddr = ip.parse().unwrap();
        let link_scope = ip.to_string().starts_with("fe80");
        Address { interface: interface.to_owned(), ip, link_scope }
    }

    #[test]
    fn the_interfaces_that_count() {
        let tree = Tree::new();
        tree.link("sys/class/net/lo", "../../devices/virtual/net/lo")
            .directory("sys/class/net/eno1/device")
            .directory("sys/class/net/bond0/bonding")
            .directory("sys/class/net/docker0")
            .directory("sys/class/net/eno1.100")
            .directory("sys/class/net/eno1.x");
        let mut found = names(&tree.root()).unwrap();
        found.sort();
        assert_eq!(found, ["bond0", "eno1", "eno1.100"]);
        assert!(names(&Tree::new().root()).unwrap_err().to_string().contains("/sys/class/net"));
    }

    #[test]
    fn a_port_of_a_network_card() {
        let tree = Tree::new();
        tree.file("sys/class/net/eno1/address", "52:54:00:00:00:99\n")
            .file("sys/class/net/eno1/carrier", "1\n")
            .link("sys/class/net/eno1/device", "../../0000:3b:00.0")
            .file("sys/class/0000:3b:00.0/vendor", "0x8086\n")
            .file("sys/class/0000:3b:00.0/device", "0x1572\n")
            .link("sys/class/0000:3b:00.0/driver", "../../bus/pci/drivers/i40e");
        let network = Fake {
            permanent: [("eno1", vec![0x3c, 0xfd, 0xfe, 0xa0, 0x0b, 1])].into(),
            modes: [("eno1", 1 << 5 | 1 << 43)].into(),
        };
        let addresses = [
            address("lo", "127.0.0.1"),
            address("eno1", "10.0.0.5"),
            address("eno1", "10.0.0.6"),
            address("eno1", "fe80::3efd:feff:fea0:b01"),
        ];
        let nic = read(&tree.root(), &network, &addresses, &Table::default(), "eno1").unwrap();
        let expected: NetworkInterface = serde_json::from_str(
            r#"{"name":"eno1","mac_address":"3c:fd:fe:a0:0b:01","ipv4_address":"10.0.0.5",
            "ipv6_address":"fe80::3efd:feff:fea0:b01%eno1","has_carrier":true,"vendor":"0x8086","product":"0x1572",
            "speed_mbps":10000,"pci_address":"0000:3b:00.0","driver":"i40e"}"#,
        )
        .unwrap();
        assert_eq!(nic, expected);
    }

    #[test]
    fn an_interface_without_a_usable_address_is_left_out() {
        let tree = Tree::new();
        tree.file("sys/class/net/usb0/address", "FA:16:3e:00:00:01\n").file("sys/class/net/tun0/address", "\n");
        for name in ["usb0", "tun0", "gone0", "../net/usb0", ".."] {
            let error = read(&tree.root(), &Fake::default(), &[], &Table::default(), name).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Incompatible);
            assert!(error.details().contains(name), "{error}");
        }
        tree.file("sys/class/net/eth1/address", "52:54:00:00:00:01\n");
        let nic = read(&tree.root(), &Fake::default(), &[], &Table::default(), "eth1").unwrap();
        assert_eq!(nic.mac_address, "52:54:00:00:00:01");
        assert!(!nic.has_carrier);
        assert_eq!((nic.ipv4_address, nic.ipv6_address), (None, None));
        assert_eq!((nic.vendor, nic.product, nic.pci_address, nic.driver), (None, None, None, None));
    }

    #[test]
    fn the_firmware_name_needs_the_tool() {
        let tree = Tree::new();
        let tools = || Table::default().says("biosdevname -i eth0", "em1\n").exits("biosdevname -i eth1", 4, "");
        assert_eq!(firmware_name(&tree.root(), &tools(), "eth0"), None);
        tree.file("usr/sbin/biosdevname", "");
        assert_eq!(firmware_name(&tree.root(), &tools(), "eth0").as_deref(), Some("em1"));
        assert_eq!(firmware_name(&tree.root(), &tools(), "eth1"), None);
        let tools = tools();
        assert_eq!(firmware_name(&tree.root(), &tools, "eth0.7"), None);
        assert!(tools.asked.borrow().is_empty());
    }

    #[test]
    fn the_fastest_mode_counts() {
        assert_eq!(fastest(0), None);
        assert_eq!(fastest(0x3f), Some(1000));
        assert_eq!(fastest(1 << 5 | 1 << 31), Some(25_000));
        assert_eq!(fastest(1 << 36 | 0x3f), Some(100_000));
        assert_eq!(fastest(1 << 6 | 1 << 7), None, "autonegotiation and twisted pair are no speeds");
    }
}
