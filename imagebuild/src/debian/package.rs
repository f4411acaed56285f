//! A package's files on disk, as they would be installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::apt::Package;
use crate::failure::{Doing, Outcome};
use crate::process;

const UNPACK: Duration = Duration::from_secs(300);

/// An unpacked package.
#[derive(Debug)]
pub struct Unpacked {
    /// Which one it is.
    pub package: Package,
    /// Where its files lie.
    pub root: PathBuf,
}

impl Unpacked {
    /// Unpacks the package's `file` below `directory`, unless that was done before.
    ///
    /// # Errors
    /// If the file is no package or there is no room.
    pub fn new(package: &Package, file: &Path, directory: &Path) -> Outcome<Self> {
        let root = directory.join(package.file_name().trim_end_matches(".deb"));
        if !root.is_dir() {
            // The name says that all is there, so it is given last.
            let partial = root.with_extension("partial");
            if partial.exists() {
                fs::remove_dir_all(&partial).doing(format_args!("removing {}", partial.display()))?;
            }
            fs::create_dir_all(&partial).doing(format_args!("making {}", partial.display()))?;
            process::output(Command::new("dpkg-deb").arg("--extract").arg(file).arg(&partial), UNPACK)?;
            fs::rename(&partial, &root).doing(format_args!("moving {}", partial.display()))?;
        }
        Ok(Self { package: package.clone(), root })
    }
}
