//! The tools and boot loaders of this system, and the Debian packages that have them.

use std::path::{Path, PathBuf};

use super::inputs::Arch;
use crate::failure::{Failure, Outcome};
use crate::fat::Entry;
use crate::search_path;

/// Programs for every image, and their packages.
const TOOLS: [(&str, &str); 4] =
    [("xorriso", "xorriso"), ("mkfs.fat", "dosfstools"), ("mmd", "mtools"), ("mcopy", "mtools")];
/// For the part that boots by BIOS.
const BIOS_TOOLS: [(&str, &str); 1] = [("grub-mkimage", "grub-common")];

/// The loader files for one kind of machine.
#[derive(Debug, Clone)]
pub(super) struct Loaders {
    root: PathBuf,
    arch: Arch,
}

impl Loaders {
    /// Looks for all files.
    ///
    /// # Errors
    /// Missing files, with the packages to install.
    pub(super) fn find(arch: Arch) -> Outcome<Self> {
        Self::below(Path::new("/"), arch)
    }

    fn below(root: &Path, arch: Arch) -> Outcome<Self> {
        let loaders = Self { root: root.to_owned(), arch };
        let missing = loaders.needed().into_iter().filter(|(file, _)| !file.is_file());
        complain("boot loaders", missing.map(|(file, package)| (file.display().to_string(), package)))?;
        Ok(loaders)
    }

    /// What the EFI partition holds: shim where firmware looks, GRUB where shim looks, and the manager for own keys.
    pub(super) fn efi_files(&self) -> Vec<Entry> {
        let (upper, lower, _) = efi_names(self.arch);
        let file = |name: String, source: PathBuf| Entry { place: format!("EFI/BOOT/{name}"), source };
        vec![
            file(format!("BOOT{upper}.EFI"), self.shim("shim")),
            file(format!("grub{lower}.efi"), self.signed_grub()),
            file(format!("mm{lower}.efi"), self.shim("mm")),
        ]
    }

    /// Directory of GRUB's parts for BIOS.
    pub(super) fn bios_parts(&self) -> PathBuf {
        self.root.join("usr/lib/grub/i386-pc")
    }

    /// The boot sector of an image that is on a disk.
    pub(super) fn hybrid_mbr(&self) -> PathBuf {
        self.bios_parts().join("boot_hybrid.img")
    }

    fn needed(&self) -> Vec<(PathBuf, String)> {
        let (_, _, debian) = efi_names(self.arch);
        let mut needed = vec![
            (self.shim("shim"), "shim-signed".to_owned()),
            (self.shim("mm"), format!("shim-helpers-{debian}-signed")),
            (self.signed_grub(), format!("grub-efi-{debian}-signed")),
        ];
        if self.arch == Arch::X86_64 {
            needed.extend([(self.hybrid_mbr(), "grub-pc-bin".to_owned())]);
            needed.extend([(self.bios_parts().join("cdboot.img"), "grub-pc-bin".to_owned())]);
        }
        needed
    }

    fn shim(&self, what: &str) -> PathBuf {
        let (_, lower, _) = efi_names(self.arch);
        self.root.join(format!("usr/lib/shim/{what}{lower}.efi.signed"))
    }

    /// The variant for removable media: it looks for its configuration in /boot/grub of its own partition.
    fn signed_grub(&self) -> PathBuf {
        let (_, lower, _) = efi_names(self.arch);
        self.root.join(format!("usr/lib/grub/{}-efi-signed/gcd{lower}.efi.signed", self.grub_name()))
    }

    fn grub_name(&self) -> &'static str {
        match self.arch {
            Arch::X86_64 => "x86_64",
            Arch::Aarch64 => "arm64",
        }
    }
}

/// How UEFI, shim and Debian call the machine.
fn efi_names(arch: Arch) -> (&'static str, &'static str, &'static str) {
    match arch {
        Arch::X86_64 => ("X64", "x64", "amd64"),
        Arch::Aarch64 => ("AA64", "aa64", "arm64"),
    }
}

/// An error with the packages of the programs that are not there.
pub(super) fn require_tools(arch: Arch) -> Outcome {
    let path = std::env::var("PATH").unwrap_or_default();
    let missing = TOOLS.iter().chain(bios_tools(arch)).filter(|(program, _)| !search_path::has(&path, program));
    complain("programs", missing.map(|(program, package)| ((*program).to_owned(), (*package).to_owned())))
}

/// The programs that the machine's BIOS adds.
fn bios_tools(arch: Arch) -> &'static [(&'static str, &'static str)] {
    if arch == Arch::X86_64 { &BIOS_TOOLS } else { &[] }
}

/// The Debian packages of the tools for every image.
pub(crate) fn tool_packages() -> Vec<&'static str> {
    sorted(TOOLS.iter().map(|(_, package)| *package).collect())
}

/// The Debian packages with all else for images that boot machines of an architecture, by Debian's name of it; none for
/// one whose images cannot be made.
pub(crate) fn loader_packages(debian: &str) -> Vec<String> {
    let Some(arch) = [Arch::X86_64, Arch::Aarch64].into_iter().find(|arch| efi_names(*arch).2 == debian) else {
        return Vec::new();
    };
    let files = Loaders { root: PathBuf::new(), arch }.needed().into_iter().map(|(_, package)| package);
    sorted(files.chain(bios_tools(arch).iter().map(|(_, package)| (*package).to_owned())).collect())
}

fn sorted<T: Ord>(mut packages: Vec<T>) -> Vec<T> {
    packages.sort_unstable();
    packages.dedup();
    packages
}

fn complain(what: &str, missing: impl Iterator<Item = (String, String)>) -> Outcome {
    let (names, packages): (Vec<String>, Vec<String>) = missing.unzip();
    if names.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "{what} are missing: {}; install them: apt-get install {}",
        names.join(", "),
        sorted(packages).join(" ")
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_loaders_are_named_with_their_packages() {
        let directory = tempfile::tempdir().unwrap();
        let failure = Loaders::below(directory.path(), Arch::X86_64).unwrap_err().to_string();
        for part in [
            "shimx64.efi.signed",
            "apt-get install grub-efi-amd64-signed grub-pc-bin shim-helpers-amd64-signed shim-signed",
        ] {
            assert!(failure.contains(part), "{failure}");
        }
    }

    #[test]
    fn other_machines_need_no_bios() {
        let directory = tempfile::tempdir().unwrap();
        let failure = Loaders::below(directory.path(), Arch::Aarch64).unwrap_err().to_string();
        assert!(failure.contains("usr/lib/grub/arm64-efi-signed/gcdaa64.efi.signed"), "{failure}");
        assert!(!failure.contains("grub-pc-bin"), "{failure}");
    }

    #[test]
    fn packages_are_known_for_the_architectures_that_images_boot() {
        assert_eq!(tool_packages(), ["dosfstools", "mtools", "xorriso"]);
        let amd64 = ["grub-common", "grub-efi-amd64-signed", "grub-pc-bin", "shim-helpers-amd64-signed", "shim-signed"];
        assert_eq!(loader_packages("amd64"), amd64);
        assert_eq!(loader_packages("arm64"), ["grub-efi-arm64-signed", "shim-helpers-arm64-signed", "shim-signed"]);
        assert_eq!(loader_packages("riscv64"), [""; 0]);
    }
}
