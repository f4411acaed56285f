//! The kernel modules that the ramdisk has: those in `imagebuild/ramdisk/modules.toml` and all that they depend on.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use serde::Deserialize;

use super::tree::Tree;
use crate::arch::Arch;
use crate::failure::{Doing, Failure, Outcome};
use crate::{names, process};

const DEADLINE: Duration = Duration::from_secs(300);
/// The lists that kmod and udev look into; what depmod writes besides is for people and for depmod.
const LISTS: [&str; 8] = [
    "modules.alias.bin",
    "modules.builtin.alias.bin",
    "modules.builtin.bin",
    "modules.dep",
    "modules.dep.bin",
    "modules.devname",
    "modules.softdep",
    "modules.symbols.bin",
];
/// Modules that one run of the compressor takes.
const BATCH: usize = 64;

/// The list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct List {
    group: Vec<Group>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    /// Why they are there.
    reason: String,
    /// Names, in which a star stands for anything.
    modules: Vec<String>,
    /// Debian's names of the architectures that have them; all if there is none.
    #[serde(default)]
    architectures: Vec<String>,
}

impl List {
    /// Reads the list.
    ///
    /// # Errors
    /// If it cannot be read or a group has no reason.
    pub(super) fn read(path: &Path) -> Outcome<Self> {
        let reading = || format!("reading {}", path.display());
        let list: Self = toml::from_str(&fs::read_to_string(path).doing(reading())?).doing(reading())?;
        if list.group.iter().any(|group| group.reason.trim().is_empty()) {
            return Err(Failure::new(format!("{}: a group has no reason", reading())));
        }
        Ok(list)
    }

    /// The names and patterns for an architecture.
    pub(super) fn patterns(&self, arch: &Arch) -> Vec<&str> {
        let groups = self.group.iter().filter(|group| {
            group.architectures.is_empty() || group.architectures.iter().any(|name| name == arch.debian)
        });
        groups.flat_map(|group| &group.modules).map(String::as_str).collect()
    }
}

/// What a kernel package has in modules.
#[derive(Debug)]
pub(super) struct Modules {
    /// The kernel's version, by which its directory is called.
    pub(super) version: String,
    directory: PathBuf,
    /// File below the directory, by name of module.
    files: BTreeMap<String, String>,
    /// Names of modules, by name of the one that depends on them.
    depends: BTreeMap<String, Vec<String>>,
    builtin: BTreeSet<String>,
}

impl Modules {
    /// Reads what the unpacked kernel package has. Which modules depend on which is worked out once.
    ///
    /// # Errors
    /// If it has no modules, or those of several kernels.
    pub(super) fn of(package: &Path) -> Outcome<Self> {
        let all = package.join("lib/modules");
        let reading = || format!("reading {}", all.display());
        let mut versions = Vec::new();
        for entry in fs::read_dir(&all).doing(reading())? {
            versions.push(entry.doing(reading())?.file_name().to_string_lossy().into_owned());
        }
        let [version] = &versions[..] else {
            return Err(Failure::new(format!("{} should be of one kernel, and has {versions:?}", all.display())));
        };
        let directory = all.join(version);
        if !directory.join("modules.dep").is_file() {
            depmod(package, version)?;
        }
        let read = |name: &str| {
            let path = directory.join(name);
            fs::read_to_string(&path).doing(format_args!("reading {}", path.display()))
        };
        let (files, mut depends) = dependencies(&read("modules.dep")?);
        for (module, softer) in soft_dependencies(&read("modules.softdep")?) {
            depends.entry(module).or_default().extend(softer);
        }
        let builtin = read("modules.builtin")?.lines().map(module_name).collect();
        Ok(Self { version: version.clone(), directory, files, depends, builtin })
    }

    /// The modules that the patterns stand for and all that they depend on, as files below the directory.
    ///
    /// # Errors
    /// If a pattern stands for nothing.
    pub(super) fn select(&self, patterns: &[&str]) -> Outcome<BTreeSet<&str>> {
        let mut wanted: Vec<&str> = Vec::new();
        let mut unknown = Vec::new();
        for pattern in patterns {
            let plain = pattern.replace('-', "_");
            let before = wanted.len();
            wanted.extend(self.files.keys().filter(|name| names::matches(&plain, name)).map(String::as_str));
            if wanted.len() == before && !self.builtin.iter().any(|name| names::matches(&plain, name)) {
                unknown.push(*pattern);
            }
        }
        if !unknown.is_empty() {
            return Err(Failure::new(format!("the kernel {} has no modules {}", self.version, unknown.join(", "))));
        }
        let mut selected = BTreeSet::new();
        let mut files = BTreeSet::new();
        while let Some(name) = wanted.pop() {
            if !selected.insert(name) {
                continue;
            }
            // A soft dependency may be built in, or not exist in this kernel.
            if let Some(file) = self.files.get(name) {
                files.insert(file.as_str());
                wanted.extend(self.depends.get(name).into_iter().flatten().map(String::as_str));
            }
        }
        Ok(files)
    }

    /// Where a selected module lies.
    pub(super) fn path(&self, file: &str) -> PathBuf {
        self.directory.join(file)
    }

    /// Puts the selected modules into the tree, compressed, with new lists of their aliases and dependencies. `work` is a
    /// directory where they are kept for the next time.
    ///
    /// # Errors
    /// If a program fails or there is no room.
    pub(super) fn install(&self, tree: &mut Tree, selected: &BTreeSet<&str>, work: &Path, origin: &str) -> Outcome {
        let place = format!("lib/modules/{}", self.version);
        let compressed = work.join("compressed").join(&self.version);
        self.compress(selected, &compressed)?;
        // depmod reads what lies below a directory, so it gets one with links.
        let root = work.join("root");
        if root.exists() {
            fs::remove_dir_all(&root).doing(format_args!("removing {}", root.display()))?;
        }
        for file in selected {
            let name = format!("{file}.xz");
            link(&compressed.join(&name), &root.join(&place).join(&name))?;
        }
        for list in ["modules.builtin", "modules.builtin.modinfo", "modules.order"] {
            link(&self.directory.join(list), &root.join(&place).join(list))?;
        }
        depmod(&root, &self.version)?;
        for list in LISTS {
            tree.file(&format!("{place}/{list}"), &root.join(&place).join(list), 0o644, origin)?;
        }
        for file in selected {
            tree.file(&format!("{place}/{file}.xz"), &compressed.join(format!("{file}.xz")), 0o644, origin)?;
        }
        Ok(())
    }

    /// Compresses the modules that are not there yet. Their signatures lie within and stay as they are.
    fn compress(&self, selected: &BTreeSet<&str>, into: &Path) -> Outcome {
        let missing: Vec<&str> =
            selected.iter().copied().filter(|file| !into.join(format!("{file}.xz")).is_file()).collect();
        for file in &missing {
            copy(&self.directory.join(file), &into.join(file))?;
        }
        let halves = missing.chunks(missing.len().div_ceil(2).max(1));
        let compress = |files: &[&str]| -> Outcome {
            for batch in files.chunks(BATCH) {
                // The options that the kernel's own build uses: it unpacks no other checksum.
                let mut xz = Command::new("xz");
                xz.args(["--force", "--check=crc32", "--lzma2=preset=6,dict=1MiB"]).args(batch).current_dir(into);
                process::output(&mut xz, DEADLINE)?;
            }
            Ok(())
        };
        thread::scope(|scope| {
            let running: Vec<_> = halves.map(|files| scope.spawn(move || compress(files))).collect();
            running.into_iter().try_for_each(|thread| {
                thread.join().map_err(|_| Failure::new("compressing modules ended unexpectedly"))?
            })
        })
    }
}

fn depmod(root: &Path, version: &str) -> Outcome {
    process::output(Command::new("depmod").arg("--basedir").arg(root).arg(version), DEADLINE).map(drop)
}

fn make_place(path: &Path) -> Outcome {
    let directory = path.parent().unwrap_or(path);
    fs::create_dir_all(directory).doing(format_args!("making {}", directory.display()))
}

fn link(from: &Path, to: &Path) -> Outcome {
    make_place(to)?;
    fs::hard_link(from, to).doing(format_args!("linking {}", from.display()))
}

fn copy(from: &Path, to: &Path) -> Outcome {
    make_place(to)?;
    fs::copy(from, to).doing(format_args!("copying {}", from.display())).map(drop)
}

/// `kernel/drivers/net/virtio-net.ko.xz` is `virtio_net`: the kernel makes no difference between the two signs.
fn module_name(file: &str) -> String {
    let name = file.rsplit('/').next().unwrap_or(file);
    name.split(".ko").next().unwrap_or(name).replace('-', "_")
}

/// Files by name and names by dependent, from a `modules.dep`.
fn dependencies(text: &str) -> (BTreeMap<String, String>, BTreeMap<String, Vec<String>>) {
    let (mut files, mut depends) = (BTreeMap::new(), BTreeMap::new());
    for (file, needed) in text.lines().filter_map(|line| line.split_once(':')) {
        let name = module_name(file);
        depends.insert(name.clone(), needed.split_whitespace().map(module_name).collect());
        files.insert(name, file.to_owned());
    }
    (files, depends)
}

/// What is loaded before or after a module without it asking by symbol, from a `modules.softdep`.
fn soft_dependencies(text: &str) -> Vec<(String, Vec<String>)> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("softdep "));
    lines
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let name = words.next()?.replace('-', "_");
            Some((name, words.filter(|word| !word.ends_with(':')).map(|word| word.replace('-', "_")).collect()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    // Recorded from Debian's 6.1 kernel.
    const DEP: &str = "\
kernel/fs/ext4/ext4.ko: kernel/lib/crc16.ko kernel/fs/mbcache.ko kernel/fs/jbd2/jbd2.ko
kernel/lib/crc16.ko:
kernel/fs/mbcache.ko:
kernel/fs/jbd2/jbd2.ko:
kernel/drivers/net/virtio_net.ko: kernel/drivers/net/net_failover.ko
kernel/drivers/net/net_failover.ko:
kernel/crypto/crc32c_generic.ko:
kernel/drivers/block/virtio_blk.ko:
";
    const SOFTDEP: &str = "# Soft dependencies\nsoftdep ext4 pre: crc32c-generic not-in-this-kernel\n";

    fn modules() -> Modules {
        let (files, mut depends) = dependencies(DEP);
        for (module, softer) in soft_dependencies(SOFTDEP) {
            depends.entry(module).or_default().extend(softer);
        }
        let builtin = BTreeSet::from(["virtio".to_owned()]);
        Modules { version: "6.1.0-1".to_owned(), directory: PathBuf::new(), files, depends, builtin }
    }

    #[test]
    fn hard_and_soft_dependencies_come_along() {
        let modules = modules();
        let expected = [
            "kernel/crypto/crc32c_generic.ko",
            "kernel/fs/ext4/ext4.ko",
            "kernel/fs/jbd2/jbd2.ko",
            "kernel/fs/mbcache.ko",
            "kernel/lib/crc16.ko",
        ];
        assert!(modules.select(&["ext4"]).unwrap().into_iter().eq(expected));
    }

    #[test]
    fn patterns_and_both_signs_are_understood_and_what_is_built_in_needs_no_file() {
        let modules = modules();
        assert_eq!(modules.select(&["virtio*"]).unwrap().len(), 3);
        assert_eq!(modules.select(&["virtio-blk"]).unwrap().len(), 1);
        assert!(modules.select(&["virtio"]).unwrap().is_empty());
    }

    #[test]
    fn modules_that_the_kernel_does_not_have_are_all_named() {
        let failure = modules().select(&["ext4", "zfs", "hpsa*"]).unwrap_err().to_string();
        assert_eq!(failure, "the kernel 6.1.0-1 has no modules zfs, hpsa*");
    }
}
