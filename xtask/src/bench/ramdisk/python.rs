//! The ramdisk with the Python agent, built by `tests/bench/python-ramdisk` and kept until something in it changes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ipa_imagebuild::failure::{Doing, Failure, Outcome};
use ipa_imagebuild::manifest::Manifest;
use ipa_imagebuild::{digest, process};

use crate::steps::COMMAND;
use crate::{ramdisk, repo, tools};

/// The scripts that it is made by and of.
const SCRIPTS: [&str; 4] = ["build", "init", "ironic-python-agent", "udhcpc"];
/// Where the environment has the agent, if its Python is of Debian 12's version.
const SITE_PACKAGES: &str = "lib/python3.11/site-packages";

/// It, built.
#[derive(Debug)]
pub(super) struct Built {
    pub(super) initramfs: PathBuf,
    /// Bytes of memory that its files take once unpacked, in whole pages.
    pub(super) memory: u64,
}

/// Builds it with the kernel modules of `ours`, unless it is there.
pub(super) fn build(ours: &Path, manifest: &Manifest) -> Outcome<Built> {
    let scripts = repo::root().join("tests/bench/python-ramdisk");
    let sources = ramdisk::default_sources()?;
    let directory = repo::target("bench-ramdisk");
    let stamp = directory.join("python.stamp");
    let wanted = stamp_text(&scripts, &sources, manifest)?;
    if fs::read_to_string(&stamp).is_ok_and(|text| text == wanted) {
        return built(&directory);
    }
    tools::UPSTREAM.ensure()?;
    let site = tools::UPSTREAM.directory().join(SITE_PACKAGES);
    if !site.is_dir() {
        return Err(Failure::new(format!(
            "{} is missing: the ramdisk has Debian 12's Python 3.11, so the agent must be installed with a Python 3.11",
            site.display()
        )));
    }
    repo::fresh_directory(&directory)?;
    println!("    building the ramdisk with the Python agent; this takes minutes");
    process::run(Command::new(scripts.join("build")).arg(&site).arg(ours).arg(&sources).arg(&directory), COMMAND)?;
    fs::write(&stamp, wanted).doing(format_args!("writing {}", stamp.display()))?;
    built(&directory)
}

fn built(directory: &Path) -> Outcome<Built> {
    let path = directory.join("python.memory");
    let text = fs::read_to_string(&path).doing(format_args!("reading {}", path.display()))?;
    let memory = text.trim().parse().doing(format_args!("reading the number in {}", path.display()))?;
    Ok(Built { initramfs: directory.join("python.initramfs"), memory })
}

/// What it depends on, a line each.
fn stamp_text(scripts: &Path, sources: &Path, manifest: &Manifest) -> Outcome<String> {
    let mut text = format!("{}\n", tools::UPSTREAM.requirement());
    for path in SCRIPTS.iter().map(|name| scripts.join(name)).chain([sources.to_owned()]) {
        text.push_str(&format!("{}\n", digest::of_file(&path)?));
    }
    let kernel = &manifest.kernel;
    text.push_str(&format!("{} {} {}\n", kernel.version, kernel.sha256, manifest.initramfs.modules.compressed));
    Ok(text)
}
