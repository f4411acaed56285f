//! `iso-image-create`: the image is read back by programs that had no part in making it.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ipa_tests::artifacts;
use serde_json::Value;
use tempfile::TempDir;

/// What kernel and ramdisk may have together, and what the image may have then.
const INPUT: usize = 48 << 20;
const LIMIT: u64 = 64 << 20;
const SECTOR: u64 = 512;

/// A directory with a kernel and a ramdisk that are large enough to be real and have the right first bytes.
struct Inputs {
    directory: TempDir,
}

impl Inputs {
    fn new() -> Self {
        Self::of_size(1 << 20, 1 << 20)
    }

    fn of_size(kernel: usize, initrd: usize) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let inputs = Self { directory };
        let mut bytes = noise(kernel, 1);
        bytes[0x202..0x206].copy_from_slice(b"HdrS");
        fs::write(inputs.path("the kernel=1"), bytes).expect("our own directory");
        let mut bytes = noise(initrd, 2);
        bytes[..6].copy_from_slice(b"070701");
        fs::write(inputs.path("ipa.initramfs"), bytes).expect("our own directory");
        inputs
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, content: &str) -> PathBuf {
        fs::write(self.path(name), content).expect("our own directory");
        self.path(name)
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.directory.path()).expect("our own directory");
        let mut names: Vec<String> =
            entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    fn command(&self, output: &str) -> Command {
        let mut command = Command::new(artifacts::iso_image_create());
        command.current_dir(self.directory.path()).env_remove("SOURCE_DATE_EPOCH");
        command.args(["-o", output, "-i", "ipa.initramfs", "-k", "the kernel=1"]);
        command
    }

    fn image(&self, output: &str, more: &[&str]) -> PathBuf {
        let made = self.command(output).args(more).output().expect("it starts");
        assert!(made.status.success(), "{}", errors(&made));
        self.path(output)
    }

    fn failure(&self, more: &[&str]) -> String {
        refusal(self.command("x.iso").args(more))
    }
}

/// Bytes that no two places have alike, as compressed files have them.
fn noise(size: usize, seed: u64) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()
    };
    (0..size / 8).flat_map(|_| next()).collect()
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn refusal(command: &mut Command) -> String {
    let output = command.output().expect("it starts");
    assert_eq!(output.status.code(), Some(1), "{}", errors(&output));
    errors(&output)
}

/// Standard output of a reader.
fn said(program: &str, arguments: &[&str], image: &Path) -> Vec<u8> {
    let mut command = Command::new(program);
    command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").args(arguments).arg(image);
    let output = command.output().expect("the reader is installed");
    assert!(output.status.success(), "{command:?}: {}", errors(&output));
    output.stdout
}

fn text(program: &str, arguments: &[&str], image: &Path) -> String {
    String::from_utf8(said(program, arguments, image)).expect("readers print text")
}

/// A file of the image, as isoinfo finds it.
fn file(image: &Path, path: &str) -> Vec<u8> {
    said("isoinfo", &["-R", "-x", path, "-i"], image)
}

/// The images that firmware may boot: platform, sectors of 512 bytes to load, position in sectors of 512 bytes.
fn boot_images(image: &Path) -> Vec<(String, u64, u64)> {
    // The image is the last argument, and this reader does as it is told in the order of the words.
    let report = "xorriso -no_rc -indev \"$1\" -report_el_torito plain";
    let report = text("sh", &["-c", report, "sh"], image);
    // `El Torito boot img :   2  UEFI  y   none  0x0000  0x00  11776        7561`, the last in sectors of 2048 bytes.
    let lines = report.lines().filter_map(|line| line.strip_prefix("El Torito boot img :"));
    let words = lines.map(|line| line.split_whitespace().collect::<Vec<_>>());
    let number = |word: &str| word.parse::<u64>().expect("a number");
    words.map(|words| (words[1].to_owned(), number(words[6]), number(words[7]) * 4)).collect()
}

/// The partition with boot loaders for UEFI: position and size in sectors.
fn efi_partition(image: &Path) -> (u64, u64) {
    let table: Value = serde_json::from_slice(&said("sfdisk", &["--json"], image)).expect("JSON");
    let table = &table["partitiontable"];
    assert_eq!(table["label"], "gpt");
    let partitions = table["partitions"].as_array().expect("partitions");
    let efi: Vec<&Value> =
        partitions.iter().filter(|one| one["type"] == "C12A7328-F81F-11D2-BA4B-00A0C93EC93B").collect();
    assert_eq!(efi.len(), 1, "{table}");
    (efi[0]["start"].as_u64().expect("a position"), efi[0]["size"].as_u64().expect("a size"))
}

/// A file of the FAT image at a position.
fn fat_file(image: &Path, sector: u64, path: &str) -> Vec<u8> {
    let place = format!("{}@@{}", image.display(), sector * SECTOR);
    let output =
        Command::new("mtype").args(["-i", &place, &format!("::{path}")]).output().expect("mtools is installed");
    assert!(output.status.success(), "{path}: {}", errors(&output));
    output.stdout
}

#[test]
fn the_image_boots_by_both_firmwares_and_has_everything_once() {
    let inputs = Inputs::of_size(INPUT / 4, INPUT / 4 * 3);
    let image = inputs.image("an image.iso", &[]);
    assert!(image.metadata().expect("it is there").len() < LIMIT);

    let label = text("isoinfo", &["-d", "-i"], &image);
    assert!(label.contains("\nVolume id: INSTALL_IMAGE\n"), "{label}");
    assert_eq!(file(&image, "/vmlinuz"), fs::read(inputs.path("the kernel=1")).expect("our file"));
    assert_eq!(file(&image, "/initrd"), fs::read(inputs.path("ipa.initramfs")).expect("our file"));

    let images = boot_images(&image);
    let platforms: Vec<&str> = images.iter().map(|(platform, ..)| platform.as_str()).collect();
    assert_eq!(platforms, ["BIOS", "UEFI"]);
    let (_, sectors, start) = images[1];
    assert_eq!(efi_partition(&image), (start, sectors), "as a disk and as a CD it is the same EFI partition");

    let shim = fs::read("/usr/lib/shim/shimx64.efi.signed").expect("shim is installed");
    assert_eq!(fat_file(&image, start, "EFI/BOOT/BOOTX64.EFI"), shim, "the signature needs every byte");
    let config = file(&image, "/boot/grub/grub.cfg");
    assert_eq!(fat_file(&image, start, "boot/grub/grub.cfg"), config);
    let config = String::from_utf8(config).expect("text");
    assert!(config.contains("linux /vmlinuz boot_method=vmedia console=tty0 console=ttyS0,115200n8\n"), "{config}");

    // A disk is booted by its first sector if it has this mark at its end and code at its beginning.
    let mut sector = [0; 512];
    File::open(&image).and_then(|mut file| file.read_exact(&mut sector)).expect("it has a first sector");
    assert_eq!(sector[510..], [0x55, 0xaa]);
    assert_ne!(sector[..64], [0; 64]);
}

#[test]
fn files_ramdisks_parameters_and_label_are_what_was_asked_for() {
    let inputs = Inputs::new();
    inputs.write("site = my.conf", "[DEFAULT]\ndebug = true\n");
    inputs.write("network.json", "{\"links\": []}");
    fs::write(inputs.path("second"), b"\x1f\x8bx").expect("our own directory");
    let conf = "etc/ironic-python-agent.d/a site.conf=site = my.conf";
    let more = ["-i", "second", "--file", conf, "-a", "ipa-debug=1 x=\"a b\""];
    let image = inputs.image("x.iso", &more);
    assert_eq!(file(&image, "/etc/ironic-python-agent.d/a site.conf"), b"[DEFAULT]\ndebug = true\n");
    assert_eq!(file(&image, "/initrd1"), b"\x1f\x8bx");
    let config = String::from_utf8(file(&image, "/boot/grub/grub.cfg")).expect("text");
    assert!(config.contains(" console=ttyS0,115200n8 ipa-debug=1 'x=a b'\n    initrd /initrd /initrd1\n"), "{config}");
    let label = |image: &Path| {
        let description = text("isoinfo", &["-d", "-i"], image);
        description.lines().find_map(|line| line.strip_prefix("Volume id: ")).expect("a label").to_owned()
    };
    assert_eq!(label(&image), "VMEDIA_BOOT_ISO");

    let network = "openstack/latest/network_data.json=network.json";
    assert_eq!(label(&inputs.image("n.iso", &["--file", network])), "config-2");
    assert_eq!(label(&inputs.image("l.iso", &["--label", "Rack-7"])), "Rack-7");
    let image = inputs.image("p.iso", &["--no-default-params", "--kernel-params", "quiet"]);
    let config = String::from_utf8(file(&image, "/boot/grub/grub.cfg")).expect("text");
    assert!(config.contains("linux /vmlinuz quiet\n"), "{config}");
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let (one, other) = (Inputs::new(), Inputs::new());
    let long_ago = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    let file = File::options().write(true).open(other.path("ipa.initramfs")).expect("our file");
    file.set_modified(long_ago).expect("times can be set");
    let first = fs::read(one.image("x.iso", &[])).expect("an image");
    assert!(first == fs::read(other.image("another name.iso", &[])).expect("an image"));

    let dated = other.command("dated.iso").env("SOURCE_DATE_EPOCH", "1700000000").output().expect("it starts");
    assert!(dated.status.success(), "{}", errors(&dated));
    let listing = text("isoinfo", &["-R", "-l", "-i"], &other.path("dated.iso"));
    let dates = listing.lines().filter(|line| line.contains("-r--r--r--"));
    assert!(dates.clone().count() >= 5 && dates.clone().all(|line| line.contains("Nov 14 2023")), "{listing}");

    let mut initrd = File::options().write(true).open(other.path("ipa.initramfs")).expect("our file");
    initrd.seek(SeekFrom::End(-1)).and_then(|_| initrd.write_all(b"?")).expect("our file");
    let uuid = |image: &Path| text("blkid", &["-p", "-o", "value", "-s", "UUID"], image);
    assert_ne!(uuid(&one.path("x.iso")), uuid(&other.image("changed.iso", &[])));
}

#[test]
fn what_cannot_be_done_is_said_and_leaves_nothing() {
    let inputs = Inputs::new();
    let before = inputs.names();
    for (more, expected) in [
        (&["-i", "the kernel=1"][..], "initrd the kernel=1: this is neither a cpio archive nor compressed"),
        (&["-i", "missing"], "initrd missing: No such file"),
        (&["-f", "etc/x=missing"], "file for etc/x: missing is no file"),
        (&["-f", "../x=ipa.initramfs"], "no plain path"),
        (&["-f", "vmlinuz=ipa.initramfs"], "a place that the image needs itself"),
        (&["-V", "no label"], "a volume label has 1 to 32"),
        (&["-a", "x='1'"], "GRUB cannot hand ' to a kernel unchanged"),
    ] {
        let failure = inputs.failure(more);
        assert!(failure.contains(expected), "{more:?}: {failure}");
    }
    let arguments = |output: &str, kernel: &str| {
        let mut command = Command::new(artifacts::iso_image_create());
        command.current_dir(inputs.directory.path()).args(["-o", output, "-i", "ipa.initramfs", "-k", kernel]);
        command
    };
    let swapped = refusal(&mut arguments("x.iso", "ipa.initramfs"));
    assert!(swapped.contains("kernel ipa.initramfs: this is no Linux kernel"), "{swapped}");
    let mut arm64 = vec![0; 4096];
    arm64[0x38..0x3c].copy_from_slice(b"ARM\x64");
    let elsewhere = tempfile::tempdir().expect("a temporary directory");
    let kernel = elsewhere.path().join("Image");
    fs::write(&kernel, arm64).expect("our own directory");
    let foreign = refusal(&mut arguments("x.iso", &kernel.to_string_lossy()));
    assert!(
        foreign.contains("apt-get download grub-efi-arm64-signed:arm64") && foreign.contains("--loaders"),
        "{foreign}"
    );
    let directory = refusal(&mut arguments("/dev/null", "the kernel=1"));
    assert!(directory.contains("output /dev/null: there is something that is no plain file"), "{directory}");
    let input = refusal(&mut arguments("ipa.initramfs", "the kernel=1"));
    assert!(input.contains("output ipa.initramfs: this is also the initrd"), "{input}");
    let nowhere = refusal(&mut arguments("no/such/x.iso", "the kernel=1"));
    assert!(nowhere.contains("output no/such/x.iso: cannot write in no/such"), "{nowhere}");
    let tools = refusal(inputs.command("x.iso").env("PATH", "/nowhere"));
    assert!(tools.contains("apt-get install") && tools.contains("xorriso") && tools.contains("mtools"), "{tools}");
    let epoch = refusal(inputs.command("x.iso").env("SOURCE_DATE_EPOCH", "today"));
    assert!(epoch.contains("SOURCE_DATE_EPOCH=\"today\" is no number"), "{epoch}");
    assert_eq!(inputs.names(), before);
}

/// In a mount namespace of its own, where a small file system lies over the directory that is written to.
#[test]
fn a_full_disk_is_said_and_the_old_image_stays() {
    let inputs = Inputs::new();
    let small = inputs.path("small");
    fs::create_dir(&small).expect("our own directory");
    let script =
        "mount -t tmpfs -o size=4m none small && echo old > small/x.iso && ! \"$@\" && ls -A small && cat small/x.iso";
    let made = inputs.command("small/x.iso");
    let mut command = Command::new("unshare");
    command.args(["--mount", "--map-root-user", "sh", "-ec", script, "sh"]).current_dir(inputs.directory.path());
    command.arg(made.get_program()).args(made.get_args());
    let output = command.output().expect("util-linux is installed");
    assert!(output.status.success(), "{}", errors(&output));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "x.iso\nold\n");
    assert!(errors(&output).contains("output small/x.iso: the image could not be written: "), "{}", errors(&output));
    assert!(errors(&output).contains("exceeds free space"), "{}", errors(&output));
}
