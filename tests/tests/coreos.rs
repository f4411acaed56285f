//! The agent's file system for Fedora CoreOS, of both origins, started under systemd-nspawn as its unit does, but without
//! anything of this machine: its own users, network, processes and devices.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ipa_tests::artifacts;
use ipa_tests::coreos_files::{self, coreos_files};
use ipa_tests::image::Store;
use serde_json::Value;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(60);
/// Options of the unit that give the machine to the agent. A test must not have them.
const OF_THE_MACHINE: [&str; 8] = [
    "--bind=/dev",
    "--bind=/sys",
    "--bind=/run/udev",
    "--bind=/etc/ipa-rescue-config",
    "--bind=/etc/ironic-python-agent.d",
    "--bind-ro=/usr/lib/modules",
    "--capability=all",
    "--directory=/var/lib/machines/ironic-python-agent",
];
/// The name in the Dockerfile.
const BASE: &str = "debian:bookworm-slim";
const IMAGE: &str = "ironic-python-agent";
/// What one tool leaves behind and the other does not.
const OF_THE_TOOL: [&str; 8] = [
    "./dev/",
    "./etc/apt/",
    "./etc/dpkg/dpkg.cfg.d/",
    // The file before the last user came, with whatever mode it had.
    "./etc/passwd- ",
    "./var/cache/apt/",
    "./var/cache/debconf/",
    "./var/lib/apt/",
    "./var/lib/dpkg/",
];
/// What no two machines may have in common, or only the machine has that built it.
const OF_ONE_MACHINE: [&str; 6] = [
    "etc/hostname",
    "etc/iscsi/initiatorname.iscsi",
    "etc/machine-id",
    "etc/nvme/hostid",
    "etc/nvme/hostnqn",
    "etc/resolv.conf",
];

/// Ends a container with all that is in it.
struct Container(Child);

impl Drop for Container {
    fn drop(&mut self) {
        // It kills what it started when it is asked to end; killed itself, its child would be left.
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}

impl Container {
    /// What the agent in it says of itself, once it answers.
    fn status(&self) -> Option<Value> {
        let nspawn = self.0.id();
        let children = fs::read_to_string(format!("/proc/{nspawn}/task/{nspawn}/children")).ok()?;
        let inside = children.split_whitespace().next()?;
        let mut ask = Command::new("nsenter");
        ask.args(["--net", "--target", inside, "--", "curl", "--silent", "--fail", "--max-time", "20"]);
        let output = ask.arg("http://127.0.0.1:9999/v1/status").output().expect("nsenter is installed");
        serde_json::from_slice(&output.stdout).ok()
    }
}

/// The words of the unit's command.
fn command_of_the_unit() -> Vec<String> {
    let unit = artifacts::workspace().join("imagebuild/coreos/ironic-python-agent.service");
    let unit = fs::read_to_string(unit).expect("the unit is there").replace("\\\n", " ");
    let line = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).expect("a command");
    line.split_whitespace().map(str::to_owned).collect()
}

/// The part of the unit's command that is the agent's.
fn command_of_the_agent() -> Vec<String> {
    let words = command_of_the_unit();
    let agent = words.iter().position(|word| word.ends_with("/ipa-host")).expect("the unit starts the agent");
    words[agent..].to_vec()
}

/// Asserts that the agent of a file system answers.
fn assert_answers(root: &Path, log: &Path) {
    let words = command_of_the_unit();
    for option in OF_THE_MACHINE {
        assert!(words.iter().any(|word| word == option), "the unit lost {option}");
    }
    let mut nspawn = Command::new(&words[0]);
    nspawn.arg("--directory").arg(root).args(["--private-users=pick", "--private-users-ownership=map"]);
    nspawn.arg("--private-network");
    nspawn.args(words[1..].iter().filter(|word| !OF_THE_MACHINE.contains(&word.as_str())));
    nspawn.args(["--standalone", "--read-only"]).env("SYSTEMD_LOG_LEVEL", "notice");
    let output = fs::File::create(log).expect("a log");
    nspawn.stdin(Stdio::null()).stderr(output.try_clone().expect("a second handle")).stdout(output);
    let mut container = Container(nspawn.spawn().expect("systemd-nspawn is installed"));
    let end = Instant::now() + PATIENCE;
    let answer = loop {
        if let Some(answer) = container.status() {
            break answer;
        }
        let ended = container.0.try_wait().expect("our own child");
        let said = || fs::read_to_string(log).unwrap_or_default();
        assert!(ended.is_none() && Instant::now() < end, "no answer, {ended:?}: {}", said());
        // Nothing tells from outside that a port within is open.
        std::thread::sleep(Duration::from_millis(50));
    };
    assert!(answer["version"].is_string() && answer["started_at"].is_number(), "{answer}");
}

/// The packed file system, unpacked as the unit does it.
fn unpacked(packed: &Path) -> TempDir {
    let directory =
        tempfile::Builder::new().prefix("ipa-coreos-").tempdir_in(artifacts::target_dir()).expect("a place");
    let mut unpack = Command::new("tar");
    unpack.args(["-x", "--numeric-owner", "--no-xattrs", "-C"]).arg(directory.path());
    assert!(unpack.arg("-f").arg(packed).status().expect("tar is installed").success());
    directory
}

/// Everything below a directory, with kind, mode and owner, but without what `OF_THE_TOOL` names.
fn list(root: &Path) -> BTreeSet<String> {
    let mut find = Command::new("find");
    find.current_dir(root).args([".", "-mindepth", "1", "-printf", "%p %y %m %U %G %l\\n"]);
    let output = find.output().expect("findutils are installed");
    let text = String::from_utf8(output.stdout).expect("names are text");
    let ours = |line: &&str| !OF_THE_TOOL.iter().any(|place| line.starts_with(place));
    text.lines().filter(ours).map(str::to_owned).collect()
}

#[test]
#[ignore = "needs mmdebstrap and systemd-nspawn; cargo xtask test has them"]
fn the_file_system_runs_under_nspawn_and_answers() {
    let root = unpacked(&coreos_files().root_file_system);
    for path in OF_ONE_MACHINE {
        assert!(!root.path().join(path).exists(), "{path}");
    }
    let log = tempfile::NamedTempFile::new().expect("a log");
    assert_answers(root.path(), log.path());
}

/// As operators build it, but of a Debian that is here: the image has everything that the other way to make the file
/// system gives, and all tools; and its agent answers.
#[test]
#[ignore = "needs buildah, mmdebstrap and systemd-nspawn; cargo xtask test has them"]
fn the_image_of_the_dockerfile_has_the_same_file_system_and_answers() {
    let made = coreos_files();
    let imagebuild = artifacts::workspace().join("imagebuild");
    // What of a checkout counts, so that the build directory may be anywhere.
    let checkout = tempfile::tempdir().expect("a temporary directory");
    let put = |from: &Path, to: &str| {
        let to = checkout.path().join(to);
        fs::create_dir_all(to.parent().expect("below the top")).expect("our own directory");
        fs::copy(from, to).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
    };
    put(&imagebuild.join("coreos/packages"), "imagebuild/coreos/packages");
    put(&made.package, &format!("target/packages/{}", made.package.file_name().expect("a file").display()));
    put(&imagebuild.join("coreos/Dockerfile"), "must/not/be/sent");
    let store = Store::with_debian(BASE);
    store.build(&imagebuild.join("coreos/Dockerfile"), checkout.path(), IMAGE);
    assert_eq!(store.command_of(IMAGE), command_of_the_agent());

    let root = store.root(IMAGE);
    let other = unpacked(&made.root_file_system);
    let image = list(&root);
    let missing: Vec<String> = list(other.path()).difference(&image).cloned().collect();
    assert!(missing.is_empty(), "{missing:#?}");
    for program in ["usr/bin/ipa-host", "usr/lib/ipa/plugins/libipa_generic.so"] {
        let both = [&root, other.path()].map(|root| fs::read(root.join(program)).expect("the agent is there"));
        assert!(both[0] == both[1], "{program}");
    }
    // The base has the last two.
    for path in &OF_ONE_MACHINE[1..5] {
        assert!(!root.join(path).exists(), "{path}");
    }
    for left in ["tmp", "var/cache/apt", "var/lib/apt/lists"] {
        assert!(fs::read_dir(root.join(left)).is_ok_and(|mut entries| entries.next().is_none()), "{left}");
    }
    for tool in ["hdparm", "ip", "ipmitool", "lshw", "mdadm", "mkfs.ext4", "nvme", "parted", "smartctl"] {
        let places = ["usr/bin", "usr/sbin"].map(|place| root.join(place).join(tool));
        assert!(places.iter().any(|place| place.exists()), "{tool}");
    }
    let log = tempfile::NamedTempFile::new().expect("a log");
    assert_answers(&root, log.path());
}

#[test]
#[ignore = "needs mmdebstrap; cargo xtask test has it"]
fn the_configuration_loads_that_very_file_system() {
    let tree = coreos_files();
    let config: Value =
        serde_json::from_slice(&fs::read(&tree.ignition).expect("a configuration")).expect("it is JSON");
    assert_eq!(config["ignition"]["version"], "3.4.0");
    let files = config["storage"]["files"].as_array().expect("files");
    let contents =
        &files.iter().find(|file| file["path"] == "/var/opt/ipa-rootfs.tar.gz").expect("it is there")["contents"];
    assert_eq!(contents["source"], coreos_files::URL);
    let sum = Command::new("sha256sum").arg(&tree.root_file_system).output().expect("coreutils are installed");
    let sum = String::from_utf8(sum.stdout).expect("digits");
    let sum = sum.split_whitespace().next().expect("a digest");
    assert_eq!(contents["verification"]["hash"], format!("sha256-{sum}"));
}

#[test]
#[ignore = "needs systemd-analyze; cargo xtask test has it"]
fn systemd_takes_every_unit() {
    let units = tempfile::tempdir().expect("a temporary directory");
    let imagebuild = artifacts::workspace().join("imagebuild");
    let mut names = Vec::new();
    let mut place = |from: &Path| {
        let name = from.file_name().expect("a file").to_owned();
        // Only what the programs are called is of the other system.
        let text = fs::read_to_string(from).expect("a unit");
        fs::write(units.path().join(&name), text.replace("/usr/bin/systemd-nspawn", "/bin/true")).expect("a unit");
        names.push(units.path().join(name));
    };
    for name in ["coreos/ironic-python-agent.service", "coreos/ironic-python-agent-unpack.service"] {
        place(&imagebuild.join(name));
    }
    for name in ["systemd/ironic-agent-create-rescue-user.path", "systemd/ironic-agent-create-rescue-user.service"] {
        place(&imagebuild.join(name));
    }
    let mut verify = Command::new("systemd-analyze");
    verify.args(["verify", "--man=no", "--recursive-errors=no"]).args(&names);
    let output = verify.output().expect("systemd is installed");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    for complaint in ["Unknown", "Failed", "Invalid"] {
        assert!(!said.contains(complaint), "{said}");
    }
}
