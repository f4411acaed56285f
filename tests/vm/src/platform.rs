//! What QEMU calls the machines of an architecture, and where its firmware lies.

use ipa_imagebuild::arch::Arch;

/// The machine of one architecture.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Platform {
    /// The emulator.
    pub(crate) qemu: &'static str,
    /// The board.
    pub(crate) machine: &'static str,
    /// The processor where it is emulated.
    pub(crate) cpu: &'static str,
    /// Whether it can start without UEFI.
    pub(crate) has_bios: bool,
    /// Whether the board has a controller for SATA.
    pub(crate) has_sata: bool,
    /// Whether CDs are on USB, as a BMC attaches them, or else on SATA. This firmware for arm64 boots from no SATA.
    pub(crate) cds_are_usb: bool,
    /// UEFI firmware: the code, and the variables as they leave the factory.
    pub(crate) uefi_code: &'static str,
    pub(crate) uefi_variables: &'static str,
    /// The Debian package that has it.
    pub(crate) uefi_package: &'static str,
    /// Where it looks for a program on media that nobody has told it of.
    pub(crate) efi_program: &'static str,
}

const X86_64: Platform = Platform {
    qemu: "qemu-system-x86_64",
    machine: "q35",
    cpu: "max",
    has_bios: true,
    has_sata: true,
    cds_are_usb: false,
    uefi_code: "/usr/share/OVMF/OVMF_CODE_4M.fd",
    uefi_variables: "/usr/share/OVMF/OVMF_VARS_4M.fd",
    efi_program: "EFI/BOOT/BOOTX64.EFI",
    uefi_package: "ovmf",
};

const AARCH64: Platform = Platform {
    qemu: "qemu-system-aarch64",
    machine: "virt",
    // A server's. To emulate the signed pointers that later ones have takes most of the time.
    cpu: "neoverse-n1",
    has_bios: false,
    has_sata: false,
    cds_are_usb: true,
    uefi_code: "/usr/share/AAVMF/AAVMF_CODE.fd",
    uefi_variables: "/usr/share/AAVMF/AAVMF_VARS.fd",
    efi_program: "EFI/BOOT/BOOTAA64.EFI",
    uefi_package: "qemu-efi-aarch64",
};

impl Platform {
    /// That of an architecture.
    pub(crate) fn of(arch: &Arch) -> &'static Self {
        match arch.debian {
            "arm64" => &AARCH64,
            _ => &X86_64,
        }
    }
}
