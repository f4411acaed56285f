//! The diskimage-builder element, by diskimage-builder itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use ipa_tests::artifacts;
use ipa_tests::certificates::Authority;
use ipa_tests::coreos_files::coreos_files;
use ipa_tests::debian;
use tempfile::TempDir;

/// Where the test runner says that diskimage-builder is.
const PROGRAM: &str = "IPA_DIB";
/// In seconds; a build takes some tens of them.
const DEADLINE: &str = "180";

fn elements() -> PathBuf {
    artifacts::workspace().join("imagebuild/dib")
}

/// A command that finds diskimage-builder's programs, and administrators'.
fn with_builder(program: &str) -> Command {
    let builder = std::env::var_os(PROGRAM).map(PathBuf::from).unwrap_or_else(|| panic!("{PROGRAM} is not set"));
    let programs = builder.parent().expect("a program lies in a directory").display().to_string();
    let mut command = Command::new(program);
    command.env("PATH", format!("{programs}:/usr/sbin:/usr/bin:/sbin:/bin")).stdin(Stdio::null());
    command
}

fn text(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes)).concat()
}

/// A ramdisk that was built, unpacked.
struct Ramdisk {
    directory: TempDir,
}

impl Ramdisk {
    /// Runs disk-image-create with the element on the prepared file system.
    fn build(settings: &[(&str, &str)]) -> Self {
        let directory =
            tempfile::Builder::new().prefix("ipa-dib-").tempdir_in(artifacts::target_dir()).expect("a place");
        let path = |name: &str| directory.path().join(name);
        for name in ["tmp", "cache", "root"] {
            fs::create_dir(path(name)).expect("our own directory");
        }
        // Its mounts are in a namespace of their own, so that none outlives it.
        let mut command = with_builder("timeout");
        command.args([DEADLINE, "unshare", "--mount", "--propagation", "private"]);
        command.args(["disk-image-create", "-n", "-t", "raw", "-o", "node image", "ironic-agent", "prepared-tree"]);
        let fixtures = artifacts::workspace().join("tests/fixtures/dib");
        command.env("ELEMENTS_PATH", format!("{}:{}", elements().display(), fixtures.display()));
        command.env("PREPARED_TREE", debian::tree());
        command.env("TMP_DIR", path("tmp")).env("DIB_IMAGE_CACHE", path("cache")).env("DIB_LOCKFILES", path("cache"));
        command.envs([("DIB_NO_TMPFS", "1"), ("DIB_CHECKSUM", "sha256"), ("DIB_IPA_COMPRESS_CMD", "gzip -1")]);
        let output = command.envs(settings.iter().copied()).current_dir(directory.path()).output().expect("it starts");
        let said = text(&output);
        assert!(output.status.success(), "{}", &said[said.len().saturating_sub(8000)..]);
        let mut unpack = Command::new("sh");
        unpack.args(["-c", "zcat '../node image.initramfs' | cpio -id --quiet --no-absolute-filenames"]);
        assert!(unpack.current_dir(path("root")).status().expect("cpio is installed").success());
        Self { directory }
    }

    fn place(&self) -> &Path {
        self.directory.path()
    }

    fn path(&self, path: &str) -> PathBuf {
        self.place().join("root").join(path)
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    fn enabled(&self, unit: &str) -> bool {
        self.path("etc/systemd/system/multi-user.target.wants").join(unit).is_symlink()
    }
}

#[test]
#[ignore = "needs diskimage-builder and root; cargo xtask test has it"]
fn the_builder_makes_kernel_and_ramdisk_with_the_agent() {
    let package = coreos_files().package;
    let authority = Authority::named("the site's authority");
    let vendor = artifacts::minimal();
    let built = Ramdisk::build(&[
        ("DIB_IPA_DEB", &package.display().to_string()),
        ("DIB_IPA_PLUGINS", &vendor.display().to_string()),
        ("DIB_IPA_CERT", &authority.file().display().to_string()),
    ]);
    let sums = with_builder("sha256sum").args(["--check", "node image.sha256"]).current_dir(built.place()).output();
    assert!(sums.expect("coreutils are installed").status.success());
    assert_eq!(fs::read_to_string(built.place().join("node image.kernel")).expect("a kernel"), "the vmlinuz\n");

    let version = Command::new(built.path("usr/bin/ipa-host")).arg("--version").output().expect("it starts");
    assert!(version.status.success(), "{}", text(&version));
    for link in ["usr/bin/ironic-python-agent", "usr/local/bin/ironic-python-agent"] {
        let end = built.path(link).canonicalize().unwrap_or_else(|error| panic!("{link}: {error}"));
        assert_eq!(end, built.path("usr/bin/ipa-host").canonicalize().expect("the program"));
    }
    assert!(built.path("usr/lib/ipa/plugins/libipa_generic.so").is_file());
    let plugin = built.path("usr/lib/ipa/plugins").join(vendor.file_name().expect("a file"));
    assert!(fs::read(plugin).expect("the vendor's plugin") == fs::read(&vendor).expect("the vendor's plugin"));
    assert!(built.enabled("ironic-python-agent.service") && built.enabled("ironic-agent-create-rescue-user.path"));
    assert!(built.enabled("systemd-networkd.service"));
    let trusted = fs::read_to_string(authority.file()).expect("a certificate");
    assert!(built.read("etc/ssl/certs/ca-certificates.crt").contains(trusted.trim()));

    // What the kernel needs to start it, and what a ramdisk has no use for.
    assert!(built.path("init").is_symlink() && built.path("usr/sbin/init").exists());
    assert!(!built.read("etc/fstab").contains("LABEL"));
    assert!(built.read("etc/systemd/journald.conf.d/50-ironic-agent.conf").contains("RuntimeMaxUse=15M"));
    for empty in ["boot", "tmp", "usr/share/doc", "var/cache"] {
        assert!(fs::read_dir(built.path(empty)).is_ok_and(|mut entries| entries.next().is_none()), "{empty}");
    }
    let wanted = built.read("var/lib/wanted-packages");
    for package in ["mdadm", "nvme-cli", "hdparm", "efibootmgr", "ipmitool", "firmware-misc-nonfree"] {
        assert!(wanted.lines().any(|line| line == package), "{package}: {wanted}");
    }
}

#[test]
#[ignore = "needs diskimage-builder and root; cargo xtask test has it"]
fn parts_can_be_given_instead_of_the_package_and_rescue_left_out() {
    let units = artifacts::workspace().join("imagebuild/systemd");
    let plugins = format!("{}:{}", artifacts::plugin("ipa-generic").display(), artifacts::minimal().display());
    let built = Ramdisk::build(&[
        ("DIB_IPA_HOST", &artifacts::host_binary().display().to_string()),
        ("DIB_IPA_PLUGINS", &plugins),
        ("DIB_IPA_UNITS", &units.display().to_string()),
        ("DIB_IPA_ENABLE_RESCUE", "false"),
        ("DIB_IPA_ENABLE_SYSTEMD_NETWORKD", "false"),
        ("DIB_IPA_MINIMAL_PRUNE", "1"),
        ("DIB_DEBIAN_COMPONENTS", "main"),
    ]);
    assert!(built.enabled("ironic-python-agent.service"));
    assert!(!built.enabled("ironic-agent-create-rescue-user.path") && !built.path("etc/ipa-rescue-config").exists());
    assert!(!built.enabled("systemd-networkd.service"));
    assert!(built.path("usr/lib/ipa/rescue/sysusers.conf").is_file());
    assert!(fs::read_dir(built.path("usr/share/doc")).is_ok_and(|mut entries| entries.next().is_some()));
    assert!(!built.read("var/lib/wanted-packages").contains("firmware-misc-nonfree"));
}

#[test]
fn what_is_missing_is_named_before_anything_is_built() {
    let hooks = tempfile::tempdir().expect("a temporary directory");
    let file = hooks.path().join("file");
    fs::write(&file, "").expect("our own directory");
    let file = file.to_str().expect("text");
    for (settings, expected) in [
        (&[][..], "set DIB_IPA_DEB to the package of the agent, or DIB_IPA_HOST to its program"),
        (&[("DIB_IPA_DEB", "/no such.deb")], "DIB_IPA_DEB=/no such.deb is no file"),
        (&[("DIB_IPA_DEB", file), ("DIB_IPA_HOST", file)], "not both"),
        (&[("DIB_IPA_HOST", file)], "DIB_IPA_HOST also needs DIB_IPA_UNITS"),
        (
            &[("DIB_IPA_DEB", file), ("DIB_IPA_PLUGINS", "/missing.so")],
            "/missing.so is neither a plugin nor a directory",
        ),
        (&[("DIB_IPA_DEB", file), ("DIB_IPA_CERT", "/missing.pem")], "DIB_IPA_CERT=/missing.pem is no file"),
    ] {
        let mut command = Command::new(elements().join("ironic-agent/extra-data.d/50-ironic-agent"));
        for name in ["DEB", "HOST", "PLUGINS", "PLUGIN_KEYS", "UNITS", "CERT"] {
            command.env(format!("DIB_IPA_{name}"), "");
        }
        command.env("DISTRO_NAME", "debian").env("TMP_HOOKS_PATH", hooks.path()).envs(settings.iter().copied());
        let output = command.output().expect("bash is installed");
        assert_eq!(output.status.code(), Some(1), "{settings:?}: {}", text(&output));
        assert!(text(&output).contains(expected), "{settings:?}: {}", text(&output));
    }
}

#[test]
#[ignore = "needs diskimage-builder and shellcheck; cargo xtask test has them"]
fn the_elements_scripts_are_as_diskimage_builder_wants_them() {
    for elements in [elements(), artifacts::workspace().join("tests/fixtures/dib")] {
        let mut lint = with_builder("dib-lint");
        lint.env("ELEMENTS_DIR", ".").env("LIB_DIR", ".").current_dir(&elements);
        let output = lint.output().expect("dib-lint is part of diskimage-builder");
        let said = text(&output);
        assert!(output.status.success() && !said.contains("ERROR"), "{said}");

        let mut check = with_builder("sh");
        let scripts = "grep -rlE '^#!/bin/bash|^export ' . | grep -v README | xargs shellcheck --shell=bash";
        let output = check.args(["-c", scripts]).current_dir(&elements).output().expect("a shell");
        assert!(output.status.success(), "{}", text(&output));
    }
}
