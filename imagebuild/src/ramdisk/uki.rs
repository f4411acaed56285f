//! A unified kernel image, which is a program for UEFI that holds kernel, ramdisk and kernel line in one file: systemd's
//! boot stub with these as sections.
//!
//! It is the one way to give Debian's kernel a line that no boot loader has to know: the kernel is built neither with a
//! line of its own nor with the support for one at the end of the ramdisk (`CONFIG_CMDLINE_BOOL`, `CONFIG_BOOT_CONFIG`).

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::arch::Arch;
use crate::failure::{Doing, Failure, Outcome};
use crate::{digest, manifest, process};

const DEADLINE: Duration = Duration::from_secs(120);
/// Where a section begins in memory: at multiples of a page.
const PAGE: u64 = 4096;
/// Enough of a stub to know its machine.
const HEAD: u64 = 4096;
/// Longest kernel line that a kernel takes.
const LINE: usize = 2047;

/// A unified kernel image in the making.
#[derive(Debug, Clone, Copy)]
pub struct Uki<'a> {
    /// systemd's boot stub for the machine.
    pub stub: &'a Path,
    /// The kernel line. The stub takes none from elsewhere, unless firmware or boot loader hand it one of their own.
    pub line: &'a str,
    /// The kernel.
    pub kernel: &'a Path,
    /// The archive.
    pub initramfs: &'a Path,
}

impl Uki<'_> {
    /// Writes it to `output`, where nothing is until all is.
    ///
    /// # Errors
    /// If the line is no kernel line, a file cannot be read, or objcopy fails.
    pub fn assemble(&self, output: &Path) -> Outcome<manifest::Uki> {
        if self.line.len() > LINE || self.line.contains(|c: char| c.is_control()) {
            return Err(Failure::new(format!(
                "a kernel line is at most {LINE} bytes long and has no control characters"
            )));
        }
        let work = output.with_extension("efi.partial");
        let text = output.with_extension("cmdline.partial");
        fs::write(&text, self.line).doing(format_args!("writing {}", text.display()))?;
        let made = self.add_sections(&text, &work);
        fs::remove_file(&text).doing(format_args!("removing {}", text.display()))?;
        if made.is_err() {
            // A disk that was full needs the room, and there may be nothing to remove.
            let _ = fs::remove_file(&work);
        }
        made?;
        fs::rename(&work, output).doing(format_args!("moving {}", work.display()))?;
        Ok(manifest::Uki {
            file: output.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            size: size(output)?,
            sha256: digest::of_file(output)?,
        })
    }

    /// Adds the files to the stub as sections behind its own.
    fn add_sections(&self, line: &Path, output: &Path) -> Outcome {
        let mut objdump = Command::new(binutil("objdump", self.stub)?);
        let headers = process::output(objdump.arg("--section-headers").arg(self.stub), DEADLINE)?;
        let mut at = end_of_sections(&headers)
            .ok_or_else(|| Failure::new(format!("{} has no sections that objdump could show", self.stub.display())))?;
        let mut objcopy = Command::new(binutil("objcopy", self.stub)?);
        for (section, path) in [(".cmdline", line), (".linux", self.kernel), (".initrd", self.initramfs)] {
            at = at.next_multiple_of(PAGE);
            objcopy.arg("--add-section").arg(format!("{section}={}", path.display()));
            objcopy.arg("--change-section-vma").arg(format!("{section}={at:#x}"));
            at += size(path)?;
        }
        process::output(objcopy.arg(self.stub).arg(output), DEADLINE).map(drop)
    }
}

fn size(path: &Path) -> Outcome<u64> {
    Ok(fs::metadata(path).doing(format_args!("reading {}", path.display()))?.len())
}

/// The program of binutils that knows the stub's machine: this machine's own knows only its own.
fn binutil(name: &str, stub: &Path) -> Outcome<String> {
    let reading = || format!("reading {}", stub.display());
    let mut head = Vec::new();
    File::open(stub).and_then(|file| file.take(HEAD).read_to_end(&mut head)).doing(reading())?;
    let arch = efi_machine(&head).and_then(Arch::of_efi_machine).filter(|arch| !arch.is_native());
    Ok(arch.map_or_else(|| name.to_owned(), |arch| format!("{}-{name}", arch.triplet)))
}

/// The machine of a program for UEFI: from the header whose place stands at 0x3c, behind its mark.
fn efi_machine(head: &[u8]) -> Option<u16> {
    let place: [u8; 4] = head.get(0x3c..0x40)?.try_into().ok()?;
    let header = head.get(usize::try_from(u32::from_le_bytes(place)).ok()?..)?;
    let machine: [u8; 2] = header.strip_prefix(b"PE\0\0")?.get(..2)?.try_into().ok()?;
    Some(u16::from_le_bytes(machine))
}

/// Where the last section ends in memory, from objdump's table.
fn end_of_sections(headers: &str) -> Option<u64> {
    let rows = headers.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        words.next()?.parse::<u32>().ok()?;
        let (_name, size, address) = (words.next()?, words.next()?, words.next()?);
        Some(u64::from_str_radix(size, 16).ok()? + u64::from_str_radix(address, 16).ok()?)
    });
    rows.max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_that_of_the_section_that_lies_last() {
        // Recorded, cut.
        let headers = "\
linuxx64.efi.stub:     file format pei-x86-64

Sections:
Idx Name          Size      VMA               LMA               File off  Algn
  0 .text         0000d5f0  0000000000004000  0000000000004000  00000400  2**4
                  CONTENTS, ALLOC, LOAD, READONLY, CODE
  1 .sdmagic      00000030  000000000001a000  000000000001a000  00015200  2**2
  2 .sbat         000000e8  0000000000018000  0000000000018000  00015000  2**2
";
        assert_eq!(end_of_sections(headers), Some(0x1a030));
        assert_eq!(end_of_sections("Sections:\n"), None);
    }

    #[test]
    fn a_stub_of_another_machine_has_tools_of_its_own() {
        let directory = tempfile::tempdir().unwrap();
        let stub = directory.path().join("stub");
        let mut bytes = vec![0; 0x100];
        bytes[0x3c] = 0x80;
        for arch in ["amd64", "arm64"].map(|name| Arch::named(name).unwrap()) {
            bytes[0x80..0x86].copy_from_slice(&[&b"PE\0\0"[..], &arch.efi_machine.to_le_bytes()].concat());
            fs::write(&stub, &bytes).unwrap();
            let expected = if arch.is_native() { "objcopy".to_owned() } else { format!("{}-objcopy", arch.triplet) };
            assert_eq!(binutil("objcopy", &stub).unwrap(), expected);
        }
        fs::write(&stub, "\x7fELF").unwrap();
        assert_eq!(binutil("objcopy", &stub).unwrap(), "objcopy");
        assert_eq!(efi_machine(&[0xff; 0x40]), None);
    }

    #[test]
    fn lines_that_no_kernel_takes_are_refused() {
        let nowhere = Path::new("/nonexistent");
        for line in ["a\nb", &"x".repeat(2048)] {
            let uki = Uki { stub: nowhere, line, kernel: nowhere, initramfs: nowhere };
            assert!(uki.assemble(nowhere).unwrap_err().to_string().contains("2047"));
        }
    }
}
