//! Reads all sources of the machine that the agent runs on, or of a directory that stands for it.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use super::error::ConfigError;
use super::files::{self, Files, Place};
use super::resolve::{Flag, Sources};
use super::{environment, kernel_line};

impl Sources {
    /// Reads the kernel line. This comes first, for it says whether there is virtual media.
    ///
    /// # Errors
    /// There is a kernel line that cannot be read.
    pub fn begin(root: &Path) -> Result<Self, ConfigError> {
        let path = root.join("proc/cmdline");
        let kernel = match kernel_line::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Default::default(),
            read => read.map_err(|source| ConfigError::Read { path, source })?,
        };
        Ok(Self { kernel, without_ipv6: !has_ipv6(root), ..Self::default() })
    }

    /// Reads the files and the environment, and takes over the flags. The places given are not below `root`.
    ///
    /// # Errors
    /// A file cannot be read, or is no configuration.
    pub fn gather(&mut self, root: &Path, places: &[Place], flags: Vec<Flag>) -> Result<(), ConfigError> {
        // The home directory is that of the machine itself.
        let home = std::env::var_os("HOME").map(PathBuf::from).filter(|_| root == Path::new("/"));
        self.files = Files::read(&files::with_usual(places, root, home.as_deref()))?;
        self.environment = environment::options(std::env::vars_os());
        self.flags = flags;
        Ok(())
    }
}

/// As upstream finds it out.
fn has_ipv6(root: &Path) -> bool {
    let mut text = Vec::new();
    let file = File::open(root.join("proc/sys/net/ipv6/conf/default/disable_ipv6"));
    file.is_ok_and(|file| file.take(16).read_to_end(&mut text).is_ok() && text.trim_ascii() == b"0")
}
