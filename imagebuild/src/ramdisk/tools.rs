//! The list of packages and of their files that the ramdisk has: `imagebuild/ramdisk/tools.toml`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde::Deserialize;

use super::tree::Tree;
use crate::debian::Contents;
use crate::failure::{Doing, Failure, Outcome};
use crate::names;

/// Parts of a package that nothing in a ramdisk reads.
const LEFT_OUT: [&str; 9] = [
    "usr/share/doc/",
    "usr/share/man/",
    "usr/share/locale/",
    "usr/share/info/",
    "usr/share/lintian/",
    "usr/share/bug/",
    "usr/share/bash-completion/",
    "usr/lib/systemd/system/",
    "usr/share/initramfs-tools/",
];

/// The list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tools {
    package: Vec<Package>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Package {
    name: String,
    /// Why it is there.
    reason: String,
    /// Names of files, in which a star stands for anything but a slash.
    files: Vec<String>,
    /// Names of links, all to the first file.
    #[serde(default)]
    links: Vec<String>,
    /// Only where the options ask for it.
    #[serde(default)]
    only: Option<Only>,
}

/// What an option can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Only {
    /// To log in over the network.
    Ssh,
}

impl Tools {
    /// Reads the list.
    ///
    /// # Errors
    /// If it cannot be read, or says something twice or without a reason.
    pub(super) fn read(path: &Path) -> Outcome<Self> {
        let text = fs::read_to_string(path).doing(format_args!("reading {}", path.display()))?;
        Self::parse(&text).doing(format_args!("reading {}", path.display()))
    }

    fn parse(text: &str) -> Outcome<Self> {
        let tools: Self = toml::from_str(text).doing("it is not as it should be")?;
        let mut seen = BTreeSet::new();
        for package in &tools.package {
            if package.reason.trim().is_empty() || package.files.is_empty() {
                return Err(Failure::new(format!("the package {} has no reason or no files", package.name)));
            }
            if !seen.insert(&package.name) {
                return Err(Failure::new(format!("the package {} is there twice", package.name)));
            }
        }
        Ok(tools)
    }

    /// The packages, those for what `asked` asks for included.
    pub(super) fn packages(&self, asked: &BTreeSet<Only>) -> Vec<&str> {
        self.wanted(asked).map(|package| package.name.as_str()).collect()
    }

    /// Puts the files of the packages into the tree.
    ///
    /// # Errors
    /// If a package has none of the files that a name or pattern stands for.
    pub(super) fn install(&self, tree: &mut Tree, contents: &Contents, asked: &BTreeSet<Only>) -> Outcome {
        let mut unknown = Vec::new();
        for package in self.wanted(asked) {
            for pattern in &package.files {
                let pattern = names::merged(pattern);
                let mut any = false;
                for (name, found) in contents.matching(&package.name, &pattern) {
                    any = true;
                    tree.package_file(contents, name, found)?;
                }
                if !any {
                    unknown.push(format!("{} no /{pattern}", package.name));
                }
            }
            let target = format!("/{}", names::merged(&package.files[0]));
            for link in &package.links {
                tree.link(link, &target, &package.name)?;
            }
        }
        if unknown.is_empty() {
            return Ok(());
        }
        Err(Failure::new(format!("packages do not have the files that they should: {}", unknown.join(", "))))
    }

    fn wanted(&self, asked: &BTreeSet<Only>) -> impl Iterator<Item = &Package> {
        self.package.iter().filter(|package| package.only.is_none_or(|only| asked.contains(&only)))
    }
}

/// Puts all of a package into the tree but its documentation and what only an installed system needs.
///
/// # Errors
/// If another package has one of its files.
pub(super) fn install_whole(tree: &mut Tree, contents: &Contents, package: &str) -> Outcome {
    for (name, found) in contents.of_package(package) {
        if LEFT_OUT.iter().any(|start| name.starts_with(start)) || tree.get(name).is_some() {
            continue;
        }
        tree.package_file(contents, name, found)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_for_an_option_are_left_out_without_it() {
        let tools = Tools::parse(
            "[[package]]\nname = 'kmod'\nreason = 'modules'\nfiles = ['/bin/kmod']\n\
             [[package]]\nname = 'dropbear-bin'\nreason = 'login'\nonly = 'ssh'\nfiles = ['/usr/sbin/dropbear']\n",
        )
        .unwrap();
        assert_eq!(tools.packages(&BTreeSet::new()), ["kmod"]);
        assert_eq!(tools.packages(&BTreeSet::from([Only::Ssh])), ["kmod", "dropbear-bin"]);
    }

    #[test]
    fn everything_has_a_reason_and_stands_there_once() {
        let no_reason = "[[package]]\nname = 'kmod'\nreason = ' '\nfiles = ['/bin/kmod']\n";
        assert!(Tools::parse(no_reason).unwrap_err().to_string().contains("kmod has no reason"));
        let once = "[[package]]\nname = 'kmod'\nreason = 'modules'\nfiles = ['/bin/kmod']\n";
        assert!(Tools::parse(&once.repeat(2)).unwrap_err().to_string().contains("twice"));
        assert!(Tools::parse("[[package]]\nname = 'x'\nreason = 'y'\nfile = []\n").is_err());
    }

    #[test]
    fn the_list_of_the_repository_can_be_read() {
        let tools = Tools::read(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/ramdisk/tools.toml"))).unwrap();
        assert!(tools.packages(&BTreeSet::new()).contains(&"udev"));
    }
}
