//! The one door to the files of the machine.

use std::path::{Path, PathBuf};

/// The directory that stands for `/`: the machine's own, or one of a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root(PathBuf);

impl Root {
    /// A directory with the layout of a machine's root.
    pub fn at(directory: impl Into<PathBuf>) -> Self {
        Self(directory.into())
    }

    /// The full path of a file, which is given without a leading slash.
    pub fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.0.join(relative)
    }
}

impl Default for Root {
    /// The machine this runs on.
    fn default() -> Self {
        Self(PathBuf::from("/"))
    }
}
