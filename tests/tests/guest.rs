//! The ramdisk as a machine boots it: a kernel that the firmware is handed, with BIOS, in little memory.
//!
//! `cargo xtask test` builds the ramdisk and names its directory in `IPA_RAMDISK`. Needs QEMU; a boot takes a minute
//! where it has to execute every instruction itself.

use std::time::{Duration, Instant};

use ipa_tests::artifacts;
use ipa_tests::ramdisk::{self, Booted, TOKEN, plugin_path};
use ipa_vm::{Archive, Boot, Bus, Disk, Firmware, Machine, Nic};
use serde_json::{Value, json};

/// Longest time until the guest has noticed that something was pulled: PCI Express waits for seconds by itself.
const NOTICED: Duration = Duration::from_secs(60);

/// A machine with a disk of every kind and two interfaces.
fn machine() -> Machine {
    let disks = [
        Disk::empty(Bus::Virtio, 1024, "VIRTIO-0001"),
        Disk::empty(Bus::Nvme, 512, "NVME-0001"),
        Disk::empty(Bus::Sata, 2048, "SATA-0001").wwn(0x5000_c500_1234_5678).rotational(),
        Disk::empty(Bus::Scsi, 256, "SCSI-0001").wwn(0x5000_c500_8765_4321),
    ];
    let machine = Machine::new("small", Firmware::Bios, 256).unwrap();
    let machine = disks.into_iter().try_fold(machine, Machine::disk).unwrap();
    let machine = machine.second_console().clock("2001-01-01T00:00:00");
    machine.nic(Nic::new("52:54:00:5a:00:01").restricted()).nic(Nic::new("52:54:00:5a:00:02").restricted())
}

async fn inventory(booted: &Booted) -> Value {
    let result = booted.client.run("poll.get_hardware_info", json!({})).await;
    assert_eq!(result["command_status"], "SUCCEEDED", "{result:#}");
    result["command_result"].clone()
}

/// The disk of this serial number, as soon as an inventory has it.
async fn appears(booted: &Booted, serial: &str) -> Value {
    let end = Instant::now() + NOTICED;
    loop {
        let found = inventory(booted).await;
        if let Some(disk) = entry(&found["disks"], "serial", serial) {
            return disk.clone();
        }
        assert!(Instant::now() < end, "no {serial} in {:#}", found["disks"]);
    }
}

/// The entry of a list that has this value under this key.
fn entry<'a>(list: &'a Value, key: &str, value: &str) -> Option<&'a Value> {
    list.as_array().expect("a list").iter().find(|entry| entry[key] == value)
}

fn disk<'a>(inventory: &'a Value, serial: &str) -> &'a Value {
    entry(&inventory["disks"], "serial", serial).unwrap_or_else(|| panic!("no {serial} in {:#}", inventory["disks"]))
}

/// A machine of 256 MiB with a vendor's plugin on a second archive: its inventory is the hardware's, the plugin's step
/// runs, and neither a pulled disk nor a pulled cable nor a broken disk ends the agent. It powers the machine off when
/// Ironic would have it do so.
#[tokio::test]
#[ignore = "needs QEMU and the ramdisk; cargo xtask test has them"]
async fn a_small_machine_serves_a_vendors_plugin_and_outlives_its_hardware() {
    let directory = tempfile::tempdir().unwrap();
    let segment = directory.path().join("plugins");
    let plugin = artifacts::minimal();
    Archive::default().copy(&plugin_path(&plugin), &plugin).and_then(|archive| archive.write(&segment)).unwrap();
    let kernel = ramdisk::kernel(&format!("ipa-agent-token={TOKEN}")).segment(&segment);
    // The second console's driver is a module, so that it comes when much was said already.
    let kernel = kernel.append("console=hvc0 console=ttyS0 systemd.debug_shell=hvc0");
    let booted = Booted::start(&machine(), &Boot::Kernel(kernel));
    booted.answers().await;
    // The battery of its clock is empty.
    let clock = booted.line(&["clock: 2001-01-01T", "set to 20"]);
    assert!(clock.contains("is before the ramdisk was built"), "{clock}");
    booted.line(&["console: /dev/hvc0 is written to from now on"]);
    booted.guest.type_line("", &["ipa-init:", "starts, consoles ttyS0 hvc0"], NOTICED).unwrap();
    let year = booted.guest.type_line("date +year-%Y", &["year-20"], NOTICED).unwrap();
    assert!(!year.contains("year-2001"), "{year}");

    let found = inventory(&booted).await;
    assert_eq!(disk(&found, "VIRTIO-0001")["size"], 1_u64 << 30);
    assert_eq!(disk(&found, "NVME-0001")["rotational"], false);
    let sata = disk(&found, "SATA-0001");
    assert_eq!((&sata["wwn"], &sata["rotational"]), (&json!("0x5000c50012345678"), &json!(true)), "{sata:#}");
    assert_eq!(disk(&found, "SCSI-0001")["wwn"], "0x5000c50087654321");
    let wired = entry(&found["interfaces"], "mac_address", "52:54:00:5a:00:01").expect("the first interface");
    assert_eq!((&wired["has_carrier"], &wired["ipv4_address"]), (&json!(true), &json!("10.0.2.15")), "{wired:#}");
    let vendor = &found["system_vendor"];
    assert_eq!(vendor["product_name"], "Anvil 1000", "{vendor:#}");
    assert_eq!((&vendor["manufacturer"], &vendor["serial_number"]), (&json!("Acme, Inc."), &json!("ACME-0001")));
    assert_eq!(found["boot"]["current_boot_mode"], "bios");
    assert_eq!(found["cpu"]["count"], 2);
    // What the firmware says of the modules, not what is left of it.
    assert_eq!(found["memory"]["physical_mb"], 256, "{:#}", found["memory"]);

    let steps = booted.client.clean_steps().await;
    assert!(entry(&steps["clean_steps"]["Acme"], "step", "acme_erase_cache").is_some(), "{steps:#}");
    booted.client.clean_value("acme_erase_cache").await;
    booted.line(&["erasing", "controller=0"]);

    booted.guest.pull("disk1", NOTICED).unwrap();
    booted.guest.set_link("nic1", false).unwrap();
    booted.guest.break_disk("disk0").unwrap();
    let left = inventory(&booted).await;
    assert!(entry(&left["disks"], "serial", "NVME-0001").is_none(), "{:#}", left["disks"]);
    let unplugged = entry(&left["interfaces"], "mac_address", "52:54:00:5a:00:02").expect("the second interface");
    assert_eq!(unplugged["has_carrier"], false, "{unplugged:#}");
    assert_eq!(disk(&left, "VIRTIO-0001")["size"], 1_u64 << 30);
    booted.client.clean_value("acme_erase_cache").await;

    // udev is killed: it is started again, and what is plugged in after that has its names.
    booted.guest.type_line("kill -9 $(pidof systemd-udevd)", &["devices: udev killed by signal 9"], NOTICED).unwrap();
    booted.guest.plug("disk1", "VIRTIO-0002").unwrap();
    booted.line(&["devices: udev is there again"]);
    let plugged = appears(&booted, "VIRTIO-0002").await;
    assert!(plugged["by_path"].as_str().is_some_and(|path| path.starts_with("/dev/disk/by-path/")), "{plugged:#}");

    let answer = booted.client.post("standby.power_off", json!({}), "").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    booted.guest.off(ramdisk::BOOT).unwrap();
}
