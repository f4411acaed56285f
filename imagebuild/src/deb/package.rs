//! A binary package: control files, and the packing.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::tree::{DATA, PROGRAM, Tree};
use crate::failure::{Doing, Failure, Outcome};
use crate::{epoch, process};

const PACK: Duration = Duration::from_secs(600);
const SUMS: Duration = Duration::from_secs(120);
const MAINTAINER: &str = "OpenStack developers <openstack-discuss@lists.openstack.org>";
const HOMEPAGE: &str = "https://docs.openstack.org/ironic/latest/";

/// What a package is, beside its files.
#[derive(Debug)]
pub(super) struct Package<'a> {
    pub(super) name: &'a str,
    pub(super) version: &'a str,
    pub(super) architecture: &'a str,
    pub(super) section: &'a str,
    /// Relations to other packages, as field and value.
    pub(super) relations: &'a [(&'a str, String)],
    /// The first line is the short one.
    pub(super) description: &'a str,
    /// Maintainer scripts by name.
    pub(super) scripts: &'a [(&'a str, &'a str)],
}

impl Package<'_> {
    /// Adds changelog, control files and times, and packs the tree. Everything below `/etc` is a conffile.
    pub(super) fn pack(&self, tree: &Tree, time: u32, output: &Path) -> Outcome<PathBuf> {
        tree.gzip(&format!("usr/share/doc/{}/changelog", self.name), self.changelog(time)?)?;
        let (sums, conffiles, size) = survey(tree)?;
        tree.write("DEBIAN/control", self.control(size), DATA)?;
        tree.write("DEBIAN/md5sums", sums, DATA)?;
        if !conffiles.is_empty() {
            tree.write("DEBIAN/conffiles", conffiles, DATA)?;
        }
        for (name, script) in self.scripts {
            tree.write(&format!("DEBIAN/{name}"), script, PROGRAM)?;
        }
        tree.set_times(time)?;
        let path = output.join(format!("{}_{}_{}.deb", self.name, self.version, self.architecture));
        // More threads would make other bytes.
        let mut pack = Command::new("dpkg-deb");
        pack.args(["--root-owner-group", "--threads-max=1", "-Zxz", "--build"]).arg(tree.path()).arg(&path);
        process::output(pack.env(epoch::NAME, time.to_string()), PACK)?;
        Ok(path)
    }

    fn control(&self, installed_size: u64) -> String {
        let mut text = format!(
            "Package: {}\nVersion: {}\nArchitecture: {}\nMaintainer: {MAINTAINER}\nInstalled-Size: {installed_size}\n",
            self.name, self.version, self.architecture
        );
        for (field, value) in self.relations.iter().filter(|(_, value)| !value.is_empty()) {
            writeln!(text, "{field}: {value}").expect("memory");
        }
        writeln!(text, "Section: {}\nPriority: optional\nHomepage: {HOMEPAGE}", self.section).expect("memory");
        let mut lines = self.description.trim().lines();
        writeln!(text, "Description: {}", lines.next().unwrap_or_default()).expect("memory");
        for line in lines {
            writeln!(text, " {}", if line.is_empty() { "." } else { line }).expect("memory");
        }
        text
    }

    fn changelog(&self, time: u32) -> Outcome<String> {
        let mut date = Command::new("date");
        date.args(["--utc", "--rfc-email", &format!("--date=@{time}")]).env("LC_ALL", "C");
        let date = process::output(&mut date, SUMS)?;
        let (name, version) = (self.name, self.version);
        Ok(format!(
            "{name} ({version}) unstable; urgency=medium\n\n  * Release {version}.\n\n -- {MAINTAINER}  {}\n",
            date.trim()
        ))
    }
}

/// The checksums of all files, the configuration among them, and their size in KiB, as dpkg-gencontrol counts it.
fn survey(tree: &Tree) -> Outcome<(String, String, u64)> {
    let mut files = Vec::new();
    let mut size = 0;
    for path in tree.paths()? {
        let meta = fs::symlink_metadata(tree.path().join(&path)).doing(format_args!("reading {}", path.display()))?;
        size += if meta.is_file() { meta.len().div_ceil(1024) } else { 1 };
        if meta.is_file() {
            files.push(path.into_os_string().into_string().map_err(|path| {
                Failure::new(format!("{}: the name of a packed file must be UTF-8", path.display()))
            })?);
        }
    }
    let mut sums = String::new();
    // A command line has its limits.
    for some in files.chunks(1000) {
        sums += &process::output(Command::new("md5sum").args(some).current_dir(tree.path()), SUMS)?;
    }
    let conffiles = files.iter().filter(|path| path.starts_with("etc/")).map(|path| format!("/{path}\n")).collect();
    Ok((sums, conffiles, size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_control_file_has_fields_and_an_indented_description() {
        let package = Package {
            name: "ipa-x",
            version: "1.2",
            architecture: "all",
            section: "admin",
            relations: &[("Depends", "libc6 (>= 2.34)".to_owned()), ("Recommends", String::new())],
            description: "short\nlong\n\nmore\n",
            scripts: &[],
        };
        let control = package.control(7);
        assert!(control.starts_with("Package: ipa-x\nVersion: 1.2\nArchitecture: all\n"), "{control}");
        assert!(control.contains("\nInstalled-Size: 7\nDepends: libc6 (>= 2.34)\nSection: admin\n"), "{control}");
        assert!(control.ends_with("Description: short\n long\n .\n more\n"), "{control}");
    }

    #[test]
    fn the_changelog_names_the_time_of_the_sources() {
        let package = Package {
            name: "ipa-x",
            version: "1.2",
            architecture: "all",
            section: "admin",
            relations: &[],
            description: "x",
            scripts: &[],
        };
        let changelog = package.changelog(1_764_000_000).unwrap();
        assert!(changelog.ends_with(">  Mon, 24 Nov 2025 16:00:00 +0000\n"), "{changelog}");
    }
}
