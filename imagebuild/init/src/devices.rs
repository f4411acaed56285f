//! Devices: udev makes the nodes, gives the NICs their names and loads the modules that devices ask for; `modprobe`
//! loads those that no device asks for.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::net::sockopt::{set_socket_passcred, set_socket_recv_buffer_size_force};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, netlink, socket_with};

use crate::kernel_line::KernelLine;
use crate::process::{command, run};

/// The daemon.
pub const UDEVD: &str = "/usr/lib/systemd/systemd-udevd";
const UDEVADM: &str = "/usr/bin/udevadm";
const MODPROBE: &str = "/usr/sbin/modprobe";
/// Time for the kernel to announce devices again.
const START: Duration = Duration::from_secs(20);
/// Seconds until udev is no longer waited for. A storage controller with many disks needs minutes.
const SETTLE: &str = "--timeout=180";
/// Seconds until the rest is announced even if the first devices take longer.
const SETTLE_FIRST: &str = "--timeout=10";
/// Most modules that are loaded by name.
const MODULES: usize = 256;
/// The most that is read of a list of modules, in bytes.
const LIST_LIMIT: usize = 64 * 1024;

/// The part of the devices that is announced first: whatever a disk or a NIC hangs on. When a driver for it is loaded,
/// the kernel announces what the driver finds, and that must not stand behind a thousand terminals and memory blocks.
pub const FIRST: &[&str] = &[
    "--subsystem-match=pci",
    "--subsystem-match=virtio",
    "--subsystem-match=vmbus",
    "--subsystem-match=usb",
    "--subsystem-match=net",
    "--subsystem-match=nvme",
    "--subsystem-match=scsi",
    "--subsystem-match=block",
];
/// All devices. Those that were announced before are so once more, which changes nothing.
pub const REST: &[&str] = &["--prioritized-subsystem=module,acpi,platform,dmi"];

/// Bytes of events that the kernel keeps until udev takes them, as systemd's socket unit has it.
const EVENTS: usize = 128 << 20;
/// The first descriptor that a program is started with, by the rules of systemd's socket activation.
const FIRST_FD: i32 = 3;

/// Listens to the kernel's events of devices on behalf of udev: what comes while no udev is there waits for the next one.
///
/// # Errors
/// The kernel has no such socket.
pub fn listen() -> io::Result<OwnedFd> {
    let socket =
        socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, Some(netlink::KOBJECT_UEVENT))?;
    set_socket_recv_buffer_size_force(&socket, EVENTS)?;
    // udev takes nothing from senders that it does not know.
    set_socket_passcred(&socket, true)?;
    // The kernel's group.
    bind(&socket, &netlink::SocketAddrNetlink::new(0, 1))?;
    Ok(socket)
}

/// The daemon in the foreground, with the kernel's events. It writes to `notify` when it takes orders.
///
/// # Errors
/// There is no descriptor left.
pub fn udevd(program: &str, events: Option<&OwnedFd>, notify: &Path) -> io::Result<Command> {
    let mut udevd = match events {
        // This program again, which hands the socket over: only the process itself can.
        Some(_) => command(&["/proc/self/exe", "udevd", program]),
        None => command(&[program]),
    };
    udevd.env("NOTIFY_SOCKET", notify);
    if let Some(events) = events {
        udevd.stdin(Stdio::from(events.try_clone()?));
    }
    Ok(udevd)
}

/// Becomes the daemon; the socket with the events is the standard input.
///
/// # Errors
/// It cannot be started.
pub fn become_udevd(program: &str) -> Result<(), String> {
    let told = |error: io::Error| format!("{program}: {error}");
    // The lowest one that is free, and not closed at the end.
    let events = rustix::io::dup(io::stdin()).map_err(|error| told(error.into()))?;
    let nothing = fs::File::open("/dev/null").map_err(told)?;
    rustix::stdio::dup2_stdin(&nothing).map_err(|error| told(error.into()))?;
    // As systemd's unit has it: without udev nothing works, and its workers set this back.
    let _ = fs::write("/proc/self/oom_score_adj", "-1000");
    let mut udevd = Command::new(program);
    if events.as_raw_fd() == FIRST_FD {
        udevd.env("LISTEN_FDS", "1").env("LISTEN_PID", std::process::id().to_string());
    }
    Err(told(udevd.exec()))
}

/// Announces what udev was not done with when it ended. Those devices that it knows are left out: to be announced anew
/// means to be new, and udev would put together RAID arrays whose members are being taken apart.
pub fn announce_missed() -> Command {
    command(&[UDEVADM, "trigger", "--type=all", "--action=add", "--initialized-nomatch"])
}

/// Announces devices to udev that came before it.
///
/// # Errors
/// It cannot be told.
pub fn announce(part: &[&str]) -> Result<(), String> {
    let argv = [&[UDEVADM, "trigger", "--type=all", "--action=add"][..], part].concat();
    run(command(&argv), START)
}

/// Waits for udev to be done with the devices that it was told of; for the first part only as long as others can wait.
pub fn settle(is_first: bool) -> Command {
    command(&[UDEVADM, "settle", if is_first { SETTLE_FIRST } else { SETTLE }])
}

/// Sets options of modules that fit a ramdisk.
///
/// # Errors
/// The file with them cannot be written.
pub fn set_module_options() -> io::Result<()> {
    fs::create_dir_all("/run/modprobe.d")?;
    // Or else the driver makes a bond that nobody wants.
    fs::write("/run/modprobe.d/ipa-init.conf", "options bonding max_bonds=0\n")
}

/// Loads modules, as far as there are any of these names.
pub fn load(modules: &[String]) -> Command {
    let words = [MODPROBE, "-a", "-b", "--"].map(str::to_owned);
    command(&[&words[..], modules].concat())
}

/// The modules to load: of the kernel line (`modules-load=`, `rd.driver.pre=`), then those of `modules-load.d` below
/// the root.
pub fn modules(line: &KernelLine, root: &Path) -> Vec<String> {
    let given = line.all("modules-load").chain(line.all("modules_load")).chain(line.all("rd.driver.pre"));
    let mut names: Vec<String> = given.flat_map(|list| list.split(',')).map(str::to_owned).collect();
    for directory in ["usr/lib/modules-load.d", "etc/modules-load.d"] {
        let entries = fs::read_dir(root.join(directory)).into_iter().flatten().flatten();
        let mut files: Vec<_> = entries.map(|entry| entry.path()).filter(|path| path.extension().is_some()).collect();
        files.sort();
        for file in files.iter().filter(|path| path.extension().is_some_and(|end| end == "conf")) {
            let text = fs::read_to_string(file).unwrap_or_default();
            let text = text.get(..LIST_LIMIT).unwrap_or(&text);
            let lines = text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';']));
            names.extend(lines.map(str::to_owned));
        }
    }
    let mut unique: Vec<String> = Vec::new();
    for name in names {
        let plain = !name.starts_with('-') && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
        if plain && (1..=64).contains(&name.len()) && unique.len() < MODULES && !unique.contains(&name) {
            unique.push(name);
        }
    }
    unique
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_of_the_kernel_line_and_of_files() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("etc/modules-load.d");
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("20-b.conf"), "# none\n; none\nloop\nsg\n\n").unwrap();
        fs::write(directory.join("10-a.conf"), "  dm_mod  \n-r\nsg; reboot\n../x\n").unwrap();
        fs::write(directory.join("README"), "evil\n").unwrap();
        let line = KernelLine::parse("modules-load=sg,nvme rd.driver.pre=mlx5_core rd.driver.pre=-a,a/b,");
        assert_eq!(modules(&line, root.path()), ["sg", "nvme", "mlx5_core", "dm_mod", "loop"]);
        assert!(modules(&KernelLine::default(), Path::new("/no/such/root")).is_empty());
    }
}
