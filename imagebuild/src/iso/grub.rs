//! GRUB: its configuration, and its image for BIOS.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::SHORT;
use super::identity::Identity;
use super::kernel_line::KernelLine;
use super::loaders::Loaders;
use crate::failure::Outcome;
use crate::{process, search_path};

/// Place of the configuration, in the image and on its EFI partition.
pub(super) const CONFIG_PATH: &str = "boot/grub/grub.cfg";
/// Place of the image for BIOS.
pub(super) const BIOS_PATH: &str = "boot/grub/bios.img";
/// All that the configuration uses; there is no directory of modules in the image.
const MODULES: [&str; 14] = [
    "biosdisk",
    "boot",
    "configfile",
    "echo",
    "iso9660",
    "linux",
    "normal",
    "part_gpt",
    "part_msdos",
    "search_fs_file",
    "serial",
    "sleep",
    "terminal",
    "test",
];

/// The configuration for both kinds of firmware.
pub(super) fn config(identity: &Identity, line: &KernelLine, initrds: &[String]) -> String {
    let marker = identity.marker();
    let initrds: Vec<String> = initrds.iter().map(|name| format!("/{name}")).collect();
    // UEFI has the serial port in its own console; a BIOS may not.
    format!(
        "\
if [ \"$grub_platform\" = pc ]; then
    if serial --unit=0 --speed=115200; then
        terminal_input console serial
        terminal_output console serial
    fi
fi
# Another medium may hold another image.
if ! search --no-floppy --set=root --file /{marker}; then
    echo 'GRUB does not see the medium it was started from.'
    sleep 30
fi
set default=0
set timeout_style=hidden
set timeout=1
menuentry 'Bare-metal agent' {{
    linux /vmlinuz {line}
    initrd {initrds}
}}
",
        line = line.for_grub(),
        initrds = initrds.join(" ")
    )
}

/// Makes GRUB's image for BIOS from a CD; the boot sector for disks finds the same.
pub(super) fn bios_image(work: &Path, loaders: &Loaders) -> Outcome<PathBuf> {
    let image = work.join("bios.img");
    let mut command = Command::new("grub-mkimage");
    command.env("PATH", search_path::whole()).args(["--format", "i386-pc-eltorito", "--prefix", "/boot/grub"]);
    command.arg("--directory").arg(loaders.bios_parts()).arg("--output").arg(&image).args(MODULES);
    process::output(&mut command, SHORT)?;
    Ok(image)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_loads_every_ramdisk_from_its_own_medium() {
        let identity = Identity::of(std::iter::empty(), &["x"]).unwrap();
        let line = KernelLine::new(&["a=$b".to_owned()], None).unwrap();
        let config = config(&identity, &line, &["initrd".to_owned(), "initrd1".to_owned()]);
        assert!(config.contains("\n    linux /vmlinuz 'a=$b'\n    initrd /initrd /initrd1\n"), "{config}");
        assert!(config.contains(&format!("--file /{}", identity.marker())), "{config}");
    }
}
