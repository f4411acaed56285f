//! The manager that answers the host.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use ipa_plugin_api::prelude::*;

use crate::certificate::{self, Choice};
use crate::first::First;
use crate::hints::Candidate;
use crate::inventory::Collector;
use crate::inventory::network::Address;
use crate::root::Root;
use crate::root_device::{self, Explanation, SkipList};
use crate::tools::{ToolError, ToolOutput, Tools};
use crate::{full_sync, ipmi_modules, logs};

/// Longest time for udev to settle, as long as its own default.
const SETTLE_DEADLINE: Duration = Duration::from_secs(120);
/// Has udevadm wait also where its root is not that of process 1: in a container that shares the machine's devices and
/// processes, as on Fedora CoreOS.
const IGNORE_CHROOT: &str = "SYSTEMD_IGNORE_CHROOT";

/// Upstream's class and version, so that Ironic's records of the Python agent stay valid.
#[derive(Debug)]
pub struct GenericHardwareManager {
    collector: Collector,
    bmc: Mutex<Option<Bmc>>,
    /// The kernel line's `BOOTIF`, which does not change.
    boot_interface: OnceLock<Option<String>>,
    first_for_interfaces: First,
    first_for_filter: First,
}

/// What the BMC said. Asking it takes seconds, so it is asked once.
#[derive(Debug, Clone, Default)]
struct Bmc {
    address: Option<String>,
    v6_address: Option<String>,
    mac: Option<String>,
}

impl HardwareManager for GenericHardwareManager {
    fn new(_config: &Value) -> HwResult<Self> {
        Ok(Self::on(Collector::live()))
    }

    fn evaluate_hardware_support(&self, _cx: &Cx<'_>) -> HwResult<Support> {
        Ok(Support::GENERIC)
    }

    /// Loads the IPMI modules; on a machine without a BMC that fails and does not matter.
    fn initialize(&self, cx: &Cx<'_>) -> HwResult<()> {
        ipmi_modules::load(self.collector.root(), cx);
        Ok(())
    }

    fn list_network_interfaces(&self, cx: &Cx<'_>) -> HwResult<Vec<NetworkInterface>> {
        let mut interfaces = Vec::new();
        let is_first = self.first_for_interfaces.is_here(cx);
        let addresses = if is_first { self.collector.addresses() } else { Vec::new() };
        for name in self.collector.interface_names()? {
            let described = if is_first { self.described(cx, &name, &addresses) } else { None };
            let asked = || cx.dispatch::<NetworkInterface>("get_interface_info", json!({"interface_name": name}));
            match described.unwrap_or_else(asked) {
                Ok(interface) => interfaces.push(interface),
                Err(error) if error.is_method_not_found() => {
                    cx.log(Level::Warning, "no manager could handle the interface", &[("interface", &name)]);
                }
                Err(error) => return Err(error),
            }
        }
        self.filter(cx, interfaces.into_iter().map(Device::Network), |device| match device {
            Device::Network(interface) => Some(interface),
            _ => None,
        })
    }

    fn get_interface_info(&self, cx: &Cx<'_>, interface_name: &str) -> HwResult<NetworkInterface> {
        self.collector.interface(interface_name, &HostTools(cx))
    }

    fn get_ipv4_addr(&self, _cx: &Cx<'_>, interface_name: &str) -> HwResult<Option<String>> {
        let addresses = self.collector.addresses();
        Ok(addresses
            .iter()
            .find(|address| address.interface == interface_name && address.ip.is_ipv4())
            .map(|address| address.ip.to_string()))
    }

    fn get_cpus(&self, _cx: &Cx<'_>) -> HwResult<Cpu> {
        Ok(self.collector.cpu())
    }

    fn get_memory(&self, _cx: &Cx<'_>) -> HwResult<Memory> {
        Ok(self.collector.memory())
    }

    fn list_block_devices(&self, cx: &Cx<'_>, include_partitions: bool) -> HwResult<Vec<BlockDevice>> {
        if self.collector.udev_is_busy() {
            settle(cx);
        }
        let disks = self.collector.disks(include_partitions)?;
        self.filter(cx, disks.into_iter().map(|disk| Device::Block(disk.device)), |device| match device {
            Device::Block(disk) => Some(disk),
            _ => None,
        })
    }

    fn list_block_devices_check_skip_list(
        &self,
        cx: &Cx<'_>,
        node: &Value,
        include_partitions: bool,
    ) -> HwResult<Vec<BlockDevice>> {
        let disks = self.candidates(cx, include_partitions)?;
        Ok(leave_alone(cx, disks, node)?.into_iter().map(|disk| disk.device).collect())
    }

    fn get_skip_list_from_node_for_disks(
        &self,
        cx: &Cx<'_>,
        node: &Value,
        block_devices: Option<Vec<BlockDevice>>,
    ) -> HwResult<Vec<String>> {
        let disks = match block_devices {
            Some(devices) => root_device::candidates(devices, &self.collector.disks(true)?),
            None => self.candidates(cx, false)?,
        };
        Ok(SkipList::of(node)?.skipped(&disks)?.into_keys().collect())
    }

    fn get_skip_list_from_node_for_raids(&self, _cx: &Cx<'_>, node: &Value) -> HwResult<Vec<String>> {
        Ok(SkipList::of(node)?.volumes)
    }

    fn get_os_install_device(&self, cx: &Cx<'_>, permit_refresh: bool) -> HwResult<String> {
        let node = cx.node_for_root_device(permit_refresh)?;
        let disks = self.candidates(cx, false)?;
        let disks = match &node {
            Some(node) => leave_alone(cx, disks, node)?,
            None => disks,
        };
        let hints = node.as_ref().and_then(root_device::hints_of);
        let name = root_device::choose(&disks, hints)?.device.name.clone();
        let told = hints.map_or_else(|| "none".to_owned(), Value::to_string);
        cx.log(Level::Info, "root device chosen", &[("device", &name), ("hints", &told)]);
        Ok(name)
    }

    fn get_bmc_address(&self, cx: &Cx<'_>) -> HwResult<Option<String>> {
        Ok(self.collector.bmc_address(&HostTools(cx)))
    }

    fn get_bmc_v6address(&self, cx: &Cx<'_>) -> HwResult<Option<String>> {
        Ok(self.collector.bmc_v6_address(&HostTools(cx)))
    }

    fn get_bmc_mac(&self, cx: &Cx<'_>) -> HwResult<Option<String>> {
        self.collector.bmc_mac(&HostTools(cx))
    }

    fn get_boot_info(&self, cx: &Cx<'_>) -> HwResult<BootInfo> {
        if self.boot_interface.get().is_none() {
            let _ = self.boot_interface.set(cx.kernel_params()?.remove("BOOTIF"));
        }
        Ok(self.collector.boot(self.boot_interface.get().and_then(Option::as_deref)))
    }

    fn get_system_vendor_info(&self, _cx: &Cx<'_>) -> HwResult<SystemVendorInfo> {
        Ok(self.collector.vendor())
    }

    fn get_usb_devices(&self, cx: &Cx<'_>) -> HwResult<Vec<UsbDevice>> {
        self.filter(cx, self.collector.usb_devices().into_iter().map(Device::Usb), |device| match device {
            Device::Usb(usb) => Some(usb),
            _ => None,
        })
    }

    fn list_hardware_info(&self, cx: &Cx<'_>) -> HwResult<Value> {
        // Without a BMC there is nothing to skip, and the host is not asked for the node.
        let bmc = if self.collector.has_ipmi_device() && !skips_bmc(cx)? { self.bmc(cx)? } else { Bmc::default() };
        let inventory = Inventory {
            interfaces: self.list_network_interfaces(cx)?,
            cpu: self.get_cpus(cx)?,
            disks: self.list_block_devices(cx, false)?,
            memory: self.get_memory(cx)?,
            bmc_address: bmc.address,
            bmc_v6address: bmc.v6_address,
            system_vendor: self.get_system_vendor_info(cx)?,
            boot: self.get_boot_info(cx)?,
            hostname: self.collector.hostname(),
            bmc_mac: bmc.mac,
            extra: std::collections::BTreeMap::new(),
        };
        Ok(serde_json::to_value(inventory)?)
    }

    fn generate_tls_certificate(&self, cx: &Cx<'_>, ip_address: &str) -> HwResult<TlsCertificate> {
        let host_name = self.collector.hostname().unwrap_or_default();
        certificate::generate(cx, &Root::live(), ip_address, &host_name, &Choice::read(cx)?)
    }

    fn collect_system_logs(&self, cx: &Cx<'_>) -> HwResult<()> {
        logs::collect(&Root::live(), cx)
    }

    fn full_sync(&self, cx: &Cx<'_>) -> HwResult<()> {
        full_sync::full_sync(&Root::live(), cx)
    }

    fn filter_device(&self, _cx: &Cx<'_>, device: Device) -> HwResult<Option<Device>> {
        Ok(Some(device))
    }
}

/// Arguments of `explain_root_device`.
#[derive(Debug, serde::Deserialize)]
struct ExplainRootDevice {
    /// The node to explain the choice for; the one that is known by default.
    #[serde(default)]
    node: Option<Value>,
}

impl GenericHardwareManager {
    /// Says of each disk why it is the root device or not.
    fn explain_root_device(&self, cx: &Cx<'_>, args: ExplainRootDevice) -> HwResult<Explanation> {
        let node = match args.node {
            Some(node) => node,
            None => cx.node()?.unwrap_or_default(),
        };
        root_device::explain(&self.candidates(cx, false)?, &node)
    }

    fn candidates(&self, cx: &Cx<'_>, include_partitions: bool) -> HwResult<Vec<Candidate>> {
        let listed = self.list_block_devices(cx, include_partitions)?;
        Ok(root_device::candidates(listed, &self.collector.disks(include_partitions)?))
    }

    fn on(collector: Collector) -> Self {
        Self {
            collector,
            bmc: Mutex::new(None),
            boot_interface: OnceLock::new(),
            first_for_interfaces: First::for_method("get_interface_info"),
            first_for_filter: First::for_method("filter_device"),
        }
    }

    /// An interface as this manager describes it; none if another may know it instead.
    fn described(&self, cx: &Cx<'_>, name: &str, addresses: &[Address]) -> Option<HwResult<NetworkInterface>> {
        match self.collector.interface_with(name, addresses, &HostTools(cx)) {
            Err(error) if error.kind() == ErrorKind::Incompatible => None,
            described => Some(described),
        }
    }

    /// Passes every device of a listing through all managers' `filter_device`. `pick` takes the kind of the listing out
    /// of the answer; a manager that changes the kind has removed the device from it.
    fn filter<T>(
        &self,
        cx: &Cx<'_>,
        devices: impl Iterator<Item = Device>,
        pick: impl Fn(Device) -> Option<T>,
    ) -> HwResult<Vec<T>> {
        let is_first = self.first_for_filter.is_here(cx);
        let mut kept = Vec::new();
        for device in devices {
            let answer = if is_first {
                self.filter_device(cx, device)?
            } else {
                cx.dispatch("filter_device", json!({"device": device}))?
            };
            kept.extend(answer.and_then(&pick));
        }
        Ok(kept)
    }

    fn bmc(&self, cx: &Cx<'_>) -> HwResult<Bmc> {
        if let Some(bmc) = self.remembered_bmc().clone() {
            return Ok(bmc);
        }
        // Asked without the lock: tools take their time.
        let mac = match self.get_bmc_mac(cx) {
            Err(error) if error.kind() == ErrorKind::Incompatible => None,
            other => other?,
        };
        let bmc = Bmc { address: self.get_bmc_address(cx)?, v6_address: self.get_bmc_v6address(cx)?, mac };
        *self.remembered_bmc() = Some(bmc.clone());
        Ok(bmc)
    }

    fn remembered_bmc(&self) -> std::sync::MutexGuard<'_, Option<Bmc>> {
        self.bmc.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The disks without those that the node's skip list has.
///
/// # Errors
/// The list is wrong, or it keeps a RAID volume that one of the disks may be: which one is not known here.
fn leave_alone(cx: &Cx<'_>, mut disks: Vec<Candidate>, node: &Value) -> HwResult<Vec<Candidate>> {
    let list = SkipList::of(node)?;
    let array = disks.iter().find(|disk| disk.device.name.starts_with("/dev/md"));
    if let (Some(array), false) = (array, list.volumes.is_empty()) {
        return Err(HwError::block_device(format!(
            "skip_block_devices of the node keeps the RAID volumes {}, and {} may be one of them: this agent cannot tell \
             yet; name the array's device in a hint instead",
            list.volumes.join(", "),
            array.device.name
        )));
    }
    for (name, hints) in list.skipped(&disks)? {
        cx.log(Level::Warning, "the disk is left alone", &[("device", &name), ("skip_block_devices", &hints)]);
        disks.retain(|disk| disk.device.name != name);
    }
    Ok(disks)
}

/// Whether the node's owner wants the BMC left alone.
fn skips_bmc(cx: &Cx<'_>) -> HwResult<bool> {
    Ok(cx.node()?.is_some_and(|node| node["skip_bmc_detect"] == Value::Bool(true)))
}

/// Waits for udev to be done with the devices that have just come, since its database describes the disks.
fn settle(cx: &Cx<'_>) {
    let mut command = Command::new("udevadm").arg("settle").env(IGNORE_CHROOT, "1").deadline(SETTLE_DEADLINE);
    if let Err(error) = cx.run(&mut command).and_then(CommandOutput::check) {
        // A ramdisk without udev has nothing to wait for.
        let level = if error.class() == "FileNotFoundError" { Level::Debug } else { Level::Warning };
        cx.log(level, "udev has not settled", &[("error", &error.details())]);
    }
}

/// The host's runner as the inventory's door to external programs.
struct HostTools<'c>(&'c Cx<'c>);

impl Tools for HostTools<'_> {
    fn run(&self, argv: &[&str], deadline: Duration) -> Result<ToolOutput, ToolError> {
        let (program, args) = argv.split_first().ok_or_else(|| ToolError::NotFound(String::new()))?;
        let mut command = Command::new(*program).args(args.iter().copied()).deadline(deadline);
        let output = self.0.run(&mut command).map_err(|error| match error.class() {
            "FileNotFoundError" => ToolError::NotFound((*program).to_owned()),
            _ => ToolError::Failed(error.details().to_owned()),
        })?;
        let status = match (output.timed_out, output.code, output.signal) {
            (true, _, _) => return Err(ToolError::Failed(output.failure())),
            (_, Some(code), _) => code,
            (_, None, signal) => 128 + signal.unwrap_or_default(),
        };
        Ok(ToolOutput { status, stdout: output.stdout, stderr: output.stderr })
    }
}

export_manager! {
    GenericHardwareManager, name = "generic_hardware_manager", version = "1.2",
    tools = ["blockdev", "ipmitool", "modprobe", "sync", "udevadm"],
    methods {
        initialize, list_network_interfaces, get_interface_info, get_ipv4_addr, get_cpus, get_memory,
        list_block_devices, list_block_devices_check_skip_list, get_skip_list_from_node_for_disks,
        get_skip_list_from_node_for_raids, get_os_install_device,
        explain_root_device => GenericHardwareManager::explain_root_device, get_bmc_address, get_bmc_v6address, get_bmc_mac, get_boot_info, get_system_vendor_info,
        get_usb_devices, list_hardware_info, generate_tls_certificate, collect_system_logs, full_sync, filter_device,
    }
}

#[cfg(test)]
mod tests {
    use ipa_plugin_api::export::Export;
    use ipa_plugin_api::testing::{Bench, FakeHost, LogRecord, conformance, output};

    use super::*;
    use crate::inventory::network::Kernel;
    use crate::root::fixture::Tree;

    const LAN: &str = include_str!("../fixtures/ipmitool/lan-print");

    /// The manager of a machine that consists of these files.
    fn on(tree: &Tree) -> GenericHardwareManager {
        GenericHardwareManager::on(Collector::new(tree.root(), "x86_64", Box::new(Kernel)))
    }

    /// A machine with a disk, an interface and a USB device.
    fn machine() -> Tree {
        let tree = Tree::new();
        tree.file("sys/block/vda/dev", "254:0\n")
            .file("sys/block/vda/size", "8192\n")
            .directory("sys/class/net/eth0/device")
            .file("sys/bus/usb/devices/1-1/devnum", "2\n")
            .file("sys/bus/usb/devices/1-1/product", "Key\n");
        tree
    }

    #[test]
    fn it_is_a_good_manager_without_steps() {
        assert_eq!(conformance::<GenericHardwareManager>(), Vec::<String>::new());
        let host = FakeHost::new();
        let bench = Bench::<GenericHardwareManager>::new(&host).expect("made");
        assert_eq!(bench.evaluate().expect("ranked"), Support::GENERIC);
        for method in ["get_clean_steps", "get_deploy_steps", "get_service_steps"] {
            assert_eq!(bench.call(method, json!({"node": {}, "ports": []})).expect(method), json!([]));
        }
    }

    #[test]
    fn the_boot_interface_comes_from_the_kernel_line() {
        let host = FakeHost::new().kernel_param("BOOTIF", "01-52-54-00-12-34-56");
        let bench = Bench::<GenericHardwareManager>::new(&host).expect("made");
        let boot = bench.call("get_boot_info", json!({})).expect("told");
        assert_eq!(boot["pxe_interface"], "01-52-54-00-12-34-56");
    }

    #[test]
    fn it_is_upstreams_generic_manager_by_name_and_version() {
        let manifest = GenericHardwareManager::SPEC.to_manifest();
        // Ironic compares the version map of the Python agent with ours.
        assert_eq!((manifest.name.as_str(), manifest.version.as_str()), ("generic_hardware_manager", "1.2"));
        assert_eq!(manifest.class_name, "GenericHardwareManager");
        let recorded: Value =
            serde_json::from_str(include_str!("../../../tests/fixtures/names/upstream.json")).expect("JSON");
        let ours = json!({"class_name": manifest.class_name, "name": manifest.name, "version": manifest.version});
        assert_eq!(recorded["generic"], ours);
    }

    /// What upstream passes through the filter: disks, interfaces and USB devices.
    const LISTINGS: [(&str, &str); 3] =
        [("list_block_devices", "block"), ("list_network_interfaces", "network"), ("get_usb_devices", "usb")];

    #[test]
    fn another_manager_can_change_or_hide_a_device() {
        let tree = machine();
        for (method, kind) in LISTINGS {
            let other = json!({"name": "acme", "mac_address": "52:54:00:00:00:01", "size": 1, "product": "acme"});
            let listed = |answer: Value| {
                let host = FakeHost::new()
                    .answer("get_interface_info", Ok(json!({"name": "eth0", "mac_address": "52:54:00:00:00:01"})))
                    .answer("filter_device", Ok(answer));
                Bench::of(on(&tree), &host).call(method, json!({})).expect("listed")
            };
            assert_eq!(listed(Value::Null), json!([]), "{method}");
            let changed = listed(json!({"kind": kind, "device": other}));
            assert_eq!(changed.as_array().map(Vec::len), Some(1), "{method}: {changed}");
            let (name, product) = (&changed[0]["name"], &changed[0]["product"]);
            assert!(name == "acme" || product == "acme", "{method}: {changed}");
            // A device that turned into one of another kind is none of this listing.
            let odd = if kind == "usb" { "block" } else { "usb" };
            assert_eq!(listed(json!({"kind": odd, "device": other})), json!([]), "{method}");
        }
    }

    #[test]
    fn an_interface_that_no_manager_can_describe_is_left_out() {
        let tree = machine();
        let host = FakeHost::new().answer("get_interface_info", Err(HwError::absent("get_interface_info")));
        assert_eq!(Bench::of(on(&tree), &host).call("list_network_interfaces", json!({})).expect("listed"), json!([]));
        let warnings = host.log_records();
        assert!(warnings.iter().any(|record| record.pairs["interface"] == "eth0"), "{warnings:?}");
    }

    #[test]
    fn the_host_is_not_asked_for_what_would_come_back_here() {
        let tree = Tree::new();
        tree.file("sys/class/net/test-port/address", "52:54:00:00:00:01\n")
            .directory("sys/class/net/test-port/device")
            .directory("sys/class/net/test-none/device")
            .file("sys/block/vda/dev", "254:0\n")
            .file("sys/block/vda/size", "8192\n");
        // It answers no dispatch.
        let host = FakeHost::new();
        let inventory = Bench::of(on(&tree), &host).call("list_hardware_info", json!({})).expect("collected");
        let names = |list: &str| -> Vec<Value> {
            inventory[list].as_array().into_iter().flatten().map(|device| device["name"].clone()).collect()
        };
        assert_eq!((names("interfaces"), names("disks")), (vec![json!("test-port")], vec![json!("/dev/vda")]));
        let left_out = |record: &LogRecord| record.pairs.get("interface").map(String::as_str) == Some("test-none");
        assert!(host.log_records().iter().any(left_out), "another manager might know what has no address");
    }

    #[test]
    fn disks_are_listed_when_udev_has_settled() {
        let tree = machine();
        let host = FakeHost::new().answer("filter_device", Ok(Value::Null));
        Bench::of(on(&tree), &host).call("list_block_devices", json!({})).expect("listed");
        assert!(host.commands_run().is_empty(), "udev has nothing to do");

        tree.file("run/udev/queue", "");
        let host = FakeHost::new().answer("filter_device", Ok(Value::Null));
        Bench::of(on(&tree), &host).call("list_block_devices", json!({})).expect("listed all the same");
        assert_eq!(host.commands_run(), [["udevadm", "settle"]]);
        assert!(host.log_records().iter().any(|record| record.message == "udev has not settled"));
    }

    fn asked_of_the_bmc(host: &FakeHost) -> usize {
        host.commands_run().iter().filter(|argv| argv[0] == "ipmitool").count()
    }

    #[test]
    fn the_bmc_is_asked_once() {
        let tree = machine();
        tree.link("dev/ipmi0", "/dev/null");
        let host = FakeHost::new()
            .command(&["ipmitool", "lan", "print", "1"], output(0, LAN, ""))
            .answer("filter_device", Ok(Value::Null));
        let bench = Bench::of(on(&tree), &host);
        let inventory = bench.call("list_hardware_info", json!({})).expect("collected");
        assert_eq!(inventory["bmc_address"], "192.168.10.21");
        assert_eq!(inventory["bmc_mac"], "ac:1f:6b:00:11:22");
        let asked = asked_of_the_bmc(&host);
        assert_eq!(bench.call("list_hardware_info", json!({})).expect("collected"), inventory);
        assert!(asked > 0 && asked_of_the_bmc(&host) == asked);
    }

    #[test]
    fn the_node_can_spare_the_bmc() {
        let tree = machine();
        tree.link("dev/ipmi0", "/dev/null");
        let host = FakeHost::new()
            .node(json!({"uuid": "u", "skip_bmc_detect": true}))
            .answer("filter_device", Ok(Value::Null));
        let inventory = Bench::of(on(&tree), &host).call("list_hardware_info", json!({})).expect("collected");
        assert_eq!((&inventory["bmc_address"], &inventory["bmc_v6address"]), (&Value::Null, &Value::Null));
        assert!(inventory.get("bmc_mac").is_none(), "{inventory}");
        assert_eq!(asked_of_the_bmc(&host), 0);
    }

    /// A machine with these disks, in GiB, and what comes out of the filter as it goes in.
    fn disks(sizes: &[(&str, u64)], node: Option<Value>, method: &str, args: Value) -> HwResult<Value> {
        let tree = Tree::new();
        for (minor, (name, gib)) in sizes.iter().enumerate() {
            let sectors = (gib << 30) / 512;
            tree.file(&format!("sys/block/{name}/dev"), format!("254:{minor}\n"))
                .file(&format!("sys/block/{name}/size"), format!("{sectors}\n"));
        }
        let host = FakeHost::new().echo("filter_device", "device");
        let host = match node {
            Some(node) => host.node(node),
            None => host,
        };
        Bench::of(on(&tree), &host).call(method, args)
    }

    const DISKS: [(&str, u64); 4] = [("vda", 20), ("vdb", 10), ("vdc", 30), ("vdd", 1)];

    #[test]
    fn the_root_device_is_the_nodes_choice() {
        let chosen = |node: Option<Value>| disks(&DISKS, node, "get_os_install_device", json!({}));
        assert_eq!(chosen(None).expect("chosen"), "/dev/vdb");
        assert_eq!(chosen(Some(json!({"uuid": "u"}))).expect("chosen"), "/dev/vdb");
        let hinted = json!({"properties": {"root_device": {"size": "> 15"}}});
        assert_eq!(chosen(Some(hinted)).expect("chosen"), "/dev/vda");
        let skipping = json!({"properties": {"skip_block_devices": [{"name": "/dev/vdb"}, {"name": "<in> vda"}]}});
        assert_eq!(chosen(Some(skipping)).expect("chosen"), "/dev/vdc");
        for (node, says) in [
            (json!({"instance_info": {"root_device": {"name": "/dev/sda"}}}), "the disks are /dev/vda, /dev/vdb"),
            (json!({"instance_info": {"root_device": {"size": "large"}}}), "is not an integer value"),
            (json!({"properties": {"skip_block_devices": [{"size": "> 1"}, {"name": "/dev/vdd"}]}}), "smaller than"),
            (json!({"properties": {"skip_block_devices": [{"size": ""}]}}), "skip_block_devices of the node has"),
        ] {
            let error = chosen(Some(node)).expect_err("none");
            // Only what may still come is waited for.
            let class = if says.contains("skip_block_devices") { "ValueError" } else { "DeviceNotFound" };
            assert_eq!(error.class(), class);
            assert!(error.details().contains(says), "{error}");
        }
    }

    #[test]
    fn what_the_node_wants_kept_is_not_listed() {
        let node = json!({"properties": {"skip_block_devices": [{"size": "< 15"}, {"volume_name": "root"}]}});
        let listed =
            |sizes: &[(&str, u64)]| disks(sizes, None, "list_block_devices_check_skip_list", json!({"node": node}));
        let names: Vec<Value> = listed(&DISKS)
            .expect("listed")
            .as_array()
            .expect("a list")
            .iter()
            .map(|disk| disk["name"].clone())
            .collect();
        assert_eq!(names, ["/dev/vda", "/dev/vdc"]);
        let skipped = disks(&DISKS, None, "get_skip_list_from_node_for_disks", json!({"node": node}));
        assert_eq!(skipped.expect("told"), json!(["/dev/vdb", "/dev/vdd"]));
        let volumes = disks(&DISKS, None, "get_skip_list_from_node_for_raids", json!({"node": node}));
        assert_eq!(volumes.expect("told"), json!(["root"]));
    }

    #[test]
    fn the_choice_is_explained() {
        let node = json!({"instance_info": {"root_device": {"size": "> 15"}}});
        let told = disks(&DISKS, None, "explain_root_device", json!({"node": node})).expect("explained");
        assert_eq!(told["root_device"], "/dev/vda");
        assert_eq!(told["disks"][1]["verdict"], "does not match the hint size");
        let told = disks(&DISKS, None, "explain_root_device", json!({})).expect("explained");
        assert_eq!(told["root_device"], "/dev/vdb");
    }
}
