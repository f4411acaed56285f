//! What lies in the plugin directory.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Most files of a directory that are looked at, plugins or not.
const MAX_ENTRIES: usize = 100_000;
/// Most plugins that are loaded.
const MAX_PLUGINS: usize = 1000;

/// Names of the files of a directory that may be plugins: `*.so`, not hidden, sorted byte by byte.
///
/// # Errors
/// If the directory cannot be read, or is full beyond reason. A directory that is not there is an error of kind
/// `NotFound`.
pub(crate) fn scan(directory: &Path) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for (seen, entry) in std::fs::read_dir(directory)?.enumerate() {
        if seen >= MAX_ENTRIES {
            return Err(io::Error::other(format!("it holds more than {MAX_ENTRIES} files")));
        }
        let name = entry?.file_name();
        if is_candidate(&name) {
            names.push(name);
        }
    }
    if names.len() > MAX_PLUGINS {
        return Err(io::Error::other(format!("it holds {} plugins, more than {MAX_PLUGINS}", names.len())));
    }
    names.sort();
    Ok(names)
}

fn is_candidate(name: &OsStr) -> bool {
    let name = name.as_bytes();
    name.len() > 3 && name.ends_with(b".so") && !name.starts_with(b".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_visible_shared_objects_are_listed_in_order() {
        let directory = tempfile::tempdir().expect("tempdir");
        let odd = OsStr::from_bytes(b"a\n\xff.so");
        for name in ["libz.so", "liba.so", ".hidden.so", "lib.so.1", "README", ".so"].map(OsStr::new) {
            std::fs::write(directory.path().join(name), "").expect("file");
        }
        std::fs::write(directory.path().join(odd), "").expect("file");
        let names = scan(directory.path()).expect("scan");
        assert_eq!(names, [odd, OsStr::new("liba.so"), OsStr::new("libz.so")]);
    }

    #[test]
    fn a_missing_directory_says_so() {
        let error = scan(Path::new("/nonexistent/plugins")).expect_err("missing");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn ten_thousand_other_files_do_no_harm() {
        let directory = tempfile::tempdir().expect("tempdir");
        for number in 0..10_000 {
            std::fs::write(directory.path().join(format!("{number}.txt")), "").expect("file");
        }
        std::fs::write(directory.path().join("one.so"), "").expect("file");
        assert_eq!(scan(directory.path()).expect("scan"), [OsStr::new("one.so")]);
    }
}
