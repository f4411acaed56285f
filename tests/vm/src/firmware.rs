//! The firmware, and what executes the guest.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

use ipa_imagebuild::arch::Arch;
use ipa_imagebuild::failure::{Doing, Failure, Outcome};

use crate::arguments::{Arguments, listed_path};
use crate::platform::Platform;

/// What starts the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Firmware {
    /// SeaBIOS, on x86 only.
    Bios,
    /// EDK II, without Secure Boot.
    Uefi,
}

impl Firmware {
    /// Makes the machine's variables, unless they are there.
    pub(crate) fn prepare(self, platform: &Platform, home: &Path) -> Outcome {
        if self == Self::Bios {
            let why = || Failure::new(format!("the board `{}` of {} has no BIOS", platform.machine, platform.qemu));
            return if platform.has_bios { Ok(()) } else { Err(why()) };
        }
        let (from, to) = (platform.uefi_variables, variables(home));
        if !Path::new(platform.uefi_code).is_file() {
            let (code, package) = (platform.uefi_code, platform.uefi_package);
            return Err(Failure::new(format!("{code} is missing; install the package {package}")));
        }
        if to.is_file() {
            return Ok(());
        }
        fs::copy(from, &to).doing(format_args!("copying {from} to {}", to.display())).map(drop)
    }

    pub(crate) fn add_to(self, arguments: &mut Arguments, platform: &Platform, home: &Path) {
        if self == Self::Uefi {
            let code = platform.uefi_code;
            arguments.option("-drive", format!("if=pflash,format=raw,readonly=on,file={code}"));
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
    pub(crate) fn add_to(self, arguments: &mut Arguments, arch: &Arch) {
        if self == Self::IfPossible && arch.is_native() && kvm_works(Path::new("/")) {
            arguments.option("-accel", "kvm");
            arguments.option("-cpu", "host");
        } else {
            arguments.option("-accel", "tcg,thread=multi");
            arguments.option("-cpu", Platform::of(arch).cpu);
        }
    }
}

/// Whether guests run on this machine's processors. That `/dev/kvm` opens does not say so: there are modules that offer
/// it without the processor's help, and with them a stock kernel does not come up in minutes. On arm64 KVM is no module.
fn kvm_works(root: &Path) -> bool {
    let modules = ["kvm_intel", "kvm_amd"];
    let has = |module: &&str| root.join("sys/module").join(module).exists();
    (cfg!(target_arch = "aarch64") || modules.iter().any(has))
        && OpenOptions::new().read(true).write(true).open(root.join("dev/kvm")).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_board_without_bios_says_so_and_variables_stay() {
        let home = tempfile::tempdir().unwrap();
        let platform = Platform::of(Arch::named("arm64").unwrap());
        let why = Firmware::Bios.prepare(platform, home.path()).unwrap_err().to_string();
        assert_eq!(why, "the board `virt` of qemu-system-aarch64 has no BIOS");
        let platform = Platform::of(Arch::named("amd64").unwrap());
        assert!(Firmware::Bios.prepare(platform, home.path()).is_ok());
        fs::write(variables(home.path()), "as the last boot left them").unwrap();
        if Path::new(platform.uefi_code).is_file() {
            Firmware::Uefi.prepare(platform, home.path()).unwrap();
        }
        assert_eq!(fs::read(variables(home.path())).unwrap(), b"as the last boot left them");
    }

    #[cfg(target_arch = "x86_64")]
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
