//! Whether the shared libraries a plugin needs are on this machine, without loading anything.

use std::fs;
use std::path::{Path, PathBuf};

/// Largest file that is read for this, in bytes.
const FILE_LIMIT: u64 = 64 * 1024 * 1024;

/// The libraries below a root directory.
#[derive(Debug)]
pub(crate) struct Libraries {
    directories: Vec<PathBuf>,
    /// The loader's cache of names.
    cache: Vec<u8>,
}

impl Libraries {
    /// Those of the machine with this root, `/` for this one.
    pub(crate) fn of(root: &Path) -> Self {
        let mut directories = Vec::new();
        for directory in ["lib", "usr/lib", "lib64", "usr/lib64", "usr/local/lib"] {
            directories.push(root.join(directory));
            directories.push(root.join(directory).join(multiarch()));
        }
        directories.extend(configured(root));
        Self { directories, cache: read_bounded(&root.join("etc/ld.so.cache")).unwrap_or_default() }
    }

    /// True if the dynamic loader would find a library of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        if name.contains('/') {
            return Path::new(name).exists();
        }
        let entry = [&[0], name.as_bytes(), &[0]].concat();
        self.find(name).is_some() || self.cache.windows(entry.len()).any(|window| window == entry)
    }

    /// The version of the C library, if it is glibc.
    pub(crate) fn glibc(&self) -> Option<(u32, u32)> {
        glibc_version(&read_bounded(&self.find("libc.so.6")?)?)
    }

    fn find(&self, name: &str) -> Option<PathBuf> {
        self.directories.iter().map(|directory| directory.join(name)).find(|path| path.exists())
    }
}

fn multiarch() -> String {
    format!("{}-linux-gnu", std::env::consts::ARCH)
}

/// The directories that /etc/ld.so.conf and its parts name.
fn configured(root: &Path) -> Vec<PathBuf> {
    let mut files = vec![root.join("etc/ld.so.conf")];
    if let Ok(entries) = fs::read_dir(root.join("etc/ld.so.conf.d")) {
        files.extend(entries.filter_map(|entry| Some(entry.ok()?.path())));
    }
    files
        .iter()
        .filter_map(|file| fs::read_to_string(file).ok())
        .flat_map(|text| {
            let absolute = text.lines().map(str::trim).filter(|line| line.starts_with('/'));
            absolute.map(|line| root.join(line.trim_start_matches('/'))).collect::<Vec<_>>()
        })
        .collect()
}

fn read_bounded(path: &Path) -> Option<Vec<u8>> {
    let size = fs::metadata(path).ok().filter(fs::Metadata::is_file)?.len();
    if size > FILE_LIMIT { None } else { fs::read(path).ok() }
}

/// The version that glibc carries as a text: `GNU C Library (...) stable release version 2.36.`
fn glibc_version(library: &[u8]) -> Option<(u32, u32)> {
    const MARK: &[u8] = b"GNU C Library";
    let start = library.windows(MARK.len()).position(|window| window == MARK)?;
    let banner = String::from_utf8_lossy(&library[start..library.len().min(start + 200)]).into_owned();
    parse_version(banner.split("version ").nth(1)?)
}

/// `2.34` of `2.34.` or of `2.34 something`.
pub(crate) fn parse_version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split(|character: char| !character.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_found_in_directories_and_in_the_cache() {
        let root = tempfile::tempdir().expect("tempdir");
        let at = |path: &str| root.path().join(path);
        for directory in ["usr/lib", "opt/vendor/lib", "etc/ld.so.conf.d"] {
            fs::create_dir_all(at(directory)).expect("directory");
        }
        fs::write(at("etc/ld.so.conf.d/vendor.conf"), "# vendor\n/opt/vendor/lib\n").expect("file");
        fs::write(at("etc/ld.so.cache"), b"glibc-ld.so.cache1.1\0libcached.so.1\0/x/libcached.so.1\0").expect("file");
        fs::write(at("opt/vendor/lib/libvendor.so.2"), "").expect("file");
        fs::write(
            at("usr/lib/libc.so.6"),
            b"\x7fELF GNU C Library (Debian GLIBC 2.36-9) stable release version 2.36.\n",
        )
        .expect("file");
        let libraries = Libraries::of(root.path());
        for (name, expected) in
            [("libvendor.so.2", true), ("libcached.so.1", true), ("libcached.so", false), ("libnothing.so.1", false)]
        {
            assert_eq!(libraries.has(name), expected, "{name}");
        }
        assert_eq!(libraries.glibc(), Some((2, 36)));
    }

    #[test]
    fn versions_are_numbers() {
        assert_eq!(parse_version("2.34"), Some((2, 34)));
        assert_eq!(parse_version("2.2.5"), Some((2, 2)));
        assert_eq!(parse_version("PRIVATE"), None);
    }
}
