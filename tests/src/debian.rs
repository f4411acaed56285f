//! A Debian 12 with systemd that tests begin with: as a container, a virtual machine, an image that others are built on.
//!
//! It is made once, below the target directory, by mmdebstrap from the machine's package sources.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use crate::artifacts;

/// The release that everything is built for.
pub const RELEASE: &str = "bookworm";
/// What it has beside Debian's essential packages: what boots it and runs containers in it, and what diskimage-builder
/// expects of a base.
const PACKAGES: &str = "--include=ca-certificates,dbus,iproute2,kmod,python3-yaml,rsync,sudo,systemd,systemd-container,\
    systemd-sysv,udev";
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
    let _lock = artifacts::lock();
    let top = artifacts::target_dir().join("test-debian");
    let mut hasher = DefaultHasher::new();
    (RELEASE, PACKAGES, SLIM).hash(&mut hasher);
    let path = top.join(format!("{:016x}", hasher.finish()));
    if !path.is_dir() {
        // One that was made otherwise is of no use any more, and neither is what a test that was stopped has left.
        let _ = fs::remove_dir_all(&top);
        fs::create_dir_all(&top).expect("the build directory can be written to");
        let draft = path.with_extension("new");
        let mut make = Command::new("mmdebstrap");
        make.args(["--quiet", "--variant=minbase", "--format=directory", PACKAGES]).args(SLIM);
        done(make.arg(RELEASE).arg(&draft));
        fs::rename(&draft, &path).expect("our own directory");
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
