//! Block devices, and which of them may be virtual media that a BMC has put in.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::label;

/// What an attribute of sysfs holds at most, in bytes.
const PAGE: u64 = 4096;
/// The most that is read of a device's entry in the udev database, in bytes.
const UDEV_LIMIT: u64 = 64 * 1024;
/// Most devices that are looked at.
const DEVICES: usize = 4096;
/// A disk from this size on is no virtual media, in bytes.
const TOO_LARGE: u64 = 4 << 30;
/// Bytes of a sector in sysfs, whatever the device has.
const SECTOR: u64 = 512;
/// SCSI device type of CD and DVD drives.
const SCSI_ROM: &str = "5";

/// A block device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Device {
    /// Its kernel name, for example `sr0`.
    pub(super) name: String,
    /// Its node below the root.
    pub(super) node: PathBuf,
    /// Its number as `major:minor`.
    pub(super) number: String,
    directory: PathBuf,
}

/// Why a device is no virtual media.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unfit {
    Partition,
    NotUsb,
    TooLarge(u64),
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Partition => f.write_str("it is a partition"),
            Self::NotUsb => f.write_str("it is neither a CD drive nor a USB disk"),
            Self::TooLarge(size) => write!(f, "a USB disk of {size} bytes is too large for one (4 GiB or more)"),
        }
    }
}

/// The block devices below a root, by name.
pub(super) fn all(root: &Path) -> Vec<Device> {
    let class = root.join("sys/class/block");
    let entries = std::fs::read_dir(&class).into_iter().flatten().flatten().take(DEVICES);
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut devices: Vec<Device> = names
        .filter_map(|name| {
            let directory = class.join(&name);
            let number = attribute(&directory.join("dev"))?;
            // A slash in a name of sysfs reads as an exclamation mark.
            let node = root.join("dev").join(name.replace('!', "/"));
            Some(Device { name, node, number, directory })
        })
        .collect();
    devices.sort_by(|one, other| one.name.cmp(&other.name));
    devices
}

impl Device {
    /// The label of its file system: as udev knows it, or read from the device.
    pub(super) fn label(&self, root: &Path) -> Option<String> {
        let entry = root.join("run/udev/data").join(format!("b{}", self.number));
        match text(&entry, UDEV_LIMIT) {
            Some(entry) => entry.lines().find_map(|line| line.strip_prefix("E:ID_FS_LABEL=")).map(str::to_owned),
            None => label::read(&self.node),
        }
    }

    /// The drive's model as the bus tells it.
    pub(super) fn model(&self) -> Option<String> {
        attribute(&self.directory.join("device/model"))
    }

    /// Whether it can be virtual media: a CD drive, or a small disk behind USB. Everything else is the machine's own.
    pub(super) fn check(&self, root: &Path) -> Result<(), Unfit> {
        if self.directory.join("partition").exists() {
            return Err(Unfit::Partition);
        }
        if attribute(&self.directory.join("device/type")).as_deref() == Some(SCSI_ROM) {
            return Ok(());
        }
        if !self.is_usb(root) {
            return Err(Unfit::NotUsb);
        }
        let sectors: u64 =
            attribute(&self.directory.join("size")).and_then(|size| size.parse().ok()).unwrap_or(u64::MAX);
        match sectors.saturating_mul(SECTOR) {
            size if size < TOO_LARGE => Ok(()),
            size => Err(Unfit::TooLarge(size)),
        }
    }

    /// True if a USB host is on the way to the device. What is made of other devices, such as loops and mappings, has
    /// no way of its own.
    fn is_usb(&self, root: &Path) -> bool {
        let (Ok(way), Ok(root)) = (self.directory.canonicalize(), root.canonicalize()) else { return false };
        let way = way.strip_prefix(root).unwrap_or(&way);
        way.components().any(|part| part.as_os_str().as_encoded_bytes().starts_with(b"usb"))
    }
}

fn attribute(path: &Path) -> Option<String> {
    text(path, PAGE).map(|text| text.trim().to_owned())
}

fn text(path: &Path, limit: u64) -> Option<String> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(limit).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}
