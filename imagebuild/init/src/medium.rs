//! The medium on which Ironic writes the network: an ISO image with the label `config-2`, in a drive that a BMC made.
//!
//! A drive may hang for minutes, and what is on it may be anything. So this is a program of its own, this one again
//! under the word `medium`: PID 1 reads its output, and ends it when it takes too long. Only what looks like a BMC's
//! drive is read, as the agent has it as well: a CD drive, or a USB disk of less than 4 GiB, never a partition.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use crate::kernel_line::KernelLine;
use crate::network::network_data;

/// How long a medium may take to appear; upstream's ramdisk looks as long.
pub const WAIT: Duration = Duration::from_secs(30);
/// Time between looks.
const PAUSE: Duration = Duration::from_millis(250);
/// Where it is mounted for the while.
const MOUNT_POINT: &str = "/run/ipa-init/medium";
/// The file.
const FILE: &str = "openstack/latest/network_data.json";
/// Label of a medium with a network.
const LABEL: &str = "config-2";
/// Label of a medium that the machine booted from, without one.
const BOOT_LABEL: &str = "vmedia_boot_iso";
/// Where the volume descriptor of ISO 9660 begins, in bytes.
const DESCRIPTOR: u64 = 16 * 2048;
/// A disk from this size on is no virtual medium, in sectors of 512 bytes.
const TOO_LARGE: u64 = (4 << 30) / 512;
/// SCSI device type of CD drives.
const ROM: &str = "5";
/// First line of the output if there is a network, before the document.
const FOUND: &str = "found";

/// Whether the machine may have such a medium: it booted from one. As upstream has it, one that booted from the network
/// has none unless Ironic names the medium's publisher.
pub fn is_expected(line: &KernelLine) -> bool {
    if line.has("ir_pub_id") {
        return true;
    }
    line.value("boot_method") == Some("vmedia") && !line.has("BOOTIF")
}

/// What the program found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// A network, and on which device.
    Network {
        /// Where it was.
        on: String,
        /// The document.
        json: Vec<u8>,
    },
    /// Nothing, and why.
    Nothing(String),
}

/// Reads the program's output.
pub fn outcome(output: &[u8]) -> Found {
    let (first, rest) = output.split_at(output.iter().position(|byte| *byte == b'\n').unwrap_or(output.len()));
    let first = String::from_utf8_lossy(first).replace(char::is_control, "?");
    match first.split_once(' ') {
        Some((FOUND, on)) => Found::Network { on: on.to_owned(), json: rest.get(1..).unwrap_or_default().to_vec() },
        _ if first.is_empty() => Found::Nothing("the search for it ended without a word".to_owned()),
        _ => Found::Nothing(first),
    }
}

/// The program: looks until there is a medium or the time is over, and writes what it found.
pub fn main(publisher: Option<&str>) {
    let end = Instant::now() + WAIT;
    let found = loop {
        match look(Path::new("/sys/class/block"), Path::new("/dev"), publisher) {
            Some(found) => break found,
            None if Instant::now() >= end => {
                break Found::Nothing(format!(
                    "no medium with the label {LABEL} or {BOOT_LABEL} within {} s",
                    WAIT.as_secs()
                ));
            }
            None => std::thread::sleep(PAUSE),
        }
    };
    let mut out = std::io::stdout().lock();
    // If nobody reads it, nobody wants it.
    let _ = match found {
        Found::Network { on, json } => writeln!(out, "{FOUND} {on}").and_then(|()| out.write_all(&json)),
        Found::Nothing(why) => writeln!(out, "{why}"),
    };
}

fn look(class: &Path, dev: &Path, publisher: Option<&str>) -> Option<Found> {
    let mut entries: Vec<PathBuf> = fs::read_dir(class).ok()?.flatten().take(4096).map(|entry| entry.path()).collect();
    entries.sort();
    for directory in entries.into_iter().filter(|directory| is_medium(directory)) {
        let node = dev.join(directory.file_name()?);
        let Some(volume) = File::options().read(true).custom_flags(nonblocking()).open(&node).ok().and_then(volume)
        else {
            continue;
        };
        let name = node.display();
        if publisher.is_some_and(|wanted| !wanted.eq_ignore_ascii_case(&volume.publisher)) {
            continue;
        }
        if volume.label.eq_ignore_ascii_case(BOOT_LABEL) {
            return Some(Found::Nothing(format!("{name} has the label {BOOT_LABEL}, which is one without a network")));
        }
        if volume.label.eq_ignore_ascii_case(LABEL) {
            return Some(read(&node).map_or_else(
                |why| Found::Nothing(format!("{name} has the label {LABEL}, but {why}")),
                |json| Found::Network { on: node.display().to_string(), json },
            ));
        }
    }
    None
}

fn nonblocking() -> i32 {
    // A drive without a disc must not be waited for.
    i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default()
}

fn attribute(path: &Path) -> Option<String> {
    let mut text = String::new();
    File::open(path).ok()?.take(4096).read_to_string(&mut text).ok()?;
    Some(text.trim().to_owned())
}

fn is_medium(directory: &Path) -> bool {
    if directory.join("partition").exists() {
        return false;
    }
    if attribute(&directory.join("device/type")).as_deref() == Some(ROM) {
        return true;
    }
    let is_usb = directory
        .canonicalize()
        .is_ok_and(|way| way.components().any(|part| part.as_os_str().as_encoded_bytes().starts_with(b"usb")));
    let sectors: Option<u64> = attribute(&directory.join("size")).and_then(|size| size.parse().ok());
    is_usb && sectors.is_some_and(|sectors| sectors < TOO_LARGE)
}

/// What an ISO image calls itself.
#[derive(Debug, PartialEq, Eq)]
struct Volume {
    label: String,
    publisher: String,
}

fn volume(mut device: impl Read + Seek) -> Option<Volume> {
    let mut sector = [0; 2048];
    device.seek(SeekFrom::Start(DESCRIPTOR)).ok()?;
    device.read_exact(&mut sector).ok()?;
    let text = |range: std::ops::Range<usize>| {
        String::from_utf8_lossy(&sector[range]).trim_end_matches(['\0', ' ']).to_owned()
    };
    sector.starts_with(b"\x01CD001").then(|| Volume { label: text(40..72), publisher: text(318..446) })
}

fn read(node: &Path) -> Result<Vec<u8>, String> {
    fs::create_dir_all(MOUNT_POINT).map_err(|error| format!("{MOUNT_POINT}: {error}"))?;
    let flags = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount(node, MOUNT_POINT, "iso9660", flags, None).map_err(|error| format!("it cannot be mounted: {error}"))?;
    let json = document(&Path::new(MOUNT_POINT).join(FILE));
    let _ = unmount(MOUNT_POINT, UnmountFlags::DETACH);
    json
}

fn document(path: &Path) -> Result<Vec<u8>, String> {
    // A link could lead out of the medium.
    let flags = i32::try_from((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits()).unwrap_or_default();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path);
    let file = file.map_err(|error| format!("it has no {FILE}: {error}"))?;
    let mut json = Vec::new();
    let limit = u64::try_from(network_data::LIMIT).unwrap_or(u64::MAX) + 1;
    file.take(limit).read_to_end(&mut json).map_err(|error| format!("{FILE} cannot be read: {error}"))?;
    Ok(json)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn image(label: &str, publisher: &str) -> Vec<u8> {
        let mut iso = vec![0; 40 * 2048];
        iso[32_768..32_774].copy_from_slice(b"\x01CD001");
        iso[32_808..32_840].fill(b' ');
        iso[32_808..32_808 + label.len()].copy_from_slice(label.as_bytes());
        iso[32_768 + 318..32_768 + 446].fill(b' ');
        iso[32_768 + 318..32_768 + 318 + publisher.len()].copy_from_slice(publisher.as_bytes());
        iso
    }

    #[test]
    fn only_machines_that_booted_from_a_medium_look_for_one() {
        for (line, expected) in [
            ("quiet", false),
            ("boot_method=vmedia", true),
            ("boot_method=vmedia BOOTIF=01-52-54-00-00-00-01", false),
            ("BOOTIF=01-52-54-00-00-00-01", false),
            ("BOOTIF=01-52-54-00-00-00-01 ir_pub_id=ABC", true),
        ] {
            assert_eq!(is_expected(&KernelLine::parse(line)), expected, "{line}");
        }
    }

    #[test]
    fn labels_and_publishers() {
        let volume = volume(Cursor::new(image("config-2", "11111111-2222"))).unwrap();
        assert_eq!((volume.label.as_str(), volume.publisher.as_str()), ("config-2", "11111111-2222"));
        for other in [vec![], vec![0xff; 40_000], vec![0; 10]] {
            assert_eq!(super::volume(Cursor::new(other)), None);
        }
    }

    #[test]
    fn only_drives_that_a_bmc_makes() {
        let directory = tempfile::tempdir().unwrap();
        let (class, dev) = (directory.path().join("class"), directory.path().join("dev"));
        fs::create_dir_all(&dev).unwrap();
        let disk = |name: &str, kind: &str, label: &str| {
            let device = directory.path().join("devices").join(kind).join(name);
            fs::create_dir_all(device.join("device")).unwrap();
            fs::create_dir_all(&class).unwrap();
            fs::write(device.join("size"), "1000\n").unwrap();
            fs::write(device.join("device/type"), if kind == "rom" { "5\n" } else { "0\n" }).unwrap();
            std::os::unix::fs::symlink(&device, class.join(name)).unwrap();
            fs::write(dev.join(name), image(label, "PUB")).unwrap();
            device
        };
        let part = disk("a1", "usb1", "config-2");
        fs::write(part.join("partition"), "1\n").unwrap();
        let large = disk("b", "usb1", "config-2");
        fs::write(large.join("size"), "8388608\n").unwrap();
        disk("c", "sata", "config-2");
        disk("d", "rom", "other");
        assert_eq!(look(&class, &dev, None), None);
        disk("e", "usb1", "VMEDIA_BOOT_ISO");
        assert_eq!(look(&class, &dev, Some("another")), None);
        let found = look(&class, &dev, Some("pub")).unwrap();
        assert!(matches!(&found, Found::Nothing(why) if why.contains("/e has the label vmedia_boot_iso")), "{found:?}");
    }

    #[test]
    fn the_programs_output() {
        assert_eq!(outcome(b"found /dev/sr0\n{\n}"), Found::Network { on: "/dev/sr0".into(), json: b"{\n}".into() });
        assert_eq!(outcome(b"no medium\n"), Found::Nothing("no medium".into()));
        assert!(matches!(outcome(b""), Found::Nothing(_)));
        assert!(matches!(outcome(&[0xff, 0x1b, b'\n']), Found::Nothing(_)));
    }
}
