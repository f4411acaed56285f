//! The lab itself, with a boot sector as the guest. Needs the packages `qemu-system-x86` and `gcc`.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ipa_vm::{Boot, Bus, Cd, Disk, Firmware, Guest, Machine};
use tempfile::TempDir;

const SOON: Duration = Duration::from_secs(60);

/// A raw disk that boots `boot.S`.
fn boot_sector(directory: &TempDir) -> PathBuf {
    let image = directory.path().join("boot");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/boot.S");
    let mut compiler = Command::new("cc");
    compiler.args(["-nostdlib", "-static", "-m32", "-Wl,--oformat=binary,-Ttext=0x7c00,--build-id=none", "-o"]);
    let output = compiler.arg(&image).arg(source).output().expect("the compiler starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // The firmware does not boot from a disk without a whole cylinder.
    File::options().write(true).open(&image).unwrap().set_len(1 << 20).unwrap();
    image
}

fn started(name: &str, directory: &TempDir) -> (Machine, Guest) {
    let machine = Machine::new(name, Firmware::Bios, 32)
        .and_then(|machine| machine.disk(Disk::from_file(Bus::Virtio, &boot_sector(directory), "BOOT")))
        .and_then(|machine| machine.disk(Disk::empty(Bus::Virtio, 1, "DATA")))
        .unwrap();
    let guest = machine.power_on(&Boot::Disk).unwrap();
    guest.line(&["guest started"], SOON).unwrap();
    (machine, guest)
}

/// Whether the process with this number runs.
fn runs(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or_default().trim_start().starts_with('Z'))
}

#[test]
fn a_broken_disk_a_reset_and_a_power_off_are_seen() {
    let directory = tempfile::tempdir().unwrap();
    let (_machine, guest) = started("broken", &directory);
    assert_eq!(guest.line(&["sector", "read"], SOON).unwrap(), "sector read");
    guest.break_disk("disk1").unwrap();
    guest.line(&["sector not readable"], SOON).unwrap();
    guest.reset(SOON).unwrap();
    guest.off(SOON).unwrap();
    assert!(!guest.is_on());
    assert_eq!(guest.console().text().matches("guest started").count(), 2);
    assert_eq!(guest.console().text().matches("sector read").count(), 1);
}

#[test]
fn errors_name_the_guest_what_was_awaited_and_the_last_lines() {
    let directory = tempfile::tempdir().unwrap();
    let (machine, guest) = started("silent", &directory);
    guest.line(&["sector read"], SOON).unwrap();
    let why = guest.line(&["login:"], Duration::ZERO).unwrap_err().to_string();
    assert!(why.starts_with("guest `silent`: waited 0 s for a line with [\"login:\"], in vain"), "{why}");
    assert!(why.ends_with("guest started\nsector read"), "{why}");
    let why = guest.pull("disk7", SOON).unwrap_err().to_string();
    assert!(why.contains("QEMU refuses `device_del`") && why.contains("disk7"), "{why}");
    drop(guest);

    let again = machine.power_on(&Boot::Disk).unwrap();
    again.line(&["guest started"], SOON).unwrap();
    let why = machine.power_on(&Boot::Disk).unwrap_err().to_string();
    assert!(why.starts_with("starting the guest `silent`: QEMU ended") && why.contains("lock"), "{why}");
}

#[test]
fn a_cd_has_its_label_and_files() {
    let directory = tempfile::tempdir().unwrap();
    let (image, file) = (directory.path().join("cd.iso"), directory.path().join("file"));
    std::fs::write(&file, "content").unwrap();
    Cd::with_files(&image, "config-2", &[("etc/a.conf", &file)]).unwrap();
    let bytes = std::fs::read(image).unwrap();
    // Where the format has the label.
    assert_eq!(&bytes[0x8028..0x8030], b"config-2");
    assert!(bytes.windows(7).any(|window| window == b"content"));
    let why = Cd::with_files(&directory.path().join("b"), "x", &[("a", Path::new("/no/such"))]).unwrap_err();
    assert!(why.to_string().contains("/no/such"), "{why}");
}

/// A test program that is killed has no time to clean up.
#[test]
fn no_guest_outlives_the_process_that_started_it() {
    const CHILD: &str = "IPA_VM_TEST_CHILD";
    if std::env::var_os(CHILD).is_some() {
        let directory = tempfile::tempdir().unwrap();
        let (machine, guest) = started("orphan", &directory);
        println!("{CHILD} {} {}", directory.path().display(), machine.disk_file(1).display());
        let _ = guest.off(Duration::from_secs(600));
        return;
    }
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "no_guest_outlives_the_process_that_started_it", "--nocapture"])
        .env(CHILD, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = std::io::BufReader::new(child.stdout.take().unwrap());
    let said = std::io::BufRead::lines(output)
        .map_while(Result::ok)
        .find_map(|line| line.split_once(CHILD).map(|(_, rest)| rest.trim().to_owned()));
    let said = said.expect("the child has started its guest");
    let (directory, disk) = said.split_once(' ').expect("two paths");
    let qemus = qemus_of(directory);
    assert_eq!(qemus.len(), 1, "{qemus:?}");
    child.kill().unwrap();
    child.wait().unwrap();
    let end = Instant::now() + SOON;
    // The kernel has sent the signal by now; the process needs a moment to die of it.
    while runs(&qemus[0]) {
        assert!(Instant::now() < end, "QEMU {} outlives the test that started it", qemus[0]);
        std::thread::yield_now();
    }
    for left in [Path::new(directory), Path::new(disk).parent().unwrap()] {
        std::fs::remove_dir_all(left).unwrap();
    }
}

/// The numbers of the QEMUs that have something of this directory open.
fn qemus_of(directory: &str) -> Vec<String> {
    let is_one = |line: &[u8]| {
        let line = String::from_utf8_lossy(line);
        line.starts_with("qemu-system") && line.contains(directory)
    };
    std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter(|entry| std::fs::read(entry.path().join("cmdline")).is_ok_and(|line| is_one(&line)))
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}
