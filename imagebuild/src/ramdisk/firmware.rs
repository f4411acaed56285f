//! Firmware that drivers load into their devices: of all that is offered, the files that a module of the ramdisk asks for.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::modules::Modules;
use super::tree::Tree;
use crate::debian::Contents;
use crate::elf;
use crate::failure::{Doing, Outcome};
use crate::names;

/// Names of firmware files that the modules ask for, some of them patterns.
///
/// # Errors
/// If a module cannot be read.
pub(super) fn asked_for(modules: &Modules, selected: &BTreeSet<&str>) -> Outcome<BTreeSet<String>> {
    let mut asked = BTreeSet::new();
    for file in selected {
        let path = modules.path(file);
        let bytes = fs::read(&path).doing(format_args!("reading {}", path.display()))?;
        asked.extend(elf::modinfo(file, &bytes, "firmware")?);
    }
    Ok(asked)
}

/// Puts those files of a package into the tree that are asked for, and gives their number.
///
/// # Errors
/// If another package has one of them.
pub(super) fn from_package(
    tree: &mut Tree,
    contents: &Contents,
    package: &str,
    asked: &BTreeSet<String>,
) -> Outcome<usize> {
    let mut count = 0;
    for (name, found) in contents.of_package(package) {
        if name.strip_prefix("usr/lib/firmware/").is_some_and(|file| wanted(file, asked)) {
            tree.package_file(contents, name, found)?;
            count += 1;
        }
    }
    Ok(count)
}

/// Puts those files of a directory into the tree that are asked for, and gives their number.
///
/// # Errors
/// If it cannot be read.
pub(super) fn from_directory(tree: &mut Tree, directory: &Path, asked: &BTreeSet<String>) -> Outcome<usize> {
    let mut waiting: Vec<(PathBuf, String)> = vec![(directory.to_owned(), String::new())];
    let mut count = 0;
    while let Some((path, name)) = waiting.pop() {
        let reading = || format!("reading {}", path.display());
        for entry in fs::read_dir(&path).doing(reading())? {
            let entry = entry.doing(reading())?;
            let name = format!("{name}{}", entry.file_name().to_string_lossy());
            // Through links, of which trees of firmware have many.
            if entry.path().is_dir() && !entry.file_type().doing(reading())?.is_symlink() {
                waiting.push((entry.path(), format!("{name}/")));
            } else if entry.path().is_file() && wanted(&name, asked) {
                tree.file(&format!("lib/firmware/{name}"), &entry.path(), 0o644, "given firmware")?;
                count += 1;
            }
        }
    }
    Ok(count)
}

/// Whether a module asks for the file, which may be compressed as kernels can read it.
fn wanted(file: &str, asked: &BTreeSet<String>) -> bool {
    let plain = file.strip_suffix(".xz").or_else(|| file.strip_suffix(".zst")).unwrap_or(file);
    asked.contains(plain) || asked.iter().any(|pattern| pattern.contains('*') && names::matches(pattern, plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_modules_ask_for_is_taken() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("bnx2x")).unwrap();
        for name in ["bnx2x/e1h.fw", "bnx2x/e2.fw.xz", "bnx2x/other.fw", "radeon.bin"] {
            fs::write(directory.path().join(name), name).unwrap();
        }
        let asked = BTreeSet::from(["bnx2x/e1h.fw".to_owned(), "bnx2x/e2*".to_owned()]);
        let mut tree = Tree::default();
        assert_eq!(from_directory(&mut tree, directory.path(), &asked).unwrap(), 2);
        assert!(tree.get("/lib/firmware/bnx2x/e2.fw.xz").is_some());
        assert!(tree.get("/lib/firmware/radeon.bin").is_none());
    }
}
