//! The machine that most tests with an Ironic are about: two network interfaces and two disks.

use serde_json::{Value, json};

use crate::PluginDir;

/// What a lookup's query says of its interfaces.
pub const MACS: &str = "52%3A54%3A00%3A12%3A34%3A56%2C52%3A54%3A00%3A12%3A34%3A57";

/// The managers of a machine that serves plain HTTP.
pub fn plain() -> PluginDir {
    describe(PluginDir::with_acme(), &json!({})).with_config("[DEFAULT]\nenable_auto_tls = false\n")
}

/// Adds the manager that describes the machine; `more` is what else it does, by method. Its step `work` takes until its
/// deadline.
pub fn describe(plugins: PluginDir, more: &Value) -> PluginDir {
    let interfaces = json!([
        {"name": "eth0", "mac_address": "52:54:00:12:34:56", "ipv4_address": "10.0.0.5"},
        {"name": "eth1", "mac_address": "52:54:00:12:34:57", "ipv4_address": null},
    ]);
    let inventory = json!({
        "interfaces": interfaces, "cpu": {"count": 4}, "hostname": "host-1",
        "disks": [{"name": "/dev/sdb", "size": 10_u64 << 30}, {"name": "/dev/sda", "size": 8_u64 << 30}],
        "boot": {"current_boot_mode": "uefi", "pxe_interface": "01-52-54-00-12-34-56"},
    });
    let mut section = json!({
        "list_network_interfaces": {"value": interfaces},
        "list_hardware_info": {"value": inventory},
        "work": {"work": ["1", "working"]},
    });
    for (method, what) in more.as_object().into_iter().flatten() {
        section[method] = what.clone();
    }
    plugins.with_puppet("aaaa", &section)
}
