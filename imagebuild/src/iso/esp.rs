//! The EFI partition: a FAT image with shim, GRUB and GRUB's configuration.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::SHORT;
use super::grub;
use super::identity::Identity;
use super::loaders::{EfiFile, Loaders};
use crate::failure::{Doing, Outcome};
use crate::{process, search_path};

/// For boot sector, tables, directories and the last clusters, which files do not fill.
const MARGIN: u64 = 256 * 1024;
/// The size is a multiple of this: of a CD's sectors, and of what firmware reads at once.
const GRAIN: u64 = 64 * 1024;

/// Makes the image.
pub(super) fn make(work: &Path, loaders: &Loaders, config: &Path, identity: &Identity) -> Outcome<PathBuf> {
    let image = work.join("esp.img");
    let mut files = loaders.efi_files();
    files.push(EfiFile { place: grub::CONFIG_PATH.to_owned(), source: config.to_owned() });
    let mut content = 0;
    for file in &files {
        content += file.source.metadata().doing(format_args!("reading {}", file.source.display()))?.len();
    }
    let making = || format!("making {}", image.display());
    File::create(&image).and_then(|file| file.set_len((content + MARGIN).next_multiple_of(GRAIN))).doing(making())?;

    let mut format = tool("mkfs.fat", identity);
    format.args(["--invariant", "-n", "EFI", "-i", identity.fat_serial()]).arg(&image);
    process::output(&mut format, SHORT)?;
    let mut directories = tool("mmd", identity);
    directories.arg("-i").arg(&image).args(["::EFI", "::EFI/BOOT", "::boot", "::boot/grub"]);
    process::output(&mut directories, SHORT)?;
    for file in files {
        let mut copy = tool("mcopy", identity);
        copy.arg("-i").arg(&image).arg(&file.source).arg(format!("::{}", file.place));
        process::output(&mut copy, SHORT)?;
    }
    Ok(image)
}

/// A tool that takes its time from the identity and its settings from nowhere.
fn tool(program: &str, identity: &Identity) -> Command {
    let mut command = Command::new(program);
    command
        .env("PATH", search_path::whole())
        .env("SOURCE_DATE_EPOCH", identity.epoch())
        .env("TZ", "UTC")
        .env("MTOOLSRC", "/dev/null")
        .env("MTOOLS_SKIP_CHECK", "1");
    command
}
