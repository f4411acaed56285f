//! Labels of the file systems that virtual media have, read from the device where udev knows nothing of it.

use std::fs::OpenOptions;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Where the volume descriptor of ISO 9660 begins, in bytes.
const ISO_OFFSET: u64 = 16 * 2048;
/// How it begins.
const ISO_MAGIC: &[u8] = b"\x01CD001";
/// Where the label stands in it.
const ISO_LABEL: std::ops::Range<usize> = 40..72;
/// Where the label and the name of the file system stand in the boot sector of FAT12 and FAT16, and of FAT32.
const FAT: [(std::ops::Range<usize>, std::ops::Range<usize>, &[u8]); 2] =
    [(43..54, 54..57, b"FAT"), (71..82, 82..87, b"FAT32")];

/// The label of an ISO 9660 or FAT file system; none if it is neither, or cannot be read.
pub(super) fn read(device: &Path) -> Option<String> {
    probe(device).map(|(_, label)| label)
}

/// What a device is to be mounted as; none where [`read`] finds no label either.
pub(super) fn file_system(device: &Path) -> Option<&'static str> {
    probe(device).map(|(kind, _)| kind)
}

/// The name that the kernel has for a file system, and its label.
fn probe(device: &Path) -> Option<(&'static str, String)> {
    // A CD drive without a disc must not be waited for.
    let nonblocking = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default();
    let mut device = OpenOptions::new().read(true).custom_flags(nonblocking).open(device).ok()?;
    let mut sector = [0; 512];
    device.read_exact(&mut sector).ok()?;
    if sector.ends_with(&[0x55, 0xaa]) {
        for (label, magic, name) in FAT {
            if &sector[magic] == name {
                return Some(("vfat", trimmed(&sector[label])));
            }
        }
    }
    device.seek(SeekFrom::Start(ISO_OFFSET)).ok()?;
    device.read_exact(&mut sector).ok()?;
    sector.starts_with(ISO_MAGIC).then(|| ("iso9660", trimmed(&sector[ISO_LABEL])))
}

fn trimmed(label: &[u8]) -> String {
    String::from_utf8_lossy(label).trim_end_matches(['\0', ' ']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(bytes: &[u8]) -> Option<String> {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), bytes).expect("written");
        assert_eq!(read(file.path()).is_some(), file_system(file.path()).is_some());
        read(file.path())
    }

    #[test]
    fn it_is_mounted_as_what_it_is() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let mut bytes = vec![0; 40 * 2048];
        bytes[32_768..32_774].copy_from_slice(ISO_MAGIC);
        std::fs::write(file.path(), &bytes).expect("written");
        assert_eq!(file_system(file.path()), Some("iso9660"));
        bytes[510..512].copy_from_slice(&[0x55, 0xaa]);
        bytes[54..57].copy_from_slice(b"FAT");
        std::fs::write(file.path(), &bytes).expect("written");
        assert_eq!(file_system(file.path()), Some("vfat"));
    }

    #[test]
    fn iso_and_fat() {
        let mut iso = vec![0; 40 * 2048];
        iso[32_768..32_774].copy_from_slice(ISO_MAGIC);
        iso[32_808..32_840].copy_from_slice(b"config-2                        ");
        assert_eq!(label(&iso).as_deref(), Some("config-2"));
        let mut fat = vec![0; 512];
        fat[510..].copy_from_slice(&[0x55, 0xaa]);
        fat[43..62].copy_from_slice(b"IR-VFD-DEV FAT12   ");
        assert_eq!(label(&fat).as_deref(), Some("IR-VFD-DEV"));
        fat[43..62].fill(0);
        fat[71..90].copy_from_slice(b"IR-VFD-DEV FAT32   ");
        assert_eq!(label(&fat).as_deref(), Some("IR-VFD-DEV"));
    }

    #[test]
    fn anything_else_has_none() {
        assert_eq!(label(b""), None);
        assert_eq!(label(&[0xff; 40_000]), None);
        assert_eq!(read(Path::new("/no/such/device")), None);
    }
}
