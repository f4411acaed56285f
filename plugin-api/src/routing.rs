//! From the names of upstream's base methods to the methods of the trait.

use serde::Deserialize;
use serde_json::Value;

use crate::context::Cx;
use crate::error::HwResult;
use crate::handlers::{decode, encode};
use crate::inventory::{BlockDevice, Device};
use crate::manager::HardwareManager;

#[derive(Deserialize)]
struct Interface {
    interface_name: String,
}

#[derive(Deserialize)]
struct Interfaces {
    interface_names: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Listing {
    #[serde(default)]
    node: Value,
    #[serde(default)]
    include_partitions: bool,
    block_devices: Option<Vec<BlockDevice>>,
}

#[derive(Deserialize)]
struct Refresh {
    #[serde(default)]
    permit_refresh: bool,
}

#[derive(Deserialize)]
struct Address {
    ip_address: String,
}

#[derive(Deserialize)]
struct Erasure {
    #[serde(default)]
    node: Value,
    block_device: BlockDevice,
}

#[derive(Deserialize)]
struct NodeAndPorts {
    #[serde(default)]
    node: Value,
    #[serde(default)]
    ports: Vec<Value>,
}

#[derive(Deserialize)]
struct Filter {
    device: Device,
}

macro_rules! base_methods {
    (
        ($manager:ident, $cx:ident, $args:ident)
        $( $method:ident => $call:expr; )*
    ) => {
        /// Names of the methods that the trait has.
        pub const BASE_METHODS: &[&str] = &[$( stringify!($method), )*];

        /// Calls a method of the trait; none if it has none of that name.
        pub(crate) fn call_base<M: HardwareManager>(
            $manager: &M,
            $cx: &Cx<'_>,
            method: &str,
            $args: &str,
        ) -> Option<HwResult<Vec<u8>>> {
            Some(match method {
                $( stringify!($method) => (|| encode(&$call?))(), )*
                _ => return None,
            })
        }
    };
}

base_methods! {
    (manager, cx, args)
    initialize => manager.initialize(cx);
    list_network_interfaces => manager.list_network_interfaces(cx);
    get_interface_info => {
        let a: Interface = decode(args)?;
        manager.get_interface_info(cx, &a.interface_name)
    };
    get_ipv4_addr => {
        let a: Interface = decode(args)?;
        manager.get_ipv4_addr(cx, &a.interface_name)
    };
    collect_lldp_data => {
        let a: Interfaces = decode(args)?;
        manager.collect_lldp_data(cx, a.interface_names.as_deref())
    };
    get_cpus => manager.get_cpus(cx);
    get_memory => manager.get_memory(cx);
    list_block_devices => {
        let a: Listing = decode(args)?;
        manager.list_block_devices(cx, a.include_partitions)
    };
    list_block_devices_check_skip_list => {
        let a: Listing = decode(args)?;
        manager.list_block_devices_check_skip_list(cx, &a.node, a.include_partitions)
    };
    get_skip_list_from_node_for_disks => {
        let a: Listing = decode(args)?;
        manager.get_skip_list_from_node_for_disks(cx, &a.node, a.block_devices)
    };
    get_skip_list_from_node_for_raids => {
        let a: Listing = decode(args)?;
        manager.get_skip_list_from_node_for_raids(cx, &a.node)
    };
    get_os_install_device => {
        let a: Refresh = decode(args)?;
        manager.get_os_install_device(cx, a.permit_refresh)
    };
    get_bmc_address => manager.get_bmc_address(cx);
    get_bmc_mac => manager.get_bmc_mac(cx);
    get_bmc_v6address => manager.get_bmc_v6address(cx);
    get_boot_info => manager.get_boot_info(cx);
    get_system_vendor_info => manager.get_system_vendor_info(cx);
    get_usb_devices => manager.get_usb_devices(cx);
    list_hardware_info => manager.list_hardware_info(cx);
    generate_tls_certificate => {
        let a: Address = decode(args)?;
        manager.generate_tls_certificate(cx, &a.ip_address)
    };
    erase_block_device => {
        let a: Erasure = decode(args)?;
        manager.erase_block_device(cx, &a.node, &a.block_device)
    };
    erase_devices => {
        let a: NodeAndPorts = decode(args)?;
        manager.erase_devices(cx, &a.node, &a.ports)
    };
    wait_for_disks => manager.wait_for_disks(cx);
    get_clean_steps => {
        let a: NodeAndPorts = decode(args)?;
        manager.get_clean_steps(cx, &a.node, &a.ports)
    };
    get_deploy_steps => {
        let a: NodeAndPorts = decode(args)?;
        manager.get_deploy_steps(cx, &a.node, &a.ports)
    };
    get_service_steps => {
        let a: NodeAndPorts = decode(args)?;
        manager.get_service_steps(cx, &a.node, &a.ports)
    };
    collect_system_logs => manager.collect_system_logs(cx);
    full_sync => manager.full_sync(cx);
    filter_device => {
        let a: Filter = decode(args)?;
        manager.filter_device(cx, a.device)
    };
}

/// True if the trait has a method of this name. Usable in constants, so that the export macro can check.
pub const fn is_base_method(name: &str) -> bool {
    let mut at = 0;
    while at < BASE_METHODS.len() {
        if equal(BASE_METHODS[at].as_bytes(), name.as_bytes()) {
            return true;
        }
        at += 1;
    }
    false
}

const fn equal(left: &[u8], right: &[u8]) -> bool {
    if left.len() != right.len() {
        return false;
    }
    let mut at = 0;
    while at < left.len() {
        if left[at] != right[at] {
            return false;
        }
        at += 1;
    }
    true
}
