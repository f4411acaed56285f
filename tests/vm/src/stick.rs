//! A stick with one program for UEFI.

use std::path::Path;

use ipa_imagebuild::epoch;
use ipa_imagebuild::failure::Outcome;
use ipa_imagebuild::fat::{Entry, Volume};

/// Where firmware looks on media that nobody has told it of.
const PLACE: &str = "EFI/BOOT/BOOTX64.EFI";

/// Makes its image: a FAT file system without a partition table.
pub(crate) fn make(image: &Path, program: &Path) -> Outcome {
    let program = Entry { place: PLACE.to_owned(), source: program.to_owned() };
    Volume { label: "STICK", serial: "00000001", epoch: epoch::FIRST }.write(image, &[program])
}
