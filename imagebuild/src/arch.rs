//! Processor architectures that a ramdisk can be built for, and what the parts of a build call them.

use crate::failure::{Failure, Outcome};

/// One architecture.
#[derive(Debug, PartialEq, Eq)]
pub struct Arch {
    /// Debian's name.
    pub debian: &'static str,
    /// Name of the directory with its libraries.
    pub triplet: &'static str,
    /// The target that cargo builds for.
    pub rust: &'static str,
    /// Value of `e_machine` in its ELF files.
    pub machine: u16,
    /// Debian's package that depends on the newest kernel.
    pub kernel: &'static str,
    /// File of systemd's boot stub, in `usr/lib/systemd/boot/efi`.
    pub stub: &'static str,
    /// What UEFI calls it in the names of programs.
    pub efi: &'static str,
    /// Value of `Machine` in its programs for UEFI.
    pub efi_machine: u16,
    /// What GRUB calls it.
    pub grub: &'static str,
    /// Whether its machines may boot by BIOS.
    pub has_bios: bool,
    /// The first serial port of its servers, as its kernel calls it.
    pub serial: &'static str,
}

const KNOWN: [Arch; 2] = [
    Arch {
        debian: "amd64",
        triplet: "x86_64-linux-gnu",
        rust: "x86_64-unknown-linux-gnu",
        machine: goblin::elf::header::EM_X86_64,
        kernel: "linux-image-amd64",
        stub: "linuxx64.efi.stub",
        efi: "x64",
        efi_machine: 0x8664,
        grub: "x86_64",
        has_bios: true,
        serial: "ttyS0",
    },
    Arch {
        debian: "arm64",
        triplet: "aarch64-linux-gnu",
        rust: "aarch64-unknown-linux-gnu",
        machine: goblin::elf::header::EM_AARCH64,
        kernel: "linux-image-arm64",
        stub: "linuxaa64.efi.stub",
        efi: "aa64",
        efi_machine: 0xaa64,
        grub: "arm64",
        has_bios: false,
        serial: "ttyAMA0",
    },
];

impl Arch {
    /// The architecture that Debian calls so.
    ///
    /// # Errors
    /// If nothing is known about it.
    pub fn named(name: &str) -> Outcome<&'static Self> {
        KNOWN.iter().find(|arch| arch.debian == name).ok_or_else(|| {
            let known: Vec<&str> = KNOWN.iter().map(|arch| arch.debian).collect();
            Failure::new(format!("no ramdisk can be built for the architecture {name}; known are {}", known.join(", ")))
        })
    }

    /// The architecture whose programs for UEFI have this machine in their header.
    pub fn of_efi_machine(machine: u16) -> Option<&'static Self> {
        KNOWN.iter().find(|arch| arch.efi_machine == machine)
    }

    /// The architecture that this program runs on.
    ///
    /// # Errors
    /// If nothing is known about it.
    pub fn native() -> Outcome<&'static Self> {
        Self::named(match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        })
    }

    /// Whether this program runs on it.
    pub fn is_native(&self) -> bool {
        Self::native().is_ok_and(|native| native == self)
    }
}
