//! The agent's file system for Fedora CoreOS, started under systemd-nspawn as its unit does, but without anything of
//! this machine: its own users, network, processes and devices.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ipa_tests::artifacts;
use ipa_tests::debian_tree::{self, agent_tree};
use ipa_tests::own_network;
use serde_json::Value;

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

/// Ends a container with all that is in it.
struct Container(Child);

impl Drop for Container {
    fn drop(&mut self) {
        // It kills what it started when it is asked to end; killed itself, its child would be left.
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}

/// The words of the unit's command.
fn command_of_the_unit() -> Vec<String> {
    let unit = artifacts::workspace().join("imagebuild/coreos/ironic-python-agent.service");
    let unit = fs::read_to_string(unit).expect("the unit is there").replace("\\\n", " ");
    let line = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).expect("a command");
    line.split_whitespace().map(str::to_owned).collect()
}

fn status() -> Option<Value> {
    let mut stream = TcpStream::connect("127.0.0.1:9999").ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.write_all(b"GET /v1/status HTTP/1.1\r\nHost: agent\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    serde_json::from_str(body).ok()
}

#[test]
#[ignore = "needs mmdebstrap and systemd-nspawn; cargo xtask test has them"]
fn the_file_system_runs_under_nspawn_and_answers() {
    if !own_network::enter("the_file_system_runs_under_nspawn_and_answers") {
        return;
    }
    let tree = agent_tree();
    let directory =
        tempfile::Builder::new().prefix("ipa-coreos-").tempdir_in(artifacts::target_dir()).expect("a place");
    // As the unit that unpacks it.
    let mut unpack = Command::new("tar");
    unpack.args(["-x", "--numeric-owner", "--no-xattrs", "-C"]).arg(directory.path());
    assert!(unpack.arg("-f").arg(&tree.root_file_system).status().expect("tar is installed").success());

    let words = command_of_the_unit();
    for option in OF_THE_MACHINE {
        assert!(words.iter().any(|word| word == option), "the unit lost {option}");
    }
    let mut nspawn = Command::new(&words[0]);
    nspawn.arg("--directory").arg(directory.path()).args(["--private-users=pick", "--private-users-ownership=map"]);
    nspawn.args(words[1..].iter().filter(|word| !OF_THE_MACHINE.contains(&word.as_str())));
    nspawn.args(["--standalone", "--read-only"]).env("SYSTEMD_LOG_LEVEL", "notice");
    let log = directory.path().with_extension("log");
    let output = fs::File::create(&log).expect("a log");
    nspawn.stdin(Stdio::null()).stderr(output.try_clone().expect("a second handle")).stdout(output);
    let mut container = Container(nspawn.spawn().expect("systemd-nspawn is installed"));
    let end = Instant::now() + PATIENCE;
    let answer = loop {
        if let Some(answer) = status() {
            break answer;
        }
        let ended = container.0.try_wait().expect("our own child");
        let said = || fs::read_to_string(&log).unwrap_or_default();
        assert!(ended.is_none() && Instant::now() < end, "no answer, {ended:?}: {}", said());
        // Nothing tells from outside that a port within is open.
        std::thread::sleep(Duration::from_millis(50));
    };
    drop(container);
    fs::remove_file(&log).expect("our own log");
    assert!(answer["version"].is_string() && answer["started_at"].is_number(), "{answer}");
}

#[test]
#[ignore = "needs mmdebstrap; cargo xtask test has it"]
fn the_configuration_loads_that_very_file_system() {
    let tree = agent_tree();
    let config: Value =
        serde_json::from_slice(&fs::read(&tree.ignition).expect("a configuration")).expect("it is JSON");
    assert_eq!(config["ignition"]["version"], "3.4.0");
    let files = config["storage"]["files"].as_array().expect("files");
    let contents =
        &files.iter().find(|file| file["path"] == "/var/opt/ipa-rootfs.tar.gz").expect("it is there")["contents"];
    assert_eq!(contents["source"], debian_tree::URL);
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
