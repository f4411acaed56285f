//! What every manager inherits from the Python agent's base class, for plugins that answer "absent".
//!
//! It matters that a manager *has* these methods although it did not write them: a manager ranked above the generic one
//! is asked first, and only since the calls it would need are incompatible with it does the search go on.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use ipa_plugin_api::error::{ErrorKind, HwError, HwResult};
use serde_json::{Map, Value, json};
use slog::{debug, info, warn};
use tokio::task::JoinSet;

use super::dispatch::{self, After, AskError};
use super::host::Host;
use super::manager::Manager;
use super::scope::Origin;
use super::surface;

/// Most disks that are erased at the same time, whatever the node says.
const MAX_CONCURRENCY: usize = 64;

/// What is known of the BMC. Asking it is slow, so a manager is asked once.
#[derive(Debug, Default)]
pub(crate) struct BmcCache(Mutex<Option<Bmc>>);

#[derive(Debug, Clone)]
struct Bmc {
    address: Value,
    v6address: Value,
    /// None until asked; null if the manager cannot tell.
    mac: Option<Value>,
}

impl BmcCache {
    fn lock(&self) -> MutexGuard<'_, Option<Bmc>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers a method that a manager's plugin does not have.
pub(crate) async fn inherited(
    manager: &Arc<Manager>,
    host: &Arc<Host>,
    origin: &Origin,
    method: &str,
    args: &Value,
) -> Result<Value, AskError> {
    let own = Own { manager, host, origin };
    match method {
        "initialize" => Ok(Value::Null),
        // The Python agent's base class has none, but a manifest may have said already which there are.
        _ if let Some(kind) = surface::listed_kind(method) => Ok(json!(surface::steps(&manager.manifest, kind))),
        "wait_for_disks" => own.wait_for_disks().await,
        "list_hardware_info" => own.list_hardware_info().await,
        "erase_devices" => own.erase_devices(args).await,
        _ => Err(HwError::absent(method).into()),
    }
}

/// A manager asking itself.
struct Own<'a> {
    manager: &'a Arc<Manager>,
    host: &'a Arc<Host>,
    origin: &'a Origin,
}

impl Own<'_> {
    /// A method of the manager's own; the base class finds those it lacks incompatible.
    async fn ask(&self, method: &str, args: Value) -> Result<Value, AskError> {
        match self.manager.ask(self.host, self.origin, method, &args).await {
            Err(AskError::Hardware(error)) if error.kind() == ErrorKind::Absent => {
                Err(HwError::incompatible(format!("{} has no {method}", self.manager.name())).into())
            }
            result => result,
        }
    }

    async fn wait_for_disks(&self) -> Result<Value, AskError> {
        let (attempts, delay) = (self.host.options.disk_wait_attempts, self.host.options.disk_wait_delay);
        for attempt in 1..=attempts {
            match self.ask("get_os_install_device", json!({})).await {
                Ok(_) => return Ok(Value::Null),
                Err(AskError::Hardware(error)) if error.class() == "DeviceNotFound" => {
                    debug!(
                        self.host.logger,
                        "the root device is not there yet, attempt {attempt} of {attempts}: {error}"
                    );
                }
                Err(error) => return Err(error),
            }
            if attempt < attempts {
                tokio::select! {
                    () = tokio::time::sleep(delay) => {}
                    () = self.origin.context.cancelled() => {
                        return Err(HwError::cancelled("waiting for the root device was cancelled").into());
                    }
                }
            }
        }
        if attempts > 0 {
            warn!(self.host.logger, "the root device was not detected in {:?}", delay * (attempts - 1));
        }
        Ok(Value::Null)
    }

    async fn list_hardware_info(&self) -> Result<Value, AskError> {
        let start = Instant::now();
        let mut inventory = Map::new();
        for (key, method) in [
            ("interfaces", "list_network_interfaces"),
            ("cpu", "get_cpus"),
            ("disks", "list_block_devices"),
            ("memory", "get_memory"),
        ] {
            inventory.insert(key.into(), self.ask(method, json!({})).await?);
        }
        let skip_bmc = self.host.node().is_some_and(|node| node.get("skip_bmc_detect") == Some(&Value::Bool(true)));
        let (address, v6address) = if skip_bmc { (Value::Null, Value::Null) } else { self.bmc_addresses().await? };
        inventory.insert("bmc_address".into(), address);
        inventory.insert("bmc_v6address".into(), v6address);
        inventory.insert("system_vendor".into(), self.ask("get_system_vendor_info", json!({})).await?);
        inventory.insert("boot".into(), self.ask("get_boot_info", json!({})).await?);
        let hostname = rustix::system::uname().nodename().to_string_lossy().into_owned();
        inventory.insert("hostname".into(), hostname.into());
        if !skip_bmc && let mac @ Value::String(_) = self.bmc_mac().await? {
            inventory.insert("bmc_mac".into(), mac);
        }
        info!(self.host.logger, "inventory collected in {:.2?}", start.elapsed(); "manager" => self.manager.name());
        Ok(Value::Object(inventory))
    }

    async fn bmc_addresses(&self) -> Result<(Value, Value), AskError> {
        if let Some(bmc) = &*self.manager.bmc.lock() {
            return Ok((bmc.address.clone(), bmc.v6address.clone()));
        }
        let address = self.ask("get_bmc_address", json!({})).await?;
        let v6address = self.ask("get_bmc_v6address", json!({})).await?;
        let bmc = Bmc { address: address.clone(), v6address: v6address.clone(), mac: None };
        self.manager.bmc.lock().get_or_insert(bmc);
        Ok((address, v6address))
    }

    async fn bmc_mac(&self) -> Result<Value, AskError> {
        if let Some(mac) = self.manager.bmc.lock().as_ref().and_then(|bmc| bmc.mac.clone()) {
            return Ok(mac);
        }
        let (mac, final_answer) = match self.ask("get_bmc_mac", json!({})).await {
            // A null may become an address later, as in the Python agent.
            Ok(mac) => (mac.clone(), !mac.is_null()),
            Err(AskError::Hardware(error)) if error.kind() == ErrorKind::Incompatible => (Value::Null, true),
            Err(error) => return Err(error),
        };
        if final_answer && let Some(bmc) = self.manager.bmc.lock().as_mut() {
            bmc.mac = Some(mac.clone());
        }
        Ok(mac)
    }

    async fn erase_devices(&self, args: &Value) -> Result<Value, AskError> {
        let node = args.get("node").cloned().unwrap_or(Value::Null);
        let listed = self.ask("list_block_devices_check_skip_list", json!({ "node": node })).await?;
        let devices = named_devices(listed)?;
        // All checks before the first erasure: a protected disk must stop everything.
        if guarded(self.host.options.guard_special_filesystems, &node) {
            for (name, _) in &devices {
                self.check_safety(&node, name).await?;
            }
        }
        let concurrency = concurrency(&node, devices.len());
        let mut waiting = devices.iter().enumerate();
        let mut running = JoinSet::new();
        let mut results: Vec<Option<HwResult<Value>>> = vec![None; devices.len()];
        loop {
            while running.len() < concurrency
                && let Some((place, (_, device))) = waiting.next()
            {
                let (host, origin) = (Arc::clone(self.host), self.origin.clone());
                let args = json!({"node": node, "block_device": device});
                running.spawn(async move {
                    let result = dispatch::first(&host, &origin, "erase_block_device", args, After::Nobody).await;
                    (place, result)
                });
            }
            match running.join_next().await {
                Some(Ok((place, result))) => results[place] = Some(result),
                Some(Err(error)) => warn!(self.host.logger, "erasing a disk ended without a result: {error}"),
                None => break,
            }
        }
        let names = devices.into_iter().map(|(name, _)| name);
        Ok(collected(names.zip(results).collect())?)
    }

    async fn check_safety(&self, node: &Value, device: &str) -> Result<(), AskError> {
        let args = json!({"node": node, "device": device});
        match dispatch::first(self.host, self.origin, "safety_check_block_device", args, After::Nobody).await {
            Ok(_) => Ok(()),
            // In the Python agent the check is built in; without it nothing may be erased.
            Err(error) if error.class() == "HardwareManagerMethodNotFound" => Err(HwError::block_device_erase(format!(
                "nothing was erased: no manager has safety_check_block_device, so nobody can tell whether {device} is \
                 shared with other machines. Install the generic manager, or set guard_special_filesystems = false"
            ))
            .into()),
            Err(error) => Err(error.into()),
        }
    }
}

/// The disks of a listing with their names.
fn named_devices(listed: Value) -> HwResult<Vec<(String, Value)>> {
    let wrong = |what: &str| HwError::block_device_erase(format!("nothing was erased: the list of disks {what}"));
    let Value::Array(devices) = listed else { return Err(wrong("is no list")) };
    devices
        .into_iter()
        .map(|device| match device.get("name").and_then(Value::as_str) {
            Some(name) if !name.is_empty() => Ok((name.to_owned(), device)),
            _ => Err(wrong("has a disk without name")),
        })
        .collect()
}

/// Whether disks must be checked for file systems that several machines share.
fn guarded(configured: bool, node: &Value) -> bool {
    let wiped = node.pointer("/driver_internal_info/wipe_special_filesystems");
    configured && wiped != Some(&Value::Bool(false))
}

/// How many disks are erased at the same time: what the node says, 1 if it says nothing sensible.
fn concurrency(node: &Value, disks: usize) -> usize {
    let wanted = node.pointer("/driver_internal_info/disk_erasure_concurrency").and_then(Value::as_u64).unwrap_or(1);
    usize::try_from(wanted).unwrap_or(MAX_CONCURRENCY).clamp(1, disks.clamp(1, MAX_CONCURRENCY))
}

/// The result by disk, or one error that tells of all failures.
fn collected(results: Vec<(String, Option<HwResult<Value>>)>) -> HwResult<Value> {
    let mut erased = Map::new();
    let mut failures = Vec::new();
    for (name, result) in results {
        match result {
            Some(Ok(value)) => {
                erased.insert(name, value);
            }
            Some(Err(error)) => failures.push((name, error)),
            None => failures.push((name, HwError::block_device_erase("its erasure ended without a result"))),
        }
    }
    match failures.as_slice() {
        [] => Ok(Value::Object(erased)),
        [(_, error)] => Err(error.clone()),
        [(_, first), ..] => {
            let all: Vec<String> = failures.iter().map(|(name, error)| format!("{name}: {error}")).collect();
            let text = format!("{} disks could not be erased. {}", failures.len(), all.join("; "));
            Err(first.clone().with_details(text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_node_says_how_many_disks_at_once() {
        let node = |value: Value| json!({"driver_internal_info": {"disk_erasure_concurrency": value}});
        assert_eq!(concurrency(&node(json!(4)), 10), 4);
        assert_eq!(concurrency(&node(json!(40)), 10), 10);
        assert_eq!(concurrency(&node(json!(100_000)), 1000), MAX_CONCURRENCY);
        for nonsense in [json!(0), json!(-3), json!("4"), json!(null)] {
            assert_eq!(concurrency(&node(nonsense), 10), 1);
        }
        assert_eq!(concurrency(&Value::Null, 10), 1);
    }

    #[test]
    fn the_guard_is_on_unless_both_say_otherwise() {
        let node = |wipe: bool| json!({"driver_internal_info": {"wipe_special_filesystems": wipe}});
        assert!(guarded(true, &json!({})) && guarded(true, &node(true)));
        assert!(!guarded(true, &node(false)) && !guarded(false, &node(true)));
    }

    #[test]
    fn all_failures_are_told() {
        let ok = || Some(Ok(json!("done")));
        let failed = |text: &str| Some(Err(HwError::block_device_erase(text)));
        let one = collected(vec![("/dev/sda".into(), ok()), ("/dev/sdb".into(), failed("EIO"))]);
        assert_eq!(one, Err(HwError::block_device_erase("EIO")));
        let two = collected(vec![("/dev/sda".into(), failed("EIO")), ("/dev/sdb".into(), None)]).expect_err("two");
        assert!(two.details().starts_with("2 disks could not be erased. /dev/sda: "), "{two}");
        assert!(two.details().contains("/dev/sdb: "), "{two}");
        let all = collected(vec![("/dev/sdb".into(), ok()), ("/dev/sda".into(), ok())]).expect("erased");
        assert_eq!(all.to_string(), r#"{"/dev/sdb":"done","/dev/sda":"done"}"#);
    }

    #[test]
    fn disks_without_names_are_not_guessed() {
        assert!(named_devices(json!([{"name": ""}])).is_err());
        assert!(named_devices(json!({})).is_err());
        assert_eq!(named_devices(json!([{"name": "/dev/sda"}])).expect("disks").len(), 1);
    }
}
