//! `cargo xtask deb`: the Debian packages, in `target/packages`.

use std::fs;

use ipa_imagebuild::deb::{self, Plan};
use ipa_imagebuild::failure::{Doing, Outcome};
use ipa_imagebuild::process;

use crate::cargo::cargo;
use crate::steps::COMMAND;
use crate::{repo, tools};

/// Where the packages are, below the build directory.
pub(crate) const PACKAGES: &str = "packages";

/// Builds the programs and the packages.
pub(crate) fn run() -> Outcome {
    tools::ensure(tools::FOR_DEB)?;
    // Apart, because the features that the tools want of a crate must not get into the agent.
    for packages in [&["--package", "ipa-host", "--package", "ipa-generic"][..], &["--package", "ipa-imagebuild"]] {
        process::run(cargo(&["build", "--release"]).args(packages), COMMAND)?;
    }
    let output = repo::target(PACKAGES);
    // Packages of other versions must not be taken for these.
    repo::fresh_directory(&output)?;
    let plan = Plan {
        repository: repo::root(),
        programs: &repo::target("release"),
        work: &repo::target("packages-work"),
        output: &output,
    };
    for package in deb::build(&plan)? {
        let size = fs::metadata(&package).doing(format_args!("reading {}", package.display()))?.len();
        println!("{}  {} KiB", package.display(), size.div_ceil(1024));
    }
    Ok(())
}
