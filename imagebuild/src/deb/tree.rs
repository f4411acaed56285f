//! The files of a package before they are packed: names, modes and times that do not depend on who builds.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};

use crate::failure::{Doing, Outcome};
use crate::process;

const GZIP: Duration = Duration::from_secs(60);
/// Mode of what everybody may read.
pub(super) const DATA: u32 = 0o644;
/// Mode of programs and directories.
pub(super) const PROGRAM: u32 = 0o755;

/// A directory that becomes the root of an installed system.
#[derive(Debug)]
pub(super) struct Tree(PathBuf);

impl Tree {
    /// An empty one, whatever was there before.
    pub(super) fn new(path: PathBuf) -> Outcome<Self> {
        if path.exists() {
            fs::remove_dir_all(&path).doing(format_args!("removing {}", path.display()))?;
        }
        make_directory(&path)?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Where a path of the installed system lies now. Its directory is made.
    pub(super) fn place(&self, path: &str) -> Outcome<PathBuf> {
        let place = self.0.join(path);
        place.parent().map_or(Ok(()), make_directory)?;
        Ok(place)
    }

    pub(super) fn directory(&self, path: &str, mode: u32) -> Outcome {
        let place = self.0.join(path);
        make_directory(&place)?;
        set_mode(&place, mode)
    }

    pub(super) fn write(&self, path: &str, content: impl AsRef<[u8]>, mode: u32) -> Outcome {
        let place = self.place(path)?;
        fs::write(&place, content).doing(format_args!("writing {}", place.display()))?;
        set_mode(&place, mode)
    }

    pub(super) fn copy(&self, from: &Path, path: &str, mode: u32) -> Outcome {
        let place = self.place(path)?;
        fs::copy(from, &place).doing(format_args!("copying {} to {}", from.display(), place.display()))?;
        set_mode(&place, mode)
    }

    pub(super) fn link(&self, target: &str, path: &str) -> Outcome {
        let place = self.place(path)?;
        symlink(target, &place).doing(format_args!("making the link {}", place.display()))
    }

    /// Writes a text compressed, under this name with `.gz` at its end.
    pub(super) fn gzip(&self, path: &str, content: impl AsRef<[u8]>) -> Outcome {
        self.write(path, content, DATA)?;
        // Neither name nor time of the file get into it.
        process::run(Command::new("gzip").args(["-9", "--no-name"]).arg(self.0.join(path)), GZIP)
    }

    /// All paths below the root, sorted, relative to it.
    pub(super) fn paths(&self) -> Outcome<Vec<PathBuf>> {
        let mut paths = Vec::new();
        let mut directories = vec![self.0.clone()];
        while let Some(directory) = directories.pop() {
            let reading = || format!("reading {}", directory.display());
            for entry in fs::read_dir(&directory).doing(reading())? {
                let entry = entry.doing(reading())?;
                let path = entry.path();
                if entry.file_type().doing(reading())?.is_dir() {
                    directories.push(path.clone());
                }
                paths.push(path.strip_prefix(&self.0).doing(reading())?.to_owned());
            }
        }
        paths.sort();
        Ok(paths)
    }

    /// Gives everything this time, in seconds since 1970.
    pub(super) fn set_times(&self, time: u32) -> Outcome {
        let time = Timespec { tv_sec: time.into(), tv_nsec: 0 };
        let times = Timestamps { last_access: time, last_modification: time };
        // A file that is touched changes its directory no more, so the order does not matter.
        for path in self.paths()?.iter().map(PathBuf::as_path).chain([Path::new("")]) {
            let place = self.0.join(path);
            utimensat(CWD, &place, &times, AtFlags::SYMLINK_NOFOLLOW)
                .doing(format_args!("setting the time of {}", place.display()))?;
        }
        Ok(())
    }
}

/// Makes a directory and those above it, with the mode of directories whatever the umask is.
fn make_directory(path: &Path) -> Outcome {
    if path.is_dir() {
        return Ok(());
    }
    path.parent().map_or(Ok(()), make_directory)?;
    fs::create_dir(path).doing(format_args!("making {}", path.display()))?;
    set_mode(path, PROGRAM)
}

pub(super) fn set_mode(path: &Path, mode: u32) -> Outcome {
    fs::set_permissions(path, Permissions::from_mode(mode))
        .doing(format_args!("setting the mode of {}", path.display()))
}
