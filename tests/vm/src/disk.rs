//! Disks, USB sticks and CDs.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use ipa_imagebuild::failure::Outcome;
use ipa_imagebuild::process;
use serde_json::{Value, json};

use crate::arguments::Arguments;
use crate::platform::Platform;

/// Longest time to make a CD of a few files.
const MAKING: Duration = Duration::from_secs(120);

/// How a disk is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bus {
    /// virtio-blk, in a slot of its own: it can be pulled.
    Virtio,
    /// NVMe with one namespace, in a slot of its own: it can be pulled.
    Nvme,
    /// SATA.
    Sata,
    /// SCSI, at one controller for all: it can be pulled.
    Scsi,
    /// A USB stick: it can be pulled.
    Usb,
}

/// A disk. It is empty unless made from a file, and as large as it likes: its file is sparse.
#[derive(Debug, Clone)]
pub struct Disk {
    bus: Bus,
    content: Content,
    serial: String,
    wwn: Option<u64>,
    rotational: bool,
}

#[derive(Debug, Clone)]
enum Content {
    Empty { bytes: u64 },
    File(PathBuf),
}

impl Disk {
    /// An empty disk of so many MiB.
    pub fn empty(bus: Bus, mib: u64, serial: &str) -> Self {
        Self::new(bus, Content::Empty { bytes: mib * 1024 * 1024 }, serial)
    }

    /// A disk whose content is a raw file of the caller's, which the guest may change.
    pub fn from_file(bus: Bus, path: &Path, serial: &str) -> Self {
        Self::new(bus, Content::File(path.to_owned()), serial)
    }

    fn new(bus: Bus, content: Content, serial: &str) -> Self {
        Self { bus, content, serial: serial.to_owned(), wwn: None, rotational: false }
    }

    /// Gives it a World Wide Name; for NVMe the namespace's EUI-64. virtio and USB have none.
    #[must_use]
    pub fn wwn(self, wwn: u64) -> Self {
        Self { wwn: Some(wwn), ..self }
    }

    /// Has it say that it rotates. SATA and SCSI only: others cannot say so.
    #[must_use]
    pub fn rotational(self) -> Self {
        Self { rotational: true, ..self }
    }

    /// Its size in bytes if it is made for the machine; none if it is the caller's file.
    pub(crate) fn empty_bytes(&self) -> Option<u64> {
        match self.content {
            Content::Empty { bytes } => Some(bytes),
            Content::File(_) => None,
        }
    }

    /// Its file: the caller's, or `own`.
    pub(crate) fn file<'a>(&'a self, own: &'a Path) -> &'a Path {
        match &self.content {
            Content::Empty { .. } => own,
            Content::File(path) => path,
        }
    }

    /// Adds it; `boot` is its rank among what the firmware tries.
    pub(crate) fn add_to(&self, arguments: &mut Arguments, id: &str, own: &Path, boot: Option<u32>) {
        let drive = writable(arguments, id, self.file(own));
        let serial = &self.serial;
        let rotation = if self.rotational { 7200 } else { 1 };
        let mut device = match self.bus {
            Bus::Virtio => {
                json!({"driver": "virtio-blk-pci", "bus": arguments.slot(id), "serial": serial, "drive": drive})
            }
            Bus::Nvme => {
                let slot = arguments.slot(id);
                arguments.device(&json!({"driver": "nvme", "id": id, "bus": slot, "serial": serial}));
                let mut namespace = json!({"driver": "nvme-ns", "bus": id, "drive": drive, "nsid": 1});
                set(&mut namespace, "eui64", self.wwn);
                set(&mut namespace, "bootindex", boot);
                return arguments.device(&namespace);
            }
            Bus::Sata => json!({"driver": "ide-hd", "serial": serial, "drive": drive, "rotation_rate": rotation}),
            Bus::Scsi => {
                json!({"driver": "scsi-hd", "bus": "scsi.0", "serial": serial, "drive": drive, "rotation_rate": rotation})
            }
            Bus::Usb => {
                json!({"driver": "usb-storage", "bus": "usb.0", "serial": serial, "drive": drive, "removable": true})
            }
        };
        set(&mut device, "id", Some(id));
        if matches!(self.bus, Bus::Sata | Bus::Scsi) {
            set(&mut device, "wwn", self.wwn);
        }
        set(&mut device, "bootindex", boot);
        arguments.device(&device);
    }

    /// Where it is connected.
    pub(crate) fn bus(&self) -> Bus {
        self.bus
    }
}

/// A CD in a drive as the machine has one. The file is only read.
#[derive(Debug, Clone)]
pub struct Cd {
    file: PathBuf,
}

impl Cd {
    /// A CD with this image.
    pub fn from_file(image: &Path) -> Self {
        Self { file: image.to_owned() }
    }

    /// Makes a CD with this volume label and copies of files, each at a path of its own, in a new file `image`.
    ///
    /// # Errors
    /// xorriso is missing or fails, for example over a file that is not there.
    pub fn with_files(image: &Path, label: &str, files: &[(&str, &Path)]) -> Outcome<Self> {
        let mut xorriso = Command::new("xorriso");
        xorriso.args(["-as", "mkisofs", "-quiet", "-J", "-r", "-V", label, "-o"]).arg(image).arg("-graft-points");
        for (path, file) in files {
            xorriso.arg(format!("{path}={}", file.display()));
        }
        process::output(&mut xorriso, MAKING)?;
        Ok(Self::from_file(image))
    }

    pub(crate) fn add_to(&self, arguments: &mut Arguments, platform: &Platform, id: &str, boot: Option<u32>) {
        let drive = read_only(arguments, id, &self.file);
        let mut device = json!({"driver": "ide-cd", "id": id, "drive": drive});
        if platform.cds_are_usb {
            let bridge = format!("{id}-usb");
            arguments.device(&json!({"driver": "usb-bot", "bus": "usb.0", "id": bridge}));
            device = json!({"driver": "scsi-cd", "bus": format!("{bridge}.0"), "id": id, "drive": drive});
        }
        set(&mut device, "bootindex", boot);
        arguments.device(&device);
    }
}

/// A stick with an image that is only read.
pub(crate) fn add_stick(arguments: &mut Arguments, id: &str, image: &Path, boot: Option<u32>) {
    let drive = read_only(arguments, id, image);
    let mut device = json!({"driver": "usb-storage", "bus": "usb.0", "id": id, "drive": drive, "removable": true});
    set(&mut device, "bootindex", boot);
    arguments.device(&device);
}

/// The block nodes of a disk: one for the file and one above it, below which a fault can be put. Nothing is flushed: if
/// this machine fails, so has the test.
fn writable(arguments: &mut Arguments, id: &str, file: &Path) -> String {
    let (top, bottom) = (top(id), bottom(id));
    let cache = json!({"direct": false, "no-flush": true});
    arguments.block(&json!({
        "driver": "file", "node-name": bottom, "filename": file, "discard": "unmap", "cache": cache,
    }));
    arguments.block(&json!({"driver": "raw", "node-name": top, "file": bottom, "discard": "unmap", "cache": cache}));
    top
}

fn read_only(arguments: &mut Arguments, id: &str, file: &Path) -> String {
    let top = top(id);
    let file = json!({"driver": "file", "filename": file, "read-only": true});
    arguments.block(&json!({"driver": "raw", "node-name": top, "file": file, "read-only": true}));
    top
}

/// The name of a disk's upper block node.
pub(crate) fn top(id: &str) -> String {
    format!("{id}-image")
}

/// The name of a disk's lower block node.
pub(crate) fn bottom(id: &str) -> String {
    format!("{id}-file")
}

fn set(device: &mut Value, key: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        device[key] = value.into();
    }
}

#[cfg(test)]
mod tests {
    use ipa_imagebuild::arch::Arch;

    use super::*;

    #[test]
    fn a_cd_is_in_a_drive_that_the_firmware_knows() {
        let driver = |arch: &str| {
            let mut arguments = Arguments::default();
            let platform = Platform::of(Arch::named(arch).unwrap());
            Cd::from_file(Path::new("/x.iso")).add_to(&mut arguments, platform, "boot", Some(1));
            let device: Value = serde_json::from_str(arguments.0.last().unwrap()).unwrap();
            assert_eq!((&device["id"], &device["bootindex"]), (&json!("boot"), &json!(1)));
            device["driver"].as_str().unwrap().to_owned()
        };
        assert_eq!((driver("amd64"), driver("arm64")), ("ide-cd".to_owned(), "scsi-cd".to_owned()));
    }

    #[test]
    fn a_disk_keeps_what_it_was_given() {
        let mut arguments = Arguments::default();
        let disk = Disk::empty(Bus::Sata, 8, "SATA-1").wwn(0x5000_c500_1234_5678).rotational();
        assert_eq!(disk.empty_bytes(), Some(8 << 20));
        disk.add_to(&mut arguments, "disk0", Path::new("/x/disk0"), Some(3));
        let device: Value = serde_json::from_str(arguments.0.last().unwrap()).unwrap();
        assert_eq!(
            device,
            json!({"driver": "ide-hd", "serial": "SATA-1", "drive": "disk0-image", "rotation_rate": 7200,
                   "id": "disk0", "wwn": 0x5000_c500_1234_5678_u64, "bootindex": 3})
        );
    }
}
