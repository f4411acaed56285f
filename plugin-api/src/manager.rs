//! The trait that a hardware manager implements.

use serde_json::Value;

use crate::context::Cx;
use crate::error::{HwError, HwResult};
use crate::inventory::{
    BlockDevice, BootInfo, Cpu, Device, Memory, NetworkInterface, SystemVendorInfo, TlsCertificate, UsbDevice,
};
use crate::step::{Step, StepKind};

/// How well a manager fits the machine. Higher is asked first; 0 and below is never asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Support(pub i64);

impl Support {
    /// The manager has nothing to do on this machine.
    pub const NONE: Self = Self(0);
    /// Works on any machine; the generic manager's level.
    pub const GENERIC: Self = Self(1);
    /// Knows this kind of machine.
    pub const MAINLINE: Self = Self(2);
    /// Knows this operator's machines. Larger numbers are allowed.
    pub const SERVICE_PROVIDER: Self = Self(3);
}

/// A hardware manager.
///
/// Every method but [`new`](Self::new) and [`evaluate_hardware_support`](Self::evaluate_hardware_support) has a
/// default that says "I have no such method", so a manager implements just what it knows better than the managers
/// ranked below it. Methods may run at the same time on several threads; several disks are erased at once.
///
/// Errors: raise [`HwError::incompatible`] to let the next manager answer. Anything else stops the search and is the
/// answer.
pub trait HardwareManager: Sized + Send + Sync + 'static {
    /// Makes the manager. `config` is its section `[plugin:NAME]` of the agent's configuration, an object of texts.
    /// Touch no hardware here.
    fn new(config: &Value) -> HwResult<Self>;

    /// Says how well it fits this machine. Called once, before any other method.
    fn evaluate_hardware_support(&self, cx: &Cx<'_>) -> HwResult<Support>;

    /// Prepares the hardware, for example loads kernel modules. Called once, after all managers were ranked, highest
    /// first. Not called when the agent only looks (`--read-only`).
    fn initialize(&self, _cx: &Cx<'_>) -> HwResult<()> {
        Ok(())
    }

    /// All network interfaces.
    fn list_network_interfaces(&self, _cx: &Cx<'_>) -> HwResult<Vec<NetworkInterface>> {
        absent("list_network_interfaces")
    }

    /// One network interface.
    fn get_interface_info(&self, _cx: &Cx<'_>, _interface_name: &str) -> HwResult<NetworkInterface> {
        absent("get_interface_info")
    }

    /// The first IPv4 address of an interface.
    fn get_ipv4_addr(&self, _cx: &Cx<'_>, _interface_name: &str) -> HwResult<Option<String>> {
        absent("get_ipv4_addr")
    }

    /// LLDP frames by interface name: a list of `[type, hex text]` pairs each.
    fn collect_lldp_data(&self, _cx: &Cx<'_>, _interface_names: Option<&[String]>) -> HwResult<Value> {
        absent("collect_lldp_data")
    }

    /// The processors, taken together.
    fn get_cpus(&self, _cx: &Cx<'_>) -> HwResult<Cpu> {
        absent("get_cpus")
    }

    /// The memory.
    fn get_memory(&self, _cx: &Cx<'_>) -> HwResult<Memory> {
        absent("get_memory")
    }

    /// Disks, and with `include_partitions` their partitions after them.
    fn list_block_devices(&self, _cx: &Cx<'_>, _include_partitions: bool) -> HwResult<Vec<BlockDevice>> {
        absent("list_block_devices")
    }

    /// Like [`list_block_devices`](Self::list_block_devices) without those that the node says to leave alone
    /// (`properties/skip_block_devices`).
    fn list_block_devices_check_skip_list(
        &self,
        _cx: &Cx<'_>,
        _node: &Value,
        _include_partitions: bool,
    ) -> HwResult<Vec<BlockDevice>> {
        absent("list_block_devices_check_skip_list")
    }

    /// Names of the disks that the node says to leave alone.
    fn get_skip_list_from_node_for_disks(
        &self,
        _cx: &Cx<'_>,
        _node: &Value,
        _block_devices: Option<Vec<BlockDevice>>,
    ) -> HwResult<Vec<String>> {
        absent("get_skip_list_from_node_for_disks")
    }

    /// Volume names of the RAID arrays that the node says to leave alone.
    fn get_skip_list_from_node_for_raids(&self, _cx: &Cx<'_>, _node: &Value) -> HwResult<Vec<String>> {
        absent("get_skip_list_from_node_for_raids")
    }

    /// Path of the disk to install on.
    fn get_os_install_device(&self, _cx: &Cx<'_>, _permit_refresh: bool) -> HwResult<String> {
        absent("get_os_install_device")
    }

    /// IPv4 address of the BMC.
    fn get_bmc_address(&self, _cx: &Cx<'_>) -> HwResult<Option<String>> {
        absent("get_bmc_address")
    }

    /// MAC address of the BMC.
    fn get_bmc_mac(&self, _cx: &Cx<'_>) -> HwResult<Option<String>> {
        absent("get_bmc_mac")
    }

    /// IPv6 address of the BMC.
    fn get_bmc_v6address(&self, _cx: &Cx<'_>) -> HwResult<Option<String>> {
        absent("get_bmc_v6address")
    }

    /// How the machine was booted.
    fn get_boot_info(&self, _cx: &Cx<'_>) -> HwResult<BootInfo> {
        absent("get_boot_info")
    }

    /// Who made the machine.
    fn get_system_vendor_info(&self, _cx: &Cx<'_>) -> HwResult<SystemVendorInfo> {
        absent("get_system_vendor_info")
    }

    /// USB devices.
    fn get_usb_devices(&self, _cx: &Cx<'_>) -> HwResult<Vec<UsbDevice>> {
        absent("get_usb_devices")
    }

    /// The whole inventory. Further keys reach Ironic's inspection data unchanged.
    fn list_hardware_info(&self, _cx: &Cx<'_>) -> HwResult<Value> {
        absent("list_hardware_info")
    }

    /// A certificate for the agent's API, valid for this address.
    fn generate_tls_certificate(&self, _cx: &Cx<'_>, _ip_address: &str) -> HwResult<TlsCertificate> {
        absent("generate_tls_certificate")
    }

    /// Erases one block device. The value is shown to the operator.
    fn erase_block_device(&self, _cx: &Cx<'_>, _node: &Value, _block_device: &BlockDevice) -> HwResult<Value> {
        absent("erase_block_device")
    }

    /// Erases everything that may hold a tenant's data: an object of device name to the value of its erasure.
    fn erase_devices(&self, _cx: &Cx<'_>, _node: &Value, _ports: &[Value]) -> HwResult<Value> {
        absent("erase_devices")
    }

    /// Returns once the disk to install on is there, or after a while without it.
    fn wait_for_disks(&self, _cx: &Cx<'_>) -> HwResult<()> {
        absent("wait_for_disks")
    }

    /// Steps for cleaning; those that `export_manager!` declares unless overridden.
    fn get_clean_steps(&self, cx: &Cx<'_>, _node: &Value, _ports: &[Value]) -> HwResult<Vec<Step>> {
        Ok(cx.declared_steps(StepKind::Clean))
    }

    /// Steps for deployment; those that `export_manager!` declares unless overridden.
    fn get_deploy_steps(&self, cx: &Cx<'_>, _node: &Value, _ports: &[Value]) -> HwResult<Vec<Step>> {
        Ok(cx.declared_steps(StepKind::Deploy))
    }

    /// Steps for service; those that `export_manager!` declares unless overridden.
    fn get_service_steps(&self, cx: &Cx<'_>, _node: &Value, _ports: &[Value]) -> HwResult<Vec<Step>> {
        Ok(cx.declared_steps(StepKind::Service))
    }

    /// Adds logs with [`Cx::attach_log`] to those that go to Ironic.
    fn collect_system_logs(&self, _cx: &Cx<'_>) -> HwResult<()> {
        absent("collect_system_logs")
    }

    /// Writes all caches to the disks, before the machine is powered off from outside.
    fn full_sync(&self, _cx: &Cx<'_>) -> HwResult<()> {
        absent("full_sync")
    }

    /// Changes a device of a listing (`Some`), removes it (`None`), or has no opinion
    /// ([`HwError::incompatible`]). A removed device is invisible to cleaning too.
    fn filter_device(&self, _cx: &Cx<'_>, _device: Device) -> HwResult<Option<Device>> {
        absent("filter_device")
    }

    /// Answers a method that no list names, such as a step made at run time. Only asked of managers exported with
    /// `dynamic = true`.
    fn call_dynamic(&self, _cx: &Cx<'_>, method: &str, _args: Value) -> HwResult<Value> {
        absent(method)
    }
}

fn absent<T>(method: &str) -> HwResult<T> {
    Err(HwError::absent(method))
}
