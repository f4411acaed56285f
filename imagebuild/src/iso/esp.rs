//! The EFI partition: a FAT image with shim, GRUB and GRUB's configuration.

use std::path::{Path, PathBuf};

use super::grub;
use super::identity::Identity;
use super::loaders::Loaders;
use crate::failure::Outcome;
use crate::fat::{Entry, Volume};

/// Makes the image.
pub(super) fn make(work: &Path, loaders: &Loaders, config: &Path, identity: &Identity) -> Outcome<PathBuf> {
    let image = work.join("esp.img");
    let mut files = loaders.efi_files();
    files.push(Entry { place: grub::CONFIG_PATH.to_owned(), source: config.to_owned() });
    Volume { label: "EFI", serial: identity.fat_serial(), epoch: identity.epoch() }.write(&image, &files)?;
    Ok(image)
}
