//! The collectors: each adds members to the data that is posted.

use std::sync::Arc;
use std::time::Duration;

use ipa_plugin_api::error::HwResult;
use serde_json::{Map, Value, json};
use slog::warn;

use super::{Inspection, dmi, numa, pci};
use crate::agent::Agent;
use crate::extensions;
use crate::managers::{BoxFuture, CallContext, Managers};
use crate::network;
use crate::process::Request;

/// Lines of the journal in the collected logs.
const JOURNAL_LINES: u32 = 10_000;
/// Smallest disk that an image is written to, in bytes.
const SMALLEST_ROOT_DISK: u64 = 4 * 1024 * 1024 * 1024;

/// Longest run of `hardware-detect`; its benchmarks take minutes for each disk.
const DETECT_DEADLINE: Duration = Duration::from_secs(3600);
/// Most bytes of its output.
const DETECT_LIMIT: usize = 8 * 1024 * 1024;

/// What was collected, and what could not be.
#[derive(Debug, Default)]
pub(super) struct Collection {
    pub(super) data: Map<String, Value>,
    pub(super) failures: Vec<String>,
}

/// Adds its part. An error is reported together with the collector's name.
pub(super) type Collector =
    for<'a> fn(&'a Arc<Agent>, &'a Inspection, &'a mut Collection) -> BoxFuture<'a, Result<(), String>>;

/// All collectors by their names.
pub(super) const COLLECTORS: &[(&str, Collector)] = &[
    ("default", |agent, inspection, collection| Box::pin(default(agent, inspection, collection))),
    ("logs", |agent, _, collection| Box::pin(logs(agent, collection))),
    ("pci-devices", |agent, _, collection| Box::pin(pci_devices(agent, collection))),
    ("numa-topology", |agent, _, collection| Box::pin(numa_topology(agent, collection))),
    ("extra-hardware", |agent, inspection, collection| Box::pin(extra_hardware(agent, inspection, collection))),
    ("dmi-decode", |agent, _, collection| Box::pin(dmi_decode(agent, collection))),
    ("lldp", |agent, _, collection| Box::pin(method(agent, collection, "collect_lldp_data", "lldp_raw"))),
    ("usb-devices", |agent, _, collection| Box::pin(method(agent, collection, "get_usb_devices", "usb_devices"))),
];

/// The inventory, and what follows from it.
async fn default(agent: &Arc<Agent>, inspection: &Inspection, collection: &mut Collection) -> Result<(), String> {
    let (managers, wait) = (agent.managers(), &inspection.addresses);
    network::for_addresses(managers, wait.bootif.as_deref(), wait.every, wait.timeout, agent.log()).await;
    let inventory = ask(managers, "list_hardware_info").await.map_err(|error| error.to_string())?;
    match root_disk(&inventory) {
        Some(disk) => {
            collection.data.insert("root_disk".into(), disk.clone());
        }
        None => warn!(agent.log(), "no disk is large enough to be a root device"),
    }
    let boot_interface = inventory.pointer("/boot/pxe_interface").cloned().unwrap_or_default();
    collection.data.insert("boot_interface".into(), boot_interface);
    collection.data.insert(
        "configuration".into(),
        json!({"collectors": inspection.collectors, "managers": versions(managers).await}),
    );
    collection.data.insert("inventory".into(), inventory);
    Ok(())
}

/// The disk that would become the root device without hints: the smallest that is large enough, then by name.
fn root_disk(inventory: &Value) -> Option<&Value> {
    let disks = inventory.get("disks")?.as_array()?.iter();
    let key = |disk: &Value| Some((disk.get("size")?.as_u64()?, disk.get("name")?.as_str()?.to_owned()));
    disks
        .filter_map(|disk| key(disk).map(|key| (key, disk)))
        .filter(|((size, _), _)| *size >= SMALLEST_ROOT_DISK)
        .min_by(|(one, _), (other, _)| one.cmp(other))
        .map(|(_, disk)| disk)
}

/// Name and version of every manager, by rank.
async fn versions(managers: &dyn Managers) -> Vec<Value> {
    match managers.dispatch_all(&CallContext::new(), "get_version", json!({})).await {
        Ok(answers) => answers.into_iter().map(|answer| answer.value).collect(),
        Err(_) => managers.versions().iter().map(|(name, version)| json!({"name": name, "version": version})).collect(),
    }
}

/// The logs so far, so this collector stands last. That there are none is no failure of the inspection.
async fn logs(agent: &Arc<Agent>, collection: &mut Collection) -> Result<(), String> {
    match extensions::collect_system_logs(agent, &CallContext::new(), Some(JOURNAL_LINES)).await {
        Ok(logs) => {
            collection.data.insert("logs".into(), logs.into());
        }
        Err(error) => warn!(agent.log(), "the logs cannot be collected"; "error" => %error),
    }
    Ok(())
}

async fn pci_devices(agent: &Arc<Agent>, collection: &mut Collection) -> Result<(), String> {
    let log = agent.log().clone();
    let devices = tokio::task::spawn_blocking(move || pci::devices(pci::SYSFS.as_ref(), &log)).await;
    let devices = devices.map_err(|error| error.to_string())?;
    match devices {
        Ok(devices) => {
            collection.data.insert("pci_devices".into(), devices.into());
        }
        Err(error) => collection.failures.push(format!("Failed to get list of PCI devices: {error}")),
    }
    Ok(())
}

/// A topology that cannot be read is left out and no failure, since machines without one are inspected too.
async fn numa_topology(agent: &Arc<Agent>, collection: &mut Collection) -> Result<(), String> {
    let topology = tokio::task::spawn_blocking(|| numa::topology(numa::SYSFS.as_ref())).await;
    match topology.map_err(|error| error.to_string())? {
        Ok(Some(topology)) => {
            collection.data.insert("numa_topology".into(), topology);
        }
        Ok(None) => warn!(agent.log(), "no NUMA topology: this kernel knows of none"),
        Err(error) => warn!(agent.log(), "no NUMA topology"; "error" => error),
    }
    Ok(())
}

/// What the tool `hardware-detect` finds, with the benchmarks that the kernel line asks for.
async fn extra_hardware(
    agent: &Arc<Agent>,
    inspection: &Inspection,
    collection: &mut Collection,
) -> Result<(), String> {
    let mut argv = vec!["hardware-detect"];
    if let Some(benchmarks) = inspection.benchmarks.as_deref().filter(|benchmarks| !benchmarks.is_empty()) {
        argv.push("--benchmark");
        argv.extend(benchmarks.split(','));
    }
    let request = Request::new(argv).deadline(DETECT_DEADLINE).keep(DETECT_LIMIT);
    let detected = match agent.runner().run(request).await {
        Ok(output) => serde_json::from_slice(&output.stdout.into_bytes())
            .map_err(|error| format!("JSON returned from hardware-detect cannot be decoded: {error}")),
        Err(error) => Err(format!("failed to run hardware-detect utility: {error}")),
    };
    match detected {
        Ok(detected) => {
            collection.data.insert("data".into(), detected);
        }
        Err(error) => collection.failures.push(error),
    }
    Ok(())
}

/// What the tool `dmidecode` prints. A text that cannot be read is no failure, as with the Python agent, and leaves the
/// member empty.
async fn dmi_decode(agent: &Arc<Agent>, collection: &mut Collection) -> Result<(), String> {
    match dmi::collect(agent).await {
        Ok(read) => {
            let tables = read.unwrap_or_else(|why| {
                warn!(agent.log(), "the output of dmidecode cannot be read"; "error" => why);
                json!({})
            });
            collection.data.insert("dmi".into(), tables);
        }
        Err(error) => collection.failures.push(error),
    }
    Ok(())
}

/// What the managers answer to a method.
async fn method(agent: &Arc<Agent>, collection: &mut Collection, name: &str, member: &str) -> Result<(), String> {
    let value = ask(agent.managers(), name).await.map_err(|error| error.to_string())?;
    collection.data.insert(member.to_owned(), value);
    Ok(())
}

async fn ask(managers: &dyn Managers, method: &str) -> HwResult<Value> {
    managers.dispatch(&CallContext::new(), method, json!({})).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::Settings;
    use crate::inspect::AddressWait;
    use crate::testing::agent_on;

    #[test]
    fn the_root_disk_is_the_smallest_that_is_large_enough() {
        const GIB: u64 = 1 << 30;
        let inventory = |disks: &[(&str, u64)]| {
            let disks: Vec<Value> = disks.iter().map(|(name, size)| json!({"name": name, "size": size})).collect();
            json!({ "disks": disks })
        };
        let name = |inventory: &Value| root_disk(inventory).map(|disk| disk["name"].as_str().unwrap_or("").to_owned());
        let disks =
            inventory(&[("/dev/sdc", 9 * GIB), ("/dev/sdb", 8 * GIB), ("/dev/sda", 8 * GIB), ("/dev/sdd", GIB)]);
        assert_eq!(name(&disks).as_deref(), Some("/dev/sda"));
        assert_eq!(name(&inventory(&[("/dev/sda", 4 * GIB)])).as_deref(), Some("/dev/sda"));
        assert_eq!(name(&inventory(&[("/dev/sda", 4 * GIB - 1)])), None);
        assert_eq!(name(&json!({"disks": [{"name": 5}, null]})), None);
        assert_eq!(name(&json!({})), None);
    }

    #[tokio::test]
    async fn hardware_detect_gets_its_benchmarks_and_gives_json() {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("hardware-detect");
        let path = format!("{}:/usr/bin:/bin", directory.path().display());
        let wait = AddressWait { timeout: Duration::ZERO, every: false, bootif: None };
        for (benchmarks, script, data, error) in [
            (Some("cpu,disk"), "printf '{\"asked\": \"%s\"}' \"$*\"", json!({"asked": "--benchmark cpu disk"}), ""),
            (None, "printf '[[\"cpu\", \"%s\"]]' \"$#\"", json!([["cpu", "0"]]), ""),
            (None, "echo oops", Value::Null, "JSON returned from hardware-detect cannot be decoded"),
            (None, "echo broken >&2; exit 3", Value::Null, "failed to run hardware-detect utility: "),
        ] {
            std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
            std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
            let (agent, _) = agent_on(Settings::default(), &path);
            let benchmarks = benchmarks.map(str::to_owned);
            let inspection = Inspection::for_nobody(Some("extra-hardware"), wait.clone(), benchmarks);
            let collected = inspection.collect(&agent).await;
            assert_eq!(collected.get("data").unwrap_or(&Value::Null), &data, "{collected:?}");
            let told = collected["error"].as_str().unwrap_or_default();
            assert_eq!(told.is_empty(), error.is_empty(), "{told}");
            assert!(told.contains(error), "{told}");
        }
    }
}
