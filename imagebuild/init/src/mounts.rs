//! The file systems that every program expects, and the links in `/dev`.

use std::ffi::CString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use rustix::io::Errno;
use rustix::mount::{MountFlags, mount};

use crate::console::Log;

struct Mount {
    kind: &'static str,
    target: &'static str,
    flags: MountFlags,
    data: &'static str,
    /// Only where this exists.
    only_with: Option<&'static str>,
}

const SAFE: MountFlags = MountFlags::NOSUID.union(MountFlags::NODEV).union(MountFlags::NOEXEC);
const TEMPORARY: MountFlags = MountFlags::NOSUID.union(MountFlags::NODEV);

/// In this order. What lies in memory is bounded, so that a runaway file costs its writer and not the machine.
const MOUNTS: &[Mount] = &[
    plain("proc", "/proc", SAFE, ""),
    plain("sysfs", "/sys", SAFE, ""),
    plain("devtmpfs", "/dev", MountFlags::NOSUID, "mode=0755"),
    plain("devpts", "/dev/pts", MountFlags::NOSUID.union(MountFlags::NOEXEC), "mode=0620,gid=5,ptmxmode=0666"),
    plain("tmpfs", "/dev/shm", TEMPORARY, "mode=1777,size=20%"),
    plain("tmpfs", "/run", TEMPORARY, "mode=0755,size=20%"),
    plain("tmpfs", "/tmp", TEMPORARY, "mode=1777,size=50%"),
    plain("cgroup2", "/sys/fs/cgroup", SAFE, ""),
    with("/sys/fs/pstore", "pstore"),
    with("/sys/firmware/efi/efivars", "efivarfs"),
];

const fn plain(kind: &'static str, target: &'static str, flags: MountFlags, data: &'static str) -> Mount {
    Mount { kind, target, flags, data, only_with: None }
}

const fn with(target: &'static str, kind: &'static str) -> Mount {
    Mount { kind, target, flags: SAFE, data: "", only_with: Some(target) }
}

const LINKS: &[(&str, &str)] = &[
    ("/proc/self/fd", "/dev/fd"),
    ("/proc/self/fd/0", "/dev/stdin"),
    ("/proc/self/fd/1", "/dev/stdout"),
    ("/proc/self/fd/2", "/dev/stderr"),
    ("/proc/kcore", "/dev/core"),
];

/// Mounts everything, and returns what is to be told: one line for what was mounted and one for each that was not.
pub fn all() -> Vec<String> {
    let (mut done, mut lines) = (Vec::new(), Vec::new());
    for entry in MOUNTS {
        if entry.only_with.is_some_and(|path| !Path::new(path).exists()) {
            continue;
        }
        match one(entry) {
            Ok(()) => done.push(entry.target),
            Err(why) => lines.push(format!("mount {} on {}: {why}", entry.kind, entry.target)),
        }
    }
    for (source, link) in LINKS {
        // Those that are there already are right.
        let _ = symlink(source, link);
    }
    lines.insert(0, format!("mounted {}", done.join(" ")));
    lines
}

fn one(entry: &Mount) -> Result<(), String> {
    if entry.only_with.is_none() {
        fs::create_dir_all(entry.target).map_err(|error| error.to_string())?;
    }
    let data = CString::new(entry.data).map_err(|error| error.to_string())?;
    match mount(entry.kind, entry.target, entry.kind, entry.flags, Some(data.as_c_str())) {
        // The kernel mounts devtmpfs itself if it is told to.
        Ok(()) | Err(Errno::BUSY) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

/// Unmounts what was mounted of disks and media, the last first, so that their file systems are clean. What is in use
/// becomes read-only instead.
pub fn release(log: &mut Log) {
    let list = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    for target in of_devices(&list).into_iter().rev() {
        if let Err(error) = rustix::mount::unmount(target, rustix::mount::UnmountFlags::empty()) {
            let remounted = rustix::mount::mount_remount(target, MountFlags::RDONLY, c"");
            let then = remounted.map_or_else(|error| error.to_string(), |()| "made read-only".to_owned());
            log.say(format_args!("unmount {target}: {error}; {then}"));
        }
    }
}

/// Where block devices are mounted, in the order in which they were.
fn of_devices(list: &str) -> Vec<&str> {
    let mount = |line: &'_ str| -> Option<(usize, usize)> {
        let (device, rest) = line.split_once(' ')?;
        device.starts_with("/dev/").then_some(())?;
        let target = rest.split(' ').next()?;
        Some((device.len() + 1, target.len()))
    };
    list.lines().filter_map(|line| mount(line).map(|(start, length)| &line[start..start + length])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_devices_are_released() {
        let list = "proc /proc proc rw 0 0\n/dev/sda1 /mnt ext4 rw 0 0\n/dev/md0 /mnt/boot xfs rw 0 0\n\nx\ntmpfs /run";
        assert_eq!(of_devices(list), ["/mnt", "/mnt/boot"]);
    }
}
