//! USB devices that are nothing else: no disk, keyboard, hub, network or sound device.
//!
//! Upstream asks lshw for nodes named `usb` of the class `generic`. lshw numbers the name when a hub has several devices
//! of any class (`usb:0`, `usb:1`), and upstream does not find those; the same devices are left out here.

use ipa_plugin_api::inventory::UsbDevice;

use crate::root::Root;

const DEVICES: &str = "sys/bus/usb/devices";

/// Lists the devices by bus and port; none if the machine has no USB.
pub(super) fn list(root: &Root) -> Vec<UsbDevice> {
    let names = root.names(DEVICES).unwrap_or_default();
    let mut devices: Vec<Place<'_>> = names.iter().filter_map(|name| Place::parse(name)).collect();
    devices.sort_by(|a, b| (a.bus, &a.ports).cmp(&(b.bus, &b.ports)));
    let alone = |device: &&Place<'_>| devices.iter().filter(|other| other.hub() == device.hub()).count() == 1;
    devices.iter().filter(alone).filter(|device| device.is_generic(root, &names)).map(|d| d.describe(root)).collect()
}

/// A device by where it is plugged in: `1-4.2` is port 2 of the hub in port 4 of bus 1.
struct Place<'a> {
    name: &'a str,
    bus: u32,
    ports: Vec<u32>,
}

impl<'a> Place<'a> {
    /// `None` for root hubs (`usb1`) and interfaces (`1-4:1.0`).
    fn parse(name: &'a str) -> Option<Self> {
        let (bus, ports) = name.split_once('-')?;
        let ports = ports.split('.').map(str::parse).collect::<Result<_, _>>().ok()?;
        Some(Self { name, bus: bus.parse().ok()?, ports })
    }

    fn hub(&self) -> (u32, &[u32]) {
        (self.bus, &self.ports[..self.ports.len() - 1])
    }

    /// Whether neither the device nor one of its interfaces has a class of its own.
    fn is_generic(&self, root: &Root, names: &[String]) -> bool {
        let plain = |path: String| {
            root.trimmed(path)
                .and_then(|class| u8::from_str_radix(&class, 16).ok())
                // Audio, communication, input, printer, storage, hub, video, wireless.
                .is_none_or(|class| !matches!(class, 0x01 | 0x02 | 0x03 | 0x07 | 0x08 | 0x09 | 0x0e | 0xe0))
        };
        let is_interface = |name: &&String| name.strip_prefix(self.name).is_some_and(|rest| rest.starts_with(':'));
        plain(format!("{DEVICES}/{}/bDeviceClass", self.name))
            && names.iter().filter(is_interface).all(|interface| {
                plain(format!("{DEVICES}/{interface}/bInterfaceClass"))
                    && !root.exists(format!("{DEVICES}/{interface}/net"))
            })
    }

    fn describe(&self, root: &Root) -> UsbDevice {
        let attribute = |name: &str| root.trimmed(format!("{DEVICES}/{}/{name}", self.name)).unwrap_or_default();
        UsbDevice {
            product: attribute("product"),
            vendor: attribute("manufacturer"),
            handle: format!("USB:{}:{}", self.bus, attribute("devnum")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::fixture::Tree;

    fn plug(tree: &Tree, name: &str, number: u32, class: &str, interface: &str) {
        let path = format!("{DEVICES}/{name}");
        tree.file(&format!("{path}/devnum"), format!("{number}\n"))
            .file(&format!("{path}/bDeviceClass"), format!("{class}\n"))
            .file(&format!("{path}/product"), format!("Thing {number}\n"))
            .file(&format!("{path}/manufacturer"), "Acme \n")
            .file(&format!("{path}:1.0/bInterfaceClass"), format!("{interface}\n"));
    }

    fn handles(tree: &Tree) -> Vec<String> {
        list(&tree.root()).into_iter().map(|device| device.handle).collect()
    }

    #[test]
    fn only_what_has_no_class_of_its_own() {
        let tree = Tree::new();
        tree.file(&format!("{DEVICES}/usb1/bDeviceClass"), "09\n");
        plug(&tree, "1-4", 2, "09", "09");
        plug(&tree, "1-4.2", 5, "00", "0b");
        plug(&tree, "2-1", 3, "00", "08");
        plug(&tree, "10-1", 4, "ff", "ff");
        plug(&tree, "3-1", 2, "ff", "ff");
        tree.directory(&format!("{DEVICES}/3-1:1.0/net/eth5"));
        assert_eq!(handles(&tree), ["USB:1:5", "USB:10:4"]);
        let expected = UsbDevice { product: "Thing 5".into(), vendor: "Acme".into(), handle: "USB:1:5".into() };
        assert_eq!(list(&tree.root())[0], expected);
    }

    #[test]
    fn devices_of_one_hub_are_not_found_by_upstream() {
        let tree = Tree::new();
        plug(&tree, "1-1", 2, "00", "0b");
        assert_eq!(handles(&tree), ["USB:1:2"]);
        plug(&tree, "1-2", 3, "00", "03");
        assert!(handles(&tree).is_empty());
    }

    #[test]
    fn a_machine_without_usb() {
        assert!(list(&Tree::new().root()).is_empty());
        assert!(Place::parse("1-").is_none() && Place::parse("1-x").is_none() && Place::parse("1-1:1.0").is_none());
    }
}
