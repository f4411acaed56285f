//! A Debian 12 with systemd that tests begin with: as a container, a virtual machine, an image that others are built on.
//!
//! It is made once, below the target directory, by mmdebstrap from the machine's package sources. So are others, for tests
//! that must have nothing but what they name.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use crate::artifacts;

/// The release that everything is built for.
pub const RELEASE: &str = "bookworm";
/// What it has beside Debian's essential packages: what boots it and runs containers in it, and what diskimage-builder
/// expects of a base.
const PACKAGES: [&str; 11] = [
    "ca-certificates",
    "dbus",
    "iproute2",
    "kmod",
    "python3-yaml",
    "rsync",
    "sudo",
    "systemd",
    "systemd-container",
    "systemd-sysv",
    "udev",
];
/// What every copy can do without.
const SLIM: [&str; 6] = [
    "--dpkgopt=path-exclude=/usr/share/info/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-include=/usr/share/doc/*/copyright",
    "--customize-hook=rm -rf \"$1\"/var/lib/apt/lists/* \"$1\"/var/cache/apt/*",
];

/// The directory with it. Nobody writes there.
pub fn tree() -> PathBuf {
    with_packages("", &PACKAGES)
}

/// The directory with a Debian that has nothing but these packages and what they need; `purpose` is a word for its name.
/// It is made again if the packages change.
pub fn with_packages(purpose: &str, packages: &[&str]) -> PathBuf {
    let _lock = artifacts::lock();
    let path = artifacts::target_dir().join(format!("test-debian{purpose}"));
    let list = path.with_extension("packages");
    let include = format!("--include={}", packages.join(","));
    if !path.is_dir() || fs::read_to_string(&list).ok().as_deref() != Some(&include) {
        let draft = path.with_extension("new");
        for old in [&draft, &path].into_iter().filter(|old| old.exists()) {
            fs::remove_dir_all(old).expect("what earlier tests have left");
        }
        let mut make = Command::new("mmdebstrap");
        make.args(["--quiet", "--variant=minbase", "--format=directory", &include]).args(SLIM);
        done(make.arg(RELEASE).arg(&draft));
        fs::rename(&draft, &path).expect("our own directory");
        fs::write(&list, include).expect("our own directory");
    }
    path
}

/// Runs a program of this machine, which must succeed, and gives its standard output.
pub(crate) fn done(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}:\n{}", said(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// All that a program wrote.
pub(crate) fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat()
}
