//! The package `ipa-host`: the agent, its generic manager, and the units that start it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::Plan;
use super::package::Package;
use super::tree::{DATA, PROGRAM, Tree};
use crate::cargo::cargo;
use crate::failure::{Doing, Failure, Outcome};
use crate::process;

/// The package's name.
const NAME: &str = "ipa-host";
const QUESTION: Duration = Duration::from_secs(60);
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
const COPYRIGHT: &str = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: ipa-host
Source: https://github.com/openstack/ironic-python-agent
Comment: The programs have the crates in them that the file `crates` beside this one lists with their licenses.

Files: *
Copyright: 2026 the authors of ipa-host
License: Apache-2.0
 On Debian systems the text of the Apache License, version 2.0, is in
 /usr/share/common-licenses/Apache-2.0.
";

pub(super) fn build(plan: &Plan<'_>, epoch: i64) -> Outcome<PathBuf> {
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
    tree.write("usr/share/doc/ipa-host/copyright", COPYRIGHT, DATA)?;
    tree.write("usr/share/doc/ipa-host/crates", crates(plan.repository)?, DATA)?;
    tree.write("usr/share/lintian/overrides/ipa-host", include_str!("../../deb/ipa-host.lintian-overrides"), DATA)?;

    let package = Package {
        name: NAME,
        version: &plan.version("host")?,
        architecture: &architecture()?,
        section: "admin",
        relations: &[
            ("Depends", libraries(plan.work, &[&program, &manager])?),
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
    package.pack(&tree, epoch, plan.output)
}

/// Debian's name of the architecture.
fn architecture() -> Outcome<String> {
    Ok(process::output(Command::new("dpkg").arg("--print-architecture"), QUESTION)?.trim().to_owned())
}

/// The packages of the libraries that programs are linked to, with versions that have the symbols they use.
fn libraries(work: &Path, programs: &[&Path]) -> Outcome<String> {
    // The tool looks for a source package.
    let source = Tree::new(work.join("shlibdeps"))?;
    source.write("debian/control", "Source: ipa-host\n\nPackage: ipa-host\nArchitecture: any\n", DATA)?;
    let mut ask = Command::new("dpkg-shlibdeps");
    ask.arg("-O").current_dir(source.path());
    for program in programs {
        ask.arg("-e").arg(fs::canonicalize(program).doing(format_args!("finding {}", program.display()))?);
    }
    let answer = process::output(&mut ask, QUESTION)?;
    let depends = answer.lines().find_map(|line| line.strip_prefix("shlibs:Depends="));
    depends.map(str::to_owned).ok_or_else(|| Failure::new(format!("dpkg-shlibdeps found no libraries: {answer}")))
}

/// The crates that are linked into the programs, with versions and licenses.
fn crates(repository: &Path) -> Outcome<String> {
    let mut ask = cargo(repository);
    ask.args(["tree", "--offline", "--edges", "normal", "--prefix", "none", "--format", "{p} {l}"]);
    let answer = process::output(ask.args(["--package", "ipa-host", "--package", "ipa-generic"]), QUESTION)?;
    // Ours end with the place of their sources.
    let mut lines: Vec<String> =
        answer.lines().filter(|line| !line.contains(" (/")).map(|line| line.replace(" (*)", "") + "\n").collect();
    lines.sort();
    lines.dedup();
    Ok(lines.concat())
}
