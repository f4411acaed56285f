//! The file system: Debian without what only people need, tools, and the agent's package.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

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
    /// A release with packages, from where this machine takes its own if it runs the same release.
    pub fn new(suite: &str, packages: Vec<String>) -> Self {
        let same = std::fs::read_to_string("/etc/os-release").is_ok_and(|text| is_release(&text, suite));
        let mirrors = if same { own_sources() } else { Vec::new() };
        Self { suite: suite.to_owned(), mirrors, packages }
    }
}

/// Whether an os-release file is of this release of Debian.
fn is_release(text: &str, suite: &str) -> bool {
    let has = |line: &str| text.lines().any(|one| one.replace('"', "") == line);
    has("ID=debian") && has(&format!("VERSION_CODENAME={suite}"))
}

fn own_sources() -> Vec<String> {
    let directory = Path::new("/etc/apt/sources.list.d");
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    let listed = |path: &PathBuf| path.extension().is_some_and(|kind| kind == "list" || kind == "sources");
    let mut files: Vec<PathBuf> = entries.filter(listed).collect();
    files.sort();
    files.push("/etc/apt/sources.list".into());
    files.into_iter().filter(|file| file.is_file()).map(|file| file.display().to_string()).collect()
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
    fn the_release_is_known_by_its_code_name() {
        let text = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_CODENAME=bookworm\nID=debian\n";
        assert!(is_release(text, "bookworm"));
        assert!(!is_release(text, "trixie"));
        assert!(!is_release("ID=ubuntu\nVERSION_CODENAME=bookworm\n", "bookworm"));
    }

    #[test]
    fn a_path_is_one_word_of_a_hook() {
        assert_eq!(quoted(Path::new("/a b/x.deb")).unwrap(), "'/a b/x.deb'");
        assert!(quoted(Path::new("/it's")).is_err());
    }
}
