//! Archives of files that a kernel unpacks over its ramdisk, made by the test.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::Path;

use ipa_imagebuild::cpio::{DIRECTORY, Header, REGULAR, Writer};
use ipa_imagebuild::failure::{Doing, Outcome};

/// Files for a ramdisk, all owned by root.
#[derive(Debug, Default)]
pub struct Archive {
    /// Path, permission bits, content.
    files: Vec<(String, u32, Vec<u8>)>,
}

impl Archive {
    /// Adds a file. The directories above it are added too, with the mode 0755.
    #[must_use]
    pub fn text(self, path: &str, content: &str) -> Self {
        self.bytes(path, 0o644, content.as_bytes().to_vec())
    }

    /// Adds a program.
    #[must_use]
    pub fn program(self, path: &str, content: Vec<u8>) -> Self {
        self.bytes(path, 0o755, content)
    }

    /// Adds a copy of a file of this machine.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn copy(self, path: &str, from: &Path) -> Outcome<Self> {
        let content = fs::read(from).doing(format_args!("reading {}", from.display()))?;
        Ok(self.bytes(path, 0o644, content))
    }

    fn bytes(mut self, path: &str, mode: u32, content: Vec<u8>) -> Self {
        self.files.push((path.trim_start_matches('/').to_owned(), mode, content));
        self
    }

    /// Writes it, uncompressed.
    ///
    /// # Errors
    /// It cannot be written, or a name does not fit.
    pub fn write(&self, to: &Path) -> Outcome {
        let file = File::create(to).doing(format_args!("making {}", to.display()))?;
        let mut writer = Writer::new(BufWriter::new(file), 0);
        let directories: BTreeSet<&str> = self.files.iter().flat_map(|(path, ..)| above(path)).collect();
        for name in directories {
            writer.add(Header { name, mode: DIRECTORY | 0o755, device: (0, 0), size: 0 }, &[][..])?;
        }
        for (name, mode, content) in &self.files {
            let header = Header { name, mode: REGULAR | mode, device: (0, 0), size: content.len() as u64 };
            writer.add(header, &content[..])?;
        }
        writer.finish().map(drop)
    }
}

/// The directories above a path, without the root.
fn above(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(end, _)| &path[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_come_before_what_is_in_them() {
        assert_eq!(above("etc/ipa/keys/a.pub").collect::<Vec<_>>(), ["etc", "etc/ipa", "etc/ipa/keys"]);
        let file = tempfile::NamedTempFile::new().unwrap();
        let archive = Archive::default().text("/etc/b", "2").text("/etc/a/c", "1");
        archive.write(file.path()).unwrap();
        let text = String::from_utf8_lossy(&fs::read(file.path()).unwrap()).into_owned();
        let at = |name: &str| text.find(&format!("{name}\0")).unwrap_or_else(|| panic!("no {name}"));
        assert!(at("etc") < at("etc/a") && at("etc/a") < at("etc/b") && at("etc/b") < at("etc/a/c"), "{text}");
    }
}
