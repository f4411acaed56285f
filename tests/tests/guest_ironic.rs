//! The ramdisk in a virtual machine that an unmodified Ironic inspects and cleans, over TLS 1.3, with nothing loosened.
//!
//! As `real_ironic.rs`, but for the machine: it boots what Ironic has put up for it, with the kernel line that Ironic has
//! written, whenever Ironic switches it on. Needs Ironic, QEMU and the ramdisk; `cargo xtask test` has them.

use std::time::Duration;

use ipa_tests::artifacts;
use ipa_tests::power_button::PowerButton;
use ipa_tests::ramdisk::plugin_path;
use ipa_tests::real_ironic::{Ironic, Node};
use ipa_vm::{Archive, Bus, Disk, Firmware, Machine, Nic, Smbios};
use serde_json::json;

/// Longest time from one state to another, with a boot between them.
const PATIENCE: Duration = Duration::from_secs(400);

/// Inspection finds the machine's own disks, interfaces and strings; cleaning is another boot, and runs the step of a
/// plugin that came on a second archive.
#[tokio::test]
#[ignore = "needs Ironic, QEMU and the ramdisk; cargo xtask test has them"]
async fn ironic_inspects_and_cleans_a_machine_that_boots_the_ramdisk() {
    let node = Node::manageable().await.patient(PATIENCE);
    let machine = Machine::new("node", Firmware::Bios, 512)
        .and_then(|machine| machine.disk(Disk::empty(Bus::Virtio, 4096, "VIRTIO-0001")))
        .unwrap()
        .smbios(Smbios { serial: "NODE-0001".to_owned(), ..Smbios::default() })
        .nic(Nic::new(node.mac()))
        .nic(Nic::new("52:54:00:5a:02:02").restricted());
    let directory = tempfile::tempdir().unwrap();
    let (plugins, trust) = (directory.path().join("plugins"), directory.path().join("trust"));
    let plugin = artifacts::minimal();
    Archive::default().copy(&plugin_path(&plugin), &plugin).and_then(|archive| archive.write(&plugins)).unwrap();
    Archive::default()
        .text("etc/ironic-python-agent.d/trust.conf", "[DEFAULT]\ncafile = /etc/ipa/ironic-ca.pem\n")
        .copy("etc/ipa/ironic-ca.pem", &Ironic::shared().authority())
        .and_then(|archive| archive.write(&trust))
        .unwrap();
    let mut button = PowerButton::of(&node, machine, &[plugins, trust]).await;

    node.provision("inspect", json!({})).await;
    let inspected = button.until("manageable").await;
    assert!(inspected["inspection_finished_at"].is_string(), "{inspected:#}");
    let stored = node.part("inventory").await;
    let found = &stored["inventory"];
    assert_eq!(found["system_vendor"]["serial_number"], "NODE-0001", "{found:#}");
    assert_eq!(found["disks"][0]["size"], 4_u64 << 30, "{found:#}");
    assert_eq!(found["boot"]["current_boot_mode"], "bios");
    let ports = node.part("ports").await;
    assert_eq!(ports["ports"].as_array().map(Vec::len), Some(2), "{ports:#}");
    assert_eq!(button.boots(), 1);

    node.provision("provide", json!({})).await;
    let cleaned = button.until("available").await;
    assert!(cleaned["last_error"].is_null(), "{cleaned:#}");
    assert_eq!(cleaned["driver_internal_info"]["hardware_manager_version"]["acme"], "1.0.0", "{cleaned:#}");
    assert_eq!(button.boots(), 2);
}
