//! What runs the agent on Fedora CoreOS, in a machine: Ignition's files in a Debian with systemd, all of it in memory.
//!
//! It shows what the units, the container's options and the packed file system do with hardware. What only Fedora
//! CoreOS has is not here: SELinux, Ignition itself, NetworkManager, a `/usr` that cannot be written to, and newer
//! releases of systemd. Needs QEMU and the ramdisk, which has the kernel and its modules.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use ipa_tests::container::Tree;
use ipa_tests::coreos_files::coreos_files;
use ipa_tests::ignition;
use ipa_tests::plugin_dir::PluginDir;
use ipa_tests::ramdisk::{self, Booted, TOKEN};
use ipa_vm::{Boot, Bus, Disk, Firmware, Kernel, Machine, Nic};
use serde_json::{Value, json};

/// In MiB: the system, the packed file system and the unpacked one may take half of it.
const MEMORY: u32 = 1536;
/// Where a partition begins on the disk, in bytes.
const PARTITION: usize = 1 << 20;
/// The agent's tree in the guest.
const AGENT: &str = "var/lib/machines/ironic-python-agent";
/// After how long systemd starts an agent again.
const RESTART: Duration = Duration::from_secs(30);
/// Adds the kernel's modules to the system, and packs it without what no guest needs.
const PACK: &str = r#"
zstd --decompress --stdout "$1" | cpio --extract --make-directories --quiet 'usr/lib/modules/*'
find . \( -path ./usr/share/doc -o -path ./usr/share/perl -o -path ./usr/share/zoneinfo -o -path './usr/lib/python3*' \
    -o -path ./var/lib/dpkg/info \) -prune -o -print | cpio --create --format=newc --quiet >"$2"
"#;
/// Networks as NetworkManager would have them by itself.
const NETWORK: &str = "[Match]\nType=ether\n[Network]\nDHCP=yes\n";
/// A disk whose partitions take their time until udev knows them.
const SLOW_PARTITIONS: &str = "KERNEL==\"vda[0-9]\", PROGRAM=\"/bin/sleep 4\", SYMLINK+=\"known-to-udev\"\n";
/// Puts the tests' manager into the unpacked file system.
const WITH_PUPPET: &str =
    "[Service]\nExecStartPre=/bin/cp /etc/puppet.so /var/lib/machines/ironic-python-agent/usr/lib/ipa/plugins/\n";
/// Looks at the rescued machine, whose agent is about to be started again, and takes it back as a person would: without
/// the marker it gets an agent.
const OPERATOR: &str = "[Service]
Type=oneshot
StandardOutput=journal+console
ExecStart=/bin/sh -c '\
    until getent shadow rescue; do sleep 1; done; \
    until [ $(systemctl show -P SubState ironic-python-agent) = auto-restart ]; do sleep 1; done; \
    systemctl stop ironic-python-agent; systemctl start ironic-python-agent; \
    echo agent: $(systemctl show -P ConditionResult ironic-python-agent); \
    stat --format \"%%n: %%a %%U\" /home/rescue /etc/sudoers.d/rescue; \
    rm /var/lib/machines/ironic-python-agent/etc/.rescued; \
    systemctl start ironic-python-agent; \
    echo operator: taken back'
";
const OPERATOR_STARTS: &str = "[Path]\nPathExists=/var/lib/machines/ironic-python-agent/etc/.rescued\n\
    [Install]\nWantedBy=multi-user.target\n";

fn done(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A manager with these steps, each of which runs a line of shell in the agent's container.
fn puppet(steps: &[(&str, &str)]) -> PluginDir {
    let mut section = json!({});
    let mut list = Vec::new();
    for (step, line) in steps {
        list.push(json!({"step": step, "priority": 0, "interface": "deploy"}));
        section[step] = json!({"run": ["/bin/sh", "-ec", line]});
    }
    section["clean_steps"] = json!(list);
    PluginDir::new().with_puppet("disk", &section)
}

/// Writes the system with Ignition's files as an archive for the kernel.
fn system(puppet: &PluginDir, archive: &Path) {
    let tree = Tree::debian();
    let made = coreos_files();
    ignition::apply(&made.ignition, &tree.path(""), &made.root_file_system);
    assert!(!tree.path(AGENT).exists(), "the guest unpacks it");
    let config = fs::read_to_string(puppet.config_file()).expect("a configuration");
    tree.write("/etc/ironic-python-agent.d/test.conf", &config);
    fs::copy(puppet.path().join("disk.so"), tree.path("/etc/puppet.so")).expect("the tests' manager");
    let units = "/etc/systemd/system";
    tree.write(&format!("{units}/ironic-python-agent.service.d/puppet.conf"), WITH_PUPPET);
    tree.write(&format!("{units}/operator.service"), OPERATOR);
    tree.write(&format!("{units}/operator.path"), OPERATOR_STARTS);
    tree.write("/etc/systemd/network/all.network", NETWORK);
    tree.write("/etc/udev/rules.d/99-slow.rules", SLOW_PARTITIONS);
    let mut enable = Command::new("systemctl");
    enable.arg("--root").arg(tree.path("")).args(["--quiet", "enable", "operator.path", "systemd-networkd.service"]);
    done(enable.arg("systemd-networkd-wait-online.service"));
    symlink("/usr/lib/systemd/system/multi-user.target", tree.path("/etc/systemd/system/default.target"))
        .expect("our own tree");
    symlink("/usr/lib/systemd/systemd", tree.path("/init")).expect("our own tree");

    let mut pack = Command::new("sh");
    pack.args(["-ec", PACK, "sh"]).arg(ramdisk::initramfs_file()).arg(archive).current_dir(tree.path(""));
    done(&mut pack);
}

fn started_at(status: &Value) -> f64 {
    status["started_at"].as_f64().unwrap_or_else(|| panic!("{status}"))
}

/// The agent in its container has the machine: the inventory is of the hardware, disks can be written to, udev is waited
/// for. It is started again if it ends, but not in rescue mode, whose user there is then; and it powers the machine off.
#[tokio::test]
#[ignore = "needs QEMU, the ramdisk and mmdebstrap; cargo xtask test has them"]
async fn the_agent_in_a_container_of_fedora_coreos_has_the_machine() {
    let puppet = puppet(&[
        ("partition", "parted --script /dev/vda mklabel gpt mkpart written 1MiB 3MiB"),
        ("write", "test -b /dev/known-to-udev; echo by the agent | dd of=/dev/disk/by-partlabel/written conv=fsync"),
        ("break_down", "nsenter --target 1 --mount systemctl --no-block kill --signal=KILL ironic-python-agent"),
    ]);
    let home = tempfile::tempdir_in(ipa_tests::artifacts::target_dir()).expect("a place");
    let archive = home.path().join("system.cpio");
    system(&puppet, &archive);
    let machine = Machine::new("coreos", Firmware::Bios, MEMORY)
        .and_then(|machine| machine.disk(Disk::empty(Bus::Virtio, 8192, "VIRTIO-0001")))
        .unwrap()
        .nic(Nic::new("52:54:00:5a:00:01").restricted());
    let line = format!("console=ttyS0 systemd.journald.forward_to_console=1 ipa-agent-token={TOKEN}");
    let booted = Booted::start(&machine, &Boot::Kernel(Kernel::new(&ramdisk::kernel_file(), &archive, &line)));
    booted.answers().await;

    let answer = booted.client.run("poll.get_hardware_info", json!({})).await;
    let found = &answer["command_result"];
    let disk = &found["disks"][0];
    assert_eq!((&disk["name"], &disk["serial"]), (&json!("/dev/vda"), &json!("VIRTIO-0001")), "{found:#}");
    // From udev's database, which is the host's.
    assert!(
        disk["by_path"].as_str().is_some_and(|path| path.starts_with("/dev/disk/by-path/") && path.contains("pci-")),
        "{disk:#}"
    );
    let nic = &found["interfaces"][0];
    assert_eq!(nic["mac_address"], "52:54:00:5a:00:01", "{found:#}");
    assert_eq!((&nic["ipv4_address"], &nic["has_carrier"]), (&json!("10.0.2.15"), &json!(true)), "{nic:#}");
    assert_eq!(found["system_vendor"]["product_name"], "Anvil 1000", "{found:#}");
    assert_eq!(found["memory"]["physical_mb"], MEMORY, "{found:#}");

    booted.client.clean_value("partition").await;
    booted.client.run("poll.get_hardware_info", json!({})).await;
    booted.client.clean_value("write").await;

    let before = started_at(&booted.client.get("/v1/status").await.body);
    booted.client.start("clean.execute_clean_step", ipa_tests::client::step_params("break_down", json!({}))).await;
    booted.line(&["ironic-python-agent.service: Scheduled restart job"]);
    booted.answers().await;
    let after = started_at(&booted.client.get("/v1/status").await.body);
    assert!(after - before >= RESTART.as_secs_f64(), "{before} {after}");

    let answer = booted.client.post("rescue.finalize_rescue", json!({"rescue_password": "let me in"}), "").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    booted.line(&["rescue:$5$"]);
    booted.line(&["agent: no"]);
    booted.line(&["/home/rescue: 700 rescue"]);
    booted.line(&["/etc/sudoers.d/rescue: 440 root"]);
    booted.line(&["operator: taken back"]);
    booted.answers().await;
    let answer = booted.client.post("standby.power_off", json!({}), "").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    booted.guest.off(ramdisk::BOOT).unwrap();
    let written = fs::File::open(machine.disk_file(0)).expect("the disk");
    let mut bytes = [0; 12];
    std::os::unix::fs::FileExt::read_exact_at(&written, &mut bytes, PARTITION as u64).expect("the disk");
    assert_eq!(&bytes, b"by the agent");
}
