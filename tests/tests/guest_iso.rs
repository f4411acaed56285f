//! The ramdisk on an ISO image, as a BMC attaches it or somebody carries it to a machine, with plugins on media.
//!
//! Needs QEMU and the ramdisk; `cargo xtask test` has them.

use std::path::{Path, PathBuf};
use std::process::Command;

use ipa_tests::artifacts;
use ipa_tests::ramdisk::{self, Booted, TOKEN, plugin_path};
use ipa_vm::{Boot, Bus, Cd, Disk, Firmware, Machine, Nic};
use serde_json::{Value, json};
use tempfile::TempDir;

/// An image with the agent's token on its kernel line, and files.
fn image(directory: &TempDir, files: &[(&str, &Path)]) -> PathBuf {
    let image = directory.path().join("ipa.iso");
    let mut create = Command::new(artifacts::iso_image_create());
    create.arg("-k").arg(ramdisk::kernel_file()).arg("-i").arg(ramdisk::initramfs_file()).arg("-o").arg(&image);
    create.args(["-a", &format!("ipa-agent-token={TOKEN}")]);
    for (path, file) in files {
        create.args(["-f", &format!("{path}={}", file.display())]);
    }
    let output = create.output().expect("the program starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    image
}

fn machine(name: &str, firmware: Firmware) -> Machine {
    let machine = Machine::new(name, firmware, 512).and_then(|it| it.disk(Disk::empty(Bus::Virtio, 64, "VIRTIO-0001")));
    machine.unwrap().nic(Nic::new("52:54:00:5a:03:01").restricted())
}

async fn inventory(booted: &Booted) -> Value {
    let result = booted.client.run("poll.get_hardware_info", json!({})).await;
    assert_eq!(result["command_status"], "SUCCEEDED", "{result:#}");
    result["command_result"].clone()
}

/// With UEFI from a CD that has plugin and configuration on it. Once the agent runs, nobody misses the CD.
#[tokio::test]
#[ignore = "needs QEMU and the ramdisk; cargo xtask test has them"]
async fn an_image_boots_by_uefi_and_brings_plugin_and_configuration() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("site.conf");
    std::fs::write(&config, "[DEFAULT]\nlisten_port = 9999\nenable_metrics = false\n").unwrap();
    let plugin = artifacts::minimal();
    let files: [(&str, &Path); 2] =
        [("etc/ironic-python-agent.d/site.conf", &config), (&plugin_path(&plugin), &plugin)];
    let booted = Booted::start(&machine("uefi-cd", Firmware::Uefi), &Boot::Cd(image(&directory, &files)));
    booted.answers().await;
    assert_eq!(inventory(&booted).await["boot"]["current_boot_mode"], "uefi");
    assert_eq!(booted.client.get("/metrics").await.status, 404, "the configuration of the CD is not in force");
    booted.client.clean_value("acme_erase_cache").await;

    booted.guest.eject("boot").unwrap();
    booted.client.clean_value("acme_erase_cache").await;
}

/// With BIOS from a USB stick; the plugin is on virtual media that the BMC has attached as another CD.
#[tokio::test]
#[ignore = "needs QEMU and the ramdisk; cargo xtask test has them"]
async fn an_image_boots_by_bios_and_takes_a_plugin_from_virtual_media() {
    let directory = tempfile::tempdir().unwrap();
    let plugin = artifacts::minimal();
    let media = directory.path().join("media.iso");
    let cd = Cd::with_files(&media, "config-2", &[(&plugin_path(&plugin), &plugin)]).unwrap();
    let machine = machine("bios-stick", Firmware::Bios).cd(cd);
    let booted = Booted::start(&machine, &Boot::Stick(image(&directory, &[])));
    booted.answers().await;
    assert_eq!(inventory(&booted).await["boot"]["current_boot_mode"], "bios");
    booted.client.clean_value("acme_erase_cache").await;
}
