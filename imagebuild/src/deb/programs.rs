//! What Debian has to know of packages with compiled programs.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::QUESTION;
use super::tree::{DATA, Tree};
use crate::cargo::cargo;
use crate::failure::{Doing, Failure, Outcome};
use crate::process;

/// Whose the programs are. A list of crates has to lie beside it.
pub(super) const COPYRIGHT: &str = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: ipa-host
Source: https://github.com/openstack/ironic-python-agent
Comment: The programs have the crates in them that the file `crates` beside this one lists with their licenses.

Files: *
Copyright: 2026 the authors of ipa-host
License: Apache-2.0
 On Debian systems the text of the Apache License, version 2.0, is in
 /usr/share/common-licenses/Apache-2.0.
";

/// Debian's name of the architecture.
pub(super) fn architecture() -> Outcome<String> {
    Ok(process::output(Command::new("dpkg").arg("--print-architecture"), QUESTION)?.trim().to_owned())
}

/// The packages of the libraries that programs are linked to, with versions that have the symbols they use.
pub(super) fn libraries(work: &Path, package: &str, programs: &[&Path]) -> Outcome<String> {
    // The tool looks for a source package.
    let source = Tree::new(work.join("shlibdeps"))?;
    let control = format!("Source: {package}\n\nPackage: {package}\nArchitecture: any\n");
    source.write("debian/control", control, DATA)?;
    let mut ask = Command::new("dpkg-shlibdeps");
    ask.arg("-O").current_dir(source.path());
    for program in programs {
        ask.arg("-e").arg(fs::canonicalize(program).doing(format_args!("finding {}", program.display()))?);
    }
    let answer = process::output(&mut ask, QUESTION)?;
    let depends = answer.lines().find_map(|line| line.strip_prefix("shlibs:Depends="));
    depends.map(str::to_owned).ok_or_else(|| Failure::new(format!("dpkg-shlibdeps found no libraries: {answer}")))
}

/// The crates that are linked into the programs of these packages of cargo's, with versions and licenses.
pub(super) fn crates(repository: &Path, packages: &[&str]) -> Outcome<String> {
    let mut ask = cargo(repository);
    ask.args(["tree", "--offline", "--edges", "normal", "--prefix", "none", "--format", "{p} {l}"]);
    let answer = process::output(ask.args(packages.iter().flat_map(|name| ["--package", name])), QUESTION)?;
    // Ours end with the place of their sources.
    let mut lines: Vec<String> =
        answer.lines().filter(|line| !line.contains(" (/")).map(|line| line.replace(" (*)", "") + "\n").collect();
    lines.sort();
    lines.dedup();
    Ok(lines.concat())
}
