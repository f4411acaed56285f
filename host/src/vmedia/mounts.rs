//! What is mounted where, and the one seam through which media are mounted.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::label;
use crate::managers::BoxFuture;
use crate::process::{ProcessError, Request, Runner};

/// The most that is read of the list of mounts, in bytes.
const LIMIT: u64 = 4 << 20;
/// Time that a mount has; a BMC on a slow link needs seconds.
const MOUNT_DEADLINE: Duration = Duration::from_secs(60);
/// How a medium is mounted: nothing on it runs, and nothing is written.
const OPTIONS: &str = "ro,nosuid,nodev,noexec";

/// Mounts and unmounts.
pub trait Mounter: Send + Sync {
    /// Mounts a device read-only on a directory.
    fn mount<'a>(&'a self, device: &'a Path, directory: &'a Path) -> BoxFuture<'a, Result<(), ProcessError>>;
    /// Unmounts a directory.
    fn unmount<'a>(&'a self, directory: &'a Path) -> BoxFuture<'a, Result<(), ProcessError>>;
}

impl Mounter for Runner {
    fn mount<'a>(&'a self, device: &'a Path, directory: &'a Path) -> BoxFuture<'a, Result<(), ProcessError>> {
        Box::pin(async move {
            let node = device.to_owned();
            // A small mount tries only what the kernel knows already; with the name, the kernel gets the module.
            let kind = tokio::task::spawn_blocking(move || label::file_system(&node)).await.ok().flatten();
            let mut argv = vec!["mount".as_ref(), "-o".as_ref(), OPTIONS.as_ref()];
            argv.extend(kind.iter().flat_map(|kind| ["-t".as_ref(), OsStr::new(*kind)]));
            argv.extend([device.as_os_str(), directory.as_os_str()]);
            self.run(Request::new(argv).deadline(MOUNT_DEADLINE)).await.map(drop)
        })
    }

    fn unmount<'a>(&'a self, directory: &'a Path) -> BoxFuture<'a, Result<(), ProcessError>> {
        let request = Request::new(["umount".as_ref(), directory.as_os_str()]).deadline(MOUNT_DEADLINE);
        Box::pin(async move { self.run(request).await.map(drop) })
    }
}

/// The mounts of this process.
#[derive(Debug, Default)]
pub(super) struct Mounts(Vec<Mount>);

#[derive(Debug)]
struct Mount {
    number: String,
    /// False if it shows a directory of the device, not all of it.
    whole: bool,
    target: PathBuf,
}

impl Mounts {
    /// Reads them; there are none if they cannot be read.
    pub(super) fn read(root: &Path) -> Self {
        let mut bytes = Vec::new();
        let file = File::open(root.join("proc/self/mountinfo"));
        // What was read before an error is still true.
        let _ = file.and_then(|file| file.take(LIMIT).read_to_end(&mut bytes));
        Self::parse(&String::from_utf8_lossy(&bytes))
    }

    /// Parses lines such as `36 35 11:0 / /mnt/config ro - iso9660 /dev/sr0 ro`.
    fn parse(text: &str) -> Self {
        let mounts = text.lines().filter_map(|line| {
            let mut words = line.split(' ').skip(2);
            let (number, within, target) = (words.next()?, words.next()?, words.next()?);
            Some(Mount { number: number.to_owned(), whole: within == "/", target: PathBuf::from(unescape(target)) })
        });
        Self(mounts.collect())
    }

    /// Where all of a device is mounted, by its number.
    pub(super) fn of_device(&self, number: &str) -> Option<&Path> {
        self.0.iter().find(|mount| mount.whole && mount.number == number).map(|mount| mount.target.as_path())
    }

    /// True if something is mounted on a directory.
    pub(super) fn has(&self, directory: &Path) -> bool {
        self.0.iter().any(|mount| mount.target == directory)
    }
}

/// Blanks and backslashes are written as three octal digits.
fn unescape(text: &str) -> String {
    let mut result = text.to_owned();
    for (code, plain) in [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")] {
        result = result.replace(code, plain);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_mounts() {
        let mounts = Mounts::parse(
            "22 27 0:21 / /proc rw,relatime - proc proc rw\n\
             40 27 11:0 /sub /bind ro - iso9660 /dev/sr0 ro\n\
             41 27 11:0 / /mnt/my\\040config ro - iso9660 /dev/sr0 ro\n\
             nonsense\n\n36 35\n",
        );
        assert_eq!(mounts.of_device("11:0"), Some(Path::new("/mnt/my config")));
        assert_eq!(mounts.of_device("8:0"), None);
        assert!(
            mounts.has(Path::new("/proc")) && mounts.has(Path::new("/bind")) && !mounts.has(Path::new("/mnt/config"))
        );
    }
}
