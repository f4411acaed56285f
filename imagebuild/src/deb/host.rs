//! The package `ipa-host`: the agent, its generic manager, and the units that start it.

use std::path::PathBuf;

use super::package::Package;
use super::tree::{DATA, PROGRAM, Tree};
use super::{Plan, programs};
use crate::failure::Outcome;

/// The package's name.
const NAME: &str = "ipa-host";
/// What steps and inventories of the shipped managers run. None is needed to start.
const TOOLS: &str =
    "efibootmgr, hdparm, iproute2, ipmitool, kmod, lshw, mdadm, nvme-cli, parted, udev, util-linux-extra";
/// What only some sites or machines have.
const MORE_TOOLS: &str = "chrony, ipa-plugin-api-dev, multipath-tools, smartmontools";
const DESCRIPTION: &str = "bare-metal agent for OpenStack Ironic
ipa-host runs on a machine that Ironic provisions, most often in a ramdisk.
Through it Ironic inspects, cleans, deploys and rescues the machine. It takes
the place of the Python agent: an unmodified Ironic cannot tell them apart.

What is done with the hardware is up to hardware managers, which are plugins.
The generic one, for any machine, is part of this package.

The agent is started at the next boot, not when the package is installed. It
erases disks when Ironic asks for it.";
pub(super) fn build(plan: &Plan<'_>, time: u32) -> Outcome<PathBuf> {
    let tree = Tree::new(plan.work.join(NAME))?;
    let (program, manager) = (plan.programs.join("ipa-host"), plan.programs.join("libipa_generic.so"));
    tree.copy(&program, "usr/bin/ipa-host", PROGRAM)?;
    tree.link("ipa-host", "usr/bin/ironic-python-agent")?;
    tree.link("ipa-host", "usr/bin/ironic-collect-introspection-data")?;
    tree.copy(&manager, "usr/lib/ipa/plugins/libipa_generic.so", DATA)?;

    let systemd = plan.repository.join("imagebuild/systemd");
    for unit in [
        "ironic-python-agent.service",
        "ironic-agent-create-rescue-user.path",
        "ironic-agent-create-rescue-user.service",
    ] {
        tree.copy(&systemd.join(unit), &format!("usr/lib/systemd/system/{unit}"), DATA)?;
    }
    tree.copy(&systemd.join("rescue-sysusers.conf"), "usr/lib/ipa/rescue/sysusers.conf", DATA)?;
    tree.copy(&systemd.join("rescue-tmpfiles.conf"), "usr/lib/ipa/rescue/tmpfiles.conf", DATA)?;

    tree.write("etc/ironic-python-agent.d/README", include_str!("../../deb/config-dir.README"), DATA)?;
    tree.directory("etc/ipa/plugin-keys", PROGRAM)?;
    // It will hold the hash of a password.
    tree.directory("etc/ipa-rescue-config", 0o700)?;

    tree.gzip("usr/share/man/man8/ipa-host.8", include_str!("../../deb/ipa-host.8"))?;
    for name in ["ironic-python-agent", "ironic-collect-introspection-data"] {
        tree.link("ipa-host.8.gz", &format!("usr/share/man/man8/{name}.8.gz"))?;
    }
    tree.write("usr/share/doc/ipa-host/copyright", programs::COPYRIGHT, DATA)?;
    tree.write(
        "usr/share/doc/ipa-host/crates",
        programs::crates(plan.repository, &["ipa-host", "ipa-generic"])?,
        DATA,
    )?;
    tree.write("usr/share/lintian/overrides/ipa-host", include_str!("../../deb/ipa-host.lintian-overrides"), DATA)?;

    let package = Package {
        name: NAME,
        version: &plan.version("host")?,
        architecture: &programs::architecture()?,
        section: "admin",
        relations: &[
            ("Depends", programs::libraries(plan.work, NAME, &[&program, &manager])?),
            ("Recommends", TOOLS.to_owned()),
            ("Suggests", MORE_TOOLS.to_owned()),
            ("Provides", "ironic-python-agent".to_owned()),
            ("Conflicts", "ironic-python-agent, python3-ironic-python-agent".to_owned()),
            ("Replaces", "ironic-python-agent, python3-ironic-python-agent".to_owned()),
        ],
        description: DESCRIPTION,
        scripts: &[
            ("postinst", include_str!("../../deb/ipa-host.postinst")),
            ("prerm", include_str!("../../deb/ipa-host.prerm")),
            ("postrm", include_str!("../../deb/ipa-host.postrm")),
        ],
    };
    package.pack(&tree, time, plan.output)
}
