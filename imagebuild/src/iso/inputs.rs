//! What kernel and ramdisk are, by their first bytes.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::arch::Arch;
use crate::failure::{Doing, Failure, Outcome};

/// Enough for every header below.
const HEAD: u64 = 1024;

/// What a kernel runs on; an error if the file is none.
pub(super) fn kernel(path: &Path) -> Outcome<&'static Arch> {
    let name = kernel_arch(&head("kernel", path)?).ok_or_else(|| {
        Failure::new(format!(
            "kernel {}: this is no Linux kernel for x86 (bzImage) or arm64 (Image); were kernel and ramdisk swapped?",
            path.display()
        ))
    })?;
    Arch::named(name)
}

/// An error if the file is no ramdisk.
pub(super) fn ramdisk(path: &Path) -> Outcome {
    if is_ramdisk(&head("initrd", path)?) {
        return Ok(());
    }
    Err(Failure::new(format!(
        "initrd {}: this is neither a cpio archive nor compressed by anything that a kernel unpacks",
        path.display()
    )))
}

/// The names of that many ramdisks in the image.
pub(super) fn initrd_names(count: usize) -> Vec<String> {
    (0..count).map(|number| if number == 0 { "initrd".to_owned() } else { format!("initrd{number}") }).collect()
}

fn head(role: &str, path: &Path) -> Outcome<Vec<u8>> {
    let reading = || format!("{role} {}", path.display());
    let file = File::open(path).doing(reading())?;
    if !file.metadata().doing(reading())?.is_file() {
        return Err(Failure::new(format!("{} is no file", reading())));
    }
    let mut head = Vec::new();
    file.take(HEAD).read_to_end(&mut head).doing(reading())?;
    Ok(head)
}

/// Debian's name of it.
fn kernel_arch(head: &[u8]) -> Option<&'static str> {
    // Documentation/arch/x86/boot.rst and Documentation/arch/arm64/booting.rst.
    match head {
        head if head.get(0x202..0x206) == Some(b"HdrS") => Some("amd64"),
        head if head.get(0x38..0x3c) == Some(b"ARM\x64") => Some("arm64"),
        _ => None,
    }
}

fn is_ramdisk(head: &[u8]) -> bool {
    const MAGIC: [&[u8]; 9] = [
        b"070701",     // cpio
        b"070702",     // cpio with checksums
        &[0x1f, 0x8b], // gzip
        &[0xfd, b'7', b'z', b'X', b'Z', 0],
        &[0x28, 0xb5, 0x2f, 0xfd], // zstd
        &[0x5d, 0, 0],             // lzma
        b"BZh",
        &[0x02, 0x21, 0x4c, 0x18], // lz4 as the kernel wants it
        &[0x89, b'L', b'Z', b'O'],
    ];
    MAGIC.iter().any(|magic| head.starts_with(magic))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(offset: usize, magic: &[u8]) -> Vec<u8> {
        let mut head = vec![0; 1024];
        head[offset..offset + magic.len()].copy_from_slice(magic);
        head
    }

    #[test]
    fn kernels_are_known_by_their_headers() {
        assert_eq!(kernel_arch(&with(0x202, b"HdrS")), Some("amd64"));
        assert_eq!(kernel_arch(&with(0x38, b"ARM\x64")), Some("arm64"));
        assert_eq!(kernel_arch(&with(0, b"\x7fELF")), None);
        assert_eq!(kernel_arch(b"MZ"), None);
    }

    #[test]
    fn ramdisks_are_archives_or_compressed() {
        assert!(is_ramdisk(b"070701000000"));
        assert!(is_ramdisk(&[0x1f, 0x8b, 8, 0]));
        assert!(is_ramdisk(&[0x28, 0xb5, 0x2f, 0xfd, 4]));
        assert!(!is_ramdisk(b""));
        assert!(!is_ramdisk(&with(0x202, b"HdrS")));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let failure = kernel(Path::new("/nowhere/k")).unwrap_err().to_string();
        assert!(failure.starts_with("kernel /nowhere/k: No such file"), "{failure}");
        assert_eq!(ramdisk(Path::new("/")).unwrap_err().to_string(), "initrd / is no file");
    }

    #[test]
    fn each_ramdisk_has_its_name() {
        assert_eq!(initrd_names(3), ["initrd", "initrd1", "initrd2"]);
    }
}
