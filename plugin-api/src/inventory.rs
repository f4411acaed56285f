//! The typed hardware inventory: what managers report and Ironic stores, under upstream's JSON keys.
//!
//! Writing is exact: keys, their order and their types are what Ironic and its inspection hooks read today. Reading is
//! tolerant: a manager may leave optional keys out and may add its own to the whole [`Inventory`].

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// A network interface, as `get_interface_info` answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NetworkInterface {
    /// Kernel name, for example `eno1`.
    pub name: String,
    /// Permanent hardware address in lower case, bytes split by colons. Ironic finds the node by it, so an interface
    /// without one is not reported at all.
    pub mac_address: String,
    /// First IPv4 address.
    #[serde(default)]
    pub ipv4_address: Option<String>,
    /// First IPv6 address; a link-local one ends in `%` and the interface.
    #[serde(default)]
    pub ipv6_address: Option<String>,
    /// Whether the link is up.
    #[serde(default = "yes")]
    pub has_carrier: bool,
    /// LLDP TLVs as type and value in hex; `None` unless they were collected.
    #[serde(default)]
    pub lldp: Option<Vec<(u8, String)>>,
    /// Vendor id of the device as sysfs has it, for example `0x8086`.
    #[serde(default)]
    pub vendor: Option<String>,
    /// Device id as sysfs has it, for example `0x1572`.
    #[serde(default)]
    pub product: Option<String>,
    /// DHCP client id, for InfiniBand only.
    #[serde(default)]
    pub client_id: Option<String>,
    /// The name that the firmware gives the interface.
    #[serde(default)]
    pub biosdevname: Option<String>,
    /// The fastest speed that the hardware supports, in Mbit/s.
    #[serde(default)]
    pub speed_mbps: Option<u64>,
    /// Address on its bus: `0000:3b:00.0`, or for example `virtio0`.
    #[serde(default)]
    pub pci_address: Option<String>,
    /// Kernel driver.
    #[serde(default)]
    pub driver: Option<String>,
}

fn yes() -> bool {
    true
}

/// The processors, as `get_cpus` answers.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Cpu {
    /// Marketing name.
    #[serde(default)]
    pub model_name: String,
    /// Highest frequency in MHz: a **text** with four decimals, empty when the kernel does not know it.
    #[serde(default)]
    pub frequency: String,
    /// Logical CPUs.
    #[serde(default)]
    pub count: u32,
    /// Kernel architecture, for example `x86_64`. Ironic makes it the property `cpu_arch`.
    #[serde(default)]
    pub architecture: String,
    /// Feature flags.
    #[serde(default)]
    pub flags: Vec<String>,
    /// Sockets in use.
    #[serde(default)]
    pub socket_count: Option<u32>,
}

/// A block device, as `list_block_devices` answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BlockDevice {
    /// Device node, for example `/dev/sda`.
    pub name: String,
    /// Model.
    #[serde(default)]
    pub model: Option<String>,
    /// Size in bytes.
    pub size: u64,
    /// Whether it is a spinning disk, as far as the kernel knows.
    #[serde(default)]
    pub rotational: bool,
    /// World wide name, with its extension when it has one.
    #[serde(default)]
    pub wwn: Option<String>,
    /// Serial number.
    #[serde(default)]
    pub serial: Option<String>,
    /// Vendor as sysfs has it.
    #[serde(default)]
    pub vendor: Option<String>,
    /// World wide name with the vendor's extension.
    #[serde(default)]
    pub wwn_with_extension: Option<String>,
    /// The vendor's extension alone.
    #[serde(default)]
    pub wwn_vendor_extension: Option<String>,
    /// SCSI address host:channel:target:lun.
    #[serde(default)]
    pub hctl: Option<String>,
    /// The link below `/dev/disk/by-path` that leads to it.
    #[serde(default)]
    pub by_path: Option<String>,
    /// Logical sector size in bytes.
    #[serde(default, deserialize_with = "number_or_text")]
    pub logical_sectors: Option<u64>,
    /// Physical sector size in bytes.
    #[serde(default, deserialize_with = "number_or_text")]
    pub physical_sectors: Option<u64>,
    /// Transport: `sata`, `sas`, `nvme`, `usb`, ...
    #[serde(default)]
    pub tran: Option<String>,
}

/// Sector sizes are numbers, but a manager that passes an old `lsblk` through has them as text.
fn number_or_text<'de, D: Deserializer<'de>>(source: D) -> Result<Option<u64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Number(u64),
        Text(String),
    }
    Ok(match Option::<Either>::deserialize(source)? {
        None => None,
        Some(Either::Number(number)) => Some(number),
        Some(Either::Text(text)) => Some(
            text.trim()
                .parse()
                .map_err(|_| serde::de::Error::custom(format!("sector size {text:?} is not a number of bytes")))?,
        ),
    })
}

/// The main memory, as `get_memory` answers.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Memory {
    /// What the kernel manages, in bytes.
    #[serde(default)]
    pub total: Option<u64>,
    /// What is plugged in, in MiB. Ironic makes it the property `memory_mb`.
    #[serde(default)]
    pub physical_mb: Option<u64>,
}

/// The system firmware (BIOS or UEFI).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct SystemFirmware {
    /// Who made it; empty when unknown.
    #[serde(default)]
    pub vendor: String,
    /// Its version; empty when unknown.
    #[serde(default)]
    pub version: String,
    /// Its release date as the firmware writes it, most often month/day/year; empty when unknown.
    #[serde(default)]
    pub build_date: String,
}

/// Who made the machine, as `get_system_vendor_info` answers. Texts are empty when unknown.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct SystemVendorInfo {
    /// Product, followed by the SKU in parentheses when there is one.
    #[serde(default)]
    pub product_name: String,
    /// Serial number.
    #[serde(default)]
    pub serial_number: String,
    /// Manufacturer.
    #[serde(default)]
    pub manufacturer: String,
    /// System firmware.
    #[serde(default)]
    pub firmware: SystemFirmware,
}

/// How the machine booted, as `get_boot_info` answers.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct BootInfo {
    /// `uefi` or `bios`.
    pub current_boot_mode: String,
    /// The kernel parameter `BOOTIF`, as it stands there.
    #[serde(default)]
    pub pxe_interface: Option<String>,
}

/// A USB device, as `get_usb_devices` answers.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct UsbDevice {
    /// Product.
    #[serde(default)]
    pub product: String,
    /// Vendor.
    #[serde(default)]
    pub vendor: String,
    /// Where it is plugged in, for example `USB:1:2`.
    #[serde(default)]
    pub handle: String,
}

/// The whole inventory, as `list_hardware_info` answers.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Inventory {
    /// Network interfaces in kernel order, VLANs last.
    #[serde(default)]
    pub interfaces: Vec<NetworkInterface>,
    /// Processors.
    #[serde(default)]
    pub cpu: Cpu,
    /// Disks, without partitions.
    #[serde(default)]
    pub disks: Vec<BlockDevice>,
    /// Main memory.
    #[serde(default)]
    pub memory: Memory,
    /// IPv4 address of the BMC: `0.0.0.0` if it has none, `None` without a BMC.
    #[serde(default)]
    pub bmc_address: Option<String>,
    /// IPv6 address of the BMC: `::/0` if it has none, `None` without a BMC.
    #[serde(default)]
    pub bmc_v6address: Option<String>,
    /// Who made the machine.
    #[serde(default)]
    pub system_vendor: SystemVendorInfo,
    /// How it booted.
    #[serde(default)]
    pub boot: BootInfo,
    /// Host name of the running ramdisk.
    #[serde(default)]
    pub hostname: Option<String>,
    /// Hardware address of the BMC; the key is absent when it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bmc_mac: Option<String>,
    /// Keys that a vendor's manager adds.
    #[serde(flatten)]
    pub extra: BTreeMap<String, Value>,
}

/// A certificate for the agent's API, as `generate_tls_certificate` answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TlsCertificate {
    /// The certificate in PEM.
    pub text: String,
    /// The file that holds it.
    pub path: String,
    /// The file that holds its private key.
    pub private_key_path: String,
}

/// A device on its way through `filter_device`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "device", rename_all = "lowercase")]
pub enum Device {
    /// A disk or partition.
    Block(BlockDevice),
    /// A network interface.
    Network(NetworkInterface),
    /// A USB device.
    Usb(UsbDevice),
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Recorded: ironic-python-agent 13.0.0 on Debian 12, QEMU q35 with one SATA disk, inspection callback.
    const RECORDED: &str = r#"{"interfaces":[{"name":"enp0s1","mac_address":"52:54:00:aa:bb:01","ipv4_address":"10.0.2.15","ipv6_address":null,"has_carrier":true,"lldp":null,"vendor":"0x1af4","product":"0x0001","client_id":null,"biosdevname":null,"speed_mbps":null,"pci_address":"virtio0","driver":"virtio_net"}],"cpu":{"model_name":"QEMU TCG CPU version 2.5+","frequency":"","count":2,"architecture":"x86_64","flags":["fpu","de"],"socket_count":1},"disks":[{"name":"/dev/sda","model":"LABSATA","size":2147483648,"rotational":false,"wwn":"0x5000c50012345678","serial":"SATA-0001","vendor":"ATA","wwn_with_extension":"0x5000c50012345678","wwn_vendor_extension":null,"hctl":"0:0:0:0","by_path":"/dev/disk/by-path/pci-0000:00:1f.2-ata-1.0","logical_sectors":512,"physical_sectors":512,"tran":"sata"}],"memory":{"total":3040071680,"physical_mb":3072},"bmc_address":null,"bmc_v6address":null,"system_vendor":{"product_name":"LabServer (LABSKU)","serial_number":"LABSN-node0","manufacturer":"LabVendor","firmware":{"vendor":"LabBIOS","version":"1.2.3","build_date":""}},"boot":{"current_boot_mode":"uefi","pxe_interface":"52:54:00:aa:bb:01"},"hostname":"lab-ramdisk"}"#;

    #[test]
    fn an_inventory_of_upstream_is_written_back_byte_for_byte() {
        let inventory: Inventory = serde_json::from_str(RECORDED).unwrap();
        assert!(inventory.extra.is_empty(), "{:?}", inventory.extra);
        assert_eq!(serde_json::to_string(&inventory).unwrap(), RECORDED);
    }

    #[test]
    fn the_bmc_mac_and_a_vendors_keys_come_last() {
        let mut value: Value = serde_json::from_str(RECORDED).unwrap();
        value["bmc_mac"] = json!("b8:59:9f:00:00:01");
        value["acme_rack"] = json!({"row": 3});
        let inventory: Inventory = serde_json::from_value(value.clone()).unwrap();
        assert_eq!(inventory.bmc_mac.as_deref(), Some("b8:59:9f:00:00:01"));
        assert_eq!(inventory.extra["acme_rack"], json!({"row": 3}));
        assert_eq!(serde_json::to_value(&inventory).unwrap(), value);
    }

    #[test]
    fn optional_keys_may_be_left_out() {
        let nic: NetworkInterface =
            serde_json::from_value(json!({"name": "eth0", "mac_address": "52:54:00:12:34:56"})).unwrap();
        assert!(nic.has_carrier);
        assert_eq!(nic.speed_mbps, None);
        let missing = serde_json::from_value::<NetworkInterface>(json!({"name": "eth0"})).unwrap_err();
        assert!(missing.to_string().contains("mac_address"), "{missing}");
    }

    #[test]
    fn sector_sizes_may_come_as_text() {
        let disk = |value: Value| {
            serde_json::from_value::<BlockDevice>(json!({"name": "/dev/sda", "size": 1, "logical_sectors": value}))
        };
        assert_eq!(disk(json!("4096")).unwrap().logical_sectors, Some(4096));
        assert_eq!(disk(json!(512)).unwrap().logical_sectors, Some(512));
        assert_eq!(disk(Value::Null).unwrap().logical_sectors, None);
        assert!(disk(json!("many")).unwrap_err().to_string().contains("many"));
    }

    #[test]
    fn a_device_names_its_kind() {
        let device = Device::Usb(UsbDevice { product: "Key".into(), vendor: "Acme".into(), handle: "USB:1:2".into() });
        let value = json!({"kind": "usb", "device": {"product": "Key", "vendor": "Acme", "handle": "USB:1:2"}});
        assert_eq!(serde_json::to_value(&device).unwrap(), value);
        assert_eq!(serde_json::from_value::<Device>(value).unwrap(), device);
    }
}
