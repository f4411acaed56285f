//! What tests of images for arm64 boot wherever they run: Debian's kernel, a shell, and boot loaders.

use std::fs;
use std::process::Command;
use std::time::Duration;

use ipa_imagebuild::arch::Arch;
use ipa_imagebuild::debian::Apt;
use ipa_imagebuild::failure::{Doing, Failure, Outcome};
use ipa_imagebuild::process;

use crate::{ramdisk, repo};

const UNPACK: Duration = Duration::from_secs(300);
const PACKAGES: [&str; 4] = ["busybox-static", "grub-efi-arm64-signed", "shim-helpers-arm64-signed", "shim-signed"];

/// Directory below the build directory that has them.
pub(crate) const PLACE: &str = "arm64";

/// Fetches the packages and unpacks them over each other.
pub(crate) fn fetch() -> Outcome {
    let arch = Arch::named("arm64")?;
    let apt = Apt::new(&repo::target(ramdisk::CACHE).join("apt"), &ramdisk::default_sources()?, arch)?;
    let mut packages = apt.resolve(arch.kernel, &PACKAGES)?;
    // What their programs are linked with is not wanted: none of these is run here.
    packages.retain(|package| PACKAGES.contains(&package.name.as_str()) || package.name.starts_with("linux-image-"));
    let files = apt.fetch(&packages)?;
    let directory = repo::target(PLACE);
    repo::fresh_directory(&directory)?;
    for file in files {
        process::output(Command::new("dpkg-deb").arg("--extract").arg(file).arg(&directory), UNPACK)?;
    }
    let kernel = packages.iter().find_map(|package| package.name.strip_prefix("linux-image-"));
    let kernel = kernel.ok_or_else(|| Failure::new("there is no kernel among the packages for arm64"))?;
    let image = directory.join("boot").join(format!("vmlinuz-{kernel}"));
    fs::rename(&image, directory.join("kernel")).doing(format_args!("moving the kernel {}", image.display()))
}
