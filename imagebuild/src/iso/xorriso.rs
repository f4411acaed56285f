//! The image itself, by xorriso.

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::LONG;
use super::grub;
use super::identity::Identity;
use crate::failure::{Doing, Failure, Outcome};
use crate::{epoch, process, search_path};

/// The type of a partition with boot loaders for UEFI.
const EFI_PARTITION: &str = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b";

/// How many lines of a log are shown.
const COMPLAINTS: usize = 4;

/// What lies where in the image.
#[derive(Debug, Default)]
pub(super) struct Tree(Vec<OsString>);

impl Tree {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Puts a file of this system at a place.
    pub(super) fn put(&mut self, place: &str, source: &Path) {
        // In such a pair `=` parts the two sides, and a backslash takes a character's meaning.
        let mut pair = escaped(format!("/{place}").as_bytes());
        pair.push(b'=');
        // A name with a leading dash would be an option.
        let source = std::path::absolute(source).unwrap_or_else(|_| source.to_owned());
        pair.extend(escaped(source.as_os_str().as_bytes()));
        self.0.push(OsString::from_vec(pair));
    }
}

/// What makes the image boot.
#[derive(Debug)]
pub(super) struct Boot<'a> {
    pub(super) esp: &'a Path,
    /// The boot sector, if it is to boot by BIOS as well.
    pub(super) hybrid: Option<PathBuf>,
}

/// Writes the image, with a log in the working directory.
pub(super) fn write(
    work: &Path,
    tree: &Tree,
    boot: &Boot<'_>,
    label: &str,
    identity: &Identity,
    output: &Path,
) -> Outcome {
    let log = work.join("xorriso.log");
    let mut command = Command::new("xorriso");
    command.env("PATH", search_path::whole()).env(epoch::NAME, identity.epoch().to_string()).env("TZ", "UTC");
    command.args(arguments(tree, boot, label, identity, output));
    command.stderr(File::create(&log).doing("making a log of xorriso")?);
    process::run(&mut command, LONG).map_err(|failure| {
        let log = std::fs::read(&log).unwrap_or_default();
        // The whole command is many lines long, and most of the log tells of progress.
        complaints(&String::from_utf8_lossy(&log)).map_or(failure, Failure::new)
    })
}

/// What xorriso said of errors, in one line.
fn complaints(log: &str) -> Option<String> {
    let worst = |line: &&str| ["FATAL", "FAILURE", "SORRY"].iter().any(|severity| line.contains(severity));
    let lines: Vec<&str> = log.lines().filter(worst).map(str::trim).take(COMPLAINTS).collect();
    (!lines.is_empty()).then(|| format!("the image could not be written: {}", lines.join("; ")))
}

fn arguments(tree: &Tree, boot: &Boot<'_>, label: &str, identity: &Identity, output: &Path) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = Vec::new();
    let mut add = |words: &[&str]| arguments.extend(words.iter().map(OsString::from));
    // No settings of this system or user, and only what went wrong.
    add(&["-no_rc", "-report_about", "WARNING", "-as", "mkisofs", "-quiet", "-rational-rock", "-iso-level", "3"]);
    add(&["-volid", label, "--gpt_disk_guid", &identity.disk_guid(), "-partition_offset", "16"]);
    add(&["-c", "boot/boot.catalog"]);
    if boot.hybrid.is_some() {
        add(&["-b", grub::BIOS_PATH, "-no-emul-boot", "-boot-load-size", "4", "-boot-info-table", "--grub2-boot-info"]);
        // Some BIOSes boot a disk only from a partition that is marked so.
        add(&["--mbr-force-bootable"]);
        add(&["-eltorito-alt-boot"]);
    }
    add(&["-e", "--interval:appended_partition_2:all::", "-no-emul-boot", "-appended_part_as_gpt"]);
    add(&["-append_partition", "2", EFI_PARTITION]);
    arguments.push(boot.esp.into());
    if let Some(sector) = &boot.hybrid {
        arguments.extend(["--grub2-mbr".into(), sector.into()]);
    }
    arguments.extend(["-o".into(), output.into(), "-graft-points".into()]);
    arguments.extend(tree.0.iter().cloned());
    let mut add = |words: &[&str]| arguments.extend(words.iter().map(OsString::from));
    // Linux shows this date as the volume's UUID.
    add(&["--", "-volume_date", "uuid", &identity.volume_date()]);
    let epoch = format!("={}", identity.epoch());
    add(&["-volume_date", "all_file_dates", &epoch, "-alter_date_r", "b", &epoch, "/", "--"]);
    arguments
}

fn escaped(text: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(text.len());
    for byte in text {
        if matches!(byte, b'=' | b'\\') {
            escaped.push(b'\\');
        }
        escaped.push(*byte);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(hybrid: bool) -> String {
        let identity = Identity::of(std::iter::empty(), &["x"]).unwrap();
        let mut tree = Tree::new();
        tree.put("etc/a=b", Path::new(r"/src/c d=\e"));
        let boot = Boot { esp: Path::new("/w/esp.img"), hybrid: hybrid.then(|| "/g/boot_hybrid.img".into()) };
        let arguments = arguments(&tree, &boot, "config-2", &identity, Path::new("/o/x y.iso"));
        arguments.iter().map(|argument| argument.to_str().unwrap()).collect::<Vec<_>>().join("|")
    }

    #[test]
    fn bios_comes_first_and_uefi_starts_from_the_partition() {
        let line = line(true);
        let bios = line.find("|-b|boot/grub/bios.img|").unwrap();
        let uefi = line.find("|-eltorito-alt-boot|-e|--interval:appended_partition_2:all::|").unwrap();
        assert!(bios < uefi, "{line}");
        assert!(line.contains("|--grub2-mbr|/g/boot_hybrid.img|"), "{line}");
        assert!(line.contains("|-volid|config-2|"), "{line}");
    }

    #[test]
    fn only_errors_are_told_of_a_log() {
        let log = "xorriso 1.5.4\nxorriso : NOTE : x\nlibburn : FATAL : Write error : No space left on device\n";
        assert_eq!(
            complaints(log).unwrap(),
            "the image could not be written: libburn : FATAL : Write error : No space left on device"
        );
        assert_eq!(complaints("xorriso : NOTE : x\n"), None);
    }

    #[test]
    fn without_bios_nothing_of_it_is_asked_for() {
        let line = line(false);
        for word in ["-b|", "grub2", "eltorito-alt"] {
            assert!(!line.contains(word), "{line}");
        }
    }

    #[test]
    fn names_with_special_characters_are_escaped() {
        assert!(line(true).contains(r"|-o|/o/x y.iso|-graft-points|/etc/a\=b=/src/c d\=\\e|--|"), "{}", line(true));
    }
}
