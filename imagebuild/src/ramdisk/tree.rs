//! The tree of files that becomes an archive.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::cpio::{self, Header};
use crate::debian::{Contents, Found, Kind};
use crate::failure::{Doing, Failure, Outcome};
use crate::names;

/// Longest chain of links; more lead in a circle.
const LINKS: usize = 16;

/// What an entry holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A directory.
    Directory,
    /// What this file on disk holds.
    File(PathBuf),
    /// These bytes.
    Bytes(Vec<u8>),
    /// A symbolic link to this target.
    Link(String),
    /// A character device with major and minor number.
    Character(u32, u32),
}

/// A file, link, directory or device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it holds.
    pub content: Content,
    /// Permission bits.
    pub mode: u32,
    /// Where it is from: a Debian package's name, or in words.
    pub origin: String,
}

/// Entries by name, in an order that depends on nothing else.
#[derive(Debug, Default)]
pub struct Tree {
    entries: BTreeMap<String, Entry>,
}

impl Tree {
    /// Adds an entry, and the directories above it where they are missing. An equal one may be there already.
    ///
    /// # Errors
    /// If another one has this name, or a name above it is no directory.
    pub fn add(&mut self, name: &str, entry: Entry) -> Outcome {
        let name = names::merged(name);
        if let Some(there) = self.entries.get(&name) {
            if *there == entry || (there.content == Content::Directory && entry.content == Content::Directory) {
                return Ok(());
            }
            return Err(Failure::new(format!("both {} and {} have a file /{name}", there.origin, entry.origin)));
        }
        self.replace(&name, entry)
    }

    /// As [`Tree::add`], but takes the place of a file with this name.
    ///
    /// # Errors
    /// If a name above it is no directory, or the name is no name of a file.
    pub fn replace(&mut self, name: &str, entry: Entry) -> Outcome {
        let name = names::merged(name);
        if name.is_empty() || name.split('/').any(|part| part.is_empty() || part == "." || part == "..") {
            return Err(Failure::new(format!("{name:?} from {} is no name of a file in a ramdisk", entry.origin)));
        }
        let mut above = name.as_str();
        while let Some((directory, _)) = above.rsplit_once('/') {
            let made = Entry { content: Content::Directory, mode: 0o755, origin: entry.origin.clone() };
            let there = self.entries.entry(directory.to_owned()).or_insert(made);
            if there.content != Content::Directory {
                return Err(Failure::new(format!("/{name} from {} cannot be: /{directory} is a file", entry.origin)));
            }
            above = directory;
        }
        self.entries.insert(name, entry);
        Ok(())
    }

    /// Adds a directory.
    ///
    /// # Errors
    /// As [`Tree::add`].
    pub fn directory(&mut self, name: &str, mode: u32, origin: &str) -> Outcome {
        self.add(name, Entry { content: Content::Directory, mode, origin: origin.to_owned() })
    }

    /// Adds a symbolic link.
    ///
    /// # Errors
    /// As [`Tree::add`].
    pub fn link(&mut self, name: &str, target: &str, origin: &str) -> Outcome {
        self.add(name, Entry { content: Content::Link(target.to_owned()), mode: 0o777, origin: origin.to_owned() })
    }

    /// Adds a link that stands for a directory at the top, by the very name that other names are freed from.
    pub(super) fn root_link(&mut self, name: &str, entry: Entry) {
        self.entries.insert(name.to_owned(), entry);
    }

    /// Adds bytes as a file.
    ///
    /// # Errors
    /// As [`Tree::add`].
    pub fn bytes(&mut self, name: &str, bytes: Vec<u8>, mode: u32, origin: &str) -> Outcome {
        self.add(name, Entry { content: Content::Bytes(bytes), mode, origin: origin.to_owned() })
    }

    /// Puts a file from disk in, in place of one that may be there.
    ///
    /// # Errors
    /// As [`Tree::replace`], or if it is no file.
    pub fn file(&mut self, name: &str, path: &Path, mode: u32, origin: &str) -> Outcome {
        if !path.is_file() {
            return Err(Failure::new(format!("there is no file {} ({origin})", path.display())));
        }
        self.replace(name, Entry { content: Content::File(path.to_owned()), mode, origin: origin.to_owned() })
    }

    /// Copies a directory with all in it.
    ///
    /// # Errors
    /// If something in it can be neither file, link nor directory, or cannot be read.
    pub fn copy(&mut self, directory: &Path, name: &str, origin: &str) -> Outcome {
        let reading = || format!("reading {}", directory.display());
        for entry in fs::read_dir(directory).doing(reading())? {
            let entry = entry.doing(reading())?;
            let file = entry.file_name();
            let file = file.to_str().ok_or_else(|| Failure::new(format!("{}: a file's name is no text", reading())))?;
            let name = if name.is_empty() { file.to_owned() } else { format!("{name}/{file}") };
            let (path, metadata) = (entry.path(), entry.metadata().doing(reading())?);
            if metadata.is_dir() {
                self.directory(&name, 0o755, origin)?;
                self.copy(&path, &name, origin)?;
            } else if metadata.is_symlink() {
                let target = fs::read_link(&path).doing(format_args!("reading the link {}", path.display()))?;
                self.link(&name, &target.to_string_lossy(), origin)?;
            } else if metadata.is_file() {
                // Neither the umask that a checkout was made with nor a setuid bit goes into a ramdisk.
                let mode = if metadata.permissions().mode() & 0o100 != 0 { 0o755 } else { 0o644 };
                self.file(&name, &path, mode, origin)?;
            } else {
                return Err(Failure::new(format!("{} is neither file, link nor directory", path.display())));
            }
        }
        Ok(())
    }

    /// Adds a file or link of a package, and what the link leads to.
    ///
    /// # Errors
    /// If the link leads to nothing that a package has.
    pub fn package_file(&mut self, contents: &Contents, name: &str, found: &Found) -> Outcome {
        let mut name = name.to_owned();
        let mut found = found;
        for _ in 0..LINKS {
            match &found.kind {
                Kind::File(mode) => {
                    // Everything in a ramdisk runs as root: nothing needs setuid.
                    let content = Content::File(found.path.clone());
                    let entry = Entry { content, mode: mode & 0o755, origin: found.package.clone() };
                    return self.add(&name, entry);
                }
                Kind::Link(target) => {
                    self.link(&name, target, &found.package)?;
                    let end = names::resolve(&name, target).and_then(|to| contents.get(&to).map(|found| (to, found)));
                    let Some((to, next)) = end else {
                        return Err(Failure::new(format!(
                            "the link /{name} of {} leads to {target}, which no package has",
                            found.package
                        )));
                    };
                    (name, found) = (to, next);
                }
            }
        }
        Err(Failure::new(format!("the links at /{name} of {} have no end", found.package)))
    }

    /// The entry with this name, which may begin with a slash.
    pub fn get(&self, name: &str) -> Option<&Entry> {
        self.entries.get(&names::merged(name))
    }

    /// The name of what is at the end of the links that begin with this name; `None` if that is not there.
    pub fn follow(&self, name: &str) -> Option<String> {
        let mut name = names::merged(name);
        for _ in 0..LINKS {
            match &self.entries.get(&name)?.content {
                Content::Link(target) => name = names::resolve(&name, target)?,
                _ => return Some(name),
            }
        }
        None
    }

    /// The entries in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.entries.iter().map(|(name, entry)| (name.as_str(), entry))
    }

    /// Writes the entries that `keep` takes as an archive and gives its size.
    ///
    /// # Errors
    /// If a file cannot be read or the archive not be written.
    pub fn write<W: Write>(&self, to: W, time: u32, keep: impl Fn(&str) -> bool) -> Outcome<(W, u64)> {
        let mut writer = cpio::Writer::new(to, time);
        for (name, entry) in self.iter().filter(|(name, _)| keep(name)) {
            let mut header = Header { name, mode: entry.mode, device: (0, 0), size: 0 };
            match &entry.content {
                Content::Directory => {
                    header.mode |= cpio::DIRECTORY;
                    writer.add(header, std::io::empty())?;
                }
                Content::File(path) => {
                    let opening = || format!("opening {} for /{name}", path.display());
                    let file = File::open(path).doing(opening())?;
                    header.mode |= cpio::REGULAR;
                    header.size = file.metadata().doing(opening())?.len();
                    writer.add(header, file)?;
                }
                Content::Bytes(bytes) => {
                    header.mode |= cpio::REGULAR;
                    header.size = bytes.len() as u64;
                    writer.add(header, bytes.as_slice())?;
                }
                Content::Link(target) => {
                    header.mode |= cpio::LINK;
                    header.size = target.len() as u64;
                    writer.add(header, target.as_bytes())?;
                }
                Content::Character(major, minor) => {
                    header.mode |= cpio::CHARACTER;
                    header.device = (*major, *minor);
                    writer.add(header, std::io::empty())?;
                }
            }
        }
        writer.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str, origin: &str) -> Entry {
        Entry { content: Content::Bytes(text.into()), mode: 0o644, origin: origin.to_owned() }
    }

    fn archive(tree: &Tree) -> Vec<u8> {
        tree.write(Vec::new(), 1, |_| true).unwrap().0
    }

    #[test]
    fn the_order_in_which_files_come_does_not_show() {
        let names = ["usr/bin/b", "/bin/a", "etc/x/y/z", "lib/modules/1/m.ko", "etc/x.conf"];
        let mut forward = Tree::default();
        let mut backward = Tree::default();
        names.iter().for_each(|name| forward.add(name, bytes(name, "o")).unwrap());
        names.iter().rev().for_each(|name| backward.add(name, bytes(name, "o")).unwrap());
        let bytes = archive(&forward);
        assert_eq!(bytes, archive(&backward));
        assert!(bytes.len() > 512);
    }

    #[test]
    fn the_order_of_a_directory_on_disk_does_not_show_nor_do_its_times_and_modes() {
        use std::os::unix::fs::PermissionsExt;
        let make = |names: &[&str], mode: u32| {
            let directory = tempfile::tempdir().unwrap();
            for name in names {
                let path = directory.path().join(name);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(&path, name).unwrap();
                fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            }
            let mut tree = Tree::default();
            tree.copy(directory.path(), "", "files").unwrap();
            archive(&tree)
        };
        assert_eq!(make(&["a", "b/c", "b/d"], 0o600), make(&["b/d", "b/c", "a"], 0o664));
        assert_ne!(make(&["a"], 0o644), make(&["a"], 0o755), "what can be run stays so");
    }

    #[test]
    fn two_packages_with_different_files_of_one_name_are_named() {
        let mut tree = Tree::default();
        tree.add("/sbin/x", bytes("1", "one")).unwrap();
        tree.add("/sbin/x", bytes("1", "one")).unwrap();
        let failure = tree.add("/usr/sbin/x", bytes("2", "two")).unwrap_err().to_string();
        assert_eq!(failure, "both one and two have a file /usr/sbin/x");
        let failure = tree.add("/sbin/x/y", bytes("2", "two")).unwrap_err().to_string();
        assert!(failure.contains("/usr/sbin/x is a file"), "{failure}");
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for name in ["../x", "a//b", "a/./b", "", "a/../../b"] {
            assert!(Tree::default().add(name, bytes("", "o")).is_err(), "{name:?}");
        }
    }

    #[test]
    fn links_are_followed_to_their_end_and_not_in_circles() {
        let mut tree = Tree::default();
        tree.link("lib64/ld.so", "/lib/x/ld.so.1", "o").unwrap();
        tree.link("lib/x/ld.so.1", "ld-1.so", "o").unwrap();
        tree.add("usr/lib/x/ld-1.so", bytes("", "o")).unwrap();
        tree.link("a", "b", "o").unwrap();
        tree.link("b", "a", "o").unwrap();
        assert_eq!(tree.follow("/lib64/ld.so").as_deref(), Some("usr/lib/x/ld-1.so"));
        assert_eq!((tree.follow("a"), tree.follow("c")), (None, None));
    }
}
