//! What a machine boots from.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use ipa_imagebuild::failure::{Doing, Outcome};

use crate::arguments::Arguments;
use crate::disk::{self, Cd};
use crate::platform::Platform;
use crate::stick;

/// What a machine boots from.
#[derive(Debug, Clone)]
pub enum Boot {
    /// A kernel that the firmware is handed, as from the network.
    Kernel(Kernel),
    /// An ISO image as a CD.
    Cd(PathBuf),
    /// An ISO image on a USB stick.
    Stick(PathBuf),
    /// A program for UEFI, alone on a USB stick, in the place where firmware looks for one.
    Program(PathBuf),
    /// The first disk.
    Disk,
}

/// A kernel, its initial RAM file system and its command line.
#[derive(Debug, Clone)]
pub struct Kernel {
    kernel: PathBuf,
    segments: Vec<PathBuf>,
    line: String,
}

impl Kernel {
    /// A kernel with its initramfs and its line. The console is what [`Arch::serial`] says.
    ///
    /// [`Arch::serial`]: ipa_imagebuild::arch::Arch::serial
    pub fn new(kernel: &Path, initramfs: &Path, line: &str) -> Self {
        Self { kernel: kernel.to_owned(), segments: vec![initramfs.to_owned()], line: line.to_owned() }
    }

    /// Adds a cpio archive, compressed or not, that the kernel unpacks over what came before.
    #[must_use]
    pub fn segment(mut self, archive: &Path) -> Self {
        self.segments.push(archive.to_owned());
        self
    }

    /// Adds words to the line.
    #[must_use]
    pub fn append(mut self, words: &str) -> Self {
        self.line = format!("{} {words}", self.line).trim().to_owned();
        self
    }

    /// The file for the firmware: QEMU takes only one.
    fn initramfs(&self, home: &Path) -> Outcome<PathBuf> {
        let [first, more @ ..] = &self.segments[..] else { return Ok(PathBuf::new()) };
        if more.is_empty() {
            return Ok(first.clone());
        }
        let path = home.join("initramfs");
        join(&self.segments, &path).doing(format_args!(
            "putting {:?} together in {}",
            self.segments,
            path.display()
        ))?;
        Ok(path)
    }
}

impl Boot {
    pub(crate) fn add_to(&self, arguments: &mut Arguments, platform: &Platform, home: &Path) -> Outcome {
        match self {
            Self::Kernel(kernel) => {
                arguments.option("-kernel", kernel.kernel.display().to_string());
                arguments.option("-initrd", kernel.initramfs(home)?.display().to_string());
                arguments.option("-append", kernel.line.clone());
            }
            Self::Cd(image) => Cd::from_file(image).add_to(arguments, platform, "boot", Some(1)),
            Self::Stick(image) => disk::add_stick(arguments, "boot", image, Some(1)),
            Self::Program(program) => {
                let image = home.join("stick");
                stick::make(&image, platform.efi_program, program)?;
                disk::add_stick(arguments, "boot", &image, Some(1));
            }
            Self::Disk => {}
        }
        Ok(())
    }

    /// Whether the machine's first disk is tried by the firmware.
    pub(crate) fn is_disk(&self) -> bool {
        matches!(self, Self::Disk)
    }

    /// Whether it comes from a CD.
    pub(crate) fn is_cd(&self) -> bool {
        matches!(self, Self::Cd(_))
    }

    /// Whether it comes from a USB stick.
    pub(crate) fn is_stick(&self) -> bool {
        matches!(self, Self::Stick(_) | Self::Program(_))
    }
}

/// Writes files one after the other, each beginning at a multiple of four bytes, as the kernel wants archives.
fn join(files: &[PathBuf], to: &Path) -> io::Result<()> {
    let mut all = File::create(to)?;
    for file in files {
        let length = io::copy(&mut File::open(file)?, &mut all)?;
        let padding = usize::try_from(length.wrapping_neg() % 4).unwrap_or_default();
        all.write_all(&[0; 3][..padding])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_begin_at_multiples_of_four() {
        let home = tempfile::tempdir().unwrap();
        let file = |name: &str, content: &str| {
            std::fs::write(home.path().join(name), content).unwrap();
            home.path().join(name)
        };
        let kernel = Kernel::new(Path::new("k"), &file("a", "12345"), "").segment(&file("b", "1234")).append("quiet");
        assert_eq!(kernel.line, "quiet");
        let joined = kernel.initramfs(home.path()).unwrap();
        assert_eq!(std::fs::read(joined).unwrap(), b"12345\0\0\x001234");
    }
}
