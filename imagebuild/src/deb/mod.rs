//! Debian packages: the agent for a machine or an image, what makes media with it, and the SDK for vendors.
//!
//! They are put together file by file and packed by `dpkg-deb`, so that a build needs neither a source package nor
//! debhelper, and each byte of them is the same for the same programs and sources.

mod host;
mod image_tools;
mod package;
mod programs;
mod sdk;
mod tree;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::failure::{Doing, Failure, Outcome};
use crate::{epoch, process};

const QUESTION: Duration = Duration::from_secs(60);

/// What the packages are made of, and where.
#[derive(Debug, Clone, Copy)]
pub struct Plan<'a> {
    /// The top of the sources.
    pub repository: &'a Path,
    /// Directory of the release build of `ipa-host`, `libipa_generic.so` and `iso-image-create`.
    pub programs: &'a Path,
    /// Directory for what lies between; nothing else may be in it.
    pub work: &'a Path,
    /// Directory of the finished packages.
    pub output: &'a Path,
}

/// Builds all packages and gives their paths.
///
/// # Errors
/// A program or a source is missing, or a tool failed.
pub fn build(plan: &Plan<'_>) -> Outcome<Vec<PathBuf>> {
    let time = time(plan.repository)?;
    fs::create_dir_all(plan.output).doing(format_args!("making {}", plan.output.display()))?;
    let packages = vec![host::build(plan, time)?, image_tools::build(plan, time)?, sdk::build(plan, time)?];
    fs::remove_dir_all(plan.work).doing(format_args!("removing {}", plan.work.display()))?;
    Ok(packages)
}

impl Plan<'_> {
    /// The version in the manifest of one of our crates.
    fn version(&self, package: &str) -> Outcome<String> {
        let path = self.repository.join(package).join("Cargo.toml");
        let manifest = fs::read_to_string(&path).doing(format_args!("reading {}", path.display()))?;
        let version = manifest.lines().find_map(|line| line.strip_prefix("version = \"")?.strip_suffix('"'));
        version.map(str::to_owned).ok_or_else(|| Failure::new(format!("{}: no version in it", path.display())))
    }
}

/// The time that all files get, in seconds since 1970: what the environment gives, or that of the sources' last commit,
/// which the changelog says too.
fn time(repository: &Path) -> Outcome<u32> {
    if let Some(time) = epoch::given()? {
        return Ok(time);
    }
    let mut ask = Command::new("git");
    let answer = process::output(ask.args(["log", "-1", "--format=%ct"]).current_dir(repository), QUESTION)
        .map_err(|failure| Failure::new(format!("{failure}; outside of git set {}", epoch::NAME)))?;
    epoch::parse(&answer)
}
