//! The one door to the files of the machine.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The most that is read from a text file such as an entry of the udev database.
const TEXT_LIMIT: u64 = 64 * 1024;

/// What an attribute of sysfs holds at most.
const PAGE: usize = 4096;

/// A directory that stands for `/`.
///
/// All paths are given relative to it, without a leading slash. On a live machine it is `/` itself; tests build or
/// record a tree and read below that.
#[derive(Debug, Clone)]
pub struct Root(PathBuf);

impl Root {
    /// The machine this runs on.
    pub fn live() -> Self {
        Self(PathBuf::from("/"))
    }

    /// A directory with the same layout.
    pub fn at(directory: impl Into<PathBuf>) -> Self {
        Self(directory.into())
    }

    /// The full path of a file below the root.
    pub fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.0.join(relative)
    }

    /// Up to `limit` bytes of a file.
    pub fn bytes(&self, relative: impl AsRef<Path>, limit: u64) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        fs::File::open(self.path(relative))?.take(limit).read_to_end(&mut content)?;
        Ok(content)
    }

    /// A text file; bytes that are not UTF-8 become the replacement character.
    pub fn text(&self, relative: impl AsRef<Path>) -> io::Result<String> {
        self.bytes(relative, TEXT_LIMIT).map(lossy)
    }

    /// The beginning of a text file that may be long, such as `/proc/cpuinfo`.
    pub fn text_up_to(&self, relative: impl AsRef<Path>, limit: u64) -> io::Result<String> {
        self.bytes(relative, limit).map(lossy)
    }

    /// An attribute of sysfs or a sysctl: the kernel gives all of it in one read, of which there are hundreds.
    pub fn attribute(&self, relative: impl AsRef<Path>) -> io::Result<String> {
        let mut page = [0; PAGE];
        let length = fs::File::open(self.path(relative))?.read(&mut page)?;
        Ok(String::from_utf8_lossy(&page[..length]).into_owned())
    }

    /// An attribute without the white space around its content, if it can be read.
    pub fn trimmed(&self, relative: impl AsRef<Path>) -> Option<String> {
        self.attribute(relative).ok().map(|text| text.trim().to_owned())
    }

    /// The number in an attribute.
    pub fn number(&self, relative: impl AsRef<Path>) -> Option<u64> {
        self.trimmed(relative)?.parse().ok()
    }

    /// The names in a directory, in the order in which the kernel lists them.
    pub fn names(&self, relative: impl AsRef<Path>) -> io::Result<Vec<String>> {
        let entries = fs::read_dir(self.path(relative))?;
        entries.map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned())).collect()
    }

    /// Where a symbolic link points to, as it is written.
    pub fn link(&self, relative: impl AsRef<Path>) -> Option<PathBuf> {
        fs::read_link(self.path(relative)).ok()
    }

    /// The last part of where a symbolic link points to.
    pub fn link_name(&self, relative: impl AsRef<Path>) -> Option<String> {
        Some(self.link(relative)?.file_name()?.to_string_lossy().into_owned())
    }

    /// Whether something exists there, links followed.
    pub fn exists(&self, relative: impl AsRef<Path>) -> bool {
        self.path(relative).exists()
    }

    /// Whether a directory is there, links followed.
    pub fn is_dir(&self, relative: impl AsRef<Path>) -> bool {
        self.path(relative).is_dir()
    }
}

fn lossy(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// A tree that a test builds, file by file.
#[cfg(test)]
pub(crate) mod fixture {
    use std::os::unix::fs::symlink;

    use super::*;

    pub(crate) struct Tree {
        directory: tempfile::TempDir,
    }

    impl Tree {
        pub(crate) fn new() -> Self {
            Self { directory: tempfile::tempdir().unwrap() }
        }

        pub(crate) fn root(&self) -> Root {
            Root::at(self.directory.path())
        }

        pub(crate) fn file(&self, relative: &str, content: impl AsRef<[u8]>) -> &Self {
            let path = self.parent_of(relative);
            fs::write(path, content).unwrap();
            self
        }

        pub(crate) fn directory(&self, relative: &str) -> &Self {
            fs::create_dir_all(self.directory.path().join(relative)).unwrap();
            self
        }

        pub(crate) fn link(&self, relative: &str, target: &str) -> &Self {
            let path = self.parent_of(relative);
            symlink(target, path).unwrap();
            self
        }

        fn parent_of(&self, relative: &str) -> PathBuf {
            let path = self.directory.path().join(relative);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            path
        }
    }
}

#[cfg(test)]
mod tests {
    use super::fixture::Tree;

    #[test]
    fn long_files_are_cut_and_odd_bytes_replaced() {
        let tree = Tree::new();
        tree.file("sys/long", vec![b'x'; 100_000]).file("sys/odd", b"caf\xe9\n");
        assert_eq!(tree.root().text("sys/long").unwrap().len(), 64 * 1024);
        assert_eq!(tree.root().trimmed("sys/odd").unwrap(), "caf\u{fffd}");
        assert_eq!(tree.root().trimmed("sys/none"), None);
    }

    #[test]
    fn a_link_has_the_name_of_its_target() {
        let tree = Tree::new();
        tree.link("sys/class/net/eth0/device", "../../../0000:3b:00.0");
        assert_eq!(tree.root().link_name("sys/class/net/eth0/device").as_deref(), Some("0000:3b:00.0"));
        assert_eq!(tree.root().link_name("sys/class/net/eth0/driver"), None);
    }
}
