//! Finds the devices in sysfs.
//!
//! sysfs is read below a directory that the caller names, so that tests can use one of their own.

use std::fs;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use ipa_plugin_api::prelude::*;

use crate::firmware::Version;

/// PCI vendor of the device.
const VENDOR: &str = "0xe1e1";
/// PCI device number of model 1234.
const MODEL_1234: &str = "0x1234";
/// A sysfs attribute is a page at most.
const ATTRIBUTE_LIMIT: u64 = 4096;

/// One device of model 1234.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its PCI address, for example `0000:3b:00.0`.
    pub address: String,
    path: PathBuf,
}

impl Device {
    /// The firmware that it runs, from the driver's attribute `firmware_version`.
    pub fn firmware_version(&self) -> HwResult<Version> {
        let path = self.path.join("firmware_version");
        let text = attribute(&path)
            .map_err(|error| HwError::cleaning(format!("{}: cannot read {}: {error}", self.address, path.display())))?;
        text.parse().map_err(|error| HwError::cleaning(format!("{}: {}: {error}", self.address, path.display())))
    }
}

/// All devices of model 1234, in the order of their addresses. A machine without a PCI bus has none.
pub fn find(sysfs: &Path) -> HwResult<Vec<Device>> {
    let bus = sysfs.join("bus/pci/devices");
    let entries = match fs::read_dir(&bus) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(HwError::other("OSError", format!("cannot list {}: {error}", bus.display()))),
    };
    let mut devices = Vec::new();
    for entry in entries {
        let path = entry?.path();
        // A device that is pulled out while we look has no attributes any more: it is none of ours.
        let is = |name: &str, value: &str| attribute(&path.join(name)).is_ok_and(|text| text == value);
        if is("vendor", VENDOR) && is("device", MODEL_1234) {
            let address = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            devices.push(Device { address, path });
        }
    }
    devices.sort_by(|left, right| left.address.cmp(&right.address));
    Ok(devices)
}

fn attribute(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    fs::File::open(path)?.take(ATTRIBUTE_LIMIT).read_to_string(&mut text)?;
    Ok(text.trim().to_owned())
}
