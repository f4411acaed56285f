//! The file system: Debian without what only people need, tools, and the agent's package.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::debian::Mirrors;
use crate::failure::{Doing, Failure, Outcome};
use crate::process;

/// Hundreds of packages may have to be fetched.
const LONG: Duration = Duration::from_secs(1800);
/// What Debian's own image for containers leaves out as well.
const LEFT_OUT: [&str; 5] =
    ["/usr/share/doc/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/man/*", "/usr/share/lintian/*"];

/// The distribution below the agent.
#[derive(Debug, Clone)]
pub struct Base {
    /// Debian's release, by its code name.
    pub suite: String,
    /// Where packages come from: lines of `sources.list`, files with such, or addresses; Debian's own if there is none.
    pub mirrors: Vec<String>,
    /// Packages beside the agent's and the essential ones.
    pub packages: Vec<String>,
}

impl Base {
    /// A release with packages, from where this machine takes Debian's if it does.
    pub fn new(suite: &str, packages: Vec<String>) -> Self {
        // A machine without mirrors of Debian leaves the choice to mmdebstrap.
        let mirrors = Mirrors::of_machine().map(|mirrors| mirrors.lines(suite, "main")).unwrap_or_default();
        Self { suite: suite.to_owned(), mirrors, packages }
    }
}

/// Packs the file system with the agent's package into one file, compressed as its name ends.
pub(super) fn pack(base: &Base, package: &Path, output: &Path) -> Outcome {
    let package = package.canonicalize().doing(format_args!("package {}", package.display()))?;
    let quoted = quoted(&package)?;
    let unfinished = output.with_file_name(format!(".unfinished.{}", file_name(output)));
    let mut command = Command::new("mmdebstrap");
    command.args(["--quiet", "--variant=minbase", "--aptopt=Apt::Install-Recommends false"]);
    for path in LEFT_OUT {
        command.arg(format!("--dpkgopt=path-exclude={path}"));
    }
    command.arg("--dpkgopt=path-include=/usr/share/doc/*/copyright");
    command.arg(format!("--include={}", base.packages.join(",")));
    for hook in [
        &format!("upload {quoted} /tmp/ipa-host.deb"),
        "chroot \"$1\" dpkg --install /tmp/ipa-host.deb",
        "rm \"$1/tmp/ipa-host.deb\"",
        // Names that every machine must have for itself, and what mmdebstrap copies from the machine that builds.
        "cd \"$1/etc\" && rm -f hostname iscsi/initiatorname.iscsi machine-id nvme/hostid nvme/hostnqn resolv.conf",
    ] {
        command.arg(format!("--customize-hook={hook}"));
    }
    command.arg(&base.suite).arg(&unfinished).args(&base.mirrors);
    let made = process::output(&mut command, LONG)
        .map_err(|failure| Failure::new(format!("{failure} (mmdebstrap: apt-get install mmdebstrap)")))
        .and_then(|_| std::fs::rename(&unfinished, output).doing(format_args!("writing {}", output.display())));
    if made.is_err() {
        // There may be nothing yet.
        let _ = std::fs::remove_file(&unfinished);
    }
    made
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// A path as the words of a hook are split.
fn quoted(path: &Path) -> Outcome<String> {
    match path.to_str() {
        Some(text) if !text.contains(['\'', '\n']) => Ok(format!("'{text}'")),
        _ => Err(Failure::new(format!("package {}: a quote in its path", path.display()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word_of_a_hook() {
        assert_eq!(quoted(Path::new("/a b/x.deb")).unwrap(), "'/a b/x.deb'");
        assert!(quoted(Path::new("/it's")).is_err());
    }
}
