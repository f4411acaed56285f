//! FAT images with files in them, made without mounting anything. The same input gives the same bytes.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::failure::{Doing, Outcome};
use crate::{process, search_path};

/// For one tool that works on files of some megabytes.
const TOOL: Duration = Duration::from_secs(60);
/// For boot sector, tables, directories and the last clusters, which files do not fill.
const MARGIN: u64 = 256 * 1024;
/// Of this many bytes of files the tables take less than one.
const TABLES: u64 = 256;
/// The size is a multiple of this: of a CD's sectors, and of what firmware reads at once.
const GRAIN: u64 = 64 * 1024;

/// A file of the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Place in the image, without a leading slash.
    pub place: String,
    /// The file to copy.
    pub source: PathBuf,
}

/// What the image says of itself.
#[derive(Debug, Clone, Copy)]
pub struct Volume<'a> {
    /// The label, of at most eleven capital letters and digits.
    pub label: &'a str,
    /// The serial number, as eight hexadecimal digits.
    pub serial: &'a str,
    /// Time of all files, in seconds since 1970.
    pub epoch: u32,
}

impl Volume<'_> {
    /// Writes the image, just large enough for the files, over what is there.
    ///
    /// # Errors
    /// A file cannot be read, the image not be written, or dosfstools or mtools are missing.
    pub fn write(&self, image: &Path, files: &[Entry]) -> Outcome {
        let mut content = 0;
        for file in files {
            content += file.source.metadata().doing(format_args!("reading {}", file.source.display()))?.len();
        }
        let size = (content + content / TABLES + MARGIN).next_multiple_of(GRAIN);
        let making = || format!("making {}", image.display());
        File::create(image).and_then(|file| file.set_len(size)).doing(making())?;

        let mut format = self.tool("mkfs.fat");
        format.args(["--invariant", "-n", self.label, "-i", self.serial]).arg(image);
        process::output(&mut format, TOOL)?;
        let directories: BTreeSet<&str> = files.iter().flat_map(|file| above(&file.place)).collect();
        if !directories.is_empty() {
            let mut make = self.tool("mmd");
            make.arg("-i").arg(image).args(directories.iter().map(|directory| format!("::{directory}")));
            process::output(&mut make, TOOL)?;
        }
        for file in files {
            let mut copy = self.tool("mcopy");
            copy.arg("-i").arg(image).arg(&file.source).arg(format!("::{}", file.place));
            process::output(&mut copy, TOOL)?;
        }
        Ok(())
    }

    /// A tool that takes its time from here and its settings from nowhere.
    fn tool(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("PATH", search_path::whole())
            .env(crate::epoch::NAME, self.epoch.to_string())
            .env("TZ", "UTC")
            .env("MTOOLSRC", "/dev/null")
            .env("MTOOLS_SKIP_CHECK", "1");
        command
    }
}

/// The directories above a place, those above them first.
fn above(place: &str) -> impl Iterator<Item = &str> {
    place.match_indices('/').map(|(end, _)| &place[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_in_their_places_and_the_bytes_are_the_same_each_time() {
        let home = tempfile::tempdir().unwrap();
        let (image, large, small) = (home.path().join("image"), home.path().join("large"), home.path().join("small"));
        std::fs::write(&large, vec![b'x'; 40_000_000]).unwrap();
        std::fs::write(&small, "small").unwrap();
        let entry = |place: &str, source: &Path| Entry { place: place.to_owned(), source: source.to_owned() };
        let files = [entry("EFI/BOOT/BOOTX64.EFI", &large), entry("EFI/a", &small), entry("b", &small)];
        let volume = Volume { label: "TEST", serial: "0123abcd", epoch: 1_700_000_000 };
        volume.write(&image, &files).unwrap();
        let first = std::fs::read(&image).unwrap();
        for file in &files {
            let copied = home.path().join("copied");
            let mut copy = volume.tool("mcopy");
            process::output(
                copy.args(["-n", "-o", "-i"]).arg(&image).arg(format!("::{}", file.place)).arg(&copied),
                TOOL,
            )
            .unwrap();
            assert!(std::fs::read(&copied).unwrap() == std::fs::read(&file.source).unwrap(), "{}", file.place);
        }
        volume.write(&image, &files).unwrap();
        assert!(std::fs::read(&image).unwrap() == first);
        let failure = volume.write(&image, &[entry("x", &home.path().join("none"))]).unwrap_err().to_string();
        assert!(failure.contains("reading") && failure.contains("none"), "{failure}");
    }
}
