use std::collections::BTreeSet;
use std::os::unix::fs::symlink;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::process::{CommandLine, Runner, Spawner};

/// A machine in a directory.
struct Machine {
    root: tempfile::TempDir,
}

/// A drive of it.
struct Drive {
    name: &'static str,
    number: &'static str,
    bus: &'static str,
    scsi_type: &'static str,
    gib: u64,
    label: &'static str,
    model: &'static str,
}

const CD: Drive =
    Drive { name: "sr0", number: "11:0", bus: "ata1", scsi_type: "5", gib: 1, label: "", model: "QEMU DVD-ROM" };
const STICK: Drive =
    Drive { name: "sda", number: "8:0", bus: "usb1/1-1", scsi_type: "0", gib: 1, label: "", model: "Flash" };

impl Machine {
    fn new() -> Self {
        Self { root: tempfile::tempdir().expect("a directory") }
    }

    fn root(&self) -> &Path {
        self.root.path()
    }

    fn write(&self, path: &str, text: &str) -> PathBuf {
        let path = self.root().join(path);
        std::fs::create_dir_all(path.parent().expect("below the root")).expect("made");
        std::fs::write(&path, text).expect("written");
        path
    }

    fn read(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(self.root().join(path)).ok()
    }

    fn drive(&self, drive: &Drive) {
        let directory = format!("sys/devices/pci0000:00/{}/block/{}", drive.bus, drive.name);
        self.write(&format!("{directory}/dev"), &format!("{}\n", drive.number));
        self.write(&format!("{directory}/size"), &format!("{}\n", (drive.gib << 30) / 512));
        self.write(&format!("{directory}/device/type"), &format!("{}\n", drive.scsi_type));
        self.write(&format!("{directory}/device/model"), &format!("{}\n", drive.model));
        if !drive.label.is_empty() {
            self.write(&format!("run/udev/data/b{}", drive.number), &format!("S:x\nE:ID_FS_LABEL={}\n", drive.label));
        }
        let class = self.root().join("sys/class/block");
        std::fs::create_dir_all(&class).expect("made");
        symlink(self.root().join(&directory), class.join(drive.name)).expect("linked");
        self.write(&format!("dev/{}", drive.name), "");
    }

    fn partition(&self, drive: &Drive) {
        self.write(&format!("sys/class/block/{}/partition", drive.name), "1\n");
    }
}

/// "Mounts" a directory by putting a link to it in place of the mount point.
struct Fake {
    media: PathBuf,
    mounted: Mutex<BTreeSet<PathBuf>>,
    log: Mutex<Vec<String>>,
    fails: bool,
    /// How many times a medium is busy when it is to be unmounted.
    busy: AtomicU32,
}

impl Fake {
    fn with(media: &Path) -> Self {
        Self {
            media: media.to_owned(),
            mounted: Mutex::default(),
            log: Mutex::default(),
            fails: false,
            busy: AtomicU32::new(0),
        }
    }

    fn log(&self) -> Vec<String> {
        assert!(self.mounted.lock().expect("no panics").is_empty(), "everything was unmounted");
        self.log.lock().expect("no panics").clone()
    }

    fn note(&self, what: &str, path: &Path) {
        self.log.lock().expect("no panics").push(format!("{what} {}", path.file_name().expect("a name").display()));
    }
}

impl Mounter for Fake {
    fn mount<'a>(
        &'a self,
        device: &'a Path,
        directory: &'a Path,
    ) -> crate::managers::BoxFuture<'a, Result<(), ProcessError>> {
        self.note("mount", device);
        Box::pin(async move {
            if self.fails {
                return Err(failed("mount", device, "no medium"));
            }
            std::fs::remove_dir(directory).and_then(|()| symlink(&self.media, directory)).expect("an empty directory");
            self.mounted.lock().expect("no panics").insert(directory.to_owned());
            Ok(())
        })
    }

    fn unmount<'a>(&'a self, directory: &'a Path) -> crate::managers::BoxFuture<'a, Result<(), ProcessError>> {
        self.note("unmount", directory);
        Box::pin(async move {
            if self.busy.load(Ordering::Relaxed) > 0 {
                self.busy.fetch_sub(1, Ordering::Relaxed);
                return Err(failed("umount", directory, "busy"));
            }
            if self.mounted.lock().expect("no panics").remove(directory) {
                std::fs::remove_file(directory).and_then(|()| std::fs::create_dir(directory)).expect("ours");
            }
            Ok(())
        })
    }
}

fn failed(program: &str, path: &Path, why: &str) -> ProcessError {
    let command = CommandLine(vec![program.to_owned(), path.display().to_string()]);
    ProcessError::Io { command, what: "start it", source: io::Error::other(why.to_owned()) }
}

#[test]
fn only_the_boot_method_asks_for_media() {
    assert!(is_booted_from(&kernel_line::parse("quiet boot_method=vmedia")));
    assert!(!is_booted_from(&kernel_line::parse("boot_method=pxe vmedia=1 boot_method")));
}

#[tokio::test]
async fn the_parameters_of_a_labelled_floppy_are_read() {
    let machine = Machine::new();
    machine.drive(&Drive { label: "IR-VFD-DEV", ..STICK });
    machine.write("floppy/parameters.txt", "ipa-api-url=http://a:6385\nipa-debug=1 bare\n");
    let fake = Fake::with(&machine.root().join("floppy"));
    let mut media = VirtualMedia::new(machine.root(), &fake);
    let parameters = media.parameters().await.expect("readable");
    assert_eq!(parameters, kernel_line::parse("ipa-api-url=http://a:6385 ipa-debug=1"));
    assert_eq!(fake.log(), ["mount sda", "unmount media-sda"]);
    assert!(!machine.root().join("run/ipa-host/media-sda").exists(), "nothing is left");
    let notes = media.into_notes().join("; ");
    assert!(notes.contains("2 parameters read from sda") && !notes.contains("6385"), "{notes}");
}

#[tokio::test]
async fn a_disk_a_partition_and_a_large_stick_are_no_media() {
    for (change, why) in [
        (Drive { bus: "ata1", ..STICK }, "neither a CD drive nor a USB disk"),
        (Drive { gib: 4, ..STICK }, "too large"),
        (Drive { name: "sda1", ..STICK }, "it is a partition"),
    ] {
        let machine = Machine::new();
        let drive = Drive { label: "config-2", ..change };
        machine.drive(&drive);
        if drive.name == "sda1" {
            machine.partition(&drive);
        }
        machine.write("cd/etc/ironic-python-agent.d/evil.conf", "[DEFAULT]\napi_url=http://evil\n");
        let fake = Fake::with(&machine.root().join("cd"));
        let mut media = VirtualMedia::new(machine.root(), &fake);
        media.copy_configuration().await.expect("nothing to do");
        assert_eq!(fake.log(), Vec::<String>::new());
        assert!(media.into_notes()[0].contains(why), "{why}");
        assert_eq!(machine.read("etc/ironic-python-agent.d/evil.conf"), None);
    }
}

#[tokio::test]
async fn a_drive_that_calls_itself_virtual_media_may_have_the_parameters() {
    let machine = Machine::new();
    machine.drive(&Drive { model: "Virtual Media", ..CD });
    machine.write("cd/parameters.txt", "ipa-lookup-timeout=5");
    let fake = Fake::with(&machine.root().join("cd"));
    let parameters = VirtualMedia::new(machine.root(), &fake).parameters().await.expect("readable");
    assert_eq!(parameters["ipa-lookup-timeout"], "5");

    std::fs::remove_file(machine.root().join("cd/parameters.txt")).expect("there");
    let parameters = VirtualMedia::new(machine.root(), &fake).parameters().await.expect("it is the booted CD");
    assert!(parameters.is_empty());
    let broken = Fake { fails: true, ..Fake::with(&machine.root().join("cd")) };
    let mut media = VirtualMedia::new(machine.root(), &broken);
    assert!(media.parameters().await.expect("only a guess").is_empty());
    assert!(media.into_notes().iter().any(|note| note.contains("no medium")));
}

#[tokio::test]
async fn a_labelled_medium_that_cannot_be_mounted_is_an_error_with_device_and_cure() {
    let machine = Machine::new();
    machine.drive(&Drive { label: "ir-vfd-dev", ..STICK });
    let broken = Fake { fails: true, ..Fake::with(machine.root()) };
    let error = VirtualMedia::new(machine.root(), &broken).parameters().await.expect_err("it cannot be read");
    let error = error.to_string();
    assert!(error.contains("dev/sda") && error.contains("no medium") && error.contains("insert it again"), "{error}");
}

#[tokio::test]
async fn the_configuration_is_copied_and_nothing_else() {
    let machine = Machine::new();
    machine.drive(&Drive { label: "config-2", ..CD });
    machine.write("secret", "the machine's own");
    machine.write("etc/ironic-python-agent.d/10.conf", "old");
    machine.write("etc/ironic-python-agent.d/kept.conf", "kept");
    machine.write("cd/etc/ironic-python-agent/ironic.crt", "PEM");
    machine.write("cd/etc/ironic-python-agent.d/10.conf", "new");
    machine.write("cd/etc/ironic-python-agent.d/directory/x.conf", "x");
    machine.write("cd/etc/passwd", "root::0:0");
    let from = machine.root().join("cd/etc/ironic-python-agent.d");
    symlink("../../../secret", from.join("link.conf")).expect("linked");
    symlink("/dev/zero", from.join("zero.conf")).expect("linked");
    let pipe = from.join("pipe.conf");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("a pipe");
    std::fs::write(from.join("\u{1b}[2J.conf"), "x").expect("written");

    let fake = Fake::with(&machine.root().join("cd"));
    let mut media = VirtualMedia::new(machine.root(), &fake);
    media.copy_configuration().await.expect("copied");
    assert_eq!(machine.read("etc/ironic-python-agent/ironic.crt").as_deref(), Some("PEM"));
    let mut names: Vec<_> = std::fs::read_dir(machine.root().join("etc/ironic-python-agent.d"))
        .expect("made")
        .map(|entry| entry.expect("readable").file_name().into_string().expect("UTF-8"))
        .collect();
    names.sort();
    assert_eq!(names, ["10.conf", "kept.conf"]);
    assert_eq!(machine.read("etc/ironic-python-agent.d/10.conf").as_deref(), Some("new"));
    assert_eq!(machine.read("etc/passwd"), None);
    let notes = media.into_notes();
    assert_eq!(notes.iter().filter(|note| note.contains("no plain file")).count(), 5, "{notes:#?}");
    assert!(notes.iter().all(|note| !note.contains('\u{1b}')));
    assert_eq!(fake.log(), ["mount sr0", "unmount media-sr0"]);
}

#[tokio::test]
async fn a_linked_directory_leads_nowhere() {
    let machine = Machine::new();
    machine.drive(&Drive { label: "vmedia_boot_iso", ..CD });
    machine.write("elsewhere/a.conf", "x");
    machine.write("cd/etc/readme", "");
    symlink("../../elsewhere", machine.root().join("cd/etc/ironic-python-agent.d")).expect("linked");
    let fake = Fake::with(&machine.root().join("cd"));
    let mut media = VirtualMedia::new(machine.root(), &fake);
    media.copy_configuration().await.expect("nothing there");
    assert_eq!(machine.read("etc/ironic-python-agent.d/a.conf"), None);
    assert!(media.into_notes().contains(&"sr0: there is no directory etc/ironic-python-agent.d".to_owned()));
}

#[tokio::test]
async fn there_is_an_end_to_what_is_copied() {
    let machine = Machine::new();
    machine.drive(&Drive { label: "config-2", ..CD });
    let large = machine.write("cd/etc/ironic-python-agent.d/large.conf", "");
    std::fs::File::create(&large).and_then(|file| file.set_len(1 << 40)).expect("a sparse file");
    let fake = Fake::with(&machine.root().join("cd"));
    let error = VirtualMedia::new(machine.root(), &fake).copy_configuration().await.expect_err("too large");
    assert!(error.to_string().contains("large.conf: larger than 1048576 bytes"), "{error}");

    std::fs::remove_file(&large).expect("there");
    for number in 0..300 {
        machine.write(&format!("cd/etc/ironic-python-agent.d/{number}.conf"), "");
    }
    let error = VirtualMedia::new(machine.root(), &fake).copy_configuration().await.expect_err("too many");
    assert!(error.to_string().contains("more than 256 files"), "{error}");
    assert_eq!(fake.log().len(), 4, "unmounted after both");
}

#[tokio::test]
async fn a_medium_that_is_mounted_already_is_read_there() {
    let machine = Machine::new();
    machine.drive(&Drive { label: "config-2", ..CD });
    machine.write("mnt/config/etc/ironic-python-agent.d/a.conf", "a");
    machine.write("proc/self/mountinfo", "41 27 11:0 / /mnt/config ro - iso9660 /dev/sr0 ro\n");
    let fake = Fake::with(Path::new("/nowhere"));
    let mut media = VirtualMedia::new(machine.root(), &fake);
    media.copy_configuration().await.expect("copied");
    assert_eq!(machine.read("etc/ironic-python-agent.d/a.conf").as_deref(), Some("a"));
    assert_eq!(fake.log(), Vec::<String>::new());
    // The list of mounts does not change here, as if one was mounted over the other again and again.
    media.release().await;
    assert_eq!(fake.log(), vec!["unmount config"; MOST_FOREIGN_MOUNTS]);
}

#[tokio::test(start_paused = true)]
async fn a_busy_medium_gets_further_chances_to_be_unmounted() {
    let machine = Machine::new();
    machine.drive(&Drive { label: "config-2", ..CD });
    machine.write("cd/etc/ironic-python-agent.d/a.conf", "a");
    let fake = Fake { busy: AtomicU32::new(UNMOUNT_ATTEMPTS - 1), ..Fake::with(&machine.root().join("cd")) };
    let mut media = VirtualMedia::new(machine.root(), &fake);
    media.copy_configuration().await.expect("copied");
    assert_eq!(fake.log(), ["mount sr0", "unmount media-sr0", "unmount media-sr0", "unmount media-sr0"]);

    machine.write("proc/self/mountinfo", "41 27 11:0 /openstack /mnt/config ro - iso9660 /dev/sr0 ro\n");
    fake.busy.store(u32::MAX, Ordering::Relaxed);
    media.release().await;
    assert_eq!(fake.log()[4..], ["unmount config", "unmount config", "unmount config"]);
    let last = media.into_notes().pop().unwrap_or_default();
    assert!(last.contains("mnt/config stays mounted: ") && last.contains("busy"), "{last}");
}

/// A real file system behind a loop device, mounted by the real program.
#[tokio::test]
async fn a_real_medium_is_mounted_read_and_unmounted() {
    if !rustix::process::geteuid().is_root() || !Path::new("/dev/loop-control").exists() {
        eprintln!("left out: mounting needs root and loop devices");
        return;
    }
    let machine = Machine::new();
    machine.drive(&Drive { label: "config-2", ..CD });
    machine.write("tree/etc/ironic-python-agent.d/a.conf", "[DEFAULT]\ncafile = /etc/ironic-python-agent/ironic.crt\n");
    machine.write("tree/etc/ironic-python-agent/ironic.crt", "PEM");
    machine.write("tree/parameters.txt", "ipa-agent-token=abc");
    let runner = Runner::with_shim(Spawner::start().expect("a thread"), Vec::new());
    let (tree, device) = (machine.root().join("tree"), machine.root().join("dev/sr0"));
    let make = ["mke2fs", "-q", "-t", "ext2", "-d"].map(Into::into);
    let argv = make.into_iter().chain([tree.into_os_string(), device.clone().into_os_string(), "256k".into()]);
    runner.run(crate::process::Request::new(argv)).await.expect("e2fsprogs is installed");

    let mut media = VirtualMedia::new(machine.root(), &runner);
    media.copy_configuration().await.expect("copied");
    let device = device::all(machine.root()).remove(0);
    let parameters = media.parameters_on(&device).await.expect("read");
    assert_eq!(parameters["ipa-agent-token"], "abc");
    assert_eq!(machine.read("etc/ironic-python-agent/ironic.crt").as_deref(), Some("PEM"));
    assert!(machine.read("etc/ironic-python-agent.d/a.conf").expect("copied").contains("ironic.crt"));
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("Linux");
    assert!(!mounts.contains(&machine.root().display().to_string()), "{mounts}");
    assert!(!machine.root().join("run/ipa-host/media-sr0").exists());
}
