//! What the firmware says about the machine.

use crate::arguments::{Arguments, listed};

/// The strings of the SMBIOS tables that inventories are made of.
#[derive(Debug, Clone)]
pub struct Smbios {
    /// Who made the machine.
    pub manufacturer: String,
    /// What it is called.
    pub product: String,
    /// The machine's serial number.
    pub serial: String,
    /// The machine's UUID.
    pub uuid: Option<String>,
    /// Who made the firmware.
    pub firmware_vendor: String,
    /// The firmware's version.
    pub firmware_version: String,
    /// What the owner stuck on the case.
    pub asset_tag: String,
}

impl Default for Smbios {
    fn default() -> Self {
        Self {
            manufacturer: "Acme, Inc.".to_owned(),
            product: "Anvil 1000".to_owned(),
            serial: "ACME-0001".to_owned(),
            uuid: None,
            firmware_vendor: "Acme Firmware".to_owned(),
            firmware_version: "1.2.3".to_owned(),
            asset_tag: "SHELF-7".to_owned(),
        }
    }
}

impl Smbios {
    pub(crate) fn add_to(&self, arguments: &mut Arguments) {
        let (manufacturer, serial) = (listed(&self.manufacturer), listed(&self.serial));
        let firmware = (listed(&self.firmware_vendor), listed(&self.firmware_version));
        arguments.option("-smbios", format!("type=0,vendor={},version={}", firmware.0, firmware.1));
        let product = listed(&self.product);
        let mut system = format!("type=1,manufacturer={manufacturer},product={product},serial={serial}");
        if let Some(uuid) = &self.uuid {
            system.push_str(&format!(",uuid={}", listed(uuid)));
        }
        arguments.option("-smbios", system);
        let asset = listed(&self.asset_tag);
        arguments.option("-smbios", format!("type=3,manufacturer={manufacturer},serial={serial},asset={asset}"));
    }
}
