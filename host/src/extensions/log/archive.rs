//! A gzipped tar archive in memory, bounded in size.

use std::collections::HashSet;
use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, EntryType, Header};

/// Most bytes of all members together, before compression.
const LIMIT: usize = 128 * 1024 * 1024;
/// Longest name of a member, in bytes.
const NAME_LIMIT: usize = 200;

pub(super) struct Archive {
    tar: Builder<GzEncoder<Vec<u8>>>,
    names: HashSet<String>,
    left: usize,
    now: u64,
}

impl Archive {
    pub(super) fn new() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let tar = Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
        Self { tar, names: HashSet::new(), left: LIMIT, now }
    }

    /// Bytes that still fit.
    pub(super) fn room(&self) -> usize {
        self.left
    }

    /// Adds a member under a harmless form of its name. What does not fit any more is cut off.
    pub(super) fn add(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let name = self.unused(harmless(name));
        let bytes = &bytes[..bytes.len().min(self.left)];
        self.left -= bytes.len();
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_size(bytes.len() as u64);
        header.set_mode(0o600);
        header.set_mtime(self.now);
        self.tar.append_data(&mut header, &name, bytes)?;
        self.names.insert(name);
        Ok(())
    }

    pub(super) fn finish(self) -> io::Result<Vec<u8>> {
        self.tar.into_inner()?.finish()
    }

    fn unused(&self, name: String) -> String {
        if !self.names.contains(&name) {
            return name;
        }
        (1..).map(|number: u64| format!("{name}.{number}")).find(|name| !self.names.contains(name)).unwrap_or(name)
    }
}

/// A relative name without `..`, empty parts and control characters.
fn harmless(name: &str) -> String {
    let parts = name.split('/').filter(|part| !matches!(*part, "" | "." | ".."));
    let mut name = parts.collect::<Vec<_>>().join("/").replace(char::is_control, "_");
    if name.len() > NAME_LIMIT {
        let end = (0..=NAME_LIMIT).rev().find(|end| name.is_char_boundary(*end)).unwrap_or(0);
        name.truncate(end);
    }
    if name.is_empty() { "unnamed".to_owned() } else { name }
}

#[cfg(test)]
pub(super) fn read(bytes: &[u8]) -> std::collections::BTreeMap<String, Vec<u8>> {
    let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(bytes));
    let mut members = std::collections::BTreeMap::new();
    for entry in tar.entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut content = Vec::new();
        io::Read::read_to_end(&mut entry, &mut content).unwrap();
        members.insert(entry.path().unwrap().to_string_lossy().into_owned(), content);
    }
    members
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_the_archive() {
        for (name, safe) in [
            ("/etc/passwd", "etc/passwd"),
            ("../../x", "x"),
            ("a/./b//../c", "a/b/c"),
            ("a\nb\x1b", "a_b_"),
            ("", "unnamed"),
            ("..", "unnamed"),
        ] {
            assert_eq!(harmless(name), safe);
        }
        assert_eq!(harmless(&"\u{e9}".repeat(300)).len(), NAME_LIMIT);
    }

    #[test]
    fn members_come_back_and_names_stay_apart() {
        let mut archive = Archive::new();
        archive.add("ps", b"one").unwrap();
        archive.add("ps", b"two").unwrap();
        archive.add(&"d/".repeat(90), b"deep").unwrap();
        let members = read(&archive.finish().unwrap());
        assert_eq!((members["ps"].as_slice(), members["ps.1"].as_slice()), (&b"one"[..], &b"two"[..]));
        assert_eq!(members.len(), 3);
    }

    #[test]
    fn the_whole_is_bounded() {
        let mut archive = Archive::new();
        archive.left = 5;
        archive.add("a", b"1234").unwrap();
        archive.add("b", b"5678").unwrap();
        assert_eq!(archive.room(), 0);
        let members = read(&archive.finish().unwrap());
        assert_eq!((members["a"].len(), members["b"].len()), (4, 1));
    }
}
