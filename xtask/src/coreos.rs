//! `cargo xtask coreos`: what runs the agent on Fedora CoreOS, in `target/coreos`.

use std::path::PathBuf;

use ipa_imagebuild::coreos::{self, Base, Plan};
use ipa_imagebuild::failure::{Doing, Failure, Outcome};
use structopt::StructOpt;

use crate::{deb, repo, tools};

#[derive(Debug, StructOpt)]
pub(crate) struct Options {
    /// From where machines will load the file system
    #[structopt(long, value_name = "URL")]
    url: String,
    /// The agent's package [default: target/packages, built if it is not there]
    #[structopt(long, value_name = "FILE", parse(from_os_str))]
    package: Option<PathBuf>,
    /// Debian's release
    #[structopt(long, default_value = "bookworm")]
    suite: String,
    /// Where Debian's packages come from, as a line of sources.list [default: as this machine does]
    #[structopt(long = "mirror", value_name = "LINE", number_of_values = 1)]
    mirrors: Vec<String>,
}

pub(crate) fn run(options: &Options) -> Outcome {
    tools::ensure(tools::FOR_COREOS)?;
    let package = match &options.package {
        Some(package) => package.clone(),
        None => match built()? {
            Some(package) => package,
            None => {
                deb::run()?;
                built()?.ok_or_else(|| Failure::new("no package of the agent in target/packages"))?
            }
        },
    };
    let mut base = Base::new(&options.suite, coreos::packages(repo::root())?);
    if !options.mirrors.is_empty() {
        base.mirrors.clone_from(&options.mirrors);
    }
    let output = repo::target("coreos");
    let plan = Plan { repository: repo::root(), package: &package, base: &base, url: &options.url, output: &output };
    for file in coreos::build(&plan)? {
        println!("{}", file.display());
    }
    Ok(())
}

fn built() -> Outcome<Option<PathBuf>> {
    let packages = repo::target(deb::PACKAGES);
    if !packages.is_dir() {
        return Ok(None);
    }
    let entries = packages.read_dir().doing(format_args!("reading {}", packages.display()))?;
    let named = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("ipa-host_") && name.ends_with(".deb")
    };
    Ok(entries.flatten().map(|entry| entry.path()).find(named))
}
