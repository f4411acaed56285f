//! What the generic manager adds to a collection of logs: the state of the machine as the usual tools and udev tell it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use ipa_plugin_api::prelude::*;

use crate::root::Root;

/// Longest time for one tool. Whoever collects logs waits for all of them, and one that hangs is part of the trouble.
const DEADLINE: Duration = Duration::from_secs(20);
/// Longest time for all tools. Ironic waits a minute for the whole collection.
const TOTAL: Duration = Duration::from_secs(40);
/// How many tools run at the same time.
const AT_ONCE: usize = 4;
/// Most block devices whose properties are told.
const DEVICES: usize = 4096;

/// Names of members of the archive, and the commands whose output they hold; those of the Python agent.
const COMMANDS: [(&str, &[&str]); 13] = [
    ("df", &["df", "-a"]),
    ("dmesg", &["dmesg"]),
    ("efibootmgr", &["efibootmgr", "-v"]),
    ("iptables", &["iptables", "-L"]),
    ("ip_addr", &["ip", "addr"]),
    ("lsblk", &["lsblk", "--all", "-oKNAME,MODEL,SIZE,ROTA,TYPE,UUID,PARTUUID,SERIAL,WWN,LOG-SEC,PHY-SEC,TRAN"]),
    ("lsblk-full", &["lsblk", "--all", "--bytes", "--output-all", "--pairs"]),
    ("lshw", &["lshw", "-quiet", "-json"]),
    ("mdstat", &["cat", "/proc/mdstat"]),
    ("mount", &["mount"]),
    ("multipath", &["multipath", "-ll"]),
    ("parted", &["parted", "-l"]),
    ("ps", &["ps", "au"]),
];

/// Attaches all of it. A tool that is missing or fails is left out, as on every machine some do.
pub fn collect(root: &Root, cx: &Cx<'_>) -> HwResult<()> {
    run_all(cx, Instant::now() + TOTAL);
    if cx.is_cancelled() {
        return Err(HwError::cancelled("the collection of logs was cancelled"));
    }
    for (device, properties) in udev(root) {
        attach(cx, &format!("udev/{device}"), &json!(properties).to_string());
    }
    Ok(())
}

/// Runs the tools, some at a time. What they print is attached as it comes, so that a later trouble spoils nothing.
fn run_all(cx: &Cx<'_>, end: Instant) {
    let queue = Mutex::new(COMMANDS.iter());
    let work = || {
        while !cx.is_cancelled() {
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((name, argv)) = next else { return };
            match run(cx, argv, end) {
                Ok(output) => attach(cx, name, &output.stdout),
                Err(error) => {
                    // A tool that is missing is no trouble, one that takes too long is.
                    let level = if Instant::now() < end { Level::Debug } else { Level::Warning };
                    cx.log(level, "a log was left out", &[("log", name), ("error", &error.details())]);
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..AT_ONCE {
            // Without further threads the first does it all.
            let _ = std::thread::Builder::new().spawn_scoped(scope, work);
        }
        work();
    });
}

fn run(cx: &Cx<'_>, argv: &[&str], end: Instant) -> HwResult<CommandOutput> {
    let left = end.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(HwError::command_execution("the other tools took all the time"));
    }
    let mut command = Command::new(argv[0]).args(argv[1..].iter().copied()).deadline(DEADLINE.min(left));
    cx.run(&mut command).and_then(CommandOutput::check)
}

/// A collection that is full still holds what came before.
fn attach(cx: &Cx<'_>, name: &str, text: &str) {
    if let Err(error) = cx.attach_log(name, text) {
        cx.log(Level::Warning, "a log was left out", &[("log", &name), ("error", &error.details())]);
    }
}

/// The properties of each block device: the kernel's own, and those that udev's rules have found.
fn udev(root: &Root) -> Vec<(String, BTreeMap<String, String>)> {
    let mut names = root.names("sys/class/block").unwrap_or_default();
    names.sort();
    names.truncate(DEVICES);
    names
        .into_iter()
        .map(|name| {
            let directory = format!("sys/class/block/{name}");
            let pairs = |text: &str, prefix: &str| -> Vec<(String, String)> {
                let pair = |line: &str| line.strip_prefix(prefix)?.split_once('=').map(|(k, v)| (k.into(), v.into()));
                text.lines().filter_map(pair).collect()
            };
            let kernel = root.text(format!("{directory}/uevent")).unwrap_or_default();
            let mut properties: BTreeMap<String, String> = pairs(&kernel, "").into_iter().collect();
            if let Some(short) = properties.get("DEVNAME").cloned() {
                properties.insert("DEVNAME".into(), format!("/dev/{short}"));
            }
            properties.insert("SUBSYSTEM".into(), "block".into());
            if let Some(target) = root.link(&directory) {
                let below = target.to_string_lossy().trim_start_matches("../").to_owned();
                properties.insert("DEVPATH".into(), format!("/{below}"));
            }
            if let Some(number) = root.trimmed(format!("{directory}/dev")) {
                let rules = root.text(format!("run/udev/data/b{number}")).unwrap_or_default();
                properties.extend(pairs(&rules, "E:"));
                if let Some(time) = rules.lines().find_map(|line| line.strip_prefix("I:")) {
                    properties.insert("USEC_INITIALIZED".into(), time.to_owned());
                }
            }
            (name, properties)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Condvar;

    use ipa_plugin_api::export::Export;
    use ipa_plugin_api::reply::RawReply;
    use ipa_plugin_api::services::HostServices;
    use ipa_plugin_api::testing::{FakeHost, output};

    use super::*;
    use crate::manager::GenericHardwareManager;
    use crate::root::fixture::Tree;

    #[test]
    fn tools_that_work_are_in_it_and_others_left_out() {
        let tree = Tree::new();
        tree.file("sys/devices/pci/block/sda/dev", "8:0\n")
            .file("sys/devices/pci/block/sda/uevent", "MAJOR=8\nMINOR=0\nDEVNAME=sda\nDEVTYPE=disk\n")
            .link("sys/class/block/sda", "../../devices/pci/block/sda")
            .file("run/udev/data/b8:0", "S:disk/by-id/x\nE:ID_SERIAL=ab=c\nI:5\nE:ID_MODEL=<m>\n")
            .file("sys/class/block/sdb/uevent", "DEVNAME=sdb\n");
        let host = FakeHost::new()
            .command(&["df", "-a"], output(0, "Filesystem\n", "df: a warning\n"))
            .command(&["parted", "-l"], output(1, "half\n", "parted: failed\n"));
        collect(&tree.root(), &Cx::new(&host, 1, &GenericHardwareManager::SPEC)).expect("tools may fail");
        let logs = host.attached_logs();
        assert_eq!(logs.keys().collect::<Vec<_>>(), ["df", "udev/sda", "udev/sdb"]);
        assert_eq!(logs["df"], "Filesystem\n");
        let sda: Value = serde_json::from_str(&logs["udev/sda"]).expect("JSON");
        assert_eq!(
            sda,
            json!({"DEVNAME": "/dev/sda", "DEVPATH": "/devices/pci/block/sda", "DEVTYPE": "disk", "ID_MODEL": "<m>",
                "ID_SERIAL": "ab=c", "MAJOR": "8", "MINOR": "0", "SUBSYSTEM": "block", "USEC_INITIALIZED": "5"})
        );
        assert_eq!(host.commands_run().len(), COMMANDS.len());
        assert_eq!(host.log_records().len(), COMMANDS.len() - 1, "each one left out is told");
    }

    /// A host whose programs end once so many of them run.
    struct Gate {
        host: FakeHost,
        running: Mutex<usize>,
        came: Condvar,
        wanted: usize,
    }

    impl HostServices for Gate {
        fn log(&self, call: u64, level: u32, message: &str, pairs: &str) {
            self.host.log(call, level, message, pairs);
        }

        fn progress(&self, call: u64, percent: u32, message: &str) {
            self.host.progress(call, percent, message);
        }

        fn is_cancelled(&self, call: u64) -> bool {
            HostServices::is_cancelled(&self.host, call)
        }

        fn host_call(&self, call: u64, method: &str, args: &str) -> RawReply {
            if method == "command_start" {
                let mut running = self.running.lock().expect("nobody panics");
                *running += 1;
                self.came.notify_all();
                let patience = Duration::from_secs(20);
                let waited = self.came.wait_timeout_while(running, patience, |running| *running < self.wanted);
                assert!(!waited.expect("nobody panics").1.timed_out(), "the tools run one after another");
            }
            self.host.host_call(call, method, args)
        }
    }

    #[test]
    fn tools_run_four_at_a_time() {
        let gate = Gate { host: FakeHost::new(), running: Mutex::new(0), came: Condvar::new(), wanted: AT_ONCE };
        collect(&Tree::new().root(), &Cx::new(&gate, 1, &GenericHardwareManager::SPEC)).expect("tools may fail");
        assert_eq!(gate.host.commands_run().len(), COMMANDS.len());
    }

    #[test]
    fn without_time_no_tool_is_started() {
        let host = FakeHost::new();
        run_all(&Cx::new(&host, 1, &GenericHardwareManager::SPEC), Instant::now());
        assert!(host.commands_run().is_empty());
        let records = host.log_records();
        assert_eq!(records.len(), COMMANDS.len());
        assert!(records.iter().all(|record| record.level == Level::Warning), "{records:?}");
    }

    #[test]
    fn a_cancelled_collection_ends() {
        let host = FakeHost::new();
        host.cancel();
        let error = collect(&Tree::new().root(), &Cx::new(&host, 1, &GenericHardwareManager::SPEC)).expect_err("ends");
        assert_eq!(error.kind(), ErrorKind::Cancelled);
        assert!(host.commands_run().is_empty());
    }
}
