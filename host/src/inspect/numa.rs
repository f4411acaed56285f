//! Which memory, processors and network interfaces belong to which NUMA node.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use serde_json::{Value, json};

/// Where the kernel describes the nodes and the interfaces.
pub(super) const SYSFS: &str = "/sys";
/// Longest file that is read, in bytes.
const FILE_LIMIT: u64 = 64 * 1024;

/// `{"ram": [...], "cpus": [...], "nics": [...]}`, in the order of nodes and of threads within one. None on a kernel
/// without NUMA.
///
/// # Errors
/// Something is not as the kernel writes it; half a topology would be worse than none.
pub(super) fn topology(sysfs: &Path) -> Result<Option<Value>, String> {
    let directory = sysfs.join("devices/system/node");
    if !directory.is_dir() {
        return Ok(None);
    }
    let nodes = numbered(&directory, "node")?;
    let (mut ram, mut cpus) = (Vec::new(), Vec::new());
    for node in nodes {
        let path = directory.join(format!("node{node}"));
        ram.push(json!({"numa_node": node, "size_kb": memory_kb(&path)?}));
        for (cpu, threads) in cores(&path)? {
            cpus.push(json!({"cpu": cpu, "numa_node": node, "thread_siblings": threads}));
        }
    }
    Ok(Some(json!({"ram": ram, "cpus": cpus, "nics": interfaces(&sysfs.join("class/net"))?})))
}

/// The numbers of the directories that are called so, in order.
fn numbered(directory: &Path, prefix: &str) -> Result<Vec<u64>, String> {
    let entries = fs::read_dir(directory).map_err(|error| named(directory, &error))?;
    let names =
        entries.flatten().filter(|entry| entry.path().is_dir()).filter_map(|e| e.file_name().into_string().ok());
    let numbers = names.filter_map(|name| name.strip_prefix(prefix).map(str::to_owned));
    // The directory of a node also has `cpulist`, a file, and may have other words with the prefix.
    let mut numbers: Vec<u64> = numbers
        .map(|number| number.parse().map_err(|_| format!("{}: {prefix}{number} has no number", directory.display())))
        .collect::<Result<_, String>>()?;
    numbers.sort_unstable();
    Ok(numbers)
}

/// From a line such as `Node 0 MemTotal:       16305236 kB`.
fn memory_kb(node: &Path) -> Result<u64, String> {
    let text = text(&node.join("meminfo"))?;
    let total = text.lines().find(|line| line.contains("MemTotal")).and_then(|line| line.split_once(':'));
    let size = total.and_then(|(_, size)| size.trim().strip_suffix("kB")?.trim().parse().ok());
    size.ok_or_else(|| format!("{}/meminfo: there is no MemTotal in kB", node.display()))
}

/// The threads of each core.
fn cores(node: &Path) -> Result<BTreeMap<i64, Vec<u64>>, String> {
    let mut cores: BTreeMap<i64, Vec<u64>> = BTreeMap::new();
    for thread in numbered(node, "cpu")? {
        let core = number(&node.join(format!("cpu{thread}/topology/core_id")))?;
        cores.entry(core).or_default().push(thread);
    }
    Ok(cores)
}

/// Every interface of a device that tells its node, which is -1 if it belongs to none.
fn interfaces(directory: &Path) -> Result<Vec<Value>, String> {
    let entries = fs::read_dir(directory).map_err(|error| named(directory, &error))?;
    let mut names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
    names.sort();
    let mut interfaces = Vec::new();
    for name in names {
        let path = directory.join(&name).join("device/numa_node");
        if path.is_file() {
            interfaces.push(json!({"name": name.to_string_lossy(), "numa_node": number(&path)?}));
        }
    }
    Ok(interfaces)
}

fn number(path: &Path) -> Result<i64, String> {
    let text = text(path)?;
    text.trim().parse().map_err(|_| format!("{}: {:?} is no number", path.display(), text.trim()))
}

fn text(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(FILE_LIMIT).read_to_string(&mut text));
    read.map_err(|error| named(path, &error))?;
    Ok(text)
}

fn named(path: &Path, error: &io::Error) -> String {
    format!("{}: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().expect("it has one")).expect("made");
        fs::write(path, text).expect("written");
    }

    fn machine() -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a directory");
        for (node, threads) in [(0, [(0, 0), (1, 1), (4, 0)]), (1, [(2, 0), (3, 1), (5, 0)])] {
            let directory = format!("devices/system/node/node{node}");
            let memory = format!("Node {node} MemTotal:       1630{node} kB\nNode {node} MemFree: 1 kB\n");
            write(root.path(), &format!("{directory}/meminfo"), &memory);
            write(root.path(), &format!("{directory}/cpulist"), "0-2\n");
            for (thread, core) in threads {
                write(root.path(), &format!("{directory}/cpu{thread}/topology/core_id"), &format!("{core}\n"));
            }
        }
        write(root.path(), "devices/system/node/online", "0-1\n");
        write(root.path(), "class/net/eth1/device/numa_node", "1\n");
        write(root.path(), "class/net/eth0/device/numa_node", "-1\n");
        write(root.path(), "class/net/lo/mtu", "65536\n");
        root
    }

    #[test]
    fn memory_cores_and_interfaces_are_told_by_node() {
        let cpu =
            |cpu: u8, node: u8, threads: &[u8]| json!({"cpu": cpu, "numa_node": node, "thread_siblings": threads});
        assert_eq!(
            topology(machine().path()).expect("readable").expect("there"),
            json!({
                "ram": [{"numa_node": 0, "size_kb": 16300}, {"numa_node": 1, "size_kb": 16301}],
                "cpus": [cpu(0, 0, &[0, 4]), cpu(1, 0, &[1]), cpu(0, 1, &[2, 5]), cpu(1, 1, &[3])],
                "nics": [{"name": "eth0", "numa_node": -1}, {"name": "eth1", "numa_node": 1}],
            })
        );
    }

    #[test]
    fn anything_odd_is_named() {
        for (path, text, part) in [
            ("devices/system/node/node0/meminfo", "Node 0 MemFree: 1 kB\n", "MemTotal"),
            ("devices/system/node/node0/meminfo", "Node 0 MemTotal: many kB\n", "MemTotal"),
            ("devices/system/node/node1/cpu2/topology/core_id", "?\n", "core_id"),
            ("devices/system/node/nodes/x", "", "nodes has no number"),
            ("class/net/eth0/device/numa_node", "", "numa_node"),
        ] {
            let machine = machine();
            write(machine.path(), path, text);
            assert!(topology(machine.path()).expect_err(path).contains(part), "{path}");
        }
        let empty = tempfile::tempdir().expect("a directory");
        assert_eq!(topology(empty.path()), Ok(None));
    }
}
