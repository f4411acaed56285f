//! What a ramdisk is built from and for.

use std::path::PathBuf;

use crate::arch::Arch;
use crate::compress::Compression;
use crate::sbom::Crate;

/// The agent's own programs, built for the architecture.
#[derive(Debug, Clone)]
pub struct Programs {
    /// The agent.
    pub host: PathBuf,
    /// The first process.
    pub init: PathBuf,
    /// Plugins, by whose file names the agent finds them.
    pub plugins: Vec<PathBuf>,
}

/// Where firmware is taken from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Firmware {
    /// A directory laid out as `/lib/firmware`.
    Directory(PathBuf),
    /// A Debian package.
    Package(String),
}

/// All that a build depends on.
#[derive(Debug, Clone)]
pub struct Options {
    /// Directory of the repository with the lists and files that the ramdisk is made of.
    pub data: PathBuf,
    /// Directory that packages are kept in from one build to the next.
    pub cache: PathBuf,
    /// Directory that the result is put into.
    pub output: PathBuf,
    /// Name of the files of the result.
    pub name: String,
    /// Architecture of the machine that boots it.
    pub arch: &'static Arch,
    /// Sources of packages, in apt's deb822 format.
    pub sources: PathBuf,
    /// The agent.
    pub programs: Programs,
    /// What the agent's programs are built from.
    pub crates: Vec<Crate>,
    /// Debian packages that are put in whole, with the libraries they need.
    pub packages: Vec<String>,
    /// Kernel modules besides those of the list.
    pub modules: Vec<String>,
    /// Firmware.
    pub firmware: Vec<Firmware>,
    /// Whether there is a server to log in to over the network, also without a key in the ramdisk.
    pub ssh: bool,
    /// Files with public keys that may log in.
    pub ssh_keys: Vec<PathBuf>,
    /// Files with certificates of authorities, in PEM, that the agent trusts besides the public ones.
    pub authorities: Vec<PathBuf>,
    /// Files with public keys of those who sign plugins.
    pub plugin_keys: Vec<PathBuf>,
    /// Configuration files of the agent.
    pub config: Vec<PathBuf>,
    /// Compression of the archive.
    pub compression: Compression,
    /// Kernel line of a program for UEFI that holds kernel, ramdisk and this line; none is made without it.
    pub kernel_line: Option<String>,
    /// Time of all files, in seconds since 1970.
    pub time: u32,
}
