//! The tools and boot loaders of this system, and the Debian packages that have them.

use std::path::{Path, PathBuf};

use crate::arch::Arch;
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
    arch: &'static Arch,
}

impl Loaders {
    /// Looks for all files, below this directory if one is given.
    ///
    /// # Errors
    /// Missing files, with the packages that have them and how to get these.
    pub(super) fn find(directory: Option<&Path>, arch: &'static Arch) -> Outcome<Self> {
        let loaders = Self { root: directory.unwrap_or(Path::new("/")).to_owned(), arch };
        let missing: Vec<_> = loaders.needed().into_iter().filter(|(file, _)| !file.is_file()).collect();
        let missing = missing.into_iter().map(|(file, package)| (file.display().to_string(), package));
        // A system has those of its own architecture only: the packages of two would replace each other.
        let get = if directory.is_none() && arch.is_native() { install } else { unpack };
        complain("boot loaders", missing, |packages| get(arch, packages))?;
        Ok(loaders)
    }

    /// What the EFI partition holds: shim where firmware looks, GRUB where shim looks, and the manager for own keys.
    pub(super) fn efi_files(&self) -> Vec<Entry> {
        let efi = self.arch.efi;
        let file = |name: String, source: PathBuf| Entry { place: format!("EFI/BOOT/{name}"), source };
        vec![
            file(format!("BOOT{}.EFI", efi.to_uppercase()), self.shim("shim")),
            file(format!("grub{efi}.efi"), self.signed_grub()),
            file(format!("mm{efi}.efi"), self.shim("mm")),
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
        let debian = self.arch.debian;
        let mut needed = vec![
            (self.shim("shim"), "shim-signed".to_owned()),
            (self.shim("mm"), format!("shim-helpers-{debian}-signed")),
            (self.signed_grub(), format!("grub-efi-{debian}-signed")),
        ];
        if self.arch.has_bios {
            needed.extend([(self.hybrid_mbr(), "grub-pc-bin".to_owned())]);
            needed.extend([(self.bios_parts().join("cdboot.img"), "grub-pc-bin".to_owned())]);
        }
        needed
    }

    fn shim(&self, what: &str) -> PathBuf {
        self.root.join(format!("usr/lib/shim/{what}{}.efi.signed", self.arch.efi))
    }

    /// The variant for removable media: it looks for its configuration in /boot/grub of its own partition.
    fn signed_grub(&self) -> PathBuf {
        self.root.join(format!("usr/lib/grub/{}-efi-signed/gcd{}.efi.signed", self.arch.grub, self.arch.efi))
    }
}

/// An error with the packages of the programs that are not there.
pub(super) fn require_tools(arch: &Arch) -> Outcome {
    let path = std::env::var("PATH").unwrap_or_default();
    let missing = TOOLS.iter().chain(bios_tools(arch)).filter(|(program, _)| !search_path::has(&path, program));
    let missing = missing.map(|(program, package)| ((*program).to_owned(), (*package).to_owned()));
    complain("programs", missing, |packages| install(arch, packages))
}

/// The programs that the machine's BIOS adds.
fn bios_tools(arch: &Arch) -> &'static [(&'static str, &'static str)] {
    if arch.has_bios { &BIOS_TOOLS } else { &[] }
}

/// The Debian packages of the tools for every image.
pub(crate) fn tool_packages() -> Vec<&'static str> {
    sorted(TOOLS.iter().map(|(_, package)| *package).collect())
}

/// The Debian packages with all else for images that boot machines of an architecture, by Debian's name of it; none for
/// one whose images cannot be made.
pub(crate) fn loader_packages(debian: &str) -> Vec<String> {
    let Ok(arch) = Arch::named(debian) else {
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

fn install(_: &Arch, packages: &[String]) -> String {
    format!("install them: apt-get install {}", packages.join(" "))
}

fn unpack(arch: &Arch, packages: &[String]) -> String {
    let names: Vec<String> = packages.iter().map(|package| format!("{package}:{}", arch.debian)).collect();
    format!(
        "get them: dpkg --add-architecture {}; apt-get update; apt-get download {}; unpack each with `dpkg-deb -x FILE \
         DIR`, and give --loaders DIR",
        arch.debian,
        names.join(" ")
    )
}

fn complain(
    what: &str,
    missing: impl Iterator<Item = (String, String)>,
    cure: impl FnOnce(&[String]) -> String,
) -> Outcome {
    let (names, packages): (Vec<String>, Vec<String>) = missing.unzip();
    if names.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!("{what} are missing: {}; {}", names.join(", "), cure(&sorted(packages)))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(arch: &str) -> String {
        let directory = tempfile::tempdir().unwrap();
        Loaders::find(Some(directory.path()), Arch::named(arch).unwrap()).unwrap_err().to_string()
    }

    #[test]
    fn missing_loaders_are_named_with_their_packages() {
        let failure = failure("amd64");
        for part in [
            "shimx64.efi.signed",
            "apt-get download grub-efi-amd64-signed:amd64 grub-pc-bin:amd64 shim-helpers-amd64-signed:amd64 \
             shim-signed:amd64; unpack",
        ] {
            assert!(failure.contains(part), "{failure}");
        }
        let packages = ["shim-signed".to_owned()];
        assert_eq!(install(Arch::named("amd64").unwrap(), &packages), "install them: apt-get install shim-signed");
    }

    #[test]
    fn other_machines_need_no_bios() {
        let failure = failure("arm64");
        assert!(failure.contains("usr/lib/grub/arm64-efi-signed/gcdaa64.efi.signed"), "{failure}");
        assert!(failure.contains("dpkg --add-architecture arm64; apt-get update; apt-get download"), "{failure}");
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
