//! The Debian packages: what is in them, and the agent that they install, under a real systemd.
//!
//! `cargo xtask test` builds them and says by `IPA_PACKAGES` where they are.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ipa_tests::container::{Container, Tree};
use ipa_tests::program::ipa_host;
use ipa_tests::ramdisk;

const UNIT: &str = "ironic-python-agent.service";
/// The highest exposure that systemd may find in a unit, in tenths. Of 96 for a unit without limits this is what an agent
/// that writes disks, loads modules and runs vendors' tools can do without.
const EXPOSURE: u32 = 88;
/// Answers as soon as the agent is started, and leaves the machine alone. The times are those of a test.
const QUIET: &str = "[Service]\nExecStart=\n\
    ExecStart=/usr/bin/ipa-host --config-dir /etc/ironic-python-agent.d/ --read-only --standalone\n\
    RestartSec=1s\nWatchdogSec=2s\nTimeoutAbortSec=1s\n";
/// As shipped, but read-only.
const READ_ONLY: &str = "[Service]\nExecStart=\n\
    ExecStart=/usr/bin/ipa-host --config-dir /etc/ironic-python-agent.d/ --read-only\nRestartSec=1s\n";
const DROP_IN: &str = "/etc/systemd/system/ironic-python-agent.service.d/test.conf";

/// The file of a package, by the package's name.
fn package(name: &str) -> PathBuf {
    let directory = std::env::var_os("IPA_PACKAGES").expect("IPA_PACKAGES says where the packages are");
    let entries = fs::read_dir(&directory).expect("a directory");
    let is_it =
        |path: &PathBuf| path.file_name().is_some_and(|file| file.to_string_lossy().starts_with(&format!("{name}_")));
    entries.map(|entry| entry.expect("readable").path()).find(is_it).unwrap_or_else(|| panic!("no package {name}"))
}

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}:\n{text}");
    text
}

/// A container with the agent installed and a drop-in for its unit.
fn with_agent(drop_in: &str) -> Container {
    let tree = Tree::debian();
    tree.install(&[package("ipa-host")]);
    tree.write(DROP_IN, drop_in);
    tree.boot()
}

fn status(container: &Container) -> Option<String> {
    container.in_its_network(&["curl", "--silent", "--max-time", "5", "http://127.0.0.1:9999/v1/status"]).ok()
}

#[test]
#[ignore = "needs the packages; cargo xtask test has them"]
fn systemd_starts_watches_restarts_and_stops_the_agent() {
    let mut container = with_agent(QUIET);
    container.wait_for(UNIT, &[("ActiveState", "active"), ("SubState", "running"), ("NRestarts", "0")]);
    // Ready means for a standalone agent that it listens, so nothing is waited for.
    let answer = status(&container).expect("it serves");
    assert!(answer.contains("\"started_at\":1"), "{answer}");
    assert_eq!(container.property(UNIT, "StatusText"), "standalone: waiting for commands");
    assert_eq!(container.property(UNIT, "UnitFileState"), "enabled");
    let listed = container.run(&["ipa-host", "plugins", "list"]).expect("its control socket answers");
    assert!(listed.contains("generic_hardware_manager") && listed.contains("healthy"), "{listed}");

    // What systemd told the agent is not told to those that it starts.
    let first = container.property(UNIT, "MainPID");
    let environments = "for p in $(cat /sys/fs/cgroup/*/system.slice/ironic-python-agent.service/cgroup.procs \
        /sys/fs/cgroup/system.slice/ironic-python-agent.service/cgroup.procs 2>/dev/null); do \
        tr '\\0' '\\n' </proc/$p/environ | grep -c -e NOTIFY_SOCKET -e WATCHDOG; done; true";
    let counts = container.run(&["sh", "-c", environments]).expect("readable");
    assert!(counts.lines().any(|line| line == "0") && counts.lines().any(|line| line != "0"), "{counts}");

    // The watchdog's time is over several times, and the agent still runs.
    let mut signs = Vec::new();
    container.wait("signs of life", |container| {
        let sign = container.property(UNIT, "WatchdogTimestampMonotonic");
        if signs.last() != Some(&sign) {
            signs.push(sign);
        }
        (signs.len() > 5).then_some(())
    });
    assert_eq!(container.property(UNIT, "MainPID"), first);

    // A crash.
    container.systemctl(&["kill", "--kill-whom=main", "--signal=ABRT", UNIT]);
    container.wait_for(UNIT, &[("NRestarts", "1"), ("SubState", "running")]);
    let second = container.property(UNIT, "MainPID");
    assert_ne!(second, first);
    assert!(status(&container).is_some());

    // An agent that does not move at all.
    container.systemctl(&["kill", "--kill-whom=main", "--signal=STOP", UNIT]);
    container.wait_for(UNIT, &[("NRestarts", "2"), ("SubState", "running")]);
    let journal = container.journal();
    assert!(journal.contains("Watchdog timeout"), "{journal}");

    container.systemctl(&["stop", UNIT]);
    container.wait_for(UNIT, &[("ActiveState", "inactive"), ("Result", "success"), ("ExecMainStatus", "0")]);
    assert!(status(&container).is_none());
    assert!(!container.tree().path("/run/ipa-host").exists());
    let journal = container.journal();
    assert!(journal.contains("ipa-host ends"), "{journal}");
}

#[test]
#[ignore = "needs the packages; cargo xtask test has them"]
fn an_agent_that_still_looks_for_its_node_is_ready_and_says_so() {
    let tree = Tree::debian();
    tree.install(&[package("ipa-host")]);
    tree.write(DROP_IN, READ_ONLY);
    tree.write("/etc/ironic-python-agent.d/ironic.conf", "[DEFAULT]\napi_url = http://192.0.2.1:6385\n");
    let container = tree.boot();
    container.wait_for(
        UNIT,
        &[
            ("ActiveState", "active"),
            ("SubState", "running"),
            ("StatusText", "looking the node up at http://192.0.2.1:6385"),
        ],
    );
    assert!(status(&container).is_none(), "the API is served after the lookup, as ever");
    container.systemctl(&["stop", UNIT]);
    container.wait_for(UNIT, &[("ActiveState", "inactive"), ("Result", "success")]);
}

#[test]
#[ignore = "needs the packages; cargo xtask test has them"]
fn a_failed_agent_leaves_its_reason_and_is_started_again() {
    let tree = Tree::debian();
    tree.install(&[package("ipa-host")]);
    tree.write(DROP_IN, READ_ONLY);
    let options = "[DEFAULT]\napi_url = http://192.0.2.1:6385\nlookup_timeout = 1\nlookup_interval = 1\n";
    tree.write("/etc/ironic-python-agent.d/ironic.conf", options);
    let container = tree.boot();
    container.wait_for(UNIT, &[("NRestarts", "1")]);
    let journal = container.journal();
    assert!(journal.contains("status=70"), "{journal}");
    assert!(journal.contains("looking up the node"), "{journal}");
    // In rescue mode it is not, whatever ends it.
    container.run(&["touch", "/etc/.rescued"]).expect("made");
    container.systemctl(&["kill", "--kill-whom=main", UNIT]);
    container.wait_for(UNIT, &[("ActiveState", "inactive"), ("ConditionResult", "no")]);
}

#[test]
#[ignore = "needs the packages; cargo xtask test has them"]
fn the_rescue_password_makes_a_user_who_may_become_root() {
    let mut container = with_agent(QUIET);
    assert!(container.run(&["getent", "passwd", "rescue"]).is_err());
    let hash = "$5$saltsaltsalt$JnVpfFPjS3PX6Ghg9Iq6tsdWXJfX1WHFnXwGhkTUXV9";
    let write = format!("umask 077; cd /etc/ipa-rescue-config; printf %s '{hash}' >new; mv new ipa-rescue-password");
    container.run(&["sh", "-c", &write]).expect("written");
    let shadow = container.wait("the user", |container| container.run(&["getent", "shadow", "rescue"]).ok());
    assert_eq!(shadow.split(':').nth(1), Some(hash), "{shadow}");
    container.wait_for("ironic-agent-create-rescue-user.service", &[("ActiveState", "active"), ("Result", "success")]);
    let passwd = container.run(&["getent", "passwd", "rescue"]).expect("there now");
    assert!(passwd.trim().ends_with(":/home/rescue:/bin/bash"), "{passwd}");
    let sudoers = container.run(&["stat", "--format=%a %U", "/etc/sudoers.d/rescue", "/home/rescue"]).expect("made");
    assert_eq!(sudoers, "440 root\n700 rescue\n");
}

#[test]
#[ignore = "needs the packages; cargo xtask test has them"]
fn a_purge_leaves_nothing_behind() {
    let tree = Tree::debian();
    let places = ["etc", "usr", "var/lib/systemd", "run", "root", "home"];
    let before = tree.list(&places);
    tree.install(&[package("ipa-host")]);
    assert_ne!(tree.list(&places), before);
    tree.write("/etc/ipa-rescue-config/ipa-rescue-password", "$5$");
    tree.run(&["apt-get", "--yes", "remove", "ipa-host"]).expect("removed");
    assert!(tree.path("/etc/ironic-python-agent.d/README").exists(), "configuration stays until a purge");
    assert!(!tree.path("/usr/bin/ipa-host").exists());
    tree.run(&["apt-get", "--yes", "purge", "ipa-host"]).expect("purged");
    let after = tree.list(&places);
    let left: Vec<&str> = after.lines().filter(|line| !before.lines().any(|old| old == *line)).collect();
    assert!(left.is_empty(), "{left:#?}");

    // The same where the agent runs.
    let container = with_agent(QUIET);
    container.wait_for(UNIT, &[("SubState", "running")]);
    container.run(&["apt-get", "--yes", "purge", "ipa-host"]).expect("purged");
    assert!(status(&container).is_none(), "it was stopped");
    assert_eq!(container.property(UNIT, "ActiveState"), "inactive");
}

/// The Debian packages that a package needs, or works only with.
fn needs(package: &Path) -> Vec<String> {
    let fields = output(Command::new("dpkg-deb").arg("--field").arg(package).args(["Depends", "Recommends"]));
    let lists = fields.lines().filter_map(|line| line.split_once(": ").map(|(_, list)| list));
    lists.flat_map(|list| list.split(", ")).filter_map(|one| one.split(' ').next()).map(str::to_owned).collect()
}

/// On a system that has nothing but what the package asks for.
#[test]
#[ignore = "needs the packages and the ramdisk; cargo xtask test has them"]
fn the_image_tools_make_a_bootable_image_with_what_they_ask_for() {
    let tools = package("ipa-image-tools");
    let needs = needs(&tools);
    let tree = Tree::with_packages("-image-tools", &needs.iter().map(String::as_str).collect::<Vec<_>>());
    tree.install(&[tools]);
    for (from, name) in [(ramdisk::kernel_file(), "ipa.kernel"), (ramdisk::initramfs_file(), "ipa.initramfs")] {
        fs::copy(&from, tree.path("/root").join(name)).expect("our own tree");
    }
    let create = "cd /root && iso-image-create -k ipa.kernel -i ipa.initramfs -o ipa.iso";
    let said = tree.run(&["sh", "-c", create]).unwrap_or_else(|said| panic!("{said}"));
    assert!(said.starts_with("ipa.iso: boots x86_64 by BIOS and UEFI, label INSTALL_IMAGE"), "{said}");
    let image = tree.path("/root/ipa.iso");
    let read = Command::new("isoinfo").args(["-R", "-x", "/vmlinuz", "-i"]).arg(&image).output().expect("it starts");
    assert!(read.stdout == fs::read(ramdisk::kernel_file()).expect("our file"), "the kernel in it is another");
}

#[test]
#[ignore = "needs the packages; cargo xtask test has them"]
fn the_units_are_valid_and_limited() {
    let tree = Tree::debian();
    tree.install(&[package("ipa-host")]);
    let units = "/usr/lib/systemd/system/";
    for unit in [UNIT, "ironic-agent-create-rescue-user.service", "ironic-agent-create-rescue-user.path"] {
        let path = format!("{units}{unit}");
        let said = tree.run(&["systemd-analyze", "verify", "--man=no", &path]).unwrap_or_else(|said| said);
        let ours: Vec<&str> = said.lines().filter(|line| line.contains("ironic-")).collect();
        assert!(ours.is_empty(), "{ours:#?}");
    }
    let threshold = format!("--threshold={EXPOSURE}");
    let said = tree.run(&[
        "systemd-analyze",
        "security",
        "--no-pager",
        "--offline=true",
        &threshold,
        &format!("{units}{UNIT}"),
    ]);
    assert!(said.is_ok(), "{said:?}");
}

#[test]
#[ignore = "needs the packages; cargo xtask test has them"]
fn lintian_has_nothing_to_say() {
    let mut lintian = Command::new("lintian");
    lintian.args(["--allow-root", "--no-cfg", "--fail-on=error,warning"]);
    lintian.args(["ipa-host", "ipa-image-tools", "ipa-plugin-api-dev"].map(package));
    let said = output(&mut lintian);
    assert!(!said.lines().any(|line| line.starts_with("E:") || line.starts_with("W:")), "{said}");
}

/// The vendor has the package and Rust, and neither a network nor crates from elsewhere.
#[test]
#[ignore = "needs the packages; cargo xtask test has them"]
fn a_plugin_builds_against_the_installed_sdk() {
    let home = tempfile::tempdir().expect("a directory");
    let installed = home.path().join("installed");
    output(Command::new("dpkg-deb").arg("--extract").arg(package("ipa-plugin-api-dev")).arg(&installed));
    let example = home.path().join("my-manager");
    let shipped = installed.join("usr/share/doc/ipa-plugin-api-dev/examples/minimal");
    output(Command::new("cp").arg("--recursive").arg(&shipped).arg(&example));
    let said_where = fs::read_to_string(shipped.join(".cargo/config.toml")).expect("part of the example");
    assert!(said_where.contains("\"/usr/share/ipa-plugin-api/registry\""), "{said_where}");

    let registry = installed.join("usr/share/ipa-plugin-api/registry");
    let place = format!("source.ipa-plugin-api.directory={:?}", registry.display().to_string());
    let mut build = Command::new("unshare");
    build.args(["--net", "--"]).arg(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    build.args(["build", "--offline", "--config", &place]).current_dir(&example);
    output(build.env("CARGO_HOME", home.path().join("cargo")).env("CARGO_TARGET_DIR", example.join("target")));

    let plugin = example.join("target/debug/libipa_example_minimal.so");
    let checked = ipa_host(&["plugins", "check", &plugin.display().to_string()]);
    assert!(checked.stdout.contains("acme"), "{checked:#?}");
    assert_eq!(checked.code, Some(0), "{checked:#?}");
    assert!(linked(&registry), "where Debian's packages look for crates");

    let in_c = home.path().join("libacme_c.so");
    let mut compile = Command::new("cc");
    compile.args(["-std=c11", "-fPIC", "-shared", "-fvisibility=hidden", "-o"]).arg(&in_c).arg("-I");
    compile.arg(installed.join("usr/include")).arg(shipped.with_file_name("c").join("acme.c"));
    output(&mut compile);
    let checked = ipa_host(&["plugins", "check", &in_c.display().to_string()]);
    assert_eq!(checked.code, Some(0), "{checked:#?}");
}

/// True if Debian's registry leads to the SDK's crate.
fn linked(registry: &Path) -> bool {
    let link = registry.join("../../cargo/registry/ipa-plugin-api-1.0.0/src/lib.rs");
    link.is_file()
}
