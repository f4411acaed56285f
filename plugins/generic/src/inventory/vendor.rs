//! Who made the machine and its firmware: SMBIOS, and the device tree where there is one.
//!
//! The values are those of `lshw`, which upstream shows: its rules for missing fields are followed to the letter.

use ipa_plugin_api::inventory::{SystemFirmware, SystemVendorInfo};

use super::smbios::Smbios;
use crate::root::Root;

const DEVICE_TREE: &str = "sys/firmware/devicetree/base";

/// SMBIOS structure types.
const BIOS: u8 = 0;
const SYSTEM: u8 = 1;
const CHASSIS: u8 = 3;

/// Manufacturer, product, serial number and firmware of the machine; texts are empty where nothing is known.
pub(super) fn read(root: &Root, smbios: Option<&Smbios>) -> SystemVendorInfo {
    let mut info = smbios.map(from_smbios).unwrap_or_default();
    if root.is_dir(DEVICE_TREE) {
        from_device_tree(root, &mut info);
    }
    info
}

fn from_smbios(smbios: &Smbios) -> SystemVendorInfo {
    let mut info = SystemVendorInfo::default();
    let mut firmwares = 0;
    for structure in smbios.structures() {
        match structure.kind() {
            BIOS => {
                firmwares += 1;
                info.firmware = SystemFirmware {
                    vendor: structure.string(0x04),
                    version: structure.string(0x05),
                    build_date: structure.string(0x08),
                };
            }
            SYSTEM => {
                info.manufacturer = structure.string(0x04);
                info.product_name = structure.string(0x05);
                set_serial(&mut info, structure.string(0x07));
                // SKU and family came together, with version 2.4.
                let sku = structure.string(0x19);
                if structure.length() >= 0x1b && !sku.is_empty() {
                    info.product_name = format!("{} ({sku})", info.product_name).trim().to_owned();
                }
            }
            // The chassis fills in what the system left empty. Byte 5 is the chassis type and no string number, but
            // lshw takes it for one, and a machine keeps the name it was enrolled with.
            CHASSIS => {
                if info.manufacturer.is_empty() {
                    info.manufacturer = structure.string(0x04);
                }
                if info.product_name.is_empty() {
                    info.product_name = structure.string(0x05);
                }
                if info.serial_number.is_empty() {
                    set_serial(&mut info, structure.string(0x07));
                }
            }
            _ => {}
        }
    }
    if firmwares > 1 {
        // lshw numbers the nodes then, and upstream looks for one without a number.
        info.firmware = SystemFirmware::default();
    }
    info
}

/// A serial number that is the nil UUID is none.
fn set_serial(info: &mut SystemVendorInfo, serial: String) {
    if serial != "00000000-0000-0000-0000-000000000000" {
        info.serial_number = serial;
    }
}

/// The device tree has the last word on what it names (Arm boards without UEFI, POWER).
fn from_device_tree(root: &Root, info: &mut SystemVendorInfo) {
    let property = |name: &str| {
        let text = root.text(format!("{DEVICE_TREE}/{name}")).ok()?;
        Some(text.split('\0').next().unwrap_or_default().trim().to_owned())
    };
    if let Some(model) = property("ibm,vendor-model").or_else(|| property("model")) {
        info.product_name = model;
    }
    if let Some(serial) = property("serial-number") {
        info.serial_number = serial;
    }
    if info.serial_number.is_empty()
        && let Some(serial) = property("ibm,vendor-system-id").or_else(|| property("system-id"))
    {
        info.serial_number = serial;
    }
    if let Some(vendor) = property("copyright") {
        info.manufacturer = vendor;
    }
    if property("compatible").is_some_and(|name| name.starts_with("ibm,powernv")) {
        info.manufacturer = property("vendor").unwrap_or_else(|| "IBM".to_owned());
        if let Some(name) = property("model-name") {
            info.product_name = format!("{} ({name})", info.product_name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::smbios::build::{structure, tables};
    use crate::root::fixture::Tree;

    fn system(strings: &[&str], sku: bool) -> Vec<u8> {
        let mut body = [1, 2, 3, 4].to_vec();
        body.extend([0; 17]);
        if sku {
            body.extend([5, 6]);
        }
        structure(1, 0x100, &body, strings)
    }

    fn read_tables(structures: &[Vec<u8>]) -> SystemVendorInfo {
        read(&Tree::new().root(), Some(&tables(structures)))
    }

    #[test]
    fn the_sku_follows_the_product() {
        let names = ["LabVendor", "LabServer", "1.0", "LABSN-node0", "LABSKU", "LabFamily"];
        let bios = structure(0, 0, &[1, 2, 0, 0xe8, 3, 0xff], &["LabBIOS", "1.2.3", "04/01/2014"]);
        let info = read_tables(&[bios.clone(), system(&names, true)]);
        assert_eq!(info.product_name, "LabServer (LABSKU)");
        assert_eq!((info.manufacturer.as_str(), info.serial_number.as_str()), ("LabVendor", "LABSN-node0"));
        let firmware = ["LabBIOS", "1.2.3", "04/01/2014"].map(str::to_owned);
        assert_eq!([info.firmware.vendor, info.firmware.version, info.firmware.build_date], firmware);

        // SMBIOS 2.3 has no SKU, and two firmwares are none to upstream.
        let info = read_tables(&[bios.clone(), bios, system(&names, false)]);
        assert_eq!(info.product_name, "LabServer");
        assert_eq!(info.firmware, SystemFirmware::default());
    }

    #[test]
    fn the_chassis_fills_gaps() {
        let chassis = structure(3, 0x300, &[1, 2, 0, 3, 0], &["ChassisMaker", "ChassisThing", "CH-1"]);
        let system = structure(1, 0x100, &[0, 0, 0, 1], &["00000000-0000-0000-0000-000000000000"]);
        let info = read_tables(&[system, chassis]);
        assert_eq!((info.manufacturer.as_str(), info.product_name.as_str()), ("ChassisMaker", "ChassisThing"));
        assert_eq!(info.serial_number, "CH-1");
    }

    #[test]
    fn a_device_tree_names_the_machine() {
        let tree = Tree::new();
        tree.file("sys/firmware/devicetree/base/model", b"Raspberry Pi 4 Model B Rev 1.4\0")
            .file("sys/firmware/devicetree/base/serial-number", b"10000000abcdef01\0")
            .file("sys/firmware/devicetree/base/compatible", b"raspberrypi,4-model-b\0brcm,bcm2711\0");
        let info = read(&tree.root(), None);
        assert_eq!(info.product_name, "Raspberry Pi 4 Model B Rev 1.4");
        assert_eq!(info.serial_number, "10000000abcdef01");
        assert_eq!(info.manufacturer, "");
    }

    #[test]
    fn without_tables_everything_is_empty() {
        assert_eq!(read(&Tree::new().root(), None), SystemVendorInfo::default());
    }
}
