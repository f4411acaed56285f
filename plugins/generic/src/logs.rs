//! What the generic manager adds to a collection of logs: the output of the usual tools, and udev's view of each disk.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ipa_plugin_api::prelude::*;

use crate::inventory::disks;
use crate::root::Root;

/// Member of the archive and the command line whose output it holds. Tools that are not installed are left out.
const COMMANDS: [(&str, &[&str]); 12] = [
    // The slow ones first, so that they run beside the others.
    ("lshw", &["lshw", "-quiet", "-json"]),
    ("parted", &["parted", "-l"]),
    ("multipath", &["multipath", "-ll"]),
    ("df", &["df", "-a"]),
    ("dmesg", &["dmesg"]),
    ("efibootmgr", &["efibootmgr", "-v"]),
    ("iptables", &["iptables", "-L"]),
    ("ip_addr", &["ip", "addr"]),
    ("lsblk", &["lsblk", "--all", "-oKNAME,MODEL,SIZE,ROTA,TYPE,UUID,PARTUUID,SERIAL,WWN,LOG-SEC,PHY-SEC,TRAN"]),
    ("lsblk-full", &["lsblk", "--all", "--bytes", "--output-all", "--pairs"]),
    ("mount", &["mount"]),
    ("ps", &["ps", "au"]),
];
const MDSTAT: &str = "proc/mdstat";
/// Longest time for one tool. Ironic waits a minute for all of the logs.
const DEADLINE: Duration = Duration::from_secs(20);
/// Tools that run at the same time.
const AT_ONCE: usize = 4;

/// Adds everything that can be had; what cannot is no reason to fail.
pub fn collect(root: &Root, cx: &Cx<'_>) {
    let queue = Mutex::new(COMMANDS.iter());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some((name, argv)) = next() {
                    tool(cx, name, argv);
                }
            });
        }
    });
    if let Ok(text) = root.text(MDSTAT) {
        attach(cx, "mdstat", &text);
    }
    for (kname, properties) in disks::udev_properties(root) {
        attach(cx, &format!("udev/{kname}"), &json!(properties).to_string());
    }
}

/// Adds what a tool says. One that fails is told in the last line, after what it said until then.
fn tool(cx: &Cx<'_>, name: &str, argv: &[&str]) {
    let mut words = argv.iter().copied();
    let mut command = Command::new(words.next().unwrap_or_default()).args(words).deadline(DEADLINE);
    match cx.run(&mut command) {
        Ok(output) if output.success() => attach(cx, name, &output.stdout),
        Ok(output) => attach(cx, name, &format!("{}\n{}\n", output.stdout, output.failure())),
        Err(error) => cx.log(Level::Debug, "no log of this tool", &[("tool", &name), ("error", &error.details())]),
    }
}

fn attach(cx: &Cx<'_>, name: &str, text: &str) {
    if let Err(error) = cx.attach_log(name, text) {
        cx.log(Level::Warning, "a log was left out", &[("name", &name), ("error", &error.details())]);
    }
}

#[cfg(test)]
mod tests {
    use ipa_plugin_api::export::Export;
    use ipa_plugin_api::testing::{FakeHost, output};

    use super::*;
    use crate::manager::GenericHardwareManager;
    use crate::root::fixture::Tree;

    fn collected(tree: &Tree, host: &FakeHost) -> std::collections::BTreeMap<String, String> {
        collect(&tree.root(), &Cx::new(host, 1, &GenericHardwareManager::SPEC));
        host.attached_logs()
    }

    #[test]
    fn the_members_are_those_of_upstream() {
        let tree = Tree::new();
        tree.file(MDSTAT, "Personalities : [raid1]\n");
        let host = COMMANDS.iter().fold(FakeHost::new(), |host, (name, argv)| host.command(argv, output(0, name, "")));
        let logs = collected(&tree, &host);
        let names: Vec<&str> = logs.keys().map(String::as_str).collect();
        let upstream = [
            "df",
            "dmesg",
            "efibootmgr",
            "ip_addr",
            "iptables",
            "lsblk",
            "lsblk-full",
            "lshw",
            "mdstat",
            "mount",
            "multipath",
            "parted",
            "ps",
        ];
        assert_eq!(names, upstream);
        assert_eq!(logs["ip_addr"], "ip_addr");
        assert_eq!(logs["mdstat"], "Personalities : [raid1]\n");
    }

    #[test]
    fn missing_tools_are_left_out_and_failing_ones_told() {
        let host = FakeHost::new().command(&["parted", "-l"], output(1, "Model: ATA", "Error: /dev/sdb: unrecognised"));
        let logs = collected(&Tree::new(), &host);
        assert_eq!(logs.keys().collect::<Vec<_>>(), ["parted"]);
        assert_eq!(logs["parted"], "Model: ATA\nparted -l exited with 1: Error: /dev/sdb: unrecognised\n");
        assert_eq!(host.commands_run().len(), COMMANDS.len());
    }

    #[test]
    fn each_disk_has_its_udev_properties() {
        let tree = Tree::new();
        tree.file("sys/block/sda/dev", "8:0\n")
            .file("sys/block/sda/size", "8192\n")
            .file("sys/block/sda/uevent", "MAJOR=8\nMINOR=0\nDEVNAME=sda\nDEVTYPE=disk\n")
            .file("sys/block/sda/sda1/dev", "8:1\n")
            .file("sys/block/sda/sda1/size", "2048\n")
            .file("sys/block/loop0/dev", "7:0\n")
            .file("sys/block/loop0/size", "0\n")
            .file("run/udev/data/b8:0", "S:disk/by-id/a\nS:disk/by-id/b\nE:ID_MODEL=LABSATA\nG:systemd\n");
        let logs = collected(&tree, &FakeHost::new());
        assert_eq!(logs.keys().collect::<Vec<_>>(), ["udev/sda", "udev/sda1"], "an empty device has nothing to tell");
        let sda: Value = serde_json::from_str(&logs["udev/sda"]).expect("JSON");
        assert_eq!(
            sda,
            json!({"SUBSYSTEM": "block", "MAJOR": "8", "MINOR": "0", "DEVNAME": "/dev/sda", "DEVTYPE": "disk",
                "DEVLINKS": "/dev/disk/by-id/a /dev/disk/by-id/b", "ID_MODEL": "LABSATA"})
        );
    }
}
