//! What a ramdisk is made of, for machines: which packages in which versions, and every file with its size, sum and
//! origin.

use serde::{Deserialize, Serialize};

use crate::debian::Package;

/// The manifest of a ramdisk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Debian's name of the architecture.
    pub architecture: String,
    /// The kernel.
    pub kernel: Kernel,
    /// The archive.
    pub initramfs: Initramfs,
    /// Kernel, archive and kernel line in one file, if that was made too.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub uki: Option<Uki>,
    /// The packages that something of is in the ramdisk, or in the file of its kernel.
    pub packages: Vec<Package>,
    /// What is in the archive, in its order.
    pub files: Vec<File>,
}

/// A kernel beside its ramdisk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kernel {
    /// Version, as the kernel calls itself.
    pub version: String,
    /// Package that it is from.
    pub package: String,
    /// Name of its file.
    pub file: String,
    /// Bytes.
    pub size: u64,
    /// Hex SHA-256.
    pub sha256: String,
}

/// An archive that a kernel unpacks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Initramfs {
    /// Name of its file.
    pub file: String,
    /// Bytes.
    pub size: u64,
    /// Hex SHA-256.
    pub sha256: String,
    /// Method and level.
    pub compression: String,
    /// The kernel's modules.
    pub modules: Part,
    /// All else.
    pub rest: Part,
}

/// A unified kernel image: a program for UEFI.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uki {
    /// Name of its file.
    pub file: String,
    /// Bytes.
    pub size: u64,
    /// Hex SHA-256.
    pub sha256: String,
}

/// A part of an archive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Number of files.
    pub files: u64,
    /// Bytes of memory that its files take once unpacked, in whole pages.
    pub memory: u64,
    /// Bytes in the compressed archive.
    pub compressed: u64,
}

/// A file, link or device of an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Absolute path.
    pub path: String,
    /// Permission bits in octal.
    pub mode: String,
    /// The package that it is from, or what else.
    pub from: String,
    /// Bytes of a file.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub size: Option<u64>,
    /// Hex SHA-256 of a file.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sha256: Option<String>,
    /// Target of a link.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub target: Option<String>,
}
