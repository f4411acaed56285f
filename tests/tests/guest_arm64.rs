//! Machines of arm64, emulated wherever the tests run.
//!
//! `cargo xtask test` names a directory with Debian's kernel, shell and boot loaders for them in `IPA_ARM64`; and, where
//! Rust can build for them, the directory with their ramdisk in `IPA_RAMDISK_ARM64`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use ipa_imagebuild::arch::Arch;
use ipa_tests::artifacts;
use ipa_tests::ramdisk::{self, Booted, TOKEN, Turn};
use ipa_vm::{Archive, Boot, Bus, Disk, Firmware, Machine, Nic};
use serde_json::json;
use tempfile::TempDir;

/// Longest time from power on to the end of a guest that does nothing.
const SHORT: Duration = Duration::from_secs(180);
/// Says what the kernel was handed, and switches the machine off.
const INIT: &str = "\
#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
echo \"$(/bin/busybox uname -m) has $(/bin/busybox cat /proc/cmdline)\"
echo \"consoles: $(/bin/busybox cat /sys/class/tty/console/active)\"
/bin/busybox poweroff -f
";

fn place(variable: &str) -> PathBuf {
    let place = std::env::var_os(variable);
    place.unwrap_or_else(|| panic!("{variable} must name a directory; `cargo xtask test` makes it")).into()
}

fn arm64() -> &'static Arch {
    Arch::named("arm64").unwrap()
}

/// An image with Debian's boot loaders, which no system of another architecture has installed.
fn image(directory: &TempDir, kernel: &Path, initramfs: &Path, words: &str) -> PathBuf {
    let image = directory.path().join("arm64.iso");
    let mut create = Command::new(artifacts::iso_image_create());
    create.arg("-o").arg(&image).arg("-k").arg(kernel).arg("-i").arg(initramfs);
    create.arg("--loaders").arg(place("IPA_ARM64")).args(["-a", words]);
    let output = create.output().expect("the program starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("boots aarch64 by UEFI,"), "{said}");
    image
}

#[test]
#[ignore = "needs QEMU and Debian's packages for arm64; cargo xtask test has them"]
fn an_image_boots_by_uefi_and_has_its_console_where_servers_have_it() {
    let packages = place("IPA_ARM64");
    let directory = tempfile::tempdir().unwrap();
    let initramfs = directory.path().join("initramfs");
    let busybox = std::fs::read(packages.join("bin/busybox")).expect("busybox is among the packages");
    let archive = Archive::default().program("bin/busybox", busybox).program("init", INIT.into());
    archive.write(&initramfs).unwrap();
    let image = image(&directory, &packages.join("kernel"), &initramfs, "ipa-test=\"a b\"");

    let _turn = Turn::take();
    let machine = Machine::new("arm64", Firmware::Uefi, 512).unwrap().arch(arm64());
    let guest = machine.power_on(&Boot::Cd(image)).unwrap();
    let line = guest.line(&["aarch64 has"], SHORT).unwrap_or_else(|failure| panic!("{failure}"));
    assert!(line.ends_with("boot_method=vmedia console=tty0 console=ttyAMA0,115200n8 \"ipa-test=a b\""), "{line}");
    let consoles = guest.line(&["consoles:"], SHORT).unwrap();
    assert!(consoles.ends_with("ttyAMA0"), "{consoles}");
    guest.off(SHORT).unwrap();
}

/// From virtual media, with a disk of every kind: the agent answers, its inventory is the hardware's, and it powers the
/// machine off.
#[tokio::test]
#[ignore = "needs QEMU and the ramdisk for arm64; cargo xtask test has them where Rust can build for it"]
async fn the_ramdisk_of_arm64_finds_the_hardware() {
    let ramdisk = place("IPA_RAMDISK_ARM64");
    let directory = tempfile::tempdir().unwrap();
    let words = format!("ipa-agent-token={TOKEN}");
    let image = image(&directory, &ramdisk.join("ipa.kernel"), &ramdisk.join("ipa.initramfs"), &words);
    let disks = [
        Disk::empty(Bus::Virtio, 1024, "VIRTIO-0001"),
        Disk::empty(Bus::Nvme, 512, "NVME-0001"),
        Disk::empty(Bus::Sata, 2048, "SATA-0001").wwn(0x5000_c500_1234_5678).rotational(),
        Disk::empty(Bus::Scsi, 256, "SCSI-0001").wwn(0x5000_c500_8765_4321),
    ];
    let machine = Machine::new("arm64", Firmware::Uefi, 512).unwrap().arch(arm64());
    let machine = disks.into_iter().try_fold(machine, Machine::disk).unwrap();
    let machine = machine.nic(Nic::new("52:54:00:5a:06:01").restricted());
    let booted = Booted::start(&machine, &Boot::Stick(image));
    booted.answers().await;

    let result = booted.client.run("poll.get_hardware_info", json!({})).await;
    let found = &result["command_result"];
    assert_eq!((&found["cpu"]["architecture"], &found["cpu"]["count"]), (&json!("aarch64"), &json!(2)), "{found:#}");
    assert_eq!(found["cpu"]["model_name"], "Neoverse-N1");
    let disks = found["disks"].as_array().expect("a list");
    let disk = |serial: &str| disks.iter().find(|disk| disk["serial"] == serial).unwrap_or_else(|| panic!("{found:#}"));
    assert_eq!(disk("VIRTIO-0001")["size"], 1_u64 << 30);
    assert_eq!(disk("NVME-0001")["rotational"], false);
    assert_eq!(disk("SATA-0001")["wwn"], "0x5000c50012345678");
    assert_eq!(disk("SCSI-0001")["wwn"], "0x5000c50087654321");
    let wired = &found["interfaces"][0];
    assert_eq!((&wired["mac_address"], &wired["ipv4_address"]), (&json!("52:54:00:5a:06:01"), &json!("10.0.2.15")));
    let vendor = &found["system_vendor"];
    assert_eq!((&vendor["product_name"], &vendor["manufacturer"]), (&json!("Anvil 1000"), &json!("Acme, Inc.")));
    assert_eq!(found["memory"]["physical_mb"], 512, "{:#}", found["memory"]);
    assert_eq!(found["boot"]["current_boot_mode"], "uefi");

    let answer = booted.client.post("standby.power_off", json!({}), "").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    booted.guest.off(ramdisk::BOOT).unwrap();
}
