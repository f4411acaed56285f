//! The firmware, and what executes the guest.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

use ipa_imagebuild::failure::{Doing, Failure, Outcome};

use crate::arguments::{Arguments, listed_path};

/// Where Debian's package `ovmf` has UEFI firmware: the code, and the variables as they leave the factory.
const UEFI_CODE: &str = "/usr/share/OVMF/OVMF_CODE_4M.fd";
const UEFI_VARIABLES: &str = "/usr/share/OVMF/OVMF_VARS_4M.fd";

/// What starts the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Firmware {
    /// SeaBIOS.
    Bios,
    /// OVMF, without Secure Boot.
    Uefi,
}

impl Firmware {
    /// Makes the machine's variables, unless they are there.
    pub(crate) fn prepare(self, home: &Path) -> Outcome {
        if self == Self::Bios {
            return Ok(());
        }
        if !Path::new(UEFI_CODE).is_file() {
            return Err(Failure::new(format!("{UEFI_CODE} is missing; install the package ovmf")));
        }
        let to = variables(home);
        fs::copy(UEFI_VARIABLES, &to).doing(format_args!("copying {UEFI_VARIABLES} to {}", to.display())).map(drop)
    }

    pub(crate) fn add_to(self, arguments: &mut Arguments, home: &Path) {
        if self == Self::Uefi {
            arguments.option("-drive", format!("if=pflash,format=raw,readonly=on,file={UEFI_CODE}"));
            let file = listed_path(&variables(home));
            arguments.option("-drive", format!("if=pflash,format=raw,cache=unsafe,file={file}"));
        }
    }
}

fn variables(home: &Path) -> PathBuf {
    home.join("uefi-variables")
}

/// What executes the guest's instructions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Acceleration {
    /// QEMU itself, everywhere the same.
    #[default]
    None,
    /// The processor where it can, or else QEMU.
    IfPossible,
}

impl Acceleration {
    pub(crate) fn add_to(self, arguments: &mut Arguments) {
        if self == Self::IfPossible && kvm_works(Path::new("/")) {
            arguments.option("-accel", "kvm");
            arguments.option("-cpu", "host");
        } else {
            arguments.option("-accel", "tcg,thread=multi");
            arguments.option("-cpu", "max");
        }
    }
}

/// Whether guests run on this machine's processors. That `/dev/kvm` opens does not say so: there are modules that offer
/// it without the processor's help, and with them a stock kernel does not come up in minutes.
fn kvm_works(root: &Path) -> bool {
    let modules = ["kvm_intel", "kvm_amd"];
    modules.iter().any(|module| root.join("sys/module").join(module).exists())
        && OpenOptions::new().read(true).write(true).open(root.join("dev/kvm")).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processors_module_decides() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("dev")).unwrap();
        fs::write(root.path().join("dev/kvm"), "").unwrap();
        fs::create_dir_all(root.path().join("sys/module/kvm_pvm")).unwrap();
        assert!(!kvm_works(root.path()));
        fs::create_dir_all(root.path().join("sys/module/kvm_amd")).unwrap();
        assert!(kvm_works(root.path()));
    }
}
