//! Who may have written a plugin file.
//!
//! A plugin runs with all rights of the agent, so a file counts only if nobody but root (or the user the agent runs
//! as) can have put it there or changed it. The file that is checked is the open one, never a path that is opened
//! again.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, Stat, fstat, openat, openat2, stat};
use rustix::io::Errno;

use super::refusal::Refusal;
use super::text::printable;

/// Largest plugin file, in bytes.
pub(crate) const SIZE_LIMIT: u64 = 256 * 1024 * 1024;

/// What is usually forgotten where a file comes from an archive.
const PACKING: &str = "in an initramfs segment, pack it with cpio --owner=+0:+0";

const TYPE_MASK: u32 = 0o170_000;
const DIRECTORY: u32 = 0o040_000;
const REGULAR: u32 = 0o100_000;
const STICKY: u32 = 0o1000;
const GROUP_WRITABLE: u32 = 0o020;
const WORLD_WRITABLE: u32 = 0o002;

/// A plugin directory that nobody else can write to.
#[derive(Debug)]
pub(crate) struct Directory {
    fd: OwnedFd,
    real_path: PathBuf,
}

/// Opens a plugin directory. It, and every directory above it, must belong to root or to us and must not be open to
/// everybody; the directory itself not to its group either.
pub(crate) fn open_directory(path: &Path) -> Result<Directory, Refusal> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let fd = openat(CWD, path, flags, Mode::empty()).map_err(|error| {
        Refusal::new(
            format!("the plugin directory {} cannot be opened: {error}", printable(path.as_os_str())),
            "create it, or name another with --plugin-dir",
        )
    })?;
    let real_path = real_path(&fd, path);
    check_directory(&real_path, GROUP_WRITABLE | WORLD_WRITABLE)?;
    for above in real_path.ancestors().skip(1) {
        check_directory(above, WORLD_WRITABLE)?;
    }
    Ok(Directory { fd, real_path })
}

/// Opens one file of a plugin directory for reading. A symbolic link is followed only within the directory.
pub(crate) fn open_file(directory: &Directory, name: &OsStr) -> Result<File, Refusal> {
    // NONBLOCK: opening a FIFO must not wait for its writer.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let opened = match openat2(&directory.fd, name, flags, Mode::empty(), beneath) {
        // Before Linux 5.6, or forbidden by a container's filter: then no links at all.
        Err(Errno::NOSYS | Errno::PERM) => openat(&directory.fd, name, flags | OFlags::NOFOLLOW, Mode::empty()),
        other => other,
    };
    let fd = opened.map_err(|error| match error {
        Errno::XDEV | Errno::LOOP => Refusal::new(
            "it is a symbolic link that leaves the plugin directory",
            "copy the file itself into the directory",
        ),
        Errno::NOENT => Refusal::new("it is a symbolic link to nothing", "copy the file itself into the directory"),
        error => Refusal::new(format!("it cannot be opened: {error}"), "make it a readable file of root's"),
    })?;
    let status = fstat(&fd).map_err(|error| Refusal::new(format!("its status: {error}"), "check the file system"))?;
    check_file(&status)?;
    let target = real_path(&fd, &directory.real_path.join(name));
    for between in target.ancestors().skip(1).take_while(|between| *between != directory.real_path) {
        check_directory(between, GROUP_WRITABLE | WORLD_WRITABLE)?;
    }
    Ok(File::from(fd))
}

fn check_file(status: &Stat) -> Result<(), Refusal> {
    if status.st_mode & TYPE_MASK != REGULAR {
        return Err(Refusal::new(format!("it is {}, no regular file", kind(status.st_mode)), "remove it"));
    }
    if !trusted_owner(status.st_uid) {
        return Err(Refusal::new(
            format!("it belongs to user {}", status.st_uid),
            format!("chown root: it ({PACKING})"),
        ));
    }
    if status.st_mode & (GROUP_WRITABLE | WORLD_WRITABLE) != 0 {
        return Err(Refusal::new(
            format!("others may write to it (mode {:04o})", status.st_mode & 0o7777),
            "chmod go-w it",
        ));
    }
    match u64::try_from(status.st_size) {
        Ok(0) => Err(Refusal::new("it is empty", "install it again")),
        Ok(size) if size <= SIZE_LIMIT => Ok(()),
        _ => Err(Refusal::new(
            format!("it has {} bytes, more than the allowed {SIZE_LIMIT}", status.st_size),
            "strip it, and keep data in files of their own",
        )),
    }
}

/// `forbidden`: the write bits that make the directory a place where others can put files. The sticky bit keeps them
/// from replacing ours.
fn check_directory(path: &Path, forbidden: u32) -> Result<(), Refusal> {
    let name = printable(path.as_os_str());
    let status = stat(path)
        .map_err(|error| Refusal::new(format!("the directory {name} cannot be read: {error}"), "check its rights"))?;
    if status.st_mode & TYPE_MASK != DIRECTORY || !trusted_owner(status.st_uid) {
        return Err(Refusal::new(
            format!("the directory {name} belongs to user {}", status.st_uid),
            format!("chown root: {name} ({PACKING})"),
        ));
    }
    if status.st_mode & forbidden != 0 && status.st_mode & STICKY == 0 {
        return Err(Refusal::new(
            format!("others may write to the directory {name} (mode {:04o})", status.st_mode & 0o7777),
            format!("chmod go-w {name}"),
        ));
    }
    Ok(())
}

fn trusted_owner(uid: u32) -> bool {
    uid == 0 || uid == rustix::process::geteuid().as_raw()
}

/// Where an open file really is; the given path if /proc does not tell.
fn real_path(fd: &OwnedFd, otherwise: &Path) -> PathBuf {
    std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).unwrap_or_else(|_| otherwise.to_path_buf())
}

fn kind(mode: u32) -> &'static str {
    match mode & TYPE_MASK {
        DIRECTORY => "a directory",
        0o010_000 => "a named pipe",
        0o020_000 | 0o060_000 => "a device",
        0o140_000 => "a socket",
        _ => "something else",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn directory() -> (tempfile::TempDir, Directory) {
        let temporary = tempfile::tempdir().expect("tempdir");
        let directory = open_directory(temporary.path()).expect("trusted");
        (temporary, directory)
    }

    fn put(at: &tempfile::TempDir, name: &str, mode: u32) {
        let path = at.path().join(name);
        fs::write(&path, "x").expect("file");
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("mode");
    }

    fn cause(directory: &Directory, name: &str) -> String {
        open_file(directory, OsStr::new(name)).expect_err("refused").cause
    }

    #[test]
    fn a_file_only_we_can_write_is_opened() {
        let (temporary, directory) = directory();
        put(&temporary, "a.so", 0o644);
        symlink("a.so", temporary.path().join("link.so")).expect("link");
        open_file(&directory, OsStr::new("a.so")).expect("trusted");
        open_file(&directory, OsStr::new("link.so")).expect("a link within the directory");
    }

    #[test]
    fn what_others_can_write_or_redirect_is_refused() {
        let (temporary, directory) = directory();
        put(&temporary, "group.so", 0o664);
        put(&temporary, "world.so", 0o646);
        fs::write(temporary.path().join("empty.so"), "").expect("file");
        fs::create_dir(temporary.path().join("dir.so")).expect("directory");
        symlink("/etc/passwd", temporary.path().join("away.so")).expect("link");
        symlink("../../etc/passwd", temporary.path().join("up.so")).expect("link");
        symlink("loop.so", temporary.path().join("loop.so")).expect("link");
        symlink("nothing", temporary.path().join("dangling.so")).expect("link");
        assert!(cause(&directory, "group.so").contains("others may write to it (mode 0664)"));
        assert!(cause(&directory, "world.so").contains("others may write"));
        assert_eq!(cause(&directory, "empty.so"), "it is empty");
        assert_eq!(cause(&directory, "dir.so"), "it is a directory, no regular file");
        for name in ["away.so", "up.so", "loop.so"] {
            assert!(cause(&directory, name).contains("leaves the plugin directory"), "{name}");
        }
        assert!(cause(&directory, "dangling.so").contains("to nothing"));
    }

    /// As a segment of an initramfs leaves them that was packed by a user.
    #[test]
    fn files_and_directories_of_another_user_are_refused_with_how_to_pack_them() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("left out: giving files away needs root");
            return;
        }
        let (temporary, directory) = directory();
        put(&temporary, "user.so", 0o644);
        std::os::unix::fs::chown(temporary.path().join("user.so"), Some(1000), None).expect("root may");
        let refusal = open_file(&directory, OsStr::new("user.so")).expect_err("refused");
        assert_eq!(refusal.cause, "it belongs to user 1000");
        assert!(refusal.cure.contains("cpio --owner=+0:+0"), "{refusal}");
        std::os::unix::fs::chown(temporary.path(), Some(1000), None).expect("root may");
        let refusal = open_directory(temporary.path()).expect_err("refused");
        assert!(refusal.cause.contains("belongs to user 1000"), "{refusal}");
        assert!(refusal.cure.contains("cpio --owner=+0:+0"), "{refusal}");
    }

    #[test]
    fn a_pipe_is_refused_without_waiting_for_a_writer() {
        let (temporary, directory) = directory();
        let path = temporary.path().join("pipe.so");
        rustix::fs::mkfifoat(CWD, &path, Mode::from_raw_mode(0o600)).expect("pipe");
        assert_eq!(cause(&directory, "pipe.so"), "it is a named pipe, no regular file");
    }

    #[test]
    fn a_directory_that_others_can_write_to_is_refused() {
        let temporary = tempfile::tempdir().expect("tempdir");
        for mode in [0o775, 0o757] {
            fs::set_permissions(temporary.path(), Permissions::from_mode(mode)).expect("mode");
            assert!(open_directory(temporary.path()).expect_err("refused").cause.contains("others may write"));
        }
        let within = temporary.path().join("within");
        fs::create_dir(&within).expect("directory");
        assert!(open_directory(&within).expect_err("its parent is open").cause.contains("others may write"));
    }
}
