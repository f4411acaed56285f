//! A stick with one program for UEFI.

use std::path::Path;

use ipa_imagebuild::epoch;
use ipa_imagebuild::failure::Outcome;
use ipa_imagebuild::fat::{Entry, Volume};

/// Makes its image: a FAT file system without a partition table, with the program at a place.
pub(crate) fn make(image: &Path, place: &str, program: &Path) -> Outcome {
    let program = Entry { place: place.to_owned(), source: program.to_owned() };
    Volume { label: "STICK", serial: "00000001", epoch: epoch::FIRST }.write(image, &[program])
}
