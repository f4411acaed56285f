//! Block devices from sysfs and the udev database, as upstream sees them through `lsblk` and pyudev.

use std::path::{Component, Path, PathBuf};

use ipa_plugin_api::error::{HwError, HwResult};
use ipa_plugin_api::inventory::BlockDevice;

use super::transport;
use super::udev::{Properties, squeeze};
use crate::root::Root;

/// A block device with what the inventory does not show but root device selection and cleaning need.
#[derive(Debug, Clone, PartialEq)]
pub struct Disk {
    /// What Ironic gets.
    pub device: BlockDevice,
    /// Kernel name, for example `sda`.
    pub kname: String,
    /// Type as `lsblk` names it: `disk`, `part`, `rom`, `loop`, `raid1`, `mpath`, `lvm`, `crypt`, ...
    pub kind: String,
    /// UUID of the file system.
    pub uuid: Option<String>,
    /// UUID of the partition.
    pub partuuid: Option<String>,
    /// Every serial number known: lsblk's, udev's short one, udev's long one.
    pub serials: [Option<String>; 3],
    /// Every world wide name known: lsblk's and udev's.
    pub wwns: [Option<String>; 2],
}

/// Which devices a listing keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Whole disks, software RAID arrays and multipath devices.
    Disks,
    /// Partitions of disks and arrays.
    Partitions,
}

impl Wanted {
    fn keeps(self, kind: &str) -> bool {
        match self {
            Self::Disks => kind == "disk" || kind == "mpath" || kind.contains("raid"),
            // An array without a level: lsblk used to call the partitions of arrays so, and upstream counts it as one.
            Self::Partitions => kind == "part" || kind == "md",
        }
    }
}

/// Lists block devices in the order of their device numbers. Floppies, RAM disks and devices without a size are not
/// listed, nor is what the kernel hides (the paths of a native NVMe multipath device).
pub fn list(root: &Root, wanted: Wanted) -> HwResult<Vec<Disk>> {
    let names = root
        .names("sys/block")
        .map_err(|error| HwError::block_device(format!("Cannot list block devices in /sys/block: {error}")))?;
    let by_path = ByPath::read(root);
    let mut found = Vec::new();
    for name in names.iter().filter(|name| !is_ignored(name)) {
        let whole = Entry { root, name, directory: format!("sys/block/{name}"), parent: None };
        if root.number(format!("{}/hidden", whole.directory)).unwrap_or(0) != 0 {
            continue;
        }
        found.extend(whole.describe(wanted, &by_path));
        if wanted == Wanted::Partitions {
            for part in root.names(&whole.directory).unwrap_or_default() {
                if is_partition_of(&part, name) {
                    let directory = format!("{}/{part}", whole.directory);
                    let entry = Entry { root, name: &part, directory, parent: Some(&whole.directory) };
                    found.extend(entry.describe(wanted, &by_path));
                }
            }
        }
    }
    found.sort_by_key(|(number, _)| *number);
    Ok(found.into_iter().map(|(_, disk)| disk).collect())
}

fn is_ignored(name: &str) -> bool {
    ["fd", "ram", "zram"].iter().any(|prefix| name.starts_with(prefix))
}

/// `sda1` of `sda`, `nvme0n1p1` of `nvme0n1`.
fn is_partition_of(name: &str, whole: &str) -> bool {
    name.strip_prefix(whole)
        .map(|rest| rest.strip_prefix('p').unwrap_or(rest))
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// A block device's directory in sysfs.
struct Entry<'a> {
    root: &'a Root,
    name: &'a str,
    directory: String,
    /// The directory of the whole disk, for a partition.
    parent: Option<&'a str>,
}

impl Entry<'_> {
    fn text(&self, attribute: &str) -> Option<String> {
        self.root.trimmed(format!("{}/{attribute}", self.directory)).filter(|text| !text.is_empty())
    }

    /// An attribute as lsblk shows it: only the line end is cut off, and an empty one is none.
    fn raw(&self, attribute: &str) -> Option<String> {
        let text = self.root.attribute(format!("{}/{attribute}", self.directory)).ok()?;
        Some(text.strip_suffix('\n').unwrap_or(&text)).filter(|text| !text.is_empty()).map(str::to_owned)
    }

    /// A partition has the queue of its disk.
    fn queue(&self, attribute: &str) -> Option<u64> {
        self.root.number(format!("{}/queue/{attribute}", self.parent.unwrap_or(&self.directory)))
    }

    /// The device number and the description, if the device is wanted and has a size.
    fn describe(&self, wanted: Wanted, by_path: &ByPath) -> Option<(u64, Disk)> {
        let kind = self.kind();
        let size = self.text("size")?.parse::<u64>().ok()?.checked_mul(512)?;
        if size == 0 || !wanted.keeps(&kind) {
            return None;
        }
        let number = self.text("dev")?;
        let (major, minor) = number.split_once(':')?;
        let order = rustix::fs::makedev(major.parse().ok()?, minor.parse().ok()?);
        let udev = Properties::of_block(self.root, &number);
        let identity = self.identity(&udev);
        // Only a device by itself has a model: a partition has that of its disk, an array or mapping has none.
        let model = self.stands_alone().then(|| {
            let model = udev.decoded("ID_MODEL_ENC").or_else(|| udev.get("ID_MODEL").map(str::to_owned));
            model.map(|model| squeeze(&model)).or_else(|| self.raw("device/model"))
        });
        let node = format!("/dev/{}", dev_name(self.name));
        let own = |keys: &[&str]| udev.first(keys).map(str::to_owned);
        let device = BlockDevice {
            model: model.flatten().filter(|model| !model.is_empty()),
            size,
            rotational: self.queue("rotational") == Some(1),
            wwn: identity.wwns.iter().flatten().next().cloned(),
            serial: identity.serials.iter().flatten().next().cloned(),
            vendor: self.vendor(),
            wwn_with_extension: own(&["ID_WWN_WITH_EXTENSION", "DM_WWN_WITH_EXTENSION"]),
            wwn_vendor_extension: own(&["ID_WWN_VENDOR_EXTENSION", "DM_WWN_VENDOR_EXTENSION"]),
            hctl: self.scsi_address(),
            by_path: by_path.of(&node),
            logical_sectors: self.queue("logical_block_size"),
            physical_sectors: self.queue("physical_block_size"),
            tran: self.transport().map(str::to_owned),
            name: node,
        };
        let disk = Disk {
            device,
            kname: dev_name(self.name),
            kind,
            uuid: udev.decoded("ID_FS_UUID_ENC"),
            partuuid: own(&["ID_PART_ENTRY_UUID"]),
            serials: identity.serials,
            wwns: identity.wwns,
        };
        Some((order, disk))
    }

    fn kind(&self) -> String {
        if self.parent.is_some() {
            return "part".to_owned();
        }
        if self.name.starts_with("dm-") {
            // The uuid begins with the subsystem that made the mapping: LVM-, CRYPT-, mpath-, part1-mpath-.
            let uuid = self.text("dm/uuid").unwrap_or_default();
            let owner = uuid.split('-').next().unwrap_or_default().to_lowercase();
            return match owner.as_str() {
                "" => "dm".to_owned(),
                part if part.starts_with("part") => "part".to_owned(),
                _ => owner,
            };
        }
        if self.name.starts_with("loop") {
            return "loop".to_owned();
        }
        if self.name.starts_with("md") {
            return self.text("md/level").unwrap_or_else(|| "md".to_owned()).to_lowercase();
        }
        let scsi = self.text("device/type").and_then(|number| number.parse().ok()).and_then(scsi_type);
        scsi.unwrap_or("disk").to_owned()
    }

    fn stands_alone(&self) -> bool {
        let slaves = || self.root.names(format!("{}/slaves", self.directory)).map_or(0, |names| names.len());
        self.parent.is_none() && slaves() == 0
    }

    /// lsblk's serial and name come first, from udev or else from sysfs; udev's other ones follow.
    fn identity(&self, udev: &Properties) -> Identity {
        let owned = |keys: &[&str]| udev.first(keys).map(str::to_owned);
        let serial = if self.stands_alone() {
            udev.first(&["SCSI_IDENT_SERIAL", "ID_SCSI_SERIAL", "ID_SERIAL_SHORT", "ID_SERIAL"])
                .map(squeeze)
                .or_else(|| self.raw("device/serial"))
                .filter(|serial| !serial.is_empty())
        } else {
            None
        };
        Identity {
            serials: [serial, owned(&["ID_SERIAL_SHORT", "DM_SERIAL_SHORT"]), owned(&["ID_SERIAL", "DM_SERIAL"])],
            wwns: [owned(&["ID_WWN_WITH_EXTENSION", "ID_WWN"]), owned(&["ID_WWN", "DM_WWN"])],
        }
    }

    /// An attribute that is there but empty stays empty, as upstream has it.
    fn vendor(&self) -> Option<String> {
        self.root.trimmed(format!("{}/device/vendor", self.directory))
    }

    fn scsi_address(&self) -> Option<String> {
        self.root.names(format!("{}/device/scsi_device", self.directory)).ok()?.into_iter().next()
    }

    fn transport(&self) -> Option<&'static str> {
        let device = self.root.link(format!("{}/device", self.directory));
        transport::of_block(self.root, self.name, device.as_deref())
    }
}

struct Identity {
    serials: [Option<String>; 3],
    wwns: [Option<String>; 2],
}

/// sysfs writes `!` where a device name has a slash (`cciss!c0d0`).
fn dev_name(name: &str) -> String {
    name.replace('!', "/")
}

fn scsi_type(number: u32) -> Option<&'static str> {
    Some(match number {
        0x00 => "disk",
        0x01 => "tape",
        0x02 => "printer",
        0x03 => "processor",
        0x04 => "worm",
        0x05 => "rom",
        0x06 => "scanner",
        0x07 => "mo-disk",
        0x08 => "changer",
        0x09 => "comm",
        0x0c => "raid",
        0x0d => "enclosure",
        0x0e => "rbc",
        0x11 => "osd",
        0x7f => "no-lun",
        _ => return None,
    })
}

/// The links below `/dev/disk/by-path`: device node and link.
struct ByPath(Vec<(PathBuf, String)>);

impl ByPath {
    const DIRECTORY: &str = "dev/disk/by-path";

    fn read(root: &Root) -> Self {
        let names = root.names(Self::DIRECTORY).unwrap_or_default();
        let pair = |name: String| {
            let target = root.link(format!("{}/{name}", Self::DIRECTORY))?;
            let node = normal(&Path::new("/").join(Self::DIRECTORY).join(target));
            Some((node, format!("/{}/{name}", Self::DIRECTORY)))
        };
        Self(names.into_iter().filter_map(pair).collect())
    }

    /// Of several links to one device the last listed counts.
    fn of(&self, node: &str) -> Option<String> {
        self.0.iter().rev().find(|(target, _)| target.as_os_str() == node).map(|(_, link)| link.clone())
    }
}

/// The path without `..`, as it is written: links are not followed.
fn normal(path: &Path) -> PathBuf {
    let mut result = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                result.pop();
            }
            Component::CurDir => {}
            other => result.push(other),
        }
    }
    result
}

#[cfg(test)]
mod tests;
