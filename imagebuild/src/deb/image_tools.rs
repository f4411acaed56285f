//! The package `ipa-image-tools`: what makes media that boot the agent, for whoever runs Ironic.

use std::path::PathBuf;

use super::package::Package;
use super::tree::{DATA, PROGRAM, Tree};
use super::{Plan, programs};
use crate::failure::Outcome;
use crate::iso;

/// The package's name.
const NAME: &str = "ipa-image-tools";
const DESCRIPTION: &str = "makes media that boot the bare-metal agent ipa-host
iso-image-create makes an ISO image of a kernel and a ramdisk with the agent.
It boots by BIOS and by UEFI, also with Secure Boot, as virtual media, as a CD
and as a USB stick, and may have configuration and plugins on it.

It needs no privileges, and takes boot loaders from the packages that this one
recommends.";

pub(super) fn build(plan: &Plan<'_>, time: u32) -> Outcome<PathBuf> {
    let tree = Tree::new(plan.work.join(NAME))?;
    let program = plan.programs.join("iso-image-create");
    tree.copy(&program, "usr/bin/iso-image-create", PROGRAM)?;
    tree.gzip("usr/share/man/man1/iso-image-create.1", include_str!("../../deb/iso-image-create.1"))?;
    tree.write(&format!("usr/share/doc/{NAME}/copyright"), programs::COPYRIGHT, DATA)?;
    let crates = programs::crates(plan.repository, &["ipa-imagebuild"])?;
    tree.write(&format!("usr/share/doc/{NAME}/crates"), crates, DATA)?;

    let architecture = programs::architecture()?;
    let tools = iso::tool_packages().join(", ");
    let package = Package {
        name: NAME,
        version: &plan.version("imagebuild")?,
        architecture: &architecture,
        section: "admin",
        relations: &[
            ("Depends", format!("{}, {tools}", programs::libraries(plan.work, NAME, &[&program])?)),
            ("Recommends", iso::loader_packages(&architecture).join(", ")),
        ],
        description: DESCRIPTION,
        scripts: &[],
    };
    package.pack(&tree, time, plan.output)
}

#[cfg(test)]
mod tests {
    use structopt::StructOpt;

    #[test]
    fn the_manual_page_has_every_option() {
        let page = include_str!("../../deb/iso-image-create.1").replace('\\', "");
        let mut help = Vec::new();
        crate::iso::Options::clap().write_long_help(&mut help).unwrap();
        let help = String::from_utf8(help).unwrap();
        let rows = help.lines().map(str::trim).filter(|line| line.starts_with('-'));
        let options: Vec<&str> = rows.flat_map(str::split_whitespace).filter(|word| word.starts_with("--")).collect();
        assert!(options.len() > 8, "{help}");
        for option in options {
            assert!(page.contains(option), "{option} is missing");
        }
    }
}
