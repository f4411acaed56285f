//! Which package has a file, by the name that the file has in a tree where `/bin`, `/sbin` and `/lib*` are links.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::package::Unpacked;
use crate::failure::{Doing, Failure, Outcome};
use crate::names;

/// What a name in a package stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A file with these permission bits.
    File(u32),
    /// A link to this target, as the package has it.
    Link(String),
}

/// A file or link of a package.
#[derive(Debug, Clone)]
pub struct Found {
    /// Name of the package.
    pub package: String,
    /// Where it lies.
    pub path: PathBuf,
    /// What it is.
    pub kind: Kind,
}

/// The files of several packages.
#[derive(Debug, Default)]
pub struct Contents {
    files: BTreeMap<String, Found>,
}

impl Contents {
    /// Reads which files the packages have.
    ///
    /// # Errors
    /// If a directory cannot be read.
    pub fn of<'a>(packages: impl IntoIterator<Item = &'a Unpacked>) -> Outcome<Self> {
        let mut contents = Self::default();
        for unpacked in packages {
            contents.walk(&unpacked.package.name, &unpacked.root, "")?;
        }
        Ok(contents)
    }

    fn walk(&mut self, package: &str, directory: &Path, name: &str) -> Outcome {
        let reading = || format!("reading {}", directory.display());
        for entry in fs::read_dir(directory).doing(reading())? {
            let entry = entry.doing(reading())?;
            let file = entry.file_name();
            let file =
                file.to_str().ok_or_else(|| Failure::new(format!("{package} has a file whose name is no text")))?;
            let name = if name.is_empty() { file.to_owned() } else { format!("{name}/{file}") };
            let path = entry.path();
            let kind = entry.file_type().doing(reading())?;
            if kind.is_dir() {
                self.walk(package, &path, &name)?;
                continue;
            }
            let kind = if kind.is_symlink() {
                let target = fs::read_link(&path).doing(format_args!("reading the link {}", path.display()))?;
                Kind::Link(target.to_string_lossy().into_owned())
            } else {
                let metadata = entry.metadata().doing(reading())?;
                Kind::File(metadata.permissions().mode() & 0o7777)
            };
            self.files.insert(names::merged(&name), Found { package: package.to_owned(), path, kind });
        }
        Ok(())
    }

    /// The file or link with this name.
    pub fn get(&self, name: &str) -> Option<&Found> {
        self.files.get(name)
    }

    /// The files of one package.
    pub fn of_package<'a>(&'a self, package: &'a str) -> impl Iterator<Item = (&'a str, &'a Found)> + 'a {
        let of_package = self.files.iter().filter(move |(_, found)| found.package == package);
        of_package.map(|(name, found)| (name.as_str(), found))
    }

    /// The files of one package whose names match the pattern.
    pub fn matching<'a>(
        &'a self,
        package: &'a str,
        pattern: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a Found)> + 'a {
        self.of_package(package).filter(move |(name, _)| names::matches(pattern, name))
    }
}
