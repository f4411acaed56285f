//! Debian packages: the agent for a machine or an image, and the SDK for vendors.
//!
//! They are put together file by file and packed by `dpkg-deb`, so that a build needs neither a source package nor
//! debhelper, and each byte of them is the same for the same programs and sources.

mod host;
mod package;
mod sdk;
mod tree;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::failure::{Doing, Failure, Outcome};
use crate::process;

const QUESTION: Duration = Duration::from_secs(60);

/// What the packages are made of, and where.
#[derive(Debug, Clone, Copy)]
pub struct Plan<'a> {
    /// The top of the sources.
    pub repository: &'a Path,
    /// Directory of the release build of `ipa-host` and `libipa_generic.so`.
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
    let epoch = epoch(plan.repository)?;
    fs::create_dir_all(plan.output).doing(format_args!("making {}", plan.output.display()))?;
    let packages = vec![host::build(plan, epoch)?, sdk::build(plan, epoch)?];
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

/// The time that all files get, in seconds since 1970: `SOURCE_DATE_EPOCH`, or that of the sources' last commit.
fn epoch(repository: &Path) -> Outcome<i64> {
    let text = match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(text) => text,
        Err(_) => {
            process::output(Command::new("git").args(["log", "-1", "--format=%ct"]).current_dir(repository), QUESTION)
                .map_err(|failure| Failure::new(format!("{failure}; outside of git set SOURCE_DATE_EPOCH")))?
        }
    };
    text.trim().parse().doing(format_args!("SOURCE_DATE_EPOCH: {text:?}"))
}
