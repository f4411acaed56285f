//! QEMU's command line.

use std::path::Path;

use serde_json::Value;

/// Arguments in the making.
#[derive(Debug, Default)]
pub(crate) struct Arguments(pub(crate) Vec<String>);

impl Arguments {
    /// An option without a value.
    pub(crate) fn flag(&mut self, name: &str) {
        self.0.push(name.to_owned());
    }

    /// An option with a value.
    pub(crate) fn option(&mut self, name: &str, value: impl Into<String>) {
        self.0.extend([name.to_owned(), value.into()]);
    }

    /// A device.
    pub(crate) fn device(&mut self, device: &Value) {
        self.option("-device", device.to_string());
    }

    /// A PCI Express slot of its own, so that what is in it can be pulled; gives the bus.
    pub(crate) fn slot(&mut self, id: &str) -> String {
        let slot = format!("slot-{id}");
        let chassis = self.0.iter().filter(|argument| argument.contains("pcie-root-port")).count() + 1;
        self.device(&serde_json::json!({"driver": "pcie-root-port", "id": slot, "chassis": chassis}));
        slot
    }

    /// A node of the block layer.
    pub(crate) fn block(&mut self, node: &Value) {
        self.option("-blockdev", node.to_string());
    }
}

/// A value inside a list that commas divide.
pub(crate) fn listed(value: &str) -> String {
    value.replace(',', ",,")
}

/// A path inside such a list.
pub(crate) fn listed_path(path: &Path) -> String {
    listed(&path.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slot_has_a_chassis_of_its_own() {
        let mut arguments = Arguments::default();
        assert_eq!(arguments.slot("disk0"), "slot-disk0");
        arguments.slot("disk1");
        assert_eq!(arguments.0[3], r#"{"driver":"pcie-root-port","id":"slot-disk1","chassis":2}"#);
    }

    #[test]
    fn commas_do_not_divide_a_value() {
        assert_eq!(listed("Acme, Inc."), "Acme,, Inc.");
    }
}
