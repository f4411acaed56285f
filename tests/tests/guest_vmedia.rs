//! The ramdisk on virtual media that an unmodified Ironic makes, publishes and has a BMC attach.
//!
//! Needs Ironic, sushy-tools, QEMU and the ramdisk; `cargo xtask test` has them.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipa_imagebuild::epoch;
use ipa_imagebuild::fat::{Entry, Volume};
use ipa_tests::bmc::Bmc;
use ipa_tests::ramdisk;
use ipa_tests::real_ironic::{Ironic, Node};
use ipa_vm::{Bus, Disk, Firmware, Machine, Nic};
use serde_json::{Value, json};

/// Longest time from one state to another, with a boot and several power actions of the BMC between them.
const PATIENCE: Duration = Duration::from_secs(400);
const MAC: &str = "52:54:00:5a:05:01";
/// The guest's address. DHCP would give it another.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 77);

/// The EFI partition that an operator gives to Ironic: boot loaders that read their configuration from Ironic's medium.
fn efi_partition(directory: &Path) -> PathBuf {
    let (image, config) = (directory.join("esp.img"), directory.join("grub.cfg"));
    std::fs::write(&config, "search --no-floppy --set=root --file /vmlinuz\nconfigfile /EFI/BOOT/grub.cfg\n").unwrap();
    let entry = |place: &str, source: &str| Entry { place: place.to_owned(), source: source.into() };
    let files = [
        entry("EFI/BOOT/BOOTX64.EFI", "/usr/lib/shim/shimx64.efi.signed"),
        entry("EFI/BOOT/grubx64.efi", "/usr/lib/grub/x86_64-efi-signed/gcdx64.efi.signed"),
        Entry { place: "boot/grub/grub.cfg".to_owned(), source: config },
    ];
    Volume { label: "EFI", serial: "00000001", epoch: epoch::FIRST }.write(&image, &files).unwrap();
    image
}

/// The network as an operator tells Ironic.
fn network_data() -> Value {
    json!({
        "links": [{"id": "port0", "type": "phy", "ethernet_mac_address": MAC, "mtu": 1500}],
        "networks": [{
            "id": "provisioning", "type": "ipv4", "link": "port0", "ip_address": ADDRESS.to_string(),
            "netmask": "255.255.255.0", "network_id": "provisioning",
            "routes": [{"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": ipa_vm::HOST}],
        }],
        "services": [],
    })
}

/// Token and Ironic's address, the authority to trust and the network are on the medium, and nowhere else.
#[tokio::test]
#[ignore = "needs Ironic, sushy-tools, QEMU and the ramdisk; cargo xtask test has them"]
async fn ironic_cleans_a_machine_that_boots_its_virtual_media() {
    let directory = tempfile::tempdir().unwrap();
    let ironic = Ironic::shared();
    let machine = Machine::new("vmedia", Firmware::Uefi, 512)
        .and_then(|machine| machine.disk(Disk::empty(Bus::Virtio, 8192, "VIRTIO-0001")))
        .unwrap()
        .nic(Nic::new(MAC).agent_at(ADDRESS));
    // Ironic reaches the guest by a port that is forwarded to it.
    let line = format!("console=ttyS0 ipa-advertise-host=127.0.0.1 ipa-advertise-port={}", machine.agent_port());
    let mut bmc = Bmc::of(machine).await;
    let mut driver_info = bmc.driver_info();
    for (key, value) in [
        ("deploy_kernel", ironic.offer(&ramdisk::kernel_file())),
        ("deploy_ramdisk", ironic.offer(&ramdisk::initramfs_file())),
        ("bootloader", ironic.offer(&efi_partition(directory.path()))),
        ("kernel_append_params", line),
    ] {
        driver_info[key] = value.into();
    }
    let node = Node::with_virtual_media(&driver_info, MAC).await.patient(PATIENCE);
    node.set("/network_data", network_data()).await;

    node.provision("provide", json!({})).await;
    let is_clean = |node: &Value| node["provision_state"] == "available" && node["reservation"].is_null();
    let cleaned = bmc.until(&node, "available", is_clean).await;
    assert!(cleaned["last_error"].is_null(), "{cleaned:#}");
    assert_eq!(bmc.boots(), 1);
    // It was called back by Ironic, at the address of the medium: the port that is forwarded leads nowhere else.
    assert!(cleaned["driver_internal_info"]["hardware_manager_version"].is_object(), "{cleaned:#}");
    let console = bmc.console();
    for words in [
        &["network_data.json on /dev/sr0"][..],
        &["is configured as link \"port0\"", &format!("{ADDRESS}/24"), "DHCP false"],
        &["option cafile", "/etc/ironic-python-agent.d/ironic-tls.conf"],
        &["the token that the agent was started with stays in use"],
    ] {
        let told = console.lines().any(|line| words.iter().all(|word| line.contains(word)));
        assert!(told, "no line with {words:?} in\n{console}");
    }
}
