//! The native inventory: sysfs, procfs, SMBIOS, the udev database, ioctl and netlink. No tool's output is parsed but
//! `ipmitool`'s, and none but that and `biosdevname` is started.
//!
//! The values equal those that ironic-python-agent 13.0.0 reports on the same machine with util-linux 2.38 and lshw.

mod arm;
pub mod bmc;
mod cpu;
pub mod disks;
mod ethtool;
mod ifaddrs;
pub mod interfaces;
mod ipmitool;
mod memory;
pub mod network;
#[cfg(test)]
mod parity;
pub mod smbios;
mod transport;
mod udev;
mod usb;
mod vendor;

use std::sync::OnceLock;

use ipa_plugin_api::error::{ErrorKind, HwResult};
use ipa_plugin_api::inventory::{BootInfo, Cpu, Inventory, Memory, NetworkInterface, SystemVendorInfo, UsbDevice};

use self::disks::{Disk, Wanted};
use self::network::{Address, Kernel, Network};
use self::smbios::Smbios;
use crate::root::Root;
use crate::tools::Tools;

/// Collects the parts of the inventory of one machine.
///
/// Only the SMBIOS tables are remembered, because they do not change while the machine runs; all else is read anew with
/// every call.
#[derive(Debug)]
pub struct Collector {
    root: Root,
    machine: String,
    network: Box<dyn Network>,
    smbios: OnceLock<Option<Smbios>>,
}

impl Collector {
    /// For the machine this runs on.
    pub fn live() -> Self {
        let machine = rustix::system::uname().machine().to_string_lossy().into_owned();
        Self::new(Root::live(), machine, Box::new(Kernel))
    }

    /// For any tree of files: `machine` is the kernel's name of the architecture, `network` answers for its sockets.
    pub fn new(root: Root, machine: impl Into<String>, network: Box<dyn Network>) -> Self {
        Self { root, machine: machine.into(), network, smbios: OnceLock::new() }
    }

    /// The root that everything is read below.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// The firmware's tables, if there are any.
    pub fn smbios(&self) -> Option<&Smbios> {
        self.smbios.get_or_init(|| Smbios::read(&self.root)).as_ref()
    }

    /// The names of the network interfaces that count, in kernel order.
    pub fn interface_names(&self) -> HwResult<Vec<String>> {
        interfaces::names(&self.root)
    }

    /// The IP addresses of all interfaces; none if the kernel does not tell.
    pub fn addresses(&self) -> Vec<Address> {
        self.network.addresses().unwrap_or_default()
    }

    /// One network interface.
    ///
    /// # Errors
    /// Incompatible if it has no usable hardware address: the inventory leaves it out then.
    pub fn interface(&self, name: &str, tools: &dyn Tools) -> HwResult<NetworkInterface> {
        self.interface_with(name, &self.addresses(), tools)
    }

    /// Like [`Self::interface`], with [`Self::addresses`] taken once for many interfaces.
    pub fn interface_with(&self, name: &str, addresses: &[Address], tools: &dyn Tools) -> HwResult<NetworkInterface> {
        interfaces::read(&self.root, self.network.as_ref(), addresses, tools, name)
    }

    /// The processors.
    pub fn cpu(&self) -> Cpu {
        cpu::read(&self.root, &self.machine, self.smbios())
    }

    /// The main memory.
    pub fn memory(&self) -> Memory {
        memory::read(&self.root, self.smbios())
    }

    /// True while udev works on devices that have come or changed: its database does not describe them yet. Its daemon
    /// keeps a file for as long, which is all that `udevadm settle` looks at, and starting that takes longer than an
    /// inventory.
    pub fn udev_is_busy(&self) -> bool {
        self.root.exists("run/udev/queue")
    }

    /// The disks, followed by the partitions if they are wanted.
    ///
    /// # Errors
    /// `BlockDeviceError` if sysfs cannot be read.
    pub fn disks(&self, include_partitions: bool) -> HwResult<Vec<Disk>> {
        let mut found = disks::list(&self.root, Wanted::Disks)?;
        if include_partitions {
            found.extend(disks::list(&self.root, Wanted::Partitions)?);
        }
        Ok(found)
    }

    /// Manufacturer, product, serial number and firmware.
    pub fn vendor(&self) -> SystemVendorInfo {
        vendor::read(&self.root, self.smbios())
    }

    /// The USB devices that are nothing else, as upstream finds them; not a part of the inventory.
    pub fn usb_devices(&self) -> Vec<UsbDevice> {
        usb::list(&self.root)
    }

    /// How the machine booted; `bootif` is the kernel parameter `BOOTIF`.
    pub fn boot(&self, bootif: Option<&str>) -> BootInfo {
        let mode = if self.root.is_dir("sys/firmware/efi") { "uefi" } else { "bios" };
        BootInfo { current_boot_mode: mode.to_owned(), pxe_interface: bootif.map(str::to_owned) }
    }

    /// The kernel's host name.
    pub fn hostname(&self) -> Option<String> {
        self.root.trimmed("proc/sys/kernel/hostname")
    }

    /// Whether the kernel knows a BMC.
    pub fn has_ipmi_device(&self) -> bool {
        bmc::has_ipmi_device(&self.root)
    }

    /// The IPv4 address of the BMC: `None` without one, `0.0.0.0` if it has no address.
    pub fn bmc_address(&self, tools: &dyn Tools) -> Option<String> {
        self.has_ipmi_device().then(|| bmc::address(tools)).flatten()
    }

    /// The IPv6 address of the BMC: `None` without one, `::/0` if it has no address.
    pub fn bmc_v6_address(&self, tools: &dyn Tools) -> Option<String> {
        self.has_ipmi_device().then(|| bmc::v6_address(tools)).flatten()
    }

    /// The hardware address of the BMC: `None` without one.
    ///
    /// # Errors
    /// Incompatible if there is a BMC but no channel of it has an address.
    pub fn bmc_mac(&self, tools: &dyn Tools) -> HwResult<Option<String>> {
        if self.has_ipmi_device() { bmc::mac(tools) } else { Ok(None) }
    }

    /// The whole inventory as this manager alone sees it; in the agent, other managers have a say in every part.
    ///
    /// # Errors
    /// As the single parts, but for what is incompatible: that is left out.
    pub fn inventory(&self, bootif: Option<&str>, tools: &dyn Tools) -> HwResult<Inventory> {
        let addresses = self.addresses();
        let mut interfaces = Vec::new();
        for name in self.interface_names()? {
            interfaces.extend(unless_incompatible(self.interface_with(&name, &addresses, tools))?);
        }
        Ok(Inventory {
            interfaces,
            cpu: self.cpu(),
            disks: self.disks(false)?.into_iter().map(|disk| disk.device).collect(),
            memory: self.memory(),
            bmc_address: self.bmc_address(tools),
            bmc_v6address: self.bmc_v6_address(tools),
            system_vendor: self.vendor(),
            boot: self.boot(bootif),
            hostname: self.hostname(),
            bmc_mac: unless_incompatible(self.bmc_mac(tools))?.flatten(),
            extra: std::collections::BTreeMap::new(),
        })
    }
}

fn unless_incompatible<T>(result: HwResult<T>) -> HwResult<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::Incompatible => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::smbios::build::{install, structure};
    use super::*;
    use crate::root::fixture::Tree;
    use crate::tools::fake::Table;

    fn collector(tree: &Tree) -> Collector {
        Collector::new(tree.root(), "x86_64", Box::new(Kernel))
    }

    #[test]
    fn the_firmwares_directory_tells_how_the_machine_booted() {
        let tree = Tree::new();
        let boot = |bootif| collector(&tree).boot(bootif);
        assert_eq!(boot(None), BootInfo { current_boot_mode: "bios".into(), pxe_interface: None });
        tree.file("sys/firmware/efi/fw_platform_size", "64\n");
        let bootif = "01-52-54-00-12-34-56";
        assert_eq!(
            boot(Some(bootif)),
            BootInfo { current_boot_mode: "uefi".into(), pxe_interface: Some(bootif.to_owned()) }
        );
    }

    #[test]
    fn the_host_name_is_the_kernels() {
        let tree = Tree::new();
        assert_eq!(collector(&tree).hostname(), None);
        tree.file("proc/sys/kernel/hostname", "host-1\n");
        assert_eq!(collector(&tree).hostname().as_deref(), Some("host-1"));
    }

    #[test]
    fn without_an_ipmi_device_no_tool_is_started() {
        let tree = Tree::new();
        let tools = Table::default();
        let collector = collector(&tree);
        assert_eq!((collector.bmc_address(&tools), collector.bmc_v6_address(&tools)), (None, None));
        assert_eq!(collector.bmc_mac(&tools), Ok(None));
        assert!(tools.asked.borrow().is_empty());
    }

    #[test]
    fn partitions_follow_the_disks() {
        let tree = Tree::new();
        for (name, number) in [("vda", "254:0"), ("vda/vda1", "254:1"), ("vdb", "254:16")] {
            tree.file(&format!("sys/block/{name}/dev"), number).file(&format!("sys/block/{name}/size"), "8192\n");
        }
        let names = |partitions| -> Vec<String> {
            collector(&tree).disks(partitions).unwrap().into_iter().map(|disk| disk.device.name).collect()
        };
        assert_eq!(names(false), ["/dev/vda", "/dev/vdb"]);
        assert_eq!(names(true), ["/dev/vda", "/dev/vdb", "/dev/vda1"]);
    }

    #[test]
    fn the_firmwares_tables_are_read_once() {
        let tree = Tree::new();
        let collector = collector(&tree);
        install(&tree, &[structure(1, 1, &[1, 2, 0, 3], &["Acme", "Server", "SN-1"])]);
        let vendor = collector.vendor();
        assert_eq!((vendor.manufacturer.as_str(), vendor.serial_number.as_str()), ("Acme", "SN-1"));
        install(&tree, &[structure(1, 1, &[1, 2, 0, 3], &["Other", "Thing", "SN-2"])]);
        assert_eq!(collector.vendor(), vendor);
    }
}
