//! A CD image of a kernel and its ramdisks, which boots by BIOS and by UEFI, as a CD and as a USB stick.
//!
//! GRUB loads on both ways, with one configuration. For UEFI it is the distribution's signed loader behind the signed
//! shim, so a signed kernel boots under Secure Boot; it lies in a small FAT image that is the image's EFI partition.
//! Kernel and ramdisks are in the image once and are never copied before. The same input gives the same bytes.

mod embedded;
mod esp;
mod grub;
mod identity;
mod inputs;
mod kernel_line;
mod loaders;
mod options;
mod output;
mod xorriso;

pub use embedded::Embedded;
pub(crate) use loaders::{loader_packages, tool_packages};
pub use options::Options;

use std::path::Path;
use std::time::Duration;

use crate::arch::Arch;
use crate::failure::{Doing, Outcome};
use identity::Identity;
use kernel_line::KernelLine;
use loaders::Loaders;
use output::Unfinished;

/// For one tool that works on files of some megabytes.
const SHORT: Duration = Duration::from_secs(60);
/// For writing the image.
const LONG: Duration = Duration::from_secs(1800);

/// Makes the image and tells in one line what it is.
///
/// # Errors
/// An input that is none, a missing tool or loader (with its Debian package), or what a tool said, for example that
/// the disk is full. Whatever was at the output's place stays as it was.
pub fn create(options: &Options) -> Outcome<String> {
    let arch = inputs::kernel(&options.kernel)?;
    for initrd in &options.initrds {
        inputs::ramdisk(initrd)?;
    }
    let line = KernelLine::new(&options.kernel_params, (!options.no_default_params).then_some(arch))?;
    let files = embedded::checked(&options.files)?;
    let label = options.label()?;
    let output = Unfinished::new(&options.output, options.inputs())?;
    let loaders = Loaders::find(options.loaders.as_deref(), arch)?;
    loaders::require_tools(arch)?;

    let identity = Identity::of(options.inputs(), &[&line.to_string(), label])?;
    let initrds = inputs::initrd_names(options.initrds.len());
    let work = tempfile::tempdir().doing("making a working directory")?;
    let grub_cfg = work.path().join("grub.cfg");
    std::fs::write(&grub_cfg, grub::config(&identity, &line, &initrds)).doing("writing grub.cfg")?;
    let marker = work.path().join("marker");
    std::fs::write(&marker, "").doing("writing the marker file")?;
    let esp = esp::make(work.path(), &loaders, &grub_cfg, &identity)?;
    let bios = if arch.has_bios { Some(grub::bios_image(work.path(), &loaders)?) } else { None };

    let mut tree = xorriso::Tree::new();
    tree.put("vmlinuz", &options.kernel);
    for (name, initrd) in initrds.iter().zip(&options.initrds) {
        tree.put(name, initrd);
    }
    tree.put(&identity.marker(), &marker);
    tree.put(grub::CONFIG_PATH, &grub_cfg);
    if let Some(bios) = &bios {
        tree.put(grub::BIOS_PATH, bios);
    }
    for file in &files {
        tree.put(&file.path, &file.source);
    }
    let boot = xorriso::Boot { esp: &esp, hybrid: bios.as_ref().map(|_| loaders.hybrid_mbr()) };
    xorriso::write(work.path(), &tree, &boot, label, &identity, output.path())
        .doing(format_args!("output {}", options.output.display()))?;
    output.finish()?;
    Ok(summary(&options.output, arch, label))
}

fn summary(output: &Path, arch: &Arch, label: &str) -> String {
    let firmware = if arch.has_bios { "BIOS and UEFI" } else { "UEFI" };
    let machine = arch.rust.split('-').next().unwrap_or(arch.debian);
    format!("{}: boots {machine} by {firmware}, label {label}", output.display())
}
