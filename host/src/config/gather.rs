//! Reads all sources of the machine that the agent runs on, or of a directory that stands for it.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use super::error::ConfigError;
use super::files::{Files, SearchPlaces};
use super::resolve::{Flag, Sources};
use super::{environment, kernel_line};

/// What the command line says on where to read.
#[derive(Debug, Default, Clone)]
pub struct Places {
    /// Configuration files; if there are none, the usual one is looked for.
    pub files: Vec<PathBuf>,
    /// Directories of configuration files; if there are none, the usual one is looked for.
    pub directories: Vec<PathBuf>,
    /// The directory that stands for `/`. The paths given are not below it.
    pub root: PathBuf,
}

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

    /// Reads the files and the environment, and takes over the flags.
    ///
    /// # Errors
    /// A file cannot be read, or is no configuration.
    pub fn gather(&mut self, places: &Places, flags: Vec<Flag>) -> Result<(), ConfigError> {
        // The home directory is that of the machine itself.
        let home = std::env::var_os("HOME").map(PathBuf::from).filter(|_| places.root == Path::new("/"));
        let usual = SearchPlaces::look(&places.root, home.as_deref());
        let or_usual = |given: &[PathBuf], usual: Option<PathBuf>| {
            if given.is_empty() { usual.into_iter().collect() } else { given.to_vec() }
        };
        self.files =
            Files::read(&or_usual(&places.files, usual.file), &or_usual(&places.directories, usual.directory))?;
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
