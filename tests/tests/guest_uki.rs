//! Kernel, ramdisk and kernel line in one file, as UEFI boots it without a boot loader.
//!
//! The ramdisk is the one that `IPA_RAMDISK` names; needs QEMU and systemd's boot stub. `cargo xtask test` has them.

use std::path::Path;

use ipa_imagebuild::arch::Arch;
use ipa_imagebuild::ramdisk::Uki;
use ipa_tests::ramdisk::{self, Booted, TOKEN};
use ipa_vm::{Boot, Firmware, Machine, Nic};
use serde_json::json;

/// Nobody but the file says a kernel line, so console, token and options are those of the line in it.
#[tokio::test]
#[ignore = "needs QEMU and the ramdisk; cargo xtask test has them"]
async fn a_unified_kernel_image_boots_with_the_line_in_it() {
    let directory = tempfile::tempdir().unwrap();
    let image = directory.path().join("ipa.efi");
    let stub = Path::new("/usr/lib/systemd/boot/efi").join(Arch::named("amd64").unwrap().stub);
    let line = format!("console=ttyS0 ipa-agent-token={TOKEN}");
    let (kernel, initramfs) = (ramdisk::kernel_file(), ramdisk::initramfs_file());
    Uki { stub: &stub, line: &line, kernel: &kernel, initramfs: &initramfs }.assemble(&image).unwrap();

    let machine = Machine::new("uki", Firmware::Uefi, 256).unwrap().nic(Nic::new("52:54:00:5a:04:01").restricted());
    let booted = Booted::start(&machine, &Boot::Program(image));
    booted.answers().await;
    booted.line(&[&format!("Kernel command line: {line}")]);
    let result = booted.client.run("poll.get_hardware_info", json!({})).await;
    assert_eq!(result["command_status"], "SUCCEEDED", "{result:#}");
    assert_eq!(result["command_result"]["boot"]["current_boot_mode"], "uefi");
}
